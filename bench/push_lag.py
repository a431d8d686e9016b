"""`python -m bench.push_lag`: how late a quiet account hears of its orders, calm and while another account attacks.

On a stack of its own. The attacker opens as many idle account streams as it is let, trades, and leaves subscriptions of
connections that never come; one key does all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count, cycle
from pathlib import Path
from threading import Event, Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bench.machine import machine
from bench.percentiles import percentile
from bench.written import Written
from chalicelib.access.keys import Scope
from chalicelib.push.connections import Connections, Subscription
from infra.local_stack.stack import Layout, start, stop
from operations import keys
from operations.target import Target, target_of
from testing.client import Client
from testing.ports import free_port

STREAMS = 150
DEAD_SUBSCRIPTIONS = 30
# How often the attacker trades, and leaves dead subscriptions anew.
TRADES_EVERY_SECONDS = 1.0
DIES_EVERY_SECONDS = 5.0
QUIET_EVERY_SECONDS = 1.0
WARM_UP_ORDERS = 5
PATIENCE_SECONDS = 120.0
ORDERS = (("SOL", "USDC", "0.07"), ("USDC", "SOL", "10"))

_PAGE = """\
# How late a push is

A quiet account places an order a second and watches its account's stream; the lag of a push is from the step's own time
(`at`, taken before it is stored) to its arrival at the client. *Under attack* another account's key has asked
for {streams} idle account streams and got {let_in}, trades every {trades:g} s, and every {dies:g} s leaves {dead}
subscriptions of connections that never come.

{table}

Measured on: {machine}; load average before the run, which is of other programs: {load:.1f}.
Again with `python -m bench.push_lag`.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results."""

    name: str
    lags_ms: list[int]


def table(rows: list[Row]) -> str:
    lines = ["| | pushes | p50 | p99 | longest |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        times = " | ".join(f"{percentile(row.lags_ms, percent):,} ms" for percent in (50, 99, 100))
        lines.append(f"| {row.name} | {len(row.lags_ms)} | {times} |")
    return "\n".join(lines)


class KeyHolder(Client):
    """A client with a new key of an account of that name."""

    def __init__(self, description: dict[str, str], target: Target, account: str) -> None:
        new = keys.administration(target).create(account, frozenset({Scope.READ, Scope.TRADE}), rate_per_minute=10_000)
        super().__init__(description["restUrl"], new.secret)

    def stream(self) -> ClientConnection | None:
        """The account's stream; None where no more are given."""
        reply = self.call("POST", "/ws-tickets", {})
        if reply.status == 429:
            return None
        assert reply.status == 200, reply
        # Without pings: a busy machine answers them late, which is none of what is measured. And an idle stream is not
        # read, so that the other side's closing is behind all that it was sent: that is not waited for.
        return connect(reply.body["wsUrl"], open_timeout=PATIENCE_SECONDS, close_timeout=0.1, ping_interval=None)


@dataclass
class Listener:
    """Hears an account's stream: how late each push was, and which orders have ended."""

    stream: ClientConnection
    lags_ms: list[int] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    def run(self) -> None:
        try:
            while True:
                self._heard(json.loads(self.stream.recv()), time.time_ns() // 1_000_000)
        except ConnectionClosed:
            return

    def _heard(self, message: dict[str, Any], at_ms: int) -> None:
        if message["type"] == "status":
            written_ms = round(datetime.fromisoformat(message["at"]).timestamp() * 1000)
            self.lags_ms.append(at_ms - written_ms)
            if message["status"] in ("confirmed", "cancelled", "expired") or message.get("terminal"):
                self.ended.add(message["orderId"])


def quiet_orders(client: Client, listener: Listener, number: int, name: str) -> Row:
    """Place so many orders at a steady pace, and hear of each to its end."""
    before = len(listener.lags_ms)
    placed: set[str] = set()
    kinds = cycle(ORDERS)
    for _ in range(number):
        placed.add(client.execute(*next(kinds))["orderId"])
        time.sleep(QUIET_EVERY_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not placed <= listener.ended:
        assert time.monotonic() < deadline, f"never heard how {placed - listener.ended} ended"
        time.sleep(0.05)
    return Row(name, listener.lags_ms[before:])


@contextmanager
def attack(client: KeyHolder, subscriptions: Connections) -> Iterator[int]:
    """Idle streams, trades and dead subscriptions, until the block's end; how many streams it was let open."""
    over = Event()
    with ExitStack() as streams:
        opened = 0
        for _ in range(STREAMS):
            stream = client.stream()
            if stream is not None:
                streams.callback(stream.close)
                opened += 1
        order_id = client.execute(*ORDERS[0])["orderId"]
        kinds, numbers = cycle(ORDERS), count()

        def trade() -> None:
            client.call("POST", "/orders/execute", _order(*next(kinds)))

        def die() -> None:
            now_ms = time.time_ns() // 1_000_000
            for _ in range(DEAD_SUBSCRIPTIONS):
                subscriptions.subscribe(
                    Subscription(order_id, f"dead-{next(numbers)}", closes=True, asked_at_ms=now_ms)
                )

        threads = [
            Thread(target=_again_and_again, args=(trade, TRADES_EVERY_SECONDS, over)),
            Thread(target=_again_and_again, args=(die, DIES_EVERY_SECONDS, over)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield opened
        finally:
            over.set()
            for thread in threads:
                thread.join()


def _again_and_again(act: Callable[[], None], seconds: float, over: Event) -> None:
    act()
    while not over.wait(seconds):
        act()


def _order(token_in: str, token_out: str, amount: str) -> dict[str, str]:
    return {"type": "market", "tokenIn": token_in, "tokenOut": token_out, "amount": amount}


def measure(description: dict[str, str], orders: int) -> tuple[list[Row], int]:
    """The lags calm and under attack, and how many streams the attacker got."""
    target = target_of(description, "local", description["awsEndpoint"])
    quiet, attacker = (
        KeyHolder(description, target, f"{name}-{secrets.token_hex(3)}") for name in ("quiet", "attacker")
    )
    subscriptions = Connections(target.client("dynamodb"), description["ordersTable"])
    stream = quiet.stream()
    assert stream is not None
    with stream:
        listener = Listener(stream)
        hearing = Thread(target=listener.run, daemon=True)
        hearing.start()
        quiet_orders(quiet, listener, WARM_UP_ORDERS, "warm-up")
        print(f"calm: {orders} orders", file=sys.stderr)
        calm = quiet_orders(quiet, listener, orders, "calm")
        print(f"under attack: {orders} orders", file=sys.stderr)
        with attack(attacker, subscriptions) as opened:
            attacked = quiet_orders(quiet, listener, orders, "under attack")
    return [calm, attacked], opened


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.push_lag", description="How late a quiet account's pushes are."
    )
    parser.add_argument("--orders", type=int, default=60, help="how many the quiet account places in each phase")
    Written.add_option(parser)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="fillrate-push-lag-") as directory:
        layout = Layout(
            Path(directory), aws_port=free_port(), rpc_port=free_port(following=1), orders_per_minute=10_000
        )
        try:
            rows, let_in = measure(start(layout, lambda step: print(step, file=sys.stderr)), options.orders)
        finally:
            stop(layout)
    print(table(rows))
    print(f"the attacker got {let_in} of {STREAMS} streams")
    page = _PAGE.format(
        streams=STREAMS,
        let_in=let_in,
        trades=TRADES_EVERY_SECONDS,
        dies=DIES_EVERY_SECONDS,
        dead=DEAD_SUBSCRIPTIONS,
        table=table(rows),
        machine=machine(),
        load=load,
    )
    Written(options.record).write({"push_lag.md": page})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
