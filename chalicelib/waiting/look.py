"""One look at a pair: which of its waiting orders have reached their price, and what trailing stops have seen. Pure.

An order is judged by what its own whole amount would be paid, to the unit. Most are judged without finding their route:
what is passed over is passed over only where a bound says for certain that its price is not reached (see
routing/many_amounts.py). What is found reached, and what a trailing stop follows, is always the route's own payment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from chalicelib.amounts import PPM
from chalicelib.orders.triggers import is_paused
from chalicelib.waiting.waiting_order import WaitingOrder

# A trailing stop's best price is stored when it has moved by a thousandth; ...
STORED_AT_PPM = 1_000
# ... by however little where what is paid is within a hundredth of where the stop is; ...
NEAR_PPM = 10_000
# ... and so long after it first moved at the latest.
STORED_AFTER_MS = 60_000
# In a market that rises each trailing stop needs its own route: of more of a pair than this a look follows a part, and
# the next looks the others in turn. Those that are near their stop are followed by each.
FOLLOWED_AT_ONCE = 60


class Payments(Protocol):
    """What amounts of one token are paid, by the best route, at one moment; base units. See ManyAmounts."""

    def paid(self, amount: int) -> int | None:
        """By the best route; None where there is none."""

    def at_least(self, amount: int) -> int:
        """What the route pays at least, if there is one."""

    def may_pay(self, amount: int, least: int) -> bool:
        """Whether the route may pay `least` or more; False is certain."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The best amount out that a trailing stop has seen and that isn't stored, and since when it has moved."""

    best_out: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Reached:
    """An order whose price is reached: it would be paid `amount_out`, and its trailing stop has seen `best_out`."""

    order_id: str
    amount_out: int
    best_out: int | None
    is_stop: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look found: the orders that have reached a price, and what trailing stops have seen and isn't stored.

    `to_store` are those of `seen` that are to be stored now. `left` are the orders that the look had no time for.
    """

    reached: tuple[Reached, ...]
    seen: Mapping[str, Seen]
    to_store: tuple[str, ...]
    left: tuple[WaitingOrder, ...] = ()


def _nowhere(reached: Reached) -> None:
    """Nobody is told before the look is over."""


def judge_all(
    orders: Iterable[WaitingOrder],
    payments: Mapping[str, Payments],
    seen: Mapping[str, Seen],
    now_ms: int,
    has_time: Callable[[], bool] = lambda: True,
    turn: int = 0,
    found: Callable[[Reached], None] = _nowhere,
) -> Findings:
    """Judge `orders` by the `payments` for the tokens that they sell. `seen` is what looks before this one saw.

    Orders of a token that nothing is paid for are not reached. Those that are paused follow the market, and no more.
    `turn` counts looks: which trailing stops are followed where there are many. `found` is told at once of each that
    has reached a price.
    """
    ordered = sorted(orders, key=place)
    reached: list[Reached] = []
    seen_now = {order.order_id: news for order in ordered if (news := _news(order, seen)) is not None}
    to_store: list[str] = []
    parts = -(-sum(order.trailing_ppm is not None for order in ordered) // FOLLOWED_AT_ONCE)
    for number, order in enumerate(ordered):
        if number and not has_time():
            return _findings(reached, seen_now, to_store, ordered[number:])
        pays = payments.get(order.mint_in)
        before = seen_now.get(order.order_id)
        best_out = _best(order, before)
        has_turn = parts <= 1 or crc32(order.order_id.encode()) % parts == turn % parts
        matters = pays is not None and _may_matter(order, best_out, pays, now_ms, has_turn=has_turn)
        paid = pays.paid(order.amount) if pays is not None and matters else None
        if paid is not None and order.trailing_ppm is not None and (best_out is None or paid > best_out):
            best_out = paid
            seen_now[order.order_id] = Seen(paid, now_ms if before is None else before.since_ms)
        if order.order_id in seen_now and _is_to_be_stored(order, seen_now[order.order_id], paid, now_ms):
            to_store.append(order.order_id)
        if paid is not None and not is_paused(order.wait_until_ms, now_ms) and order.is_reached(paid, best_out):
            stop = order.is_triggered or order.limit_out is None or paid < order.limit_out
            reached.append(Reached(order.order_id, paid, best_out, stop))
            found(reached[-1])
    return _findings(reached, seen_now, to_store, ())


def place(order: WaitingOrder) -> tuple[str, int, str]:
    """Where it stands in the order in which a look judges."""
    return order.mint_in, order.amount, order.order_id


def _findings(
    reached: Sequence[Reached], seen: Mapping[str, Seen], to_store: Sequence[str], left: Sequence[WaitingOrder]
) -> Findings:
    """Stops first: they are to get out of the market."""
    first = sorted(reached, key=lambda one: not one.is_stop)
    handed = {one.order_id for one in first}
    return Findings(tuple(first), seen, tuple(one for one in to_store if one not in handed), tuple(left))


def _news(order: WaitingOrder, seen: Mapping[str, Seen]) -> Seen | None:
    """What was seen of the order before that isn't stored."""
    before = seen.get(order.order_id)
    if before is None or order.trailing_ppm is None or (order.best_out or 0) >= before.best_out:
        return None
    return before


def _best(order: WaitingOrder, seen: Seen | None) -> int | None:
    known = order.best_out, None if seen is None else seen.best_out
    return max((out for out in known if out is not None), default=None)


def _may_matter(order: WaitingOrder, best_out: int | None, pays: Payments, now_ms: int, *, has_turn: bool) -> bool:
    """Whether its route has to be found: False only where a bound tells that it changes nothing.

    Or where its price may have risen, and others have their turn to be followed.
    """
    stop = order.stop_at(best_out)
    least = 0 if stop is None else pays.at_least(order.amount)
    if order.trailing_ppm is not None:
        is_near = stop is None or least * (PPM - NEAR_PPM) <= stop * PPM
        if best_out is None or ((has_turn or is_near) and pays.may_pay(order.amount, best_out + 1)):
            return True
    if is_paused(order.wait_until_ms, now_ms):
        return False
    if stop is not None and least <= stop:
        return True
    return order.limit_out is not None and pays.may_pay(order.amount, order.limit_out)


def _is_to_be_stored(order: WaitingOrder, seen: Seen, paid: int | None, now_ms: int) -> bool:
    if order.best_out is None:
        return True
    if (seen.best_out - order.best_out) * PPM >= order.best_out * STORED_AT_PPM:
        return True
    if not 0 <= now_ms - seen.since_ms < STORED_AFTER_MS:
        return True
    stop = order.stop_at(seen.best_out)
    return paid is not None and stop is not None and paid * (PPM - NEAR_PPM) <= stop * PPM
