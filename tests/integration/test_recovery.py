"""The sweeper: what no message carries any more goes back to the workers, once; what has ended is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.message import message_body, order_id_of
from chalicelib.orders.order import Lease, Order
from chalicelib.orders.recovery import (
    OVERDUE_MS,
    OVERDUE_ONCE_SIGNED_MS,
    SWEPT_FOR_MS,
    SWEPT_ONCE_SIGNED_FOR_MS,
    Recovery,
)
from chalicelib.orders.states import State
from tests.integration.chain_model import AnyTime
from tests.integration.cloud import Cloud
from tests.sample_orders import order_in

OPEN = [State.PENDING, State.ROUTING, State.BUILDING, State.SUBMITTED, State.RETRYING]
ENDED = [State.CONFIRMED, State.FAILED, State.CANCELLED]


def recovery_at(cloud: Cloud, now_ms: int) -> Recovery:
    return Recovery(cloud.store(), cloud.orders_queue(), AnyTime(), lambda: now_ms)


def queued(cloud: Cloud) -> list[str]:
    return [order_id_of(message.body) for message in cloud.receive()]


def stored(cloud: Cloud, state: State, lease: Lease | None = None) -> Order:
    order = replace(order_in(state), lease=lease)
    assert cloud.store().create(order)
    return order


def due_ms(order: Order) -> int:
    lease = order.lease.until_ms if order.lease else 0
    return max(order.updated_at_ms, order.retry_at_ms, order.start_at_ms, lease)


@pytest.mark.parametrize("state", OPEN)
def test_an_order_whose_message_is_lost_is_handed_back_once(cloud: Cloud, state: State) -> None:
    order = stored(cloud, state)
    signed = state is State.SUBMITTED
    overdue_ms = OVERDUE_ONCE_SIGNED_MS if signed else OVERDUE_MS
    left_alone_ms = SWEPT_ONCE_SIGNED_FOR_MS if signed else SWEPT_FOR_MS
    late = due_ms(order) + overdue_ms + 1

    assert recovery_at(cloud, late - 1).sweep().handed_back == []
    assert recovery_at(cloud, late).sweep().handed_back == [order.order_id]
    assert recovery_at(cloud, late + left_alone_ms - 1).sweep().handed_back == []

    assert queued(cloud) == [order.order_id]
    assert cloud.stored(order.order_id) == order
    much_later = late + left_alone_ms + overdue_ms + 1
    assert recovery_at(cloud, much_later).sweep().handed_back == [order.order_id]


def test_an_order_that_was_handed_back_counts_as_late_and_open_until_somebody_writes_it(cloud: Cloud) -> None:
    order = replace(order_in(State.PENDING), key_id="key-1")
    store = cloud.store()
    assert store.create(order)
    due = due_ms(order)
    assert [one.order_id for one in store.late(due + 1, 10)] == [order.order_id]
    assert list(store.late(due, 10)) == []

    recovery_at(cloud, due + OVERDUE_MS + 1).sweep()
    assert [one.order_id for one in store.late(due, 10)] == [order.order_id]
    assert [one.order_id for one in store.open_of_key("key-1")] == [order.order_id]

    (found,) = store.late(due, 10)
    store.replace(replace(found, lease=Lease("worker", due + SWEPT_FOR_MS)))
    assert list(store.late(due, 10)) == []
    assert [one.order_id for one in store.open_of_key("key-1")] == [order.order_id]


def test_an_order_that_a_worker_still_holds_is_left_to_it(cloud: Cloud) -> None:
    held = order_in(State.ROUTING).updated_at_ms + 10 * 60_000
    order = stored(cloud, State.ROUTING, Lease("worker", held))

    assert recovery_at(cloud, held).sweep().handed_back == []
    assert recovery_at(cloud, held + OVERDUE_MS + 1).sweep().handed_back == [order.order_id]


@pytest.mark.parametrize("state", ENDED)
def test_an_order_that_has_ended_is_never_handed_back(cloud: Cloud, state: State) -> None:
    order = stored(cloud, state)
    assert recovery_at(cloud, order.updated_at_ms + 10 * OVERDUE_MS).sweep().handed_back == []
    assert queued(cloud) == []


def test_an_order_that_a_worker_writes_meanwhile_is_left_to_it(cloud: Cloud) -> None:
    order = stored(cloud, State.PENDING)
    store = cloud.store()
    store.replace(order)
    assert not store.look_again_at(order, order.created_at_ms, is_late=True)


@pytest.mark.parametrize("state", OPEN)
def test_a_dead_letter_of_an_order_that_goes_on_becomes_a_message_again(cloud: Cloud, state: State) -> None:
    order = stored(cloud, state)
    cloud.orders_queue().bury(message_body(order.order_id), "received too often")

    swept = recovery_at(cloud, order.updated_at_ms).sweep()

    assert swept.handed_back == [order.order_id]
    assert queued(cloud) == [order.order_id]
    assert cloud.dead_letters() == []


@pytest.mark.parametrize("state", [State.CONFIRMED, State.CANCELLED])
def test_a_dead_letter_of_an_order_that_ended_well_is_discarded(cloud: Cloud, state: State) -> None:
    order = stored(cloud, state)
    cloud.orders_queue().bury(message_body(order.order_id), "received too often")

    assert recovery_at(cloud, order.updated_at_ms).sweep().buried_finished == [order.order_id]
    assert cloud.dead_letters() == []
    assert queued(cloud) == []


def test_dead_letters_of_failed_orders_and_of_none_stay_for_a_person_to_see(cloud: Cloud) -> None:
    order = stored(cloud, State.FAILED)
    queue = cloud.orders_queue()
    bodies = [message_body(order.order_id), "no order at all", message_body("unknown")]
    for body in bodies:
        queue.bury(body, "why")

    swept = recovery_at(cloud, order.updated_at_ms).sweep()

    assert swept.buried_failed == [order.order_id]
    assert sorted(body for body, _ in cloud.dead_letters()) == sorted(bodies)
    assert queued(cloud) == []
