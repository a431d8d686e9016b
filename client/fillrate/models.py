"""What the service answers, typed. Amounts and prices are exact Decimals of whole tokens; times are aware datetimes.

The fields are those of the service's documents (schemas.py); what can be asked of an answer beside them stands here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from fillrate.model import Json, Model
from fillrate.schemas import (
    AcceptedFields,
    Balance,
    BalanceList,
    CancelledOrders,
    Fee,
    FillList,
    FillSum,
    HealthFields,
    Leftover,
    Leg,
    NoQuote,
    OrderFields,
    OrderFill,
    PoolFee,
    PoolName,
    PoolOffer,
    Quote,
    Status,
    StatusEventFields,
    StepFields,
    Ticket,
    Token,
    Trigger,
    TriggerKind,
)

__all__ = [
    "Accepted",
    "Balance",
    "BalanceList",
    "CancelledOrders",
    "Fee",
    "FillList",
    "FillSum",
    "Health",
    "Json",
    "Leftover",
    "Leg",
    "Model",
    "NoQuote",
    "Order",
    "OrderFill",
    "OrderPage",
    "PoolFee",
    "PoolName",
    "PoolOffer",
    "Quote",
    "Status",
    "StatusEvent",
    "Step",
    "Ticket",
    "Token",
    "Trigger",
    "TriggerKind",
]


class Step(StepFields):
    """One step of an order's life, with the fields that came to exist at it. `seq` counts from 1 without a gap."""

    @property
    def is_terminal(self) -> bool:
        """Nothing can follow. A failed attempt that another one follows is not the end."""
        return self.status in (Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED) or (
            self.status is Status.FAILED and self.terminal is not False
        )


class StatusEvent(Step, StatusEventFields):
    """A step as it is pushed, with the order that it belongs to."""

    type: Literal["status"] = "status"


class Accepted(AcceptedFields):
    """The answer to an order. `idempotency_key` is the one that it was sent with."""

    idempotency_key: str | None = None


class Order(OrderFields):
    """An order with its history; where it can be watched, if it was asked for by itself."""

    history: tuple[Step, ...]
    ws_url: str | None = None
    ws_path: str | None = None

    @property
    def is_terminal(self) -> bool:
        """The order has ended."""
        return bool(self.history) and self.history[-1].is_terminal

    @property
    def first_quoted_out(self) -> Decimal | None:
        """What the first attempt was quoted; `quoted_out` is what the last one was."""
        return next((step.quoted_out for step in self.history if step.quoted_out is not None), self.quoted_out)

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


class Health(HealthFields):
    """`status` is "ok" where a new order would trade now, or "unavailable"; `degraded` says why not, `checks` has each
    part's own word.
    """

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"
