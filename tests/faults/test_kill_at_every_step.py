"""kill -9 at each step of an order's life, on the emulator: the next process takes over, with one swap.

The fault proxies hold the very call that marks the step; then the process that made it dies, and is never answered.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testing.fault_proxy import Held
from tests.faults.audit import Audit
from tests.faults.dice import FULL, SEED, dice
from tests.faults.due_orders import Kind, due, let_fall_until_triggered
from tests.faults.engine import PATIENCE_SECONDS, Engine
from tests.faults.steps import STEPS, AtItsStep, Step

Json = dict[str, Any]
# How often steps that killed nobody are given to new orders, at most: where the emulator ends the others of a function
# with one that died while it started, some of those have their step behind them by then. Now and then a worker is not
# known in time, too: it is told by its connection, which a busy machine may see too late.
ROUNDS = 12
TRADE = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.05", "slippage": "0.1"}
BODY = {**TRADE, "type": "market"}


def all_trials() -> list[tuple[Step, Kind]]:
    """In full each step with an order of each type, in short each step once, and each type twice."""
    kinds = dice("kinds that are killed").sample(list(Kind), len(Kind))
    if FULL:
        return [(step, kind) for step in STEPS for kind in kinds]
    return list(zip(STEPS, kinds * 2, strict=True))


def test_an_order_whose_process_is_killed_at_any_step_is_confirmed_with_one_swap(engine: Engine) -> None:
    trials = all_trials()
    audit = Audit(engine)
    accepted = {post_and_kill_the_api(engine)}

    def kill(name: str, held: Held) -> None:
        assert held.call.pid is not None
        engine.kill(held.call.pid)

    rule = AtItsStep(engine, kill)
    engine.solana.rule = engine.aws.rule = rule
    orders: dict[str, Json] = {}
    tried: dict[str, tuple[Step, Kind]] = {}
    trailing: set[str] = set()
    left = trials
    for round_ in range(ROUNDS):
        named = {f"killed-{SEED}-{round_}-{number}": trial for number, trial in enumerate(left)}
        tried.update(named)
        rule.step_of.update({name: step for name, (step, _) in named.items()})
        bodies = {name: due(engine, kind, TRADE) | {"clientOrderId": name} for name, (_, kind) in named.items()}
        placed = {name: engine.post_until_accepted(body, name) for name, body in bodies.items()}
        accepted |= set(placed.values())
        trailing |= {placed[name] for name, (_, kind) in named.items() if kind is Kind.TRAILING}
        engine.wait_until_ended(accepted - trailing, sweeping=True)  # a price that moves is none of their business
        undo = let_fall_until_triggered(engine, dict.fromkeys(trailing, "SOL"))
        # one that was set off early in the fall may have its floor above the end of it
        engine.market.undo(undo[::-1])
        orders = engine.wait_until_ended(accepted, sweeping=True)
        left = [trial for name, trial in named.items() if name not in rule.came]
        print(f"round {round_ + 1}: {len(left)} of {len(named)} steps killed nobody")
        if not left:
            break
    engine.wait_until_drained()
    findings = audit.close(accepted)
    print(findings.line())
    findings.assert_clean()
    assert Counter(tried[name] for name in rule.came) == Counter(trials), "each step came, and killed its worker"
    assert {order["state"] for order in orders.values()} == {"confirmed"}
    for order in orders.values():
        failures = {error for change in order["history"] if (error := change["detail"].get("error_code"))}
        # what is signed may run out before the next worker, or a busy machine, comes to send it; and prices move
        assert failures <= {"TRANSACTION_EXPIRED", "SLIPPAGE_EXCEEDED"}, "a crash is no failed attempt"


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
