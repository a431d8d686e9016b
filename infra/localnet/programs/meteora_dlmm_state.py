"""What a swap leaves in Meteora DLMM's accounts: LbPair, bin arrays, oracle.

The program's source is not public: layouts are MeteoraAg/dlmm-sdk's idls/dlmm.json, and what is written where was
observed on the program itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from chalicelib.venues.meteora_dlmm.layout import (
    ACTIVE_ID_OFFSET,
    BIN_LENGTH,
    BINS_OFFSET,
    BINS_PER_ARRAY,
    PROTOCOL_FEE_OFFSET,
    VARIABLE_PARAMETERS,
    VARIABLE_PARAMETERS_OFFSET,
    LbPair,
)
from chalicelib.venues.meteora_dlmm.math import BinFill, SwapResult, split_fee

_ACTIVE_ID = Struct("<i")
_PROTOCOL_FEE = Struct("<QQ")

# amount_x, amount_y u64; price, liquidity_supply u128; fulfilled_order_amount_x and _y, limit_order_fee_ask_side and
# _bid_side u64; fee_amount_x_ and _y_per_token_stored u128; open_order_amount, total_processing_order_amount,
# processed_order_remaining_amount u64; order_age u32
_BIN = Struct("<QQ16s16sQQQQ16s16sQQQI")
# Of each bin: liquidity_supply, open_order_amount and processed_order_remaining_amount.
_HOLDINGS = tuple(
    (BINS_OFFSET + position * BIN_LENGTH + start, BINS_OFFSET + position * BIN_LENGTH + end)
    for position in range(BINS_PER_ARRAY)
    for start, end in ((32, 48), (112, 120), (128, 136))
)
_U128_MASK = (1 << 128) - 1

# idx, active_size, length u64; then observations: cumulative_active_bin_id i128, created_at, last_updated_at i64
_ORACLE_HEAD = Struct("<QQQ")
_ORACLE_HEAD_OFFSET = 8
_OBSERVATION = Struct("<16sqq")
_OBSERVATIONS_OFFSET = 32
_SAMPLE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class SwapRecord:
    """One swap as it is written down. `host_fee` is what a host gets of the protocol's fee, in the same token."""

    pair: LbPair
    swap_for_y: bool
    references: tuple[int, int]
    result: SwapResult
    fills: tuple[BinFill, ...]
    protocol_fee: int
    host_fee: int

    @property
    def fee_in_x(self) -> bool:
        return self.swap_for_y and self.pair.fee_on_input(self.swap_for_y)


def pair_after(data: bytes, swap: SwapRecord, now: int) -> bytes:
    """LbPair: where the price stands, how far it has moved, what the protocol has earned.

    The time of the last update is that of the last swap that moved the price.
    """
    state = bytearray(data)
    moved = swap.result.active_id != swap.pair.active_id
    VARIABLE_PARAMETERS.pack_into(
        state,
        VARIABLE_PARAMETERS_OFFSET,
        swap.result.volatility_accumulator,
        *swap.references,
        now if moved else swap.pair.volatility.last_update_timestamp,
    )
    _ACTIVE_ID.pack_into(state, ACTIVE_ID_OFFSET, swap.result.active_id)
    earned = swap.protocol_fee - swap.host_fee
    fee_x, fee_y = _PROTOCOL_FEE.unpack_from(state, PROTOCOL_FEE_OFFSET)
    if swap.fee_in_x:
        fee_x += earned
    else:
        fee_y += earned
    _PROTOCOL_FEE.pack_into(state, PROTOCOL_FEE_OFFSET, fee_x, fee_y)
    return bytes(state)


def bin_array_after(data: bytes, index: int, swap: SwapRecord) -> bytes:
    """The bin array `index` after those of the swap's fills that are in it."""
    state = bytearray(data)
    for fill in _fills_of(index, swap.fills):
        offset = BINS_OFFSET + fill.rung.bin_id % BINS_PER_ARRAY * BIN_LENGTH
        filled = _Bin(*_BIN.unpack_from(state, offset))
        filled.take(fill, swap)
        _BIN.pack_into(state, offset, *filled.fields())
    return bytes(state)


def is_empty(data: bytes) -> bool:
    """Whether a bin array has neither market makers' shares nor orders left: then no bitmap names it any longer."""
    return not any(any(data[start:end]) for start, end in _HOLDINGS)


def cleared(data: bytes, bitmap_offset: int, bit: int) -> bytes:
    """An account's data with one bit of its bitmap cleared."""
    state = bytearray(data)
    state[bitmap_offset + bit // 8] &= ~(1 << bit % 8)
    return bytes(state)


def oracle_after(data: bytes, active_id: int, now: int) -> bytes:
    """Oracle: `active_id`, that of before the swap, has held since the last observation. A sample lasts two minutes."""
    state = bytearray(data)
    index, active_size, length = _ORACLE_HEAD.unpack_from(state, _ORACLE_HEAD_OFFSET)
    total, created_at, updated_at = active_id, now, now
    if not active_size:
        active_size = 1
    else:
        raw, created_at, updated_at = _OBSERVATION.unpack_from(state, _observation_offset(index))
        total = int.from_bytes(raw, "little", signed=True) + active_id * (now - updated_at)
        if now - created_at >= _SAMPLE_SECONDS:
            index, created_at = (index + 1) % length, now
            active_size = min(active_size + 1, length)
    _ORACLE_HEAD.pack_into(state, _ORACLE_HEAD_OFFSET, index, active_size, length)
    _OBSERVATION.pack_into(
        state, _observation_offset(index), total.to_bytes(16, "little", signed=True), created_at, now
    )
    return bytes(state)


def _fills_of(index: int, fills: Iterable[BinFill]) -> list[BinFill]:
    return [fill for fill in fills if fill.rung.bin_id // BINS_PER_ARRAY == index]


def _observation_offset(index: int) -> int:
    return _OBSERVATIONS_OFFSET + index * _OBSERVATION.size


@dataclass(slots=True)
class _Bin:
    """`Bin`, up to its order's age."""

    amount_x: int
    amount_y: int
    price: bytes
    liquidity_supply: bytes
    fulfilled_x: int
    fulfilled_y: int
    order_fee_ask: int
    order_fee_bid: int
    fee_x_per_token: bytes
    fee_y_per_token: bytes
    open_orders: int
    total_processing: int
    processed_remaining: int
    order_age: int

    def fields(self) -> tuple[int | bytes, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def take(self, fill: BinFill, swap: SwapRecord) -> None:
        total_in = fill.market_in + fill.processed_in + fill.open_in
        split = split_fee(fill.fee, swap.pair.parameters.protocol_share, fill.market_in, total_in)
        sold_orders = fill.processed_out + fill.open_out
        if swap.swap_for_y:
            self.amount_x += fill.market_in
            self.amount_y -= fill.market_out
            self.fulfilled_y += sold_orders
            self.order_fee_bid += split.limit_orders
        else:
            self.amount_y += fill.market_in
            self.amount_x -= fill.market_out
            self.fulfilled_x += sold_orders
            self.order_fee_ask += split.limit_orders
        self._earn(split.market_makers, swap.fee_in_x)
        self.processed_remaining -= fill.processed_out
        if fill.open_out:
            # Open orders that a swap touches become the ones being processed, which it had used up.
            self.total_processing = self.open_orders
            self.processed_remaining = self.open_orders - fill.open_out
            self.open_orders = 0
            self.order_age += 1

    def _earn(self, fee: int, in_x: bool) -> None:
        supply = int.from_bytes(self.liquidity_supply, "little") >> 64
        if not supply:
            return
        name = "fee_x_per_token" if in_x else "fee_y_per_token"
        stored = int.from_bytes(getattr(self, name), "little") + (fee << 64) // supply
        setattr(self, name, (stored & _U128_MASK).to_bytes(16, "little"))
