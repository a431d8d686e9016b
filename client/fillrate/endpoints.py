"""The service's HTTP: each function builds one request and knows how to read its answer. No input or output here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote as percent_encoded
from urllib.parse import urlencode

from pydantic import ValidationError

from fillrate.amounts import decimal_text
from fillrate.conversation import HttpRequest, HttpResponse
from fillrate.errors import (
    PROBLEM_OF_STATUS,
    FieldError,
    Problem,
    ServiceUnavailable,
    UnexpectedAnswer,
)
from fillrate.models import (
    Accepted,
    BalanceList,
    CancelledOrders,
    FillList,
    Health,
    Json,
    Model,
    Order,
    OrderPage,
    Quote,
    Ticket,
    Token,
)
from fillrate.period import ALWAYS, Period
from fillrate.prices import AT_MARKET, Prices
from fillrate.terms import Terms

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_PROBLEM_URN = "urn:fillrate:problem:"


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[T]):
    """A request that may safely be sent again, and the reader of a good answer to it.

    `also_good`: statuses beside 2xx that the reader takes.
    """

    request: HttpRequest
    read: Callable[[Json], T]
    also_good: frozenset[int] = frozenset()

    def parse(self, response: HttpResponse) -> T:
        """The answer. Raises Problem where the service refused, UnexpectedAnswer where the answer makes no sense."""
        content = _json_object(response)
        if not 200 <= response.status < 300 and not (response.status in self.also_good and content is not None):
            raise problem_of(response, content)
        if content is None:
            raise UnexpectedAnswer(_strange(self.request, response))
        try:
            return self.read(content)
        except (ValidationError, KeyError, TypeError) as error:
            raise UnexpectedAnswer(f"{_strange(self.request, response)}: {error}") from error


def get_quote(token_in: str, token_out: str, amount: Decimal | str, slippage: Decimal | str | None) -> Endpoint[Quote]:
    query = _trade(token_in, token_out, amount, Terms(slippage))
    return Endpoint(_get("/quotes", query), Quote.model_validate)


def quotes_message(token_in: str, token_out: str, amount: Decimal | str, slippage: Decimal | str | None) -> str:
    """The WebSocket message that asks to be told the same as it changes."""
    return json.dumps({"action": "quotes", **_trade(token_in, token_out, amount, Terms(slippage))})


def post_order(
    token_in: str,
    token_out: str,
    amount: Decimal | str,
    terms: Terms,
    idempotency_key: str,
    prices: Prices = AT_MARKET,
) -> Endpoint[Accepted]:
    body = {**_trade(token_in, token_out, amount, terms), **prices.to_json()}
    return Endpoint(
        _post("/orders/execute", body, {"Idempotency-Key": idempotency_key}),
        lambda answer: Accepted.model_validate({**answer, "idempotencyKey": idempotency_key}),
    )


def get_order(order_id: str) -> Endpoint[Order]:
    return Endpoint(_get(_order_path(order_id)), Order.model_validate)


def delete_order(order_id: str) -> Endpoint[Order]:
    return Endpoint(HttpRequest("DELETE", _order_path(order_id)), Order.model_validate)


def delete_orders(status: str) -> Endpoint[CancelledOrders]:
    return Endpoint(HttpRequest("DELETE", f"/orders?{urlencode({'status': status})}"), CancelledOrders.model_validate)


def get_balances() -> Endpoint[BalanceList]:
    return Endpoint(_get("/balances"), BalanceList.model_validate)


def get_fills(period: Period, token: str | None, limit: int | None, cursor: str | None) -> Endpoint[FillList]:
    query = {**period.to_query(), "token": token, "limit": limit, "cursor": cursor}
    return Endpoint(_get("/fills", query), FillList.model_validate)


@dataclass(frozen=True, slots=True)
class CsvPage:
    """Comma-separated values with their head, and what to send for the next page."""

    text: str
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CsvEndpoint(Endpoint[CsvPage]):
    """A request that is answered with comma-separated values."""

    def parse(self, response: HttpResponse) -> CsvPage:
        """As Endpoint.parse."""
        if not 200 <= response.status < 300:
            raise problem_of(response, _json_object(response))
        if not response.headers.get("content-type", "").startswith("text/csv"):
            raise UnexpectedAnswer(_strange(self.request, response))
        return CsvPage(response.body.decode(errors="replace"), response.headers.get("next-cursor"))


def get_fills_csv(period: Period, token: str | None, cursor: str | None) -> Endpoint[CsvPage]:
    query = {**period.to_query(), "token": token, "format": "csv", "limit": 1000, "cursor": cursor}
    return CsvEndpoint(_get("/fills", query), lambda _: CsvPage("", None))


def patch_order(order_id: str, changes: Json) -> Endpoint[Order]:
    return Endpoint(_sent("PATCH", _order_path(order_id), changes), Order.model_validate)


def get_orders(
    status: str | None = None,
    token_in: str | None = None,
    token_out: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    period: Period = ALWAYS,
) -> Endpoint[OrderPage]:
    query = {"status": status, "tokenIn": token_in, "tokenOut": token_out, "limit": limit, "cursor": cursor}
    return Endpoint(_get("/orders", query | period.to_query()), OrderPage.model_validate)


def get_tokens() -> Endpoint[list[Token]]:
    return Endpoint(_get("/tokens"), lambda answer: [Token.model_validate(token) for token in answer["tokens"]])


def get_health() -> Endpoint[Health]:
    # 503 is how an unwell service answers, and the checks are in it
    return Endpoint(_get("/health"), Health.model_validate, also_good=frozenset({503}))


def post_ticket(order_id: str | None) -> Endpoint[Ticket]:
    return Endpoint(_post("/ws-tickets", {} if order_id is None else {"orderId": order_id}), Ticket.model_validate)


def problem_of(response: HttpResponse, content: Json | None) -> Problem:
    """The refusal as an error; also where a gateway before the service answered in a form of its own."""
    content = content or {}
    status = response.status
    kind = PROBLEM_OF_STATUS.get(status, ServiceUnavailable if status >= 500 else Problem)
    return kind(
        status,
        str(content.get("title") or f"HTTP {status}"),
        str(content.get("detail") or content.get("message") or ""),
        code=_code_of(content),
        fields=tuple(_field_errors(content.get("errors"))),
        retry_after=_retry_after(response.headers),
    )


def problem_of_message(message: Json) -> Problem:
    """A refusal over the WebSocket as an error."""
    status = message.get("status")
    return problem_of(HttpResponse(status if isinstance(status, int) else 500, {}, b""), message)


def _code_of(content: Json) -> str | None:
    """The service's codes are the ends of its problem types (RFC 9457, 3.1.1)."""
    kind = content.get("type")
    if not isinstance(kind, str) or not kind.startswith(_PROBLEM_URN):
        return None
    return kind.removeprefix(_PROBLEM_URN).upper().replace("-", "_")


def _field_errors(errors: object) -> list[FieldError]:
    if not isinstance(errors, list):
        return []
    return [FieldError(str(one.get("field")), str(one.get("message"))) for one in errors if isinstance(one, dict)]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds (RFC 9110, 10.2.3). A date is counted from the answer's own, so that no clock need be right."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds(), 0.0)
    except (ValueError, KeyError, TypeError):
        return None


def _json_object(response: HttpResponse) -> Json | None:
    try:
        content = json.loads(response.body, parse_float=Decimal)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _strange(request: HttpRequest, response: HttpResponse) -> str:
    return f"{request.method} {request.path} was answered {response.status} with what is no answer of Fillrate"


def _trade(token_in: str, token_out: str, amount: Decimal | str, terms: Terms) -> dict[str, str]:
    trade = {"tokenIn": token_in, "tokenOut": token_out, "amount": decimal_text(amount, "amount")}
    return trade | terms.to_json()


def _order_path(order_id: str) -> str:
    return f"/orders/{percent_encoded(order_id, safe='')}"


def _get(path: str, query: Mapping[str, Any] | None = None) -> HttpRequest:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return HttpRequest("GET", f"{path}?{urlencode(given)}" if given else path)


def _post(path: str, body: Json, headers: Mapping[str, str] | None = None) -> HttpRequest:
    return _sent("POST", path, body, headers)


def _sent(method: str, path: str, body: Json, headers: Mapping[str, str] | None = None) -> HttpRequest:
    return HttpRequest(method, path, {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode())
