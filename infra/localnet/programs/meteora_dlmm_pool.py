"""Meteora DLMM pools for the genesis market: every account as the program's own instructions would leave it.

Layouts: MeteoraAg/dlmm-sdk, idls/dlmm.json; liquidity supply: commons/src/math, price * x + (y << 64).
Amounts are base units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, Mint
from chalicelib.venues.meteora_dlmm.layout import (
    BIN_ARRAY_DISCRIMINATOR,
    BIN_ARRAY_LENGTH,
    BIN_LENGTH,
    BINS_OFFSET,
    BINS_PER_ARRAY,
    BITMAP_EXTENSION_DISCRIMINATOR,
    INTERNAL_REACH,
    LB_PAIR_DISCRIMINATOR,
    LB_PAIR_LENGTH,
    PairType,
    bin_array_address,
    bitmap_extension_address,
    oracle_address,
)
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as PROGRAM_ID
from chalicelib.venues.meteora_dlmm.layout import reserve_address as reserve_address
from chalicelib.venues.meteora_dlmm.math import price_of_bin
from infra.localnet.programs.anchor import discriminator
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_dlmm_state import is_empty
from infra.localnet.programs.token_accounts import rent_exempt, token_account

ORACLE_DISCRIMINATOR = discriminator("account", "Oracle")
ORACLE_OBSERVATIONS = 100

_DEFAULT_KEY = Pubkey.default()
_BIN_ARRAY_VERSION = 2
_PAIR_VERSION = 1
# StaticParameters, VariableParameters, then bump_seed to creator_pool_on_off_control, then mints and reserves; between
# them and the oracle only zeros, as after the bitmap but for these.
_PAIR_HEAD = Struct("<8sHHHHIIiiHBBB3xIIi4xq8xB2sBiHBB2sBx32s32s32s32s")
_ORACLE_OFFSET = 552
_PAIR_MIDDLE = Struct("<32s128s")
_ACTIVATION_OFFSET = 752
_PAIR_TAIL = Struct("<32s32xQQ16x32sBBB")
_BIN_ARRAY_HEAD = Struct("<8sqB7x32s")
# amount_x, amount_y, price, liquidity_supply; open, total processing and remaining processed amounts, age, ask side
_BIN = Struct("<QQ16s16s64xQQQIB3x")
_ORACLE_HEAD = Struct("<8sQQQ")
_OBSERVATION_LENGTH = 32


@dataclass(frozen=True, slots=True)
class LimitOrders:
    """A bin's limit orders: those on the ask side sell X, the others sell Y. Amounts are of what they sell."""

    ask: bool
    open: int = 0
    processing: int = 0
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DlmmPoolSpec:
    """A pool to be written into a genesis. `liquidity` and `orders` go by bin id; amounts are (X, Y).

    The defaults are those of a usual volatile pair: periods in seconds, factors and shares in basis points.
    """

    mint_x: Mint
    mint_y: Mint
    bin_step: int
    active_id: int
    base_factor: int
    liquidity: Mapping[int, tuple[int, int]]
    orders: Mapping[int, LimitOrders] = field(default_factory=dict)
    base_fee_power_factor: int = 0
    filter_period: int = 30
    decay_period: int = 600
    reduction_factor: int = 5_000
    variable_fee_control: int = 40_000
    max_volatility_accumulator: int = 350_000
    min_bin_id: int = -443_636
    max_bin_id: int = 443_636
    protocol_share: int = 500
    function_type: int = 0
    collect_fee_mode: int = 0
    pair_type: int = PairType.PERMISSIONLESS
    status: int = 0
    activation_type: int = 0
    activation_point: int = 0
    pre_activation_duration: int = 0
    pre_activation_swap_address: Pubkey = _DEFAULT_KEY
    creator: Pubkey = _DEFAULT_KEY
    volatility_accumulator: int = 0
    volatility_reference: int = 0
    index_reference: int | None = None
    last_update_timestamp: int = 0
    with_bitmap_extension: bool = False


def pair_address(spec: DlmmPoolSpec) -> tuple[Pubkey, int]:
    """Where initialize_lb_pair puts the pair, and its bump: commons/src/pda.rs, derive_lb_pair_pda2."""
    seeds = [
        *sorted((bytes(spec.mint_x.address), bytes(spec.mint_y.address))),
        spec.bin_step.to_bytes(2, "little"),
        spec.base_factor.to_bytes(2, "little"),
    ]
    return Pubkey.find_program_address(seeds, PROGRAM_ID)


def genesis_pool(spec: DlmmPoolSpec) -> GenesisPool:
    """LbPair, reserves, oracle, bin arrays and, where an array is out of the pair's own bitmap, its extension.

    Raises ValueError where a bin's liquidity is on the wrong side of the active bin, as no pool can have it.
    """
    pool, _ = pair_address(spec)
    _check_sides(spec)
    indexes = sorted({bin_id // BINS_PER_ARRAY for bin_id in (*spec.liquidity, *spec.orders)})
    bin_arrays = {index: _bin_array_data(spec, pool, index) for index in indexes}
    stocked = [index for index, data in bin_arrays.items() if not is_empty(data)]
    accounts = {
        pool: _program_account(_pair_data(spec, pool, stocked)),
        oracle_address(pool): _program_account(_oracle_data()),
        **{bin_array_address(pool, index): _program_account(data) for index, data in bin_arrays.items()},
    }
    for side, mint in enumerate((spec.mint_x, spec.mint_y)):
        held = sum(amounts[side] for amounts in spec.liquidity.values())
        held += sum(order.open + order.remaining for order in spec.orders.values() if order.ask == (side == 0))
        accounts[reserve_address(pool, mint.address)] = token_account(mint, pool, held)
    if spec.with_bitmap_extension or not all(-INTERNAL_REACH <= index < INTERNAL_REACH for index in indexes):
        accounts[bitmap_extension_address(pool)] = _program_account(_bitmap_extension_data(pool, stocked))
    return GenesisPool(pool, accounts)


def _check_sides(spec: DlmmPoolSpec) -> None:
    for bin_id, (amount_x, amount_y) in spec.liquidity.items():
        if (amount_x and bin_id < spec.active_id) or (amount_y and bin_id > spec.active_id):
            raise ValueError(f"bin {bin_id} holds a token that bins on its side of the active bin never hold")


def _pair_data(spec: DlmmPoolSpec, pool: Pubkey, indexes: list[int]) -> bytes:
    mints = spec.mint_x.address, spec.mint_y.address
    data = bytearray(LB_PAIR_LENGTH)
    _PAIR_HEAD.pack_into(
        data,
        0,
        LB_PAIR_DISCRIMINATOR,
        spec.base_factor,
        spec.filter_period,
        spec.decay_period,
        spec.reduction_factor,
        spec.variable_fee_control,
        spec.max_volatility_accumulator,
        spec.min_bin_id,
        spec.max_bin_id,
        spec.protocol_share,
        spec.base_fee_power_factor,
        spec.function_type,
        spec.collect_fee_mode,
        spec.volatility_accumulator,
        spec.volatility_reference,
        spec.active_id if spec.index_reference is None else spec.index_reference,
        spec.last_update_timestamp,
        pair_address(spec)[1],
        spec.bin_step.to_bytes(2, "little"),
        spec.pair_type,
        spec.active_id,
        spec.bin_step,
        spec.status,
        True,  # require_base_factor_seed
        spec.base_factor.to_bytes(2, "little"),
        spec.activation_type,
        *(bytes(mint) for mint in mints),
        *(bytes(reserve_address(pool, mint)) for mint in mints),
    )
    bitmap = sum(1 << (index + INTERNAL_REACH) for index in indexes if -INTERNAL_REACH <= index < INTERNAL_REACH)
    _PAIR_MIDDLE.pack_into(data, _ORACLE_OFFSET, bytes(oracle_address(pool)), bitmap.to_bytes(128, "little"))
    _PAIR_TAIL.pack_into(
        data,
        _ACTIVATION_OFFSET,
        bytes(spec.pre_activation_swap_address),
        spec.activation_point,
        spec.pre_activation_duration,
        bytes(spec.creator),
        spec.mint_x.token_program == TOKEN_2022_PROGRAM,
        spec.mint_y.token_program == TOKEN_2022_PROGRAM,
        _PAIR_VERSION,
    )
    return bytes(data)


def _bin_array_data(spec: DlmmPoolSpec, pool: Pubkey, index: int) -> bytes:
    data = bytearray(BIN_ARRAY_LENGTH)
    _BIN_ARRAY_HEAD.pack_into(data, 0, BIN_ARRAY_DISCRIMINATOR, index, _BIN_ARRAY_VERSION, bytes(pool))
    for position in range(BINS_PER_ARRAY):
        bin_id = index * BINS_PER_ARRAY + position
        amount_x, amount_y = spec.liquidity.get(bin_id, (0, 0))
        orders = spec.orders.get(bin_id, LimitOrders(ask=False))
        used = bin_id in spec.liquidity or bin_id in spec.orders
        # The program stores a bin's price with its first deposit.
        price = price_of_bin(bin_id, spec.bin_step) if used else 0
        _BIN.pack_into(
            data,
            BINS_OFFSET + position * BIN_LENGTH,
            amount_x,
            amount_y,
            price.to_bytes(16, "little"),
            (price * amount_x + (amount_y << 64)).to_bytes(16, "little"),
            orders.open,
            orders.processing,
            orders.remaining,
            1 if orders.processing else 0,
            orders.ask,
        )
    return bytes(data)


def _bitmap_extension_data(pool: Pubkey, indexes: list[int]) -> bytes:
    positive = sum(1 << (index - INTERNAL_REACH) for index in indexes if index >= INTERNAL_REACH)
    negative = sum(1 << (-1 - index - INTERNAL_REACH) for index in indexes if index < -INTERNAL_REACH)
    halves = (half.to_bytes(12 * 64, "little") for half in (positive, negative))
    return b"".join((BITMAP_EXTENSION_DISCRIMINATOR, bytes(pool), *halves))


def _oracle_data() -> bytes:
    head = _ORACLE_HEAD.pack(ORACLE_DISCRIMINATOR, 0, 0, ORACLE_OBSERVATIONS)
    return head.ljust(_ORACLE_HEAD.size + ORACLE_OBSERVATIONS * _OBSERVATION_LENGTH, b"\0")


def _program_account(data: bytes) -> Account:
    return Account(owner=PROGRAM_ID, lamports=rent_exempt(len(data)), data=data)
