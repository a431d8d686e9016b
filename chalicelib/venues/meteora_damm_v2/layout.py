"""Meteora DAMM v2's accounts: where they are and what their bytes say. Nothing here computes a swap.

Source: MeteoraAg/damm-v2, programs/cp-amm/src: state/pool.rs and state/fee.rs (layouts), base_fee/*.rs (the five base
fees, each its own reading of the same bytes), instructions/initialize_pool/*.rs (addresses).
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.pool_accounts import InvalidAccount, check_account

PROGRAM_ID = Pubkey.from_string("cpamdpZCGKUy5JxQXB4dcpGPiikHawvSWAd6mEn1sGG")
# Owns every vault of the program.
AUTHORITY = Pubkey.find_program_address([b"pool_authority"], PROGRAM_ID)[0]
EVENT_AUTHORITY = Pubkey.find_program_address([b"__event_authority"], PROGRAM_ID)[0]

# The first eight bytes of SHA-256 of "account:Pool": Anchor's way of telling accounts apart.
POOL_DISCRIMINATOR = bytes.fromhex("f19a6d0411b16dbc")
POOL_LENGTH = 1112

STATUS_ENABLED = 0
# Fee numerators are of 10^9, a fee of more than this is cut down to it; by `fee_version` (constants.rs).
FEE_DENOMINATOR = 1_000_000_000
MAX_FEE_NUMERATORS = (500_000_000, 990_000_000)
# Version 0 has no token amounts of its own: the program works them out at the next swap.
LAYOUT_VERSIONS = 2


class BaseFeeMode(IntEnum):
    """state/fee.rs BaseFeeMode."""

    TIME_SCHEDULER_LINEAR = 0
    TIME_SCHEDULER_EXPONENTIAL = 1
    RATE_LIMITER = 2
    MARKET_CAP_SCHEDULER_LINEAR = 3
    MARKET_CAP_SCHEDULER_EXPONENTIAL = 4


class DammV2CollectFeeMode(IntEnum):
    """state/pool.rs CollectFeeMode: from which token fees are taken; COMPOUNDING is also another curve."""

    OUTPUT = 0
    ONLY_B = 1
    COMPOUNDING = 2


class DammV2ActivationType(IntEnum):
    """utils/activation_handler.rs ActivationType: what the pool counts time in."""

    SLOT = 0
    TIMESTAMP = 1


_u128 = int.from_bytes

# Looking up a member of an enumeration takes longer than comparing what a pool's bytes say.
_COMPOUNDING, _OUTPUT = int(DammV2CollectFeeMode.COMPOUNDING), int(DammV2CollectFeeMode.OUTPUT)
_SLOT, _TIMESTAMP = int(DammV2ActivationType.SLOT), int(DammV2ActivationType.TIMESTAMP)
_TIME_EXPONENTIAL = int(BaseFeeMode.TIME_SCHEDULER_EXPONENTIAL)
_RATE_LIMITER = int(BaseFeeMode.RATE_LIMITER)
_MARKET_CAP_EXPONENTIAL = int(BaseFeeMode.MARKET_CAP_SCHEDULER_EXPONENTIAL)

# Of BaseFeeStruct cliff_fee_numerator u64, base_fee_mode u8, then a u16, eight bytes and a u64 that each mode reads in
# its own way; protocol_fee_percent, referral_fee_percent u8, compounding_fee_bps u16; of DynamicFeeStruct: initialized
# u8, the rest as DYNAMIC_FEE has it
_FEES = "QB5xH8sQ8xBxB3xHB7x88s"
# init_sqrt_price u128, both mints, both vaults; (whitelisted_vault, padding) liquidity u128; protocol fees A and B u64;
# min, max and current sqrt price u128; activation_point u64; activation_type, status, token flags, collect_fee_mode,
# pool_type, fee_version u8; (what liquidity providers are owed) of PoolMetrics total protocol fees A and B u64; token
# amounts A and B u64, layout_version u8
_POOL = Struct("<8x" + _FEES + "16s32s32s32s32s64x16s16xQQ16x16s16s16sQBBBBBxB113xQQ64xQQB")
_TWO_U32 = Struct("<II")
# max_volatility_accumulator, variable_fee_control u32; bin_step, filter_period, decay_period, reduction_factor u16;
# last_update_timestamp u64; bin_step, price reference, volatility accumulator, volatility reference u128
DYNAMIC_FEE = Struct("<IIHHHHQ16s16s16s16s")

# Of Pool: token_a_mint, token_b_mint.
MINTS_OFFSET = 168

# Where they stand, for those who write them.
BASE_FEE_OFFSET = 8
DYNAMIC_FEE_OFFSET = 64
PROTOCOL_FEES_OFFSET = 392
SQRT_PRICE_OFFSET = 456
FEE_PER_LIQUIDITY_OFFSETS = (488, 520)
TOTAL_LP_FEES_OFFSET = 568
TOTAL_PROTOCOL_FEES_OFFSET = 600
TOKEN_AMOUNTS_OFFSET = 680
TWO_U64 = Struct("<QQ")
TOKEN_AMOUNTS = Struct("<QQB")


# Pools are decoded anew for each quote, and a named tuple is made in a quarter of a frozen dataclass's time.
class TimeScheduler(NamedTuple):
    """base_fee/fee_time_scheduler.rs: the fee falls from its cliff with each period after activation.

    `reduction` is what each period takes off the numerator, or, if `exponential`, the ten thousandths that it takes.
    """

    cliff_numerator: int
    exponential: bool
    periods: int
    period_frequency: int
    reduction: int


class RateLimiter(NamedTuple):
    """base_fee/fee_rate_limiter.rs: for `max_duration` after activation, who buys more pays more."""

    cliff_numerator: int
    increment_bps: int
    max_duration: int
    max_fee_bps: int
    reference_amount: int


class MarketCapScheduler(NamedTuple):
    """base_fee/fee_market_cap_scheduler.rs: the fee falls with each step that the price has risen by.

    `reduction` as TimeScheduler's.
    """

    cliff_numerator: int
    exponential: bool
    periods: int
    sqrt_price_step_bps: int
    expiration_duration: int
    reduction: int


BaseFee = TimeScheduler | RateLimiter | MarketCapScheduler


class DammV2DynamicFee(NamedTuple):
    """state/fee.rs DynamicFeeStruct: how far the price has moved lately, and what that adds to the fee.

    Periods are in seconds, `bin_step_q64` and the price reference in Q64.64.
    """

    max_volatility_accumulator: int
    variable_fee_control: int
    bin_step: int
    filter_period: int
    decay_period: int
    reduction_factor: int
    last_update_timestamp: int
    bin_step_q64: int
    sqrt_price_reference: int
    volatility_accumulator: int
    volatility_reference: int


class DammV2PoolState(NamedTuple):
    """What a swap reads of state/pool.rs Pool. Prices are square roots in Q64.64, liquidity has 128 fractional bits.

    `dynamic_fee` is None where the pool has it switched off. Pairs are A, B.
    """

    base_fee: BaseFee
    protocol_fee_percent: int
    referral_fee_percent: int
    compounding_fee_bps: int
    dynamic_fee: DammV2DynamicFee | None
    init_sqrt_price: int
    mint_a: bytes
    mint_b: bytes
    vault_a: bytes
    vault_b: bytes
    liquidity: int
    protocol_fees: tuple[int, int]
    total_protocol_fees: tuple[int, int]
    sqrt_min_price: int
    sqrt_max_price: int
    sqrt_price: int
    activation_point: int
    activation_type: int
    status: int
    token_2022: tuple[bool, bool]
    collect_fee_mode: int
    max_fee_numerator: int
    token_amounts: tuple[int, int]
    layout_version: int

    @classmethod
    def decode(cls, owner: Pubkey, data: bytes) -> DammV2PoolState:
        """Raises InvalidAccount, also where the pool is of a kind that this release of the program doesn't know."""
        check_account(PROGRAM_ID, "Meteora DAMM v2", owner, data, POOL_DISCRIMINATOR, POOL_LENGTH, "Pool")
        (
            cliff,
            mode,
            first,
            second,
            third,
            protocol_percent,
            referral_percent,
            compounding_bps,
            has_dynamic_fee,
            dynamic_fee,
            init_price,
            mint_a,
            mint_b,
            vault_a,
            vault_b,
            liquidity,
            protocol_a,
            protocol_b,
            min_price,
            max_price,
            price,
            activation_point,
            activation_type,
            status,
            flag_a,
            flag_b,
            collect_fee_mode,
            fee_version,
            total_protocol_a,
            total_protocol_b,
            amount_a,
            amount_b,
            layout_version,
        ) = _POOL.unpack_from(data)
        if (
            fee_version >= len(MAX_FEE_NUMERATORS)
            or layout_version >= LAYOUT_VERSIONS
            or collect_fee_mode > _COMPOUNDING
            or activation_type > _TIMESTAMP
        ):
            raise InvalidAccount("a Pool of Meteora DAMM v2 of a kind that isn't known")
        return cls(
            _base_fee(cliff, mode, first, second, third),
            protocol_percent,
            referral_percent,
            compounding_bps,
            _dynamic_fee(dynamic_fee) if has_dynamic_fee else None,
            _u128(init_price, "little"),
            mint_a,
            mint_b,
            vault_a,
            vault_b,
            _u128(liquidity, "little"),
            (protocol_a, protocol_b),
            (total_protocol_a, total_protocol_b),
            _u128(min_price, "little"),
            _u128(max_price, "little"),
            _u128(price, "little"),
            activation_point,
            activation_type,
            status,
            (flag_a == 1, flag_b == 1),
            collect_fee_mode,
            MAX_FEE_NUMERATORS[fee_version],
            (amount_a, amount_b),
            layout_version,
        )

    def check_addresses(self, pool: Pubkey) -> None:
        """Raises InvalidAccount unless the pool at `pool` names its own vaults, and two mints.

        The pool's own address isn't derived: the config that it may come from isn't kept.
        """
        if (self.vault_a, self.vault_b) != _vaults_of(pool, self.mint_a, self.mint_b):
            raise InvalidAccount("the pool names vaults that are not its own")
        if self.mint_a == self.mint_b:
            raise InvalidAccount("the pool names one mint twice")

    def point_at(self, clock: ChainClock) -> int:
        """The slot or the Unix timestamp, whichever the pool counts in (utils/activation_handler.rs)."""
        return clock.slot if self.activation_type == _SLOT else clock.unix_timestamp

    def is_open(self, point: int) -> bool:
        """pool_action_access/permissionless.rs `can_swap`, for everybody but the vault that may come earlier."""
        return self.status == STATUS_ENABLED and point >= self.activation_point

    @property
    def compounds(self) -> bool:
        """Whether it trades at a constant product, without a price range."""
        return self.collect_fee_mode == _COMPOUNDING

    def fee_on_input(self, side_in: int) -> bool:
        """state/fee.rs `get_fee_mode`: `side_in` 0 where A comes in, 1 where B does."""
        return self.collect_fee_mode != _OUTPUT and side_in == 1


@lru_cache(maxsize=1024)
def customizable_pool_address(mint_a: Pubkey, mint_b: Pubkey) -> Pubkey:
    """Where the one pool of two mints is whose creator chooses its fees."""
    smaller, larger = sorted((bytes(mint_a), bytes(mint_b)))
    return Pubkey.find_program_address([b"cpool", larger, smaller], PROGRAM_ID)[0]


@lru_cache(maxsize=1024)
def vault_address(pool: Pubkey, mint: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"token_vault", bytes(mint), bytes(pool)], PROGRAM_ID)[0]


@lru_cache(maxsize=4096)
def _vaults_of(pool: Pubkey, mint_a: bytes, mint_b: bytes) -> tuple[bytes, bytes]:
    return bytes(vault_address(pool, Pubkey(mint_a))), bytes(vault_address(pool, Pubkey(mint_b)))


def _base_fee(cliff: int, mode: int, first: int, second: bytes, third: int) -> BaseFee:
    """Raises InvalidAccount."""
    if mode <= _TIME_EXPONENTIAL:
        frequency = int.from_bytes(second, "little")
        return TimeScheduler(cliff, mode == _TIME_EXPONENTIAL, first, frequency, third)
    if mode > _MARKET_CAP_EXPONENTIAL:
        raise InvalidAccount(f"a Pool of Meteora DAMM v2 with a base fee that isn't known: {mode}")
    step_or_duration, expiration_or_max = _TWO_U32.unpack(second)
    if mode == _RATE_LIMITER:
        return RateLimiter(cliff, first, step_or_duration, expiration_or_max, third)
    exponential = mode == _MARKET_CAP_EXPONENTIAL
    return MarketCapScheduler(cliff, exponential, first, step_or_duration, expiration_or_max, third)


def _dynamic_fee(data: bytes) -> DammV2DynamicFee:
    """Of the bytes from max_volatility_accumulator on."""
    most, control, step, filter_, decay, reduction, updated, *numbers = DYNAMIC_FEE.unpack_from(data)
    step_q64, reference, accumulator, volatility = numbers
    return DammV2DynamicFee(
        most,
        control,
        step,
        filter_,
        decay,
        reduction,
        updated,
        _u128(step_q64, "little"),
        _u128(reference, "little"),
        _u128(accumulator, "little"),
        _u128(volatility, "little"),
    )
