"""Meteora DAMM v2 pools for the genesis market, as the program itself would have created them.

Facts: MeteoraAg/damm-v2, programs/cp-amm/src: instructions/initialize_pool/*.rs (addresses), state/pool.rs
`Pool::initialize`, params/fee_parameters.rs (fees), liquidity_handler/*.rs (what liquidity holds). Amounts are base
units, fee numerators of 10^9.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, Mint
from chalicelib.venues.meteora_damm_v2.layout import (
    AUTHORITY,
    BASE_FEE_OFFSET,
    DYNAMIC_FEE,
    DYNAMIC_FEE_OFFSET,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    BaseFee,
    BaseFeeMode,
    DammV2CollectFeeMode,
    DammV2DynamicFee,
    DammV2PoolState,
    MarketCapScheduler,
    RateLimiter,
    TimeScheduler,
    vault_address,
)
from chalicelib.venues.meteora_damm_v2.layout import PROGRAM_ID as PROGRAM_ID
from chalicelib.venues.meteora_damm_v2.math import amounts_in_range, sqrt_price_of
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.token_accounts import rent_exempt, token_account

MIN_SQRT_PRICE, MAX_SQRT_PRICE = 4_295_048_016, 79_226_673_521_066_979_257_578_248_091
BIN_STEP_Q64 = (1 << 64) // 10_000
_U128_MAX = (1 << 128) - 1
_CUSTOMIZABLE = 1

# cliff_fee_numerator u64, base_fee_mode u8, then a u16, two u32 or a u64, and a u64
_TIME_SCHEDULER = Struct("<QB5xHQQ")
_OTHER_BASE_FEES = Struct("<QB5xHIIQ")
_FEES_OFFSET = 48
# protocol_fee_percent u8, referral_fee_percent u8, compounding_fee_bps u16; of dynamic_fee: initialized u8
_FEES = Struct("<BxB3xHB")
_POOL_OFFSET = 152
# init_sqrt_price u128, both mints, both vaults, whitelisted_vault; liquidity u128; protocol fees u64; min, max and
# current sqrt price u128; activation_point u64; activation_type, status, token flags, collect_fee_mode, pool_type,
# fee_version u8
_POOL = Struct("<16s32s32s32s32s32s32x16s16xQQ16x16s16s16sQBBBBBBB")
_CREATOR_OFFSET = 648
_TOKEN_AMOUNTS_OFFSET = 680
_TOKEN_AMOUNTS = Struct("<QQB")


def flat_fee(numerator: int) -> TimeScheduler:
    """The base fee of most pools: a scheduler without periods."""
    return TimeScheduler(numerator, exponential=False, periods=0, period_frequency=0, reduction=0)


QUARTER_PERCENT = flat_fee(2_500_000)


def dynamic_fee(**changes: int) -> DammV2DynamicFee:
    """The usual one (params/fee_parameters.rs `DynamicFeeParameters`), calm but for `changes`."""
    return DammV2DynamicFee(
        max_volatility_accumulator=14_460_000,
        variable_fee_control=956,
        bin_step=1,
        filter_period=10,
        decay_period=120,
        reduction_factor=5_000,
        last_update_timestamp=0,
        bin_step_q64=BIN_STEP_Q64,
        sqrt_price_reference=0,
        volatility_accumulator=0,
        volatility_reference=0,
    )._replace(**changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DammV2PoolSpec:
    """A pool to be written into a genesis. Pairs are A, B.

    Within the range `sqrt_prices` (Q64.64: lowest, current, highest) `liquidity` decides what the pool holds. Where
    fees compound there is no range, and it holds `reserves`. Fees that are owed lie in the vaults besides. Without a
    `config` the pool is a customizable one, of which each pair has one at most.
    """

    mints: tuple[Mint, Mint]
    liquidity: int = 0
    sqrt_prices: tuple[int, int, int] = (MIN_SQRT_PRICE, 1 << 64, MAX_SQRT_PRICE)
    reserves: tuple[int, int] = (0, 0)
    base_fee: BaseFee = QUARTER_PERCENT
    dynamic_fee: DammV2DynamicFee | None = None
    collect_fee_mode: int = DammV2CollectFeeMode.OUTPUT
    compounding_fee_bps: int = 0
    protocol_fee_percent: int = 20
    referral_fee_percent: int = 20
    protocol_fees: tuple[int, int] = (0, 0)
    unclaimed_fees: tuple[int, int] = (0, 0)
    init_sqrt_price: int | None = None
    activation_point: int = 0
    activation_type: int = 1
    status: int = 0
    fee_version: int = 1
    layout_version: int = 1
    config: Pubkey | None = None
    creator: Pubkey = AUTHORITY


def liquidity_for(amount_b: int, low: int, price: int) -> int:
    """The liquidity that holds so many B between two square roots of prices: 128 fractional bits."""
    return (amount_b << 128) // (price - low)


def sqrt_price(ratio: Fraction) -> int:
    """The square root, in Q64.64, of base units of B for one of A, rounded down."""
    return isqrt((ratio.numerator << 128) // ratio.denominator)


def pool_address(spec: DammV2PoolSpec) -> Pubkey:
    """Where initialize_pool or initialize_customizable_pool puts it."""
    low, high = sorted(bytes(mint.address) for mint in spec.mints)
    seeds = [b"cpool", high, low] if spec.config is None else [b"pool", bytes(spec.config), high, low]
    return Pubkey.find_program_address(seeds, PROGRAM_ID)[0]


def genesis_pool(spec: DammV2PoolSpec) -> GenesisPool:
    """The pool and its two vaults, at their derived addresses."""
    address = pool_address(spec)
    state = bytearray(POOL_DISCRIMINATOR.ljust(POOL_LENGTH, b"\0"))
    _write_base_fee(state, spec.base_fee)
    _FEES.pack_into(
        state,
        _FEES_OFFSET,
        spec.protocol_fee_percent,
        spec.referral_fee_percent,
        spec.compounding_fee_bps,
        spec.dynamic_fee is not None,
    )
    if spec.dynamic_fee is not None:
        numbers = spec.dynamic_fee
        DYNAMIC_FEE.pack_into(state, DYNAMIC_FEE_OFFSET, *numbers[:-4], *map(_u128, numbers[-4:]))
    compounds = spec.collect_fee_mode == DammV2CollectFeeMode.COMPOUNDING
    low, price, high = (0, sqrt_price_of(spec.reserves), _U128_MAX) if compounds else spec.sqrt_prices
    liquidity = isqrt(spec.reserves[0] * spec.reserves[1]) << 64 if compounds else spec.liquidity
    mint_a, mint_b = spec.mints
    vaults = [vault_address(address, mint.address) for mint in spec.mints]
    _POOL.pack_into(
        state,
        _POOL_OFFSET,
        _u128(price if spec.init_sqrt_price is None else spec.init_sqrt_price),
        bytes(mint_a.address),
        bytes(mint_b.address),
        *map(bytes, vaults),
        bytes(Pubkey.default()),
        _u128(liquidity),
        *spec.protocol_fees,
        *map(_u128, (low, high, price)),
        spec.activation_point,
        spec.activation_type,
        spec.status,
        mint_a.token_program == TOKEN_2022_PROGRAM,
        mint_b.token_program == TOKEN_2022_PROGRAM,
        spec.collect_fee_mode,
        _CUSTOMIZABLE if spec.config is None else 0,
        spec.fee_version,
    )
    state[_CREATOR_OFFSET : _CREATOR_OFFSET + 32] = bytes(spec.creator)
    reserves = spec.reserves
    if not compounds:
        reserves = amounts_in_range(DammV2PoolState.decode(PROGRAM_ID, bytes(state)))
    counted = reserves if spec.layout_version else (0, 0)
    _TOKEN_AMOUNTS.pack_into(state, _TOKEN_AMOUNTS_OFFSET, *counted, spec.layout_version)
    accounts = {address: Account(owner=PROGRAM_ID, lamports=rent_exempt(POOL_LENGTH), data=bytes(state))}
    for number, (vault, mint) in enumerate(zip(vaults, spec.mints, strict=True)):
        held = reserves[number] + spec.protocol_fees[number] + spec.unclaimed_fees[number]
        accounts[vault] = token_account(mint, AUTHORITY, held)
    return GenesisPool(address, accounts)


def _write_base_fee(state: bytearray, fee: BaseFee) -> None:
    if isinstance(fee, TimeScheduler):
        mode = BaseFeeMode.TIME_SCHEDULER_EXPONENTIAL if fee.exponential else BaseFeeMode.TIME_SCHEDULER_LINEAR
        fields = (fee.cliff_numerator, mode, fee.periods, fee.period_frequency, fee.reduction)
        _TIME_SCHEDULER.pack_into(state, BASE_FEE_OFFSET, *fields)
    elif isinstance(fee, RateLimiter):
        cliff, *fields_of_mode = fee
        _OTHER_BASE_FEES.pack_into(state, BASE_FEE_OFFSET, cliff, BaseFeeMode.RATE_LIMITER, *fields_of_mode)
    else:
        assert isinstance(fee, MarketCapScheduler)
        linear, exponential = BaseFeeMode.MARKET_CAP_SCHEDULER_LINEAR, BaseFeeMode.MARKET_CAP_SCHEDULER_EXPONENTIAL
        _OTHER_BASE_FEES.pack_into(
            state, BASE_FEE_OFFSET, fee.cliff_numerator, exponential if fee.exponential else linear, *fee[2:]
        )


def _u128(number: int) -> bytes:
    return number.to_bytes(16, "little")
