"""What the wallet signs of version 1, where fee and limits are fields; and a tip to a lane, of either version."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0, MessageV1, TransactionConfig, from_bytes_versioned
from solders.pubkey import Pubkey

from chalicelib.problems import SigningRefused
from chalicelib.solana.compute_budget import BASE_FEE_LAMPORTS, ComputeBudget
from chalicelib.solana.transaction import DONT_FRONT, Tip, TransactionVersion, build_message
from tests.trades_to_sign import BUDGET, FEE_CAP, LATEST, TradeToSign, as_bytes, policy
from tests.unit.trade_kinds import KINDS, SPLIT, SWAP_PROGRAMS, TAXED

LOADED = 64 * 1024 * 1024
LANE, STRANGER = Pubkey(bytes([77] * 32)), Pubkey(bytes([66] * 32))
TIP = 10_000


def refused(message: bytes, made: TradeToSign, tip_accounts: tuple[Pubkey, ...] = ()) -> str:
    with pytest.raises(SigningRefused) as refusal:
        policy(tip_accounts=tip_accounts).approve(message, made.terms)
    return str(refusal.value)


def configured(made: TradeToSign, **fields: int | None) -> bytes:
    """The trade's message with another config."""
    config = {
        "priority_fee": BUDGET.priority_fee_lamports,
        "compute_unit_limit": BUDGET.unit_limit,
        "loaded_accounts_data_size_limit": LOADED,
        **fields,
    }
    instructions = made.plan.instructions()
    return as_bytes(
        MessageV1.try_compile(made.terms.wallet, instructions, LATEST.blockhash, TransactionConfig(**config))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_can_change_but_the_blockhash_the_fee_below_its_cap_the_limit_and_a_floor_that_rises(kind: str) -> None:
    made = KINDS[kind]
    message, approved = as_bytes(made.message_1), 0
    assert bytes(policy().approve(message, made.terms)) == message
    for index in range(len(message)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(message)
            changed[index] ^= mask
            try:
                policy().approve(bytes(changed), made.terms)
            except SigningRefused:
                continue
            approved += 1
            assert may_differ(made.message_1, bytes(changed)), f"byte {index} of {len(message)}, mask {mask:#x}"
    assert approved >= 32 * 3, "another blockhash alone is 32 bytes"


def may_differ(before: MessageV1, changed: bytes) -> bool:
    """Whether two messages differ in what may: written here on its own, not as the policy does."""
    after = cast("MessageV1", from_bytes_versioned(changed))
    if (before.header, before.account_keys) != (after.header, after.account_keys):
        return False
    for one, other in zip(before.instructions, after.instructions, strict=True):
        if (one.program_id_index, one.accounts) != (other.program_id_index, other.accounts):
            return False
        old, new = bytes(one.data), bytes(other.data)
        is_swap = before.account_keys[one.program_id_index] in SWAP_PROGRAMS
        floor_rose = is_swap and old[:16] == new[:16] and old[24:] == new[24:] and old[16:24][::-1] < new[16:24][::-1]
        if old != new and not floor_rose:
            return False
    config = after.config
    assert config.priority_fee is not None
    return (
        config.priority_fee <= FEE_CAP
        and bool(config.compute_unit_limit)
        and (config.loaded_accounts_data_size_limit, config.heap_size) == (LOADED, None)
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"priority_fee": FEE_CAP + 1}, "above the cap"),
        ({"priority_fee": 2**64 - 1}, "above the cap"),
        ({"priority_fee": None}, "does not say"),
        ({"compute_unit_limit": None}, "does not say"),
        ({"compute_unit_limit": 0}, "does not say"),
        ({"loaded_accounts_data_size_limit": None}, "other memory"),
        ({"loaded_accounts_data_size_limit": LOADED + 1}, "other memory"),
        ({"heap_size": 64 * 1024}, "other memory"),
    ],
)
def test_the_config_must_be_whole_and_no_dearer_than_the_cap(fields: dict[str, int | None], why: str) -> None:
    assert why in refused(configured(SPLIT, **fields), SPLIT)


def test_the_fee_is_a_total_that_the_stored_order_must_have_reserved() -> None:
    most = BASE_FEE_LAMPORTS + BUDGET.priority_fee_lamports
    policy().approve(as_bytes(SPLIT.message_1), replace(SPLIT.terms, most_lamports=most))
    told = replace(SPLIT, terms=replace(SPLIT.terms, most_lamports=most - 1))
    assert "of the order" in refused(as_bytes(SPLIT.message_1), told)


def test_a_version_1_message_has_no_instructions_to_the_compute_budget() -> None:
    doubled = [*BUDGET.instructions(), *SPLIT.plan.instructions()]
    message = MessageV1.try_compile(SPLIT.terms.wallet, doubled, LATEST.blockhash, BUDGET.config)
    assert "instruction 1 is one to ComputeBudget" in refused(as_bytes(message), SPLIT)


# --- the tip --------------------------------------------------------------------------------------------------------


def tipping(tip: Tip, version: TransactionVersion, made: TradeToSign = TAXED) -> bytes:
    return as_bytes(build_message(replace(made.plan, tip=tip), BUDGET, LATEST.blockhash, version))


@pytest.mark.parametrize("version", [0, 1])
def test_one_tip_to_a_lanes_account_is_signed(version: TransactionVersion) -> None:
    message = tipping(Tip(LANE, TIP), version)
    assert bytes(policy(tip_accounts=(LANE,)).approve(message, TAXED.terms)) == message


@pytest.mark.parametrize("version", [0, 1])
def test_a_tip_to_anybody_else_is_not(version: TransactionVersion) -> None:
    assert "no lane's account" in refused(tipping(Tip(STRANGER, TIP), version), TAXED, (LANE,))
    assert "no lane's account" in refused(tipping(Tip(LANE, TIP), version), TAXED)


@pytest.mark.parametrize("version", [0, 1])
def test_fee_and_tip_together_keep_to_the_cap_and_to_what_the_order_has_reserved(version: TransactionVersion) -> None:
    room = FEE_CAP - BUDGET.priority_fee_lamports
    policy(tip_accounts=(LANE,)).approve(tipping(Tip(LANE, room), version), TAXED.terms)
    assert "priority fee and tip" in refused(tipping(Tip(LANE, room + 1), version), TAXED, (LANE,))
    cost = BASE_FEE_LAMPORTS + BUDGET.priority_fee_lamports + TIP
    told = replace(TAXED, terms=replace(TAXED.terms, most_lamports=cost - 1))
    assert "of the order" in refused(tipping(Tip(LANE, TIP), version), told, (LANE,))


@pytest.mark.parametrize("version", [0, 1])
def test_a_second_tip_one_without_protection_and_one_elsewhere_are_not_signed(version: TransactionVersion) -> None:
    wallet, instructions = TAXED.terms.wallet, TAXED.plan.instructions()
    paid = Tip(LANE, TIP).instruction(wallet)
    bare = Instruction(paid.program_id, bytes(paid.data), list(paid.accounts)[:2])
    other = Instruction(paid.program_id, bytes(paid.data), [*paid.accounts[:2], AccountMeta(STRANGER, False, False)])
    for changed in (
        [*instructions[:-1], paid, paid, instructions[-1]],
        [*instructions[:-1], bare, instructions[-1]],
        [*instructions[:-1], other, instructions[-1]],
        [*instructions, paid],
        [paid, *instructions],
    ):
        refused(compiled(wallet, changed, version), TAXED, (LANE,))
    plain = compiled(wallet, [*instructions[:-1], paid, instructions[-1]], version)
    policy(tip_accounts=(LANE,)).approve(plain, TAXED.terms)
    assert DONT_FRONT in from_bytes_versioned(plain).account_keys


def compiled(wallet: Pubkey, instructions: list[Instruction], version: TransactionVersion) -> bytes:
    if version == 1:
        return as_bytes(MessageV1.try_compile(wallet, instructions, LATEST.blockhash, BUDGET.config))
    return as_bytes(MessageV0.try_compile(wallet, [*BUDGET.instructions(), *instructions], [], LATEST.blockhash))


def test_another_blockhash_is_no_other_transaction() -> None:
    other = build_message(SPLIT.plan, ComputeBudget(1, 0), Hash.default(), 1)
    policy().approve(as_bytes(other), SPLIT.terms)
