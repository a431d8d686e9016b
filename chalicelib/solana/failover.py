"""Several Solana nodes behind the methods of one: reads go to the healthiest, sends to all, the dead are left alone.

Which node is asked, in this order: no recent failures, not behind the others' slots, not much slower than they are.
The node that answered last is kept while no other is better in these, so that what is asked one after the other for
one order (accounts, simulation, blockhash) comes from one node; it is no promise. Where it must be, as for the proof
that a transaction has expired, `one_node()` promises it.

Health is remembered by this process alone. Texts and logs call the nodes by number: their URLs may hold keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from solders.pubkey import Pubkey

from chalicelib.log import logger
from chalicelib.problems import AllNodesDown, RpcRefused, RpcUnavailable
from chalicelib.solana.accounts import AccountsRead
from chalicelib.solana.circuit_breaker import (
    BreakerPolicy,
    BreakerState,
    Closed,
    Open,
    abandoned,
    admit,
    admits_in_ms,
    answered,
    failed,
    recent_failures,
)
from chalicelib.solana.rpc import (
    Commitment,
    EpochInfo,
    LatestBlockhash,
    SignatureStatuses,
    Simulation,
    SolanaRpc,
)

T = TypeVar("T")
Question = Callable[[SolanaRpc], T]
# Runs a job beside the caller.
Start = Callable[[Callable[[], None]], None]

# More slots of 400 ms than pass while a slow node's answer is waited for: its number would else be the others' lag.
_TOLERATED_LAG_SLOTS = 20
# A node is slow where it takes so many times the fastest's time, and so much longer.
_SLOW_TIMES = 4
_SLOW_MS = 250


class _LeftAlone(RpcUnavailable):
    """The node was not asked: its breaker is open."""


class _Node:
    """One node and what is known of its health. Threads may share it."""

    def __init__(self, number: int, rpc: SolanaRpc, policy: BreakerPolicy, now_ms: Callable[[], int]) -> None:
        self.number = number
        self.lag_slots = 0
        self.latency_ms: int | None = None
        self._rpc = rpc
        self._policy = policy
        self._now_ms = now_ms
        self._state: BreakerState = Closed()
        self._lock = Lock()

    @property
    def in_service(self) -> bool:
        return isinstance(self._state, Closed)

    def recent_failures(self) -> int:
        return recent_failures(self._state, self._now_ms(), self._policy)

    def admits_in_ms(self) -> int:
        return admits_in_ms(self._state, self._now_ms(), self._policy)

    def ask(self, question: Question[T]) -> T:
        """The node's answer, which the breaker takes note of. Raises RpcUnavailable and RpcRefused."""
        self._admit()
        try:
            answer = question(self._rpc)
        except RpcUnavailable:
            self._become(lambda state: failed(state, self._now_ms(), self._policy))
            raise
        except RpcRefused:
            self._become(lambda state: answered())
            raise
        except BaseException:
            self._become(abandoned)
            raise
        self._become(lambda state: answered())
        return answer

    def _admit(self) -> None:
        with self._lock:
            state = admit(self._state, self._now_ms())
            if state is None:
                raise _LeftAlone(f"Solana node {self.number} failed too often and is left alone")
            self._state = state

    def _become(self, change: Callable[[BreakerState], BreakerState]) -> None:
        with self._lock:
            before, self._state = self._state, change(self._state)
            after = self._state
        if isinstance(after, Open) and after is not before:
            logger.warning("solana node left alone", node=self.number, for_ms=after.cool_down_ms)
        elif isinstance(after, Closed) and not isinstance(before, Closed):
            logger.info("solana node back in service", node=self.number)


class _Nodes:
    """All nodes, ranked. A survey measures them all beside the traffic, at most once in `survey_every_ms`.

    Nobody waits for a survey: what it finds counts from the next question on. It is also what tries a node that was
    left alone while others are in service, so that no order's question is spent on one that is likely dead.
    A thread that a frozen Lambda holds up reports late and, at worst, one failure of the several that a breaker takes.
    """

    def __init__(self, nodes: Sequence[_Node], now_ms: Callable[[], int], survey_every_ms: int, start: Start) -> None:
        self.all = tuple(nodes)
        self.start = start
        self._now_ms = now_ms
        self._survey_every_ms = survey_every_ms
        self._preferred: _Node | None = None
        self._surveyed_at_ms: int | None = None
        self._survey: dict[_Node, int] = {}
        self._lock = Lock()

    def in_turn(self) -> list[_Node]:
        """Whom to ask first, second, …: those out of service last, the one that cools down soonest first."""
        self._survey_if_due()
        with self._lock:
            ranked = self._ranked()
            kept = self._preferred
            if kept in ranked and self._standing(kept) <= self._standing(ranked[0]):
                ranked.remove(kept)
                ranked.insert(0, kept)
        out_of_service = sorted((node for node in self.all if node not in ranked), key=_Node.admits_in_ms)
        return ranked + out_of_service

    def prefer(self, node: _Node) -> None:
        with self._lock:
            self._preferred = node

    def another_than(self, left: _Node | None) -> _Node:
        """Whom to ask first, but rather anybody in service than `left`."""
        turn = self.in_turn()
        return next((node for node in turn if node is not left and node.in_service), turn[0])

    def down_for_ms(self) -> int | None:
        """Milliseconds until one may be asked again; None while any is in service."""
        if any(node.in_service for node in self.all):
            return None
        # at least one: "now" would be what has just been tried
        return max(1, min(node.admits_in_ms() for node in self.all))

    def _ranked(self) -> list[_Node]:
        in_service = [node for node in self.all if node.in_service]
        return sorted(in_service, key=lambda node: (*self._standing(node), node.latency_ms is None, node.latency_ms))

    def _standing(self, node: _Node) -> tuple[int, bool, bool]:
        fastest = min((other.latency_ms for other in self.all if other.latency_ms is not None), default=0)
        slow = node.latency_ms is not None and node.latency_ms > max(fastest * _SLOW_TIMES, fastest + _SLOW_MS)
        return node.recent_failures(), node.lag_slots > _TOLERATED_LAG_SLOTS, slow

    def _survey_if_due(self) -> None:
        if len(self.all) == 1:
            return
        now_ms = self._now_ms()
        with self._lock:
            # a clock that was set back makes it due
            if self._surveyed_at_ms is not None and 0 <= now_ms - self._surveyed_at_ms < self._survey_every_ms:
                return
            self._surveyed_at_ms = now_ms
            survey = self._survey = {}
        for node in self.all:
            self.start(lambda node=node: self._measure(node, survey))  # type: ignore[misc]

    def _measure(self, node: _Node, survey: dict[_Node, int]) -> None:
        asked_at_ms = self._now_ms()
        try:
            slot = node.ask(lambda rpc: rpc.get_slot())
        except (RpcUnavailable, RpcRefused):
            return
        with self._lock:
            node.latency_ms = max(0, self._now_ms() - asked_at_ms)
            survey[node] = slot
            if survey is self._survey:  # slots of different times can't be compared
                newest = max(survey.values())
                for measured, its_slot in survey.items():
                    measured.lag_slots = newest - its_slot


class FailoverRpc(SolanaRpc):
    """One or more nodes as one SolanaRpc. Threads may share it.

    A read is asked of the next node where one is unavailable, and also where one refuses: a key that ran out or a
    method that a provider doesn't offer is that node's matter. Where every node refuses, so does this.

    Every method raises:
        AllNodesDown: every node's breaker is open, or opened by this very question; nobody is asked for a while.
        RpcUnavailable: no node answers, but the breakers have yet to open.
        RpcRefused: all nodes that answered refuse.
    """

    def __init__(
        self,
        nodes: Sequence[SolanaRpc],
        now_ms: Callable[[], int],
        policy: BreakerPolicy | None = None,
        *,
        survey_every_ms: int = 15_000,
        send_patience: float = 1.0,
        start: Start | None = None,
    ) -> None:
        """`send_patience`: seconds that a send waits for the next answer while none has accepted. `start` runs a job
        beside the caller, on a thread of its own unless told otherwise."""
        if not nodes:
            raise ValueError("no nodes")
        policy = policy or BreakerPolicy()
        known = [_Node(number, rpc, policy, now_ms) for number, rpc in enumerate(nodes, start=1)]
        self._nodes = _Nodes(known, now_ms, survey_every_ms, start or _on_a_thread)
        self._send_patience = send_patience

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._nodes.all)} nodes)"

    def one_node(self) -> OneNodeRpc:
        """A view for one task and one thread, whose reads never change the node without an error in between."""
        return OneNodeRpc(self._nodes, self._send_patience)

    def get_multiple_accounts(
        self, addresses: Iterable[Pubkey], *, commitment: Commitment | None = None
    ) -> AccountsRead:
        wanted = list(addresses)  # the next node is asked for the same
        return self._read(lambda node: node.get_multiple_accounts(wanted, commitment=commitment))

    def get_latest_blockhash(self, *, commitment: Commitment | None = None) -> LatestBlockhash:
        return self._read(lambda node: node.get_latest_blockhash(commitment=commitment))

    def get_epoch_info(self, *, commitment: Commitment | None = None) -> EpochInfo:
        return self._read(lambda node: node.get_epoch_info(commitment=commitment))

    def get_slot(self, *, commitment: Commitment | None = None) -> int:
        return self._read(lambda node: node.get_slot(commitment=commitment))

    def get_minimum_balance_for_rent_exemption(self, data_length: int) -> int:
        return self._read(lambda node: node.get_minimum_balance_for_rent_exemption(data_length))

    def get_recent_prioritization_fees(self, writable: Iterable[Pubkey]) -> tuple[int, ...]:
        wanted = list(writable)
        return self._read(lambda node: node.get_recent_prioritization_fees(wanted))

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        return self._read(lambda node: node.get_signature_statuses(signatures, search_history=search_history))

    def get_transaction(self, signature: str, *, commitment: Commitment | None = None) -> dict[str, Any] | None:
        return self._read(lambda node: node.get_transaction(signature, commitment=commitment))

    def simulate_transaction(self, wire: bytes, *, commitment: Commitment | None = None) -> Simulation:
        return self._read(lambda node: node.simulate_transaction(wire, commitment=commitment))

    def send_transaction(
        self,
        wire: bytes,
        *,
        skip_preflight: bool,
        preflight_commitment: Commitment | None = None,
        max_retries: int = 0,
    ) -> str:
        """Hand the bytes to every node that isn't left alone, once each and to all at once.

        Returns at the first acceptance, while slower nodes are still being told. Gives up waiting where none has
        accepted and the next answer takes longer than the patience: the caller had better watch than wait.
        """
        answers: SimpleQueue[str | Exception] = SimpleQueue()

        def send(node: SolanaRpc) -> str:
            return node.send_transaction(
                wire,
                skip_preflight=skip_preflight,
                preflight_commitment=preflight_commitment,
                max_retries=max_retries,
            )

        nodes = self._nodes.in_turn()
        for node in nodes:
            # a thread each, so that a node which hangs holds up no other; its time-out ends it, its breaker the waste
            self._nodes.start(lambda node=node: answers.put(_outcome(node, send)))  # type: ignore[misc]
        errors: list[RpcUnavailable | RpcRefused] = []
        for _ in nodes:
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
        raise self._failure(errors)

    def _read(self, question: Question[T]) -> T:
        errors: list[RpcUnavailable | RpcRefused] = []
        for node in self._nodes.in_turn():
            if not node.in_service and any(isinstance(error, RpcRefused) for error in errors):
                break  # a refusal is an answer: not worth the wait for a node that is likely dead
            try:
                answer = node.ask(question)
            except (RpcUnavailable, RpcRefused) as error:
                errors.append(error)
                continue
            self._nodes.prefer(node)
            return answer
        raise self._failure(errors)

    def _failure(self, errors: Sequence[RpcUnavailable | RpcRefused]) -> RpcUnavailable | RpcRefused:
        """What to raise where no node has answered as hoped."""
        down_for_ms = self._nodes.down_for_ms()
        if down_for_ms is not None:
            return AllNodesDown(down_for_ms)
        told = [error for error in errors if not isinstance(error, _LeftAlone)]
        unavailable = [error for error in told if isinstance(error, RpcUnavailable)]
        if told and not unavailable:
            return told[0]
        if not told:
            return RpcUnavailable("the Solana node that was asked so far is left alone now")
        return unavailable[0] if len(told) == 1 else RpcUnavailable(f"no Solana node answers: {unavailable[-1]}")


class OneNodeRpc(FailoverRpc):
    """Reads from one node, for one task on one thread; sends go to all nodes.

    A read that fails isn't asked of another node: it raises, and only the next read chooses a node anew. So all
    answers between two errors are one node's.

    That is what landing.decide_fate needs. It calls a transaction expired because a node whose finalized chain has
    outgrown it doesn't find it; any error ends the try with nothing decided. With one node for both questions the
    node that doesn't find it has itself finalized every block that could hold it. Were the search answered by another,
    its slot alone would speak for it: it may be as far and yet have no history that old (started from a snapshot
    since), or be on a minority's fork. decide_fate's check of the slots stays: behind one URL several nodes may sit.
    """

    def __init__(self, nodes: _Nodes, send_patience: float) -> None:
        self._nodes = nodes
        self._send_patience = send_patience
        self._node: _Node | None = None
        self._left: _Node | None = None

    def _read(self, question: Question[T]) -> T:
        # A breaker that has opened meanwhile is an error as well: `ask` raises, it doesn't look elsewhere.
        node = self._node = self._node or self._nodes.another_than(self._left)
        try:
            return node.ask(question)
        except (RpcUnavailable, RpcRefused) as error:
            self._node, self._left = None, node
            raise self._failure([error]) from None


def _outcome(node: _Node, send: Question[str]) -> str | Exception:
    try:
        return node.ask(send)
    except Exception as error:  # noqa: BLE001 - it crosses a thread: the caller raises it
        return error


def _on_a_thread(job: Callable[[], None]) -> None:
    # a daemon: a process that ends doesn't wait for a dead node's time-out
    Thread(target=job, daemon=True).start()
