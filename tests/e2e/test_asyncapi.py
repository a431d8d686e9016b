"""Whatever the deployed WebSocket says is described by the AsyncAPI document that the same stack serves."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

from websockets.sync.client import connect

from chalicelib.contract.asyncapi import document
from testing.client import Client
from tests.asyncapi_contract import check_message
from tests.e2e.node_tools import node_tool

SAID = [
    {"action": "ping"},
    {"action": "subscribe", "orderId": "00000000-0000-0000-0000-000000000000"},
    {"action": "unsubscribe", "orderId": "00000000-0000-0000-0000-000000000000"},
    {"action": "shout"},
    [],
]

KINDS = {"pong", "error", "subscribed", "unsubscribed", "status"}


def ends(told: list[dict[str, Any]], order_id: str) -> bool:
    return any(message.get("status") == "confirmed" and message["orderId"] == order_id for message in told)


def test_the_stack_serves_the_document_with_its_own_address(stack: dict[str, str]) -> None:
    assert Client(stack["restUrl"]).call("GET", "/asyncapi.json").body == document(stack["wsUrl"])


def test_every_message_of_an_orders_life_and_every_reply_is_described(stack: dict[str, str]) -> None:
    client = Client(stack["restUrl"])
    order = client.execute("SOL", "USDC", "0.1", slippage="0.05")
    told: list[dict[str, Any]] = []
    with connect(client.call("POST", "/ws-tickets", {}).body["wsUrl"]) as websocket:
        for message in [*SAID, {"action": "subscribe", "orderId": order["orderId"]}]:
            websocket.send(json.dumps(message))
        # earlier orders of the account may still be on their way, and are told too
        while not ends(told, order["orderId"]) or len({message["type"] for message in told}) < len(KINDS):
            told.append(json.loads(websocket.recv(timeout=30)))
    for message in told:
        check_message(message)
    assert {message["type"] for message in told} == KINDS


def test_wscat_follows_an_order(stack: dict[str, str]) -> None:
    order = Client(stack["restUrl"]).execute("SOL", "USDC", "0.1", slippage="0.05")
    command = [node_tool("wscat"), "--no-color", "-c", order["wsUrl"]]
    # it ends when its input does, so this stays open; or when the server closes, after the order's end
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as wscat:
        assert wscat.stdout is not None
        watchdog = threading.Timer(60, wscat.kill)
        watchdog.start()
        told = wscat.stdout.read()
        watchdog.cancel()
    assert '"status":"confirmed"' in told
