"""A stored order that others write, too, is changed once, by what it is when the change comes to it."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.orders.life import claim
from chalicelib.orders.order import Lease, Order
from chalicelib.orders.rewriting import rewrite
from tests.orders_in_memory import OrdersInMemory, OrdersOthersWrite
from tests.sample_orders import CREATED_AT_MS, new_order

NOW = CREATED_AT_MS + 1_000


def stored() -> tuple[OrdersOthersWrite, Order]:
    store = OrdersOthersWrite()
    assert store.create(new_order())
    return store, found(store)


def found(store: OrdersOthersWrite) -> Order:
    order = store.load("order-1")
    assert order is not None
    return order


def retried(order: Order) -> Order:
    return replace(order, retry_count=order.retry_count + 1)


def test_the_change_is_written_once_and_the_order_is_given_as_it_is_stored() -> None:
    store, order = stored()
    after = rewrite(store, order, retried)
    assert after == found(store)
    assert (found(store).retry_count, found(store).revision) == (1, order.revision + 1)


def test_where_others_were_quicker_what_they_made_of_it_is_changed() -> None:
    store, order = stored()

    def another_claims() -> None:
        OrdersInMemory.replace(store, claim(found(store), "another", NOW, 25_000))

    store.meanwhile = [another_claims, another_claims]
    after = rewrite(store, order, retried)
    assert after is not None
    assert (after.retry_count, after.revision) == (1, order.revision + 3)
    assert after.lease == Lease("another", NOW + 25_000)


def test_nothing_is_written_where_the_change_comes_to_nothing() -> None:
    store, order = stored()
    assert rewrite(store, order, lambda one: None) is None
    assert found(store) == order


def test_a_change_that_another_writer_made_needless_is_not_made() -> None:
    store, order = stored()
    store.meanwhile = [lambda: OrdersInMemory.replace(store, retried(found(store)))]
    assert rewrite(store, order, lambda one: None if one.retry_count else retried(one)) is None
    assert found(store).retry_count == 1


def test_an_order_that_is_gone_is_not_brought_back() -> None:
    store, order = stored()
    store.meanwhile = [store.items.clear]
    assert rewrite(store, order, retried) is None
    assert store.load("order-1") is None
