"""What is logged can't be forged by those who are logged about, and tells no secret."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from chalicelib import telemetry
from chalicelib.log import carried, context, logger
from chalicelib.problems import RpcUnavailable
from chalicelib.solana.circuit_breaker import BreakerPolicy
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.rpc import SolanaRpc

KEY = "s3cr3t-api-key-0123456789"
NASTY = st.text(max_size=30) | st.sampled_from(
    ["\n", '\r\n{"level":"INFO","message":"forged"}', "\x1b[31m", "\x9b31m", "\x7f", "\u2028", "\u202e", "\ud800"]
)


@pytest.fixture(scope="module")
def log() -> Iterator[io.StringIO]:
    """What the product's logger writes, at every level."""
    (handler,) = telemetry.logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    written, stream, level = io.StringIO(), handler.stream, telemetry.logger.log_level
    handler.setStream(written)
    telemetry.logger.setLevel("DEBUG")
    yield written
    handler.setStream(stream)
    telemetry.logger.setLevel(level)


def test_the_framework_writes_nothing_besides() -> None:
    assert app.app.log.name == telemetry.logger.service, "they share a logger"
    assert len(app.app.log.handlers) == 1


def written(log: io.StringIO) -> str:
    text = log.getvalue()
    log.seek(0)
    log.truncate()
    return text


@given(value=NASTY)
def test_a_record_is_one_line_of_printable_ascii_whatever_is_in_it(log: io.StringIO, value: str) -> None:
    logger.info("told", order_id=value, nested={value: [value]})
    line = written(log)
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    record = json.loads(line)
    assert (record["message"], record["order_id"], record["nested"]) == ("told", value, {value: [value]})


@given(said=NASTY)
def test_an_exceptions_text_forges_no_line_either(log: io.StringIO, said: str) -> None:
    try:
        raise ValueError(said)
    except ValueError:
        logger.exception("failed", error=ValueError(said))
    (line,) = written(log).splitlines()
    assert json.loads(line)["level"] == "ERROR"
    assert line.isprintable()


def test_the_domains_lines_are_those_that_the_frameworks_own_logger_would_write(log: io.StringIO) -> None:
    """Keys, their order and the place in the code; the domain knows the standard library's logger alone."""
    with telemetry.logger.append_context_keys(function="f", correlation_id=""):
        telemetry.logger.warning("told", order_id="order-1", nothing=None, steps=[{"seq": 1}])
    theirs = written(log)
    with context(function="f", correlation_id=""):
        logger.warning("told", order_id="order-1", nothing=None, steps=[{"seq": 1}])
    ours = written(log)

    def ordered(line: str) -> list[tuple[str, object]]:
        record = json.loads(line)
        name, number = record["location"].split(":")
        assert int(number) > 0
        return [*{**record, "location": name, "timestamp": "then"}.items()]

    assert ordered(ours) == ordered(theirs)


def test_what_lines_carry_ends_with_its_context_and_what_was_carried_before_is_back() -> None:
    with context(function="f", correlation_id="outer"):
        with suppress(ZeroDivisionError), context(correlation_id="inner", order_id="order-1"):
            assert (carried("function"), carried("correlation_id")) == ("f", "inner")
            raise ZeroDivisionError
        assert (carried("correlation_id"), carried("order_id")) == ("outer", None)
    assert carried("function") is None


def test_what_a_send_beside_the_invocation_logs_carries_what_the_invocations_lines_do(log: io.StringIO) -> None:
    """Each node is told on a thread of its own."""
    nobody = SolanaRpc("http://127.0.0.1:9")
    rpc = FailoverRpc([nobody], lambda: 0, BreakerPolicy(failures_to_open=1))
    with context(correlation_id="a-request"), pytest.raises(RpcUnavailable):
        rpc.send_transaction(b"wire", skip_preflight=True)
    (line,) = [json.loads(line) for line in written(log).splitlines()]
    assert (line["message"], line["correlation_id"]) == ("solana node left alone", "a-request")


def test_what_one_threads_lines_carry_is_nothing_to_anothers() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with context(order_id="theirs"):
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with context(order_id="ours"):
        thread.start()
        assert entered.wait(60)
        assert carried("order_id") == "ours"
    assert carried("order_id") is None
    leave.set()
    thread.join()
    assert carried("order_id") is None


@pytest.mark.parametrize(
    ("library", "level"),
    [
        ("botocore.endpoint", logging.DEBUG),
        ("botocore.parsers", logging.DEBUG),
        ("botocore.auth", logging.DEBUG),
        ("boto3.resources", logging.DEBUG),
        ("urllib3.connectionpool", logging.DEBUG),
        ("urllib3.connection", logging.WARNING),
    ],
)
def test_libraries_that_write_down_requests_stay_quiet_at_any_root_level(
    library: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert not logging.getLogger(library).isEnabledFor(level)


def test_no_answer_of_a_node_gets_the_key_in_its_url_logged(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 warns of malformed headers and names the whole URL."""
    caplog.set_level(logging.DEBUG)
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = server.accept()
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX\r\nY: 1\r\n\r\n{}")
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(RpcUnavailable):
        SolanaRpc(f"http://127.0.0.1:{server.getsockname()[1]}/v1/{KEY}").get_slot()
    thread.join()
    server.close()
    assert KEY not in caplog.text
