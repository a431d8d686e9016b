"""The fate of a sent transaction: never called expired if it may land, never called landed if it didn't."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.problems import RpcRefused, RpcUnavailable
from chalicelib.solana import cluster as known_cluster
from chalicelib.solana.cluster import Commitment, ConsensusProtocol
from chalicelib.solana.landing import Expired, Fate, FateWatch, InBlock, LandingPace, Pending, land
from chalicelib.solana.rpc import EpochInfo, SignatureStatus, SignatureStatuses
from chalicelib.solana.rpc_errors import NodeLacks
from chalicelib.solana.signed_transaction import SignedTransaction

LAST_VALID = 1_000
SIGNED = SignedTransaction("signature", b"wire", "blockhash", LAST_VALID)
UNREACHABLE = RpcUnavailable("the Solana node can't be reached")
REFUSED = RpcRefused("sendTransaction", -32602, "invalid transaction")
SLIPPAGE = {"InstructionError": [5, {"Custom": 6005}]}

# Slots of 400 ms, so that a poll is 0.2 s.
KNOWN = known_cluster.Cluster(ConsensusProtocol.UNKNOWN, 400)


def tower() -> known_cluster.Cluster:
    return KNOWN


T = TypeVar("T")


@dataclass
class ScriptedNode:
    """Answers from lists, each one's last entry for ever; an exception in a list is raised."""

    searches: list[SignatureStatus | Exception | None] = field(default_factory=lambda: [None])
    heights: list[int | Exception] = field(default_factory=lambda: [0])
    sends: list[str | Exception] = field(default_factory=lambda: [SIGNED.signature])
    searching_node_slot: int = 5_000
    finalized_slot: int = 4_000
    now: float = 0.0
    asked: list[str] = field(default_factory=list)
    sent: list[tuple[float, bytes]] = field(default_factory=list)

    def send_transaction(self, wire: bytes, *, skip_preflight: bool) -> str:
        assert skip_preflight
        self.asked.append("send")
        self.sent.append((self.now, wire))
        return _next(self.sends)

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        assert list(signatures) == [SIGNED.signature]
        self.asked.append({True: "search whole history", False: "search recent history"}[search_history])
        return SignatureStatuses(self.searching_node_slot, (_next(self.searches),))

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo:
        self.asked.append(f"{commitment} height")
        return EpochInfo(self.finalized_slot, _next(self.heights), 9)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def landed(
    node: ScriptedNode,
    cluster: Callable[[], known_cluster.Cluster] = tower,
    *,
    deadline: float,
    pace: LandingPace = LandingPace(),  # noqa: B008 - immutable
    sent_before: bool = False,
) -> Fate:
    return land(
        node,
        SIGNED,
        cluster=cluster,
        clock=node.clock,
        sleep=node.sleep,
        deadline=deadline,
        pace=pace,
        sent_before=sent_before,
    )


def _next(script: list[T | Exception]) -> T:
    answer = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


def _status(confirmation: Commitment, err: object = None) -> SignatureStatus:
    return SignatureStatus(77, err, confirmation)  # type: ignore[arg-type]


@pytest.mark.parametrize(("confirmation", "err"), [("confirmed", None), ("finalized", None), ("finalized", SLIPPAGE)])
def test_a_settled_transaction_has_landed_with_or_without_an_error(confirmation: Commitment, err: object) -> None:
    node = ScriptedNode(searches=[_status(confirmation, err)])
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == InBlock(77, err, confirmation)  # type: ignore[arg-type]


def test_a_processed_transaction_is_undecided_however_high_the_chain() -> None:
    node = ScriptedNode(searches=[_status("processed")], heights=[LAST_VALID + 1_000])
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Pending(
        "in a block at slot 77 that the cluster has yet to settle", in_block=True
    )


def test_a_transaction_that_failed_in_a_block_that_may_be_dropped_is_undecided() -> None:
    node = ScriptedNode(searches=[_status("confirmed", SLIPPAGE)])
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Pending(
        "failed in a block at slot 77 that is not final: it may yet succeed in another", in_block=True
    )


@pytest.mark.parametrize("remaining", [0, 3])
def test_an_unknown_transaction_is_undecided_up_to_its_last_valid_finalized_block(remaining: int) -> None:
    node = ScriptedNode(heights=[LAST_VALID - remaining])
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Pending(
        f"not in a block yet; it can still land for {remaining} more finalized blocks"
    )


def test_a_chain_at_its_first_slot_is_asked_for_its_height_too() -> None:
    node = ScriptedNode(heights=[0], searching_node_slot=0, finalized_slot=0)
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Pending(
        f"not in a block yet; it can still land for {LAST_VALID} more finalized blocks"
    )


def test_an_unknown_transaction_has_expired_one_finalized_block_later() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1])
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Expired(LAST_VALID + 1)


def test_expiry_is_proven_by_a_search_of_the_whole_history_after_the_finalized_height_was_read() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1])
    FateWatch(node, SIGNED.signature, LAST_VALID).look()
    assert node.asked[-2:] == ["finalized height", "search whole history"]


def test_a_transaction_that_appears_between_the_height_and_the_second_search_has_landed() -> None:
    node = ScriptedNode(searches=[None, _status("finalized")], heights=[LAST_VALID + 1])
    assert isinstance(FateWatch(node, SIGNED.signature, LAST_VALID).look(), InBlock)


def test_a_search_by_a_node_that_lags_behind_the_finalized_block_proves_nothing() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1], finalized_slot=5_001, searching_node_slot=5_000)
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Pending(
        "the node that was asked is behind; its not knowing the transaction proves nothing"
    )


def test_a_search_by_a_node_that_has_just_seen_the_finalized_block_proves_expiry() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1], finalized_slot=5_000, searching_node_slot=5_000)
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Expired(LAST_VALID + 1)


@pytest.mark.parametrize("error", [UNREACHABLE, REFUSED])
def test_a_node_that_fails_decides_nothing(error: Exception) -> None:
    for node in (
        ScriptedNode(searches=[error]),
        ScriptedNode(heights=[error]),
        ScriptedNode(searches=[None, error], heights=[LAST_VALID + 1]),
    ):
        assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == Pending(str(error))


class PassingSlots(ScriptedNode):
    """A chain that makes a slot each 200 ms, as whoever asks it is told."""

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        self.searching_node_slot = 5_000 + round(self.now * 1000) // 200
        return super().get_signature_statuses(signatures, search_history=search_history)


def fast() -> known_cluster.Cluster:
    return known_cluster.Cluster(ConsensusProtocol.ALPENGLOW, 200)


def test_landing_sends_the_same_bytes_in_each_second_slot_until_the_deadline() -> None:
    node = PassingSlots()
    fate = landed(node, fast, deadline=1.95)
    assert isinstance(fate, Pending)
    assert [(round(at, 1), wire) for at, wire in node.sent] == [(at, b"wire") for at in (0.0, 0.4, 0.8, 1.2, 1.6)]
    assert node.now == 1.95


def test_landing_sends_each_second_where_no_slots_are_told_and_never_sleeps_past_the_deadline() -> None:
    node = ScriptedNode(searches=[UNREACHABLE])
    landed(node, lambda: known_cluster.Cluster(slot_ms=500), deadline=2.5)
    assert [at for at, _ in node.sent] == [0.0, 1.0, 2.0]
    assert node.now == 2.5


def test_where_looks_are_two_slots_apart_each_after_the_first_sends_again() -> None:
    node = PassingSlots()
    landed(node, fast, deadline=1.8, pace=LandingPace(looks_apart=0.4))
    assert [round(at, 1) for at, _ in node.sent] == [0.0, 0.8, 1.2, 1.6]


def test_what_a_nodes_own_pace_allows_is_kept_whatever_the_slots() -> None:
    node, pace = PassingSlots(), LandingPace(looks_apart=0.5, sends_apart=1.5)
    landed(node, fast, deadline=4.0, pace=pace)
    assert [at for at, _ in node.sent] == [0.0, 1.5, 3.0]
    assert node.asked.count("search whole history") <= 2 * 8


@pytest.mark.parametrize(("slot_ms", "poll"), [(400, 0.2), (200, 0.1), (50, 0.05), (5_000, 0.4), (None, 0.2)])
def test_a_fate_is_asked_for_twice_a_slot(slot_ms: int | None, poll: float) -> None:
    assert LandingPace().poll_every(known_cluster.Cluster(slot_ms=slot_ms)) == poll


@pytest.mark.parametrize(("slot_ms", "poll"), [(400, 0.1), (200, 0.05), (50, 0.05), (5_000, 0.4), (None, 0.1)])
def test_what_is_in_a_block_is_asked_for_four_times_a_slot(slot_ms: int | None, poll: float) -> None:
    assert LandingPace().poll_every(known_cluster.Cluster(slot_ms=slot_ms), in_block=True) == poll
    assert LandingPace(looks_apart=1.5).poll_every(known_cluster.Cluster(slot_ms=slot_ms), in_block=True) == 1.5


@pytest.mark.parametrize("unsettled", [_status("processed"), _status("confirmed", SLIPPAGE)])
def test_from_the_block_on_it_is_asked_more_often_until_that_is_settled(unsettled: SignatureStatus) -> None:
    node = PassingSlots(searches=[None, unsettled, unsettled, _status("finalized")])
    landed(node, fast, deadline=60.0)
    assert round(node.now, 2) == 0.3  # 0.1 and 0.1 without a block, 0.05 and 0.05 with one


def test_the_first_send_waits_for_no_question() -> None:
    node = ScriptedNode(searches=[_status("finalized")])

    def asked() -> known_cluster.Cluster:
        node.asked.append("cluster")
        return KNOWN

    landed(node, asked, deadline=5.0)
    assert node.asked == ["send", "cluster", "search whole history"]


def test_where_the_cluster_has_migrated_only_what_is_final_has_landed() -> None:
    node = ScriptedNode(searches=[_status("processed"), _status("confirmed"), _status("finalized")])
    fate = landed(node, fast, deadline=60.0)
    assert fate == InBlock(77, None, "finalized")
    assert node.asked.count("search whole history") == 3


@pytest.mark.parametrize("consensus", ConsensusProtocol)
def test_what_failed_in_a_block_that_is_not_final_may_yet_succeed_in_another(consensus: ConsensusProtocol) -> None:
    cluster = known_cluster.Cluster(consensus, 400)
    node = ScriptedNode(searches=[_status("confirmed", SLIPPAGE), _status("finalized", SLIPPAGE)])
    fate = landed(node, lambda: cluster, deadline=60.0)
    assert fate == InBlock(77, SLIPPAGE, "finalized")


def test_landing_stops_as_soon_as_the_fate_is_known() -> None:
    node = ScriptedNode(searches=[None, _status("processed"), _status("confirmed")])
    fate = landed(node, deadline=60.0)
    assert fate == InBlock(77, None, "confirmed")
    assert len(node.sent) == 1


@pytest.mark.parametrize("error", [UNREACHABLE, REFUSED])
def test_a_send_that_fails_is_no_failure(error: Exception) -> None:
    node = ScriptedNode(sends=[error], searches=[None, None, _status("confirmed")])
    assert isinstance(landed(node, deadline=60.0), InBlock)


def test_what_the_node_said_to_the_send_is_told_while_nothing_is_decided() -> None:
    node = ScriptedNode(sends=[REFUSED])
    fate = landed(node, deadline=1.0)
    still = "not in a block yet; it can still land"
    assert fate == Pending(f"{still}; {REFUSED}")
    accepted = ScriptedNode(sends=[REFUSED, SIGNED.signature])
    assert landed(accepted, deadline=3.0) == Pending(still)


@pytest.mark.parametrize("deadline", [-1.0, 0.0])
def test_a_worker_that_comes_after_its_deadline_still_asks_once(deadline: float) -> None:
    node = ScriptedNode(searches=[_status("finalized", SLIPPAGE)])
    fate = landed(node, deadline=deadline)
    assert fate == InBlock(77, SLIPPAGE, "finalized")


def test_while_a_transaction_can_not_have_expired_each_look_is_one_question() -> None:
    """A block a slot at most: from 900 at slot 4,000 on, 1,001 isn't reached before slot 4,101."""
    node = ScriptedNode(heights=[900], searching_node_slot=4_100)
    land(
        node,
        SIGNED,
        cluster=tower,
        clock=node.clock,
        sleep=node.sleep,
        deadline=2.0,
        pace=LandingPace(sends_apart=60.0),
    )
    assert (
        node.asked
        == ["send", "search whole history", "search whole history", "finalized height"] + ["search whole history"] * 9
    )


def test_once_it_may_have_expired_the_height_is_asked_for_again() -> None:
    node = ScriptedNode(heights=[900, LAST_VALID + 1], searching_node_slot=4_101)
    fate = landed(node, deadline=60.0)
    assert fate == Expired(LAST_VALID + 1)
    assert node.asked.count("finalized height") == 2


def test_what_was_sent_before_is_looked_for_before_it_is_sent_again() -> None:
    node = ScriptedNode(searches=[_status("confirmed")])
    fate = landed(node, deadline=60.0, sent_before=True)
    assert fate == InBlock(77, None, "confirmed")
    assert node.sent == []


def test_what_was_sent_before_and_is_not_found_is_sent_again() -> None:
    node = ScriptedNode()
    landed(node, deadline=1.0, sent_before=True)
    assert len(node.sent) == 1


class WithoutHistory(ScriptedNode):
    """Remembers the last minutes only."""

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        if search_history:
            raise NodeLacks("the Solana node doesn't offer transaction history")
        return super().get_signature_statuses(signatures, search_history=search_history)


def test_a_node_without_history_shows_that_a_transaction_landed() -> None:
    node = WithoutHistory(searches=[_status("finalized")])
    assert FateWatch(node, SIGNED.signature, LAST_VALID).look() == InBlock(77, None, "finalized")


def test_a_node_without_history_proves_no_expiry_however_high_its_chain() -> None:
    node = WithoutHistory(heights=[LAST_VALID + 1_000])
    fate = FateWatch(node, SIGNED.signature, LAST_VALID).look()
    assert isinstance(fate, Pending)
    assert "no history" in fate.reason


# A model of a cluster, as unkind as one can be, and of nodes that see it late. One tick is one slot.

CONFIRMED_DEPTH = 3
FINALIZED_DEPTH = 6
LIFETIME = 8
# What a node remembers without searching the history.
RECENT_SLOTS = 6


@dataclass(frozen=True)
class Block:
    slot: int
    height: int
    # Whether it holds the transaction, and whether that failed.
    holds: bool = False
    failed: bool = False


class Cluster:
    """Leaders skip slots, forks are abandoned, packets are lost or late, and each answer may come from a laggard."""

    def __init__(self, random: Random) -> None:
        self.random = random
        # Where the cluster has migrated what is confirmed is final; on another a confirmed block may be dropped.
        consensus = random.choice(list(ConsensusProtocol))
        self.known = known_cluster.Cluster(consensus, random.choice((None, 200, 400)))
        self.finalized_depth = CONFIRMED_DEPTH - 1 if consensus is ConsensusProtocol.ALPENGLOW else FINALIZED_DEPTH
        self.drops_confirmed = consensus is not ConsensusProtocol.ALPENGLOW and random.random() < 0.3
        # How often a packet is lost, and how often a leader leaves the transaction out.
        self.loss = random.choice((0.1, 0.7, 1.0))
        self.reluctance = random.choice((0.3, 0.9))
        # How often a node that lags is asked for each thing, and by how many slots.
        self.laggards = {
            asked_for: (random.choice((0.0, 0.5, 1.0)), random.randint(0, 3 * (FINALIZED_DEPTH + LIFETIME)))
            for asked_for in ("search", "height")
        }
        self.kind = False
        self.slot = 0
        self.chain: tuple[Block, ...] = (Block(0, 0),)
        self.settled_height = 0
        # The chain as it was at each tick, for nodes that lag.
        self.seen: list[tuple[Block, ...]] = [self.chain]
        self.arrivals: list[int] = []
        for _ in range(FINALIZED_DEPTH + 1):
            self.tick()
        self.last_valid = self.chain[-1].height + LIFETIME

    def chance(self, probability: float) -> bool:
        return not self.kind and self.random.random() < probability

    def tick(self) -> None:
        self.slot += 1
        if self.chance(0.15):
            # A fork is abandoned, but never, however often, what is settled. A block's height is its index.
            depth = FINALIZED_DEPTH if self.drops_confirmed else CONFIRMED_DEPTH - 1
            kept = max(self.settled_height + 1, len(self.chain) - self.random.randint(1, depth))
            self.chain = self.chain[:kept]
        if not self.chance(0.2):
            tip = self.chain[-1]
            height = tip.height + 1
            arrived = any(slot <= self.slot for slot in self.arrivals)
            holds = (
                arrived
                and height <= self.last_valid
                and not any(block.holds for block in self.chain)
                and not self.chance(self.reluctance)
            )
            self.chain += (Block(self.slot, height, holds, failed=self.chance(0.3)),)
        depth = FINALIZED_DEPTH + 1 if self.drops_confirmed else CONFIRMED_DEPTH
        self.settled_height = max(self.settled_height, len(self.chain) - depth)
        self.seen.append(self.chain)

    def pass_time(self) -> None:
        """Between two steps of a worker nothing happens, or a slot passes, or it was frozen for long."""
        roll = 0.0 if self.kind else self.random.random()
        for _ in range(0 if roll < 0.6 else 1 if roll < 0.95 else 3 * (FINALIZED_DEPTH + LIFETIME)):
            self.tick()

    def fail_sometimes(self) -> None:
        if self.chance(0.1):
            raise UNREACHABLE

    def view(self, asked_for: str) -> tuple[Block, ...]:
        """The chain as the node knows it that happens to answer."""
        how_often, lag = self.laggards[asked_for]
        return self.seen[max(0, len(self.seen) - 1 - lag) if self.chance(how_often) else -1]

    # What landing asks.
    def send_transaction(self, wire: bytes, *, skip_preflight: bool) -> str:
        assert wire == SIGNED.wire
        self.fail_sometimes()
        if not self.chance(self.loss):
            self.arrivals.append(self.slot + (0 if self.kind else self.random.randint(0, LIFETIME)))
        self.pass_time()
        self.fail_sometimes()
        return SIGNED.signature

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        self.fail_sometimes()
        chain = self.view("search")
        self.pass_time()
        remembered = chain if search_history else chain[-RECENT_SLOTS:]
        found = [self._status_of(chain, block) for block in remembered if block.holds]
        return SignatureStatuses(chain[-1].slot, (found[0] if found else None,))

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo:
        self.fail_sometimes()
        chain = self.view("height")
        self.pass_time()
        depth = {"processed": 0, "confirmed": CONFIRMED_DEPTH - 1, "finalized": self.finalized_depth}[commitment]
        block = chain[max(0, len(chain) - 1 - depth)]
        return EpochInfo(block.slot, block.height, 0)

    def _status_of(self, chain: tuple[Block, ...], block: Block) -> SignatureStatus:
        depth = chain[-1].height - block.height
        confirmation: Commitment = (
            "finalized"
            if depth >= self.finalized_depth
            else "confirmed"
            if depth >= CONFIRMED_DEPTH - 1
            else "processed"
        )
        return SignatureStatus(block.slot, SLIPPAGE if block.failed else None, confirmation)

    def clock(self) -> float:
        return 0.4 * self.slot

    def sleep(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds / 0.4))):
            self.tick()

    def settle(self) -> Block | None:
        """The most that still can happen: what isn't confirmed is abandoned, the bytes arrive, leaders take them."""
        self.chain = self.chain[: self.settled_height + 1]
        self.kind = True
        self.arrivals.append(self.slot)
        for _ in range(LIFETIME + 2 * FINALIZED_DEPTH):
            self.tick()
        return next((block for block in self.chain if block.holds), None)


# A seed decides all: drawn one by one, Hypothesis's choices are too plain to make this much trouble at once.
seeds = st.integers(0, 2**64 - 1)


@settings(max_examples=1000, deadline=None)
@given(seed=seeds)
def test_whatever_the_cluster_does_the_fate_told_is_the_fate_that_comes_true(seed: int) -> None:
    cluster = Cluster(Random(seed))
    deadline = cluster.clock() + 0.4 * cluster.random.randint(0, 80)
    sent_before = cluster.random.random() < 0.3
    fate = land(
        cluster,
        _signed(cluster),
        cluster=lambda: cluster.known,
        clock=cluster.clock,
        sleep=cluster.sleep,
        deadline=deadline,
        sent_before=sent_before,
    )
    landed = cluster.settle()

    if isinstance(fate, Expired):
        assert landed is None
    elif isinstance(fate, InBlock) and (fate.err is not None or not cluster.drops_confirmed):
        assert landed is not None
        assert (fate.slot, fate.err) == (landed.slot, SLIPPAGE if landed.failed else None)


@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_every_transaction_is_decided_once_the_nodes_are_well_again(seed: int) -> None:
    cluster = Cluster(Random(seed))
    land(
        cluster,
        _signed(cluster),
        cluster=lambda: cluster.known,
        clock=cluster.clock,
        sleep=cluster.sleep,
        deadline=cluster.clock() + 4.0,
    )
    landed = cluster.settle()
    later = FateWatch(cluster, SIGNED.signature, cluster.last_valid).look()
    assert isinstance(later, Expired if landed is None else InBlock)


def _signed(cluster: Cluster) -> SignedTransaction:
    return SignedTransaction(SIGNED.signature, SIGNED.wire, SIGNED.blockhash, cluster.last_valid)
