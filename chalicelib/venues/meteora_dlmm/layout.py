"""Meteora DLMM's accounts: where they are and what their bytes say. Nothing here computes a swap.

Source: MeteoraAg/dlmm-sdk, idls/dlmm.json (layouts), commons/src/pda.rs (addresses),
commons/src/extensions/bin_array_bitmap.rs and lb_pair.rs (bitmaps).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache, partial
from struct import Struct
from typing import NamedTuple

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.pool_accounts import InvalidAccount, check_account

PROGRAM_ID = Pubkey.from_string("LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo")
# What the addresses of customisable pairs are derived from (commons/src/constants.rs, ILM_BASE_KEY).
_CUSTOMIZABLE_BASE = Pubkey.from_string("MFGQxwAmB91SwuYX36okv2Qmdc9aMuHTwWGUrp4AtB1")
EVENT_AUTHORITY = Pubkey.find_program_address([b"__event_authority"], PROGRAM_ID)[0]

LB_PAIR_DISCRIMINATOR = bytes([33, 11, 49, 98, 181, 101, 177, 13])
BIN_ARRAY_DISCRIMINATOR = bytes([92, 142, 92, 220, 5, 148, 70, 181])
BITMAP_EXTENSION_DISCRIMINATOR = bytes([80, 111, 124, 113, 55, 237, 18, 5])

LB_PAIR_LENGTH = 904
BIN_ARRAY_LENGTH = 10_136
BITMAP_EXTENSION_LENGTH = 1576
# Its two bitmaps of 12 * 512 bits, after the pair's address.
EXTENSION_POSITIVE_OFFSET = 40
EXTENSION_NEGATIVE_OFFSET = 808

BINS_PER_ARRAY = 70
PAIR_STATUS_ENABLED = 0
# Bin array indexes the pair's own bitmap covers on each side of zero, and those it covers with its extension.
INTERNAL_REACH = 512
EXTENDED_REACH = 512 * 13

# StaticParameters: base_factor, filter_period, decay_period, reduction_factor u16; variable_fee_control,
# max_volatility_accumulator u32; min_bin_id, max_bin_id i32; protocol_share u16; base_fee_power_factor,
# function_type, collect_fee_mode u8
_STATIC_PARAMETERS = Struct("<HHHHIIiiHBBB")
# VariableParameters: volatility_accumulator, volatility_reference u32; index_reference i32; last_update_timestamp i64
VARIABLE_PARAMETERS = Struct("<IIi4xq")
# pair_type u8; active_id i32; bin_step u16; status, activation_type u8; both mints, both reserves
_PAIR = Struct("<BiHB3xBx32s32s32s32s")
# oracle, then the bitmap of 16 u64
_ORACLE_AND_BITMAP = Struct("<32s128s")
# pre_activation_swap_address; (base_key) activation_point, pre_activation_duration u64
_ACTIVATION = Struct("<32s32xQQ")

# Of LbPair: token_x_mint, token_y_mint.
MINTS_OFFSET = 88
_STATIC_PARAMETERS_OFFSET = 8
VARIABLE_PARAMETERS_OFFSET = 40
_PAIR_OFFSET = 75
ACTIVE_ID_OFFSET = 76
PROTOCOL_FEE_OFFSET = 216
_REWARD_MINT_0, _REWARD_MINT_1 = slice(264, 264 + 32), slice(408, 408 + 32)
_NO_KEY = bytes(32)
_ORACLE_OFFSET = 552
INTERNAL_BITMAP_OFFSET = 584
_ACTIVATION_OFFSET = 752
# token_mint_x_program_flag, token_mint_y_program_flag: 0 is SPL Token, 1 Token-2022
_PROGRAM_FLAG_X = 880

# BinArray: index i64, version u8, padding, lb_pair; then 70 bins
_BIN_ARRAY_HEADER = Struct("<q8x32s")
BIN_LENGTH = 144
BINS_OFFSET = 56
# Of each bin, what a swap in one direction reads: the output's amount and the price as two halves.
_MARKET = {
    True: Struct("<" + "8xQQQ112x" * BINS_PER_ARRAY),
    False: Struct("<" + "Q8xQQ112x" * BINS_PER_ARRAY),
}
# open_order_amount, processed_order_remaining_amount; apart, because most arrays have none: limit_order_ask_side.
_ORDERS = Struct("<" + "112xQ8xQ8x" * BINS_PER_ARRAY)
_ORDER_SIDES = Struct("<" + "140xB3x" * BINS_PER_ARRAY)
_NO_ORDERS = 2 * BINS_PER_ARRAY


_REVERSED_BYTES = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class PairType(IntEnum):
    PERMISSIONLESS = 0
    PERMISSION = 1
    CUSTOMIZABLE_PERMISSIONLESS = 2
    PERMISSIONLESS_V2 = 3


_GATED_PAIR_TYPES = frozenset({int(PairType.PERMISSION), int(PairType.CUSTOMIZABLE_PERMISSIONLESS)})


class ActivationType(IntEnum):
    SLOT = 0
    TIMESTAMP = 1


class FunctionType(IntEnum):
    UNDETERMINED = 0
    LIQUIDITY_MINING = 1
    LIMIT_ORDER = 2


class CollectFeeMode(IntEnum):
    INPUT_ONLY = 0
    ONLY_Y = 1


# Pairs are decoded anew for each quote, and a named tuple is made in a quarter of a frozen dataclass's time.
class FeeParameters(NamedTuple):
    """`StaticParameters`: how the fee follows from bin step and volatility. Periods are in seconds."""

    base_factor: int
    filter_period: int
    decay_period: int
    reduction_factor: int
    variable_fee_control: int
    max_volatility_accumulator: int
    min_bin_id: int
    max_bin_id: int
    protocol_share: int
    base_fee_power_factor: int
    function_type: int
    collect_fee_mode: int


class Volatility(NamedTuple):
    """`VariableParameters`: how far the price has moved lately, in ten thousandths of a bin."""

    accumulator: int
    reference: int
    index_reference: int
    last_update_timestamp: int


class LbPair(NamedTuple):
    """The pool account. `bitmap` has bit `index + 512` set for each bin array with liquidity that it covers."""

    parameters: FeeParameters
    volatility: Volatility
    pair_type: int
    active_id: int
    bin_step: int
    status: int
    activation_type: int
    mint_x: Pubkey
    mint_y: Pubkey
    reserve_x: Pubkey
    reserve_y: Pubkey
    oracle: Pubkey
    bitmap: int
    has_rewards: bool
    pre_activation_swap_address: Pubkey
    activation_point: int
    pre_activation_duration: int
    token_2022: tuple[bool, bool]

    @classmethod
    def decode(cls, owner: Pubkey, data: bytes) -> LbPair:
        """Raises InvalidAccount."""
        _check(owner, data, LB_PAIR_DISCRIMINATOR, LB_PAIR_LENGTH, "LbPair")
        pair_type, active_id, bin_step, status, activation_type, *keys = _PAIR.unpack_from(data, _PAIR_OFFSET)
        mint_x, mint_y, reserve_x, reserve_y = map(Pubkey, keys)
        oracle, bitmap = _ORACLE_AND_BITMAP.unpack_from(data, _ORACLE_OFFSET)
        pre_activation_address, activation_point, duration = _ACTIVATION.unpack_from(data, _ACTIVATION_OFFSET)
        return cls(
            parameters=FeeParameters._make(_STATIC_PARAMETERS.unpack_from(data, _STATIC_PARAMETERS_OFFSET)),
            volatility=Volatility._make(VARIABLE_PARAMETERS.unpack_from(data, VARIABLE_PARAMETERS_OFFSET)),
            pair_type=pair_type,
            active_id=active_id,
            bin_step=bin_step,
            status=status,
            activation_type=activation_type,
            mint_x=mint_x,
            mint_y=mint_y,
            reserve_x=reserve_x,
            reserve_y=reserve_y,
            oracle=Pubkey(oracle),
            bitmap=int.from_bytes(bitmap, "little"),
            has_rewards=data[_REWARD_MINT_0] != _NO_KEY or data[_REWARD_MINT_1] != _NO_KEY,
            pre_activation_swap_address=Pubkey(pre_activation_address),
            activation_point=activation_point,
            pre_activation_duration=duration,
            token_2022=(data[_PROGRAM_FLAG_X] == 1, data[_PROGRAM_FLAG_X + 1] == 1),
        )

    def check_addresses(self, pool: Pubkey) -> None:
        """Raises InvalidAccount unless the pair at `pool` names its own reserves and oracle, and two mints."""
        reserves = reserve_address(pool, self.mint_x), reserve_address(pool, self.mint_y)
        if (self.reserve_x, self.reserve_y) != reserves or self.oracle != oracle_address(pool):
            raise InvalidAccount("the pair names accounts that are not its own")
        if self.mint_x == self.mint_y:
            raise InvalidAccount("the pair names one mint twice")

    def is_open(self, clock: ChainClock, trader: Pubkey | None = None) -> bool:
        """Whether the program swaps at `clock`, for `trader` where the pair lets one address in early.

        commons/src/quote.rs, validate_swap_activation; for the early address idls/dlmm.json, LbPair.
        """
        if self.status != PAIR_STATUS_ENABLED:
            return False
        if self.pair_type not in _GATED_PAIR_TYPES:
            return True
        now = clock.slot if self.activation_type == ActivationType.SLOT else clock.unix_timestamp
        early = trader is not None and trader == self.pre_activation_swap_address
        return now >= self.activation_point - (self.pre_activation_duration if early else 0)

    @property
    def supports_limit_orders(self) -> bool:
        """commons/src/extensions/lb_pair.rs, is_support_limit_order."""
        function = self.parameters.function_type
        return function == FunctionType.LIMIT_ORDER or (function == FunctionType.UNDETERMINED and not self.has_rewards)

    def fee_on_input(self, swap_for_y: bool) -> bool:
        """commons/src/extensions/lb_pair.rs, fee_on_input."""
        return not swap_for_y or self.parameters.collect_fee_mode != CollectFeeMode.ONLY_Y


@dataclass(frozen=True, slots=True)
class BinArrayBitmap:
    """Which bin arrays of a pair have liquidity: the pair's own bitmap and, where it exists, its extension.

    Bit `n` of `positive` is array `n`, bit `n` of `negative` is array `-1 - n`, both over the whole reach.
    """

    positive: int
    negative: int
    reach: int

    @classmethod
    def build(cls, pair: LbPair, extension: BitmapExtension | None) -> BinArrayBitmap:
        positive = pair.bitmap >> INTERNAL_REACH
        negative = _reversed_bits(pair.bitmap & ((1 << INTERNAL_REACH) - 1))
        if extension is None:
            return cls(positive, negative, INTERNAL_REACH)
        return cls(
            positive | extension.positive << INTERNAL_REACH,
            negative | extension.negative << INTERNAL_REACH,
            EXTENDED_REACH,
        )

    def next_index(self, start: int, down: bool) -> int | None:
        """The first array with liquidity at or after `start`, downwards or upwards; None where there is none in reach.

        commons/src/quote.rs, get_bin_array_pubkeys_for_swap. A start out of reach finds nothing, as there.
        """
        if not -self.reach <= start < self.reach:
            return None
        if down:
            if start >= 0:
                below = self.positive & ((2 << start) - 1)
                if below:
                    return below.bit_length() - 1
                start = -1
            found = _lowest_bit_from(self.negative, -1 - start)
            return None if found is None else -1 - found
        if start < 0:
            below = self.negative & ((1 << -start) - 1)
            if below:
                return -below.bit_length()
            start = 0
        return _lowest_bit_from(self.positive, start)

    def indexes_from(self, start: int, down: bool, count: int) -> list[int]:
        """At most `count` arrays with liquidity in the order a swap visits them."""
        found: list[int] = []
        index = self.next_index(start, down)
        while index is not None and len(found) < count:
            found.append(index)
            index = self.next_index(index - 1 if down else index + 1, down)
        return found


@dataclass(frozen=True, slots=True)
class BitmapExtension:
    """`BinArrayBitmapExtension`: bit `n` of `positive` is array `512 + n`, bit `n` of `negative` is `-513 - n`."""

    positive: int
    negative: int

    @classmethod
    def decode(cls, owner: Pubkey, data: bytes, pair: Pubkey) -> BitmapExtension:
        """Raises InvalidAccount."""
        _check(owner, data, BITMAP_EXTENSION_DISCRIMINATOR, BITMAP_EXTENSION_LENGTH, "BinArrayBitmapExtension")
        if data[8:40] != bytes(pair):
            raise InvalidAccount("the bitmap extension is another pair's")
        positive = data[EXTENSION_POSITIVE_OFFSET:EXTENSION_NEGATIVE_OFFSET]
        negative = data[EXTENSION_NEGATIVE_OFFSET:]
        return cls(int.from_bytes(positive, "little"), int.from_bytes(negative, "little"))


class BinColumns(NamedTuple):
    """What a swap in one direction reads of a bin array, each for its 70 bins in ascending order.

    `processed` and `open_orders` are empty where no limit order in this array trades in this direction.
    """

    # True (or not zero) where a bin has anything to pay.
    holds: Sequence[int]
    market: Sequence[int]
    price_low: Sequence[int]
    price_high: Sequence[int]
    processed: Sequence[int]
    open_orders: Sequence[int]

    @classmethod
    def decode(cls, data: bytes, swap_for_y: bool, limit_orders: bool) -> BinColumns:
        """From a bin array's data, checked before by `check_bin_array`."""
        values = _MARKET[swap_for_y].unpack_from(data, BINS_OFFSET)
        market, low, high = values[0::3], values[1::3], values[2::3]
        if not limit_orders:
            return cls(market, market, low, high, (), ())
        orders = _ORDERS.unpack_from(data, BINS_OFFSET)
        if orders.count(0) == _NO_ORDERS:
            return cls(market, market, low, high, (), ())
        open_orders, processed = orders[0::2], orders[1::2]
        ask_side = _ORDER_SIDES.unpack_from(data, BINS_OFFSET)
        # Orders on the ask side sell X, those on the bid side buy it: bin.rs, get_limit_order_amounts_by_direction.
        trades = [(side == 0) == swap_for_y for side in ask_side]
        open_here = [amount if trade else 0 for amount, trade in zip(open_orders, trades, strict=True)]
        processed_here = [amount if trade else 0 for amount, trade in zip(processed, trades, strict=True)]
        holds = [sum(amounts) for amounts in zip(market, processed_here, open_here, strict=True)]
        return cls(holds, market, low, high, processed_here, open_here)


def check_bin_array(owner: Pubkey, data: bytes, pair: Pubkey, index: int) -> None:
    """Raises InvalidAccount unless this is the bin array `index` of `pair`."""
    _check(owner, data, BIN_ARRAY_DISCRIMINATOR, BIN_ARRAY_LENGTH, "BinArray")
    found_index, found_pair = _BIN_ARRAY_HEADER.unpack_from(data, 8)
    if found_index != index or found_pair != bytes(pair):
        raise InvalidAccount(f"not bin array {index} of {pair}")


@lru_cache(maxsize=16_384)
def bin_array_address(pair: Pubkey, index: int) -> Pubkey:
    return Pubkey.find_program_address(
        [b"bin_array", bytes(pair), index.to_bytes(8, "little", signed=True)], PROGRAM_ID
    )[0]


@lru_cache(maxsize=1024)
def customizable_pair_address(mint_a: Pubkey, mint_b: Pubkey) -> Pubkey:
    """Where the one pair of two mints is whose creator chooses the fee and when it opens."""
    first, second = sorted((bytes(mint_a), bytes(mint_b)))
    return Pubkey.find_program_address([bytes(_CUSTOMIZABLE_BASE), first, second], PROGRAM_ID)[0]


@lru_cache(maxsize=1024)
def bitmap_extension_address(pair: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"bitmap", bytes(pair)], PROGRAM_ID)[0]


@lru_cache(maxsize=1024)
def oracle_address(pair: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"oracle", bytes(pair)], PROGRAM_ID)[0]


@lru_cache(maxsize=1024)
def reserve_address(pair: Pubkey, mint: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([bytes(pair), bytes(mint)], PROGRAM_ID)[0]


_check = partial(check_account, PROGRAM_ID, "Meteora DLMM")


def _reversed_bits(half: int) -> int:
    # Reversed bytes in reversed order: five times as fast as a reversed string of digits.
    return int.from_bytes(half.to_bytes(INTERNAL_REACH // 8, "big").translate(_REVERSED_BYTES), "little")


def _lowest_bit_from(bits: int, start: int) -> int | None:
    rest = bits >> start
    return start + (rest & -rest).bit_length() - 1 if rest else None
