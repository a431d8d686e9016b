"""Raydium CLMM pools for the genesis market: every account as the program's own instructions would leave it.

Facts: raydium-io/raydium-clmm, programs/amm/src: states/*.rs, instructions/create_pool.rs, admin/create_amm_config.rs,
libraries/liquidity_math.rs. Amounts are base units, rates millionths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import Mint
from chalicelib.venues.raydium_clmm.layout import (
    BITMAP_EXTENSION_DISCRIMINATOR,
    BITMAP_OFFSET,
    CONFIG_DISCRIMINATOR,
    DYNAMIC_FEE,
    DYNAMIC_FEE_OFFSET,
    INITIALIZED_TICK_COUNT_OFFSET,
    INTERNAL_REACH,
    MAX_TICK,
    MIN_TICK,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    TICK_ARRAY_DISCRIMINATOR,
    TICK_ARRAY_LENGTH,
    TICK_LENGTH,
    TICK_ORDERS_OFFSET,
    TICKS_OFFSET,
    TICKS_PER_ARRAY,
    DynamicFee,
    array_number,
    array_start,
    bitmap_extension_address,
    config_address,
    observation_address,
    pool_address,
    tick_array_address,
    vault_address,
)
from chalicelib.venues.raydium_clmm.layout import PROGRAM_ID as PROGRAM_ID
from chalicelib.venues.raydium_clmm.math import sqrt_price_at, tick_at
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.raydium_clmm_state import OBSERVATION_DISCRIMINATOR, OBSERVATION_LENGTH, extension_bitmap
from infra.localnet.programs.token_accounts import rent_exempt, token_account

_ONE = 1 << 64
# bump, index, owner, protocol, trade fee, tick spacing, fund fee; the fund's owner
_CONFIG = Struct("<8sBH32sIIHI4x32s24x")
# bump, config, creator, mints, vaults, observation, decimals, tick spacing, liquidity, price, tick
_POOL_HEAD = Struct("<8sB32s32s32s32s32s32s32sBBH16s16si")
_STATUS_OFFSET = 389
_OPEN_TIME_OFFSET = 1080
_TICK_ARRAY_HEAD = Struct("<8s32si")
# tick, liquidity_net, liquidity_gross
_TICK = Struct("<i16s16s")
# orders_amount, part_filled_orders_remaining, unfilled_ratio_x64
_ORDERS = Struct("<QQ16s")


@dataclass(frozen=True, slots=True)
class ClmmPosition:
    """Liquidity between two ticks."""

    lower: int
    upper: int
    liquidity: int


@dataclass(frozen=True, slots=True)
class TickOrders:
    """A tick's limit orders, in units of what they sell: token 0 above the price, token 1 at it and below."""

    open: int = 0
    part_filled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClmmPoolSpec:
    """A pool to be written into a genesis. `sqrt_price` is Q64.64, token 1 per token 0.

    `tick` is the price's own unless the price stands at a tick that was crossed downwards. `vaults` hold what the
    positions and the orders are worth, rounded up, if nothing else is said. Pools of a `config_index` share its rates.
    """

    mint_0: Mint
    mint_1: Mint
    config_index: int
    tick_spacing: int
    sqrt_price: int
    positions: tuple[ClmmPosition, ...]
    orders: Mapping[int, TickOrders] = field(default_factory=dict)
    tick: int | None = None
    trade_fee_rate: int = 2_500
    protocol_fee_rate: int = 120_000
    fund_fee_rate: int = 40_000
    fee_on: int = 0
    dynamic_fee: DynamicFee | None = None
    status: int = 0
    open_time: int = 0
    vaults: tuple[int, int] | None = None
    creator: Pubkey = PROGRAM_ID

    @property
    def current_tick(self) -> int:
        return tick_at(self.sqrt_price) if self.tick is None else self.tick


@dataclass(slots=True)
class _Tick:
    net: int = 0
    gross: int = 0
    orders: TickOrders = field(default_factory=TickOrders)


def genesis_pool(spec: ClmmPoolSpec) -> GenesisPool:
    """PoolState, AmmConfig, vaults, observation, bitmap extension, and the tick arrays with initialised ticks.

    Raises ValueError for what no pool can be: mints out of order, ticks that are no multiples of the spacing.
    """
    _check(spec)
    config = config_address(spec.config_index)
    pool = pool_address(config, spec.mint_0.address, spec.mint_1.address)
    ticks = _ticks(spec)
    arrays: dict[int, dict[int, _Tick]] = {}
    for index, tick in ticks.items():
        arrays.setdefault(array_number(index, spec.tick_spacing), {})[index] = tick
    accounts = {
        pool: _program_account(_pool_data(spec, pool, arrays)),
        config: _program_account(_config_data(spec)),
        observation_address(pool): observation_account(pool),
        bitmap_extension_address(pool): _program_account(
            BITMAP_EXTENSION_DISCRIMINATOR + bytes(pool) + extension_bitmap(arrays)
        ),
    }
    for number, contents in arrays.items():
        start = array_start(number, spec.tick_spacing)
        data = _tick_array_data(pool, start, spec.tick_spacing, contents)
        accounts[tick_array_address(pool, start)] = _program_account(data)
    for mint, amount in zip((spec.mint_0, spec.mint_1), spec.vaults or vault_amounts(spec), strict=True):
        accounts[vault_address(pool, mint.address)] = token_account(mint, pool, amount)
    return GenesisPool(pool, accounts)


def vault_amounts(spec: ClmmPoolSpec) -> tuple[int, int]:
    """What the positions and the orders are worth in each token, rounded up."""
    amount_0 = amount_1 = 0
    for position in spec.positions:
        lower, upper = sqrt_price_at(position.lower), sqrt_price_at(position.upper)
        here = min(max(spec.sqrt_price, lower), upper)
        amount_0 += -(-(position.liquidity * (upper - here) << 64) // (upper * here))
        amount_1 += -(-position.liquidity * (here - lower) >> 64)
    for tick, orders in spec.orders.items():
        if tick > spec.current_tick:
            amount_0 += orders.open + orders.part_filled
        else:
            amount_1 += orders.open + orders.part_filled
    return amount_0, amount_1


def _check(spec: ClmmPoolSpec) -> None:
    if bytes(spec.mint_0.address) >= bytes(spec.mint_1.address):
        raise ValueError("the mints are not in order")
    ends = (end for position in spec.positions for end in (position.lower, position.upper))
    for tick in (*ends, *spec.orders):
        if tick % spec.tick_spacing or not MIN_TICK <= tick <= MAX_TICK:
            raise ValueError(f"tick {tick} is none of a pool with spacing {spec.tick_spacing}")


def _ticks(spec: ClmmPoolSpec) -> dict[int, _Tick]:
    ticks: dict[int, _Tick] = {}
    for position in spec.positions:
        for end, net in ((position.lower, position.liquidity), (position.upper, -position.liquidity)):
            tick = ticks.setdefault(end, _Tick())
            tick.net += net
            tick.gross += position.liquidity
    for index, orders in spec.orders.items():
        ticks.setdefault(index, _Tick()).orders = orders
    return {index: tick for index, tick in ticks.items() if tick.gross or tick.orders != TickOrders()}


def _pool_data(spec: ClmmPoolSpec, pool: Pubkey, arrays: Iterable[int]) -> bytes:
    config, tick = config_address(spec.config_index), spec.current_tick
    mints = spec.mint_0.address, spec.mint_1.address
    seeds = [b"pool", bytes(config), *map(bytes, mints)]
    here = [each for each in spec.positions if each.lower <= tick < each.upper]
    data = bytearray(POOL_LENGTH)
    _POOL_HEAD.pack_into(
        data,
        0,
        POOL_DISCRIMINATOR,
        Pubkey.find_program_address(seeds, PROGRAM_ID)[1],
        bytes(config),
        bytes(spec.creator),
        *map(bytes, mints),
        *(bytes(vault_address(pool, mint)) for mint in mints),
        bytes(observation_address(pool)),
        spec.mint_0.decimals,
        spec.mint_1.decimals,
        spec.tick_spacing,
        _u128(sum(position.liquidity for position in here)),
        _u128(spec.sqrt_price),
        tick,
    )
    data[_STATUS_OFFSET : _STATUS_OFFSET + 2] = bytes((spec.status, spec.fee_on))
    marked = sum(1 << (number + INTERNAL_REACH) for number in arrays if -INTERNAL_REACH <= number < INTERNAL_REACH)
    data[BITMAP_OFFSET : BITMAP_OFFSET + 2 * INTERNAL_REACH // 8] = marked.to_bytes(2 * INTERNAL_REACH // 8, "little")
    data[_OPEN_TIME_OFFSET : _OPEN_TIME_OFFSET + 8] = spec.open_time.to_bytes(8, "little")
    if spec.dynamic_fee is not None:
        DYNAMIC_FEE.pack_into(data, DYNAMIC_FEE_OFFSET, *spec.dynamic_fee)
    return bytes(data)


def _config_data(spec: ClmmPoolSpec) -> bytes:
    _, bump = Pubkey.find_program_address([b"amm_config", spec.config_index.to_bytes(2, "big")], PROGRAM_ID)
    return _CONFIG.pack(
        CONFIG_DISCRIMINATOR,
        bump,
        spec.config_index,
        bytes(spec.creator),
        spec.protocol_fee_rate,
        spec.trade_fee_rate,
        spec.tick_spacing,
        spec.fund_fee_rate,
        bytes(spec.creator),
    )


def _tick_array_data(pool: Pubkey, start: int, spacing: int, ticks: Mapping[int, _Tick]) -> bytes:
    data = bytearray(TICK_ARRAY_LENGTH)
    _TICK_ARRAY_HEAD.pack_into(data, 0, TICK_ARRAY_DISCRIMINATOR, bytes(pool), start)
    for index, tick in ticks.items():
        offset = TICKS_OFFSET + (index - start) // spacing % TICKS_PER_ARRAY * TICK_LENGTH
        _TICK.pack_into(data, offset, index, tick.net.to_bytes(16, "little", signed=True), _u128(tick.gross))
        orders = tick.orders
        ratio = _u128(_ONE if orders.part_filled else 0)
        _ORDERS.pack_into(data, offset + TICK_ORDERS_OFFSET, orders.open, orders.part_filled, ratio)
    data[INITIALIZED_TICK_COUNT_OFFSET] = len(ticks)
    return bytes(data)


def observation_account(pool: Pubkey) -> Account:
    """The pool's ObservationState, without any observation."""
    return _program_account((OBSERVATION_DISCRIMINATOR + bytes(11) + bytes(pool)).ljust(OBSERVATION_LENGTH, b"\0"))


def _u128(number: int) -> bytes:
    return number.to_bytes(16, "little")


def _program_account(data: bytes) -> Account:
    return Account(owner=PROGRAM_ID, lamports=rent_exempt(len(data)), data=data)
