"""Orders on their way through the engine's limits: a discrete-event simulation, seeded, with measured durations."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from random import Random
from statistics import mean
from typing import TypeAlias

from bench.cost.measuring import Measurement
from bench.scaling.limits import Limits
from bench.scaling.stations import Rate, Refused, Slots, Tally

# How long each asker waits for its turn before it gives up: botocore with its retries for DynamoDB and KMS, our RPC
# client with its time-out, an order for its start, a transaction for its block. A full gateway turns away at once.
_AWS_PATIENCE = 5.0
_RPC_PATIENCE = 10.0
_START_PATIENCE = 15 * 60.0
_BLOCKHASH_PATIENCE = 60.0
_FOR_EVER = float("inf")
_STARTS_AT_ONCE = 10
# byAccount is of counts that were made while there was one.
_BY_ACCOUNT = ("byPlaced", "byStanding", "byAccount")
# For how long the load has been there already when the run begins: so that Lambda has come to it.
_WARM_MINUTES = 60.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What one order takes, on average, out of a measurement; and the durations that it draws from, in seconds."""

    api: tuple[float, ...]
    worker: tuple[float, ...]
    publishing: float
    rpc_calls: float
    api_units: float
    worker_units: float
    account_units: float
    due_units: float
    transactions: float
    posts: float
    compute_units: float

    @classmethod
    def of(cls, counted: Measurement) -> Profile:
        def units(place: str, *functions: str) -> float:
            found = [counted.write_units.get(f"{name} {place}", 0) for name in functions]
            return sum(found) / counted.orders

        functions = ("APIHandler", "ExecuteOrder", "PushChanges", "WebsocketConnect")
        return cls(
            api=tuple(ms / 1000 for ms in counted.invocation_ms["APIHandler"]),
            worker=tuple(ms / 1000 for ms in counted.invocation_ms["ExecuteOrder"]),
            publishing=sum(counted.invocation_ms["PushChanges"]) / 1000 / counted.orders,
            rpc_calls=sum(counted.solana_calls.values()) / counted.orders,
            api_units=units("OrdersTable", "APIHandler", "WebsocketConnect"),
            worker_units=units("OrdersTable", "ExecuteOrder", "PushChanges"),
            # the busiest of those indexes that have a partition an account
            account_units=max(units(f"OrdersTable/{name}", *functions) for name in _BY_ACCOUNT),
            due_units=units("OrdersTable/byDue", *functions),
            transactions=sum(
                number for name, number in counted.aws_calls.items() if name.endswith(" TransactWriteItems")
            )
            / counted.orders,
            posts=counted.websocket_messages / counted.orders,
            compute_units=float(sum(map(Decimal, counted.compute_units)) / len(counted.compute_units)),
        )


@dataclass
class Outcome:
    """What became of the orders. Times in seconds: placed to confirmed, and confirmed to told."""

    per_minute: float
    offered: int
    tallies: dict[str, Tally]
    confirmed: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    refused: int = 0
    waiting: int = 0

    def in_the_way(self) -> str:
        """The station that stood most in the way: by those it turned away, then by the time they waited."""
        return max(self.tallies, key=lambda name: (self.tallies[name].refused, self.tallies[name].waited))

    def healthy(self, unloaded: float) -> bool:
        """Nobody turned away, nobody left; 95 of 100 within twice the time of one that is alone, and told in 2 s."""
        if self.refused or self.waiting or not self.confirmed:
            return False
        return percentile(self.confirmed, 95) <= 2 * unloaded and percentile(self.told, 95) <= 2.0


def percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


_Go = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class _Until:
    """Go on at this time."""

    at: float


@dataclass(frozen=True, slots=True)
class _Take:
    """Go on with one of the slots."""

    slots: Slots


_Process: TypeAlias = Generator["_Until | _Take", float, None]


def capacities(profile: Profile, limits: Limits) -> dict[str, float]:
    """How many orders a minute each limit lets through for ever, alone."""
    api, worker = mean(profile.api), mean(profile.worker)
    account_units = limits.account_units * limits.blocks_per_second
    a_second = {
        "pace": limits.orders_per_minute / 60,
        "gateway stage": limits.gateway,
        "workers at once": limits.orders_at_once / worker,
        "Lambda concurrency": limits.lambda_concurrency / (api + worker),
        "Solana node": limits.rpc_per_second / profile.rpc_calls,
        "orders table": limits.table / (profile.api_units + profile.worker_units),
        "index by account": limits.partition * limits.accounts * limits.account_parts / profile.account_units,
        "counters of all": limits.counter_parts / (limits.transaction_seconds * max(profile.transactions, 1e-9)),
        "index byDue": limits.partition * limits.open_shards / profile.due_units,
        "admission item": limits.partition * limits.admission_items,
        "publisher": limits.shards * limits.publishers_per_shard / profile.publishing,
        "posts to connections": limits.gateway_account / profile.posts,
        "new connections": limits.websocket_connects,
        "KMS": limits.kms,
        "wallet's compute units": account_units * limits.wallets / profile.compute_units,
        "pools' compute units": account_units * limits.pools / profile.compute_units,
        "Solana's blocks": limits.block_units * limits.blocks_per_second / profile.compute_units,
    }
    return {name: rate * 60 for name, rate in a_second.items()}


class Simulation:
    """One run. Orders come as a Poisson process; each takes what it needs, and waits for it."""

    def __init__(self, profile: Profile, limits: Limits, seed: int, *, cold: bool = False) -> None:
        """`cold`: the load begins at once, after an idle time."""
        self._age_minutes = 0.0 if cold else _WARM_MINUTES
        self._profile = profile
        self._limits = limits
        self._dice = Random(seed)
        self._now = 0.0
        self._agenda: list[tuple[float, int, _Go]] = []
        self._numbers = count()
        self._gateway = Rate("gateway stage", limits.gateway, 0.0, burst=2 * limits.gateway)
        self._pace = Rate("pace", limits.orders_per_minute / 60, _START_PATIENCE, burst=_STARTS_AT_ONCE)
        self._admission = [
            Rate("admission item", limits.partition, _AWS_PATIENCE) for _ in range(limits.admission_items)
        ]
        self._lambda = Slots("Lambda concurrency", lambda now: limits.lambda_concurrency)
        self._workers = Slots("workers at once", self._worker_slots)
        self._node = Rate("Solana node", limits.rpc_per_second, _RPC_PATIENCE)
        self._kms = Rate("KMS", limits.kms, _AWS_PATIENCE)
        self._table = Rate("orders table", limits.table, _AWS_PATIENCE)
        self._by_account = [
            Rate("index by account", limits.partition, _AWS_PATIENCE)
            for _ in range(limits.accounts * limits.account_parts)
        ]
        a_second = 1 / limits.transaction_seconds
        self._counters = [Rate("counters of all", a_second, _AWS_PATIENCE) for _ in range(limits.counter_parts)]
        self._by_due = [Rate("index byDue", limits.partition, _AWS_PATIENCE) for _ in range(limits.open_shards)]
        units_a_second = limits.account_units * limits.blocks_per_second
        self._wallets = [
            Rate("wallet's compute units", units_a_second, _BLOCKHASH_PATIENCE) for _ in range(limits.wallets)
        ]
        self._pools = [Rate("pools' compute units", units_a_second, _BLOCKHASH_PATIENCE) for _ in range(limits.pools)]
        self._blocks = Rate("Solana's blocks", limits.block_units * limits.blocks_per_second, _BLOCKHASH_PATIENCE)
        self._publishers = [Slots("publisher", lambda now: limits.publishers_per_shard) for _ in range(limits.shards)]
        self._connects = Rate("new connections", limits.websocket_connects, _FOR_EVER)
        self._posts = Rate("posts to connections", limits.gateway_account, _FOR_EVER)

    def run(self, per_minute: float, minutes: float) -> Outcome:
        """So many orders a minute for so many minutes, and as long again for what is under way."""
        outcome = Outcome(per_minute, 0, {})
        self._schedule_arrivals(per_minute, minutes, outcome)
        end = minutes * 60 * 2 + 60
        while self._agenda and self._agenda[0][0] <= end:
            self._now, _, go = heapq.heappop(self._agenda)
            go(self._now)
        outcome.waiting = outcome.offered - outcome.refused - len(outcome.told)
        for name, tally in self._tallied(end):
            total = outcome.tallies.setdefault(name, Tally())
            total.visits += tally.visits
            total.refused += tally.refused
            total.waited += tally.waited
            total.longest = max(total.longest, tally.longest)
        return outcome

    def _schedule_arrivals(self, per_minute: float, minutes: float, outcome: Outcome) -> None:
        at = 0.0
        while (at := at + self._dice.expovariate(per_minute / 60)) < minutes * 60:
            outcome.offered += 1
            self._at(at, lambda now, outcome=outcome: self._begin(outcome))  # type: ignore[misc]

    def _begin(self, outcome: Outcome) -> None:
        self._advance(self._order(outcome), None, outcome)

    def _advance(self, order: _Process, now: float | None, outcome: Outcome) -> None:
        """Let the order go on until it must wait; `now` is None at its beginning."""
        try:
            wish = order.send(now)  # type: ignore[arg-type]  # a generator's first
        except StopIteration:
            return
        except Refused:
            outcome.refused += 1
            return

        def go_on(at: float) -> None:
            self._advance(order, at, outcome)

        match wish:
            case _Until(at):
                self._at(at, go_on)
            case _Take(slots):
                slots.take(self._now, lambda at: self._at(at, go_on))

    def _at(self, at: float, go: _Go) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), go))

    def _order(self, outcome: Outcome) -> _Process:
        """One order's life: the request, the wait for its slot, the worker, the chain, the push."""
        placed = self._now
        start = yield from self._request()
        now = yield _Until(start)
        confirmed = yield from self._execution(now)
        outcome.confirmed.append(confirmed - placed)
        told = yield from self._push()
        outcome.told.append(told - confirmed)

    def _request(self) -> Generator[_Until | _Take, float, float]:
        """The API's part; returns when the order may start."""
        profile, dice = self._profile, self._dice
        self._gateway.take(1, self._now)
        yield _Take(self._lambda)
        try:
            yield _Until(self._now + dice.choice(profile.api))
            start = self._pace.take(1, self._now)
            self._connects.take(1, self._now)
            yield _Until(
                max(
                    dice.choice(self._admission).take(1, self._now),
                    self._table.take(profile.api_units, self._now),
                )
            )
        finally:
            self._lambda.give_back(self._now)
        return max(start, self._now)

    def _execution(self, now: float) -> Generator[_Until | _Take, float, float]:
        """The worker's part, and the chain's; returns when the order is confirmed."""
        profile, dice = self._profile, self._dice
        yield _Take(self._workers)
        yield _Take(self._lambda)
        try:
            now = self._now + dice.choice(profile.worker)
            waits = [
                self._node.take(profile.rpc_calls, self._now),
                self._kms.take(1, self._now),
                self._table.take(profile.worker_units, self._now),
                dice.choice(self._by_account).take(profile.account_units, self._now),
                dice.choice(self._counters).take(profile.transactions, self._now),
                dice.choice(self._by_due).take(profile.due_units, self._now),
                dice.choice(self._wallets).take(profile.compute_units, self._now),
                dice.choice(self._pools).take(profile.compute_units, self._now),
                self._blocks.take(profile.compute_units, self._now),
            ]
            # what is waited for comes on top of what the order takes when it is alone, where all of these are idle
            yield _Until(now + max(0.0, max(waits) - self._now - self._undisturbed()))
        finally:
            self._lambda.give_back(self._now)
            self._workers.give_back(self._now)
        return self._now

    def _push(self) -> Generator[_Until | _Take, float, float]:
        """The publisher's part for all of an order's changes; returns when its watcher has been told."""
        publisher = self._dice.choice(self._publishers)
        yield _Take(publisher)
        try:
            posted = self._posts.take(self._profile.posts, self._now)
            yield _Until(max(posted, self._now + self._profile.publishing))
        finally:
            publisher.give_back(self._now)
        return self._now

    def _undisturbed(self) -> float:
        """The longest that one of the rates takes for one order when nobody else is there."""
        profile, limits = self._profile, self._limits
        return max(
            profile.rpc_calls / limits.rpc_per_second,
            profile.account_units / limits.partition,
            profile.transactions * limits.transaction_seconds,
            profile.worker_units / limits.table,
        )

    def _worker_slots(self, now: float) -> int:
        """Lambda starts with a few workers and adds some each minute, up to the mapping's maximum."""
        minutes = self._age_minutes + now / 60
        grown = self._limits.mapping_start + int(self._limits.mapping_growth_per_minute * minutes)
        return min(self._limits.orders_at_once, grown)

    def _tallied(self, end: float) -> Iterator[tuple[str, Tally]]:
        for slots in (self._lambda, self._workers, *self._publishers):
            slots.count_the_line(end)
            yield slots.name, slots.tally
        for rate in (
            *(self._gateway, self._pace, self._node, self._kms, self._table, self._blocks, self._connects, self._posts),
            *(*self._admission, *self._counters, *self._by_account, *self._by_due, *self._wallets, *self._pools),
        ):
            yield rate.name, rate.tally
