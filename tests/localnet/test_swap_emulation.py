"""A swap of an emulated program is a transaction like any other: atomic, signed, charged, and logged as on a chain."""

from __future__ import annotations

import pytest
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.system_program import TransferParams, transfer

from infra.localnet.transaction_error import TransactionError
from tests.localnet.playground import (
    ALICE,
    BOB,
    GOLD,
    GOLD_IRON,
    HOLDING,
    IRON,
    IRON_SALT,
    RESERVE,
    SALT,
    Playground,
    holding,
)
from tests.localnet.toy_exchange import COMPUTE_UNITS, PROGRAM_ID, TOO_LITTLE_OUT, output, swaps_counted

FEE = 5_000


def test_a_swap_moves_both_tokens_and_writes_the_pools_own_account(playground: Playground) -> None:
    landed = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000_000))
    expected = output(1_000_000, RESERVE, RESERVE)
    assert landed.error is None
    assert playground.held(ALICE, GOLD) == HOLDING - 1_000_000
    assert playground.held(ALICE, IRON) == HOLDING + expected
    assert playground.reserves(GOLD_IRON) == (RESERVE + 1_000_000, RESERVE - expected)
    assert swaps_counted(playground.ledger.current(GOLD_IRON.address)) == 1


def test_a_swap_costs_the_fee_of_its_real_signatures(playground: Playground) -> None:
    before = playground.lamports(ALICE.pubkey())
    landed = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000_000))
    assert landed.meta["fee"] == FEE
    assert playground.lamports(ALICE.pubkey()) == before - FEE


def test_a_priority_fee_is_that_of_the_original_instructions(playground: Playground) -> None:
    # One lamport a unit; two instructions of which one is a builtin: 203 000 units by default.
    landed = playground.land(set_compute_unit_price(1_000_000), playground.swap(GOLD_IRON, GOLD, 1_000))
    assert landed.meta["fee"] == FEE + 203_000
    landed = playground.land(
        set_compute_unit_limit(50_000), set_compute_unit_price(1_000_000), playground.swap(GOLD_IRON, GOLD, 1_000)
    )
    assert landed.meta["fee"] == FEE + 50_000


def test_a_payer_with_the_exact_fee_can_pay_for_a_swap(playground: Playground) -> None:
    # The pool's authority counts as a signer inside; nobody may have to pay for that.
    account = playground.ledger.current(ALICE.pubkey())
    assert account is not None
    rent = playground.ledger.rent_exempt_minimum(0)
    excess = account.lamports - rent - 2 * FEE
    playground.land(transfer(TransferParams(from_pubkey=ALICE.pubkey(), to_pubkey=BOB.pubkey(), lamports=excess)))
    landed = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000))
    assert landed.error is None
    assert playground.lamports(ALICE.pubkey()) == rent


def test_the_same_pool_twice_gives_the_second_swap_the_reserves_that_the_first_left(playground: Playground) -> None:
    swap = playground.swap(GOLD_IRON, GOLD, 10_000_000)
    playground.land(swap, swap)
    first = output(10_000_000, RESERVE, RESERVE)
    second = output(10_000_000, RESERVE + 10_000_000, RESERVE - first)
    assert playground.held(ALICE, IRON) == HOLDING + first + second
    assert second < first
    assert swaps_counted(playground.ledger.current(GOLD_IRON.address)) == 2


def test_there_and_back_in_one_transaction(playground: Playground) -> None:
    there = output(10_000_000, RESERVE, RESERVE)
    playground.land(playground.swap(GOLD_IRON, GOLD, 10_000_000), playground.swap(GOLD_IRON, IRON, there))
    back = output(there, RESERVE - there, RESERVE + 10_000_000)
    assert playground.held(ALICE, GOLD) == HOLDING - 10_000_000 + back
    assert playground.held(ALICE, IRON) == HOLDING


def test_two_hops_spend_what_the_first_one_brought(playground: Playground) -> None:
    everything = playground.held(ALICE, IRON)
    first = output(HOLDING, RESERVE, RESERVE)
    landed = playground.land(
        playground.swap(GOLD_IRON, GOLD, HOLDING), playground.swap(IRON_SALT, IRON, everything + first)
    )
    assert landed.error is None
    assert playground.held(ALICE, IRON) == 0


def test_a_transfer_fee_is_withheld_on_the_way_in_and_on_the_way_out(playground: Playground) -> None:
    playground.land(playground.swap(IRON_SALT, SALT, 1_000_000))
    received = 990_000
    assert playground.reserves(IRON_SALT)[1] == RESERVE + received
    assert playground.held(ALICE, IRON) == HOLDING + output(received, RESERVE, RESERVE)
    playground.land(playground.swap(IRON_SALT, IRON, 1_000_000, trader=BOB), signers=[BOB])
    reserves = (RESERVE - output(received, RESERVE, RESERVE), RESERVE + received)
    paid = output(1_000_000, *reserves)
    assert playground.held(BOB, SALT) == HOLDING + SALT.amount_after_transfer_fee(paid, 1_157)


def test_two_traders_can_swap_in_one_transaction_that_both_signed(playground: Playground) -> None:
    landed = playground.land(
        playground.swap(GOLD_IRON, GOLD, 5_000),
        playground.swap(GOLD_IRON, IRON, 7_000, trader=BOB),
        signers=[ALICE, BOB],
    )
    assert landed.error is None
    assert landed.meta["fee"] == 2 * FEE
    assert playground.held(BOB, IRON) == HOLDING - 7_000


class TestAFailure:
    def test_of_the_second_leg_leaves_everything_but_the_fee_as_it_was(self, playground: Playground) -> None:
        before = playground.everything()
        landed = playground.land(
            playground.swap(GOLD_IRON, GOLD, 1_000_000), playground.swap(IRON_SALT, IRON, 1_000, minimum_out=10**9)
        )
        assert landed.error == TransactionError.instruction(1, {"Custom": TOO_LITTLE_OUT})
        after = playground.everything()
        changed = {address for address in before | after if before.get(address) != after.get(address)}
        assert changed == {ALICE.pubkey()}
        assert playground.lamports(ALICE.pubkey()) == before[ALICE.pubkey()].lamports - FEE

    def test_of_something_after_the_swaps_undoes_them(self, playground: Playground) -> None:
        too_much = transfer(TransferParams(from_pubkey=ALICE.pubkey(), to_pubkey=BOB.pubkey(), lamports=10**15))
        landed = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000_000), too_much)
        assert landed.error == TransactionError.instruction(1, {"Custom": 1})
        assert playground.held(ALICE, GOLD) == HOLDING
        assert playground.reserves(GOLD_IRON) == (RESERVE, RESERVE)
        assert swaps_counted(playground.ledger.current(GOLD_IRON.address)) == 0

    def test_of_something_before_the_swap_is_reported_as_its_own(self, playground: Playground) -> None:
        too_much = transfer(TransferParams(from_pubkey=ALICE.pubkey(), to_pubkey=BOB.pubkey(), lamports=10**15))
        landed = playground.land(too_much, playground.swap(GOLD_IRON, GOLD, 1_000_000))
        assert landed.error == TransactionError.instruction(0, {"Custom": 1})

    def test_is_logged_as_the_program_logs_it(self, playground: Playground) -> None:
        landed = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000, minimum_out=10**9))
        logs = landed.meta["logMessages"]
        assert logs[0] == f"Program {PROGRAM_ID} invoke [1]"
        assert "Error Code: TooLittleOut. Error Number: 6001. Error Message: the price moved." in logs[1]
        assert logs[-1] == f"Program {PROGRAM_ID} failed: custom program error: 0x1771"

    def test_for_want_of_tokens_is_the_token_programs_error_at_the_swaps_index(self, playground: Playground) -> None:
        landed = playground.land(set_compute_unit_limit(300_000), playground.swap(GOLD_IRON, GOLD, HOLDING + 1))
        assert landed.error == TransactionError.instruction(1, {"Custom": 1})
        assert landed.meta["logMessages"][-1] == f"Program {PROGRAM_ID} failed: custom program error: 0x1"
        assert playground.held(ALICE, GOLD) == HOLDING

    def test_for_want_of_compute_units_undoes_the_swap(self, playground: Playground) -> None:
        landed = playground.land(set_compute_unit_limit(COMPUTE_UNITS + 100), playground.swap(GOLD_IRON, GOLD, 1_000))
        assert landed.error == TransactionError.instruction(1, "ComputationalBudgetExceeded")
        assert landed.meta["computeUnitsConsumed"] == COMPUTE_UNITS + 100
        assert playground.held(ALICE, GOLD) == HOLDING
        assert (
            playground.land(set_compute_unit_limit(COMPUTE_UNITS + 150), playground.swap(GOLD_IRON, GOLD, 1_000)).error
            is None
        )


class TestTheRecord:
    def test_counts_the_units_that_the_real_program_would_burn(self, playground: Playground) -> None:
        by_default = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000))
        explicit = playground.land(set_compute_unit_limit(400_000), playground.swap(GOLD_IRON, GOLD, 1_000))
        assert by_default.meta["computeUnitsConsumed"] == COMPUTE_UNITS
        assert explicit.meta["computeUnitsConsumed"] == COMPUTE_UNITS + 150

    def test_has_the_transfers_as_inner_instructions(self, playground: Playground) -> None:
        landed = playground.land(set_compute_unit_limit(400_000), playground.swap(IRON_SALT, SALT, 1_000))
        (group,) = landed.meta["innerInstructions"]
        assert group["index"] == 1
        paid_in, paid_out = group["instructions"]
        keys = landed.keys
        assert keys[paid_in["programIdIndex"]] == SALT.token_program
        assert [keys[index] for index in paid_in["accounts"]] == [
            holding(ALICE.pubkey(), SALT),
            SALT.address,
            IRON_SALT.vault(SALT),
            ALICE.pubkey(),
        ]
        assert keys[paid_out["accounts"][3]] == IRON_SALT.address
        assert paid_in["stackHeight"] == paid_out["stackHeight"] == 2

    def test_logs_the_transfers_under_the_program(self, playground: Playground) -> None:
        logs = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000)).meta["logMessages"]
        assert logs[:2] == [f"Program {PROGRAM_ID} invoke [1]", "Program log: Instruction: Swap"]
        assert logs.count(f"Program {GOLD.token_program} invoke [2]") == 2
        assert logs[-2:] == [
            f"Program {PROGRAM_ID} consumed {COMPUTE_UNITS} of 200000 compute units",
            f"Program {PROGRAM_ID} success",
        ]

    def test_shows_the_balances_before_and_after(self, playground: Playground) -> None:
        meta = playground.land(playground.swap(GOLD_IRON, GOLD, 1_000)).meta

        def of_alice(balances: list[dict[str, object]]) -> dict[object, object]:
            mine = (one for one in balances if one["owner"] == str(ALICE.pubkey()))
            return {one["mint"]: one["uiTokenAmount"] for one in mine}

        before, after = of_alice(meta["preTokenBalances"]), of_alice(meta["postTokenBalances"])
        assert before[str(GOLD.address)] == {
            "amount": "1000000000",
            "decimals": 6,
            "uiAmount": 1000.0,
            "uiAmountString": "1000",
        }
        assert after[str(GOLD.address)] == {
            "amount": "999999000",
            "decimals": 6,
            "uiAmount": 999.999,
            "uiAmountString": "999.999",
        }


class TestAnEmulatedProgram:
    def test_cannot_spend_for_a_trader_who_did_not_sign(self, playground: Playground) -> None:
        swap = playground.swap(GOLD_IRON, GOLD, 1_000, trader=BOB)
        # Bob's account is named, his signature is not asked for.
        unsigned = [AccountMeta(BOB.pubkey(), is_signer=False, is_writable=False), *swap.accounts[1:]]
        landed = playground.land(Instruction(swap.program_id, swap.data, unsigned))
        assert landed.error is not None
        assert playground.held(BOB, GOLD) == HOLDING

    @pytest.mark.parametrize("position", [1, 2, 5])
    def test_cannot_write_what_the_instruction_names_as_read_only(self, playground: Playground, position: int) -> None:
        swap = playground.swap(GOLD_IRON, GOLD, 1_000)
        metas = list(swap.accounts)
        metas[position] = AccountMeta(metas[position].pubkey, is_signer=False, is_writable=False)
        before = playground.everything()
        landed = playground.land(Instruction(swap.program_id, swap.data, metas))
        assert landed.error is not None
        assert landed.error.detail[1] in ("PrivilegeEscalation", "ReadonlyDataModified")
        assert playground.everything().keys() == before.keys()
        assert playground.reserves(GOLD_IRON) == (RESERVE, RESERVE)

    def test_leaves_no_trace_of_its_run_in_the_runtime(self, playground: Playground) -> None:
        before = playground.everything()
        execution = playground.ledger.simulate(
            playground.transaction(playground.swap(GOLD_IRON, GOLD, 1_000)), playground.bank()
        )
        assert execution.error is None
        assert playground.everything() == before


def test_simulation_and_execution_agree(playground: Playground) -> None:
    transaction = playground.transaction(playground.swap(GOLD_IRON, GOLD, 1_000), playground.swap(IRON_SALT, IRON, 900))
    simulated = playground.ledger.simulate(transaction, playground.bank())
    landed = playground.ledger.submit(transaction)
    assert list(simulated.logs) == landed.meta["logMessages"]
    assert simulated.compute_units == landed.meta["computeUnitsConsumed"]
    assert {address: playground.ledger.current(address) for address in simulated.writes} == simulated.writes
