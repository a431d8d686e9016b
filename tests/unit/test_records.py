"""A quote is made without its constructor, which would notice a field too few or too many: each venue's is whole."""

from __future__ import annotations

import pytest

from bench.pools import (
    CLOCK,
    MINT_IN,
    MeasuredPool,
    bins,
    constant_product,
    dynamic_amm,
    over_vaults,
    owing_profit,
    ticks,
)
from chalicelib.venues import supported
from chalicelib.venues.venue import PoolQuote

POOLS = [
    constant_product(),
    bins(33),
    ticks(8),
    *(dynamic_amm(kind) for kind in ("scheduled", "compounding", "limited")),
    owing_profit(),
    over_vaults(stable=False),
    over_vaults(stable=True),
]


def test_each_venue_has_a_pool_here() -> None:
    assert {pool.program for pool in POOLS} == {venue.program_id for venue in supported.VENUES}


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.name)
def test_a_quote_has_each_of_its_fields_and_says_whose_it_is(pool: MeasuredPool) -> None:
    (venue,) = (venue for venue in supported.VENUES if venue.program_id == pool.program)
    decoded = venue.decode(pool.address, pool.accounts)
    quote = decoded.quote(MINT_IN.address, pool.amount_in, CLOCK)
    assert type(quote) is PoolQuote
    assert PoolQuote(**quote._asdict()) == tuple(quote)
    assert len(quote) == len(PoolQuote._fields)
    (mint_out,) = {side.mint for side in decoded.sides} - {MINT_IN.address}
    assert (quote.pool, quote.mint_in, quote.mint_out) == (pool.address, MINT_IN.address, mint_out)
    assert quote.amount_in == pool.amount_in
    assert quote.amount_out > 0
    assert 0 < quote.fee < pool.amount_in
    assert quote.fee_mint in (MINT_IN.address, mint_out)
    assert quote.compute_units > 20_000
    assert quote.not_guaranteed in (0, 1)
    assert not set(quote.remaining_accounts) & set(quote.spare_accounts)
