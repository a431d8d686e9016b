"""An order and its life. Pure: what may follow what is the one table `LEGAL`; every change returns a new Order.

Amounts are integers of base units; times are milliseconds since the epoch, UTC, given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal

from chalicelib.amounts import floor_of, to_text
from chalicelib.orders.field_types import (
    Address,
    AmountIn,
    AmountOfFeeToken,
    AmountOfToken,
    AmountOut,
    Lamports,
    Millionths,
    Ordinal,
    Price,
    Signature,
    TimeMs,
)
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

OrderType = Literal["market", "limit", "stop", "oco"]


class Status(StrEnum):
    OPEN = "open"
    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Event(StrEnum):
    """What can happen to an order."""

    TRIGGERED = "triggered"
    LATCHED = "latched"  # a stop was triggered and can't be handed over yet
    CHANGED = "changed"  # by its client
    FOLLOWED = "followed"  # a trailing stop followed the price
    RETURNED = "returned"  # it waits for its price again
    QUEUED = "queued"
    ATTEMPT_STARTED = "attempt_started"
    ROUTE_CHOSEN = "route_chosen"
    SIGNED = "signed"
    FILLED = "filled"
    ATTEMPT_FAILED = "attempt_failed"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class State(StrEnum):
    """A status, with `failed` told apart by whether another attempt follows."""

    OPEN = "open"
    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    RETRYING = "retrying"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


LEGAL: dict[tuple[State, Event], State] = {
    (State.OPEN, Event.TRIGGERED): State.PENDING,
    (State.OPEN, Event.LATCHED): State.OPEN,
    (State.OPEN, Event.CHANGED): State.OPEN,
    (State.OPEN, Event.FOLLOWED): State.OPEN,
    (State.OPEN, Event.GIVEN_UP): State.FAILED,
    (State.OPEN, Event.CANCELLED): State.CANCELLED,
    (State.OPEN, Event.EXPIRED): State.EXPIRED,
    # a market order's client may change it before its first quote
    (State.PENDING, Event.CHANGED): State.PENDING,
    # an order that waits for a price goes back to it, where no transaction of it can land
    (State.PENDING, Event.RETURNED): State.OPEN,
    (State.ROUTING, Event.RETURNED): State.OPEN,
    (State.BUILDING, Event.RETURNED): State.OPEN,
    (State.SUBMITTED, Event.RETURNED): State.OPEN,
    (State.PENDING, Event.QUEUED): State.PENDING,
    (State.PENDING, Event.ATTEMPT_STARTED): State.ROUTING,
    (State.PENDING, Event.GIVEN_UP): State.FAILED,
    (State.PENDING, Event.CANCELLED): State.CANCELLED,
    (State.PENDING, Event.EXPIRED): State.EXPIRED,
    (State.ROUTING, Event.ROUTE_CHOSEN): State.BUILDING,
    (State.ROUTING, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.ROUTING, Event.GIVEN_UP): State.FAILED,
    (State.ROUTING, Event.CANCELLED): State.CANCELLED,
    (State.ROUTING, Event.EXPIRED): State.EXPIRED,
    (State.BUILDING, Event.SIGNED): State.SUBMITTED,
    (State.BUILDING, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.BUILDING, Event.GIVEN_UP): State.FAILED,
    (State.BUILDING, Event.CANCELLED): State.CANCELLED,
    (State.BUILDING, Event.EXPIRED): State.EXPIRED,
    (State.SUBMITTED, Event.FILLED): State.CONFIRMED,
    (State.SUBMITTED, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.SUBMITTED, Event.GIVEN_UP): State.FAILED,
    # its time is over and its transaction can't land any more; while one may land nobody cancels or expires it
    (State.SUBMITTED, Event.EXPIRED): State.EXPIRED,
    (State.RETRYING, Event.ATTEMPT_STARTED): State.ROUTING,
    (State.RETRYING, Event.GIVEN_UP): State.FAILED,
    (State.RETRYING, Event.CANCELLED): State.CANCELLED,
    (State.RETRYING, Event.EXPIRED): State.EXPIRED,
}

TERMINAL = frozenset({State.CONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED})

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

STATUS_OF: dict[State, Status] = {
    State.RETRYING: Status.FAILED,
    **{state: Status(state.value) for state in State if state is not State.RETRYING},
}


class IllegalTransition(Exception):
    """An event that can't happen in this state: a bug, or a writer that worked on an old copy."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} cannot happen to an order that is {state}")
        self.state = state
        self.event = event


class Leased(Exception):
    """Another worker holds the order until `until_ms`."""

    def __init__(self, until_ms: int) -> None:
        super().__init__(f"leased until {until_ms}")
        self.until_ms = until_ms


@dataclass(frozen=True, slots=True)
class Token:
    """One of the order's tokens: `text` as the client wrote it, `mint` in base58."""

    text: str
    mint: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Leg:
    """One pool's part in a route. `share_ppm`: its part, in millionths, of all that goes into its `token_out`.

    `dex` is the exchange, `program` the program of it that the pool is one of, `fee` what the pool keeps, as quoted.
    """

    dex: str
    pool: Address
    share_ppm: Millionths
    token_in: Token
    token_out: Token
    amount_in: AmountIn
    expected_out: AmountOut
    # Orders of before there were several programs of a dex don't tell it, nor those of before fees were kept theirs.
    program: str | None = None
    fee: AmountOfFeeToken | None = None
    fee_token: Token | None = None


@dataclass(frozen=True, slots=True)
class Leftover:
    """Base units of a token between two hops that the first paid and the second didn't spend: they are the wallet's."""

    token: Token
    amount: AmountOfToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one pool offered for an order's whole amount, or in `error` why it didn't.

    `fee` is in base units of the token sold where `fee_of_token_in`, else of the one bought. `price_impact_ppm` is None
    where it can't be told.
    """

    dex: str
    pool: Address
    amount_out: AmountOut | None = None
    price_impact_ppm: int | None = None
    fee: int = 0
    fee_of_token_in: bool = True
    error_code: str | None = None
    error: str | None = None
    program: str | None = None


class TriggerKind(StrEnum):
    """Which of its prices an order reached."""

    LIMIT = "limit"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What set off an order that waited: a unit's price, for the whole amount on the best route, seen in that slot."""

    kind: TriggerKind
    price: Price
    slot: int
    at_ms: TimeMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What comes to exist on an order's way; None until then.

    A field is written here alone. The order has it as it stands and each step of its history as it was; the stored
    item, the API's JSON, its documents, the client and the page follow from the field's name and type.
    Prices are whole `token_out` for a whole `token_in`. Of a stop with `trailing_ppm` `stop_price` is the one in force,
    which follows the market.
    """

    limit_price: Price | None = None
    stop_price: Price | None = None
    trailing_ppm: Millionths | None = None
    trigger: Trigger | None = None
    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None  # the venues of the route, each once, in its order
    quoted_out: AmountOut | None = None
    min_out: AmountOut | None = None
    amount_out: AmountOut | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: Signature | None = None
    slot_delta: int | None = None  # how many slots after it was sent its transaction landed
    error: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStep(Progress):
    """One step of the order's life, as it was pushed, with what came to exist at it; `seq` counts without a gap."""

    seq: Ordinal
    status: Status
    at_ms: TimeMs
    retry_count: int
    terminal: bool | None = None
    retry_in_ms: int | None = None
    queued_until_ms: TimeMs | None = None


@dataclass(frozen=True, slots=True)
class RefusedPool:
    """A pool that refused an attempt of the order, and why. The next attempts go by others where they can."""

    pool: Address
    error_code: str
    error: str


@dataclass(frozen=True, slots=True)
class Lease:
    owner: str
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Progress):
    """The order as it stands. `revision` counts the writes and guards each by the one before.

    `min_out` is the floor in force: the client's own at first, from the first quote on the stricter of that and what
    `slippage_ppm` leaves of it. Nothing lowers it. From `expires_at_ms` on no attempt starts and nothing is signed.
    `attempt_nonce` is random, so that nobody can foretell where the attempt under way keeps its wrapped SOL.
    `notional` is what it counts for on its day, since a route is chosen; `fees_reserved` is the most that the attempt's
    transaction may cost, and `fees_paid` what those that landed did cost, one each.
    Of an order that waits for a price `own_min_out` is what its client asked for at least; `best_out` the most that its
    amount would have been paid since it waits, which its trailing stop follows, in base units of `token_out`;
    `signed_tries` how many of its transactions did not fill; `pauses` how often in a row it came back in vain, and
    `wait_until_ms` until when it is not handed over again; `moved_at_ms` when it last changed without a step;
    `waiting_weight` what its waiting added to its history; `changes` how often its client changed it.
    `booked`: what the counters hold for it as it is stored; None for an order that was not loaded, for which they hold
    what they hold for a new one.
    """

    order_id: str
    account: str
    type: OrderType
    token_in: Token
    token_out: Token
    amount: AmountIn
    slippage_ppm: Millionths
    request_digest: str
    created_at_ms: TimeMs
    expires_at_ms: TimeMs | None = None  # None: of before there were deadlines
    expires_by_default: bool = True  # the client named no time of its own
    first_quoted_out: AmountOut | None = None
    quotes: tuple[Offer, ...] | None = None  # what each pool offered when the route was chosen, best first
    max_price_impact_ppm: Millionths | None = None
    max_network_fee: Lamports | None = None
    client_order_id: str | None = None
    redrive_of: str | None = None
    redriven_as: str | None = None
    asked: dict[str, str] | None = None  # the fields of the request that placed it, as they were written
    wallet: Address | None = None  # that it is for; None where the stage didn't tell its own
    key_id: str | None = None  # of the API key that placed it; None without one, and of before it was kept
    own_min_out: AmountOut | None = None
    best_out: AmountOut | None = None
    max_tries: int | None = None
    signed_tries: int = 0
    pauses: int = 0
    wait_until_ms: TimeMs = 0
    last_looked_at_ms: TimeMs | None = None
    moved_at_ms: TimeMs = 0
    waiting_weight: int = 0
    changes: int = 0
    state: State = State.PENDING
    retry_count: int = 0
    history: tuple[HistoryStep, ...] = ()
    submission: SignedTransaction | None = field(default=None, repr=False)
    past_signatures: tuple[str, ...] = ()
    refused_pools: tuple[RefusedPool, ...] = ()  # each once, the last MAX_REFUSED_POOLS
    start_at_ms: int = 0
    retry_at_ms: int = 0
    lease: Lease | None = None
    attempt_nonce: str | None = None
    notional: Notional | None = None
    fees_reserved: NetworkFees | None = None
    fees_paid: tuple[NetworkFees, ...] = ()
    correlation_id: str = ""  # of the request that placed it
    revision: int = 0
    booked: Claims | None = field(default=None, compare=False, repr=False)

    @property
    def status(self) -> Status:
        return STATUS_OF[self.state]

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def waits_for_price(self) -> bool:
        """Whether its type waits until the market pays a price."""
        return self.type != "market"

    @property
    def mint_in(self) -> Address:
        return self.token_in.mint

    @property
    def mint_out(self) -> Address:
        return self.token_out.mint

    @property
    def updated_at_ms(self) -> TimeMs:
        return max(self.history[-1].at_ms if self.history else self.created_at_ms, self.moved_at_ms)

    @property
    def last_seq(self) -> int:
        return self.history[-1].seq if self.history else 0

    @property
    def claims(self) -> Claims:
        """What the order takes up of the limits on sums.

        One that ended without a swap gives back what it reserved; what its transactions cost was paid all the same.
        """
        if self.state in (State.FAILED, State.CANCELLED, State.EXPIRED):
            return Claims(fees=self.fees_paid)
        if self.state is State.OPEN:
            return Claims(waiting=1, fees=self.fees_paid)
        reserved = () if self.fees_reserved is None else (self.fees_reserved,)
        return Claims(open=0 if self.is_terminal else 1, notional=self.notional, fees=self.fees_paid + reserved)

    @property
    def network_fees(self) -> Lamports:
        """What all its transactions that landed cost the wallet, failed ones included."""
        return sum(fees.lamports for fees in self.fees_paid)

    @property
    def attempt(self) -> int:
        """The number of the attempt that runs or comes next, from 1."""
        return self.retry_count + 1


def dex_names(route: Iterable[Leg]) -> str:
    """The venues of a route, each once, in its order: `raydium+meteora`."""
    return "+".join(dict.fromkeys(leg.dex for leg in route))


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
    told: Progress = Progress(),
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
        weight = order.waiting_weight + 1 + _LEG_WEIGHT * len(told.route or ())
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
        **_told(told),
    )
    return replace(order, state=state, history=(*order.history, step))


def _told(progress: Progress) -> dict[str, Any]:
    return {each.name: getattr(progress, each.name) for each in fields(progress)}
