"""The gateway's own limit, on the deployed stage: beyond it is a problem that says when to come again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from testing.client import Client
from testing.emulator import root_session


@pytest.fixture
def narrow_gateway(secured_stack: dict[str, str]) -> Iterator[None]:
    """One request goes through, and the next an hour later."""
    with narrowed(secured_stack, "*/*", "*/*"):
        yield


@pytest.fixture
def narrow_health(secured_stack: dict[str, str]) -> Iterator[None]:
    """The same of the requests for the state of health, which have a limit of their own."""
    with narrowed(secured_stack, "health/GET", "~1health/GET"):
        yield


@contextmanager
def narrowed(stack: dict[str, str], method: str, patched: str) -> Iterator[None]:
    api = stack["restUrl"].split("/")[-2]
    gateway = root_session(stack).client("apigateway", endpoint_url=stack["awsEndpoint"])

    def allow(rate: float, burst: int) -> None:
        limits = {"rateLimit": str(rate), "burstLimit": str(burst)}
        patches = [
            {"op": "replace", "path": f"/{patched}/throttling/{name}", "value": value} for name, value in limits.items()
        ]
        gateway.update_stage(restApiId=api, stageName="api", patchOperations=patches)

    settings = gateway.get_stage(restApiId=api, stageName="api")["methodSettings"]
    (before,) = (it for name, it in settings.items() if name.lstrip("/") == method)
    allow(1 / 3600, 1)
    yield
    allow(before["throttlingRateLimit"], before["throttlingBurstLimit"])


def test_more_requests_than_the_gateway_lets_through_are_told_to_come_again(
    secured_stack: dict[str, str], narrow_gateway: None
) -> None:
    client = Client(secured_stack["restUrl"])
    replies = [client.call("GET", "/openapi.json") for _ in range(3)]
    refused = replies[-1]
    assert refused.status == refused.body["status"] == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1


def test_who_asks_for_the_state_of_health_without_end_is_refused_and_keeps_nobody_else_waiting(
    secured_stack: dict[str, str], narrow_health: None
) -> None:
    client = Client(secured_stack["restUrl"])
    asked = [client.call("GET", "/health").status for _ in range(3)]
    assert asked[-1] == 429
    assert client.call("GET", "/openapi.json").status == 200
