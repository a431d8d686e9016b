"""What a client may still change of an order, and what it is then. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.orders.life import prices_in_force, take_step
from chalicelib.orders.order import Order
from chalicelib.orders.states import Event, IllegalTransition, State
from chalicelib.orders.triggers import floor_while_open, with_trailing_price

# So many changes are steps of the history; later ones change the order alone, lest its item grow without end.
MAX_TOLD_CHANGES = 50


@dataclass(frozen=True, slots=True)
class OrderChanges:
    """What is to be changed, None where nothing is. Prices as exact text, `min_out` in base units of `token_out`.

    `removes_min_out`: the order is to have none of its own any more.
    """

    limit_price: str | None = None
    stop_price: str | None = None
    trailing_ppm: int | None = None
    slippage_ppm: int | None = None
    expires_at_ms: int | None = None
    min_out: int | None = None
    removes_min_out: bool = False


def may_change(order: Order) -> bool:
    """Whether its client may still change it: it has neither started, nor been triggered, nor ended."""
    if order.state is State.OPEN:
        return order.trigger is None
    return order.state is State.PENDING and order.first_quoted_out is None and not order.waits_for_price


def changed(order: Order, changes: OrderChanges, now_ms: int, seen_out: int | None = None) -> Order:
    """The order as its client wants it from now on. Raises IllegalTransition where it may not be changed any more.

    `seen_out`: what its amount would be paid now, base units of `token_out`, from which a trailing stop follows on.
    """
    if not may_change(order):
        raise IllegalTransition(order.state, Event.CHANGED)
    best_out = max((out for out in (order.best_out, seen_out) if out is not None), default=None)
    stop_price, trailing_ppm = order.stop_price, order.trailing_ppm
    if changes.stop_price is not None:
        stop_price, trailing_ppm = changes.stop_price, None
    if changes.trailing_ppm is not None:
        trailing_ppm = changes.trailing_ppm
    own = order.own_min_out if order.waits_for_price else order.min_out
    if changes.min_out is not None or changes.removes_min_out:
        own = changes.min_out
    after = replace(
        order,
        limit_price=order.limit_price if changes.limit_price is None else changes.limit_price,
        stop_price=stop_price,
        trailing_ppm=trailing_ppm,
        best_out=best_out if order.waits_for_price else None,
        slippage_ppm=order.slippage_ppm if changes.slippage_ppm is None else changes.slippage_ppm,
        expires_at_ms=order.expires_at_ms if changes.expires_at_ms is None else changes.expires_at_ms,
        expires_by_default=order.expires_by_default and changes.expires_at_ms is None,
        own_min_out=own if order.waits_for_price else None,
        changes=order.changes + 1,
        wait_until_ms=0,
        pauses=0,
    )
    floor = floor_while_open(after) if order.waits_for_price else own
    after = with_trailing_price(replace(after, min_out=floor))
    if after.changes > MAX_TOLD_CHANGES:
        return replace(after, moved_at_ms=max(now_ms, order.updated_at_ms))
    return take_step(after, Event.CHANGED, now_ms, prices_in_force(after))
