"""Many amounts from one read: each as its own route says, and the bounds between them are never wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from bench.pools import CLOCK, MINT_IN, MINT_OUT
from chalicelib.problems import AccountsMissing, ExecutionError, VenueUnavailable
from chalicelib.routing.many_amounts import ManyAmounts
from chalicelib.routing.quote import LegLimits
from chalicelib.routing.router import Bridge, PairPools, RouteLimits, best_routes
from chalicelib.routing.swap_plan import TransactionRoom
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import PoolQuote
from tests.unit.model_market import CLOCK as MODEL_CLOCK
from tests.unit.model_market import ModelPool, address
from tests.unit.pools_of_all_venues import amounts, bridge, pair_pools, pool_named
from tests.unit.routing_pools import CLOCK as ROUTING_CLOCK
from tests.unit.routing_pools import USDC, cpmm, taxed

LIMITS = RouteLimits(12, leg_cost=7, fits=TransactionRoom(1))


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


# --- the bounds to the unit, at pools of a constant product without fees --------------------------------------------
# Such a pool says that rounding takes two units at most (ModelPool.rounding), and its parts may lose a unit of input:
# three in all. A sample may miss that much, and what it bounds may differ from it by as much again.

A, B, OVER = (address(number) for number in (1, 2, 3))
LARGEST = 10**9


@dataclass(frozen=True)
class Counting(ModelPool):
    """Notes what it is asked for."""

    asked: list[int] = field(default_factory=list)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        self.asked.append(amount_in)
        return super().quote(mint_in, amount_in, clock)


@dataclass(frozen=True)
class Unbounded(ModelPool):
    """Says nothing of how far rounding goes."""

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        return None


@dataclass(frozen=True)
class Away(ModelPool):
    """Takes no swap, and says so by this error whatever it is asked."""

    error: ExecutionError = field(default_factory=lambda: VenueUnavailable("shut"))

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        raise self.error

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        raise self.error


def pool(number: int, pair: tuple[Pubkey, Pubkey] = (A, B), depth: int = 10**12) -> Counting:
    return Counting(address(number), pair, (depth, depth))


def many_of(*direct: ModelPool, over: tuple[Bridge, ...] = (), largest: int = LARGEST) -> ManyAmounts:
    limits = RouteLimits(12, leg_cost=0, fits=lambda route: True)
    return ManyAmounts(PairPools(A, B, direct, over, MODEL_CLOCK), lambda amount: limits, largest)


def paid_by(one: ModelPool, amount: int, mint_in: Pubkey = A) -> int:
    return ModelPool(one.address, one.mints, one.reserves).quote(mint_in, amount, MODEL_CLOCK).amount_out


def test_the_best_single_pool_is_what_is_paid_at_least() -> None:
    shallow, deep = pool(11, depth=10**10), pool(12)
    assert many_of(shallow, deep).at_least(10**8) == paid_by(deep, 10**8)
    assert many_of(shallow, Away(address(13), (A, B), (1, 1))).at_least(10**8) == paid_by(shallow, 10**8)
    assert many_of(Away(address(13), (A, B), (1, 1))).at_least(10**8) == 0
    assert many_of().at_least(10**8) == 0


def test_a_pool_counts_for_the_least_only_where_a_single_leg_may_go_through_it() -> None:
    def limits_of(amount: int) -> RouteLimits:
        asked.append(amount)
        return RouteLimits(12, leg_cost=0, fits=lambda route: True, leg=LegLimits(compute_units=10_000))

    asked: list[int] = []
    light, heavy = pool(11, depth=10**10), replace(pool(12), compute_units=10_001)
    many = ManyAmounts(PairPools(A, B, (light, heavy), (), MODEL_CLOCK), limits_of, LARGEST)
    assert many.at_least(10**8) == paid_by(light, 10**8)
    assert many.paid(10**8) == paid_by(light, 10**8)
    assert asked == [LARGEST, 10**8]


def test_a_sample_bounds_its_own_amount_to_twice_what_rounding_takes() -> None:
    many, most = many_of(pool(11)), paid_by(pool(11), 10**6) + 2 * 3
    assert many.may_pay(10**6, most)
    assert not many.may_pay(10**6, most + 1)


def test_of_a_single_unit_there_is_a_bound_too() -> None:
    dear = Counting(address(11), (A, B), (10**9, 10**12))
    slack = 1_001 + 1_000  # what rounding takes, and what a unit of the input is worth
    many = many_of(dear)
    assert many.may_pay(1, paid_by(dear, 1) + 2 * slack)
    assert not many.may_pay(1, paid_by(dear, 1) + 2 * slack + 1)


def test_a_larger_amount_is_bounded_by_the_sample_of_a_smaller_in_proportion_and_without_a_quote() -> None:
    one = pool(11)
    many, most = many_of(one), paid_by(one, 10**6) + 2 * 3
    many.may_pay(10**6, most)
    one.asked.clear()
    assert not many.may_pay(3 * 10**6, 3 * most + 1)
    assert one.asked == []
    assert not many.may_pay(3 * 10**6, 3 * most), "the sample of that very amount says less"
    assert one.asked
    assert many.may_pay(3 * 10**6, paid_by(one, 3 * 10**6) + 2 * 3)


def test_a_sample_serves_amounts_up_to_a_fiftieth_above_it() -> None:
    one = pool(11)
    many, most = many_of(one), paid_by(one, 10**6)
    many.may_pay(10**6, most)
    one.asked.clear()
    assert many.may_pay(1_020_000, most)
    assert one.asked == []
    assert many.may_pay(1_020_001, most)
    assert one.asked
    one.asked.clear()
    assert many.may_pay(10**6 - 1, 1)
    assert one.asked, "of a smaller amount a larger one tells nothing"


def test_several_pools_are_bounded_by_what_they_pay_together() -> None:
    many = many_of(pool(11), pool(12))
    together = 2 * paid_by(pool(11), 5 * 10**8)
    assert many.may_pay(LARGEST, together)
    assert many.may_pay(LARGEST, together + 4 * 3)
    assert not many.may_pay(LARGEST, together + 1 + 4 * 3 + 1), "another division pays a unit more at most"


@pytest.mark.parametrize("least", [1, 10**30])
def test_of_an_amount_above_the_largest_nothing_is_certain(least: int) -> None:
    assert many_of(pool(11)).may_pay(LARGEST + 1, least)
    assert many_of(pool(11)).may_pay(LARGEST, least) is (least == 1)


def test_where_there_are_no_pools_nothing_is_paid() -> None:
    assert not many_of().may_pay(10, 1)
    assert many_of().paid(10) is None


@pytest.mark.parametrize(
    "pools",
    [(Unbounded(address(11), (A, B), (10**12, 10**12)),), (pool(12), Unbounded(address(11), (A, B), (10**12, 10**12)))],
)
def test_a_pool_that_says_nothing_of_its_rounding_leaves_nothing_certain(pools: tuple[ModelPool, ...]) -> None:
    assert many_of(*pools).may_pay(10**6, 10**30)


def test_a_pool_that_takes_no_swap_takes_nothing_from_what_is_certain_of_the_others() -> None:
    for others in ((Away(address(13), (A, B), (1, 1)), pool(11)), (pool(11), Away(address(13), (A, B), (1, 1)))):
        most = paid_by(pool(11), 10**6) + 2 * 3
        assert many_of(*others).may_pay(10**6, most)
        assert not many_of(*others).may_pay(10**6, most + 1)


class TestOverAThirdToken:
    FIRST, SECOND = pool(21, (A, OVER)), pool(22, (OVER, B))

    def many(self, *direct: ModelPool) -> ManyAmounts:
        return many_of(*direct, over=(Bridge(OVER, (self.FIRST,), (self.SECOND,)),))

    def most(self, amount: int) -> int:
        """What the second pays at most for what the first pays at most."""
        return paid_by(self.SECOND, paid_by(self.FIRST, amount) + 2 * 3, OVER) + 2 * 3

    def test_what_is_paid_is_bounded_by_what_the_second_pays_for_the_most_of_the_first(self) -> None:
        for amount in (LARGEST, 10**6):
            many = self.many()
            for _ in range(2):  # asked again it is the same, by what is known by then
                assert many.may_pay(amount, self.most(amount))
                assert not many.may_pay(amount, self.most(amount) + 1)

    def test_either_way_is_enough(self) -> None:
        shallow, deep = pool(11, depth=10**7), pool(11, depth=10**15)
        assert self.many(shallow).may_pay(10**6, self.most(10**6))
        assert not self.many(shallow).may_pay(10**6, self.most(10**6) + 1)
        assert self.many(deep).may_pay(10**6, paid_by(deep, 10**6) + 6)

    def test_a_way_without_one_of_its_hops_pays_nothing(self) -> None:
        for way in (Bridge(OVER, (), (self.SECOND,)), Bridge(OVER, (self.FIRST,), ())):
            assert many_of(over=(way,)).paid(10**6) is None

    def test_what_one_sample_bounds_needs_no_other(self) -> None:
        many = self.many()
        many.may_pay(10**6, self.most(10**6))
        for one in (self.FIRST, self.SECOND):
            one.asked.clear()
        assert not many.may_pay(2 * 10**6, 2 * self.most(10**6) + 100)
        assert self.FIRST.asked == self.SECOND.asked == []


@pytest.mark.parametrize("which", ["direct", "first", "second"])
def test_what_quotes_of_the_largest_amount_need_besides_is_asked_for_before_anything_is_told(which: str) -> None:
    def far(number: int, pair: tuple[Pubkey, Pubkey], name: str) -> ModelPool:
        one = ModelPool(address(number), pair, (10**12, 10**12))
        return replace(one, near=10**6, missing=(address(99),)) if name == which else one

    direct = far(11, (A, B), "direct")
    over = Bridge(OVER, (far(21, (A, OVER), "first"),), (far(22, (OVER, B), "second"),))
    with pytest.raises(AccountsMissing):
        many_of(direct, over=(over,))
    many_of(direct, over=(over,), largest=10**6 - 10)


def test_a_route_is_found_once_for_an_amount_and_none_is_remembered_too() -> None:
    one = pool(11, depth=10**6)
    many = many_of(one, largest=10**8)
    assert many.paid(10**5) == many.paid(10**5) == paid_by(one, 10**5)
    assert many.paid(10**8) is many.paid(10**8) is None
    assert many.routes_found == 2
    route = many.route(10**5)
    assert route is not None
    assert route.amount_out == paid_by(one, 10**5)
