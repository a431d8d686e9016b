"""Which of several nodes is asked: by their health, by surveys, through a view, and in any history of troubles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chalicelib.problems import AllNodesDown, RpcRefused, RpcUnavailable
from chalicelib.solana.circuit_breaker import BreakerPolicy
from chalicelib.solana.cluster import Commitment
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.rpc import SolanaRpc
from tests.unit.test_failover import FAILURES_TO_OPEN, SURVEY_EVERY_MS, WIRE, Clock, ask, let_all_fail, on_the_spot

T = TypeVar("T")


class ScriptedNode(SolanaRpc):
    """A node of a certain slot and speed; it keeps what it was asked. `number` is its balance, to tell it by."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.number = number
        self.clock = clock
        self.slot = 100
        self.takes_ms = 10
        self.mode = "up"
        self.asked: list[str] = []

    def __repr__(self) -> str:
        return f"ScriptedNode({self.number}, {self.mode})"

    def _answer(self, method: str, answer: T) -> T:
        self.asked.append(method)
        self.clock.now_ms += self.takes_ms
        if self.mode == "down":
            raise RpcUnavailable("the Solana node can't be reached")
        if self.mode == "refusing":
            raise RpcRefused(method, -32602, "no")
        if self.mode == "broken":
            raise TypeError("a bug of ours")
        return answer

    def get_slot(self, *, commitment: Commitment | None = None) -> int:
        return self._answer("survey", self.slot)

    def get_minimum_balance_for_rent_exemption(self, data_length: int) -> int:
        return self._answer("read", self.number)

    def send_transaction(self, wire: bytes, **_: Any) -> str:
        return self._answer("send", "signature")


@dataclass
class Fleet:
    size: int = 2
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.nodes = [ScriptedNode(number, self.clock) for number in range(self.size)]
        self.rpc = FailoverRpc(
            self.nodes, self.clock, BreakerPolicy(), survey_every_ms=SURVEY_EVERY_MS, start=on_the_spot
        )

    def answering(self) -> int:
        """Which node answers a read now."""
        return ask(self.rpc)

    def after_a_survey(self) -> int:
        self.clock.now_ms += SURVEY_EVERY_MS
        return self.answering()


def test_all_nodes_are_measured_once_in_a_while_and_not_before_each_question() -> None:
    fleet = Fleet()
    for _ in range(5):
        fleet.answering()
    assert [node.asked.count("survey") for node in fleet.nodes] == [1, 1]
    fleet.after_a_survey()
    assert [node.asked.count("survey") for node in fleet.nodes] == [2, 2]


def test_a_clock_that_is_set_back_stops_no_survey() -> None:
    fleet = Fleet()
    fleet.answering()
    fleet.clock.now_ms -= 3_600_000
    fleet.answering()
    assert [node.asked.count("survey") for node in fleet.nodes] == [2, 2]


def test_a_node_that_is_behind_the_others_slots_is_not_asked() -> None:
    fleet = Fleet()
    fleet.nodes[1].slot = 121
    assert fleet.answering() == 1
    fleet.nodes[0].slot = 142
    assert fleet.after_a_survey() == 0


def test_a_node_that_is_a_few_slots_behind_is_kept() -> None:
    fleet = Fleet()
    fleet.nodes[1].slot = 120
    assert fleet.answering() == 0


def test_a_node_that_became_much_slower_than_another_is_left() -> None:
    fleet = Fleet()
    assert fleet.answering() == 0
    fleet.nodes[0].takes_ms = 261
    assert fleet.after_a_survey() == 1


def test_of_nodes_that_are_equally_well_the_one_in_use_is_kept_though_another_is_quicker() -> None:
    fleet = Fleet()
    fleet.nodes[1].takes_ms = 200
    assert fleet.answering() == 0
    fleet.nodes[0].takes_ms, fleet.nodes[1].takes_ms = 200, 10
    assert fleet.after_a_survey() == 0


def test_of_nodes_that_are_equally_well_the_quickest_is_chosen_first() -> None:
    fleet = Fleet(3)
    for node, takes_ms in zip(fleet.nodes, (90, 80, 85), strict=True):
        node.takes_ms = takes_ms
    assert fleet.answering() == 1


def test_failures_weigh_more_than_slots_and_slots_more_than_time() -> None:
    fleet = Fleet(3)
    failing, behind, slow = fleet.nodes
    behind.slot, slow.takes_ms = 50, 2_000
    failing.mode = "down"
    assert fleet.answering() == slow.number
    slow.mode = "down"
    assert fleet.answering() == behind.number
    slow.mode = failing.mode = "up"
    assert fleet.after_a_survey() == failing.number


def test_what_a_late_answer_to_an_old_survey_says_is_compared_with_nothing() -> None:
    clock = Clock()
    first, second = ScriptedNode(0, clock), ScriptedNode(1, clock)
    late: list[Callable[[], None]] = []
    rpc = FailoverRpc([first, second], clock, survey_every_ms=SURVEY_EVERY_MS, start=late.append)
    assert ask(rpc) == 0
    clock.now_ms += SURVEY_EVERY_MS
    assert ask(rpc) == 0
    (old_first, old_second, new_first, new_second) = late
    second.slot = 1_000
    old_second()  # answered just now, though it was asked long ago
    new_first()
    old_first()
    assert ask(rpc) == 0
    new_second()
    assert ask(rpc) == 1


def test_a_refusal_is_told_without_a_question_to_a_node_out_of_service() -> None:
    fleet = Fleet()
    dead, refusing = fleet.nodes
    dead.mode = "down"
    for _ in range(FAILURES_TO_OPEN):
        fleet.rpc.send_transaction(WIRE, skip_preflight=True)
    refusing.mode = "refusing"
    fleet.clock.now_ms += 2_000
    asked = len(dead.asked)
    with pytest.raises(RpcRefused):
        fleet.answering()
    assert len(dead.asked) == asked


def test_failures_of_long_ago_are_forgotten() -> None:
    fleet = Fleet(1)
    fleet.nodes[0].mode = "down"
    for _ in range(3 * FAILURES_TO_OPEN):
        let_all_fail(fleet.rpc, 1)
        fleet.clock.now_ms += 60_001


def test_three_attempts_of_one_order_at_dead_nodes_are_three_failures_and_not_a_wait() -> None:
    """Two nodes, a survey within: the attempts 1 and 2 s apart as the contract says."""
    fleet = Fleet()
    for node in fleet.nodes:
        node.mode = "down"
    for wait_ms in (1_000, 2_000, 0):
        let_all_fail(fleet.rpc, 1)
        fleet.clock.now_ms += wait_ms


def test_an_error_that_is_no_nodes_leaves_the_breaker_as_it_was() -> None:
    fleet = Fleet(1)
    (node,) = fleet.nodes
    node.mode = "down"
    let_all_fail(fleet.rpc, FAILURES_TO_OPEN - 1)
    with pytest.raises(AllNodesDown) as down:
        fleet.answering()
    fleet.clock.now_ms += down.value.retry_in_ms
    node.mode = "broken"
    with pytest.raises(TypeError):
        fleet.answering()
    node.mode = "up"
    assert fleet.answering() == 0


# The view that one task has on one node.


def test_a_view_raises_rather_than_change_its_node() -> None:
    fleet = Fleet()
    view = fleet.rpc.one_node()
    assert ask(view) == 0
    for trouble, error in (("down", RpcUnavailable), ("refusing", RpcRefused)):
        current = ask(view)
        fleet.nodes[current].mode = trouble
        with pytest.raises(error):
            ask(view)
        assert ask(view) == 1 - current
        fleet.nodes[current].mode = "up"


def test_a_view_keeps_its_node_though_the_others_turned_to_a_better_one() -> None:
    fleet = Fleet()
    view = fleet.rpc.one_node()
    assert ask(view) == 0
    fleet.nodes[1].slot = 1_000
    assert fleet.after_a_survey() == 1
    assert ask(view) == 0
    assert ask(fleet.rpc.one_node()) == 1


def test_a_view_raises_once_its_nodes_breaker_has_opened_by_others_questions() -> None:
    fleet = Fleet()
    view = fleet.rpc.one_node()
    assert ask(view) == 0
    fleet.nodes[0].mode = "down"
    for _ in range(FAILURES_TO_OPEN):
        fleet.rpc.send_transaction(WIRE, skip_preflight=True)
    fleet.nodes[0].mode = "up"
    with pytest.raises(RpcUnavailable, match="left alone"):
        ask(view)
    assert ask(view) == 1


def test_a_view_sends_to_all() -> None:
    fleet = Fleet(3)
    assert fleet.rpc.one_node().send_transaction(WIRE, skip_preflight=True) == "signature"
    assert [node.asked.count("send") for node in fleet.nodes] == [1, 1, 1]


def test_a_single_node_is_its_own_view() -> None:
    node = ScriptedNode(0, Clock())
    assert node.one_node() is node


# Any history of troubles.


class AnyTrouble(RuleBasedStateMachine):
    """Nodes go down, refuse and come back while a worker reads, sends and views."""

    @initialize(size=st.integers(1, 3), reliable=st.booleans())
    def begin(self, size: int, reliable: bool) -> None:
        self.fleet = Fleet(size)
        self.reliable = reliable  # whether the last node never fails
        self.view = self.fleet.rpc.one_node()
        self.viewed: int | None = None

    @rule(number=st.integers(0, 2), mode=st.sampled_from(("up", "up", "down", "down", "refusing")))
    def a_node_changes(self, number: int, mode: str) -> None:
        last = self.fleet.size - 1
        if number < last or (number == last and not self.reliable):
            self.fleet.nodes[number].mode = mode

    @rule(ms=st.sampled_from((10, 1_000, 5_000, 16_000, 61_000)))
    def time_passes(self, ms: int) -> None:
        self.fleet.clock.now_ms += ms

    @rule(times=st.integers(1, 9))
    def reads(self, times: int) -> None:
        for _ in range(times):
            answer = self._asking("read", self.fleet.answering)
            assert answer is None or self.fleet.nodes[answer].mode == "up"

    @rule(times=st.integers(1, 9))
    def sends(self, times: int) -> None:
        for _ in range(times):
            told = self._asking("send", lambda: self.fleet.rpc.send_transaction(WIRE, skip_preflight=True))
            assert told in (None, "signature")

    @rule(times=st.integers(1, 4))
    def reads_through_the_view(self, times: int) -> None:
        for _ in range(times):
            before = sum(node.asked.count("read") for node in self.fleet.nodes)
            try:
                answer = ask(self.view)
            except (RpcUnavailable, RpcRefused):
                self.viewed = None
            else:
                assert self.viewed in (None, answer)
                self.viewed = answer
            assert sum(node.asked.count("read") for node in self.fleet.nodes) - before <= 1

    @rule()
    def all_recover_within_the_longest_cool_down(self) -> None:
        for node in self.fleet.nodes:
            node.mode = "up"
        self.fleet.clock.now_ms += BreakerPolicy().longest_cool_down_ms
        assert self.fleet.answering() in range(self.fleet.size)

    def _asking(self, what: str, question: Callable[[], T]) -> T | None:
        """The answer; None where it raised, as it may."""
        nodes = self.fleet.nodes
        before = [node.asked.count(what) for node in nodes]
        try:
            return question()
        except AllNodesDown as down:
            wait_ms = down.retry_in_ms
            assert not self.reliable
            assert 0 < wait_ms <= BreakerPolicy().longest_cool_down_ms
            asked = [len(node.asked) for node in nodes]
            with pytest.raises(AllNodesDown):
                question()
            assert [len(node.asked) for node in nodes] == asked, "while all are down nobody is asked"
        except RpcUnavailable:
            assert not self.reliable
        except RpcRefused:
            assert not self.reliable
            assert any(node.mode == "refusing" for node in nodes)
        finally:
            # twice where the second question after AllNodesDown is counted in: that one asks nobody
            assert all(node.asked.count(what) - then <= 1 for node, then in zip(nodes, before, strict=True))
        return None

    @invariant()
    def nodes_that_answer_are_never_left_alone(self) -> None:
        if hasattr(self, "fleet") and self.reliable:
            assert self.fleet.answering() in range(self.fleet.size)


TestAnyTrouble = AnyTrouble.TestCase
TestAnyTrouble.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
