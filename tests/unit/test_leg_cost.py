"""What one more leg costs, in the token that is bought: a split must gain more than that."""

from __future__ import annotations

import pytest
from solders.pubkey import Pubkey

from chalicelib.routing.market import USDC_MINT, Market
from chalicelib.solana.tokens import NATIVE_MINT as SOL
from tests.unit.model_market import ModelChain, address

A, B, C = (address(number) for number in (1, 2, 3))
MILLION = 10**6
DEEP = 10**12
# Half of 200,000 at each of two pools that hold a million pays so much more than all of it at one.
GAIN = 2 * (MILLION * 100_000 // (MILLION + 100_000)) - MILLION * 200_000 // (MILLION + 200_000)


def legs(chain: ModelChain, mint_in: Pubkey, mint_out: Pubkey, lamports: int, amount: int = 200_000) -> int:
    """Over how many of the pair's own pools the amount goes where one more leg costs so many lamports."""
    market = Market(chain, chain.registry(), lambda: chain.now_ms)
    return len(market.price(mint_in, mint_out, amount, leg_lamports=lamports).route.legs)


def two_pools(mints: tuple[Pubkey, Pubkey], reserve: int = MILLION) -> ModelChain:
    chain = ModelChain()
    for number in (1, 2):
        chain.add_pool(number, mints, (reserve, reserve))
    return chain


def test_where_sol_is_bought_a_leg_costs_its_lamports() -> None:
    chain = two_pools((A, SOL))
    assert legs(chain, A, SOL, GAIN - 1) == 2
    assert legs(chain, A, SOL, GAIN + 1) == 1


def test_where_sol_is_sold_a_leg_costs_what_the_best_pool_would_pay_for_its_lamports() -> None:
    """200,000 of SOL bring 166,666 at the best pool: a lamport is worth five sixths."""
    chain = two_pools((SOL, B))
    chain.add_pool(3, (SOL, B), (DEEP, 10))
    most = (GAIN - 1) * 200_000 // 166_666
    assert legs(chain, SOL, B, most) == 2
    assert legs(chain, SOL, B, most + 3) == 1


def test_where_sol_is_neither_a_leg_costs_what_pools_of_sol_would_pay_for_its_lamports() -> None:
    chain = two_pools((A, B))
    chain.add_pool(3, (A, SOL), (DEEP, 1))  # the way over SOL is there, and no good
    chain.add_pool(4, (SOL, B), (DEEP, 3 * DEEP))
    chain.add_pool(5, (SOL, B), (DEEP, 2 * DEEP))
    most = (GAIN - 1) // 3
    assert legs(chain, A, B, most) == 2
    assert legs(chain, A, B, most + 2) == 1


def test_what_lamports_are_worth_is_asked_of_the_pools_of_sol_and_of_no_other_third_token() -> None:
    chain = two_pools((A, B))
    chain.add_pool(3, (A, USDC_MINT), (DEEP, 1))
    chain.add_pool(4, (USDC_MINT, B), (DEEP, 1_000 * DEEP))
    assert legs(chain, A, B, 10**12) == 2, "nobody sells SOL here, so that a leg costs a unit"


@pytest.mark.parametrize("mints", [(A, SOL), (SOL, B), (A, B)])
@pytest.mark.parametrize("lamports", [0, 1])
def test_a_leg_that_costs_next_to_nothing_must_still_gain_more_than_a_unit(
    mints: tuple[Pubkey, Pubkey], lamports: int
) -> None:
    """Two pools of 1000 pay one unit more for 50, and two for 60, than one of them does."""
    chain = two_pools(mints, reserve=1_000)
    if SOL not in mints:
        chain.add_pool(3, (A, SOL), (DEEP, 1))
        chain.add_pool(4, (SOL, B), (DEEP, DEEP // 2))
    assert legs(chain, *mints, lamports, amount=50) == 1
    assert legs(chain, *mints, lamports, amount=60) == 2
