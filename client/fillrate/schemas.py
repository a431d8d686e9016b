"""What the service's answers hold, field by field.

Made by `make models` from the service's own documents; not edited by hand.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from fillrate.model import Amount, Json, Model, Time


class Status(StrEnum):
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
    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: Amount | None = None
    min_out: Amount | None = None
    amount_out: Amount | None = None
    executed_price: Amount | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
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
    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: Amount | None = None
    min_out: Amount | None = None
    amount_out: Amount | None = None
    executed_price: Amount | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
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
    max_price_impact: Amount | None = None
    max_network_fee: Amount | None = None
    expires_at: Time | None = None
    client_order_id: str | None = None
    redrive_of: str | None = None
    redriven_as: str | None = None
    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: Amount | None = None
    min_out: Amount | None = None
    amount_out: Amount | None = None
    executed_price: Amount | None = None
    leftover: tuple[Leftover, ...] | None = None
    tx_hash: str | None = None
    error: str | None = None
    error_code: str | None = None
    quotes: tuple[PoolOffer, ...] | None = None


class AcceptedFields(Model):
    """An order was taken; `wsUrl` tells what becomes of it."""

    order_id: str
    status: Status
    created_at: Time
    ws_path: str | None = None
    ws_url: str | None = None


class PoolOffer(Model):
    """What one pool would pay for the whole amount, or in `error` why it doesn't."""

    dex: str
    pool: str
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
    the chain was known to be when it was read, `ageMs` how old what was read is.
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


class Token(Model):
    """A token that can be traded; `symbol` is null where it has none of its own.  `scaledUi` is there, and true, where
    wallets show the token's amounts multiplied (ScaledUiAmount, interest-bearing). Fillrate's amounts never are: one
    whole token is 10^decimals base units, of this token too.
    """

    symbol: str | None
    mint: str
    decimals: int
    token_program: str | None = None
    scaled_ui: bool | None = None


class HealthFields(Model):
    """Whether the parts that an order needs answer."""

    status: str
    stage: str | None = None
    checks: Json = Field(default_factory=dict)


class Ticket(Model):
    """An address that lets one WebSocket connection in, until `expiresAt`."""

    ws_url: str
    ws_path: str | None = None
    expires_at: Time | None = None
