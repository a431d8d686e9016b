"""Rent is judged twice, as a validator does: of the fee payer before a transaction, and of everybody at its end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import (
    AllocateParams,
    CreateAccountParams,
    TransferParams,
    allocate,
    create_account,
    transfer,
)
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import Account
from chalicelib.solana.token_accounts import TokenMint, TradingAccount, source_account
from chalicelib.solana.tokens import NATIVE_MINT, TOKEN_ACCOUNT_LENGTH, TOKEN_PROGRAM
from infra.localnet.fee_payer import why_unpayable
from infra.localnet.programs.token_accounts import rent_exempt
from infra.localnet.runtime import Runtime
from infra.localnet.transaction_error import TransactionError, TransactionRefused
from infra.localnet.transaction_log import LandedTransaction
from tests.localnet.playground import ALICE, BOB, GOLD, GOLD_IRON, HOLDING, Playground
from tests.localnet.toy_exchange import COMPUTE_UNITS, TOO_LITTLE_OUT

FEE = 5_000
RENT = rent_exempt(0)
SPACIOUS_RENT = rent_exempt(200)
TOKEN_RENT = rent_exempt(TOKEN_ACCOUNT_LENGTH)
SOL = TokenMint(NATIVE_MINT, TOKEN_PROGRAM)
ATTEMPT: dict[str, Any] = {"order_id": "order", "attempt": 1, "nonce": "5e2b7c"}
NEWCOMER = Keypair.from_seed(bytes([3] * 32))
# Enough for the payer to be short of rent.
A_LITTLE = 400_000
RUNTIME = Runtime()
SWAP_OR_NOT = pytest.mark.parametrize("emulated", [True, False], ids=["with a swap", "without one"])


def pay(sender: Keypair, to: Keypair, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=sender.pubkey(), to_pubkey=to.pubkey(), lamports=lamports))


def hold(playground: Playground, owner: Keypair, lamports: int, length: int = 0) -> None:
    """Let `owner` have exactly so many lamports."""
    playground.ledger.set_account(owner.pubkey(), Account(Pubkey.default(), lamports, bytes(length)))


def wrapped(lamports: int) -> TradingAccount:
    """Alice's wrapped SOL as an order wraps it."""
    return source_account(ALICE.pubkey(), SOL, lamports, **ATTEMPT, rent_lamports=TOKEN_RENT)


def refusal(playground: Playground, *instructions: Instruction) -> TransactionError:
    """Why a transaction of Alice's can't be in a block. That it changes nothing is looked at too."""
    transaction, before = playground.transaction(*instructions), playground.everything()
    with pytest.raises(TransactionRefused) as refused:
        playground.ledger.submit(transaction)
    assert playground.everything() == before
    assert playground.ledger.transactions.get(transaction.signatures[0]) is None
    simulated = playground.ledger.simulate(transaction, playground.bank())
    assert (simulated.error, simulated.logs, simulated.compute_units) == (refused.value.error, (), 0)
    return refused.value.error


def unsigned(*instructions: Instruction) -> VersionedTransaction:
    message = MessageV0.try_compile(ALICE.pubkey(), list(instructions), [], Hash.default())
    return VersionedTransaction.populate(message, [Signature.default()])


def short_of_rent(index: int) -> TransactionError:
    return TransactionError("InsufficientFundsForRent", {"account_index": index})


class TestTheFee:
    """What it leaves the payer, whatever the transaction would bring later."""

    def instructions(self, playground: Playground, emulated: bool) -> list[Instruction]:
        brings = pay(BOB, ALICE, 10 * RENT)
        return [brings, playground.swap(GOLD_IRON, GOLD, 1_000)] if emulated else [brings]

    @SWAP_OR_NOT
    @pytest.mark.parametrize("left", [RENT - 2 * FEE, RENT - 1])
    def test_that_takes_the_payer_below_rent_exemption_keeps_the_transaction_out(
        self, playground: Playground, emulated: bool, left: int
    ) -> None:
        hold(playground, ALICE, left + 2 * FEE)
        before = playground.everything()
        transaction = playground.transaction(*self.instructions(playground, emulated), signers=[ALICE, BOB])
        with pytest.raises(TransactionRefused) as refused:
            playground.ledger.submit(transaction)
        assert refused.value.error == short_of_rent(0)
        assert playground.everything() == before

    @SWAP_OR_NOT
    @pytest.mark.parametrize("left", [0, RENT])
    def test_may_leave_nothing_or_just_what_rent_exemption_asks(
        self, playground: Playground, emulated: bool, left: int
    ) -> None:
        hold(playground, ALICE, left + 2 * FEE)
        landed = playground.land(*self.instructions(playground, emulated), signers=[ALICE, BOB])
        assert landed.error is None
        assert playground.lamports(ALICE.pubkey()) == left + 10 * RENT

    def test_counts_the_priority_fee(self, playground: Playground) -> None:
        """A price of one lamport a unit, for 54,000 units."""
        hold(playground, ALICE, RENT + 50_000 + FEE)
        dear = [set_compute_unit_limit(54_000), set_compute_unit_price(1_000_000)]
        assert refusal(playground, *dear, playground.swap(GOLD_IRON, GOLD, 1_000)) == short_of_rent(0)
        assert playground.land(playground.swap(GOLD_IRON, GOLD, 1_000)).error is None

    def test_of_more_than_the_payer_has_is_another_error(self, playground: Playground) -> None:
        hold(playground, ALICE, FEE - 1)
        assert refusal(playground, pay(ALICE, BOB, 0)) == TransactionError("InsufficientFundsForFee")
        playground.ledger.set_account(ALICE.pubkey(), None)
        assert refusal(playground, pay(ALICE, BOB, 0)) == TransactionError("AccountNotFound")

    def test_is_paid_by_no_program_and_no_account_with_data(self, playground: Playground) -> None:
        hold(playground, ALICE, 10**9, length=8)
        assert refusal(playground, pay(ALICE, BOB, 0)) == TransactionError("InvalidAccountForFee")
        playground.ledger.set_account(ALICE.pubkey(), Account(TOKEN_PROGRAM, 10**9, b""))
        assert refusal(playground, pay(ALICE, BOB, 0)) == TransactionError("InvalidAccountForFee")

    @given(lamports=st.integers(1, 2 * RENT) | st.sampled_from([FEE, FEE + RENT]), fee_units=st.integers(0, RENT))
    def test_is_judged_as_the_virtual_machine_judges_it(self, lamports: int, fee_units: int) -> None:
        payer = Account(Pubkey.default(), lamports, b"")
        fee = FEE + fee_units
        ours = why_unpayable(payer, fee, RUNTIME.rent_exempt_minimum)
        with RUNTIME.substituted({ALICE.pubkey(): payer}):
            theirs = RUNTIME.execute(unsigned(set_compute_unit_limit(1_000_000), set_compute_unit_price(fee_units)))
        assert theirs.error == ours

    @given(lamports=st.integers(1, 2 * rent_exempt(80)) | st.sampled_from([rent_exempt(80) + FEE]))
    def test_of_a_nonce_account_is_judged_as_the_virtual_machine_judges_it(self, lamports: int) -> None:
        nonce = (1).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(72)
        payer = Account(Pubkey.default(), lamports, nonce)
        with RUNTIME.substituted({ALICE.pubkey(): payer}):
            theirs = RUNTIME.execute(unsigned(set_compute_unit_limit(1_000)))
        assert theirs.error == why_unpayable(payer, FEE, RUNTIME.rent_exempt_minimum)


class TestInBetween:
    """Before and after a swap accounts may hold less than their rent, as long as they have it in the end."""

    def test_the_wallet_may_wrap_all_but_a_little_of_its_sol(self, playground: Playground) -> None:
        hold(playground, ALICE, 10**9)
        account = wrapped(10**9 - TOKEN_RENT - FEE - A_LITTLE)
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)
        landed = playground.land(*account.opening, swap, *account.closing)
        assert landed.error is None
        assert playground.lamports(ALICE.pubkey()) == 10**9 - FEE
        assert playground.held(ALICE, GOLD) == HOLDING - 1_000

    @pytest.mark.parametrize("left", [0, 1, A_LITTLE, RENT - 1])
    def test_another_account_may_be_all_but_emptied(self, playground: Playground, left: int) -> None:
        hold(playground, BOB, 10**9)
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)
        there, back = pay(BOB, ALICE, 10**9 - left), pay(ALICE, BOB, 10**9 - left)
        assert playground.land(there, swap, back, signers=[ALICE, BOB]).error is None
        assert playground.lamports(BOB.pubkey()) == 10**9

    def test_several_accounts_may_be_short_at_once(self, playground: Playground) -> None:
        hold(playground, ALICE, 10**9)
        hold(playground, BOB, 10**9)
        account, swap = wrapped(10**9 - TOKEN_RENT - 3 * FEE - A_LITTLE), playground.swap(GOLD_IRON, GOLD, 1_000)
        landed = playground.land(
            pay(BOB, ALICE, 10**9 - 1),
            pay(ALICE, NEWCOMER, 10**9),
            *account.opening,
            pay(ALICE, BOB, 1),
            swap,
            swap,
            pay(NEWCOMER, BOB, 10**9 - 2),
            *account.closing,
            pay(ALICE, NEWCOMER, RENT),
            signers=[ALICE, BOB, NEWCOMER],
        )
        assert landed.error is None
        assert playground.lamports(NEWCOMER.pubkey()) == RENT + 2
        assert playground.lamports(BOB.pubkey()) == 10**9
        assert playground.held(ALICE, GOLD) == HOLDING - 2_000

    def test_a_new_account_may_get_its_rent_later(self, playground: Playground) -> None:
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)
        landed = playground.land(pay(ALICE, NEWCOMER, 1), swap, pay(ALICE, NEWCOMER, RENT - 1))
        assert landed.error is None
        assert playground.lamports(NEWCOMER.pubkey()) == RENT

    def test_the_programs_see_what_the_accounts_really_hold(self, playground: Playground) -> None:
        """Bob spends what he has in between to the lamport, and not one more."""
        hold(playground, BOB, 10**9)
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)
        there = pay(BOB, ALICE, 10**9 - A_LITTLE)
        all_of_it = playground.land(there, swap, pay(BOB, ALICE, A_LITTLE), signers=[ALICE, BOB])
        assert all_of_it.error is None
        assert playground.ledger.current(BOB.pubkey()) is None
        hold(playground, BOB, 10**9)
        too_much = playground.land(there, swap, swap, pay(BOB, ALICE, A_LITTLE + 1), signers=[ALICE, BOB])
        assert too_much.error == TransactionError.instruction(3, {"Custom": 1})

    def test_it_shows_in_neither_fee_nor_units_nor_logs(self, playground: Playground) -> None:
        hold(playground, BOB, 10**9)
        budget = [set_compute_unit_limit(100_000), set_compute_unit_price(1_000_000)]
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)

        def landed(left: int, **more: Instruction) -> LandedTransaction:
            there, back = pay(BOB, ALICE, 10**9 - left), pay(ALICE, BOB, 10**9 - left)
            instructions = [*budget, there, more.get("swap", swap), back]
            return playground.land(*instructions, signers=[ALICE, BOB])

        well_off, short = landed(RENT), landed(A_LITTLE)
        assert short.meta["logMessages"] == well_off.meta["logMessages"]
        assert short.meta["fee"] == well_off.meta["fee"] == 2 * FEE + 100_000
        units = COMPUTE_UNITS + 4 * 150
        assert short.meta["computeUnitsConsumed"] == well_off.meta["computeUnitsConsumed"] == units

        refused = playground.swap(GOLD_IRON, GOLD, 1_000, minimum_out=10**9)
        well_off, short = landed(RENT, swap=refused), landed(A_LITTLE, swap=refused)
        assert short.error == well_off.error == TransactionError.instruction(3, {"Custom": TOO_LITTLE_OUT})
        assert short.meta["logMessages"] == well_off.meta["logMessages"]
        assert short.meta["computeUnitsConsumed"] == well_off.meta["computeUnitsConsumed"]

    def test_a_swap_that_only_just_has_the_units_still_has_them(self, playground: Playground) -> None:
        hold(playground, BOB, 10**9)
        there, back = pay(BOB, ALICE, 10**9 - 1), pay(ALICE, BOB, 10**9 - 1)
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)
        enough = set_compute_unit_limit(COMPUTE_UNITS + 3 * 150)
        assert playground.land(enough, there, swap, back, signers=[ALICE, BOB]).error is None


class TestTheEnd:
    """Whoever has less than its rent then, and had it before, fails the transaction; the fee is paid all the same."""

    def failed(self, playground: Playground, *instructions: Instruction, emulated: bool, signers: list[Keypair]) -> int:
        """The index of the account that is short. That nothing but the fee changes is looked at too."""
        before = playground.everything()
        swap = [playground.swap(GOLD_IRON, GOLD, 1_000)] if emulated else []
        landed = playground.land(*instructions, *swap, signers=signers)
        after = playground.everything()
        assert {key for key in before | after if before.get(key) != after.get(key)} == {ALICE.pubkey()}
        assert after[ALICE.pubkey()].lamports == before[ALICE.pubkey()].lamports - FEE * len(signers)
        assert landed.error is not None
        assert landed.error.kind == "InsufficientFundsForRent"
        return int(landed.error.detail["account_index"])

    @SWAP_OR_NOT
    def test_the_payer(self, playground: Playground, emulated: bool) -> None:
        hold(playground, ALICE, 10**9)
        drained = pay(ALICE, BOB, 10**9 - FEE - A_LITTLE)
        assert self.failed(playground, drained, emulated=emulated, signers=[ALICE]) == 0

    @SWAP_OR_NOT
    def test_somebody_else(self, playground: Playground, emulated: bool) -> None:
        hold(playground, BOB, 10**9)
        drained = pay(BOB, ALICE, 10**9 - A_LITTLE)
        assert self.failed(playground, drained, emulated=emulated, signers=[ALICE, BOB]) == 1

    @SWAP_OR_NOT
    def test_an_account_that_is_new(self, playground: Playground, emulated: bool) -> None:
        created = create_account(
            CreateAccountParams(
                from_pubkey=ALICE.pubkey(),
                to_pubkey=NEWCOMER.pubkey(),
                lamports=SPACIOUS_RENT - 1,
                space=200,
                owner=TOKEN_PROGRAM,
            )
        )
        assert self.failed(playground, created, emulated=emulated, signers=[ALICE, NEWCOMER]) == 1

    @SWAP_OR_NOT
    def test_an_account_that_has_grown(self, playground: Playground, emulated: bool) -> None:
        hold(playground, NEWCOMER, SPACIOUS_RENT - 1)
        grown = allocate(AllocateParams(pubkey=NEWCOMER.pubkey(), space=200))
        assert self.failed(playground, grown, emulated=emulated, signers=[ALICE, NEWCOMER]) == 1

    @SWAP_OR_NOT
    def test_but_not_one_that_is_emptied(self, playground: Playground, emulated: bool) -> None:
        hold(playground, BOB, 10**9)
        swap = [playground.swap(GOLD_IRON, GOLD, 1_000)] if emulated else []
        assert playground.land(pay(BOB, ALICE, 10**9), *swap, signers=[ALICE, BOB]).error is None
        assert playground.ledger.current(BOB.pubkey()) is None

    @SWAP_OR_NOT
    def test_and_not_one_that_was_short_before_and_got_nothing(self, playground: Playground, emulated: bool) -> None:
        """Such accounts are older than the rule."""
        hold(playground, BOB, A_LITTLE)
        swap = [playground.swap(GOLD_IRON, GOLD, 1_000)] if emulated else []
        assert playground.land(pay(BOB, ALICE, 1), *swap, signers=[ALICE, BOB]).error is None
        assert playground.lamports(BOB.pubkey()) == A_LITTLE - 1


class TestATokenAccount:
    def test_of_too_few_lamports_is_refused_by_the_token_program(self, playground: Playground) -> None:
        poor = source_account(ALICE.pubkey(), SOL, 0, **ATTEMPT, rent_lamports=TOKEN_RENT - 1)
        landed = playground.land(*poor.opening, playground.swap(GOLD_IRON, GOLD, 1_000), *poor.closing)
        assert landed.error == TransactionError.instruction(1, {"Custom": 0})

    def test_of_wrapped_sol_counts_what_it_holds_above_its_rent_and_gives_all_back(
        self, playground: Playground
    ) -> None:
        before = playground.lamports(ALICE.pubkey())
        account, sync = wrapped(7_000), bytes([17])
        more = transfer(TransferParams(from_pubkey=ALICE.pubkey(), to_pubkey=account.address, lamports=500))
        synced = Instruction(TOKEN_PROGRAM, sync, [AccountMeta(account.address, is_signer=False, is_writable=True)])
        opened = playground.land(*account.opening, more, synced, playground.swap(GOLD_IRON, GOLD, 1_000))
        assert opened.error is None
        assert playground.amount(account.address) == 7_500
        playground.land(*account.closing)
        assert playground.ledger.current(account.address) is None
        assert playground.lamports(ALICE.pubkey()) == before - 2 * FEE
