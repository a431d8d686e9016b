"""A Raydium CLMM pool: what its quotes say besides what they pay, and what is said where there is nothing to quote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import Mint
from chalicelib.venues.raydium_clmm.layout import config_address, vault_address
from chalicelib.venues.raydium_clmm.math import FEE_ON_TOKEN_0, FEE_ON_TOKEN_1
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmPool, units_on_the_way
from chalicelib.venues.venue import PoolQuote
from infra.localnet.programs.program import ProgramError
from infra.localnet.programs.raydium_clmm_pool import ClmmPosition, genesis_pool
from testing.sdk.made_up_clmm_pools import PLAIN_0, PLAIN_1, TAXED_0, TAXED_1
from tests.unit.raydium_clmm_market import CLOCK, DESTINATION, SOURCE, TRADER, Market
from tests.unit.test_raydium_clmm import ACCOUNTS, EXTENSION, LADDER, POOL, VENUE, array, pool_of
from tests.unit.test_raydium_cpmm import taxed

TOKEN_0, TOKEN_1, STRANGER = PLAIN_0.address, PLAIN_1.address, Pubkey(bytes([9] * 32))
MILLION = 1_000_000
EVERYTHING: dict[Pubkey, Account | None] = {**ACCOUNTS}


def market(mint_in: Pubkey = TOKEN_0, /, **changes: object) -> Market:
    return Market.of(replace(LADDER, **changes), zero_for_one=mint_in == TOKEN_0)  # type: ignore[arg-type]


def instruction(pool: RaydiumClmmPool, quote: PoolQuote) -> Instruction:
    return pool.swap_instruction(quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=1)


@pytest.mark.parametrize(
    ("fee_on", "mint_in", "fee_mint"),
    [
        (0, TOKEN_0, TOKEN_0),
        (0, TOKEN_1, TOKEN_1),
        (FEE_ON_TOKEN_0, TOKEN_0, TOKEN_0),
        (FEE_ON_TOKEN_0, TOKEN_1, TOKEN_0),
        (FEE_ON_TOKEN_1, TOKEN_0, TOKEN_1),
        (FEE_ON_TOKEN_1, TOKEN_1, TOKEN_1),
    ],
)
def test_a_quotes_fee_is_in_the_token_that_the_pool_takes_it_of(fee_on: int, mint_in: Pubkey, fee_mint: Pubkey) -> None:
    pool = pool_of(EVERYTHING, replace(LADDER, fee_on=fee_on))
    assert pool.quote(mint_in, MILLION, CLOCK).fee_mint == fee_mint


def test_all_that_is_quoted_can_be_asked_for_as_the_floor_and_no_unit_more() -> None:
    selling = market(mint_1=TAXED_1)
    quote = selling.quote(MILLION)
    assert quote.not_guaranteed == 0
    selling.run(*selling.instruction(MILLION, quote.amount_out))
    with pytest.raises(ProgramError, match="Too little output received"):
        selling.run(*selling.instruction(MILLION, quote.amount_out + 1))


# --- how far it rounds ----------------------------------------------------------------------------------------------


# The price is just above 1, so that a unit of token 0 is worth two of token 1 where it is rounded up, and a unit of
# token 1 one of token 0. It takes about 10^9 of token 0 to come to the tick below, 2 * 10^9 of token 1 to that above.
@pytest.mark.parametrize(
    ("mints", "mint_in", "amount", "units"),
    [
        ((PLAIN_0, PLAIN_1), TOKEN_0, 900_000_000, (2 + 4) * 3),
        ((PLAIN_0, PLAIN_1), TOKEN_0, 1_800_000_000, (2 + 2 * 4) * 3),
        ((PLAIN_0, PLAIN_1), TOKEN_1, 1_800_000_000, (2 + 4) * 2),
        # what arrives of it is half
        ((taxed(TOKEN_0, 5_000), PLAIN_1), TOKEN_0, 1_800_000_000, (2 + 4) * 3),
        ((PLAIN_0, taxed(TOKEN_1, 5_000)), TOKEN_0, 1_800_000_000, (2 + 2 * 4) * 3),
    ],
)
def test_each_step_that_what_arrives_goes_through_rounds_four_times_and_both_transfers_once(
    mints: tuple[Mint, Mint], mint_in: Pubkey, amount: int, units: int
) -> None:
    pool = market(mint_in, mint_0=mints[0], mint_1=mints[1]).pool()
    assert pool.rounding(mint_in, amount, CLOCK) == units


# --- compute units --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mints", "compute_units"),
    [((PLAIN_0, PLAIN_1), 80_000), ((TAXED_0, PLAIN_1), 83_000), ((TAXED_0, TAXED_1), 86_000)],
)
def test_a_quote_expects_more_compute_units_for_each_token_2022_side(
    mints: tuple[Mint, Mint], compute_units: int
) -> None:
    assert market(mint_0=mints[0], mint_1=mints[1]).quote(MILLION).compute_units == compute_units


@pytest.mark.parametrize(
    ("arrays", "ticks_crossed", "steps", "units"),
    [
        (1, 0, 1, 7_000),
        (2, 1, 2, 2 * 7_000 + 17_000),
        # the swap ends at the tick that it crosses
        (1, 1, 1, 7_000 + 17_000),
        # a dynamic fee changes once and twice before the first tick
        (1, 0, 2, 7_000 + 10_000),
        (1, 0, 3, 7_000 + 2 * 10_000),
    ],
)
def test_a_swap_burns_for_each_array_and_tick_and_each_step_that_ends_at_no_tick(
    arrays: int, ticks_crossed: int, steps: int, units: int
) -> None:
    assert units_on_the_way(arrays, ticks_crossed, steps) == units


# --- accounts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [set(), {EXTENSION}])
def test_of_a_pool_with_few_ticks_the_arrays_that_are_marked_are_read_and_no_others(read: set[Pubkey]) -> None:
    built = genesis_pool(replace(LADDER, positions=(ClmmPosition(0, 60, 10**12),))).accounts
    known: dict[Pubkey, Account | None] = {address: built[address] for address in (POOL.address, *read)}
    assert VENUE.accounts_needed(POOL.address, known) == {
        POOL.address,
        EXTENSION,
        config_address(LADDER.config_index),
        TOKEN_0,
        TOKEN_1,
        vault_address(POOL.address, TOKEN_0),
        vault_address(POOL.address, TOKEN_1),
        array(0),
        array(1),
    }


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (EXTENSION, f"{POOL.address}: no TickArrayBitmapExtension of Raydium CLMM"),
        (array(0), "no TickArrayState of Raydium CLMM"),
    ],
)
def test_an_account_of_another_kind_is_named_as_what_it_is_not(address: Pubkey, said: str) -> None:
    wrong = EVERYTHING | {address: ACCOUNTS[POOL.address]}
    with pytest.raises(VenueUnavailable, match=f"^{said}$"):
        pool_of(wrong).quote(TOKEN_0, MILLION, CLOCK)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "amount_in", "kind", "said"),
    [
        ({"status": 1 << 4}, MILLION, VenueUnavailable, f"pool {POOL.address} is closed for swaps or not open yet"),
        ({}, 1, AmountTooSmall, f"pool {POOL.address} pays nothing for 1 base units"),
        (
            {"mint_0": taxed(TOKEN_0, 10_000)},
            MILLION,
            AmountTooSmall,
            f"the transfer fee of {TOKEN_0} takes all of 1000000 base units",
        ),
        (
            {"mint_1": taxed(TOKEN_1, 10_000)},
            MILLION,
            AmountTooSmall,
            f"pool {POOL.address} pays nothing for 1000000 base units",
        ),
        (
            {},
            10**12,
            InsufficientLiquidity,
            f"pool {POOL.address} can't take 1000000000000 base units: no tick array further on has liquidity",
        ),
    ],
)
def test_a_refused_quote_says_why_and_at_which_pool(
    changes: dict[str, object], amount_in: int, kind: type[ExecutionError], said: str
) -> None:
    with pytest.raises(kind, match=f"^{said}$"):
        market(**changes).quote(amount_in)


def test_a_vault_pays_the_last_unit_that_it_holds_and_where_it_lacks_one_a_quote_says_so() -> None:
    owed = market().quote(MILLION).amount_out
    assert market(vaults=(0, owed)).quote(MILLION).amount_out == owed
    said = f"^pool {POOL.address} owes {owed} base units for {MILLION}; its vault holds {owed - 1}$"
    with pytest.raises(InsufficientLiquidity, match=said):
        market(vaults=(0, owed - 1)).quote(MILLION)


@pytest.mark.parametrize(
    "ask",
    [
        lambda pool: pool.quote(TOKEN_0, MILLION, CLOCK),
        lambda pool: pool.rounding(TOKEN_0, MILLION, CLOCK),
    ],
)
def test_a_pool_that_takes_a_fee_of_all_can_neither_be_quoted_nor_is_it_known_how_far_it_rounds(
    ask: Callable[[RaydiumClmmPool], object],
) -> None:
    with pytest.raises(VenueUnavailable, match=f"^pool {POOL.address}: a trade fee of 1000000 millionths$"):
        ask(market(trade_fee_rate=MILLION).pool())


def test_a_price_of_zero_is_none() -> None:
    with pytest.raises(VenueUnavailable, match=f"^pool {POOL.address} has no price$"):
        market(sqrt_price=0, tick=0).pool().mid_price(TOKEN_0)


@pytest.mark.parametrize(
    "ask",
    [
        lambda pool: pool.mid_price(STRANGER),
        lambda pool: pool.quote(STRANGER, MILLION, CLOCK),
        lambda pool: pool.swap(STRANGER, MILLION, CLOCK),
        lambda pool: pool.rounding(STRANGER, MILLION, CLOCK),
        lambda pool: instruction(pool, pool.quote(TOKEN_0, MILLION, CLOCK)._replace(mint_in=STRANGER)),
    ],
)
def test_a_token_that_the_pool_does_not_trade_is_named_with_the_pool(ask: Callable[[RaydiumClmmPool], object]) -> None:
    with pytest.raises(ValueError, match=f"^{STRANGER} is not a token of pool {POOL.address}$"):
        ask(pool_of(EVERYTHING))


def test_a_quote_of_another_pool_is_not_made_a_swap_of_this_one() -> None:
    pool = pool_of(EVERYTHING)
    with pytest.raises(ValueError, match=f"^a quote of pool {STRANGER}, not of {POOL.address}$"):
        instruction(pool, pool.quote(TOKEN_0, MILLION, CLOCK)._replace(pool=STRANGER))
