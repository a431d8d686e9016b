"""The HTTP use cases: a parsed request in, a status and a JSON body out. Knows neither Chalice nor DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote, urlsplit

from chalicelib.orders.intake import Intake
from chalicelib.orders.order import Order, Token
from chalicelib.orders.pair import TokenDirectory, find_pair, find_token
from chalicelib.orders.store import OrderFilter, OrderStore
from chalicelib.wire import (
    Json,
    OrderListRequest,
    OrderRequest,
    QuoteRequest,
    order_json,
    parse_body,
    parse_query,
    time_text,
    to_base_units,
    to_ppm,
    validate,
)

Answer = tuple[int, Json]
Quoter = Callable[[Token, Token, int, int], Json]


class TradedTokens(TokenDirectory, Protocol):
    def listing(self) -> list[Json]:
        """Every traded token as GET /tokens shows it."""


class OrdersApi:
    """What an account can do with its orders."""

    def __init__(self, intake: Intake, store: OrderStore, tokens: TokenDirectory, websocket_url: str) -> None:
        self._intake = intake
        self._store = store
        self._tokens = tokens
        self._websocket_url = websocket_url

    def execute(self, account: str, raw_body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """POST /orders/execute: 202 for a new order, 200 where the Idempotency-Key found it."""
        request = validate(OrderRequest, parse_body(raw_body))
        submitted = self._intake.submit(account, request, headers.get("idempotency-key"))
        order = submitted.order
        body = {
            "orderId": order.order_id,
            "status": order.status.value,
            **self._websocket(order),
            "createdAt": time_text(order.created_at_ms),
        }
        return (202 if submitted.created else 200), body

    def show(self, account: str, order_id: str) -> Answer:
        """GET /orders/{orderId}."""
        return self._shown(self._intake.find(account, order_id))

    def cancel(self, account: str, order_id: str) -> Answer:
        """DELETE /orders/{orderId}."""
        return self._shown(self._intake.cancel(account, order_id))

    def list(self, account: str, query: Mapping[str, str]) -> Answer:
        """GET /orders: newest first."""
        request = validate(OrderListRequest, parse_query(query))
        keep = OrderFilter(
            status=request.status,
            mint_in=self._mint_filter("tokenIn", request.token_in),
            mint_out=self._mint_filter("tokenOut", request.token_out),
        )
        page = self._store.page(account, keep, request.limit, request.cursor)
        return 200, {"orders": [order_json(order) for order in page.orders], "nextCursor": page.next_cursor}

    def _shown(self, order: Order) -> Answer:
        return 200, {**order_json(order), **self._websocket(order)}

    def _websocket(self, order: Order) -> Json:
        url = f"{self._websocket_url}?orderId={quote(order.order_id)}"
        parts = urlsplit(url)
        return {"wsPath": f"{parts.path}?{parts.query}", "wsUrl": url}

    def _mint_filter(self, field: str, text: str | None) -> str | None:
        return None if text is None else find_token(self._tokens, field, text).mint


class MarketApi:
    """What can be traded, and at what price. The same for every account, but not for nobody."""

    def __init__(self, tokens: TradedTokens, quote_pair: Quoter) -> None:
        self._tokens = tokens
        self._quote_pair = quote_pair

    def quotes(self, _account: str, query: Mapping[str, str]) -> Answer:
        """GET /quotes."""
        request = validate(QuoteRequest, parse_query(query))
        token_in, token_out = find_pair(self._tokens, request.token_in, request.token_out)
        amount = to_base_units(request.amount, token_in.decimals, "amount")
        return 200, self._quote_pair(token_in, token_out, amount, to_ppm(request.slippage, "slippage"))

    def tokens(self, _account: str) -> Answer:
        """GET /tokens: what the registered pools trade."""
        return 200, {"tokens": self._tokens.listing()}


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
