"""When an order that waits for a price is set off, and what becomes of it then. Pure.

A price is `token_out` for a whole `token_in`; an order is judged by what its own whole amount would be paid, fees and
impact included, in base units of `token_out`, and its prices are exact: nothing is rounded but the amount that follows.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from chalicelib.amounts import PPM, floor_of
from chalicelib.orders.life import MAX_ERROR_LENGTH, MAX_OFFER_ERROR, prices_in_force, release, take_step
from chalicelib.orders.order import Order, Progress, Trigger, TriggerKind
from chalicelib.orders.states import Event
from chalicelib.problems import (
    DayIsFull,
    ExecutionError,
    Halted,
    InsufficientLiquidity,
    NoPool,
    PriceImpact,
    TransientError,
)

# A pause before an order that came back in vain is handed over again: it doubles from the first to the longest.
FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 60_000
# One that comes back so long after its last pause begins at the first again, and asks pools that refused it anew.
PAUSES_FORGOTTEN_MS = 2 * LONGEST_PAUSE_MS
DEFAULT_TRIES = 10
MOST_TRIES = 30


def amount_at(order: Order, price: str) -> Fraction:
    """What the order's amount is worth at `price`, exactly, in base units of `token_out`."""
    whole = Fraction(Decimal(price)) * order.amount
    return whole * Fraction(10) ** (order.token_out.decimals - order.token_in.decimals)


def limit_out(order: Order) -> int | None:
    """The least that its limit price asks for, base units rounded up; None without one."""
    if order.limit_price is None:
        return None
    worth = amount_at(order, order.limit_price)
    return -(-worth.numerator // worth.denominator)


def stop_out(order: Order) -> int | None:
    """The most at which its stop is reached, base units rounded down; None without one, or before a first price."""
    if order.trailing_ppm is not None:
        return None if order.best_out is None else order.best_out * (PPM - order.trailing_ppm) // PPM
    if order.stop_price is None:
        return None
    worth = amount_at(order, order.stop_price)
    return worth.numerator // worth.denominator


def judge(order: Order, amount_out: int) -> TriggerKind | None:
    """Which of its prices an open order has reached where its amount would be paid `amount_out` base units now.

    A stop that was triggered stays so; it is due where what is paid is not under its floor.
    """
    if order.trigger is not None:
        return order.trigger.kind if amount_out >= (order.min_out or 0) else None
    limit, stop = limit_out(order), stop_out(order)
    if limit is not None and amount_out >= max(limit, order.own_min_out or 0):
        return TriggerKind.LIMIT
    return TriggerKind.STOP if stop is not None and amount_out <= stop else None


def is_paused(wait_until_ms: int, now_ms: int) -> bool:
    """Whether an open order that came back in vain is not to be handed over yet.

    No pause is longer than the longest: one that seems so was begun by a clock that was ahead, and holds nobody up.
    """
    return now_ms < wait_until_ms <= now_ms + LONGEST_PAUSE_MS


def triggered(order: Order, kind: TriggerKind, amount_out: int, slot: int, now_ms: int) -> Order:
    """The open order on its way to the workers: its amount would be paid `amount_out` base units, as seen at `slot`.

    A stop's floor is what its slippage leaves of that; of one that was triggered before, trigger and floor stay.
    """
    set_off = _set_off(order, kind, amount_out, slot, now_ms)
    forgotten = now_ms >= order.wait_until_ms + PAUSES_FORGOTTEN_MS
    # a worker that finds it in line tells when it starts, whatever it was told before
    set_off = replace(set_off, start_at_ms=0, refused_pools=() if forgotten else order.refused_pools)
    return take_step(set_off, Event.TRIGGERED, now_ms, Progress(trigger=set_off.trigger))


def latched(order: Order, amount_out: int, slot: int, now_ms: int) -> Order:
    """The open order with its stop triggered for good, though it can't be handed over yet. Once only."""
    assert order.trigger is None, "a stop is triggered once"
    set_off = _set_off(order, TriggerKind.STOP, amount_out, slot, now_ms)
    return take_step(set_off, Event.LATCHED, now_ms, prices_in_force(set_off, trigger=set_off.trigger))


def followed(order: Order, amount_out: int, now_ms: int) -> Order:
    """The open order whose trailing stop has seen `amount_out`, the best so far: its stop price follows."""
    if order.best_out is not None and amount_out <= order.best_out:
        return order
    moved = with_trailing_price(replace(order, best_out=amount_out))
    return take_step(moved, Event.FOLLOWED, now_ms, prices_in_force(moved))


def with_trailing_price(order: Order) -> Order:
    """The order with its trailing stop's price as its best price has it; any other as it is."""
    if order.trailing_ppm is None:
        return order
    stop = stop_out(order)
    return replace(order, stop_price=None if stop is None else order.price_at(stop))


def returned(order: Order, error: str, error_code: str, now_ms: int, *, pauses: bool = True) -> Order:
    """The order waits for its price again: no transaction of it can land. A triggered stop stays triggered.

    A transaction that was signed counts as a try. With `pauses` it isn't handed over again for 1 s, doubled each time
    up to 60 s.
    """
    in_a_row = order.pauses + 1 if now_ms < order.wait_until_ms + PAUSES_FORGOTTEN_MS else 1
    pause_ms = min(FIRST_PAUSE_MS * 2 ** min(in_a_row - 1, 10), LONGEST_PAUSE_MS) if pauses else 0
    signed = order.submission
    is_latched = order.trigger is not None and order.trigger.kind is TriggerKind.STOP
    back = replace(
        order,
        error=error[:MAX_ERROR_LENGTH],
        error_code=error_code,
        submission=None,
        past_signatures=order.past_signatures + ((signed.signature,) if signed else ()),
        signed_tries=order.signed_tries + (1 if signed else 0),
        pauses=in_a_row if pauses else order.pauses,
        wait_until_ms=now_ms + pause_ms,
        notional=None,
        trigger=order.trigger if is_latched else None,
        start_at_ms=0,
    )
    if not is_latched:
        back = replace(back, first_quoted_out=None, min_out=floor_while_open(back))
    told = prices_in_force(back, trigger=back.trigger, error=error[:MAX_OFFER_ERROR], error_code=error_code)
    return release(take_step(back, Event.RETURNED, now_ms, told))


def may_wait_on(error: ExecutionError) -> bool:
    """Whether an order that meets `error` waits for its price again, for what stands against it may pass."""
    return isinstance(error, (TransientError, Halted, NoPool, PriceImpact, InsufficientLiquidity, DayIsFull))


def floor_while_open(order: Order) -> int | None:
    """What an untriggered order tells as its floor: a limit's own always, of others what their client asks for."""
    own = order.own_min_out
    limit = limit_out(order) if order.type == "limit" else None
    return own if limit is None else max(limit, own or 0)


def _set_off(order: Order, kind: TriggerKind, amount_out: int, slot: int, now_ms: int) -> Order:
    if order.trigger is not None:
        return order
    own = order.own_min_out or 0
    if kind is TriggerKind.LIMIT:
        limit = limit_out(order)
        assert limit is not None, "only an order with a limit price reaches it"
        floor = max(limit, own)
    else:
        floor = max(floor_of(amount_out, order.slippage_ppm), own)
    trigger = Trigger(kind, order.price_at(amount_out), slot, now_ms)
    return replace(order, trigger=trigger, first_quoted_out=amount_out, min_out=floor)
