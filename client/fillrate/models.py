"""What the service answers, typed. Amounts and prices are exact Decimals of whole tokens; times are aware datetimes.

Fields that a newer service adds are kept, and `to_json` gives them back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


def _plain(number: Decimal) -> str:
    return f"{number:f}"  # str() would write 0.0000001 as 1E-7


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Amount = Annotated[Decimal, PlainSerializer(_plain, return_type=str, when_used="json")]
Time = Annotated[datetime, PlainSerializer(_time_text, return_type=str, when_used="json")]


class Status(StrEnum):
    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="allow")

    def to_json(self) -> Json:
        """The service's own JSON: camelCase names, decimal strings, RFC 3339 times."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Leg(Model):
    """One pool's part in a route; `share` is its part, as a fraction, of all that goes into its output token."""

    dex: str
    pool: str
    share: Amount
    token_in: str
    token_out: str
    amount_in: Amount
    expected_out: Amount


class Outcome(Model):
    """What comes to exist on an order's way; None until then."""

    route: tuple[Leg, ...] | None = None
    dex_used: str | None = None
    quoted_out: Amount | None = None
    min_out: Amount | None = None
    amount_out: Amount | None = None
    executed_price: Amount | None = None
    tx_hash: str | None = None
    error: str | None = None
    error_code: str | None = None


class Step(Outcome):
    """One step of an order's life, with the fields that came to exist at it. `seq` counts from 1 without a gap."""

    seq: int
    status: Status
    at: Time
    retry_count: int = 0
    terminal: bool | None = None
    retry_in_ms: int | None = None
    queued_until: Time | None = None

    @property
    def is_terminal(self) -> bool:
        """Nothing can follow. A failed attempt that another one follows is not the end."""
        return self.status in (Status.CONFIRMED, Status.CANCELLED) or (
            self.status is Status.FAILED and self.terminal is not False
        )


class StatusEvent(Step):
    """A step as it is pushed, with the order that it belongs to."""

    type: Literal["status"] = "status"
    order_id: str


class Accepted(Model):
    """The answer to an order. `idempotency_key` is the one that it was sent with."""

    order_id: str
    status: Status
    created_at: Time
    ws_url: str | None = None
    idempotency_key: str | None = None


class Order(Outcome):
    order_id: str
    type: str
    token_in: str
    token_out: str
    amount: Amount
    slippage: Amount
    status: Status
    retry_count: int
    created_at: Time
    updated_at: Time
    history: tuple[Step, ...]
    ws_url: str | None = None

    @property
    def is_terminal(self) -> bool:
        """The order has ended."""
        return bool(self.history) and self.history[-1].is_terminal

    def events(self, after_seq: int = 0) -> list[StatusEvent]:
        """The history as the events that were pushed, those after `after_seq`."""
        return [
            StatusEvent.model_validate({"type": "status", "orderId": self.order_id, **step.to_json()})
            for step in self.history
            if step.seq > after_seq
        ]


class OrderPage(Model):
    """Newest first; `next_cursor` is None at the end."""

    orders: tuple[Order, ...]
    next_cursor: str | None = None


class PoolQuote(Model):
    """What one pool alone would pay, or why it would not."""

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
    token: str
    amount: Amount


class Quote(Model):
    """What `amount` of `token_in` would get now: the best route, and every pool for itself, best first."""

    token_in: str
    token_out: str
    amount: Amount
    slippage: Amount
    amount_out: Amount
    min_out: Amount
    price: Amount
    price_impact: Amount | None = None
    slot: int | None = None
    slot_lag: int | None = None
    at: Time | None = None
    age_ms: int | None = None
    route: tuple[Leg, ...] = ()
    fees: tuple[Fee, ...] = ()
    quotes: tuple[PoolQuote, ...] = ()


class Token(Model):
    """`symbol` is None where the mint has none that is its own."""

    symbol: str | None
    mint: str
    decimals: int
    token_program: str | None = None


class Health(Model):
    """`status` is "ok" or "unavailable"; `checks` has each part's own word."""

    status: str
    stage: str | None = None
    checks: Json = {}

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"


class Ticket(Model):
    """A WebSocket address that may be used once, until `expires_at`."""

    ws_url: str
    expires_at: Time | None = None
