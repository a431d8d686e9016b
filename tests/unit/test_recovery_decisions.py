"""Whom the sweeper hands back, when, and with what delay; and which dead letters it leaves for a person to see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from chalicelib.aws.cloudwatch_metrics import flush
from chalicelib.orders.message import message_body
from chalicelib.orders.order import Lease, Order
from chalicelib.orders.ports import DeadLetter
from chalicelib.orders.recovery import (
    BEFORE_DEADLINE_MS,
    MAX_DEAD_LETTERS,
    MAX_SWEPT,
    OVERDUE_MS,
    SWEPT_FOR_MS,
    Recovery,
    Swept,
    due_at_ms,
)
from chalicelib.orders.states import State
from tests.log_lines import flushed, values
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS as NOW
from tests.sample_orders import new_order, order_in, routing
from tests.unit.test_redrive_decisions import Letters


class Store(OrdersInMemory):
    """Notes how many orders it was asked for."""

    asked_for = 0

    def overdue(self, before_ms: int, limit: int) -> list[Order]:
        self.asked_for = limit
        return super().overdue(before_ms, limit)


@dataclass
class Operations:
    store: Store = field(default_factory=Store)
    queue: Letters = field(default_factory=Letters)
    moved_starts: list[tuple[str, int]] = field(default_factory=list)

    def sweep(self, now_ms: int) -> Swept:
        self.queue.sent = []
        return Recovery(self.store, self.queue, self, lambda: now_ms).sweep()  # type: ignore[arg-type]

    def moved(self) -> Iterable[tuple[str, int]]:
        return self.moved_starts

    def stored(self, order: Order) -> Order:
        assert self.store.create(order)
        return order


def an_order(**changes: object) -> Order:
    return replace(new_order(), correlation_id="request-1", **changes)  # type: ignore[arg-type]


# --- when an order starts -----------------------------------------------------------------------------------------


def test_an_order_that_starts_at_another_time_than_was_told_is_told_anew_as_long_as_it_waits() -> None:
    operations = Operations()
    waiting = operations.stored(an_order())
    started = operations.stored(routing(replace(an_order(), order_id="started")))
    operations.moved_starts = [(waiting.order_id, NOW + 60_000), (started.order_id, NOW + 70_000), ("nobody's", NOW)]
    operations.sweep(NOW + 5)
    told = operations.store.load(waiting.order_id)
    assert told is not None
    assert (told.start_at_ms, told.history[-1].queued_until_ms) == (NOW + 60_000, NOW + 60_000)
    assert operations.store.load(started.order_id) == started


# --- when an order is due -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "due_ms"),
    [
        ({}, NOW),
        ({"start_at_ms": NOW + 5}, NOW + 5),
        ({"retry_at_ms": NOW + 6}, NOW + 6),
        ({"lease": Lease("worker", NOW + 7)}, NOW + 7),
        ({"start_at_ms": NOW + 5, "retry_at_ms": NOW + 6, "lease": Lease("worker", NOW + 7)}, NOW + 7),
        ({"expires_at_ms": NOW + BEFORE_DEADLINE_MS - 1}, NOW - 1),
        ({"expires_at_ms": NOW + BEFORE_DEADLINE_MS + 1}, NOW),
        ({"start_at_ms": NOW + 5, "expires_at_ms": NOW + BEFORE_DEADLINE_MS + 3}, NOW + 3),
    ],
)
def test_an_order_is_due_at_its_next_step_or_some_time_before_its_deadline(
    changes: dict[str, object], due_ms: int
) -> None:
    assert due_at_ms(an_order(**changes)) == due_ms


# --- handing back -------------------------------------------------------------------------------------------------


def test_an_order_that_is_late_is_handed_back_at_once_and_then_left_alone_for_a_while() -> None:
    desk = Operations()
    order = desk.stored(an_order())
    late = NOW + OVERDUE_MS + 1
    assert desk.sweep(late - 1).handed_back == []
    assert desk.sweep(late).handed_back == [order.order_id]
    assert desk.queue.sent == [(order.order_id, 0, "request-1")]
    assert desk.sweep(late + SWEPT_FOR_MS).handed_back == []
    assert desk.sweep(late + SWEPT_FOR_MS + 1).handed_back == [order.order_id]
    assert (desk.store.asked_for, desk.queue.asked_for) == (MAX_SWEPT, MAX_DEAD_LETTERS)


@pytest.mark.parametrize(
    ("before_ms", "delay_ms"), [(BEFORE_DEADLINE_MS, BEFORE_DEADLINE_MS), (BEFORE_DEADLINE_MS + 1, None), (-5, 0)]
)
def test_an_order_near_its_deadline_gets_a_message_that_comes_at_the_deadline(
    before_ms: int, delay_ms: int | None
) -> None:
    desk = Operations()
    # a worker has it, so that its next step is not late
    order = desk.stored(an_order(lease=Lease("worker", NOW + 10**6), expires_at_ms=NOW + 200_000))
    # due long before, as of a version that counted otherwise
    desk.store.look_again_at(order, NOW, is_late=False)
    desk.sweep(NOW + 200_000 - before_ms)
    assert desk.queue.sent == ([] if delay_ms is None else [(order.order_id, delay_ms, "request-1")])


def test_a_late_order_is_not_made_to_wait_for_its_deadline() -> None:
    desk = Operations()
    order = desk.stored(an_order(expires_at_ms=NOW + OVERDUE_MS + 500))
    desk.sweep(NOW + OVERDUE_MS + 1)
    assert desk.queue.sent == [(order.order_id, 0, "request-1")]


def test_an_order_without_a_deadline_is_handed_back_only_where_it_is_late() -> None:
    desk = Operations()
    desk.stored(an_order())
    assert desk.sweep(NOW + 1) == Swept()


def test_an_order_that_a_worker_writes_meanwhile_is_left_to_it() -> None:
    class Busy(Store):
        def look_again_at(self, order: Order, due_at_ms: int, *, is_late: bool) -> bool:
            return False

    desk = Operations(store=Busy())
    desk.stored(an_order())
    assert desk.sweep(NOW + OVERDUE_MS + 1) == Swept()
    assert desk.queue.sent == []


# --- dead letters -------------------------------------------------------------------------------------------------


def test_dead_letters_are_told_apart_by_what_became_of_their_orders(capsys: pytest.CaptureFixture[str]) -> None:
    flush()
    capsys.readouterr()
    desk = Operations()
    states = (State.FAILED, State.CONFIRMED, State.PENDING)
    for state in states:
        desk.stored(replace(order_in(state), order_id=state.value, correlation_id="request-1"))
    failed, ended, open_ = (DeadLetter(state.value, message_body(state.value)) for state in states)
    nobodys, unknown = DeadLetter("3", "{}"), DeadLetter("4", message_body("unknown"))
    desk.queue.letters = [nobodys, failed, unknown, ended, open_]

    swept = desk.sweep(NOW)

    assert swept == Swept(
        handed_back=[State.PENDING.value],
        buried_finished=[State.CONFIRMED.value],
        buried_failed=[State.FAILED.value],
    )
    assert desk.queue.left == [nobodys, failed, unknown]
    assert desk.queue.discarded == [ended, open_]
    assert desk.queue.sent == [(State.PENDING.value, 0, "request-1")]
    assert values(flushed(capsys), "DeadLettersWaiting") == [1]
