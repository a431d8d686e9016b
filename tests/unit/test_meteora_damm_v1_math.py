"""Meteora DAMM v1's arithmetic at its limits: what is locked, what a fee is at least, when a curve gives nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.venues.meteora_damm_v1.math import (
    constant_product_out,
    fee_on,
    guaranteed,
    invariant,
    locked_profit,
    other_amount,
)

A_SECOND_OF = 10**12  # a degradation that unlocks everything within a second


def test_profit_is_locked_from_its_report_on_and_less_with_each_second() -> None:
    told = [locked_profit(1_000, 50, A_SECOND_OF // 4, now) for now in (49, 50, 51, 53, 54, 55)]
    assert told == [None, 1_000, 750, 250, 0, 0]
    assert locked_profit(7, 50, A_SECOND_OF // 2, 51) == 3, "rounded down"
    assert locked_profit(A_SECOND_OF, 50, A_SECOND_OF - 1, 51) == 1, "to the last part of it"


def test_a_floor_can_guarantee_a_unit_less_than_the_pool_loses_and_no_more_than_is_paid() -> None:
    assert [guaranteed(amount_out, 100) for amount_out in (98, 99, 100)] == [98, 99, 99]


def test_a_fee_is_rounded_down_but_at_least_a_unit_where_there_is_one() -> None:
    assert [fee_on(amount, 1, 100) for amount in (0, 1, 199, 200)] == [0, 1, 1, 2]
    assert fee_on(10**9, 0, 100) == 0


def test_a_constant_product_rounds_for_the_pool() -> None:
    assert constant_product_out(10, 100, 100) == 100 - 91
    assert constant_product_out(100, 100, 100) == 50


def test_a_constant_product_that_is_less_than_the_new_reserve_gives_nothing() -> None:
    assert constant_product_out(4, 2, 3) == 2
    assert constant_product_out(5, 2, 3) == 0
    assert constant_product_out(0, 0, 3) == constant_product_out(1, 0, 3) == 0


def test_an_even_pools_invariant_is_its_sum() -> None:
    assert invariant(100, 10**9, 10**9) == (2 * 10**9, 1)
    assert other_amount(100, 10**9, 2 * 10**9)[0] == 10**9


@pytest.mark.parametrize("amounts", [(0, 5), (5, 0), (0, 0)])
def test_a_pool_with_an_empty_side_has_no_invariant(amounts: tuple[int, int]) -> None:
    assert invariant(100, *amounts) == (0, 0)


@given(st.sampled_from([1, 10, 1_000]), st.integers(10**8, 10**12), st.integers(2, 200))
def test_an_invariant_keeps_the_curves_equation_to_a_unit(amplification: int, x: int, tenths: int) -> None:
    """Ann (x + y) + D = Ann D + D^3 / (4 x y), where Ann is twice the amplification."""
    ann, y = 2 * amplification, x * tenths // 10

    def excess(d: int) -> int:
        return 4 * x * y * (ann * (x + y) + d - ann * d) - d**3

    d = invariant(amplification, x, y)[0]
    assert excess(d - 2) > 0 > excess(d + 2)
    assert abs(other_amount(amplification, x, d)[0] - y) <= 2


def test_numbers_longer_than_192_bits_end_the_search() -> None:
    assert invariant(1, 1 << 62, 1 << 62)[0] == 1 << 63
    assert invariant(1, 1 << 97, 1 << 97) == (0, 1)
    assert invariant(10, 1 << 94, 1 << 94) == (0, 1), "the cube is short enough, its product isn't"
    with pytest.raises(OverflowError, match="too long"):
        other_amount(1, 1, 1 << 97)


@pytest.mark.parametrize(
    ("amounts", "values"),
    [
        pytest.param((1, 3), [4, 3], id="a unit less"),
        pytest.param((7, 1), [8, 6, 7], id="a unit more"),
        pytest.param((1, 7), [8, 6, 6], id="two units less are not close enough"),
    ],
)
def test_the_search_for_the_invariant_stops_at_the_first_two_values_that_are_a_unit_apart(
    amounts: tuple[int, int], values: list[int]
) -> None:
    """As the program's does, from the sum on: it burns units for each step."""
    assert invariant(1, *amounts) == (values[-1], len(values) - 1)


@pytest.mark.parametrize(
    ("amplification", "amount", "values"),
    [
        pytest.param(1, 16, [57, 46, 45], id="a unit less, though 44 would come next"),
        pytest.param(1, 1, [7, 8], id="a unit more"),
        pytest.param(1, 2, [2, 0, 0], id="two units less are not close enough"),
        pytest.param(2, 1, [10, 12, 12], id="nor are two more"),
    ],
)
def test_the_search_for_the_other_side_stops_at_the_first_two_values_that_are_a_unit_apart(
    amplification: int, amount: int, values: list[int]
) -> None:
    """As the program's does, from the invariant on."""
    assert other_amount(amplification, amount, values[0]) == (values[-1], len(values) - 1)


def test_the_longest_number_that_the_curve_computes_with_is_of_192_bits() -> None:
    longest = (1 << 96) - 1  # with its square and twice itself it comes to just that
    assert other_amount(1, longest * longest // 16, longest)[1] > 0
    one_more = longest + 1
    with pytest.raises(OverflowError, match="too long"):
        other_amount(1, one_more * one_more // 16, one_more)


def test_a_cube_of_just_192_bits_is_computed_with() -> None:
    """The largest number of 192 bits has this factor: its square by twice the amount, times it, comes to that."""
    factor, amount = 18_938_111_928_099_707_892_089_830_705, 541_029_410_150_246_665_636_612_451
    assert factor * factor // (2 * amount) * factor == (1 << 192) - 1
    assert other_amount(1, amount, factor)[1] == 8
