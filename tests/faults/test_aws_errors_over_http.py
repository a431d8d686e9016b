"""What clients are told while AWS fails the functions: 503 and when to come back, or that their order is taken.

The routes and handlers are app.py's; only which tokens exist is known without a chain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from chalicelib import composition
from chalicelib.settings import settings
from chalicelib.solana.wallet import LocalWallet
from tests.faults.aws_faults import ATTEMPTS, DONE_UNTOLD, NOTHING_DONE, Fault, FaultyAws, without_waiting
from tests.faults.aws_parts import use_no_settings_of_this_machine
from tests.integration.cloud import WEBSOCKET_ENDPOINT, Cloud, Json, aws, cloud_in_memory
from tests.integration.test_intake import Tokens
from tests.integration.web import ORDER, Pushes, Web, problem, socket, without_authorizer
from tests.sample_orders import CREATED_AT_MS, new_order

CALLS = [
    ("POST", "/orders/execute", ORDER),
    ("GET", "/orders/order-1", None),
    ("GET", "/orders", None),
    ("DELETE", "/orders/order-1", None),
]


@dataclass
class Site:
    """The functions, the account behind them, and what their requests to AWS meet."""

    web: Web
    cloud: Cloud
    aws: FaultyAws


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    use_no_settings_of_this_machine(monkeypatch)
    without_waiting(monkeypatch)
    without_authorizer(monkeypatch)
    with cloud_in_memory() as cloud:
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", aws())
        for output, value in cloud.outputs.items():
            monkeypatch.setenv(re.sub(r"(?<!^)(?=[A-Z])", "_", output).upper(), value)
        monkeypatch.setenv("STAGE", "local")
        monkeypatch.setenv("SOLANA_RPC_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("WEBSOCKET_URL", "ws://gateway.example/api")
        monkeypatch.setenv("WEBSOCKET_ENDPOINT", WEBSOCKET_ENDPOINT)
        LocalWallet.create(tmp_path / "wallet.json")
        monkeypatch.setenv("WALLET", f"file:{tmp_path / 'wallet.json'}")
        _forget()
        monkeypatch.setattr(composition, "token_directory", Tokens)
        assert cloud.store().create(new_order())
        yield Site(Web(cloud), cloud, FaultyAws(composition.dynamodb(), composition.sqs()))
    _forget()


def _forget() -> None:
    """Let the product's parts be made anew."""
    for part in (settings, *vars(composition).values()):
        if hasattr(part, "cache_clear"):
            part.cache_clear()


@pytest.mark.parametrize("fault", NOTHING_DONE)
def test_an_aws_that_does_not_serve_is_a_503_with_a_time_to_come_back(site: Site, fault: Fault) -> None:
    site.aws.always(fault)
    for method, path, body in CALLS:
        response = site.web(method, path, body)
        told = problem(response, 503)
        assert told["type"] == "urn:fillrate:problem:aws-unavailable"
        assert int(response.headers["Retry-After"]) > 0
        assert "injected" not in str(told)
        assert "amazonaws" not in str(told)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_that_botocore_gets_over_is_nobodys_business(site: Site, fault: Fault) -> None:
    for (method, path, body), status in zip(CALLS, (202, 200, 200, 200), strict=True):
        left = ATTEMPTS - 1

        def at_first(operation: str) -> Fault | None:
            nonlocal left
            left -= 1
            return fault if left >= 0 else None

        site.aws.choose = at_first
        assert site.web(method, path, body).status_code == status, (method, path)


@pytest.mark.parametrize("fault", list(Fault))
def test_an_order_that_is_stored_is_taken_with_202_whatever_the_queue_says(site: Site, fault: Fault) -> None:
    site.aws.always(fault, "SendMessage")
    taken = site.web("POST", "/orders/execute", ORDER)
    assert taken.status_code == 202
    shown = site.web.json("GET", f"/orders/{taken.json_body['orderId']}")
    assert shown["status"] == "pending"


@pytest.mark.parametrize("fault", DONE_UNTOLD)
@pytest.mark.parametrize("key", [None, "the-key"])
def test_a_client_whose_orders_fate_nobody_knows_gets_its_id_and_no_invitation_to_double_it(
    site: Site, fault: Fault, key: str | None
) -> None:
    written = False

    def silent_once_it_is_written(operation: str) -> Fault | None:
        nonlocal written
        written = written or operation == "TransactWriteItems"
        return fault if operation == "TransactWriteItems" else Fault.UNREACHABLE if written else None

    site.aws.choose = silent_once_it_is_written
    headers = {"Idempotency-Key": key} if key else {}
    response = site.web("POST", "/orders/execute", ORDER, headers)
    told = problem(response, 503)
    assert told["type"] == "urn:fillrate:problem:submission-unknown"
    assert ("Retry-After" in response.headers) == (key is not None)
    site.aws.end()
    (order_id,) = re.findall(r"GET /orders/([0-9a-f-]{36})", told["detail"])
    assert site.web.json("GET", f"/orders/{order_id}")["status"] == "pending"


def test_an_error_of_ours_is_not_blamed_on_aws(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that isn't there won't be there in five seconds either."""
    monkeypatch.setenv("ORDERS_TABLE", "no-such-table")
    monkeypatch.setenv("CONTROL_TABLE", "no-such-table")
    _forget()
    for method, path, body in CALLS:
        response = site.web(method, path, body)
        problem(response, 500)
        assert "Retry-After" not in response.headers


def test_health_tells_which_part_is_out_of_reach(site: Site) -> None:
    site.aws.always(Fault.UNREACHABLE)
    response = site.web("GET", "/health")
    assert response.status_code == 503
    checks = response.json_body["checks"]
    assert {name: checks[name]["ok"] for name in ("orders", "queue")} == {"orders": False, "queue": False}


@pytest.mark.parametrize("fault", NOTHING_DONE)
def test_a_websocket_client_is_told_to_try_again(site: Site, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    pushes = Pushes(monkeypatch)
    site.web.invoke("ws_connect", socket("CONNECT", "client"))
    site.aws.always(fault)
    event = socket("MESSAGE", "client", body='{"action": "subscribe", "orderId": "order-1"}')
    site.web.invoke("ws_message", event)
    (told,) = pushes.to("client")
    assert (told["type"], told["status"]) == ("error", 503)
    site.aws.end()
    site.web.invoke("ws_message", event)
    assert pushes.to("client")[1:] == [{"type": "subscribed", "orderId": "order-1"}]


def test_a_worker_that_cannot_reach_aws_gives_its_message_back(site: Site) -> None:
    site.cloud.orders_queue().enqueue("order-1")
    (message,) = site.cloud.receive()
    record: Json = {"messageId": message.message_id, "receiptHandle": message.receipt_handle, "body": message.body}
    site.aws.always(Fault.UNREACHABLE)
    answer = site.web.invoke("execute_order", {"Records": [record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": message.message_id}]}
    assert site.cloud.stored("order-1").updated_at_ms == CREATED_AT_MS
