"""What the best route pays beyond the best single pool, over every pair of the genesis market."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.orders.trading import LEG_COMPUTE_UNITS
from chalicelib.routing.market import Market
from chalicelib.solana.accounts import CLOCK_SYSVAR, SYSVAR_OWNER, Account, AccountsRead
from chalicelib.solana.compute_budget import ComputeBudget, PriorityFeePolicy
from chalicelib.venues import supported
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from infra.localnet.market.genesis import GenesisMarket, genesis_market
from infra.localnet.market.tokens import TOKENS, MarketToken

# Dollars that an order is worth.
SIZES = (1_000, 5_000, 20_000, 50_000, 100_000, 250_000)
_SLOT, _NOW = 1_000, 1_760_000_000
_CLOCK = Struct("<QqQQq")
_BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Gain:
    """One order: in how many legs and hops it goes, and what that pays more than the best pool alone, in basis points.

    `basis_points` is None where no pool of the pair takes so much.
    """

    sold: str
    bought: str
    dollars: int
    legs: int
    hops: int
    basis_points: float | None


class _StillChain:
    """The genesis market's accounts, as they are before anybody trades."""

    def __init__(self, accounts: Mapping[Pubkey, Account]) -> None:
        clock = Account(SYSVAR_OWNER, 1, _CLOCK.pack(_SLOT, 0, 1, 0, _NOW))
        self._accounts = {**accounts, CLOCK_SYSVAR: clock}

    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        return AccountsRead(_SLOT, {address: self._accounts.get(address) for address in addresses}, _SLOT)


def gains(seed: int = 0) -> list[Gain]:
    """Every pair both ways at every size, as the worker would route it."""
    made = genesis_market(seed)
    market = _market(made)
    leg_lamports = ComputeBudget(LEG_COMPUTE_UNITS, PriorityFeePolicy().floor).priority_fee_lamports
    return [
        _gain(market, sold, bought, dollars, leg_lamports)
        for sold, bought in permutations(TOKENS, 2)
        for dollars in SIZES
    ]


def _market(made: GenesisMarket) -> Market:
    chain = _StillChain(made.accounts)
    entries = [PoolEntry(str(pool.address), str(pool.program)) for pool in made.pools]
    registry = PoolRegistry(
        lambda: entries, lambda wanted: chain.get_multiple_accounts(wanted).accounts, supported.VENUES, lambda: 0
    )
    return Market(chain, registry, lambda: _NOW * 1000)


def _gain(market: Market, sold: MarketToken, bought: MarketToken, dollars: int, leg_lamports: int) -> Gain:
    amount = sold.base_units(dollars)
    priced = market.price(sold.mint.address, bought.mint.address, amount, leg_lamports)
    best = max((offer.quote.amount_out for offer in priced.offers if offer.quote is not None), default=None)
    route = priced.route
    more = None if best is None else (route.amount_out - best) * _BASIS_POINTS / best
    return Gain(sold.symbol, bought.symbol, dollars, len(route.legs), len(route.hops), more)
