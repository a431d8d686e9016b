"""JSON-RPC itself, the cluster's own figures, the faults, and the localnet's own methods."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair

from infra.localnet.rpc.dispatcher import InjectedOutage
from tests.localnet.rpc_client import PAYER, PROCESSED, SOL, USDC, RpcClient, RpcError, payment


@pytest.fixture
def rpc() -> RpcClient:
    return RpcClient()


class TestTheProtocol:
    def test_a_batch_is_answered_in_order_each_under_its_id(self, rpc: RpcClient) -> None:
        calls = [{"jsonrpc": "2.0", "id": name, "method": name} for name in ("getHealth", "getNothing", "getSlot")]
        answers = rpc.send(json.dumps(calls).encode())
        assert [answer["id"] for answer in answers] == ["getHealth", "getNothing", "getSlot"]
        assert answers[0]["result"] == "ok"
        assert answers[1]["error"] == {"code": -32601, "message": "Method not found"}

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"{", -32700),
            (b"[]", -32600),
            (b"7", -32600),
            (b'{"id":1}', -32600),
            (b'{"method":"getSlot","params":7}', -32602),
        ],
    )
    def test_what_is_no_request_has_its_code(self, rpc: RpcClient, body: bytes, code: int) -> None:
        assert rpc.send(body)["error"]["code"] == code

    @settings(max_examples=150, deadline=None)
    @given(
        method=st.sampled_from(
            [
                "getAccountInfo",
                "getMultipleAccounts",
                "getProgramAccounts",
                "getTokenAccountsByOwner",
                "getSignatureStatuses",
                "getSignaturesForAddress",
                "getTransaction",
                "sendTransaction",
                "simulateTransaction",
                "getFeeForMessage",
                "getBlockTime",
                "isBlockhashValid",
                "getBlock",
                "getBlocks",
                "getBlocksWithLimit",
                "getBlockProduction",
                "getLeaderSchedule",
                "getSlotLeaders",
                "getRecentPerformanceSamples",
                "getLargestAccounts",
                "getTokenLargestAccounts",
                "getTokenAccountsByDelegate",
                "getInflationReward",
                "requestAirdrop",
                "localnet_setLane",
                "localnet_setSandwicher",
                "localnet_trade",
                "localnet_setFaults",
                "localnet_refuseSwaps",
                "localnet_fund",
            ]
        ),
        params=st.lists(
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([USDC, SOL]),
                lambda inner: (
                    st.lists(inner, max_size=2)
                    | st.dictionaries(
                        st.sampled_from(["encoding", "commitment", "mint", "filters", "dataSlice", "pool", "limit"]),
                        inner,
                    )
                ),
                max_leaves=4,
            ),
            max_size=3,
        ),
    )
    def test_nonsense_is_the_callers_error_and_never_the_servers(self, method: str, params: list[object]) -> None:
        try:
            SHARED.call(method, *params)
        except RpcError as error:
            blamed = error.code
        else:
            return
        assert blamed in (-32600, -32602, -32001, -32002, -32003, -32004, -32016)


SHARED = RpcClient()


class TestTheClustersFigures:
    def test_epoch_slot_and_height_go_together(self, rpc: RpcClient) -> None:
        info = rpc.call("getEpochInfo", PROCESSED)
        assert info["absoluteSlot"] == rpc.call("getSlot", PROCESSED) == info["epoch"] * 432_000 + info["slotIndex"]
        assert info["blockHeight"] == rpc.call("getBlockHeight", PROCESSED)
        assert info["slotsInEpoch"] == 432_000

    def test_a_blockhash_is_valid_for_150_blocks(self, rpc: RpcClient) -> None:
        latest = rpc.call("getLatestBlockhash", PROCESSED)["value"]
        assert latest["lastValidBlockHeight"] == rpc.call("getBlockHeight", PROCESSED) + 150
        assert rpc.call("isBlockhashValid", latest["blockhash"], PROCESSED)["value"]
        rpc.advance(151)
        assert not rpc.call("isBlockhashValid", latest["blockhash"], PROCESSED)["value"]

    def test_slots_have_times(self, rpc: RpcClient) -> None:
        slot = rpc.call("getSlot")
        assert isinstance(rpc.call("getBlockTime", slot), int)
        with pytest.raises(RpcError) as refused:
            rpc.call("getBlockTime", slot + 1_000)
        assert refused.value.code == -32004


class TestFaults:
    def send(self, rpc: RpcClient, count: int) -> list[bool]:
        """Whether each of so many payments landed."""
        landed = []
        for number in range(count):
            rpc.advance(1)
            newcomer = Keypair().pubkey()
            rpc.submit(rpc.transaction(payment(newcomer, 10**9 + number)))
            landed.append(rpc.balance(newcomer) > 0)
        return landed

    def test_a_dropped_transaction_has_a_signature_and_lands_when_it_is_sent_again(self, rpc: RpcClient) -> None:
        rpc.call("localnet_setFaults", {"dropRate": 1})
        newcomer = Keypair().pubkey()
        transaction = rpc.transaction(payment(newcomer))
        signature = rpc.submit(transaction)
        assert rpc.status(signature) is None
        rpc.call("localnet_setFaults", {})
        rpc.submit(transaction)
        assert rpc.balance(newcomer) == 10**9

    def test_drops_are_independent_and_about_as_many_as_asked_for(self, rpc: RpcClient) -> None:
        rpc.call("localnet_setFaults", {"dropRate": 0.5, "seed": 7})
        landed = self.send(rpc, 60)
        assert 15 < sum(landed) < 45

    def test_the_same_seed_gives_the_same_faults(self, rpc: RpcClient) -> None:
        outcomes = []
        for _ in range(2):
            rpc.call("localnet_setFaults", {"dropRate": 0.5, "seed": 11})
            outcomes.append(self.send(rpc, 20))
        assert outcomes[0] == outcomes[1]

    def test_what_expires_never_lands_however_often_it_is_sent(self, rpc: RpcClient) -> None:
        rpc.call("localnet_setFaults", {"expireRate": 1})
        newcomer = Keypair().pubkey()
        transaction = rpc.transaction(payment(newcomer))
        for _ in range(20):
            rpc.submit(transaction)
        assert rpc.balance(newcomer) == 0

    def test_whether_a_transaction_expires_does_not_depend_on_when_it_is_sent(self, rpc: RpcClient) -> None:
        rpc.call("localnet_setFaults", {"expireRate": 0.5, "seed": 3})
        fates = set()
        for _ in range(12):
            newcomer = Keypair().pubkey()
            transaction = rpc.transaction(payment(newcomer))
            rpc.submit(transaction)
            first = rpc.balance(newcomer) > 0
            rpc.submit(transaction, skipPreflight=True)
            assert (rpc.balance(newcomer) > 0) == first
            fates.add(first)
        assert fates == {True, False}

    def test_errors_strike_every_method_but_the_localnets_own(self, rpc: RpcClient) -> None:
        rpc.call("localnet_setFaults", {"rpcErrorRate": 1})
        kinds, behind = set(), []
        for _ in range(30):
            try:
                rpc.call("getSlot")
            except RpcError as error:
                kinds.add(error.code)
                behind.append(error.data)
            except InjectedOutage:
                kinds.add(503)
        assert kinds == {-32005, 503}
        assert {"numSlotsBehind": 42} in behind
        assert rpc.call("localnet_getFaults")["rpcErrorRate"] == 1

    def test_an_error_may_hide_that_a_transaction_landed(self, rpc: RpcClient) -> None:
        outcomes = set()
        for number in range(40):
            newcomer = Keypair().pubkey()
            transaction = rpc.transaction(payment(newcomer))
            rpc.call("localnet_setFaults", {"rpcErrorRate": 1, "seed": number})
            try:
                rpc.submit(transaction)
            except InjectedOutage:
                rpc.call("localnet_setFaults", {})
                outcomes.add(rpc.balance(newcomer) > 0)
            except RpcError:
                rpc.call("localnet_setFaults", {})
                assert rpc.balance(newcomer) == 0
        assert outcomes == {True, False}

    @pytest.mark.parametrize("wrong", [{"dropRate": 2}, {"dropRate": "often"}, {"delayMs": -1}, {"colour": 1}])
    def test_wrong_settings_are_refused(self, rpc: RpcClient, wrong: dict[str, object]) -> None:
        with pytest.raises(RpcError, match=next(iter(wrong))):
            rpc.call("localnet_setFaults", wrong)


class TestTheLocalnetsOwnMethods:
    def test_are_for_clients_on_this_machine(self, rpc: RpcClient) -> None:
        with pytest.raises(RpcError) as refused:
            rpc.call("localnet_setFaults", {"dropRate": 1}, local=False)
        assert refused.value.code == -32601
        assert rpc.call("getHealth", local=False) == "ok"

    def test_take_their_object_by_name_too(self, rpc: RpcClient) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": "localnet_advanceSlots", "params": {"slots": 3}}
        before = rpc.call("getSlot", PROCESSED)
        assert rpc.send(json.dumps(request).encode())["result"] == before + 3

    def test_a_trade_moves_the_pool_by_a_real_transaction_of_another_wallet(self, rpc: RpcClient) -> None:
        pool = rpc.pool_of(SOL, USDC)
        before = rpc.chain.node.desk.pool(pool).sides
        vaults = [side.vault for side in before]
        amounts = [rpc.call("getTokenAccountBalance", str(vault), PROCESSED)["value"]["amount"] for vault in vaults]
        trade = rpc.call("localnet_trade", {"pool": str(pool), "mintIn": USDC, "amount": 5_000_000})
        assert trade["err"] is None
        rpc.advance(2)
        meta = rpc.call(
            "getTransaction", trade["signature"], {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}
        )
        assert meta["transaction"]["message"]["accountKeys"][0] != str(PAYER.pubkey())
        after = [rpc.call("getTokenAccountBalance", str(vault), PROCESSED)["value"]["amount"] for vault in vaults]
        changes = {str(side.mint): int(new) - int(old) for side, new, old in zip(before, after, amounts, strict=True)}
        assert changes[USDC] == 5_000_000
        assert changes[trade["mintOut"]] == -int(trade["amountOut"])

    @pytest.mark.parametrize("amount", [0, -1, "1.5", None, True])
    def test_a_trade_of_no_amount_is_refused(self, rpc: RpcClient, amount: object) -> None:
        pool = str(rpc.chain.pools[0][0])
        with pytest.raises(RpcError, match="amount"):
            rpc.call("localnet_trade", {"pool": pool, "mintIn": USDC, "amount": amount})

    def test_a_pool_that_refuses_swaps_does_so_until_it_is_left_out_again(self, rpc: RpcClient) -> None:
        sides = {str(one): rpc.chain.node.desk.pool(one).sides for one, _ in rpc.chain.pools}
        trade_usdc = [one for one, (first, second) in sides.items() if USDC in (str(first.mint), str(second.mint))]
        pool, other = trade_usdc[:2]

        def errors() -> list[object]:
            trades = [{"pool": one, "mintIn": USDC, "amount": 5_000_000} for one in (pool, other)]
            return [rpc.call("localnet_trade", trade)["err"] for trade in trades]

        assert rpc.call("localnet_refuseSwaps", {"pools": [pool]}) == [pool]
        assert errors() == [{"InstructionError": [1, {"Custom": 6999}]}, None]
        assert rpc.call("localnet_refuseSwaps", {"pools": []}) == []
        assert errors() == [None, None]

    @pytest.mark.parametrize("pools", [None, USDC, [1], ["not an address"]])
    def test_pools_that_are_no_addresses_can_t_refuse(self, rpc: RpcClient, pools: object) -> None:
        with pytest.raises(RpcError):
            rpc.call("localnet_refuseSwaps", {"pools": pools})

    def test_a_gift_of_tokens_comes_from_the_faucet(self, rpc: RpcClient) -> None:
        newcomer = str(Keypair().pubkey())
        supply = rpc.call("getTokenSupply", USDC, PROCESSED)["value"]["amount"]
        rpc.call("localnet_fund", {"address": newcomer, "mint": USDC, "amount": "123"})
        rpc.advance(2)
        config = {"encoding": "jsonParsed", "commitment": "confirmed"}
        (entry,) = rpc.call("getTokenAccountsByOwner", newcomer, {"mint": USDC}, config)["value"]
        assert entry["account"]["data"]["parsed"]["info"]["tokenAmount"]["amount"] == "123"
        assert rpc.call("getTokenSupply", USDC, PROCESSED)["value"]["amount"] == supply
