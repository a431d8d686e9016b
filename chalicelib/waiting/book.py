"""A pair's waiting orders as a process knows them: read again when one of them was written, and once in a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.waiting.circulation import Circulation
from chalicelib.waiting.ports import WaitingOrders
from chalicelib.waiting.waiting_order import WaitingOrder

# An index has what was written so long ago; what it had sooner is read again.
SETTLED_MS = 5_000
# However late an index is, what it lacked is known after this.
READ_AGAIN_MS = 30_000


@dataclass(frozen=True, slots=True)
class _KnownOrders:
    changes: int
    at_ms: int
    orders: tuple[WaitingOrder, ...]


class Book:
    def __init__(self, orders: WaitingOrders, now_ms: Callable[[], int]) -> None:
        self._orders = orders
        self._now_ms = now_ms
        self._read: dict[str, _KnownOrders] = {}

    def of(self, circulation: Circulation) -> tuple[WaitingOrder, ...]:
        """The pair's waiting orders. Raises AwsError."""
        now_ms = self._now_ms()
        known = self._read.get(circulation.pair)
        if known is None or not _holds(known, circulation, now_ms):
            known = _KnownOrders(circulation.changes, now_ms, tuple(self._orders.of_pair(circulation.pair)))
            self._read[circulation.pair] = known
        return known.orders


def _holds(known: _KnownOrders, circulation: Circulation, now_ms: int) -> bool:
    is_settled = known.at_ms - circulation.changed_at_ms >= SETTLED_MS
    return known.changes == circulation.changes and is_settled and 0 <= now_ms - known.at_ms < READ_AGAIN_MS
