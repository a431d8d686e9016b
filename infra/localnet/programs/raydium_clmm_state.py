"""What a swap leaves in Raydium CLMM's accounts: PoolState, tick arrays, bitmaps, observation.

Facts: raydium-io/raydium-clmm, programs/amm/src: instructions/swap.rs, states/pool.rs (update_after_swap),
tick_array.rs (cross, match_limit_order_with_sqrt_price), oracle.rs, tickarray_bitmap_extension.rs. Left out: rewards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from struct import Struct

from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.raydium_clmm.layout import (
    BITMAP_OFFSET,
    DYNAMIC_FEE,
    DYNAMIC_FEE_OFFSET,
    EXTENSION_NEGATIVE_OFFSET,
    EXTENSION_POSITIVE_OFFSET,
    FUND_FEES_OFFSET,
    INITIALIZED_TICK_COUNT_OFFSET,
    INTERNAL_REACH,
    LIQUIDITY_OFFSET,
    PROTOCOL_FEES_OFFSET,
    TICK_LENGTH,
    TICKS_OFFSET,
    ClmmFeeRates,
    ClmmPoolState,
    array_number,
    array_start,
)
from chalicelib.venues.raydium_clmm.math import FeeReferences, StepFill, SwapTrace, is_fee_on_input, split_fee
from infra.localnet.programs.anchor import discriminator

OBSERVATION_DISCRIMINATOR = discriminator("account", "ObservationState")
OBSERVATION_LENGTH = 4483

_U64_MAX = (1 << 64) - 1
_U128_MASK = (1 << 128) - 1
_ONE = 1 << 64
# liquidity, sqrt_price_x64, tick_current; then fee_growth_global of both tokens
_PRICE = Struct("<16s16si")
_GROWTH_OFFSET = 277
_GROWTH = Struct("<16s16s")
_FEES = Struct("<QQ")
_RECENT_EPOCH = Struct("<Q")
_ARRAY_EPOCH_OFFSET = INITIALIZED_TICK_COUNT_OFFSET + 1
_POOL_EPOCH_OFFSET = 1088
# Of a tick: liquidity_gross; fee_growth_outside of both tokens; order_phase, orders_amount,
# part_filled_orders_remaining, unfilled_ratio_x64
_GROSS = slice(20, 36)
_OUTSIDE_OFFSET = 36
_ORDERS_OFFSET = 116
_ORDERS = Struct("<QQQ16s")

_OBSERVATIONS = 100
_OBSERVATION_SECONDS = 15
# initialized, recent_epoch, observation_index
_OBSERVATION_HEAD = Struct("<?QH")
_OBSERVATION_HEAD_OFFSET = 8
# block_timestamp, tick_cumulative
_OBSERVATION = Struct("<Iq32x")
_OBSERVATIONS_OFFSET = 51


@dataclass(frozen=True)
class ClmmSwapRecord:
    """One swap as it is written down."""

    pool: ClmmPoolState
    rates: ClmmFeeRates
    references: FeeReferences | None
    zero_for_one: bool
    trace: SwapTrace

    @property
    def fee_side(self) -> int:
        """The token that the fee is taken in, 0 or 1."""
        return 0 if self.zero_for_one == is_fee_on_input(self.pool.fee_on, self.zero_for_one) else 1

    @cached_property
    def splits(self) -> list[tuple[int, int, int]]:
        """Of each fill's fee: liquidity providers', protocol's, fund's."""
        return [split_fee(fill, self.rates.protocol, self.rates.fund) for fill in self.trace.fills]

    @cached_property
    def growths(self) -> list[int]:
        """The fee per unit of liquidity that has been earned before each fill, and after the last."""
        earned = (
            (providers << 64) // fill.step.liquidity if fill.step.liquidity else 0
            for fill, (providers, _, _) in zip(self.trace.fills, self.splits, strict=True)
        )
        return list(accumulate(earned, initial=0))

    @property
    def order_fills(self) -> Iterable[tuple[int, int]]:
        """Each tick whose orders are filled, with how much of what they sell."""
        on_input = is_fee_on_input(self.pool.fee_on, self.zero_for_one)
        for fill in self.trace.fills:
            if fill.step.orders:
                yield _order_tick(fill, self.zero_for_one), fill.paid + (0 if on_input else fill.fee)

    @property
    def arrays(self) -> list[int]:
        """The numbers of the tick arrays that are written to."""
        touched = [tick for _, tick in self.trace.crossed] + [tick for tick, _ in self.order_fills]
        return sorted({array_number(tick, self.pool.tick_spacing) for tick in touched})


def pool_after(data: bytes, swap: ClmmSwapRecord, emptied: Iterable[int], clock: ChainClock) -> bytes:
    """PoolState: price, what its fees have earned, the dynamic fee's memory. `emptied` arrays are marked no longer."""
    state, after, side = bytearray(data), swap.trace.after, swap.fee_side
    _PRICE.pack_into(state, LIQUIDITY_OFFSET, _u128(after.liquidity), _u128(after.sqrt_price), after.tick)
    growths = _growths(state, _GROWTH_OFFSET)
    growths[side] = (growths[side] + swap.growths[-1]) & _U128_MASK
    _GROWTH.pack_into(state, _GROWTH_OFFSET, *map(_u128, growths))
    for offset, part in ((PROTOCOL_FEES_OFFSET, 1), (FUND_FEES_OFFSET, 2)):
        fees = list(_FEES.unpack_from(state, offset))
        fees[side] += sum(split[part] for split in swap.splits)
        _FEES.pack_into(state, offset, *fees)
    if swap.pool.dynamic_fee is not None and swap.references is not None:
        references = swap.references
        fee = swap.pool.dynamic_fee._replace(
            index_reference=references.spacing_index,
            volatility_reference=references.volatility,
            accumulator=after.accumulator,
            last_update=references.last_update,
        )
        DYNAMIC_FEE.pack_into(state, DYNAMIC_FEE_OFFSET, *fee)
    _RECENT_EPOCH.pack_into(state, _POOL_EPOCH_OFFSET, clock.epoch)
    for number in emptied:
        if -INTERNAL_REACH <= number < INTERNAL_REACH:
            _flip(state, BITMAP_OFFSET, number + INTERNAL_REACH)
    return bytes(state)


def extension_after(data: bytes, emptied: Iterable[int]) -> bytes:
    """The bitmap extension; `emptied` arrays are marked no longer."""
    state = bytearray(data)
    for number in emptied:
        if not -INTERNAL_REACH <= number < INTERNAL_REACH:
            _flip(state, *_extension_bit(number))
    return bytes(state)


def extension_bitmap(arrays: Iterable[int]) -> bytes:
    """Both halves of a bitmap extension that marks those of `arrays` that the pool's own bitmap doesn't cover."""
    state = bytearray(EXTENSION_NEGATIVE_OFFSET - EXTENSION_POSITIVE_OFFSET) * 2
    for number in arrays:
        if not -INTERNAL_REACH <= number < INTERNAL_REACH:
            offset, bit = _extension_bit(number)
            _flip(state, offset - EXTENSION_POSITIVE_OFFSET, bit)
    return bytes(state)


def pool_growths(data: bytes) -> tuple[int, int]:
    """PoolState's fee per unit of liquidity that each token has earned so far."""
    growth_0, growth_1 = _growths(data, _GROWTH_OFFSET)
    return growth_0, growth_1


def has_ticks(data: bytes) -> bool:
    """Whether a tick array has initialised ticks left: else no bitmap marks it any longer."""
    return data[INITIALIZED_TICK_COUNT_OFFSET] > 0


def tick_array_after(
    data: bytes, number: int, swap: ClmmSwapRecord, growths: tuple[int, int], clock: ChainClock
) -> bytes:
    """The array `number` after the orders that the swap filled in it, and the ticks that it crossed.

    `growths` are the pool's before the swap.
    """
    state, spacing = bytearray(data), swap.pool.tick_spacing
    start = array_start(number, spacing)

    def offset_of(tick: int) -> int:
        return TICKS_OFFSET + (tick - start) // spacing * TICK_LENGTH

    for tick, sold in swap.order_fills:
        if array_number(tick, spacing) == number and sold:
            offset = offset_of(tick)
            _fill_orders(state, offset + _ORDERS_OFFSET, sold)
            if not _is_initialized(state, offset):
                state[INITIALIZED_TICK_COUNT_OFFSET] -= 1
    for fills_before, tick in swap.trace.crossed:
        offset = offset_of(tick)
        if array_number(tick, spacing) == number and any(state[offset + _GROSS.start : offset + _GROSS.stop]):
            outside = _growths(state, offset + _OUTSIDE_OFFSET)
            now = list(growths)
            now[swap.fee_side] += swap.growths[fills_before]
            crossed = [(total - old) & _U128_MASK for total, old in zip(now, outside, strict=True)]
            _GROWTH.pack_into(state, offset + _OUTSIDE_OFFSET, *map(_u128, crossed))
    _RECENT_EPOCH.pack_into(state, _ARRAY_EPOCH_OFFSET, clock.epoch)
    return bytes(state)


def observation_after(data: bytes, tick_before: int, now: int) -> bytes:
    """ObservationState once the price has left `tick_before`: an observation is made every fifteen seconds at most."""
    state = bytearray(data)
    initialized, epoch, index = _OBSERVATION_HEAD.unpack_from(state, _OBSERVATION_HEAD_OFFSET)
    if not initialized:
        _OBSERVATION_HEAD.pack_into(state, _OBSERVATION_HEAD_OFFSET, True, epoch, index)
        _OBSERVATION.pack_into(state, _observation_offset(index), now, 0)
        return bytes(state)
    last, cumulative = _OBSERVATION.unpack_from(state, _observation_offset(index))
    elapsed = max(now - last, 0)
    if elapsed < _OBSERVATION_SECONDS:
        return bytes(state)
    index = (index + 1) % _OBSERVATIONS
    _OBSERVATION_HEAD.pack_into(state, _OBSERVATION_HEAD_OFFSET, True, epoch, index)
    _OBSERVATION.pack_into(state, _observation_offset(index), now, cumulative + tick_before * elapsed)
    return bytes(state)


def _order_tick(fill: StepFill, zero_for_one: bool) -> int:
    return fill.step.end_tick + 1 if zero_for_one else fill.step.end_tick


def _fill_orders(state: bytearray, offset: int, sold: int) -> None:
    phase, unfilled, part_filled, raw_ratio = _ORDERS.unpack_from(state, offset)
    ratio = int.from_bytes(raw_ratio, "little")
    from_part = min(part_filled, sold)
    if from_part:
        ratio = ratio * (part_filled - from_part) // part_filled
        part_filled -= from_part
    rest = sold - from_part
    if rest:
        # Orders that a swap touches become the ones being filled.
        phase = min(phase + 1, _U64_MAX)
        ratio = _ONE * (unfilled - rest) // unfilled
        unfilled, part_filled = 0, unfilled - rest
    _ORDERS.pack_into(state, offset, phase, unfilled, part_filled, _u128(ratio))


def _is_initialized(state: bytearray, offset: int) -> bool:
    _, unfilled, part_filled, _ = _ORDERS.unpack_from(state, offset + _ORDERS_OFFSET)
    return bool(unfilled or part_filled or any(state[offset + _GROSS.start : offset + _GROSS.stop]))


def _growths(state: bytes | bytearray, offset: int) -> list[int]:
    return [int.from_bytes(growth, "little") for growth in _GROWTH.unpack_from(state, offset)]


def _extension_bit(number: int) -> tuple[int, int]:
    """Where the extension has the bit of an array: positive rows go outwards, each negative one begins at its end."""
    if number >= 0:
        return EXTENSION_POSITIVE_OFFSET, number - INTERNAL_REACH
    row, bit = divmod(number, INTERNAL_REACH)
    return EXTENSION_NEGATIVE_OFFSET, (-row - 2) * INTERNAL_REACH + bit


def _flip(state: bytearray, offset: int, bit: int) -> None:
    state[offset + bit // 8] ^= 1 << bit % 8


def _observation_offset(index: int) -> int:
    return _OBSERVATIONS_OFFSET + index * _OBSERVATION.size


def _u128(number: int) -> bytes:
    return number.to_bytes(16, "little")
