"""Raydium AMM v4: today's ceiling, which pools are open, and a program that tells its errors in plain numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AmountTooSmall,
    ExecutionError,
    InsufficientBalance,
    InsufficientLiquidity,
    SlippageExceeded,
    VenueUnavailable,
)
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.raydium_amm_v4.layout import PROGRAM_ID
from chalicelib.venues.raydium_amm_v4.math import traded
from chalicelib.venues.raydium_amm_v4.pool import RaydiumAmmV4Venue
from chalicelib.venues.raydium_amm_v4.refusals import INVALID_INPUT, AmmV4SwapRefused
from chalicelib.venues.supported import error_classifier
from infra.localnet.programs.program import ProgramError
from infra.localnet.programs.raydium_amm_v4 import RaydiumAmmV4Program
from infra.localnet.programs.raydium_amm_v4_pool import AmmV4PoolSpec
from tests.conformance.agreement import quoted
from tests.conformance.vector_file import VectorCase, VectorFile
from tests.unit.raydium_amm_v4_market import CLOCK, COIN, PC, U64_MAX, market
from tests.unit.spl_swap_market import DESTINATION, SOURCE, STRANGER, SwapMarket, with_other_account

VECTORS = VectorFile.load(Path(__file__).parents[1] / "conformance" / "vectors" / "raydium_amm_v4.json")
SPEC = AmmV4PoolSpec(mints=(COIN, PC), reserves=(10**12, 4 * 10**12))
# Ours name no order book, and the file's do.
LIKE_OURS = ("size", "extreme", "min_out_exact", "min_out_plus_1", "gate", "degenerate", "zero_amount")


def made(spec: AmmV4PoolSpec, mint_in: Pubkey = COIN.address) -> SwapMarket:
    return market(spec, mint_in, held=10**15)


@given(st.integers(1, 399))
def test_a_fee_of_less_than_a_unit_is_a_unit(amount_in: int) -> None:
    quote = made(SPEC).pool().quote(COIN.address, amount_in + 1, CLOCK)
    assert quote.fee == 1


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 5, 8, U64_MAX])
def test_no_pool_is_traded_but_those_that_swap_without_an_order_book(status: int) -> None:
    pool = made(replace(SPEC, status=status)).pool()
    with pytest.raises(VenueUnavailable, match="closed for swaps or not open yet"):
        pool.quote(COIN.address, 10**6, CLOCK)


def test_a_pool_that_waits_opens_with_its_second_and_an_open_one_has_no_opening() -> None:
    waiting = replace(SPEC, status=7, open_time=CLOCK.unix_timestamp)
    assert made(waiting).pool().quote(COIN.address, 10**6, CLOCK).amount_out
    with pytest.raises(VenueUnavailable):
        made(replace(waiting, open_time=CLOCK.unix_timestamp + 1)).pool().quote(COIN.address, 10**6, CLOCK)
    assert made(replace(SPEC, open_time=CLOCK.unix_timestamp + 1)).pool().quote(COIN.address, 10**6, CLOCK).amount_out


def test_profit_that_is_owed_is_not_traded_against() -> None:
    assert made(replace(SPEC, owed_profit=(10**11, 7))).pool().quote(COIN.address, 10**9, CLOCK) == made(
        SPEC
    ).pool().quote(COIN.address, 10**9, CLOCK)


def test_the_mid_price_is_that_of_the_reserves() -> None:
    pool = made(SPEC).pool()
    assert [pool.mid_price(mint.address) for mint in (COIN, PC)] == [Fraction(4), Fraction(1, 4)]
    with pytest.raises(InsufficientLiquidity):
        made(replace(SPEC, reserves=(0, 10**6))).pool().mid_price(COIN.address)


def test_what_is_no_token_of_the_pool_or_no_amount_is_a_mistake_of_the_caller() -> None:
    pool = made(SPEC).pool()
    for mint, amount in ((STRANGER, 1), (COIN.address, 0), (COIN.address, U64_MAX + 1)):
        with pytest.raises(ValueError, match="not a"):
            pool.quote(mint, amount, CLOCK)


def test_a_mistake_of_the_caller_is_told_with_the_pool() -> None:
    pool = made(SPEC).pool()
    of_another = pool.quote(COIN.address, 10**6, CLOCK)._replace(mint_in=STRANGER)
    for mistake in (
        lambda: pool.quote(STRANGER, 1, CLOCK),
        lambda: pool.mid_price(STRANGER),
        lambda: pool.rounding(STRANGER, 1, CLOCK),
        lambda: pool.swap_instruction(
            of_another, trader=STRANGER, source=SOURCE, destination=DESTINATION, minimum_out=1
        ),
    ):
        with pytest.raises(ValueError, match=str(pool.address)):
            mistake()


def test_a_single_unit_has_a_price_and_none_has_not() -> None:
    for reserves, price in (((1, 10**6), Fraction(10**6)), ((10**6, 1), Fraction(1, 10**6))):
        assert made(replace(SPEC, reserves=reserves)).pool().mid_price(COIN.address) == price
    for reserves in ((0, 10**6), (10**6, 0)):
        pool = made(replace(SPEC, reserves=reserves)).pool()
        with pytest.raises(InsufficientLiquidity, match=str(pool.address)):
            pool.mid_price(COIN.address)


def test_a_refusal_names_the_pool_and_a_quote_is_guaranteed_to_the_unit() -> None:
    closed = made(replace(SPEC, status=0)).pool()
    with pytest.raises(VenueUnavailable, match=str(closed.address)):
        closed.quote(COIN.address, 10**6, CLOCK)
    assert made(SPEC).pool().quote(COIN.address, 10**6, CLOCK).not_guaranteed == 0
    with pytest.raises(InsufficientLiquidity):
        made(SPEC).pool().quote(COIN.address, U64_MAX, CLOCK)


def test_a_pool_rounds_as_much_as_a_unit_of_either_token_is_worth() -> None:
    pool = made(SPEC).pool()
    of_coin, of_pc = pool.rounding(COIN.address, 10**6, CLOCK), pool.rounding(PC.address, 10**6, CLOCK)
    assert of_coin is not None
    assert of_pc is not None
    # four pc for a coin and one more; a coin's part of a pc, rounded up, and one more
    assert Fraction(of_coin, of_pc) == Fraction(5, 2)


def test_a_pool_of_a_token_2022_mint_is_not_traded() -> None:
    of = made(SPEC)
    of.accounts[PC.address] = replace(of.accounts[PC.address], owner=TOKEN_2022_PROGRAM)
    with pytest.raises(VenueUnavailable, match="not of the SPL Token program"):
        of.pool()


def test_a_pool_may_take_no_fee_or_all_of_the_input() -> None:
    free = made(replace(SPEC, swap_fee=(0, 10_000))).pool().quote(COIN.address, 10**6, CLOCK)
    assert (free.fee, free.amount_out) == (0, 4 * 10**6 * 10**12 // (10**12 + 10**6))
    with pytest.raises(AmountTooSmall):
        made(replace(SPEC, swap_fee=(1, 1))).pool().quote(COIN.address, 10**6, CLOCK)


@pytest.mark.parametrize("swap_fee", [(1, 0), (0, 0), (10_001, 10_000)])
def test_a_fee_of_no_fraction_or_above_the_input_is_refused(swap_fee: tuple[int, int]) -> None:
    pool = made(replace(SPEC, swap_fee=swap_fee)).pool()
    with pytest.raises(VenueUnavailable, match="the pool's fee is none that the program can take"):
        pool.quote(COIN.address, 10**6, CLOCK)


def test_a_pool_without_any_input_to_trade_against_buys_nothing() -> None:
    with pytest.raises(AmmV4SwapRefused) as refused:
        traded(1, 0, 10**6, 1, 1)
    assert refused.value.code == INVALID_INPUT


def test_no_more_is_quoted_than_the_vault_has_room_for() -> None:
    full = made(replace(SPEC, reserves=(10**12, 10**12), owed_profit=(U64_MAX - 2 * 10**12, 0))).pool()
    assert full.quote(COIN.address, 10**12, CLOCK).amount_out
    with pytest.raises(InsufficientLiquidity, match="the vault can't hold this much"):
        full.quote(COIN.address, 10**12 + 1, CLOCK)


def test_swaps_never_burn_more_than_the_quote_expects() -> None:
    for case in VECTORS.cases:
        if case.ok and case.kind == "size":
            _, quote = quoted(RaydiumAmmV4Venue(), case)
            assert case.result["cu"] <= quote.compute_units <= case.result["cu"] * 1.3


# --- as the program is emulated -------------------------------------------------------------------------------------


def vector_market(case: VectorCase) -> SwapMarket:
    accounts = dict(case.pool.accounts)
    return SwapMarket(
        RaydiumAmmV4Venue(), RaydiumAmmV4Program(), case.pool.address, accounts, case.mint_in, case.amount_in
    )


@pytest.mark.parametrize("kind", LIKE_OURS)
def test_the_emulated_program_does_what_the_real_one_did(kind: str) -> None:
    cases = [case for case in VECTORS.cases if case.kind == kind]
    for case in cases:
        of = vector_market(case)
        refusal = of.emulate(of.swap_instruction(case.amount_in, case.min_out), case.clock)
        if case.ok:
            assert refusal is None, case.name
            assert (of.balance(SOURCE), of.balance(DESTINATION)) == (0, case.result["amount_out"]), case.name
        else:
            assert refusal == (PROGRAM_ID, case.result["code"]), case.name
    assert cases


def test_who_holds_too_little_is_refused_by_the_program_itself() -> None:
    of = market(SPEC, COIN.address, held=5)
    assert of.emulate(of.swap_instruction(6, 0), CLOCK) == (PROGRAM_ID, 40)


@pytest.mark.parametrize(
    ("position", "code"), [(0, 38), (1, 27), (2, 1), (3, 4), (4, 5), (5, 38), (6, 38)], ids=lambda value: str(value)
)
def test_another_account_is_refused_with_the_programs_code(position: int, code: int) -> None:
    of = made(SPEC)
    with pytest.raises(ProgramError) as refused:
        of.run(with_other_account(of.swap_instruction(10**6, 1), position, STRANGER), CLOCK)
    assert refused.value.code == code
    assert refused.value.log is not None
    assert "AnchorError" not in refused.value.log


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (22, VenueUnavailable),
        (29, AmountTooSmall),
        (30, SlippageExceeded),
        (32, VenueUnavailable),
        (40, InsufficientBalance),
        (5, VenueUnavailable),
    ],
)
def test_a_plain_number_of_the_program_is_told_from_the_token_programs(code: int, kind: type[ExecutionError]) -> None:
    logs = [f"Program {PROGRAM_ID} invoke [1]", f"Program {PROGRAM_ID} failed: custom program error: {code:#x}"]
    assert type(classified(error_classifier(), code, logs)) is kind


def test_the_token_programs_error_comes_through_it() -> None:
    logs = [
        f"Program {PROGRAM_ID} invoke [1]",
        f"Program {TOKEN_PROGRAM} failed: custom program error: 0x1",
        f"Program {PROGRAM_ID} failed: custom program error: 0x1",
    ]
    error = classified(error_classifier(), 1, logs)
    assert isinstance(error, InsufficientBalance)
    assert "the token program" in str(error)


def classified(by: ErrorClassifier, code: int, logs: list[str]) -> ExecutionError | None:
    return by.classify({"InstructionError": [0, {"Custom": code}]}, [PROGRAM_ID], logs)
