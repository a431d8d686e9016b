"""Meteora DAMM v2's swap, to the unit: fees, the two curves, the volatility. Amounts are base units.

Fee numerators are of 10^9; prices are square roots in Q64.64, liquidity has 128 fractional bits. What the program can't
compute is refused with its own code.
Source: MeteoraAg/damm-v2, programs/cp-amm/src: base_fee/*.rs, state/fee.rs, math/fee_math.rs, liquidity_handler/*.rs.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

from chalicelib.venues.fixed_point import ONE, power
from chalicelib.venues.meteora_damm_v2.layout import (
    FEE_DENOMINATOR,
    BaseFee,
    DammV2DynamicFee,
    DammV2PoolState,
    MarketCapScheduler,
    RateLimiter,
    TimeScheduler,
)
from chalicelib.venues.meteora_damm_v2.refusals import (
    MATH_OVERFLOW,
    PRICE_RANGE_VIOLATION,
    TYPE_CAST_FAILED,
    DammV2SwapRefused,
)

BASIS_POINT_MAX = 10_000
U64_MAX = (1 << 64) - 1
U128_MAX = (1 << 128) - 1
# With these neither the bins between two prices nor the volatilities overflow 128 bits, whatever the prices are.
_COUNTABLE_BIN_STEP, _COUNTABLE_VOLATILITY = 1 << 16, 1 << 100
_NUMERATOR_OF_BASIS_POINT = FEE_DENOMINATOR // BASIS_POINT_MAX
# Basis points squared, three times over, down to 10^9.
_VARIABLE_FEE_SCALE = 100_000_000_000


class DammV2FeeSplit(NamedTuple):
    """Who gets how much of a fee, without a referral."""

    protocol: int
    compounding: int  # stays in the pool's reserves
    claiming: int  # the liquidity providers'


class DammV2SwapOutcome(NamedTuple):
    """Everything that one exact-in swap changes. `fee` is of the input where `fee_on_input`, else of the output."""

    amount_in: int  # leaves the trader
    input_transfer_fee: int  # of which the input mint withholds
    traded: int  # what the curve takes in: without the fee, where that is the input's
    fee: int
    fee_on_input: bool
    split: DammV2FeeSplit
    vault_out: int  # leaves the vault
    output_transfer_fee: int  # of which the output mint withholds
    token_amounts: tuple[int, int]  # the pool's own count of A and B afterwards
    sqrt_price: int
    dynamic_fee: DammV2DynamicFee | None  # as the swap leaves it

    @property
    def amount_out(self) -> int:
        """What arrives at the trader."""
        return self.vault_out - self.output_transfer_fee

    def fee_side(self, side_in: int) -> int:
        """0 or 1: of which token the fee is, where `side_in` comes in."""
        return side_in if self.fee_on_input else 1 - side_in


def is_limited(limiter: RateLimiter, side_in: int, point: int, activation_point: int) -> bool:
    """Whether who buys more pays more, and may buy once in a transaction (`is_rate_limiter_applied`)."""
    if side_in == 0 or limiter[1:] == (0, 0, 0, 0):
        return False
    return 0 <= point - activation_point <= limiter.max_duration


def base_fee_numerator(base_fee: BaseFee, state: DammV2PoolState, point: int) -> int:
    """The base fee that doesn't depend on the amount: any but a rate limiter's at work. Raises SwapRefused."""
    if type(base_fee) is TimeScheduler:
        if base_fee.period_frequency == 0:
            return base_fee.cliff_numerator
        passed = (point - state.activation_point) // base_fee.period_frequency
        return _scheduled(base_fee, min(passed, base_fee.periods))
    if type(base_fee) is MarketCapScheduler:
        return _scheduled(base_fee, _steps_risen(base_fee, state, point))
    return base_fee.cliff_numerator


def _scheduled(scheduler: TimeScheduler | MarketCapScheduler, period: int) -> int:
    """`get_base_fee_numerator_by_period`, math/fee_math.rs `get_fee_in_period`."""
    cliff, reduction = scheduler.cliff_numerator, scheduler.reduction
    if not scheduler.exponential:
        if reduction * period > cliff:
            raise DammV2SwapRefused(MATH_OVERFLOW)
        return cliff - reduction * period
    if reduction == 0:
        return cliff
    kept = ONE - (reduction << 64) // BASIS_POINT_MAX
    if kept < 0:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    result = power(kept, period)
    if result == 0:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return result * cliff >> 64


def _steps_risen(scheduler: MarketCapScheduler, state: DammV2PoolState, point: int) -> int:
    """By how many steps the price before the swap is above the initial one; all, once the scheduler has expired."""
    expiration = state.activation_point + scheduler.expiration_duration
    if expiration > U64_MAX:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    if point > expiration:
        return scheduler.periods
    if state.sqrt_price <= state.init_sqrt_price:
        return 0
    if not state.init_sqrt_price or not scheduler.sqrt_price_step_bps:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    risen_bps = (state.sqrt_price - state.init_sqrt_price) * BASIS_POINT_MAX // state.init_sqrt_price
    return min(risen_bps // scheduler.sqrt_price_step_bps, scheduler.periods)


def limited_fee_numerator(limiter: RateLimiter, amount: int) -> int:
    """The base fee on `amount` that comes in while the limiter is at work.

    Each whole reference amount beyond the first pays an increment more than the one before, up to the maximum; what
    that comes to on the whole amount is the numerator, rounded up (`get_fee_numerator_from_included_fee_amount`).
    Raises SwapRefused.
    """
    reference, cliff = limiter.reference_amount, limiter.cliff_numerator
    if amount <= reference:
        return cliff
    increment = limiter.increment_bps * _NUMERATOR_OF_BASIS_POINT
    maximum = limiter.max_fee_bps * _NUMERATOR_OF_BASIS_POINT
    if maximum < cliff or not increment or not reference:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    whole, rest = divmod(amount - reference, reference)
    steps = (maximum - cliff) // increment
    if whole < steps:
        last = cliff + increment * (whole + 1)
    else:
        whole, rest, last = steps, (whole - steps) * reference + rest, maximum
    fees = reference * (cliff * (1 + whole) + increment * whole * (whole + 1) // 2) + rest * last
    fee = -(-fees // FEE_DENOMINATOR)
    if fee > U64_MAX:
        raise DammV2SwapRefused(TYPE_CAST_FAILED)
    numerator = -(-fee * FEE_DENOMINATOR // amount)
    if numerator > U64_MAX:
        raise DammV2SwapRefused(TYPE_CAST_FAILED)
    return numerator


def variable_fee_numerator(dynamic_fee: DammV2DynamicFee | None) -> int:
    """What volatility adds (`get_variable_fee`), by the accumulator as the last swap left it. Raises SwapRefused."""
    if dynamic_fee is None:
        return 0
    moved = dynamic_fee.volatility_accumulator * dynamic_fee.bin_step
    fee = moved * moved * dynamic_fee.variable_fee_control
    if fee + _VARIABLE_FEE_SCALE > U128_MAX:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return -(-fee // _VARIABLE_FEE_SCALE)


def total_fee_numerator(base: int, variable: int, maximum: int) -> int:
    """Both together, cut down to `maximum` (`get_total_fee_numerator`). Raises SwapRefused."""
    if base + variable > U64_MAX:
        raise DammV2SwapRefused(TYPE_CAST_FAILED)
    return min(base + variable, maximum)


def split_fee(fee: int, protocol_percent: int, compounding_bps: int) -> DammV2FeeSplit:
    """`split_fees` without a referral, which would have its part of the protocol's. Raises SwapRefused."""
    protocol = fee * protocol_percent // 100
    trading = fee - protocol
    compounding = trading * compounding_bps // BASIS_POINT_MAX
    if trading < 0 or compounding > trading:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return DammV2FeeSplit(protocol, compounding, trading - compounding)


def traded_in_range(state: DammV2PoolState, side_in: int, amount: int) -> tuple[int, int]:
    """What `amount` buys within the pool's one price range, and the price that it leaves.

    liquidity_handler/concentrated_liquidity.rs. Raises SwapRefused.
    """
    liquidity, price = state.liquidity, state.sqrt_price
    if not liquidity or not price:
        # The program asserts that there are both, and panics, which has no code: the nearest stands for it.
        raise DammV2SwapRefused(MATH_OVERFLOW)
    if side_in == 0:
        after = -(-liquidity * price // (liquidity + amount * price)) if amount else price
        if after < state.sqrt_min_price:
            raise DammV2SwapRefused(PRICE_RANGE_VIOLATION)
        amount_out = liquidity * (price - after) >> 128
    else:
        after = price + (amount << 128) // liquidity
        if after > U128_MAX:
            raise DammV2SwapRefused(TYPE_CAST_FAILED)
        if after > state.sqrt_max_price:
            raise DammV2SwapRefused(PRICE_RANGE_VIOLATION)
        amount_out = liquidity * (after - price) // (price * after)
    if amount_out > U64_MAX:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return amount_out, after


def traded_at_constant_product(token_amounts: tuple[int, int], side_in: int, amount: int) -> int:
    """What `amount` buys (liquidity_handler/compounding_liquidity.rs). Raises SwapRefused."""
    amount_in = token_amounts[side_in] + amount
    if not 0 < amount_in <= U64_MAX:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return token_amounts[1 - side_in] * amount // amount_in


def sqrt_price_of(token_amounts: tuple[int, int]) -> int:
    """At a constant product (`get_sqrt_price_from_amounts`). Raises SwapRefused."""
    amount_a, amount_b = token_amounts
    if not amount_a:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return isqrt((amount_b << 128) // amount_a)


def amounts_in_range(state: DammV2PoolState) -> tuple[int, int]:
    """A and B that the liquidity holds, rounded up: a pool's own count where it has none yet (`get_reserves_amount`).

    Raises SwapRefused.
    """
    low, price, high = state.sqrt_min_price, state.sqrt_price, state.sqrt_max_price
    if not 0 < price <= high or low > price:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    amount_a = -(-state.liquidity * (high - price) // (price * high))
    amount_b = -(-state.liquidity * (price - low) >> 128)
    if amount_a > U64_MAX or amount_b > U64_MAX:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return amount_a, amount_b


def volatility_after(dynamic_fee: DammV2DynamicFee, before: int, after: int, timestamp: int) -> DammV2DynamicFee:
    """The dynamic fee's own state after a swap that moved the price from `before` to `after` (square roots).

    state/fee.rs `update_references`, `update_volatility_accumulator`; state/pool.rs `update_post_swap`.
    Raises SwapRefused.
    """
    reference, volatility = dynamic_fee.sqrt_price_reference, dynamic_fee.volatility_reference
    elapsed = max(timestamp - dynamic_fee.last_update_timestamp, 0)
    if elapsed >= dynamic_fee.filter_period:
        reference, volatility = before, 0
        if elapsed < dynamic_fee.decay_period:
            decayed = dynamic_fee.volatility_accumulator * dynamic_fee.reduction_factor
            if decayed > U128_MAX:
                raise DammV2SwapRefused(MATH_OVERFLOW)
            volatility = decayed // BASIS_POINT_MAX
    accumulator = volatility + _bins_between(dynamic_fee.bin_step_q64, after, reference) * BASIS_POINT_MAX
    if accumulator > U128_MAX:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    moved = _bins_between(dynamic_fee.bin_step_q64, before, after) > 0
    return dynamic_fee._replace(
        last_update_timestamp=timestamp if moved else dynamic_fee.last_update_timestamp,
        sqrt_price_reference=reference,
        volatility_accumulator=min(accumulator, dynamic_fee.max_volatility_accumulator),
        volatility_reference=volatility,
    )


def countable_prices(state: DammV2PoolState, dynamic_fee: DammV2DynamicFee, timestamp: int) -> tuple[int, int] | None:
    """From and to which square root of a price `volatility_after` surely counts; None where that isn't sure of any."""
    volatilities = dynamic_fee.volatility_accumulator | dynamic_fee.volatility_reference
    if dynamic_fee.bin_step_q64 < _COUNTABLE_BIN_STEP or volatilities >= _COUNTABLE_VOLATILITY:
        return None
    before, elapsed = state.sqrt_price, timestamp - dynamic_fee.last_update_timestamp
    reference = before if elapsed >= dynamic_fee.filter_period else dynamic_fee.sqrt_price_reference
    low, high = (before, reference) if before < reference else (reference, before)
    # The ratio of two square roots is a u128 in Q64.64, so one may be less than 2^64 times the other.
    return ((high >> 64) + 1, (low << 64) - 1) if low else None


def _bins_between(bin_step: int, one: int, other: int) -> int:
    """`get_delta_bin_id`: twice the bins that the square roots are apart, as if each bin were as wide as the first."""
    low, high = (one, other) if one < other else (other, one)
    if not low or not bin_step:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    ratio = (high << 64) // low
    if ratio > U128_MAX:
        raise DammV2SwapRefused(MATH_OVERFLOW)
    return (ratio - ONE) // bin_step * 2
