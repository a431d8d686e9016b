"""Meteora DAMM v2's arithmetic at its limits: the last number that the program computes, the first that it can't."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.venues.meteora_damm_v2.layout import (
    DammV2DynamicFee,
    DammV2PoolState,
    MarketCapScheduler,
    RateLimiter,
    TimeScheduler,
)
from chalicelib.venues.meteora_damm_v2.math import (
    U64_MAX,
    U128_MAX,
    amounts_in_range,
    base_fee_numerator,
    countable_prices,
    is_limited,
    limited_fee_numerator,
    sqrt_price_of,
    total_fee_numerator,
    traded_at_constant_product,
    traded_in_range,
    variable_fee_numerator,
    volatility_after,
)
from chalicelib.venues.meteora_damm_v2.refusals import (
    MATH_OVERFLOW,
    PRICE_RANGE_VIOLATION,
    TYPE_CAST_FAILED,
    DammV2SwapRefused,
)
from tests.unit.test_meteora_damm_v2 import LIMITER, MILLION, pool_of

ONE = 1 << 64
NOW = 1_760_000_000
FEE = DammV2DynamicFee(
    max_volatility_accumulator=U128_MAX,
    variable_fee_control=1,
    bin_step=1,
    filter_period=10,
    decay_period=120,
    reduction_factor=5_000,
    last_update_timestamp=NOW,
    bin_step_q64=1 << 80,
    sqrt_price_reference=ONE,
    volatility_accumulator=0,
    volatility_reference=0,
)


def state(**changes: Any) -> DammV2PoolState:
    return pool_of().state._replace(**changes)


def overflows(refused: pytest.ExceptionInfo[DammV2SwapRefused]) -> bool:
    return refused.value.code == MATH_OVERFLOW


# --- base fees ------------------------------------------------------------------------------------------------------


def test_a_rate_limiter_of_nothing_limits_nobody() -> None:
    nothing = RateLimiter(10_000_000, 0, 0, 0, 0)
    assert not is_limited(nothing, 1, 1_000, 1_000)
    for field in ("increment_bps", "max_duration", "max_fee_bps", "reference_amount"):
        assert is_limited(nothing._replace(**{field: 1}), 1, 1_000, 1_000)


def test_a_rate_limiter_works_from_activation_to_the_end_of_its_duration_on_who_buys() -> None:
    limiter = RateLimiter(10_000_000, 50, 600, 5_000, 10**6)
    assert [is_limited(limiter, 1, 1_000 + passed, 1_000) for passed in (-1, 0, 600, 601)] == [False, True, True, False]
    assert not is_limited(limiter, 0, 1_000, 1_000)


def test_a_fee_may_fall_to_nothing_and_no_further() -> None:
    falling = TimeScheduler(1_000, exponential=False, periods=3, period_frequency=1, reduction=500)
    pool = state(activation_point=0)
    assert [base_fee_numerator(falling, pool, point) for point in (0, 1, 2)] == [1_000, 500, 0]
    with pytest.raises(DammV2SwapRefused) as refused:
        base_fee_numerator(falling, pool, 3)
    assert overflows(refused)


def test_a_fee_that_loses_all_of_itself_in_a_period_has_its_cliff_before_it() -> None:
    falling = TimeScheduler(1_000, exponential=True, periods=3, period_frequency=1, reduction=10_000)
    pool = state(activation_point=0)
    assert base_fee_numerator(falling, pool, 0) == 1_000
    with pytest.raises(DammV2SwapRefused) as refused:
        base_fee_numerator(falling, pool, 1)
    assert overflows(refused)
    with pytest.raises(DammV2SwapRefused):
        base_fee_numerator(falling._replace(reduction=10_001), pool, 0)


def test_a_fee_scheduled_by_market_cap_expires_at_the_last_u64_or_before() -> None:
    scheduler = MarketCapScheduler(
        1_000, exponential=False, periods=3, sqrt_price_step_bps=200, expiration_duration=10, reduction=100
    )
    assert base_fee_numerator(scheduler, state(activation_point=U64_MAX - 10), U64_MAX) == 1_000
    with pytest.raises(DammV2SwapRefused) as refused:
        base_fee_numerator(scheduler, state(activation_point=U64_MAX - 9), U64_MAX)
    assert overflows(refused)


def test_steps_of_no_width_are_counted_only_above_the_initial_price() -> None:
    scheduler = MarketCapScheduler(
        1_000, exponential=False, periods=3, sqrt_price_step_bps=0, expiration_duration=10, reduction=100
    )
    assert base_fee_numerator(scheduler, state(init_sqrt_price=ONE, sqrt_price=ONE), 0) == 1_000
    with pytest.raises(DammV2SwapRefused) as refused:
        base_fee_numerator(scheduler, state(init_sqrt_price=ONE, sqrt_price=ONE + 1), 0)
    assert overflows(refused)


def test_a_rate_limiter_may_start_at_its_maximum_and_not_above_it() -> None:
    assert limited_fee_numerator(LIMITER._replace(max_fee_bps=100), 2 * MILLION) == LIMITER.cliff_numerator
    with pytest.raises(DammV2SwapRefused) as refused:
        limited_fee_numerator(LIMITER._replace(max_fee_bps=99), 2 * MILLION)
    assert overflows(refused)


@pytest.mark.parametrize("field", ["increment_bps", "reference_amount"])
def test_a_rate_limiter_without_steps_tells_no_fee(field: str) -> None:
    with pytest.raises(DammV2SwapRefused) as refused:
        limited_fee_numerator(LIMITER._replace(**{field: 0}), 2 * MILLION)
    assert overflows(refused)


def test_a_rate_limiters_fee_is_a_u64() -> None:
    """All of the input is the fee; where the maximum is twice that, the last unit pays two."""
    limiter = RateLimiter(
        10**9, increment_bps=10_000, max_duration=600, max_fee_bps=10_000, reference_amount=U64_MAX - 1
    )
    assert limited_fee_numerator(limiter, U64_MAX) == 10**9
    with pytest.raises(DammV2SwapRefused) as refused:
        limited_fee_numerator(limiter._replace(max_fee_bps=20_000), U64_MAX)
    assert refused.value.code == TYPE_CAST_FAILED


def test_what_volatility_adds_is_reckoned_in_128_bits() -> None:
    volatile = FEE._replace(volatility_accumulator=1 << 63)
    assert variable_fee_numerator(volatile._replace(variable_fee_control=3)) == -(-3 * 2**126 // 10**11)
    with pytest.raises(DammV2SwapRefused) as refused:
        variable_fee_numerator(volatile._replace(variable_fee_control=4))
    assert overflows(refused)


def test_all_fees_together_are_a_u64_before_they_are_cut_down() -> None:
    assert total_fee_numerator(U64_MAX - 1, 1, 500_000_000) == 500_000_000
    with pytest.raises(DammV2SwapRefused) as refused:
        total_fee_numerator(U64_MAX, 1, 500_000_000)
    assert refused.value.code == TYPE_CAST_FAILED


# --- curves ---------------------------------------------------------------------------------------------------------


def test_a_constant_product_takes_from_one_unit_to_a_u64() -> None:
    assert traded_at_constant_product((0, 5), 0, 1) == 5
    assert traded_at_constant_product((U64_MAX - 1, U64_MAX), 0, 1) == 1
    for amounts, amount in (((0, 5), 0), ((U64_MAX, 5), 1)):
        with pytest.raises(DammV2SwapRefused) as refused:
            traded_at_constant_product(amounts, 0, amount)
        assert overflows(refused)


def test_a_range_buys_up_to_a_u64_and_moves_up_to_a_u128() -> None:
    bought = state(liquidity=1 << 128, sqrt_price=(ONE << 1) - 1, sqrt_min_price=1, sqrt_max_price=U128_MAX)
    assert traded_in_range(bought, 0, 1 << 63) == (U64_MAX, ONE)
    with pytest.raises(DammV2SwapRefused) as refused:
        traded_in_range(bought, 0, (1 << 63) + 1)
    assert overflows(refused)

    moved = bought._replace(sqrt_price=U128_MAX - 5)
    assert traded_in_range(moved, 1, 5) == (0, U128_MAX)
    with pytest.raises(DammV2SwapRefused) as refused:
        traded_in_range(moved, 1, 6)
    assert refused.value.code == TYPE_CAST_FAILED


def test_a_range_ends_with_its_last_price() -> None:
    pool = state(liquidity=1 << 100, sqrt_price=2 * ONE, sqrt_min_price=ONE, sqrt_max_price=3 * ONE)
    assert traded_in_range(pool, 1, 1 << 36)[1] == 3 * ONE
    assert traded_in_range(pool, 0, 1 << 35)[1] == ONE
    assert traded_in_range(pool, 0, 0) == (0, 2 * ONE)
    for side, too_much in ((1, (1 << 36) + 1), (0, (1 << 35) + 1)):
        with pytest.raises(DammV2SwapRefused) as refused:
            traded_in_range(pool, side, too_much)
        assert refused.value.code == PRICE_RANGE_VIOLATION


def test_a_price_is_that_of_amounts_of_which_the_first_is_there() -> None:
    assert sqrt_price_of((1, 4)) == 2 * ONE
    assert sqrt_price_of((1, 0)) == 0
    with pytest.raises(DammV2SwapRefused) as refused:
        sqrt_price_of((0, 4))
    assert overflows(refused)


def test_the_amounts_of_a_range_are_told_at_any_price_within_it_and_at_none_besides() -> None:
    low_end = state(sqrt_min_price=1, sqrt_price=1, sqrt_max_price=3, liquidity=3)
    assert amounts_in_range(low_end) == (2, 0)
    high_end = low_end._replace(sqrt_price=3)
    assert amounts_in_range(high_end) == (0, 1)
    for beside in (
        low_end._replace(sqrt_price=0, sqrt_min_price=0),
        low_end._replace(sqrt_price=4),
        low_end._replace(sqrt_min_price=2),
    ):
        with pytest.raises(DammV2SwapRefused) as refused:
            amounts_in_range(beside)
        assert overflows(refused)


def test_the_amounts_of_a_range_are_u64() -> None:
    of_a = state(sqrt_min_price=1, sqrt_price=1, sqrt_max_price=2, liquidity=2 * U64_MAX)
    of_b = state(sqrt_min_price=1, sqrt_price=1 + ONE, sqrt_max_price=1 + ONE, liquidity=U64_MAX << 64)
    assert (amounts_in_range(of_a), amounts_in_range(of_b)) == ((U64_MAX, 0), (0, U64_MAX))
    for too_much in (of_a._replace(liquidity=2 * U64_MAX + 1), of_b._replace(liquidity=(U64_MAX << 64) + 1)):
        with pytest.raises(DammV2SwapRefused) as refused:
            amounts_in_range(too_much)
        assert overflows(refused)


# --- volatility -----------------------------------------------------------------------------------------------------


def test_a_reference_holds_until_the_filter_period_is_over_even_where_the_clock_goes_back() -> None:
    fee = FEE._replace(filter_period=1, sqrt_price_reference=3 * ONE)
    for passed, reference in ((-5, 3 * ONE), (0, 3 * ONE), (1, ONE)):
        assert volatility_after(fee, ONE, ONE, NOW + passed).sqrt_price_reference == reference


def test_volatility_decays_once_until_the_decay_period_is_over() -> None:
    fee = FEE._replace(volatility_accumulator=30_000, volatility_reference=7)
    told = [volatility_after(fee, ONE, ONE, NOW + passed).volatility_reference for passed in (9, 10, 119, 120)]
    assert told == [7, 15_000, 15_000, 0]


def test_volatility_is_of_128_bits() -> None:
    most = FEE._replace(volatility_accumulator=U128_MAX, reduction_factor=1)
    assert volatility_after(most, ONE, ONE, NOW + 10).volatility_reference == U128_MAX // 10_000
    with pytest.raises(DammV2SwapRefused) as refused:
        volatility_after(most._replace(reduction_factor=2), ONE, ONE, NOW + 10)
    assert overflows(refused)
    full = FEE._replace(volatility_reference=U128_MAX)
    assert volatility_after(full, ONE, ONE, NOW).volatility_accumulator == U128_MAX
    with pytest.raises(DammV2SwapRefused) as refused:
        volatility_after(full, ONE, 1 << 81, NOW)
    assert overflows(refused)


def test_prices_may_be_as_far_apart_as_a_ratio_of_128_bits_tells() -> None:
    assert volatility_after(FEE, ONE, U128_MAX, NOW).sqrt_price_reference == ONE
    for before, after in ((ONE - 1, U128_MAX), (0, ONE)):
        with pytest.raises(DammV2SwapRefused) as refused:
            volatility_after(FEE._replace(sqrt_price_reference=before), before, after, NOW)
        assert overflows(refused)
    with pytest.raises(DammV2SwapRefused):
        volatility_after(FEE._replace(bin_step_q64=0), ONE, ONE, NOW)


def test_every_price_that_is_surely_counted_is_and_the_next_lower_one_is_not() -> None:
    price = 1 << 100
    fee = FEE._replace(sqrt_price_reference=price)
    within = countable_prices(state(sqrt_price=price), fee, NOW)
    assert within == ((1 << 36) + 1, (1 << 164) - 1)
    lowest, _ = within
    for counted in (lowest, U128_MAX):
        volatility_after(fee, price, counted, NOW)
    with pytest.raises(DammV2SwapRefused):
        volatility_after(fee, price, lowest - 1, NOW)


def test_what_is_surely_counted_goes_by_the_reference_until_the_filter_period_is_over() -> None:
    fee, pool = FEE._replace(sqrt_price_reference=1 << 127), state(sqrt_price=ONE)
    within = [countable_prices(pool, fee, NOW + passed) for passed in (9, 10)]
    assert within == [((1 << 63) + 1, U128_MAX), (2, U128_MAX)]


def test_nothing_is_sure_of_very_fine_bins_great_volatilities_or_a_price_of_nothing() -> None:
    pool = state(sqrt_price=ONE)
    assert countable_prices(pool, FEE._replace(bin_step_q64=1 << 16), NOW)
    assert countable_prices(pool, FEE._replace(bin_step_q64=(1 << 16) - 1), NOW) is None
    for name in ("volatility_accumulator", "volatility_reference"):
        assert countable_prices(pool, FEE._replace(**{name: (1 << 100) - 1}), NOW)
        assert countable_prices(pool, FEE._replace(**{name: 1 << 100}), NOW) is None
    assert countable_prices(state(sqrt_price=0), FEE, NOW) is None
