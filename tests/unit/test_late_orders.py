"""Which orders are late: those that nobody comes to, and not those that wait for their turn while the line goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.late import LATE_MS, LOOKED_AT, LateOrders
from chalicelib.orders.order import Lease, Order
from chalicelib.orders.states import State
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS as NOW
from tests.sample_orders import order_in

OPEN = [State.PENDING, State.ROUTING, State.BUILDING, State.SUBMITTED, State.RETRYING]


class Line:
    """Holds every order, or none; it should have gone on at `due_ms`."""

    def __init__(self, due_ms: int | None = None) -> None:
        self._due_ms = due_ms
        self.asked: list[str] = []

    def due_at_ms(self, order: Order) -> int | None:
        self.asked.append(order.order_id)
        return self._due_ms


def stored(state: State, **changes: object) -> tuple[OrdersInMemory, Order]:
    store, order = OrdersInMemory(), replace(order_in(state), **changes)  # type: ignore[arg-type]
    assert store.create(order)
    return store, order


def longest_ms(store: OrdersInMemory, now_ms: int, line: Line | None = None) -> int:
    return LateOrders(store, line or Line(), lambda: now_ms).longest_ms()


@pytest.mark.parametrize("state", OPEN)
def test_an_order_is_late_that_nobody_has_come_to_for_longer_than_half_a_minute(state: State) -> None:
    store, order = stored(state)
    due_ms = max(order.updated_at_ms, order.retry_at_ms, order.start_at_ms)
    assert longest_ms(store, due_ms + LATE_MS) == 0
    assert longest_ms(store, due_ms + LATE_MS + 1) == LATE_MS + 1


@pytest.mark.parametrize("state", [State.CONFIRMED, State.FAILED, State.CANCELLED])
def test_an_order_that_has_ended_is_never_late(state: State) -> None:
    store, order = stored(state)
    assert longest_ms(store, order.updated_at_ms + 100 * LATE_MS) == 0


def test_an_order_is_not_late_while_a_worker_holds_it() -> None:
    until_ms = NOW + 10 * LATE_MS
    store, _ = stored(State.ROUTING, lease=Lease("worker", until_ms))
    assert longest_ms(store, until_ms) == 0
    assert longest_ms(store, until_ms + LATE_MS + 1) == LATE_MS + 1


def test_an_order_stays_late_once_it_was_handed_back_until_somebody_writes_it() -> None:
    store, order = stored(State.PENDING)
    now_ms = order.updated_at_ms + 2 * LATE_MS
    assert store.look_again_at(order, now_ms + 10 * LATE_MS, is_late=True)
    assert longest_ms(store, now_ms) == 2 * LATE_MS
    store.replace(replace(order, lease=Lease("worker", now_ms + 1_000)))
    assert longest_ms(store, now_ms) == 0


def test_an_order_in_line_is_late_only_where_the_line_does_not_go_on() -> None:
    store, order = stored(State.PENDING)
    now_ms = order.updated_at_ms + 100 * LATE_MS
    assert longest_ms(store, now_ms, Line(now_ms - 1_000)) == 0
    assert longest_ms(store, now_ms, Line(now_ms - LATE_MS - 5)) == LATE_MS + 5
    assert longest_ms(store, now_ms, Line(None)) == 100 * LATE_MS


def test_of_several_the_latest_is_told() -> None:
    store = OrdersInMemory()
    for number, start_at_ms in enumerate((NOW, NOW + 5_000, NOW - 5_000)):
        order = replace(order_in(State.PENDING), order_id=f"order-{number}", created_at_ms=start_at_ms, history=())
        assert store.create(order)
    assert longest_ms(store, NOW + 10 * LATE_MS) == 10 * LATE_MS + 5_000


def test_a_line_that_should_have_gone_on_before_the_order_came_makes_it_no_later_than_it_is() -> None:
    store, order = stored(State.PENDING)
    now_ms = order.updated_at_ms + 2 * LATE_MS
    assert longest_ms(store, now_ms, Line(order.updated_at_ms - LATE_MS)) == 2 * LATE_MS


@pytest.mark.parametrize(("late_ms", "asked"), [(LATE_MS, []), (LATE_MS + 1, ["order-1"])])
def test_the_line_is_asked_of_orders_alone_that_would_be_late_without_it(late_ms: int, asked: list[str]) -> None:
    store, order = stored(State.PENDING)
    line = Line(None)
    longest_ms(store, order.updated_at_ms + late_ms, line)
    assert line.asked == asked


def test_only_an_order_that_waits_to_start_is_looked_for_in_line() -> None:
    store, order = stored(State.ROUTING)
    now_ms = order.updated_at_ms + 2 * LATE_MS
    assert longest_ms(store, now_ms, Line(now_ms)) == 2 * LATE_MS


def test_so_many_orders_are_looked_at_and_no_more() -> None:
    class Source(OrdersInMemory):
        asked: tuple[int, int] = (0, 0)

        def late(self, before_ms: int, limit: int) -> list[Order]:
            self.asked = (before_ms, limit)
            return []

    store = Source()
    assert longest_ms(store, NOW) == 0
    assert store.asked == (NOW - LATE_MS, LOOKED_AT)
