"""How the fields of the domain's dataclasses look to clients: one rule for each type, for the JSON and for its schema.

Names are camelCase, without the unit where the value is text. A field that may be None by default is absent then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, cast, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, with_config
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from chalicelib.amounts import SOL_DECIMALS, ppm_text, price_text, to_text
from chalicelib.contract.json_schema import MODEL_SUFFIX, Json
from chalicelib.orders.field_types import BaseUnitsOf, Kind
from chalicelib.orders.order import HistoryStep, Leftover, Leg, Offer, Order, Progress, Token
from chalicelib.times import time_text

CLOSED = ConfigDict(extra="forbid")

AMOUNT_PATTERN = r"^(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"
# Six decimals of a fraction; a price impact may be negative where a pool pays more than its own mid price.
FRACTION_PATTERN = r"^-?[0-9](\.[0-9]{1,6})?$"
SIGNED_PATTERN = r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"
AmountText = Annotated[str, Field(pattern=AMOUNT_PATTERN)]
SignedText = Annotated[str, Field(pattern=SIGNED_PATTERN)]
FractionText = Annotated[str, Field(pattern=FRACTION_PATTERN)]
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"
TimeText = Annotated[str, Field(pattern=_TIME, json_schema_extra={"format": "date-time"})]
AddressText = Annotated[str, Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{32,44}$")]
SignatureText = Annotated[str, Field(max_length=88, description="base58")]
Count = Annotated[int, Field(ge=0)]

# What an order shows beside its progress and its history; the rest is the service's own business.
ORDER_FIELDS = (
    "order_id",
    "type",
    "token_in",
    "token_out",
    "mint_in",
    "mint_out",
    "wallet",
    "amount",
    "slippage_ppm",
    "max_price_impact_ppm",
    "max_network_fee",
    "max_tries",
    "network_fees",
    "expires_at_ms",
    "client_order_id",
    "redrive_of",
    "redriven_as",
    "status",
    "retry_count",
    "created_at_ms",
    "updated_at_ms",
    "last_looked_at_ms",
    *(each.name for each in fields(Progress)),
    "quotes",
    "history",
)


@with_config(CLOSED)
class PoolOfferModel(TypedDict):
    """What one pool would pay for the whole amount, or in `error` why it doesn't."""

    dex: str
    program: NotRequired[str]
    pool: AddressText
    amountOut: NotRequired[AmountText]
    price: NotRequired[AmountText]
    priceImpact: NotRequired[FractionText | None]
    fee: NotRequired[AmountText]
    feeToken: NotRequired[str]
    error: NotRequired[str]
    errorCode: NotRequired[str]


def offer_json(offer: Offer, token_in: Token, token_out: Token, amount: int) -> Json:
    """One pool's offer for `amount` base units of `token_in`."""
    place = {"dex": offer.dex, "pool": offer.pool}
    if offer.program is not None:  # offers of before there were several programs of a dex don't tell it
        place["program"] = offer.program
    if offer.amount_out is None:
        return {**place, "error": offer.error, "errorCode": offer.error_code}
    fee_token = token_in if offer.fee_of_token_in else token_out
    return {
        **place,
        "amountOut": to_text(offer.amount_out, token_out.decimals),
        "price": price_text(offer.amount_out, token_out.decimals, amount, token_in.decimals),
        "priceImpact": None if offer.price_impact_ppm is None else ppm_text(offer.price_impact_ppm),
        "fee": to_text(offer.fee, fee_token.decimals),
        "feeToken": fee_token.text,
    }


# Dataclasses that the documents know by another name, or describe in other words.
_PUBLISHED: dict[type, tuple[str, str]] = {
    Leg: ("RouteLeg", "One pool's part in a route; `share` is its part of all that goes into its `tokenOut`."),
    Leftover: (
        "Leftover",
        "What the first of two hops paid and the second didn't spend; it stays in the wallet.",
    ),
    HistoryStep: ("HistoryStep", "One step of an order's life; `seq` counts from 1 without a gap."),
}

# A value and what is around it, the innermost first, to its JSON.
Writer = Callable[[Any, Sequence[object]], object]


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field as clients see it: its name, its type in the model, and how a value becomes JSON."""

    attribute: str
    name: str
    type: Any
    write: Writer
    optional: bool


def json_of(value: Any, names: tuple[str, ...] | None = None, within: tuple[object, ...] = ()) -> Json:
    """A dataclass's fields, or those of `names`, as JSON. `within`: what is around it, for its tokens and amounts."""
    around = (value, *within)
    content: Json = {}
    shown: type = type(value)
    for field in shown_fields(shown, names):
        held = getattr(value, field.attribute)
        if held is not None or not field.optional:
            content[field.name] = None if held is None else field.write(held, around)
    return content


@cache
def shown_fields(shown: type, names: tuple[str, ...] | None = None) -> tuple[ShownField, ...]:
    """The fields of a dataclass, what it always has first; or its attributes of `names` in their order."""
    has_default = {each.name: each.default is not MISSING for each in fields(cast("Any", shown))}
    found: list[ShownField] = []
    for name in names or sorted(has_default, key=has_default.__getitem__):
        found.append(_shown_field(shown, name, may_be_absent=has_default.get(name, False)))
        if name == "amount_out" and issubclass(shown, Progress):
            found.append(_EXECUTED_PRICE)
    return tuple(found)


def _shown_field(shown: type, attribute: str, *, may_be_absent: bool) -> ShownField:
    hint, nullable = _without_none(_type_of(shown, attribute))
    kind = next((mark for mark in _marks(hint) if isinstance(mark, Kind)), None)
    unit = "_ms" if kind is Kind.TIME else "_ppm" if kind is Kind.MILLIONTHS else ""
    outside, write = _rule(hint)
    optional = nullable and may_be_absent
    model_type = Union[outside, None] if nullable and not optional else outside  # noqa: UP007 - made at run time
    return ShownField(attribute, to_camel(attribute.removesuffix(unit)), model_type, write, optional)


def _type_of(shown: type, attribute: str) -> Any:
    hints = get_type_hints(shown, include_extras=True)
    if attribute in hints:
        return hints[attribute]
    return get_type_hints(vars(shown)[attribute].fget, include_extras=True)["return"]  # a property


def _marks(hint: Any) -> tuple[object, ...]:
    return getattr(hint, "__metadata__", ())


def _rule(hint: Any) -> tuple[Any, Writer]:
    """The type in the model, and how a value becomes JSON."""
    for mark in _marks(hint):
        if isinstance(mark, BaseUnitsOf):
            return AmountText, _amount_writer(mark.attribute)
        if isinstance(mark, Kind):
            return _OF_KIND[mark]
    if get_origin(hint) is tuple:
        outside, write = _rule(get_args(hint)[0])
        return list[outside], lambda values, around: [write(value, around) for value in values]  # type: ignore[valid-type]
    if get_origin(hint) is Literal or hint in (str, bool):
        return hint, _as_it_is
    if hint is int:
        return Count, _as_it_is
    if hint is Offer:
        return PoolOfferModel, _offer_of_order
    if hint is Token:
        return str, lambda token, around: token.text
    if is_dataclass(hint):
        return model_of(cast("type", hint)), lambda value, around: json_of(value, within=tuple(around))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint, lambda value, around: value.value
    raise TypeError(f"there is no rule for how {hint} looks to clients")


def _amount_writer(token: str) -> Writer:
    def write(base_units: int, around: Sequence[Any]) -> str:
        return to_text(base_units, next(getattr(one, token).decimals for one in around if hasattr(one, token)))

    return write


def _offer_of_order(offer: Offer, around: Sequence[object]) -> Json:
    order = next(holder for holder in around if isinstance(holder, Order))
    return offer_json(offer, order.token_in, order.token_out, order.amount)


def _as_it_is(value: object, around: Sequence[object]) -> object:
    return value


_OF_KIND: dict[Kind, tuple[Any, Writer]] = {
    Kind.TIME: (TimeText, lambda value, around: time_text(value)),
    Kind.MILLIONTHS: (FractionText, lambda value, around: ppm_text(value)),
    Kind.ORDINAL: (Annotated[int, Field(ge=1)], _as_it_is),
    Kind.ADDRESS: (AddressText, _as_it_is),
    Kind.SIGNATURE: (SignatureText, _as_it_is),
    Kind.PRICE: (AmountText, _as_it_is),
    Kind.LAMPORTS: (AmountText, lambda value, around: to_text(value, SOL_DECIMALS)),
}


def _executed_price(amount_out: int, around: Sequence[object]) -> str:
    order = next(holder for holder in around if isinstance(holder, Order))
    return order.price_at(amount_out)


# What is not held but follows from what is.
_EXECUTED_PRICE = ShownField("amount_out", "executedPrice", AmountText, _executed_price, optional=True)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint):
        (rest,) = (each for each in get_args(hint) if each is not NoneType)
        return rest, True
    return hint, False


@cache
def model_of(shown: type) -> Any:
    """The model of a dataclass's JSON."""
    name, description = _PUBLISHED.get(shown, (shown.__name__, shown.__doc__ or ""))
    return _model(shown, None, name, description, {})


def _model(shown: type, names: tuple[str, ...] | None, name: str, description: str, more: Mapping[str, Any]) -> Any:
    types = {
        field.name: NotRequired[field.type] if field.optional else field.type for field in shown_fields(shown, names)
    }
    model = cast("Any", TypedDict)(name + MODEL_SUFFIX, {**types, **more})
    model.__doc__ = description
    return with_config(CLOSED)(model)


class ModelOf:
    """Stands in an annotation for the model of a dataclass's JSON.

    Where it is not `model_of(shown)`: under another name and description, of the fields `names`, with `more` beside.
    """

    def __init__(
        self,
        shown: type,
        name: str = "",
        description: str = "",
        names: tuple[str, ...] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._model = _model(shown, names, name, description, more or {}) if name else model_of(shown)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> Any:
        return handler.generate_schema(self._model)
