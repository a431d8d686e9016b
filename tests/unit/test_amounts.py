"""Rounding up, and fractions as people and as clients read them. The text of amounts stands in test_wire.py."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.amounts import PPM, ceil_div, fraction_text, percent_text, ppm_text


@given(dividend=st.integers(-(2**140), 2**140), divisor=st.integers(1, 2**70))
def test_a_quotient_is_rounded_up_exactly(dividend: int, divisor: int) -> None:
    assert ceil_div(dividend, divisor) == ceil(Fraction(dividend, divisor))


@pytest.mark.parametrize(
    ("ppm", "fraction", "percent"),
    [
        (0, "0", "0%"),
        (1, "0.000001", "0.0001%"),
        (10_000, "0.01", "1%"),
        (125_000, "0.125", "12.5%"),
        (PPM, "1", "100%"),
        (12 * PPM, "12", "1200%"),
    ],
)
def test_millionths_are_a_fraction_to_clients_and_percent_to_people(ppm: int, fraction: str, percent: str) -> None:
    assert (ppm_text(ppm), percent_text(ppm)) == (fraction, percent)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (Fraction(1, 3), "0.333333"),
        (Fraction(-1, 3), "-0.333333"),
        (Fraction(1, 10**7), "0"),
        (Fraction(-1, 10**7), "0"),
        (Fraction(1), "1"),
    ],
)
def test_a_fraction_is_shown_with_six_decimals_rounded_towards_zero(fraction: Fraction, text: str) -> None:
    assert fraction_text(fraction) == text
