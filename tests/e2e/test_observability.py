"""The query that docs/observability.md gives to operators shows an order's whole life."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from testing.client import Client, eventually, follow
from testing.emulator import root_session

DOCUMENT = Path(__file__).parents[2] / "docs" / "observability.md"
CORRELATION_ID = "e2e/observability-1"
Json = dict[str, Any]


class Logs:
    """CloudWatch Logs of the stack."""

    def __init__(self, stack: dict[str, str]) -> None:
        self._client = root_session(stack).client("logs", endpoint_url=stack["awsEndpoint"])

    def lines_about(self, text: str) -> list[Json]:
        """What the documented query finds, as the JSON that the functions wrote."""
        (query,) = re.findall(r"```\n(fields .*?)```", DOCUMENT.read_text(), re.DOTALL)
        now = int(time.time())
        query_id = self._client.start_query(
            logGroupNames=self._groups(),
            startTime=now - 3600,
            endTime=now + 60,
            queryString=query.replace("ORDER_ID", re.escape(text).replace("/", r"\/")),
        )["queryId"]
        rows = self._client.get_query_results(queryId=query_id)["results"]
        messages = [field["value"] for row in rows for field in row if field["field"] == "@message"]
        return [json.loads(message) for message in messages if message.startswith("{")]

    def _groups(self) -> list[str]:
        pages = self._client.get_paginator("describe_log_groups").paginate()
        return [group["logGroupName"] for page in pages for group in page["logGroups"]]


@pytest.fixture(scope="module")
def logs(stack: dict[str, str]) -> Logs:
    return Logs(stack)


def test_one_query_shows_an_orders_whole_life_over_all_functions(stack: dict[str, str], logs: Logs) -> None:
    body = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.1"}
    reply = Client(stack["restUrl"]).call("POST", "/orders/execute", body, {"x-correlation-id": CORRELATION_ID})
    assert reply.headers["x-correlation-id"] == CORRELATION_ID
    follow(reply.body["wsUrl"])

    life: list[Json] = []

    def told_to_the_end() -> bool:
        life[:] = logs.lines_about(reply.body["orderId"])
        return {"order finished", "order changed"} <= {line["message"] for line in life} and "confirmed" in {
            line.get("status") for line in life if line["message"] == "order changed"
        }

    eventually(told_to_the_end)
    assert [line["status"] for line in life if line["message"] == "order changed"] == [
        "pending",
        "routing",
        "building",
        "submitted",
        "confirmed",
    ]
    assert "order accepted" in [line["message"] for line in life]
    assert {line["correlation_id"] for line in life} == {CORRELATION_ID}
    assert {line["order_id"] for line in life} == {reply.body["orderId"]}
    assert len({line["function"] for line in life}) == 3

    by_request = logs.lines_about(CORRELATION_ID)
    assert [line for line in by_request if "order_id" in line] == life
    assert "invoked" in [line["message"] for line in by_request]


def test_a_request_without_an_id_is_given_the_gateways(stack: dict[str, str], logs: Logs) -> None:
    reply = Client(stack["restUrl"]).call("GET", "/tokens", headers={"x-correlation-id": "two words"})
    given = reply.headers["x-correlation-id"]
    assert re.fullmatch(r"[!-~]{1,64}", given)
    eventually(lambda: [line["message"] for line in logs.lines_about(given)] == ["invoked"])


def test_what_was_measured_is_among_the_lines(stack: dict[str, str], logs: Logs) -> None:
    """MiniStack keeps the metric lines and makes no metrics of them: CloudWatch does."""
    client = Client(stack["restUrl"])
    client.ended(client.execute("SOL", "USDC", "0.1")["orderId"])
    eventually(
        lambda: (
            {"OrdersAccepted", "OrdersByOutcome", "StepMs", "QueueAgeMs", "WalletLamports"}
            <= {name for line in logs.lines_about('"_aws"') for name in line}
        )
    )
