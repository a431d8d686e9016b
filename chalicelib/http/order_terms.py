"""Which of an order's fields its type has: those that are foreign to it, contradict each other or lack are named."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

from chalicelib.amounts import LARGEST_DIGITS, to_base_units, to_ppm, to_price
from chalicelib.orders.order import Order, OrderType, Token
from chalicelib.problems import FieldProblem, InvalidRequest

MOST_TRAILING = Decimal("0.999999")
# The fields that only some types have; one of each group must be given where the type has it.
OWN_FIELDS: dict[OrderType, tuple[str, ...]] = {
    "market": (),
    "limit": ("limitPrice", "maxTries"),
    "stop": ("stopPrice", "trailing", "maxTries"),
    "oco": ("limitPrice", "stopPrice", "trailing", "maxTries"),
}
_OF_SOME = tuple(dict.fromkeys(field for fields in OWN_FIELDS.values() for field in fields))


def wrong_for_type(type_: OrderType, given: Collection[str]) -> Iterator[FieldProblem]:
    """What is wrong with a new order of the type that has the fields `given`, by their names alone."""
    yield from foreign_fields(type_, given)
    own = OWN_FIELDS[type_]
    if "limitPrice" in own and "limitPrice" not in given:
        yield FieldProblem("limitPrice", f"is required of a {type_} order")
    if "stopPrice" in own:
        yield from _contradictory_stops(given)
        if "stopPrice" not in given and "trailing" not in given:
            yield FieldProblem("stopPrice", f"is required of a {type_} order, or trailing in its place")


def foreign_fields(type_: OrderType, given: Collection[str]) -> Iterator[FieldProblem]:
    """The fields that an order of another type has and this one has not."""
    for field in _OF_SOME:
        if field in given and field not in OWN_FIELDS[type_]:
            has = ", ".join(of for of, fields in OWN_FIELDS.items() if field in fields)
            yield FieldProblem(field, f"is no field of a {type_} order, but of: {has}")


def wrong_changes(order: Order, given: Collection[str]) -> Iterator[FieldProblem]:
    """What is wrong with changing these fields of the order, by their names alone."""
    yield from foreign_fields(order.type, given)
    if order.waits_for_price:
        yield from _contradictory_stops(given)


def _contradictory_stops(given: Collection[str]) -> Iterator[FieldProblem]:
    if "stopPrice" in given and "trailing" in given:
        for field, other in (("stopPrice", "trailing"), ("trailing", "stopPrice")):
            yield FieldProblem(field, f"can't stand beside {other}: each is where the stop is")


def wrong_prices(request: Any, token_in: Token | None, token_out: Token | None) -> Iterator[FieldProblem]:
    """What is wrong with a new order's prices: a field that is None is passed over, and so are unknown tokens."""
    amount = None
    if token_in is not None and request.amount is not None:
        with suppress(InvalidRequest):  # which is named as its own field
            amount = to_base_units(request.amount, token_in.decimals, "amount")
    yield from _wrong_prices(request, amount, token_in, token_out)


def wrong_changed_prices(order: Order, request: Any) -> Iterator[FieldProblem]:
    """As `wrong_prices`, of a request to change the order."""
    yield from _wrong_prices(request, order.amount, order.token_in, order.token_out)


def _wrong_prices(
    request: Any, amount: int | None, token_in: Token | None, token_out: Token | None
) -> Iterator[FieldProblem]:
    for field, value in (("limitPrice", request.limit_price), ("stopPrice", request.stop_price)):
        if value is None:
            continue
        try:
            price = to_price(value, field)
        except InvalidRequest as wrong:
            yield from wrong.problems
            continue
        if amount is not None and token_in is not None and token_out is not None:
            yield from _wrong_worth(field, price, amount, token_in, token_out)
    if request.trailing is not None:
        try:
            read_trailing(request.trailing)
        except InvalidRequest as wrong:
            yield from wrong.problems


def _wrong_worth(field: str, price: str, amount: int, token_in: Token, token_out: Token) -> Iterator[FieldProblem]:
    """Whether `amount` base units at the price are an amount of `token_out` at all."""
    worth = Fraction(Decimal(price)) * amount * Fraction(10) ** (token_out.decimals - token_in.decimals)
    if worth >= 10**LARGEST_DIGITS:
        yield FieldProblem(field, "comes to more than any token amount can be, for the order's amount")
    elif worth < 1:
        yield FieldProblem(field, f"comes to less than a base unit of {token_out.text}, for the order's amount")


def read_trailing(trailing: Decimal) -> int:
    """The fraction in millionths. Raises InvalidRequest: not above 0 and below 1, or finer than a millionth."""
    if trailing <= 0 or trailing > MOST_TRAILING:
        message = f"must be a fraction above 0 and at most {MOST_TRAILING} (0.05 is five percent)"
        raise InvalidRequest([FieldProblem("trailing", message)])
    return to_ppm(trailing, "trailing", MOST_TRAILING)
