"""What clients send, read exactly: JSON bodies, queries, messages, and the models that they are held to.

Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds; names are camelCase.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, Protocol, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from chalicelib.amounts import DECIMAL_PATTERN, MAX_NUMBER_LENGTH, parse_decimal
from chalicelib.orders.order import OrderType
from chalicelib.orders.triggers import DEFAULT_TRIES, MOST_TRIES
from chalicelib.problems import FieldProblem, InvalidRequest
from chalicelib.times import TIME_PATTERN, parse_time

Json = dict[str, Any]

Model = TypeVar("Model", bound=BaseModel)

MAX_BODY_BYTES = 16 * 1024
# How much of a wrong request is told back.
MAX_PROBLEMS = 20
MAX_NAME_LENGTH = 64
IDEMPOTENCY_KEY_PATTERN = r"^[!-~]{1,128}$"
CLIENT_ORDER_ID_PATTERN = r"^[!-~]{1,64}$"
_CLIENT_ORDER_ID = re.compile(r"[!-~]{1,64}")
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


# How a number that is read exactly looks to a schema: text of a decimal number, or a JSON number.
_DECIMAL_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": f"^{DECIMAL_PATTERN}$", "maxLength": MAX_NUMBER_LENGTH},
        {"type": "number", "minimum": 0},
    ]
}
ExactDecimal = Annotated[Decimal, WithJsonSchema(_DECIMAL_SCHEMA)]


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


# A time as its client writes it; milliseconds since the epoch inside.
ExactTime = Annotated[
    int | None, WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{TIME_PATTERN}$"})
]
ClientOrderId = Annotated[str | None, WithJsonSchema({"type": "string", "pattern": CLIENT_ORDER_ID_PATTERN})]
# None where it is left out; null is refused.
OptionalDecimal = Annotated[Decimal | None, WithJsonSchema(_DECIMAL_SCHEMA)]
# The same, where null is a value.
RemovableDecimal = Annotated[Decimal | None, WithJsonSchema({"anyOf": [*_DECIMAL_SCHEMA["anyOf"], {"type": "null"}]})]
MostTries = Annotated[int | None, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_TRIES})]

_LIMIT_PRICE = "of a limit or oco order: tokenOut per tokenIn, for the whole amount, all fees in, that it pays at least"
_STOP_PRICE = "of a stop or oco order: it is sold once the best route pays no more than this, tokenOut per tokenIn"
_TRAILING = "in place of stopPrice: a fraction by which the stop stays below the best price seen"
_FORCE = "accept prices that look like a mistake beside the market's"


def _without_default(schema: Json) -> None:
    del schema["default"]


def _may_be_left_out(description: str) -> Any:
    return Field(default=None, description=description, json_schema_extra=_without_default)


class OrderRequest(QuoteRequest):
    """POST /orders/execute. A field that is not of use is left out: null is no value."""

    type: OrderType = Field(description="market trades now; limit, stop and oco wait for a price")
    min_out: OptionalDecimal = _may_be_left_out("the least of tokenOut for the whole order, in whole tokens, above 0")
    expires_at: ExactTime = _may_be_left_out(
        "from then on no attempt starts and nothing is signed; at most 30 days ahead"
    )
    client_order_id: ClientOrderId = _may_be_left_out("the client's own name for the order, unique in the account")
    max_price_impact: OptionalDecimal = _may_be_left_out("the order's own ceiling: a fraction from 0 to 1")
    max_network_fee: OptionalDecimal = _may_be_left_out(
        "the order's own ceiling for one transaction's base fee, priority fee and tip, in SOL"
    )
    limit_price: OptionalDecimal = _may_be_left_out(_LIMIT_PRICE)
    stop_price: OptionalDecimal = _may_be_left_out(_STOP_PRICE)
    trailing: OptionalDecimal = _may_be_left_out(_TRAILING)
    max_tries: MostTries = _may_be_left_out(
        f"of an order that waits: how often it may wait again after a transaction that did not fill; {DEFAULT_TRIES} "
        "where it isn't said"
    )
    force: StrictBool = Field(default=False, description=_FORCE)
    dry_run: StrictBool = Field(default=False, description="tell what would become of the order, and store nothing")

    @field_validator("type", mode="before")
    @classmethod
    def _type(cls, value: object) -> object:
        return _text_or_value_error(value)

    @field_validator(
        "min_out", "max_price_impact", "max_network_fee", "limit_price", "stop_price", "trailing", mode="before"
    )
    @classmethod
    def _exact_term(cls, value: object) -> Decimal:
        return _decimal_or_value_error(value)

    @field_validator("expires_at", mode="before")
    @classmethod
    def _time(cls, value: object) -> int:
        return _exact_time(value)

    @field_validator("max_tries", mode="before")
    @classmethod
    def _tries(cls, value: object) -> int:
        text = str(value) if isinstance(value, ExactNumber) or type(value) is int else ""
        if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_TRIES:
            raise ValueError(f"must be a whole number from 1 to {MOST_TRIES}")
        return int(text)

    @field_validator("client_order_id", mode="before")
    @classmethod
    def _client_order_id(cls, value: object) -> str:
        if not isinstance(value, str) or isinstance(value, ExactNumber) or not _CLIENT_ORDER_ID.fullmatch(value):
            raise ValueError("must be 1 to 64 visible ASCII characters")
        return value


class OrderChangeRequest(RequestModel):
    """PATCH /orders/{orderId}: what is to be changed, at least one field; null is no value but of minOut."""

    limit_price: OptionalDecimal = _may_be_left_out(_LIMIT_PRICE)
    stop_price: OptionalDecimal = _may_be_left_out(_STOP_PRICE)
    trailing: OptionalDecimal = _may_be_left_out(f"{_TRAILING}; it starts from the best price seen so far")
    min_out: RemovableDecimal = _may_be_left_out("the least of tokenOut for the whole order; null removes it")
    slippage: OptionalDecimal = _may_be_left_out("a fraction from 0 to 0.5; it counts at the next quote")
    expires_at: ExactTime = _may_be_left_out("from then on nothing is signed; at most 30 days ahead")
    force: StrictBool = Field(default=False, description=_FORCE)

    @field_validator("limit_price", "stop_price", "trailing", "slippage", mode="before")
    @classmethod
    def _exact_term(cls, value: object) -> Decimal:
        return _decimal_or_value_error(value)

    @field_validator("min_out", mode="before")
    @classmethod
    def _removable(cls, value: object) -> Decimal | None:
        return None if value is None else _decimal_or_value_error(value)

    @field_validator("expires_at", mode="before")
    @classmethod
    def _time(cls, value: object) -> int:
        return _exact_time(value)


def fields_as_written(body: Json) -> dict[str, str]:
    """The fields of an order's body as they were written, so that a repetition can be told: see same_request.py."""
    return {name: _as_written(value) for name, value in body.items() if name != "dryRun"}


def _as_written(value: object) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _exact_time(value: object) -> int:
    if not isinstance(value, str) or isinstance(value, ExactNumber):
        raise ValueError("must be a string")
    return parse_time(value)


class _Period(RequestModel):
    """From when until when, in milliseconds since the epoch: `from` included, `to` not."""

    from_: ExactTime = Field(default=None, alias="from", description="RFC 3339; that moment included")
    to: ExactTime = Field(default=None, description="RFC 3339; that moment not included")

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _time(cls, value: object) -> int:
        return _exact_time(value)

    @field_validator("to")
    @classmethod
    def _after_from(cls, value: int | None, info: ValidationInfo) -> int | None:
        begins = info.data.get("from_")
        if value is not None and begins is not None and value <= begins:
            raise ValueError("must be later than from")
        return value


class FillListRequest(_Period):
    """GET /fills."""

    token: str | None = Field(default=None, min_length=1, max_length=44, description="a symbol or a mint address")
    format: Literal["json", "csv"] = "json"
    limit: int = Field(default=200, ge=1, le=1_000)
    cursor: str | None = Field(default=None, min_length=1, max_length=1024)


class MassCancelRequest(RequestModel):
    """DELETE /orders."""

    status: Literal["open", "unsigned"] = Field(
        description="`open`: those that wait for their condition; `unsigned`: all of which nothing is signed"
    )


class OrderListRequest(_Period):
    """GET /orders."""

    status: (
        Literal["open", "pending", "routing", "building", "submitted", "confirmed", "failed", "cancelled", "expired"]
        | None
    ) = None
    token_in: str | None = Field(default=None, min_length=1, max_length=44)
    token_out: str | None = Field(default=None, min_length=1, max_length=44)
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, min_length=1, max_length=1024)
    client_order_id: str | None = Field(default=None, pattern=CLIENT_ORDER_ID_PATTERN)

    @field_validator("client_order_id")
    @classmethod
    def _client_order_id(cls, value: str | None) -> str | None:
        if value is not None and not _CLIENT_ORDER_ID.fullmatch(value):
            raise ValueError("must be 1 to 64 visible ASCII characters")
        return value

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

    action: Literal["subscribe", "unsubscribe", "ping", "quotes"]
    order_id: str | None = Field(default=None, min_length=1, max_length=64)


class QuotesMessage(QuoteRequest):
    """What a client says over the WebSocket to be told a pair's quotes as they change; again, to go on being told."""

    action: Literal["quotes"]


class QuotesEndMessage(RequestModel):
    """What a client says over the WebSocket to be told a pair's quotes no more."""

    action: Literal["unsubscribe"]
    token_in: str = Field(min_length=1, max_length=44, description="as it was asked for, or its mint")
    token_out: str = Field(min_length=1, max_length=44, description="as it was asked for, or its mint")
    amount: OptionalDecimal = _may_be_left_out("of no account")

    @field_validator("token_in", "token_out", mode="before")
    @classmethod
    def _token(cls, value: object) -> object:
        return _text_or_value_error(value)

    @field_validator("amount", mode="before")
    @classmethod
    def _exact(cls, value: object) -> Decimal:
        return _decimal_or_value_error(value)


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


def read(model: type[Model], content: Mapping[str, object]) -> tuple[Model, tuple[FieldProblem, ...]]:
    """`content` as a `model`, and every field that is wrong or missing: those are None in it, if there are any."""
    try:
        return model.model_validate(dict(content)), ()
    except ValidationError as error:
        wrong = error.errors()
    named = {str(problem["loc"][0]) for problem in wrong if problem["loc"]}
    known = (str(each.alias) for each in model.model_fields.values())
    right = {name: content[name] for name in known if name in content and name not in named}
    partial = cast("type[Model]", _each_optional(model)).model_validate(right)
    return partial, tuple(map(_field_problem, wrong[:MAX_PROBLEMS]))


@cache
def _each_optional(model: type[BaseModel]) -> type[BaseModel]:
    """The model without a field that must be given."""
    optional = {
        name: (each.annotation, FieldInfo.merge_field_infos(each, default=None))
        for name, each in model.model_fields.items()
    }
    return create_model(f"Partial{model.__name__}", __base__=model, **cast("Any", optional))


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
