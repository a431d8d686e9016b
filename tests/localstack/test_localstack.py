"""Fillrate on LocalStack's own CloudFormation, gateway, Lambda, event sources and queues; DynamoDB is another's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from infra.localstack.lane import Lane
from infra.project import PROJECT
from operations.target import target_of
from testing.chain import Chain
from testing.client import Client, Json, eventually

# An order whose transactions never land takes the life of a blockhash for each attempt.
PATIENCE_SECONDS = 180.0


@pytest.fixture
def aws(lane: Lane) -> Any:
    return target_of(None, "localstack", lane.endpoint).client


def test_all_three_stacks_are_deployed_and_a_second_deploy_changes_no_address(
    lane: Lane, deployed: Json, aws: Any
) -> None:
    stacks = {stack["StackName"]: stack["StackStatus"] for stack in aws("cloudformation").describe_stacks()["Stacks"]}
    named = {
        f"fillrate-localstack{part}": stacks[f"fillrate-localstack{part}"] for part in ("-data", "", "-monitoring")
    }
    assert all(status in ("CREATE_COMPLETE", "UPDATE_COMPLETE") for status in named.values()), named
    assert lane.deploy("--orders-per-minute", "10000") == deployed


def test_orders_at_once_are_confirmed_through_its_gateway(client: Client) -> None:
    accepted = [client.execute("SOL", "USDC", f"0.{number:02}") for number in range(1, 13)]
    ended = [client.ended(one["orderId"], PATIENCE_SECONDS) for one in accepted]
    assert [order["status"] for order in ended] == ["confirmed"] * 12
    assert len({order["txHash"] for order in ended}) == 12


def test_without_a_key_nothing_is_answered(deployed: Json) -> None:
    assert Client(deployed["restUrl"]).call("GET", "/orders").status in (401, 403)


def test_where_there_is_no_websocket_no_answer_has_its_address(deployed: Json, client: Client) -> None:
    assert deployed["wsUrl"] is None
    accepted = client.execute("SOL", "USDC", "0.5")
    assert not {"wsUrl", "wsPath"} & accepted.keys()
    assert "wsUrl" not in client.ended(accepted["orderId"], PATIENCE_SECONDS)
    refused = client.call("POST", "/ws-tickets", {})
    assert (refused.status, refused.body["type"]) == (404, "urn:fillrate:problem:no-websocket")


def test_the_command_line_follows_its_order_by_asking(deployed: Json, api_key: str) -> None:
    command = [sys.executable, "-m", "fillrate.cli", "sell", "SOL", "0.25", "--for", "USDC", "--json"]
    environment = os.environ | {
        "FILLRATE_URL": deployed["restUrl"],
        "FILLRATE_API_KEY": api_key,
        "PYTHONPATH": str(PROJECT / "client"),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "confirmed"


def test_an_order_is_tried_three_times_and_its_message_is_a_dead_letter_then(
    lane: Lane, deployed: Json, client: Client, aws: Any
) -> None:
    chain = Chain(lane.rpc_url)
    chain.call("localnet_setFaults", {"expireRate": 1.0})
    try:
        order_id = client.execute("SOL", "USDC", "0.1")["orderId"]
        order = client.ended(order_id, PATIENCE_SECONDS)
    finally:
        chain.call("localnet_setFaults", {})
    assert (order["status"], order["retryCount"], order["errorCode"]) == ("failed", 3, "TRANSACTION_EXPIRED")
    assert [step["status"] for step in order["history"]].count("failed") == 3

    def dead_letters() -> list[str]:
        received = aws("sqs").receive_message(
            QueueUrl=deployed["DeadLetterQueueUrl"], VisibilityTimeout=0, MaxNumberOfMessages=10
        )
        return [json.loads(message["Body"])["orderId"] for message in received.get("Messages", ())]

    eventually(lambda: order_id in dead_letters())
