"""`python -m bench.waiting`: how long a look at a pair with 2,000 waiting orders takes, from its read to its findings.

The pairs are the genesis market's, read from memory, so that what is timed is the engine's own work: decoding the
pools, judging every order, and asking for the routes that bounds don't spare.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from solders.pubkey import Pubkey

from bench import waiting_fall
from bench.machine import machine
from bench.waiting_fall import READ_SECONDS, SEND_SECONDS, TRANSACTION_SECONDS, FallTimed, timed_fall
from bench.written import Written
from chalicelib.aws.dynamodb.waiting_index import WaitingIndex
from chalicelib.orders.order import Token
from chalicelib.orders.trading import LEG_COMPUTE_UNITS
from chalicelib.routing.many_amounts import ManyAmounts
from chalicelib.routing.market import Market
from chalicelib.solana.accounts import CLOCK_LENGTH, CLOCK_SYSVAR, SYSVAR_OWNER, Account, AccountMap, AccountsRead
from chalicelib.solana.compute_budget import ComputeBudget
from chalicelib.venues import supported
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from chalicelib.waiting.circulation import pair_of
from chalicelib.waiting.look import Findings, judge_all
from chalicelib.waiting.pair_market import RoutedPairMarket
from chalicelib.waiting.ports import MarketSeen
from chalicelib.waiting.waiting_order import WaitingOrder
from infra.localnet.market.genesis import GenesisMarket, genesis_market

ORDERS = 2_000
# So many of them are asked for their routes, to price the others by.
SAMPLED = 100
ROUNDS = 1
PAIRS = (("SOL", "USDC"), ("JUP", "USDC"), ("LEVY", "BONK"))
_NOW = 1_760_000_000
# The smallest order's size in dollars' millionths, and the largest: a million times as much.
_SMALLEST, _LARGEST = 100_000, 100_000_000_000

_PAGE = """\
# How long a look takes

{orders:,} waiting orders of one pair, both ways, a tenth of them trailing, of sizes up to a million times another's;
seconds of one core, {rounds} round. *Far*: limits from 0.1 % to 10 % above what is paid, stops as far
below, trailing stops below their best. *Rising*: each trailing stop sees a new best price, and needs its own route; a
look follows a part of so many, and the next looks the others.
*Falling*: the market has fallen by a tenth, and most stops are reached, each of which needs its own route too: what a
look has no time for, the next does at once. *A route for every order*, by a sample: what a look without bounds takes.

| pair | pools | | a look | routes found | reached | a route for every order |
| --- | ---: | --- | ---: | ---: | ---: | ---: |
{rows}

*In a fall*: looks as the watcher makes them, one after another, until all stops that went off are handed over, each by
its own route; seconds of the clock, from the beginning of the first look. Tables and queues are in memory, and a read
of AWS is taken to last {read:.0f} ms, a message {send:.0f} ms, a transaction {write:.0f} ms.
What is found is handed over while the look goes on, so the routes are what takes the time. Four calls for each order,
one after another, would wait {one_by_one:.0f} ms for each.

| pair | stops that go off | looks | the first is handed over after | half of them | the last | calls to AWS |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{fall}

Reading {orders:,} orders out of the index's pages, without the network: {reading:.2f} s; {bytes_each:.0f} bytes an
order, {units:.0f} read units for all of them.

Measured on: {machine}, at a load of {load:.1f}. Again with `python -m bench.waiting`.
"""


@dataclass(frozen=True, slots=True)
class LookTimed:
    """What one look took, in seconds of one core."""

    pair: str
    pools: int
    case: str
    seconds: float
    routes: int
    reached: int
    without_bounds: float | None


@dataclass(frozen=True, slots=True)
class _Accounts:
    """Every account of the genesis market, and the clock, as a node would answer."""

    accounts: AccountMap

    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        return AccountsRead(1, {address: self.accounts.get(address) for address in addresses})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.waiting", description="Time looks.")
    Written.add_option(parser)
    options = parser.parse_args()
    genesis = genesis_market(_NOW)
    market = market_of(genesis)
    rows: list[LookTimed] = []
    fall: list[FallTimed] = []
    for pair in PAIRS:
        looks, fallen = timed(genesis, market, pair)
        print(table(looks), flush=True)
        fall.append(timed_fall("/".join(pair), market, fallen, tokens_of(genesis), _NOW * 1000))
        print(waiting_fall.table(fall[-1:]), flush=True)
        rows += looks
    size, seconds = reading()
    page = _PAGE.format(
        orders=ORDERS,
        rounds=ROUNDS,
        rows=table(rows),
        reading=seconds,
        fall=waiting_fall.table(fall),
        read=READ_SECONDS * 1000,
        send=SEND_SECONDS * 1000,
        write=TRANSACTION_SECONDS * 1000,
        one_by_one=(READ_SECONDS + 2 * SEND_SECONDS + TRANSACTION_SECONDS) * 1000,
        bytes_each=size,
        units=-(-size * ORDERS // 4096) / 2,
        machine=machine(),
        load=os.getloadavg()[1],
    )
    Written(options.record).write({"waiting.md": page})


def table(rows: Sequence[LookTimed]) -> str:
    return "\n".join(
        f"| {row.pair} | {row.pools} | {row.case} | {row.seconds:.2f} s | {row.routes:,} | {row.reached:,} | "
        f"{'' if row.without_bounds is None else f'{row.without_bounds:.1f} s'} |"
        for row in rows
    )


def market_of(genesis: GenesisMarket) -> RoutedPairMarket:
    """The engine's own market over the genesis pools."""
    clock = bytearray(CLOCK_LENGTH)
    clock[0:8] = (360_000_000).to_bytes(8, "little")
    clock[32:40] = (_NOW + 60).to_bytes(8, "little")
    accounts: dict[Pubkey, Account | None] = dict(genesis.accounts)
    accounts[CLOCK_SYSVAR] = Account(SYSVAR_OWNER, 1, bytes(clock))
    source = _Accounts(accounts)
    entries = [PoolEntry(str(pool.address), str(pool.program)) for pool in genesis.pools]
    registry = PoolRegistry(
        lambda: entries,
        lambda addresses: source.get_multiple_accounts(addresses).accounts,
        supported.VENUES,
        lambda: _NOW * 1000,
        max_age_ms=10**12,
    )
    leg = ComputeBudget(LEG_COMPUTE_UNITS, unit_price=1_000)
    return RoutedPairMarket(
        Market(source, registry, lambda: _NOW * 1000), leg.priority_fee_lamports, lambda: _NOW * 1000
    )


def tokens_of(genesis: GenesisMarket) -> dict[str, Token]:
    """The market's tokens by their mints, as orders have them."""
    tokens = {token.symbol: token for pool in genesis.pools for token in (pool.base, pool.quote)}
    return {
        str(token.mint.address): Token(symbol, str(token.mint.address), token.mint.decimals)
        for symbol, token in tokens.items()
    }


def timed(
    genesis: GenesisMarket, market: RoutedPairMarket, pair: tuple[str, str]
) -> tuple[list[LookTimed], list[WaitingOrder]]:
    """The looks at one pair, in each case; and the orders of the last, in a fall."""
    far, every = book(genesis, market, pair)
    rising = [replace(one, best_out=1) if one.trailing_ppm is not None else one for one in far]
    falling = [
        replace(one, stop_out=int(one.stop_out * 1.1)) if one.stop_out is not None and one.limit_out is None else one
        for one in far
    ]
    pools = sum({pool.base.symbol, pool.quote.symbol} == set(pair) for pool in genesis.pools)
    name = "/".join(pair)
    looks = [
        _timed(market, name, pools, "far", far, every),
        _timed(market, name, pools, "rising", rising),
        _timed(market, name, pools, "falling", falling),
    ]
    return looks, falling


def _timed(
    market: RoutedPairMarket,
    name: str,
    pools: int,
    case: str,
    orders: Sequence[WaitingOrder],
    without_bounds: float | None = None,
) -> LookTimed:
    best, found, routes = float("inf"), Findings((), {}, ()), 0
    for _ in range(ROUNDS):
        began = time.process_time()
        found, routes = _look(market, orders)
        best = min(best, time.process_time() - began)
    return LookTimed(name, pools, case, best, routes, len(found.reached), without_bounds)


def _look(market: RoutedPairMarket, orders: Sequence[WaitingOrder]) -> tuple[Findings, int]:
    def judged(seen: MarketSeen) -> tuple[Findings, int]:
        findings = judge_all(orders, seen.payments, {}, _NOW * 1000)
        sides = [side for side in seen.payments.values() if isinstance(side, ManyAmounts)]
        return findings, sum(side.routes_found for side in sides)

    looked: tuple[Findings, int] = _with(market, orders, judged)
    return looked


def _with(market: RoutedPairMarket, orders: Sequence[WaitingOrder], use: Callable[[MarketSeen], Any]) -> Any:
    first = orders[0]
    largest: dict[str, int] = {}
    for order in orders:
        largest[order.mint_in] = max(order.amount, largest.get(order.mint_in, 0))
    low, high = sorted((first.mint_in, first.mint_out))
    return market((low, high), largest, use)


def book(genesis: GenesisMarket, market: RoutedPairMarket, pair: tuple[str, str]) -> tuple[list[WaitingOrder], float]:
    """Orders of both directions of the pair, priced about what each one's amount is paid now.

    And how long a route for each of them takes, by those of a sample, in seconds of one core.
    """
    dice = Random(17)
    tokens = {token.symbol: token for pool in genesis.pools for token in (pool.base, pool.quote)}
    drafts = []
    for number in range(ORDERS):
        sold, bought = (tokens[symbol] for symbol in (pair if number % 2 else pair[::-1]))
        dollars = int(_SMALLEST * (_LARGEST / _SMALLEST) ** dice.random())
        amount = max(1, sold.base_units(1) * dollars // 1_000_000)
        drafts.append(
            WaitingOrder(
                order_id=f"{number:08d}-0000-0000-0000-000000000000",
                mint_in=str(sold.mint.address),
                mint_out=str(bought.mint.address),
                amount=amount,
                expires_at_ms=(_NOW + 86_400) * 1000,
            )
        )
    sample = sorted(drafts, key=lambda order: order.amount)[:: ORDERS // SAMPLED]
    began = time.process_time()
    paid = _with(market, drafts, lambda seen: [seen.payments[one.mint_in].paid(one.amount) or 1 for one in sample])
    seconds = (time.process_time() - began) * ORDERS / len(sample)
    priced = []
    for number, draft in enumerate(drafts):
        like, fair = min(
            (abs(one.amount - draft.amount), one.amount, out)
            for one, out in zip(sample, paid, strict=True)
            if one.mint_in == draft.mint_in
        )[1:]
        priced.append(_priced(draft, draft.amount * fair // like, number, dice))
    return priced, seconds


def _priced(draft: WaitingOrder, fair: int, number: int, dice: Random) -> WaitingOrder:
    away = dice.uniform(0.001, 0.1)
    above, below = int(fair * (1 + away)) + 1, int(fair * (1 - away))
    if number % 10 < 1:
        return replace(draft, trailing_ppm=50_000, best_out=int(fair * 1.02))
    if number % 10 < 5:
        return replace(draft, limit_out=above)
    if number % 10 < 9:
        return replace(draft, stop_out=below)
    return replace(draft, limit_out=above, stop_out=below)


def reading() -> tuple[float, float]:
    """Bytes of an order in the index, and the seconds of one core that reading ORDERS of them takes."""
    item = _index_item()
    size = sum(len(name) + len(value["S"]) for name, value in item.items())

    class Pages:
        def query(self, **_: Any) -> dict[str, Any]:
            return {"Items": [item] * ORDERS}

    pages: Any = Pages()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        assert len(list(WaitingIndex(pages, "orders").of_pair(item["waitingPair"]["S"]))) == ORDERS
        best = min(best, time.process_time() - began)
    return size + 100, best  # DynamoDB counts 100 bytes for each entry of an index


def _index_item() -> dict[str, dict[str, str]]:
    mints = "So11111111111111111111111111111111111111112", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"
    return {
        "orderId": {"S": "00000000-0000-0000-0000-000000000000"},
        "item": {"S": "order"},
        "waitingPair": {"S": pair_of(*mints)},
        "waitsFor": {"S": "[1,10000000000,1600000000,1400000000,null,null,0,0,1760086400000]"},
    }


if __name__ == "__main__":
    main()
