"""How each program's pools are made for the genesis market: one maker a program, all listed in MAKERS.

Depths, fees and bin steps are those of mid-sized mainnet pools of such pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from chalicelib.venues.meteora_damm_v2.layout import DammV2CollectFeeMode
from chalicelib.venues.meteora_dlmm.math import price_of_bin
from chalicelib.venues.raydium_clmm.math import sqrt_price_at, tick_at
from infra.localnet.market.tokens import MarketToken
from infra.localnet.programs import (
    meteora_damm_v1_pool,
    meteora_damm_v2_pool,
    meteora_dlmm_pool,
    raydium_amm_v4_pool,
    raydium_clmm_pool,
    raydium_cpmm_pool,
)
from infra.localnet.programs.genesis_pool import GenesisPool

_STABLE = frozenset({"USDC", "USDT"})
_Q64 = 1 << 64
_VAULT_DOLLARS = 20_000_000
# Programs of SPL tokens alone, and not of every pair, as in life.
_AMM_V4_PAIRS = frozenset(
    {
        ("SOL", "USDC"),
        ("SOL", "USDT"),
        ("RAY", "SOL"),
        ("RAY", "USDC"),
        ("JUP", "SOL"),
        ("JUP", "USDC"),
        ("BONK", "SOL"),
        ("BONK", "USDC"),
    }
)
_DAMM_V1_PAIRS = frozenset({("SOL", "USDC"), ("JUP", "SOL"), ("BONK", "SOL"), ("USDT", "USDC")})
_HIGHEST_BIN = 443_636
# Fees of 10^9 for fees of 10^6.
_NUMERATOR_OF_MILLIONTH = 1_000


@dataclass(frozen=True, slots=True)
class Tier:
    """What pools of one kind of pair have in common. The trade fee is in millionths; bins are those of each side."""

    config_index: int
    trade_fee_rate: int
    bin_step: int
    base_factor: int
    bins: int


_STABLE_TIER = Tier(config_index=5, trade_fee_rate=100, bin_step=1, base_factor=10_000, bins=100)
_MAJOR_TIER = Tier(config_index=0, trade_fee_rate=2_500, bin_step=4, base_factor=10_000, bins=170)
_VOLATILE_TIER = Tier(config_index=0, trade_fee_rate=2_500, bin_step=20, base_factor=10_000, bins=69)
_THIN_TIER = Tier(config_index=3, trade_fee_rate=5_000, bin_step=25, base_factor=10_000, bins=69)


@dataclass(frozen=True, slots=True)
class Liquidity:
    """What a pool is to hold: base units of `quote` for one of `base` at its price, dollars on each side."""

    base: MarketToken
    quote: MarketToken
    ratio: Fraction
    depth: int

    @property
    def tier(self) -> Tier:
        if {self.base.symbol, self.quote.symbol} == _STABLE:
            return _STABLE_TIER
        if self.base.symbol == "SOL":
            return _MAJOR_TIER
        return _THIN_TIER if self.base.symbol in ("LEVY", "BONK") else _VOLATILE_TIER


@dataclass(frozen=True, slots=True)
class PoolMaker:
    """Makes one program's pools. Of a pair's dollars on each side, a pool gets one part in `depth_divisor`.

    `pairs` are those that it makes pools for, base and quote; None: all.
    """

    make: Callable[[Liquidity], GenesisPool]
    depth_divisor: int = 1
    pairs: frozenset[tuple[str, str]] | None = None

    def trades(self, base: MarketToken, quote: MarketToken) -> bool:
        return self.pairs is None or (base.symbol, quote.symbol) in self.pairs


def _raydium_cpmm(of: Liquidity) -> GenesisPool:
    of_base = of.base.base_units(of.depth)
    return raydium_cpmm_pool.genesis_pool(
        raydium_cpmm_pool.CpmmPoolSpec(
            mints=(of.base.mint, of.quote.mint),
            reserves=(of_base, int(of_base * of.ratio)),
            config_index=of.tier.config_index,
            trade_fee_rate=of.tier.trade_fee_rate,
        )
    )


def _meteora_dlmm(of: Liquidity) -> GenesisPool:
    tier = of.tier
    active = active_bin(of.ratio, tier.bin_step)
    of_base, of_quote = of.base.base_units(of.depth), of.quote.base_units(of.depth)
    # The further from the price, the less: the bin at distance d has (bins - d) parts.
    parts = sum(range(1, tier.bins + 1))
    liquidity = {active: (of_base * tier.bins // parts, of_quote * tier.bins // parts)}
    for distance in range(1, tier.bins):
        share = tier.bins - distance
        liquidity[active + distance] = (of_base * share // parts, 0)
        liquidity[active - distance] = (0, of_quote * share // parts)
    return meteora_dlmm_pool.genesis_pool(
        meteora_dlmm_pool.DlmmPoolSpec(
            mint_x=of.base.mint,
            mint_y=of.quote.mint,
            bin_step=tier.bin_step,
            active_id=active,
            base_factor=tier.base_factor,
            liquidity=liquidity,
        )
    )


@dataclass(frozen=True, slots=True)
class TickTier:
    """What CLMM pools of one kind of pair have in common. The widest position goes `width` ticks each way."""

    config_index: int
    trade_fee_rate: int
    spacing: int
    width: int


_TICK_TIERS = {
    _MAJOR_TIER: TickTier(config_index=2, trade_fee_rate=500, spacing=10, width=2_000),
    _VOLATILE_TIER: TickTier(config_index=1, trade_fee_rate=2_500, spacing=60, width=6_000),
    _THIN_TIER: TickTier(config_index=1, trade_fee_rate=2_500, spacing=60, width=9_000),
    _STABLE_TIER: TickTier(config_index=4, trade_fee_rate=100, spacing=1, width=100),
}
# Of a pool's dollars, equal parts lie in positions that go so far each way: the nearer, the denser.
_POSITION_WIDTHS = (Fraction(1), Fraction(1, 2), Fraction(1, 5))


def _raydium_clmm(of: Liquidity) -> GenesisPool:
    tier = _TICK_TIERS[of.tier]
    amounts = of.base.base_units(of.depth), of.quote.base_units(of.depth)
    mints, ratio = (of.base.mint, of.quote.mint), of.ratio
    if bytes(mints[0].address) > bytes(mints[1].address):
        mints, amounts, ratio = mints[::-1], amounts[::-1], 1 / ratio
    sqrt_price = isqrt(ratio.numerator * _Q64**2 // ratio.denominator)
    middle = tick_at(sqrt_price) // tier.spacing
    positions = []
    for part in _POSITION_WIDTHS:
        reach = int(tier.width * part) // tier.spacing
        lower, upper = (middle - reach) * tier.spacing, (middle + 1 + reach) * tier.spacing
        price_lower, price_upper = sqrt_price_at(lower), sqrt_price_at(upper)
        of_0, of_1 = (amount // len(_POSITION_WIDTHS) for amount in amounts)
        # libraries/liquidity_math.rs, get_liquidity_from_amounts
        liquidity = min(
            of_0 * sqrt_price * price_upper // (price_upper - sqrt_price) >> 64,
            (of_1 << 64) // (sqrt_price - price_lower),
        )
        positions.append(raydium_clmm_pool.ClmmPosition(lower, upper, liquidity))
    return raydium_clmm_pool.genesis_pool(
        raydium_clmm_pool.ClmmPoolSpec(
            mint_0=mints[0],
            mint_1=mints[1],
            config_index=tier.config_index,
            tick_spacing=tier.spacing,
            trade_fee_rate=tier.trade_fee_rate,
            sqrt_price=sqrt_price,
            positions=tuple(positions),
        )
    )


def _meteora_damm_v2(of: Liquidity) -> GenesisPool:
    """With its usual dynamic fee: fees in the second token, compounding for SOL. Stable pairs have a flat fee."""
    tier = of.tier
    compounds = tier is _MAJOR_TIER
    low, price, high = (
        meteora_damm_v2_pool.MIN_SQRT_PRICE,
        meteora_damm_v2_pool.sqrt_price(of.ratio),
        meteora_damm_v2_pool.MAX_SQRT_PRICE,
    )
    of_base = of.base.base_units(of.depth)
    of_quote = int(of_base * of.ratio)
    return meteora_damm_v2_pool.genesis_pool(
        meteora_damm_v2_pool.DammV2PoolSpec(
            mints=(of.base.mint, of.quote.mint),
            liquidity=meteora_damm_v2_pool.liquidity_for(of_quote, low, price),
            sqrt_prices=(low, price, high),
            reserves=(of_base, of_quote) if compounds else (0, 0),
            base_fee=meteora_damm_v2_pool.flat_fee(tier.trade_fee_rate * _NUMERATOR_OF_MILLIONTH),
            dynamic_fee=None if tier is _STABLE_TIER else meteora_damm_v2_pool.dynamic_fee(),
            collect_fee_mode=DammV2CollectFeeMode.COMPOUNDING if compounds else DammV2CollectFeeMode.ONLY_B,
            compounding_fee_bps=5_000 if compounds else 0,
        )
    )


def _raydium_amm_v4(of: Liquidity) -> GenesisPool:
    of_base = of.base.base_units(of.depth)
    return raydium_amm_v4_pool.genesis_pool(
        raydium_amm_v4_pool.AmmV4PoolSpec(
            mints=(of.base.mint, of.quote.mint),
            reserves=(of_base, int(of_base * of.ratio)),
            owed_profit=(of_base // 10_000, int(of_base * of.ratio) // 10_000),
        )
    )


def _meteora_damm_v1(of: Liquidity) -> GenesisPool:
    base_vault, quote_vault = _vault(of.base), _vault(of.quote)
    of_base = of.base.base_units(of.depth)
    is_stable = of.tier is _STABLE_TIER
    return meteora_damm_v1_pool.genesis_pool(
        meteora_damm_v1_pool.DammV1PoolSpec(
            mints=(of.base.mint, of.quote.mint),
            vaults=(base_vault, quote_vault),
            pool_lp=(_lp_for(of_base, base_vault), _lp_for(int(of_base * of.ratio), quote_vault)),
            trade_fee=(10 if is_stable else 250, 100_000),
            curve=meteora_damm_v1_pool.StableSpec() if is_stable else None,
        )
    )


def _vault(token: MarketToken) -> meteora_damm_v1_pool.VaultSpec:
    """The same for every pool of the token: all share one. It has earned a tenth, and lent a third out."""
    total = token.base_units(_VAULT_DOLLARS)
    return meteora_damm_v1_pool.VaultSpec(total=total, lp_supply=total * 10 // 11, reserve=total * 2 // 3)


def _lp_for(amount: int, vault: meteora_damm_v1_pool.VaultSpec) -> int:
    return amount * vault.lp_supply // vault.total


def active_bin(ratio: Fraction, bin_step: int) -> int:
    """The highest bin whose price is not above `ratio`."""
    low, high = -_HIGHEST_BIN // bin_step, _HIGHEST_BIN // bin_step
    while low < high:
        middle = (low + high + 1) // 2
        if Fraction(price_of_bin(middle, bin_step), _Q64) <= ratio:
            low = middle
        else:
            high = middle - 1
    return low


MAKERS = (
    PoolMaker(_raydium_cpmm),
    # Concentrated liquidity needs less of it for the same depth around the price.
    PoolMaker(_meteora_dlmm, depth_divisor=3),
    PoolMaker(_raydium_clmm),
    PoolMaker(_meteora_damm_v2, depth_divisor=2),
    PoolMaker(_raydium_amm_v4, depth_divisor=2, pairs=_AMM_V4_PAIRS),
    PoolMaker(_meteora_damm_v1, depth_divisor=4, pairs=_DAMM_V1_PAIRS),
)
