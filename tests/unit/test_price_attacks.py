"""Who moves a pool moves no more than that pool's word: reference prices under attack, and what orders do meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import PriceDeviation
from chalicelib.risk.limits import Limits, LimitsInForce, ReferenceCurrency, SwapTerms, check_plan
from chalicelib.risk.reference_price import PriceSource, exposure_of, pool_deviations, weighted_median
from chalicelib.routing.market import Market, PricedPair
from chalicelib.routing.router import Bridge, PairPools, RouteLimits
from chalicelib.solana.tokens import NATIVE_MINT as SOL
from tests.unit.model_market import CLOCK, ModelChain, ModelPool, ModelVenue, address, best_route

UNTIMED = settings(deadline=None)
A, B, USDC = address(1), address(2), address(3)
DEEP = 10**12
FIVE_PERCENT = 50_000
HALF_OFF, HALF_ON = Fraction(1, 2), Fraction(3, 2)
EITHER_WAY = pytest.mark.parametrize("moved", [HALF_OFF, HALF_ON, Fraction(1, 100), Fraction(100)])


def pool(number: int, depth: int, price: Fraction = Fraction(1), mints: tuple[object, object] = (A, B)) -> ModelPool:
    """As deep as one with so many base units of its first token, at so many base units of its second for each."""
    return ModelPool(address(100 + number), mints, (depth, int(depth * price)))  # type: ignore[arg-type]


def over(mint: object, depth: int, price: Fraction = Fraction(1), number: int = 50) -> Bridge:
    """A way over a third token with one pool on each side, whose prices come to `price`."""
    first = pool(number, depth, Fraction(2), (A, mint))
    return Bridge(mint, (first,), (pool(number + 1, 2 * depth, price / 2, (mint, B)),))  # type: ignore[arg-type]


def plan(direct: Sequence[ModelPool], amount: int, bridges: tuple[Bridge, ...] = (), max_legs: int = 4) -> PricedPair:
    """The best route at a moment when the pools stand so."""
    pools = PairPools(A, B, tuple(direct), bridges, CLOCK)
    route = best_route(pools, amount, RouteLimits(max_legs, 1, lambda route: True))
    return PricedPair(1, 0, 0, (), route, pools, None)


def off(planned: PricedPair) -> dict[int, Fraction | None]:
    """The deviations by the pools' numbers."""
    found = pool_deviations(planned.route, planned.pools)
    return {int.from_bytes(bytes(one), "big") - 100: deviation for one, deviation in found.items()}


def refused(planned: PricedPair, allow_unreferenced: bool = True) -> set[int] | None:
    """The numbers of the pools that were moved too far for an order, at prod's limit; None where it may trade."""
    limits = Limits(price_deviation_ppm=FIVE_PERCENT, allow_unreferenced=allow_unreferenced)
    force = LimitsInForce(limits, Limits())
    try:
        check_plan(force, SwapTerms(str(A), str(B), 0), exposure_of(planned), ReferenceCurrency())
    except PriceDeviation as refusal:
        named = {str(leg.pool.address): int.from_bytes(bytes(leg.pool.address), "big") for leg in planned.route.legs}
        return {named[one] - 100 for one in refusal.pools}
    return None


# --- one thin pool ------------------------------------------------------------------------------------------------


@EITHER_WAY
@pytest.mark.parametrize("thin", [DEEP // 10, DEEP // 100, DEEP // 10_000])
def test_a_thin_pool_that_was_moved_stops_no_order_over_a_deep_one(moved: Fraction, thin: int) -> None:
    """Not even where nobody else could tell which of the two was moved."""
    deep = pool(1, DEEP)
    planned = plan([deep, pool(2, thin, moved)], DEEP // 1_000, max_legs=1)
    if {leg.pool for leg in planned.route.legs} != {deep}:
        # the order would trade at the moved price, and without that pool it trades at the deep one's
        assert refused(planned) == {2}
        planned = plan([deep], DEEP // 1_000, max_legs=1)
    assert refused(planned) is None


@EITHER_WAY
def test_a_thin_pool_among_deep_ones_stops_nothing_and_their_price_stays_referenced(moved: Fraction) -> None:
    pools = [pool(1, DEEP, Fraction(1001, 1000)), pool(2, DEEP), pool(3, DEEP // 200, moved)]
    planned = plan(pools, DEEP // 10, max_legs=2)
    beside = {number: deviation for number, deviation in off(planned).items() if number != 3}
    assert beside
    assert all(deviation is not None and deviation <= Fraction(1, 1000) for deviation in beside.values())
    assert refused(planned) in (None, {3})
    assert refused(plan(pools[:2], DEEP // 10), allow_unreferenced=False) is None


@pytest.mark.parametrize("better", [HALF_ON, Fraction(100)])
@pytest.mark.parametrize("thin", [DEEP // 2, DEEP // 100])
def test_no_order_trades_at_the_price_of_a_thin_pool_that_was_moved(better: Fraction, thin: int) -> None:
    """It would take only what is better, and be told so good a quote that no honest market could pay it later."""
    pools = [pool(1, DEEP), pool(2, thin, better)]
    assert refused(plan(pools, thin // 100)) == {2}
    assert refused(plan(pools, thin // 100, (over(SOL, DEEP),))) == {2}


def test_of_a_split_route_only_the_moved_pool_is_named() -> None:
    """So that the next attempt can do without it."""
    planned = plan([pool(1, DEEP), pool(2, DEEP // 50, HALF_ON)], DEEP // 10)
    assert {leg.pool.address for leg in planned.route.legs} == {address(101), address(102)}
    assert off(planned) == {1: None, 2: Fraction(1, 2)}
    assert refused(planned) == {2}


@pytest.mark.parametrize("amount", [DEEP // 10_000, DEEP // 10])
def test_an_order_that_a_moved_thin_pool_would_have_taken_goes_over_the_deep_one_in_its_next_attempt(
    amount: int,
) -> None:
    chain = ModelChain()
    deep, thin = chain.add_pool(1, (A, B), (DEEP, DEEP)), chain.add_pool(2, (A, B), (DEEP // 100, DEEP * 3 // 200))
    market = Market(chain, chain.registry(ModelVenue()), lambda: 0)
    limits = LimitsInForce(Limits(price_deviation_ppm=FIVE_PERCENT), Limits())

    def check(planned: PricedPair) -> None:
        check_plan(limits, SwapTerms(str(A), str(B), 0), exposure_of(planned), ReferenceCurrency())

    with pytest.raises(PriceDeviation) as refusal:
        check(market.price(A, B, amount, leg_lamports=0))
    assert refusal.value.pools == (str(thin),)
    again = market.price(A, B, amount, leg_lamports=0, without=frozenset(map(Pubkey.from_string, refusal.value.pools)))
    check(again)
    assert {leg.pool.address for leg in again.route.legs} == {deep}


# --- a deep pool --------------------------------------------------------------------------------------------------


@EITHER_WAY
@pytest.mark.parametrize("other", [DEEP, DEEP // 2, DEEP // 4])
def test_a_deep_pool_that_was_moved_is_noticed_by_another_that_is_not_much_thinner(moved: Fraction, other: int) -> None:
    pools = [pool(1, DEEP, moved), pool(2, other)]
    on_route = {1} if moved > 1 else {2}
    assert refused(plan(pools, DEEP // 10_000, max_legs=1)) == on_route


@EITHER_WAY
@pytest.mark.parametrize("cross", [2 * DEEP, DEEP, DEEP // 4])
def test_a_pairs_only_pool_that_was_moved_is_noticed_by_the_price_over_a_third_token(
    moved: Fraction, cross: int
) -> None:
    for bridge in (over(SOL, cross), over(USDC, cross)):
        assert off(plan([pool(1, DEEP, moved)], DEEP // 1_000, (bridge,), max_legs=1)) == {1: max(moved, 1 / moved) - 1}
        fair = plan([pool(1, DEEP)], DEEP // 1_000, (bridge,), max_legs=1)
        assert refused(fair, allow_unreferenced=False) is None


@EITHER_WAY
def test_a_deep_pool_and_a_thin_one_that_were_moved_together_are_noticed_by_the_price_over_a_third_token(
    moved: Fraction,
) -> None:
    pools = [pool(1, DEEP, moved), pool(2, DEEP // 10, moved)]
    assert refused(plan(pools, DEEP // 1_000, (over(SOL, DEEP // 2),), max_legs=1)) == {1}


@EITHER_WAY
def test_the_price_over_a_third_token_is_no_weapon_against_pools_that_outweigh_it(moved: Fraction) -> None:
    pools = [pool(1, DEEP), pool(2, DEEP)]
    planned = plan(pools, DEEP // 1_000, (over(SOL, DEEP // 2, moved),), max_legs=1)
    assert refused(planned, allow_unreferenced=False) is None


@EITHER_WAY
def test_a_thin_pool_on_the_way_over_a_third_token_moves_that_price_no_further_than_the_others_say(
    moved: Fraction,
) -> None:
    bridge = over(SOL, DEEP)
    attacked = Bridge(SOL, (*bridge.first, pool(60, DEEP // 10, 2 * moved, (A, SOL))), bridge.second)
    assert off(plan([pool(1, DEEP)], DEEP // 1_000, (attacked,), max_legs=1)) == {1: 0}


def test_the_price_over_a_third_token_has_no_more_weight_than_its_thinner_half() -> None:
    thin_half = Bridge(SOL, (pool(50, DEEP, Fraction(2), (A, SOL)),), (pool(51, DEEP // 50, Fraction(3), (SOL, B)),))
    assert off(plan([pool(1, DEEP)], DEEP // 1_000, (thin_half,), max_legs=1)) == {1: None}


@EITHER_WAY
def test_who_moves_less_than_half_of_the_depth_stops_no_order_over_the_rest(moved: Fraction) -> None:
    """The route's pool has a word too: without it the moved one would outweigh the last."""
    pools = [pool(1, DEEP), pool(2, DEEP * 4 // 5, moved), pool(3, DEEP * 3 // 5)]
    if moved < 1:
        assert refused(plan(pools, DEEP // 1_000, max_legs=1)) is None
    else:
        assert refused(plan(pools, DEEP // 1_000, max_legs=1)) == {2}


WEIGHTS = st.lists(st.integers(DEEP // 100, DEEP), min_size=1, max_size=4)
MOVED = st.sampled_from([HALF_OFF, HALF_ON, Fraction(1, 100), Fraction(100)])


def judged(one: ModelPool, others: Sequence[ModelPool]) -> Fraction | None:
    """How far the pool that the route uses is from its reference."""
    route = best_route(PairPools(A, B, (one,), (), CLOCK), DEEP // 10_000, RouteLimits(1, 1, lambda route: True))
    pools = PairPools(A, B, (one, *others), (), CLOCK)
    return pool_deviations(route, pools)[one.address]


@given(others=WEIGHTS, thin=st.integers(1, DEEP // 7), moved=MOVED)
@UNTIMED
def test_who_moves_less_than_a_seventh_of_a_pools_depth_stops_no_order_over_it(
    others: list[int], thin: int, moved: Fraction
) -> None:
    honest = [pool(number, depth) for number, depth in enumerate(others, 2)]
    assert judged(pool(1, DEEP), [*honest, pool(9, thin, moved)]) in (None, 0)


@given(others=WEIGHTS, part=st.integers(1, 23), thousands=st.integers(DEEP // 10**5, DEEP // 10**3), moved=MOVED)
@UNTIMED
def test_a_moved_pool_is_noticed_though_a_part_of_the_others_was_moved_along(
    others: list[int], part: int, thousands: int, moved: Fraction
) -> None:
    """Up to a quarter of them, as long as they are together a fifth as deep as it."""
    depth = 1_000 * thousands
    assume(sum(others) * 9 // 2 > depth)
    honest = [pool(number, weight) for number, weight in enumerate(others, 2)]
    accomplice = pool(9, sum(others) * part // (100 - part), moved)
    assert judged(pool(1, depth, moved), [*honest, accomplice]) == max(moved, 1 / moved) - 1


# --- over a third token -------------------------------------------------------------------------------------------


@EITHER_WAY
def test_a_hop_over_a_moved_pool_is_noticed_by_the_hops_other_pools_and_only_that_pool_is_named(
    moved: Fraction,
) -> None:
    first = (pool(1, DEEP, moved, (A, SOL)), pool(2, DEEP // 2, Fraction(1), (A, SOL)))
    second = (pool(3, DEEP, Fraction(1), (SOL, B)), pool(4, DEEP, Fraction(1), (SOL, B)))
    found = refused(plan([], DEEP // 10_000, (Bridge(SOL, first, second),)))
    assert found == ({1} if moved > 1 else {2})


def test_a_moved_hop_is_noticed_though_nobody_can_judge_the_other_hop() -> None:
    first = (pool(1, DEEP, HALF_ON, (A, SOL)), pool(2, DEEP, Fraction(1), (A, SOL)))
    second = (pool(3, DEEP, Fraction(1), (SOL, B)),)
    planned = plan([], DEEP // 1_000, (Bridge(SOL, first, second),))
    assert off(planned) == {1: Fraction(1, 2), 3: None}
    assert refused(planned) == {1}


@EITHER_WAY
def test_a_thin_pool_of_the_pair_stops_no_route_over_a_third_token(moved: Fraction) -> None:
    """It alone could be asked about a route that is much deeper."""
    planned = plan([pool(1, DEEP // 100, moved)], DEEP, (over(SOL, DEEP),))
    assert len(planned.route.hops) == 2
    assert set(off(planned).values()) == {None}
    deeper = plan([pool(1, DEEP // 4, HALF_OFF)], DEEP // 1_000, (over(SOL, DEEP),))
    assert set(off(deeper).values()) == {Fraction(1)}


# --- nobody to ask ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [(), (pool(2, DEEP // 100),), (pool(2, DEEP // 100, HALF_OFF),)])
def test_a_price_that_only_thin_pools_speak_of_passes_as_the_operator_says(others: tuple[ModelPool, ...]) -> None:
    planned = plan([pool(1, DEEP), *others], DEEP // 100, max_legs=1)
    assert off(planned) == {1: None}
    assert refused(planned) is None
    assert refused(planned, allow_unreferenced=False) == set()


def test_an_offer_that_nobody_would_take_has_no_weight() -> None:
    """Asks at three times the price cost their owner nothing, however many they are."""

    class OnlyAsks(ModelPool):
        def quote(self, mint_in, amount_in, clock):  # type: ignore[no-untyped-def]
            if mint_in == A:
                return pool(9, 1, Fraction(3)).quote(mint_in, amount_in, clock)
            return super().quote(mint_in, amount_in, clock)

    asks = OnlyAsks(address(102), (A, B), (100 * DEEP, 300 * DEEP))
    assert off(plan([pool(1, DEEP), asks], DEEP // 100, (over(SOL, DEEP // 2),), max_legs=1)) == {1: 0}


# --- the weighted median ------------------------------------------------------------------------------------------

POSITIVE = st.builds(Fraction, st.integers(1, 10**12), st.integers(1, 10**6))
SOURCES = st.lists(st.builds(PriceSource, POSITIVE, POSITIVE), min_size=1, max_size=6)


@given(SOURCES, st.randoms(use_true_random=False))
@UNTIMED
def test_a_median_does_not_depend_on_the_order_of_its_sources(sources: list[PriceSource], random: object) -> None:
    shuffled = list(sources)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert weighted_median(shuffled) == weighted_median(sources)


@given(SOURCES, POSITIVE, POSITIVE)
@UNTIMED
def test_a_median_scales_with_the_prices_and_not_with_the_depths(
    sources: list[PriceSource], unit: Fraction, weight: Fraction
) -> None:
    scaled = [PriceSource(one.price * unit, one.depth * weight) for one in sources]
    assert weighted_median(scaled) == weighted_median(sources) * unit


@given(SOURCES, POSITIVE, POSITIVE)
@UNTIMED
def test_a_source_of_less_than_half_the_depth_never_takes_the_median_out_of_the_others_range(
    others: list[PriceSource], price: Fraction, depth: Fraction
) -> None:
    assume(depth < sum(one.depth for one in others))
    prices = [one.price for one in others]
    assert min(prices) <= weighted_median([*others, PriceSource(price, depth)]) <= max(prices)


@given(SOURCES)
@UNTIMED
def test_at_most_half_of_the_depth_is_below_the_median_and_at_most_half_above(sources: list[PriceSource]) -> None:
    median, half = weighted_median(sources), sum(one.depth for one in sources) / 2
    assert sum(one.depth for one in sources if one.price < median) <= half
    assert sum(one.depth for one in sources if one.price > median) <= half


def test_where_just_half_of_the_depth_is_on_either_side_the_middle_counts() -> None:
    three, one, two = (PriceSource(Fraction(price), Fraction(price)) for price in (3, 1, 2))
    assert weighted_median([three, two, one]) == Fraction(5, 2)
    assert weighted_median([three, two]) == 3


@given(
    depths=st.lists(st.integers(10**9, 10**12), min_size=2, max_size=5),
    prices=st.lists(st.builds(Fraction, st.integers(300, 3_000), st.just(1_000)), min_size=5, max_size=5),
    random=st.randoms(use_true_random=False),
)
@UNTIMED
def test_what_the_pools_say_does_not_depend_on_their_order(
    depths: list[int], prices: list[Fraction], random: object
) -> None:
    pools = [pool(number, depth, prices[number]) for number, depth in enumerate(depths)]
    shuffled = list(pools)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert off(plan(pools, 10**6)) == off(plan(shuffled, 10**6))
