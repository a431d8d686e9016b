"""Pools of one pair at all venues, from the accounts that their programs would leave: shallow and deep, of all fees."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from hypothesis import strategies as st

from bench.pools import (
    CLOCK,
    MINT_IN,
    MINT_OUT,
    MeasuredPool,
    bins,
    constant_product,
    dynamic_amm,
    over_vaults,
    owing_profit,
    ticks,
)
from chalicelib.routing.router import Bridge, PairPools
from chalicelib.solana.tokens import NATIVE_MINT, TOKEN_PROGRAM, Mint
from chalicelib.venues import supported
from chalicelib.venues.venue import Pool
from tests.unit.routing_pools import cpmm

SOL = Mint(NATIVE_MINT, TOKEN_PROGRAM, 9)
_VENUES = {venue.program_id: venue for venue in supported.VENUES}

MAKERS: dict[str, Callable[[], MeasuredPool]] = {
    "CPMM": constant_product,
    "CPMM, shallow": partial(constant_product, 40_000_000, 1),
    "DLMM, 33 bins": partial(bins, 33),
    "DLMM, 142 bins": partial(bins, 142, 12, 10_001),
    "CLMM, 8 ticks": partial(ticks, 8),
    "CLMM, dynamic fee": partial(ticks, 2, dynamic_fee=True),
    "DAMM v2, scheduled": partial(dynamic_amm, "scheduled"),
    "DAMM v2, compounding": partial(dynamic_amm, "compounding"),
    "DAMM v2, limited": partial(dynamic_amm, "limited"),
    "AMM v4": owing_profit,
    "DAMM v1, constant product": partial(over_vaults, stable=False),
    "DAMM v1, stable": partial(over_vaults, stable=True),
}


@lru_cache
def pool_named(name: str) -> Pool:
    """The pool of MAKERS, decoded."""
    made = MAKERS[name]()
    return _VENUES[made.program].decode(made.address, made.accounts)


def bridge(seed: int) -> Bridge:
    """A way over SOL, at a tenth of par each, and its price about par again."""
    first = cpmm((MINT_IN, SOL), (10**12, 10**11 + seed), config_index=3)
    second = cpmm((SOL, MINT_OUT), (10**11, 10**12), config_index=4)
    return Bridge(NATIVE_MINT, (first,), (second,))


@st.composite
def pair_pools(draw: st.DrawFn) -> PairPools:
    """Up to five pools of the pair, and a way over SOL or none."""
    names = draw(st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=5, unique=True))
    bridges = (bridge(draw(st.integers(0, 10**10))),) if draw(st.booleans()) else ()
    return PairPools(MINT_IN.address, MINT_OUT.address, tuple(map(pool_named, names)), bridges, CLOCK)


def amounts() -> st.SearchStrategy[int]:
    """From a thousandth of a token to more than most of the pools take."""
    return st.integers(0, 9).flatmap(lambda power: st.integers(10**power, 10 ** (power + 1))) | st.integers(1, 10**12)
