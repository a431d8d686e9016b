"""A route as an order remembers it: its legs, by the tokens that the client named and the pools' own between."""

from __future__ import annotations

from dataclasses import replace

from solders.pubkey import Pubkey

from chalicelib.orders.order import Leg, Token
from chalicelib.orders.route_legs import order_legs, tokens_of
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
        Leg("model", str(pool.address), leg.share_ppm, SOLD, BOUGHT, leg.quote.amount_in, leg.quote.amount_out)
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
