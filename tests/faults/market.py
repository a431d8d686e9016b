"""What others do to the market: a wallet that trades prices up and down, and pools that refuse without a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import urllib3

from infra.localnet.market.genesis import GenesisMarket, genesis_market
from infra.localnet.market.tokens import TOKENS, MarketToken
from testing.chain import Chain, NodeRefused
from testing.client import Client

SYMBOLS = [token.symbol for token in TOKENS]
# Dollars that a trade begins with; each of a fall sells twice what the one before did.
FIRST_TRADE = 10_000
MOST_TRADES = 12
PATIENCE_SECONDS = 120.0
# About how far prices are moved in a storm: within any order's slippage, at its edge, beyond it, far beyond.
MOVES = ("0.0005", "0.002", "0.01", "0.05")

Json = dict[str, Any]


@dataclass
class Market:
    """The pools of a localnet that serves a genesis market."""

    chain: Chain
    client: Client
    _refusing: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def quote(self, token_in: str, token_out: str, amount: str) -> Json:
        """GET /quotes, asked again while nobody has an answer."""
        path = f"/quotes?tokenIn={token_in}&tokenOut={token_out}&amount={amount}"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with suppress(urllib3.exceptions.HTTPError):
                reply = self.client.call("GET", path)
                if reply.status == 200:
                    return reply.body
                assert reply.status >= 429, reply
                time.sleep(0.1)
        raise AssertionError("there is never a quote")

    def sell(self, pool: str, token_in: str, amount: int) -> tuple[int, int]:
        """Another wallet sells this many base units at any price: what it gave and got, which is nothing if refused."""
        trade = {"pool": pool, "mintIn": str(_token(token_in).mint.address), "amount": str(amount)}
        try:
            landed = self.chain.call("localnet_trade", trade)
        except NodeRefused:
            return 0, 0  # more than the pool has
        return (amount, int(landed["amountOut"])) if landed["err"] is None else (0, 0)

    def move(self, token_in: str, token_out: str, by: Decimal) -> list[tuple[str, str, int]]:
        """Let what each pool pays for `token_in` fall by at least this share; the trades that undo it."""
        undo = []
        for pool in pools_of(token_in, token_out):
            dollars, first, got_in_all = FIRST_TRADE, None, 0
            for _ in range(MOST_TRADES):
                gave, got = self.sell(pool, token_in, _token(token_in).base_units(dollars))
                if not gave:
                    break  # it refuses, or is empty: nobody gets its price
                price = Decimal(got) / gave
                first, got_in_all = first or price, got_in_all + got
                if price < first * (1 - by):
                    break
                dollars *= 2
            if got_in_all:
                undo.append((pool, token_out, got_in_all))
        return undo

    def undo(self, trades: list[tuple[str, str, int]]) -> None:
        for pool, token_in, amount in trades:
            self.sell(pool, token_in, amount)

    def refuse(self, *pools: str) -> None:
        """From now on these refuse too."""
        with self._lock:
            self._refusing |= set(pools)
            self.chain.call("localnet_refuseSwaps", {"pools": sorted(self._refusing)})

    def serve(self) -> None:
        """None refuses any more."""
        with self._lock:
            self._refusing.clear()
            self.chain.call("localnet_refuseSwaps", {"pools": []})

    @contextmanager
    def restless(self, dice: Random, every_seconds: tuple[float, float]) -> Iterator[Moves]:
        """While inside, every now and then a price moves, some pools begin to refuse, or all serve again."""
        moves, over = Moves(), threading.Event()

        def run() -> None:
            while not over.wait(dice.uniform(*every_seconds)):
                token_in, token_out = dice.sample(SYMBOLS, 2)
                match dice.randrange(6):
                    case 0:
                        self.refuse(dice.choice(pools_of(token_in, token_out)))
                        moves.refusals += 1
                    case 1:
                        self.serve()
                    case _:
                        self.move(token_in, token_out, Decimal(dice.choice(MOVES)))
                        moves.prices += 1

        with ThreadPoolExecutor(1) as pool:
            stirring = pool.submit(run)
            try:
                yield moves
            finally:
                over.set()
        stirring.result()
        self.serve()


@dataclass
class Moves:
    """How often the market was stirred."""

    prices: int = 0
    refusals: int = 0

    def line(self) -> str:
        return f"prices moved {self.prices} times, pools refused {self.refusals} times"


def pools_of(token_in: str, token_out: str) -> list[str]:
    """The addresses of the pools that trade these two directly."""
    pair = {token_in, token_out}
    return [str(pool.address) for pool in _genesis().pools if {pool.base.symbol, pool.quote.symbol} == pair]


def symbol_of(mint: str) -> str:
    return next(token.symbol for token in TOKENS if str(token.mint.address) == mint)


def _token(symbol: str) -> MarketToken:
    return next(token for token in TOKENS if token.symbol == symbol)


@cache
def _genesis() -> GenesisMarket:
    """As the localnet starts without a seed of its own."""
    return genesis_market(seed=0)
