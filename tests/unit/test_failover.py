"""Several nodes as one, over HTTP: who is asked, who is told, who is left alone, and what is never shown."""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError
from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.problems import AllNodesDown, RpcRefused, RpcUnavailable
from chalicelib.settings import Settings, node_urls, read_settings
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.rpc import AccountFilter, SolanaRpc
from tests.unit.test_rpc import HANG_UP, KEY, Node

ADDRESS = Pubkey.new_unique()
WIRE = b"a signed transaction"
FAILURES_TO_OPEN = 8
SURVEY_EVERY_MS = 15_000


@dataclass
class Clock:
    now_ms: int = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def on_the_spot(job: Callable[[], None]) -> None:
    job()


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    nodes = [Node(), Node(), Node()]
    for number, node in enumerate(nodes):
        node.results(number)
    yield nodes
    for node in nodes:
        node.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def failover(nodes: Sequence[Node], clock: Clock, **options: Any) -> FailoverRpc:
    return FailoverRpc([SolanaRpc(node.url, connect_timeout=5, read_timeout=30) for node in nodes], clock, **options)


@pytest.fixture
def rpc(nodes: list[Node], clock: Clock) -> FailoverRpc:
    return failover(nodes, clock, start=on_the_spot)


def ask(rpc: SolanaRpc) -> int:
    """Any read."""
    return rpc.get_minimum_balance_for_rent_exemption(165)


def times_asked(node: Node) -> int:
    return sum(request["method"] == "getMinimumBalanceForRentExemption" for request in node.requests)


def hang_up(request: Any) -> Any:
    return HANG_UP


def answer_each(results: Mapping[str, object]) -> Callable[[Any], tuple[int, bytes]]:
    """The result for each method."""
    return lambda request: (
        200,
        json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": results[request["method"]]}).encode(),
    )


def refuse(node: Node, reason: str, code: int = -32602) -> None:
    node.error(code, reason)


TROUBLE: dict[str, Callable[[Node], None]] = {
    "hangs up": lambda node: setattr(node, "answer", hang_up),
    "has a server error": lambda node: setattr(node, "answer", lambda request: (503, b"")),
    "is rate limited": lambda node: setattr(node, "answer", lambda request: (429, b"")),
    "is behind": lambda node: node.error(-32005, "Node is behind by 42 slots"),
    "answers nonsense": lambda node: node.results("a lot"),
    "has no page": lambda node: setattr(node, "answer", lambda request: (200, b"<html>")),
    "refuses its key": lambda node: node.error(-32401, "invalid api key", status=401),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_read_goes_on_to_the_next_node_where_one(nodes: list[Node], rpc: FailoverRpc, trouble: str) -> None:
    TROUBLE[trouble](nodes[0])
    assert ask(rpc) == 1
    assert times_asked(nodes[2]) == 0


def test_a_node_that_is_not_there_is_passed_over(nodes: list[Node], clock: Clock) -> None:
    gone = Node()
    gone.close()
    assert ask(failover([gone, nodes[1]], clock, start=on_the_spot)) == 1


def test_reads_stay_with_the_node_that_answers(nodes: list[Node], rpc: FailoverRpc) -> None:
    for _ in range(3):
        assert ask(rpc) == 0
    nodes[0].answer = hang_up
    for _ in range(3):
        assert ask(rpc) == 1
    nodes[0].results(0)
    assert ask(rpc) == 1
    assert [times_asked(node) for node in nodes[1:]] == [4, 0]


def test_what_every_node_refuses_is_refused(nodes: list[Node], rpc: FailoverRpc) -> None:
    for node in nodes:
        refuse(node, "Invalid param: could not find account")
    with pytest.raises(RpcRefused, match="could not find account"):
        ask(rpc)
    assert [times_asked(node) for node in nodes] == [1, 1, 1]


def test_what_some_refuse_while_others_do_not_answer_may_yet_be_answered(nodes: list[Node], rpc: FailoverRpc) -> None:
    refuse(nodes[0], "no")
    nodes[1].answer = nodes[2].answer = hang_up
    with pytest.raises(RpcUnavailable):
        ask(rpc)


def test_a_send_goes_to_every_node_once_and_is_accepted_if_one_accepts(nodes: list[Node], rpc: FailoverRpc) -> None:
    nodes[0].answer = hang_up
    refuse(nodes[1], "no")
    nodes[2].results("signature")
    assert rpc.send_transaction(WIRE, skip_preflight=True) == "signature"
    for node in nodes:
        (sent,) = [request for request in node.requests if request["method"] == "sendTransaction"]
        assert sent["params"] == nodes[2].requests[-1]["params"]


def test_a_send_that_all_refuse_is_refused(nodes: list[Node], rpc: FailoverRpc) -> None:
    for node in nodes:
        refuse(node, "invalid transaction")
    with pytest.raises(RpcRefused, match="invalid transaction"):
        rpc.send_transaction(WIRE, skip_preflight=True)


def test_a_send_that_one_refused_and_one_left_unanswered_may_be_under_way(nodes: list[Node], rpc: FailoverRpc) -> None:
    refuse(nodes[0], "no")
    refuse(nodes[1], "no")
    nodes[2].answer = hang_up
    with pytest.raises(RpcUnavailable):
        rpc.send_transaction(WIRE, skip_preflight=True)


def hanging(until: threading.Event) -> Callable[[Any], Any]:
    return lambda request: HANG_UP if until.wait(30) else (500, b"")


def test_an_accepted_send_waits_for_no_node_that_hangs(nodes: list[Node], clock: Clock) -> None:
    given_up = threading.Event()
    nodes[0].answer = nodes[1].answer = hanging(given_up)
    nodes[2].results("signature")
    # Its patience is far longer than this test may take: what ends the wait is the acceptance.
    assert failover(nodes, clock, send_patience=600).send_transaction(WIRE, skip_preflight=True) == "signature"
    given_up.set()


def test_a_send_that_no_node_answers_gives_up_long_before_the_nodes_time_out(nodes: list[Node], clock: Clock) -> None:
    given_up = threading.Event()
    for node in nodes:
        node.answer = hanging(given_up)
    with pytest.raises(RpcUnavailable, match="yet to answer"):
        failover(nodes, clock, send_patience=0.01).send_transaction(WIRE, skip_preflight=True)
    given_up.set()


def test_a_node_that_hangs_is_told_of_each_send_all_the_same(nodes: list[Node], clock: Clock) -> None:
    given_up, told = threading.Event(), threading.Semaphore(0)

    def hang(request: Any) -> Any:
        if request["method"] == "sendTransaction":
            told.release()
        return hanging(given_up)(request)

    nodes[0].answer = hang
    nodes[1].results("signature")
    rpc = failover(nodes[:2], clock)
    for _ in range(3):
        assert rpc.send_transaction(WIRE, skip_preflight=True) == "signature"
    assert all(told.acquire(timeout=30) for _ in range(3))
    given_up.set()


def let_all_fail(rpc: FailoverRpc, failures: int) -> None:
    for _ in range(failures):
        with pytest.raises(RpcUnavailable) as failure:
            ask(rpc)
        assert not isinstance(failure.value, AllNodesDown)


@pytest.fixture
def lone_node(nodes: list[Node]) -> Node:
    return nodes[0]


@pytest.fixture
def lone(lone_node: Node, clock: Clock) -> FailoverRpc:
    return failover([lone_node], clock, start=on_the_spot)


def test_a_single_node_is_asked_what_is_asked_and_nothing_else(lone_node: Node, lone: FailoverRpc) -> None:
    assert ask(lone) == 0
    assert [request["method"] for request in lone_node.requests] == ["getMinimumBalanceForRentExemption"]


def test_a_single_nodes_own_error_is_told(lone_node: Node, lone: FailoverRpc) -> None:
    lone_node.error(-32005, "Node is behind by 42 slots")
    with pytest.raises(RpcUnavailable, match="behind by 42 slots"):
        ask(lone)


def test_the_failure_that_opens_the_last_breaker_says_so_itself(lone_node: Node, lone: FailoverRpc) -> None:
    """Else the attempt that met it would be used up like those before."""
    lone_node.answer = hang_up
    let_all_fail(lone, FAILURES_TO_OPEN - 1)
    with pytest.raises(AllNodesDown) as down:
        ask(lone)
    assert down.value.retry_in_ms == 1_000
    assert "asked again in 1 s" in str(down.value)
    assert down.value.code == "RPC_UNAVAILABLE"


def test_while_all_are_down_nobody_is_asked(lone_node: Node, lone: FailoverRpc, clock: Clock) -> None:
    lone_node.answer = hang_up
    let_all_fail(lone, FAILURES_TO_OPEN - 1)
    with pytest.raises(AllNodesDown):
        ask(lone)
    asked = len(lone_node.requests)
    clock.now_ms += 400
    questions: tuple[Callable[[], object], ...] = (
        lambda: ask(lone),
        lambda: lone.send_transaction(WIRE, skip_preflight=True),
        lambda: lone.one_node().get_slot(),
    )
    for question in questions:
        with pytest.raises(AllNodesDown) as down:
            question()
        assert down.value.retry_in_ms == 600
    assert len(lone_node.requests) == asked


def test_after_the_wait_one_question_tells_whether_to_wait_longer_or_go_on(
    lone_node: Node, lone: FailoverRpc, clock: Clock
) -> None:
    lone_node.answer = hang_up
    let_all_fail(lone, FAILURES_TO_OPEN - 1)
    waits = []
    for _ in range(7):
        with pytest.raises(AllNodesDown) as down:
            ask(lone)
        waits.append(down.value.retry_in_ms)
        clock.now_ms += down.value.retry_in_ms
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
    lone_node.results(5)
    assert ask(lone) == 5
    lone_node.answer = hang_up
    let_all_fail(lone, FAILURES_TO_OPEN - 1)


def test_a_refusal_is_an_answer_and_no_failure(lone_node: Node, lone: FailoverRpc) -> None:
    refuse(lone_node, "no")
    for _ in range(2 * FAILURES_TO_OPEN):
        with pytest.raises(RpcRefused):
            ask(lone)


def test_a_dead_node_among_living_ones_costs_no_question_and_is_tried_by_surveys_alone(
    nodes: list[Node], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="fillrate")
    dead, living = nodes[:2]
    rpc = failover([dead, living], clock, start=on_the_spot)
    dead.answer, living.answer = hang_up, answer_each(RESULTS)
    for _ in range(2 * FAILURES_TO_OPEN):
        clock.now_ms += SURVEY_EVERY_MS
        assert ask(rpc) == 1
    assert times_asked(dead) == 0
    assert {record.message for record in caplog.records} == {"solana node left alone"}
    dead.answer, living.answer = answer_each(RESULTS), hang_up
    clock.now_ms += 30_000
    assert ask(rpc) == 1
    assert caplog.records[-1].message == "solana node back in service"
    assert KEY not in caplog.text


CALLS: dict[str, Callable[[SolanaRpc], object]] = {
    "get_multiple_accounts": lambda rpc: rpc.get_multiple_accounts(iter([ADDRESS]), commitment="processed"),
    "get_program_accounts": lambda rpc: rpc.get_program_accounts(
        ADDRESS, AccountFilter(9, ((1, b"a"),)), part=range(1, 3), commitment="processed"
    ),
    "get_latest_blockhash": lambda rpc: rpc.get_latest_blockhash(commitment="finalized"),
    "get_epoch_info": lambda rpc: rpc.get_epoch_info(commitment="finalized"),
    "get_slot": lambda rpc: rpc.get_slot(commitment="finalized"),
    "has_migrated": lambda rpc: rpc.has_migrated(),
    "get_recent_performance_samples": lambda rpc: rpc.get_recent_performance_samples(3),
    "get_minimum_balance_for_rent_exemption": lambda rpc: rpc.get_minimum_balance_for_rent_exemption(165),
    "get_recent_prioritization_fees": lambda rpc: rpc.get_recent_prioritization_fees(iter([ADDRESS])),
    "get_signature_statuses": lambda rpc: rpc.get_signature_statuses(["signature"], search_history=True),
    "get_transaction": lambda rpc: rpc.get_transaction("signature", commitment="finalized"),
    "simulate_transaction": lambda rpc: rpc.simulate_transaction(WIRE, commitment="processed"),
    "send_transaction": lambda rpc: rpc.send_transaction(
        WIRE, skip_preflight=False, preflight_commitment="processed", max_retries=3
    ),
}
RESULTS: dict[str, object] = {
    "getMultipleAccounts": {"context": {"slot": 1}, "value": [None]},
    "getProgramAccounts": [],
    "getLatestBlockhash": {
        "context": {"slot": 1},
        "value": {"blockhash": str(Hash.default()), "lastValidBlockHeight": 9},
    },
    "getEpochInfo": {"absoluteSlot": 3, "blockHeight": 2, "epoch": 1},
    "getSlot": 1,
    "getAgGenesisCert": None,
    "getRecentPerformanceSamples": [{"slot": 9, "numSlots": 280, "samplePeriodSecs": 60, "numTransactions": 1}],
    "getMinimumBalanceForRentExemption": 1,
    "getRecentPrioritizationFees": [{"slot": 1, "prioritizationFee": 1}],
    "getSignatureStatuses": {"context": {"slot": 1}, "value": [None]},
    "getTransaction": {
        "slot": 1,
        "meta": {"err": None},
        "transaction": {"message": {"accountKeys": [], "instructions": []}},
    },
    "simulateTransaction": {"context": {"slot": 1}, "value": {"err": None}},
    "sendTransaction": "signature",
}


def test_every_method_of_a_node_is_one_of_several_nodes() -> None:
    methods = {name for name, _ in inspect.getmembers(SolanaRpc, inspect.isfunction) if not name.startswith("_")}
    of_several = {"one_node", "start_waiting", "read_beside", "cluster", "known_cluster", "newest_slot"}
    assert methods == CALLS.keys() | of_several
    assert methods <= vars(FailoverRpc).keys()


@pytest.mark.parametrize("name", CALLS)
def test_a_question_reaches_the_last_node_just_as_it_would_reach_a_single_one(
    nodes: list[Node], clock: Clock, name: str
) -> None:
    nodes[0].answer = nodes[1].answer = hang_up
    nodes[2].answer = answer_each(RESULTS)
    alone = CALLS[name](SolanaRpc(nodes[2].url))
    among_others = CALLS[name](failover(nodes, clock, start=on_the_spot))
    assert among_others == alone
    first, *_, last = nodes[2].requests
    assert (last["method"], last["params"]) == (first["method"], first["params"])


def test_no_text_holds_a_key(nodes: list[Node], rpc: FailoverRpc, clock: Clock) -> None:
    texts = [repr(rpc), repr(rpc.one_node())]
    gone = SolanaRpc(f"http://user:{KEY}@127.0.0.1:1/{KEY}?key={KEY}")
    for node in nodes:
        refuse(node, f"{KEY} is no valid key")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: ask(rpc),
        lambda: rpc.send_transaction(WIRE, skip_preflight=True),
        lambda: rpc.one_node().get_slot(),
        lambda: ask(FailoverRpc([gone, gone], clock, start=on_the_spot)),
    )
    for attempt in attempts:
        with pytest.raises((RpcUnavailable, RpcRefused)) as caught:
            attempt()
        texts.append(str(caught.value))
    let_all_fail(down := FailoverRpc([gone], clock), FAILURES_TO_OPEN - 1)
    for _ in range(2):
        with pytest.raises(AllNodesDown) as all_down:
            ask(down)
        texts.append(str(all_down.value))
    assert not [text for text in texts if KEY in text]


def test_without_nodes_there_is_nothing_to_ask() -> None:
    with pytest.raises(ValueError):
        FailoverRpc([], Clock())


# SOLANA_RPC_URL.

ENVIRONMENT = {name.upper(): "set" for name, one in Settings.model_fields.items() if one.is_required()}


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://a", ("http://a",)),
        ("http://a,https://b/key?k=v", ("http://a", "https://b/key?k=v")),
        (" http://a , http://b,, http://a ", ("http://a", "http://b")),
    ],
)
def test_the_setting_lists_the_nodes(text: str, urls: tuple[str, ...]) -> None:
    assert read_settings({**ENVIRONMENT, "SOLANA_RPC_URL": text}).solana_rpc_url == text
    assert node_urls(text) == urls


@pytest.mark.parametrize("text", [",", f"http://a,{KEY}", f"ftp://{KEY}"])
def test_what_is_no_list_of_urls_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValidationError, match="one or more http") as refused:
        read_settings({**ENVIRONMENT, "SOLANA_RPC_URL": text})
    assert KEY not in str(refused.value)


def test_a_missing_setting_is_told_without_showing_the_others() -> None:
    environment = {**ENVIRONMENT, "SOLANA_RPC_URL": f"http://{KEY}"}
    del environment["STAGE"]
    with pytest.raises(ValidationError, match="stage") as refused:
        read_settings(dict(reversed(environment.items())))
    assert KEY not in str(refused.value)
