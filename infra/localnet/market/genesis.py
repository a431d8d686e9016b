"""The genesis market: seven tokens, each pair of them on several programs, and wallets that hold enough to trade them.

Prices differ between pools by what real ones differ: a few hundredths of a percent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from random import Random

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import NATIVE_MINT, TokenAccount
from infra.localnet.market.endowment import endowed
from infra.localnet.market.genesis_pools import MAKERS, Liquidity
from infra.localnet.market.genesis_pools import active_bin as active_bin  # for those who add pools of their own
from infra.localnet.market.tokens import TOKENS, MarketToken, market_mint
from infra.localnet.token_state import token_account

LAMPORTS_PER_SOL = 1_000_000_000

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
_SHARING = 2


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
    accounts: dict[Pubkey, Account] = {}
    pools = []
    for pool, pool_accounts in _pools(seed):
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


def _pools(seed: int) -> Iterator[tuple[MarketPool, dict[Pubkey, Account]]]:
    dice = _dice(seed)
    prices = {token.symbol: token.price for token in TOKENS}
    for pair in combinations(sorted(TOKENS, key=lambda token: _QUOTE_ORDER.index(token.symbol)), 2):
        base, quote = pair
        depth = min(_DEPTH[base.symbol], _DEPTH[quote.symbol])
        ratio = price_ratio(base, quote, prices)
        for maker, own_dice in zip(MAKERS, dice, strict=True):
            if not maker.trades(base, quote):
                continue
            part = depth // maker.depth_divisor
            made = maker.make(Liquidity(base, quote, _deviated(ratio, own_dice), part))
            program = made.accounts[made.address].owner
            yield MarketPool(made.address, program, base, quote, part), made.accounts


def _dice(seed: int) -> list[Random]:
    """Each maker's. The first two share theirs, each later one has its own: it changes nothing of the others' pools."""
    shared = Random(seed)  # noqa: S311 - not for secrets
    return [shared if number < _SHARING else Random(f"{seed}/{number}") for number in range(len(MAKERS))]  # noqa: S311


def _deviated(ratio: Fraction, dice: Random) -> Fraction:
    return ratio * Fraction(PPM + dice.randint(-_DEVIATION_PPM, _DEVIATION_PPM), PPM)


def _circulating(token: MarketToken, accounts: Mapping[Pubkey, Account]) -> int:
    """What the pools hold of it."""
    if token.mint.address == NATIVE_MINT:
        return 0  # wrapped SOL's supply is not counted
    holdings: Iterator[TokenAccount | None] = (token_account(account) for account in accounts.values())
    return sum(held.amount for held in holdings if held is not None and held.mint == token.mint.address)
