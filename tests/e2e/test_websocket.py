"""The WebSocket session on the emulator: subscribe by message, ping, bad messages, clients that vanish."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from testing.client import PATIENCE_SECONDS, Client, eventually
from testing.emulator import root_session

Json = dict[str, Any]


@pytest.fixture(scope="module")
def client(stack: dict[str, str]) -> Client:
    return Client(stack["restUrl"])


def test_one_connection_can_watch_several_orders(client: Client, stack: dict[str, str]) -> None:
    with connect(stack["wsUrl"]) as websocket:
        order_ids = {client.execute("USDC", "USDT", "2")["orderId"] for _ in range(3)}
        for order_id in order_ids:
            _send(websocket, {"action": "subscribe", "orderId": order_id})
        told: dict[str, list[dict[str, Any]]] = {order_id: [] for order_id in order_ids}
        while not all(seen and seen[-1]["status"] == "confirmed" for seen in told.values()):
            message = _receive(websocket)
            if message["type"] == "status":
                told[message["orderId"]].append(message)
                assert message.get("terminal") is not True, message
        # the market moves by itself, so that an attempt may fail; nothing of it is left out
        assert all([one["seq"] for one in seen] == list(range(1, len(seen) + 1)) for seen in told.values())
        # opened for no order in particular, it stays open
        _send(websocket, {"action": "ping"})
        assert _receive(websocket) == {"type": "pong"}


def test_asking_again_gives_the_history_again(client: Client, stack: dict[str, str]) -> None:
    order_id = client.execute("USDC", "USDT", "2")["orderId"]
    client.ended(order_id)
    with connect(stack["wsUrl"]) as websocket:
        for _ in range(2):
            _send(websocket, {"action": "subscribe", "orderId": order_id})
            messages = [_receive(websocket) for _ in range(6)]
            assert [message["seq"] for message in messages if message["type"] == "status"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "text",
    ["not json", "[1]", '{"action": "buy"}', '{"action": "subscribe"}', '{"action": "subscribe", "orderId": "none"}'],
)
def test_a_bad_message_is_answered_and_the_connection_lives(stack: dict[str, str], text: str) -> None:
    with connect(stack["wsUrl"]) as websocket:
        websocket.send(text)
        answer = _receive(websocket)
        assert answer["type"] == "error"
        assert answer["detail"]
        _send(websocket, {"action": "ping"})
        assert _receive(websocket) == {"type": "pong"}


def test_an_unknown_order_is_refused_at_the_door(stack: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus), connect(f"{stack['wsUrl']}?orderId=none"):
        pass


def test_a_vanished_client_leaves_no_subscription(client: Client, stack: dict[str, str]) -> None:
    order_id = client.execute("USDC", "USDT", "2")["orderId"]
    with connect(stack["wsUrl"]) as websocket:
        _send(websocket, {"action": "subscribe", "orderId": order_id})
        assert _receive(websocket)["type"] in ("subscribed", "status")
    client.ended(order_id)
    eventually(lambda: _subscriptions(stack) == [])


def _subscriptions(stack: dict[str, str]) -> list[str]:
    dynamodb = root_session(stack).client("dynamodb", endpoint_url=stack["awsEndpoint"])
    items = dynamodb.scan(TableName=stack["ordersTable"])["Items"]
    return [item["item"]["S"] for item in items if item["item"]["S"].startswith("subscription#")]


def _send(websocket: ClientConnection, message: Json) -> None:
    websocket.send(json.dumps(message))


def _receive(websocket: ClientConnection) -> Json:
    message: Json = json.loads(websocket.recv(timeout=PATIENCE_SECONDS))
    return message
