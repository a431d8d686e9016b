"""Blocks over JSON-RPC."""

from __future__ import annotations

from typing import Any

import pytest
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction

from tests.localnet.rpc_client import PAYER, PROCESSED, RpcClient, RpcError, payment

ALL = {"maxSupportedTransactionVersion": 1}


@pytest.fixture(scope="module")
def rpc() -> RpcClient:
    return RpcClient()


@pytest.fixture(scope="module")
def landed(rpc: RpcClient) -> tuple[int, list[VersionedTransaction]]:
    """A slot with a transaction of version 0 and one of version 1 in it, in this order."""
    rpc.advance(1)
    sent = [rpc.transaction(payment(Keypair().pubkey())), rpc.v1_transaction(payment(Keypair().pubkey()))]
    for transaction in sent:
        rpc.submit(transaction)
    slot: int = rpc.call("getSlot", PROCESSED)
    rpc.advance(1)
    return slot, sent


def test_a_block_has_its_transactions_in_their_order(
    rpc: RpcClient, landed: tuple[int, list[VersionedTransaction]]
) -> None:
    slot, sent = landed
    block = rpc.call("getBlock", slot, ALL)
    assert [one["version"] for one in block["transactions"]] == [0, 1]
    signatures = [one["transaction"]["signatures"][0] for one in block["transactions"]]
    assert signatures == [str(one.signatures[0]) for one in sent]
    alone = rpc.call("getTransaction", str(sent[1].signatures[0]), ALL)
    assert block["transactions"][1] == {name: alone[name] for name in ("transaction", "meta", "version")}
    assert block["rewards"] == []


def test_a_block_names_the_one_before_it(rpc: RpcClient, landed: tuple[int, list[VersionedTransaction]]) -> None:
    slot, sent = landed
    block, before = (rpc.call("getBlock", one, {**ALL, "rewards": False}) for one in (slot, slot - 1))
    assert block["previousBlockhash"] == before["blockhash"]
    assert block["parentSlot"] == slot - 1
    assert block["blockHeight"] == before["blockHeight"] + 1
    assert block["blockhash"] == str(sent[0].message.recent_blockhash)
    assert block["blockTime"] == rpc.call("getBlockTime", slot)
    assert before["transactions"] == []
    assert "rewards" not in block


def test_less_of_a_block_can_be_asked_for(rpc: RpcClient, landed: tuple[int, list[VersionedTransaction]]) -> None:
    slot, sent = landed

    def asked(details: str) -> dict[str, Any]:
        block: dict[str, Any] = rpc.call("getBlock", slot, {**ALL, "transactionDetails": details})
        return block

    assert asked("signatures")["signatures"] == [str(one.signatures[0]) for one in sent]
    assert not {"transactions", "signatures"} & asked("none").keys()
    first = asked("accounts")["transactions"][0]
    assert first["transaction"]["accountKeys"][0] == {
        "pubkey": str(PAYER.pubkey()),
        "signer": True,
        "source": "transaction",
        "writable": True,
    }
    assert first["meta"]["fee"] == 5_000
    assert "logMessages" not in first["meta"]
    with pytest.raises(RpcError, match="unknown transactionDetails") as refused:
        asked("gossip")
    assert refused.value.code == -32602


def test_a_block_that_is_not_there_has_an_error(rpc: RpcClient) -> None:
    newest, first = rpc.call("getSlot", PROCESSED), rpc.call("getFirstAvailableBlock")
    for slot, code in ((newest, -32004), (newest + 1_000, -32004), (first - 1, -32001)):
        with pytest.raises(RpcError) as refused:
            rpc.call("getBlock", slot, ALL)
        assert refused.value.code == code
    with pytest.raises(RpcError, match="below `confirmed`"):
        rpc.call("getBlock", newest, {**ALL, **PROCESSED})


def test_every_slot_has_a_block(rpc: RpcClient) -> None:
    rpc.advance(5)
    final, first = rpc.call("getSlot"), rpc.call("getFirstAvailableBlock")
    assert rpc.call("getBlocks", final - 2) == [final - 2, final - 1, final]
    assert rpc.call("getBlocks", final - 3, final - 2) == [final - 3, final - 2]
    assert rpc.call("getBlocks", final - 1, {"commitment": "confirmed"}) == [final - 1, final]
    assert rpc.call("getBlocks", final - 1, None, {"commitment": "confirmed"}) == [final - 1, final]
    assert rpc.call("getBlocks", first - 5, first + 1) == [first, first + 1]
    with pytest.raises(RpcError, match="max 500000"):
        rpc.call("getBlocks", 0, first)
    assert rpc.call("getBlocksWithLimit", final - 3, 2) == [final - 3, final - 2]
    assert rpc.call("getBlocksWithLimit", final, 5) == [final]
