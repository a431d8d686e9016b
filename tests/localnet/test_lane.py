"""The send-only lane: tips, bundles, losses; and the sandwicher, from whom a `jitodontfront` account protects."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import urllib3
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chalicelib.solana.tokens import TOKEN_PROGRAM, associated_token_address
from infra.localnet.lane.tips import TIP_ACCOUNTS
from infra.localnet.market.faucet import create_associated_account
from infra.localnet.rpc.dispatcher import InjectedOutage
from testing.localnet import Localnet
from tests.localnet.rpc_client import PAYER, PROCESSED, SOL, USDC, RpcClient, RpcError, encoded, payment

USDT = "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"
DONT_FRONT = Pubkey.from_string("jitodontfront111111111111111111111111111111")
TIP = payment(TIP_ACCOUNTS[0], 1_000)
GUARDED_TIP = Instruction(TIP.program_id, TIP.data, [*TIP.accounts, AccountMeta(DONT_FRONT, False, False)])


@pytest.fixture
def rpc() -> RpcClient:
    return RpcClient()


@pytest.fixture
def newcomer() -> Pubkey:
    return Keypair().pubkey()


def ask(rpc: RpcClient, method: str, *params: Any) -> Any:
    """What the lane answers."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    answer = json.loads(rpc.lane_dispatcher.answer(body, local_client=True))
    if "error" in answer:
        raise RpcError(answer["error"])
    return answer["result"]


def send(rpc: RpcClient, transaction: VersionedTransaction) -> str:
    signature: str = ask(rpc, "sendTransaction", encoded(transaction), {"encoding": "base64"})
    return signature


def send_bundle(rpc: RpcClient, *transactions: VersionedTransaction) -> str:
    bundle_id: str = ask(rpc, "sendBundle", [encoded(one) for one in transactions], {"encoding": "base64"})
    return bundle_id


def inflight(rpc: RpcClient, bundle_id: str) -> str:
    (status,) = ask(rpc, "getInflightBundleStatuses", [bundle_id])["value"]
    name: str = status["status"]
    return name


class TestATransaction:
    def test_that_tips_lands(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer), TIP)
        before = rpc.balance(TIP_ACCOUNTS[0])
        assert send(rpc, transaction) == str(transaction.signatures[0])
        assert rpc.balance(newcomer) == 10**9
        assert rpc.balance(TIP_ACCOUNTS[0]) == before + 1_000

    @pytest.mark.parametrize(
        "tips", [[], [payment(TIP_ACCOUNTS[0], 999)], [payment(Pubkey([9] * 32), 10**9)]], ids=["none", "less", "else"]
    )
    def test_that_tips_too_little_is_refused(self, rpc: RpcClient, newcomer: Pubkey, tips: list[Instruction]) -> None:
        with pytest.raises(RpcError, match="1000 or more to one of getTipAccounts") as refused:
            send(rpc, rpc.transaction(payment(newcomer), *tips))
        assert refused.value.code == -32602
        assert rpc.balance(newcomer) == 0

    def test_of_version_1_tips_as_any_other(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        send(rpc, rpc.v1_transaction(payment(newcomer), TIP))
        assert rpc.balance(newcomer) == 10**9

    def test_may_tip_by_two_transfers_to_different_accounts(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        halves = [payment(account, 500) for account in TIP_ACCOUNTS[:2]]
        send(rpc, rpc.transaction(payment(newcomer), *halves))
        assert rpc.balance(newcomer) == 10**9

    def test_is_not_looked_at_before(self, rpc: RpcClient) -> None:
        before = rpc.balance(PAYER.pubkey())
        signature = send(rpc, rpc.transaction(payment(Keypair().pubkey(), 10**18), TIP))
        status = rpc.status(signature)
        assert status is not None
        assert status["err"] is not None
        assert rpc.balance(PAYER.pubkey()) == before - 5_000

    def test_lands_once_by_whatever_ways_it_comes(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer), TIP)
        rpc.submit(transaction)
        send(rpc, transaction)
        send(rpc, transaction)
        assert rpc.balance(newcomer) == 10**9

    def test_that_is_not_signed_is_refused(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        transaction = rpc.transaction(payment(newcomer), TIP)
        forged = VersionedTransaction.populate(transaction.message, [Keypair().sign_message(b"another")])
        with pytest.raises(RpcError) as refused:
            send(rpc, forged)
        assert refused.value.code == -32003


class TestABundle:
    def test_lands_whole_in_its_order(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        stranger = Keypair()
        first = rpc.transaction(payment(stranger.pubkey()), TIP)
        second = rpc.transaction(payment(newcomer, 10**8, stranger), signer=stranger)
        bundle_id = send_bundle(rpc, first, second)
        names = ",".join(str(one.signatures[0]) for one in (first, second))
        assert bundle_id == hashlib.sha256(names.encode()).hexdigest()
        assert rpc.balance(newcomer) == 10**8
        (status,) = ask(rpc, "getBundleStatuses", [bundle_id])["value"]
        assert status["transactions"] == names.split(",")
        assert (status["slot"], status["confirmation_status"]) == (rpc.call("getSlot", PROCESSED), "processed")
        assert inflight(rpc, bundle_id) == "Landed"

    def test_of_which_one_would_fail_leaves_no_trace(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        before = rpc.balance(PAYER.pubkey())
        good = rpc.transaction(payment(newcomer), TIP)
        bundle_id = send_bundle(rpc, good, rpc.transaction(payment(newcomer, 10**18)))
        assert rpc.balance(newcomer) == 0
        assert rpc.balance(PAYER.pubkey()) == before
        assert rpc.status(str(good.signatures[0]), search=True) is None
        assert ask(rpc, "getBundleStatuses", [bundle_id])["value"] == [None]
        assert inflight(rpc, bundle_id) == "Failed"
        rpc.submit(good)
        assert rpc.balance(newcomer) == 10**9

    def test_that_is_none_is_refused_with_the_reason(self, rpc: RpcClient) -> None:
        def paying(*more: Instruction) -> VersionedTransaction:
            return rpc.transaction(payment(Keypair().pubkey()), *more)

        tipped, protected = paying(TIP), paying(GUARDED_TIP)
        for transactions, reason in (
            ([paying()], "write lock at least one tip account"),
            ([paying(payment(TIP_ACCOUNTS[0], 999))], "tips 999 lamports"),
            ([paying(TIP) for _ in range(6)], "at most 5"),
            ([tipped, tipped], "twice"),
            ([paying(TIP), protected], "must be the bundle's first"),
            ([], "at least one"),
        ):
            with pytest.raises(RpcError, match=reason) as refused:
                send_bundle(rpc, *transactions)
            assert refused.value.code == -32602
        assert send_bundle(rpc, protected, paying(TIP))

    def test_that_nobody_sent_is_not_known(self, rpc: RpcClient) -> None:
        assert ask(rpc, "getBundleStatuses", ["00" * 32])["value"] == [None]
        assert inflight(rpc, "00" * 32) == "Invalid"


class TestItsFaults:
    def test_are_its_own(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        rpc.call("localnet_setLane", {"dropRate": 1})
        transaction = rpc.transaction(payment(newcomer), TIP)
        assert send(rpc, transaction)
        bundle_id = send_bundle(rpc, rpc.transaction(payment(newcomer), payment(TIP_ACCOUNTS[1], 1_000)))
        assert inflight(rpc, bundle_id) == "Failed"
        assert rpc.balance(newcomer) == 0
        assert rpc.call("localnet_getLane")["counts"] == {"taken": 0, "refused": 0, "lost": 2}
        rpc.submit(transaction)
        assert rpc.balance(newcomer) == 10**9

    def test_may_be_errors(self, rpc: RpcClient) -> None:
        rpc.call("localnet_setLane", {"rpcErrorRate": 1})
        kinds = set()
        for _ in range(30):
            try:
                ask(rpc, "getTipAccounts")
            except RpcError as error:
                kinds.add(error.code)
            except InjectedOutage:
                kinds.add(503)
        assert kinds == {-32005, 503}
        assert rpc.call("getHealth") == "ok"

    def test_and_its_least_tip_can_be_set(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        assert rpc.call("localnet_setLane", {"minimumTip": 5_000})["minimumTip"] == 5_000
        with pytest.raises(RpcError, match="5000 or more"):
            send(rpc, rpc.transaction(payment(newcomer), TIP))
        assert rpc.call("localnet_getLane")["counts"]["refused"] == 1
        assert rpc.call("localnet_setLane", {})["minimumTip"] == 1_000

    @pytest.mark.parametrize("wrong", [{"minimumTip": 0}, {"minimumTip": "much"}, {"dropRate": 2}, {"colour": 1}])
    def test_that_are_none_are_refused(self, rpc: RpcClient, wrong: dict[str, object]) -> None:
        with pytest.raises(RpcError, match=next(iter(wrong))):
            rpc.call("localnet_setLane", wrong)


class TestTheSandwicher:
    """Whoever sells 20,000 USDC for USDT is paid what the pool had offered, or what the floor allows."""

    AMOUNT = 20_000 * 10**6

    def swap(self, rpc: RpcClient, *, floor: int, protected: bool) -> tuple[VersionedTransaction, int]:
        """The transaction, and what it was offered."""
        desk, trader = rpc.chain.node.desk, PAYER.pubkey()
        mint_in, mint_out = (Pubkey.from_string(mint) for mint in (USDC, USDT))
        pool = desk.pool(rpc.pool_of(USDC, USDT))
        quote = desk.quote(pool, mint_in, self.AMOUNT)
        source, destination = (associated_token_address(trader, mint, TOKEN_PROGRAM) for mint in (mint_in, mint_out))
        minimum_out = quote.amount_out * floor // 1_000
        instruction = pool.swap_instruction(
            quote, trader=trader, source=source, destination=destination, minimum_out=minimum_out
        )
        creation = create_associated_account(trader, trader, mint_out, TOKEN_PROGRAM)
        return rpc.transaction(creation, instruction, GUARDED_TIP if protected else TIP), quote.amount_out

    def received(self, rpc: RpcClient, signature: str) -> int:
        rpc.advance(1)
        meta = rpc.call("getTransaction", signature, {"maxSupportedTransactionVersion": 1})["meta"]
        assert meta["err"] is None
        held = {
            when: sum(
                int(one["uiTokenAmount"]["amount"])
                for one in meta[when]
                if one["owner"] == str(PAYER.pubkey()) and one["mint"] == USDT
            )
            for when in ("preTokenBalances", "postTokenBalances")
        }
        return held["postTokenBalances"] - held["preTokenBalances"]

    @pytest.mark.parametrize("way", ["node", "lane"])
    def test_takes_what_the_floor_of_an_unprotected_swap_allows(self, rpc: RpcClient, way: str) -> None:
        rpc.call("localnet_setSandwicher", {"enabled": True})
        transaction, offered = self.swap(rpc, floor=995, protected=False)
        signature = rpc.submit(transaction) if way == "node" else send(rpc, transaction)
        received = self.received(rpc, signature)
        assert offered * 995 // 1_000 <= received < offered * 998 // 1_000
        assert rpc.call("localnet_setSandwicher", {"enabled": True})["sandwiches"] == 1
        slot = rpc.call("getTransaction", signature, {"maxSupportedTransactionVersion": 1})["slot"]
        block = rpc.call("getBlock", slot, {"maxSupportedTransactionVersion": 1, "transactionDetails": "signatures"})
        assert len(block["signatures"]) == 3
        assert block["signatures"][1] == signature

    @pytest.mark.parametrize("way", ["node", "lane"])
    def test_can_do_nothing_to_a_protected_one(self, rpc: RpcClient, way: str) -> None:
        rpc.call("localnet_setSandwicher", {"enabled": True})
        transaction, offered = self.swap(rpc, floor=995, protected=True)
        signature = rpc.submit(transaction) if way == "node" else send(rpc, transaction)
        assert self.received(rpc, signature) == offered
        assert rpc.call("localnet_setSandwicher", {"enabled": True})["sandwiches"] == 0

    def test_finds_no_room_under_a_floor_that_is_the_offer(self, rpc: RpcClient) -> None:
        rpc.call("localnet_setSandwicher", {"enabled": True})
        transaction, offered = self.swap(rpc, floor=1_000, protected=False)
        assert self.received(rpc, send(rpc, transaction)) == offered

    def test_lets_alone_what_is_no_swap_or_would_fail(self, rpc: RpcClient, newcomer: Pubkey) -> None:
        rpc.call("localnet_setSandwicher", {"enabled": True})
        send(rpc, rpc.transaction(payment(newcomer), TIP))
        send(rpc, rpc.transaction(payment(newcomer, 10**18), TIP))
        assert rpc.balance(newcomer) == 10**9
        assert rpc.call("localnet_setSandwicher", {})["sandwiches"] == 0

    def test_is_off_unless_it_is_asked_for(self, rpc: RpcClient) -> None:
        transaction, offered = self.swap(rpc, floor=995, protected=False)
        assert self.received(rpc, send(rpc, transaction)) == offered


def test_a_failed_transaction_leaves_no_trace_where_all_are_bundles(localnet: Localnet) -> None:
    def call(url: str, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        headers = {"content-type": "application/json"}
        return urllib3.request("POST", url, body=body, headers=headers, timeout=30).json()["result"]

    payer = Keypair()
    localnet.call("localnet_fund", {"address": str(payer.pubkey()), "amount": 10**9})
    localnet.call("localnet_pause")
    try:
        latest = localnet.call("getLatestBlockhash", {"commitment": "processed"})["value"]["blockhash"]
        for query, left in (("?bundleOnly=true", 10**9), ("", 10**9 - 5_000)):
            instructions = [payment(payer.pubkey(), 10**18, payer), payment(TIP_ACCOUNTS[0], 1_000, payer)]
            message = MessageV0.try_compile(payer.pubkey(), instructions, [], Hash.from_string(latest))
            wire = encoded(VersionedTransaction(message, [payer]))
            assert call(f"{localnet.url}/api/v1/transactions{query}", "sendTransaction", wire, {"encoding": "base64"})
            balance = localnet.call("getBalance", str(payer.pubkey()), {"commitment": "processed"})["value"]
            assert balance == left
    finally:
        localnet.call("localnet_resume")


def test_the_lane_is_served_beside_the_node(localnet: Localnet) -> None:
    def answer(path: str, method: str) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": []})
        headers = {"content-type": "application/json"}
        return urllib3.request("POST", localnet.url + path, body=body, headers=headers, timeout=30).json()

    for path in ("/api/v1/transactions", "/api/v1/bundles"):
        assert answer(path, "getTipAccounts")["result"] == list(map(str, TIP_ACCOUNTS))
        assert answer(path, "getSlot")["error"]["code"] == -32601
        assert answer(path, "localnet_getLane")["error"]["code"] == -32601
    assert answer("", "getTipAccounts")["error"]["code"] == -32601
    assert answer("?bundleOnly=true", "getHealth")["result"] == "ok"


def test_the_sol_market_is_sandwiched_too(rpc: RpcClient) -> None:
    """Any pool's swap is, whichever program's."""
    rpc.call("localnet_setSandwicher", {"enabled": True})
    desk, trader = rpc.chain.node.desk, PAYER.pubkey()
    pools = [one for one, _ in rpc.chain.pools if {str(side.mint) for side in desk.pool(one).sides} == {SOL, USDC}]
    assert len(pools) > 2
    for number, address in enumerate(pools):
        pool = desk.pool(address)
        quote = desk.quote(pool, Pubkey.from_string(USDC), 50_000 * 10**6)
        source, destination = (
            associated_token_address(trader, mint, TOKEN_PROGRAM) for mint in (quote.mint_in, quote.mint_out)
        )
        swap = pool.swap_instruction(
            quote, trader=trader, source=source, destination=destination, minimum_out=quote.amount_out * 97 // 100
        )
        rpc.submit(rpc.transaction(create_associated_account(trader, trader, quote.mint_out, TOKEN_PROGRAM), swap))
        assert rpc.call("localnet_setSandwicher", {"enabled": True})["sandwiches"] == number + 1
