"""What an order is: its terms, what comes to exist on its way, and its history. How it changes is in life.py.

Amounts are integers of base units; times are milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from chalicelib.amounts import price_text
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
from chalicelib.orders.states import STATUS_OF, TERMINAL, State, Status
from chalicelib.risk.counters import Claims, NetworkFees, Notional
from chalicelib.solana.signed_transaction import SignedTransaction

OrderType = Literal["market", "limit", "stop", "oco"]


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

    def price_at(self, amount_out: int) -> Price:
        """The price of a whole `token_in` where its amount is paid so many base units of `token_out`."""
        return price_text(amount_out, self.token_out.decimals, self.amount, self.token_in.decimals)

    @property
    def attempt(self) -> int:
        """The number of the attempt that runs or comes next, from 1."""
        return self.retry_count + 1


def dex_names(route: Iterable[Leg]) -> str:
    """The venues of a route, each once, in its order: `raydium+meteora`."""
    return "+".join(dict.fromkeys(leg.dex for leg in route))
