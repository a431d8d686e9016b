"""Cancelling many orders of an account with one request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.orders.order import Order
from chalicelib.orders.ports import StandingOrders
from chalicelib.orders.states import Status
from chalicelib.problems import Conflict

MOST_AT_ONCE = 200
# A gateway waits for 29 s: what takes longer is left for the next request.
_TIME_MS = 20_000


@dataclass(frozen=True, slots=True)
class MassCancelled:
    """How many orders were cancelled, the ids of those that were signed or ended first, whether others may be left."""

    cancelled: int
    too_late: tuple[str, ...]
    more: bool


class MassCancel:
    """Cancels an account's orders one by one, each as `cancel` does: exactly once, against any racing worker."""

    def __init__(
        self,
        standing: StandingOrders,
        cancel: Callable[[str, str], Order],
        find: Callable[[str, str], Order],
        now_ms: Callable[[], int],
    ) -> None:
        """`cancel` and `find` are Intake's, of an account and an order id."""
        self._standing = standing
        self._cancel = cancel
        self._find = find
        self._now_ms = now_ms

    def __call__(self, account: str, *, waiting_alone: bool) -> MassCancelled:
        """Cancel what waits for its condition, or all that may be cancelled: newest first, placed before this call."""
        began_ms = self._now_ms()
        found = self._standing.cancellable(
            account, waiting_alone=waiting_alone, placed_by_ms=began_ms, at_most=MOST_AT_ONCE + 1
        )
        cancelled = 0
        too_late: list[str] = []
        for number, order_id in enumerate(found[:MOST_AT_ONCE]):
            if number and self._now_ms() - began_ms > _TIME_MS:
                return MassCancelled(cancelled, tuple(too_late), more=True)
            try:
                self._cancel(account, order_id)
                cancelled += 1
            except Conflict:
                # cancelled by another request meanwhile: that is what was wanted, and not this one's doing
                if self._find(account, order_id).status is not Status.CANCELLED:
                    too_late.append(order_id)
        return MassCancelled(cancelled, tuple(too_late), more=len(found) > MOST_AT_ONCE)
