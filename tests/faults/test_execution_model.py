"""Any interleaving of clients, workers and the sweeper, any death, loss and delay: the promises hold, step by step.

Hypothesis chooses who goes on, how each call goes, when blocks come and what they hold; World.check then looks at
everything that was ever stored and ever landed. When the faults stop, every order must end and the books must close.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.amounts import floor_of
from chalicelib.orders import changing, execution, life, order_changer, triggers
from chalicelib.orders.changing import OrderChanges
from chalicelib.orders.execution import ComeBack, Execution, Finished, Undecided, Waits
from chalicelib.orders.life import booked_before, choose_route, claim, fix_floor, sign, start_attempt
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from chalicelib.problems import (
    AllNodesDown,
    ExecutionError,
    NoPool,
    RpcUnavailable,
    SlippageExceeded,
    TransactionExpired,
    VenueUnavailable,
)
from chalicelib.risk.counters import movements
from chalicelib.risk.limits import LimitsInForce
from chalicelib.solana import landing
from chalicelib.solana.cluster import ConsensusProtocol
from tests.faults.dice import FULL, SEED, scaled
from tests.faults.model.cluster import Leaders
from tests.faults.model.stage import Verdict, Worker
from tests.faults.model.world import LEASE_MS, MARKET, World
from tests.orders_in_memory import OrdersInMemory

ROUNDS = 400
STEPS = 50
WORKERS = 4
ORDERS = 3
SKEWS = st.sampled_from([0, 0, 0, -3_000, 3_000])
KEYS = st.sampled_from([None, None, "one", "two"])
GOOD_FOR_MS = st.sampled_from([300_000, 300_000, 30_000, 5_000])
PRICES = st.sampled_from([149, 149, 149, 148, 147, 120, 200])
AMOUNTS = {None: 10_000_000_000, "one": 7_000_000_001, "two": 123_456_789}
# At the price that the market mostly has, a unit less than the order pays; at a lower one it is not to be filled.
LEAST = {None: None, "one": "1043", "two": None}
VERDICTS = st.sampled_from([*[Verdict.GO] * 5, *Verdict])
TROUBLE = st.sampled_from(
    [
        *[RpcUnavailable("no answer"), SlippageExceeded("it moved"), VenueUnavailable("closed")] * 3,
        AllNodesDown(3_000),
        NoPool("none"),
    ]
)
# Of the prices that the market has, so that one moves to them and past them; one amount sells for either.
WAITS = st.sampled_from(
    [
        {"type": "limit", "limitPrice": "149"},
        {"type": "limit", "limitPrice": "150"},
        {"type": "stop", "stopPrice": "147"},
        {"type": "stop", "trailing": "0.01"},
        {"type": "oco", "limitPrice": "150", "stopPrice": "148"},
        {"type": "oco", "limitPrice": "149", "trailing": "0.1"},
    ]
)
CHANGES = st.sampled_from(
    [
        OrderChanges(limit_price="148"),
        OrderChanges(limit_price="200", min_out=1),
        OrderChanges(stop_price="147.5"),
        OrderChanges(trailing_ppm=5_000),
        OrderChanges(slippage_ppm=2_000),
        OrderChanges(removes_min_out=True),
    ]
)
PAUSES_MS = st.sampled_from([0, 400, 1_000, 2_000, 8_000, LEASE_MS - 1, LEASE_MS, 120_000])


BLOCKS = st.sampled_from([0, 0, 1, 1, 2, 3, 5, 8, 12])
WAIT_BLOCKS = st.integers(0, 4)
CALLS = st.integers(0, 25)
LAGS = st.sampled_from([(0,), (0,), (2,), (25, 0), (0, 25, 6)])


class Engine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(
        consensus=st.sampled_from(ConsensusProtocol),
        key=KEYS,
        leaders=st.sampled_from(Leaders),
        fails=st.booleans(),
        lags=LAGS,
        blocks=WAIT_BLOCKS,
        waits=st.one_of(st.just(MARKET), WAITS),
    )
    def a_first_order_is_posted(
        self,
        consensus: ConsensusProtocol,
        key: str | None,
        leaders: Leaders,
        fails: bool,
        lags: tuple[int, ...],
        blocks: int,
        waits: dict[str, str],
    ) -> None:
        self.world.cluster.consensus = consensus
        self.world.post(AMOUNTS[key], key, least=LEAST[key], waits=waits).finish()
        if not self.world.accepted:  # no AssertionError: a planted mistake must not pass for caught
            raise RuntimeError("nothing would happen, and every promise about it would hold")
        self.the_network_changes(True, leaders, fails, lags, blocks)

    @precondition(lambda self: self.has_room() and len(self.world.table.versions) < ORDERS)
    @rule(key=KEYS, skew_ms=SKEWS, calls=CALLS, verdict=VERDICTS)
    def a_client_posts(self, key: str | None, skew_ms: int, calls: int, verdict: Verdict) -> None:
        self.go_on(self.world.post(AMOUNTS[key], key, skew_ms, LEAST[key]), calls, verdict)

    @precondition(lambda self: self.has_room() and len(self.world.table.versions) < ORDERS)
    @rule(skew_ms=SKEWS, calls=CALLS, verdict=VERDICTS, waits=WAITS)
    def a_client_posts_an_order_that_waits(
        self, skew_ms: int, calls: int, verdict: Verdict, waits: dict[str, str]
    ) -> None:
        self.go_on(self.world.post(AMOUNTS[None], None, skew_ms, waits=waits), calls, verdict)

    @precondition(lambda self: self.has_room() and self.unfinished())
    @rule(data=st.data(), skew_ms=SKEWS, calls=st.sampled_from([0, 1, 2, 9]), verdict=VERDICTS, changes=CHANGES)
    def a_client_changes(
        self, data: st.DataObject, skew_ms: int, calls: int, verdict: Verdict, changes: OrderChanges
    ) -> None:
        self.go_on(self.world.change(data.draw(st.sampled_from(self.unfinished())), changes, skew_ms), calls, verdict)

    @precondition(lambda self: self.has_room())
    @rule(skew_ms=SKEWS, calls=CALLS, verdict=VERDICTS)
    def a_watcher_looks(self, skew_ms: int, calls: int, verdict: Verdict) -> None:
        """One of several that look at the same pair."""
        self.go_on(self.world.watch(skew_ms), calls, verdict)

    @precondition(lambda self: self.has_room() and self.unfinished())
    @rule(data=st.data(), skew_ms=SKEWS, calls=st.sampled_from([0, 1, 1, 1, 9]), verdict=VERDICTS)
    def a_client_cancels(self, data: st.DataObject, skew_ms: int, calls: int, verdict: Verdict) -> None:
        self.go_on(self.world.cancel(data.draw(st.sampled_from(self.unfinished())), skew_ms), calls, verdict)

    @precondition(lambda self: self.world.queue.messages and self.has_room())
    @rule(data=st.data(), skew_ms=SKEWS, lost=st.booleans(), blocks=BLOCKS, calls=CALLS, verdict=VERDICTS)
    def a_message_is_delivered(
        self, data: st.DataObject, skew_ms: int, lost: bool, blocks: int, calls: int, verdict: Verdict
    ) -> None:
        """If none can be received, the first that can be."""
        queue = self.world.queue
        next_at_ms = min(message.visible_at_ms for message in queue.messages.values())
        if next_at_ms > self.world.now_ms:
            self.world.pass_time(next_at_ms - self.world.now_ms, blocks)
        visible = queue.visible(self.world.now_ms)
        message = visible[data.draw(st.integers(0, len(visible) - 1))]
        self.go_on(self.world.deliver(message, skew_ms, deletion_is_lost=lost), calls, verdict)

    @precondition(lambda self: self.world.living())
    @rule(data=st.data(), calls=CALLS, verdict=VERDICTS)
    def a_worker_goes_on(self, data: st.DataObject, calls: int, verdict: Verdict) -> None:
        living = self.world.living()
        self.go_on(living[data.draw(st.integers(0, len(living) - 1))], calls, verdict)

    @precondition(lambda self: self.has_room())
    @rule(skew_ms=SKEWS, calls=CALLS, verdict=VERDICTS)
    def the_sweeper_comes(self, skew_ms: int, calls: int, verdict: Verdict) -> None:
        self.go_on(self.world.sweep(skew_ms), calls, verdict)

    @precondition(lambda self: self.world.queue.messages)
    @rule(data=st.data(), redriven=st.booleans())
    def a_message_is_duplicated_or_redriven(self, data: st.DataObject, redriven: bool) -> None:
        """SQS delivers twice, or counts too many receives and moves the message to the dead letters."""
        world = self.world
        messages = list(world.queue.messages.values())
        message = messages[data.draw(st.integers(0, len(messages) - 1))]
        if redriven:
            del world.queue.messages[message.message_id]
        (world.dead_letters if redriven else world.queue).send(message.body, world.now_ms)

    @rule(ms=PAUSES_MS, blocks=BLOCKS)
    def time_passes(self, ms: int, blocks: int) -> None:
        self.world.pass_time(ms, blocks)

    @rule(carries=st.booleans(), leaders=st.sampled_from(Leaders), fails=st.booleans(), lags=LAGS, blocks=WAIT_BLOCKS)
    def the_network_changes(
        self, carries: bool, leaders: Leaders, fails: bool, lags: tuple[int, ...], blocks: int
    ) -> None:
        cluster = self.world.cluster
        cluster.carries, cluster.leaders, cluster.fails, cluster.lags = carries, leaders, fails, lags
        self.world.blocks_a_wait = blocks

    @rule(errors=st.lists(TROUBLE, max_size=4), slot_in_ms=st.sampled_from([0, 0, 700, 5_000, 60_000]))
    def the_market_or_the_pace_gets_worse(self, errors: list[ExecutionError], slot_in_ms: int) -> None:
        self.world.market.extend(errors)
        self.world.others_take_slots_until(self.world.now_ms + slot_in_ms)

    @rule(price=PRICES)
    def the_price_moves(self, price: int) -> None:
        self.world.cluster.price = price

    @rule(good_for_ms=GOOD_FOR_MS)
    def orders_are_good_for_another_time(self, good_for_ms: int) -> None:
        self.world.market_order_ms = good_for_ms

    @rule(halted=st.sampled_from([True, False, False]))
    def the_operator_halts_or_resumes(self, halted: bool) -> None:
        self.world.halted = halted

    @invariant()
    def promises_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """The faults stop: every worker that hangs is killed, and the sweeper comes every minute."""
        world = self.world
        for worker in world.living():
            worker.step(Verdict.DIE_BEFORE)
        self.the_network_changes(carries=True, leaders=Leaders.PROMPT, fails=False, lags=(0,), blocks=1)
        world.market.clear()
        world.halted = False
        swept_at_ms = 0
        for _ in range(ROUNDS):
            world.watch().finish()
            for message in world.queue.visible(world.now_ms):
                world.deliver(message).finish()
            if world.now_ms - swept_at_ms >= 60_000:
                world.sweep().finish()
                swept_at_ms = world.now_ms
            if not world.queue.messages and all(order.is_terminal for order in world.table.orders()):
                break
            world.pass_time(1_000, 1)
        world.check_ended()

    def unfinished(self) -> list[str]:
        return sorted(order.order_id for order in self.world.table.orders() if not order.is_terminal)

    def has_room(self) -> bool:
        return len(self.world.living()) < WORKERS

    def go_on(self, worker: Worker, calls: int, verdict: Verdict) -> None:
        """Some calls that go well, then one that goes as the verdict says."""
        for _ in range(calls):
            if worker.lives:
                worker.step()
                self.world.check()
        if worker.lives:
            worker.step(verdict)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Millions of log lines would be all that these tests do."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run(examples: int, *, shrink: bool = True) -> None:
    run_state_machine_as_test(
        seed(SEED)(Engine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        ),
    )


def test_whatever_dies_is_lost_or_comes_twice_an_order_is_swapped_once_at_most_and_always_ends() -> None:
    run(scaled(short=200, full=5_000))


# --- what the test is worth: mistakes that others made, planted one at a time ----------------------------------------


def _unconditional_write(table: OrdersInMemory, order: Order, limits: LimitsInForce | None = None) -> Order:
    written = replace(order, revision=order.revision + 1)
    table._write(written)
    return written


def _counts_before_it_writes(table: OrdersInMemory, order: Order, limits: LimitsInForce | None = None) -> Order:
    """The counters have moved already when the write turns out to be stale."""
    table._move(movements(order.account, booked_before(order), order.claims, limits))
    return REPLACE(table, replace(order, booked=order.claims), limits)


def _looks_once(execution: Execution, order: Order) -> None:
    """Halted is what an order is before its attempt, and no more after it has begun."""


def _gives_up_early(watch: landing.FateWatch) -> landing.Fate:
    """Not seen by now, so it must be lost."""
    fate = LOOK(watch)
    return landing.Expired(0) if isinstance(fate, landing.Pending) else fate


def _believes_any_node(watch: landing.FateWatch) -> landing.Fate:
    """One node's height, and the ignorance of another that may lag behind it."""
    height = watch._rpc.get_epoch_info(commitment="finalized").block_height
    (status,) = watch._rpc.get_signature_statuses([watch._signature], search_history=True).statuses
    if status is None and height > watch._last_valid_block_height:
        return landing.Expired(height)
    return LOOK_OR_RAISE(watch)


def _unreadable_is_failed(execution: Execution, order: Order) -> Finished | ComeBack | Waits:
    """A node that doesn't tell about a transaction fails the attempt."""
    assert order.submission is not None
    try:
        fate = execution._trader.settle(order, order.submission)
    except ExecutionError as error:
        return execution._after_failure(order, error)
    if isinstance(fate, Undecided):
        return execution._after_failure(order, TransactionExpired("not seen"))
    return SETTLE(execution, order)


def _signs_again(execution: Execution, order: Order, owner: str, now_ms: int) -> Order:
    """A worker that comes back begins with a fresh quote."""
    taken = claim(order, owner, now_ms, LEASE_MS)
    if taken.state is State.SUBMITTED:
        taken = replace(taken, state=State.BUILDING)
    return execution._store.replace(start_attempt(taken, now_ms))


def _sends_before_storing(
    execution: Execution, order: Order, limits: LimitsInForce | None
) -> Finished | ComeBack | Waits:
    if order.state is State.SUBMITTED:
        return CARRY_ON(execution, order, limits)
    try:
        planned = execution._trader.plan(order)
        order = fix_floor(order, planned.quoted_out)
        order = execution._store.replace(choose_route(order, planned.route, planned.quoted_out, execution._now_ms()))
        signed = sign(order, planned.build(order), execution._now_ms())
    except ExecutionError as error:
        return execution._after_failure(order, error)
    assert signed.submission is not None
    execution._trader.settle(signed, signed.submission)
    return execution._settle(execution._store.replace(signed))


def _floor_of_each_quote(order: Order, quoted_out: int) -> Order:
    """Each attempt asks the market anew what the slippage leaves."""
    return replace(order, first_quoted_out=quoted_out, min_out=floor_of(quoted_out, order.slippage_ppm))


def _forgets_the_stop(order: Order, error: str, error_code: str, now_ms: int) -> Order:
    """Whatever comes back waits as if nothing had been."""
    return replace(RETURNED(order, error, error_code, now_ms), trigger=None, min_out=order.own_min_out)


def _changes_what_is_triggered(order: Order, changes: OrderChanges, now_ms: int, seen_out: int | None) -> Order:
    """As long as it is open again."""
    return replace(CHANGED(replace(order, trigger=None), changes, now_ms, seen_out), trigger=order.trigger)


def _floor_of_the_slippage(order: Order) -> int | None:
    """A limit gives way by its slippage, as everything else does."""
    limit = LIMIT_OUT(order)
    return None if limit is None else floor_of(limit, order.slippage_ppm)


def _no_deadline(order: Order, now_ms: int) -> bool:
    return False


def _sweeps_nothing(table: OrdersInMemory, before_ms: int, limit: int) -> list[Order]:
    return []


THOROUGH = pytest.mark.skipif(not FULL, reason="takes its time: `make faults`")
LOOK, LOOK_OR_RAISE = landing.FateWatch.look, landing.FateWatch._look
SETTLE, CARRY_ON = Execution._settle, Execution._carry_on
REPLACE = OrdersInMemory.replace
RETURNED, CHANGED, LIMIT_OUT = triggers.returned, changing.changed, triggers.limit_out


@pytest.mark.parametrize(
    ("owner", "name", "mistake"),
    [
        pytest.param(
            OrdersInMemory, "replace", _unconditional_write, id="a write that doesn't look whether it is stale"
        ),
        pytest.param(OrdersInMemory, "replace", _counts_before_it_writes, id="counters that move apart from the order"),
        pytest.param(Execution, "_stop_before", _looks_once, id="no look at the kill switch before the send"),
        pytest.param(landing.FateWatch, "look", _gives_up_early, id="not seen taken for lost"),
        pytest.param(
            landing.FateWatch, "_look", _believes_any_node, id="a laggard's ignorance taken for proof", marks=THOROUGH
        ),
        pytest.param(
            Execution, "_settle", _unreadable_is_failed, id="an unreadable fate taken for failure", marks=THOROUGH
        ),
        pytest.param(Execution, "_take", _signs_again, id="signed again on coming back"),
        pytest.param(Execution, "_carry_on", _sends_before_storing, id="sent before it is stored"),
        pytest.param(execution, "fix_floor", _floor_of_each_quote, id="a floor that follows the market down"),
        pytest.param(
            execution, "returned", _forgets_the_stop, id="a stop that forgets that it was triggered", marks=THOROUGH
        ),
        pytest.param(order_changer, "changed", _changes_what_is_triggered, id="a change of what was triggered"),
        pytest.param(triggers, "limit_out", _floor_of_the_slippage, id="a limit that is sold below its price"),
        pytest.param(life, "is_past_deadline", _no_deadline, id="signed after the deadline"),
        pytest.param(OrdersInMemory, "overdue", _sweeps_nothing, id="no sweeper", marks=THOROUGH),
    ],
)
def test_the_model_catches_a_planted_mistake(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, mistake: object
) -> None:
    monkeypatch.setattr(owner, name, mistake)
    if owner is order_changer:
        monkeypatch.setattr(order_changer, "may_change", lambda order: order.state is State.OPEN)
    with pytest.raises(AssertionError):
        run(5_000, shrink=False)
