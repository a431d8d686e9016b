"""The contract's JSON: what clients send, and how orders, changes and errors look to them. Nothing else.

Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds; names are camelCase.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator
from pydantic.alias_generators import to_camel

from chalicelib.orders.order import Change, Detail, Leg, Order
from chalicelib.problems import FieldProblem, FillrateError, InvalidRequest

Json = dict[str, Any]

U64_MAX = 2**64 - 1
Model = TypeVar("Model", bound=BaseModel)

MAX_BODY_BYTES = 16 * 1024
MAX_NUMBER_LENGTH = 64
# How much of a wrong request is told back.
MAX_PROBLEMS = 20
MAX_NAME_LENGTH = 64
_PRICE = Context(prec=18)
_DECIMAL = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
# Holds every digit that a number of MAX_NUMBER_LENGTH characters can have.
_EXACT = Context(prec=MAX_NUMBER_LENGTH)
IDEMPOTENCY_KEY_PATTERN = r"^[!-~]{1,128}$"
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}")  # for fullmatch: `$` also stands before a last line break


class ExactNumber(str):
    """A JSON number's own text, kept so that it never passes through a binary float."""


def parse_body(raw: bytes | str) -> Json:
    """The request's JSON object, numbers as `ExactNumber`. Raises InvalidRequest."""
    if len(raw) > MAX_BODY_BYTES:
        raise _invalid("body", f"is larger than {MAX_BODY_BYTES} bytes")
    try:
        # JSON is UTF-8 (RFC 8259, 8.1); json.loads by itself guesses, and lets broken bytes through as lone surrogates
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        body = json.loads(
            text,
            parse_float=ExactNumber,
            parse_int=ExactNumber,
            parse_constant=_reject_constant,
            object_pairs_hook=_without_repetition,
        )
    except (ValueError, RecursionError) as error:
        raise _invalid("body", 'must be a JSON object, such as {"type": "market", …}') from error
    if not isinstance(body, dict):
        raise _invalid("body", "must be a JSON object")
    return body


class _MultiValued(Protocol):
    def getlist(self, name: str) -> list[str]: ...


def parse_query(query: Mapping[str, str]) -> dict[str, str]:
    """A query's parameters, each once. Raises InvalidRequest naming one that is repeated: which should count?"""
    if hasattr(query, "getlist"):
        repeated = [name for name in query if len(cast("_MultiValued", query).getlist(name)) > 1]
        if repeated:
            raise InvalidRequest(FieldProblem(name[:MAX_NAME_LENGTH], "is given more than once") for name in repeated)
    return dict(query)


def _without_repetition(pairs: list[tuple[str, object]]) -> Json:
    """One of two amounts would win in silence."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise InvalidRequest(
            FieldProblem(name[:MAX_NAME_LENGTH], "is given more than once") for name in content if names.count(name) > 1
        )
    return content


def _reject_constant(name: str) -> None:
    raise ValueError(name)


def parse_decimal(value: object, field: str) -> Decimal:
    """An exact, finite decimal from a decimal string or a JSON number. Raises InvalidRequest naming `field`."""
    if not isinstance(value, str):
        raise _invalid(field, 'must be a decimal string, such as "10.5"')
    if len(value) > MAX_NUMBER_LENGTH:
        raise _invalid(field, f"has more than {MAX_NUMBER_LENGTH} characters")
    try:
        if not re.fullmatch(_DECIMAL, value):
            raise InvalidOperation
        number = Decimal(value)
    except InvalidOperation:
        raise _invalid(field, 'must be a decimal number, such as "10.5"') from None
    return number


def to_base_units(amount: Decimal, decimals: int, field: str) -> int:
    """`amount` whole tokens in base units, exactly. Raises InvalidRequest: not above zero, too fine, over 2^64 − 1."""
    if amount <= 0:
        raise _invalid(field, "must be greater than zero")
    # adjusted() first: 1e999999999 must be refused before anything is made of its digits
    if amount.adjusted() + decimals > 20:
        raise _invalid(field, "is larger than any token amount can be (2^64 − 1 base units)")
    digits = amount.as_tuple()
    exponent = int(digits.exponent)
    significant = "".join(map(str, digits.digits)).rstrip("0")
    trailing_zeros = len(digits.digits) - len(significant)
    if -(exponent + trailing_zeros) > decimals:
        raise _invalid(field, f"has more decimals than the token's {decimals}")
    base_units = int(amount.scaleb(decimals, _EXACT))
    if base_units > U64_MAX:
        raise _invalid(field, "is larger than any token amount can be (2^64 − 1 base units)")
    return base_units


def to_ppm(slippage: Decimal, field: str) -> int:
    """A fraction in millionths, exactly. Raises InvalidRequest: outside 0…0.5, or finer than a millionth."""
    if slippage < 0 or slippage > Decimal("0.5"):
        raise _invalid(field, "must be a fraction from 0 to 0.5 (0.01 is one percent)")
    if slippage and slippage.adjusted() < -6:
        raise _invalid(field, "must not have more than 6 decimals")
    ppm = slippage.scaleb(6, _EXACT)
    if ppm != int(ppm):
        raise _invalid(field, "must not have more than 6 decimals")
    return int(ppm)


def to_text(base_units: int, decimals: int) -> str:
    """Base units as a decimal string in whole tokens, without trailing zeros."""
    text = f"{Decimal(base_units).scaleb(-decimals, Context(prec=60)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_text(amount_out: int, decimals_out: int, amount_in: int, decimals_in: int) -> str:
    """Whole output tokens per whole input token, to 18 significant digits."""
    numerator, denominator = amount_out * 10**decimals_in, amount_in * 10**decimals_out
    price = _PRICE.divide(Decimal(numerator), Decimal(denominator))
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def time_text(at_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


# How a number that is read exactly looks to a schema: text of a decimal number, or a JSON number.
ExactDecimal = Annotated[
    Decimal,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_DECIMAL}$", "maxLength": MAX_NUMBER_LENGTH},
                {"type": "number", "minimum": 0},
            ]
        }
    ),
]


class RequestModel(BaseModel):
    # By the camelCase names alone: with a second way to write a field, a request could say two things at once.
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class QuoteRequest(RequestModel):
    """GET /quotes. `amount` and `slippage` are exact; they become integers once the token is known."""

    token_in: str = Field(min_length=1, max_length=44, description="a symbol or a mint address")
    token_out: str = Field(min_length=1, max_length=44, description="a symbol or a mint address")
    amount: ExactDecimal = Field(description="of tokenIn, in whole tokens, above zero")
    slippage: ExactDecimal = Field(default=Decimal("0.01"), description="a fraction from 0 to 0.5")

    @field_validator("amount", "slippage", mode="before")
    @classmethod
    def _exact(cls, value: object) -> Decimal:
        return _decimal_or_value_error(value)

    @field_validator("token_in", "token_out", mode="before")
    @classmethod
    def _token(cls, value: object) -> object:
        return _text_or_value_error(value)


class OrderRequest(QuoteRequest):
    """POST /orders/execute."""

    type: Literal["market"] = Field(description="only market orders so far")

    @field_validator("type", mode="before")
    @classmethod
    def _type(cls, value: object) -> object:
        return _text_or_value_error(value)


class OrderListRequest(RequestModel):
    """GET /orders."""

    status: Literal["pending", "routing", "building", "submitted", "confirmed", "failed", "cancelled"] | None = None
    token_in: str | None = Field(default=None, min_length=1, max_length=44)
    token_out: str | None = Field(default=None, min_length=1, max_length=44)
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, min_length=1, max_length=1024)

    @field_validator("limit", mode="before")
    @classmethod
    def _whole_number(cls, value: object) -> object:
        if isinstance(value, str) and not re.fullmatch("[0-9]{1,9}", value):
            raise ValueError("must be a whole number")  # pydantic would also take " 5", "5.0" and "5_0"
        return value


class TicketRequest(RequestModel):
    """POST /ws-tickets."""

    order_id: str | None = Field(default=None, min_length=1, max_length=64)

    @field_validator("order_id", mode="before")
    @classmethod
    def _order_id(cls, value: object) -> object:
        return _text_or_value_error(value)


class ClientMessage(RequestModel):
    """What a client may send over the WebSocket."""

    action: Literal["subscribe", "unsubscribe", "ping"]
    order_id: str | None = Field(default=None, min_length=1, max_length=64)


def _text_or_value_error(value: object) -> object:
    if isinstance(value, ExactNumber):
        raise ValueError("must be a string")
    return value


def _decimal_or_value_error(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    try:
        return parse_decimal(value, "value")
    except InvalidRequest as error:
        raise ValueError(error.problems[0].message) from None


def validate(model: type[Model], content: Mapping[str, object]) -> Model:
    """`content` as a `model`. Raises InvalidRequest naming every wrong field."""
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        raise InvalidRequest(map(_field_problem, error.errors()[:MAX_PROBLEMS])) from None


def _field_problem(problem: Mapping[str, Any]) -> FieldProblem:
    name = ".".join(map(str, problem["loc"]))[:MAX_NAME_LENGTH]
    return FieldProblem(name or "body", _message(problem))


def _message(problem: Mapping[str, Any]) -> str:
    match problem["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "literal_error":
            return f"must be one of {problem['ctx']['expected']}"
        case _:
            return str(problem["msg"]).removeprefix("Value error, ")


def validate_idempotency_key(key: str) -> str:
    """1–128 visible ASCII characters. Raises InvalidRequest."""
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise _invalid("Idempotency-Key", "must be 1 to 128 visible ASCII characters")
    return key


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(field, message)])


def order_json(order: Order) -> Json:
    """The order with its history, as GET /orders/{orderId} answers."""
    detail = Detail(
        route=order.route,
        dex_used=order.dex_used,
        quoted_out=order.quoted_out,
        min_out=order.min_out,
        amount_out=order.amount_out,
        leftover=order.leftover,
        tx_hash=order.tx_hash,
        error=order.error,
        error_code=order.error_code,
    )
    return {
        "orderId": order.order_id,
        "type": order.type,
        "tokenIn": order.token_in.text,
        "tokenOut": order.token_out.text,
        "amount": to_text(order.amount, order.token_in.decimals),
        "slippage": to_text(order.slippage_ppm, 6),
        "status": order.status.value,
        "retryCount": order.retry_count,
        "createdAt": time_text(order.created_at_ms),
        "updatedAt": time_text(order.updated_at_ms),
        **_detail_json(detail, order),
        "history": [change_json(change, order) for change in order.history],
    }


def change_json(change: Change, order: Order) -> Json:
    """One step of the order's history."""
    return {
        "seq": change.seq,
        "status": change.status.value,
        "at": time_text(change.at_ms),
        "retryCount": change.retry_count,
        **_detail_json(change.detail, order),
    }


def status_message(change: Change, order: Order) -> Json:
    """The WebSocket message that tells one step."""
    return {"type": "status", "orderId": order.order_id, **change_json(change, order)}


def _detail_json(detail: Detail, order: Order) -> Json:
    decimals_in, decimals_out = order.token_in.decimals, order.token_out.decimals
    fields: Json = {
        "route": None if detail.route is None else [leg_json(leg) for leg in detail.route],
        "dexUsed": detail.dex_used,
        "quotedOut": None if detail.quoted_out is None else to_text(detail.quoted_out, decimals_out),
        "minOut": None if detail.min_out is None else to_text(detail.min_out, decimals_out),
        "amountOut": None if detail.amount_out is None else to_text(detail.amount_out, decimals_out),
        "leftover": None
        if detail.leftover is None
        else [{"token": one.token.text, "amount": to_text(one.amount, one.token.decimals)} for one in detail.leftover],
        "executedPrice": None
        if detail.amount_out is None
        else price_text(detail.amount_out, decimals_out, order.amount, decimals_in),
        "txHash": detail.tx_hash,
        "error": detail.error,
        "errorCode": detail.error_code,
        "terminal": detail.terminal,
        "retryInMs": detail.retry_in_ms,
        "queuedUntil": None if detail.queued_until_ms is None else time_text(detail.queued_until_ms),
    }
    return {name: value for name, value in fields.items() if value is not None}


def leg_json(leg: Leg) -> Json:
    """One leg of a route."""
    return {
        "dex": leg.dex,
        "pool": leg.pool,
        "share": to_text(leg.share_ppm, 6),
        "tokenIn": leg.token_in.text,
        "tokenOut": leg.token_out.text,
        "amountIn": to_text(leg.amount_in, leg.token_in.decimals),
        "expectedOut": to_text(leg.expected_out, leg.token_out.decimals),
    }


def problem_type(error: type[FillrateError]) -> str:
    """The URN that names a kind of problem."""
    return f"urn:fillrate:problem:{error.code.lower().replace('_', '-')}"


def problem_json(error: FillrateError) -> Json:
    """RFC 9457 problem details."""
    problem: Json = {
        "type": problem_type(type(error)),
        "title": error.title,
        "status": error.http_status,
        "detail": str(error),
    }
    if isinstance(error, InvalidRequest):
        problem["errors"] = [{"field": one.field, "message": one.message} for one in error.problems]
    return problem
