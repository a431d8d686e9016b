"""What becomes of many stops that go off at once: looks as the watcher makes them, until the last is handed over.

The store and the queues are in memory, and each call to them takes as long as one to AWS does from within a region, so
that what is timed is the engine's work and its waiting.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from chalicelib.amounts import price_text
from chalicelib.orders.delivery import Message
from chalicelib.orders.life import as_written, place
from chalicelib.orders.order import Order, Token
from chalicelib.orders.states import State
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.waiting.book import Book
from chalicelib.waiting.circulation import Circulation, WatchMessage, pair_of
from chalicelib.waiting.hand_over import HandOver
from chalicelib.waiting.pair_market import RoutedPairMarket
from chalicelib.waiting.ports import LookTaken
from chalicelib.waiting.quote_streaming import QuoteStreaming
from chalicelib.waiting.waiting_order import WaitingOrder, waiting_order
from chalicelib.waiting.watch import LookTimes, PairWatch

READ_SECONDS, SEND_SECONDS, TRANSACTION_SECONDS = 0.005, 0.010, 0.025
ACCOUNTS = 20


@dataclass(frozen=True, slots=True)
class FallTimed:
    """Seconds from the beginning of the first look until a stop was handed over: the first, half of all, the last."""

    pair: str
    stops: int
    looks: int
    first: float
    half: float
    last: float
    calls: int


def timed_fall(
    name: str, market: RoutedPairMarket, waiting: Sequence[WaitingOrder], tokens: Mapping[str, Token], now_ms: int
) -> FallTimed:
    """Look at the pair until nothing more is due; `tokens` by their mints."""
    stage = _Stage(now_ms, {one.order_id: _order(one, number, tokens, now_ms) for number, one in enumerate(waiting)})
    stage.send(WatchMessage(pair_of(waiting[0].mint_in, waiting[0].mint_out)))
    parts: Any = stage
    with ThreadPoolExecutor(1) as alongside:
        watch = PairWatch(
            parts,
            parts,
            Book(parts, stage.now),
            market,
            lambda: HandOver(parts, parts, parts, stage.now),
            LookTimes(0, stage.now, time.perf_counter),
            alongside,
            QuoteStreaming(parts, parts, time.monotonic),
        )
        looks, began = 0, time.perf_counter()
        while not looks or stage.message.after is not None:
            watch.handle([Message("m", "r", stage.message.body())], "the bench")
            looks += 1
    seconds = [at - began for at in stage.handed_at]
    return FallTimed(name, len(seconds), looks, seconds[0], median(seconds), seconds[-1], stage.calls)


def _order(one: WaitingOrder, number: int, tokens: Mapping[str, Token], now_ms: int) -> Order:
    sold, bought = tokens[one.mint_in], tokens[one.mint_out]

    def price(amount_out: int | None) -> str | None:
        return None if amount_out is None else price_text(amount_out, bought.decimals, one.amount, sold.decimals)

    limit, stop = price(one.limit_out), price(one.stop_out)
    has_stop = stop is not None or one.trailing_ppm is not None
    order = Order(
        order_id=one.order_id,
        account=f"desk-{number % ACCOUNTS}",
        type="limit" if not has_stop else "stop" if limit is None else "oco",
        token_in=sold,
        token_out=bought,
        amount=one.amount,
        slippage_ppm=10_000,
        request_digest="digest",
        created_at_ms=now_ms,
        expires_at_ms=one.expires_at_ms,
        limit_price=limit,
        stop_price=stop,
        trailing_ppm=one.trailing_ppm,
        best_out=one.best_out,
    )
    return place(order)


@dataclass
class _Stage:
    """The tables and queues, one caller at a time; what is of no matter here is left out."""

    began_ms: int
    orders: dict[str, Order]
    changes: int = 0
    calls: int = 0
    handed_at: list[float] = field(default_factory=list)
    sent: deque[WatchMessage] = field(default_factory=deque)

    def now(self) -> int:
        return self.began_ms

    @property
    def message(self) -> WatchMessage:
        return self.sent[-1]

    def _takes(self, seconds: float) -> None:
        self.calls += 1
        time.sleep(seconds)

    # the book and the circulation

    def of_pair(self, pair: str) -> Iterable[WaitingOrder]:
        self._takes(READ_SECONDS)
        return [waiting_order(order) for order in list(self.orders.values()) if order.state is State.OPEN]

    def take(self, pair: str, ticket: int, owner: str, now_ms: int) -> LookTaken:
        self._takes(READ_SECONDS)
        return LookTaken(Circulation(pair, len(self.orders), ticket, self.changes))

    def pass_on(self, *_: object) -> bool:
        self._takes(READ_SECONDS)
        return True

    def send(self, message: WatchMessage, delay_ms: int = 0) -> None:
        self._takes(SEND_SECONDS)
        self.sent.append(message)

    # orders, workers, controls

    def load_each(self, order_ids: Sequence[str]) -> list[Order]:
        self._takes(READ_SECONDS)
        return [self.orders[order_id] for order_id in order_ids]

    def replace_together(self, orders: Sequence[Order], limits: Mapping[str, LimitsInForce]) -> bool:
        self._takes(TRANSACTION_SECONDS)
        self.changes += 1
        for order in orders:
            self.orders[order.order_id] = as_written(order)
            if order.state is State.PENDING:
                self.handed_at.append(time.perf_counter())
        return True

    def enqueue_each(self, correlation_ids: Mapping[str, str], delay_ms: int = 0) -> None:
        self._takes(SEND_SECONDS)

    def halt_of(self, account: str) -> Halt | None:
        self._takes(READ_SECONDS)
        return None

    def counted_limits_for(self, account: str) -> LimitsInForce:
        self._takes(READ_SECONDS)
        return LimitsInForce(Limits(), Limits())


def table(rows: Sequence[FallTimed]) -> str:
    """A row of the page for each."""
    return "\n".join(
        f"| {row.pair} | {row.stops} | {row.looks} | {row.first:.2f} s | {row.half:.1f} s | {row.last:.1f} s | "
        f"{row.calls:,} |"
        for row in rows
    )
