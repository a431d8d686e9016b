"""Routes over made-up pools of both venues: which are taken, what each leg guarantees, what a transaction can carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey

from chalicelib.amounts import PPM, floor_of
from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    NoPool,
    VenueUnavailable,
)
from chalicelib.routing.quote import (
    MAX_REMAINING_ACCOUNTS,
    MAX_SWAP_COMPUTE_UNITS,
    LegLimits,
    PoolAsRead,
    ask_pools,
    quote_pool,
)
from chalicelib.routing.router import Bridge, Hop, PairPools, Route, RouteLeg, RouteLimits
from chalicelib.routing.swap_plan import Trade, TransactionRoom, plan_swap
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS, ComputeBudget
from chalicelib.solana.tokens import Mint
from chalicelib.solana.transaction import MAX_TRANSACTION_BYTES, OrderMemo, unsigned_wire
from chalicelib.venues.meteora_dlmm.layout import bin_array_address
from chalicelib.venues.venue import Pool
from tests.unit.model_market import best_route
from tests.unit.routing_pools import CLOCK, JUP, RAY, SOL, USDC, around, cpmm, dlmm, taxed

LEVY = taxed(50, 10**12)
LIMITS = RouteLimits(
    max_legs=4,
    leg_cost=0,
    fits=TransactionRoom(0),
    leg=LegLimits(MAX_REMAINING_ACCOUNTS[0]),
)
DEEP = (10**15, 10**15)


def pair(sold: Mint, bought: Mint, *direct: Pool, bridges: Sequence[Bridge] = ()) -> PairPools:
    return PairPools(sold.address, bought.address, direct, tuple(bridges), CLOCK)


def over(mint: Mint, first: Sequence[Pool], second: Sequence[Pool]) -> Bridge:
    return Bridge(mint.address, tuple(first), tuple(second))


def addresses(route: Route) -> list[Pubkey]:
    return [leg.pool.address for leg in route.legs]


def best_single(pools: PairPools, amount: int) -> int:
    offers = ask_pools(pools.direct, pools.mint_in, amount, CLOCK)
    return max((offer.quote.amount_out for offer in offers if offer.quote), default=0)


def scattered(sold: Mint, bought: Mint, arrays: int, each: int = 10**9, extension: bool = False) -> Pool:
    """A DLMM pool with one bin of liquidity in each of so many bin arrays: swaps cross many arrays and few bins."""
    liquidity = {70 * array + 35: (each, 0) for array in range(arrays)}
    return dlmm((bought, sold), liquidity, 35, bin_step=1, with_bitmap_extension=extension)


class TestSplitting:
    def test_an_order_that_one_pool_serves_badly_goes_over_two(self) -> None:
        shallow, deeper = cpmm((SOL, USDC), (10**12, 10**12)), cpmm((SOL, USDC), (2 * 10**12, 2 * 10**12), 1)
        pools = pair(SOL, USDC, shallow, deeper)

        route = best_route(pools, 3 * 10**11, LIMITS)

        by_pool = {leg.pool.address: leg.quote for leg in route.legs}
        assert route.amount_in == 3 * 10**11
        assert by_pool.keys() == {shallow.address, deeper.address}
        assert abs(by_pool[deeper.address].amount_in - 2 * by_pool[shallow.address].amount_in) < 10**8
        assert route.amount_out > best_single(pools, 3 * 10**11) * 104 // 100

    def test_both_venues_take_part(self) -> None:
        pools = pair(
            JUP, USDC, cpmm((JUP, USDC), (10**12, 10**12)), dlmm((JUP, USDC), around(0, 30, 10**9, 10**9), bin_step=10)
        )
        route = best_route(pools, 5 * 10**10, LIMITS)
        assert {leg.pool.dex for leg in route.legs} == {"raydium", "meteora"}

    def test_each_leg_is_quoted_at_just_its_part(self) -> None:
        pools = [cpmm((SOL, USDC), (10**12, 10**12), number) for number in range(2)]
        for leg in best_route(pair(SOL, USDC, *pools), 10**11 + 1, LIMITS).legs:
            assert leg.quote == quote_pool(leg.pool, SOL.address, leg.quote.amount_in, CLOCK)

    @pytest.mark.parametrize("amount", [10**8, 10**9, 3 * 10**11])
    def test_a_leg_that_gains_just_what_it_costs_is_left_out(self, amount: int) -> None:
        pools = pair(SOL, USDC, *(cpmm((SOL, USDC), (10**12, 10**12), number) for number in range(2)))
        gain = best_route(pools, amount, LIMITS).amount_out - best_single(pools, amount)

        split = best_route(pools, amount, replace(LIMITS, leg_cost=gain - 1))
        single = best_route(pools, amount, replace(LIMITS, leg_cost=gain))

        assert (len(split.legs), len(single.legs)) == (2, 1)
        assert single.amount_out == best_single(pools, amount)

    def test_a_pool_that_cannot_take_it_all_is_used_as_far_as_it_can(self) -> None:
        better = dlmm((JUP, USDC), {0: (0, 10**9), -1: (0, 10**9)})
        pools = pair(JUP, USDC, better, cpmm((JUP, USDC), (10**12, 10**12 // 2)))

        route = best_route(pools, 10**11, LIMITS)

        taken = {leg.pool.dex: leg.quote for leg in route.legs}
        assert taken["meteora"].amount_out == 2 * 10**9
        assert taken["raydium"].amount_in == 10**11 - taken["meteora"].amount_in

    def test_an_order_that_only_all_pools_together_can_take_is_served(self) -> None:
        pools = [dlmm((JUP, USDC), {0: (0, 10**9)}, base_factor=10_000 + number) for number in range(3)]
        route = best_route(pair(JUP, USDC, *pools), 25 * 10**8, LIMITS)
        assert len(route.legs) == 3
        with pytest.raises(InsufficientLiquidity):
            best_route(pair(JUP, USDC, *pools), 35 * 10**8, LIMITS)


class TestHoppingOverAThirdToken:
    first = cpmm((JUP, SOL), DEEP)
    second = cpmm((SOL, USDC), DEEP)

    def test_serves_a_pair_without_a_pool(self) -> None:
        route = best_route(pair(JUP, USDC, bridges=[over(SOL, [self.first], [self.second])]), 10**9, LIMITS)
        first, second = (leg.quote for leg in route.legs)
        assert addresses(route) == [self.first.address, self.second.address]
        assert second.amount_in == first.amount_out
        assert route.amount_out == quote_pool(self.second, SOL.address, first.amount_out, CLOCK).amount_out

    @pytest.mark.parametrize(("reserve", "legs"), [(9 * 10**14, 2), (11 * 10**14, 1)])
    def test_serves_a_pair_whose_own_pool_pays_less(self, reserve: int, legs: int) -> None:
        direct = cpmm((JUP, USDC), (10**15, reserve))
        bridge = over(SOL, [self.first], [self.second])
        assert len(best_route(pair(JUP, USDC, direct, bridges=[bridge]), 10**9, LIMITS).legs) == legs

    def test_has_to_pay_for_its_second_leg(self) -> None:
        pools = pair(JUP, USDC, cpmm((JUP, USDC), (10**15, 99 * 10**13)), bridges=[])
        hopping = replace(pools, bridges=(over(SOL, [self.first], [self.second]),))
        gain = best_route(hopping, 10**9, LIMITS).amount_out - best_single(pools, 10**9)
        assert gain > 0
        for leg_cost, legs in ((gain - 1, 2), (gain, 1)):
            assert len(best_route(hopping, 10**9, replace(LIMITS, leg_cost=leg_cost)).legs) == legs

    def test_takes_the_third_token_that_pays_most(self) -> None:
        poor, rich = (
            over(token, [cpmm((JUP, token), DEEP)], [cpmm((token, USDC), (10**15, reserve))])
            for token, reserve in ((SOL, 10**15), (RAY, 11 * 10**14))
        )
        for bridges in ([poor, rich], [rich, poor]):
            route = best_route(pair(JUP, USDC, bridges=bridges), 10**9, LIMITS)
            assert route.legs[0].quote.mint_out == RAY.address

    @given(st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), min_size=4, max_size=6), st.integers(1, 10**7))
    @settings(deadline=None, max_examples=30)
    def test_takes_the_pair_of_pools_that_pays_most(self, reserves: list[tuple[int, int]], amount: int) -> None:
        made = [(x * 10**5, y * 10**5) for x, y in reserves]
        first = [cpmm((JUP, SOL), both, number) for number, both in enumerate(made[:2])]
        second = [cpmm((SOL, USDC), both, number) for number, both in enumerate(made[2:])]
        outputs = [
            onward.quote.amount_out
            for offer in ask_pools(first, JUP.address, amount, CLOCK)
            if offer.quote
            for onward in ask_pools(second, SOL.address, offer.quote.amount_out, CLOCK)
            if onward.quote
        ]
        pools = pair(JUP, USDC, bridges=[over(SOL, first, second)])
        if outputs:
            assert best_route(pools, amount, LIMITS).amount_out == max(outputs)
        else:
            with pytest.raises(ExecutionError):
                best_route(pools, amount, LIMITS)

    def test_is_not_done_where_one_leg_is_all_there_may_be(self) -> None:
        pools = pair(JUP, USDC, bridges=[over(SOL, [self.first], [self.second])])
        with pytest.raises(InsufficientLiquidity, match="one transaction"):
            best_route(pools, 10**9, replace(LIMITS, max_legs=1))


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Splits over up to four pools, or two hops, of any size."""
    amount = draw(st.integers(10**4, 10**12))
    made = [
        (reserve, reserve * off // 100)
        for reserve, off in draw(
            st.lists(st.tuples(st.integers(10**6, 10**13), st.integers(95, 105)), min_size=2, max_size=4)
        )
    ]
    if draw(st.booleans()):
        bridge = over(SOL, [cpmm((JUP, SOL), made[0])], [cpmm((SOL, USDC), made[1])])
        return best_route(pair(JUP, USDC, bridges=[bridge]), amount, LIMITS)
    pools = [cpmm((JUP, USDC), both, number) for number, both in enumerate(made)]
    return best_route(pair(JUP, USDC, *pools), amount, replace(LIMITS, fits=lambda route: True))


class TestFloors:
    @given(routes(), st.integers(0, 500_000))
    @settings(deadline=None)
    def test_of_the_last_hop_guarantee_the_orders_minimum_between_them(self, route: Route, slippage_ppm: int) -> None:
        min_out = floor_of(route.amount_out, slippage_ppm)
        last = route.floors(min_out)[-len(route.hops[-1].legs) :]
        assert sum(last) >= min_out
        assert all(1 <= floor <= leg.quote.amount_out for floor, leg in zip(last, route.hops[-1].legs, strict=True))

    @given(routes(), st.integers(0, 500_000))
    @settings(deadline=None)
    def test_of_the_first_hop_are_what_it_quoted_since_the_second_spends_just_that(
        self, route: Route, slippage_ppm: int
    ) -> None:
        floors = route.floors(floor_of(route.amount_out, slippage_ppm))
        before_last = [leg.quote.amount_out for hop in route.hops[:-1] for leg in hop.legs]
        assert list(floors[: len(before_last)]) == before_last
        for hop, following in pairwise(route.hops):
            assert following.amount_in == hop.amount_out

    @given(routes())
    @settings(deadline=None)
    def test_go_into_the_instructions_one_each(self, route: Route) -> None:
        min_out = floor_of(route.amount_out, 10_000)
        plan = plan_swap(route, Trade(Pubkey(bytes([5] * 32)), OrderMemo("order", 1), 0, ""), min_out)
        # both programs' arguments end in amount_in and the minimum output, before what DLMM adds
        written = [int.from_bytes(bytes(swap.data)[16:24], "little") for swap in plan.swaps]
        assert tuple(written) == route.floors(min_out)


class TestShares:
    @given(routes())
    @settings(deadline=None)
    def test_of_each_hop_are_a_million_in_all(self, route: Route) -> None:
        for hop in route.hops:
            assert sum(leg.share_ppm for leg in hop.legs) == PPM
            for leg in hop.legs:
                assert abs(leg.share_ppm * hop.amount_in - leg.quote.amount_in * PPM) <= hop.amount_in


class TestChoosingAlike:
    @pytest.mark.parametrize("amount", [100, 10**9, 7 * 10**11])
    def test_whatever_the_order_of_the_pools(self, amount: int) -> None:
        pools = [cpmm((SOL, USDC), (10**12, 10**12), number) for number in range(3)]
        limits = replace(LIMITS, leg_cost=1)
        chosen = {
            tuple(
                (leg.pool.address, leg.quote.amount_in)
                for leg in best_route(pair(SOL, USDC, *order), amount, limits).legs
            )
            for order in permutations(pools)
        }
        assert len(chosen) == 1

    def test_of_equal_ways_over_a_third_token_too(self) -> None:
        first = [cpmm((JUP, SOL), DEEP, number) for number in range(2)]
        second = [cpmm((SOL, USDC), DEEP, number) for number in range(2)]
        chosen = {
            tuple(addresses(best_route(pair(JUP, USDC, bridges=[over(SOL, one, other)]), 10**9, LIMITS)))
            for one in permutations(first)
            for other in permutations(second)
        }
        assert len(chosen) == 1

    def test_the_direct_way_comes_before_one_over_a_third_token_that_pays_the_same(self) -> None:
        bridge = over(SOL, [cpmm((JUP, SOL), (10**6, 10**6))], [cpmm((SOL, USDC), (10**6, 10**6))])
        bridged = best_route(pair(JUP, USDC, bridges=[bridge]), 1_000, LIMITS).amount_out
        direct = next(
            pool
            for reserve in range(10**6, 0, -100)
            if best_single(pair(JUP, USDC, pool := cpmm((JUP, USDC), (10**6, reserve))), 1_000) == bridged
        )
        assert addresses(best_route(pair(JUP, USDC, direct, bridges=[bridge]), 1_000, LIMITS)) == [direct.address]


class TestWhyThereIsNoRoute:
    closed: Pool = cpmm((JUP, USDC), DEEP, status=4)
    small: Pool = dlmm((JUP, USDC), {0: (0, 10)})

    def refusal(self, *pools: Pool, amount: int = 10**6, bridges: Sequence[Bridge] = ()) -> ExecutionError:
        with pytest.raises(ExecutionError) as refused:
            best_route(pair(JUP, USDC, *pools, bridges=bridges), amount, LIMITS)
        return refused.value

    def test_first_what_may_pass(self) -> None:
        for pools in permutations((self.closed, self.small)):
            assert isinstance(self.refusal(*pools), VenueUnavailable)

    def test_then_too_little_liquidity(self) -> None:
        poor: Pool = cpmm((JUP, USDC), (10**15, 10**6), 1)
        for pools in permutations((poor, self.small)):
            assert isinstance(self.refusal(*pools), InsufficientLiquidity)

    def test_then_too_small_an_amount(self) -> None:
        assert isinstance(self.refusal(cpmm((JUP, USDC), (10**15, 10**6)), amount=100), AmountTooSmall)

    def test_then_that_there_is_no_pool(self) -> None:
        assert isinstance(self.refusal(), NoPool)

    def test_also_of_the_second_hop(self) -> None:
        first = cpmm((JUP, SOL), (10**12, 10**12))
        bridge = over(SOL, [first], [cpmm((SOL, USDC), DEEP, status=4)])
        assert isinstance(self.refusal(bridges=[bridge]), VenueUnavailable)
        bridge = over(SOL, [first], [cpmm((SOL, USDC), (10**15, 10**6))])
        assert isinstance(self.refusal(bridges=[bridge], amount=100), AmountTooSmall)

    @pytest.mark.parametrize("where", ["direct", "first hop", "second hop"])
    def test_accounts_that_were_not_read_are_asked_for_wherever_they_lack(self, where: str) -> None:
        whole = dlmm((JUP, USDC), around(0, 100, 10**6, 10**6))
        beyond = bin_array_address(whole.address, -2)

        def cut(sold: Mint, bought: Mint) -> Pool:
            pool = dlmm((sold, bought), around(0, 100, 10**6, 10**6))
            lacking = frozenset({bin_array_address(pool.address, -2)})
            return dlmm((sold, bought), around(0, 100, 10**6, 10**6), without=lacking)

        pools = {
            "direct": pair(JUP, USDC, cut(JUP, USDC), cpmm((JUP, USDC), DEEP)),
            "first hop": pair(JUP, USDC, bridges=[over(SOL, [cut(JUP, SOL)], [cpmm((SOL, USDC), DEEP)])]),
            "second hop": pair(JUP, USDC, bridges=[over(SOL, [cpmm((JUP, SOL), DEEP)], [cut(SOL, USDC)])]),
        }[where]
        with pytest.raises(AccountsMissing) as missing:
            best_route(pools, 90 * 10**6, LIMITS)
        assert where != "direct" or missing.value.addresses == (str(beyond),)


class TestWhatATransactionCanCarry:
    def test_is_so_many_bin_arrays_in_the_worst_case(self) -> None:
        """MAX_REMAINING_ACCOUNTS is what fits, no more and no less."""
        pool = scattered(SOL, LEVY, MAX_REMAINING_ACCOUNTS[0] + 1, extension=True)
        sizes = []
        for arrays in range(1, MAX_REMAINING_ACCOUNTS[0] + 2):
            quote = pool.quote(SOL.address, (2 * arrays - 1) * 5 * 10**8, CLOCK)
            assert len(quote.remaining_accounts) == arrays
            sizes.append(size_of(Route((Hop((RouteLeg(pool, quote, PPM),)),))))
        assert sizes[-2] <= MAX_TRANSACTION_BYTES[0] < sizes[-1]
        assert {later - earlier for earlier, later in pairwise(sizes)} == {33}

    @pytest.mark.parametrize("sold", [SOL, JUP, LEVY], ids=["SOL", "JUP", "Token-2022"])
    @pytest.mark.parametrize("bought", [SOL, USDC, LEVY], ids=["SOL", "USDC", "Token-2022"])
    def test_includes_that_many_of_any_pair(self, sold: Mint, bought: Mint) -> None:
        if sold == bought:
            return
        pool = scattered(sold, bought, MAX_REMAINING_ACCOUNTS[0], extension=True)
        route = best_route(pair(sold, bought, pool), 8 * 10**9, LIMITS)
        assert len(route.legs[0].quote.remaining_accounts) == MAX_REMAINING_ACCOUNTS[0]

    def test_a_swap_over_more_arrays_says_so(self) -> None:
        pools = pair(JUP, USDC, scattered(JUP, USDC, 12))
        with pytest.raises(InsufficientLiquidity, match=r"names 1[0-2] accounts .* more than one transaction"):
            best_route(pools, 11 * 10**9, LIMITS)
        (offer,) = ask_pools(pools.direct, JUP.address, 11 * 10**9, CLOCK, LIMITS.leg)
        assert "more than one transaction can carry" in str(offer.refusal)

    def test_a_swap_over_more_bins_than_compute_units_says_so(self) -> None:
        bins = dlmm((JUP, USDC), around(0, 200, 10**6, 10**6), bin_step=1)
        with pytest.raises(InsufficientLiquidity, match="compute units"):
            best_route(pair(JUP, USDC, bins), 190 * 10**6, LIMITS)

    def test_and_a_split_uses_that_pool_as_far_as_it_can(self) -> None:
        bins = dlmm((JUP, USDC), around(0, 200, 10**6, 10**6), bin_step=1)
        pools = pair(JUP, USDC, bins, cpmm((JUP, USDC), (10**9, 10**9)))

        route = best_route(pools, 300 * 10**6, LIMITS)

        used = next(leg.quote for leg in route.legs if leg.pool.dex == "meteora")
        assert len(route.legs) == 2
        assert sum(leg.quote.compute_units for leg in route.legs) > MAX_SWAP_COMPUTE_UNITS - 50_000
        assert 120 * 10**6 < used.amount_in < 150 * 10**6

    def test_counts_all_legs_compute_units_together(self) -> None:
        below = dict.fromkeys(range(70), (0, 10**6))
        pools = [dlmm((JUP, USDC), below, 69, bin_step=1, base_factor=10_000 + number) for number in range(2)]
        alone = quote_pool(pools[0], JUP.address, 69 * 10**6, CLOCK)
        assert alone.compute_units <= MAX_SWAP_COMPUTE_UNITS < 2 * alone.compute_units

        roomy = replace(LIMITS, fits=lambda route: True)
        route = best_route(pair(JUP, USDC, *pools, cpmm((JUP, USDC), (10**9, 10**9))), 400 * 10**6, roomy)

        units = [leg.quote.compute_units for leg in route.legs]
        assert len(units) == 3
        assert MAX_SWAP_COMPUTE_UNITS * 95 // 100 < sum(units) <= MAX_SWAP_COMPUTE_UNITS

    def test_a_leg_is_cut_before_a_split_is_given_up(self) -> None:
        """Besides a second leg, SOL into a Token-2022 token leaves room for one bin array: here are four."""
        pool, other = scattered(SOL, LEVY, 4), cpmm((SOL, LEVY), (10**10, 10**10))
        pools = pair(SOL, LEVY, pool, other)

        route = best_route(pools, 5 * 10**9, LIMITS)

        assert len(route.legs) == 2
        assert TransactionRoom(0)(route)
        assert next(len(leg.quote.remaining_accounts) for leg in route.legs if leg.pool is pool) == 1
        assert route.amount_out > best_single(pools, 5 * 10**9)

    def test_one_pool_over_many_arrays_is_taken_where_that_pays_more_than_a_cut_split(self) -> None:
        pool, poor = scattered(SOL, LEVY, 4), cpmm((SOL, LEVY), (10**12, 10**11))
        route = best_route(pair(SOL, LEVY, pool, poor), 35 * 10**8, LIMITS)
        assert addresses(route) == [pool.address]
        assert len(route.legs[0].quote.remaining_accounts) == 4

    def test_a_split_has_as_many_legs_as_fit(self) -> None:
        pools = [cpmm((SOL, USDC), (10**12, 10**12), number) for number in range(4)]
        route = best_route(pair(SOL, USDC, *pools), 10**11, LIMITS)
        assert len(route.legs) == 2  # each takes 200 bytes: 927, 1127, 1327
        more = best_route(pair(JUP, USDC, *(cpmm((JUP, USDC), (10**12, 10**12), n) for n in range(4))), 10**11, LIMITS)
        assert len(more.legs) == 3  # nothing to wrap

    def test_of_two_hops_it_is_the_best_that_fits(self) -> None:
        long, short = scattered(LEVY, SOL, 4), cpmm((LEVY, SOL), (10**11, 10**11))
        bridge = over(SOL, [long, short], [cpmm((SOL, USDC), DEEP)])
        route = best_route(pair(LEVY, USDC, bridges=[bridge]), 35 * 10**8, LIMITS)
        assert route.legs[0].pool is short
        assert TransactionRoom(0)(route)

    @given(routes())
    @settings(deadline=None, max_examples=20)
    def test_is_the_same_for_every_wallet_and_order(self, route: Route) -> None:
        trades = [
            Trade(
                Pubkey(bytes([number] * 32)),
                OrderMemo(f"{number:08}-0000-0000-0000-000000000000", number),
                2_039_280,
                nonce="9" * number,
            )
            for number in (1, 9)
        ]
        assert len({size_of(route, trade) for trade in trades}) == 1

    def test_nothing_more_is_asked_for_of_a_pool_as_it_was_read(self) -> None:
        pool = dlmm((JUP, USDC), around(0, 100, 10**6, 10**6))
        lacking = frozenset({bin_array_address(pool.address, -2)})
        cut = PoolAsRead(dlmm((JUP, USDC), around(0, 100, 10**6, 10**6), without=lacking))
        pools = pair(JUP, USDC, cut, cpmm((JUP, USDC), (10**9, 10**9)))

        route = best_route(pools, 150 * 10**6, LIMITS)

        assert len(route.legs) == 2
        with pytest.raises(InsufficientLiquidity):
            cut.quote(JUP.address, 90 * 10**6, CLOCK)
        assert cut.rounding(JUP.address, 90 * 10**6, CLOCK) is None

    def test_a_pool_as_it_was_read_rounds_and_swaps_as_the_pool_does(self) -> None:
        pool = dlmm((JUP, LEVY), around(0, 100, 10**6, 10**6))
        as_read = PoolAsRead(pool)
        for mint, amount in ((JUP, 10**6), (LEVY, 90 * 10**6)):
            assert as_read.rounding(mint.address, amount, CLOCK) == pool.rounding(mint.address, amount, CLOCK)
        trader, source, destination = (Pubkey(bytes([number] * 32)) for number in (1, 2, 3))
        named = [
            of.swap_instruction(
                pool.quote(JUP.address, 10**6, CLOCK),
                trader=trader,
                source=source,
                destination=destination,
                minimum_out=5,
            )
            for of in (as_read, pool)
        ]
        assert named[0] == named[1]


def size_of(route: Route, trade: Trade | None = None) -> int:
    """The bytes of the route's transaction, whether they fit or not."""
    trade = trade or Trade(Pubkey(bytes([5] * 32)), OrderMemo("00000000-0000-0000-0000-000000000000", 1), 0, "")
    plan = plan_swap(route, trade, route.amount_out)
    instructions = [*ComputeBudget(MAX_COMPUTE_UNITS, 1_000_000).instructions(), *plan.instructions()]
    return len(unsigned_wire(MessageV0.try_compile(plan.payer, instructions, [], Hash.default())))
