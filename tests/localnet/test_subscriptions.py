"""WebSocket subscriptions without their sockets: who is told what, once, and in which order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from infra.localnet.consensus import ALPENGLOW, TOWER, ConsensusRules
from infra.localnet.rpc.subscription_kinds import KINDS
from infra.localnet.rpc.subscriptions import Subscriptions
from tests.localnet.rpc_client import PAYER, PROCESSED, USDC, RpcClient, payment

TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
SYSTEM_PROGRAM = str(Pubkey.default())
CLOCK = "SysvarC1ock11111111111111111111111111111111"
ALL = {"maxSupportedTransactionVersion": 1}


class Subscriber:
    """One connection to a chain whose slots pass only by `advance`."""

    def __init__(self, consensus: ConsensusRules = ALPENGLOW) -> None:
        self.rpc = RpcClient(consensus=consensus)
        self._subscriptions = Subscriptions(self.rpc.chain.node)

    def ask(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
        answer = json.loads(self._subscriptions.answer(json.dumps(request)).text)
        assert answer["id"] == 7
        return answer.get("result", answer.get("error"))

    def told(self) -> list[tuple[str, int, Any]]:
        """Method, subscription and result of each message since the last look."""
        messages = map(json.loads, self._subscriptions.notifications())
        return [(one["method"], one["params"]["subscription"], one["params"]["result"]) for one in messages]

    def results(self, slots: int = 1) -> list[Any]:
        self.rpc.advance(slots)
        return [result for _, _, result in self.told()]


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@pytest.fixture
def newcomer() -> Pubkey:
    return Keypair().pubkey()


class TestAnAccount:
    def test_is_told_of_once_a_slot_that_changed_it(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        rpc = subscriber.rpc
        number = subscriber.ask("accountSubscribe", str(newcomer), {"encoding": "base64"})
        rpc.submit(rpc.transaction(payment(newcomer, 10**9)))
        rpc.submit(rpc.transaction(payment(newcomer, 10**8)))
        slot = rpc.call("getSlot", PROCESSED)
        assert subscriber.told() == []
        rpc.advance(1)
        ((method, subscription, result),) = subscriber.told()
        assert (method, subscription) == ("accountNotification", number)
        assert result["context"]["slot"] == slot
        assert result["value"]["lamports"] == 11 * 10**8
        assert subscriber.results(3) == []

    @pytest.mark.parametrize(("level", "slots"), [("processed", 1), ("confirmed", 2), ("finalized", 32)])
    def test_is_told_of_when_the_commitment_is_reached(self, level: str, slots: int, newcomer: Pubkey) -> None:
        subscriber = Subscriber(TOWER)
        subscriber.ask("accountSubscribe", str(newcomer), {"commitment": level})
        subscriber.rpc.submit(subscriber.rpc.transaction(payment(newcomer)))
        assert subscriber.results(slots - 1) == []
        (result,) = subscriber.results(1)
        assert result["value"]["lamports"] == 10**9

    def test_that_is_gone_is_shown_empty(self, subscriber: Subscriber) -> None:
        rpc, owner = subscriber.rpc, Keypair()
        rpc.submit(rpc.transaction(payment(owner.pubkey(), 10**9)))
        rpc.advance(1)
        subscriber.ask("accountSubscribe", str(owner.pubkey()))
        rpc.submit(rpc.transaction(payment(PAYER.pubkey(), 10**9 - 5_000, owner), signer=owner))
        (result,) = subscriber.results()
        assert (result["value"]["lamports"], result["value"]["owner"]) == (0, SYSTEM_PROGRAM)

    def test_may_be_a_sysvar(self, subscriber: Subscriber) -> None:
        subscriber.ask("accountSubscribe", CLOCK, {"encoding": "jsonParsed"})
        slot = subscriber.rpc.call("getSlot", PROCESSED)
        (result,) = subscriber.results(3)
        assert result["value"]["data"]["parsed"]["info"]["slot"] == slot + 2


class TestAProgram:
    def test_is_told_of_by_each_of_its_accounts_that_passes(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        rpc = subscriber.rpc
        mint_at_zero = {"memcmp": {"offset": 0, "bytes": USDC}}
        of_usdc = subscriber.ask(
            "programSubscribe", TOKEN_PROGRAM, {"encoding": "jsonParsed", "filters": [{"dataSize": 165}, mint_at_zero]}
        )
        of_nothing = subscriber.ask("programSubscribe", TOKEN_PROGRAM, {"filters": [{"dataSize": 7}]})
        rpc.call("localnet_fund", {"address": str(newcomer), "mint": USDC, "amount": 5})
        rpc.advance(1)
        told = subscriber.told()
        assert {subscription for _, subscription, _ in told} == {of_usdc} != {of_nothing}
        by_owner = {
            result["value"]["account"]["data"]["parsed"]["info"]["owner"]: result["value"] for _, _, result in told
        }
        assert set(by_owner) == {str(newcomer), str(rpc.chain.node.faucet.address)}
        info = by_owner[str(newcomer)]["account"]["data"]["parsed"]["info"]
        assert info["tokenAmount"]["amount"] == "5"
        assert by_owner[str(newcomer)]["pubkey"] != str(newcomer)


class TestLogs:
    def test_are_told_with_each_transaction_in_their_order(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        rpc = subscriber.rpc
        subscriber.ask("logsSubscribe", "all")
        good = rpc.submit(rpc.transaction(payment(newcomer)))
        bad = rpc.submit(rpc.v1_transaction(payment(newcomer, 10**18)), skipPreflight=True)
        told = subscriber.results()
        assert [result["value"]["signature"] for result in told] == [good, bad]
        assert [result["value"]["err"] for result in told] == [None, {"InstructionError": [0, {"Custom": 1}]}]
        assert f"Program {SYSTEM_PROGRAM} invoke [1]" in told[0]["value"]["logs"]

    def test_can_be_those_that_name_one_account(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        rpc = subscriber.rpc
        subscriber.ask("logsSubscribe", {"mentions": [str(newcomer)]})
        rpc.submit(rpc.transaction(payment(Keypair().pubkey())))
        signature = rpc.submit(rpc.transaction(payment(newcomer)))
        (result,) = subscriber.results()
        assert result["value"]["signature"] == signature

    @pytest.mark.parametrize("wrong", [["some"], [{"mentions": []}], [{"mentions": [USDC, USDC]}], [{}], [7]])
    def test_of_something_else_are_refused(self, subscriber: Subscriber, wrong: list[Any]) -> None:
        assert subscriber.ask("logsSubscribe", *wrong)["code"] == -32602


class TestBlocks:
    def test_are_told_whole_or_as_far_as_they_name_an_account(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        rpc = subscriber.rpc
        whole = subscriber.ask("blockSubscribe", "all", ALL)
        part = subscriber.ask(
            "blockSubscribe",
            {"mentionsAccountOrProgram": str(newcomer)},
            {**ALL, "transactionDetails": "signatures", "showRewards": False},
        )
        rpc.submit(rpc.transaction(payment(Keypair().pubkey())))
        signature = rpc.submit(rpc.v1_transaction(payment(newcomer)))
        slot = rpc.call("getSlot", PROCESSED)
        rpc.advance(1)
        told = {subscription: result["value"] for _, subscription, result in subscriber.told()}
        assert told[whole] == {"slot": slot, "err": None, "block": rpc.call("getBlock", slot, ALL)}
        assert told[part]["block"]["signatures"] == [signature]
        assert len(subscriber.results(2)) == 2, "of an empty block nothing is told to who asks for an account"

    def test_of_a_version_that_is_not_known_are_an_error(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        rpc = subscriber.rpc
        subscriber.ask("blockSubscribe", "all", {"maxSupportedTransactionVersion": 0})
        rpc.submit(rpc.v1_transaction(payment(newcomer)))
        (result,) = subscriber.results()
        assert (result["value"]["block"], result["value"]["err"]) == (None, {"UnsupportedTransactionVersion": 1})


class TestSlots:
    def test_are_told_as_they_begin_and_as_they_are_final(self) -> None:
        subscriber = Subscriber(TOWER)
        newest = subscriber.ask("slotSubscribe")
        roots = subscriber.ask("rootSubscribe")
        slot = subscriber.rpc.call("getSlot", PROCESSED)
        subscriber.rpc.advance(2)
        told = [(subscription, result) for _, subscription, result in subscriber.told()]
        assert told == [
            (newest, {"parent": slot + 1, "root": slot - 30, "slot": slot + 2}),
            (roots, slot - 31),
            (roots, slot - 30),
        ]

    def test_have_each_step_of_theirs_told(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        rpc = subscriber.rpc
        subscriber.ask("slotsUpdatesSubscribe")
        rpc.submit(rpc.transaction(payment(newcomer)))
        rpc.submit(rpc.transaction(payment(newcomer, 10**18)), skipPreflight=True)
        slot = rpc.call("getSlot", PROCESSED)
        told = subscriber.results()
        assert [(one["type"], one["slot"]) for one in told] == [
            ("completed", slot),
            ("frozen", slot),
            ("firstShredReceived", slot + 1),
            ("createdBank", slot + 1),
            ("optimisticConfirmation", slot),
            ("root", slot),
        ]
        assert told[1]["stats"]["numSuccessfulTransactions"] == 1
        assert told[1]["stats"]["numFailedTransactions"] == 1
        assert told[3]["parent"] == slot
        assert {one["timestamp"] for one in told} == {int(rpc.now * 1_000)}

    def test_are_not_told_one_by_one_when_thousands_pass_at_once(self, subscriber: Subscriber) -> None:
        subscriber.ask("slotsUpdatesSubscribe")
        subscriber.ask("rootSubscribe")
        told = subscriber.results(3_000)
        assert len(told) == 64 * 6 + 64
        assert told[-1] == subscriber.rpc.call("getSlot")

    def test_get_no_votes(self, subscriber: Subscriber) -> None:
        assert isinstance(subscriber.ask("voteSubscribe"), int)
        assert subscriber.results(5) == []


class TestASignature:
    @pytest.mark.parametrize(
        ("chain", "level", "slots"),
        [(ALPENGLOW, "confirmed", 1), (ALPENGLOW, "finalized", 1), (TOWER, "confirmed", 2), (TOWER, "finalized", 32)],
    )
    def test_is_told_of_once_at_its_level(
        self, chain: ConsensusRules, level: str, slots: int, newcomer: Pubkey
    ) -> None:
        subscriber = Subscriber(chain)
        signature = subscriber.rpc.submit(subscriber.rpc.transaction(payment(newcomer)))
        number = subscriber.ask("signatureSubscribe", signature, {"commitment": level})
        assert subscriber.results(slots - 1) == []
        (result,) = subscriber.results()
        assert result["value"] == {"err": None}
        assert subscriber.results(40) == []
        assert subscriber.ask("signatureUnsubscribe", number)["code"] == -32602

    def test_can_be_told_of_when_it_arrives_too(self, subscriber: Subscriber, newcomer: Pubkey) -> None:
        transaction = subscriber.rpc.transaction(payment(newcomer))
        subscriber.ask("signatureSubscribe", str(transaction.signatures[0]), {"enableReceivedNotification": True})
        assert subscriber.results() == []
        subscriber.rpc.submit(transaction)
        assert [result["value"] for _, _, result in subscriber.told()] == ["receivedSignature"]
        assert [result["value"] for result in subscriber.results()] == [{"err": None}]


class TestSubscribing:
    def test_ends_with_unsubscribing(self, subscriber: Subscriber) -> None:
        for kind, *params in (
            ("account", CLOCK),
            ("program", TOKEN_PROGRAM),
            ("logs", "all"),
            ("block", "all"),
            ("signature", str(Signature.default())),
            ("slot",),
            ("root",),
            ("slotsUpdates",),
            ("vote",),
        ):
            number = subscriber.ask(f"{kind}Subscribe", *params)
            assert subscriber.ask("slotUnsubscribe" if kind != "slot" else "rootUnsubscribe", number)["code"] == -32602
            assert subscriber.ask(f"{kind}Unsubscribe", number) is True
        assert subscriber.results(3) == []

    def test_numbers_tell_subscriptions_apart(self, subscriber: Subscriber) -> None:
        numbers = [subscriber.ask("slotSubscribe") for _ in range(3)]
        subscriber.rpc.advance(1)
        assert [subscription for _, subscription, _ in subscriber.told()] == numbers == sorted(set(numbers))

    @pytest.mark.parametrize(
        ("method", "params", "code"),
        [
            ("dreamSubscribe", [], -32601),
            ("Subscribe", [], -32601),
            ("accountSubscribe", ["nobody"], -32602),
            ("accountSubscribe", [], -32602),
            ("programSubscribe", [TOKEN_PROGRAM, {"filters": [{"colour": 1}]}], -32602),
            ("blockSubscribe", ["all", {"commitment": "processed"}], -32602),
            ("blockSubscribe", ["all", {"transactionDetails": "gossip"}], -32602),
        ],
    )
    def test_to_what_is_not_there_is_refused(
        self, subscriber: Subscriber, method: str, params: list[Any], code: int
    ) -> None:
        assert subscriber.ask(method, *params)["code"] == code

    @settings(max_examples=150, deadline=None)
    @given(
        kind=st.sampled_from(sorted(KINDS)),
        verb=st.sampled_from(["Subscribe", "Unsubscribe"]),
        params=st.lists(
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([USDC, "all"]),
                lambda inner: (
                    st.lists(inner, max_size=2)
                    | st.dictionaries(
                        st.sampled_from(["encoding", "commitment", "mentions", "filters", "dataSlice"]), inner
                    )
                ),
                max_leaves=4,
            ),
            max_size=3,
        ),
    )
    def test_with_nonsense_is_the_clients_error(self, kind: str, verb: str, params: list[Any]) -> None:
        answer = SHARED.ask(f"{kind}{verb}", *params)
        assert answer is True or isinstance(answer, int) or answer["code"] == -32602


SHARED = Subscriber()
