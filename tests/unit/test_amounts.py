"""Amounts are exact from the text that comes in to the text that goes out, at the ends of what there is, too."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.amounts import (
    MAX_NUMBER_LENGTH,
    U64_MAX,
    ceil_div,
    floor_of,
    fraction_text,
    parse_decimal,
    signed_text,
    sol_text,
    to_base_units,
    to_least_base_units,
    to_ppm,
    to_price,
)
from chalicelib.problems import FieldProblem, InvalidRequest


@given(st.integers(-(10**60), 10**60), st.integers(1, 10**40))
def test_a_quotient_is_rounded_up_exactly_however_large(dividend: int, divisor: int) -> None:
    assert ceil_div(dividend, divisor) == ceil(Fraction(dividend, divisor))


def test_an_integer_is_what_a_quotient_comes_to() -> None:
    assert isinstance(ceil_div(4, 2), int)
    assert ceil_div(U64_MAX, 1) == U64_MAX


def test_a_floor_is_rounded_up_and_never_less_than_a_unit() -> None:
    assert [floor_of(amount, 500_000) for amount in (3, 2, 1, 0)] == [2, 1, 1, 1]
    assert floor_of(1_000_001, 10_000) == 990_001
    assert floor_of(7, 0) == 7


def test_as_many_characters_as_may_be_are_a_number_and_one_more_are_none() -> None:
    assert parse_decimal("1".rjust(MAX_NUMBER_LENGTH, "0"), "amount") == 1
    assert problem("1".rjust(MAX_NUMBER_LENGTH + 1, "0")) == FieldProblem("amount", "has more than 64 characters")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, 'must be a decimal string, such as "10.5"'),
        (None, 'must be a decimal string, such as "10.5"'),
        ("ten", 'must be a decimal number, such as "10.5"'),
        ("", 'must be a decimal number, such as "10.5"'),
    ],
)
def test_what_is_no_number_is_told_by_its_field_and_how_to_write_one(value: object, said: str) -> None:
    assert problem(value) == FieldProblem("amount", said)


def problem(value: object) -> FieldProblem:
    return refusal(lambda: parse_decimal(value, "amount"))


def refusal(read: Callable[[], object]) -> FieldProblem:
    with pytest.raises(InvalidRequest) as refused:
        read()
    (told,) = refused.value.problems
    return told


@pytest.mark.parametrize("decimals", [0, 6, 9, 18])
def test_the_largest_amount_of_a_token_is_that_of_a_u64_and_no_unit_more(decimals: int) -> None:
    largest = Decimal(U64_MAX).scaleb(-decimals)
    assert to_base_units(largest, decimals, "amount") == U64_MAX
    for more in (Decimal(U64_MAX + 1).scaleb(-decimals), Decimal(10) ** (20 - decimals), Decimal(10) ** 60):
        with pytest.raises(InvalidRequest, match="amount"):
            to_base_units(more, decimals, "amount")


@pytest.mark.parametrize("decimals", [0, 6, 9, 18])
def test_what_is_asked_for_at_least_may_be_more_than_there_can_be_in_as_many_digits_as_are_stored(
    decimals: int,
) -> None:
    largest = Decimal("9" * 37)
    assert to_least_base_units(largest.scaleb(-decimals, Context(prec=37)), decimals, "minOut") == int(largest)
    with pytest.raises(InvalidRequest, match="minOut"):
        to_least_base_units(Decimal(f"1e{37 - decimals}"), decimals, "minOut")


def test_the_finest_slippage_is_a_millionth() -> None:
    assert to_ppm(Decimal("0.000001"), "slippage") == 1
    assert to_ppm(Decimal("0.5"), "slippage") == 500_000
    for finer in ("0.0000001", "0.0000015", "0.000000000000000001"):
        with pytest.raises(InvalidRequest, match="slippage"):
            to_ppm(Decimal(finer), "slippage")


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("150.2500", "150.25"),
        ("1.5e3", "1500"),
        ("0.5", "0.5"),
        ("1e-36", "0." + "0" * 35 + "1"),
        ("9.9e36", "99" + "0" * 35),
    ],
)
def test_a_price_keeps_each_of_its_digits_and_has_no_exponent_or_needless_zero(price: str, text: str) -> None:
    assert to_price(Decimal(price), "limitPrice") == text


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("0", "must be greater than zero"),
        ("-0.5", "must be greater than zero"),
        ("1e37", "is no price: it has more than 36 digits before or after the point"),
        ("1e-37", "is no price: it has more than 36 digits before or after the point"),
        ("1e999999999", "is no price: it has more than 36 digits before or after the point"),
    ],
)
def test_what_is_no_price_is_told_by_its_field_and_why(price: str, said: str) -> None:
    assert refusal(lambda: to_price(Decimal(price), "stopPrice")) == FieldProblem("stopPrice", said)


def test_lamports_are_told_in_sol_to_the_last_of_them() -> None:
    assert [sol_text(lamports) for lamports in (0, 1, 5_000, 12 * 10**9)] == [
        "0 SOL",
        "0.000000001 SOL",
        "0.000005 SOL",
        "12 SOL",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(5, 2), "2.5"),
        (Fraction(-2, 3), "-0.666666666666666667"),
        (Fraction(-(10**20)), "-100000000000000000000"),
        (Fraction(200_000_000_000_000_001, 2), "100000000000000000"),
        (Fraction(200_000_000_000_000_003, 2), "100000000000000002"),
    ],
)
def test_a_number_is_told_with_its_sign_to_eighteen_digits_rounded_half_to_even(number: Fraction, text: str) -> None:
    assert signed_text(number) == text


def test_a_fraction_is_told_to_six_decimals_rounded_towards_zero() -> None:
    assert fraction_text(Fraction(2, 3)) == "0.666666"
    assert fraction_text(Fraction(-2, 3)) == "-0.666666"
    assert fraction_text(Fraction(3, 2)) == "1.5"
