"""`python -m bench.landing`: how long an attempt takes to its send, and from its block's finality to its fill.

The trader as a worker has it, on a localnet of its own with slots of 200 ms, with and without 80 ms added to each HTTP
request. The tables, the queue and the push are not in it: bench/push_lag.py measures those.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

import urllib3
from solders.keypair import Keypair

from bench.finality import Finality
from bench.machine import machine
from bench.percentiles import percentile
from bench.written import Written
from chalicelib.orders.execution import Landed
from chalicelib.orders.life import choose_route, draw_nonce, fix_floor, place, reserve, start_attempt
from chalicelib.orders.life import sign as signed
from chalicelib.orders.order import Order, Token
from chalicelib.orders.settling import Settler, WatchPolicy
from chalicelib.orders.trading import ChainTrader
from chalicelib.risk.counters import NetworkFees
from chalicelib.routing.market import Market
from chalicelib.solana.compute_budget import PriorityFeePolicy
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.signing_policy import SigningPolicy
from chalicelib.solana.wallet import LocalWallet
from chalicelib.venues import supported
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from infra.localnet.market.genesis import genesis_market
from infra.localnet.market.tokens import TOKENS
from testing.localnet import Localnet

SLOT_MS = 200
ADDED_SECONDS = 0.08
ORDERS = 60
WARM_UP = 4
WALLET = Keypair.from_seed(bytes([53] * 32))
TOKEN = {token.symbol: Token(token.symbol, str(token.mint.address), token.mint.decimals) for token in TOKENS}
WAYS = (("SOL", "USDC", 10**8), ("USDC", "SOL", 10**7))

_PAGE = """\
# How soon an order lands

`start to send`: from the start of an attempt to the first answer to its send, with all that it asks a node in between.
`final to fill`: from the moment at which its block was seen to be final, by somebody who asks each 5 ms, to its fill
being read. `slot delta`: the slot in which it landed, less the newest that was known as it was signed.
A localnet with slots of {slot_ms} ms, {orders} orders of SOL and USDC one after the other, in a process that has traded
the pair before; *added* is what each HTTP request to the node takes besides. What the tables, the queue and the push
take is not in it.

{table}

Measured on: {machine}.
Again with `python -m bench.landing`.
"""


@dataclass
class Run:
    """What one run measured, in milliseconds, and in slots."""

    added_ms: int
    send: list[float] = field(default_factory=list)
    fill: list[float] = field(default_factory=list)
    delta: list[float] = field(default_factory=list)


class SlowHttp(urllib3.PoolManager):
    """Connections over which each request takes so many seconds more; it notes which methods were asked for."""

    def __init__(self, added: float) -> None:
        super().__init__(maxsize=8)
        self.added = added
        self.methods: list[str] = []
        self.sent_at = 0.0

    def request(self, method: str, url: str, **more: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        calls = json.loads(more["body"])
        asked = (calls[0] if isinstance(calls, list) else calls)["method"]
        self.methods.append(asked)
        time.sleep(self.added)
        answer = super().request(method, url, **more)
        if asked == "sendTransaction":
            self.sent_at = self.sent_at or time.monotonic()
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS)
    Written.add_option(parser)
    options = parser.parse_args()
    runs = [measured(added, options.orders) for added in (0.0, ADDED_SECONDS)]
    lines = table(runs)
    print(lines)
    page = _PAGE.format(slot_ms=SLOT_MS, orders=options.orders, table=lines, machine=machine())
    Written(options.record).write({"landing.md": page})


def measured(added: float, orders: int) -> Run:
    """So many orders, on a chain of their own."""
    run = Run(round(added * 1000))
    arguments = ("--slot-ms", str(SLOT_MS), "--no-traders", "--fund", str(WALLET.pubkey()))
    with Localnet(*arguments) as chain:
        http = SlowHttp(added)
        trader = _trader(chain, http)
        finality = Finality(chain.url)
        try:
            for number, order in enumerate(islice(_orders(), WARM_UP + orders)):
                _trade(trader, order, http, finality, run if number >= WARM_UP else Run(0))
        finally:
            finality.stop()
    return run


def _trade(trader: ChainTrader, order: Order, http: SlowHttp, finality: Finality, run: Run) -> None:
    http.methods.clear()
    http.sent_at, started = 0.0, time.monotonic()
    planned = trader.plan(order)
    floored = fix_floor(order, planned.quoted_out)
    routed = choose_route(floored, planned.route, planned.quoted_out, _now_ms())
    stored = reserve(routed, None, NetworkFees("2026-01-01", planned.fees.most))
    submission = planned.build(stored)
    fate = trader.settle(signed(stored, submission, _now_ms()), submission)
    ended = time.monotonic()
    if not isinstance(fate, Landed) or fate.slot_delta is None or submission.slot is None:
        raise RuntimeError(f"an order that should have landed: {fate}")
    if run.added_ms or http.added == 0:
        run.send.append((http.sent_at - started) * 1000)
        run.fill.append((ended - finality.of(submission.slot + fate.slot_delta)) * 1000)
        run.delta.append(fate.slot_delta)


def _orders() -> Iterator[Order]:
    for sold, bought, amount in cycle(WAYS):
        order = Order(
            order_id=str(uuid4()),
            account="bench",
            type="market",
            token_in=TOKEN[sold],
            token_out=TOKEN[bought],
            amount=amount,
            slippage_ppm=50_000,
            request_digest="",
            created_at_ms=_now_ms(),
        )
        yield start_attempt(draw_nonce(place(order), secrets.token_hex()), _now_ms())


def _trader(chain: Localnet, http: SlowHttp) -> ChainTrader:
    pools = [PoolEntry(str(pool.address), str(pool.program)) for pool in genesis_market(seed=0).pools]
    rpc = FailoverRpc([SolanaRpc(chain.url, http=http)], _now_ms)
    registry = PoolRegistry(
        lambda: pools, lambda keys: rpc.get_multiple_accounts(keys).accounts, supported.VENUES, _now_ms
    )
    wallet, errors = LocalWallet(WALLET), supported.error_classifier()
    return ChainTrader(
        rpc,
        Market(rpc, registry, _now_ms),
        wallet,
        SigningPolicy(supported.VENUES, registry.tradable, 2_800_000),
        errors,
        PriorityFeePolicy(),
        Settler(rpc, lambda: wallet.address, errors, WatchPolicy(10), time.monotonic, time.sleep),
        _now_ms,
    )


def table(runs: list[Run]) -> str:
    lines = ["| added | | p50 | p95 | p99 |", "| ---: | --- | ---: | ---: | ---: |"]
    for run in runs:
        for name, values, unit in (
            ("start to send", run.send, " ms"),
            ("final to fill", run.fill, " ms"),
            ("slot delta", run.delta, ""),
        ):
            told = " | ".join(f"{percentile(values, percent):,.0f}{unit}" for percent in (50, 95, 99))
            lines.append(f"| {run.added_ms} ms | {name} | {told} |")
    return "\n".join(lines)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    main()
