"""What a pool pays for each unit falls as more is sold, but for as much rounding as the pool itself says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from bench.pools import CLOCK, MINT_IN
from chalicelib.problems import AccountsMissing, AmountTooSmall, InsufficientLiquidity
from chalicelib.routing.quote import PoolAsRead
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.rounding import rounding_between
from chalicelib.venues.venue import Pool
from tests.unit.pools_of_all_venues import MAKERS, amounts, pool_named
from tests.unit.routing_pools import CLOCK as ROUTING_CLOCK
from tests.unit.routing_pools import JUP, USDC, around, cpmm, damm_v2, dlmm, taxed


def paid(pool: Pool, mint: Pubkey, amount: int, clock: ChainClock) -> int | None:
    """None where the pool can't take so much."""
    try:
        return pool.quote(mint, amount, clock).amount_out
    except AmountTooSmall:
        return 0
    except InsufficientLiquidity:
        return None


def check_falls(pool: Pool, mint: Pubkey, two: tuple[int, int], clock: ChainClock) -> None:
    less, more = sorted(two)
    rounding, for_more = pool.rounding(mint, more, clock), paid(pool, mint, more, clock)
    if rounding is None or for_more is None:
        return
    for_less = paid(pool, mint, less, clock)
    assert for_less is not None, "who takes more takes less"
    assert for_less >= less * for_more // more - rounding


@pytest.mark.parametrize("name", sorted(MAKERS))
@settings(max_examples=60)
@given(two=st.tuples(amounts(), amounts()))
def test_a_smaller_amount_is_paid_its_part_of_a_larger_one_less_rounding(name: str, two: tuple[int, int]) -> None:
    check_falls(pool_named(name), MINT_IN.address, two, CLOCK)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"CLMM, dynamic fee", "DLMM, 33 bins", "DLMM, 142 bins"}))
def test_most_pools_tell_how_much_rounding_that_is(name: str) -> None:
    rounding = pool_named(name).rounding(MINT_IN.address, 1_000_000, CLOCK)
    assert rounding is not None
    assert 0 < rounding < 2_000


@settings(max_examples=200)
@given(
    st.integers(1, 40),
    st.integers(0, 30),
    st.integers(1, 50),
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.sampled_from([0, 1]),
    st.sampled_from([JUP, USDC]),
)
def test_nor_do_bins_of_a_few_units_take_more_than_that(
    step: int, bins: int, each: int, two: tuple[int, int], fee_mode: int, sold: object
) -> None:
    pool = dlmm((JUP, USDC), around(3, bins, each, each), 3, step, collect_fee_mode=fee_mode)
    check_falls(pool, JUP.address if sold is JUP else USDC.address, two, ROUTING_CLOCK)


@settings(max_examples=60)
@given(st.tuples(amounts(), amounts()), st.sampled_from([300, 9_000]))
def test_a_transfer_fee_that_never_comes_to_its_maximum_changes_nothing(two: tuple[int, int], rate: int) -> None:
    mint = taxed(rate, maximum_fee=10**18)
    for sold in (mint, USDC):
        check_falls(cpmm((mint, USDC), (10**12, 10**11)), sold.address, two, ROUTING_CLOCK)


@pytest.mark.parametrize("sells_taxed", [True, False])
def test_of_a_transfer_fee_that_may_come_to_its_maximum_nothing_is_promised(sells_taxed: bool) -> None:
    mint = taxed(300, maximum_fee=5_000)
    sold = mint if sells_taxed else USDC
    for pool in (cpmm((mint, USDC), (10**12, 10**12)), damm_v2((mint, USDC), liquidity=10**13 << 64)):
        assert pool.rounding(sold.address, 10_000, ROUTING_CLOCK) is not None
        assert pool.rounding(sold.address, 10**9, ROUTING_CLOCK) is None


def test_nor_of_bins_whose_fee_falls_faster_than_their_price() -> None:
    """The price has just come from thirty bins further on: a swap back finds lower and lower fees on its way."""
    moved: Any = {
        "volatility_accumulator": 300_000,
        "volatility_reference": 0,
        "index_reference": -30,
        "last_update_timestamp": ROUTING_CLOCK.unix_timestamp,
    }
    pool = dlmm((JUP, USDC), around(0, 35, 10**9, 10**9), 0, 1, variable_fee_control=10_000_000, **moved)
    less, more = paid(pool, JUP.address, 10**9, ROUTING_CLOCK), paid(pool, JUP.address, 2 * 10**10, ROUTING_CLOCK)
    assert less is not None
    assert more is not None
    assert more > 20 * less, "each unit is paid more for where more is sold"
    assert pool.rounding(JUP.address, 2 * 10**10, ROUTING_CLOCK) is None


def test_a_pool_of_which_nothing_more_is_read_promises_nothing_beyond_what_was() -> None:
    far = dlmm((JUP, USDC), around(0, 200, 10**6, 10**6), 0)
    address = next(iter(far.quote(JUP.address, 10**8, ROUTING_CLOCK).remaining_accounts[-1:]))
    near = dlmm((JUP, USDC), around(0, 200, 10**6, 10**6), 0, without=frozenset({address}))
    with pytest.raises(AccountsMissing):
        near.rounding(JUP.address, 10**8, ROUTING_CLOCK)
    assert PoolAsRead(near).rounding(JUP.address, 10**8, ROUTING_CLOCK) is None
    assert PoolAsRead(near).rounding(JUP.address, 10**5, ROUTING_CLOCK) is not None


def test_each_rounding_is_of_a_unit_of_what_is_bought_and_of_one_of_what_is_sold() -> None:
    assert rounding_between((JUP, USDC), Fraction(3, 2), 10**6, CLOCK.epoch, 5) == 5 * (2 + 1)


def test_a_transfer_fee_of_nothing_never_comes_to_its_maximum() -> None:
    assert rounding_between((taxed(0, 0), USDC), Fraction(1), 10**6, CLOCK.epoch, 1) == 2


def test_a_transfer_fee_of_a_basis_point_comes_to_its_maximum_too() -> None:
    mints = taxed(1, 100), USDC
    assert rounding_between(mints, Fraction(1), 990_000, ROUTING_CLOCK.epoch, 1) == 2
    assert rounding_between(mints, Fraction(1), 990_001, ROUTING_CLOCK.epoch, 1) is None
