"""Routes over a third token of which each hop is split, and what one transaction carries of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.amounts import PPM, floor_of
from chalicelib.problems import InsufficientLiquidity
from chalicelib.routing.quote import MAX_REMAINING_ACCOUNTS, MAX_SWAP_COMPUTE_UNITS, LegLimits, quote_pool
from chalicelib.routing.router import FEW_LEGS, Bridge, PairPools, Route, RouteLimits
from chalicelib.routing.swap_plan import TransactionRoom
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool, PoolQuote
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


@dataclass(frozen=True)
class GrowingPool(ModelPool):
    """A pool of which a swap names an account more for each `step` that it sells."""

    step: int = 1

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        named = tuple(address(7_000 + number) for number in range(self.remaining + amount_in // self.step))
        return super().quote(mint_in, amount_in, clock)._replace(remaining_accounts=named)


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

    @pytest.mark.parametrize(
        ("first", "second", "expected"), [(2, 10, [1, 7]), (12, 3, [5, 3]), (5, 12, [3, 5]), (12, 12, [4, 4])]
    )
    def test_has_more_of_many_legs_where_more_pools_are_worth_it(
        self, first: int, second: int, expected: list[int]
    ) -> None:
        """Of 8 legs a hop gets the part that it has of those that both would have, which are no more than 7 each."""
        pools = over(hop((1, 3), *[10**12] * first), hop((3, 2), *[10**12] * second))
        assert legs(best_route(pools, 10**11, replace(ROOMY, max_legs=8))) == expected

    @pytest.mark.parametrize(("first", "second", "expected"), [(10**11, 10**13, [3, 1]), (10**13, 10**11, [1, 3])])
    def test_has_as_many_of_few_legs_as_pays_most(self, first: int, second: int, expected: list[int]) -> None:
        pools = over(hop((1, 3), *[first] * 4), hop((3, 2), *[second] * 4))
        assert legs(best_route(pools, 10**11, replace(ROOMY, max_legs=4))) == expected

    def test_is_taken_by_as_many_pools_as_it_takes_together(self) -> None:
        """A pool of the model takes ten times what it holds: a fifth."""
        fifths = [2 * 10**7] * 6
        route = best_route(over(hop((1, 3), 10**15), hop((3, 2), *fifths)), 10**9, ROOMY)
        assert legs(route) == [1, 6]
        assert route.amount_in == 10**9

    @pytest.mark.parametrize("amount", [10**9, 10**8])
    def test_that_cannot_take_it_all_is_no_way(self, amount: int) -> None:
        with pytest.raises(InsufficientLiquidity):
            best_route(over(hop((1, 3), 10**12), hop((3, 2), 10**6)), amount, ROOMY)

    def test_that_needs_more_legs_than_the_other_leaves_is_no_way(self) -> None:
        thirds = [4 * 10**7] * 3
        ways = over(hop((1, 3), *thirds), [replace(pool, reserves=(4 * 10**6, 10**6)) for pool in hop((3, 2), *thirds)])
        assert legs(best_route(ways, 10**9, replace(ROOMY, max_legs=6))) == [3, 3]
        with pytest.raises(InsufficientLiquidity):
            best_route(ways, 10**9, replace(ROOMY, max_legs=4))

    def test_may_be_of_a_single_unit(self) -> None:
        dear, cheap = (
            [replace(pool, reserves=reserves) for pool in hop(mints, 10**9)]
            for mints, reserves in (((1, 3), (10**9, 10**12)), ((3, 2), (5 * 10**11, 10**9)))
        )
        route = best_route(over(dear, cheap), 1, ROOMY)
        assert [(each.amount_in, each.amount_out) for each in route.hops] == [(1, 999), (999, 1)]

    @pytest.mark.parametrize(("first", "second"), [([], [10**12]), ([10**12], [])])
    def test_without_pools_is_no_way_and_no_hindrance(self, first: list[int], second: list[int]) -> None:
        (direct,) = hop((1, 2), 10**12)
        unread = [replace(pool, near=0, missing=(address(9),)) for pool in hop((3, 2), *second)]
        route = best_route(over(hop((1, 3), *first), unread, direct), 10**9, ROOMY)
        assert [leg.pool.address for leg in route.legs] == [direct.address]

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

    @pytest.mark.parametrize("room", [6, 11])
    def test_of_one_hop_likewise(self, room: int) -> None:
        depths = [10**12 + number * 10**10 for number in range(12)]
        pools = PairPools(A, B, tuple(hop((1, 2), *depths)), (), CLOCK)
        route = best_route(pools, 10**12, replace(ROOMY, fits=lambda route: len(route.legs) <= room))
        assert {leg.pool.address for leg in route.legs} == {address(1_012 - number) for number in range(1, room + 1)}
        assert all(leg.quote == quote_pool(leg.pool, A, leg.quote.amount_in, CLOCK) for leg in route.legs)

    @pytest.mark.parametrize("units", [1, 1_000])
    def test_of_two_hops_is_the_same_in_whatever_units_the_token_between_is(self, units: int) -> None:
        first = [replace(pool, reserves=(10**12, 10**12 * units)) for pool in hop((1, 3), *[10**12] * 4)]
        second = [replace(pool, reserves=(7 * 10**11 * units, 7 * 10**11)) for pool in hop((3, 2), *[10**12] * 3)]
        route = best_route(over(first, second), 10**11, replace(ROOMY, fits=lambda route: len(route.legs) <= 5))
        assert legs(route) == [2, 3]

    def test_goes_to_those_that_gain_most_and_not_to_those_that_pay_most(self) -> None:
        deep = hop((1, 2), *[10**13 + number * 10**9 for number in range(3)])
        dear = [ModelPool(address(number), (A, B), (10**11, 12 * 10**10 + number * 10**9)) for number in range(10, 14)]

        def kept(pools: Iterable[ModelPool], most: int) -> Route:
            limits = replace(ROOMY, fits=lambda route: len(route.legs) <= most)
            return best_route(PairPools(A, B, tuple(pools), (), CLOCK), 15 * 10**10, limits)

        route = kept([*deep, *dear], 5)

        best = max(combinations([*deep, *dear], 5), key=lambda five: kept(five, 5).amount_out)
        assert {leg.pool.address for leg in route.legs} == {pool.address for pool in best}
        assert set(dear) < set(best)

    @pytest.mark.parametrize("ways", ["direct", "first hop", "second hop"])
    def test_goes_to_smaller_legs_where_the_next_has_no_room(self, ways: str) -> None:
        """Five accounts: three for the deepest three pools, none for the fourth, that names three alone."""
        mints = {"direct": (1, 2), "first hop": (1, 3), "second hop": (3, 2)}[ways]
        pools = [
            replace(pool, remaining=3 if number == 3 else 1)
            for number, pool in enumerate(hop(mints, *[10**12 - number * 10**10 for number in range(7)]))
        ]
        pair_pools = {
            "direct": PairPools(A, B, tuple(pools), (), CLOCK),
            "first hop": over(pools, hop((3, 2), 10**13)),
            "second hop": over(hop((1, 3), 10**13), pools),
        }[ways]
        five = replace(ROOMY, fits=lambda route: sum(len(leg.quote.remaining_accounts) for leg in route.legs) <= 5)
        route = best_route(pair_pools, 10**12, five)
        used = {leg.pool.address for leg in route.legs}
        assert used & {pool.address for pool in pools} == {pools[number].address for number in (0, 1, 2, 4, 5)}

    def test_cuts_a_leg_that_takes_over_what_was_left_out_just_as_far_as_it_must(self) -> None:
        """Of fourteen accounts the others of the four pools that are left name six, which leaves eight."""
        sizes = ((95 * 10**7, 1), (95 * 10**7, 4), (95 * 10**7, 8), (85 * 10**7, 8), (9 * 10**8, 1))
        grows = GrowingPool(address(100), (A, B), (10**9, 10**9), remaining=1, step=3 * 10**7)
        others = [
            ModelPool(address(number), (A, B), (reserve, reserve), remaining=remaining)
            for number, (reserve, remaining) in enumerate(sizes, 101)
        ]
        fourteen = replace(ROOMY, fits=lambda route: sum(len(leg.quote.remaining_accounts) for leg in route.legs) <= 14)
        route = best_route(PairPools(A, B, (grows, *others), (), CLOCK), 10**9, fourteen)
        named = {leg.pool.address: len(leg.quote.remaining_accounts) for leg in route.legs}
        assert named == {address(100): 8, address(101): 1, address(102): 4, address(105): 1}

    def test_leaves_out_pools_that_have_no_say_in_what_a_leg_costs_any_more(self) -> None:
        """The deep pool would take all at par, so that a leg of the first hop seemed to cost less."""
        first = hop((1, 3), 10**10, 5 * 10**8)
        deep = ModelPool(address(9), (C, B), (10**13, 10**13), remaining=9)
        dear = [
            ModelPool(address(number), (C, B), (10**9, 2 * 10**9 - number * 10**7), remaining=1) for number in range(3)
        ]
        six = replace(
            ROOMY,
            leg_cost=10**7,
            fits=lambda route: sum(len(leg.quote.remaining_accounts) for leg in route.legs) <= 6,
        )
        for second in ([deep, *dear], dear):
            route = best_route(over(first, second), 2 * 10**9, six)
            assert [leg.pool.address for leg in route.legs] == [pool.address for pool in (first[0], *dear)]

    def test_may_be_legs_of_a_unit_each(self) -> None:
        pools = [replace(pool, reserves=(1, 100 + 2 * number)) for number, pool in enumerate(hop((1, 2), *[1] * 6))]
        three = replace(ROOMY, fits=lambda route: len(route.legs) <= 3)
        route = best_route(PairPools(A, B, tuple(pools), (), CLOCK), 6, three)
        assert {leg.pool.address for leg in route.legs} == {pool.address for pool in pools[3:]}
