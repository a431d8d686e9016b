"""An emulated program can do no more than a real one could: these stand guard over the emulations' own mistakes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from infra.localnet.cross_program_invocation import InvocationError, check_effect
from infra.localnet.programs.program import SwapEffect, TokenTransfer
from tests.localnet.playground import ALICE, BOB, GOLD, GOLD_IRON, IRON, RESERVE, Playground
from tests.localnet.toy_exchange import PROGRAM_ID, ToyExchange


@pytest.fixture
def swap(playground: Playground) -> Instruction:
    return playground.swap(GOLD_IRON, GOLD, 1_000)


@pytest.fixture
def accounts(playground: Playground, swap: Instruction) -> dict[Pubkey, Account]:
    found = {meta.pubkey: playground.ledger.current(meta.pubkey) for meta in swap.accounts}
    return {address: account for address, account in found.items() if account is not None}


@pytest.fixture
def effect(playground: Playground, swap: Instruction, accounts: dict[Pubkey, Account]) -> SwapEffect:
    return ToyExchange().execute(bytes(swap.data), tuple(swap.accounts), accounts, playground.ledger.clock)


def reason(effect: SwapEffect, swap: Instruction, accounts: dict[Pubkey, Account]) -> str:
    with pytest.raises(InvocationError) as stopped:
        check_effect(effect, swap, accounts)
    return stopped.value.reason


def with_first(effect: SwapEffect, **changes: object) -> SwapEffect:
    first: TokenTransfer = replace(effect.transfers[0], **changes)  # type: ignore[arg-type]
    return replace(effect, transfers=(first, *effect.transfers[1:]))


def test_an_honest_effect_passes(effect: SwapEffect, swap: Instruction, accounts: dict[Pubkey, Account]) -> None:
    check_effect(effect, swap, accounts)
    assert effect.transfers[1].amount == RESERVE * 1_000 // (RESERVE + 1_000)


def test_a_wallet_that_did_not_sign_cannot_be_spent_from(
    effect: SwapEffect, swap: Instruction, accounts: dict[Pubkey, Account]
) -> None:
    metas = [AccountMeta(ALICE.pubkey(), is_signer=False, is_writable=False), *swap.accounts[1:]]
    unsigned = Instruction(swap.program_id, swap.data, metas)
    assert reason(effect, unsigned, accounts) == "PrivilegeEscalation"


def test_accounts_that_the_instruction_does_not_name_are_out_of_reach(
    effect: SwapEffect, swap: Instruction, accounts: dict[Pubkey, Account]
) -> None:
    assert reason(with_first(effect, destination=BOB.pubkey()), swap, accounts) == "MissingAccount"
    assert reason(with_first(effect, authority=BOB.pubkey()), swap, accounts) == "MissingAccount"


def test_only_the_programs_own_accounts_can_be_written(
    effect: SwapEffect, swap: Instruction, accounts: dict[Pubkey, Account]
) -> None:
    vault = GOLD_IRON.vault(IRON)
    assert reason(replace(effect, writes={vault: b"x"}), swap, accounts) == "ExternalAccountDataModified"
    assert reason(replace(effect, writes={PROGRAM_ID: b"x"}), swap, accounts) == "ReadonlyDataModified"
