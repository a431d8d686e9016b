"""The steps of a watcher's look, each a call that it makes, and how to have something happen at one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from testing.fault_proxy import Call, Held, When
from tests.faults.engine import Engine

Json = dict[str, Any]


class Comes(Enum):
    """In which looks a step comes."""

    ALWAYS = auto()
    # where a trailing stop has seen a better price
    FOLLOWING = auto()
    # where an order's price is reached
    HANDING_OVER = auto()
    # where no order of the pair waits any more
    ENDING = auto()


@dataclass(frozen=True, slots=True)
class LookStep:
    """A moment of a look: a call of the watcher, before or after that is carried out. `is_it` knows it by its body."""

    name: str
    comes: Comes
    target: str
    when: When
    is_it: Callable[[Json], bool] = lambda body: True


def _moves(word: str) -> Callable[[Json], bool]:
    return lambda body: word in body.get("UpdateExpression", "")


def _writes(state: str) -> Callable[[Json], bool]:
    def is_it(body: Json) -> bool:
        puts = [one["Put"]["Item"] for one in body["TransactItems"] if "Put" in one]
        return {"S": state} in [item.get("state") for item in puts]

    return is_it


def _sends(*, ahead: bool) -> Callable[[Json], bool]:
    return lambda body: bool(body["Entries"][0].get("DelaySeconds")) is ahead


LOOK_STEPS = [
    LookStep("before it takes the pair", Comes.ALWAYS, "UpdateItem", When.BEFORE, _moves("leaseUntilMs = ")),
    LookStep("after it took the pair", Comes.ALWAYS, "UpdateItem", When.AFTER, _moves("leaseUntilMs = ")),
    LookStep("while it reads what waits", Comes.ALWAYS, "Query", When.BEFORE),
    LookStep("while it reads the market", Comes.ALWAYS, "getMultipleAccounts", When.BEFORE),
    LookStep("before a best price is stored", Comes.FOLLOWING, "TransactWriteItems", When.BEFORE, _writes("open")),
    LookStep("after a best price is stored", Comes.FOLLOWING, "TransactWriteItems", When.AFTER, _writes("open")),
    LookStep("while it reads what is due", Comes.HANDING_OVER, "BatchGetItem", When.BEFORE),
    LookStep(
        "after the message ahead, before the order's write",
        Comes.HANDING_OVER,
        "SendMessageBatch",
        When.AFTER,
        _sends(ahead=True),
    ),
    LookStep(
        "before the order is handed over", Comes.HANDING_OVER, "TransactWriteItems", When.BEFORE, _writes("pending")
    ),
    LookStep(
        "after the order is handed over", Comes.HANDING_OVER, "TransactWriteItems", When.AFTER, _writes("pending")
    ),
    LookStep("after the workers are told", Comes.HANDING_OVER, "SendMessageBatch", When.AFTER, _sends(ahead=False)),
    LookStep("before it passes the pair on", Comes.ALWAYS, "UpdateItem", When.BEFORE, _moves("ticket = ")),
    LookStep(
        "after it passed the pair on, before the message", Comes.ALWAYS, "UpdateItem", When.AFTER, _moves("ticket = ")
    ),
    LookStep("after the message is sent on", Comes.ALWAYS, "SendMessage", When.AFTER),
    LookStep("before the circulation ends", Comes.ENDING, "DeleteItem", When.BEFORE),
    LookStep("after the circulation has ended", Comes.ENDING, "DeleteItem", When.AFTER),
]


@dataclass
class AtItsLook:
    """The rule of both proxies: a pair's watcher is held, once, at the step that is the pair's own.

    A watcher is told by the pair that it took last. `happens` is called with the pair, and with the held call, in a
    thread of its own; the watcher goes on afterwards, if it lives.
    """

    engine: Engine
    happens: Callable[[str, Held], object]
    step_of: dict[str, LookStep] = field(default_factory=dict)  # by the pair
    # for which pairs it has happened
    came: set[str] = field(default_factory=set)
    _pair_of: dict[int, str] = field(default_factory=dict)  # by the watcher
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def begin(self, step_of: dict[str, LookStep]) -> None:
        """Forget the pairs before these."""
        with self._lock:
            self.step_of, self.came = step_of, set()

    def __call__(self, call: Call, when: When) -> Callable[[Held], object] | None:
        if call.pid is None:
            return None
        with self._lock:
            self._learn(call, call.pid)
            pair = self._pair_of.get(call.pid, "")
            step = self.step_of.get(pair)
            if step is None or pair in self.came or when is not step.when or step.target not in call.targets:
                return None
            if not step.is_it(call.body) or call.pid not in self.engine.workers(self.engine.watcher_function):
                return None
            self.came.add(pair)
        return lambda held: self._threads.submit(self._happen, pair, held)

    def _happen(self, pair: str, held: Held) -> None:
        try:
            self.happens(pair, held)
        finally:
            held.let_go()

    def _learn(self, call: Call, pid: int) -> None:
        """A look begins with taking its pair."""
        if "UpdateItem" in call.targets and "pair" in call.body["Key"]:
            self._pair_of[pid] = call.body["Key"]["pair"]["S"]
