"""Nodes that are limited, by their word or by a pace, that lack a method or their history, or serve old accounts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import AllNodesDown, NodesAtTheirLimit, RpcRefused, RpcUnavailable
from chalicelib.solana.accounts import AccountsRead
from chalicelib.solana.cluster import Commitment
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.pacing import OwnPace
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.rpc_errors import NodeLacks, NodeLimited
from tests.log_lines import flushed, values
from tests.unit.test_failover import WIRE, Clock, on_the_spot

ADDRESS = Pubkey(bytes([7] * 32))

TRANSACTION = {"slot": 5}


@dataclass
class Fleet:
    """Scripted nodes behind one client; whoever waits lets the clock go on."""

    size: int = 1
    pace: int | None = None
    clock: Clock = field(default_factory=Clock)
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = [ScriptedNode(number, self.clock) for number in range(self.size)]
        paces = None if self.pace is None else [OwnPace(self.pace) for _ in self.nodes]
        self.rpc = FailoverRpc(self.nodes, self.clock, paces=paces, start=on_the_spot, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now_ms += round(seconds * 1000)

    def answering(self) -> int:
        return self.rpc.get_minimum_balance_for_rent_exemption(165)


class ScriptedNode(SolanaRpc):
    """Answers with its number, unless `trouble` says what to raise for a method; `asked`: which methods, and when."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.number = number
        self.clock = clock
        self.trouble: dict[str, Callable[[], Exception | None]] = {}
        self.asked: list[tuple[str, int]] = []
        self.slot = 1_000
        self.accounts_slot: int | None = None
        self.knows_transaction = True

    def __repr__(self) -> str:
        return f"ScriptedNode({self.number})"

    def times_asked(self, method: str) -> int:
        return sum(name == method for name, _ in self.asked)

    def _take(self, method: str) -> None:
        self.asked.append((method, self.clock.now_ms))
        trouble = self.trouble.get(method, lambda: None)()
        if trouble is not None:
            raise trouble

    def get_minimum_balance_for_rent_exemption(self, data_length: int) -> int:
        self._take("rent")
        return self.number

    def get_slot(self, *, commitment: Commitment | None = None) -> int:
        self._take("slot")
        return self.slot

    def get_recent_prioritization_fees(self, writable: Iterable[Pubkey]) -> tuple[int, ...]:
        self._take("fees")
        return (self.number,)

    def get_transaction(self, signature: str, *, commitment: Commitment | None = None) -> dict[str, Any] | None:
        self._take("transaction")
        return TRANSACTION if self.knows_transaction else None

    def get_multiple_accounts(
        self, addresses: Iterable[Pubkey], *, commitment: Commitment | None = None, beside_slot: bool = False
    ) -> AccountsRead:
        self._take("accounts")
        slot = self.slot if self.accounts_slot is None else self.accounts_slot
        return AccountsRead(slot, {}, max(slot, self.slot) if beside_slot else slot)

    def send_transaction(self, wire: bytes, **_: Any) -> str:
        self._take("send")
        return "signature"


def times(number: int, error: Callable[[], Exception]) -> Callable[[], Exception | None]:
    """The error so many times, then none."""
    left = [number]

    def trouble() -> Exception | None:
        left[0] -= 1
        return error() if left[0] >= 0 else None

    return trouble


def limited(wait_ms: int | None = None) -> Callable[[], Exception]:
    return lambda: NodeLimited("the Solana node answered with HTTP 429", wait_ms)


# --- Retry-After ---------------------------------------------------------------------------------------------------


def test_where_it_is_the_only_node_a_call_waits_as_long_as_the_node_asked_for() -> None:
    fleet = Fleet()
    fleet.nodes[0].trouble["rent"] = times(1, limited(3_000))
    assert fleet.answering() == 0
    assert fleet.slept == [3.0]


def test_a_node_is_left_alone_for_as_long_as_it_asked_for_while_others_answer() -> None:
    fleet = Fleet(2)
    fleet.nodes[0].trouble["rent"] = times(1, limited(3_000))
    assert fleet.answering() == 1
    fleet.nodes[1].trouble["rent"] = lambda: RpcUnavailable("down")
    asked = len(fleet.nodes[0].asked)
    fleet.clock.now_ms += 1_000
    assert fleet.answering() == 0, "the others are down: it is worth the wait"
    assert fleet.slept == [2.0]
    assert [at for _, at in fleet.nodes[0].asked[asked:]] == [fleet.clock.now_ms]


def test_a_wait_that_is_too_long_is_no_attempt_and_says_when() -> None:
    fleet = Fleet()
    fleet.nodes[0].trouble["rent"] = times(1, limited(60_000))
    with pytest.raises(NodesAtTheirLimit) as busy:
        fleet.answering()
    assert isinstance(busy.value, AllNodesDown), "the order waits and keeps its attempts"
    assert busy.value.retry_in_ms == 60_000
    assert busy.value.retry_after_seconds == 60
    assert fleet.slept == []
    fleet.clock.now_ms += 59_000
    assert fleet.answering() == 0
    assert fleet.slept == [1.0]
    assert fleet.nodes[0].times_asked("rent") == 2


def test_a_caller_says_how_long_all_its_calls_may_wait_together() -> None:
    fleet = Fleet()
    fleet.rpc.start_waiting(10)
    fleet.nodes[0].trouble["rent"] = times(2, limited(6_000))
    with pytest.raises(NodesAtTheirLimit):
        fleet.answering()
    assert fleet.slept == [6.0]
    fleet.rpc.start_waiting(10)
    assert fleet.answering() == 0


def test_a_node_that_does_not_say_when_is_left_alone_twice_as_long_each_time() -> None:
    fleet = Fleet()
    fleet.rpc.start_waiting(3_600)
    fleet.nodes[0].trouble["rent"] = times(7, limited())
    assert fleet.answering() == 0
    assert fleet.slept == [1, 2, 4, 8, 16, 30, 30]
    fleet.nodes[0].trouble["rent"] = times(1, limited())
    fleet.answering()
    assert fleet.slept[-1] == 1


def test_a_node_that_refuses_again_when_it_said_it_would_not_is_asked_less_and_less_often() -> None:
    # Other processes ask it too: ten of them that all come back on time, each refused and counted, never get through.
    fleet = Fleet()
    fleet.rpc.start_waiting(3_600)
    fleet.nodes[0].trouble["rent"] = times(7, limited(3_000))
    assert fleet.answering() == 0
    assert fleet.slept == [3, 3, 4, 8, 16, 30, 30]
    fleet.nodes[0].trouble["rent"] = times(2, limited(60_000))
    fleet.answering()
    assert fleet.slept[-2:] == [60, 60], "never sooner than it asks for"


def test_being_limited_is_no_failure_of_the_node() -> None:
    fleet = Fleet()
    fleet.rpc.start_waiting(3_600)
    fleet.nodes[0].trouble["rent"] = times(50, limited(200))
    assert fleet.answering() == 0
    assert len(fleet.slept) == 50


def test_a_send_to_the_only_node_waits_until_it_may_be_made() -> None:
    fleet = Fleet()
    fleet.nodes[0].trouble["send"] = times(1, limited(2_000))
    assert fleet.rpc.send_transaction(WIRE, skip_preflight=True) == "signature"
    assert fleet.slept == [2.0]


def test_a_send_goes_to_those_that_may_be_asked_and_waits_for_no_other() -> None:
    fleet = Fleet(2)
    fleet.nodes[0].trouble["rent"] = times(1, limited(3_000))
    fleet.answering()
    assert fleet.rpc.send_transaction(WIRE, skip_preflight=True) == "signature"
    assert [node.times_asked("send") for node in fleet.nodes] == [0, 1]
    assert fleet.slept == []


def test_a_view_of_one_node_waits_for_its_node() -> None:
    fleet = Fleet(2)
    view = fleet.rpc.one_node()
    first = view.get_minimum_balance_for_rent_exemption(165)
    fleet.nodes[first].trouble["rent"] = times(1, limited(1_500))
    assert view.get_minimum_balance_for_rent_exemption(165) == first
    assert fleet.slept == [1.5]


def test_a_clock_that_is_set_back_makes_no_pause_longer() -> None:
    fleet = Fleet()
    fleet.nodes[0].trouble["rent"] = times(1, limited(4_000))
    fleet.answering()
    fleet.clock.now_ms -= 3_600_000
    assert fleet.answering() == 0
    assert fleet.slept == [4.0]


def test_how_long_calls_waited_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    flushed(capsys)
    fleet = Fleet()
    fleet.nodes[0].trouble["rent"] = times(1, limited(3_000))
    fleet.answering()
    assert values(flushed(capsys), "RpcWaitMs") == [3_000]


# --- a pace --------------------------------------------------------------------------------------------------------


def test_a_node_with_a_pace_is_asked_no_more_often() -> None:
    fleet = Fleet(pace=3)
    fleet.rpc.start_waiting(3_600)
    begun_at_ms = fleet.clock.now_ms
    for _ in range(9):
        fleet.answering()
    seconds = [(at - begun_at_ms) // 1_000 for _, at in fleet.nodes[0].asked]
    assert seconds == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_every_call_counts_sends_and_the_calls_of_a_batch_among_them() -> None:
    fleet = Fleet(pace=10)
    fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True)
    fleet.rpc.send_transaction(WIRE, skip_preflight=True)
    for _ in range(7):
        fleet.answering()
    fleet.rpc.start_waiting(0.5)
    with pytest.raises(NodesAtTheirLimit):
        fleet.answering()


def test_another_node_that_may_be_asked_saves_the_wait() -> None:
    fleet = Fleet(2, pace=20)  # two in a second, of which the survey takes one
    assert [fleet.answering() for _ in range(2)] == [0, 1]
    assert fleet.slept == []


def test_a_turn_that_comes_too_late_is_told_with_its_wait() -> None:
    fleet = Fleet(pace=1)
    fleet.rpc.start_waiting(2)
    fleet.answering()
    with pytest.raises(NodesAtTheirLimit) as busy:
        fleet.answering()
    assert 9_000 <= busy.value.retry_in_ms <= 10_001


# --- a node that lacks something -----------------------------------------------------------------------------------


def lacking() -> Exception:
    return NodeLacks("the Solana node doesn't offer it: Method not found (-32601)")


def test_a_node_without_a_method_is_passed_over_where_another_has_it_and_serves_all_else() -> None:
    fleet = Fleet(2)
    fleet.nodes[0].trouble["fees"] = lacking
    assert [fleet.rpc.get_recent_prioritization_fees([ADDRESS]) for _ in range(3)] == [(1,)] * 3
    assert fleet.nodes[0].times_asked("fees") == 1
    assert fleet.nodes[1].times_asked("fees") == 3


def test_what_no_node_offers_is_told_as_that_and_not_asked_for_again_at_once() -> None:
    fleet = Fleet(2)
    for node in fleet.nodes:
        node.trouble["fees"] = lacking
    for _ in range(20):
        with pytest.raises(NodeLacks):
            fleet.rpc.get_recent_prioritization_fees([ADDRESS])
    assert [node.times_asked("fees") for node in fleet.nodes] == [1, 1]
    assert fleet.answering() == 0, "it is no failure of theirs"
    fleet.clock.now_ms += 60_000
    for node in fleet.nodes:
        node.trouble.clear()
    assert fleet.rpc.get_recent_prioritization_fees([ADDRESS])


def test_what_one_refuses_and_another_lacks_is_refused() -> None:
    fleet = Fleet(2)
    fleet.nodes[0].trouble["rent"] = lacking
    fleet.nodes[1].trouble["rent"] = lambda: RpcRefused("getMinimumBalanceForRentExemption", -32602, "no")
    with pytest.raises(RpcRefused):
        fleet.answering()


def test_a_transaction_that_one_node_does_not_know_is_asked_of_the_others() -> None:
    fleet = Fleet(2)
    fleet.nodes[0].knows_transaction = False
    assert fleet.rpc.get_transaction("signature") == TRANSACTION
    assert fleet.rpc.get_transaction("signature") == TRANSACTION
    assert [node.times_asked("transaction") for node in fleet.nodes] == [1, 2], "it was found to have no history"


def test_a_transaction_that_no_node_knows_is_none() -> None:
    fleet = Fleet(3)
    for node in fleet.nodes:
        node.knows_transaction = False
    fleet.nodes[1].trouble["transaction"] = lambda: RpcUnavailable("down")
    assert fleet.rpc.get_transaction("signature") is None


# --- old accounts --------------------------------------------------------------------------------------------------


def old(node: ScriptedNode, slots: int) -> None:
    """Accounts out of a cache, while the node's slot goes on."""
    node.accounts_slot = node.slot - slots


def test_accounts_that_a_cache_serves_are_said_to_be_old() -> None:
    fleet = Fleet()
    (node,) = fleet.nodes
    assert fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True).age_ms == 0
    node.accounts_slot, node.slot = node.slot, node.slot + 50
    fleet.clock.now_ms += 20_000
    read = fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True)
    assert (read.slot, read.newest_slot, read.age_ms) == (1_000, 1_050, 20_000)


def test_old_accounts_are_noticed_without_a_call_more_by_any_slot_that_was_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flushed(capsys)
    fleet = Fleet()
    old(fleet.nodes[0], 20)
    fleet.rpc.get_slot()
    read = fleet.rpc.get_multiple_accounts([ADDRESS])
    assert read.newest_slot - read.slot == 20
    assert values(flushed(capsys), "SlotLag") == [20]


def test_a_node_that_serves_old_accounts_is_passed_over_where_another_is_newer() -> None:
    fleet = Fleet(2)
    old(fleet.nodes[0], 20)
    for _ in range(4):
        assert fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True).slot == 1_000
    assert [node.times_asked("accounts") for node in fleet.nodes] == [1, 4]
    fleet.nodes[0].accounts_slot = None
    fleet.clock.now_ms += 60_000
    fleet.nodes[1].trouble["accounts"] = lambda: RpcUnavailable("down")
    assert fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True).slot == 1_000


def test_of_nodes_that_all_serve_old_accounts_the_newest_count_and_none_is_asked_in_vain() -> None:
    fleet = Fleet(2)
    old(fleet.nodes[0], 50)
    old(fleet.nodes[1], 30)
    assert fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True).slot == 970
    before = sum(node.times_asked("accounts") for node in fleet.nodes)
    fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True)
    assert sum(node.times_asked("accounts") for node in fleet.nodes) == before + 1


def test_old_accounts_are_better_than_none() -> None:
    fleet = Fleet(2)
    old(fleet.nodes[0], 50)
    fleet.nodes[1].trouble["accounts"] = lambda: RpcUnavailable("down")
    read = fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True)
    assert (read.slot, read.newest_slot) == (950, 1_000)


def test_a_few_slots_are_no_reason_to_leave_a_node() -> None:
    fleet = Fleet(2)
    old(fleet.nodes[0], 8)
    fleet.rpc.get_multiple_accounts([ADDRESS], beside_slot=True)
    assert [node.times_asked("accounts") for node in fleet.nodes] == [1, 0]


def test_a_node_that_lacks_something_is_quoted_also_where_its_pace_made_the_call_wait() -> None:
    fleet = Fleet(1, pace=10)
    fleet.nodes[0].trouble["fees"] = lacking
    fleet.rpc.get_slot()
    with pytest.raises(NodeLacks, match=re.escape(str(lacking()))):
        fleet.rpc.get_recent_prioritization_fees([ADDRESS])
