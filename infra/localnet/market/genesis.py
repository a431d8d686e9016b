"""The genesis market: seven tokens, each pair of them on both venues, and wallets that hold enough to trade on them.

Depths, fees and bin steps are those of mid-sized mainnet pools of such pairs. Prices differ between venues by what
real ones differ: a few hundredths of a percent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from random import Random

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import NATIVE_MINT, TokenAccount
from chalicelib.venues.meteora_dlmm import layout as meteora_dlmm_layout
from chalicelib.venues.meteora_dlmm.math import price_of_bin
from chalicelib.venues.raydium_cpmm import pool as raydium_cpmm
from infra.localnet.market.endowment import endowed
from infra.localnet.market.tokens import TOKENS, MarketToken, market_mint
from infra.localnet.programs import meteora_dlmm_pool, raydium_cpmm_pool
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.token_state import token_account

LAMPORTS_PER_SOL = 1_000_000_000

_STABLE = frozenset({"USDC", "USDT"})
# The later one of a pair is what the other is priced in.
_QUOTE_ORDER = ("LEVY", "BONK", "RAY", "JUP", "SOL", "USDT", "USDC")
# Dollars on each side of a token's deepest pool.
_DEPTH = {
    "SOL": 4_000_000,
    "USDC": 6_000_000,
    "USDT": 5_000_000,
    "JUP": 1_200_000,
    "RAY": 1_500_000,
    "BONK": 900_000,
    "LEVY": 400_000,
}
_DEVIATION_PPM = 600
_MILLION = 1_000_000
_Q64 = 1 << 64
_HIGHEST_BIN = 443_636


@dataclass(frozen=True, slots=True)
class _Tier:
    """What pools of one kind of pair have in common. The trade fee is in millionths; bins are those of each side."""

    config_index: int
    trade_fee_rate: int
    bin_step: int
    base_factor: int
    bins: int


_STABLE_TIER = _Tier(config_index=5, trade_fee_rate=100, bin_step=1, base_factor=10_000, bins=100)
_MAJOR_TIER = _Tier(config_index=0, trade_fee_rate=2_500, bin_step=4, base_factor=10_000, bins=170)
_VOLATILE_TIER = _Tier(config_index=0, trade_fee_rate=2_500, bin_step=20, base_factor=10_000, bins=69)
_THIN_TIER = _Tier(config_index=3, trade_fee_rate=5_000, bin_step=25, base_factor=10_000, bins=69)


@dataclass(frozen=True, slots=True)
class MarketPool:
    """One pool: its address and program, and the two tokens, the second being what the first is priced in."""

    address: Pubkey
    program: Pubkey
    base: MarketToken
    quote: MarketToken
    # Dollars on each side.
    depth: int


@dataclass(frozen=True, slots=True)
class GenesisMarket:
    accounts: dict[Pubkey, Account]
    pools: tuple[MarketPool, ...]


def genesis_market(seed: int) -> GenesisMarket:
    """All mints and pools; the same for the same seed."""
    dice = Random(seed)  # noqa: S311 - not for secrets
    accounts: dict[Pubkey, Account] = {}
    pools = []
    for pool, pool_accounts in _pools(dice):
        pools.append(pool)
        accounts.update(pool_accounts)
    for token in TOKENS:
        accounts[token.mint.address] = market_mint(token, _circulating(token, accounts))
    return GenesisMarket(accounts, tuple(pools))


def endow_wallet(accounts: dict[Pubkey, Account], owner: Pubkey, lamports: int, dollars_of_each: int) -> None:
    """Give `owner` SOL for `lamports`, and `dollars_of_each` worth of every token but (wrapped) SOL."""
    pay(accounts, owner, lamports)
    for token in TOKENS:
        if token.mint.address != NATIVE_MINT:
            accounts.update(endowed(accounts.get, owner, token.mint.address, token.base_units(dollars_of_each)))


def endow_market_maker(accounts: dict[Pubkey, Account], owner: Pubkey, dollars_of_each: int) -> None:
    """The same with wrapped SOL too: what the localnet's own traders trade from."""
    endow_wallet(accounts, owner, 10_000 * LAMPORTS_PER_SOL, dollars_of_each)
    wrapped = next(token for token in TOKENS if token.mint.address == NATIVE_MINT)
    accounts.update(endowed(accounts.get, owner, NATIVE_MINT, wrapped.base_units(dollars_of_each)))


def pay(accounts: dict[Pubkey, Account], to: Pubkey, lamports: int) -> None:
    held = accounts[to].lamports if to in accounts else 0
    accounts[to] = Account(owner=Pubkey.default(), lamports=held + lamports, data=b"")


def price_ratio(base: MarketToken, quote: MarketToken, prices: Mapping[str, int]) -> Fraction:
    """Base units of `quote` for one base unit of `base`; `prices` of whole tokens by symbol, in one common unit."""
    per_base_unit = Fraction(prices[base.symbol], int(10**base.mint.decimals))
    return per_base_unit / Fraction(prices[quote.symbol], int(10**quote.mint.decimals))


def _pools(dice: Random) -> Iterator[tuple[MarketPool, dict[Pubkey, Account]]]:
    prices = {token.symbol: token.price for token in TOKENS}
    for pair in combinations(sorted(TOKENS, key=lambda token: _QUOTE_ORDER.index(token.symbol)), 2):
        base, quote = pair
        tier = _tier(base.symbol, quote.symbol)
        depth = min(_DEPTH[base.symbol], _DEPTH[quote.symbol])
        ratio = price_ratio(base, quote, prices)
        cpmm = _cpmm_pool(base, quote, _deviated(ratio, dice), tier, depth)
        yield MarketPool(cpmm.address, raydium_cpmm.PROGRAM_ID, base, quote, depth), cpmm.accounts
        # Concentrated liquidity needs less of it for the same depth around the price.
        dlmm = _dlmm_pool(base, quote, _deviated(ratio, dice), tier, depth // 3)
        yield MarketPool(dlmm.address, meteora_dlmm_layout.PROGRAM_ID, base, quote, depth // 3), dlmm.accounts


def _cpmm_pool(base: MarketToken, quote: MarketToken, ratio: Fraction, tier: _Tier, depth: int) -> GenesisPool:
    of_base = base.base_units(depth)
    return raydium_cpmm_pool.genesis_pool(
        raydium_cpmm_pool.CpmmPoolSpec(
            mints=(base.mint, quote.mint),
            reserves=(of_base, int(of_base * ratio)),
            config_index=tier.config_index,
            trade_fee_rate=tier.trade_fee_rate,
        )
    )


def _dlmm_pool(base: MarketToken, quote: MarketToken, ratio: Fraction, tier: _Tier, depth: int) -> GenesisPool:
    active = active_bin(ratio, tier.bin_step)
    of_base, of_quote = base.base_units(depth), quote.base_units(depth)
    # The further from the price, the less: the bin at distance d has (bins - d) parts.
    parts = sum(range(1, tier.bins + 1))
    liquidity = {active: (of_base * tier.bins // parts, of_quote * tier.bins // parts)}
    for distance in range(1, tier.bins):
        share = tier.bins - distance
        liquidity[active + distance] = (of_base * share // parts, 0)
        liquidity[active - distance] = (0, of_quote * share // parts)
    return meteora_dlmm_pool.genesis_pool(
        meteora_dlmm_pool.DlmmPoolSpec(
            mint_x=base.mint,
            mint_y=quote.mint,
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


def _tier(base: str, quote: str) -> _Tier:
    if {base, quote} == _STABLE:
        return _STABLE_TIER
    if base == "SOL":
        return _MAJOR_TIER
    return _THIN_TIER if base in ("LEVY", "BONK") else _VOLATILE_TIER


def _deviated(ratio: Fraction, dice: Random) -> Fraction:
    return ratio * Fraction(_MILLION + dice.randint(-_DEVIATION_PPM, _DEVIATION_PPM), _MILLION)


def _circulating(token: MarketToken, accounts: Mapping[Pubkey, Account]) -> int:
    """What the pools hold of it."""
    if token.mint.address == NATIVE_MINT:
        return 0  # wrapped SOL's supply is not counted
    holdings: Iterator[TokenAccount | None] = (token_account(account) for account in accounts.values())
    return sum(held.amount for held in holdings if held is not None and held.mint == token.mint.address)
