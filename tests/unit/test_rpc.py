"""The JSON-RPC client against a real HTTP server: what it asks, what it reads, and what it makes of trouble."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.problems import PermanentError, RpcRefused, RpcUnavailable, TransientError
from chalicelib.solana.accounts import Account
from chalicelib.solana.rpc import (
    AccountFilter,
    EpochInfo,
    LatestBlockhash,
    SignatureStatus,
    SignatureStatuses,
    Simulation,
    SolanaRpc,
)
from chalicelib.solana.rpc_errors import PreflightFailed

KEY = "s3cr3t-api-key-0123456789"
OWNER = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
HANG_UP = object()

# From a request's body to (HTTP status, body); HANG_UP closes the connection without an answer.
Answer = Callable[[Any], Any]


class Node:
    """An HTTP server that records requests and answers each as `answer` says."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.connections: set[tuple[str, int]] = set()
        self.answer: Answer = lambda request: (200, b"")
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.requests.append(request)
                node.connections.add(self.client_address)
                answer = node.answer(request)
                if answer is HANG_UP:
                    self.close_connection = True
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/{KEY}/?api-key={KEY}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def results(self, *results: object) -> None:
        """Answer the calls, in a batch or not, with these results in turn, the last one for ever."""
        script = list(results)

        def answer(request: Any) -> tuple[int, bytes]:
            calls = request if isinstance(request, list) else [request]
            answers = [
                {"jsonrpc": "2.0", "id": call["id"], "result": script.pop(0) if len(script) > 1 else script[0]}
                for call in calls
            ]
            # A batch's answers may come in any order.
            return 200, json.dumps(answers[::-1] if isinstance(request, list) else answers[0]).encode()

        self.answer = answer

    def error(self, code: int, message: str = "no", data: object = None, *, status: int = 200) -> None:
        error = {"code": code, "message": message, "data": data}
        self.answer = lambda request: (
            status,
            json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode(),
        )


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


@pytest.fixture
def rpc(node: Node) -> SolanaRpc:
    return SolanaRpc(node.url, connect_timeout=5.0, read_timeout=5.0)


def _in_context(slot: int, value: object) -> dict[str, object]:
    return {"context": {"slot": slot, "apiVersion": "3.0"}, "value": value}


def _account(lamports: int, data: bytes = b"") -> dict[str, object]:
    return {
        "owner": str(OWNER),
        "lamports": lamports,
        "data": [base64.b64encode(data).decode(), "base64"],
        "executable": False,
        "rentEpoch": 18446744073709551615,
        "space": len(data),
    }


def test_accounts_are_read_with_their_slot_and_missing_ones_are_none(node: Node, rpc: SolanaRpc) -> None:
    node.results(_in_context(42, [_account(7, b"\x00\xff"), None]))
    present, missing = Pubkey.new_unique(), Pubkey.new_unique()
    read = rpc.get_multiple_accounts([present, missing, present], commitment="processed")
    assert read.slot == 42
    assert read.accounts == {present: Account(OWNER, 7, b"\x00\xff"), missing: None}
    assert node.requests[0]["method"] == "getMultipleAccounts"
    assert node.requests[0]["params"] == [
        [str(present), str(missing)],
        {"encoding": "base64", "commitment": "processed"},
    ]


def test_a_programs_accounts_are_found_by_length_and_bytes_and_read_in_part(node: Node, rpc: SolanaRpc) -> None:
    first, program = Pubkey.new_unique(), Pubkey.new_unique()
    node.results([{"pubkey": str(first), "account": _account(7, b"ab")}])
    found = rpc.get_program_accounts(program, AccountFilter(637, ((0, b"\1\2"), (168, b"\3"))), part=range(168, 232))
    assert found == {first: Account(OWNER, 7, b"ab")}
    assert node.requests[0]["method"] == "getProgramAccounts"
    asked_for, config = node.requests[0]["params"]
    assert asked_for == str(program)
    assert config["dataSlice"] == {"offset": 168, "length": 64}
    assert config["filters"] == [
        {"dataSize": 637},
        {"memcmp": {"offset": 0, "bytes": "AQI=", "encoding": "base64"}},
        {"memcmp": {"offset": 168, "bytes": "Aw==", "encoding": "base64"}},
    ]


def test_more_than_a_hundred_accounts_are_one_request_and_report_the_lowest_slot(node: Node, rpc: SolanaRpc) -> None:
    addresses = [Pubkey.new_unique() for _ in range(250)]

    def answer(request: Any) -> tuple[int, bytes]:
        lamports = {str(address): index for index, address in enumerate(addresses)}
        answers = [
            {
                "jsonrpc": "2.0",
                "id": call["id"],
                "result": _in_context(100 - slot, [_account(lamports[address]) for address in call["params"][0]]),
            }
            for slot, call in enumerate(request)
        ]
        return 200, json.dumps(answers[::-1]).encode()

    node.answer = answer
    read = rpc.get_multiple_accounts(addresses)
    assert [len(call["params"][0]) for call in node.requests[0]] == [100, 100, 50]
    assert len(node.requests) == 1
    assert read.slot == 98
    assert [account.lamports for account in read.accounts.values() if account] == list(range(250))


def test_a_refused_batch_is_refused_with_the_nodes_reason(node: Node, rpc: SolanaRpc) -> None:
    refusal = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batches are not allowed"}}
    node.answer = lambda request: (200, json.dumps(refusal).encode())
    with pytest.raises(RpcRefused, match="batches are not allowed"):
        rpc.get_multiple_accounts([Pubkey.new_unique() for _ in range(101)])


def test_reading_no_accounts_is_a_mistake(rpc: SolanaRpc) -> None:
    with pytest.raises(ValueError):
        rpc.get_multiple_accounts([])


def test_the_blockhash_and_its_last_height_come_from_one_answer(node: Node, rpc: SolanaRpc) -> None:
    blockhash = Hash.new_unique()
    node.results(_in_context(9, {"blockhash": str(blockhash), "lastValidBlockHeight": 1_150}))
    assert rpc.get_latest_blockhash() == LatestBlockhash(blockhash, 1_150, 9)
    assert node.requests[0]["params"] == [{"commitment": "confirmed"}]
    assert len(node.requests) == 1


def test_slot_and_block_height_of_one_commitment_come_from_one_answer(node: Node, rpc: SolanaRpc) -> None:
    node.results({"absoluteSlot": 500, "blockHeight": 480, "epoch": 3, "slotIndex": 1, "slotsInEpoch": 432_000})
    assert rpc.get_epoch_info(commitment="finalized") == EpochInfo(slot=500, block_height=480, epoch=3)
    assert node.requests[0]["params"] == [{"commitment": "finalized"}]


def test_plain_numbers_are_read_exactly(node: Node, rpc: SolanaRpc) -> None:
    node.results(18446744073709551615)
    assert rpc.get_slot() == 18446744073709551615
    assert rpc.get_minimum_balance_for_rent_exemption(165) == 18446744073709551615


def test_priority_fees_are_those_of_the_named_accounts_oldest_first(node: Node, rpc: SolanaRpc) -> None:
    node.results([{"slot": 3, "prioritizationFee": 30}, {"slot": 1, "prioritizationFee": 10}])
    addresses = [Pubkey.new_unique() for _ in range(130)]
    assert rpc.get_recent_prioritization_fees(addresses) == (10, 30)
    assert node.requests[0]["params"] == [[str(address) for address in addresses[:128]]]


def test_signature_statuses_tell_slot_error_and_confirmation(node: Node, rpc: SolanaRpc) -> None:
    failure = {"InstructionError": [5, {"Custom": 6005}]}
    node.results(
        _in_context(
            90,
            [
                None,
                {"slot": 80, "confirmations": 5, "err": failure, "confirmationStatus": "confirmed"},
                {"slot": 10, "confirmations": None, "err": None},
                {"slot": 89, "confirmations": 0, "err": None},
            ],
        )
    )
    assert rpc.get_signature_statuses(["a", "b", "c", "d"], search_history=True) == SignatureStatuses(
        90,
        (
            None,
            SignatureStatus(80, failure, "confirmed"),
            SignatureStatus(10, None, "finalized"),
            SignatureStatus(89, None, "processed"),
        ),
    )
    assert node.requests[0]["params"] == [["a", "b", "c", "d"], {"searchTransactionHistory": True}]


def test_statuses_for_another_number_of_signatures_are_not_believed(node: Node, rpc: SolanaRpc) -> None:
    node.results(_in_context(90, []))
    with pytest.raises(RpcUnavailable):
        rpc.get_signature_statuses(["a"], search_history=True)


@pytest.mark.parametrize("number", [0, 257])
def test_statuses_are_asked_for_1_to_256_signatures(rpc: SolanaRpc, number: int) -> None:
    with pytest.raises(ValueError):
        rpc.get_signature_statuses(["a"] * number, search_history=True)


def test_an_unknown_transaction_is_none_and_a_known_one_its_json(node: Node, rpc: SolanaRpc) -> None:
    message = {"accountKeys": [str(OWNER)], "instructions": [{"programIdIndex": 0}]}
    landed = {"slot": 1, "meta": {"err": None, "logMessages": ["one"]}, "transaction": {"message": message}}
    node.results(None, landed)
    assert rpc.get_transaction("a") is None
    assert rpc.get_transaction("a") == landed
    assert node.requests[0]["params"] == [
        "a",
        {"commitment": "confirmed", "encoding": "json", "maxSupportedTransactionVersion": 1},
    ]


def test_a_simulation_needs_neither_signature_nor_blockhash(node: Node, rpc: SolanaRpc) -> None:
    node.results(_in_context(5, {"err": "AccountNotFound", "logs": ["a"], "unitsConsumed": 150, "accounts": None}))
    assert rpc.simulate_transaction(b"wire") == Simulation(5, "AccountNotFound", ("a",), 150)
    wire, config = node.requests[0]["params"]
    assert base64.b64decode(wire) == b"wire"
    assert config == {
        "commitment": "confirmed",
        "encoding": "base64",
        "sigVerify": False,
        "replaceRecentBlockhash": True,
    }


def test_a_send_hands_over_the_bytes_and_asks_the_node_not_to_repeat_them(node: Node, rpc: SolanaRpc) -> None:
    node.results("signature")
    assert rpc.send_transaction(b"wire", skip_preflight=True) == "signature"
    wire, config = node.requests[0]["params"]
    assert base64.b64decode(wire) == b"wire"
    assert config == {
        "encoding": "base64",
        "skipPreflight": True,
        "preflightCommitment": "confirmed",
        "maxRetries": 0,
    }


def test_a_failed_preflight_carries_the_simulations_error_and_logs(node: Node, rpc: SolanaRpc) -> None:
    node.error(-32002, "Transaction simulation failed", {"err": "BlockhashNotFound", "logs": ["one"], "accounts": None})
    with pytest.raises(PreflightFailed) as caught:
        rpc.send_transaction(b"wire", skip_preflight=False)
    assert (caught.value.err, caught.value.logs) == ("BlockhashNotFound", ("one",))


@pytest.mark.parametrize("code", [-32600, -32602])
def test_a_refusal_is_permanent_and_says_which_method_and_why(node: Node, rpc: SolanaRpc, code: int) -> None:
    node.error(code, "that won't do", {"more": 1})
    with pytest.raises(RpcRefused, match=r"refused getSlot: that won't do") as caught:
        rpc.get_slot()
    assert isinstance(caught.value, PermanentError)
    assert (caught.value.rpc_code, caught.value.data) == (code, {"more": 1})


@pytest.mark.parametrize("code", [-32001, -32004, -32005, -32014, -32016, -32603, 429])
def test_an_error_that_is_about_the_nodes_state_is_transient(node: Node, rpc: SolanaRpc, code: int) -> None:
    node.error(code, "later")
    with pytest.raises(RpcUnavailable, match="later") as caught:
        rpc.get_slot()
    assert isinstance(caught.value, TransientError)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_error_is_transient_whatever_its_body(node: Node, rpc: SolanaRpc, status: int) -> None:
    node.answer = lambda request: (status, b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32602}}')
    with pytest.raises(RpcUnavailable, match=str(status)):
        rpc.get_slot()


def test_a_json_rpc_error_with_an_http_client_error_is_read(node: Node, rpc: SolanaRpc) -> None:
    node.error(-32602, "bad parameters", status=400)
    with pytest.raises(RpcRefused, match="bad parameters"):
        rpc.get_slot()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"3",
        b"{}",
        b'{"id": 999, "result": 3}',
        b'{"id": 1, "result": "three"}',
        b'{"id": 1, "result": null}',
        b'{"id": 1, "error": "no"}',
        b"\xff",
    ],
)
def test_an_answer_of_an_unexpected_shape_is_no_answer(node: Node, rpc: SolanaRpc, body: bytes) -> None:
    node.answer = lambda request: (200, body)
    with pytest.raises(RpcUnavailable):
        rpc.get_slot()


def test_an_account_of_an_unexpected_shape_is_no_answer(node: Node, rpc: SolanaRpc) -> None:
    node.results(_in_context(1, [{"owner": "nobody"}]))
    with pytest.raises(RpcUnavailable, match="getMultipleAccounts"):
        rpc.get_multiple_accounts([OWNER])


def test_redirects_are_not_followed(node: Node, rpc: SolanaRpc) -> None:
    node.answer = lambda request: (307, b"")
    with pytest.raises(RpcUnavailable, match="307"):
        rpc.get_slot()
    assert len(node.requests) == 1


def test_one_connection_serves_many_requests(node: Node, rpc: SolanaRpc) -> None:
    node.results(1)
    for _ in range(5):
        rpc.get_slot()
    assert len(node.connections) == 1


def _hang_up_once(node: Node) -> None:
    node.results(7)
    then = node.answer
    calls = iter([HANG_UP])
    node.answer = lambda request: next(calls, None) or then(request)


def test_a_read_is_asked_again_once_when_its_kept_alive_connection_breaks(node: Node, rpc: SolanaRpc) -> None:
    node.results(1)
    rpc.get_slot()
    _hang_up_once(node)
    assert rpc.get_slot() == 7
    assert len(node.requests) == 3


def test_a_read_is_not_asked_a_third_time(node: Node, rpc: SolanaRpc) -> None:
    node.answer = lambda request: HANG_UP
    with pytest.raises(RpcUnavailable):
        rpc.get_slot()
    assert len(node.requests) == 2


def test_a_send_is_never_repeated_by_the_client(node: Node, rpc: SolanaRpc) -> None:
    _hang_up_once(node)
    with pytest.raises(RpcUnavailable):
        rpc.send_transaction(b"wire", skip_preflight=True)
    assert len(node.requests) == 1


def test_a_node_that_does_not_answer_in_time_is_unavailable(node: Node) -> None:
    given_up = threading.Event()
    node.answer = lambda request: HANG_UP if given_up.wait(30) else (200, b"")
    with pytest.raises(RpcUnavailable, match="ReadTimeoutError"):
        SolanaRpc(node.url, read_timeout=0.05).get_slot()
    given_up.set()


def test_a_node_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rpc = SolanaRpc(f"http://127.0.0.1:{unused.getsockname()[1]}/{KEY}")
        with pytest.raises(RpcUnavailable, match="can't be reached"):
            rpc.get_slot()


def test_no_error_text_and_no_repr_holds_the_key_in_the_url(node: Node, rpc: SolanaRpc) -> None:
    def texts() -> Iterator[str]:
        yield repr(rpc)
        for trouble in (
            lambda request: HANG_UP,
            lambda request: (200, b"what"),
            lambda request: (503, KEY.encode()),
            lambda request: (
                200,
                json.dumps(
                    {"id": request["id"], "error": {"code": -32602, "message": f"{KEY} is no valid key"}}
                ).encode(),
            ),
        ):
            node.answer = trouble
            with pytest.raises((RpcUnavailable, RpcRefused)) as caught:
                rpc.get_slot()
            yield str(caught.value)
        with pytest.raises(RpcUnavailable) as unreachable:
            SolanaRpc(f"http://user:{KEY}@127.0.0.1:1/{KEY}?key={KEY}").get_slot()
        yield str(unreachable.value)
        assert unreachable.value.__suppress_context__

    for text in texts():
        assert KEY not in text


def test_a_key_that_the_node_repeats_is_blotted_out(node: Node, rpc: SolanaRpc) -> None:
    node.error(-32602, f"key {KEY} has expired")
    with pytest.raises(RpcRefused, match=r"key \*\*\* has expired"):
        rpc.get_slot()
