"""The HTTP use cases: a parsed request in, a status and a JSON body out. Knows neither Chalice nor DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

from chalicelib.access.caller import Caller
from chalicelib.access.websocket_doors import WebSocketDoors
from chalicelib.amounts import SOL_DECIMALS, to_base_units, to_least_base_units, to_ppm
from chalicelib.contract.requests import (
    Json,
    OrderListRequest,
    OrderRequest,
    QuoteRequest,
    TicketRequest,
    fields_as_written,
    parse_body,
    parse_query,
    validate,
    validate_idempotency_key,
)
from chalicelib.contract.views import dry_run_json, order_json, quote_json, token_json
from chalicelib.orders.dry_run import DryRun
from chalicelib.orders.intake import Intake, NewOrder
from chalicelib.orders.order import Order, Token
from chalicelib.orders.pair import TokenDirectory, find_pair, find_token
from chalicelib.orders.ports import OrderFilter, Orders
from chalicelib.orders.quoting import SwapQuote
from chalicelib.orders.token_directory import TradedToken
from chalicelib.problems import ExecutionError
from chalicelib.times import time_text

Answer = tuple[int, Json]
AnswerWithHeaders = tuple[int, Json, Mapping[str, str]]
REPLAYED = "Idempotent-Replayed"


class TradedTokens(TokenDirectory, Protocol):
    def tokens(self) -> tuple[TradedToken, ...]:
        """Every traded token."""


class OrdersApi:
    """What an account can do with its orders."""

    def __init__(
        self, intake: Intake, store: Orders, tokens: TokenDirectory, doors: WebSocketDoors, dry_run: DryRun
    ) -> None:
        self._intake = intake
        self._dry_run = dry_run
        self._store = store
        self._tokens = tokens
        self._doors = doors

    def execute(self, caller: Caller, raw_body: bytes | str, headers: Mapping[str, str]) -> Answer | AnswerWithHeaders:
        """POST /orders/execute: 202 for a new order, 200 where the Idempotency-Key found it or it is a dry run."""
        body = parse_body(raw_body)
        fields = fields_as_written(body)
        if body.get("dryRun") is True:
            return self._try(caller, body, fields)
        given = headers.get("idempotency-key")
        key = None if given is None else validate_idempotency_key(given)
        self._doors.open()  # once the order is stored nothing may fail
        known = None if key is None else self._intake.repeated(caller.account, fields, key)
        if known is not None:
            return self._replayed(caller, known)
        asked = new_order_of(self._tokens, validate(OrderRequest, body), fields)
        submitted = self._intake.submit(caller.account, asked, key)
        if not submitted.created:
            return self._replayed(caller, submitted.order)
        order = submitted.order
        accepted = {
            "orderId": order.order_id,
            "status": order.status.value,
            **self._address(caller, order),
            "createdAt": time_text(order.created_at_ms),
        }
        return 202, accepted

    def _try(self, caller: Caller, body: Json, fields: dict[str, str]) -> Answer:
        request = validate(OrderRequest, body)
        try:
            asked = new_order_of(self._tokens, request, fields)
        except ExecutionError as error:
            return 200, dry_run_json(self._dry_run.unreadable(caller.account, error))
        return 200, dry_run_json(self._dry_run(caller.account, asked))

    def _replayed(self, caller: Caller, order: Order) -> AnswerWithHeaders:
        return *self._shown(caller, order), {REPLAYED: "true"}

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
        if request.client_order_id is not None:
            order = self._store.called(caller.account, request.client_order_id)
            found = [] if order is None or not keep.keeps(order) else [order_json(order)]
            return 200, {"orders": found, "nextCursor": None}
        page = self._store.page(caller.account, keep, request.limit, request.cursor)
        return 200, {"orders": [order_json(order) for order in page.orders], "nextCursor": page.next_cursor}

    def _shown(self, caller: Caller, order: Order) -> Answer:
        return 200, {**order_json(order), **self._address(caller, order)}

    def _address(self, caller: Caller, order: Order) -> Json:
        return self._doors.address(caller, order.order_id)[0]

    def _mint_filter(self, field: str, text: str | None) -> str | None:
        return None if text is None else find_token(self._tokens, field, text).mint


def new_order_of(tokens: TokenDirectory, request: OrderRequest, fields: dict[str, str] | None = None) -> NewOrder:
    """The order that a client asks for, its tokens found; `fields` are the body's, as written.

    Raises InvalidRequest naming each field that is wrong.
    """
    token_in, token_out, amount, slippage_ppm = _exactly(tokens, request)
    least, impact, fee = request.min_out, request.max_price_impact, request.max_network_fee
    return NewOrder(
        request.type,
        token_in,
        token_out,
        amount,
        slippage_ppm,
        min_out=None if least is None else to_least_base_units(least, token_out.decimals, "minOut"),
        expires_at_ms=request.expires_at,
        expires_by_default=request.expires_at is None,
        client_order_id=request.client_order_id,
        max_price_impact_ppm=None if impact is None else to_ppm(impact, "maxPriceImpact", Decimal(1)),
        max_network_fee=None if fee is None else to_base_units(fee, SOL_DECIMALS, "maxNetworkFee"),
        asked=fields,
    )


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
