"""The HTTP use cases: a parsed request in, a status and a JSON body out. Knows neither Chalice nor DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from chalicelib.access.caller import Caller
from chalicelib.access.websocket_doors import WebSocketDoors
from chalicelib.amounts import to_base_units, to_ppm
from chalicelib.contract.requests import (
    Json,
    OrderListRequest,
    OrderRequest,
    QuoteRequest,
    TicketRequest,
    parse_body,
    parse_query,
    validate,
    validate_idempotency_key,
)
from chalicelib.contract.views import order_json, quote_json, token_json
from chalicelib.orders.intake import Intake, NewOrder
from chalicelib.orders.order import Order, Token
from chalicelib.orders.pair import TokenDirectory, find_pair, find_token
from chalicelib.orders.ports import OrderFilter, Orders
from chalicelib.orders.quoting import SwapQuote
from chalicelib.orders.token_directory import TradedToken
from chalicelib.times import time_text

Answer = tuple[int, Json]


class TradedTokens(TokenDirectory, Protocol):
    def tokens(self) -> tuple[TradedToken, ...]:
        """Every traded token."""


class OrdersApi:
    """What an account can do with its orders."""

    def __init__(self, intake: Intake, store: Orders, tokens: TokenDirectory, doors: WebSocketDoors) -> None:
        self._intake = intake
        self._store = store
        self._tokens = tokens
        self._doors = doors

    def execute(self, caller: Caller, raw_body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """POST /orders/execute: 202 for a new order, 200 where the Idempotency-Key found it."""
        request = validate(OrderRequest, parse_body(raw_body))
        self._doors.open()  # once the order is stored nothing may fail
        asked = new_order_of(self._tokens, request)
        key = headers.get("idempotency-key")
        submitted = self._intake.submit(caller.account, asked, None if key is None else validate_idempotency_key(key))
        order = submitted.order
        body = {
            "orderId": order.order_id,
            "status": order.status.value,
            **self._address(caller, order),
            "createdAt": time_text(order.created_at_ms),
        }
        return (202 if submitted.created else 200), body

    def show(self, caller: Caller, order_id: str) -> Answer:
        """GET /orders/{orderId}."""
        return self._shown(caller, self._intake.find(caller.account, order_id))

    def cancel(self, caller: Caller, order_id: str) -> Answer:
        """DELETE /orders/{orderId}."""
        self._doors.open()
        return self._shown(caller, self._intake.cancel(caller.account, order_id))

    def list(self, caller: Caller, query: Mapping[str, str]) -> Answer:
        """GET /orders: newest first."""
        request = validate(OrderListRequest, parse_query(query))
        keep = OrderFilter(
            status=request.status,
            mint_in=self._mint_filter("tokenIn", request.token_in),
            mint_out=self._mint_filter("tokenOut", request.token_out),
        )
        page = self._store.page(caller.account, keep, request.limit, request.cursor)
        return 200, {"orders": [order_json(order) for order in page.orders], "nextCursor": page.next_cursor}

    def _shown(self, caller: Caller, order: Order) -> Answer:
        return 200, {**order_json(order), **self._address(caller, order)}

    def _address(self, caller: Caller, order: Order) -> Json:
        return self._doors.address(caller, order.order_id)[0]

    def _mint_filter(self, field: str, text: str | None) -> str | None:
        return None if text is None else find_token(self._tokens, field, text).mint


def new_order_of(tokens: TokenDirectory, request: OrderRequest) -> NewOrder:
    """The order that a client asks for, its tokens found. Raises InvalidRequest naming each field that is wrong."""
    return NewOrder(request.type, *_exactly(tokens, request))


def _exactly(tokens: TokenDirectory, request: QuoteRequest) -> tuple[Token, Token, int, int]:
    """The two tokens, the amount in base units, the slippage in millionths. Raises InvalidRequest."""
    token_in, token_out = find_pair(tokens, request.token_in, request.token_out)
    amount = to_base_units(request.amount, token_in.decimals, "amount")
    return token_in, token_out, amount, to_ppm(request.slippage, "slippage")


class TicketsApi:
    """Tickets for the WebSocket."""

    def __init__(self, intake: Intake, doors: WebSocketDoors) -> None:
        self._intake = intake
        self._doors = doors

    def issue(self, caller: Caller, raw_body: bytes | str) -> Answer:
        """POST /ws-tickets: for one order, or for all of the account's."""
        request = validate(TicketRequest, parse_body(raw_body or b"{}"))
        if request.order_id is not None:
            self._intake.find(caller.account, request.order_id)
        address, expires_at_ms = self._doors.address(caller, request.order_id)
        return 200, {**address, "expiresAt": time_text(expires_at_ms)}


class MarketApi:
    """What can be traded, and at what price. The same for every account, but not for nobody."""

    def __init__(self, tokens: TradedTokens, quote_pair: Callable[[Token, Token, int, int], SwapQuote]) -> None:
        self._tokens = tokens
        self._quote_pair = quote_pair

    def quotes(self, _caller: Caller, query: Mapping[str, str]) -> Answer:
        """GET /quotes."""
        request = validate(QuoteRequest, parse_query(query))
        return 200, quote_json(self._quote_pair(*_exactly(self._tokens, request)))

    def tokens(self, _caller: Caller) -> Answer:
        """GET /tokens: what the registered pools trade."""
        return 200, {"tokens": [token_json(token) for token in self._tokens.tokens()]}


class HealthApi:
    """Whether the parts that an order needs answer."""

    def __init__(self, checks: Mapping[str, Callable[[], object]], stage: str) -> None:
        self._checks = checks
        self._stage = stage

    def check(self) -> Answer:
        """GET /health: 200 where all is well, 503 where something isn't; each part's own word in `checks`."""
        outcomes = {name: _outcome(check) for name, check in self._checks.items()}
        healthy = all(outcome["ok"] for outcome in outcomes.values())
        body = {"status": "ok" if healthy else "unavailable", "stage": self._stage, "checks": outcomes}
        return (200 if healthy else 503), body


def _outcome(check: Callable[[], object]) -> Json:
    try:
        return {"ok": True, "value": check()}
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is what this tells
        return {"ok": False, "error": type(error).__name__}
