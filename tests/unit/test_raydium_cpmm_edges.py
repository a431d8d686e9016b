"""Raydium CPMM at the smallest amounts, the emptiest pools and the fullest vaults, and what its quotes say."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import InsufficientLiquidity
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool
from chalicelib.venues.raydium_cpmm.refusals import (
    EMPTY_SUPPLY,
    INSUFFICIENT_VAULT,
    REQUIRE_GT_VIOLATED,
    CpmmSwapRefused,
)
from tests.unit.test_raydium_cpmm import (
    ADDRESS_0,
    ADDRESS_1,
    CLOCK,
    MILLION,
    STRANGER,
    TOKEN_0,
    TOKEN_1,
    TRADER,
    U64_MAX,
    pool_of,
    taxed,
)

ALL_OF_IT = taxed(ADDRESS_0, 10_000)


@pytest.mark.parametrize(("creator_fee_on", "fee"), [(0, 3_000), (1, 3_000), (2, 2_500)])
def test_a_quotes_fee_is_all_that_is_taken_of_the_input_and_nothing_that_is_taken_of_the_output(
    creator_fee_on: int, fee: int
) -> None:
    pool = pool_of(creator_fee_on=creator_fee_on, creator_fee_rate=500)
    quote = pool.quote(ADDRESS_0, MILLION, CLOCK)
    assert (quote.pool, quote.fee, quote.fee_mint) == (STRANGER, fee, ADDRESS_0)
    assert (quote.mint_in, quote.mint_out) == (ADDRESS_0, ADDRESS_1)


def test_the_program_holds_its_floor_against_all_that_is_quoted() -> None:
    assert pool_of(mints=(TOKEN_0, taxed(ADDRESS_1, 200))).quote(ADDRESS_0, MILLION, CLOCK).not_guaranteed == 0


def test_fees_of_the_trade_and_of_the_creator_are_parts_of_one_sum() -> None:
    outcome = pool_of(creator_fee_rate=2_500).swap(0, MILLION, CLOCK)
    assert (outcome.trade_fee, outcome.creator_fee) == (2_500, 2_500)


@pytest.mark.parametrize(
    ("mints", "compute_units"),
    [
        ((TOKEN_0, TOKEN_1), 34_000),
        ((taxed(ADDRESS_0, 1), TOKEN_1), 40_000),
        ((taxed(ADDRESS_0, 1), taxed(ADDRESS_1, 1)), 46_000),
    ],
)
def test_a_quote_expects_more_compute_units_for_each_token_2022_side(mints: object, compute_units: int) -> None:
    assert pool_of(mints=mints).quote(ADDRESS_0, MILLION, CLOCK).compute_units == compute_units


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": 4}, "the pool is closed for swaps or not open yet"),
        ({"creator_fee_on": 3}, "the pool's creator fee follows an unknown model"),
        ({"reserves": (0, 10**9)}, "the pool is empty"),
        ({"reserves": (10**9, -1)}, "a vault holds less than the fees it owes"),
        ({"vault_amounts": (U64_MAX, 10**9)}, "the vault can't hold this much"),
        ({"trade_fee_rate": 0}, "the fees leave nothing to trade"),
        ({"reserves": (10**18, 1)}, "the output would be zero"),
    ],
)
def test_a_refused_quote_says_why_and_at_which_pool(changes: dict[str, object], said: str) -> None:
    with pytest.raises(Exception, match=f"^Raydium CPMM pool {STRANGER}: {said}$"):
        pool_of(**changes).quote(ADDRESS_0, MILLION, CLOCK)


def test_a_vault_is_full_by_what_arrives_in_it_without_the_transfer_fee() -> None:
    hundredth = (taxed(ADDRESS_0, 100), TOKEN_1)
    just_fits = pool_of(mints=hundredth, vault_amounts=(U64_MAX - 990_000, 10**9))
    assert just_fits.quote(ADDRESS_0, MILLION, CLOCK).amount_out > 0
    with pytest.raises(InsufficientLiquidity, match="can't hold this much"):
        pool_of(mints=hundredth, vault_amounts=(U64_MAX - 989_999, 10**9)).quote(ADDRESS_0, MILLION, CLOCK)


def test_one_unit_is_traded_where_no_fee_takes_it() -> None:
    pool = pool_of(trade_fee_rate=0, creator_fee_on=2, reserves=(10, 10**9))
    assert pool.quote(ADDRESS_0, 1, CLOCK).amount_out == 10**9 // 11


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reserves": (0, 10**9)}, EMPTY_SUPPLY),
        ({"reserves": (10**9, 0)}, EMPTY_SUPPLY),
        ({"reserves": (-1, 10**9)}, INSUFFICIENT_VAULT),
        ({"reserves": (10**9, -1)}, INSUFFICIENT_VAULT),
        ({"reserves": (-1, -1)}, INSUFFICIENT_VAULT),
        # what arrives is looked at first
        ({"reserves": (0, 10**9), "mints": (ALL_OF_IT, TOKEN_1)}, REQUIRE_GT_VIOLATED),
    ],
)
def test_an_empty_pool_and_one_that_owes_more_than_it_has_are_refused_apart(
    changes: dict[str, object], code: int
) -> None:
    with pytest.raises(CpmmSwapRefused) as refused:
        pool_of(**changes).swap(0, MILLION, CLOCK)
    assert refused.value.code == code


@pytest.mark.parametrize(("mint", "price"), [(ADDRESS_0, Fraction(5)), (ADDRESS_1, Fraction(1, 5))])
def test_one_unit_in_a_vault_is_enough_for_a_price(mint: Pubkey, price: Fraction) -> None:
    assert pool_of(reserves=(1, 5)).mid_price(mint) == price


@pytest.mark.parametrize("reserves", [(0, 5), (5, 0), (-1, 5), (5, -1)])
def test_an_empty_vault_has_no_price(reserves: tuple[int, int]) -> None:
    with pytest.raises(InsufficientLiquidity, match=f"^Raydium CPMM pool {STRANGER}: the pool is empty$"):
        pool_of(reserves=reserves).mid_price(ADDRESS_0)


@pytest.mark.parametrize(
    "ask",
    [
        lambda pool: pool.mid_price(TRADER),
        lambda pool: pool.quote(TRADER, MILLION, CLOCK),
        lambda pool: pool.rounding(TRADER, MILLION, CLOCK),
        lambda pool: pool.swap_instruction(
            pool.quote(ADDRESS_0, MILLION, CLOCK)._replace(mint_in=TRADER),
            trader=TRADER,
            source=ADDRESS_0,
            destination=ADDRESS_1,
            minimum_out=1,
        ),
    ],
)
def test_a_token_that_the_pool_does_not_trade_is_named_with_the_pool(ask: Callable[[RaydiumCpmmPool], object]) -> None:
    with pytest.raises(ValueError, match=f"^{TRADER} is not a token of pool {STRANGER}$"):
        ask(pool_of())
