"""One engine in a model of everything around it: clients, workers, the sweeper, and the promises that must hold."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import UUID

from chalicelib.amounts import floor_of
from chalicelib.contract.requests import OrderRequest
from chalicelib.http.api import new_order_of
from chalicelib.orders.changing import OrderChanges
from chalicelib.orders.delivery import Delivery, Message
from chalicelib.orders.execution import Execution
from chalicelib.orders.intake import Intake
from chalicelib.orders.life import MAX_ATTEMPTS
from chalicelib.orders.message import message_body
from chalicelib.orders.order import Order, Token, TriggerKind
from chalicelib.orders.order_changer import MarketPrices, OrderChanger
from chalicelib.orders.recovery import Recovery
from chalicelib.orders.starts import Starts
from chalicelib.orders.states import LEGAL, State, Status
from chalicelib.orders.triggers import limit_out
from chalicelib.orders.turns import TurnPolicy, Turns, Waiting, starts_a_minute
from chalicelib.problems import ExecutionError, InvalidRequest
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.times import time_text
from chalicelib.waiting.hand_over import HandOver
from chalicelib.waiting.look import Reached
from tests.faults.model.cloud import KILL_SWITCH, Queue, QueuedMessage, QueueOf, StoreOf, unreachable
from tests.faults.model.cluster import FEE, Cluster, Transaction
from tests.faults.model.stage import PromiseBroken, Worker
from tests.faults.model.trader import ModelTrader, silent
from tests.integration.chain_model import NoneRevoked
from tests.line_in_memory import LineInMemory
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import SOL, USDC

LEASE_MS = 25_000
# A minute before midnight, UTC: the limits on a day's sum start again on the way.
BEGINNING_MS = 1_760_054_340_000
# Few enough that some failures are attempts and others are not.
FAILURES_TO_TELL = 3
OUTAGE_WAIT_MS = 2_000
# Room for two of the three orders that there are at most, and for the two largest of them in one day, but for a bit.
LIMITS = Limits(open_orders=2, waiting_orders=2, daily_notional=2_500_000_000)
MOST_ORDERS = 3
MARKET = {"type": "market"}
# Few enough that orders wait for a slot and for a place.
TURNS = TurnPolicy(starts_a_minute(30, 2), places=2, own_places=1, hold_ms=LEASE_MS)


class TwoTokens:
    def find(self, text: str) -> Token | None:
        return next((token for token in (SOL, USDC) if text in (token.text, token.mint)), None)


class LineOf:
    """One worker's Line of the orders that wait to start."""

    def __init__(self, truth: LineInMemory, worker: Worker) -> None:
        self._truth = truth
        self._worker = worker

    def turns(self) -> Turns:
        return self._worker.call("looking at the turns", self._truth.turns, unreachable)

    def write(self, turns: Turns) -> bool:
        return self._worker.call("taking turns", lambda: self._truth.write(turns), unreachable)

    def end(self, order_id: str) -> Turns:
        return self._worker.call("giving a place back", lambda: self._truth.end(order_id), unreachable)

    def join(self, waiting: Waiting) -> bool:
        return self._worker.call("coming into line", lambda: self._truth.join(waiting), unreachable)

    def leave(self, waiting: Waiting) -> bool:
        return self._worker.call("going out of line", lambda: self._truth.leave(waiting), unreachable)

    def of(self, account: str, limit: int) -> list[Waiting]:
        return self._worker.call("reading the line", lambda: self._truth.of(account, limit), unreachable)

    def told(self, waiting: Waiting, told_ms: int) -> None:
        self._worker.call("noting what was told", lambda: self._truth.told(waiting, told_ms), unreachable)

    def has(self, waiting: Waiting) -> bool:
        return self._worker.call("looking for an order in line", lambda: self._truth.has(waiting), unreachable)


class Operator:
    """What the operator lets through, as one worker sees it."""

    def __init__(self, world: World, worker: Worker) -> None:
        self._world = world
        self._worker = worker

    def halt_of(self, account: str) -> Halt | None:
        return self._worker.call(KILL_SWITCH, lambda: HALT if self._world.halted else None, unreachable)

    def limits_for(self, account: str) -> LimitsInForce:
        def look() -> LimitsInForce:
            counters = self._world.table.counters
            kinds = [(f"{kind}#account#{account}", f"{kind}#global") for kind in ("open", "waiting")]
            return LimitsInForce(LIMITS, Limits(), *(counters.get(name, 0) for pair in kinds for name in pair))

        return self._worker.call("looking at the limits", look, unreachable)


class OutagesOf:
    """What all workers together learn of Solana's nodes, as one of them takes part in it."""

    def __init__(self, world: World, worker: Worker) -> None:
        self._world = world
        self._worker = worker

    def failed(self, now_ms: int) -> int | None:
        def count() -> int | None:
            self._world.rpc_failures += 1
            return OUTAGE_WAIT_MS if self._world.rpc_failures >= FAILURES_TO_TELL else None

        return self._worker.call("counting an outage", count, unreachable)

    def answered(self, now_ms: int) -> None:
        def reset() -> None:
            self._world.rpc_failures = 0

        self._worker.call("ending an outage", reset, unreachable)


HALT = Halt("global", BEGINNING_MS, "a test")


@dataclass
class World:
    now_ms: int = BEGINNING_MS
    halted: bool = False
    # how long an order is good for that names no time of its own
    market_order_ms: int = 300_000
    # in a row, over all workers
    rpc_failures: int = 0
    # how many blocks come while a worker waits to ask again
    blocks_a_wait: int = 1
    cluster: Cluster = field(default_factory=Cluster)
    table: OrdersInMemory = field(default_factory=OrdersInMemory)
    line: LineInMemory = field(default_factory=LineInMemory)
    queue: Queue = field(default_factory=Queue)
    dead_letters: Queue = field(default_factory=Queue)
    market: deque[ExecutionError | None] = field(default_factory=deque)
    workers: list[Worker] = field(default_factory=list)
    # order ids that a client was told, by the idempotency key if there was one
    accepted: list[tuple[str | None, str]] = field(default_factory=list)
    started: int = 0
    posted: int = 0
    # how many versions of each order were looked at already
    seen: dict[str, int] = field(default_factory=dict)

    # --- who acts -------------------------------------------------------------------------------------------------

    def post(
        self,
        amount: int,
        key: str | None,
        skew_ms: int = 0,
        least: str | None = None,
        waits: Mapping[str, str] = MARKET,
    ) -> Worker:
        """A client's POST, in a worker of its own; of an order that waits with its type and prices in `waits`."""
        fields = {**waits, "tokenIn": "SOL", "tokenOut": "USDC", "amount": f"{amount}e-9", "slippage": "0.01"}
        if least is not None:
            fields["minOut"] = least
        if waits is not MARKET:
            fields["expiresAt"] = time_text(self.now_ms + skew_ms + self.market_order_ms)
        body = OrderRequest.model_validate(fields)

        def job(worker: Worker) -> None:
            try:
                new_order = replace(new_order_of(TwoTokens(), body, fields), force=True)
                submitted = self._intake(worker, skew_ms).submit("local", new_order, key)
            except InvalidRequest as refused:
                raise PromiseBroken(f"a good order was refused: {refused}") from refused
            self.accepted.append((key, submitted.order.order_id))

        return self._start("post", _answering(job))

    def cancel(self, order_id: str, skew_ms: int = 0) -> Worker:
        def job(worker: Worker) -> None:
            cancelled = self._intake(worker, skew_ms).cancel("local", order_id)
            if cancelled.state is not State.CANCELLED:
                raise PromiseBroken(f"a client was told that a {cancelled.state} order is cancelled")

        return self._start("cancel", _answering(job))

    def change(self, order_id: str, changes: OrderChanges, skew_ms: int = 0) -> Worker:
        """A client's PATCH."""

        def job(worker: Worker) -> None:
            changer = OrderChanger(
                StoreOf(self.table, worker), Operator(self, worker), self._prices_of(worker), self._clock(skew_ms)
            )
            written = changer.change("local", order_id, changes, force=True)
            if written.trigger is not None or written.state not in (State.OPEN, State.PENDING):
                raise PromiseBroken(f"a client was told that a {written.state} order is changed")

        return self._start("change", _answering(job))

    def watch(self, skew_ms: int = 0) -> Worker:
        """A look at every order that waits: one reading of the market, then one write an order."""

        def job(worker: Worker) -> None:
            clock = self._clock(skew_ms)
            store, queue = StoreOf(self.table, worker), self._queue_of(worker)
            hand_over = HandOver(store, queue, Operator(self, worker), clock)
            waiting = worker.call("reading what waits", self._waiting, unreachable)
            price = worker.call("reading the market", lambda: self.cluster.price, unreachable)
            for order_id, amount in waiting:
                paid = amount * price // 1_000
                hand_over.expire(order_id)
                hand_over.follow(order_id, paid)
                hand_over.hand_over(Reached(order_id, paid, None, is_stop=False), slot=1)

        return self._start("watch", _answering(job))

    def _waiting(self) -> list[tuple[str, int]]:
        return [(order.order_id, order.amount) for order in self.table.orders() if order.state is State.OPEN]

    def _prices_of(self, worker: Worker) -> MarketPrices:
        def paid(token_in: Token, token_out: Token, amount: int) -> int:
            return worker.call("reading the market", lambda: self.cluster.quote(amount), silent)

        return paid

    def deliver(self, message: QueuedMessage, skew_ms: int = 0, *, deletion_is_lost: bool = False) -> Worker:
        """Lambda's part: receive, call the function, delete what it doesn't name."""
        receipt = self.queue.receive(message, self.now_ms)
        received = Message(message.message_id, receipt, message.body)

        def job(worker: Worker) -> list[str]:
            clock = self._clock(skew_ms)
            store, queue = StoreOf(self.table, worker), self._queue_of(worker)
            trader = ModelTrader(
                self.cluster,
                worker,
                self.market,
                self._must_be_stored,
                lambda: clock() / 1000,
                lambda seconds: worker.call("waiting", lambda: self._wait(seconds), RuntimeError),
            )
            execution = Execution(
                store,
                trader,
                self._starts(worker, clock),
                OutagesOf(self, worker),
                Operator(self, worker),
                clock,
                LEASE_MS,
                new_nonce=secrets.token_hex,
                keys=NoneRevoked(),
            )
            failed = Delivery(execution, queue, lambda: LEASE_MS).handle([received], worker.name)
            if not failed and not deletion_is_lost:
                self.queue.delete(receipt)
            return failed

        return self._start("delivery", job)

    def sweep(self, skew_ms: int = 0) -> Worker:
        def job(worker: Worker) -> None:
            clock = self._clock(skew_ms)
            starts = self._starts(worker, clock)
            Recovery(StoreOf(self.table, worker), self._queue_of(worker), starts, clock).sweep()

        return self._start("sweep", _answering(job))

    def pass_time(self, ms: int, blocks: int) -> None:
        """Time, and as many blocks: the chain keeps its own time."""
        self.now_ms += ms
        for _ in range(blocks):
            self.cluster.add_block()

    def _wait(self, seconds: float) -> None:
        self.pass_time(round(seconds * 1000), self.blocks_a_wait)

    def living(self) -> list[Worker]:
        self.workers = [worker for worker in self.workers if worker.lives]
        return self.workers

    def _intake(self, worker: Worker, skew_ms: int) -> Intake:
        return Intake(
            StoreOf(self.table, worker),
            self._queue_of(worker),
            TwoTokens(),
            self._starts(worker, self._clock(skew_ms)),
            Operator(self, worker),
            self._clock(skew_ms),
            self._new_id,
            market_order_ms=self.market_order_ms,
            prices=self._prices_of(worker),
        )

    def _starts(self, worker: Worker, clock: Callable[[], int]) -> Starts:
        return Starts(
            LineOf(self.line, worker),
            StoreOf(self.table, worker),
            self._queue_of(worker),
            TURNS,
            clock,
            lambda seconds: worker.call("waiting for its turn", lambda: self._wait(seconds), RuntimeError),
        )

    def others_take_slots_until(self, at_ms: int) -> None:
        """The next slot is free then, and not before."""
        stands = self.line.stands
        arrival_ms = max(stands.arrival_ms, at_ms + TURNS.rate.tolerance)
        self.line.stands = replace(stands, arrival_ms=arrival_ms, revision=stands.revision + 1)

    def _new_id(self) -> UUID:
        self.posted += 1
        return UUID(int=self.posted)

    def _queue_of(self, worker: Worker) -> QueueOf:
        return QueueOf(self.queue, self.dead_letters, worker, lambda: self.now_ms)

    def _clock(self, skew_ms: int) -> Callable[[], int]:
        return lambda: self.now_ms + skew_ms

    def _start(self, kind: str, job: Callable[[Worker], object]) -> Worker:
        self.started += 1
        worker = Worker(f"{kind}-{self.started}", job)
        self.workers.append(worker)
        return worker

    # --- what must hold -------------------------------------------------------------------------------------------

    def _must_be_stored(self, signature: str) -> None:
        order_id = self.cluster.known[signature].order_id
        stored = [one.submission.signature for one in self.table.versions[order_id] if one.submission]
        if signature not in stored:
            raise PromiseBroken(f"{signature} is sent and was never stored")

    def check(self) -> None:
        """Every promise that must hold at every moment."""
        for order_id, versions in self.table.versions.items():
            for number in range(max(self.seen.get(order_id, 0), 1), len(versions)):
                _check_step(versions[number - 1], versions[number])
                self._check_one_transaction(versions[number - 1], versions[number])
            self.seen[order_id] = len(versions)
            self._check_chain(versions[-1])
        self._check_keys()
        self._check_counters()

    def _check_counters(self) -> None:
        """Each counter is what the stored orders stand for, and never over its limit."""
        sums: Counter[str] = Counter()
        for order in self.table.orders():
            for scope in (f"account#{order.account}", "global"):
                waits = order.state is State.OPEN
                sums[f"open#{scope}"] += not order.is_terminal and not waits
                sums[f"waiting#{scope}"] += waits
                if order.notional is not None and order.state not in (State.FAILED, State.CANCELLED, State.EXPIRED):
                    sums[f"notional#{order.notional.day}#{scope}"] += order.notional.value
                reserved = (order.fees_reserved,) if order.fees_reserved and not order.is_terminal else ()
                for fees in (*order.fees_paid, *reserved):
                    sums[f"fees#{fees.day}#{scope}"] += fees.lamports
        counters = {name: number for name, number in self.table.counters.items() if number}
        assert counters == {name: number for name, number in sums.items() if number}, "the counters drifted"
        assert sums["open#account#local"] <= (LIMITS.open_orders or 0)
        # what comes back to wait was let in before, and is not turned away for want of a place
        assert sums["waiting#account#local"] <= MOST_ORDERS
        assert all(number <= (LIMITS.daily_notional or 0) for name, number in sums.items() if name.startswith("not"))

    def _check_one_transaction(self, before: Order, after: Order) -> None:
        """No version brings a new transaction into the world while an older one of the order may still take effect."""
        if after.submission is None or after.submission == before.submission:
            return
        for signature in after.past_signatures:
            assert not self.cluster.may_land(signature), f"{signature} may still land"

    def _check_chain(self, order: Order) -> None:
        swaps = self.cluster.swaps_of(order.order_id)
        assert len(swaps) <= 1, f"{order.order_id} was swapped {len(swaps)} times"
        if order.state is State.CONFIRMED:
            assert [swap.signature for swap in swaps] == [order.tx_hash], "confirmed is what landed"
            assert order.amount_out == swaps[0].amount_out
            assert order.min_out is not None
            assert order.amount_out >= order.min_out, "a fill under the order's floor"
        elif order.is_terminal:
            assert not swaps, f"{order.order_id} is {order.state} and was swapped"
            assert not [one for one in self._sent(order) if self.cluster.may_land(one.signature)], "it may still land"

    def _sent(self, order: Order) -> list[Transaction]:
        return [one for one in self.cluster.known.values() if one.order_id == order.order_id and one.under_way]

    def _check_keys(self) -> None:
        by_key: dict[str, set[str]] = {}
        for key, order_id in self.accepted:
            assert order_id in self.table.items, "an order was accepted and is not stored"
            if key is not None:
                by_key.setdefault(key, set()).add(order_id)
        assert all(len(ids) == 1 for ids in by_key.values()), "one key is one order"

    def check_ended(self) -> None:
        """Every promise about the end, when faults have stopped."""
        self.check()
        orders = self.table.orders()
        assert [order.order_id for order in orders if not order.is_terminal] == []
        filled = [order for order in orders if order.state is State.CONFIRMED]
        landed = len(self.cluster.landed())
        beginning = Cluster()
        assert beginning.lamports - self.cluster.lamports == sum(order.amount for order in filled) + FEE * landed
        assert self.cluster.usdc - beginning.usdc == sum(order.amount_out or 0 for order in filled)
        assert not self.queue.messages, "the queue drains"
        for order in orders:
            if order.state is State.FAILED and order.retry_count == MAX_ATTEMPTS:
                assert message_body(order.order_id) in self.dead_letters.bodies(), "a used-up order is a dead letter"


def _answering(job: Callable[[Worker], None]) -> Callable[[Worker], None]:
    """As handlers do: an error is an answer, a 5xx or a failed invocation, and ends nothing else."""

    def answering(worker: Worker) -> None:
        with suppress(Exception):
            job(worker)

    return answering


def _check_step(before: Order, after: Order) -> None:
    """One write: the terminal is final, history only grows, by one legal step, and time in it never runs backwards."""
    assert not before.is_terminal, f"{before.order_id} was {before.state} and was written again"
    assert after.history[: len(before.history)] == before.history
    # one that waits may follow the price and be set off in the same write
    assert len(after.history) - len(before.history) in ((0, 1, 2) if after.waits_for_price else (0, 1))
    assert [change.seq for change in after.history] == list(range(1, len(after.history) + 1))
    times = [change.at_ms for change in after.history]
    assert times == sorted(times)
    if len(after.history) > len(before.history) or after.waits_for_price:
        after_one = {to for (source, _), to in LEGAL.items() if source is before.state} | {before.state}
        assert after.state in after_one
    else:
        assert after.state is before.state, "a state that history doesn't tell"
    _check_terms(before, after)
    assert before.retry_count <= after.retry_count <= MAX_ATTEMPTS
    failures = [change for change in after.history if change.status is Status.FAILED]
    assert after.retry_count in (len(failures), len(failures) - 1)
    assert len(after.past_signatures) <= (MAX_ATTEMPTS if after.max_tries is None else after.max_tries + 1)
    waits = [change.retry_in_ms for change in failures if not change.terminal]
    assert waits == [1000, 2000][: len(waits)]


def _check_terms(before: Order, after: Order) -> None:
    """The first quote fixes the floor, which nothing moves then; the deadline stands as it was told at POST."""
    assert after.expires_at_ms is not None
    assert after.expires_at_ms == before.expires_at_ms
    if after.waits_for_price:
        _check_wait(before, after)
    elif after.changes > before.changes:
        assert (before.state, before.first_quoted_out) == (State.PENDING, None), "changed after its start"
    elif before.first_quoted_out is not None:
        assert (after.first_quoted_out, after.min_out) == (before.first_quoted_out, before.min_out), "the floor moved"
    elif after.first_quoted_out is not None:
        assert after.min_out == max(floor_of(after.first_quoted_out, after.slippage_ppm), before.min_out or 0)
    if len(after.history) == len(before.history):
        return
    _check_deadline(before, after)


def _check_wait(before: Order, after: Order) -> None:
    """A change and a trigger exclude each other; a stop's trigger is for good, a limit's for one attempt."""
    if after.changes > before.changes:
        assert before.state is after.state is State.OPEN, "changed after it was handed over"
        assert before.trigger is after.trigger is None, "changed after it was triggered"
    if before.trigger is not None and before.trigger.kind is TriggerKind.STOP:
        assert after.trigger == before.trigger, "a stop's trigger was undone"
    if before.trigger is not None and after.trigger is not None:
        assert (after.trigger, after.min_out) == (before.trigger, before.min_out), "the floor moved"
    if after.trigger is None:
        assert after.state not in (State.PENDING, State.ROUTING, State.BUILDING, State.SUBMITTED), "set off by nothing"
        return
    own = after.own_min_out or 0
    if after.trigger.kind is TriggerKind.LIMIT:
        assert after.min_out == max(limit_out(after) or 0, own), "a limit's floor is its price"
    else:
        assert after.first_quoted_out is not None
        assert after.min_out == max(floor_of(after.first_quoted_out, after.slippage_ppm), own)


def _check_deadline(before: Order, after: Order) -> None:
    assert after.expires_at_ms is not None
    step = after.history[-1]
    # by the clock of whoever wrote it, which the step bears unless another's clock was ahead
    by_its_own_clock = step.at_ms > before.updated_at_ms
    if step.status in (Status.ROUTING, Status.SUBMITTED) and by_its_own_clock:
        assert step.at_ms < after.expires_at_ms, f"{step.status} after the deadline"
    if step.status is Status.EXPIRED:
        assert step.at_ms >= after.expires_at_ms, "expired before its time"
