"""What the wallet signs spends just what the order says, and promises no less than its floor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS, ComputeBudget
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, associated_token_address
from chalicelib.solana.transaction import Tip
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as RAYDIUM
from tests.trades_to_sign import MINTS, TradeToSign, as_bytes, compiled, policy, trade
from tests.unit.trade_kinds import (
    BUYING_SOL,
    KINDS,
    OVER_SOL,
    OVER_USDC,
    SPLIT,
    TAXED,
    refusal,
    swaps_of,
    with_accounts,
    with_amounts,
)


@pytest.mark.parametrize("kind", KINDS)
def test_not_a_unit_more_or_less_than_the_order_is_spent(kind: str) -> None:
    made = KINDS[kind]
    for number in range(len(swaps_of(made))):
        assert "more than it may" in refusal(with_amounts(made, {number: (1, 0)}), made.terms)
        assert "do not spend all" in refusal(with_amounts(made, {number: (-1, 0)}), made.terms)


@pytest.mark.parametrize("kind", KINDS)
def test_the_floor_can_not_be_a_unit_below_the_orders(kind: str) -> None:
    made = KINDS[kind]
    last = len(swaps_of(made)) - 1
    assert "floor" in refusal(with_amounts(made, {last: (0, -1)}), made.terms)
    policy().approve(with_amounts(made, {last: (0, 1)}), made.terms)


def test_a_second_hop_spends_what_the_first_guarantees_and_never_what_the_wallet_holds_besides() -> None:
    for made in (OVER_SOL, OVER_USDC):
        assert "more than it may" in refusal(with_amounts(made, {1: (1, 0)}), made.terms)
        assert "more than it may" in refusal(with_amounts(made, {0: (0, -1)}), made.terms)
        assert "do not spend all" in refusal(with_amounts(made, {0: (0, 1)}), made.terms)


def test_no_swap_spends_what_is_bought_nor_buys_what_is_sold() -> None:
    there = trade("USDC", "JUP", 10**6, pools=("JUP/USDC",))
    back = trade("JUP", "USDC", there.min_out, pools=("JUP/USDC",))
    detour = [made.instructions[swaps_of(made)[0]] for made in (there, back)]
    selling_sol = trade("SOL", "USDC", 10**9, 500_000)
    for made, after in ((selling_sol, 1), (BUYING_SOL, 0)):
        at = swaps_of(made)[0] + after
        instructions = [*made.instructions[:at], *detour, *made.instructions[at:]]
        assert "goes backwards" in refusal(compiled(instructions), made.terms)


def test_legs_of_a_split_share_the_amount_and_the_floor_as_they_like() -> None:
    policy().approve(with_amounts(SPLIT, {0: (-5, 3), 1: (5, -3)}), SPLIT.terms)


def amounts_of(made: TradeToSign, number: int) -> tuple[int, int]:
    """What a swap spends, and its floor."""
    data = bytes(made.instructions[swaps_of(made)[number]].data)
    return int.from_bytes(data[8:16], "little"), int.from_bytes(data[16:24], "little")


def test_a_swap_spends_and_promises_a_unit_at_least() -> None:
    spent, floor = amounts_of(SPLIT, 0)
    policy().approve(with_amounts(SPLIT, {0: (1 - spent, 0), 1: (spent - 1, 0)}), SPLIT.terms)
    assert "spends 0 of" in refusal(with_amounts(SPLIT, {0: (-spent, 0), 1: (spent, 0)}), SPLIT.terms)
    policy().approve(with_amounts(SPLIT, {0: (0, 1 - floor), 1: (0, floor - 1)}), SPLIT.terms)
    assert "has no floor" in refusal(with_amounts(SPLIT, {0: (0, -floor), 1: (0, floor)}), SPLIT.terms)


def test_a_swap_spends_not_even_a_unit_of_a_token_that_the_order_does_not_get() -> None:
    other = trade("JUP", "USDC", 10**6)
    swap = other.instructions[swaps_of(other)[0]]
    data = bytearray(swap.data)
    data[8:16] = (1).to_bytes(8, "little")
    at = swaps_of(SPLIT)[0]
    one_unit = Instruction(swap.program_id, bytes(data), swap.accounts)
    message = compiled([*SPLIT.instructions[:at], one_unit, *SPLIT.instructions[at:]])
    assert refusal(message, SPLIT.terms) == f"a swap spends 1 of {MINTS['JUP']}, more than it may"


def test_one_unit_is_a_floor() -> None:
    policy().approve(as_bytes(SPLIT.message), replace(SPLIT.terms, min_out=1))


def test_one_unit_can_be_sold() -> None:
    others = BUYING_SOL.terms.amount_in - 1
    policy().approve(with_amounts(BUYING_SOL, {0: (-others, 0)}), replace(BUYING_SOL.terms, amount_in=1))


def test_a_token_belongs_to_one_token_program() -> None:
    raydium = next(n for n in swaps_of(TAXED) if TAXED.instructions[n].program_id == RAYDIUM)
    accounts = list(TAXED.instructions[raydium].accounts)
    accounts[5] = replaced(accounts[5], associated_token_address(TAXED.terms.wallet, MINTS["USDC"], TOKEN_2022_PROGRAM))
    accounts[9] = replaced(accounts[9], TOKEN_2022_PROGRAM)
    told = refusal(with_accounts(TAXED, raydium, accounts), TAXED.terms)
    assert told == f"{MINTS['USDC']} is said to belong to two token programs"


def replaced(meta: AccountMeta, key: Pubkey) -> AccountMeta:
    return AccountMeta(key, meta.is_signer, meta.is_writable)


def test_a_quote_without_slippage_must_be_met_to_the_unit() -> None:
    exact = trade("USDC", "SOL", 10**9, 0)
    policy().approve(as_bytes(exact.message), exact.terms)
    stricter = replace(BUYING_SOL.terms, min_out=BUYING_SOL.terms.min_out + 1)
    assert "floor" in refusal(as_bytes(BUYING_SOL.message), stricter)


@given(limit=st.integers(0, MAX_COMPUTE_UNITS), price=st.integers(0, 2**64 - 1), cap=st.integers(0, 10**7))
@example(limit=MAX_COMPUTE_UNITS, price=2_000_001, cap=2_800_002)
def test_the_priority_fee_stays_within_its_cap(limit: int, price: int, cap: int) -> None:
    budget = ComputeBudget(limit, price)
    message = compiled([*budget.instructions(), *BUYING_SOL.plan.instructions()])
    terms = replace(BUYING_SOL.terms, most_lamports=5_000 + cap)  # the order has reserved all that the cap allows
    if budget.priority_fee_lamports <= cap:
        policy(fee_cap=cap).approve(message, terms)
    else:
        assert "above the cap" in refusal(message, terms, policy(fee_cap=cap))


def test_a_priority_fee_above_the_cap_is_told_rounded_up_to_the_lamport() -> None:
    for limit, price, lamports in ((1, 1_000_001, 2), (MAX_COMPUTE_UNITS, 2**63 + 1, 12_912_720_851_596_686_133)):
        message = compiled([*ComputeBudget(limit, price).instructions(), *BUYING_SOL.plan.instructions()])
        terms = replace(BUYING_SOL.terms, most_lamports=5_000 + lamports)
        policy(fee_cap=lamports).approve(message, terms)
        told = refusal(message, terms, policy(fee_cap=lamports - 1))
        assert f"its priority fee of {lamports} lamports is above the cap of {lamports - 1}" in told


def test_a_priority_fee_and_a_tip_above_the_cap_are_told_as_one_sum() -> None:
    lane = Pubkey(bytes([77] * 32))
    plan = replace(BUYING_SOL.plan, tip=Tip(lane, 10_000))
    message = compiled([*ComputeBudget(300_000, 5_000).instructions(), *plan.instructions()])
    policy(fee_cap=11_500, tip_accounts=(lane,)).approve(message, BUYING_SOL.terms)
    told = refusal(message, BUYING_SOL.terms, policy(fee_cap=11_499, tip_accounts=(lane,)))
    assert told == "its priority fee and tip of 11500 lamports is above the cap of 11499"


def test_base_fee_and_priority_fee_together_are_held_to_what_the_order_has_reserved() -> None:
    for limit, price, lamports in ((1, 1_000_001, 2), (MAX_COMPUTE_UNITS, 1_000_000, MAX_COMPUTE_UNITS)):
        message = compiled([*ComputeBudget(limit, price).instructions(), *BUYING_SOL.plan.instructions()])
        reserved = replace(BUYING_SOL.terms, most_lamports=5_000 + lamports)
        policy(fee_cap=lamports).approve(message, reserved)
        told = refusal(message, replace(reserved, most_lamports=4_999 + lamports), policy(fee_cap=lamports))
        assert told == f"its fee of {5_000 + lamports} lamports is above the {4_999 + lamports} of the order"


def test_what_is_lent_to_a_temporary_account_is_a_token_accounts_rent() -> None:
    message = as_bytes(SPLIT.message)
    for rent in (0, 2_039_281):
        told = refusal(message, replace(SPLIT.terms, rent_lamports=rent))
        assert told == f"a token account's rent can't be {rent} lamports"
    for rent in (1, 2_039_279):
        assert "with its own content" in refusal(message, replace(SPLIT.terms, rent_lamports=rent))
