"""kill -9 at each step of an order's life, on the emulator: the next process takes over, with one swap.

The fault proxies hold the very call that marks the step; then the process that made it dies, and is never answered.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from testing.fault_proxy import Call, Held, When
from tests.faults.audit import Audit
from tests.faults.dice import scaled
from tests.faults.engine import PATIENCE_SECONDS, Engine


@dataclass(frozen=True, slots=True)
class Step:
    """A moment in a worker's life: a call of it, before or after that is carried out."""

    name: str
    target: str
    when: When
    # of a write of the order: the state that it writes
    state: str | None = None
    # whether a transaction is stored then that may run out before the next worker comes to send it
    may_expire: bool = False

    def is_it(self, call: Call, when: When) -> bool:
        if self.target not in call.targets or when is not self.when:
            return False
        return self.state is None or state_written(call) == self.state


def state_written(call: Call) -> str | None:
    """The state that a write of an order leaves it in, alone or in one transaction with the counters."""
    actions = call.body.get("TransactItems", [{"Put": call.body}])
    return next((action["Put"]["Item"]["state"]["S"] for action in actions if "Put" in action), None)


Json = dict[str, Any]
# How often steps that killed nobody are given to new orders, at most: where the emulator ends the others of a function
# with one that died while it started, some of those have their step behind them by then.
ROUNDS = 12
BODY = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.05", "slippage": "0.1"}
STEPS = [
    Step("after the claim", "PutItem", When.AFTER, "routing"),
    Step("while it looks at the kill switch", "BatchGetItem", When.BEFORE),
    Step("while it reads the market", "getMultipleAccounts", When.BEFORE),
    Step("after `building` is stored", "TransactWriteItems", When.AFTER, "building"),
    Step("while it simulates", "simulateTransaction", When.BEFORE),
    Step("before `submitted` is stored", "PutItem", When.BEFORE, "submitted"),
    Step("after `submitted` is stored, before the send", "PutItem", When.AFTER, "submitted", may_expire=True),
    Step("at the send, which never leaves", "sendTransaction", When.BEFORE, may_expire=True),
    Step("after the send, whose answer is lost", "sendTransaction", When.AFTER),
    Step("while it watches", "getSignatureStatuses", When.BEFORE),
    Step("after landing, before `confirmed` is stored", "TransactWriteItems", When.BEFORE, "confirmed"),
    Step("after `confirmed` is stored, before the message is deleted", "TransactWriteItems", When.AFTER, "confirmed"),
]


@dataclass
class Executioner:
    """Gives each order that it comes to know a step, and kills the worker that comes to it there, once."""

    engine: Engine
    left: list[Step]
    spared: set[str]
    of_order: dict[str, Step] = field(default_factory=dict)
    order_of: dict[int, str] = field(default_factory=dict)  # by the worker that reads it last
    killed: dict[str, Step] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: Call, when: When) -> Callable[[Held], None] | None:
        if call.pid is None:
            return None
        with self.lock:
            self._learn(call)
            order_id = self.order_of.get(call.pid)
            step = self.of_order.get(order_id or "")
            if order_id is None or step is None or order_id in self.killed or not step.is_it(call, when):
                return None
            self.killed[order_id] = step
        return self._kill

    def take_back_the_missed(self) -> list[Step]:
        """The steps that killed nobody, to be given to other orders.

        Now and then a worker is not known in time: it is told by its connection, which a busy machine may see too late.
        """
        with self.lock:
            self.left += [step for order_id, step in self.of_order.items() if order_id not in self.killed]
            self.of_order = dict(self.killed)
            return self.left

    def _learn(self, call: Call) -> None:
        """A worker begins with reading its order."""
        if "GetItem" not in call.targets or call.body["Key"].get("item") != {"S": "order"}:
            return
        if call.pid not in self.engine.workers():
            return  # the API reads orders too
        order_id = call.body["Key"]["orderId"]["S"]
        self.order_of[call.pid] = order_id
        if order_id not in self.of_order and order_id not in self.spared and self.left:
            self.of_order[order_id] = self.left.pop()

    def _kill(self, held: Held) -> None:
        assert held.call.pid is not None
        self.engine.kill(held.call.pid)


def test_an_order_whose_process_is_killed_at_any_step_is_confirmed_with_one_swap(engine: Engine) -> None:
    steps = STEPS * scaled(short=1, full=4)
    audit = Audit(engine)
    orphan = post_and_kill_the_api(engine)
    executioner = Executioner(engine, list(reversed(steps)), {orphan})
    engine.solana.rule = engine.aws.rule = executioner
    accepted, orders = {orphan}, {}
    for round_ in range(ROUNDS):
        posted = {
            engine.post_until_accepted(BODY, f"step-{round_}-{number}") for number in range(len(executioner.left))
        }
        accepted |= posted
        orders = engine.wait_until_ended(accepted, sweeping=True)
        missed = executioner.take_back_the_missed()
        print(f"round {round_ + 1}: {len(missed)} of {len(posted)} steps killed nobody")
        if not missed:
            break
    engine.wait_until_drained()
    findings = audit.close(accepted)
    print(findings.line())
    findings.assert_clean()
    assert executioner.left == [], "each step came, and each killed its worker"
    assert Counter(executioner.killed.values()) == Counter(steps)
    assert {order["state"] for order in orders.values()} == {"confirmed"}
    for order_id, step in executioner.killed.items():
        failures = [error for change in orders[order_id]["history"] if (error := change["detail"].get("error_code"))]
        assert failures in ([[], ["TRANSACTION_EXPIRED"]] if step.may_expire else [[]]), "a crash is no failed attempt"


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
