"""From a look to the workers when much happens at once: many orders, other watchers, other writers, clocks, no time."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from chalicelib.orders.life import cancel
from chalicelib.orders.order import TriggerKind
from chalicelib.orders.states import State
from chalicelib.orders.triggers import returned
from chalicelib.problems import AwsUnavailable
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.waiting import circulation
from chalicelib.waiting.circulation import LOOK_LEASE_MS
from chalicelib.waiting.hand_over import BESIDE_MS, TOGETHER, HandOver
from chalicelib.waiting.look import Reached
from chalicelib.waiting.watch import WRITES_SECONDS
from tests.integration.cloud import Cloud, calls_to
from tests.integration.test_watch import PAIR, Prices, Stage
from tests.sample_orders import new_order

PATIENCE_SECONDS = 60.0
HOUR_MS = 3_600_000


@pytest.fixture
def stage(cloud: Cloud) -> Stage:
    return Stage(cloud)


def place_many(stage: Stage, number: int, type_: Any = "stop", **fields: Any) -> list[str]:
    """Of different amounts, the smallest first: a look comes to them in this order."""
    names = [f"order-{one:02}" for one in range(number)]
    for place, name in enumerate(names):
        stage.place(name, type_, amount=10**9 * (place + 1), **fields)
    del stage.sent[1:]  # as if the first had been taken before the others came
    return names


def states(stage: Stage, names: list[str]) -> set[State]:
    return {stage.stored(name).state for name in names}


def handed(stage: Stage) -> list[str]:
    """Those that workers have now, once for each message; those that come later aside."""
    return [order_id for at_ms, order_id in stage.handed if at_ms <= stage.now_ms]


def hand_over_of(stage: Stage) -> HandOver:
    store: Any = stage.cloud.store()
    workers: Any = stage
    return HandOver(store, workers, stage, stage.clock)


def fell_to(order_ids: list[str], usdc: int = 140) -> list[Reached]:
    return [Reached(name, 10**6 * usdc * (place + 1), None, is_stop=True) for place, name in enumerate(order_ids)]


class TestTogether:
    def test_many_stops_take_a_read_and_a_write_for_each_ten(self, stage: Stage) -> None:
        names = place_many(stage, 2 * TOGETHER)
        reads, writes = (calls_to(stage.cloud.dynamodb, one) for one in ("BatchGetItem", "TransactWriteItems"))
        assert hand_over_of(stage).hand_over(fell_to(names), slot=1) == len(names)
        of_orders = [read for read in reads if stage.cloud.orders_table in read["RequestItems"]]
        assert (len(of_orders), len(writes)) == (2, 2)
        assert states(stage, names) == {State.PENDING}
        assert sorted(handed(stage)) == names
        assert sorted(order_id for at_ms, order_id in stage.handed if at_ms == stage.now_ms + BESIDE_MS) == names
        stage.cloud.assert_counters_add_up()

    def test_where_one_is_written_meanwhile_the_others_go_all_the_same(self, stage: Stage) -> None:
        names = place_many(stage, 5)
        stage.prices.usdc = 140

        def client_cancels(what: str) -> None:
            if what == "before replace_together":
                stage.step = lambda what: None
                stage.cloud.store().replace(cancel(stage.stored("order-00"), stage.now_ms))

        stage.step = client_cancels
        stage.deliver()
        assert stage.stored("order-00").state is State.CANCELLED
        assert states(stage, names[1:]) == {State.PENDING}
        assert sorted(handed(stage)) == names[1:]
        stage.cloud.assert_counters_add_up()

    @pytest.mark.parametrize(
        "limits", [LimitsInForce(Limits(open_orders=3), Limits()), LimitsInForce(Limits(), Limits(open_orders=3))]
    )
    def test_as_many_go_as_there_is_room_for_and_the_other_stops_are_triggered_for_good(
        self, stage: Stage, limits: LimitsInForce
    ) -> None:
        names = place_many(stage, 5)
        stage.limits = limits
        assert hand_over_of(stage).hand_over(fell_to(names), slot=7) == 3
        stored = [stage.stored(name) for name in names]
        assert [order.state for order in stored] == [State.PENDING] * 3 + [State.OPEN] * 2
        assert {order.trigger.slot for order in stored if order.trigger is not None} == {7}
        assert all(order.trigger is not None for order in stored)
        assert handed(stage) == names[:3]
        stage.cloud.assert_counters_add_up()

    def test_room_that_another_took_meanwhile_is_not_taken_twice(self, stage: Stage) -> None:
        names = place_many(stage, 3)
        stage.limits = LimitsInForce(Limits(open_orders=3), Limits())
        hand_over = hand_over_of(stage)
        hand_over.hand_over([], slot=1)
        stage.cloud.store().create(new_order("another"))
        assert hand_over.hand_over(fell_to(names), slot=1) == 2
        assert sorted(stage.stored(name).state for name in names) == [State.OPEN, State.PENDING, State.PENDING]
        stage.cloud.assert_counters_add_up()

    def test_best_prices_are_stored_together_and_whoever_is_quicker_wins(self, stage: Stage) -> None:
        names = place_many(stage, 3, stop_price=None, trailing_ppm=50_000)
        writes = calls_to(stage.cloud.dynamodb, "TransactWriteItems")
        hand_over_of(stage).follow(dict.fromkeys(names, 1_500_000_000))
        assert len(writes) == 1
        assert {stage.stored(name).best_out for name in names} == {1_500_000_000}
        hand_over_of(stage).follow(dict.fromkeys(names, 1_400_000_000))
        assert len(writes) == 1, "what is no better isn't stored"


class TestAlongside:
    def test_judging_goes_on_while_what_was_found_is_handed_over(self, stage: Stage) -> None:
        names = place_many(stage, 3)
        written, waited = Event(), []

        class WaitsForTheFirst(Prices):
            def paid(self, amount: int) -> int | None:
                if amount == 3 * 10**9:
                    waited.append(written.wait(PATIENCE_SECONDS))
                return super().paid(amount)

        stage.prices = WaitsForTheFirst(usdc=140)
        stage.step = lambda what: written.set() if what == "after replace_together" else None
        stage.deliver()
        assert waited == [True], "an order was handed over before the last was judged"
        assert states(stage, names) == {State.PENDING}

    def test_what_a_look_has_no_time_to_hand_over_the_next_does_at_once(self, stage: Stage) -> None:
        names = place_many(stage, 3 * TOGETHER)
        stage.prices.usdc = 140

        def takes_its_time(what: str) -> None:
            if what == "after replace_together":
                stage.seconds += WRITES_SECONDS

        stage.step = takes_its_time
        looks = 0
        while State.OPEN in states(stage, names):
            assert all(at_ms <= stage.now_ms for at_ms, _ in stage.sent), "it doesn't wait for a second"
            stage.deliver()
            looks += 1
            assert looks <= len(names)
        assert looks >= 3, "one write a look"
        assert sorted(handed(stage)) == names
        stage.cloud.assert_counters_add_up()

    def test_stops_go_before_limits(self, stage: Stage) -> None:
        limits = [f"limit-{number}" for number in range(4)]
        stops = [f"stop-{number}" for number in range(4)]
        for number, (limit, stop) in enumerate(zip(limits, stops, strict=True)):
            stage.place(limit, "limit", amount=10**9 + number, limit_price="100")
            stage.place(stop, "stop", amount=10**10 + number, stop_price="145")
        begun, judged = Event(), Event()

        class Tells(Prices):
            def paid(self, amount: int) -> int | None:
                if amount == 10**9 + 1:
                    assert begun.wait(PATIENCE_SECONDS), "the first is handed over at once"
                if amount == 10**10 + 3:
                    judged.set()
                return super().paid(amount)

        def until_all_are_judged(what: str) -> None:
            begun.set()
            assert judged.wait(PATIENCE_SECONDS)

        stage.prices = Tells(usdc=140)
        stage.step = lambda what: None if what != "before replace_together" else until_all_are_judged(what)
        stage.deliver()
        assert handed(stage) == ["limit-0", *stops, *limits[1:]], "the first was found before any other"

    def test_where_aws_fails_the_look_is_made_again_and_nothing_is_lost(self, stage: Stage) -> None:
        names = place_many(stage, 3)
        stage.prices.usdc = 140

        def fails(what: str) -> None:
            if what == "before replace_together":
                raise AwsUnavailable

        stage.step = fails
        stage.deliver()
        assert states(stage, names) == {State.OPEN}
        assert len(stage.hidden) == 1, "its message comes back"
        stage.step = lambda what: None
        stage.run_for(15_000)
        assert states(stage, names) == {State.PENDING}

    def test_more_than_a_message_carries_is_stored_only_while_there_is_time(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = place_many(stage, 5, stop_price=None, trailing_ppm=50_000)
        stage.run_for(2_000)
        monkeypatch.setattr(circulation, "MOST_SEEN", 2)
        stage.prices.usdc = 150_010
        known = {name: stage.stored(name).best_out for name in names}

        class Slow(Prices):
            def paid(self, amount: int) -> int | None:
                stage.seconds += WRITES_SECONDS
                return amount * 15_001 // 100_000

        stage.prices = Slow()
        stage.run_for(1_000)
        assert {name: stage.stored(name).best_out for name in names} == known, "nothing was written after its time"
        assert all(len(message.seen) <= 2 for _, message in stage.sent)
        assert len(stage.sent) + len(stage.hidden) == 1, "the look came to its end"


class TestJumps:
    @pytest.mark.parametrize(
        ("type_", "fields", "usdc", "kind", "floor"),
        [
            ("stop", {}, 90, TriggerKind.STOP, 891),
            ("limit", {}, 1_000, TriggerKind.LIMIT, 1_600),
            ("oco", {}, 90, TriggerKind.STOP, 891),
            ("oco", {}, 1_000, TriggerKind.LIMIT, 1_600),
            ("stop", {"stop_price": None, "trailing_ppm": 50_000}, 90, TriggerKind.STOP, 891),
        ],
    )
    def test_a_price_that_jumps_over_the_trigger_sets_it_off_at_what_is_paid_then(
        self, stage: Stage, type_: str, fields: dict[str, Any], usdc: int, kind: TriggerKind, floor: int
    ) -> None:
        stage.place("order-1", type_, **fields)
        stage.run_for(2_000)
        assert stage.stored().state is State.OPEN
        stage.prices.usdc = usdc
        stage.run_for(2_000)
        order = stage.stored()
        assert order.state is State.PENDING
        assert order.trigger is not None
        assert (order.trigger.kind, order.trigger.price) == (kind, str(usdc))
        assert order.min_out == floor * 10**6

    def test_a_price_that_came_and_went_between_two_looks_sets_nothing_off(self, stage: Stage) -> None:
        stage.place("order-1", "oco")
        stage.run_for(2_000)
        for usdc in (100, 1_000, 150):
            stage.prices.usdc = usdc
        stage.run_for(3_000)
        assert stage.stored().state is State.OPEN

    def test_what_a_worker_gave_back_whose_clock_was_ahead_is_handed_over_again(self, stage: Stage) -> None:
        stage.place("order-1", "limit")
        stage.prices.usdc = 160
        stage.run_for(1_500)
        ahead = returned(stage.stored(), "moved", "SLIPPAGE_EXCEEDED", stage.now_ms + HOUR_MS)
        stage.orders().replace(ahead)
        stage.run_for(3_000)
        assert stage.stored().state is State.PENDING


class TestTwoWatchers:
    def test_one_that_outlives_its_lease_and_the_next_hand_over_once_and_leave_one_message(self, stage: Stage) -> None:
        names = place_many(stage, 3)
        stage.prices.usdc = 140
        (message,) = stage.due()

        def falls_asleep(what: str) -> None:
            if what == "before replace_together":
                stage.step = lambda what: None
                stage.pass_time(LOOK_LEASE_MS + 1)
                stage.deliver(None, replace(message, message_id="again", receipt_handle="again"))

        stage.step = falls_asleep
        stage.deliver(None, message)
        assert states(stage, names) == {State.PENDING}
        assert sorted(handed(stage)) == names, "each once"
        assert len(stage.sent) == 1, "the one that slept has lost the pair"
        for name in names:
            assert sum(step.trigger is not None for step in stage.stored(name).history) == 1
        stage.cloud.assert_counters_add_up()
        stage.run_for(15_000)
        assert stage.cloud.circulations().load(PAIR) is None
        assert (stage.sent, stage.hidden) == ([], [])

    def test_two_whose_looks_find_other_prices_store_the_best_of_both(self, stage: Stage) -> None:
        stage.place("order-1", "stop", stop_price=None, trailing_ppm=50_000)
        first, second = hand_over_of(stage), hand_over_of(stage)
        second.follow({"order-1": 1_600_000_000})
        first.follow({"order-1": 1_500_000_000})
        assert stage.stored().best_out == 1_600_000_000
        reached = Reached("order-1", 1_500_000_000, 1_550_000_000, is_stop=True)
        assert first.hand_over([reached], slot=1) == 1, "by the best of both it is reached"
        trigger = stage.stored().trigger
        assert trigger is not None
        assert trigger.price == "150"
