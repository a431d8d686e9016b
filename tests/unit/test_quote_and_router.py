"""Offers, floors, and the best route over pools whose arithmetic is known, against all divisions there are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.amounts import PPM, floor_of
from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    NoPool,
    RpcUnavailable,
    VenueUnavailable,
)
from chalicelib.routing.quote import (
    MAX_REMAINING_ACCOUNTS,
    MAX_SWAP_COMPUTE_UNITS,
    LegLimits,
    PoolAsRead,
    ask_pools,
    price_impact,
    quote_pool,
)
from chalicelib.routing.router import Bridge, Hop, PairPools, Route, RouteLeg, RouteLimits, best_routes
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import PoolQuote
from tests.unit.model_market import CLOCK, ModelPool, address, best_route, pool_like

A, B, C = (address(number) for number in (1, 2, 3))
U64 = st.integers(1, 2**64 - 1)
UNLIMITED = RouteLimits(max_legs=4, leg_cost=1, fits=lambda route: True)
ONE_LEG = RouteLimits(max_legs=1, leg_cost=0, fits=lambda route: True)


def pool(number: int, reserves: tuple[int, int] = (10**9, 10**9), **changes: object) -> ModelPool:
    return ModelPool(address(number), (A, B), reserves, **changes)  # type: ignore[arg-type]


def pair(*pools: ModelPool, bridges: tuple[Bridge, ...] = ()) -> PairPools:
    return PairPools(A, B, pools, bridges, CLOCK)


# --- floors -------------------------------------------------------------------------------------------------------


@given(amount_out=U64, slippage_ppm=st.integers(0, 500_000))
def test_the_floor_is_the_least_that_the_slippage_allows_and_never_a_unit_less(
    amount_out: int, slippage_ppm: int
) -> None:
    floor = floor_of(amount_out, slippage_ppm)
    allowed = Fraction(amount_out) * (PPM - slippage_ppm) / PPM
    assert 1 <= floor <= amount_out
    assert allowed <= floor < allowed + 1 or floor == 1


@given(amount_out=U64, slippages=st.tuples(st.integers(0, 500_000), st.integers(0, 500_000)))
def test_more_slippage_never_means_a_higher_floor(amount_out: int, slippages: tuple[int, int]) -> None:
    lower, higher = sorted(slippages)
    assert floor_of(amount_out, higher) <= floor_of(amount_out, lower)
    assert floor_of(amount_out, 0) == amount_out


# --- offers -------------------------------------------------------------------------------------------------------


def test_every_pool_answers_with_a_quote_or_with_why_there_is_none() -> None:
    closed = VenueUnavailable("closed")
    offers = ask_pools([pool(1), pool(2, refusal=closed), pool(3, (5, 5))], A, 1_000, CLOCK)
    assert [offer.pool.address for offer in offers] == [address(1), address(2), address(3)]
    first, second, third = offers
    assert first.quote is not None
    assert (first.quote.amount_out, first.refusal, first.mid_price) == (999, None, Fraction(1))
    assert (second.quote, second.refusal, second.mid_price) == (None, closed, None)
    assert isinstance(third.refusal, InsufficientLiquidity)


def test_the_accounts_that_all_quotes_lack_are_named_together() -> None:
    pools = [pool(1, near=1, missing=(address(7), address(8))), pool(2), pool(3, near=1, missing=(address(9),))]
    with pytest.raises(AccountsMissing) as missing:
        ask_pools(pools, A, 1_000, CLOCK)
    assert missing.value.addresses == tuple(str(address(number)) for number in (7, 8, 9))


def test_a_failing_node_is_no_pools_refusal_that_is_hidden() -> None:
    offers = ask_pools([pool(1, refusal=RpcUnavailable("no answer"))], A, 1, CLOCK)
    assert isinstance(offers[0].refusal, RpcUnavailable)


@given(amount=st.integers(1, 10**9), reserves=st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)))
def test_price_impact_is_what_is_lost_against_the_mid_price(amount: int, reserves: tuple[int, int]) -> None:
    (offer,) = ask_pools([pool(1, reserves)], A, amount, CLOCK)
    if offer.quote is None:
        assert offer.price_impact is None
        return
    ideal = Fraction(amount * reserves[1], reserves[0])
    assert offer.price_impact == price_impact(ideal, offer.quote.amount_out) == 1 - offer.quote.amount_out / ideal
    assert 0 <= offer.price_impact < 1


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"remaining": MAX_REMAINING_ACCOUNTS[1]}, True),
        ({"remaining": MAX_REMAINING_ACCOUNTS[1] + 1}, False),
        ({"compute_units": MAX_SWAP_COMPUTE_UNITS}, True),
        ({"compute_units": MAX_SWAP_COMPUTE_UNITS + 1}, False),
    ],
)
def test_a_quote_that_no_transaction_can_carry_is_no_quote(change: dict[str, object], fits: bool) -> None:
    large = pool_like(pool(1), **change)
    if fits:
        assert quote_pool(large, A, 1_000, CLOCK).amount_out == 999
    else:
        with pytest.raises(InsufficientLiquidity, match="one transaction"):
            quote_pool(large, A, 1_000, CLOCK)


def test_a_pool_as_it_was_read_says_what_the_pool_says_and_has_no_liquidity_beyond_what_was_read() -> None:
    whole = pool(1, (10**9, 3 * 10**9), near=1_000, missing=(address(9),))
    as_read = PoolAsRead(whole)
    assert (as_read.address, as_read.dex, as_read.sides) == (whole.address, whole.dex, whole.sides)
    assert (as_read.mid_price(A), as_read.mid_price(B)) == (Fraction(3), Fraction(1, 3))
    assert as_read.quote(A, 1_000, CLOCK) == whole.quote(A, 1_000, CLOCK)
    with pytest.raises(InsufficientLiquidity, match=f"pool {whole.address} names more accounts"):
        as_read.quote(A, 1_001, CLOCK)


class UnsurePool(ModelPool):
    """A pool of whose output a unit is not sure."""

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        return super().quote(mint_in, amount_in, clock)._replace(not_guaranteed=1)


def test_a_pool_is_planned_with_for_what_a_floor_can_make_sure_of() -> None:
    unsure = UnsurePool(address(1), (A, B), (10**9, 10**9))
    for amount, sure in ((1_000, 998), (3, 1)):
        quote = unsure.quote(A, amount, CLOCK)
        assert quote_pool(unsure, A, amount, CLOCK) == quote._replace(amount_out=sure, not_guaranteed=0)
    with pytest.raises(AmountTooSmall, match=f"pool {address(1)} pays for 2 base units nothing is sure"):
        quote_pool(unsure, A, 2, CLOCK)


# --- the best single pool -----------------------------------------------------------------------------------------


@given(
    amount=st.integers(1, 10**6),
    reserves=st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=5),
)
def test_of_single_pools_the_one_that_pays_most_is_taken(amount: int, reserves: list[tuple[int, int]]) -> None:
    pools = [pool(number, both) for number, both in enumerate(reserves, 1)]
    paid = [offer.quote.amount_out for offer in ask_pools(pools, A, amount, CLOCK) if offer.quote is not None]
    if not paid:
        with pytest.raises(ExecutionError):
            best_route(pair(*pools), amount, ONE_LEG)
        return
    route = best_route(pair(*pools), amount, ONE_LEG)
    assert (route.amount_in, route.amount_out, len(route.legs)) == (amount, max(paid), 1)


def test_of_equal_pools_every_worker_takes_the_same_whatever_order_they_come_in() -> None:
    pools = [pool(number) for number in (1, 2, 3)]
    for order in (pools, pools[::-1], [pools[1], pools[2], pools[0]]):
        routes = best_route(pair(*order), 10**6, UNLIMITED)
        assert [leg.pool.address for leg in best_route(pair(*order), 1_000, ONE_LEG).legs] == [address(1)]
        assert [leg.pool.address for leg in routes.legs] == [address(1), address(2), address(3)]


REFUSALS: list[ExecutionError] = [
    VenueUnavailable("closed"),
    InsufficientLiquidity("too much"),
    AmountTooSmall("dust"),
]


@pytest.mark.parametrize("most_telling", range(3))
def test_where_none_quotes_the_most_telling_reason_is_given(most_telling: int) -> None:
    """What may pass comes first: an order must not be given up while one of its pools may open again."""
    refusals = REFUSALS[most_telling:]
    pools = [pool(number, refusal=refusal) for number, refusal in enumerate(reversed(refusals), 1)]
    with pytest.raises(type(refusals[0])) as refused:
        best_route(pair(*pools), 1_000, UNLIMITED)
    assert refused.value is refusals[0]


@pytest.mark.parametrize(
    ("closed_at", "first_pays"), [("direct", False), ("direct", True), ("first", False), ("second", True)]
)
def test_the_most_telling_reason_is_looked_for_among_all_pools_of_all_ways(closed_at: str, first_pays: bool) -> None:
    refusals: dict[str, ExecutionError] = dict.fromkeys(("direct", "first", "second"), AmountTooSmall("dust"))
    refusals[closed_at] = closed = VenueUnavailable("closed")
    if first_pays:
        del refusals["first"]
    bridge = Bridge(
        C,
        (ModelPool(address(10), (A, C), (10**9, 10**9), refusal=refusals.get("first")),),
        (ModelPool(address(11), (C, B), (10**9, 10**9), refusal=refusals["second"]),),
    )
    with pytest.raises(VenueUnavailable) as refused:
        best_route(pair(pool(1, refusal=refusals["direct"]), bridges=(bridge,)), 1_000, UNLIMITED)
    assert refused.value is closed


def over_each(*hops: tuple[Sequence[ModelPool], Sequence[ModelPool]]) -> tuple[Bridge, ...]:
    """Ways over tokens of their own."""
    return tuple(
        Bridge(address(20 + number), tuple(first), tuple(second)) for number, (first, second) in enumerate(hops)
    )


def hop_pool(number: int, mints: tuple[Pubkey, Pubkey], **changes: object) -> ModelPool:
    return ModelPool(address(number), mints, (10**9, 10**9), **changes)  # type: ignore[arg-type]


FIRST, SECOND = (A, address(20)), (address(20), B)
OTHER_FIRST, OTHER_SECOND = (A, address(21)), (address(21), B)


def test_no_reason_is_lost_behind_those_of_the_next_pools() -> None:
    closed, dust = VenueUnavailable("closed"), AmountTooSmall("dust")
    too_small = hop_pool(11, SECOND, refusal=dust), hop_pool(12, OTHER_FIRST, refusal=dust)
    shut = hop_pool(10, FIRST, refusal=closed)
    for hops in (
        (([shut, hop_pool(13, FIRST)], [too_small[0]]),),
        (([shut], [too_small[0]]), ([too_small[1]], [hop_pool(14, OTHER_SECOND)])),
    ):
        with pytest.raises(VenueUnavailable) as refused:
            best_route(pair(bridges=over_each(*hops)), 1_000, UNLIMITED)
        assert refused.value is closed


def test_a_second_hop_to_which_nothing_comes_is_not_asked() -> None:
    refused_first = InsufficientLiquidity("too much")
    unread = hop_pool(11, SECOND, near=0, missing=(address(7),))
    ways = over_each(([hop_pool(10, FIRST, refusal=refused_first)], [unread]))
    with pytest.raises(InsufficientLiquidity) as refused:
        best_route(pair(bridges=ways), 1_000, UNLIMITED)
    assert refused.value is refused_first


def test_the_accounts_that_all_ways_over_a_third_token_lack_are_named_together() -> None:
    ways = over_each(
        (
            [
                hop_pool(10, FIRST, near=999, missing=(address(6),)),
                hop_pool(11, FIRST, near=999, missing=(address(7),)),
            ],
            [],
        ),
        ([hop_pool(12, OTHER_FIRST)], [hop_pool(13, OTHER_SECOND, near=998, missing=(address(8),))]),
    )
    with pytest.raises(AccountsMissing) as missing:
        best_route(pair(bridges=ways), 1_000, UNLIMITED)
    assert missing.value.addresses == tuple(str(address(number)) for number in (6, 7, 8))


@pytest.mark.parametrize("long", [0, 1])
def test_a_hop_that_takes_more_of_a_transaction_than_a_leg_may_says_so(long: int) -> None:
    first, second = (
        [hop_pool(10 + number, mints, remaining=5 if number == long else 0)]
        for number, mints in enumerate((FIRST, SECOND))
    )
    four = RouteLimits(4, 0, lambda route: True, LegLimits(remaining_accounts=4))
    with pytest.raises(InsufficientLiquidity, match="names 5 accounts besides its fixed ones"):
        best_route(pair(bridges=over_each((first, second))), 1_000, four)


def test_where_no_leg_may_be_there_is_no_route() -> None:
    with pytest.raises(InsufficientLiquidity, match="one transaction can carry"):
        best_route(pair(pool(1)), 1_000, RouteLimits(max_legs=0, leg_cost=0, fits=lambda route: True))


def test_with_no_pool_at_all_there_is_none() -> None:
    with pytest.raises(NoPool):
        best_route(pair(), 1_000, UNLIMITED)


# --- several pools ------------------------------------------------------------------------------------------------


@given(
    amount=st.integers(1, 40),
    reserves=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 200)), min_size=1, max_size=3),
    leg_cost=st.integers(0, 3),
)
@settings(deadline=None)
def test_no_division_of_a_small_amount_pays_more_than_the_route_after_its_legs_are_paid_for(
    amount: int, reserves: list[tuple[int, int]], leg_cost: int
) -> None:
    pools = [pool(number, both) for number, both in enumerate(reserves, 1)]
    limits = RouteLimits(max_legs=3, leg_cost=leg_cost, fits=lambda route: True)
    worths = []
    for parts in product(range(amount + 1), repeat=len(pools)):
        used = [(one, part) for one, part in zip(pools, parts, strict=True) if part]
        if sum(parts) == amount:
            offers = [offer for one, part in used for offer in ask_pools([one], A, part, CLOCK)]
            if all(offer.quote is not None for offer in offers):
                paid = sum(offer.quote.amount_out for offer in offers if offer.quote)
                worths.append(paid - leg_cost * (len(used) - 1))
    if not worths:
        with pytest.raises(ExecutionError):
            best_route(pair(*pools), amount, limits)
        return
    route = best_route(pair(*pools), amount, limits)
    assert route.amount_in == amount
    assert route.amount_out - leg_cost * (len(route.legs) - 1) == max(worths)


@given(
    amount=st.integers(1_025, 10**9),
    reserves=st.lists(st.tuples(st.integers(10**3, 10**10), st.integers(10**3, 10**10)), min_size=2, max_size=2),
)
@settings(deadline=None, max_examples=50)
def test_no_division_on_a_fine_grid_pays_more_than_the_route_but_by_the_legs_own_rounding(
    amount: int, reserves: list[tuple[int, int]]
) -> None:
    pools = [pool(number, both) for number, both in enumerate(reserves, 1)]
    grid = []
    for step in range(201):
        parts = (amount * step // 200, amount - amount * step // 200)
        offers = [
            offer for one, part in zip(pools, parts, strict=True) if part for offer in ask_pools([one], A, part, CLOCK)
        ]
        if all(offer.quote is not None for offer in offers):
            grid.append(sum(offer.quote.amount_out for offer in offers if offer.quote) - (len(offers) - 1))
    if grid:
        route = best_route(pair(*pools), amount, UNLIMITED)
        assert route.amount_out - (len(route.legs) - 1) >= max(grid) - len(pools)


ROUTES = st.builds(
    lambda amount, reserves: best_route(
        pair(*(pool(number, both) for number, both in enumerate(reserves, 1))), amount, UNLIMITED
    ),
    st.integers(10**3, 10**6),
    st.lists(st.tuples(st.integers(10**6, 10**8), st.integers(10**6, 10**8)), min_size=1, max_size=4),
)


@given(route=ROUTES)
@settings(deadline=None, max_examples=50)
def test_the_legs_shares_are_a_whole_and_each_is_near_its_part_of_the_input(route: Route) -> None:
    assert sum(leg.share_ppm for leg in route.legs) == PPM
    for leg in route.legs:
        assert abs(Fraction(leg.share_ppm, PPM) - Fraction(leg.quote.amount_in, route.amount_in)) <= Fraction(1, PPM)


@given(route=ROUTES, slippage_ppm=st.integers(0, 500_000))
@settings(deadline=None, max_examples=50)
def test_the_legs_floors_together_are_just_the_orders_floor_and_none_asks_for_more_than_was_quoted(
    route: Route, slippage_ppm: int
) -> None:
    min_out = floor_of(route.amount_out, slippage_ppm)
    floors = route.floors(min_out)
    # a leg that would have none asks for a unit all the same
    assert min_out <= sum(floors) <= min_out + sum(floor == 1 for floor in floors)
    for floor, leg in zip(floors, route.legs, strict=True):
        assert 1 <= floor <= leg.quote.amount_out


def test_what_rounding_up_asks_of_the_first_legs_is_not_asked_of_the_last() -> None:
    thirds = [RouteLeg(each, quote_pool(each, A, 10**6, CLOCK), PPM // 3) for each in (pool(1), pool(2), pool(3))]
    route = Route((Hop(tuple(thirds)),))
    assert route.floors(100) == (34, 34, 32)
    assert route.floors(1) == (1, 1, 1)


def test_a_way_over_a_third_token_is_taken_only_where_it_pays_more() -> None:
    over_c = Bridge(
        C,
        (ModelPool(address(10), (A, C), (10**9, 10**9)),),
        (ModelPool(address(11), (C, B), (10**9, 10**9)),),
    )
    poor, rich = pool(1, (10**9, 10**8)), pool(1, (10**9, 10**9))
    for direct, addresses in ((poor, [10, 11]), (rich, [1])):
        route = best_route(pair(direct, bridges=(over_c,)), 10**6, UNLIMITED)
        assert [leg.pool.address for leg in route.legs] == [address(number) for number in addresses]
    two_hops = best_route(pair(bridges=(over_c,)), 10**6, UNLIMITED)
    first, second = two_hops.legs
    assert second.quote.amount_in == first.quote.amount_out
    assert two_hops.floors(1) == (first.quote.amount_out, 1)


def test_two_hops_are_two_legs() -> None:
    over_c = Bridge(
        C,
        (ModelPool(address(10), (A, C), (10**9, 10**9)),),
        (ModelPool(address(11), (C, B), (10**9, 10**9)),),
    )
    two = RouteLimits(max_legs=2, leg_cost=0, fits=lambda route: True)
    assert len(best_route(pair(bridges=(over_c,)), 1_000, two).legs) == 2
    with pytest.raises(InsufficientLiquidity, match="one transaction can carry"):
        best_route(pair(bridges=(over_c,)), 1_000, ONE_LEG)


def test_the_best_of_each_way_is_told_and_the_best_of_all_first() -> None:
    def over_c(worth: int) -> Bridge:
        first = ModelPool(address(10), (A, C), (10**9, 10**9 * worth // 10))
        return Bridge(C, (first,), (ModelPool(address(11), (C, B), (10**9, 10**9)),))

    for worth, ways in ((9, [[1], [10, 11]]), (15, [[10, 11], [1]])):
        routes = best_routes(pair(pool(1), bridges=(over_c(worth),)), 10**6, UNLIMITED)
        assert [[leg.pool.address for leg in route.legs] for route in routes] == [
            [address(number) for number in way] for way in ways
        ]


def test_a_route_is_worth_what_it_pays_less_what_its_legs_but_one_cost() -> None:
    for pools in ((pool(1),), (pool(1), pool(2)), (pool(1), pool(2), pool(3))):
        route = best_route(pair(*pools), 10**8, UNLIMITED)
        assert len(route.legs) == len(pools)
        assert RouteLimits(4, 7, lambda route: True).worth(route) == route.amount_out - 7 * (len(pools) - 1)


def test_a_route_may_take_all_the_compute_units_that_swaps_may_take_together_and_no_unit_more() -> None:
    half = MAX_SWAP_COMPUTE_UNITS // 2
    for second, legs in ((half, 2), (half + 1, 1)):
        pools = pair(pool(1, compute_units=half), pool(2, compute_units=second))
        assert len(best_route(pools, 10**8, UNLIMITED).legs) == legs


def test_a_pool_that_takes_all_the_compute_units_and_still_does_not_fit_is_given_up() -> None:
    largest = pair(pool(1, compute_units=MAX_SWAP_COMPUTE_UNITS, remaining=1))
    with pytest.raises(InsufficientLiquidity, match="one transaction can carry"):
        best_route(largest, 1_000, RouteLimits(max_legs=4, leg_cost=0, fits=lambda route: False))


def test_where_no_transaction_can_carry_a_single_account_more_those_pools_serve_that_name_none() -> None:
    pools = pair(pool(1, remaining=1), pool(2), pool(3, remaining=2))
    bare = RouteLimits(4, 0, lambda route: not any(leg.quote.remaining_accounts for leg in route.legs))
    assert [leg.pool.address for leg in best_route(pools, 10**8, bare).legs] == [address(2)]


def test_a_route_that_no_transaction_can_carry_is_passed_over_for_one_that_it_can() -> None:
    pools = pair(pool(1), pool(2), pool(3))
    narrow = RouteLimits(max_legs=4, leg_cost=0, fits=lambda route: len(route.legs) <= 2)
    assert len(best_route(pools, 10**8, narrow).legs) == 2
    with pytest.raises(ExecutionError):
        best_route(pools, 10**8, RouteLimits(max_legs=4, leg_cost=0, fits=lambda route: False))
