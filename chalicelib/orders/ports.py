"""What orders need of a store and of a queue, whatever these are built on."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.orders.order import Order


class StaleOrder(Exception):
    """Someone else wrote the order since it was loaded: load it again and look anew."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a listing keeps; None keeps all. Mints in base58."""

    status: str | None = None
    mint_in: str | None = None
    mint_out: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPage:
    orders: tuple[Order, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message as it came out of the dead-letter queue, where it still is."""

    receipt_handle: str
    body: str
