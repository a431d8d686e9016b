"""What the service's answers hold, field by field.

Made by `make models` from the service's own documents; not edited by hand.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from fillrate.model import Amount, Json, Model, Time


class Balance(Model):
    """What the wallet holds of a traded token. `free`: of SOL, what the wallet's own rent doesn't take. `value` is in
    the reference currency (USDC), where the pools tell one, by the dearer half of their mid prices.
    """

    token: str
    mint: str
    amount: Amount
    free: Amount | None = None
    value: Amount | None = None


class FillSum(Model):
    """What the fills of this answer come to, for each pair and direction."""

    mint_in: str
    mint_out: str
    amount_in: Amount
    amount_out: Amount
    count: int


class OrderFill(Model):
    """An order that was filled. `networkFee`: SOL for its transaction, without those that failed before. `vsQuoteBps`
    is how much more was received than first quoted, and `vsFloorBps` than the least that was asked for, in basis
    points of it, to 18 digits; null where that isn't known.
    """

    order_id: str
    at: Time
    token_in: str
    mint_in: str
    token_out: str
    mint_out: str
    amount_in: Amount
    amount_out: Amount
    price: Amount
    route: tuple[Leg, ...]
    pool_fees: tuple[PoolFee, ...]
    network_fee: Amount
    vs_quote_bps: Amount | None
    vs_floor_bps: Amount | None
    tx_hash: str


class PoolFee(Model):
    """What the pools of a fill's route kept of one token, as it was quoted last before it was signed."""

    mint: str
    amount: Amount


class TokenRisk(Model):
    """What somebody may still do to the token's holders, as its mint says."""

    risk: str
    meaning: str


class Trigger(Model):
    """What set off an order that waited: a unit's price, for the whole amount on the best route, seen in that slot."""

    kind: TriggerKind
    price: Amount
    slot: int
    at: Time


class TriggerKind(StrEnum):
    LIMIT = "limit"
    STOP = "stop"


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


class Leg(Model):
    """One pool's part in a route; `share` is its part of all that goes into its `tokenOut`."""

    dex: str
    pool: str
    share: Amount
    token_in: str
    token_out: str
    amount_in: Amount
    expected_out: Amount
    program: str | None = None
    fee: Amount | None = None
    fee_token: str | None = None


class Leftover(Model):
    """What the first of two hops paid and the second didn't spend; it stays in the wallet."""

    token: str
    amount: Amount


class StepFields(Model):
    """One step of an order's life; `seq` counts from 1 without a gap."""

    seq: int
    status: Status
    at: Time
    retry_count: int = 0
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    trailing: Amount | None = None
    trigger: Trigger | None = None
    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: Amount | None = None
    min_out: Amount | None = None
    amount_out: Amount | None = None
    executed_price: Amount | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
    slot_delta: int | None = None
    error: str | None = None
    error_code: str | None = None
    terminal: bool | None = None
    retry_in_ms: int | None = None
    queued_until: Time | None = None


class StatusEventFields(Model):
    """One step of an order's life, told over the WebSocket: first all there were, then each as it happens."""

    seq: int
    status: Status
    at: Time
    type: str
    order_id: str
    retry_count: int = 0
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    trailing: Amount | None = None
    trigger: Trigger | None = None
    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: Amount | None = None
    min_out: Amount | None = None
    amount_out: Amount | None = None
    executed_price: Amount | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
    slot_delta: int | None = None
    error: str | None = None
    error_code: str | None = None
    terminal: bool | None = None
    retry_in_ms: int | None = None
    queued_until: Time | None = None


class OrderFields(Model):
    """An order with its history."""

    order_id: str
    type: str
    token_in: str
    token_out: str
    mint_in: str
    mint_out: str
    amount: Amount
    slippage: Amount
    network_fees: Amount
    status: Status
    retry_count: int
    created_at: Time
    updated_at: Time
    history: tuple[StepFields, ...]
    wallet: str | None = None
    max_price_impact: Amount | None = None
    max_network_fee: Amount | None = None
    max_tries: int | None = None
    expires_at: Time | None = None
    client_order_id: str | None = None
    redrive_of: str | None = None
    redriven_as: str | None = None
    last_looked_at: Time | None = None
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    trailing: Amount | None = None
    trigger: Trigger | None = None
    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: Amount | None = None
    min_out: Amount | None = None
    amount_out: Amount | None = None
    executed_price: Amount | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
    slot_delta: int | None = None
    error: str | None = None
    error_code: str | None = None
    quotes: tuple[PoolOffer, ...] | None = None
    explorer_url: str | None = None


class AcceptedFields(Model):
    """An order was taken; `wsUrl` tells what becomes of it. Where there is no WebSocket, GET /orders/{orderId} does."""

    order_id: str
    status: Status
    created_at: Time
    ws_path: str | None = None
    ws_url: str | None = None
    warnings: tuple[str, ...] | None = None


class PoolName(Model):
    """A pool, by its exchange, its program and its address."""

    dex: str
    program: str
    pool: str


class PoolOffer(Model):
    """What one pool would pay for the whole amount, or in `error` why it doesn't."""

    dex: str
    pool: str
    program: str | None = None
    amount_out: Amount | None = None
    price: Amount | None = None
    price_impact: Amount | None = None
    fee: Amount | None = None
    fee_token: str | None = None
    error: str | None = None
    error_code: str | None = None


class Fee(Model):
    """Trading fees of a route, summed by the token that they are taken in."""

    token: str
    amount: Amount


class Quote(Model):
    """The best route and every pool's own offer, all as of one `slot` of the chain.  `slotLag` is how many slots newer
    the chain was known to be when it was read, `ageMs` how old what was read is. `notLookedAt` are registered pools
    of the pair and of the hops over third tokens that weren't read: there are deeper ones, at most 24 a hop take
    part, and what is read for a plan has an end.
    """

    token_in: str
    token_out: str
    amount: Amount
    slippage: Amount
    slot_lag: int
    amount_out: Amount
    min_out: Amount
    price: Amount
    slot: int | None = None
    at: Time | None = None
    age_ms: int | None = None
    price_impact: Amount | None = None
    route: tuple[Leg, ...] = ()
    fees: tuple[Fee, ...] = ()
    quotes: tuple[PoolOffer, ...] = ()
    not_looked_at: tuple[PoolName, ...] | None = None


class NoQuote(Model):
    """There is no quote now, and why; the ones before are of no use. A quote follows as soon as there is one again."""

    detail: str
    error_code: str
    type: str | None = None
    token_in: str | None = None
    token_out: str | None = None
    amount: Amount | None = None
    slippage: Amount | None = None
    title: str | None = None
    status: int | None = None


class Token(Model):
    """A token that can be traded; `symbol` is null where it has none of its own.  `name` is what its maker calls it,
    whatever that is, unless the token is `verified`: then its mint is known to be the token that symbol and name
    say.  `scaledUi` is there, and true, where wallets show the token's amounts multiplied (ScaledUiAmount, interest-
    bearing). Fillrate's amounts never are: one whole token is 10^decimals base units, of this token too.
    """

    symbol: str | None
    mint: str
    decimals: int
    token_program: str | None = None
    name: str | None = None
    verified: bool | None = None
    risks: tuple[TokenRisk, ...] | None = None
    scaled_ui: bool | None = None


class HealthFields(Model):
    """Whether a new order would trade now: `ok` where it would, and else `degraded` says why not.  Each reason begins
    with its kind: `halted`, `overdue`, `queue`, `no node`, `no pools`, `orders`, `halt`.
    """

    status: str
    stage: str | None = None
    degraded: tuple[str, ...] = ()
    checks: Json = Field(default_factory=dict)


class Ticket(Model):
    """An address that lets one WebSocket connection in, until `expiresAt`."""

    ws_url: str
    ws_path: str | None = None
    expires_at: Time | None = None


class CancelledOrders(Model):
    """How many orders were cancelled, which were signed or had ended first, and whether the same call finds more."""

    cancelled: int
    too_late: tuple[str, ...]
    more: bool


class FillList(Model):
    """A page of fills, the latest first, and its sums; `nextCursor` asks for the next one, and is null on the last."""

    fills: tuple[OrderFill, ...]
    sums: tuple[FillSum, ...]
    next_cursor: str | None


class BalanceList(Model):
    """The wallet's balances of every traded token, as of one `slot` of the chain or a later one."""

    wallet: str
    slot: int
    balances: tuple[Balance, ...]
