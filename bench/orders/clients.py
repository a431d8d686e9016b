"""Clients that place orders and look at the clock: one order after the other, or many at once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle, islice
from threading import Condition, Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from testing.client import PATIENCE_SECONDS, Client

Json = dict[str, Any]

# Small beside the pools, and there and back, so that many at once hardly move each other's prices.
ORDERS = (("SOL", "USDC", "0.07"), ("USDC", "SOL", "10"), ("JUP", "USDC", "24"), ("USDC", "JUP", "10"))
SLIPPAGE = "0.2"
# A stream is closed that a busy machine keeps from reading: then the API knows what became of the orders.
SILENCE_SECONDS = 3.0
_ENDED = ("confirmed", "cancelled", "expired")


class Unconfirmed(Exception):
    """An order ended otherwise, or not in time: what it took measures something else."""


@dataclass
class Placed:
    """One order. Times are seconds of `time.monotonic`; `heard` is when each status first reached the client."""

    order_id: str
    posted_at: float
    answered_at: float
    heard: dict[str, float] = field(default_factory=dict)
    signature: str | None = None

    @property
    def post_ms(self) -> float:
        return (self.answered_at - self.posted_at) * 1000

    def ms_until(self, status: str) -> float:
        """From the POST's first byte to the message with that status. Raises KeyError where none came."""
        return (self.heard[status] - self.posted_at) * 1000

    def hear(self, message: Json) -> bool:
        """Note a WebSocket message; whether the order has ended with it."""
        if message.get("type") != "status":
            return False
        self.heard.setdefault(message["status"], time.monotonic())
        self.signature = message.get("txHash", self.signature)
        return message["status"] in _ENDED or bool(message.get("terminal"))


def place(client: Client, order: tuple[str, str, str]) -> tuple[Placed, str]:
    """Post an order that must be accepted; it and its WebSocket's address."""
    began = time.monotonic()
    accepted = client.execute(*order, slippage=SLIPPAGE)
    return Placed(accepted["orderId"], began, time.monotonic()), accepted["wsUrl"]


def one_by_one(client: Client, number: int) -> Iterator[Placed]:
    """So many orders, each heard on a WebSocket of its own to its end before the next. Raises Unconfirmed."""
    for order in islice(cycle(ORDERS), number):
        placed, ws_url = place(client, order)
        with connect(ws_url, open_timeout=PATIENCE_SECONDS) as websocket:
            deadline = time.monotonic() + PATIENCE_SECONDS
            try:
                while True:
                    placed.hear(json.loads(websocket.recv(timeout=max(deadline - time.monotonic(), 0))))
            except ConnectionClosed:
                pass
        if "confirmed" not in placed.heard:
            raise Unconfirmed(f"{placed.order_id}: {sorted(placed.heard)}")
        yield placed


class AccountStream:
    """All of the account's orders over one WebSocket, opened again where it is closed: which of them have ended."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ended: set[str] = set()
        self._changed = Condition()
        self._over = False
        self._websocket = self._open()
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over = True
        self._websocket.close()
        self._thread.join(PATIENCE_SECONDS)

    def wait_for(self, order_ids: set[str], patience_seconds: float) -> None:
        """Until all of these have ended; while nothing is heard of them the API is asked. Raises Unconfirmed."""
        deadline = time.monotonic() + patience_seconds
        while order_ids - self._ended:
            if time.monotonic() > deadline:
                raise Unconfirmed(f"{len(order_ids - self._ended)} of {len(order_ids)} orders have not ended")
            with self._changed:
                heard = self._changed.wait(SILENCE_SECONDS)
            if not heard:
                self._ended |= {one for one in order_ids - self._ended if _has_ended(self._client.order(one))}

    def _open(self) -> ClientConnection:
        reply = self._client.call("POST", "/ws-tickets", {})
        assert reply.status == 200, reply
        # Without pings: a busy machine answers them late, which is none of what is measured.
        return connect(reply.body["wsUrl"], open_timeout=PATIENCE_SECONDS, ping_interval=None)

    def _listen(self) -> None:
        while not self._over:
            try:
                message = json.loads(self._websocket.recv())
            except ConnectionClosed:
                if not self._over:
                    self._websocket = self._open()
                continue
            if message.get("status") in _ENDED or message.get("terminal"):
                with self._changed:
                    self._ended.add(message["orderId"])
                    self._changed.notify_all()


def _has_ended(order: Json) -> bool:
    return order["status"] in _ENDED or bool(order["history"][-1].get("terminal"))


@contextmanager
def account_stream(client: Client) -> Iterator[AccountStream]:
    """The stream of the client's account."""
    stream = AccountStream(client)
    try:
        yield stream
    finally:
        stream.stop()


def many_at_once(
    rest_url: str, number: int, clients: int, stream: AccountStream, patience_seconds: float
) -> list[Placed]:
    """So many orders from so many clients, each of which posts the next as soon as it has an answer; all have ended.

    Raises Unconfirmed.
    """
    with ThreadPoolExecutor(clients) as pool:
        shares = [islice(cycle(ORDERS), start, start + len(range(start, number, clients))) for start in range(clients)]
        placed = [one for each in pool.map(lambda share: _post_all(rest_url, share), shares) for one in each]
    stream.wait_for({one.order_id for one in placed}, patience_seconds)
    return placed


def stored_at(client: Client, placed: Iterable[Placed], status: str) -> list[float]:
    """When each of the orders that came to it got that status, by its history; seconds of `time.monotonic`."""
    ahead = time.time() - time.monotonic()
    found = []
    for one in placed:
        steps = [step for step in client.order(one.order_id)["history"] if step["status"] == status]
        found += [datetime.fromisoformat(step["at"]).timestamp() - ahead for step in steps[:1]]
    return found


def _post_all(rest_url: str, orders: Iterator[tuple[str, str, str]]) -> list[Placed]:
    client = Client(rest_url)
    return [place(client, order)[0] for order in orders]
