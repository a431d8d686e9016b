"""Watching pairs on DynamoDB and SQS: who looks and when, what a look writes, and what is left where a watcher dies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from chalicelib.aws.dynamodb.look_pace import SharedLookPace
from chalicelib.orders.delivery import Message
from chalicelib.orders.life import cancel
from chalicelib.orders.message import order_id_of
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from chalicelib.orders.triggers import returned
from chalicelib.problems import NoPool, RpcUnavailable
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.waiting.book import Book
from chalicelib.waiting.circulation import LOOK_LEASE_MS, SILENT_MS, WatchMessage, pair_of, watch_message
from chalicelib.waiting.hand_over import HandOver
from chalicelib.waiting.late_looks import LateLooks
from chalicelib.waiting.looks_told import LooksTold
from chalicelib.waiting.ports import LookPace, MarketSeen
from chalicelib.waiting.wakes import Wakes
from chalicelib.waiting.waking_orders import WakingOrders
from chalicelib.waiting.watch import LookTimes, PairWatch
from tests.integration.cloud import Cloud
from tests.sample_orders import CREATED_AT_MS, SOL, USDC, waiting_order

T = TypeVar("T")
PAIR = pair_of(SOL.mint, USDC.mint)
SLOT = 4_321
VISIBLE_AGAIN_MS = 10_000


@dataclass
class Prices:
    """A market that pays `usdc` for each SOL, exactly; or fails."""

    usdc: int = 150
    fails: Exception | None = None
    asked: int = 0

    def __call__(self, pair: tuple[str, str], largest: Mapping[str, int], use: Callable[[MarketSeen], T]) -> T:
        if self.fails is not None:
            raise self.fails
        assert "/".join(pair) == PAIR
        return use(MarketSeen(SLOT, {SOL.mint: self}))

    def paid(self, amount: int) -> int | None:
        self.asked += 1
        return amount * self.usdc // 1_000

    def at_least(self, amount: int) -> int:
        return amount * self.usdc // 1_000

    def may_pay(self, amount: int, least: int) -> bool:
        return amount * self.usdc // 1_000 >= least


class Killed(BaseException):
    """The process is gone; nothing catches it."""


@dataclass
class Stage:
    """A stage of which time is at hand. `step` is called before and after whatever a watcher does outside."""

    cloud: Cloud
    now_ms: int = CREATED_AT_MS + 1_000
    prices: Prices = field(default_factory=Prices)
    step: Callable[[str], None] = lambda what: None
    limits: LimitsInForce | None = None
    pace: LookPace | None = None
    every_ms: int = 1_000
    sent: list[tuple[int, WatchMessage]] = field(default_factory=list)
    hidden: list[tuple[int, Message]] = field(default_factory=list)
    handed: list[tuple[int, str]] = field(default_factory=list)
    received: int = 0
    seconds: float = 0.0

    def clock(self) -> int:
        return self.now_ms

    def place(self, order_id: str = "order-1", type_: Any = "stop", **fields: Any) -> Order:
        order = waiting_order(type_, order_id=order_id, **fields)
        assert self.orders().create(order)
        return order

    def orders(self) -> WakingOrders:
        return WakingOrders(self.cloud.store(), self.wakes())

    def wakes(self) -> Wakes:
        return Wakes(self.cloud.circulations(), self, self.clock)

    def send(self, message: WatchMessage, delay_ms: int = 0) -> None:
        """The queue as far as watchers know it, with the time at hand."""
        self.step("before a message is sent")
        self.sent.append((self.now_ms + delay_ms, watch_message(message.body())))
        self.step("after a message is sent")

    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        self.hidden = [
            (self.now_ms + delay_ms, message) if message.receipt_handle == receipt_handle else (at_ms, message)
            for at_ms, message in self.hidden
        ]

    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        self.step("before an order is handed over")
        self.handed.append((self.now_ms + delay_ms, order_id))
        self.step("after an order is handed over")

    def watcher(self) -> PairWatch:
        """A process that has just begun."""
        stepping: Any = Stepping(self.cloud.circulations(), self, {"take", "pass_on", "end"})
        store: Any = Stepping(self.cloud.store(), self, {"replace"})
        workers: Any = self
        controls: Any = self
        return PairWatch(
            stepping,
            self,
            Book(self.cloud.waiting_index(), self.clock),
            self.prices,
            lambda: HandOver(store, workers, controls, self.clock),
            LookTimes(self.every_ms, self.clock, lambda: self.seconds),
            self.pace,
        )

    def halt_of(self, account: str) -> Any:
        return self.cloud.control_table().halt_of(account)

    def limits_for(self, account: str) -> LimitsInForce:
        return self.limits or self.cloud.control_table().limits_for(account)

    def due(self) -> list[Message]:
        """The messages that are visible now."""
        self.received += 1
        fresh = [message for at_ms, message in self.sent if at_ms <= self.now_ms]
        again = [message for at_ms, message in self.hidden if at_ms <= self.now_ms]
        self.sent = [one for one in self.sent if one[0] > self.now_ms]
        self.hidden = [one for one in self.hidden if one[0] > self.now_ms]
        named = [
            Message(f"m{self.received}-{number}", f"r{self.received}-{number}", message.body())
            for number, message in enumerate(fresh)
        ]
        return [*again, *named]

    def deliver(self, watcher: PairWatch | None = None, *messages: Message) -> None:
        """What a queue does with the visible messages: hide each while it is worked on, and drop what is done with."""
        for message in messages or self.due():
            self.hidden.append((self.now_ms + VISIBLE_AGAIN_MS, message))
            failed = (watcher or self.watcher()).handle([message], f"invocation-{message.message_id}")
            if not failed:
                self.hidden = [one for one in self.hidden if one[1] is not message]

    def pass_time(self, ms: int = 1_000) -> None:
        self.now_ms += ms

    def run_for(self, ms: int) -> None:
        """So much time, with all looks that come due in it."""
        for _ in range(ms // 500):
            self.pass_time(500)
            self.deliver()

    def stored(self, order_id: str = "order-1") -> Order:
        return self.cloud.stored(order_id)


class Stepping:
    """Calls `stage.step` before and after each of these methods."""

    def __init__(self, inner: Any, stage: Stage, names: set[str]) -> None:
        self._inner, self._stage, self._names = inner, stage, names

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._names:
            return method

        def stepped(*arguments: Any, **more: Any) -> Any:
            self._stage.step(f"before {name}")
            result = method(*arguments, **more)
            self._stage.step(f"after {name}")
            return result

        return stepped


@pytest.fixture
def stage(cloud: Cloud) -> Stage:
    return Stage(cloud)


class TestCirculation:
    def test_the_first_order_of_a_pair_has_it_looked_at_and_others_change_nothing(self, stage: Stage) -> None:
        stage.place("order-1")
        assert [message for _, message in stage.sent] == [WatchMessage(PAIR)]
        stage.deliver()
        stage.place("order-2")
        (one,) = stage.sent
        assert one[1].ticket == 1, "the message that goes round is enough"
        circulation = stage.cloud.circulations().load(PAIR)
        assert circulation is not None
        assert circulation.orders == 2

    def test_each_look_begins_so_long_after_the_last_has_ended(self, stage: Stage) -> None:
        stage.every_ms = 3_000
        stage.place()
        stage.deliver()
        assert [at_ms - stage.now_ms for at_ms, _ in stage.sent] == [3_000]

    def test_it_ends_with_the_last_order_and_begins_anew(self, stage: Stage) -> None:
        stage.place()
        stage.run_for(2_000)
        stage.cloud.store().replace(cancel(stage.stored(), stage.now_ms))
        stage.run_for(2_000)
        assert (stage.sent, stage.hidden, stage.cloud.circulations().load(PAIR)) == ([], [], None)
        stage.place("order-2")
        assert [message for _, message in stage.sent] == [WatchMessage(PAIR)]

    def test_it_does_not_end_while_an_order_comes(self, stage: Stage) -> None:
        stage.place()
        stage.deliver()
        stage.cloud.store().replace(cancel(stage.stored(), stage.now_ms))

        def comes_between(what: str) -> None:
            if what == "before end":
                stage.step = lambda what: None
                stage.place("order-2")

        stage.step = comes_between
        stage.run_for(3_000)
        assert stage.sent, "the message goes round"
        stage.prices.usdc = 140
        stage.run_for(2_000)
        assert stage.stored("order-2").state is State.PENDING

    def test_of_two_messages_of_a_pair_one_is_dropped(self, stage: Stage) -> None:
        stage.place()
        stage.send(WatchMessage(PAIR))
        stage.deliver()
        assert len(stage.sent) == 1
        stage.run_for(5_000)
        assert len(stage.sent) == 1

    def test_a_second_watcher_steps_back_from_a_look_that_is_under_way(self, stage: Stage) -> None:
        stage.place()
        (first,) = stage.due()
        second = replace(first, message_id="other", receipt_handle="other")
        deep: list[int] = []

        def meanwhile(what: str) -> None:
            if what == "after take" and not deep:
                deep.append(1)
                stage.deliver(None, second)

        stage.step = meanwhile
        stage.deliver(None, first)
        assert len(stage.sent) == 1
        assert [message.message_id for _, message in stage.hidden] == ["other"], "it counts still, and comes again"
        stage.step = lambda what: None
        stage.run_for(15_000)
        assert len(stage.sent) == 1, "by then it is outrun"
        assert not stage.hidden

    @pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000])
    def test_a_clock_that_jumps_keeps_no_pair_from_being_looked_at(self, stage: Stage, jump_ms: int) -> None:
        stage.place(expires_at_ms=None)
        stage.deliver()
        stage.now_ms += jump_ms
        stage.sent = [(min(at_ms, stage.now_ms), message) for at_ms, message in stage.sent]

        def dies(what: str) -> None:
            if what == "after take":
                raise Killed

        stage.step = dies
        with pytest.raises(Killed):
            stage.deliver()
        stage.step = lambda what: None
        stage.now_ms -= jump_ms
        stage.hidden = [(stage.now_ms + VISIBLE_AGAIN_MS, message) for _, message in stage.hidden]
        stage.prices.usdc = 1
        stage.run_for(15_000)
        assert stage.stored().state is State.PENDING

    def test_the_sweeper_begins_again_what_nobody_carries(self, stage: Stage) -> None:
        stage.place()
        stage.deliver()
        stage.sent.clear()
        assert stage.wakes().sweep() == 0
        stage.pass_time(SILENT_MS + 1_001)
        assert stage.wakes().sweep() == 1
        stage.prices.usdc = 140
        stage.deliver()
        assert stage.stored().state is State.PENDING

    def test_what_names_no_pair_is_dropped(self, stage: Stage) -> None:
        bodies = ["", "{}", '{"pair": "one"}', '{"pair": 1}', "[]", '{"pair":"a/b","seen":{"x":[1]}}', "x" * 300_000]
        for body in bodies:
            assert stage.watcher().handle([Message("m", "r", body)], "me") == []


class TestLooks:
    def test_an_order_is_handed_over_once_its_price_holds_and_not_before(self, stage: Stage) -> None:
        stage.place("order-1", "stop")
        stage.place("order-2", "limit")
        stage.place("order-3", "oco")
        stage.run_for(3_000)
        assert not stage.handed
        stage.prices.usdc = 160
        stage.run_for(2_000)
        assert stage.stored("order-1").state is State.OPEN
        assert {stage.stored(name).state for name in ("order-2", "order-3")} == {State.PENDING}
        trigger = stage.stored("order-2").trigger
        assert trigger is not None
        assert (trigger.price, trigger.slot) == ("160", SLOT)
        assert {order_id for at_ms, order_id in stage.handed if at_ms <= stage.now_ms} == {"order-2", "order-3"}
        stage.cloud.assert_counters_add_up()

    def test_an_order_that_was_changed_is_judged_by_what_it_is_now(self, stage: Stage) -> None:
        order = stage.place()
        watcher = stage.watcher()
        stage.deliver(watcher)
        changed = stage.cloud.store().replace(replace(stage.stored(), stop_price="100"))
        assert changed.revision > order.revision
        stage.prices.usdc = 130
        for _ in range(5):
            stage.pass_time()
            stage.deliver(watcher)
        assert stage.stored().state is State.OPEN

    def test_a_process_reads_its_book_again_only_where_orders_were_written(self, stage: Stage) -> None:
        stage.place()
        book = Book(stage.cloud.waiting_index(), stage.clock)
        circulations = stage.cloud.circulations()

        def read() -> object:
            circulation = circulations.load(PAIR)
            assert circulation is not None
            return book.of(circulation)

        assert read() is not read(), "what was written just now may not be in the index"
        stage.now_ms = max(one.changed_at_ms for one in circulations.all()) + 6_000
        first = read()
        assert read() is first
        stage.place("order-2")
        assert read() is not first

    def test_a_trailing_stop_follows_and_what_it_has_seen_goes_with_the_message(self, stage: Stage) -> None:
        stage.place("order-1", "stop", stop_price=None, trailing_ppm=50_000)
        stage.run_for(2_000)
        assert stage.stored().best_out == 1_500_000_000
        stage.prices.usdc = 200
        stage.run_for(2_000)
        assert stage.stored().best_out == 2_000_000_000
        assert stage.stored().stop_price == "190"
        stage.prices.usdc = 191
        stage.run_for(2_000)
        assert stage.stored().state is State.OPEN
        stage.prices.usdc = 190
        stage.run_for(2_000)
        order = stage.stored()
        assert order.state is State.PENDING
        assert order.trigger is not None
        assert order.trigger.price == "190"

    def test_a_move_of_less_than_a_thousandth_is_remembered_without_a_write(self, stage: Stage) -> None:
        stage.place("order-1", "stop", stop_price=None, trailing_ppm=50_000, amount=10**13)
        stage.prices.usdc = 15_000
        stage.run_for(2_000)
        revision = stage.stored().revision
        stage.prices.usdc = 15_010
        stage.run_for(2_000)
        assert stage.stored().revision == revision
        stage.prices.usdc = 14_259  # 15,010 x 0.95 is 14,259.5
        stage.run_for(2_000)
        assert stage.stored().state is State.PENDING

    def test_orders_whose_time_is_over_end_also_while_no_node_answers(self, stage: Stage) -> None:
        stage.prices.fails = RpcUnavailable("no node")
        stage.place(expires_at_ms=stage.now_ms + 5_000)
        stage.run_for(7_000)
        assert stage.stored().state is State.EXPIRED
        stage.cloud.assert_counters_add_up()

    @pytest.mark.parametrize("failure", [RpcUnavailable("no node"), NoPool("they vanished")])
    def test_where_the_market_cannot_be_read_orders_wait_on_and_the_message_goes_round(
        self, stage: Stage, failure: Exception
    ) -> None:
        stage.place()
        stage.prices.usdc = 100
        stage.prices.fails = failure
        stage.run_for(5_000)
        circulation = stage.cloud.circulations().load(PAIR)
        assert circulation is not None
        assert circulation.looked_at_ms is None
        assert stage.stored().state is State.OPEN
        stage.prices.fails = None
        stage.run_for(2_000)
        assert stage.stored().state is State.PENDING

    @pytest.mark.parametrize("scope", ["global", "account#local"])
    def test_while_halted_nothing_is_set_off_and_orders_follow_the_market(self, stage: Stage, scope: str) -> None:
        stage.place("order-1", "stop")
        stage.place("order-2", "stop", stop_price=None, trailing_ppm=10_000)
        stage.cloud.control_table().halt(scope, "a test", stage.now_ms)
        stage.run_for(2_000)
        stage.prices.usdc = 100
        stage.run_for(3_000)
        assert {stage.stored(name).state for name in ("order-1", "order-2")} == {State.OPEN}
        assert stage.stored("order-2").best_out == 1_500_000_000
        stage.cloud.control_table().resume(scope)
        stage.run_for(2_000)
        assert {stage.stored(name).state for name in ("order-1", "order-2")} == {State.PENDING}

    def test_where_too_many_are_open_a_stop_is_triggered_for_good_and_handed_over_when_there_is_room(
        self, stage: Stage
    ) -> None:
        none_more = Limits(open_orders=0)
        stage.limits = LimitsInForce(none_more, Limits())
        stage.place("order-1", "stop")
        stage.place("order-2", "limit")
        stage.prices.usdc = 140
        stage.run_for(3_000)
        stopped = stage.stored()
        assert stopped.state is State.OPEN
        assert stopped.trigger is not None
        assert not stage.handed
        stage.limits = None
        stage.run_for(2_000)
        assert stage.stored().state is State.PENDING
        assert stage.stored().trigger == stopped.trigger
        assert stage.stored("order-2").state is State.OPEN

    def test_what_was_given_back_is_looked_at_again_after_its_pause(self, stage: Stage) -> None:
        stage.place("order-1", "limit")
        stage.prices.usdc = 160
        stage.run_for(1_500)
        pending = stage.stored()
        assert pending.state is State.PENDING
        stage.run_for(3_000)
        assert stage.cloud.circulations().load(PAIR) is None
        stage.orders().replace(returned(pending, "moved", "SLIPPAGE_EXCEEDED", stage.now_ms))
        assert stage.sent, "the pair is looked at again"
        stage.deliver()
        assert stage.stored().state is State.OPEN, "it pauses for a second"
        stage.run_for(3_000)
        assert stage.stored().state is State.PENDING

    def test_a_look_that_has_no_time_for_all_goes_on_with_the_next_message_at_once(self, stage: Stage) -> None:
        for number in range(4):
            stage.place(f"order-{number}", "limit", amount=10**9 * (number + 1))
        stage.prices.usdc = 160

        class Slow(Prices):
            def paid(self, amount: int) -> int | None:
                stage.seconds += 1.5
                return super().paid(amount)

        stage.prices = Slow(usdc=160)
        looks = 0
        while any(stage.stored(f"order-{number}").state is State.OPEN for number in range(4)):
            stage.deliver()
            looks += 1
            assert looks < 10
        assert looks > 1
        assert all(at_ms == stage.now_ms for at_ms, message in stage.sent if message.after is not None)
        stage.run_for(3_000)
        assert stage.cloud.circulations().load(PAIR) is None


class TestDeaths:
    def test_wherever_a_watcher_is_killed_the_order_is_handed_over_once_within_fifteen_seconds(
        self, stage: Stage
    ) -> None:
        points = 0
        while True:
            name = f"order-{points}"
            counted: list[str] = []

            def dies(what: str, counted: list[str] = counted, at: int = points) -> None:
                counted.append(what)
                if len(counted) == at + 1:
                    raise Killed

            stage.prices.usdc = 150
            stage.place(name, "stop", expires_at_ms=None)
            stage.run_for(1_500)
            stage.prices.usdc = 140
            stage.step = dies
            before = len(stage.handed)
            killed_ms: int | None = None
            for _ in range(4):
                stage.pass_time()
                try:
                    stage.deliver()
                except Killed:
                    killed_ms = stage.now_ms
                    break
            stage.step = lambda what: None
            if killed_ms is None:
                break
            points += 1
            stage.run_for(15_000)
            order = stage.stored(name)
            assert order.state is State.PENDING, counted[-1]
            assert sum(step.trigger is not None for step in order.history) == 1
            delivered = [at_ms for at_ms, order_id in stage.handed[before:] if order_id == name]
            assert delivered, counted[-1]
            assert min(delivered) <= killed_ms + 15_000, "some worker has it by then"
            stage.run_for(3_000)
            assert len(stage.sent) + len(stage.hidden) <= 1, "there are no two messages of the pair"
        assert points >= 10, "each step was died at"

    def test_a_killed_watcher_forgets_at_most_what_its_own_look_saw(self, stage: Stage) -> None:
        stage.place("order-1", "stop", stop_price=None, trailing_ppm=50_000, amount=10**13)
        stage.prices.usdc = 15_000
        stage.run_for(2_000)
        stage.prices.usdc = 15_010
        stage.run_for(2_000)
        remembered = {order_id: one.best_out for _, message in stage.sent for order_id, one in message.seen.items()}
        assert remembered == {"order-1": 150_100_000_000_000}

        def dies(what: str) -> None:
            if what == "before pass_on":
                raise Killed

        stage.step = dies
        stage.prices.usdc = 15_014
        with pytest.raises(Killed):
            stage.run_for(2_000)
        stage.step = lambda what: None
        stage.prices.usdc = 14_262  # 15,014 x 0.95 is 14,263.3, and 15,010 x 0.95 is 14,259.5
        stage.run_for(15_000)
        assert stage.stored().state is State.OPEN
        stage.prices.usdc = 14_259
        stage.run_for(2_000)
        assert stage.stored().state is State.PENDING


class TestTold:
    def test_an_open_order_tells_when_it_was_judged_last(self, stage: Stage) -> None:
        told = LooksTold(stage.cloud.circulations(), stage.clock)
        order = stage.place()
        assert told(order).last_looked_at_ms is None
        stage.pass_time()
        stage.deliver()
        assert told(stage.stored()).last_looked_at_ms == stage.now_ms
        assert stage.stored().last_looked_at_ms is None, "nothing is written for it"

    def test_looks_that_do_not_come_are_late_by_the_pair_that_waits_longest(self, stage: Stage) -> None:
        late = LateLooks(stage.cloud.circulations(), stage.clock)
        assert (late.now().pairs, late.now().late_ms) == (0, 0)
        stage.place()
        stage.deliver()
        assert late.now().pairs == 1
        stage.pass_time(15_000)
        assert late.now().late_ms == 0
        stage.pass_time(1)
        assert late.now().late_ms == 15_001

    def test_a_nodes_pace_is_shared_evenly_by_all_pairs(self, stage: Stage) -> None:
        pace = SharedLookPace(stage.cloud.dynamodb, stage.cloud.outputs["ControlTable"], in_window=5)
        turns = [pace.next_at_ms(stage.now_ms) for _ in range(6)]
        assert [second - first for first, second in pairwise(turns)] == [2_000] * 5
        stage.pace = pace
        stage.place()
        stage.deliver()
        (at_ms, _) = stage.sent[0]
        assert at_ms - stage.now_ms >= 10_000, "behind those that asked before"


def test_orders_are_handed_over_by_messages_that_workers_know(stage: Stage) -> None:
    stage.cloud.orders_queue().enqueue("order-1", 0)
    (message,) = stage.cloud.receive()
    assert order_id_of(message.body) == "order-1"


def test_the_queue_carries_what_goes_round(cloud: Cloud) -> None:
    cloud.watch_queue().send(WatchMessage(PAIR, 7))
    url = cloud.outputs["WatchQueueUrl"]
    received = cloud.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0)["Messages"]
    assert [watch_message(one["Body"]) for one in received] == [WatchMessage(PAIR, 7)]
    cloud.watch_queue().show_again_in(received[0]["ReceiptHandle"], 0)
    assert cloud.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0)["Messages"]


def test_a_lease_is_longer_than_a_watcher_lives_and_shorter_than_its_message_is_hidden(cloud: Cloud) -> None:
    url = cloud.outputs["WatchQueueUrl"]
    attributes = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert 8_000 < LOOK_LEASE_MS < int(attributes["VisibilityTimeout"]) * 1_000 == VISIBLE_AGAIN_MS
