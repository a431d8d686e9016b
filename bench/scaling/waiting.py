"""`python -m bench.scaling.waiting`: 100,000 orders that wait, over 50 pairs: whether looks come in time, and the bill.

A simulation, seeded: each pair's message goes round through the queue, the watchers that run at once, and the nodes'
pace, with the durations that bench/results/waiting.md measured. Nothing of it ran on AWS.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from random import Random

from bench.cost.capacity import item_bytes
from bench.cost.prices import Tariff, tariff
from bench.scaling.simulation import percentile
from bench.scaling.stations import Rate, Slots
from bench.written import Written
from chalicelib.amounts import ceil_div
from chalicelib.aws.dynamodb.attribute_values import serialize
from chalicelib.aws.dynamodb.order_item import order_to_item
from chalicelib.orders.life import place
from chalicelib.orders.order import Order, Token
from chalicelib.waiting.book import READ_AGAIN_MS, SETTLED_MS

PAIRS, ORDERS, TRAILING_PARTS = 50, 100_000, 10
SECONDS = 600.0
# Of a look besides judging: two writes, a message, and what Lambda takes to begin; one round trip to the node.
_AWS_SECONDS, _NODE_SECONDS = (0.02, 0.05), (0.06, 0.12)
# SQS hands a message over this long after it is due.
_QUEUE_SECONDS = (0.005, 0.06)
_WATCHER_GIGABYTES = 1.0
# A look's own: take and pass on, of an item under a kilobyte each; send, receive and delete the message.
_WRITES_A_LOOK, _SQS_A_LOOK = 2, 3
# So many orders come and go in an hour, of those that wait.
_TURNOVER_AN_HOUR = Decimal(1) / 24
_ORDER = Order(
    order_id="00000000-0000-0000-0000-000000000000",
    account="an-account",
    type="oco",
    token_in=Token("SOL", "So11111111111111111111111111111111111111112", 9),
    token_out=Token("USDC", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v", 6),
    amount=10_000_000_000,
    slippage_ppm=10_000,
    request_digest="0" * 64,
    created_at_ms=1_760_000_000_000,
    expires_at_ms=1_760_086_400_000,
    limit_price="160",
    trailing_ppm=50_000,
    best_out=1_500_000_000,
)

_PAGE = """\
# Orders that wait, at scale

{orders:,} orders over {pairs} pairs, a tenth of them trailing: a simulation, seeded, of {minutes:.0f} minutes, with the
looks of [waiting.md](waiting.md). *Calm*: a look judges in {calm:.2f} s. *Rising*: every trailing stop sees a new best
price at each look, {rising:.2f} s. The gap is from the end of a look to the beginning of the next at the same pair; the
pace is what the nodes leave for looks, each of which asks once.

| watchers at once | nodes' pace | market | gap p50 | p99 | longest | looks a second |
| ---: | ---: | --- | ---: | ---: | ---: | ---: |
{gaps}

## What it costs

Of a pair with {each:,} waiting orders, a twenty-fourth of which come and go in an hour, at list prices. *Calm*: no
trailing stop moves. *Rising*: each is stored once a minute, which is the most while its price moves slowly.

| | calm, a pair-hour | $ | rising, a pair-hour | $ |
| --- | ---: | ---: | ---: | ---: |
{bill}

That is **${month_calm:.2f} a pair-month calm and ${month_rising:.2f} rising**,
**${order_calm:.4f} and ${order_rising:.4f} an order-month**.
A pair with one waiting order costs ${alone:.2f} a month.

Again with `python -m bench.scaling.waiting`.
"""


@dataclass(frozen=True, slots=True)
class WatchLoad:
    """How many pairs are watched by how many watchers at once, and how long a look judges, in seconds.

    `looks_a_second`: what the nodes' pace leaves for looks; None where it is no limit.
    """

    pairs: int
    watchers: int
    judging: float
    every: float = 1.0
    looks_a_second: float | None = None


@dataclass(frozen=True, slots=True)
class Gaps:
    """Seconds from the end of each look to the beginning of the next of the same pair, by pair."""

    by_pair: Mapping[int, tuple[float, ...]]
    looks: int
    seconds: float

    @property
    def all(self) -> list[float]:
        return sorted(gap for gaps in self.by_pair.values() for gap in gaps)


def simulate(load: WatchLoad, seconds: float, seed: int) -> Gaps:
    """The gaps of so much time. Raises ValueError without watchers."""
    if load.watchers < 1:
        raise ValueError("nobody watches")
    dice, ticket = Random(seed), count()
    events: list[tuple[float, int, Callable[[float], None]]] = []
    slots = Slots("watchers", lambda now: load.watchers)
    pace = None if load.looks_a_second is None else Rate("nodes", load.looks_a_second, float("inf"))
    gaps: dict[int, list[float]] = {pair: [] for pair in range(load.pairs)}
    ended: dict[int, float] = {}
    looks = 0

    def at(when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(events, (when, next(ticket), what))

    def go_round(pair: int) -> None:
        def begins(now: float) -> None:
            nonlocal looks
            looks += 1
            if pair in ended:
                gaps[pair].append(now - ended[pair])
            at(now + dice.uniform(*_AWS_SECONDS) + dice.uniform(*_NODE_SECONDS) + load.judging, ends)

        def ends(now: float) -> None:
            ended[pair] = now
            slots.give_back(now)
            due = now + load.every if pace is None else max(now + load.every, pace.take(1.0, now))
            at(due + dice.uniform(*_QUEUE_SECONDS), lambda when: slots.take(when, begins))

        at(dice.uniform(0.0, load.every), lambda when: slots.take(when, begins))

    for pair in range(load.pairs):
        go_round(pair)
    while events and events[0][0] <= seconds:
        when, _, what = heapq.heappop(events)
        what(when)
    return Gaps({pair: tuple(found) for pair, found in gaps.items()}, looks, seconds)


@dataclass(frozen=True, slots=True)
class PairHour:
    """What watching one pair for an hour takes: what is billed, by the price's name."""

    billed: Mapping[str, Decimal]

    def dollars(self, prices: Tariff) -> Decimal:
        return sum((prices[name].of(amount) for name, amount in self.billed.items()), Decimal(0))


def pair_hour(orders: int, judging: float, *, stored_a_minute: bool, every: float = 1.0) -> PairHour:
    """Of a pair of which so many orders wait, a tenth trailing; `stored_a_minute`: these are written once a minute."""
    look = judging + sum(_AWS_SECONDS) / 2 + sum(_NODE_SECONDS) / 2
    looks = Decimal(3600) / Decimal(str(every + look + sum(_QUEUE_SECONDS) / 2))
    changes = 2 * orders * _TURNOVER_AN_HOUR
    stores = Decimal(orders * 60 // TRAILING_PARTS if stored_a_minute else 0)
    written = changes + stores
    # read once in so long, and at each look for so long after a change
    most = looks
    reads = min(most, Decimal(3_600_000 // READ_AGAIN_MS) + written * Decimal(SETTLED_MS) / 1000 / Decimal(str(every)))
    whole, entry = order_units(), 1
    # in a transaction each unit counts twice: the order, and its pair's circulation; byAccount holds the whole item
    store_units = 2 * whole + 2 + whole + entry
    change_units = 2 + entry
    return PairHour(
        {
            "dynamodbWriteUnit": looks * _WRITES_A_LOOK + changes * change_units + stores * store_units,
            "dynamodbReadUnit": reads * read_units(orders) + stores * ceil_div(whole, 4),
            "sqsRequest": looks * _SQS_A_LOOK,
            "lambdaRequest": looks,
            "lambdaGbSecond": looks * Decimal(str(look)) * Decimal(str(_WATCHER_GIGABYTES)),
        }
    )


def order_units() -> int:
    """Write units of a waiting order's item."""
    item = order_to_item(place(_ORDER))
    return ceil_div(item_bytes(serialize(item)), 1024)


def read_units(orders: int) -> Decimal:
    """What reading so many orders of a pair out of the index takes, half a unit for each 4 KB."""
    item = order_to_item(place(_ORDER))
    entry = {name: item[name] for name in ("orderId", "item", "waitingPair", "waitsFor")}
    return Decimal(max(1, ceil_div(orders * (item_bytes(serialize(entry)) + 100), 4096))) / 2


def _gap_rows(calm: float, rising: float, seed: int) -> Iterator[str]:
    for market, judging in (("calm", calm), ("rising", rising)):
        for watchers, pace in ((20, None), (50, None), (20, 10.0)):
            load = WatchLoad(PAIRS, watchers, judging, looks_a_second=pace)
            gaps = simulate(load, SECONDS, seed)
            told = "none" if pace is None else f"{pace:.0f} looks a second"
            p50, p99, longest = (percentile(gaps.all, share) for share in (50, 99, 100))
            yield (
                f"| {watchers} | {told} | {market} | {p50:.2f} s | {p99:.2f} s | {longest:.2f} s | "
                f"{gaps.looks / gaps.seconds:.1f} |"
            )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling.waiting", description="Looks at scale.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calm", type=float, default=0.1, help="seconds that a look judges 2,000 orders in")
    parser.add_argument("--rising", type=float, default=0.8, help="the same while all trailing stops move")
    Written.add_option(parser)
    options = parser.parse_args()
    page = told(options.calm, options.rising, options.seed)
    print(page)
    Written(options.record).write({"waiting_scaling.md": page})


def told(calm: float, rising: float, seed: int) -> str:
    """The page."""
    prices, each = tariff(), ORDERS // PAIRS
    hours = pair_hour(each, calm, stored_a_minute=False), pair_hour(each, rising, stored_a_minute=True)
    month = Decimal(730)
    dollars = [hour.dollars(prices) * month for hour in hours]
    rows = [
        f"| {prices[name].unit} | {hours[0].billed[name]:,.0f} | {prices[name].of(hours[0].billed[name]):.4f} | "
        f"{hours[1].billed[name]:,.0f} | {prices[name].of(hours[1].billed[name]):.4f} |"
        for name in hours[0].billed
    ]
    rows.append(f"| **in all** | | **{dollars[0] / month:.4f}** | | **{dollars[1] / month:.4f}** |")
    return _PAGE.format(
        orders=ORDERS,
        pairs=PAIRS,
        minutes=SECONDS / 60,
        calm=calm,
        rising=rising,
        gaps="\n".join(_gap_rows(calm, rising, seed)),
        each=each,
        bill="\n".join(rows),
        month_calm=dollars[0],
        month_rising=dollars[1],
        order_calm=dollars[0] / each,
        order_rising=dollars[1] / each,
        alone=pair_hour(1, 0.01, stored_a_minute=False).dollars(prices) * month,
    )


if __name__ == "__main__":
    main()
