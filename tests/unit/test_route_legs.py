"""A route as an order remembers it: its legs, by the tokens that the client named and the pools' own between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from solders.pubkey import Pubkey

from chalicelib.orders.order import Leg, Offer, Token
from chalicelib.orders.route_legs import order_legs, order_offers, tokens_of
from chalicelib.problems import InsufficientLiquidity, VenueUnavailable
from chalicelib.routing.market import PricedPair
from chalicelib.routing.quote import PoolOffer, ask_pools
from chalicelib.routing.router import Bridge, PairPools, Route, RouteLimits
from chalicelib.solana.tokens import NATIVE_MINT
from tests.unit.model_market import CLOCK, ModelPool, address, best_route

A, B, C = (address(number) for number in (1, 2, 3))
SOLD, BOUGHT = Token("mine", str(A), 9), Token("yours", str(B), 5)
DEEP = (10**12, 10**12)


def over(mint: Pubkey) -> Route:
    bridge = Bridge(mint, (ModelPool(address(10), (A, mint), DEEP),), (ModelPool(address(11), (mint, B), DEEP),))
    return best_route(PairPools(A, B, (), (bridge,), CLOCK), 10_000, RouteLimits(2, 0, lambda route: True))


def test_a_split_is_remembered_pool_by_pool_with_what_each_takes_and_is_expected_to_pay() -> None:
    pools = tuple(ModelPool(address(number), (A, B), (10**6, 2 * 10**6)) for number in (10, 11))
    route = best_route(PairPools(A, B, pools, (), CLOCK), 200_000, RouteLimits(2, 0, lambda route: True))
    assert order_legs(route, SOLD, BOUGHT) == tuple(
        Leg(
            "model",
            str(pool.address),
            leg.share_ppm,
            SOLD,
            BOUGHT,
            leg.quote.amount_in,
            leg.quote.amount_out,
            "model-program",
            leg.quote.fee,
            SOLD,
        )
        for pool, leg in zip(pools, route.legs, strict=True)
    )


def test_a_token_between_two_hops_is_known_by_its_symbol_where_that_is_well_known_and_by_its_mint_where_not() -> None:
    for mint, text in ((NATIVE_MINT, "SOL"), (C, str(C))):
        between = Token(text, str(mint), 6)
        first, second = order_legs(over(mint), SOLD, BOUGHT)
        assert (first.token_in, first.token_out) == (SOLD, between)
        assert (second.token_in, second.token_out) == (between, BOUGHT)
        assert second.amount_in == first.expected_out


def test_the_orders_own_tokens_are_called_as_the_client_called_them() -> None:
    tokens = tokens_of(over(NATIVE_MINT), SOLD, replace(BOUGHT, text="SOL"))
    assert (tokens[A].text, tokens[B].text, tokens[NATIVE_MINT].text) == ("mine", "SOL", "SOL")
    assert len(tokens) == 3


def offered(offers: Sequence[PoolOffer]) -> tuple[Offer, ...]:
    """As an order that sells A remembers the offers."""
    route = over(NATIVE_MINT)
    pools = PairPools(A, B, (), (), CLOCK)
    return order_offers(PricedPair(1, 0, 0, tuple(offers), route, pools, worth=None), SOLD)


def asked(*pools: ModelPool) -> tuple[PoolOffer, ...]:
    return ask_pools(pools, A, 100_000, CLOCK)


def test_an_offer_is_remembered_with_what_it_pays_and_its_price_impact_in_millionths() -> None:
    (offer,) = offered(asked(ModelPool(address(10), (A, B), (10**6, 2 * 10**6))))
    # 100,000 into 1,000,000 bring 181,818 of the 200,000 that the mid price says
    assert offer == Offer(
        dex="model", program="model-program", pool=str(address(10)), amount_out=181_818, price_impact_ppm=90_910
    )
    (told,) = asked(ModelPool(address(10), (A, B), (10**6, 2 * 10**6)))
    (without_a_price,) = offered([replace(told, mid_price=None)])
    assert without_a_price.price_impact_ppm is None


def test_an_offers_fee_is_in_the_token_that_is_sold_or_in_the_one_that_is_bought() -> None:
    (told,) = asked(ModelPool(address(10), (A, B), DEEP))
    assert told.quote is not None
    for mint, of_token_in in ((A, True), (B, False)):
        (offer,) = offered([replace(told, quote=told.quote._replace(fee=7, fee_mint=mint))])
        assert (offer.fee, offer.fee_of_token_in) == (7, of_token_in)


def test_a_pool_that_offers_nothing_is_remembered_with_why() -> None:
    (offer,) = offered(asked(ModelPool(address(10), (A, B), DEEP, refusal=VenueUnavailable("closed today"))))
    assert offer == Offer(
        dex="model",
        program="model-program",
        pool=str(address(10)),
        error_code="VENUE_UNAVAILABLE",
        error="closed today",
    )


def test_offers_are_remembered_best_first_then_those_that_pay_nothing_and_of_equal_ones_by_address() -> None:
    closed = [
        ModelPool(address(number), (A, B), DEEP, refusal=InsufficientLiquidity("too much")) for number in (30, 10)
    ]
    poor, rich = ModelPool(address(20), (A, B), (10**6, 10)), ModelPool(address(25), (A, B), DEEP)
    least = ModelPool(address(40), (A, B), (10**5, 2))
    twin = replace(rich, address=address(15))
    told = offered(asked(closed[0], least, poor, rich, closed[1], twin))
    paying = [*sorted([rich.address, twin.address], key=str), least.address]
    refusing = sorted(map(address, (10, 20, 30)), key=str)
    assert [offer.pool for offer in told] == [str(each) for each in (*paying, *refusing)]
