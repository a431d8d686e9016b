"""`make soak MINUTES=n`: steady orders under light faults on a stack of its own, then the books.

It stops by itself, and talks to this machine's loopback only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle, permutations
from pathlib import Path
from random import Random

from bench.machine import machine
from bench.soak.books import Books, ask
from bench.soak.memory import memory_of
from bench.soak.report import Outcome, Sample, chart, page, table
from bench.written import Written
from infra.local_stack.stack import Layout, start, stop
from testing.chain import Chain
from testing.client import Client
from testing.ports import free_port

FAULTS = {"dropRate": 0.05, "rpcErrorRate": 0.01}
# About ten dollars' worth of each genesis token, so that the wallet lasts for days.
AMOUNTS = {"SOL": "0.07", "USDC": "10", "USDT": "10", "JUP": "24", "RAY": "4.85", "BONK": "600000", "LEVY": "3"}
SAMPLE_SECONDS = 10.0
PATIENCE_SECONDS = 120.0


class Soak:
    """A run on a stack that is up: orders at a steady pace, a sample now and then."""

    def __init__(self, layout: Layout, description: dict[str, str], seed: int) -> None:
        self._layout = layout
        self._client = Client(description["restUrl"])
        self._chain = Chain(description["rpcUrl"])
        self._books = Books(self._client, self._chain, description["wallet"])
        self._dice = Random(seed)
        self._accepted: list[str] = []
        self._refused: Counter[int] = Counter()
        self.samples: list[Sample] = []

    def run(self, minutes: float, per_minute: int, seed: int) -> Outcome:
        """Send orders for so many minutes, wait for them all to end, and count."""
        ask(self._chain, "localnet_setFaults", {**FAULTS, "seed": seed})
        started = time.monotonic()
        pairs = cycle(permutations(AMOUNTS, 2))
        next_order, next_sample = started, started
        while (now := time.monotonic()) < started + minutes * 60:
            if now >= next_sample:
                self._sample(now - started)
                next_sample += SAMPLE_SECONDS
            if now >= next_order:
                self._send(*next(pairs))
                # a pace, not a burst to catch up with it
                next_order = max(next_order + self._dice.uniform(0.5, 1.5) * 60 / per_minute, now)
            time.sleep(max(0.0, min(next_order, next_sample) - time.monotonic()))
        ask(self._chain, "localnet_setFaults", {})
        stuck = self._wait_for_the_last()
        self._sample(time.monotonic() - started)
        return self._books.close(self._accepted, stuck, self._refused)

    def _send(self, token_in: str, token_out: str) -> None:
        order = {"type": "market", "tokenIn": token_in, "tokenOut": token_out, "amount": AMOUNTS[token_in]}
        reply = self._client.call("POST", "/orders/execute", order)
        if reply.status == 202:
            self._accepted.append(reply.body["orderId"])
        else:
            self._refused[reply.status] += 1

    def _sample(self, at_seconds: float) -> None:
        self._books.look()
        memory = memory_of(self._layout.localnet().members(), self._layout.emulator().members())
        self.samples.append(Sample(at_seconds, len(self._accepted), self._books.fills, memory))
        sample = self.samples[-1]
        print(
            f"{at_seconds:6.0f} s  {sample.orders} orders, {sample.fills} fills, {sample.total_bytes / 1e6:.0f} MB",
            file=sys.stderr,
        )

    def _wait_for_the_last(self) -> int:
        """How many orders have not ended when patience is at its end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        open_ones = self._accepted
        while open_ones and time.monotonic() < deadline:
            open_ones = [order_id for order_id in open_ones if not _ended(self._client, order_id)]
            time.sleep(0.2)
        return len(open_ones)


def _ended(client: Client, order_id: str) -> bool:
    order = client.order(order_id)
    return order["status"] in ("confirmed", "cancelled") or bool(order["history"][-1].get("terminal"))


def main() -> int:
    """The command line. Exit code 1 where an order is stuck or doubled, or the books don't close."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Steady orders under light faults.")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--per-minute", type=int, default=60, help="orders a minute")
    parser.add_argument("--seed", type=int, default=1)
    Written.add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fillrate-soak-") as directory:
        layout = Layout(
            Path(directory),
            aws_port=free_port(),
            rpc_port=free_port(following=1),
            orders_per_minute=options.per_minute * 100,
        )
        try:
            soak = Soak(layout, start(layout, lambda step: print(step, file=sys.stderr)), options.seed)
            outcome = soak.run(options.minutes, options.per_minute, options.seed)
        finally:
            stop(layout)
    print(table(outcome, soak.samples))
    told = page(outcome, soak.samples, options.minutes, options.seed, FAULTS, machine())
    Written(options.record).write({"soak.md": told, "soak.svg": chart(soak.samples)})
    return 0 if outcome.sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
