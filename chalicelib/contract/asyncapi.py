"""The WebSocket API as an AsyncAPI 3.0 document, made of the models that messages are parsed with and told by.

Pure and free of state: `document` makes it anew. https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from chalicelib.contract import examples
from chalicelib.contract.json_schema import SCHEMAS, Json, schemas_of
from chalicelib.contract.requests import ClientMessage, QuotesEndMessage, QuotesMessage
from chalicelib.contract.response_models import model_named
from chalicelib.contract.version import VERSION

CHANNEL = "orders"


@dataclass(frozen=True, slots=True)
class _Message:
    """One kind of message. `by` is who sends it; `fixed` are the values that tell it from the others of its schema."""

    name: str
    by: Literal["client", "server"]
    summary: str
    schema: str
    fixed: Mapping[str, str]
    example: Json


_ORDER = {"orderId": examples.ORDER_ID}
_MESSAGES = (
    _Message(
        "subscribe",
        "client",
        "Watch an order of the connection's account.",
        "ClientMessage",
        {"action": "subscribe"},
        {"action": "subscribe", **_ORDER},
    ),
    _Message(
        "unsubscribe",
        "client",
        "Stop watching it.",
        "ClientMessage",
        {"action": "unsubscribe"},
        {"action": "unsubscribe", **_ORDER},
    ),
    _Message(
        "quotes",
        "client",
        "Be told what the best route pays for exactly so much, now and each time it changes, for ten minutes; said "
        "again within them it goes on, for the amount that it says then. A connection may stream 5 pairs, an account "
        "20.",
        "QuotesMessage",
        {},
        {"action": "quotes", **examples.QUOTE_WISH},
    ),
    _Message(
        "unsubscribeFromQuotes",
        "client",
        "Be told a pair's quotes no more.",
        "QuotesEndMessage",
        {},
        {"action": "unsubscribe", "tokenIn": "SOL", "tokenOut": "USDC"},
    ),
    _Message(
        "ping",
        "client",
        "Keep an idle connection open: the gateway ends it after 10 minutes.",
        "ClientMessage",
        {"action": "ping"},
        {"action": "ping"},
    ),
    _Message(
        "status",
        "server",
        "One step of an order's life, in the order of `seq`, without a gap.",
        "StatusMessage",
        {"type": "status"},
        {"type": "status", **_ORDER, **examples.SHOWN_ORDER["history"][0]},
    ),
    _Message(
        "subscribed",
        "server",
        "The order's history follows.",
        "SubscribedMessage",
        {},
        {"type": "subscribed", **_ORDER},
    ),
    _Message(
        "unsubscribed",
        "server",
        "Nothing more of it is told.",
        "UnsubscribedMessage",
        {},
        {"type": "unsubscribed", **_ORDER},
    ),
    _Message(
        "subscribedToQuotes",
        "server",
        "The pair's quote follows.",
        "QuotesBegunMessage",
        {},
        {"type": "subscribed", **examples.QUOTE_WISH, "slippage": "0.01", "expiresAt": "2025-10-09T09:03:20.000Z"},
    ),
    _Message(
        "unsubscribedFromQuotes",
        "server",
        "Nothing more of its quotes is told; one that was on its way may still come.",
        "QuotesEndedMessage",
        {},
        {"type": "unsubscribed", "tokenIn": "SOL", "tokenOut": "USDC"},
    ),
    _Message(
        "quote",
        "server",
        "A pair's quote, once it is another than the one before, at most once a second.",
        "QuoteMessage",
        {},
        {"type": "quote", **examples.QUOTE},
    ),
    _Message(
        "quoteError",
        "server",
        "Why there is no quote, told once. Quotes before are of no use; the next follows as soon as there is one.",
        "QuoteErrorMessage",
        {},
        {
            "type": "quote-error",
            **examples.QUOTE_WISH,
            "slippage": "0.01",
            "title": "Solana RPC unavailable",
            "status": 503,
            "detail": "no Solana node answers; the next is asked again in 1 s",
            "errorCode": "RPC_UNAVAILABLE",
        },
    ),
    _Message("pong", "server", "The answer to a ping.", "PongMessage", {}, {"type": "pong"}),
    _Message(
        "error",
        "server",
        "What is wrong with the client's message.",
        "ErrorMessage",
        {},
        {"type": "error", "title": "Not found", "status": 404, "detail": f"there is no order {examples.ORDER_ID}"},
    ),
)


def document(websocket_url: str) -> Json:
    """The whole document, for the WebSocket at `websocket_url` (ws:// or wss://)."""
    address = urlsplit(websocket_url)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fillrate",
            "version": VERSION,
            "description": "What becomes of orders, and what pairs pay, as it happens. The address, ticket included, "
            "is the `wsUrl` of `POST /orders/execute`, `GET /orders/{orderId}` or `POST /ws-tickets`; a ticket lets "
            "one connection in, within 60 s. A connection that doesn't take what it is sent is closed; subscribed to "
            "anew, an order is told from its beginning. Amounts are decimal strings in whole tokens; times are RFC "
            "3339 UTC.",
        },
        "servers": {"gateway": {"host": address.netloc, "protocol": address.scheme, "pathname": address.path}},
        "channels": {
            CHANNEL: {
                "address": "/",
                "messages": {one.name: {"$ref": f"#/components/messages/{one.name}"} for one in _MESSAGES},
                "bindings": {"ws": {"method": "GET", "query": _QUERY}},
            }
        },
        "operations": {
            "receive": _operation("send", "server", "What the server tells."),
            "send": _operation("receive", "client", "What a client may say."),
        },
        "components": {"messages": {one.name: _message(one) for one in _MESSAGES}, "schemas": _schemas()},
    }


_QUERY: Json = {
    "type": "object",
    "properties": {
        "orderId": {
            "type": "string",
            "description": "The one order that the connection is for: its whole history so far, then each change; "
            "the server closes when it has ended. Without it the ticket is for every change of all its orders.",
        },
        "ticket": {"type": "string", "description": "Not needed for the account `local` on the stage `local`."},
    },
}


def _operation(action: Literal["send", "receive"], by: str, summary: str) -> Json:
    """AsyncAPI tells operations from the server's side."""
    channel = f"#/channels/{CHANNEL}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "summary": summary,
        "messages": [{"$ref": f"{channel}/messages/{one.name}"} for one in _MESSAGES if one.by == by],
    }


def _message(message: _Message) -> Json:
    payload: Json = {"$ref": SCHEMAS + message.schema}
    if message.fixed:
        fixed = {name: {"const": value} for name, value in message.fixed.items()}
        payload = {"allOf": [payload, {"properties": fixed}]}
    return {
        "name": message.name,
        "summary": message.summary,
        "contentType": "application/json",
        "payload": payload,
        "examples": [{"payload": message.example}],
    }


def _schemas() -> Json:
    told = sorted({one.schema for one in _MESSAGES if one.by == "server"})
    return schemas_of(
        [
            ("ClientMessage", "validation", ClientMessage),
            ("QuotesMessage", "validation", QuotesMessage),
            ("QuotesEndMessage", "validation", QuotesEndMessage),
            *((name, "serialization", model_named(name)) for name in told),
        ]
    )
