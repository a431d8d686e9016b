"""What fell between: orders that no message carries any more, and messages that went to the dead-letter queue.

Nothing here executes an order. It hands orders back to the workers, where a stored transaction is settled before
anything is built; a message too many is harmless, for an order is claimed by one write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.life import queue
from chalicelib.orders.message import MalformedMessage, order_id_of
from chalicelib.orders.order import Order
from chalicelib.orders.ports import DeadLetter, Orders, OrdersQueue, StaleOrder
from chalicelib.orders.states import State

# An order this late has lost its message, or waits behind a long queue, where one more message changes nothing.
OVERDUE_MS = 20_000
# One whose transaction is stored waits for nothing and nobody: its lease was no longer than a third of a blockhash's
# life, and the transaction can't be sent for much longer.
OVERDUE_ONCE_SIGNED_MS = 2_000
# How long the sweeper leaves an order alone that it has handed back; with a transaction stored, until it comes again.
SWEPT_FOR_MS = 120_000
SWEPT_ONCE_SIGNED_FOR_MS = 50_000
# How long before its deadline an order is looked at: so it has a message that comes at the deadline, whatever became
# of its others. More than the minute from one sweep to the next.
BEFORE_DEADLINE_MS = 80_000
MAX_SWEPT = 500
MAX_DEAD_LETTERS = 200
_NEVER_MS = 2**63


def due_at_ms(order: Order) -> int:
    """When the sweeper must look at an order that has not ended: at its next step, or some time before its deadline."""
    next_step_ms = next_step_at_ms(order)
    if order.state is State.OPEN and order.expires_at_ms is not None:
        return order.expires_at_ms - BEFORE_DEADLINE_MS  # until then it waits for its price, and for no worker
    return next_step_ms if order.expires_at_ms is None else min(next_step_ms, order.expires_at_ms - BEFORE_DEADLINE_MS)


def next_step_at_ms(order: Order) -> int:
    """When a worker should have come to an order that has not ended."""
    if order.state is State.OPEN:
        return _NEVER_MS
    lease_until_ms = order.lease.until_ms if order.lease else 0
    return max(order.start_at_ms, order.retry_at_ms, lease_until_ms, order.updated_at_ms)


def _until_deadline_ms(order: Order, now_ms: int) -> int:
    """Without a deadline: longer than anything."""
    return _NEVER_MS if order.expires_at_ms is None else max(order.expires_at_ms - now_ms, 0)


class MovedStarts(Protocol):
    def moved(self) -> Iterable[tuple[str, int]]:
        """Orders in line that start at quite another time than their clients were told, and when that is now."""


@dataclass(slots=True)
class Swept:
    """What one sweep did, by order id."""

    handed_back: list[str] = field(default_factory=list)
    buried_finished: list[str] = field(default_factory=list)
    buried_failed: list[str] = field(default_factory=list)


class Recovery:
    def __init__(self, store: Orders, queue: OrdersQueue, starts: MovedStarts, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._queue = queue
        self._starts = starts
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
            signed = order.state is State.SUBMITTED
            is_late = next_step_at_ms(order) < now_ms - (OVERDUE_ONCE_SIGNED_MS if signed else OVERDUE_MS)
            left_ms = _until_deadline_ms(order, now_ms)
            if not is_late and left_ms > BEFORE_DEADLINE_MS:
                continue
            again_at_ms = now_ms + (SWEPT_ONCE_SIGNED_FOR_MS if signed else SWEPT_FOR_MS)
            if self._store.look_again_at(order, again_at_ms, is_late=is_late):
                self._hand_back(order, swept, 0 if is_late else left_ms)
        for letter in self._queue.dead_letters(MAX_DEAD_LETTERS):
            self._reconcile(letter, swept)
        self._tell_moved_starts()
        note(Metric.DEAD_LETTERS_WAITING, len(swept.buried_failed))
        logger.info("swept", handed_back=len(swept.handed_back), dead_letters_of_failed_orders=len(swept.buried_failed))
        return swept

    def _tell_moved_starts(self) -> None:
        for order_id, start_at_ms in self._starts.moved():
            order = self._store.load(order_id)
            if order is not None and order.state is State.PENDING:
                with suppress(StaleOrder):  # it starts, or is cancelled, at this moment
                    self._store.replace(queue(order, start_at_ms, self._now_ms()))

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
