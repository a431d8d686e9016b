"""The gateway's own limit, on the deployed stage: beyond it is a problem that says when to come again."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from testing.client import Client


@pytest.fixture
def narrow_gateway(secured_stack: dict[str, str]) -> Iterator[None]:
    """One request goes through, and the next an hour later."""
    api = secured_stack["restUrl"].split("/")[-2]
    gateway = boto3.client(
        "apigateway",
        endpoint_url=secured_stack["awsEndpoint"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def allow(rate: float, burst: int) -> None:
        limits = {"rateLimit": str(rate), "burstLimit": str(burst)}
        patches = [
            {"op": "replace", "path": f"/*/*/throttling/{name}", "value": value} for name, value in limits.items()
        ]
        gateway.update_stage(restApiId=api, stageName="api", patchOperations=patches)

    before = gateway.get_stage(restApiId=api, stageName="api")["methodSettings"]["*/*"]
    allow(1 / 3600, 1)
    yield
    allow(before["throttlingRateLimit"], before["throttlingBurstLimit"])


def test_more_requests_than_the_gateway_lets_through_are_told_to_come_again(
    secured_stack: dict[str, str], narrow_gateway: None
) -> None:
    client = Client(secured_stack["restUrl"])
    replies = [client.call("GET", "/health") for _ in range(3)]
    refused = replies[-1]
    assert refused.status == refused.body["status"] == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1
