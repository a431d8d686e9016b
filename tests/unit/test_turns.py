"""Turns: what starts in a minute, how many at once, and that no account's orders keep another's from starting."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.orders.life import cancel, claim, fail_attempt, place, start_attempt
from chalicelib.orders.order import Order
from chalicelib.orders.starts import InLine, Starts
from chalicelib.orders.turns import (
    GRACE_MS,
    LONGEST_WAIT_MS,
    TOLD_AGAIN_MS,
    WINDOW_MS,
    TurnPolicy,
    Turns,
    starts_a_minute,
)
from chalicelib.problems import AwsUnavailable, Backlogged
from tests.line_in_memory import LineInMemory
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS, new_order

NOW = CREATED_AT_MS
HOLD_MS = 25_000


def policy(limit: int = 100, burst: int = 10, own_places: int = 10) -> TurnPolicy:
    return TurnPolicy(starts_a_minute(limit, burst), own_places + 1, own_places, HOLD_MS)


@dataclass
class Stage:
    """A queue, as many workers as there are places, and orders that each take a worker `work_ms`, in simulated time."""

    policy: TurnPolicy = field(default_factory=policy)
    work_ms: int = 500
    now_ms: int = NOW
    line: LineInMemory = field(default_factory=LineInMemory)
    store: OrdersInMemory = field(default_factory=OrdersInMemory)
    started: list[tuple[int, str, str]] = field(default_factory=list)  # when, whose, which
    busy: dict[str, str] = field(default_factory=dict)  # order id: account
    most_busy: dict[str, int] = field(default_factory=dict)
    events: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)  # which order, and the id of the request that it is of
    numbers: Iterator[int] = field(default_factory=count)

    def starts(self) -> Starts:
        return Starts(self.line, self.store, self, self.policy, lambda: self.now_ms, self._sleep)

    def later(self, in_ms: int, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now_ms + in_ms, next(self.numbers), event))

    def run_until(self, at_ms: int) -> None:
        while self.events and self.events[0][0] <= at_ms:
            then_ms, _, event = heapq.heappop(self.events)
            self.now_ms = max(self.now_ms, then_ms)
            event()
        self.now_ms = max(self.now_ms, at_ms)

    def post(self, account: str) -> str:
        """A client places an order now."""
        order_id = f"order-{next(self.numbers):05d}"
        start_at_ms = self.starts().estimate(account, self.now_ms)
        order = replace(new_order(order_id), account=account, created_at_ms=self.now_ms, history=())
        placed = place(order, start_at_ms)
        assert self.store.create(placed)
        if start_at_ms <= self.now_ms or self.starts().line_up(placed):
            self.enqueue(order_id)
        return order_id

    def cancel(self, order_id: str) -> None:
        order = self.order(order_id)
        self.store.replace(cancel(order, self.now_ms))
        self.starts().withdraw(order)

    def order(self, order_id: str) -> Order:
        order = self.store.load(order_id)
        assert order is not None
        return order

    def start_of(self, order_id: str) -> int | None:
        return next((at_ms for at_ms, _, started in self.started if started == order_id), None)

    def _sleep(self, seconds: float) -> None:
        """One worker waits, and time goes on; the others wait with it here."""
        self.now_ms += round(seconds * 1000)

    # --- the queue, as Starts has it ------------------------------------------------------------------------------

    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        """SQS: a delay is in whole seconds."""
        self.sent.append((order_id, correlation_id))
        self.later(-(-delay_ms // 1000) * 1000 + 5, lambda: self._deliver(order_id))

    def _deliver(self, order_id: str) -> None:
        if len(self.busy) >= self.policy.places:
            self.later(10, lambda: self._deliver(order_id))
            return
        order = self.order(order_id)
        if order.is_terminal:
            self.starts().leave(order_id)
            return
        if order.lease is not None:
            return
        in_line = self.starts().take(order)
        if in_line is not None:
            if in_line.instead is not None:
                self._deliver(in_line.instead.order_id)
            return
        taken = self.store.replace(start_attempt(claim(order, "worker", self.now_ms, HOLD_MS), self.now_ms))
        self.started.append((self.now_ms, order.account, order_id))
        self.busy[order_id] = order.account
        own = sum(1 for account in self.busy.values() if account == order.account)
        self.most_busy[order.account] = max(self.most_busy.get(order.account, 0), own)
        self.later(self.work_ms, lambda: self._end(taken))

    def _end(self, order: Order) -> None:
        del self.busy[order.order_id]
        self.store.replace(fail_attempt(order, "done", "DONE", self.now_ms, retry=False))
        self.starts().leave(order.order_id)


def most_in_any_window(starts: list[int]) -> int:
    starts = sorted(starts)
    return max(sum(1 for start in starts if first <= start < first + WINDOW_MS) for first in starts)


# --- the pace -----------------------------------------------------------------------------------------------------


@given(
    limit=st.integers(1, 30),
    data=st.data(),
    arrivals=st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from("abc")), min_size=5, max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_in_any_sixty_seconds_no_more_orders_start_than_the_limit_and_all_start_at_last(
    limit: int, data: st.DataObject, arrivals: list[tuple[int, str]]
) -> None:
    burst = data.draw(st.integers(1, limit))
    stage = Stage(policy(limit, burst, own_places=data.draw(st.integers(1, 4))))
    for wait_ms, account in arrivals:
        stage.run_until(stage.now_ms + wait_ms)
        stage.post(account)
    stage.run_until(stage.now_ms + 62_000 * (len(arrivals) + 2))
    assert len({order_id for _, _, order_id in stage.started}) == len(arrivals)
    assert most_in_any_window([at_ms for at_ms, _, _ in stage.started]) <= limit


def test_an_account_alone_has_the_whole_pace_and_every_place_of_an_account() -> None:
    stage = Stage(policy(limit=100, burst=10, own_places=10), work_ms=20_000)
    for _ in range(40):
        stage.post("one")
    stage.run_until(NOW + 15_000)
    assert stage.most_busy == {"one": 10}

    quick = Stage(policy(limit=100, burst=10), work_ms=100)
    for _ in range(130):
        quick.post("one")
    quick.run_until(NOW + 60_000)
    # no slot is left free but for the moments until it is seen
    assert len(quick.started) >= 95


@pytest.mark.parametrize(("limit", "burst"), [(1, 2), (10, 11), (10, 0)])
def test_a_rate_that_can_not_be_kept_is_refused(limit: int, burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        starts_a_minute(limit, burst)


# --- cancelled orders cost nobody anything ------------------------------------------------------------------------


def test_orders_that_are_placed_and_cancelled_take_no_slot() -> None:
    stage = Stage(policy(limit=10, burst=2))
    for _ in range(300):
        order_id = stage.post("flood")
        stage.cancel(order_id)
    stage.run_until(NOW + 1_000)
    assert stage.started == []
    order_id = stage.post("other")
    stage.run_until(stage.now_ms + 100)
    assert stage.start_of(order_id) == NOW + 1_005


def test_an_order_that_is_cancelled_in_line_leaves_its_turn_to_the_next() -> None:
    stage = Stage(policy(limit=4, burst=1), work_ms=10)
    first, second, third = (stage.post("one") for _ in range(3))
    stage.run_until(NOW + 2_000)
    assert stage.start_of(first) is not None
    stage.cancel(second)
    interval_ms = stage.policy.rate.interval
    stage.run_until(NOW + interval_ms + 3_000)
    assert stage.start_of(third) is not None
    assert stage.start_of(second) is None


# --- in turn by account -------------------------------------------------------------------------------------------


def test_while_an_account_floods_anothers_order_starts_with_the_next_slot() -> None:
    """A key's default rate for a minute: ten orders a second, which wait for a hundred starts a minute."""
    stage = Stage(work_ms=1_500)
    waits = []
    for second in range(60):
        for _ in range(10):
            stage.run_until(stage.now_ms + 100)
            stage.post("flood")
        if second % 7 == 6:
            order_id, placed_ms = stage.post("other"), stage.now_ms
            stage.run_until(placed_ms + 2_000)
            start_ms = stage.start_of(order_id)
            assert start_ms is not None, "it has not started in 2 s"
            waits.append(start_ms - placed_ms)
    assert max(waits) <= 2 * stage.policy.rate.interval


def test_an_order_waits_for_its_turn_and_not_for_the_messages_that_others_sent_before() -> None:
    """The workers keep up with the pace, and not with a queue as long as the flood would make it."""
    stage = Stage(policy(limit=30, burst=2), work_ms=1_500)
    for _ in range(300):
        stage.run_until(stage.now_ms + 100)
        stage.post("flood")
    messages = [order_id for order_id, _ in stage.sent]
    assert len(set(messages)) < 30, "one that is in line behind its account's others needs none"
    order_id = stage.post("other")
    assert stage.line.stands.own_waiting("other") == 1, "before a worker has seen it"
    stage.run_until(stage.now_ms + stage.policy.rate.interval + 100)
    assert stage.start_of(order_id) is not None
    stage.run_until(stage.now_ms + 20 * 60_000)
    assert len(stage.started) == 301, "and all of the flood's, at last"


def test_an_order_is_told_of_where_nobody_was_called_to_look_at_those_before_it() -> None:
    """A message was lost: the next order's finds both."""
    stage = Stage(policy(limit=30, burst=1), work_ms=10)
    stage.post("one")
    stage.run_until(NOW + 100)
    lost = stage.post("one")
    stage.events.clear()
    stage.run_until(NOW + 10_000)
    assert stage.start_of(lost) is None
    found = stage.post("one")
    stage.run_until(NOW + 20_000)
    assert None not in (stage.start_of(lost), stage.start_of(found))


@given(st.lists(st.integers(1, 12), min_size=2, max_size=5))
@settings(max_examples=40, deadline=None)
def test_starts_go_in_turn_by_account_as_long_as_several_wait(orders_of_each: list[int]) -> None:
    stage = Stage(policy(limit=20, burst=1), work_ms=10)
    for number, orders in enumerate(orders_of_each):
        for _ in range(orders):
            stage.post(f"account-{number}")
    stage.run_until(NOW + 4_000 * (sum(orders_of_each) + 2))
    started = [account for _, account, _ in stage.started]
    left = {f"account-{number}": orders for number, orders in enumerate(orders_of_each)}
    assert {account: started.count(account) for account in left} == left
    left[started[0]] -= 1
    for before, account in pairwise(started):
        left[account] -= 1
        others = [one for one, orders in left.items() if orders and one != account]
        assert account != before or not others or all(one == account for one in others), "twice, and others waited"


def test_an_account_that_comes_again_and_again_does_not_push_in() -> None:
    """Each of its orders comes when its last has started: it has every second turn and no more."""
    stage = Stage(policy(limit=20, burst=1), work_ms=10)
    for _ in range(30):
        stage.post("patient")
    for _ in range(200):
        if stage.order(stage.post("eager")).is_terminal:
            continue
        stage.run_until(stage.now_ms + 500)
    started = [account for _, account, _ in stage.started]
    assert abs(started.count("patient") - started.count("eager")) <= 1


def test_a_place_is_always_free_of_any_single_account() -> None:
    """Its orders hang for the time that a worker has, and there is no lack of slots: the other starts all the same."""
    stage = Stage(policy(limit=1_000, burst=900, own_places=3), work_ms=20_000)
    for _ in range(50):
        stage.post("flood")
    stage.run_until(NOW + 1_000)
    assert len(stage.busy) == 3
    order_id = stage.post("other")
    stage.run_until(stage.now_ms + 100)
    assert stage.start_of(order_id) is not None


def test_orders_that_started_before_are_held_to_the_places_too() -> None:
    stage = Stage(policy(limit=1_000, burst=900, own_places=2), work_ms=20_000)
    for _ in range(2):
        stage.post("flood")
    stage.run_until(NOW + 100)
    own, others = (start_attempt(new_order(f"{account}'s", account), NOW) for account in ("flood", "other"))
    assert stage.store.create(own)
    assert stage.store.create(others)
    assert isinstance(stage.starts().take(own), InLine)
    assert stage.starts().take(others) is None


# --- what is told -------------------------------------------------------------------------------------------------


def test_an_order_is_told_about_when_it_starts_and_told_again_when_that_moves() -> None:
    stage = Stage(policy(limit=4, burst=1), work_ms=10)
    interval_ms = stage.policy.rate.interval
    for _ in range(4):
        stage.post("one")
        stage.run_until(stage.now_ms + 100)
    estimate_ms = stage.starts().estimate("one", stage.now_ms)
    assert 3 * interval_ms <= estimate_ms - NOW <= 5 * interval_ms
    last = stage.post("one")
    stage.run_until(stage.now_ms + 100)
    assert dict(stage.starts().moved()) == {}
    for number in range(6):
        stage.post(f"other-{number}")
        stage.run_until(stage.now_ms + 100)
    moved = dict(stage.starts().moved())
    assert moved[last] - estimate_ms > TOLD_AGAIN_MS
    assert dict(stage.starts().moved()) == {}, "what was told is not told twice"


def test_an_account_is_refused_more_orders_than_start_in_fifteen_minutes_for_its_own_sake_alone() -> None:
    stage = Stage(policy(limit=4, burst=1))
    interval_ms = stage.policy.rate.interval
    for _ in range(LONGEST_WAIT_MS // interval_ms + 2):
        stage.post("one")
        stage.run_until(stage.now_ms + 10)
    assert stage.line.stands.own_waiting("one") * interval_ms > LONGEST_WAIT_MS
    with pytest.raises(Backlogged) as refused:
        stage.post("one")
    assert refused.value.retry_after_seconds is not None
    assert stage.post("other")
    for order_id in [waiting.order_id for waiting in stage.line.of("one", 1000)]:
        stage.cancel(order_id)
    assert stage.post("one"), "what is cancelled waits no longer"


def test_a_worker_whose_order_must_wait_is_given_the_one_whose_turn_it_is_and_its_message_comes_later() -> None:
    """Behind a queue that is full an order would come too late for its slot. The message is for a worker that dies."""
    stage = Stage(policy(limit=4, burst=1), work_ms=10)
    first, second, third = (stage.order(stage.post("one")) for _ in range(3))
    stage.events.clear()
    assert stage.starts().take(first) is None
    assert isinstance(stage.starts().take(second), InLine)
    stage.events.clear()
    stage.now_ms += stage.policy.rate.interval
    in_line = stage.starts().take(third)
    assert isinstance(in_line, InLine)
    assert in_line.instead is not None
    assert in_line.instead.order_id == second.order_id
    assert stage.starts().take(second) is None, "it has its place"
    assert [at_ms - stage.now_ms for at_ms, _, _ in stage.events if at_ms - stage.now_ms >= HOLD_MS]


def test_whatever_message_the_line_sends_of_an_order_bears_the_id_of_its_request() -> None:
    stage = Stage(policy(limit=4, burst=1), work_ms=10)
    first, second = (
        replace(new_order(name, created_at_ms=NOW), account="one", correlation_id=f"request of {name}")
        for name in ("first", "second")
    )
    for order in (first, second):
        assert stage.store.create(order)
    assert stage.starts().take(first) is None
    in_line = stage.starts().take(second)
    assert isinstance(in_line, InLine)
    stage.now_ms += stage.policy.rate.interval
    stage.starts().leave("first")
    third = stage.starts().take(replace(first, order_id="third"))
    assert isinstance(third, InLine)
    assert third.instead is not None
    assert third.instead.correlation_id == "request of second"
    assert {*stage.sent} == {("second", "request of second")}


# --- what may go wrong --------------------------------------------------------------------------------------------


def test_an_order_that_comes_too_late_for_its_slot_takes_another() -> None:
    stage = Stage(policy(limit=4, burst=1))
    order_id = stage.post("one")
    order = stage.order(order_id)
    assert stage.starts().take(order) is None
    stage.now_ms += GRACE_MS
    assert stage.starts().take(order) is None
    stage.now_ms += 1
    assert isinstance(stage.starts().take(order), InLine)


def test_the_place_of_a_worker_that_died_is_free_when_its_lease_is() -> None:
    stage = Stage(policy(limit=1_000, burst=900, own_places=1))
    dead, next_one = (stage.order(stage.post("one")) for _ in range(2))
    stage.events.clear()
    assert stage.starts().take(dead) is None
    assert isinstance(stage.starts().take(next_one), InLine)
    stage.run_until(NOW + HOLD_MS + 2_000)
    assert stage.start_of(next_one.order_id) is not None, "whoever was called when the order came looks at the line"


def test_two_workers_that_look_at_once_start_no_order_twice() -> None:
    """A rival's order comes at the very moment at which the first writes what it has decided, five times."""
    stage = Stage(policy(limit=60, burst=1), work_ms=10)
    for _ in range(3):
        stage.post("one")
    rivals = [True] * 5

    def rival() -> None:
        if rivals:
            rivals.pop()
            stage._deliver(stage.post("rival"))

    stage.line.at_write = rival
    stage.run_until(NOW + 20_000)
    started = [order_id for _, _, order_id in stage.started]
    assert len(started) == len(set(started)) == 8


def test_a_place_that_can_not_be_given_back_is_no_reason_to_fail() -> None:
    class OutOfReach(LineInMemory):
        def end(self, order_id: str) -> Turns:
            raise AwsUnavailable

    stage = Stage(line=OutOfReach())
    stage.starts().leave("order")
