"""An order and its life. Pure: what may follow what is the one table `LEGAL`; every change returns a new Order.

Amounts are integers of base units; times are milliseconds since the epoch, UTC, given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal

from chalicelib.orders.field_types import (
    Address,
    AmountIn,
    AmountOfToken,
    AmountOut,
    Millionths,
    Ordinal,
    Signature,
    TimeMs,
)
from chalicelib.risk.counters import Claims, Notional
from chalicelib.solana.signed_transaction import SignedTransaction

MAX_ATTEMPTS = 3
# An order is one item of at most 400 KB, and is sent whole: neither its story nor an error's text grows without end.
MAX_QUEUED_STEPS = 100
MAX_ERROR_LENGTH = 1_000


OrderType = Literal["market"]


class Status(StrEnum):
    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What can happen to an order."""

    QUEUED = "queued"
    ATTEMPT_STARTED = "attempt_started"
    ROUTE_CHOSEN = "route_chosen"
    SIGNED = "signed"
    FILLED = "filled"
    ATTEMPT_FAILED = "attempt_failed"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


class State(StrEnum):
    """A status, with `failed` told apart by whether another attempt follows."""

    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    RETRYING = "retrying"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"


LEGAL: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.QUEUED): State.PENDING,
    (State.PENDING, Event.ATTEMPT_STARTED): State.ROUTING,
    (State.PENDING, Event.GIVEN_UP): State.FAILED,
    (State.PENDING, Event.CANCELLED): State.CANCELLED,
    (State.ROUTING, Event.ROUTE_CHOSEN): State.BUILDING,
    (State.ROUTING, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.ROUTING, Event.GIVEN_UP): State.FAILED,
    (State.BUILDING, Event.SIGNED): State.SUBMITTED,
    (State.BUILDING, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.BUILDING, Event.GIVEN_UP): State.FAILED,
    (State.SUBMITTED, Event.FILLED): State.CONFIRMED,
    (State.SUBMITTED, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.SUBMITTED, Event.GIVEN_UP): State.FAILED,
    (State.RETRYING, Event.ATTEMPT_STARTED): State.ROUTING,
    (State.RETRYING, Event.GIVEN_UP): State.FAILED,
}

TERMINAL = frozenset({State.CONFIRMED, State.FAILED, State.CANCELLED})

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
    """One pool's part in a route. `share_ppm`: its part, in millionths, of all that goes into its `token_out`."""

    dex: str
    pool: Address
    share_ppm: Millionths
    token_in: Token
    token_out: Token
    amount_in: AmountIn
    expected_out: AmountOut


@dataclass(frozen=True, slots=True)
class Leftover:
    """Base units of a token between two hops that the first paid and the second didn't spend: they are the wallet's."""

    token: Token
    amount: AmountOfToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What comes to exist on an order's way; None until then.

    A field is written here alone. The order has it as it stands and each step of its history as it was; the stored
    item, the API's JSON, its documents, the client and the page follow from the field's name and type.
    """

    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None  # the venues of the route, each once, in its order
    quoted_out: AmountOut | None = None
    min_out: AmountOut | None = None
    amount_out: AmountOut | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: Signature | None = None
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
class Lease:
    owner: str
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Progress):
    """The order as it stands. `revision` counts the writes and guards each by the one before.

    `notional` is what it counts for on its day, since a route is chosen. `booked`: what the counters hold for it as it
    is stored; None for an order that was not loaded, for which they hold what they hold for a new one.
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
    state: State = State.PENDING
    retry_count: int = 0
    history: tuple[HistoryStep, ...] = ()
    submission: SignedTransaction | None = field(default=None, repr=False)
    past_signatures: tuple[str, ...] = ()
    start_at_ms: int = 0
    retry_at_ms: int = 0
    lease: Lease | None = None
    notional: Notional | None = None
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
    def updated_at_ms(self) -> TimeMs:
        return self.history[-1].at_ms if self.history else self.created_at_ms

    @property
    def last_seq(self) -> int:
        return self.history[-1].seq if self.history else 0

    @property
    def claims(self) -> Claims:
        """What the order takes up of the limits on sums. One that ended without a swap gives back what it reserved."""
        if self.state in (State.FAILED, State.CANCELLED):
            return Claims()
        return Claims(open=0 if self.is_terminal else 1, notional=self.notional)

    @property
    def attempt(self) -> int:
        """The number of the attempt that runs or comes next, from 1."""
        return self.retry_count + 1


def dex_names(route: Iterable[Leg]) -> str:
    """The venues of a route, each once, in its order: `raydium+meteora`."""
    return "+".join(dict.fromkeys(leg.dex for leg in route))


def place(order: Order, start_at_ms: int = 0) -> Order:
    """The first step of a new order: `pending`, told to whoever watches; and until when it must wait, if it must."""
    step = HistoryStep(
        seq=1,
        status=Status.PENDING,
        at_ms=order.created_at_ms,
        retry_count=0,
        queued_until_ms=start_at_ms if start_at_ms > order.created_at_ms else None,
    )
    return replace(order, start_at_ms=start_at_ms, history=(step,))


def queue(order: Order, start_at_ms: int, now_ms: int) -> Order:
    """The order came too late for its slot and has another: it waits on, and says so, though not for ever."""
    waiting = replace(order, start_at_ms=start_at_ms)
    told = _step(waiting, Event.QUEUED, now_ms, queued_until_ms=start_at_ms)
    return told if len(order.history) < MAX_QUEUED_STEPS else waiting


def claim(order: Order, owner: str, now_ms: int, lease_ms: int) -> Order:
    """Take the order for one worker. The same owner may renew.

    Raises Leased while another owner's lease runs.
    """
    lease = order.lease
    if lease is not None and lease.owner != owner and lease.until_ms > now_ms:
        raise Leased(lease.until_ms)
    return replace(order, lease=Lease(owner, now_ms + lease_ms))


def release(order: Order) -> Order:
    """Let go of the order, so that the next delivery needn't wait for the lease to run out."""
    return replace(order, lease=None)


def start_attempt(order: Order, now_ms: int) -> Order:
    """Begin to route. A worker that takes over from a dead one finds `routing` or `building` and just goes on."""
    if order.state in (State.ROUTING, State.BUILDING):
        return order
    # what an earlier attempt chose and signed is its history, and no longer what the order stands by
    cleared = replace(order, route=None, dex_used=None, quoted_out=None, min_out=None, tx_hash=None)
    return _step(cleared, Event.ATTEMPT_STARTED, now_ms)


def choose_route(order: Order, route: tuple[Leg, ...], quoted_out: int, min_out: int, now_ms: int) -> Order:
    """The route is chosen; `min_out` is the floor that the whole transaction guarantees, in base units."""
    told = Progress(route=route, dex_used=dex_names(route), quoted_out=quoted_out, min_out=min_out)
    chosen = replace(order, route=told.route, dex_used=told.dex_used, quoted_out=quoted_out, min_out=min_out)
    if order.state is State.BUILDING:  # real world possibility: the first builder died, the market has moved since
        return chosen
    return _step(chosen, Event.ROUTE_CHOSEN, now_ms, told)


def reserve(order: Order, notional: Notional | None) -> Order:
    """Count the order for so much on that day, in place of what it counted for before; None: its value is unknown."""
    return replace(order, notional=notional)


def sign(order: Order, submission: SignedTransaction, now_ms: int) -> Order:
    """The transaction is signed. This must be stored before the transaction is sent."""
    signed = replace(order, submission=submission, tx_hash=submission.signature)
    told = Progress(
        route=order.route,
        dex_used=order.dex_used,
        quoted_out=order.quoted_out,
        min_out=order.min_out,
        tx_hash=submission.signature,
    )
    return _step(signed, Event.SIGNED, now_ms, told)


def fill(order: Order, amount_out: int, now_ms: int, leftover: tuple[Leftover, ...] = ()) -> Order:
    """The transaction landed and paid `amount_out` base units of the output token, and left something between hops."""
    left = leftover or None
    filled = replace(order, amount_out=amount_out, leftover=left, error=None, error_code=None, submission=None)
    told = Progress(dex_used=order.dex_used, amount_out=amount_out, leftover=left, tx_hash=order.tx_hash)
    return release(_step(filled, Event.FILLED, now_ms, told))


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
        return release(_step(waiting, Event.ATTEMPT_FAILED, now_ms, told, terminal=False, retry_in_ms=retry_in_ms))
    told = Progress(error=error, error_code=error_code, tx_hash=order.tx_hash)
    return release(_step(ended, Event.GIVEN_UP, now_ms, told, terminal=True))


def cancel(order: Order, now_ms: int) -> Order:
    """Cancel what has not started. Raises IllegalTransition once it has."""
    return _step(order, Event.CANCELLED, now_ms)


def as_created(order: Order) -> Order:
    """A new order as it is stored first, its claims counted."""
    return replace(order, booked=order.claims)


def as_written(order: Order) -> Order:
    """The order as its next write stores it: the next revision, its claims counted."""
    return replace(order, revision=order.revision + 1, booked=order.claims)


def booked_before(order: Order) -> Claims:
    """What the counters hold for the order before its next write."""
    return Claims(open=1) if order.booked is None else order.booked


def _step(
    order: Order,
    event: Event,
    now_ms: int,
    told: Progress = Progress(),
    *,
    terminal: bool | None = None,
    retry_in_ms: int | None = None,
    queued_until_ms: int | None = None,
) -> Order:
    """The order after `event`, with a step in its history that tells `told`. Raises IllegalTransition."""
    state = LEGAL.get((order.state, event))
    if state is None:
        raise IllegalTransition(order.state, event)
    # History never runs backwards, whatever two machines' clocks say.
    at_ms = max(now_ms, order.updated_at_ms)
    progress: dict[str, Any] = {each.name: getattr(told, each.name) for each in fields(told)}
    step = HistoryStep(
        seq=order.last_seq + 1,
        status=STATUS_OF[state],
        at_ms=at_ms,
        retry_count=order.retry_count,
        terminal=terminal,
        retry_in_ms=retry_in_ms,
        queued_until_ms=queued_until_ms,
        **progress,
    )
    return replace(order, state=state, history=(*order.history, step))
