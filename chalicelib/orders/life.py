"""An order's life. Pure: every change returns a new Order, and only what `LEGAL` allows happens.

Amounts are integers of base units; times are milliseconds since the epoch, UTC, given by the caller.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from chalicelib.amounts import floor_of, to_text
from chalicelib.orders.order import (
    HistoryStep,
    Lease,
    Leftover,
    Leg,
    Offer,
    Order,
    Progress,
    RefusedPool,
    dex_names,
)
from chalicelib.orders.states import LEGAL, STATUS_OF, Event, IllegalTransition, State, Status
from chalicelib.problems import OrderExpired, SlippageExceeded
from chalicelib.risk.counters import Claims, NetworkFees, Notional, day_of
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.times import time_text

MAX_ATTEMPTS = 3

# An order is one item of at most 400 KB, and is sent whole: neither its story nor an error's text grows without end.
MAX_QUEUED_STEPS = 100

MAX_ERROR_LENGTH = 1_000
MAX_REFUSED_POOLS = 24
MAX_OFFERS = 30
MAX_OFFER_ERROR = 200

# What waiting for a price adds to the history weighs no more than this in all; what comes later is not told.
MAX_WAITING_WEIGHT = 80

_LEG_WEIGHT = 2

_ENDS_AN_ATTEMPT = frozenset(
    {
        Event.FILLED,
        Event.ATTEMPT_FAILED,
        Event.GIVEN_UP,
        Event.CANCELLED,
        Event.EXPIRED,
        Event.ATTEMPT_STARTED,
        Event.RETURNED,
    }
)

# What an order that waits does again and again: told as steps up to MAX_WAITING_WEIGHT.
_OF_WAITING = frozenset(
    {
        Event.TRIGGERED,
        Event.LATCHED,
        Event.FOLLOWED,
        Event.RETURNED,
        Event.QUEUED,
        Event.ATTEMPT_STARTED,
        Event.ROUTE_CHOSEN,
    }
)


class Leased(Exception):
    """Another worker holds the order until `until_ms`."""

    def __init__(self, until_ms: int) -> None:
        super().__init__(f"leased until {until_ms}")
        self.until_ms = until_ms


def place(order: Order, start_at_ms: int = 0) -> Order:
    """The first step of a new order: `pending`, told to whoever watches; and until when it must wait, if it must.

    One that waits for a price is `open`, with the prices in force.
    """
    if order.waits_for_price:
        prices = prices_in_force(order)
        opened = HistoryStep(seq=1, status=Status.OPEN, at_ms=order.created_at_ms, retry_count=0, **_told(prices))
        return replace(order, state=State.OPEN, history=(opened,))
    step = HistoryStep(
        seq=1,
        status=Status.PENDING,
        at_ms=order.created_at_ms,
        retry_count=0,
        min_out=order.min_out,
        queued_until_ms=start_at_ms if start_at_ms > order.created_at_ms else None,
    )
    return replace(order, start_at_ms=start_at_ms, history=(step,))


def prices_in_force(order: Order, **more: Any) -> Progress:
    """What a step tells of the prices that an order waits for, with `more` that is told beside."""
    return Progress(
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trailing_ppm=order.trailing_ppm,
        min_out=order.min_out,
        **more,
    )


def queue(order: Order, start_at_ms: int, now_ms: int) -> Order:
    """The order came too late for its slot and has another: it waits on, and says so, though not for ever."""
    waiting = replace(order, start_at_ms=start_at_ms)
    told = take_step(waiting, Event.QUEUED, now_ms, queued_until_ms=start_at_ms)
    return told if len(order.history) < MAX_QUEUED_STEPS else waiting


def claim(order: Order, owner: str, now_ms: int, lease_ms: int) -> Order:
    """Take the order for one worker. The same owner may renew.

    Raises Leased while another owner's lease runs.
    """
    refuse_leased(order, owner, now_ms)
    return replace(order, lease=Lease(owner, now_ms + lease_ms))


def refuse_leased(order: Order, owner: str, now_ms: int) -> None:
    """Raises Leased while another owner's lease runs."""
    lease = order.lease
    if lease is not None and lease.owner != owner and lease.until_ms > now_ms:
        raise Leased(lease.until_ms)


def hold_until(order: Order, until_ms: int) -> Order:
    """The worker that has the order keeps it until then: longer than before, or not so long."""
    assert order.lease is not None, "only who has an order can hold it"
    return replace(order, lease=replace(order.lease, until_ms=until_ms))


def placed_again_as(order: Order, order_id: str) -> Order:
    """The failed order once a redrive has placed `order_id` for the same trade: that is all that becomes of it."""
    assert order.state is State.FAILED, "only what failed is placed again"
    return replace(order, redriven_as=order_id)


def release(order: Order) -> Order:
    """Let go of the order, so that the next delivery needn't wait for the lease to run out."""
    return replace(order, lease=None)


def draw_nonce(order: Order, nonce: str) -> Order:
    """Give the attempt that starts now a nonce of its own. An attempt that is under way keeps the one that it has."""
    if order.attempt_nonce is not None and order.state in (State.ROUTING, State.BUILDING, State.SUBMITTED):
        return order
    return replace(order, attempt_nonce=nonce)


def start_attempt(order: Order, now_ms: int) -> Order:
    """Begin to route. A worker that takes over from a dead one finds `routing` or `building` and just goes on.

    Raises OrderExpired from the order's deadline on.
    """
    refuse_after_deadline(order, now_ms)
    if order.state in (State.ROUTING, State.BUILDING):
        return order
    # what an earlier attempt chose and signed is its history; the floor is the order's for good
    cleared = replace(order, route=None, dex_used=None, quoted_out=None, quotes=None, tx_hash=None)
    return take_step(cleared, Event.ATTEMPT_STARTED, now_ms, Progress(trigger=order.trigger))


def fix_floor(order: Order, quoted_out: int) -> Order:
    """The order with its floor fixed by its first quote, base units; any later quote leaves it as it is.

    The floor is what the slippage leaves of the first quote, and never under what the client asks for at least.
    """
    if order.first_quoted_out is not None:
        return order
    floor = max(floor_of(quoted_out, order.slippage_ppm), order.min_out or 0)
    return replace(order, first_quoted_out=quoted_out, min_out=floor)


def choose_route(
    order: Order, route: tuple[Leg, ...], quoted_out: int, now_ms: int, offers: tuple[Offer, ...] = ()
) -> Order:
    """The route is chosen out of these offers, which are best first; its quote in base units.

    Raises SlippageExceeded where it pays less than the order's floor.
    The floor must be fixed before: what the whole transaction guarantees is the order's own `min_out`.
    """
    floor = order.min_out
    assert floor is not None, "the first quote fixes the floor"
    if quoted_out < floor:
        raise SlippageExceeded(_under_the_floor(order, quoted_out, floor))
    told = Progress(route=route, dex_used=dex_names(route), quoted_out=quoted_out, min_out=floor)
    quotes = tuple(replace(one, error=one.error and one.error[:MAX_OFFER_ERROR]) for one in offers[:MAX_OFFERS])
    chosen = replace(order, route=told.route, dex_used=told.dex_used, quoted_out=quoted_out, quotes=quotes or None)
    if order.state is State.BUILDING:  # real world possibility: the first builder died, the market has moved since
        return chosen
    return take_step(chosen, Event.ROUTE_CHOSEN, now_ms, told)


def _under_the_floor(order: Order, quoted_out: int, floor: int) -> str:
    token = order.token_out
    paid, least = (f"{to_text(amount, token.decimals)} {token.text}" for amount in (quoted_out, floor))
    return f"the best route pays {paid} now, and the order is for {least} at least"


def reserve(order: Order, notional: Notional | None, fees: NetworkFees | None = None) -> Order:
    """Count the order for so much on that day, in place of what it counted for before; None: its value is unknown.

    `fees` is the most that its next transaction may cost: none is signed that could cost more.
    """
    return replace(order, notional=notional, fees_reserved=fees)


def pay_fees(order: Order, lamports: int, now_ms: int) -> Order:
    """The order's transaction landed and cost so much, which counts on the day on which it was reserved."""
    day = day_of(now_ms) if order.fees_reserved is None else order.fees_reserved.day
    return replace(order, fees_reserved=None, fees_paid=(*order.fees_paid, NetworkFees(day, lamports)))


def sign(order: Order, submission: SignedTransaction, now_ms: int) -> Order:
    """The transaction is signed. This must be stored before the transaction is sent.

    Raises OrderExpired from the order's deadline on: then the transaction must be thrown away.
    """
    refuse_after_deadline(order, now_ms)
    signed = replace(order, submission=submission, tx_hash=submission.signature)
    told = Progress(
        # the order itself has the route, where its history is as long as it may be
        route=order.route if order.waiting_weight < MAX_WAITING_WEIGHT else None,
        dex_used=order.dex_used,
        quoted_out=order.quoted_out,
        min_out=order.min_out,
        tx_hash=submission.signature,
    )
    return take_step(signed, Event.SIGNED, now_ms, told)


def fill(
    order: Order,
    amount_out: int,
    now_ms: int,
    leftover: tuple[Leftover, ...] = (),
    slot_delta: int | None = None,
) -> Order:
    """The transaction landed and paid `amount_out` base units of the output token, and left something between hops.

    `slot_delta`: so many slots after it was sent.
    """
    left = leftover or None
    landed = replace(order, amount_out=amount_out, leftover=left, slot_delta=slot_delta)
    filled = replace(landed, error=None, error_code=None, submission=None)
    told = Progress(
        dex_used=order.dex_used,
        amount_out=amount_out,
        leftover=left,
        tx_hash=order.tx_hash,
        slot_delta=slot_delta,
    )
    return release(take_step(filled, Event.FILLED, now_ms, told))


def fail_attempt(order: Order, error: str, error_code: str, now_ms: int, *, retry: bool) -> Order:
    """This attempt failed. Another follows after 2^(n-1) s if `retry` and fewer than three have failed.

    Only for an attempt whose transaction, if it had one, can't land any more.
    """
    retry_count = order.retry_count + 1 if retry else order.retry_count
    error = error[:MAX_ERROR_LENGTH]
    ended = replace(
        order,
        retry_count=retry_count,
        error=error,
        error_code=error_code,
        submission=None,
        past_signatures=order.past_signatures + ((order.submission.signature,) if order.submission else ()),
    )
    if retry and retry_count < MAX_ATTEMPTS:
        retry_in_ms = 1000 * 2 ** (retry_count - 1)
        told = Progress(error=error, error_code=error_code)
        waiting = replace(ended, retry_at_ms=now_ms + retry_in_ms)
        return release(take_step(waiting, Event.ATTEMPT_FAILED, now_ms, told, terminal=False, retry_in_ms=retry_in_ms))
    told = Progress(error=error, error_code=error_code, tx_hash=order.tx_hash)
    return release(take_step(ended, Event.GIVEN_UP, now_ms, told, terminal=True))


def leave_out(order: Order, pool: str, error: str, error_code: str) -> Order:
    """Remember that `pool` refused this attempt, so that the order's next ones go by others as long as these pay."""
    others = tuple(each for each in order.refused_pools if each.pool != pool)
    # one that waits may meet every pool of its pair, and more than once
    refused = RefusedPool(pool, error_code, error[: MAX_OFFER_ERROR if order.waits_for_price else MAX_ERROR_LENGTH])
    return replace(order, refused_pools=(*others, refused)[-MAX_REFUSED_POOLS:])


def cancel(order: Order, now_ms: int) -> Order:
    """Cancel the order, whoever works on it. Raises IllegalTransition once a signed transaction is stored."""
    return release(take_step(order, Event.CANCELLED, now_ms))


def is_cancellable(order: Order) -> bool:
    """Whether nothing of it is signed, and it has not ended."""
    return (order.state, Event.CANCELLED) in LEGAL


def is_past_deadline(order: Order, now_ms: int) -> bool:
    return order.expires_at_ms is not None and now_ms >= order.expires_at_ms


def expire(order: Order, now_ms: int, last_error: str = "") -> Order:
    """The order's time is over, and no transaction of it can land. `last_error`: what its last attempt met, if any."""
    assert is_past_deadline(order, now_ms), "an order ends at its deadline and not before"
    error = (str(_over(order)) + (f"; before that: {last_error}" if last_error else ""))[:MAX_ERROR_LENGTH]
    ended = replace(
        order,
        error=error,
        error_code=OrderExpired.code,
        submission=None,
        past_signatures=order.past_signatures + ((order.submission.signature,) if order.submission else ()),
    )
    told = Progress(error=error, error_code=OrderExpired.code, tx_hash=order.tx_hash)
    return release(take_step(ended, Event.EXPIRED, now_ms, told, terminal=True))


def refuse_after_deadline(order: Order, now_ms: int) -> None:
    """Raises OrderExpired from the deadline on of an order that has not ended."""
    if not order.is_terminal and is_past_deadline(order, now_ms):
        raise _over(order)


def _over(order: Order) -> OrderExpired:
    assert order.expires_at_ms is not None, "only what has a deadline is past it"
    return OrderExpired(f"the order was good until {time_text(order.expires_at_ms)}")


def as_created(order: Order) -> Order:
    """A new order as it is stored first, its claims counted."""
    return replace(order, booked=order.claims)


def as_written(order: Order) -> Order:
    """The order as its next write stores it: the next revision, its claims counted."""
    return replace(order, revision=order.revision + 1, booked=order.claims)


def booked_before(order: Order) -> Claims:
    """What the counters hold for the order before its next write."""
    if order.booked is not None:
        return order.booked
    return Claims(waiting=1) if order.waits_for_price else Claims(open=1)


def take_step(
    order: Order,
    event: Event,
    now_ms: int,
    told: Progress | None = None,
    *,
    terminal: bool | None = None,
    retry_in_ms: int | None = None,
    queued_until_ms: int | None = None,
) -> Order:
    """The order after `event`, with a step in its history that tells `told`. Raises IllegalTransition.

    Of what waiting does again and again only so much is told; what comes later changes the order without a step.
    """
    state = LEGAL.get((order.state, event))
    if state is None:
        raise IllegalTransition(order.state, event)
    if event in _ENDS_AN_ATTEMPT:
        order = replace(order, fees_reserved=None)  # no transaction of it can land any more
    # History never runs backwards, whatever two machines' clocks say.
    at_ms = max(now_ms, order.updated_at_ms)
    if order.waits_for_price and event in _OF_WAITING:
        weight = order.waiting_weight + 1 + _LEG_WEIGHT * len((told and told.route) or ())
        if weight > MAX_WAITING_WEIGHT:
            return replace(order, state=state, moved_at_ms=at_ms, waiting_weight=MAX_WAITING_WEIGHT)
        order = replace(order, waiting_weight=weight)
    step = HistoryStep(
        seq=order.last_seq + 1,
        status=STATUS_OF[state],
        at_ms=at_ms,
        retry_count=order.retry_count,
        terminal=terminal,
        retry_in_ms=retry_in_ms,
        queued_until_ms=queued_until_ms,
        **(_told(told) if told else {}),
    )
    return replace(order, state=state, history=(*order.history, step))


def _told(progress: Progress) -> dict[str, Any]:
    return {each.name: getattr(progress, each.name) for each in fields(progress)}
