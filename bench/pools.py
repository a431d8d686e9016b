"""The pools that are measured, written by the builders of the genesis market: the same bytes for us and the SDKs."""

from __future__ import annotations

from dataclasses import dataclass

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.meteora_damm_v2.layout import BaseFee, DammV2CollectFeeMode, RateLimiter, TimeScheduler
from chalicelib.venues.meteora_dlmm.layout import bitmap_extension_address
from chalicelib.venues.meteora_dlmm.math import price_of_bin
from chalicelib.venues.raydium_clmm.layout import TICKS_PER_ARRAY, DynamicFee
from chalicelib.venues.raydium_clmm.math import sqrt_price_at
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_damm_v1_pool import DammV1PoolSpec, StableSpec, VaultSpec
from infra.localnet.programs.meteora_damm_v1_pool import genesis_pool as damm_v1_pool
from infra.localnet.programs.meteora_damm_v2_pool import DammV2PoolSpec, dynamic_fee
from infra.localnet.programs.meteora_damm_v2_pool import genesis_pool as damm_v2_pool
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec
from infra.localnet.programs.meteora_dlmm_pool import genesis_pool as dlmm_pool
from infra.localnet.programs.raydium_amm_v4_pool import AmmV4PoolSpec
from infra.localnet.programs.raydium_amm_v4_pool import genesis_pool as amm_v4_pool
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec, ClmmPosition
from infra.localnet.programs.raydium_clmm_pool import genesis_pool as clmm_pool
from infra.localnet.programs.raydium_cpmm_pool import CpmmPoolSpec
from infra.localnet.programs.raydium_cpmm_pool import genesis_pool as cpmm_pool
from infra.localnet.programs.token_accounts import mint_account

_NOW = 1_760_000_000
CLOCK = ChainClock(slot=360_000_000, epoch=850, unix_timestamp=_NOW + 20)
MINT_IN, MINT_OUT = (
    Mint(Pubkey.find_program_address([name], TOKEN_PROGRAM)[0], TOKEN_PROGRAM, 6) for name in (b"x", b"y")
)
# The price has just moved: the fee varies from one group of ticks to the next.
_DYNAMIC_FEE = DynamicFee(
    filter_period=30,
    decay_period=600,
    reduction_factor=5_000,
    control=5_000,
    max_accumulator=350_000,
    index_reference=40,
    volatility_reference=20_000,
    accumulator=50_000,
    last_update=_NOW,
)
_BIN_LIQUIDITY = 1_000_000_000
_TICK_LIQUIDITY = 1_000_000_000_000
_ACTIVE_ID = 34
_BIN_STEP = 4


@dataclass(frozen=True, slots=True)
class MeasuredPool:
    """A pool with all of its accounts and the swap to be quoted. `venue` is what the SDK's oracle calls it.

    `program` owns it.
    """

    name: str
    venue: str
    program: Pubkey
    address: Pubkey
    accounts: AccountMap
    amount_in: int


def constant_product(reserve: int = 750_000_000_000, config_index: int = 0) -> MeasuredPool:
    """A CPMM pool with fees owed, of tokens at par, and a swap of a thousandth of its reserve."""
    spec = CpmmPoolSpec(
        mints=(MINT_IN, MINT_OUT),
        reserves=(reserve, reserve),
        config_index=config_index,
        protocol_fees=(1_234_567, 890_123),
        fund_fees=(123_456, 78_901),
    )
    return _measured("CPMM", "raydium", cpmm_pool(spec), reserve // 1_000)


def dynamic_amm(kind: str) -> MeasuredPool:
    """A DAMM v2 pool whose price has just moved, of tokens at par, and a swap of a thousandth of what it holds.

    `kind`: "scheduled" has an exponential fee, "compounding" a constant product, "limited" a rate limiter at work.
    """
    reserve = 750_000_000_000
    base_fee: BaseFee = TimeScheduler(500_000_000, exponential=True, periods=120, period_frequency=60, reduction=300)
    mode = DammV2CollectFeeMode.OUTPUT
    if kind == "limited":
        base_fee, mode = RateLimiter(10_000_000, 50, 6_000, 5_000, reserve // 10_000), DammV2CollectFeeMode.ONLY_B
    if kind == "compounding":
        mode = DammV2CollectFeeMode.COMPOUNDING
    spec = DammV2PoolSpec(
        # a limiter is at work for what comes in as token B
        mints=(MINT_OUT, MINT_IN) if kind == "limited" else (MINT_IN, MINT_OUT),
        liquidity=reserve << 64,
        reserves=(reserve, reserve) if kind == "compounding" else (0, 0),
        base_fee=base_fee,
        dynamic_fee=dynamic_fee(
            volatility_accumulator=50_000, last_update_timestamp=_NOW, sqrt_price_reference=1 << 64
        ),
        collect_fee_mode=mode,
        compounding_fee_bps=2_500 if kind == "compounding" else 0,
        activation_point=_NOW - 3_000,
    )
    return _measured(f"DAMM v2, {kind}", "meteora_damm_v2", damm_v2_pool(spec), reserve // 1_000)


def bins(crossed: int, every: int = 1, base_factor: int = 10_000) -> MeasuredPool:
    """A DLMM pool and a swap that ends in the last of `crossed` bins, of which one in `every` has liquidity.

    The price has just moved, so that the fee varies from bin to bin.
    """
    stocked = [_ACTIVE_ID - offset for offset in range(crossed) if offset % every == 0 or offset == crossed - 1]
    liquidity = dict.fromkeys(stocked, _BIN_LIQUIDITY)
    # The last bin can't be emptied by what is more than enough for the others, with the highest fee there is.
    liquidity[stocked[-1]] *= 2 * len(stocked)
    costs = ((_BIN_LIQUIDITY << 64) // price_of_bin(bin_id, _BIN_STEP) for bin_id in stocked)
    spec = DlmmPoolSpec(
        mint_x=MINT_IN,
        mint_y=MINT_OUT,
        bin_step=_BIN_STEP,
        active_id=_ACTIVE_ID,
        base_factor=base_factor,
        liquidity={bin_id: (0, amount) for bin_id, amount in liquidity.items()},
        volatility_accumulator=50_000,
        volatility_reference=20_000,
        index_reference=_ACTIVE_ID + 3,
        last_update_timestamp=_NOW,
    )
    name = f"DLMM, {crossed} bin{'s' if crossed > 1 else ''}"
    if every > 1:
        name += f" ({len(stocked)} with liquidity)"
    return _measured(name, "meteora", dlmm_pool(spec), sum(costs) * 6 // 5)


def ticks(crossed: int, dynamic_fee: bool = False) -> MeasuredPool:
    """A CLMM pool and a swap over so many ticks: one position after the other, each of sixty ticks."""
    reach = TICKS_PER_ARRAY
    spec = ClmmPoolSpec(
        mint_0=MINT_IN,
        mint_1=MINT_OUT,
        config_index=1,
        tick_spacing=1,
        sqrt_price=sqrt_price_at(reach // 2),
        positions=tuple(
            ClmmPosition(-number * reach, (1 - number) * reach, _TICK_LIQUIDITY) for number in range(crossed + 1)
        ),
        dynamic_fee=_DYNAMIC_FEE if dynamic_fee else None,
    )
    ends = (sqrt_price_at(reach // 2), sqrt_price_at(-crossed * reach + reach // 4))
    # what it takes of token 0 to come into the last position and not through it, without its fee
    amount = (_TICK_LIQUIDITY * (ends[0] - ends[1]) << 64) // (ends[0] * ends[1])
    name = f"CLMM, {crossed} tick{'' if crossed == 1 else 's'}" + (", dynamic fee" if dynamic_fee else "")
    return _measured(name, "raydium_clmm", clmm_pool(spec), amount)


def owing_profit(reserve: int = 750_000_000_000) -> MeasuredPool:
    """An AMM v4 pool that owes profit, of tokens at par, and a swap of a thousandth of its reserve."""
    spec = AmmV4PoolSpec(mints=(MINT_IN, MINT_OUT), reserves=(reserve, reserve), owed_profit=(1_234_567, 890_123))
    return _measured("AMM v4", "raydium_amm_v4", amm_v4_pool(spec), reserve // 1_000)


def over_vaults(*, stable: bool, reserve: int = 750_000_000_000) -> MeasuredPool:
    """A DAMM v1 pool that has a tenth of its vaults, whose profit is unlocking, and a swap of a thousandth of it."""
    vault = VaultSpec(
        total=11 * reserve,
        lp_supply=10 * reserve,
        reserve=5 * reserve,
        locked_profit=reserve // 100,
        last_report=_NOW - 3_600,
    )
    spec = DammV1PoolSpec(
        mints=(MINT_IN, MINT_OUT),
        vaults=(vault, vault),
        pool_lp=(reserve, reserve),
        curve=StableSpec() if stable else None,
    )
    name = "DAMM v1, stable" if stable else "DAMM v1, constant product"
    return _measured(name, "meteora_damm_v1", damm_v1_pool(spec), reserve // 1_000)


def _measured(name: str, venue: str, pool: GenesisPool, amount_in: int) -> MeasuredPool:
    mints = {mint.address: mint_account(mint, supply=1 << 60, authority=None) for mint in (MINT_IN, MINT_OUT)}
    accounts: dict[Pubkey, Account | None] = {**mints, **pool.accounts}
    if venue == "meteora" and bitmap_extension_address(pool.address) not in accounts:
        accounts[bitmap_extension_address(pool.address)] = None
    return MeasuredPool(name, venue, pool.accounts[pool.address].owner, pool.address, accounts, amount_in)
