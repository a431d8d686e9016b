"""Whose trouble an error is: the request's, which ends an attempt for good, or the node's, which another may answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from typing import Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import PermanentError, RpcRefused, RpcUnavailable, TransientError
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.rpc_answers import LONGEST_WAIT_MS
from chalicelib.solana.rpc_errors import (
    NodeLacks,
    NodeLimited,
    PreflightFailed,
    failure_of_error,
)
from tests.http_answers import answered
from tests.unit.test_rpc import Node

NOW = 1_760_000_000.0
ADDRESS = Pubkey(bytes([7] * 32))


class Answering(urllib3.PoolManager):
    """Answers each request by a script: from the calls in it to a status, a body and headers."""

    def __init__(self, answer: Callable[[Any], tuple[int, object, dict[str, str]]]) -> None:
        super().__init__()
        self.answer = answer
        self.requests: list[Any] = []

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.HTTPResponse:  # type: ignore[override]
        request = json.loads(options["body"])
        self.requests.append(request)
        status, body, headers = self.answer(request)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = answered(raw, options, headers)
        response.status = status
        return response


def node(answer: Callable[[Any], tuple[int, object, dict[str, str]]]) -> SolanaRpc:
    return SolanaRpc("http://node.example", http=Answering(answer), wall_clock=lambda: NOW)


def saying(status: int, body: object = b"", **headers: str) -> SolanaRpc:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return node(lambda request: (status, body, named))


def error_of(code: int, message: str = "no", data: object = None) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, "data": data}}


# --- what says that our request is wrong ---------------------------------------------------------------------------

WRONG: list[tuple[str, int, str]] = [
    ("getSlot", -32600, "Invalid request"),
    ("getMultipleAccounts", -32602, "Too many inputs provided; max 100"),
    ("getTokenAccountBalance", -32602, "Invalid param: could not find account"),
    ("sendTransaction", -32003, "Transaction signature verification failure"),
    ("simulateTransaction", -32003, "Transaction signature verification failure"),
    ("sendTransaction", -32006, "Transaction precompile verification failure InvalidAccountIndex"),
    ("sendTransaction", -32013, "Transaction signature length mismatch"),
    ("getTransaction", -32015, "Transaction version (1) is not supported by the requesting client"),
]


@pytest.mark.parametrize(("method", "code", "message"), WRONG)
def test_what_says_that_the_request_is_wrong_is_permanent(method: str, code: int, message: str) -> None:
    failure = failure_of_error(method, code, message, None)
    assert isinstance(failure, RpcRefused)
    assert isinstance(failure, PermanentError)
    assert (failure.rpc_code, failure.reason) == (code, message)


def test_a_preflight_that_failed_for_the_transactions_own_error_is_permanent() -> None:
    failure = failure_of_error("sendTransaction", -32002, "Transaction simulation failed", {"err": "AccountInUse"})
    assert isinstance(failure, PreflightFailed)
    assert failure.err == "AccountInUse"


# --- what is the node's trouble ------------------------------------------------------------------------------------

NODES_OWN: list[tuple[str, int, str]] = [
    ("getMultipleAccounts", -32700, "Parse error"),
    ("getSlot", -32603, "Internal error"),
    ("getSlot", -32001, "Block 5 cleaned up, does not exist on node. First available block: 9"),
    ("getSlot", -32002, "Resource unavailable"),
    ("sendTransaction", -32002, "Transaction simulation failed"),
    ("getLatestBlockhash", -32003, "Transaction rejected"),
    ("getMultipleAccounts", -32004, "Block not available for slot 5"),
    ("getLatestBlockhash", -32005, "Node is behind by 200 slots"),
    ("getSlot", -32007, "Slot 5 was skipped, or missing due to ledger jump to recent snapshot"),
    ("getSlot", -32008, "No snapshot"),
    ("getSlot", -32009, "Slot 5 was skipped, or missing in long-term storage"),
    ("getMultipleAccounts", -32012, "scan aborted"),
    ("getSlot", -32014, "Block status not yet available for slot 5"),
    ("getSlot", -32015, "Upstream node timed out"),
    ("getMultipleAccounts", -32016, "Minimum context slot has not been reached"),
    ("getSlot", -32017, "Epoch rewards period still active at slot 5"),
    ("getSlot", -32019, "Failed to query long-term storage; please try again"),
    ("getSlot", -32600, "Must be authenticated!"),
    ("getSlot", -32602, "Invalid API key"),
    ("getSlot", -32401, "unauthorized"),
    ("getSlot", 0, "upstream connect error"),
    ("getSlot", 1015, "banned"),
]


@pytest.mark.parametrize(("method", "code", "message"), NODES_OWN)
def test_what_speaks_of_the_node_is_transient(method: str, code: int, message: str) -> None:
    failure = failure_of_error(method, code, message, None)
    assert isinstance(failure, RpcUnavailable)
    assert isinstance(failure, TransientError)
    assert not isinstance(failure, (NodeLimited, NodeLacks))


KNOWN = {-32600, -32602, -32601, -32010, -32011, -32029, -32429, -32605, 429}


@given(
    code=st.integers(-(2**31) + 1, 2**31 - 1).filter(lambda code: code not in KNOWN),
    method=st.sampled_from(["getSlot", "getMultipleAccounts", "getLatestBlockhash", "getSignatureStatuses"]),
    message=st.text(max_size=30),
)
def test_no_code_that_is_not_known_ends_an_order(code: int, method: str, message: str) -> None:
    assert isinstance(failure_of_error(method, code, message, None), RpcUnavailable)


# --- a node that is asked too often --------------------------------------------------------------------------------

LIMITED: list[tuple[int, str]] = [
    (-32029, "Rate limit exceeded"),
    (429, "Too many requests for a specific RPC call"),
    (-32429, "slow down"),
    (-32605, "Rate Limit"),
    (-32005, "You've exceeded the RPS limit available on the current plan"),
    (-32007, "50/second request limit reached - reduce calls per second or upgrade your account"),
    (-32000, "Your app has exceeded its compute units per second capacity"),
    (-32602, "daily request quota used up"),
    (-32097, "THROTTLED"),
]


@pytest.mark.parametrize(("code", "message"), LIMITED)
def test_a_rate_limit_is_known_by_its_code_or_by_its_words(code: int, message: str) -> None:
    assert isinstance(failure_of_error("getLatestBlockhash", code, message, None), NodeLimited)


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize("body", [b"", b"<html>slow down</html>", {"error": "slow down"}, error_of(-32602)])
def test_a_wait_that_the_node_asks_for_by_http_is_told(status: int, body: object) -> None:
    with pytest.raises(NodeLimited) as limited:
        saying(status, body, Retry_After="7").get_slot()
    assert limited.value.retry_after_ms == 7_000


def test_a_limit_inside_an_answer_of_200_brings_its_header_along() -> None:
    with pytest.raises(NodeLimited) as limited:
        saying(200, error_of(-32029, "rate limit exceeded"), Retry_After="2").get_slot()
    assert limited.value.retry_after_ms == 2_000


WAITS: list[tuple[str, int | None]] = [
    ("1", 1_000),
    (" 30 ", 30_000),
    ("0.25", 250),
    (formatdate(NOW + 12, usegmt=True), 12_000),
    ("99999999", LONGEST_WAIT_MS),
    (formatdate(NOW - 12, usegmt=True), None),
    ("0", None),
    ("-3", None),
    ("soon", None),
    ("1e3", None),
    ("", None),
    ("Fri, 99 Foo 2025 25:61:00 GMT", None),
]


@pytest.mark.parametrize(("header", "wait_ms"), WAITS)
def test_a_retry_after_is_seconds_or_a_date_and_anything_else_is_none(header: str, wait_ms: int | None) -> None:
    with pytest.raises(NodeLimited) as limited:
        saying(429, Retry_After=header).get_slot()
    assert limited.value.retry_after_ms == wait_ms


def test_a_limit_without_a_word_about_when_is_a_limit() -> None:
    with pytest.raises(NodeLimited) as limited:
        saying(429).get_slot()
    assert limited.value.retry_after_ms is None


# --- a node that lacks something -----------------------------------------------------------------------------------

LACKING: list[tuple[int, str]] = [
    (-32601, "Method not found"),
    (-32602, "Unsupported method: getRecentPrioritizationFees. See available methods at https://docs.example"),
    (-32600, "The method getRecentPrioritizationFees is not available on the Free tier"),
    (-32000, "the method getRecentPrioritizationFees does not exist/is not available"),
    (-32011, "Transaction history is not available from this node"),
    (-32010, "AccountX excluded from account secondary indexes; this RPC method unavailable for key"),
]


@pytest.mark.parametrize(("code", "message"), LACKING)
def test_a_node_that_lacks_a_method_or_its_history_says_so_by_code_or_words(code: int, message: str) -> None:
    assert isinstance(failure_of_error("getRecentPrioritizationFees", code, message, None), NodeLacks)


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_method_that_is_not_offered_may_come_with_any_client_error(status: int) -> None:
    with pytest.raises(NodeLacks):
        saying(status, error_of(-32601, "Method not found")).get_recent_prioritization_fees([ADDRESS])


# --- HTTP ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 408, 413, 451, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", b"<html>Cloudflare</html>", error_of(-32602, "bad"), {"message": "no"}])
def test_a_providers_http_error_is_its_own_trouble_whatever_its_body(status: int, body: object) -> None:
    with pytest.raises(RpcUnavailable, match=str(status)):
        saying(status, body).get_slot()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>502</html>",
        b'{"jsonrpc": "2.0", "id": 1, "resu',
        {"jsonrpc": "2.0", "id": 2, "result": 5},
        {"jsonrpc": "2.0", "result": 5},
        {"jsonrpc": "2.0", "id": None, "result": 5},
        {"jsonrpc": "2.0", "id": "1", "result": 5},
        {"jsonrpc": "2.0", "id": 1, "error": "no"},
    ],
)
def test_an_answer_that_is_cut_off_or_is_anothers_is_no_answer(body: object) -> None:
    with pytest.raises(RpcUnavailable):
        saying(200, body).get_slot()


# --- batches -------------------------------------------------------------------------------------------------------


def read_at(slot: int, call: Mapping[str, Any]) -> dict[str, object]:
    result = slot if call["method"] == "getSlot" else {"context": {"slot": slot}, "value": [None]}
    return {"jsonrpc": "2.0", "id": call["id"], "result": result}


def test_the_slot_is_asked_for_beside_the_accounts_in_one_request() -> None:
    rpc = node(lambda request: (200, [read_at(9 if one["method"] == "getSlot" else 5, one) for one in request], {}))
    read = rpc.get_multiple_accounts([ADDRESS], beside_slot=True)
    assert (read.slot, read.newest_slot) == (5, 9)


def test_a_slot_that_is_refused_beside_them_leaves_the_accounts_as_they_are() -> None:
    """One limited call inside a batch fails alone."""

    def answer(request: Any) -> tuple[int, object, dict[str, str]]:
        accounts, slot = request
        return 200, [read_at(5, accounts), {**error_of(-32029, "rate limit"), "id": slot["id"]}], {}

    read = node(answer).get_multiple_accounts([ADDRESS], beside_slot=True)
    assert (read.slot, read.newest_slot) == (5, 5)


def test_accounts_that_are_refused_in_a_batch_fail_as_a_whole() -> None:
    def answer(request: Any) -> tuple[int, object, dict[str, str]]:
        first, second = request
        return 200, [read_at(5, first), {**error_of(-32029, "rate limit"), "id": second["id"]}], {}

    with pytest.raises(NodeLimited):
        node(answer).get_multiple_accounts([Pubkey.new_unique() for _ in range(101)])


BATCH_REFUSALS: dict[str, tuple[int, object]] = {
    "as an invalid request": (200, {**error_of(-32600, "batches are not allowed"), "id": None}),
    "by a code of its own": (200, {**error_of(-32098, "batch requests are only for paid plans"), "id": 7}),
    "with a client error": (403, b""),
    "as too large": (413, b"<html>"),
}


@pytest.mark.parametrize("refusal", BATCH_REFUSALS)
def test_a_node_that_takes_no_batches_is_asked_one_by_one_from_then_on(refusal: str) -> None:
    status, body = BATCH_REFUSALS[refusal]

    def answer(request: Any) -> tuple[int, object, dict[str, str]]:
        return (status, body, {}) if isinstance(request, list) else (200, read_at(5, request), {})

    http = Answering(answer)
    rpc = SolanaRpc("http://node.example", http=http)
    for _ in range(2):
        assert rpc.get_multiple_accounts([ADDRESS], beside_slot=True).slot == 5
    assert [isinstance(request, list) for request in http.requests] == [True, False, False, False, False]


def test_a_batch_that_is_limited_as_a_whole_is_not_asked_one_by_one() -> None:
    http = Answering(lambda request: (200, {**error_of(-32029, "rate limit exceeded"), "id": None}, {}))
    with pytest.raises(NodeLimited):
        SolanaRpc("http://node.example", http=http).get_multiple_accounts([ADDRESS], beside_slot=True)
    assert len(http.requests) == 1


@pytest.fixture
def served() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


def test_a_body_that_is_shorter_than_announced_is_no_answer(served: Node) -> None:
    class Short(bytes):
        def __len__(self) -> int:
            return super().__len__() + 10

    served.answer = lambda request: (200, Short(json.dumps({"id": request["id"], "result": 5}).encode()))
    with pytest.raises(RpcUnavailable):
        SolanaRpc(served.url, read_timeout=0.2).get_slot()


# --- compute units that aren't told --------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [{}, {"unitsConsumed": None}, {"unitsConsumed": 0}])
def test_units_that_are_missing_null_or_zero_are_unknown(told: dict[str, object]) -> None:
    result = {"context": {"slot": 5}, "value": {"err": None, "logs": [], **told}}
    simulation = saying(200, {"jsonrpc": "2.0", "id": 1, "result": result}).simulate_transaction(b"wire")
    assert simulation.units_consumed is None
