"""What becomes of orders that a look found due: handed over once each, held to their account's room, or left open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.orders.life import cancel
from chalicelib.orders.order import Order, OrderType, TriggerKind
from chalicelib.orders.states import State
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.waiting.hand_over import BESIDE_MS, TOGETHER, HandOver, by_tens
from chalicelib.waiting.look import Reached
from tests.log_lines import flushed, values
from tests.orders_in_memory import OrdersInMemory, OrdersOthersWrite
from tests.sample_orders import CREATED_AT_MS, new_order, waiting_order

NOW = CREATED_AT_MS + 60_000
SLOT = 372_000_123
FELL_TO, ROSE_TO = 1_390_000_000, 1_650_000_000
NO_LIMITS = LimitsInForce(Limits(), Limits())


@dataclass
class Store(OrdersOthersWrite):
    """Notes which orders are written together."""

    written_together: list[list[str]] = field(default_factory=list)

    def replace_together(self, orders: Sequence[Order], limits: Mapping[str, LimitsInForce]) -> bool:
        self.written_together.append([order.order_id for order in orders])
        return super().replace_together(orders, limits)

    def cancels(self, order_id: str) -> Callable[[], object]:
        return lambda: OrdersInMemory.replace(self, cancel(self.order(order_id), NOW))

    def order(self, order_id: str = "order-0") -> Order:
        order = self.load(order_id)
        assert order is not None
        return order


@dataclass
class Stage:
    """Orders of the accounts, what the workers are sent, and what the operator lets through."""

    store: Store = field(default_factory=Store)
    sent: list[tuple[dict[str, str], int]] = field(default_factory=list)
    limits: dict[str, LimitsInForce] = field(default_factory=dict)
    halted: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    now_ms: int = NOW

    def __post_init__(self) -> None:
        self.hand = self.hand_over()

    def hand_over(self, later_ms: int = 0) -> HandOver:
        workers: Any = self  # of the queue it is told of orders to hand over, and of nothing else
        return HandOver(self.store, workers, self, lambda: self.now_ms + later_ms)

    def place(self, count: int = 1, type_: OrderType = "stop", account: str = "local", **fields: Any) -> list[str]:
        names = [f"order-{len(self.store.items) + number}" for number in range(count)]
        for name in names:
            order = waiting_order(type_, order_id=name, account=account, correlation_id=f"of {name}", **fields)
            assert self.store.create(order)
        return names

    def states(self, names: list[str]) -> list[State]:
        return [self.store.order(name).state for name in names]

    # --- the workers' queue -----------------------------------------------------------------------------------

    def enqueue_each(self, correlation_ids: Mapping[str, str], delay_ms: int = 0) -> None:
        self.sent.append((dict(correlation_ids), delay_ms))

    # --- the operator -----------------------------------------------------------------------------------------

    def halt_of(self, account: str) -> Halt | None:
        self.asked.append(account)
        return Halt(account, NOW, "maintenance") if account in self.halted else None

    def counted_limits_for(self, account: str) -> LimitsInForce:
        self.asked.append(account)
        return self.limits.get(account, NO_LIMITS)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def fell(names: list[str], amount_out: int = FELL_TO, best_out: int | None = None) -> list[Reached]:
    return [Reached(name, amount_out, best_out, is_stop=True) for name in names]


# --- handed over --------------------------------------------------------------------------------------------------


def test_a_due_order_is_on_its_way_with_what_set_it_off_and_told_of_before_and_after_it_is_written(
    stage: Stage,
) -> None:
    names = stage.place()
    assert stage.hand.hand_over(fell(names), SLOT) == 1
    order = stage.store.order()
    assert order.state is State.PENDING
    assert order.trigger is not None
    assert (order.trigger.kind, order.trigger.price, order.trigger.slot) == (TriggerKind.STOP, "139", SLOT)
    assert order.trigger.at_ms == NOW
    assert stage.sent == [({"order-0": "of order-0"}, BESIDE_MS), ({"order-0": "of order-0"}, 0)]


def test_the_message_that_outlives_a_dead_watcher_is_sent_before_the_order_is_written(stage: Stage) -> None:
    names = stage.place()
    seen: list[object] = []
    stage.store.meanwhile = [lambda: seen.extend(stage.sent)]
    stage.hand.hand_over(fell(names), SLOT)
    assert seen == [({"order-0": "of order-0"}, BESIDE_MS)]


def test_tens_go_together_and_what_is_left_after_them(stage: Stage) -> None:
    names = stage.place(2 * TOGETHER + 1)
    assert stage.hand.hand_over(fell(names), SLOT) == len(names)
    assert stage.store.written_together == [names[:TOGETHER], names[TOGETHER:-1], names[-1:]]
    assert list(by_tens(range(3))) == [[0, 1, 2]]
    assert list(by_tens([])) == []


def test_each_that_is_handed_over_is_counted_by_what_set_it_off(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stops, limits = stage.place(2), stage.place(1, "limit")
    flushed(capsys)
    stage.hand.hand_over([*fell(stops), Reached(limits[0], ROSE_TO, None, is_stop=False)], SLOT)
    lines = flushed(capsys)
    assert values(lines, "OrdersTriggered", kind="stop") == [1, 1]
    assert values(lines, "OrdersTriggered", kind="limit") == [1]


# --- judged again by what it is now -------------------------------------------------------------------------------


def test_an_order_that_is_gone_or_no_longer_open_is_passed_over(stage: Stage) -> None:
    names = stage.place(2)
    stage.store.cancels("order-0")()
    assert stage.hand.hand_over(fell([*names, "never placed"]), SLOT) == 1
    assert stage.states(names) == [State.CANCELLED, State.PENDING]
    assert stage.hand.hand_over(fell(names), SLOT) == 0


def test_an_order_whose_price_its_client_moved_meanwhile_waits_on(stage: Stage) -> None:
    names = stage.place(stop_price="130")
    assert stage.hand.hand_over(fell(names), SLOT) == 0
    assert (stage.states(names), stage.sent, stage.store.written_together) == ([State.OPEN], [], [])


def test_one_that_waits_on_keeps_none_behind_it_from_being_handed_over(stage: Stage) -> None:
    names = [*stage.place(stop_price="130"), *stage.place()]
    assert stage.hand.hand_over(fell(names), SLOT) == 1
    assert stage.states(names) == [State.OPEN, State.PENDING]


@pytest.mark.parametrize(
    ("fields", "goes"),
    [
        ({"wait_until_ms": NOW + 1}, False),
        ({"wait_until_ms": NOW}, True),
        ({"expires_at_ms": NOW}, False),
        ({"expires_at_ms": NOW + 1}, True),
    ],
)
def test_one_that_is_paused_or_whose_time_is_over_is_not_handed_over(
    stage: Stage, fields: dict[str, Any], goes: bool
) -> None:
    names = stage.place(**fields)
    assert stage.hand.hand_over(fell(names), SLOT) == int(goes)


def test_an_account_that_is_halted_keeps_its_orders_and_is_asked_about_once(stage: Stage) -> None:
    stage.halted = {"halted"}
    halted, others = stage.place(2, account="halted"), stage.place(1)
    assert stage.hand.hand_over(fell([*halted, *others]), SLOT) == 1
    assert stage.states([*halted, *others]) == [State.OPEN, State.OPEN, State.PENDING]
    assert stage.asked.count("halted") == 1
    assert stage.asked.count("local") == 2, "whether it is halted, and its limits"


def test_a_trailing_stop_is_judged_by_the_best_that_the_look_saw(stage: Stage) -> None:
    names = stage.place(stop_price=None, trailing_ppm=50_000, best_out=1_400_000_000)
    assert stage.hand.hand_over(fell(names), SLOT) == 0, "by what is stored its stop is at 133"
    assert stage.hand.hand_over(fell(names, best_out=1_470_000_000), SLOT) == 1
    order = stage.store.order()
    assert (order.best_out, order.stop_price) == (1_470_000_000, "139.65")


# --- held to the room that there is -------------------------------------------------------------------------------


def in_all(most: int, already: int = 0) -> LimitsInForce:
    return LimitsInForce(Limits(), Limits(open_orders=most), open_together=already)


def of_the_account(most: int, already: int = 0) -> LimitsInForce:
    return LimitsInForce(Limits(open_orders=most), Limits(), open_account=already)


@pytest.mark.parametrize("limits", [in_all(3, already=1), of_the_account(3, already=1)])
def test_as_many_go_as_there_is_room_for_and_the_other_stops_are_triggered_for_good(
    stage: Stage, limits: LimitsInForce
) -> None:
    names = stage.place(4)
    stage.limits["local"] = limits
    assert stage.hand.hand_over(fell(names), SLOT) == 2
    assert stage.states(names) == [State.PENDING, State.PENDING, State.OPEN, State.OPEN]
    latched = stage.store.order("order-3").trigger
    assert latched is not None
    assert (latched.kind, latched.price, latched.slot, latched.at_ms) == (TriggerKind.STOP, "139", SLOT, NOW)
    assert [set(each) for each, _ in stage.sent] == [{"order-0", "order-1"}] * 2
    assert stage.store.written_together == [names]


def test_a_look_remembers_how_many_it_has_handed_over(stage: Stage) -> None:
    names = stage.place(3)
    stage.limits["local"] = of_the_account(2)
    assert [stage.hand.hand_over(fell([name]), SLOT) for name in names] == [1, 1, 0]
    assert stage.store.order("order-2").trigger is not None
    assert "order-2" not in {name for each, _ in stage.sent for name in each}, "there is known to be no room"


def test_what_all_accounts_have_room_for_together_is_shared_by_them(stage: Stage) -> None:
    names = [*stage.place(1, account="one"), *stage.place(1, account="two"), *stage.place(1, account="three")]
    stage.limits = dict.fromkeys(("one", "two", "three"), in_all(2))
    assert stage.hand.hand_over(fell(names), SLOT) == 2
    assert stage.states(names) == [State.PENDING, State.PENDING, State.OPEN]


def test_an_account_that_is_full_does_not_take_up_anothers_room(stage: Stage) -> None:
    names = [*stage.place(2, account="one"), *stage.place(2, account="two")]
    stage.limits = {"one": of_the_account(1), "two": of_the_account(2)}
    assert stage.hand.hand_over(fell(names), SLOT) == 3


def test_a_limit_that_finds_no_room_waits_on_and_nothing_is_written(stage: Stage) -> None:
    names = stage.place(1, "limit")
    stage.limits["local"] = of_the_account(0)
    assert stage.hand.hand_over([Reached(names[0], ROSE_TO, None, is_stop=False)], SLOT) == 0
    assert (stage.store.order().trigger, stage.store.written_together, stage.sent) == (None, [], [])


def test_a_stop_is_triggered_for_good_once(stage: Stage) -> None:
    names = stage.place()
    stage.limits["local"] = of_the_account(0)
    stage.hand.hand_over(fell(names), SLOT)
    first = stage.store.order()
    stage.hand.hand_over(fell(names), SLOT + 1)
    assert stage.store.order() == first


# --- when another writer is quicker -------------------------------------------------------------------------------


def test_where_one_was_written_meanwhile_the_others_go_by_themselves(stage: Stage) -> None:
    names = stage.place(3)
    stage.store.meanwhile = [stage.store.cancels("order-1")]
    assert stage.hand.hand_over(fell(names), SLOT) == 2
    assert stage.states(names) == [State.PENDING, State.CANCELLED, State.PENDING]
    now = [each for each, delay_ms in stage.sent if not delay_ms]
    assert now == [{"order-0": "of order-0"}, {"order-2": "of order-2"}]
    beside = [each for each, delay_ms in stage.sent if delay_ms == BESIDE_MS]
    assert beside[1:] == now, "each by itself, too, before it is written"
    trigger = stage.store.order("order-2").trigger
    assert trigger is not None
    assert (trigger.price, trigger.slot, trigger.at_ms) == ("139", SLOT, NOW)


def test_one_that_is_written_again_and_again_is_left_to_whoever_writes_it(stage: Stage) -> None:
    names = stage.place(2)
    stage.store.meanwhile = [lambda: written_by_another(stage.store, "order-0"), stage.store.cancels("order-0")]
    assert stage.hand.hand_over(fell(names), SLOT) == 1
    assert stage.states(names) == [State.CANCELLED, State.PENDING]
    assert [each for each, delay_ms in stage.sent if not delay_ms] == [{"order-1": "of order-1"}]


def written_by_another(store: Store, order_id: str) -> None:
    """Somebody writes the order, and changes nothing of it."""
    OrdersInMemory.replace(store, store.order(order_id))


def test_room_that_others_took_meanwhile_is_not_taken_twice(stage: Stage) -> None:
    names = stage.place(3)
    stage.limits["local"] = of_the_account(2)
    stage.store.meanwhile = [lambda: stage.store.create(new_order("another"))]
    assert stage.hand.hand_over(fell(names), SLOT) == 1
    assert stage.states(names) == [State.PENDING, State.OPEN, State.OPEN]
    assert all(stage.store.order(name).trigger is not None for name in names)
    alone = [set(each) for each, _ in stage.sent if len(each) == 1]
    assert alone == [{"order-0"}, {"order-0"}, {"order-1"}], "where one found no room, no other is tried"
    more = stage.place(1)
    sent = len(stage.sent)
    assert stage.hand.hand_over(fell(more), SLOT) == 0, "the account is full for as long as the look lasts"
    assert len(stage.sent) == sent
    assert stage.store.order(more[0]).trigger is not None


def test_a_look_counts_those_that_went_by_themselves_too(stage: Stage) -> None:
    names = stage.place(3)
    stage.limits["local"] = of_the_account(2)
    stage.store.meanwhile = [lambda: written_by_another(stage.store, "order-0")]
    assert stage.hand.hand_over(fell(names[:2]), SLOT) == 2
    sent = len(stage.sent)
    assert stage.hand.hand_over(fell(names[2:]), SLOT) == 0
    assert len(stage.sent) == sent, "there is known to be no room"


def test_a_limit_that_finds_no_room_by_itself_waits_on(stage: Stage) -> None:
    names = stage.place(2, "limit")
    stage.limits["local"] = of_the_account(1)
    stage.store.meanwhile = [lambda: written_by_another(stage.store, "order-0")]
    assert stage.hand.hand_over([Reached(name, ROSE_TO, None, is_stop=False) for name in names], SLOT) == 1
    assert [stage.store.order(name).trigger is None for name in names] == [False, True]


# --- what trailing stops have seen --------------------------------------------------------------------------------


def test_what_trailing_stops_have_seen_is_stored_together_of_those_that_saw_better(stage: Stage) -> None:
    trailing = stage.place(2, stop_price=None, trailing_ppm=50_000, best_out=1_500_000_000)
    fixed = stage.place(1)
    stage.hand.follow({trailing[0]: 1_600_000_000, trailing[1]: 1_500_000_000, fixed[0]: 1_600_000_000, "gone": 7})
    assert stage.store.written_together == [["order-0"]]
    order = stage.store.order()
    assert (order.best_out, order.stop_price, order.updated_at_ms) == (1_600_000_000, "152", NOW)
    assert stage.store.order("order-2").best_out is None
    stage.hand.follow({trailing[0]: 1_550_000_000})
    assert len(stage.store.written_together) == 1, "what is no better isn't written"


def test_what_was_written_meanwhile_is_followed_from_there_and_by_itself(stage: Stage) -> None:
    names = stage.place(3, stop_price=None, trailing_ppm=50_000, best_out=1_500_000_000)
    other = stage.hand_over(later_ms=5)

    def another_look() -> None:
        stage.store.meanwhile = []
        other.follow({"order-0": 1_700_000_000, "order-1": 1_550_000_000})

    stage.store.meanwhile = [another_look]
    stage.hand.follow(dict.fromkeys(names, 1_600_000_000))
    assert [stage.store.order(name).best_out for name in names] == [1_700_000_000, 1_600_000_000, 1_600_000_000]


def test_one_that_another_writes_at_that_moment_is_left_to_the_next_look(stage: Stage) -> None:
    names = stage.place(2, stop_price=None, trailing_ppm=50_000, best_out=1_500_000_000)
    stage.store.meanwhile = [
        lambda: written_by_another(stage.store, "order-0"),
        lambda: written_by_another(stage.store, "order-0"),
    ]
    stage.hand.follow(dict.fromkeys(names, 1_600_000_000))
    assert [stage.store.order(name).best_out for name in names] == [1_500_000_000, 1_600_000_000]


# --- the end of their time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now_ms", "state"), [(NOW - 1, State.OPEN), (NOW, State.EXPIRED)])
def test_an_order_ends_when_its_time_is_over_and_not_before(stage: Stage, now_ms: int, state: State) -> None:
    names = stage.place(expires_at_ms=NOW)
    stage.now_ms = now_ms
    stage.hand.expire(names[0])
    assert stage.states(names) == [state]


def test_an_order_that_is_on_its_way_is_not_ended_here_nor_one_that_is_gone(stage: Stage) -> None:
    names = stage.place(expires_at_ms=NOW + 5)
    stage.hand.hand_over(fell(names), SLOT)
    stage.now_ms = NOW + 10
    stage.hand.expire(names[0])
    stage.hand.expire("gone")
    assert stage.states(names) == [State.PENDING]


def test_an_order_that_is_cancelled_as_its_time_ends_stays_cancelled(stage: Stage) -> None:
    names = stage.place(expires_at_ms=NOW)
    stage.store.meanwhile = [stage.store.cancels("order-0")]
    stage.hand.expire(names[0])
    assert stage.states(names) == [State.CANCELLED]
