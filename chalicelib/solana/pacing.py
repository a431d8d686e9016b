"""How often a node may be asked: the stage's pace, divided among the processes that ask. Pure.

The pace is of the whole stage: in any ten seconds no more than ten times as many calls as it allows in one, which is
how Solana's public nodes count (https://solana.com/docs/references/clusters) and what others come to. The processes
that execute orders have a share each, of which they keep account by themselves: there are at most as many as orders
execute at once. How many processes the API has nobody knows: they have one share together (ApiPace, in aws/).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Protocol

WINDOW_MS = 10_000
SECOND_MS = 1_000
_CLOCK_SET_BACK_MS = 600_000
# Of ten calls, how many the processes that execute orders have together; the rest is the API's.
_WORKERS_IN_TEN = 9
# An attempt makes five calls or six before it has something stored. With fewer calls in a window than this it would
# not get so far while its process is allowed to run, and begin again and again.
LEAST_CALLS_IN_WINDOW = 3


@dataclass(frozen=True, slots=True)
class Shares:
    """How many calls one process that executes orders may make in any ten seconds, and how many all of the API's."""

    worker: int
    api: int


def workers_for(orders_at_once: int) -> int:
    """How many processes execute orders: so many for those of one account, and one that is never that account's."""
    return orders_at_once + 1


def shares_of(calls_per_second: Decimal, orders_at_once: int) -> Shares:
    """The shares of a pace. Raises ValueError where it is too slow for so many orders at once."""
    in_window = int(calls_per_second * WINDOW_MS / SECOND_MS)
    workers = workers_for(orders_at_once)
    worker = in_window * _WORKERS_IN_TEN // 10 // workers
    if worker < LEAST_CALLS_IN_WINDOW:
        most = max(0, in_window * _WORKERS_IN_TEN // 10 // LEAST_CALLS_IN_WINDOW - workers_for(0))
        raise ValueError(
            f"{calls_per_second} requests a second carry at most {most} orders at once, not {orders_at_once}"
        )
    return Shares(worker, in_window - worker * workers)


@dataclass(slots=True)
class Turn:
    """When calls may be made: in `wait_ms` from now. Where that is too long (`taken` is False) no place was taken."""

    wait_ms: int
    taken: bool


class Pace(Protocol):
    """Who may ask a node when. Threads may share it."""

    def take(self, calls: int, now_ms: int, longest_wait_ms: int) -> Turn:
        """A place for so many calls, if it is no further away than `longest_wait_ms`."""

    def answered(self, turn: Turn, now_ms: int) -> None:
        """The calls of a turn have been answered, or given up."""


@dataclass(slots=True)
class _Booked(Turn):
    """The times of a process's own calls: when they are to be made, and once they are answered, when that was."""

    at_ms: int
    calls: int


class OwnPace:
    """One process's share: at most `in_window` calls in any ten seconds, and a tenth of that, rounded up, in any one.

    As the node counts them: a call that is on its way may arrive at any time until its answer is there, so the next
    window begins with the answer. A batch counts as its calls; of one larger than the share nothing else is near.
    """

    def __init__(self, in_window: int) -> None:
        if in_window < 1:
            raise ValueError("a share of no calls")
        self._limits = ((in_window, WINDOW_MS), (-(-in_window * SECOND_MS // WINDOW_MS), SECOND_MS))
        self._booked: list[_Booked] = []
        self._lock = Lock()

    def take(self, calls: int, now_ms: int, longest_wait_ms: int) -> Turn:
        with self._lock:
            # nobody waits for so long: what is further ahead was booked before the clock was set back
            known = range(now_ms - WINDOW_MS + 1, now_ms + _CLOCK_SET_BACK_MS)
            self._booked = [one for one in self._booked if one.at_ms in known]
            at_ms = max([now_ms, *(self._free_at_ms(calls, *limit) for limit in self._limits)])
            wait_ms = at_ms - now_ms
            if wait_ms > longest_wait_ms:
                return Turn(wait_ms, taken=False)
            booked = _Booked(wait_ms, True, at_ms, calls)
            self._booked.append(booked)
            return booked

    def answered(self, turn: Turn, now_ms: int) -> None:
        with self._lock:
            if isinstance(turn, _Booked):
                turn.at_ms = max(turn.at_ms, now_ms + 1)  # a millisecond is cut off, not rounded

    def _free_at_ms(self, calls: int, limit: int, period_ms: int) -> int:
        """The first moment at which the calls fit into the period that ends with it."""
        times = sorted(one.at_ms for one in self._booked for _ in range(one.calls))
        # so many of the newest may stay within the period; the next older one must have left it
        may_stay = max(0, limit - calls)
        return times[-may_stay - 1] + period_ms if len(times) > may_stay else 0
