"""On the genesis market every pool that a route uses has others, of both venues, that vouch for it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import permutations
from struct import Struct

import pytest
from solders.pubkey import Pubkey

from chalicelib.risk.reference_price import pool_deviations
from chalicelib.routing.market import Market
from chalicelib.solana.accounts import CLOCK_SYSVAR, SYSVAR_OWNER, Account, AccountsRead
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from chalicelib.venues.supported import VENUES
from infra.localnet.market.genesis import GenesisMarket, genesis_market
from infra.localnet.market.tokens import TOKENS, MarketToken

_CLOCK = Struct("<QqQQq")
PAIRS = list(permutations(TOKENS, 2))


class Genesis:
    """The genesis accounts and the clock, always of one slot."""

    def __init__(self, market: GenesisMarket) -> None:
        clock = Account(owner=SYSVAR_OWNER, lamports=1, data=_CLOCK.pack(1_000, 0, 5, 0, 1_760_000_000))
        self._accounts = {**market.accounts, CLOCK_SYSVAR: clock}

    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        return AccountsRead(1, {address: self._accounts.get(address) for address in addresses})


@pytest.fixture(scope="module")
def market() -> Market:
    made = genesis_market(seed=0)
    source = Genesis(made)
    entries = [PoolEntry(str(pool.address), str(pool.program)) for pool in made.pools]
    registry = PoolRegistry(
        lambda: entries, lambda keys: source.get_multiple_accounts(keys).accounts, VENUES, lambda: 0
    )
    return Market(source, registry, lambda: 0)


@pytest.mark.parametrize("dollars", [1, 20_000])
@pytest.mark.parametrize(("sold", "bought"), PAIRS, ids=lambda token: token.symbol)
def test_every_pool_of_every_route_has_a_reference_and_is_close_to_it(
    market: Market, sold: MarketToken, bought: MarketToken, dollars: int
) -> None:
    priced = market.price(sold.mint.address, bought.mint.address, sold.base_units(dollars), leg_lamports=5_000)
    deviations = pool_deviations(priced.route, priced.pools)
    assert set(deviations) == {leg.pool.address for leg in priced.route.legs}
    for deviation in deviations.values():
        assert deviation is not None
        assert deviation <= Fraction(5, 1_000)
