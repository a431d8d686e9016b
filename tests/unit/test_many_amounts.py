"""Many amounts from one read: each as its own route says, and the bounds between them are never wrong."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.pools import CLOCK, MINT_IN, MINT_OUT
from chalicelib.problems import ExecutionError
from chalicelib.routing.many_amounts import ManyAmounts
from chalicelib.routing.router import PairPools, RouteLimits, best_routes
from chalicelib.routing.swap_plan import fits_a_transaction
from tests.unit.pools_of_all_venues import amounts, bridge, pair_pools, pool_named
from tests.unit.routing_pools import CLOCK as ROUTING_CLOCK
from tests.unit.routing_pools import USDC, cpmm, taxed

LIMITS = RouteLimits(12, leg_cost=7, fits=partial(fits_a_transaction, version=1))


def by_its_own_route(pools: PairPools, amount: int, limits: RouteLimits = LIMITS) -> int | None:
    try:
        return best_routes(pools, amount, limits)[0].amount_out
    except ExecutionError:
        return None


@settings(max_examples=25)
@given(pair_pools(), st.lists(amounts(), min_size=1, max_size=5), st.sampled_from([1, 12]))
def test_what_is_passed_over_by_a_bound_is_as_the_route_of_its_own_amount_says(
    pools: PairPools, asked: list[int], max_legs: int
) -> None:
    limits = RouteLimits(max_legs, LIMITS.leg_cost, LIMITS.fits)
    many = ManyAmounts(pools, lambda amount: limits, max(asked))
    paid = {amount: by_its_own_route(pools, amount, limits) for amount in asked}
    for amount in asked:
        # whatever was found before, in whatever order, bounds hold
        for other in asked:
            truly = paid[other]
            if truly is not None:
                assert many.at_least(other) <= truly
                assert many.may_pay(other, truly), "the route pays what it pays"
        assert many.paid(amount) == paid[amount]


@settings(max_examples=10)
@given(pair_pools(), st.integers(1, 10**9))
def test_orders_of_a_million_times_anothers_size_bound_each_other_rightly(pools: PairPools, small: int) -> None:
    asked = [small, small * 1_000, small * 10**6]
    many = ManyAmounts(pools, lambda amount: LIMITS, asked[-1])
    for amount in asked:
        truly = by_its_own_route(pools, amount)
        assert truly is None or (many.at_least(amount) <= truly and many.may_pay(amount, truly))
        assert many.paid(amount) == truly


def test_the_bound_between_amounts_of_a_deep_pool_is_worth_having() -> None:
    pools = PairPools(MINT_IN.address, MINT_OUT.address, (pool_named("CPMM"), pool_named("AMM v4")), (), CLOCK)
    many = ManyAmounts(pools, lambda amount: LIMITS, 10**9)
    paid = many.paid(1_000_000)
    assert paid is not None
    assert not many.may_pay(100_000_000, paid * 101), "a hundred times as much is not paid one per cent more a unit"
    truly = by_its_own_route(pools, 100_000_000)
    assert truly is not None
    assert many.may_pay(100_000_000, truly)
    assert not many.may_pay(100_000_000, truly + truly // 10_000), "it is as good as a division of that very amount"
    assert many.routes_found == 1


def test_what_is_paid_over_a_third_token_is_bounded_by_what_all_pools_of_each_hop_pay() -> None:
    pools = PairPools(MINT_IN.address, MINT_OUT.address, (), (bridge(0),), CLOCK)
    many = ManyAmounts(pools, lambda amount: LIMITS, 10**9)
    for amount in (10**9, 10**5, 3 * 10**8):
        truly = by_its_own_route(pools, amount)
        assert truly is not None
        assert many.may_pay(amount, truly)
        assert not many.may_pay(amount, truly + max(400, truly // 1_000))
    assert many.at_least(10**9) == 0, "only its route tells"
    assert many.routes_found == 0


@pytest.mark.parametrize("amount", [10, 10**6, 10**9])
def test_where_a_larger_amount_may_be_paid_more_a_unit_only_its_route_tells(amount: int) -> None:
    mint = taxed(5_000, maximum_fee=5_000)
    pools = PairPools(mint.address, USDC.address, (cpmm((mint, USDC), (10**13, 10**13)),), (), ROUTING_CLOCK)
    many = ManyAmounts(pools, lambda amount: LIMITS, 10**9)
    many.paid(10)
    truly = by_its_own_route(pools, amount)
    assert truly is not None
    assert many.may_pay(amount, truly)
    assert many.may_pay(amount, 2 * truly), "nothing is certain"
