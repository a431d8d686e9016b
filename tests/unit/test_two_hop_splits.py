"""Routes over a third token of which each hop is split, and what one transaction carries of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.amounts import PPM, floor_of
from chalicelib.routing.quote import MAX_REMAINING_ACCOUNTS, MAX_SWAP_COMPUTE_UNITS, LegLimits, quote_pool
from chalicelib.routing.router import FEW_LEGS, Bridge, PairPools, Route, RouteLimits
from chalicelib.routing.swap_plan import TransactionRoom
from chalicelib.venues.venue import Pool
from tests.unit.model_market import CLOCK, ModelPool, address, best_route
from tests.unit.routing_pools import CLOCK as CHAIN_CLOCK
from tests.unit.routing_pools import JUP, SOL, USDC, cpmm

A, B, C = (address(number) for number in (1, 2, 3))
ROOMY = RouteLimits(max_legs=12, leg_cost=0, fits=lambda route: True)


def hop(mints: tuple[int, int], *reserves: int) -> list[ModelPool]:
    """Pools at par, of these depths."""
    pair = address(mints[0]), address(mints[1])
    return [
        ModelPool(address(1_000 * mints[0] + number), pair, (reserve, reserve))
        for number, reserve in enumerate(reserves)
    ]


def over(first: list[ModelPool], second: list[ModelPool], *direct: ModelPool) -> PairPools:
    return PairPools(A, B, direct, (Bridge(C, tuple(first), tuple(second)),), CLOCK)


def legs(route: Route) -> list[int]:
    return [len(hop.legs) for hop in route.hops]


def singles(pools: PairPools, amount: int) -> int:
    """What the best two pools in a row pay."""
    (bridge,) = pools.bridges
    between = max(pool.quote(A, amount, CLOCK).amount_out for pool in bridge.first)
    return max(pool.quote(C, between, CLOCK).amount_out for pool in bridge.second)


class TestEachHop:
    def test_is_split_over_its_own_pools(self) -> None:
        pools = over(hop((1, 3), 10**12, 10**12), hop((3, 2), 10**12, 10**12, 10**12))

        route = best_route(pools, 10**11, ROOMY)

        assert legs(route) == [2, 3]
        assert route.amount_in == 10**11
        for before, after in pairwise(route.hops):
            assert after.amount_in == before.amount_out
        assert route.amount_out > singles(pools, 10**11) * 108 // 100

    def test_gets_just_what_the_floors_of_the_one_before_guarantee(self) -> None:
        route = best_route(over(hop((1, 3), 10**12, 10**12), hop((3, 2), 10**12, 10**12)), 10**11, ROOMY)

        floors = route.floors(floor_of(route.amount_out, 10_000))

        first = len(route.hops[0].legs)
        assert list(floors[:first]) == [leg.quote.amount_out for leg in route.hops[0].legs]
        assert sum(leg.quote.amount_in for leg in route.hops[1].legs) == sum(floors[:first])
        assert sum(floors[first:]) >= floor_of(route.amount_out, 10_000)

    def test_has_shares_of_a_million_in_all(self) -> None:
        route = best_route(over(hop((1, 3), 10**12, 10**11), hop((3, 2), 10**12, 10**11)), 10**11, ROOMY)
        assert [sum(leg.share_ppm for leg in each.legs) for each in route.hops] == [PPM, PPM]

    def test_is_split_only_where_that_gains_more_than_a_leg_costs(self) -> None:
        deep, thin = 10**13, 10**12
        pools = over(hop((1, 3), deep, thin), hop((3, 2), deep, thin))
        free = best_route(pools, 10**10, ROOMY)
        assert legs(free) == [2, 2]
        gain = free.amount_out - singles(pools, 10**10)
        dear = best_route(pools, 10**10, replace(ROOMY, leg_cost=gain))
        assert legs(dear) == [1, 1]

    @pytest.mark.parametrize(("max_legs", "expected"), [(2, {(1, 1)}), (3, {(2, 1), (1, 2)}), (4, {(2, 2)})])
    def test_has_its_share_of_the_legs_that_there_may_be(self, max_legs: int, expected: set[tuple[int, int]]) -> None:
        pools = over(hop((1, 3), *[10**12] * 4), hop((3, 2), *[10**12] * 4))
        route = best_route(pools, 10**11, replace(ROOMY, max_legs=max_legs))
        assert tuple(legs(route)) in expected

    def test_has_more_of_many_legs_where_more_pools_are_worth_it(self) -> None:
        pools = over(hop((1, 3), *[10**12] * 2), hop((3, 2), *[10**12] * 10))
        assert legs(best_route(pools, 10**11, replace(ROOMY, max_legs=8))) == [1, 7]

    @given(
        st.lists(st.integers(10**10, 10**13), min_size=1, max_size=3),
        st.lists(st.integers(10**10, 10**13), min_size=1, max_size=3),
        st.integers(10**8, 10**11),
    )
    @settings(deadline=None, max_examples=25)
    def test_is_never_paid_less_than_without_a_split(self, first: list[int], second: list[int], amount: int) -> None:
        pools = over(hop((1, 3), *first), hop((3, 2), *second))
        # each leg may miss what rounding takes
        assert best_route(pools, amount, ROOMY).amount_out + sum(legs(best_route(pools, amount, ROOMY))) >= singles(
            pools, amount
        )


class TestWhatATransactionCarries:
    def test_is_not_exceeded_by_compute_units(self) -> None:
        each = MAX_SWAP_COMPUTE_UNITS // 4
        first, second = (
            [replace(pool, compute_units=each) for pool in hop(mints, *[10**12] * 4)] for mints in ((1, 3), (3, 2))
        )
        route = best_route(over(first, second), 10**11, ROOMY)
        assert sum(leg.quote.compute_units for leg in route.legs) <= MAX_SWAP_COMPUTE_UNITS
        assert len(route.legs) == 4

    @pytest.mark.parametrize("version", [0, 1])
    def test_of_real_pools_is_as_many_legs_as_fit_and_more_than_two(self, version: int) -> None:
        first: list[Pool] = [cpmm((JUP, SOL), (10**13, 10**13), number) for number in range(6)]
        second: list[Pool] = [cpmm((SOL, USDC), (10**13, 10**13), number) for number in range(6)]
        pools = PairPools(
            JUP.address, USDC.address, (), (Bridge(SOL.address, tuple(first), tuple(second)),), CHAIN_CLOCK
        )
        fits = TransactionRoom(version)  # type: ignore[arg-type]
        limits = RouteLimits(4 if version == 0 else 12, 0, fits, LegLimits(MAX_REMAINING_ACCOUNTS[version]))  # type: ignore[index]

        route = best_route(pools, 10**12, limits)

        assert fits(route)
        assert len(route.legs) > (1 if version == 0 else FEW_LEGS)
        assert len(route.hops) == 2

    def test_is_what_gains_most_for_the_room_where_many_legs_do_not_fit(self) -> None:
        depths = [10**12 + number * 10**10 for number in range(10)]
        pools = over(hop((1, 3), 10**14), hop((3, 2), *depths))
        seven = replace(ROOMY, fits=lambda route: len(route.legs) <= 7)

        route = best_route(pools, 10**12, seven)

        assert legs(route) == [1, 6]
        assert {leg.pool.address for leg in route.hops[1].legs} == {address(3_000 + number) for number in range(4, 10)}

    def test_of_one_hop_likewise(self) -> None:
        depths = [10**12 + number * 10**10 for number in range(12)]
        pools = PairPools(A, B, tuple(hop((1, 2), *depths)), (), CLOCK)
        route = best_route(pools, 10**12, replace(ROOMY, fits=lambda route: len(route.legs) <= 6))
        assert {leg.pool.address for leg in route.legs} == {address(1_000 + number) for number in range(6, 12)}
        assert all(leg.quote == quote_pool(leg.pool, A, leg.quote.amount_in, CLOCK) for leg in route.legs)
