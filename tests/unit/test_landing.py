"""The fate of a sent transaction: never called expired if it may land, never called landed if it didn't."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.problems import RpcRefused, RpcUnavailable
from chalicelib.solana.landing import Expired, InBlock, Pending, decide_fate, land
from chalicelib.solana.rpc import Commitment, EpochInfo, SignatureStatus, SignatureStatuses
from chalicelib.solana.rpc_errors import NodeLacks
from chalicelib.solana.signed_transaction import SignedTransaction

LAST_VALID = 1_000
SIGNED = SignedTransaction("signature", b"wire", "blockhash", LAST_VALID)
UNREACHABLE = RpcUnavailable("the Solana node can't be reached")
REFUSED = RpcRefused("sendTransaction", -32602, "invalid transaction")
SLIPPAGE = {"InstructionError": [5, {"Custom": 6005}]}

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
        self.asked.append("search whole history" if search_history else "search recent history")
        return SignatureStatuses(self.searching_node_slot, (_next(self.searches),))

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo:
        self.asked.append(f"{commitment} height")
        return EpochInfo(self.finalized_slot, _next(self.heights), 9)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def _next(script: list[T | Exception]) -> T:
    answer = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


def _status(confirmation: Commitment, err: object = None) -> SignatureStatus:
    return SignatureStatus(77, err, confirmation)  # type: ignore[arg-type]


@pytest.mark.parametrize("confirmation", ["confirmed", "finalized"])
@pytest.mark.parametrize("err", [None, SLIPPAGE])
def test_a_confirmed_transaction_has_landed_with_or_without_an_error(confirmation: Commitment, err: object) -> None:
    node = ScriptedNode(searches=[_status(confirmation, err)])
    assert decide_fate(node, SIGNED.signature, LAST_VALID) == InBlock(77, err, confirmation)  # type: ignore[arg-type]


def test_a_processed_transaction_is_undecided_however_high_the_chain() -> None:
    node = ScriptedNode(searches=[_status("processed")], heights=[LAST_VALID + 1_000])
    assert decide_fate(node, SIGNED.signature, LAST_VALID) == Pending(
        "in a block at slot 77 that the cluster has yet to confirm"
    )


@pytest.mark.parametrize("remaining", [0, 3])
def test_an_unknown_transaction_is_undecided_up_to_its_last_valid_finalized_block(remaining: int) -> None:
    node = ScriptedNode(heights=[LAST_VALID - remaining])
    assert decide_fate(node, SIGNED.signature, LAST_VALID) == Pending(
        f"not in a block yet; it can still land for {remaining} more finalized blocks"
    )


def test_an_unknown_transaction_has_expired_one_finalized_block_later() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1])
    assert decide_fate(node, SIGNED.signature, LAST_VALID) == Expired(LAST_VALID + 1)


def test_expiry_is_proven_by_a_search_of_the_whole_history_after_the_finalized_height_was_read() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1])
    decide_fate(node, SIGNED.signature, LAST_VALID)
    assert node.asked[-2:] == ["finalized height", "search whole history"]


def test_a_transaction_that_appears_between_the_height_and_the_second_search_has_landed() -> None:
    node = ScriptedNode(searches=[None, _status("finalized")], heights=[LAST_VALID + 1])
    assert isinstance(decide_fate(node, SIGNED.signature, LAST_VALID), InBlock)


def test_a_search_by_a_node_that_lags_behind_the_finalized_block_proves_nothing() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1], finalized_slot=5_001, searching_node_slot=5_000)
    assert decide_fate(node, SIGNED.signature, LAST_VALID) == Pending(
        "the node that was asked is behind; its not knowing the transaction proves nothing"
    )


def test_a_search_by_a_node_that_has_just_seen_the_finalized_block_proves_expiry() -> None:
    node = ScriptedNode(heights=[LAST_VALID + 1], finalized_slot=5_000, searching_node_slot=5_000)
    assert decide_fate(node, SIGNED.signature, LAST_VALID) == Expired(LAST_VALID + 1)


@pytest.mark.parametrize("error", [UNREACHABLE, REFUSED])
def test_a_node_that_fails_decides_nothing(error: Exception) -> None:
    for node in (
        ScriptedNode(searches=[error]),
        ScriptedNode(heights=[error]),
        ScriptedNode(searches=[None, error], heights=[LAST_VALID + 1]),
    ):
        assert decide_fate(node, SIGNED.signature, LAST_VALID) == Pending(str(error))


def test_landing_sends_the_same_bytes_every_two_seconds_until_the_deadline() -> None:
    node = ScriptedNode()
    fate = land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=7.0, poll_every=0.5, rebroadcast_every=2.0)
    assert isinstance(fate, Pending)
    assert node.sent == [(0.0, b"wire"), (2.0, b"wire"), (4.0, b"wire"), (6.0, b"wire")]
    assert node.now == 7.0


def test_landing_by_itself_sends_again_after_two_seconds_and_never_sleeps_past_the_deadline() -> None:
    node = ScriptedNode()
    land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=2.5)
    assert len(node.sent) == 2
    assert node.now == 2.5


def test_landing_stops_as_soon_as_the_fate_is_known() -> None:
    node = ScriptedNode(searches=[None, _status("processed"), _status("confirmed")])
    fate = land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=60.0)
    assert fate == InBlock(77, None, "confirmed")
    assert len(node.sent) == 1


@pytest.mark.parametrize("error", [UNREACHABLE, REFUSED])
def test_a_send_that_fails_is_no_failure(error: Exception) -> None:
    node = ScriptedNode(sends=[error], searches=[None, None, _status("confirmed")])
    assert isinstance(land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=60.0), InBlock)


def test_what_the_node_said_to_the_send_is_told_while_nothing_is_decided() -> None:
    node = ScriptedNode(sends=[REFUSED])
    fate = land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=1.0)
    still = "not in a block yet; it can still land"
    assert fate == Pending(f"{still}; {REFUSED}")
    accepted = ScriptedNode(sends=[REFUSED, SIGNED.signature])
    assert land(accepted, SIGNED, clock=accepted.clock, sleep=accepted.sleep, deadline=3.0) == Pending(still)


def test_a_worker_that_comes_after_its_deadline_still_asks_once() -> None:
    node = ScriptedNode(searches=[_status("finalized", SLIPPAGE)])
    fate = land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=-1.0)
    assert fate == InBlock(77, SLIPPAGE, "finalized")


def test_while_a_transaction_can_not_have_expired_each_look_is_one_question() -> None:
    """A block a slot at most: from 900 at slot 4,000 on, 1,001 isn't reached before slot 4,101."""
    node = ScriptedNode(heights=[900], searching_node_slot=4_100)
    land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=4.0, poll_every=0.5, rebroadcast_every=60.0)
    assert (
        node.asked
        == ["send", "search whole history", "search whole history", "finalized height"] + ["search whole history"] * 6
    )


def test_once_it_may_have_expired_the_height_is_asked_for_again() -> None:
    node = ScriptedNode(heights=[900, LAST_VALID + 1], searching_node_slot=4_101)
    fate = land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=60.0)
    assert fate == Expired(LAST_VALID + 1)
    assert node.asked.count("finalized height") == 2


def test_what_was_sent_before_is_looked_for_before_it_is_sent_again() -> None:
    node = ScriptedNode(searches=[_status("confirmed")])
    fate = land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=60.0, sent_before=True)
    assert fate == InBlock(77, None, "confirmed")
    assert node.sent == []


def test_what_was_sent_before_and_is_not_found_is_sent_again() -> None:
    node = ScriptedNode()
    land(node, SIGNED, clock=node.clock, sleep=node.sleep, deadline=1.0, sent_before=True)
    assert len(node.sent) == 1


class WithoutHistory(ScriptedNode):
    """Remembers the last minutes only."""

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        if search_history:
            raise NodeLacks("the Solana node doesn't offer transaction history")
        return super().get_signature_statuses(signatures, search_history=search_history)


def test_a_node_without_history_shows_that_a_transaction_landed() -> None:
    node = WithoutHistory(searches=[_status("finalized")])
    assert decide_fate(node, SIGNED.signature, LAST_VALID) == InBlock(77, None, "finalized")


def test_a_node_without_history_proves_no_expiry_however_high_its_chain() -> None:
    node = WithoutHistory(heights=[LAST_VALID + 1_000])
    fate = decide_fate(node, SIGNED.signature, LAST_VALID)
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
        self.confirmed_height = 0
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
            # A fork is abandoned, but never, however often, what was confirmed once. A block's height is its index.
            kept = max(self.confirmed_height + 1, len(self.chain) - self.random.randint(1, CONFIRMED_DEPTH - 1))
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
        self.confirmed_height = max(self.confirmed_height, len(self.chain) - CONFIRMED_DEPTH)
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
        found = [_status_of(chain, block) for block in remembered if block.holds]
        return SignatureStatuses(chain[-1].slot, (found[0] if found else None,))

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo:
        self.fail_sometimes()
        chain = self.view("height")
        self.pass_time()
        depth = {"processed": 0, "confirmed": CONFIRMED_DEPTH - 1, "finalized": FINALIZED_DEPTH}[commitment]
        block = chain[max(0, len(chain) - 1 - depth)]
        return EpochInfo(block.slot, block.height, 0)

    def clock(self) -> float:
        return 0.4 * self.slot

    def sleep(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds / 0.4))):
            self.tick()

    def settle(self) -> Block | None:
        """The most that still can happen: what isn't confirmed is abandoned, the bytes arrive, leaders take them."""
        self.chain = self.chain[: self.confirmed_height + 1]
        self.kind = True
        self.arrivals.append(self.slot)
        for _ in range(LIFETIME + 2 * FINALIZED_DEPTH):
            self.tick()
        return next((block for block in self.chain if block.holds), None)


def _status_of(chain: tuple[Block, ...], block: Block) -> SignatureStatus:
    depth = chain[-1].height - block.height
    confirmation: Commitment = (
        "finalized" if depth >= FINALIZED_DEPTH else "confirmed" if depth >= CONFIRMED_DEPTH - 1 else "processed"
    )
    return SignatureStatus(block.slot, SLIPPAGE if block.failed else None, confirmation)


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
        clock=cluster.clock,
        sleep=cluster.sleep,
        deadline=deadline,
        sent_before=sent_before,
    )
    landed = cluster.settle()

    if isinstance(fate, Expired):
        assert landed is None
    elif isinstance(fate, InBlock):
        assert landed is not None
        assert (fate.slot, fate.err) == (landed.slot, SLIPPAGE if landed.failed else None)


@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_every_transaction_is_decided_once_the_nodes_are_well_again(seed: int) -> None:
    cluster = Cluster(Random(seed))
    land(cluster, _signed(cluster), clock=cluster.clock, sleep=cluster.sleep, deadline=cluster.clock() + 4.0)
    landed = cluster.settle()
    later = decide_fate(cluster, SIGNED.signature, cluster.last_valid)
    assert isinstance(later, Expired if landed is None else InBlock)


def _signed(cluster: Cluster) -> SignedTransaction:
    return SignedTransaction(SIGNED.signature, SIGNED.wire, SIGNED.blockhash, cluster.last_valid)
