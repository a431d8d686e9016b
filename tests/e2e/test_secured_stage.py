"""The core of what is promised, again on the stage `prod`: with keys, tickets and a wallet in KMS, where every
signature is verified and every role has its own rights only.

The specifications are those of the local stage, run on another stack; what they lack, a cancel, a sweep and a redrive,
is here. A right that a function needs and doesn't have shows as one of these failing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from chalicelib.access.keys import Scope
from infra.project import PROJECT
from operations import keys
from operations.target import EmulatorCredentials, target_of
from testing.client import PATIENCE_SECONDS, Client, eventually
from testing.emulator import root_session
from tests.e2e.test_accounts import (  # noqa: F401 - run here by being here
    alice,
    mallory,
    test_a_connection_that_talks_too_much_is_told_so_and_closed,
    test_a_key_is_refused_from_the_moment_when_it_is_revoked,
    test_a_reader_reads_and_does_not_trade,
    test_a_ticket_lets_one_connection_in,
    test_the_accounts_stream_tells_every_change_of_all_its_orders_and_of_no_other,
)
from tests.e2e.test_foreign_pages import TestAPageOfAnotherOrigin, TestAProgram, nothing_changes  # noqa: F401
from tests.e2e.test_orders import (  # noqa: F401
    test_a_late_subscriber_sees_the_whole_history_and_is_closed,
    test_a_quote_is_what_an_order_then_gets,
    test_health_tells_each_part,
    test_orders_are_listed_newest_first_page_by_page,
    tokens,
)

Aws = Any


@pytest.fixture(scope="module")
def stack(secured_stack: dict[str, str]) -> dict[str, str]:
    return secured_stack


@pytest.fixture(scope="module")
def client(stack: dict[str, str]) -> Client:
    return Client(stack["restUrl"], stack["apiKey"])


@pytest.fixture(scope="module")
def aws(stack: dict[str, str]) -> Aws:
    """Clients of the operator."""
    session = root_session(stack)
    return lambda service: session.client(service, endpoint_url=stack["awsEndpoint"])


@pytest.fixture
def idle_workers(aws: Aws, stack: dict[str, str]) -> Iterator[None]:
    """While the queue isn't read, orders stay pending."""
    let_workers_read(aws, stack, False)
    yield
    let_workers_read(aws, stack, True)


def let_workers_read(aws: Aws, stack: dict[str, str], enabled: bool) -> None:
    mappings = aws("lambda").list_event_source_mappings(FunctionName=stack["workerFunction"])
    (mapping,) = mappings["EventSourceMappings"]
    aws("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=enabled)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orders/execute"),
        ("GET", "/orders"),
        ("GET", "/orders/any"),
        ("DELETE", "/orders/any"),
        ("POST", "/ws-tickets"),
        ("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=1"),
        ("GET", "/tokens"),
    ],
)
def test_nothing_is_served_without_a_key(stack: dict[str, str], method: str, path: str) -> None:
    reply = Client(stack["restUrl"]).call(method, path, {} if method == "POST" else None)
    assert reply.status == reply.body["status"] == 401
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert reply.headers["strict-transport-security"] == "max-age=31536000"


def test_health_and_the_apis_description_are_for_everybody(stack: dict[str, str]) -> None:
    nobody = Client(stack["restUrl"])
    assert [nobody.call("GET", path).status for path in ("/health", "/openapi.json")] == [200, 200]


def test_a_connection_without_a_ticket_is_refused(stack: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus), connect(stack["wsUrl"]):
        pass


def test_an_order_that_has_not_started_is_cancelled(idle_workers: None, client: Client) -> None:
    order_id = client.execute("USDC", "SOL", "2")["orderId"]
    reply = client.call("DELETE", f"/orders/{order_id}")
    assert (reply.status, reply.body["status"]) == (200, "cancelled")


def test_an_open_order_of_a_key_that_is_revoked_does_not_trade(
    idle_workers: None, aws: Aws, client: Client, stack: dict[str, str]
) -> None:
    administration = keys.administration(target_of(stack, "prod", stack["awsEndpoint"]))
    stolen = administration.create("local", frozenset({Scope.TRADE, Scope.READ}))
    order_id = Client(stack["restUrl"], stolen.secret).execute("USDC", "SOL", "2")["orderId"]
    administration.revoke(stolen.key.key_id)
    let_workers_read(aws, stack, True)
    order = client.ended(order_id)
    assert (order["status"], order.get("errorCode"), order.get("txHash")) == ("failed", "KEY_REVOKED", None)


def test_the_sweep_clears_away_the_dead_letter_of_an_order_that_went_on(
    aws: Aws,
    client: Client,
    stack: dict[str, str],
) -> None:
    order_id = client.execute("USDC", "USDT", "2")["orderId"]
    assert client.ended(order_id)["status"] == "confirmed"
    _bury(aws, stack, order_id)
    sweep = next(it for it in aws("lambda").list_functions()["Functions"] if it["Handler"] == "app.sweep")
    answer = aws("lambda").invoke(FunctionName=sweep["FunctionName"], Payload=json.dumps(_SCHEDULED).encode())
    assert "FunctionError" not in answer, answer["Payload"].read()
    eventually(lambda: _buried(aws, stack) == 0)


@pytest.mark.parametrize("waits", [{"type": "stop", "stopPrice": "100000"}, {"type": "limit", "limitPrice": "0.1"}])
def test_what_waits_is_handed_over_and_sold(client: Client, waits: dict[str, str]) -> None:
    trade = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.1", "slippage": "0.05", "force": True}
    placed = client.call("POST", "/orders/execute", {**trade, **waits})
    assert placed.status == 202, placed
    sold = client.ended(placed.body["orderId"])
    assert (sold["status"], sold["trigger"]["kind"]) == ("confirmed", waits["type"])


def test_the_stage_has_limits_before_anybody_sets_one(client: Client) -> None:
    order = client.ended(client.execute("SOL", "USDC", "90000")["orderId"])
    assert (order["status"], order["errorCode"], order["retryCount"]) == ("failed", "LIMIT_EXCEEDED", 0)


def test_redrive_places_a_failed_order_anew(aws: Aws, client: Client, stack: dict[str, str]) -> None:
    order_id = client.execute("LEVY", "USDC", "10")["orderId"]  # of which the wallet has none
    assert client.ended(order_id)["errorCode"] == "INSUFFICIENT_BALANCE"
    _bury(aws, stack, order_id)
    command = [sys.executable, "-m", "infra.redrive", "--stage", stack["stage"]]
    command += ["--endpoint-url", stack["awsEndpoint"]]
    environment = os.environ | EmulatorCredentials.of(stack).variables
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if order_id in line]
    assert "placed again" in line
    assert client.ended(line.split()[-1])["errorCode"] == "INSUFFICIENT_BALANCE"


_SCHEDULED = {
    "version": "0",
    "id": "1",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "000000000000",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": {},
}


def _bury(aws: Aws, stack: dict[str, str], order_id: str) -> None:
    aws("sqs").send_message(QueueUrl=stack["dlqUrl"], MessageBody=json.dumps({"orderId": order_id}))


def _buried(aws: Aws, stack: dict[str, str]) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = aws("sqs").get_queue_attributes(QueueUrl=stack["dlqUrl"], AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)
