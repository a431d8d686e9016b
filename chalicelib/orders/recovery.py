"""What fell between: orders that no message carries any more, and messages that went to the dead-letter queue.

Nothing here executes an order. It hands orders back to the workers, where a stored transaction is settled before
anything is built; a message too many is harmless, for an order is claimed by one write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.message import MalformedMessage, order_id_of
from chalicelib.orders.order import Order, State
from chalicelib.orders.ports import DeadLetter, Orders, OrdersQueue

# An order this late has lost its message, or waits behind a long queue, where one more message changes nothing.
OVERDUE_MS = 20_000
# How long the sweeper leaves an order alone that it has handed back.
SWEPT_FOR_MS = 120_000
# How long before its deadline an order is looked at: so it has a message that comes at the deadline, whatever became
# of its others. More than the minute from one sweep to the next.
BEFORE_DEADLINE_MS = 80_000
MAX_SWEPT = 500
MAX_DEAD_LETTERS = 200
_NEVER_MS = 2**63


def due_at_ms(order: Order) -> int:
    """When the sweeper must look at an order that has not ended: at its next step, or some time before its deadline."""
    next_step_ms = _next_step_at_ms(order)
    return next_step_ms if order.expires_at_ms is None else min(next_step_ms, order.expires_at_ms - BEFORE_DEADLINE_MS)


def _next_step_at_ms(order: Order) -> int:
    """When a worker should have come to the order."""
    lease_until_ms = order.lease.until_ms if order.lease else 0
    return max(order.start_at_ms, order.retry_at_ms, lease_until_ms, order.updated_at_ms)


def _until_deadline_ms(order: Order, now_ms: int) -> int:
    """Without a deadline: longer than anything."""
    return _NEVER_MS if order.expires_at_ms is None else max(order.expires_at_ms - now_ms, 0)


@dataclass(slots=True)
class Swept:
    """What one sweep did, by order id."""

    handed_back: list[str] = field(default_factory=list)
    buried_finished: list[str] = field(default_factory=list)
    buried_failed: list[str] = field(default_factory=list)


class Recovery:
    def __init__(self, store: Orders, queue: OrdersQueue, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._queue = queue
        self._now_ms = now_ms

    def sweep(self) -> Swept:
        """Hand back every order that a worker should have come to by now, and have one come to each at its deadline;
        then look through the dead letters.

        Covers: stored but never enqueued, a dead worker's lease, a retry or a slot whose message is lost, a transaction
        whose fate nobody asks for.
        """
        swept = Swept()
        now_ms = self._now_ms()
        for order in self._store.overdue(now_ms, MAX_SWEPT):
            is_late = _next_step_at_ms(order) < now_ms - OVERDUE_MS
            left_ms = _until_deadline_ms(order, now_ms)
            if (is_late or left_ms <= BEFORE_DEADLINE_MS) and self._store.look_again_at(order, now_ms + SWEPT_FOR_MS):
                self._hand_back(order, swept, 0 if is_late else left_ms)
        for letter in self._queue.dead_letters(MAX_DEAD_LETTERS):
            self._reconcile(letter, swept)
        note(Metric.DEAD_LETTERS_WAITING, len(swept.buried_failed))
        logger.info("swept", handed_back=len(swept.handed_back), dead_letters_of_failed_orders=len(swept.buried_failed))
        return swept

    def _reconcile(self, letter: DeadLetter, swept: Swept) -> None:
        """An order that goes on leaves the dead letters; one that failed for good stays, for `redrive` or a person."""
        order = self._order_of(letter)
        if order is None or order.state is State.FAILED:
            self._queue.leave(letter)
            if order is not None:
                swept.buried_failed.append(order.order_id)
            return
        if not order.is_terminal:
            self._hand_back(order, swept)
        else:
            swept.buried_finished.append(order.order_id)
        self._queue.discard(letter)

    def _hand_back(self, order: Order, swept: Swept, delay_ms: int = 0) -> None:
        self._queue.enqueue(order.order_id, delay_ms, order.correlation_id)
        swept.handed_back.append(order.order_id)
        logger.info("order handed back", order_id=order.order_id, correlation_id=order.correlation_id)

    def _order_of(self, letter: DeadLetter) -> Order | None:
        try:
            return self._store.load(order_id_of(letter.body))
        except MalformedMessage:
            return None
