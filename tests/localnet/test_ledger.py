"""The chain's own rules: which transactions land, what they cost, and how long what may still happen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import Account
from infra.localnet.blockhashes import LIFE_IN_BLOCKS
from infra.localnet.consensus import ALPENGLOW, TOWER, ConsensusRules
from infra.localnet.fees import transaction_fee
from infra.localnet.message import ADDRESS_LOOKUP_TABLE_PROGRAM
from infra.localnet.runtime import Runtime
from infra.localnet.transaction_error import TransactionError, TransactionRefused
from tests.localnet.playground import (
    ALICE,
    BOB,
    CONFIRMED,
    FINALIZED,
    GOLD,
    GOLD_IRON,
    HOLDING,
    LAMPORTS,
    PROCESSED,
    Playground,
)
from tests.localnet.toy_exchange import PROGRAM_ID

FEE = 5_000


def pay(lamports: int = 1_000_000, sender: Keypair = ALICE, to: Pubkey | None = None) -> Instruction:
    receiver = BOB.pubkey() if to is None else to
    return transfer(TransferParams(from_pubkey=sender.pubkey(), to_pubkey=receiver, lamports=lamports))


def refusal(playground: Playground, transaction: VersionedTransaction) -> str:
    with pytest.raises(TransactionRefused) as refused:
        playground.ledger.submit(transaction)
    return refused.value.error.kind


class TestABlockhash:
    def test_can_be_used_for_150_blocks_and_not_for_one_more(self, playground: Playground) -> None:
        late, too_late = (playground.transaction(pay(amount)) for amount in (1_000_000, 1_000_001))
        playground.advance(LIFE_IN_BLOCKS)
        assert playground.ledger.submit(late).error is None
        playground.advance()
        assert refusal(playground, too_late) == "BlockhashNotFound"

    def test_comes_with_the_last_height_at_which_it_is_valid(self, playground: Playground) -> None:
        blockhash, last_valid = playground.ledger.latest_blockhash(playground.bank())
        while playground.bank().block_height < last_valid:
            playground.advance()
        assert playground.ledger.is_blockhash_valid(blockhash, playground.bank())
        playground.advance()
        assert not playground.ledger.is_blockhash_valid(blockhash, playground.bank())

    def test_of_an_older_bank_is_older_and_ends_earlier(self, playground: Playground) -> None:
        newest, until = playground.ledger.latest_blockhash(playground.bank(PROCESSED))
        final, final_until = playground.ledger.latest_blockhash(playground.bank(FINALIZED))
        assert newest != final
        assert until - final_until == playground.ledger.consensus.finality_lag

    def test_is_unknown_to_a_bank_that_is_older_than_it(self, playground: Playground) -> None:
        newest = playground.transaction(pay())
        with pytest.raises(TransactionRefused, match="Blockhash not found"):
            playground.ledger.simulate(newest, playground.bank(FINALIZED))
        assert playground.ledger.simulate(newest, playground.bank(PROCESSED)).error is None

    def test_of_another_chain_is_not_found(self, playground: Playground) -> None:
        assert refusal(playground, playground.transaction(pay(), blockhash=Hash.new_unique())) == "BlockhashNotFound"


class TestSendingTwice:
    def test_lands_once(self, playground: Playground) -> None:
        transaction = playground.transaction(pay())
        playground.ledger.submit(transaction)
        before = playground.everything()
        assert refusal(playground, transaction) == "AlreadyProcessed"
        assert playground.everything() == before

    def test_lands_once_in_later_slots_too_until_its_blockhash_expires(self, playground: Playground) -> None:
        transaction = playground.transaction(pay())
        playground.ledger.submit(transaction)
        for _ in range(LIFE_IN_BLOCKS):
            playground.advance()
            assert refusal(playground, transaction) == "AlreadyProcessed"
        playground.advance()
        assert refusal(playground, transaction) == "BlockhashNotFound"

    def test_a_failed_transaction_lands_once_as_well(self, playground: Playground) -> None:
        transaction = playground.transaction(pay(10 * LAMPORTS))
        assert playground.ledger.submit(transaction).error is not None
        before = playground.lamports(ALICE.pubkey())
        assert refusal(playground, transaction) == "AlreadyProcessed"
        assert playground.lamports(ALICE.pubkey()) == before


class TestTheFee:
    def test_is_paid_by_a_failed_transaction_too(self, playground: Playground) -> None:
        landed = playground.land(pay(10 * LAMPORTS))
        assert landed.error == TransactionError.instruction(0, {"Custom": 1})
        assert playground.lamports(ALICE.pubkey()) == LAMPORTS - FEE

    def test_that_nobody_can_pay_keeps_a_transaction_out(self, playground: Playground) -> None:
        stranger = Keypair()
        assert refusal(playground, playground.transaction(pay(1, stranger), signers=[stranger])) == "AccountNotFound"
        playground.land(pay(playground.ledger.rent_exempt_minimum(0), to=stranger.pubkey()))
        unaffordable = playground.transaction(set_compute_unit_price(10**9), pay(1, stranger), signers=[stranger])
        assert refusal(playground, unaffordable) == "InsufficientFundsForFee"

    @settings(max_examples=60, deadline=None)
    @given(
        limit=st.none() | st.integers(20_000, 2_000_000),
        price=st.none() | st.integers(0, 10**6),
        payments=st.integers(1, 3),
        memos=st.integers(0, 3),
        cosigned=st.booleans(),
    )
    def test_is_what_the_runtime_charges(
        self, limit: int | None, price: int | None, payments: int, memos: int, cosigned: bool
    ) -> None:
        memo = Instruction(Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"), b"hello", [])
        instructions = [pay(1_000_000)] * payments + [memo] * memos
        instructions += [] if limit is None else [set_compute_unit_limit(limit)]
        instructions += [] if price is None else [set_compute_unit_price(price)]
        instructions += [pay(1_000_000, BOB, ALICE.pubkey())] if cosigned else []
        signers = [ALICE, BOB] if cosigned else [ALICE]
        runtime = Runtime()
        for signer in signers:
            runtime.set_account(signer.pubkey(), Account(Pubkey.default(), LAMPORTS, b""))
        message = MessageV0.try_compile(ALICE.pubkey(), instructions, [], Hash.default())
        charged = runtime.execute(VersionedTransaction(message, signers)).fee
        assert transaction_fee(instructions, len(signers)) == charged


class TestCommitment:
    @pytest.mark.parametrize(
        ("chain", "slots_until"),
        [
            (ALPENGLOW, {"processed": 0, "confirmed": 1, "finalized": 1}),
            (TOWER, {"processed": 0, "confirmed": 2, "finalized": 32}),
        ],
        ids=["alpenglow", "tower"],
    )
    def test_a_reader_sees_a_change_when_its_level_reaches_it(
        self, chain: ConsensusRules, slots_until: dict[str, int]
    ) -> None:
        playground = Playground(chain)
        playground.land(pay(1_000))
        seen_after: dict[str, int] = {}
        for slots in range(40):
            for level in (PROCESSED, CONFIRMED, FINALIZED):
                if playground.lamports(BOB.pubkey(), level) == LAMPORTS + 1_000:
                    seen_after.setdefault(level.value, slots)
            playground.advance()
        assert seen_after == slots_until

    def test_an_older_bank_simulates_on_its_own_accounts(self, playground: Playground) -> None:
        playground.advance(40)
        newcomer = Keypair()
        old_hash = playground.blockhash(FINALIZED)
        playground.land(pay(10**9, to=newcomer.pubkey()))
        spending = playground.transaction(pay(1_000, newcomer), signers=[newcomer], blockhash=old_hash)
        assert playground.ledger.simulate(spending, playground.bank(PROCESSED)).error is None
        final = playground.ledger.simulate(spending, playground.bank(FINALIZED))
        assert final.error == TransactionError("AccountNotFound")
        # and leaves the newest ones alone
        assert playground.lamports(newcomer.pubkey()) == 10**9
        assert playground.ledger.submit(spending).error is None

    def test_a_swap_on_an_older_bank_sees_the_pool_of_then(self, playground: Playground) -> None:
        playground.advance(40)
        quote = playground.transaction(
            playground.swap(GOLD_IRON, GOLD, 1_000_000), blockhash=playground.blockhash(FINALIZED)
        )
        then = playground.ledger.simulate(quote, playground.bank(PROCESSED))
        playground.land(playground.swap(GOLD_IRON, GOLD, 500_000_000, trader=BOB), signers=[BOB])
        now = playground.ledger.simulate(quote, playground.bank(PROCESSED))
        final = playground.ledger.simulate(quote, playground.bank(FINALIZED))
        vault = GOLD_IRON.vault(GOLD)
        assert final.writes[vault] == then.writes[vault]
        assert now.writes[vault] != then.writes[vault]

    def test_height_and_slot_are_not_the_same_number(self, playground: Playground) -> None:
        assert playground.bank().block_height != playground.bank().slot


def test_legacy_and_versioned_transactions_do_the_same(playground: Playground) -> None:
    swap = playground.swap(GOLD_IRON, GOLD, 1_000)
    legacy = playground.ledger.simulate(playground.transaction(swap, legacy=True), playground.bank())
    versioned = playground.ledger.simulate(playground.transaction(swap), playground.bank())
    assert legacy.error is None
    assert legacy.writes == versioned.writes


class TestALookupTable:
    TABLE = Pubkey([77] * 32)

    def swap_by_table(self, playground: Playground, addresses: list[Pubkey], extended_in: int) -> VersionedTransaction:
        header = (1).to_bytes(4, "little") + ((1 << 64) - 1).to_bytes(8, "little") + extended_in.to_bytes(8, "little")
        data = header.ljust(56, b"\0") + b"".join(map(bytes, addresses))
        playground.ledger.set_account(self.TABLE, Account(ADDRESS_LOOKUP_TABLE_PROGRAM, 10**9, data))
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)
        table = AddressLookupTableAccount(self.TABLE, [meta.pubkey for meta in swap.accounts])
        message = MessageV0.try_compile(ALICE.pubkey(), [swap], [table], playground.blockhash())
        assert message.address_table_lookups
        return VersionedTransaction(message, [ALICE])

    def addresses(self, playground: Playground) -> list[Pubkey]:
        return [meta.pubkey for meta in playground.swap(GOLD_IRON, GOLD, 1_000).accounts]

    def test_names_the_accounts_of_a_swap(self, playground: Playground) -> None:
        transaction = self.swap_by_table(playground, self.addresses(playground), 0)
        landed = playground.ledger.submit(transaction)
        assert landed.error is None
        assert playground.held(ALICE, GOLD) == HOLDING - 1_000
        loaded = landed.meta["loadedAddresses"]
        assert str(GOLD_IRON.address) in loaded["writable"]
        assert str(GOLD.address) in loaded["readonly"]
        assert set(map(str, landed.keys)) >= {*loaded["writable"], *loaded["readonly"], str(PROGRAM_ID)}

    def test_that_is_too_short_keeps_the_transaction_out(self, playground: Playground) -> None:
        transaction = self.swap_by_table(playground, self.addresses(playground)[:3], 0)
        assert refusal(playground, transaction) == "InvalidAddressLookupTableIndex"

    def test_can_be_used_from_the_slot_after_it_was_extended(self, playground: Playground) -> None:
        addresses = self.addresses(playground)
        transaction = self.swap_by_table(playground, addresses, playground.ledger.slot)
        assert refusal(playground, transaction) == "InvalidAddressLookupTableIndex"
        playground.advance()
        assert playground.ledger.submit(transaction).error is None

    def test_that_is_missing_or_something_else_keeps_the_transaction_out(self, playground: Playground) -> None:
        transaction = self.swap_by_table(playground, self.addresses(playground), 0)
        table = playground.ledger.current(self.TABLE)
        assert table is not None
        playground.ledger.set_account(self.TABLE, replace(table, owner=PROGRAM_ID))
        assert refusal(playground, transaction) == "InvalidAddressLookupTableOwner"
        playground.ledger.set_account(self.TABLE, None)
        assert refusal(playground, transaction) == "AddressLookupTableNotFound"


def test_a_program_that_does_not_exist_fails_the_transaction_which_pays_its_fee(playground: Playground) -> None:
    landed = playground.land(Instruction(Pubkey([88] * 32), b"", []))
    assert landed.error == TransactionError("ProgramAccountNotFound")
    assert playground.lamports(ALICE.pubkey()) == LAMPORTS - FEE


def test_programs_see_the_clock_of_the_slot(playground: Playground) -> None:
    slot = playground.ledger.slot
    playground.ledger.advance(1_790_000_123)
    clock = playground.ledger.clock
    assert (clock.slot, clock.unix_timestamp, clock.epoch) == (slot + 1, 1_790_000_123, (slot + 1) // 432_000)
    assert playground.ledger.block_time(slot + 1) == 1_790_000_123
