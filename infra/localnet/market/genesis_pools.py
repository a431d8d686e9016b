"""How each program's pools are made for the genesis market: one maker a program, all listed in MAKERS.

Depths, fees and bin steps are those of mid-sized mainnet pools of such pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from chalicelib.venues.meteora_dlmm.math import price_of_bin
from infra.localnet.market.tokens import MarketToken
from infra.localnet.programs import meteora_dlmm_pool, raydium_cpmm_pool
from infra.localnet.programs.genesis_pool import GenesisPool

_STABLE = frozenset({"USDC", "USDT"})
_Q64 = 1 << 64
_HIGHEST_BIN = 443_636


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
    """Makes one program's pools. Of a pair's dollars on each side, a pool gets one part in `depth_divisor`."""

    make: Callable[[Liquidity], GenesisPool]
    depth_divisor: int = 1


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
)
