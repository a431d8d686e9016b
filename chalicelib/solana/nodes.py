"""Solana nodes and what is known of them: which are well, which want to be left alone, which lag or lack something.

Health is remembered by this process alone. Texts and logs call the nodes by number: their URLs may hold keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from threading import Lock
from typing import TypeVar

from chalicelib.log import logger
from chalicelib.problems import RpcRefused, RpcUnavailable
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
from chalicelib.solana.pacing import Pace, Turn
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.rpc_errors import NodeLacks, NodeLimited

T = TypeVar("T")
Question = Callable[[SolanaRpc], T]
# Runs a job beside the caller.
Start = Callable[[Callable[[], None]], None]

# More slots than pass while a slow node's answer is waited for: its number would else be the others' lag.
_TOLERATED_LAG_SLOTS = 20
# Accounts are compared with a slot that was told before they were, or with them: that takes less.
STALE_SLOTS = 8
# A node is slow where it takes so many times the fastest's time, and so much longer.
_SLOW_TIMES = 4
_SLOW_MS = 250
# For how long a node that wants to be asked less often, and doesn't say when, is left alone: twice as long each time.
_FIRST_PAUSE_MS = 1_000
_LONGEST_PAUSE_MS = 30_000
_SHORTEST_PAUSE_MS = 200
# How long it is remembered that a node lacks something, or served old accounts. Then it is tried again.
_REMEMBERED_MS = 60_000


class LeftAlone(RpcUnavailable):
    """The node was not asked: its breaker is open."""


class RpcNode:
    """One node and what is known of its health. Threads may share it."""

    def __init__(
        self, number: int, rpc: SolanaRpc, policy: BreakerPolicy, now_ms: Callable[[], int], pace: Pace | None
    ) -> None:
        self.number = number
        self.lag_slots = 0
        self.latency_ms: int | None = None
        self._rpc = rpc
        self._policy = policy
        self._now_ms = now_ms
        self._pace = pace
        self._state: BreakerState = Closed()
        self._paused_at_ms = 0
        self._paused_for_ms = 0
        self._pauses_in_a_row = 0
        # when it was found to lack what, and to serve old accounts
        self._lacked_at_ms: dict[str, int] = {}
        self._stale_at_ms: int | None = None
        self._lock = Lock()

    @property
    def in_service(self) -> bool:
        return isinstance(self._state, Closed)

    @property
    def serves_old_accounts(self) -> bool:
        return self._remembers(self._stale_at_ms)

    def recent_failures(self) -> int:
        return recent_failures(self._state, self._now_ms(), self._policy)

    def admits_in_ms(self) -> int:
        return admits_in_ms(self._state, self._now_ms(), self._policy)

    def lacks(self, topic: str) -> bool:
        """Whether it was found, a short while ago, not to offer what the topic names."""
        return self._remembers(self._lacked_at_ms.get(topic))

    def pause_ms(self) -> int:
        """For how long from now on it wants to be left alone."""
        passed_ms = self._now_ms() - self._paused_at_ms
        # a clock that was set back would make the pause as long as it was set back
        return max(0, self._paused_for_ms - passed_ms) if passed_ms >= 0 else 0

    def turn(self, calls: int, longest_wait_ms: int) -> Turn:
        """When so many calls may be made, by what the node asked for and by its pace."""
        now_ms, pause_ms = self._now_ms(), self.pause_ms()
        if pause_ms > longest_wait_ms:
            return Turn(pause_ms, taken=False)
        if self._pace is None:
            return Turn(pause_ms, taken=True)
        turn = self._pace.take(calls, now_ms, longest_wait_ms)
        turn.wait_ms = max(turn.wait_ms, pause_ms)
        return turn

    def ask(self, topic: str, question: Question[T], turn: Turn) -> T:
        """The node's answer, of which note is taken. Raises RpcUnavailable and RpcRefused."""
        try:
            return self._ask(topic, question)
        finally:
            if self._pace is not None:
                self._pace.answered(turn, self._now_ms())

    def note_accounts_of(self, lag_slots: int) -> None:
        """The accounts that it served were so many slots older than the newest slot known."""
        stale = lag_slots > STALE_SLOTS
        if stale and not self.serves_old_accounts:
            logger.warning("solana node serves old accounts", node=self.number, slots=lag_slots)
        self._stale_at_ms = self._now_ms() if stale else None

    def note_lack(self, topic: str) -> None:
        if not self.lacks(topic):
            logger.warning("solana node lacks something", node=self.number, what=topic)
        self._lacked_at_ms[topic] = self._now_ms()

    def _remembers(self, since_ms: int | None) -> bool:
        return since_ms is not None and 0 <= self._now_ms() - since_ms < _REMEMBERED_MS

    def _ask(self, topic: str, question: Question[T]) -> T:
        self._admit()
        try:
            answer = question(self._rpc)
        except NodeLimited as limited:
            self._pause(limited.retry_after_ms)
            self._become(lambda state: answered())
            raise
        except NodeLacks:
            self.note_lack(topic)
            self._become(lambda state: answered())
            raise
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
        self._pauses_in_a_row = 0
        return answer

    def _admit(self) -> None:
        with self._lock:
            state = admit(self._state, self._now_ms())
            if state is None:
                raise LeftAlone(f"Solana node {self.number} failed too often and is left alone")
            self._state = state

    def _pause(self, asked_for_ms: int | None) -> None:
        with self._lock:
            by_itself = min(_FIRST_PAUSE_MS << min(self._pauses_in_a_row, 10), _LONGEST_PAUSE_MS)
            # one that refuses again after as long as it wanted has others that ask as soon: were all to come back then,
            # and were what it refuses to count, nobody would ever be answered
            least_ms = by_itself if self._pauses_in_a_row or not asked_for_ms else _SHORTEST_PAUSE_MS
            self._paused_at_ms, self._paused_for_ms = self._now_ms(), max(asked_for_ms or 0, least_ms)
            self._pauses_in_a_row += 1
        logger.info("solana node wants to be asked less often", node=self.number, for_ms=self._paused_for_ms)

    def _become(self, change: Callable[[BreakerState], BreakerState]) -> None:
        with self._lock:
            before, self._state = self._state, change(self._state)
            after = self._state
        if isinstance(after, Open) and after is not before:
            logger.warning("solana node left alone", node=self.number, for_ms=after.cool_down_ms)
        elif isinstance(after, Closed) and not isinstance(before, Closed):
            logger.info("solana node back in service", node=self.number)


class RpcNodes:
    """All nodes, ranked. A survey measures them all beside the traffic, at most once in `survey_every_ms`.

    Nobody waits for a survey: what it finds counts from the next question on. It is also what tries a node that was
    left alone while others are in service, so that no order's question is spent on one that is likely dead.
    A thread that a frozen Lambda holds up reports late and, at worst, one failure of the several that a breaker takes.
    """

    def __init__(self, nodes: Sequence[RpcNode], now_ms: Callable[[], int], survey_every_ms: int, start: Start) -> None:
        self.all = tuple(nodes)
        self.start = start
        self._now_ms = now_ms
        self._survey_every_ms = survey_every_ms
        self._preferred: RpcNode | None = None
        self._surveyed_at_ms: int | None = None
        self._survey: dict[RpcNode, int] = {}
        self._lock = Lock()

    def in_turn(self, topic: str) -> list[RpcNode]:
        """Whom to ask first, second, …: those out of service last, the one that cools down soonest first.

        Raises NodeLacks where none offers what the topic names.
        """
        self._survey_if_due()
        with self._lock:
            ranked = self._ranked()
            kept = self._preferred
            if kept in ranked and self._standing(kept) <= self._standing(ranked[0]):
                ranked.remove(kept)
                ranked.insert(0, kept)
        out_of_service = sorted((node for node in self.all if node not in ranked), key=RpcNode.admits_in_ms)
        offering = [node for node in ranked + out_of_service if not node.lacks(topic)]
        if not offering:
            raise NodeLacks(f"no Solana node offers {topic}")
        return offering

    def prefer(self, node: RpcNode) -> None:
        with self._lock:
            self._preferred = node

    def another_than(self, left: RpcNode | None, topic: str) -> RpcNode:
        """Whom to ask first, but rather anybody in service than `left`."""
        turn = self.in_turn(topic)
        return next((node for node in turn if node is not left and node.in_service), turn[0])

    def others_in_service(self, than: Collection[RpcNode]) -> bool:
        return any(node.in_service and node not in than for node in self.all)

    def others_up_to_date(self, than: Collection[RpcNode]) -> bool:
        """Whether any other is in service that isn't known to serve old accounts."""
        return any(node.in_service and node not in than and not node.serves_old_accounts for node in self.all)

    def down_for_ms(self) -> int | None:
        """Milliseconds until one may be asked again; None while any is in service."""
        if any(node.in_service for node in self.all):
            return None
        # at least one: "now" would be what has just been tried
        return max(1, min(node.admits_in_ms() for node in self.all))

    def _ranked(self) -> list[RpcNode]:
        in_service = [node for node in self.all if node.in_service]
        return sorted(in_service, key=lambda node: (*self._standing(node), node.latency_ms is None, node.latency_ms))

    def _standing(self, node: RpcNode) -> tuple[int, bool, bool]:
        fastest = min((other.latency_ms for other in self.all if other.latency_ms is not None), default=0)
        slow = node.latency_ms is not None and node.latency_ms > max(fastest * _SLOW_TIMES, fastest + _SLOW_MS)
        return node.recent_failures(), node.lag_slots > _TOLERATED_LAG_SLOTS or node.serves_old_accounts, slow

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

    def _measure(self, node: RpcNode, survey: dict[RpcNode, int]) -> None:
        turn = node.turn(1, longest_wait_ms=0)
        if not turn.taken:
            return  # its pace is for those who wait for it
        asked_at_ms = self._now_ms()
        try:
            slot = node.ask("getSlot", lambda rpc: rpc.get_slot(), turn)
        except (RpcUnavailable, RpcRefused):
            return
        with self._lock:
            node.latency_ms = max(0, self._now_ms() - asked_at_ms)
            survey[node] = slot
            if survey is self._survey:  # slots of different times can't be compared
                newest = max(survey.values())
                for measured, its_slot in survey.items():
                    measured.lag_slots = newest - its_slot
