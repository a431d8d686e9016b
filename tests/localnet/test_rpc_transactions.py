"""Simulating, sending and looking up transactions over JSON-RPC."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from solders.compute_budget import set_compute_unit_price
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from infra.localnet import base58
from infra.localnet.consensus import TOWER
from tests.localnet.rpc_client import PAYER, PROCESSED, USDC, RpcClient, RpcError, encoded, payment

MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
V0 = {"maxSupportedTransactionVersion": 0, "commitment": "confirmed"}


@pytest.fixture
def rpc() -> RpcClient:
    return RpcClient()


@pytest.fixture
def newcomer() -> Pubkey:
    return Keypair().pubkey()


def unsigned(transaction: VersionedTransaction) -> VersionedTransaction:
    return VersionedTransaction.populate(transaction.message, [Signature.default()])


class TestSending:
    def test_answers_with_the_signature_and_lands(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer))
        assert rpc.submit(transaction) == str(transaction.signatures[0])
        assert rpc.balance(newcomer) == 10**9

    def test_takes_base58_too_which_is_the_default(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        wire = base58.encode(bytes(rpc.transaction(payment(newcomer))))
        rpc.call("sendTransaction", wire, {"preflightCommitment": "processed"})
        assert rpc.balance(newcomer) == 10**9

    def test_twice_is_harmless_and_says_so_only_with_a_preflight(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer))
        rpc.submit(transaction)
        with pytest.raises(RpcError, match="already been processed") as refused:
            rpc.submit(transaction)
        assert refused.value.code == -32002
        assert refused.value.data["err"] == "AlreadyProcessed"
        assert rpc.submit(transaction, skipPreflight=True) == str(transaction.signatures[0])
        assert rpc.balance(newcomer) == 10**9

    def test_with_an_expired_blockhash_fails_the_preflight(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer))
        rpc.advance(151)
        with pytest.raises(RpcError, match="Transaction simulation failed: Blockhash not found") as refused:
            rpc.submit(transaction)
        assert refused.value.code == -32002
        assert refused.value.data == {
            "accounts": None,
            "err": "BlockhashNotFound",
            "fee": 0,
            "innerInstructions": None,
            "loadedAccountsDataSize": 0,
            "logs": [],
            "replacementBlockhash": None,
            "returnData": None,
            "unitsConsumed": 0,
        }

    def test_without_a_preflight_an_expired_one_just_never_lands(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer))
        rpc.advance(151)
        signature = rpc.submit(transaction, skipPreflight=True)
        assert rpc.status(signature, search=True) is None
        assert rpc.balance(newcomer) == 0

    def test_with_a_blockhash_newer_than_the_preflight_bank_is_refused(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer), commitment="processed")
        with pytest.raises(RpcError, match="Blockhash not found"):
            rpc.submit(transaction, preflightCommitment="finalized")

    def test_what_would_fail_is_not_charged_after_a_preflight_but_without_one(self, rpc: RpcClient) -> None:
        too_much = rpc.transaction(payment(Keypair().pubkey(), 10**18))
        before = rpc.balance(PAYER.pubkey())
        with pytest.raises(RpcError, match="custom program error: 0x1") as refused:
            rpc.submit(too_much)
        assert refused.value.data["err"] == {"InstructionError": [0, {"Custom": 1}]}
        assert "insufficient lamports" in "".join(refused.value.data["logs"])
        assert rpc.balance(PAYER.pubkey()) == before
        signature = rpc.submit(too_much, skipPreflight=True)
        assert rpc.balance(PAYER.pubkey()) == before - 5_000
        status = rpc.status(signature)
        assert status is not None
        assert status["err"] == {"InstructionError": [0, {"Custom": 1}]}

    def test_by_a_payer_whom_the_fee_alone_takes_below_its_rent_fails_the_preflight_and_never_lands(
        self, rpc: RpcClient
    ) -> None:
        poor = Keypair()
        rpc.submit(rpc.transaction(payment(poor.pubkey(), 895_879)))
        note = rpc.transaction(Instruction(MEMO, b"any", []), signer=poor)
        error = {"InsufficientFundsForRent": {"account_index": 0}}
        with pytest.raises(RpcError, match=r"results in an account \(0\) with insufficient funds for rent") as refused:
            rpc.submit(note)
        assert refused.value.code == -32002
        assert (refused.value.data["err"], refused.value.data["logs"]) == (error, [])
        simulated = rpc.call("simulateTransaction", encoded(note), {"encoding": "base64", **PROCESSED})
        assert (simulated["value"]["err"], simulated["value"]["unitsConsumed"]) == (error, 0)

        signature = rpc.submit(note, skipPreflight=True)
        assert rpc.status(signature, search=True) is None
        assert rpc.balance(poor.pubkey()) == 895_879
        rpc.submit(rpc.transaction(payment(poor.pubkey(), 1)))
        rpc.submit(note)
        assert rpc.balance(poor.pubkey()) == 890_880

    def test_with_a_wrong_signature_is_refused_and_never_lands(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = unsigned(rpc.transaction(payment(newcomer)))
        with pytest.raises(RpcError, match="signature verification") as refused:
            rpc.submit(transaction)
        assert refused.value.code == -32003
        rpc.submit(transaction, skipPreflight=True)
        assert rpc.balance(newcomer) == 0

    @pytest.mark.parametrize(
        ("text", "config", "message"),
        [
            ("!", {"encoding": "base64"}, "invalid base64"),
            ("0", {}, "invalid base58"),
            ("AAAA", {"encoding": "base64"}, "deserialize"),
            ("A" * 1648, {"encoding": "base64"}, "too large: 1236 bytes"),
            ("A" * 5468, {"encoding": "base64"}, "too large: 5468 bytes"),
            ("1" * 1684, {"encoding": "base58"}, "too large: 1684 bytes"),
            ("AAAA", {"encoding": "hex"}, "unsupported encoding"),
        ],
    )
    def test_of_something_else_is_refused(
        self, rpc: RpcClient, text: str, config: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(RpcError, match=message) as refused:
            rpc.call("sendTransaction", text, config)
        assert refused.value.code == -32602


class TestSimulating:
    def simulate(self, rpc: RpcClient, transaction: VersionedTransaction, **config: Any) -> dict[str, Any]:
        options = {"encoding": "base64", **PROCESSED, **config}
        value: dict[str, Any] = rpc.call("simulateTransaction", encoded(transaction), options)["value"]
        return value

    def test_changes_nothing(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        value = self.simulate(rpc, rpc.transaction(payment(newcomer)))
        assert value["err"] is None
        assert value["unitsConsumed"] == 150
        assert rpc.balance(newcomer) == 0

    def test_shows_the_accounts_as_they_would_be(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        accounts = {"encoding": "base64", "addresses": [str(newcomer), USDC]}
        shown = self.simulate(rpc, rpc.transaction(payment(newcomer)), accounts=accounts)["accounts"]
        assert shown[0]["lamports"] == 10**9
        assert len(base64.b64decode(shown[1]["data"][0])) == 82

    def test_does_not_mind_missing_signatures_unless_told_to(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = unsigned(rpc.transaction(payment(newcomer)))
        assert self.simulate(rpc, transaction)["err"] is None
        with pytest.raises(RpcError) as refused:
            self.simulate(rpc, transaction, sigVerify=True)
        assert refused.value.code == -32003

    def test_can_replace_an_expired_blockhash(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer))
        rpc.advance(200)
        assert self.simulate(rpc, transaction)["err"] == "BlockhashNotFound"
        value = self.simulate(rpc, transaction, replaceRecentBlockhash=True)
        assert value["err"] is None
        assert value["replacementBlockhash"] == rpc.call("getLatestBlockhash", PROCESSED)["value"]
        with pytest.raises(RpcError, match="sigVerify"):
            self.simulate(rpc, transaction, replaceRecentBlockhash=True, sigVerify=True)


class TestTheStatus:
    def test_rises_with_the_slots_from_processed_to_finalized(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        signature = rpc.submit(rpc.transaction(payment(newcomer)))
        seen = []
        for _ in range(3):
            status = rpc.status(signature)
            assert status is not None
            seen.append((status["confirmationStatus"], status["confirmations"]))
            rpc.advance(1)
        assert seen == [("processed", 0), ("finalized", None), ("finalized", None)]

    def test_rises_over_confirmed_on_the_old_chain(self, newcomer: Pubkey) -> None:
        rpc = RpcClient(consensus=TOWER)
        signature = rpc.submit(rpc.transaction(payment(newcomer)))
        seen = []
        for _ in range(40):
            status = rpc.status(signature)
            assert status is not None
            seen.append((status["confirmationStatus"], status["confirmations"]))
            rpc.advance(1)
        assert seen[:2] == [("processed", 0), ("processed", 1)]
        assert seen[2:32] == [("confirmed", count) for count in range(2, 32)]
        assert set(seen[32:]) == {("finalized", None)}

    def test_leaves_the_recent_ones_after_150_slots_but_not_the_history(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        signature = rpc.submit(rpc.transaction(payment(newcomer)))
        rpc.advance(150)
        assert rpc.status(signature) is not None
        rpc.advance(1)
        assert rpc.status(signature) is None
        status = rpc.status(signature, search=True)
        assert status is not None
        assert status["confirmationStatus"] == "finalized"

    def test_of_an_unknown_signature_is_null(self, rpc: RpcClient) -> None:
        assert rpc.status(str(Signature.default()), search=True) is None


class TestLookingUp:
    def landed(self, rpc: RpcClient, to: Pubkey) -> str:
        signature = rpc.submit(rpc.transaction(payment(to), Instruction(MEMO, b"hello", [])))
        rpc.advance(2)
        return signature

    def test_gives_the_transaction_with_its_balances(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        found = rpc.call("getTransaction", self.landed(rpc, newcomer), V0)
        keys = found["transaction"]["message"]["accountKeys"]
        at = keys.index(str(newcomer))
        assert (found["meta"]["preBalances"][at], found["meta"]["postBalances"][at]) == (0, 10**9)
        assert found["meta"]["fee"] == 5_000
        assert found["version"] == 0
        assert found["blockTime"] == rpc.call("getBlockTime", found["slot"])

    def test_waits_until_it_is_confirmed(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        signature = rpc.submit(rpc.transaction(payment(newcomer)))
        assert rpc.call("getTransaction", signature, V0) is None
        rpc.advance(1)
        assert rpc.call("getTransaction", signature, {"maxSupportedTransactionVersion": 0}) is not None
        assert rpc.call("getTransaction", signature, V0) is not None
        with pytest.raises(RpcError, match="below `confirmed`"):
            rpc.call("getTransaction", signature, {"commitment": "processed"})

    def test_of_a_version_that_the_caller_does_not_know_is_an_error(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        with pytest.raises(RpcError, match="maxSupportedTransactionVersion") as refused:
            rpc.call("getTransaction", self.landed(rpc, newcomer), {"commitment": "confirmed"})
        assert refused.value.code == -32015

    def test_gives_the_bytes_as_they_were_sent(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer))
        signature = rpc.submit(transaction)
        rpc.advance(2)
        for encoding, decode in (("base64", base64.b64decode), ("base58", base58.decode)):
            text, named = rpc.call("getTransaction", signature, {**V0, "encoding": encoding})["transaction"]
            assert (decode(text), named) == (bytes(transaction), encoding)

    def test_parsed_names_programs_and_accounts(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        message = rpc.call("getTransaction", self.landed(rpc, newcomer), {**V0, "encoding": "jsonParsed"})[
            "transaction"
        ]["message"]
        assert message["accountKeys"][0] == {
            "pubkey": str(PAYER.pubkey()),
            "signer": True,
            "source": "transaction",
            "writable": True,
        }
        assert message["instructions"][0]["accounts"] == [str(PAYER.pubkey()), str(newcomer)]
        assert message["instructions"][1]["programId"] == str(MEMO)

    def test_lists_an_accounts_signatures_newest_first_page_by_page(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        sent = [self.landed(rpc, newcomer) for _ in range(5)][::-1]
        listed = rpc.call("getSignaturesForAddress", str(newcomer), {"commitment": "confirmed"})
        assert [entry["signature"] for entry in listed] == sent
        assert listed[0]["memo"] == "[5] hello"
        page = rpc.call(
            "getSignaturesForAddress",
            str(newcomer),
            {"commitment": "confirmed", "before": sent[0], "until": sent[4], "limit": 2},
        )
        assert [entry["signature"] for entry in page] == sent[1:3]


def test_the_fee_of_a_message_is_told_while_its_blockhash_lives(rpc: RpcClient, newcomer: Pubkey) -> None:
    transaction = rpc.transaction(set_compute_unit_price(10_000), payment(newcomer))
    message = base64.b64encode(to_bytes_versioned(transaction.message)).decode()
    assert rpc.call("getFeeForMessage", message, PROCESSED)["value"] == 5_000 + 60
    rpc.advance(151)
    assert rpc.call("getFeeForMessage", message, PROCESSED)["value"] is None


def test_recent_priority_fees_are_those_of_the_accounts_that_are_named(rpc: RpcClient, newcomer: Pubkey) -> None:
    rpc.submit(rpc.transaction(set_compute_unit_price(70_000), payment(newcomer)))
    slot = rpc.call("getSlot", PROCESSED)
    rpc.advance(1)
    fees = {
        entry["slot"]: entry["prioritizationFee"] for entry in rpc.call("getRecentPrioritizationFees", [str(newcomer)])
    }
    assert fees[slot] == 70_000
    assert fees[slot + 1] == 0
    assert len(fees) == 150


def test_an_airdrop_comes_from_the_faucet(rpc: RpcClient, newcomer: Pubkey) -> None:
    faucet = rpc.chain.node.faucet.address
    before = rpc.balance(faucet)
    first, second = (rpc.call("requestAirdrop", str(newcomer), 2 * 10**9) for _ in range(2))
    assert first != second
    assert rpc.balance(newcomer) == 4 * 10**9
    assert rpc.balance(faucet) == before - 4 * 10**9 - 2 * 5_000
    with pytest.raises(RpcError, match="faucet"):
        rpc.call("requestAirdrop", str(newcomer), 10**19)
