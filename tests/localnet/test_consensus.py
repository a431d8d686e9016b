"""The two kinds of chain: Solana as it is, and as it was before Alpenglow."""

from __future__ import annotations

import pytest

from infra.localnet import __main__ as command
from infra.localnet.consensus import ALPENGLOW, TOWER, ConsensusRules
from testing.localnet import Localnet, LocalnetError
from tests.localnet.rpc_client import PROCESSED, RpcClient, RpcError

BOTH = pytest.mark.parametrize("chain", [ALPENGLOW, TOWER], ids=lambda chain: chain.name)


class TestTheGenesisCertificate:
    def test_names_the_block_from_which_alpenglow_decides(self) -> None:
        rpc = RpcClient()
        certificate = rpc.call("getAgGenesisCert")
        assert certificate["block"]["slot"] == rpc.call("getFirstAvailableBlock")
        assert len(certificate["block"]["blockId"]) == 32
        assert len(certificate["signature"]["signature"]) == 192
        assert all(0 <= byte < 256 for byte in certificate["signature"]["signature"])
        rpc.advance(10)
        assert rpc.call("getAgGenesisCert") == certificate

    def test_is_null_where_the_cluster_has_not_migrated(self) -> None:
        assert RpcClient(consensus=TOWER).call("getAgGenesisCert") is None


@BOTH
def test_a_blockhash_lives_for_150_blocks(chain: ConsensusRules) -> None:
    rpc = RpcClient(consensus=chain)
    latest = rpc.call("getLatestBlockhash", PROCESSED)["value"]
    assert latest["lastValidBlockHeight"] == rpc.call("getBlockHeight", PROCESSED) + 150
    rpc.advance(150)
    assert rpc.call("isBlockhashValid", latest["blockhash"], PROCESSED)["value"]
    rpc.advance(1)
    assert not rpc.call("isBlockhashValid", latest["blockhash"], PROCESSED)["value"]


class TestPerformanceSamples:
    def pass_slots(self, rpc: RpcClient, slots: int, slot_ms: int) -> None:
        for _ in range(slots):
            rpc.now += slot_ms / 1_000
            rpc.advance(1)

    def test_tell_how_many_slots_passed_in_how_many_seconds(self) -> None:
        rpc = RpcClient()
        assert rpc.call("getRecentPerformanceSamples") == []
        self.pass_slots(rpc, 60, 214)
        self.pass_slots(rpc, 30, 400)
        newest, older = rpc.call("getRecentPerformanceSamples")
        assert round(older["samplePeriodSecs"] * 1_000 / older["numSlots"]) == pytest.approx(214, abs=5)
        assert newest["slot"] == older["slot"] + newest["numSlots"]
        assert rpc.call("getRecentPerformanceSamples", 1) == [newest]

    def test_have_nothing_to_say_of_a_time_in_which_the_clock_was_set_back(self) -> None:
        rpc = RpcClient()
        rpc.now -= 3_600
        self.pass_slots(rpc, 60, 200)
        (sample,) = rpc.call("getRecentPerformanceSamples")
        assert (sample["numSlots"], sample["samplePeriodSecs"]) == (50, 10)

    def test_are_at_most_720(self) -> None:
        with pytest.raises(RpcError, match="max 720") as refused:
            RpcClient().call("getRecentPerformanceSamples", 721)
        assert refused.value.code == -32602


class TestTheCommand:
    @pytest.mark.parametrize(
        ("arguments", "chain", "slot_ms"),
        [
            ([], "alpenglow", 200),
            (["--chain", "tower"], "tower", 400),
            (["--slot-ms", "20"], "alpenglow", 20),
            (["--chain", "tower", "--slot-ms", "50"], "tower", 50),
        ],
    )
    def test_is_todays_chain_unless_told_otherwise(self, arguments: list[str], chain: str, slot_ms: int) -> None:
        consensus = command.options(arguments).consensus
        assert (consensus.name, consensus.slot_ms) == (chain, slot_ms)

    def test_knows_no_other_chain(self) -> None:
        with pytest.raises(LocalnetError, match="invalid choice: 'dream'"):
            Localnet("--chain", "dream").start()

    def test_serves_the_old_one(self) -> None:
        with Localnet("--no-traders", "--chain", "tower", "--slot-ms", "20") as tower:
            assert tower.call("getAgGenesisCert") is None
            assert tower.call("getSlot", {"commitment": "processed"}) - tower.call("getSlot") >= 31
