"""Workers that run in turns: every call that one makes to the outside waits for the test to decide how it goes.

Each worker is a thread, but only ever one runs, and only while the test waits for it: what happens depends on the
test's decisions alone, so that any failure can be replayed step by step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

PATIENCE_SECONDS = 60.0

T = TypeVar("T")


class Killed(BaseException):
    """The worker's process ends here: no `except Exception` runs, and nothing is cleaned up outside it."""


class PromiseBroken(BaseException):
    """What a worker must never do. No `except Exception` of the product's swallows it."""


class Verdict(Enum):
    """How a call goes."""

    GO = "it is made and answered"
    DIE_BEFORE = "the worker dies before it is made"
    DIE_AFTER = "it is made, and the worker dies before it learns so"
    REFUSE = "it is not made: an error comes back"
    LOSE_ANSWER = "it is made, but an error comes back"


class Worker:
    """One invocation: `job(worker)` runs from call to call, each time that `step` says how the call goes."""

    def __init__(self, name: str, job: Callable[[Worker], object]) -> None:
        self.name = name
        self.point = "start"
        self.steps = 0
        self.result: object = None
        self.killed = False
        self.crash: BaseException | None = None
        self._job = job
        self._verdict = Verdict.GO
        self._my_turn = threading.Semaphore(0)
        self._their_turn = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def lives(self) -> bool:
        return self._thread.is_alive()

    def step(self, verdict: Verdict = Verdict.GO) -> None:
        """Let the call at `point` go this way, and the worker on to its next one, or to its end."""
        assert self.lives, f"{self.name} has ended"
        self._verdict = verdict
        self.steps += 1
        self._my_turn.release()
        assert self._their_turn.acquire(timeout=PATIENCE_SECONDS), f"{self.name} hangs after {self.point}"
        if self.point == "end":
            self._thread.join(PATIENCE_SECONDS)
            if self.crash is not None:
                raise AssertionError(f"{self.name} let an error escape") from self.crash

    def finish(self, at_most: int = 500) -> None:
        """Let it run to its end undisturbed."""
        for _ in range(at_most):
            if not self.lives:
                return
            self.step()
        raise AssertionError(f"{self.name} doesn't come to an end: it is at {self.point}")

    def call(self, point: str, effect: Callable[[], T], error: Callable[[], Exception]) -> T:
        """To be used by what the worker calls: `effect` is the call's own, `error` what comes of a failure."""
        verdict = self._wait_at(point)
        if verdict is Verdict.DIE_BEFORE:
            raise Killed(point)
        if verdict is Verdict.REFUSE:
            raise error()
        answer = effect()
        if verdict is Verdict.DIE_AFTER:
            raise Killed(point)
        if verdict is Verdict.LOSE_ANSWER:
            raise error()
        return answer

    def _wait_at(self, point: str) -> Verdict:
        self.point = point
        self._their_turn.release()
        self._my_turn.acquire()
        return self._verdict

    def _run(self) -> None:
        self._my_turn.acquire()
        try:
            if self._verdict in (Verdict.DIE_BEFORE, Verdict.DIE_AFTER):
                raise Killed("start")
            self.result = self._job(self)
        except Killed:
            self.killed = True
        except BaseException as error:  # noqa: BLE001 - told to the test, in its own thread
            self.crash = error
        self.point = "end"
        self._their_turn.release()
