"""A program that is emulated moves no token that Token-2022 doesn't let a program move, and is told so in its words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM
from infra.localnet.cross_program_invocation import transfer_instruction
from infra.localnet.programs.program import TokenTransfer
from infra.localnet.transaction_error import TransactionError
from tests.localnet import token_2022
from tests.localnet.playground import ALICE, BOB, GOLD, GOLD_IRON, HOLDING, IRON, IRON_SALT, SALT, Playground, holding
from tests.localnet.toy_exchange import PROGRAM_ID

FEE = 5_000
SALT_OF_ALICE = holding(ALICE.pubkey(), SALT)
GUARD = token_2022.guard(SALT_OF_ALICE, ALICE.pubkey())
GUARD_LOG = "CPI Guard is enabled, and a program attempted to transfer user funds without using a delegate"


def custom(index: int, code: int) -> TransactionError:
    return TransactionError.instruction(index, {"Custom": code})


def edit(playground: Playground, of: Keypair, change: Callable[[Account], Account]) -> None:
    """Change the account of somebody's salt."""
    address = holding(of.pubkey(), SALT)
    account = playground.ledger.current(address)
    assert account is not None
    playground.ledger.set_account(address, change(account))


class TestAGuardedAccount:
    def test_is_left_alone_by_a_program_though_its_owner_signed(self, playground: Playground) -> None:
        playground.land(*GUARD)
        before = playground.everything()
        landed = playground.land(set_compute_unit_limit(400_000), playground.swap(IRON_SALT, SALT, 1_000))
        assert landed.error == custom(1, token_2022.CPI_GUARD_BLOCKED)
        after = playground.everything()
        assert {key for key in before if after[key] != before[key]} == {ALICE.pubkey()}
        assert after[ALICE.pubkey()].lamports == before[ALICE.pubkey()].lamports - FEE

    def test_is_refused_with_the_token_programs_log(self, playground: Playground) -> None:
        playground.land(*GUARD)
        landed = playground.land(set_compute_unit_limit(400_000), playground.swap(IRON_SALT, SALT, 1_000))
        assert landed.meta["logMessages"][2:-2] == [
            f"Program {PROGRAM_ID} invoke [1]",
            "Program log: Instruction: Swap",
            f"Program {TOKEN_2022_PROGRAM} invoke [2]",
            "Program log: Instruction: TransferChecked",
            f"Program log: {GUARD_LOG}",
            f"Program {TOKEN_2022_PROGRAM} consumed 3094 of 399850 compute units",
            f"Program {TOKEN_2022_PROGRAM} failed: custom program error: 0x2a",
        ]
        assert landed.meta["logMessages"][-1] == f"Program {PROGRAM_ID} failed: custom program error: 0x2a"
        (group,) = landed.meta["innerInstructions"]
        (tried,) = group["instructions"]
        assert landed.keys[tried["programIdIndex"]] == TOKEN_2022_PROGRAM

    @pytest.mark.parametrize("budget", [[], [set_compute_unit_limit(50_000)]], ids=["default", "explicit"])
    def test_costs_no_more_units_than_there_are(self, playground: Playground, budget: list[Instruction]) -> None:
        playground.land(*GUARD)
        landed = playground.land(*budget, playground.swap(IRON_SALT, SALT, 1_000))
        assert landed.error == custom(len(budget), token_2022.CPI_GUARD_BLOCKED)
        assert 3_094 < landed.meta["computeUnitsConsumed"] <= 50_000

    def test_receives_from_a_program(self, playground: Playground) -> None:
        playground.land(*GUARD)
        assert playground.land(playground.swap(IRON_SALT, IRON, 1_000_000)).error is None
        assert playground.held(ALICE, SALT) > HOLDING

    def test_can_be_spent_from_by_its_owner_directly(self, playground: Playground) -> None:
        playground.land(*GUARD)
        to_bob = TokenTransfer(
            TOKEN_2022_PROGRAM, SALT_OF_ALICE, SALT.address, holding(BOB.pubkey(), SALT), ALICE.pubkey(), 1_000, 6
        )
        assert playground.land(transfer_instruction(to_bob)).error is None
        assert playground.held(ALICE, SALT) == HOLDING - 1_000

    def test_can_be_spent_from_by_its_delegate_in_a_program(self, playground: Playground) -> None:
        approval = token_2022.approve(SALT_OF_ALICE, SALT.address, BOB.pubkey(), ALICE.pubkey(), 5_000, 6)
        playground.land(*GUARD, approval)
        by_bob = IRON_SALT.swap(SALT, 1_000, 0, BOB.pubkey(), SALT_OF_ALICE, holding(BOB.pubkey(), IRON))
        assert playground.land(by_bob, signers=[BOB]).error is None
        assert playground.held(ALICE, SALT) == HOLDING - 1_000

    def test_is_one_as_soon_as_the_guard_is_on_and_none_as_soon_as_it_is_off(self, playground: Playground) -> None:
        swap = playground.swap(IRON_SALT, SALT, 1_000)
        assert playground.land(*GUARD, swap).error == custom(2, token_2022.CPI_GUARD_BLOCKED)
        assert playground.land(swap).error is None  # the guard failed with its transaction
        playground.land(*GUARD)
        off = token_2022.unguard(SALT_OF_ALICE, ALICE.pubkey())
        assert playground.land(off, swap).error is None

    def test_stops_the_second_leg_too(self, playground: Playground) -> None:
        playground.land(*GUARD)
        legs = playground.swap(GOLD_IRON, GOLD, 1_000), playground.swap(IRON_SALT, SALT, 1_000)
        landed = playground.land(*legs)
        assert landed.error == custom(1, token_2022.CPI_GUARD_BLOCKED)
        assert f"Program {PROGRAM_ID} success" in landed.meta["logMessages"]
        assert playground.held(ALICE, GOLD) == HOLDING

    def test_is_looked_at_after_its_balance_and_after_it_was_frozen(self, playground: Playground) -> None:
        playground.land(*GUARD)
        assert playground.land(playground.swap(IRON_SALT, SALT, HOLDING + 1)).error == custom(0, 1)
        edit(playground, ALICE, token_2022.frozen)
        assert playground.land(playground.swap(IRON_SALT, SALT, 1_000)).error == custom(0, token_2022.FROZEN)

    def test_is_told_by_a_simulation_as_by_the_transaction(self, playground: Playground) -> None:
        playground.land(*GUARD)
        transaction = playground.transaction(playground.swap(IRON_SALT, SALT, 1_000))
        simulated = playground.ledger.simulate(transaction, playground.bank())
        landed = playground.ledger.submit(transaction)
        assert list(simulated.logs) == landed.meta["logMessages"]
        assert simulated.error == landed.error == custom(0, token_2022.CPI_GUARD_BLOCKED)


def test_an_account_that_asks_for_memos_takes_nothing_from_a_program_that_writes_none(playground: Playground) -> None:
    playground.land(*token_2022.ask_for_memos(SALT_OF_ALICE, ALICE.pubkey()))
    landed = playground.land(playground.swap(IRON_SALT, IRON, 1_000_000))
    assert landed.error == custom(0, token_2022.NO_MEMO)
    assert playground.held(ALICE, IRON) == HOLDING
    assert playground.land(playground.swap(IRON_SALT, SALT, 1_000)).error is None, "and it can be sold from"


@pytest.mark.parametrize(
    ("obstacle", "code"),
    [(token_2022.frozen, token_2022.FROZEN), (token_2022.not_transferable, token_2022.NON_TRANSFERABLE)],
)
def test_a_wallets_account_may_be_closed_to_all(
    playground: Playground, obstacle: Callable[[Account], Account], code: int
) -> None:
    edit(playground, ALICE, obstacle)
    assert playground.land(playground.swap(IRON_SALT, SALT, 1_000)).error == custom(0, code)


def test_a_mint_may_be_paused(playground: Playground) -> None:
    mint = playground.ledger.current(SALT.address)
    assert mint is not None
    playground.ledger.set_account(SALT.address, token_2022.paused(mint))
    for side in (SALT, IRON):
        assert playground.land(playground.swap(IRON_SALT, side, 1_000_000)).error == custom(0, token_2022.PAUSED)
