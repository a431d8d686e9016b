"""Orders that nobody comes to: what tells that the workers don't, whatever the queue says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from chalicelib.orders.order import Order
from chalicelib.orders.recovery import next_step_at_ms
from chalicelib.orders.states import State

# A worker that is this late isn't merely busy.
LATE_MS = 30_000
# One tells that orders are late; the others make it likelier that the latest is among them.
LOOKED_AT = 20


class LateSource(Protocol):
    def late(self, before_ms: int, limit: int) -> Iterable[Order]:
        """Orders that have not ended and should have been come to before `before_ms`, about `limit` of them; those
        among them that were handed back for being late, and that nobody has written since.
        """


class StartsInLine(Protocol):
    def due_at_ms(self, order: Order) -> int | None:
        """When the line that the order waits in should have gone on; None where the order is in no line."""


class LateOrders:
    def __init__(self, store: LateSource, line: StartsInLine, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._line = line
        self._now_ms = now_ms

    def longest_ms(self) -> int:
        """For how long the latest of some late orders has waited for a worker, in ms; 0 where none is late.

        An order in line for its start is late only where the line doesn't go on. Raises AwsError.
        """
        now_ms = self._now_ms()
        found = self._store.late(now_ms - LATE_MS, LOOKED_AT)
        late = [late_ms for order in found if (late_ms := now_ms - self._due_at_ms(order, now_ms)) > LATE_MS]
        return max(late, default=0)

    def _due_at_ms(self, order: Order, now_ms: int) -> int:
        due_ms = next_step_at_ms(order)
        if order.state is not State.PENDING or now_ms - due_ms <= LATE_MS:
            return due_ms
        return max(due_ms, self._line.due_at_ms(order) or 0)
