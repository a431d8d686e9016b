"""Methods about the cluster's one validator, and about how much there is."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.solana.tokens import TOKEN_PROGRAM, associated_token_address
from infra.localnet.rpc.zstandard_frame import stored
from tests.localnet.rpc_client import PAYER, PROCESSED, SOL, USDC, RpcClient, RpcError, payment

SYSVARS = {
    "clock": "SysvarC1ock11111111111111111111111111111111",
    "epochSchedule": "SysvarEpochSchedu1e111111111111111111111111",
    "rent": "SysvarRent111111111111111111111111111111111",
    "slotHashes": "SysvarS1otHashes111111111111111111111111111",
    "recentBlockhashes": "SysvarRecentB1ockHashes11111111111111111111",
    "stakeHistory": "SysvarStakeHistory1111111111111111111111111",
    "slotHistory": "SysvarS1otHistory11111111111111111111111111",
    "lastRestartSlot": "SysvarLastRestartS1ot1111111111111111111111",
    "epochRewards": "SysvarEpochRewards1111111111111111111111111",
}


@pytest.fixture(scope="module")
def rpc() -> RpcClient:
    return RpcClient()


class TestTheValidator:
    def test_is_the_one_node_and_leads_every_slot(self, rpc: RpcClient) -> None:
        identity = rpc.call("getIdentity")["identity"]
        (node,) = rpc.call("getClusterNodes")
        assert node["pubkey"] == identity
        assert node["version"] == rpc.call("getVersion")["solana-core"]
        assert rpc.call("getSlotLeader") == identity
        assert rpc.call("getSlotLeaders", 5, 3) == [identity] * 3
        schedule = rpc.call("getLeaderSchedule")
        assert list(schedule) == [identity]
        assert len(schedule[identity]) == rpc.call("getEpochSchedule")["slotsPerEpoch"]
        slot = rpc.call("getSlot")
        assert rpc.call("getLeaderSchedule", slot, {"identity": USDC}) == {}
        assert rpc.call("getLeaderSchedule", slot + 2 * 432_000) is None
        assert rpc.call("getLeaderSchedule", None, {"identity": identity}) == schedule

    def test_has_made_a_block_in_every_slot(self, rpc: RpcClient) -> None:
        identity, last = rpc.call("getIdentity")["identity"], rpc.call("getSlot")
        rpc.advance(3)
        value = rpc.call("getBlockProduction", {"range": {"firstSlot": last, "lastSlot": last + 2}})["value"]
        assert value == {"byIdentity": {identity: [3, 3]}, "range": {"firstSlot": last, "lastSlot": last + 2}}
        assert rpc.call("getBlockProduction")["value"]["range"]["lastSlot"] == last + 3
        assert rpc.call("getBlockProduction", {"identity": USDC})["value"]["byIdentity"] == {}
        with pytest.raises(RpcError, match="Invalid slot range"):
            rpc.call("getBlockProduction", {"range": {"firstSlot": last + 1_000}})

    def test_neither_votes_nor_is_paid(self, rpc: RpcClient) -> None:
        assert rpc.call("getVoteAccounts") == {"current": [], "delinquent": []}
        assert set(rpc.call("getInflationGovernor").values()) == {0.0}
        rate = rpc.call("getInflationRate")
        assert (rate["total"], rate["epoch"]) == (0.0, rpc.call("getEpochInfo")["epoch"])
        assert rpc.call("getInflationReward", [USDC, SOL]) == [None, None]
        assert rpc.call("getBlockCommitment", rpc.call("getSlot")) == {"commitment": None, "totalStake": 0}

    def test_has_no_snapshot(self, rpc: RpcClient) -> None:
        with pytest.raises(RpcError, match="No snapshot") as refused:
            rpc.call("getHighestSnapshotSlot")
        assert refused.value.code == -32008


class TestTheSupply:
    def test_is_what_all_accounts_hold_and_falls_by_the_fees(self, rpc: RpcClient) -> None:
        rpc.advance(1)
        before = rpc.call("getSupply")["value"]
        assert before["total"] == before["circulating"] > 10**18 / 2
        rpc.submit(rpc.transaction(payment(Keypair().pubkey())))
        assert rpc.call("getSupply", PROCESSED)["value"]["total"] == before["total"] - 5_000

    def test_is_held_most_by_the_faucet(self, rpc: RpcClient) -> None:
        largest = rpc.call("getLargestAccounts", PROCESSED)["value"]
        assert largest[0]["address"] == str(rpc.chain.node.faucet.address)
        held = [one["lamports"] for one in largest]
        assert len(held) == 20
        assert held == sorted(held, reverse=True)
        assert rpc.call("getLargestAccounts", {"filter": "nonCirculating"})["value"] == []

    def test_of_a_token_is_held_most_by_the_largest_account(self, rpc: RpcClient) -> None:
        largest = rpc.call("getTokenLargestAccounts", USDC, PROCESSED)["value"]
        amounts = [int(one["amount"]) for one in largest]
        assert amounts == sorted(amounts, reverse=True)
        assert largest[0]["decimals"] == 6
        of_first = rpc.call("getTokenAccountBalance", largest[0]["address"], PROCESSED)["value"]
        assert {**of_first, "address": largest[0]["address"]} == largest[0]
        with pytest.raises(RpcError, match="not a Token mint"):
            rpc.call("getTokenLargestAccounts", str(PAYER.pubkey()))


def test_token_accounts_by_their_delegate() -> None:
    rpc, delegate = RpcClient(), Keypair().pubkey()
    account = associated_token_address(PAYER.pubkey(), Pubkey.from_string(USDC), TOKEN_PROGRAM)
    approval = Instruction(
        TOKEN_PROGRAM,
        bytes([4]) + (77).to_bytes(8, "little"),
        [
            AccountMeta(account, is_signer=False, is_writable=True),
            AccountMeta(delegate, is_signer=False, is_writable=False),
            AccountMeta(PAYER.pubkey(), is_signer=True, is_writable=False),
        ],
    )

    def found() -> list[dict[str, Any]]:
        config = {"encoding": "jsonParsed", **PROCESSED}
        value: list[dict[str, Any]] = rpc.call("getTokenAccountsByDelegate", str(delegate), {"mint": USDC}, config)[
            "value"
        ]
        return value

    assert found() == []
    rpc.submit(rpc.transaction(approval))
    (entry,) = found()
    assert entry["pubkey"] == str(account)
    assert entry["account"]["data"]["parsed"]["info"]["delegatedAmount"]["amount"] == "77"


class TestSysvars:
    def parsed(self, rpc: RpcClient, name: str) -> Any:
        value = rpc.call("getAccountInfo", SYSVARS[name], {"encoding": "jsonParsed", **PROCESSED})["value"]
        assert value["data"]["program"] == "sysvar"
        assert value["data"]["parsed"]["type"] == name
        assert value["data"]["space"] == value["space"]
        return value["data"]["parsed"]["info"]

    @pytest.mark.parametrize("name", SYSVARS)
    def test_are_parsed(self, rpc: RpcClient, name: str) -> None:
        assert self.parsed(rpc, name) is not None

    def test_agree_with_the_methods(self, rpc: RpcClient) -> None:
        info, clock = rpc.call("getEpochInfo", PROCESSED), self.parsed(rpc, "clock")
        assert (clock["slot"], clock["epoch"]) == (info["absoluteSlot"], info["epoch"])
        assert clock["epochStartTimestamp"] < clock["unixTimestamp"]
        assert self.parsed(rpc, "epochSchedule") == rpc.call("getEpochSchedule")
        newest = self.parsed(rpc, "slotHashes")[0]
        assert newest["slot"] == clock["slot"] - 1
        assert newest["hash"] == rpc.call("getBlock", newest["slot"])["blockhash"]
        rent = self.parsed(rpc, "rent")
        per_byte = int(rent["lamportsPerByteYear"]) * rent["exemptionThreshold"]
        assert rpc.call("getMinimumBalanceForRentExemption", 100) == per_byte * 228
        assert len(self.parsed(rpc, "slotHistory")["bits"]) == 1_048_576


class TestZstandard:
    def test_is_an_encoding_of_accounts(self, rpc: RpcClient) -> None:
        plain, packed = (
            rpc.call("getAccountInfo", USDC, {"encoding": encoding})["value"]["data"]
            for encoding in ("base64", "base64+zstd")
        )
        assert packed[1] == "base64+zstd"
        frame = base64.b64decode(packed[0])
        assert frame[:4].hex() == "28b52ffd"
        assert base64.b64decode(plain[0]) in frame

    @given(content=st.binary(max_size=300) | st.integers(0, 400_000).map(bytes))
    def test_frames_are_read_back(self, content: bytes) -> None:
        frame = stored(content)
        assert frame[5:13] == len(content).to_bytes(8, "little")
        read, at, is_last = b"", 13, False
        while not is_last:
            header = int.from_bytes(frame[at : at + 3], "little")
            is_last, size = bool(header & 1), header >> 3
            assert header >> 1 & 3 == 0
            assert size <= 128 * 1024
            read, at = read + frame[at + 3 : at + 3 + size], at + 3 + size
        assert (read, at) == (content, len(frame))


def test_the_filter_for_initialized_token_accounts_is_a_name(rpc: RpcClient) -> None:
    owner = str(PAYER.pubkey())
    of_owner = {"memcmp": {"offset": 32, "bytes": owner}}
    config = {"encoding": "base64", "filters": ["tokenAccountState", of_owner]}
    accounts = rpc.call("getProgramAccounts", str(TOKEN_PROGRAM), config)
    assert {one["account"]["space"] for one in accounts} == {165}
    held = rpc.call("getTokenAccountsByOwner", owner, {"programId": str(TOKEN_PROGRAM)}, {"encoding": "base64"})[
        "value"
    ]
    assert len(accounts) == len(held) > 1
