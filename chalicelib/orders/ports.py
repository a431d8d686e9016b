"""What orders need of a store and of a queue, whatever these are built on.

Each method raises AwsUnavailable where the answer is lost or late, and AwsRefused where asking again is of no use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chalicelib.orders.order import Order
from chalicelib.risk.limits import LimitsInForce


class StaleOrder(Exception):
    """Someone else wrote the order since it was loaded: load it again and decide again."""


class ClientOrderIdInUse(Exception):
    """Another order, `order_id`, of the account has the new order's client order id."""

    def __init__(self, order_id: str) -> None:
        super().__init__(order_id)
        self.order_id = order_id


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a listing keeps; None keeps all. Mints in base58; placed at `from_ms` or later, and before `to_ms`."""

    status: str | None = None
    mint_in: str | None = None
    mint_out: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    @property
    def selects(self) -> bool:
        """Whether it keeps some orders of its time and leaves others out."""
        return any(one is not None for one in (self.status, self.mint_in, self.mint_out))

    def keeps(self, order: Order) -> bool:
        """Whether the listing keeps it."""
        wanted = (self.status, self.mint_in, self.mint_out)
        since = self.from_ms is None or order.created_at_ms >= self.from_ms
        until = self.to_ms is None or order.created_at_ms < self.to_ms
        return (since and until) and all(
            one in (None, is_so)
            for one, is_so in zip(wanted, (order.status.value, order.mint_in, order.mint_out), strict=True)
        )


@dataclass(frozen=True, slots=True)
class OrderPage:
    orders: tuple[Order, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message as it came out of the dead-letter queue, where it still is."""

    receipt_handle: str
    body: str


class Orders(Protocol):
    """Every order, each with a revision. One conditional write a step, so that no two writers both succeed.

    A write that changes what an order takes up of the limits moves the counters in the same step: they are always the
    sum over the stored orders, and never over their ceilings.
    """

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        """Store a new order. False, and nothing written, where its id is taken.

        Its client order id, if it has one, is claimed for ever in the same write.

        Raises CounterFull where that would be one more than `limits` let through, ClientOrderIdInUse where another
        order of the account has its client order id; nothing is written then.
        """

    def called(self, account: str, client_order_id: str) -> Order | None:
        """The account's order that has this client order id, as it stands; consistent with every write before."""

    def load(self, order_id: str) -> Order | None:
        """The order as it stands, or None. Any text may be asked for."""

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        """Write `order` over the revision it was made from; returns it with its new revision.

        Raises StaleOrder where the stored revision is another one, CounterFull where what it newly claims is more than
        `limits` let through; nothing is written then.
        """

    def overdue(self, before_ms: int, limit: int) -> Iterable[Order]:
        """Orders that have not ended and that a worker should have come to before `before_ms`; about `limit`.

        Young ones besides (see recovery.py): these a worker may still have to come to.
        """

    def look_again_at(self, order: Order, due_at_ms: int, *, is_late: bool) -> bool:
        """Note when the order is overdue next, and whether it is late now, which it counts as until somebody writes it.

        False, and nothing written, where someone wrote it meanwhile.
        """

    def page(self, account: str, keep: OrderFilter, limit: int, cursor: str | None) -> OrderPage:
        """An account's orders, newest first. Raises InvalidRequest on a cursor that is not one of ours.

        A page may be short, or empty, and have a cursor: it ends where enough was read.
        """


class StandingOrders(Protocol):
    """An account's orders by how they stand: read without reading the others, and a moment behind what was written."""

    def cancellable(self, account: str, *, waiting_alone: bool, placed_by_ms: int, at_most: int) -> Sequence[str]:
        """The ids of orders that may be cancelled and were placed by then, newest first; those that wait, or all."""

    def fills(
        self, account: str, from_ms: int | None, to_ms: int | None, mint: str | None, limit: int, cursor: str | None
    ) -> OrderPage:
        """Filled orders, the latest fill first: filled at `from_ms` or later and before `to_ms`; that trade `mint`.

        Raises InvalidRequest on a cursor that is not one of ours. A page may be short, or empty, and have a cursor.
        """


class OrdersQueue(Protocol):
    """Hands orders to workers, and keeps the messages that no worker could do anything with: the dead letters."""

    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        """Hand the order to the workers, after `delay_ms` or so."""

    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        """Let a message that is being handled come back after `delay_ms`."""

    def bury(self, body: str, reason: str, correlation_id: str = "") -> None:
        """Put a message among the dead letters, with why."""

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """About `limit` dead letters, all there are if fewer; out of others' sight until `leave`, or for a while."""

    def leave(self, letter: DeadLetter) -> None:
        """Put a dead letter back where it was, for the next to see."""

    def discard(self, letter: DeadLetter) -> None:
        """Drop a dead letter that was dealt with."""
