"""An order and its life. Pure: what may follow what is the one table `LEGAL`; every change returns a new Order.

Amounts are integers of base units; times are milliseconds since the epoch, UTC, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from chalicelib.risk.counters import Claims, Notional

MAX_ATTEMPTS = 3
# An order is one item of at most 400 KB, and is sent whole: neither its story nor an error's text grows without end.
MAX_QUEUED_STEPS = 100
MAX_ERROR_LENGTH = 1_000


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
    pool: str
    share_ppm: int
    token_in: Token
    token_out: Token
    amount_in: int
    expected_out: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """Base units of a token between two hops that the first paid and the second didn't spend: they are the wallet's."""

    token: Token
    amount: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A signed transaction that may land until the block height passes `last_valid_block_height`."""

    signature: str
    wire: bytes
    blockhash: str
    last_valid_block_height: int


@dataclass(frozen=True, slots=True)
class Detail:
    """The fields that come to exist at a step. What a step doesn't know is None."""

    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: int | None = None
    min_out: int | None = None
    amount_out: int | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
    error: str | None = None
    error_code: str | None = None
    terminal: bool | None = None
    retry_in_ms: int | None = None
    queued_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the order's life, as it was pushed: `seq` counts from 1 without a gap."""

    seq: int
    status: Status
    at_ms: int
    retry_count: int
    detail: Detail = Detail()


@dataclass(frozen=True, slots=True)
class Lease:
    owner: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Order:
    """The order as it stands. `revision` counts the writes and guards each by the one before.

    `attempt_nonce` is random, so that nobody can foretell where the attempt under way keeps its wrapped SOL.
    `notional` is what it counts for on its day, since a route is chosen. `booked`: what the counters hold for it as it
    is stored; None for an order that was not loaded, for which they hold what they hold for a new one.
    """

    order_id: str
    account: str
    type: str
    token_in: Token
    token_out: Token
    amount: int
    slippage_ppm: int
    request_digest: str
    created_at_ms: int
    state: State = State.PENDING
    retry_count: int = 0
    history: tuple[Change, ...] = ()
    route: tuple[Leg, ...] | None = None
    quoted_out: int | None = None
    min_out: int | None = None
    amount_out: int | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
    error: str | None = None
    error_code: str | None = None
    submission: Submission | None = field(default=None, repr=False)
    past_signatures: tuple[str, ...] = ()
    start_at_ms: int = 0
    retry_at_ms: int = 0
    lease: Lease | None = None
    attempt_nonce: str | None = None
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
    def updated_at_ms(self) -> int:
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

    @property
    def dex_used(self) -> str | None:
        """The venues of the route, each once, in its order."""
        return "+".join(dict.fromkeys(leg.dex for leg in self.route)) if self.route else None


def place(order: Order, start_at_ms: int = 0) -> Order:
    """The first step of a new order: `pending`, told to whoever watches; and until when it must wait, if it must."""
    detail = Detail(queued_until_ms=start_at_ms) if start_at_ms > order.created_at_ms else Detail()
    change = Change(seq=1, status=Status.PENDING, at_ms=order.created_at_ms, retry_count=0, detail=detail)
    return replace(order, start_at_ms=start_at_ms, history=(change,))


def queue(order: Order, start_at_ms: int, now_ms: int) -> Order:
    """The order came too late for its slot and has another: it waits on, and says so, though not for ever."""
    waiting = replace(order, start_at_ms=start_at_ms)
    told = _step(waiting, Event.QUEUED, now_ms, Detail(queued_until_ms=start_at_ms))
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


def draw_nonce(order: Order, nonce: str) -> Order:
    """Give the attempt that starts now a nonce of its own. An attempt that is under way keeps the one that it has."""
    if order.attempt_nonce is not None and order.state in (State.ROUTING, State.BUILDING, State.SUBMITTED):
        return order
    return replace(order, attempt_nonce=nonce)


def start_attempt(order: Order, now_ms: int) -> Order:
    """Begin to route. A worker that takes over from a dead one finds `routing` or `building` and just goes on."""
    if order.state in (State.ROUTING, State.BUILDING):
        return order
    # what an earlier attempt chose and signed is its history, and no longer what the order stands by
    anew = replace(order, route=None, quoted_out=None, min_out=None, tx_hash=None)
    return _step(anew, Event.ATTEMPT_STARTED, now_ms, Detail())


def choose_route(order: Order, route: tuple[Leg, ...], quoted_out: int, min_out: int, now_ms: int) -> Order:
    """The route is chosen; `min_out` is the floor that the whole transaction guarantees, in base units."""
    chosen = replace(order, route=route, quoted_out=quoted_out, min_out=min_out)
    if order.state is State.BUILDING:  # real world possibility: the first builder died, the market has moved since
        return chosen
    detail = Detail(route=route, dex_used=chosen.dex_used, quoted_out=chosen.quoted_out, min_out=min_out)
    return _step(chosen, Event.ROUTE_CHOSEN, now_ms, detail)


def reserve(order: Order, notional: Notional | None) -> Order:
    """Count the order for so much on that day, in place of what it counted for before; None: its value is unknown."""
    return replace(order, notional=notional)


def sign(order: Order, submission: Submission, now_ms: int) -> Order:
    """The transaction is signed. This must be stored before the transaction is sent."""
    signed = replace(order, submission=submission, tx_hash=submission.signature)
    detail = Detail(
        route=order.route,
        dex_used=order.dex_used,
        quoted_out=order.quoted_out,
        min_out=order.min_out,
        tx_hash=submission.signature,
    )
    return _step(signed, Event.SIGNED, now_ms, detail)


def fill(order: Order, amount_out: int, now_ms: int, leftover: tuple[Leftover, ...] = ()) -> Order:
    """The transaction landed and paid `amount_out` base units of the output token, and left something between hops."""
    left = leftover or None
    filled = replace(order, amount_out=amount_out, leftover=left, error=None, error_code=None, submission=None)
    detail = Detail(dex_used=order.dex_used, amount_out=amount_out, leftover=left, tx_hash=order.tx_hash)
    return release(_step(filled, Event.FILLED, now_ms, detail))


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
        detail = Detail(error=error, error_code=error_code, terminal=False, retry_in_ms=retry_in_ms)
        waiting = replace(ended, retry_at_ms=now_ms + retry_in_ms)
        return release(_step(waiting, Event.ATTEMPT_FAILED, now_ms, detail))
    detail = Detail(error=error, error_code=error_code, terminal=True, tx_hash=order.tx_hash)
    return release(_step(ended, Event.GIVEN_UP, now_ms, detail))


def cancel(order: Order, now_ms: int) -> Order:
    """Cancel what has not started. Raises IllegalTransition once it has."""
    return _step(order, Event.CANCELLED, now_ms, Detail())


def as_created(order: Order) -> Order:
    """A new order as it is stored first, its claims counted."""
    return replace(order, booked=order.claims)


def as_written(order: Order) -> Order:
    """The order as its next write stores it: the next revision, its claims counted."""
    return replace(order, revision=order.revision + 1, booked=order.claims)


def booked_before(order: Order) -> Claims:
    """What the counters hold for the order before its next write."""
    return Claims(open=1) if order.booked is None else order.booked


def _step(order: Order, event: Event, now_ms: int, detail: Detail) -> Order:
    state = LEGAL.get((order.state, event))
    if state is None:
        raise IllegalTransition(order.state, event)
    # History never runs backwards, whatever two machines' clocks say.
    at_ms = max(now_ms, order.updated_at_ms)
    change = Change(order.last_seq + 1, STATUS_OF[state], at_ms, order.retry_count, detail)
    return replace(order, state=state, history=(*order.history, change))
