"""The HTTP use cases: a parsed request in, a status and a JSON body out. Knows neither Chalice nor DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from chalicelib.access.caller import Caller
from chalicelib.access.websocket_doors import WebSocketDoors
from chalicelib.amounts import SOL_DECIMALS, to_base_units, to_least_base_units, to_ppm, to_price
from chalicelib.contract.account_views import cancelled_orders_json
from chalicelib.contract.requests import (
    MAX_PROBLEMS,
    Json,
    MassCancelRequest,
    OrderChangeRequest,
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
from chalicelib.contract.token_views import token_json
from chalicelib.contract.views import dry_run_json, order_json, quote_json
from chalicelib.explorer import transaction_url
from chalicelib.http.order_terms import read_trailing, wrong_for_type
from chalicelib.http.wrong_fields import (
    MOST_PRICE_IMPACT,
    Problems,
    read_whole,
    wrong_change_fields,
    wrong_tokens,
    wrong_trade_fields,
)
from chalicelib.orders.changing import OrderChanges
from chalicelib.orders.dry_run import DryRun
from chalicelib.orders.intake import Intake, NewOrder
from chalicelib.orders.mass_cancel import MassCancel
from chalicelib.orders.order import Order, Token
from chalicelib.orders.order_changer import OrderChanger
from chalicelib.orders.overselling import Overselling
from chalicelib.orders.pair import TokenDirectory, find_pair, find_token
from chalicelib.orders.ports import OrderFilter, Orders
from chalicelib.orders.quoting import SwapQuote
from chalicelib.orders.token_directory import TradedToken
from chalicelib.problems import ExecutionError, InvalidRequest
from chalicelib.times import time_text
from chalicelib.waiting.looks_told import LooksTold

Answer = tuple[int, Json]
AnswerWithHeaders = tuple[int, Json, Mapping[str, str]]
REPLAYED = "Idempotent-Replayed"


class TradedTokens(TokenDirectory, Protocol):
    def tokens(self) -> tuple[TradedToken, ...]:
        """Every traded token."""


class OrdersApi:
    """What an account can do with its orders."""

    def __init__(
        self,
        intake: Intake,
        store: Orders,
        tokens: TokenDirectory,
        doors: WebSocketDoors,
        dry_run: DryRun,
        mass_cancel: MassCancel,
        changer: OrderChanger,
        overselling: Overselling,
        looks: LooksTold,
        explorer_url: str | None = None,
    ) -> None:
        """`explorer_url`: the cluster's explorer, see explorer.py."""
        self._explorer_url = explorer_url
        self._intake = intake
        self._dry_run = dry_run
        self._mass_cancel = mass_cancel
        self._changer = changer
        self._overselling = overselling
        self._looks = looks
        self._store = store
        self._tokens = tokens
        self._doors = doors

    def execute(self, caller: Caller, raw_body: bytes | str, headers: Mapping[str, str]) -> Answer | AnswerWithHeaders:
        """POST /orders/execute: 202 for a new order, 200 where the Idempotency-Key found it or it is a dry run."""
        body = parse_body(raw_body)
        fields = fields_as_written(body)
        if body.get("dryRun") is True:
            return self._try(caller, body, fields)
        key = self._idempotency_key(headers.get("idempotency-key"), body)
        self._doors.open()  # once the order is stored nothing may fail
        known = None if key is None else self._intake.repeated(caller.account, fields, key)
        if known is not None:
            return self._replayed(caller, known)
        asked = new_order_of(self._tokens, self._read(body), fields)
        submitted = self._intake.submit(caller.account, replace(asked, key_id=caller.key_id), key, looked_up=True)
        if not submitted.created:
            return self._replayed(caller, submitted.order)
        order = submitted.order
        accepted = {
            "orderId": order.order_id,
            "status": order.status.value,
            **self._address(caller, order),
            "createdAt": time_text(order.created_at_ms),
        }
        warnings = self._overselling.of_placed(order) if order.waits_for_price else ()
        return 202, {**accepted, **({"warnings": list(warnings)} if warnings else {})}

    def _try(self, caller: Caller, body: Json, fields: dict[str, str]) -> Answer:
        try:
            asked = new_order_of(self._tokens, self._read(body), fields)
        except ExecutionError as error:
            return 200, dry_run_json(self._dry_run.unreadable(caller.account, error))
        return 200, dry_run_json(self._dry_run(caller.account, asked))

    def _idempotency_key(self, given: str | None, body: Json) -> str | None:
        """Raises InvalidRequest, naming what is wrong with the body too."""
        try:
            return None if given is None else validate_idempotency_key(given)
        except InvalidRequest as wrong_key:
            try:
                self._read(body)
            except ExecutionError:
                raise wrong_key from None
            except InvalidRequest as wrong:
                raise InvalidRequest((*wrong_key.problems, *wrong.problems)[:MAX_PROBLEMS]) from None
            raise

    def _read(self, body: Json) -> OrderRequest:
        """Raises InvalidRequest naming every wrong field, ExecutionError where no node tells which tokens there are."""

        def wrong(request: OrderRequest) -> Problems:
            of_type = wrong_for_type(request.type, body) if request.type else ()
            also = (*self._intake.wrong_deadline(request.expires_at), *of_type)
            return wrong_trade_fields(self._tokens, request, also)

        return read_whole(OrderRequest, body, wrong)

    def _replayed(self, caller: Caller, order: Order) -> AnswerWithHeaders:
        return *self._shown(caller, order), {REPLAYED: "true"}

    def show(self, caller: Caller, order_id: str) -> Answer:
        """GET /orders/{orderId}."""
        return self._shown(caller, self._intake.find(caller.account, order_id))

    def cancel(self, caller: Caller, order_id: str) -> Answer:
        """DELETE /orders/{orderId}."""
        self._doors.open()
        return self._shown(caller, self._intake.cancel(caller.account, order_id))

    def cancel_many(self, caller: Caller, query: Mapping[str, str]) -> Answer:
        """DELETE /orders: at most 200 at once."""
        request = validate(MassCancelRequest, parse_query(query))
        return 200, cancelled_orders_json(self._mass_cancel(caller.account, waiting_alone=request.status == "open"))

    def change(self, caller: Caller, order_id: str, raw_body: bytes | str) -> Answer:
        """PATCH /orders/{orderId}."""
        self._doors.open()
        order = self._intake.find(caller.account, order_id)
        body = parse_body(raw_body)

        def wrong(request: OrderChangeRequest) -> Problems:
            return wrong_change_fields(order, body, request, self._intake.wrong_deadline(request.expires_at))

        request = read_whole(OrderChangeRequest, body, wrong)
        changes = changes_of(order, request, removes_min_out="minOut" in body and request.min_out is None)
        return self._shown(caller, self._changer.change(caller.account, order_id, changes, force=request.force))

    def list(self, caller: Caller, query: Mapping[str, str]) -> Answer:
        """GET /orders: newest first."""
        request = read_whole(OrderListRequest, parse_query(query), lambda asked: wrong_tokens(self._tokens, asked))
        keep = OrderFilter(
            status=request.status,
            mint_in=self._mint_filter("tokenIn", request.token_in),
            mint_out=self._mint_filter("tokenOut", request.token_out),
            from_ms=request.from_,
            to_ms=request.to,
        )
        if request.client_order_id is not None:
            order = self._store.called(caller.account, request.client_order_id)
            found = [] if order is None or not keep.keeps(order) else [self._told(order)]
            return 200, {"orders": found, "nextCursor": None}
        page = self._store.page(caller.account, keep, request.limit, request.cursor)
        return 200, {"orders": [self._told(order) for order in page.orders], "nextCursor": page.next_cursor}

    def _shown(self, caller: Caller, order: Order) -> Answer:
        return 200, {**self._told(order), **self._address(caller, order)}

    def _told(self, order: Order) -> Json:
        url, told = transaction_url(self._explorer_url, order.tx_hash), order_json(self._looks(order))
        return told if url is None else {**told, "explorerUrl": url}

    def _address(self, caller: Caller, order: Order) -> Json:
        return self._doors.of_order(caller, order.order_id)

    def _mint_filter(self, field: str, text: str | None) -> str | None:
        return None if text is None else find_token(self._tokens, field, text).mint


def new_order_of(tokens: TokenDirectory, request: OrderRequest, fields: dict[str, str] | None = None) -> NewOrder:
    """The order that a client asks for, its tokens found; `fields` are the body's, as written.

    Raises InvalidRequest naming each field that is wrong.
    """
    wrong = tuple(wrong_trade_fields(tokens, request))
    if wrong:
        raise InvalidRequest(wrong)
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
        max_price_impact_ppm=None if impact is None else to_ppm(impact, "maxPriceImpact", MOST_PRICE_IMPACT),
        max_network_fee=None if fee is None else to_base_units(fee, SOL_DECIMALS, "maxNetworkFee"),
        asked=fields,
        limit_price=None if request.limit_price is None else to_price(request.limit_price, "limitPrice"),
        stop_price=None if request.stop_price is None else to_price(request.stop_price, "stopPrice"),
        trailing_ppm=None if request.trailing is None else read_trailing(request.trailing),
        max_tries=request.max_tries,
        force=request.force,
    )


def changes_of(order: Order, request: OrderChangeRequest, *, removes_min_out: bool) -> OrderChanges:
    """What a client wants changed of the order, in its tokens' units. Raises InvalidRequest."""
    least, slippage = request.min_out, request.slippage
    return OrderChanges(
        limit_price=None if request.limit_price is None else to_price(request.limit_price, "limitPrice"),
        stop_price=None if request.stop_price is None else to_price(request.stop_price, "stopPrice"),
        trailing_ppm=None if request.trailing is None else read_trailing(request.trailing),
        slippage_ppm=None if slippage is None else to_ppm(slippage, "slippage"),
        expires_at_ms=request.expires_at,
        min_out=None if least is None else to_least_base_units(least, order.token_out.decimals, "minOut"),
        removes_min_out=removes_min_out,
    )


def quote_asked(
    tokens: TokenDirectory, model: type[QuoteRequest], content: Mapping[str, object]
) -> tuple[Token, Token, int, int]:
    """What a request for a quote asks for: two tokens, an amount in base units, a slippage in millionths.

    Raises InvalidRequest naming every wrong field, ExecutionError where no node tells which tokens there are.
    """
    request = read_whole(model, content, lambda asked: wrong_trade_fields(tokens, asked))
    return _exactly(tokens, request)


def _exactly(tokens: TokenDirectory, request: QuoteRequest) -> tuple[Token, Token, int, int]:
    """The two tokens, the amount in base units, the slippage in millionths. Raises InvalidRequest."""
    token_in, token_out = find_pair(tokens, request.token_in, request.token_out)
    amount = to_base_units(request.amount, token_in.decimals, "amount")
    return token_in, token_out, amount, to_ppm(request.slippage, "slippage")


class TicketsApi:
    """Tickets for the WebSocket."""

    def __init__(self, intake: Intake, doors: WebSocketDoors, check_room: Callable[[str, str | None], None]) -> None:
        """`check_room` raises TooManyConnections where an account, or its key of that name, may open no more."""
        self._intake = intake
        self._doors = doors
        self._check_room = check_room

    def issue(self, caller: Caller, raw_body: bytes | str) -> Answer:
        """POST /ws-tickets: for one order, or for all of the account's."""
        request = validate(TicketRequest, parse_body(raw_body or b"{}"))
        if request.order_id is not None:
            self._intake.find(caller.account, request.order_id)
        self._check_room(caller.account, caller.key_id)
        address, expires_at_ms = self._doors.address(caller, request.order_id)
        return 200, {**address, "expiresAt": time_text(expires_at_ms)}


class MarketApi:
    """What can be traded, and at what price. The same for every account, but not for nobody."""

    def __init__(self, tokens: TradedTokens, quote_pair: Callable[[Token, Token, int, int], SwapQuote]) -> None:
        self._tokens = tokens
        self._quote_pair = quote_pair

    def quotes(self, _caller: Caller, query: Mapping[str, str]) -> Answer:
        """GET /quotes."""
        return 200, quote_json(self._quote_pair(*quote_asked(self._tokens, QuoteRequest, parse_query(query))))

    def tokens(self, _caller: Caller) -> Answer:
        """GET /tokens: what the registered pools trade."""
        return 200, {"tokens": [token_json(token) for token in self._tokens.tokens()]}
