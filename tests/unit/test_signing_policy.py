"""The wallet signs what the order says and nothing besides: the final bytes are read back, whoever built them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from struct import pack
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, MessageV1, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import AssignParams, TransferParams, assign, transfer

from chalicelib.problems import PermanentError, SigningRefused
from chalicelib.solana.signing_policy import ApprovedMessage, SigningPolicy, TradablePool
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.solana.transaction import Tip
from chalicelib.venues.meteora_damm_v1.layout import PROGRAM_ID as METEORA_DAMM_V1
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Venue
from chalicelib.venues.meteora_damm_v2.layout import PROGRAM_ID as METEORA_DAMM_V2
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA
from chalicelib.venues.meteora_dlmm.layout import bin_array_address
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmVenue
from chalicelib.venues.raydium_clmm.layout import PROGRAM_ID as RAYDIUM_CLMM
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as RAYDIUM
from chalicelib.venues.raydium_cpmm.layout import config_address
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmVenue
from tests.trades_to_sign import (
    BUDGET,
    FEE_CAP,
    LATEST,
    MINTS,
    as_bytes,
    compiled,
    policy,
    registry,
    trade,
)
from tests.unit.trade_kinds import (
    BUYING_SOL,
    KINDS,
    OVER_SOL,
    OVER_USDC,
    SPLIT,
    SWAP_PROGRAMS,
    TAXED,
    refusal,
    swaps_of,
    with_accounts,
    with_amounts,
)

PROJECT = Path(__file__).parents[2]
STRANGER = Pubkey(bytes([66] * 32))


# --- what is signed -------------------------------------------------------------------------------------------------


def _routes() -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    for sold in MINTS:
        for bought in MINTS:
            if sold != bought:
                yield (sold, bought), ()
                for over in {"SOL", "USDC"} - {sold, bought}:
                    yield (sold, bought), (f"{sold}/{over}", f"{over}/{bought}")


@settings(deadline=None, max_examples=150)
@given(
    way=st.sampled_from(list(_routes())),
    magnitude=st.integers(4, 11),
    digits=st.integers(10, 99),
    slippage_ppm=st.integers(0, 500_000),
    attempt=st.integers(1, 3),
)
def test_whatever_the_router_chooses_and_the_builder_builds_is_approved(
    way: tuple[tuple[str, str], tuple[str, ...]], magnitude: int, digits: int, slippage_ppm: int, attempt: int
) -> None:
    (sold, bought), pools = way
    try:
        made = trade(sold, bought, digits * 10**magnitude, slippage_ppm, pools=pools, attempt=attempt)
    except PermanentError:
        return  # more than these pools hold, or too little for them
    message = as_bytes(made.message)
    passed = policy().approve(message, made.terms)
    assert bytes(passed) == message
    assert passed.signer == made.terms.wallet


def test_the_kinds_are_what_they_are_called() -> None:
    assert {SPLIT.instructions[n].program_id for n in swaps_of(SPLIT)} == set(SWAP_PROGRAMS)
    assert all(len(swaps_of(made)) == 2 for made in (OVER_SOL, OVER_USDC))
    assert any(TOKEN_2022_PROGRAM in [m.pubkey for m in TAXED.instructions[n].accounts] for n in swaps_of(TAXED))


# --- any other byte -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_can_change_but_the_blockhash_the_fee_below_its_cap_and_a_floor_that_rises(kind: str) -> None:
    made = KINDS[kind]
    message = as_bytes(made.message)
    approved = 0
    for index in range(len(message)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(message)
            changed[index] ^= mask
            try:
                policy().approve(bytes(changed), made.terms)
            except SigningRefused:
                continue
            approved += 1
            assert may_differ(made.message, bytes(changed)), f"byte {index} of {len(message)}, mask {mask:#x}"
    assert approved >= 32 * 3, "another blockhash alone is 32 bytes"


def may_differ(before: MessageV0, changed: bytes) -> bool:
    """Whether two messages differ in what may: written here on its own, not as the policy does."""
    after = cast("MessageV0", from_bytes_versioned(changed))
    if (before.header, before.account_keys, before.address_table_lookups) != (
        after.header,
        after.account_keys,
        after.address_table_lookups,
    ):
        return False
    for number, (one, other) in enumerate(zip(before.instructions, after.instructions, strict=True)):
        if (one.program_id_index, one.accounts) != (other.program_id_index, other.accounts):
            return False
        old, new = bytes(one.data), bytes(other.data)
        is_swap = before.account_keys[one.program_id_index] in SWAP_PROGRAMS
        floor_rose = is_swap and old[:16] == new[:16] and old[24:] == new[24:] and old[16:24][::-1] < new[16:24][::-1]
        if old != new and not floor_rose and not (number < 2 and len(old) == len(new) and old[0] == new[0]):
            return False
    limit, price = (int.from_bytes(bytes(each.data)[1:], "little") for each in after.instructions[:2])
    return -(-limit * price // 10**6) <= FEE_CAP


@pytest.mark.parametrize("kind", KINDS)
def test_no_account_can_be_put_in_anothers_place(kind: str) -> None:
    """Every account of every instruction, replaced by each other account of the message, and by a stranger's."""
    made = KINDS[kind]
    keys = (*made.message.account_keys, STRANGER)
    for index, instruction in enumerate(made.instructions):
        for position, meta in enumerate(instruction.accounts):
            for key in keys:
                if key != meta.pubkey:
                    accounts = list(instruction.accounts)
                    accounts[position] = AccountMeta(key, meta.is_signer and key == made.terms.wallet, meta.is_writable)
                    refusal(with_accounts(made, index, accounts), made.terms)


@pytest.mark.parametrize("program", [METEORA_DAMM_V2, RAYDIUM_CLMM])
@pytest.mark.parametrize(("sold", "bought"), [("SOL", "LEVY"), ("LEVY", "USDC")])
def test_of_a_swap_that_tells_its_way_or_its_programs_by_other_accounts_none_can_be_put_in_anothers_place_either(
    program: Pubkey, sold: str, bought: str
) -> None:
    """At pools of a Token-2022 token."""
    programs = (program,)
    made = trade(sold, bought, 10**9, programs=programs)
    by = policy(programs=programs)
    by.approve(as_bytes(made.message), made.terms)
    assert program in {each.program_id for each in made.instructions}
    keys = (*made.message.account_keys, STRANGER)
    for index, instruction in enumerate(made.instructions):
        for position, meta in enumerate(instruction.accounts):
            for key in keys:
                if key != meta.pubkey:
                    accounts = list(instruction.accounts)
                    accounts[position] = AccountMeta(key, meta.is_signer and key == made.terms.wallet, meta.is_writable)
                    refusal(with_accounts(made, index, accounts), made.terms, by)


@pytest.mark.parametrize("kind", KINDS)
def test_no_instruction_can_be_left_out_doubled_or_moved(kind: str) -> None:
    made = KINDS[kind]
    plain = made.instructions
    for index, each in enumerate(plain):
        refusal(compiled([*plain[:index], *plain[index + 1 :]]), made.terms)
        refusal(compiled([*plain[:index], each, each, *plain[index + 1 :]]), made.terms)
        if index:
            moved = [*plain[: index - 1], each, plain[index - 1], *plain[index + 1 :]]
            if {index, index - 1} <= set(swaps_of(made)) and made in (SPLIT, TAXED):
                policy().approve(compiled(moved), made.terms)  # two legs of a split go in either order
            else:
                refusal(compiled(moved), made.terms)


@given(noise=st.binary(max_size=400), versioned=st.booleans())
def test_bytes_that_are_no_transaction_are_refused_and_nothing_worse(noise: bytes, versioned: bool) -> None:
    refusal((b"\x80" if versioned else b"") + noise, SPLIT.terms)


@settings(deadline=None)
@given(cut=st.integers(0, 1200), more=st.binary(max_size=8))
def test_a_message_with_less_or_more_behind_it_is_refused(cut: int, more: bytes) -> None:
    message = as_bytes(SPLIT.message)
    if cut < len(message):
        refusal(message[:cut], SPLIT.terms)
    if more:
        refusal(message + more, SPLIT.terms)


# --- what a drain would need ----------------------------------------------------------------------------------------


def _token_instruction(tag: int, *accounts: Pubkey, data: bytes = b"") -> Instruction:
    metas = [AccountMeta(account, is_signer=False, is_writable=True) for account in accounts]
    metas.append(AccountMeta(SPLIT.terms.wallet, is_signer=True, is_writable=False))
    return Instruction(TOKEN_PROGRAM, bytes([tag]) + data, metas)


_MINE = TAXED.plan.destination.address
DRAINS = {
    "lamports to a stranger": transfer(
        TransferParams(from_pubkey=SPLIT.terms.wallet, to_pubkey=STRANGER, lamports=1_000_000)
    ),
    "tokens to a stranger": _token_instruction(3, _MINE, STRANGER, data=pack("<Q", 1)),
    "an approval": _token_instruction(4, _MINE, STRANGER, data=pack("<Q", 2**63)),
    "another owner": _token_instruction(6, _MINE, data=bytes([2, 1]) + bytes(STRANGER)),
    "the account closed to a stranger": _token_instruction(9, _MINE, STRANGER),
    "an unknown program": Instruction(STRANGER, b"", [AccountMeta(SPLIT.terms.wallet, True, True)]),
    "another compute budget": Instruction(BUDGET.instructions()[0].program_id, bytes([1]) + pack("<I", 10**5), []),
    "a second memo": SPLIT.instructions[-1],
}


@pytest.mark.parametrize("what", DRAINS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_signed_that_has_one_more_instruction_anywhere(kind: str, what: str) -> None:
    made = KINDS[kind]
    for index in range(len(made.instructions) + 1):
        instructions = made.instructions
        instructions.insert(index, DRAINS[what])
        refusal(compiled(instructions), made.terms)


_PAYER = AccountMeta(SPLIT.terms.wallet, is_signer=True, is_writable=True)
_RECEIVER = AccountMeta(STRANGER, is_signer=False, is_writable=True)
NO_TIPS = {
    "a transfer of nothing": Tip(STRANGER, 0).instruction(SPLIT.terms.wallet),
    "a transfer to nobody": Instruction(SYSTEM_PROGRAM, pack("<IQ", 2, 1), [_PAYER]),
    "a nonce account's lamports": Instruction(SYSTEM_PROGRAM, pack("<IQ", 5, 1), [_PAYER, _RECEIVER]),
    "another owner of the wallet": assign(AssignParams(pubkey=SPLIT.terms.wallet, owner=STRANGER)),
    "a transfer's bytes to another program": Instruction(STRANGER, pack("<IQ", 2, 1), [_PAYER, _RECEIVER]),
}


@pytest.mark.parametrize("what", NO_TIPS)
def test_what_is_no_tip_is_refused_for_what_it_is_in_a_tips_place(what: str) -> None:
    *others, memo = SPLIT.instructions
    told = refusal(compiled([*others, NO_TIPS[what], memo]), SPLIT.terms)
    found = f"instruction {len(others) + 1} is one to {NO_TIPS[what].program_id}"
    assert told == f"{found}; the order needs one to {memo.program_id}, with its own content"


def test_lamports_to_a_stranger_in_a_tips_place_are_a_tip_to_no_lane() -> None:
    *others, memo = SPLIT.instructions
    message = compiled([*others, DRAINS["lamports to a stranger"], memo])
    assert refusal(message, SPLIT.terms) == f"it tips {STRANGER}, which is no lane's account"


def test_a_swap_with_little_or_nothing_beside_it_is_refused() -> None:
    """In version 1, where the compute budget takes no instructions."""
    swap, transferring = BUYING_SOL.instructions[swaps_of(BUYING_SOL)[0]], DRAINS["lamports to a stranger"]
    opening = BUYING_SOL.plan.instructions()[0].program_id
    alone = f"instruction 1 is one to {swap.program_id}; the order needs one to {opening}, with its own content"
    for instructions, why in (
        ([swap], alone),
        ([transferring, swap], f"it tips {STRANGER}, which is no lane's account"),
    ):
        message = MessageV1.try_compile(BUYING_SOL.terms.wallet, instructions, LATEST.blockhash, BUDGET.config)
        assert refusal(as_bytes(message), BUYING_SOL.terms) == why


def test_nobody_else_may_sign_or_pay() -> None:
    cosigned = [*SPLIT.instructions[:-1], _cosigned(SPLIT.instructions[-1])]
    assert "others than the wallet" in refusal(compiled(cosigned), SPLIT.terms)
    paid_by_another = MessageV0.try_compile(STRANGER, SPLIT.instructions, [], LATEST.blockhash)
    assert "others than the wallet" in refusal(as_bytes(paid_by_another), SPLIT.terms)
    not_mine = replace(SPLIT.terms, wallet=STRANGER)
    assert "another account than the wallet pays" in refusal(as_bytes(SPLIT.message), not_mine)


def _cosigned(instruction: Instruction) -> Instruction:
    cosigner = AccountMeta(STRANGER, is_signer=True, is_writable=False)
    return Instruction(instruction.program_id, bytes(instruction.data), [*instruction.accounts, cosigner])


@pytest.mark.parametrize("program", SWAP_PROGRAMS)
def test_a_swap_program_is_asked_for_nothing_but_our_swaps(program: Pubkey) -> None:
    number = next(n for n in swaps_of(SPLIT) if SPLIT.instructions[n].program_id == program)
    instructions = SPLIT.instructions
    swap = instructions[number]
    instructions[number] = Instruction(program, b"deposits" + bytes(swap.data)[8:], swap.accounts)
    assert refusal(compiled(instructions), SPLIT.terms).startswith(f"an instruction to {program} is no swap of ours: ")


def test_no_account_comes_through_a_lookup_table() -> None:
    instructions = SPLIT.instructions
    table = AddressLookupTableAccount(STRANGER, list(SPLIT.message.account_keys))
    message = MessageV0.try_compile(SPLIT.terms.wallet, instructions, [table], LATEST.blockhash)
    assert message.address_table_lookups
    assert "lookup tables" in refusal(as_bytes(message), SPLIT.terms)


def test_only_versions_0_and_1_are_signed() -> None:
    legacy = Message.new_with_blockhash(BUYING_SOL.instructions, BUYING_SOL.terms.wallet, LATEST.blockhash)
    assert "neither a version 0" in refusal(bytes(legacy), BUYING_SOL.terms)


def test_a_pool_that_is_not_registered_is_not_traded_nor_one_of_another_program_or_pair() -> None:
    message = as_bytes(SPLIT.message)
    known = registry().tradable()
    pool = next(each for each in known if each in SPLIT.message.account_keys)
    others = {key: value for key, value in known.items() if key != pool}
    assert "not registered" in refusal(message, SPLIT.terms, by(others))
    program, mints = known[pool]
    other_program = TradablePool(RAYDIUM if program == METEORA else METEORA, mints)
    assert "not registered" in refusal(message, SPLIT.terms, by({**known, pool: other_program}))
    other_pair = TradablePool(program, (mints[0], STRANGER))
    assert "other tokens" in refusal(message, SPLIT.terms, by({**known, pool: other_pair}))


def test_a_swap_that_names_no_mints_is_held_to_those_that_its_pool_is_registered_with() -> None:
    programs = (METEORA_DAMM_V1,)
    made = trade("SOL", "USDC", 10**9, programs=programs)
    message, known = as_bytes(made.message), registry(programs=programs).tradable()
    by(dict(known)).approve(message, made.terms)
    pool = next(each for each in known if each in made.message.account_keys)
    other_pair = TradablePool(METEORA_DAMM_V1, (known[pool].mints[0], STRANGER))
    told = refusal(message, made.terms, by({**known, pool: other_pair}))
    assert told == f"a swap at pool {pool} is none of ours: a vault is not that of the pool's token"


def by(pools: dict[Pubkey, TradablePool]) -> SigningPolicy:
    return SigningPolicy((RaydiumCpmmVenue(), MeteoraDlmmVenue(), MeteoraDammV1Venue()), lambda: pools, FEE_CAP)


# --- the order ------------------------------------------------------------------------------------------------------

OTHER_TERMS: dict[str, dict[str, Any]] = {
    "order": {"order_id": "0197c3d2-7a1f-7000-8000-0123456789ac"},
    "attempt": {"attempt": 2},
    "nonce": {"nonce": "5e2b7d"},
    "token sold": {"mint_in": MINTS["USDC"]},
    "token bought": {"mint_out": MINTS["USDC"]},
    "amount": {"amount_in": SPLIT.terms.amount_in - 1},
    "floor": {"min_out": SPLIT.terms.min_out * 2},
    "nothing sold": {"amount_in": 0},
    "nothing asked for": {"min_out": 0},
    "what it sells": {"mint_out": SPLIT.terms.mint_in},
}


@pytest.mark.parametrize("terms", OTHER_TERMS)
def test_a_transaction_of_one_order_is_not_signed_for_another(terms: str) -> None:
    refusal(as_bytes(SPLIT.message), replace(SPLIT.terms, **OTHER_TERMS[terms]))


def test_programs_judge_the_config_and_the_bin_arrays_of_which_only_their_own_are_named() -> None:
    """What the docstring of the policy says may differ besides: neither decides who gets what."""
    raydium = next(n for n in swaps_of(SPLIT) if SPLIT.instructions[n].program_id == RAYDIUM)
    accounts = list(SPLIT.instructions[raydium].accounts)
    accounts[2] = AccountMeta(config_address(77), is_signer=False, is_writable=False)
    policy().approve(with_accounts(SPLIT, raydium, accounts), SPLIT.terms)

    meteora = next(n for n in swaps_of(SPLIT) if SPLIT.instructions[n].program_id == METEORA)
    accounts = list(SPLIT.instructions[meteora].accounts)
    pool = accounts[0].pubkey
    accounts[16:] = [AccountMeta(bin_array_address(pool, 300), is_signer=False, is_writable=True)]
    policy().approve(with_accounts(SPLIT, meteora, accounts), SPLIT.terms)


def test_a_refusal_says_why_and_is_final_and_never_shows_the_bytes() -> None:
    message = with_amounts(SPLIT, {0: (1, 0)})
    text = refusal(message, SPLIT.terms)
    assert SigningRefused.code == "SIGNING_REFUSED"
    assert issubclass(SigningRefused, PermanentError)
    assert message.hex() not in text
    assert str(LATEST.blockhash) not in text


def test_a_refusal_names_the_first_instruction_that_is_not_what_the_order_needs_there() -> None:
    plain = SPLIT.instructions
    memo, number = plain[-1].program_id, len(plain)
    for instructions, found, needed in (
        (plain[:-1], f"instruction {number} is missing", f"one to {memo}"),
        ([*plain, plain[-1]], f"instruction {number + 1} is one to {memo}", "none"),
        ([*plain[:2], plain[-1], *plain[2:]], f"instruction 3 is one to {memo}", f"one to {plain[2].program_id}"),
    ):
        told = refusal(compiled(instructions), SPLIT.terms)
        assert told == f"{found}; the order needs {needed}, with its own content"


# --- nobody goes round it -------------------------------------------------------------------------------------------


def test_an_approval_can_not_be_made_or_changed_by_others() -> None:
    with pytest.raises(TypeError):
        ApprovedMessage(cast("Any", object()), SPLIT.message, SPLIT.terms.wallet)
    passed = policy().approve(as_bytes(SPLIT.message), SPLIT.terms)
    with pytest.raises(AttributeError):
        passed.message = BUYING_SOL.message  # type: ignore[misc]
    with pytest.raises(AttributeError):
        passed.signer = STRANGER  # type: ignore[misc]
    assert policy().approve(_on_another_blockhash(), SPLIT.terms).message != passed.message


def _on_another_blockhash() -> bytes:
    return as_bytes(MessageV0.try_compile(SPLIT.terms.wallet, SPLIT.instructions, [], Hash.default()))


# What signs, or lets others sign, and the one file that may say it.
SIGNING_NAMES = {
    "_Seal": {"chalicelib/solana/signing_policy.py"},
    "sign_message": {"chalicelib/solana/wallet.py"},
    "_keypair": {"chalicelib/solana/wallet.py"},
    "_kms": {"chalicelib/aws/kms_wallet.py"},
    "ApprovedMessage": {
        "chalicelib/solana/signing_policy.py",
        "chalicelib/solana/signing.py",
        "chalicelib/solana/wallet.py",
        "chalicelib/aws/kms_wallet.py",
        "chalicelib/aws/secret_wallet.py",
        "chalicelib/orders/trading.py",
    },
}


@pytest.mark.parametrize("name", SIGNING_NAMES)
def test_no_other_source_names_what_signs(name: str) -> None:
    folders = ("chalicelib", "operations", "infra/deployment", "infra/local_stack")
    sources = [PROJECT / "app.py", *(path for folder in folders for path in (PROJECT / folder).rglob("*.py"))]
    naming = {str(path.relative_to(PROJECT)) for path in sources if name in _names(path)}
    assert naming == SIGNING_NAMES[name]


def _names(path: Path) -> set[str]:
    """Every name, attribute and imported name that a source uses."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name | ast.ClassDef):
            found.add(node.id if isinstance(node, ast.Name) else node.name)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
    return found


def test_a_transaction_is_signed_by_filling_in_a_wallets_signature_alone() -> None:
    """solders signs where a VersionedTransaction is made with keypairs: the product only ever populates."""
    for path in (PROJECT / "chalicelib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("VersionedTransaction", "Transaction"), path
