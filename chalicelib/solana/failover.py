"""Several Solana nodes behind the methods of one: reads go to the healthiest, sends to all, the dead are left alone.

Which node is asked, in this order: no recent failures, not behind the others' slots nor serving accounts of a while
ago, not much slower than they are. The node that answered last is kept while no other is better in these, so that what
is asked one after the other for one order (accounts, simulation, blockhash) comes from one node; it is no promise.
Where it must be, as for the proof that a transaction has expired, `one_node()` promises it.

A node that is at its limit, by its own word (HTTP 429, Retry-After) or by its pace, is passed over for another. Where
there is none the call waits, as long as its caller has time, and else raises NodesAtTheirLimit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from itertools import repeat
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from solders.pubkey import Pubkey

from chalicelib.metrics import Metric, note
from chalicelib.problems import AllNodesDown, NodesAtTheirLimit, RpcRefused, RpcUnavailable
from chalicelib.solana.accounts import Account, AccountsRead
from chalicelib.solana.circuit_breaker import BreakerPolicy
from chalicelib.solana.cluster import Cluster, Commitment, KnownCluster, SlotSample, slot_ms_of
from chalicelib.solana.nodes import STALE_SLOTS, LeftAlone, Question, RpcNode, RpcNodes, Start
from chalicelib.solana.pacing import Pace, Turn
from chalicelib.solana.rpc import (
    ACCOUNTS_PER_REQUEST,
    SAMPLES,
    AccountFilter,
    Beside,
    EpochInfo,
    LatestBlockhash,
    ReadBeside,
    SignatureStatuses,
    Simulation,
    SolanaRpc,
)
from chalicelib.solana.rpc_errors import NodeLacks, NodeLimited
from chalicelib.solana.slot_times import SlotTimes

T = TypeVar("T")
Failure = RpcUnavailable | RpcRefused


class _Waiting:
    """How long calls may wait until a node may be asked again. Times in ms."""

    def __init__(self, now_ms: Callable[[], int], sleep: Callable[[float], None], longest_wait_ms: int) -> None:
        self._now_ms = now_ms
        self._sleep = sleep
        self._longest_wait_ms = longest_wait_ms
        self._ends_ms: int | None = None

    def start(self, for_ms: int) -> None:
        self._ends_ms = self._now_ms() + for_ms

    def ends_ms(self) -> int:
        """When a call that begins now has waited long enough."""
        return self._now_ms() + self._longest_wait_ms if self._ends_ms is None else self._ends_ms

    def wait_for(self, node: RpcNode, calls: int, ends_ms: int) -> Turn:
        """Wait until the node may be asked. Raises NodesAtTheirLimit where that takes too long."""
        turn = node.turn(calls, max(0, ends_ms - self._now_ms()))
        if not turn.taken:
            raise NodesAtTheirLimit(max(1, turn.wait_ms))
        if turn.wait_ms > 0:
            note(Metric.RPC_WAIT_MS, turn.wait_ms)
            self._sleep(turn.wait_ms / 1000)
        return turn


class FailoverRpc(SolanaRpc):
    """One or more nodes as one SolanaRpc. Threads may share it.

    A read is asked of the next node where one is unavailable, and also where one refuses: what is wrong to one node may
    be right to a newer one. Where every node refuses, so does this.

    Every method raises:
        AllNodesDown: every node's breaker is open, or opened by this very question; nobody is asked for a while.
        NodesAtTheirLimit: those in service may not be asked for longer than this call may wait.
        NodeLacks: none offers what is asked for.
        RpcUnavailable: no node answers, but the breakers have yet to open.
        RpcRefused: all nodes that answered refuse.
    """

    def __init__(
        self,
        nodes: Sequence[SolanaRpc],
        now_ms: Callable[[], int],
        policy: BreakerPolicy | None = None,
        *,
        paces: Sequence[Pace] | None = None,
        lanes: Sequence[SolanaRpc] = (),
        survey_every_ms: int = 15_000,
        send_patience: float = 1.0,
        longest_wait: float = 5.0,
        start: Start | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Times in seconds, but for names that say otherwise.

        `paces`: each node's, where they have any. `lanes` are sent to besides the nodes, and asked nothing.
        `send_patience`: how long a send waits for the next answer while none has accepted. `longest_wait`: how long one
        call waits for nodes' limits, unless somebody called `start_waiting`. `start` runs a job beside the caller, on a
        thread of its own unless told otherwise.
        """
        if not nodes:
            raise ValueError("no nodes")
        policy = policy or BreakerPolicy()
        known = [
            RpcNode(number, rpc, policy, now_ms, pace)
            for number, (rpc, pace) in enumerate(zip(nodes, paces or repeat(None), strict=False), start=1)
        ]
        self._nodes = RpcNodes(known, now_ms, survey_every_ms, start or _on_a_thread)
        self._lanes = tuple(
            RpcNode(len(known) + number, lane, policy, now_ms, None) for number, lane in enumerate(lanes, 1)
        )
        self._is_paced = paces is not None
        self._slots = SlotTimes()
        self._cluster = KnownCluster()
        self._now_ms = now_ms
        self._send_patience = send_patience
        self._waiting = _Waiting(now_ms, sleep, int(longest_wait * 1000))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._nodes.all)} nodes)"

    def one_node(self) -> OneNodeRpc:
        """A view for one task and one thread, whose reads never change the node without an error in between."""
        return OneNodeRpc(
            self._nodes, self._lanes, self._slots, self._cluster, self._now_ms, self._send_patience, self._waiting
        )

    def start_waiting(self, seconds: float) -> None:
        """From now on all calls together wait for nodes' limits no longer than so many seconds from now."""
        self._waiting.start(int(seconds * 1000))

    def get_multiple_accounts(
        self, addresses: Iterable[Pubkey], *, commitment: Commitment | None = None, beside_slot: bool = False
    ) -> AccountsRead:
        """As of the node that serves the newest, where one serves them many slots old. The age is told in any case."""
        wanted, at = list(addresses), self._at(commitment)  # the next node is asked for the same
        calls = -(-len(wanted) // ACCOUNTS_PER_REQUEST) + beside_slot
        read = self._newest(
            lambda node: node.get_multiple_accounts(wanted, commitment=at, beside_slot=beside_slot), calls, _itself
        )
        return self._with_age(read)

    def read_beside(
        self, addresses: Iterable[Pubkey], beside: Beside, *, commitment: Commitment | None = None
    ) -> ReadBeside:
        """As `get_multiple_accounts`. What is asked for beside them is the same node's.

        What is known of the cluster is asked for with them whenever it is time to. Where the nodes have a pace, that
        and the rent are left for calls of their own: a process's share may be no larger than the rest.
        """
        wanted, at, now_ms = list(addresses), self._at(commitment), self._now_ms()
        if self._is_paced:
            beside = replace(beside, rent_of=None)
        elif self._cluster.take_question(now_ms):
            beside = replace(beside, cluster=True)
        calls = -(-len(wanted) // ACCOUNTS_PER_REQUEST) + beside.calls
        found = self._newest(lambda node: node.read_beside(wanted, beside, commitment=at), calls, lambda one: one.read)
        if beside.cluster:
            self._cluster.learn(found.migrated, found.slot_ms, now_ms)
        return replace(found, read=self._with_age(found.read))

    def cluster(self) -> Cluster:
        """What is known of the cluster. Asks for it where it is time to, and never fails: it may be unknown."""
        now_ms = self._now_ms()
        if self._cluster.take_question(now_ms):
            migrated = _or_unknown(self.has_migrated)
            # where calls are few the slots that other answers tell must do
            samples = None if self._is_paced else _or_unknown(self.get_recent_performance_samples)
            self._cluster.learn(migrated, slot_ms_of(samples or ()), now_ms)
        return self.known_cluster()

    def known_cluster(self) -> Cluster:
        """What is known of the cluster, without asking."""
        return self._cluster.now(self._slots.slot_ms())

    def newest_slot(self) -> int:
        """The newest slot that any answer told so far; 0 before any did."""
        return self._slots.newest()

    def has_migrated(self) -> bool:
        return self._read("getAgGenesisCert", lambda node: node.has_migrated())

    def get_recent_performance_samples(self, limit: int = SAMPLES) -> tuple[SlotSample, ...]:
        return self._read("getRecentPerformanceSamples", lambda node: node.get_recent_performance_samples(limit))

    def _at(self, commitment: Commitment | None) -> Commitment:
        """The commitment to ask at, where the caller names none."""
        return commitment or self.known_cluster().settled_at

    def _newest(self, question: Question[T], calls: int, read_of: Callable[[T], AccountsRead]) -> T:
        """Of the answers that hold accounts, those of the node that serves the newest."""
        best: T | None = None
        asked: list[RpcNode] = []
        while True:
            try:
                node, answer = self._ask("getMultipleAccounts", question, calls, passing_over=asked)
            except (RpcUnavailable, RpcRefused):
                if best is None:
                    raise
                return best
            read = read_of(answer)
            lag_slots = max(read.newest_slot, self._slots.newest()) - read.slot
            node.note_accounts_of(lag_slots)
            asked.append(node)
            if best is None or read.slot > read_of(best).slot:
                best = answer
            if lag_slots <= STALE_SLOTS or not self._nodes.others_up_to_date(asked):
                return best

    def _with_age(self, read: AccountsRead) -> AccountsRead:
        now_ms = self._now_ms()
        newest_slot = max(read.newest_slot, self._slots.newest())
        lag_slots = newest_slot - read.slot
        if lag_slots > STALE_SLOTS:
            note(Metric.SLOT_LAG, lag_slots)
        return replace(read, newest_slot=newest_slot, age_ms=self._slots.age_ms(read.slot, now_ms))

    def get_program_accounts(
        self, program: Pubkey, wanted: AccountFilter, *, part: range, commitment: Commitment | None = None
    ) -> dict[Pubkey, Account]:
        at = self._at(commitment)
        return self._read(
            f"getProgramAccounts of {program}",
            lambda node: node.get_program_accounts(program, wanted, part=part, commitment=at),
        )

    def get_latest_blockhash(self, *, commitment: Commitment | None = None) -> LatestBlockhash:
        at = self._at(commitment)
        return self._read("getLatestBlockhash", lambda node: node.get_latest_blockhash(commitment=at))

    def get_epoch_info(self, *, commitment: Commitment | None = None) -> EpochInfo:
        at = self._at(commitment)
        return self._read("getEpochInfo", lambda node: node.get_epoch_info(commitment=at))

    def get_slot(self, *, commitment: Commitment | None = None) -> int:
        at = self._at(commitment)
        return self._read("getSlot", lambda node: node.get_slot(commitment=at))

    def get_minimum_balance_for_rent_exemption(self, data_length: int) -> int:
        return self._read(
            "getMinimumBalanceForRentExemption", lambda node: node.get_minimum_balance_for_rent_exemption(data_length)
        )

    def get_recent_prioritization_fees(self, writable: Iterable[Pubkey]) -> tuple[int, ...]:
        wanted = list(writable)
        return self._read("getRecentPrioritizationFees", lambda node: node.get_recent_prioritization_fees(wanted))

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        topic = "getSignatureStatuses of the whole history" if search_history else "getSignatureStatuses"
        return self._read(topic, lambda node: node.get_signature_statuses(signatures, search_history=search_history))

    def get_transaction(self, signature: str, *, commitment: Commitment | None = None) -> dict[str, Any] | None:
        """A node that doesn't know it may have no history so old: then the others are asked too."""
        ignorant: list[RpcNode] = []
        at = self._at(commitment)
        while True:
            try:
                node, transaction = self._ask(
                    "getTransaction",
                    lambda node: node.get_transaction(signature, commitment=at),
                    passing_over=ignorant,
                )
            except (RpcUnavailable, RpcRefused):
                if not ignorant:
                    raise
                return None
            if transaction is not None:
                for one in ignorant:
                    one.note_lack("getTransaction")
                return transaction
            ignorant.append(node)
            if not self._nodes.others_in_service(ignorant):
                return None  # with one node alone that may pass: it lags

    def simulate_transaction(self, wire: bytes, *, commitment: Commitment | None = None) -> Simulation:
        at = self._at(commitment)
        return self._read("simulateTransaction", lambda node: node.simulate_transaction(wire, commitment=at))

    def send_transaction(
        self,
        wire: bytes,
        *,
        skip_preflight: bool,
        preflight_commitment: Commitment | None = None,
        max_retries: int = 0,
    ) -> str:
        """Hand the bytes to every lane and every node that isn't left alone, once each and to all at once.

        They are the same bytes for all: whichever brings them into a block, it is one transaction. Returns at the first
        acceptance, while slower nodes are still being told. Gives up waiting where none has accepted and the next
        answer takes longer than the patience: the caller had better watch than wait.
        """

        def send(node: SolanaRpc) -> str:
            return node.send_transaction(
                wire,
                skip_preflight=skip_preflight,
                preflight_commitment=preflight_commitment,
                max_retries=max_retries,
            )

        answers: SimpleQueue[str | Exception] = SimpleQueue()
        self._send_to_lanes(answers, send)
        ends_ms = self._waiting.ends_ms()
        while True:
            told = self._send_to_all(answers, self._all_that_may_be_asked(ends_ms), send)
            if isinstance(told, str):
                return told
            if not all(isinstance(error, NodeLimited) for error in told):
                raise self._failure(told)

    def _all_that_may_be_asked(self, ends_ms: int) -> list[tuple[RpcNode, Turn]]:
        """Every node that may be sent to now; where all are at their limits, the first that may, as soon as it may."""
        nodes = [node for node in self._nodes.in_turn("sendTransaction") if node.admits_in_ms() == 0]
        if not nodes:
            raise self._failure([])
        turns = [(node, node.turn(1, longest_wait_ms=0)) for node in nodes]
        ready = [(node, turn) for node, turn in turns if turn.taken]
        if ready:
            return ready
        node = min(turns, key=lambda pair: pair[1].wait_ms)[0]
        return [(node, self._waiting.wait_for(node, 1, ends_ms))]

    def _send_to_lanes(self, answers: SimpleQueue[str | Exception], send: Question[str]) -> None:
        """Nobody waits for a lane, and what it says against it is no answer: only its acceptance is one."""

        def tell(lane: RpcNode) -> None:
            answer = _outcome(lane, send, Turn(0, taken=True))
            if isinstance(answer, str):
                answers.put(answer)

        for lane in self._lanes:
            if lane.admits_in_ms() == 0 and lane.pause_ms() == 0:
                self._nodes.start(partial(tell, lane))

    def _send_to_all(
        self, answers: SimpleQueue[str | Exception], turns: Sequence[tuple[RpcNode, Turn]], send: Question[str]
    ) -> str | list[Failure]:
        """The first acceptance, or what was said instead."""
        for node, turn in turns:
            # a thread each, so that a node which hangs holds up no other; its time-out ends it, its breaker the waste
            self._nodes.start(lambda node=node, turn=turn: answers.put(_outcome(node, send, turn)))  # type: ignore[misc]
        errors: list[Failure] = []
        for _ in turns:
            try:
                answer = answers.get(timeout=self._send_patience)
            except Empty:
                errors.append(RpcUnavailable("a Solana node has yet to answer a send"))
                break
            if isinstance(answer, str):
                return answer
            if not isinstance(answer, (RpcUnavailable, RpcRefused)):
                raise answer
            errors.append(answer)
        return errors

    def _read(self, topic: str, question: Question[T]) -> T:
        return self._ask(topic, question)[1]

    def _ask(
        self, topic: str, question: Question[T], calls: int = 1, passing_over: Collection[RpcNode] = ()
    ) -> tuple[RpcNode, T]:
        """The answer of the first node that gives one, and which it was. `calls`: as many the node counts."""
        ends_ms = self._waiting.ends_ms()
        told: dict[RpcNode, Failure] = {}
        while True:
            waits: dict[RpcNode, int] = {}
            try:
                nodes = self._nodes.in_turn(topic)
            except NodeLacks:
                if told:  # it was just now that the last one said so, and why
                    raise self._failure(list(told.values())) from None
                raise
            for node in nodes:
                if node in told or node in passing_over:
                    continue
                if not node.in_service and any(isinstance(error, RpcRefused) for error in told.values()):
                    break  # a refusal is an answer: not worth the wait for a node that is likely dead
                if node.admits_in_ms() > 0:
                    told[node] = LeftAlone(f"Solana node {node.number} failed too often and is left alone")
                    continue
                turn = node.turn(calls, longest_wait_ms=0)
                if not turn.taken:
                    waits[node] = turn.wait_ms
                    continue
                try:
                    return node, self._answer_of(node, topic, question, turn)
                except NodeLimited:
                    waits[node] = node.pause_ms()
                except (RpcUnavailable, RpcRefused) as error:
                    told[node] = error
            if not waits:
                raise self._failure(list(told.values()))
            node = min(waits, key=lambda node: waits[node])
            turn = self._waiting.wait_for(node, calls, ends_ms)
            try:
                return node, self._answer_of(node, topic, question, turn)
            except NodeLimited:
                continue
            except (RpcUnavailable, RpcRefused) as error:
                told[node] = error

    def _answer_of(self, node: RpcNode, topic: str, question: Question[T], turn: Turn) -> T:
        answer = node.ask(topic, question, turn)
        self._nodes.prefer(node)
        # A slot that is told as such, or beside something else; a finalized one is no news.
        slot = answer if topic == "getSlot" else getattr(answer, "newest_slot", getattr(answer, "slot", None))
        if isinstance(slot, int) and not isinstance(answer, EpochInfo):
            self._slots.saw(slot, self._now_ms())
        return answer

    def _failure(self, errors: Sequence[Failure]) -> Failure:
        """What to raise where no node has answered as hoped."""
        down_for_ms = self._nodes.down_for_ms()
        if down_for_ms is not None:
            return AllNodesDown(down_for_ms)
        told = [error for error in errors if not isinstance(error, LeftAlone)]
        # what one node lacks says less than what another made of it
        told = [error for error in told if not isinstance(error, NodeLacks)] or told
        unavailable = [error for error in told if isinstance(error, RpcUnavailable)]
        if told and not unavailable:
            return told[0]
        if not told:
            return RpcUnavailable("the Solana node that was asked so far is left alone now")
        if len(told) == 1 or all(isinstance(error, NodeLacks) for error in told):
            return unavailable[0]
        return RpcUnavailable(f"no Solana node answers: {unavailable[-1]}")


class OneNodeRpc(FailoverRpc):
    """Reads from one node, for one task on one thread; sends go to all nodes.

    A read that fails isn't asked of another node: it raises, and only the next read chooses a node anew. So all
    answers between two errors are one node's.

    That is what landing.FateWatch needs. It calls a transaction expired because a node whose finalized chain has
    outgrown it doesn't find it; any error ends the try with nothing decided. With one node for both questions the
    node that doesn't find it has itself finalized every block that could hold it. Were the search answered by another,
    its slot alone would speak for it: it may be as far and yet have no history that old (started from a snapshot
    since), or be on a minority's fork. FateWatch's check of the slots stays: behind one URL several nodes may sit.
    """

    def __init__(
        self,
        nodes: RpcNodes,
        lanes: tuple[RpcNode, ...],
        slots: SlotTimes,
        cluster: KnownCluster,
        now_ms: Callable[[], int],
        send_patience: float,
        waiting: _Waiting,
    ) -> None:
        self._nodes = nodes
        self._lanes = lanes
        self._slots = slots
        self._cluster = cluster
        self._is_paced = False  # of what it asks nothing depends on that
        self._now_ms = now_ms
        self._send_patience = send_patience
        self._waiting = waiting
        self._node: RpcNode | None = None
        self._left: RpcNode | None = None

    def _ask(
        self, topic: str, question: Question[T], calls: int = 1, passing_over: Collection[RpcNode] = ()
    ) -> tuple[RpcNode, T]:
        if passing_over:
            raise RpcUnavailable("this is a view of one Solana node")
        # A breaker that has opened meanwhile is an error as well: `ask` raises, it doesn't look elsewhere.
        node = self._node = self._node or self._nodes.another_than(self._left, topic)
        ends_ms = self._waiting.ends_ms()
        while True:
            try:
                return node, self._answer_of(node, topic, question, self._waiting.wait_for(node, calls, ends_ms))
            except NodeLimited:
                continue  # it hasn't said anything yet
            except (RpcUnavailable, RpcRefused) as error:
                self._node, self._left = None, node
                raise error if isinstance(error, NodesAtTheirLimit) else self._failure([error]) from None


def _or_unknown(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except (RpcUnavailable, RpcRefused):
        return None


def _itself(read: AccountsRead) -> AccountsRead:
    return read


def _outcome(node: RpcNode, send: Question[str], turn: Turn) -> str | Exception:
    try:
        return node.ask("sendTransaction", send, turn)
    except Exception as error:  # noqa: BLE001 - it crosses a thread: the caller raises it
        return error


def _on_a_thread(job: Callable[[], None]) -> None:
    # a daemon: a process that ends doesn't wait for a dead node's time-out; its log lines carry what the caller's do
    Thread(target=copy_context().run, args=(job,), daemon=True).start()
