"""The steps of an order's life, each a call that its worker makes, and how to have something happen at one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Any

from testing.fault_proxy import Call, Held, When
from tests.faults.engine import Engine
from tests.faults.versions import orders_written, plain_order

Json = dict[str, Any]


class Reached(IntEnum):
    """How far the order's attempt has come."""

    CLAIMED = auto()
    ROUTED = auto()
    SIGNED = auto()
    # from here on it can't be cancelled
    STORED = auto()
    SENT = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """A moment in a worker's life: a call of it, before or after that is carried out."""

    name: str
    reached: Reached
    target: str
    when: When
    # of a write of the order: the state that it writes
    state: str | None = None

    def is_it(self, call: Call, when: When) -> bool:
        if self.target not in call.targets or when is not self.when:
            return False
        return self.state is None or {"S": self.state} in [order["state"] for order in orders_written(call)]


_WRITE, _WRITE_WITH_COUNTERS = "PutItem", "TransactWriteItems"
STEPS = [
    Step("after the claim", Reached.CLAIMED, _WRITE, When.AFTER, "routing"),
    Step("while it looks at the kill switch", Reached.CLAIMED, "BatchGetItem", When.BEFORE),
    Step("while it reads the market", Reached.CLAIMED, "getMultipleAccounts", When.BEFORE),
    Step("after `building` is stored", Reached.ROUTED, _WRITE_WITH_COUNTERS, When.AFTER, "building"),
    Step("while it simulates", Reached.ROUTED, "simulateTransaction", When.BEFORE),
    Step("before `submitted` is stored", Reached.SIGNED, _WRITE, When.BEFORE, "submitted"),
    Step("after `submitted` is stored, before the send", Reached.STORED, _WRITE, When.AFTER, "submitted"),
    Step("at the send, which has yet to leave", Reached.STORED, "sendTransaction", When.BEFORE),
    Step("after the send, whose answer is lost", Reached.SENT, "sendTransaction", When.AFTER),
    Step("while it watches", Reached.SENT, "getSignatureStatuses", When.BEFORE),
    Step("after landing, before `confirmed` is stored", Reached.SENT, _WRITE_WITH_COUNTERS, When.BEFORE, "confirmed"),
    Step(
        "after `confirmed` is stored, before the message is deleted",
        Reached.SENT,
        _WRITE_WITH_COUNTERS,
        When.AFTER,
        "confirmed",
    ),
]


@dataclass
class AtItsStep:
    """The rule of both proxies: an order's worker is held, once, at the step that is the order's own.

    Orders are told apart by the clientOrderId that they were posted with. `happens` is called with it, and with the
    held call, in a thread of its own; the worker goes on afterwards, if it lives.
    """

    engine: Engine
    happens: Callable[[str, Held], object]
    step_of: dict[str, Step] = field(default_factory=dict)
    order_ids: dict[str, str] = field(default_factory=dict)  # by the clientOrderId
    # for whom it has happened
    came: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)  # the clientOrderId by the order's id
    _order_of: dict[int, str] = field(default_factory=dict)  # by the worker that has read or written it last
    _happening: dict[str, list[Held]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(24))

    def __call__(self, call: Call, when: When) -> Callable[[Held], object] | None:
        with self._lock:
            self._learn(call)
            name = self._names.get(self._order_of.get(call.pid or 0, ""), "")
            step = self.step_of.get(name)
            if step is None or not step.is_it(call, when):
                return None
            if name in self._happening:  # its caller has lost its patience and asks again
                return self._happening[name].append
            if name in self.came:
                return None
            self.came.add(name)
            self._happening[name] = []
        return lambda held: self._threads.submit(self._happen, name, held)

    def _happen(self, name: str, held: Held) -> None:
        try:
            self.happens(name, held)
        finally:
            with self._lock:
                all_held = [held, *self._happening.pop(name)]
            for one in all_held:
                one.let_go()

    def _learn(self, call: Call) -> None:
        """Each write of an order has its names. A worker begins with reading its order; it may look at one in line
        after that, and writes its own.
        """
        written = [plain_order(order) for order in orders_written(call)]
        at = [order["orderId"] for order in written]
        for order in written:
            if "clientOrderId" in order:
                order_id, name = order["orderId"], order["clientOrderId"]
                self._names[order_id], self.order_ids[name] = name, order_id
        if "GetItem" in call.targets and call.body["Key"].get("item") == {"S": "order"}:
            at.append(call.body["Key"]["orderId"]["S"])
        if at and call.pid is not None and call.pid in self.engine.workers():  # the API has to do with orders too
            self._order_of[call.pid] = at[0]
