"""A Solana node that lies, rambles or trickles: every answer is read exactly, or is no answer. There is no third."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError, RpcRefused, RpcUnavailable
from chalicelib.solana.fill import FillUnreadable, read_fill
from chalicelib.solana.landing import FateWatch
from chalicelib.solana.rpc import AccountFilter, SolanaRpc
from chalicelib.solana.rpc_answers import MAX_ANSWER_BYTES, MAX_LINE_LENGTH
from chalicelib.solana.tokens import NATIVE_MINT
from chalicelib.venues.supported import error_classifier
from tests.http_answers import answered

ERRORS = error_classifier()
KEY, OTHER = Pubkey(bytes([7] * 32)), Pubkey(bytes([8] * 32))

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 3)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        [2**64, 10**400, "base64", "finalized", "InstructionError", "Custom", str(KEY), "\ud800", "\n\x1b[31m"]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["err", "meta", "Custom", "InstructionError", "value", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def mutated(whole: Any) -> st.SearchStrategy[Any]:
    """An honest answer of which some part, at any depth, is anything."""
    if isinstance(whole, dict):
        parts = {name: mutated(part) for name, part in whole.items()}
        cut = st.sets(st.sampled_from(sorted(whole)), max_size=1) if whole else st.just(set())
        kept = st.tuples(st.fixed_dictionaries(parts), cut).map(
            lambda pair: {name: part for name, part in pair[0].items() if name not in pair[1]}
        )
        return st.integers(0, 9).flatmap(lambda dice: JSON if dice == 9 else kept)
    if isinstance(whole, list):
        several = st.tuples(*map(mutated, whole)).map(list)
        return st.integers(0, 9).flatmap(lambda dice: JSON if dice == 9 else several)
    return st.integers(0, 9).flatmap(lambda dice: JSON if dice >= 8 else st.just(whole))


ACCOUNT = {"owner": str(KEY), "lamports": 1, "data": ["AAEC", "base64"], "executable": False, "space": 3}
BALANCE = {"accountIndex": 0, "mint": str(KEY), "owner": str(KEY), "uiTokenAmount": {"amount": "5"}}
TRANSACTION: dict[str, Any] = {
    "slot": 5,
    "meta": {
        "err": {"InstructionError": [0, {"Custom": 6005}]},
        "fee": 5000,
        "preBalances": [10, 10],
        "postBalances": [4, 10],
        "preTokenBalances": [BALANCE],
        "postTokenBalances": [{**BALANCE, "uiTokenAmount": {"amount": "9"}}],
        "loadedAddresses": {"writable": [], "readonly": []},
        "logMessages": [f"Program {KEY} failed: custom program error"],
    },
    "transaction": {"message": {"accountKeys": [str(KEY), str(OTHER)], "instructions": [{"programIdIndex": 1}]}},
}
CONTEXT = {"slot": 9, "apiVersion": "3.0"}
STATUS = {"slot": 4, "confirmations": None, "err": None, "confirmationStatus": "finalized"}

Call = Callable[[SolanaRpc], object]
CALLS: dict[str, tuple[Call, Any]] = {
    "getMultipleAccounts": (
        lambda rpc: rpc.get_multiple_accounts([KEY, OTHER]),
        {"context": CONTEXT, "value": [ACCOUNT, None]},
    ),
    "getProgramAccounts": (
        lambda rpc: rpc.get_program_accounts(KEY, AccountFilter(3, ((0, b"\0"),)), part=range(3)),
        [{"pubkey": str(KEY), "account": ACCOUNT}],
    ),
    "getLatestBlockhash": (
        lambda rpc: rpc.get_latest_blockhash(),
        {"context": CONTEXT, "value": {"blockhash": str(KEY), "lastValidBlockHeight": 150}},
    ),
    "getEpochInfo": (lambda rpc: rpc.get_epoch_info(), {"absoluteSlot": 5, "blockHeight": 4, "epoch": 0}),
    "getSlot": (lambda rpc: rpc.get_slot(), 5),
    "getRecentPrioritizationFees": (
        lambda rpc: rpc.get_recent_prioritization_fees([KEY]),
        [{"slot": 1, "prioritizationFee": 5}, {"slot": 2, "prioritizationFee": 6}],
    ),
    "getSignatureStatuses": (
        lambda rpc: rpc.get_signature_statuses(["a"], search_history=True),
        {"context": CONTEXT, "value": [STATUS]},
    ),
    "getTransaction": (lambda rpc: rpc.get_transaction("a"), TRANSACTION),
    "simulateTransaction": (
        lambda rpc: rpc.simulate_transaction(b"wire"),
        {"context": CONTEXT, "value": {"err": TRANSACTION["meta"]["err"], "logs": ["one"], "unitsConsumed": 5}},
    ),
    "sendTransaction": (lambda rpc: rpc.send_transaction(b"wire", skip_preflight=False), str(KEY)),
}
PREFLIGHT_FAILURE = {"code": -32002, "message": "no", "data": {"err": "AccountInUse", "logs": ["a"]}}


class Answering(urllib3.PoolManager):
    """Connections to a node that answers every request with this body."""

    def __init__(self, body: bytes, **headers: str) -> None:
        super().__init__()
        self._body, self._headers = body, headers

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.HTTPResponse:  # type: ignore[override]
        return answered(self._body, options, self._headers)


def node(body: object, **headers: str) -> SolanaRpc:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return SolanaRpc("http://node.example", http=Answering(raw, **headers))


def is_a_short_line(text: str) -> bool:
    return text.isprintable() and len(text) < 2 * MAX_LINE_LENGTH


@pytest.mark.parametrize("method", CALLS)
def test_an_honest_answer_is_read(method: str) -> None:
    call, honest = CALLS[method]
    call(node({"jsonrpc": "2.0", "id": 1, "result": honest}))


@pytest.mark.parametrize("method", CALLS)
def test_any_answer_is_read_or_is_none(method: str) -> None:
    call, honest = CALLS[method]

    @given(mutated({"jsonrpc": "2.0", "id": 1, "result": honest}) | st.lists(JSON, max_size=2) | JSON)
    @settings(max_examples=80, deadline=None)
    def asked(answer: object) -> None:
        said = ""
        try:
            call(node(answer))
        except (RpcUnavailable, RpcRefused) as error:
            said = str(error)
        assert is_a_short_line(said)

    asked()


@given(st.fixed_dictionaries({"id": st.just(1) | JSON, "error": mutated(PREFLIGHT_FAILURE)}))
@settings(max_examples=200, deadline=None)
def test_any_error_is_read_or_is_no_answer(answer: object) -> None:
    with pytest.raises((RpcUnavailable, RpcRefused)) as caught:
        node(answer).send_transaction(b"wire", skip_preflight=False)
    assert is_a_short_line(str(caught.value))


@given(mutated(TRANSACTION))
@settings(max_examples=300, deadline=None)
def test_any_landed_transaction_is_understood_or_left_undecided(transaction: object) -> None:
    try:
        landed = node({"id": 1, "result": transaction}).get_transaction("a")
        if landed is not None:
            failure = ERRORS.failure_of(landed)
            assert is_a_short_line(str(failure))
            read_fill(landed, KEY, NATIVE_MINT, KEY)
    except (RpcUnavailable, FillUnreadable):
        pass  # asked again later


@given(
    mutated({"context": CONTEXT, "value": {"err": TRANSACTION["meta"]["err"], "logs": [f"Program {KEY} failed: x"]}})
)
@settings(max_examples=200, deadline=None)
def test_any_failed_simulation_is_classified_or_is_no_answer(result: object) -> None:
    try:
        simulation = node({"id": 1, "result": result}).simulate_transaction(b"wire")
    except RpcUnavailable:
        return
    if simulation.err is not None:
        failure = ERRORS.classify(simulation.err, [KEY], simulation.logs)
        assert failure is None or isinstance(failure, ExecutionError)


@given(mutated({"context": CONTEXT, "value": [STATUS]}))
@settings(max_examples=100, deadline=None)
def test_a_transactions_fate_is_asked_for_without_a_surprise(result: object) -> None:
    FateWatch(node({"id": 1, "result": result}), "a", 150).look()


# --- how much, and for how long -----------------------------------------------------------------------------------


def test_an_answer_longer_than_any_honest_one_is_not_read_to_its_end() -> None:
    asked = node(b'{"id": 1, "result": "' + b"x" * MAX_ANSWER_BYTES + b'"}')
    with pytest.raises(RpcUnavailable, match="too long"):
        asked.get_slot()


def test_an_answer_that_unpacks_to_more_than_that_is_not_unpacked_to_its_end() -> None:
    packed = gzip.compress(b" " * (3 * MAX_ANSWER_BYTES))
    assert len(packed) < MAX_ANSWER_BYTES
    with pytest.raises(RpcUnavailable, match="too long"):
        node(packed, **{"content-encoding": "gzip"}).get_slot()


def test_a_packed_answer_is_unpacked() -> None:
    assert node(gzip.compress(b'{"id": 1, "result": 7}'), **{"content-encoding": "gzip"}).get_slot() == 7


def test_a_node_that_trickles_holds_nobody_up() -> None:
    """Each part comes in time, so that no time-out of the connection's ends it."""

    class Trickling(Answering):
        def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.HTTPResponse:  # type: ignore[override]
            response = super().urlopen(method, url, redirect, **options)
            response.read1 = lambda *_: b" "  # type: ignore[method-assign]
            return response

    seconds = iter(range(1_000_000))
    rpc = SolanaRpc("http://node.example", http=Trickling(b""), read_timeout=5, clock=lambda: next(seconds))
    with pytest.raises(RpcUnavailable, match="takes too long"):
        rpc.get_slot()
    assert next(seconds) < 20


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 100_000, b"\xff\xfe1\x00", b"-", b"NaN"])
def test_what_no_parser_should_be_given_is_no_answer(body: bytes) -> None:
    with pytest.raises(RpcUnavailable):
        node(body).get_slot()


@pytest.mark.parametrize("number", ["1e999", "-1", "1.5", "true", '"7"', str(2**64), "NaN", "null", "[7]"])
def test_what_is_no_u64_is_no_slot(number: str) -> None:
    with pytest.raises(RpcUnavailable):
        node(b'{"id": 1, "result": ' + number.encode() + b"}").get_slot()


def test_a_nodes_words_come_out_as_one_short_printable_line() -> None:
    said = "bad\r\n\x1b[31m\u202e\u2028\x00\ud800" + "x" * 1_000_000
    with pytest.raises(RpcRefused) as caught:
        node({"id": 1, "error": {"code": -32602, "message": said}}).get_slot()
    assert is_a_short_line(str(caught.value))
