"""How the cluster agrees and how fast it is: told by its nodes, asked for seldom, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.solana.cluster import Cluster, ConsensusProtocol, KnownCluster, SlotSample, slot_ms_of
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.pacing import LEAST_CALLS_IN_WINDOW, OwnPace
from chalicelib.solana.rpc import Beside, SolanaRpc
from chalicelib.solana.slot_times import SlotTimes
from tests.unit.test_failover import Clock, on_the_spot
from tests.unit.test_rpc_errors import Answering

ADDRESS = Pubkey(bytes([9] * 32))
CERTIFICATE = {"slot": 459_652_999, "blockId": "…", "bitmap": [], "signature": []}
SAMPLES = [{"slot": 9, "numSlots": 280, "samplePeriodSecs": 60, "numTransactions": 1}]
LACKING = {"code": -32601, "message": "Method not found"}
ANSWERS: dict[str, object] = {
    "getMultipleAccounts": {"context": {"slot": 100}, "value": [None]},
    "getLatestBlockhash": {
        "context": {"slot": 101},
        "value": {"blockhash": str(Hash.default()), "lastValidBlockHeight": 250},
    },
    "getRecentPrioritizationFees": [{"slot": 7, "prioritizationFee": 5}, {"slot": 6, "prioritizationFee": 4}],
    "getMinimumBalanceForRentExemption": 2_039_280,
    "getAgGenesisCert": CERTIFICATE,
    "getRecentPerformanceSamples": SAMPLES,
    "getSlot": 100,
}


class Told:
    """A node that answers by method: a result, or an error where the answer has a code. It notes what it was asked."""

    def __init__(self, **answers: object) -> None:
        self.answers = ANSWERS | answers
        self.http = Answering(self._answer)
        self.clock = Clock()
        self.rpc = FailoverRpc([SolanaRpc("http://node.example", http=self.http)], self.clock, start=on_the_spot)

    @property
    def asked(self) -> list[str]:
        """The methods, in the order of their requests."""
        return [call["method"] for request in self.http.requests for call in _calls(request)]

    def _answer(self, request: Any) -> tuple[int, object, dict[str, str]]:
        told = [self._told(call) for call in _calls(request)]
        return 200, told if isinstance(request, list) else told[0], {}

    def _told(self, call: Any) -> dict[str, object]:
        answer = self.answers[call["method"]]
        kind = "error" if isinstance(answer, dict) and "code" in answer else "result"
        return {"jsonrpc": "2.0", "id": call["id"], kind: answer}


def _calls(request: Any) -> list[Any]:
    return request if isinstance(request, list) else [request]


@pytest.mark.parametrize(
    ("answer", "consensus", "settled_at"),
    [
        (CERTIFICATE, ConsensusProtocol.ALPENGLOW, "finalized"),
        (None, ConsensusProtocol.TOWER, "confirmed"),
        (LACKING, ConsensusProtocol.UNKNOWN, "confirmed"),
        ({"code": -32005, "message": "Node is behind"}, ConsensusProtocol.UNKNOWN, "confirmed"),
        ("yes", ConsensusProtocol.UNKNOWN, "confirmed"),
    ],
)
def test_a_cluster_has_migrated_where_a_node_has_the_certificate_and_is_unknown_where_none_tells(
    answer: object, consensus: ConsensusProtocol, settled_at: str
) -> None:
    cluster = Told(getAgGenesisCert=answer).rpc.cluster()
    assert (cluster.consensus, cluster.settled_at) == (consensus, settled_at)


def test_reads_are_asked_for_where_the_cluster_settles_its_blocks() -> None:
    node = Told()
    node.rpc.get_slot()
    node.rpc.cluster()
    node.rpc.get_slot()
    asked_at = [call["params"][0]["commitment"] for call in node.http.requests if call["method"] == "getSlot"]
    assert asked_at == ["confirmed", "finalized"]


@pytest.mark.parametrize(("answer", "again_after_s"), [(CERTIFICATE, 300), (None, 300), (LACKING, 60)])
def test_the_cluster_is_asked_for_seldom(answer: object, again_after_s: int) -> None:
    node = Told(getAgGenesisCert=answer)
    node.rpc.cluster()
    node.clock.now_ms += again_after_s * 1000 - 1
    for _ in range(3):
        node.rpc.cluster()
    assert node.asked.count("getAgGenesisCert") == 1
    node.clock.now_ms += 1
    node.rpc.cluster()
    assert node.asked.count("getAgGenesisCert") == 2


def test_what_is_asked_for_beside_accounts_comes_in_the_same_request_the_cluster_when_it_is_time() -> None:
    node = Told()
    beside = Beside(blockhash=True, fees_of=(ADDRESS,), rent_of=165)
    found = node.rpc.read_beside([ADDRESS], beside)
    assert len(node.http.requests) == 1
    assert found.latest is not None
    assert (found.latest.last_valid_block_height, found.recent_fees, found.rent_lamports) == (250, (4, 5), 2_039_280)
    assert node.rpc.known_cluster() == Cluster(ConsensusProtocol.ALPENGLOW, 214)
    node.rpc.read_beside([ADDRESS], beside)
    node.rpc.cluster()
    assert len(node.http.requests) == 2
    assert node.asked.count("getAgGenesisCert") == node.asked.count("getRecentPerformanceSamples") == 1
    assert node.rpc.newest_slot() == 101


def test_what_a_node_does_not_tell_beside_accounts_costs_nothing_else() -> None:
    node = Told(
        getLatestBlockhash={"code": -32005, "message": "Node is behind"},
        getRecentPrioritizationFees=LACKING,
        getAgGenesisCert=LACKING,
        getRecentPerformanceSamples=LACKING,
    )
    found = node.rpc.read_beside([ADDRESS], Beside(blockhash=True, fees_of=(ADDRESS,), rent_of=165))
    assert (found.latest, found.recent_fees, found.rent_lamports) == (None, None, 2_039_280)
    assert node.rpc.known_cluster() == Cluster()
    assert found.read.accounts == {ADDRESS: None}


def test_a_slot_takes_what_the_chain_took_for_its_last_ones() -> None:
    assert slot_ms_of([SlotSample(280, 60), SlotSample(282, 60)]) == 214
    assert slot_ms_of([SlotSample(150, 60)]) == 400
    assert slot_ms_of([]) is None
    assert slot_ms_of([SlotSample(0, 60)]) is None


@pytest.mark.parametrize(("slots", "slot_ms"), [(19, None), (20, 200), (150, 200)])
def test_where_no_node_measures_the_slots_that_were_seen_tell_how_long_they_take(
    slots: int, slot_ms: int | None
) -> None:
    seen = SlotTimes()
    for slot in range(slots + 1):
        seen.saw(1_000 + slot, 50_000 + slot * 200)
    assert seen.slot_ms() == slot_ms
    assert KnownCluster().now(seen.slot_ms()).slot_ms == slot_ms


def test_only_the_slots_of_the_last_minute_tell() -> None:
    """The network halves them one day."""
    seen = SlotTimes()
    for number in range(200):
        seen.saw(number, number * 400)
    for number in range(200, 600):
        seen.saw(number, 200 * 400 + (number - 200) * 200)
    assert seen.slot_ms() == 200


def test_what_was_measured_counts_until_it_is_measured_anew() -> None:
    known = KnownCluster()
    known.learn(migrated=True, slot_ms=214, now_ms=0)
    known.learn(migrated=None, slot_ms=None, now_ms=1)
    assert known.now(seen_slot_ms=400) == Cluster(ConsensusProtocol.UNKNOWN, 214)
    assert known.now().blockhash_life_ms == 150 * 214


def test_one_of_several_threads_asks() -> None:
    known = KnownCluster()
    assert [known.take_question(5), known.take_question(5), known.take_question(5)] == [True, False, False]
    assert known.take_question(4), "a clock that was set back makes it due"


def test_with_a_pace_an_attempts_first_request_holds_no_more_calls_than_the_least_share() -> None:
    """Accounts, blockhash and fees: the rest has calls of its own, each in its turn."""
    node = Told()
    rpc = FailoverRpc(
        [SolanaRpc("http://node.example", http=node.http)], node.clock, start=on_the_spot, paces=[OwnPace(100)]
    )
    found = rpc.read_beside([ADDRESS], Beside(blockhash=True, fees_of=(ADDRESS,), rent_of=165))
    assert len(node.asked) == LEAST_CALLS_IN_WINDOW
    assert found.rent_lamports is None
    assert rpc.cluster().consensus is ConsensusProtocol.ALPENGLOW
    assert node.asked[LEAST_CALLS_IN_WINDOW:] == ["getAgGenesisCert"]
