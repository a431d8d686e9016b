"""When an order may start: at most so many in any 60 s over all workers, a few of them at once. Pure."""

from __future__ import annotations

from typing import Protocol

from chalicelib.rate import Rate

WINDOW_MS = 60_000
# A start this much later than its slot still counts as on time; the rate allows for it.
GRACE_MS = 2_000
# More than this much work ahead, and a new order is refused rather than made to wait (SQS delays at most 15 min too).
LONGEST_WAIT_MS = 15 * 60 * 1000


class StartRate(Protocol):
    """Keeps the rate at which orders start."""

    def reserve(self, now_ms: int, longest_wait_ms: int | None = None) -> int:
        """The time from which one order may start: now, or later. The slot is that order's alone.

        Raises Backlogged, and takes no slot, where that would be more than `longest_wait_ms` away.
        """

    def next_start(self, now_ms: int, longest_wait_ms: int) -> int:
        """The time that `reserve` would answer now, and nothing taken. Raises Backlogged as it does."""


def starts_a_minute(limit: int, burst: int) -> Rate:
    """At most `limit` starts in any 60 s, of which `burst` may come at once, in ms.

    The starts of a window belong to slots of the window and of the grace before it, so the slots keep to the limit over
    both. Raises ValueError where burst is not from 1 to the limit.
    """
    return Rate(limit, burst, WINDOW_MS + GRACE_MS)


def is_on_time(slot_ms: int, now_ms: int) -> bool:
    """Whether a start now belongs to the slot; an order that comes later than that needs a new one."""
    return slot_ms <= now_ms <= slot_ms + GRACE_MS
