"""Which pools the market looks at for a pair, what values the order, and which of them may be unreadable."""

from __future__ import annotations

import pytest
from solders.pubkey import Pubkey

from chalicelib.orders.order import Token
from chalicelib.orders.route_legs import order_offers
from chalicelib.problems import InsufficientLiquidity, NoPool, VenueUnavailable
from chalicelib.routing.market import USDC_MINT
from chalicelib.solana.accounts import AccountMap
from chalicelib.solana.tokens import NATIVE_MINT as SOL
from tests.unit.model_market import REFERENCE, ModelChain, ModelPool, ModelVenue, account, address, market_of

A, B, C = (address(number) for number in (1, 2, 3))
DEEP = (10**12, 10**12)


@pytest.fixture
def chain() -> ModelChain:
    return ModelChain()


# --- ways over a third token --------------------------------------------------------------------------------------


def test_sol_itself_is_traded_over_usdc_too(chain: ModelChain) -> None:
    chain.add_pool(1, (SOL, USDC_MINT), DEEP)
    chain.add_pool(2, (USDC_MINT, B), DEEP)
    route = market_of(chain).price(SOL, B, 10_000, leg_lamports=0).route
    assert [leg.pool.address for leg in route.legs] == [address(100), address(200)]


def test_a_third_token_is_a_way_only_where_pools_lead_to_it_and_on(chain: ModelChain) -> None:
    chain.add_pool(1, (A, B), DEEP)
    chain.add_pool(2, (A, SOL), DEEP)
    chain.add_pool(3, (USDC_MINT, B), DEEP)
    pools = market_of(chain).price(A, B, 10_000, leg_lamports=0).pools
    assert (pools.mint_in, pools.mint_out, pools.bridges) == (A, B, ())
    with pytest.raises(NoPool):
        market_of(chain).price(A, C, 10_000, leg_lamports=0)


def test_a_token_is_not_traded_for_itself_whatever_is_registered(chain: ModelChain) -> None:
    chain.add_pool(1, (A, A), DEEP)
    with pytest.raises(NoPool):
        market_of(chain).price(A, A, 10_000, leg_lamports=0)


def test_the_best_of_each_other_way_comes_after_the_best_of_all(chain: ModelChain) -> None:
    for number, mints in enumerate([(A, B), (A, SOL), (SOL, B), (A, USDC_MINT), (USDC_MINT, B)], 1):
        chain.add_pool(number, mints, (10**12, number * 10**12))
    priced = market_of(chain).price(A, B, 10_000, leg_lamports=0)
    ways = [[leg.pool.address for leg in route.legs] for route in (priced.route, *priced.other_routes)]
    assert ways == [[address(400), address(500)], [address(200), address(300)], [address(100)]]


@pytest.mark.parametrize("never_content", [200, 300])
def test_a_way_over_a_third_token_that_never_has_enough_accounts_is_more_than_it_can_take(
    chain: ModelChain, never_content: int
) -> None:
    chain.add_pool(2, (A, SOL), DEEP)
    chain.add_pool(3, (SOL, B), DEEP)

    class OneNeverContent(ModelVenue):
        def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
            asks = pool == address(never_content)
            self.near, self.far = (0, (address(7_000 + len(accounts)),)) if asks else (2**64, ())
            return super().decode(pool, accounts)

    with pytest.raises(InsufficientLiquidity):
        market_of(chain, OneNeverContent()).price(A, B, 1_000, leg_lamports=0)


# --- pools that can't be read -------------------------------------------------------------------------------------


def test_an_account_of_another_program_in_a_pools_place_is_passed_over_for_another_pool(chain: ModelChain) -> None:
    for number in (1, 2):
        chain.add_pool(number, (A, B), DEEP)
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    chain.accounts[address(100)] = account(bytes(96), owner=address(5))
    priced = market.price(A, B, 1_000, leg_lamports=0)
    assert [leg.pool.address for leg in priced.route.legs] == [address(200)]
    (left_out,) = priced.unreadable
    assert (left_out.program, left_out.dex, left_out.address) == ("model-program", "model", address(100))
    assert left_out.refusal.code == "VENUE_UNAVAILABLE"


def test_what_a_pool_that_takes_no_part_is_refused_for_is_told_after_what_the_others_offer(chain: ModelChain) -> None:
    for number in (1, 2, 3):
        chain.add_pool(number, (A, B), DEEP)
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    chain.accounts[address(100)] = account(bytes(96), owner=address(5))
    priced = market.price(A, B, 1_000, leg_lamports=0)
    *offers, refused = order_offers(priced, Token("A", str(A), 6))
    assert [offer.pool for offer in offers] == [str(address(200)), str(address(300))]
    assert all(offer.amount_out and offer.error is None for offer in offers)
    assert (refused.pool, refused.amount_out) == (str(address(100)), None)
    assert (refused.error, refused.error_code) == (str(priced.unreadable[0].refusal), "VENUE_UNAVAILABLE")


@pytest.mark.parametrize("broken", [2, 3])
def test_a_pool_of_a_way_over_a_third_token_that_cannot_be_decoded_is_passed_over_or_its_error_told(
    chain: ModelChain, broken: int
) -> None:
    chain.add_pool(2, (A, SOL), DEEP)
    chain.add_pool(3, (SOL, B), DEEP)
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    del chain.accounts[address(100 * broken + 1)]
    with pytest.raises(VenueUnavailable, match="has no vault"):
        market.price(A, B, 1_000, leg_lamports=0)
    chain.add_pool(1, (A, B), DEEP)
    chain.now_ms += 30_001
    assert market.price(A, B, 1_000, leg_lamports=0).route.legs[0].pool.address == address(100)


# --- what values the order ----------------------------------------------------------------------------------------


def test_an_order_is_valued_by_the_pools_between_its_token_and_the_reference_currency(chain: ModelChain) -> None:
    for number, mints in enumerate([(A, B), (A, REFERENCE), (A, SOL), (SOL, REFERENCE)], 1):
        chain.add_pool(number, mints, DEEP)
    worth = market_of(chain).price(A, B, 1_000, leg_lamports=0).worth
    assert worth is not None
    assert [(mint, [pool.address for pool in pools]) for mint, pools in worth.hops] == [(A, [address(200)])]
    assert worth.mint == A


def test_an_order_is_valued_by_what_it_buys_where_nothing_leads_from_what_it_sells(chain: ModelChain) -> None:
    chain.add_pool(1, (A, B), DEEP)
    chain.add_pool(2, (B, REFERENCE), DEEP)
    worth = market_of(chain).price(A, B, 1_000, leg_lamports=0).worth
    assert worth is not None
    assert (worth.mint, [mint for mint, _ in worth.hops]) == (B, [B])


@pytest.mark.parametrize("mints", [(A, SOL), (SOL, REFERENCE)])
def test_half_a_way_to_the_reference_currency_values_nothing(chain: ModelChain, mints: tuple[Pubkey, Pubkey]) -> None:
    chain.add_pool(1, (A, B), DEEP)
    chain.add_pool(2, mints, DEEP)
    assert market_of(chain).price(A, B, 1_000, leg_lamports=0).worth is None


def test_a_pool_that_trades_and_values_is_one_and_decoded_once(chain: ModelChain) -> None:
    """The very same, so that a quote of one is no second walk through the other's bins."""
    for number, mints in enumerate([(A, SOL), (SOL, REFERENCE), (A, REFERENCE)], 1):
        chain.add_pool(number, mints, DEEP)
    direct = market_of(chain).price(A, REFERENCE, 1_000, leg_lamports=0)
    assert direct.worth is not None
    assert direct.worth.hops[0][1][0] is direct.pools.direct[0]

    chain = ModelChain()
    for number, mints in enumerate([(A, SOL), (SOL, B), (SOL, REFERENCE)], 1):
        chain.add_pool(number, mints, DEEP)
    bridged = market_of(chain).price(A, B, 1_000, leg_lamports=0)
    assert bridged.worth is not None
    assert bridged.worth.hops[0][1][0] is bridged.pools.bridges[0].first[0]


def test_a_valuing_pool_that_cannot_be_decoded_is_left_out_and_the_order_still_has_its_price(chain: ModelChain) -> None:
    chain.add_pool(1, (A, B), DEEP)
    chain.add_pool(2, (A, REFERENCE), DEEP)
    chain.add_pool(3, (A, REFERENCE), DEEP)
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    del chain.accounts[address(201)]
    priced = market.price(A, B, 1_000, leg_lamports=0)
    assert priced.worth is not None
    assert [pool.address for pool in priced.worth.hops[0][1]] == [address(300)]
    assert priced.route.amount_out == 999
