"""A client of a running stack, as a user would write one: HTTP, and a WebSocket that follows one order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE_SECONDS = 60.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: urllib3.HTTPHeaderDict
    body: Json


class Client:
    def __init__(self, rest_url: str, api_key: str | None = None) -> None:
        self._rest_url = rest_url
        self._key = {"x-api-key": api_key} if api_key else {}
        self._http = urllib3.PoolManager(retries=False, timeout=PATIENCE_SECONDS)

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        all_headers = {"content-type": "application/json", **self._key, **(headers or {})}
        response = self._http.request(method, self._rest_url + path, body=raw, headers=all_headers)
        return Reply(response.status, response.headers, response.json())

    def execute(self, token_in: str, token_out: str, amount: str, **more: Any) -> Json:
        """Post a market order that must be accepted."""
        order = {"type": "market", "tokenIn": token_in, "tokenOut": token_out, "amount": amount, **more}
        reply = self.call("POST", "/orders/execute", order)
        assert reply.status == 202, reply
        return reply.body

    def order(self, order_id: str) -> Json:
        reply = self.call("GET", f"/orders/{order_id}")
        assert reply.status == 200, reply
        return reply.body

    def ended(self, order_id: str, patience_seconds: float = PATIENCE_SECONDS) -> Json:
        """The order once it has ended."""
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            order = self.order(order_id)
            last = order["history"][-1]
            if order["status"] in ("confirmed", "cancelled") or last.get("terminal"):
                return order
            time.sleep(0.1)
        raise AssertionError(f"{order_id} did not end: {order}")


def follow(ws_url: str) -> list[Json]:
    """Every message until the server closes the connection."""
    messages: list[Json] = []
    with connect(ws_url, open_timeout=PATIENCE_SECONDS) as websocket:
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while True:
                messages.append(json.loads(websocket.recv(timeout=max(deadline - time.monotonic(), 0))))
        except ConnectionClosed:
            return messages


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.1)
