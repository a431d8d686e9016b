"""kill -9 at each step of an order's life, on the emulator: the next process takes over, with one swap.

The fault proxies hold the very call that marks the step; then the process that made it dies, and is never answered.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testing.fault_proxy import Held
from tests.faults.audit import Audit
from tests.faults.dice import SEED, scaled
from tests.faults.engine import PATIENCE_SECONDS, Engine
from tests.faults.steps import STEPS, AtItsStep

Json = dict[str, Any]
# How often steps that killed nobody are given to new orders, at most: where the emulator ends the others of a function
# with one that died while it started, some of those have their step behind them by then. Now and then a worker is not
# known in time, too: it is told by its connection, which a busy machine may see too late.
ROUNDS = 12
BODY = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.05", "slippage": "0.1"}


def test_an_order_whose_process_is_killed_at_any_step_is_confirmed_with_one_swap(engine: Engine) -> None:
    steps = STEPS * scaled(short=1, full=4)
    audit = Audit(engine)
    accepted = {post_and_kill_the_api(engine)}

    def kill(name: str, held: Held) -> None:
        assert held.call.pid is not None
        engine.kill(held.call.pid)

    rule = AtItsStep(engine, kill)
    engine.solana.rule = engine.aws.rule = rule
    orders: dict[str, Json] = {}
    left = steps
    for round_ in range(ROUNDS):
        named = {f"killed-{SEED}-{round_}-{number}": step for number, step in enumerate(left)}
        rule.step_of.update(named)
        accepted |= {engine.post_until_accepted({**BODY, "clientOrderId": name}, name) for name in named}
        orders = engine.wait_until_ended(accepted, sweeping=True)
        left = [step for name, step in named.items() if name not in rule.came]
        print(f"round {round_ + 1}: {len(left)} of {len(named)} steps killed nobody")
        if not left:
            break
    engine.wait_until_drained()
    findings = audit.close(accepted)
    print(findings.line())
    findings.assert_clean()
    assert Counter(rule.step_of[name] for name in rule.came) == Counter(steps), "each step came, and killed its worker"
    assert {order["state"] for order in orders.values()} == {"confirmed"}
    for order in orders.values():
        failures = [error for change in order["history"] if (error := change["detail"].get("error_code"))]
        # what is signed may run out before the next worker, or a busy machine, comes to send it
        assert failures in ([], ["TRANSACTION_EXPIRED"]), "a crash is no failed attempt"


def post_and_kill_the_api(engine: Engine) -> str:
    """The process that takes orders in dies between storing one and enqueueing it, and its client asks no more."""
    known = set(engine.stored_orders())
    held = engine.hold_one("SendMessage")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(engine.post, BODY)
        pid = held.result(PATIENCE_SECONDS).call.pid
        assert pid is not None
        assert engine.kill(pid)
        assert answer.result(PATIENCE_SECONDS).status >= 500
    (order_id,) = set(engine.stored_orders()) - known
    assert engine.messages() == 0, "a row without a job"
    return order_id
