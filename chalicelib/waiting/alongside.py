"""Handing over while a look goes on: judging doesn't wait for the writes of what it has found already."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Lock

from chalicelib.waiting.hand_over import TOGETHER, HandOver
from chalicelib.waiting.look import Reached


class HandOversAlongside:
    """One look's hand-overs in one thread of `executor`: two writes of a pair at once would only meet each other.

    What has come while some were handed over goes together next, stops before limits. Once `has_time` says no, nothing
    more is begun.
    """

    def __init__(self, hand_over: HandOver, executor: Executor, has_time: Callable[[], bool]) -> None:
        self._hand_over = hand_over
        self._executor = executor
        self._has_time = has_time
        self._lock = Lock()
        self._stops: deque[tuple[Reached, int]] = deque()
        self._limits: deque[tuple[Reached, int]] = deque()
        self._works = False
        self._last: Future[None] | None = None

    def add(self, reached: Reached, slot: int) -> None:
        """Have an order handed over whose price was reached at `slot`, as soon as those before it are."""
        with self._lock:
            (self._stops if reached.is_stop else self._limits).append((reached, slot))
            if not self._works:
                self._works = True
                self._last = self._executor.submit(self._work)

    def finish(self) -> frozenset[str]:
        """Wait for the end; the ids of those that there was no time for. Raises what a hand-over raised."""
        if self._last is not None:
            self._last.result()
        return frozenset(reached.order_id for reached, _ in (*self._stops, *self._limits))

    def _work(self) -> None:
        """Where it raises nothing more is begun: it counts as at work from then on."""
        while some := self._next():
            self._hand_over.hand_over([reached for reached, _ in some], some[0][1])

    def _next(self) -> list[tuple[Reached, int]]:
        """Of one slot."""
        with self._lock:
            waiting = self._stops or self._limits
            some: list[tuple[Reached, int]] = []
            while waiting and len(some) < TOGETHER and self._has_time() and (not some or waiting[0][1] == some[0][1]):
                some.append(waiting.popleft())
            self._works = bool(some)
            return some
