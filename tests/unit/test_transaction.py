"""A planned swap becomes one signed transaction: in order, within the limits, naming its order, sharing no account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV1, TransactionConfig
from solders.pubkey import Pubkey

from chalicelib.problems import PermanentError, TransactionTooLarge
from chalicelib.solana.compute_budget import (
    MAX_COMPUTE_UNITS,
    ComputeBudget,
    PriorityFeePolicy,
    compute_unit_limit,
    priority_fee,
)
from chalicelib.solana.rpc import LatestBlockhash
from chalicelib.solana.token_accounts import TokenMint, TradingAccount, destination_account, source_account
from chalicelib.solana.tokens import (
    ASSOCIATED_TOKEN_PROGRAM,
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    associated_token_address,
)
from chalicelib.solana.transaction import (
    MAX_ACCOUNTS,
    MAX_TRANSACTION_BYTES,
    MEMO_PROGRAM,
    VERSIONS,
    OrderMemo,
    SwapPlan,
    Tip,
    TransactionVersion,
    build_message,
    unsigned_wire,
    writable_accounts,
)

ME = Keypair.from_seed(bytes(range(32))).pubkey()
SOL = TokenMint(NATIVE_MINT, TOKEN_PROGRAM)
USDC = TokenMint(Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"), TOKEN_PROGRAM)
PYUSD = TokenMint(Pubkey.from_string("2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo"), TOKEN_2022_PROGRAM)
VENUE = Pubkey.from_string("CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C")
COMPUTE_BUDGET_PROGRAM = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
SYSTEM_PROGRAM = Pubkey.from_string("11111111111111111111111111111111")
BUDGET = ComputeBudget(200_000, 1_500)
LATEST = LatestBlockhash(Hash.new_unique(), last_valid_block_height=1_150, slot=9)
ORDER: dict[str, Any] = {"order_id": "order", "attempt": 1, "nonce": "5e2b7c", "rent_lamports": 2_039_280}


def _swap(*accounts: Pubkey, signers: tuple[Pubkey, ...] = ()) -> Instruction:
    metas = [AccountMeta(account, is_signer=False, is_writable=True) for account in accounts]
    metas += [AccountMeta(signer, is_signer=True, is_writable=False) for signer in (ME, *signers)]
    return Instruction(VENUE, b"swap", metas)


def _plan(token_in: TokenMint, token_out: TokenMint, *more_accounts: Pubkey) -> SwapPlan:
    source = source_account(ME, token_in, 5_000_000, **ORDER)
    destination = destination_account(ME, token_out, **ORDER)
    swap = _swap(source.address, destination.address, *more_accounts)
    return SwapPlan(ME, OrderMemo("order", 1), source, destination, (swap,))


def _programs(plan: SwapPlan) -> list[Pubkey]:
    return [instruction.program_id for instruction in [*BUDGET.instructions(), *plan.instructions()]]


def test_selling_sol_wraps_before_the_swap_and_unwraps_after_it() -> None:
    budget, system, token = COMPUTE_BUDGET_PROGRAM, SYSTEM_PROGRAM, TOKEN_PROGRAM
    expected = [budget, budget, system, token, ASSOCIATED_TOKEN_PROGRAM, VENUE, token, MEMO_PROGRAM]
    assert _programs(_plan(SOL, USDC)) == expected


def test_buying_sol_opens_an_account_for_it_and_unwraps_it() -> None:
    budget, system, token = COMPUTE_BUDGET_PROGRAM, SYSTEM_PROGRAM, TOKEN_PROGRAM
    assert _programs(_plan(USDC, SOL)) == [budget, budget, system, token, VENUE, token, MEMO_PROGRAM]


def test_between_other_tokens_only_the_account_for_the_output_is_opened() -> None:
    budget = COMPUTE_BUDGET_PROGRAM
    assert _programs(_plan(USDC, PYUSD)) == [budget, budget, ASSOCIATED_TOKEN_PROGRAM, VENUE, MEMO_PROGRAM]


def test_an_account_between_two_hops_is_opened_before_both_and_closed_after_both() -> None:
    plan = _plan(USDC, PYUSD)
    middle = destination_account(ME, SOL, **ORDER)
    programs = _programs(replace(plan, between=(middle,), swaps=(plan.swaps[0], _swap(middle.address))))
    assert programs[2:-1] == [
        SYSTEM_PROGRAM,
        TOKEN_PROGRAM,
        ASSOCIATED_TOKEN_PROGRAM,
        VENUE,
        VENUE,
        TOKEN_PROGRAM,
    ]


@pytest.mark.parametrize("token", [USDC, PYUSD])
def test_tokens_are_traded_from_and_into_the_wallets_associated_account(token: TokenMint) -> None:
    address = associated_token_address(ME, token.mint, token.token_program)
    assert source_account(ME, token, 1, **ORDER) == TradingAccount(address, token)
    assert destination_account(ME, token, **ORDER).address == address


hexadecimal = st.text("0123456789abcdef-", min_size=1, max_size=40)
orders = st.tuples(hexadecimal, st.integers(1, 9), st.booleans(), st.sampled_from(["5e2b7c", "5e2b7d"]))


@given(first=orders, second=orders)
def test_no_two_attempts_share_a_temporary_account_and_none_is_the_wallets_own(
    first: tuple[str, int, bool, str], second: tuple[str, int, bool, str]
) -> None:
    one, other = (_temporary_account(*order) for order in (first, second))
    assert (one == other) == (first == second)
    assert one != associated_token_address(ME, NATIVE_MINT, TOKEN_PROGRAM)


def _temporary_account(order_id: str, attempt: int, is_source: bool, nonce: str) -> Pubkey:
    order: dict[str, Any] = {"order_id": order_id, "attempt": attempt, "nonce": nonce, "rent_lamports": 1}
    return (source_account(ME, SOL, 1, **order) if is_source else destination_account(ME, SOL, **order)).address


@given(order_id=st.text(st.characters(codec="utf-8")), attempt=st.integers(-1, 10**6))
def test_a_memo_names_order_and_attempt_unmistakably_or_is_refused(order_id: str, attempt: int) -> None:
    try:
        memo = OrderMemo(order_id, attempt)
    except ValueError:
        assert attempt < 1 or not order_id or any(c == ":" or c.isspace() for c in order_id)
    else:
        assert str(memo).split(":") == ["fillrate", order_id, str(attempt)]


@given(accounts=st.integers(0, 300), version=st.sampled_from(VERSIONS))
def test_a_transaction_fits_its_version_or_is_refused(accounts: int, version: TransactionVersion) -> None:
    plan = _plan(SOL, USDC, *(Pubkey.new_unique() for _ in range(accounts)))
    try:
        message = build_message(plan, BUDGET, LATEST.blockhash, version)
    except TransactionTooLarge:
        # Enough for one leg on each venue; in version 1 all but what wraps, opens and tells.
        assert accounts > (16, 52)[version]
    else:
        assert len(unsigned_wire(message)) <= MAX_TRANSACTION_BYTES[version]
        assert len(message.account_keys) <= MAX_ACCOUNTS
        message.sanitize()


def test_a_version_1_message_carries_its_budget_as_fields_and_the_fee_as_a_total() -> None:
    plan = _plan(SOL, USDC)
    message = build_message(plan, BUDGET, LATEST.blockhash, 1)
    assert isinstance(message, MessageV1)
    assert message.config == TransactionConfig(
        priority_fee=BUDGET.priority_fee_lamports,
        compute_unit_limit=BUDGET.unit_limit,
        loaded_accounts_data_size_limit=64 * 1024 * 1024,
    )
    assert COMPUTE_BUDGET_PROGRAM not in message.account_keys
    assert len(message.instructions) == len(plan.instructions())
    assert unsigned_wire(message)[0] == 0x81


def test_a_tip_is_paid_inside_the_transaction_and_names_the_account_that_keeps_others_from_going_before_it() -> None:
    lane = Pubkey(bytes([77] * 32))
    *_, paid, memo = replace(_plan(SOL, USDC), tip=Tip(lane, 10_000)).instructions()
    assert (paid.program_id, memo.program_id) == (SYSTEM_PROGRAM, MEMO_PROGRAM)
    assert bytes(paid.data) == (2).to_bytes(4, "little") + (10_000).to_bytes(8, "little")
    payer, to, protected = paid.accounts
    assert (payer.is_signer, to.pubkey, to.is_writable) == (True, lane, True)
    assert str(protected.pubkey).startswith("jitodontfront")
    assert not protected.is_writable


def test_a_route_that_fits_no_transaction_is_not_tried_again() -> None:
    assert issubclass(TransactionTooLarge, PermanentError)


def test_the_accounts_whose_fees_count_are_those_written() -> None:
    plan = _plan(SOL, USDC)
    written = writable_accounts(build_message(plan, BUDGET, LATEST.blockhash, 0))
    assert set(written) == {ME, plan.source.address, plan.destination.address}


@pytest.mark.parametrize("units", [None, 0])
def test_units_that_no_simulation_told_leave_the_limit_where_the_simulation_had_it(units: int | None) -> None:
    assert compute_unit_limit(units) == MAX_COMPUTE_UNITS


def test_a_limit_that_is_not_known_costs_no_more_than_the_most_that_is_paid() -> None:
    policy = PriorityFeePolicy(floor=7, cap=10_000_000, max_lamports=2_800_000)
    budget = policy.within(ComputeBudget(compute_unit_limit(None), 10_000_000), policy.most_lamports)
    assert budget is not None
    assert 2_790_000 < budget.priority_fee_lamports <= 2_800_000


@given(units=st.integers(1, 2_000_000))
def test_the_unit_limit_is_a_fifth_above_the_simulation_within_what_is_allowed(units: int) -> None:
    limit = compute_unit_limit(units)
    assert limit <= MAX_COMPUTE_UNITS
    if not units:  # the node didn't tell
        assert limit == compute_unit_limit(None) == MAX_COMPUTE_UNITS
    assert limit == MAX_COMPUTE_UNITS or units * 6 <= limit * 5 < units * 6 + 5


@given(
    fees=st.lists(st.integers(0, 10**9), max_size=150),
    percentile=st.integers(1, 100),
    bounds=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)),
)
def test_the_priority_fee_is_a_recent_fee_kept_between_floor_and_cap(
    fees: list[int], percentile: int, bounds: tuple[int, int]
) -> None:
    floor, cap = sorted(bounds)
    fee = priority_fee(fees, PriorityFeePolicy(percentile, floor, cap))
    assert floor <= fee <= cap
    if floor < fee < cap:
        assert fee in fees
        assert sum(other <= fee for other in fees) * 100 >= percentile * len(fees)
        assert sum(other < fee for other in fees) * 100 < percentile * len(fees)


def test_without_recent_fees_the_floor_is_offered() -> None:
    assert priority_fee([], PriorityFeePolicy(75, 1_000, 5_000)) == 1_000


def test_a_part_of_a_lamport_costs_a_whole_one() -> None:
    assert ComputeBudget(1, 1).priority_fee_lamports == 1
    assert ComputeBudget(200_000, 1_500).priority_fee_lamports == 300


@pytest.mark.parametrize(("percentile", "floor", "cap"), [(0, 1, 2), (101, 1, 2), (50, 3, 2), (50, -1, 2)])
def test_a_fee_policy_that_makes_no_sense_is_refused(percentile: int, floor: int, cap: int) -> None:
    with pytest.raises(ValueError):
        PriorityFeePolicy(percentile, floor, cap)


@given(units=st.integers(1, MAX_COMPUTE_UNITS), price=st.integers(1_000, 10**6), most=st.integers(0, 10**7))
def test_a_transaction_that_must_cost_less_offers_the_highest_price_that_it_may_and_none_below_the_floor(
    units: int, price: int, most: int
) -> None:
    policy, wanted = PriorityFeePolicy(75, 1_000, 10**6), ComputeBudget(units, price)
    budget = policy.within(wanted, most)
    if budget is None:
        assert ComputeBudget(units, policy.floor).network_fee_lamports > most
        return
    assert budget.network_fee_lamports <= most
    assert policy.floor <= budget.unit_price <= price
    if budget.unit_price < price:
        dearer = ComputeBudget(units, budget.unit_price + 1)
        assert dearer.network_fee_lamports > most or dearer.priority_fee_lamports > policy.max_lamports


@given(units=st.integers(1, 2_000_000), fee=st.integers(0, 10**9), most=st.integers(0, 10**7))
def test_however_high_the_recent_fees_a_transaction_offers_no_more_than_its_cap_in_lamports(
    units: int, fee: int, most: int
) -> None:
    policy = PriorityFeePolicy(75, 0, 10**9, max_lamports=most)
    limit = compute_unit_limit(units)
    budget = policy.within(ComputeBudget(limit, fee), policy.most_lamports)
    assert budget is not None
    assert budget.priority_fee_lamports <= most
    assert budget.unit_limit == limit
    if budget.unit_price < fee:
        assert ComputeBudget(budget.unit_limit, budget.unit_price + 1).priority_fee_lamports > most
