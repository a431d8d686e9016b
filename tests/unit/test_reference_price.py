"""What an order is worth, and how far its price is from that of pools that it doesn't use, exactly."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import VenueUnavailable
from chalicelib.risk.limits import Exposure, PoolDeviation
from chalicelib.risk.reference_price import exposure_of, lamport_value_of, price_deviation, value_of
from chalicelib.routing.depth import depth_of
from chalicelib.routing.market import Market, PricedPair, Worth
from chalicelib.routing.quote import ask_pools
from chalicelib.routing.router import Bridge, PairPools, RouteLimits
from chalicelib.solana.tokens import NATIVE_MINT as SOL
from chalicelib.venues.venue import Pool
from tests.unit.model_market import CLOCK, ModelChain, ModelPool, ModelVenue, address, best_route
from tests.unit.routing_pools import JUP, USDC, cpmm

# A busy machine takes its time.
UNTIMED = settings(deadline=None)
A, B, REFERENCE = address(1), address(2), address(3)


def pool(number: int, mints: tuple[Pubkey, Pubkey], reserves: tuple[int, int], **more: object) -> ModelPool:
    return ModelPool(address(100 + number), mints, reserves, **more)  # type: ignore[arg-type]


def priced(
    direct: tuple[Pool, ...],
    amount: int,
    bridges: tuple[Bridge, ...] = (),
    worth: Worth | None = None,
    max_legs: int = 1,
) -> PricedPair:
    pools = PairPools(A, B, direct, bridges, CLOCK)
    route = best_route(pools, amount, RouteLimits(max_legs, 1, lambda route: True))
    return PricedPair(1, 0, 0, ask_pools(direct, A, amount, CLOCK), route, pools, worth)


def deviation(direct: tuple[Pool, ...], amount: int = 1_000, bridges: tuple[Bridge, ...] = ()) -> Fraction | None:
    one = priced(direct, amount, bridges)
    return price_deviation(one.route, one.pools)


DEEP = 10**12
FAIR = pool(1, (A, B), (DEEP, DEEP))


class Unpriced(ModelPool):
    """Its price can't be told."""

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        raise VenueUnavailable("its price can't be told")


class Worthless(ModelPool):
    """Its price is nothing."""

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        return Fraction(0)


@given(st.integers(10**11, 10**14))
@UNTIMED
def test_a_pool_is_held_to_the_price_of_the_pairs_other_pool(reserve: int) -> None:
    moved = pool(2, (A, B), (DEEP, reserve))
    expected = max(Fraction(reserve, DEEP), Fraction(DEEP, reserve)) - 1
    assert deviation((FAIR, moved)) == expected


def test_a_price_is_as_far_off_when_it_is_too_good_as_when_it_is_too_bad() -> None:
    too_good = pool(2, (A, B), (DEEP, 2 * DEEP))
    assert deviation((FAIR, too_good)) == 1
    # the fair pool is too shallow for the order, and the bad one takes it
    shallow, bad = replace(FAIR, reserves=(DEEP // 4, DEEP // 4)), pool(2, (A, B), (DEEP, DEEP // 2))
    assert deviation((shallow, bad), 26 * DEEP // 10) == 1


def test_one_pool_that_was_moved_does_not_move_the_reference_of_the_others() -> None:
    others = (pool(2, (A, B), (DEEP, DEEP)), pool(3, (A, B), (DEEP, DEEP)), pool(4, (A, B), (DEEP, DEEP // 100)))
    best = pool(5, (A, B), (10 * DEEP, 10 * DEEP * 101 // 100))
    assert deviation((*others, best)) == Fraction(1, 100)


def test_neither_an_orders_own_size_nor_fees_are_taken_for_a_moved_market() -> None:
    twins = (cpmm((JUP, USDC), (10**10, 10**10)), cpmm((JUP, USDC), (10**10, 10**10), config_index=1))
    pools = PairPools(JUP.address, USDC.address, twins, (), CLOCK)
    route = best_route(pools, 10**9, RouteLimits(1, 1, lambda route: True))
    assert route.amount_out < route.ideal_out * Fraction(95, 100)
    assert price_deviation(route, pools) == 0


def deviation_with_uncounted(*uncounted: ModelPool, counted: tuple[Pool, ...], amount: int = 1_000) -> Fraction | None:
    pools = PairPools(A, B, (*counted, *uncounted), (), CLOCK, frozenset(one.address for one in uncounted))
    return price_deviation(best_route(pools, amount, RouteLimits(1, 1, lambda route: True)), pools)


def test_a_pool_that_no_operator_added_is_held_to_the_others_and_says_nothing_of_their_price() -> None:
    deep = pool(2, (A, B), (1_000 * DEEP, 2_000 * DEEP))
    assert deviation_with_uncounted(deep, counted=(FAIR,)) == 1, "however deep it is"
    shallow = pool(3, (A, B), (DEEP, DEEP // 2))
    assert deviation_with_uncounted(shallow, counted=(FAIR,)) is None, "it vouches for no other"


def test_a_pool_that_no_operator_added_trades_only_where_others_confirm_its_price() -> None:
    for amount in (50, 1_000):
        nobody = deviation_with_uncounted(pool(2, (A, B), (DEEP, DEEP)), counted=(), amount=amount)
        assert nobody is not None
        assert nobody > 1


@pytest.mark.parametrize(("price", "expected"), [(2, Fraction(0)), (5, Fraction(3, 2))])
def test_a_pool_that_no_operator_added_has_no_word_where_the_others_are_divided(price: int, expected: Fraction) -> None:
    """They say 1 and 3 with equal weight, that of the halves that both pay A into, and so 2."""
    bridges = tuple(
        Bridge(
            mint,
            (pool(number, (A, mint), (DEEP, DEEP)),),
            (pool(number + 1, (mint, B), (100 * DEEP, said * 100 * DEEP)),),
        )
        for number, mint, said in ((2, SOL, 1), (4, REFERENCE, 3))
    )
    own = pool(6, (A, B), (DEEP, price * DEEP))
    pools = PairPools(A, B, (own,), bridges, CLOCK, frozenset({own.address}))
    assert price_deviation(best_route(pools, 1_000, RouteLimits(1, 1, lambda route: True)), pools) == expected


@pytest.mark.parametrize(
    "other",
    [
        pool(2, (A, B), (DEEP, 5 * DEEP), refusal=VenueUnavailable("closed")),
        pool(2, (A, B), (1, 5)),  # as good as empty, at an absurd price
        Unpriced(address(102), (A, B), (DEEP, DEEP), refusal=VenueUnavailable("closed")),
    ],
)
def test_a_pool_that_would_not_trade_vouches_for_nothing(other: ModelPool) -> None:
    assert deviation((FAIR, other), 10**6) is None
    fair = pool(3, (A, B), (DEEP, DEEP // 2))
    assert deviation((other, FAIR, fair), 10**6) == 1, "the others do"


def test_a_pool_is_judged_by_others_that_would_take_a_hundredth_of_the_order_and_by_no_shallower_ones() -> None:
    shallow = pool(2, (A, B), (DEEP // 4, DEEP // 8))
    enough = 100 * depth_of(shallow, A, shallow.mid_price(A), CLOCK)
    assert deviation((FAIR, shallow), enough) == 1
    assert deviation((FAIR, shallow), enough + 1) is None


def test_a_pool_is_judged_by_others_that_are_a_fifth_as_deep_and_by_no_thinner_ones() -> None:
    """Over a third token that is had at five for one, and paid into a pool like the judged one or a little thinner."""
    for reserve, expected in ((DEEP, 4), (DEEP * 49 // 50, None)):
        bridge = Bridge(SOL, (pool(2, (A, SOL), (DEEP, 5 * DEEP)),), (pool(3, (SOL, B), (reserve, reserve)),))
        assert deviation((FAIR,), bridges=(bridge,)) == expected


def test_a_pairs_only_pool_is_held_to_the_price_over_a_third_token() -> None:
    bridge = Bridge(SOL, (pool(2, (A, SOL), (DEEP, 2 * DEEP)),), (pool(3, (SOL, B), (DEEP, DEEP // 4)),))
    assert deviation((FAIR,), bridges=(bridge,)) == 1
    assert deviation((FAIR,)) is None


def test_a_third_token_that_cannot_be_had_or_sold_vouches_for_no_price_and_another_may() -> None:
    closed = VenueUnavailable("closed")
    to_sol, from_sol = pool(2, (A, SOL), (DEEP, 2 * DEEP)), pool(3, (SOL, B), (DEEP, DEEP // 4))
    other = Bridge(REFERENCE, (pool(4, (A, REFERENCE), (DEEP, DEEP)),), (pool(5, (REFERENCE, B), (DEEP, DEEP // 4)),))
    # what the order's hundredth comes to in the third token is too much for the second pool
    shallow = replace(from_sol, reserves=(10_000, 2_500))
    for useless in (
        Bridge(SOL, (replace(to_sol, refusal=closed),), (from_sol,)),
        Bridge(SOL, (to_sol,), (replace(from_sol, refusal=closed),)),
        Bridge(SOL, (to_sol,), (shallow,)),
        Bridge(SOL, (Worthless(to_sol.address, to_sol.mints, to_sol.reserves),), (from_sol,)),
    ):
        assert deviation((FAIR,), 10**7, bridges=(useless,)) is None
        assert deviation((FAIR,), 10**7, bridges=(useless, other)) == 3


def test_a_route_over_a_third_token_is_held_to_the_pairs_own_pools() -> None:
    """At the third token's pools there is nobody else to ask."""
    dear = pool(4, (A, B), (DEEP, DEEP // 4))
    bridge = Bridge(SOL, (pool(2, (A, SOL), (DEEP, DEEP)),), (pool(3, (SOL, B), (DEEP, DEEP)),))
    one = priced((dear,), 1_000, (bridge,), max_legs=2)
    assert len(one.route.hops) == 2
    assert price_deviation(one.route, one.pools) == 3


def test_a_route_over_a_third_token_is_as_deep_as_its_thinner_hop_in_what_is_paid() -> None:
    """The second hop's depth is in the third token, of which five are one of what is paid."""
    bridge = Bridge(SOL, (pool(2, (A, SOL), (25 * DEEP, 125 * DEEP)),), (pool(3, (SOL, B), (5 * DEEP, 5 * DEEP // 4)),))
    one = priced((pool(4, (A, B), (DEEP // 4, DEEP // 8)),), 1_000, (bridge,), max_legs=2)
    assert len(one.route.hops) == 2
    assert price_deviation(one.route, one.pools) == Fraction(3, 2)


def test_a_route_over_a_third_token_is_held_to_the_price_over_another_where_the_pair_has_no_pools() -> None:
    over_sol = Bridge(SOL, (pool(2, (A, SOL), (DEEP, DEEP)),), (pool(3, (SOL, B), (DEEP, DEEP)),))
    other = Bridge(REFERENCE, (pool(4, (A, REFERENCE), (DEEP, DEEP)),), (pool(5, (REFERENCE, B), (DEEP, DEEP // 4)),))
    one = priced((), 1_000, (over_sol, other), max_legs=2)
    assert one.route.hops[1].legs[0].quote.mint_in == SOL
    assert price_deviation(one.route, one.pools) == 3
    alone = priced((), 1_000, (over_sol,), max_legs=2)
    assert price_deviation(alone.route, alone.pools) is None


def test_each_hop_over_a_third_token_is_held_to_the_other_pools_of_that_hop() -> None:
    first = (pool(2, (A, SOL), (DEEP, DEEP)), pool(5, (A, SOL), (DEEP, DEEP * 9 // 10)))
    second = (pool(3, (SOL, B), (DEEP, DEEP)), pool(6, (SOL, B), (DEEP, DEEP * 4 // 5)))
    one = priced((), 1_000, (Bridge(SOL, first, second),), max_legs=2)
    assert price_deviation(one.route, one.pools) == Fraction(1, 4)


# --- value --------------------------------------------------------------------------------------------------------


def worth(*hops: tuple[Pubkey, tuple[Pool, ...]], mint: Pubkey = A) -> Worth:
    return Worth(mint, hops)


def test_what_is_paid_in_the_reference_currency_is_worth_just_that() -> None:
    assert value_of(priced((FAIR,), 123_457, worth=worth())) == 123_457


def test_what_is_bought_in_the_reference_currency_is_worth_what_comes_where_only_that_can_be_told() -> None:
    one = priced((FAIR,), 10**9, worth=worth(mint=B))
    assert value_of(one) == one.route.amount_out


@given(amount=st.integers(1, 10**9), reserve_in=st.integers(10**11, 10**13), reserve_out=st.integers(10**11, 10**13))
@UNTIMED
def test_a_value_is_the_amount_at_the_pools_price_rounded_up(amount: int, reserve_in: int, reserve_out: int) -> None:
    valuing = pool(7, (A, REFERENCE), (reserve_in, reserve_out))
    value = value_of(priced((FAIR,), amount, worth=worth((A, (valuing,))))) if amount > 1 else 0
    if amount > 1:
        assert value == -(-amount * reserve_out // reserve_in)


def test_a_value_may_go_over_sol() -> None:
    hops = (A, (pool(7, (A, SOL), (DEEP, 3 * DEEP)),)), (SOL, (pool(8, (SOL, REFERENCE), (DEEP, 2 * DEEP)),))
    assert value_of(priced((FAIR,), 1_000, worth=worth(*hops))) == 6_000


def test_one_pool_that_was_moved_down_does_not_make_an_order_smaller() -> None:
    fair, moved = pool(7, (A, REFERENCE), (DEEP, DEEP)), pool(8, (A, REFERENCE), (DEEP, DEEP // 50))
    assert value_of(priced((FAIR,), 1_000, worth=worth((A, (fair, moved))))) == 1_000


def test_an_order_has_no_value_where_no_pool_would_trade_for_it() -> None:
    closed = pool(7, (A, REFERENCE), (DEEP, DEEP), refusal=VenueUnavailable("closed"))
    assert value_of(priced((FAIR,), 1_000, worth=worth((A, (closed,))))) is None
    opened = pool(8, (A, REFERENCE), (DEEP, 2 * DEEP))
    assert value_of(priced((FAIR,), 1_000, worth=worth((A, (closed, opened))))) == 2_000
    assert value_of(priced((FAIR,), 1_000)) is None


@pytest.mark.parametrize("useless", [Unpriced, Worthless])
def test_a_pool_without_a_price_does_not_count_towards_a_value(useless: type[ModelPool]) -> None:
    unpriced = [useless(address(number), (A, REFERENCE), (DEEP, DEEP)) for number in (7, 8)]
    good = pool(9, (A, REFERENCE), (DEEP, DEEP))
    assert value_of(priced((FAIR,), 1_000, worth=worth((A, (*unpriced, good))))) == 1_000


def test_a_value_asks_no_more_of_a_pool_than_to_take_a_hundredth_or_one_unit() -> None:
    more_than_a_unit_is_far = pool(7, (A, REFERENCE), (DEEP, DEEP), near=1, missing=(address(70),))
    for amount, value in ((199, 199), (200, None)):
        assert value_of(priced((FAIR,), amount, worth=worth((A, (more_than_a_unit_is_far,))))) == value
    assert value_of(priced((FAIR,), 2, worth=worth((A, (more_than_a_unit_is_far,))))) == 2


def test_an_exposure_is_what_it_is_worth_what_is_not_paid_and_how_far_the_price_is_off() -> None:
    def judged(ppm: int | None) -> tuple[PoolDeviation, ...]:
        return (PoolDeviation(str(FAIR.address), ppm),)

    assert exposure_of(priced((FAIR,), 10**10, worth=worth())) == Exposure(10**10, 9_901, None, judged(None))
    other = pool(2, (A, B), (DEEP, DEEP // 2))
    assert exposure_of(priced((FAIR, other), 10**10)) == Exposure(None, 9_901, 1_000_000, judged(1_000_000))


def test_an_exposure_is_rounded_up_so_that_a_limit_is_never_passed_by_a_fraction() -> None:
    moved = pool(2, (A, B), (DEEP, DEEP + 1))
    assert exposure_of(priced((FAIR, moved), 1_000, worth=worth())).deviation_ppm == 1


# --- what the market reads for it ---------------------------------------------------------------------------------


def market_of(chain: ModelChain) -> Market:
    return Market(chain, chain.registry(ModelVenue()), lambda: 0, REFERENCE)


def test_the_pools_that_value_an_order_are_read_with_those_that_trade_it() -> None:
    chain = ModelChain()
    chain.add_pool(1, (A, B), (DEEP, DEEP))
    chain.add_pool(2, (A, SOL), (DEEP, 3 * DEEP))
    chain.add_pool(3, (SOL, REFERENCE), (DEEP, 2 * DEEP))
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    chain.reads.clear()
    assert value_of(market.price(A, B, 1_000, leg_lamports=0)) == 6_000
    assert len(chain.reads) == 1


def test_an_order_between_tokens_that_lead_nowhere_has_no_value_and_still_a_price() -> None:
    chain = ModelChain()
    chain.add_pool(1, (A, B), (DEEP, DEEP))
    one = market_of(chain).price(A, B, 1_000, leg_lamports=0)
    assert (value_of(one), one.route.amount_out) == (None, 999)


# --- what the network's fees are worth ----------------------------------------------------------------------------


@pytest.mark.parametrize(("prices", "dearer"), [((1, 150, 149), 149), ((150, 149), 150)])
def test_a_lamport_is_worth_what_the_dearer_half_of_sols_pools_say(prices: tuple[int, ...], dearer: int) -> None:
    pools = tuple(pool(10 + number, (SOL, REFERENCE), (10**13, price * 10**10)) for number, price in enumerate(prices))
    worth = Worth(SOL, ((SOL, pools),))
    assert lamport_value_of(replace(priced((FAIR,), 1_000), sol_worth=worth)) == Fraction(dearer, 1_000)


def test_a_lamport_is_worth_what_it_comes_to_over_a_third_token() -> None:
    hops = (SOL, (pool(10, (SOL, A), (DEEP, 3 * DEEP)),)), (A, (pool(11, (A, REFERENCE), (DEEP, DEEP // 20)),))
    assert lamport_value_of(replace(priced((FAIR,), 1_000), sol_worth=Worth(SOL, hops))) == Fraction(3, 20)


@pytest.mark.parametrize(("most", "value"), [(10**7, Fraction(15, 100)), (10**7 - 1, None)])
def test_a_lamports_value_is_told_by_pools_that_take_a_hundredth_of_a_sol(most: int, value: Fraction | None) -> None:
    limited = pool(10, (SOL, REFERENCE), (10**13, 15 * 10**11), near=most, missing=(address(70),))
    worth = Worth(SOL, ((SOL, (limited,)),))
    assert lamport_value_of(replace(priced((FAIR,), 1_000), sol_worth=worth)) == value


@pytest.mark.parametrize("worth", [None, Worth(SOL, ((SOL, ()),))])
def test_where_no_pool_tells_what_sol_is_worth_nothing_is_said(worth: Worth | None) -> None:
    assert lamport_value_of(replace(priced((FAIR,), 1_000), sol_worth=worth)) is None


def test_the_value_of_fees_is_read_with_the_pair_though_its_own_tokens_have_nothing_to_do_with_sol() -> None:
    chain = ModelChain()
    chain.add_pool(1, (A, REFERENCE), (DEEP, DEEP))
    chain.add_pool(2, (SOL, REFERENCE), (10**13, 15 * 10**11))
    market = Market(chain, chain.registry(ModelVenue()), lambda: 0, REFERENCE)
    wallet = address(9)
    one = market.price(A, REFERENCE, 1_000, leg_lamports=0, besides=frozenset({wallet}))
    assert exposure_of(one).lamport_value == Fraction(15, 100)
    assert one.besides == {wallet: None}, "beside the pools' own accounts, in the same read"
    chain.reads.clear()
    market.price(A, REFERENCE, 1_000, leg_lamports=0, besides=frozenset({wallet}))
    assert len(chain.reads) == 1


def test_a_pool_that_no_operator_added_values_nothing_and_is_told_apart_where_it_trades() -> None:
    chain = ModelChain()
    for number, pair in enumerate(((A, REFERENCE), (A, REFERENCE), (A, B), (A, B)), start=1):
        chain.add_pool(number, pair, (DEEP, DEEP))
    for uncounted in (1, 3):
        chain.entries[uncounted] = replace(chain.entries[uncounted], counts=False)
    read = market_of(chain).price(A, B, 1_000, 0)
    assert read.worth is not None
    assert [[pool.address for pool in pools] for _, pools in read.worth.hops] == [[address(100)]]
    assert {pool.address for pool in read.pools.direct} == {address(300), address(400)}
    assert read.pools.uncounted == {address(400)}
