"""Raydium CLMM's accounts: where they are and what their bytes say. Nothing here computes a swap.

Where the release of 2026 keeps limit orders, the dynamic fee and the side of the fee, older accounts have zeros: none.

Source: raydium-io/raydium-clmm, programs/amm/src: states/pool.rs, pool_fee.rs, config.rs, tick_array.rs,
tickarray_bitmap_extension.rs, oracle.rs (layouts and addresses).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from struct import Struct
from typing import NamedTuple

from solders.pubkey import Pubkey

from chalicelib.venues import raydium_addresses
from chalicelib.venues.pool_accounts import InvalidAccount, check_account

PROGRAM_ID = Pubkey.from_string("CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK")

# The first eight bytes of SHA-256 of "account:PoolState" and so on: Anchor's way of telling accounts apart.
POOL_DISCRIMINATOR = bytes.fromhex("f7ede3f5d7c3de46")
CONFIG_DISCRIMINATOR = bytes.fromhex("daf42168cbcb2b6f")
TICK_ARRAY_DISCRIMINATOR = bytes.fromhex("c09b55cd31f9812a")
BITMAP_EXTENSION_DISCRIMINATOR = bytes.fromhex("3c9624db61808b99")

POOL_LENGTH = 1544
CONFIG_LENGTH = 117
TICK_ARRAY_LENGTH = 10_240
BITMAP_EXTENSION_LENGTH = 1832

TICKS_PER_ARRAY = 60
MIN_TICK, MAX_TICK = -443_636, 443_636
TICK_LENGTH = 168
TICKS_OFFSET = 44
INITIALIZED_TICK_COUNT_OFFSET = 10_124
# Of a tick: its orders that nobody has filled yet, and what is left of those that are being filled.
TICK_ORDERS_OFFSET = 124

# Numbers of tick arrays that the pool's own bitmap covers on each side of zero, and those it covers with its extension.
INTERNAL_REACH = 512
EXTENDED_REACH = 512 * 15
_EXTENSION_ROWS = 14
_ROW_BYTES = INTERNAL_REACH // 8
EXTENSION_POSITIVE_OFFSET = 40
EXTENSION_NEGATIVE_OFFSET = EXTENSION_POSITIVE_OFFSET + _EXTENSION_ROWS * _ROW_BYTES

# Of PoolState: token_mint_0, token_mint_1.
MINTS_OFFSET = 73

# Where a swap changes PoolState.
LIQUIDITY_OFFSET = 237
PROTOCOL_FEES_OFFSET = 309
BITMAP_OFFSET = 904
FUND_FEES_OFFSET = 1064
DYNAMIC_FEE_OFFSET = 1096

# amm_config, both mints, both vaults, observation_key; tick_spacing, liquidity, sqrt_price_x64, tick_current; status,
# fee_on; tick_array_bitmap; open_time; dynamic_fee_info
_POOL = Struct("<9x32s32x32s32s32s32s32s2xH16s16si116xBB513x128s48xQ8x80s")
# index; protocol_fee_rate, trade_fee_rate, tick_spacing, fund_fee_rate
_CONFIG = Struct("<9xH32xIIHI")
# filter_period, decay_period, reduction_factor, dynamic_fee_control, max_volatility_accumulator,
# tick_spacing_index_reference, volatility_reference, volatility_accumulator, last_update_timestamp
DYNAMIC_FEE = Struct("<HHHIIiIIQ")
_NO_DYNAMIC_FEE = bytes(80)

# pool_id, start_tick_index
_TICK_ARRAY_HEADER = Struct("<32si")
# Of all ticks, what tells whether one is initialised: liquidity_gross as two halves, orders_amount,
# part_filled_orders_remaining.
_INITIALIZED = Struct("<" + "20xQQ88xQQ28x" * TICKS_PER_ARRAY)
# tick, liquidity_net as two halves
_TICK = Struct("<iQq")


class DynamicFee(NamedTuple):
    """`DynamicFeeInfo`: how the fee follows from how far the price has moved lately. Periods are in seconds.

    The accumulator and the references count ten thousandths of a tick spacing.
    """

    filter_period: int
    decay_period: int
    reduction_factor: int
    control: int
    max_accumulator: int
    index_reference: int
    volatility_reference: int
    accumulator: int
    last_update: int


class ClmmPoolState(NamedTuple):
    """What a swap reads of states/pool.rs PoolState. Addresses as bytes; `sqrt_price` is Q64.64, token 1 per token 0.

    `bitmap` has bit `number + 512` set for each tick array with initialised ticks that it covers.
    """

    config: bytes
    mint_0: bytes
    mint_1: bytes
    vault_0: bytes
    vault_1: bytes
    observation: bytes
    tick_spacing: int
    liquidity: int
    sqrt_price: int
    tick: int
    status: int
    fee_on: int
    bitmap: int
    open_time: int
    dynamic_fee: DynamicFee | None

    @classmethod
    def decode(cls, owner: Pubkey, data: bytes) -> ClmmPoolState:
        """Raises InvalidAccount."""
        _check(owner, data, POOL_DISCRIMINATOR, POOL_LENGTH, "PoolState")
        *keys, spacing, liquidity, sqrt_price, tick, status, fee_on, bitmap, open_time, dynamic = _POOL.unpack_from(
            data
        )
        config, mint_0, mint_1, vault_0, vault_1, observation = keys
        if not spacing:
            raise InvalidAccount("the pool has a tick spacing of zero")
        return cls(
            config,
            mint_0,
            mint_1,
            vault_0,
            vault_1,
            observation,
            spacing,
            int.from_bytes(liquidity, "little"),
            int.from_bytes(sqrt_price, "little"),
            tick,
            status,
            fee_on,
            int.from_bytes(bitmap, "little"),
            open_time,
            None if dynamic == _NO_DYNAMIC_FEE else DynamicFee._make(DYNAMIC_FEE.unpack_from(dynamic)),
        )

    def check_addresses(self, pool: Pubkey) -> None:
        """Raises InvalidAccount unless the pool is where its config and mints put it and names its own accounts."""
        named = bytes(pool), self.vault_0, self.vault_1, self.observation
        if named != _addresses_of(pool, self.config, self.mint_0, self.mint_1):
            raise InvalidAccount("the pool names accounts that are not its own")
        # of two mints the smaller is token 0 (instructions/create_pool.rs), so no pool has one mint twice
        if self.mint_0 >= self.mint_1:
            raise InvalidAccount("the pool's mints are not in order")


class ClmmFeeRates(NamedTuple):
    """A config's fee rates in millionths; the protocol's and the fund's are parts of the trade fee."""

    protocol: int
    trade: int
    fund: int

    @classmethod
    def decode(cls, config: Pubkey, owner: Pubkey, data: bytes) -> ClmmFeeRates:
        """Of the AmmConfig at `config`. Raises InvalidAccount, also where that is not where the program has it."""
        _check(owner, data, CONFIG_DISCRIMINATOR, CONFIG_LENGTH, "AmmConfig")
        index, protocol, trade, _, fund = _CONFIG.unpack_from(data)
        if config != config_address(index):
            raise InvalidAccount("not where the program keeps this config")
        return cls(protocol, trade, fund)


class TickArrayBitmap(NamedTuple):
    """Which tick arrays have initialised ticks: bit `number + reach` of `bits` is array `number`."""

    bits: int
    reach: int

    @classmethod
    def build(cls, pool: ClmmPoolState, extension: int) -> TickArrayBitmap:
        """`extension` is the bitmap extension's; see `extension_bits`."""
        if not extension:
            return cls(pool.bitmap, INTERNAL_REACH)
        return cls(extension | pool.bitmap << (EXTENDED_REACH - INTERNAL_REACH), EXTENDED_REACH)

    def covers(self, number: int) -> bool:
        """Whether there is a bit for array `number`."""
        return -self.reach <= number < self.reach

    def first(self, number: int, down: bool) -> int | None:
        """Array `number` if it is marked, else the next that is, downwards or upwards; None where there is none."""
        bits, reach = self
        position = number + reach
        if down:
            rest = bits & ((2 << position) - 1) if position >= 0 else 0
            return rest.bit_length() - 1 - reach if rest else None
        position = max(position, 0)
        rest = bits >> position
        return (rest & -rest).bit_length() - 1 + position - reach if rest else None

    def following(self, number: int, down: bool, count: int) -> list[int]:
        """At most `count` marked arrays beyond array `number`, in the order a swap visits them."""
        step = -1 if down else 1
        found: list[int] = []
        while len(found) < count and (next_number := self.first(number + step, down)) is not None:
            found.append(next_number)
            number = next_number
        return found


def extension_bits(owner: Pubkey, data: bytes, pool: Pubkey) -> int:
    """`TickArrayBitmapExtension` as one number, bit `number + EXTENDED_REACH` for array `number`.

    Positive rows follow each other outwards, and so do negative ones, each of which is counted from its far end.
    Raises InvalidAccount.
    """
    _check(owner, data, BITMAP_EXTENSION_DISCRIMINATOR, BITMAP_EXTENSION_LENGTH, "TickArrayBitmapExtension")
    if data[8:40] != bytes(pool):
        raise InvalidAccount("the bitmap extension is another pool's")
    if data[EXTENSION_POSITIVE_OFFSET:] == _NOTHING_MARKED:  # as of most pools
        return 0
    positive = int.from_bytes(data[EXTENSION_POSITIVE_OFFSET:EXTENSION_NEGATIVE_OFFSET], "little")
    rows = [data[offset : offset + _ROW_BYTES] for offset in _NEGATIVE_ROWS]
    return positive << (EXTENDED_REACH + INTERNAL_REACH) | int.from_bytes(b"".join(reversed(rows)), "little")


_NOTHING_MARKED = bytes(BITMAP_EXTENSION_LENGTH - EXTENSION_POSITIVE_OFFSET)
_NEGATIVE_ROWS = range(EXTENSION_NEGATIVE_OFFSET, BITMAP_EXTENSION_LENGTH, _ROW_BYTES)


class Tick(NamedTuple):
    """An initialised tick: what crossing it upwards adds to the liquidity, and the orders to be filled before that."""

    tick: int
    liquidity_net: int
    orders: int


def ticks_of(owner: Pubkey, data: bytes, pool: Pubkey, start: int) -> Sequence[Tick]:
    """The initialised ticks of the array of `pool` that begins with tick `start`, ascending. Raises InvalidAccount."""
    _check(owner, data, TICK_ARRAY_DISCRIMINATOR, TICK_ARRAY_LENGTH, "TickArrayState")
    found_pool, found_start = _TICK_ARRAY_HEADER.unpack_from(data, 8)
    if found_start != start or found_pool != bytes(pool):
        raise InvalidAccount(f"not the tick array {start} of {pool}")
    ticks = []
    each = iter(_INITIALIZED.unpack_from(data, TICKS_OFFSET))
    for position, (gross_low, gross_high, unfilled, part_filled) in enumerate(zip(each, each, each, each, strict=True)):
        if gross_low or gross_high or unfilled or part_filled:
            tick, net_low, net_high = _TICK.unpack_from(data, TICKS_OFFSET + position * TICK_LENGTH)
            # a tick that has orders alone keeps its net liquidity out of the swap
            net = net_high << 64 | net_low if gross_low or gross_high else 0
            ticks.append(Tick(tick, net, unfilled + part_filled))
    return ticks


def array_number(tick: int, tick_spacing: int) -> int:
    """The number of the array that `tick` is in: arrays are counted from the one that begins with tick 0."""
    return tick // (TICKS_PER_ARRAY * tick_spacing)


def array_start(number: int, tick_spacing: int) -> int:
    """The tick that array `number` begins with."""
    return number * TICKS_PER_ARRAY * tick_spacing


@lru_cache(maxsize=16_384)
def tick_array_address(pool: Pubkey, start: int) -> Pubkey:
    seeds = [b"tick_array", bytes(pool), start.to_bytes(4, "big", signed=True)]
    return Pubkey.find_program_address(seeds, PROGRAM_ID)[0]


@lru_cache(maxsize=1024)
def bitmap_extension_address(pool: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"pool_tick_array_bitmap_extension", bytes(pool)], PROGRAM_ID)[0]


config_address = partial(raydium_addresses.config_address, PROGRAM_ID)
pool_address = partial(raydium_addresses.pool_address, PROGRAM_ID)
vault_address = partial(raydium_addresses.vault_address, PROGRAM_ID)
observation_address = partial(raydium_addresses.observation_address, PROGRAM_ID)


@lru_cache(maxsize=4096)
def _addresses_of(pool: Pubkey, config: bytes, mint_0: bytes, mint_1: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The pool itself, both vaults and the observation account."""
    own, first, second = pool_address(*map(Pubkey, (config, mint_0, mint_1))), Pubkey(mint_0), Pubkey(mint_1)
    return (
        bytes(own),
        bytes(vault_address(pool, first)),
        bytes(vault_address(pool, second)),
        bytes(observation_address(pool)),
    )


_check = partial(check_account, PROGRAM_ID, "Raydium CLMM")
