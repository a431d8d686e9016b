"""Transactions of version 1 (SIMD-0385): more bytes, no lookup tables, their budget in their config."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV1, TransactionConfig, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from infra.localnet import base58
from infra.localnet.consensus import TOWER
from tests.localnet.playground import ALICE, GOLD, GOLD_IRON, HOLDING, IRON, IRON_SALT, LAMPORTS, Playground
from tests.localnet.rpc_client import ENOUGH, PAYER, PROCESSED, RpcClient, RpcError, encoded, payment
from tests.localnet.toy_exchange import COMPUTE_UNITS

MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
NOTE = Instruction(MEMO, b"hello", [])
ALL = {"maxSupportedTransactionVersion": 1}
BUDGET_EXCEEDED = {"InstructionError": [0, "ComputationalBudgetExceeded"]}
EVERYTHING = 64 * 1024 * 1024


@pytest.fixture
def rpc() -> RpcClient:
    return RpcClient()


@pytest.fixture
def newcomer() -> Pubkey:
    return Keypair().pubkey()


def simulated(rpc: RpcClient, transaction: VersionedTransaction, **config: Any) -> dict[str, Any]:
    options = {"encoding": "base64", **PROCESSED, **config}
    value: dict[str, Any] = rpc.call("simulateTransaction", encoded(transaction), options)["value"]
    return value


class TestSending:
    def test_lands(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.v1_transaction(payment(newcomer))
        assert rpc.submit(transaction) == str(transaction.signatures[0])
        assert rpc.balance(newcomer) == 10**9

    def test_takes_4096_bytes_in_base64_alone(self, rpc: RpcClient) -> None:
        def noted(length: int) -> VersionedTransaction:
            return rpc.v1_transaction(Instruction(MEMO, b"x" * length, []), config=ENOUGH)

        spare = 4_096 - len(bytes(noted(0)))
        largest = noted(spare)
        assert len(bytes(largest)) == 4_096
        with pytest.raises(RpcError, match=r"base58 encoded .* too large") as refused:
            rpc.call("sendTransaction", base58.encode(bytes(largest)), PROCESSED)
        assert refused.value.code == -32602
        assert simulated(rpc, largest)["err"] is None
        with pytest.raises(RpcError, match=r"too large: 4097 bytes \(max: 4096 bytes\)"):
            rpc.submit(noted(spare + 1))

    def test_of_more_than_64_accounts_is_refused(self, rpc: RpcClient) -> None:
        crowd = [payment(Pubkey([number] * 32), 10**6) for number in range(1, 64)]
        with pytest.raises(RpcError) as refused:
            rpc.submit(rpc.v1_transaction(*crowd))
        assert refused.value.code == -32602
        rpc.submit(rpc.v1_transaction(*crowd[:-1]))

    def test_pays_its_priority_fee_in_lamports_altogether(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        config = TransactionConfig(
            priority_fee=12_345, compute_unit_limit=200_000, loaded_accounts_data_size_limit=EVERYTHING
        )
        transaction = rpc.v1_transaction(payment(newcomer), config=config)
        message = base64.b64encode(to_bytes_versioned(transaction.message)).decode()
        assert rpc.call("getFeeForMessage", message, PROCESSED)["value"] == 17_345
        before = rpc.balance(PAYER.pubkey())
        rpc.submit(transaction)
        assert before - rpc.balance(PAYER.pubkey()) == 10**9 + 17_345
        rpc.advance(1)
        fees = rpc.call("getRecentPrioritizationFees", [str(newcomer)])
        # Micro-lamports a compute unit, as everybody's are told.
        assert 12_345 * 1_000_000 // 200_000 in [fee["prioritizationFee"] for fee in fees]

    def test_takes_no_budget_from_instructions(self, rpc: RpcClient) -> None:
        transaction = rpc.v1_transaction(set_compute_unit_price(10**6), set_compute_unit_limit(1), NOTE)
        before = rpc.balance(PAYER.pubkey())
        assert rpc.submit(transaction)
        assert before - rpc.balance(PAYER.pubkey()) == 5_000


class TestWhatItDoesNotAskFor:
    @pytest.mark.parametrize("limit", [None, 0, 100])
    def test_compute_units_are_none(self, rpc: RpcClient, limit: int | None) -> None:
        config = TransactionConfig(compute_unit_limit=limit, loaded_accounts_data_size_limit=EVERYTHING)
        value = simulated(rpc, rpc.v1_transaction(NOTE, config=config))
        assert value["err"]["InstructionError"][0] == 0
        assert value["unitsConsumed"] <= (limit or 0)

    def test_loaded_accounts_are_none_and_the_fee_is_paid(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.v1_transaction(payment(newcomer), config=TransactionConfig(compute_unit_limit=200_000))
        assert simulated(rpc, transaction)["err"] == "MaxLoadedAccountsDataSizeExceeded"
        before = rpc.balance(PAYER.pubkey())
        signature = rpc.submit(transaction, skipPreflight=True)
        status = rpc.status(signature)
        assert status is not None
        assert status["err"] == "MaxLoadedAccountsDataSizeExceeded"
        assert before - rpc.balance(PAYER.pubkey()) == 5_000

    def test_as_many_bytes_as_a_simulation_says_are_enough_and_one_less_is_not(
        self, rpc: RpcClient, newcomer: Pubkey
    ) -> None:
        loaded = simulated(rpc, rpc.v1_transaction(payment(newcomer), NOTE))["loadedAccountsDataSize"]
        for limit, error in ((loaded, None), (loaded - 1, "MaxLoadedAccountsDataSizeExceeded")):
            config = TransactionConfig(compute_unit_limit=200_000, loaded_accounts_data_size_limit=limit)
            assert simulated(rpc, rpc.v1_transaction(payment(newcomer), NOTE, config=config))["err"] == error


class TestLookingUp:
    def test_shows_its_config_and_no_lookup_tables(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        config = TransactionConfig(
            priority_fee=7, compute_unit_limit=20_000, loaded_accounts_data_size_limit=EVERYTHING
        )
        signature = rpc.submit(rpc.v1_transaction(payment(newcomer), config=config))
        rpc.advance(1)
        for encoding in ("json", "jsonParsed"):
            found = rpc.call("getTransaction", signature, {**ALL, "encoding": encoding})
            message = found["transaction"]["message"]
            assert found["version"] == 1
            assert message["transactionConfig"] == {
                "priorityFee": 7,
                "computeUnitLimit": 20_000,
                "loadedAccountsDataSizeLimit": EVERYTHING,
                "heapSize": None,
            }
            assert "addressTableLookups" not in message
            assert found["meta"]["fee"] == 5_007

    def test_gives_the_bytes_as_they_were_sent(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.v1_transaction(payment(newcomer))
        signature = rpc.submit(transaction)
        rpc.advance(1)
        for encoding, decode in (("base64", base64.b64decode), ("base58", base58.decode)):
            text, named = rpc.call("getTransaction", signature, {**ALL, "encoding": encoding})["transaction"]
            assert (decode(text), named) == (bytes(transaction), encoding)

    @pytest.mark.parametrize("asked", [{}, {"maxSupportedTransactionVersion": 0}])
    def test_needs_a_caller_who_knows_the_version(
        self, rpc: RpcClient, newcomer: Pubkey, asked: dict[str, int]
    ) -> None:
        signature = rpc.submit(rpc.v1_transaction(payment(newcomer)))
        slot = rpc.call("getSlot", PROCESSED)
        rpc.advance(1)
        for method, wanted in (("getTransaction", signature), ("getBlock", slot)):
            with pytest.raises(RpcError, match='"maxSupportedTransactionVersion": 1') as refused:
                rpc.call(method, wanted, asked)
            assert refused.value.code == -32015
        assert rpc.call("getBlock", slot, {**asked, "transactionDetails": "signatures"})["signatures"] == [signature]


class TestOnTheOldChain:
    def test_fails_its_simulation_and_its_preflight_and_never_lands(self, newcomer: Pubkey) -> None:
        rpc = RpcClient(consensus=TOWER)
        transaction = rpc.v1_transaction(payment(newcomer))
        assert simulated(rpc, transaction)["err"] == "UnsupportedVersion"
        with pytest.raises(RpcError, match="Transaction version is unsupported") as refused:
            rpc.submit(transaction)
        assert (refused.value.code, refused.value.data["err"]) == (-32002, "UnsupportedVersion")
        signature = rpc.submit(transaction, skipPreflight=True)
        assert rpc.status(signature, search=True) is None
        assert rpc.balance(newcomer) == 0


class TestSwaps:
    """Emulated ones, whose transfers stand in for them."""

    def land(self, playground: Playground, *instructions: Instruction, **config: int) -> Any:
        asked = {"compute_unit_limit": 300_000, "loaded_accounts_data_size_limit": EVERYTHING, **config}
        blockhash: Hash = playground.blockhash()
        message = MessageV1.try_compile(ALICE.pubkey(), list(instructions), blockhash, TransactionConfig(**asked))
        return playground.ledger.submit(VersionedTransaction(message, [ALICE]))

    def test_do_the_same_as_in_any_other_transaction(self, playground: Playground) -> None:
        route = [
            playground.swap(GOLD_IRON, GOLD, 1_000_000),
            playground.swap(IRON_SALT, IRON, 900_000),
        ]
        v0 = playground.ledger.simulate(playground.transaction(*route), playground.bank())
        landed = self.land(playground, *route, priority_fee=1_000)
        assert landed.error is None
        assert playground.held(ALICE, GOLD) == HOLDING - 1_000_000
        assert landed.meta["computeUnitsConsumed"] == v0.compute_units
        assert landed.meta["logMessages"][0] == v0.logs[0]
        assert playground.lamports(ALICE.pubkey()) == LAMPORTS - 6_000

    def test_run_out_of_the_units_that_they_ask_for(self, playground: Playground) -> None:
        swap = playground.swap(GOLD_IRON, GOLD, 1_000_000)
        landed = self.land(playground, swap, compute_unit_limit=COMPUTE_UNITS - 1)
        assert landed.error.to_json == BUDGET_EXCEEDED
        assert self.land(playground, swap, compute_unit_limit=COMPUTE_UNITS).error is None
