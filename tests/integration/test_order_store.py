"""The orders table: what was written is what is read, once, in order, and by one writer at a time."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from chalicelib.orders.life import claim
from chalicelib.orders.order import Order
from chalicelib.orders.ports import OrderFilter, Orders, StaleOrder
from chalicelib.orders.states import State
from chalicelib.problems import InvalidRequest
from chalicelib.push.connections import Subscription
from tests.integration.cloud import Cloud, calls_to
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import (
    CREATED_AT_MS,
    JUP,
    SOL,
    USDC,
    confirmed,
    failed,
    new_order,
    order_in,
    retrying,
    routing,
    submitted,
)

EVERYTHING = OrderFilter()


@pytest.fixture
def store(cloud: Cloud) -> Orders:
    return cloud.store()


@pytest.fixture(params=["DynamoDB", "in memory"])
def any_store(request: pytest.FixtureRequest) -> Orders:
    """The store, and the one that stands in for it where tests take very many steps."""
    return request.getfixturevalue("store") if request.param == "DynamoDB" else OrdersInMemory()


def listed(store: Orders, keep: OrderFilter = EVERYTHING, *, limit: int = 2, account: str = "local") -> list[str]:
    """The ids of a whole listing, page by page."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = store.page(account, keep, limit, cursor)
        assert len(page.orders) <= limit
        ids += [order.order_id for order in page.orders]
        cursor = page.next_cursor
        if cursor is None:
            return ids
        assert len(page.orders) == limit, "only the last page may be short"


def create(store: Orders, number: int, order: Order | None = None) -> str:
    """Store an order of the `number`th second."""
    order_id = f"order-{number}"
    stored = replace(order or new_order(), order_id=order_id, created_at_ms=CREATED_AT_MS + number * 1000)
    assert store.create(stored)
    return order_id


# --- one order ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_an_order_in_any_state_is_read_as_it_was_written(any_store: Orders, state: State) -> None:
    order = order_in(state)
    assert any_store.create(order)
    assert any_store.load(order.order_id) == order


def test_every_detail_survives_leases_retries_and_amounts_of_all_64_bits(any_store: Orders) -> None:
    order = submitted(retrying())
    order = claim(order, "worker/1", CREATED_AT_MS, 25_000)
    order = replace(order, amount=2**64 - 1, min_out=2**64 - 1, past_signatures=("s1", "s2"), revision=7)
    assert any_store.create(order)
    assert any_store.load(order.order_id) == order


def test_an_order_is_created_once(any_store: Orders) -> None:
    assert any_store.create(new_order(amount=1))
    assert not any_store.create(new_order(amount=2))
    stored = any_store.load("order-1")
    assert stored is not None
    assert stored.amount == 1


@pytest.mark.parametrize("order_id", ["unknown", "", "x" * 5_000, "ünknown", "a/b", "\x00"])
def test_an_id_that_no_order_has_loads_nothing(any_store: Orders, order_id: str) -> None:
    """Also one that DynamoDB would refuse as a key: ids come from outside."""
    assert any_store.load(order_id) is None


def test_a_replaced_order_has_the_next_revision(any_store: Orders) -> None:
    any_store.create(new_order())
    written = any_store.replace(routing())
    assert written.revision == 1
    assert any_store.load("order-1") == written
    assert any_store.replace(written).revision == 2


def test_of_two_writers_of_one_revision_the_second_is_told_that_its_copy_is_stale(any_store: Orders) -> None:
    any_store.create(new_order())
    mine, theirs = any_store.load("order-1"), any_store.load("order-1")
    assert mine is not None
    assert theirs is not None
    written = any_store.replace(routing(theirs))
    with pytest.raises(StaleOrder):
        any_store.replace(failed(mine))
    assert any_store.load("order-1") == written


def test_a_revision_that_was_never_written_is_no_base_to_write_upon(any_store: Orders) -> None:
    any_store.create(new_order())
    with pytest.raises(StaleOrder):
        any_store.replace(replace(routing(), revision=1))
    assert any_store.load("order-1") == new_order()


def test_an_order_that_is_not_there_cannot_be_replaced(any_store: Orders) -> None:
    with pytest.raises(StaleOrder):
        any_store.replace(new_order())
    assert any_store.load("order-1") is None


def test_a_finished_order_no_longer_holds_the_bytes_of_its_transaction(store: Orders, cloud: Cloud) -> None:
    store.create(confirmed())
    key = {"orderId": {"S": "order-1"}, "item": {"S": "order"}}
    item = cloud.dynamodb.get_item(TableName=cloud.orders_table, Key=key)["Item"]
    assert "submission" not in item


# --- listing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 200])
def test_orders_are_listed_newest_first_each_once(any_store: Orders, limit: int) -> None:
    ids = [create(any_store, number) for number in range(5)]
    assert listed(any_store, limit=limit) == ids[::-1]


def test_orders_of_one_millisecond_are_each_listed_once(store: Orders) -> None:
    for number in range(5):
        store.create(new_order(f"order-{number}"))
    assert sorted(listed(store)) == [f"order-{number}" for number in range(5)]


def test_orders_that_come_in_between_two_pages_neither_shift_nor_repeat_any(store: Orders) -> None:
    before = [create(store, number) for number in range(5)]
    page = store.page("local", EVERYTHING, 2, None)
    create(store, 10)
    rest = store.page("local", EVERYTHING, 10, page.next_cursor)
    assert [order.order_id for order in (*page.orders, *rest.orders)] == before[::-1]


def test_an_order_that_changes_between_two_pages_keeps_its_place(store: Orders) -> None:
    ids = [create(store, number) for number in range(4)]
    page = store.page("local", EVERYTHING, 2, None)
    last_seen, next_to_see = page.orders[-1], store.load(ids[1])
    assert next_to_see is not None
    store.replace(routing(last_seen))
    store.replace(routing(next_to_see))
    rest = store.page("local", EVERYTHING, 2, page.next_cursor)
    assert [order.order_id for order in rest.orders] == [ids[1], ids[0]]
    assert rest.orders[0].state is State.ROUTING


def test_a_full_last_page_promises_no_further_one(store: Orders) -> None:
    for number in range(2):
        create(store, number)
    assert store.page("local", EVERYTHING, 2, None).next_cursor is None
    assert store.page("nobody", EVERYTHING, 2, None).orders == ()


def test_an_account_sees_its_own_orders_only(store: Orders) -> None:
    mine = create(store, 1)
    create(store, 2, new_order(account="other"))
    assert listed(store) == [mine]
    foreign = store.page("other", EVERYTHING, 1, None)
    assert [order.account for order in foreign.orders] == ["other"]


def test_another_accounts_cursor_shows_nothing_of_that_account(store: Orders) -> None:
    mine = [create(store, number) for number in range(3)]
    for number in range(10, 13):
        create(store, number, new_order(account="other"))
    cursor = store.page("other", EVERYTHING, 1, None).next_cursor
    assert [order.order_id for order in store.page("local", EVERYTHING, 10, cursor).orders] == mine[::-1]


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_a_listing_keeps_what_was_asked_for_and_pages_through_it(any_store: Orders, limit: int) -> None:
    for number in range(0, 12, 4):
        create(any_store, number, new_order(token_in=SOL, token_out=USDC))
        create(any_store, number + 1, new_order(token_in=USDC, token_out=SOL))
        create(any_store, number + 2, failed())
        create(any_store, number + 3, new_order(token_in=JUP, token_out=USDC))

    def numbers(keep: OrderFilter) -> list[int]:
        return [int(order_id.removeprefix("order-")) for order_id in listed(any_store, keep, limit=limit)]

    assert numbers(OrderFilter(mint_in=SOL.mint)) == [10, 8, 6, 4, 2, 0]
    assert numbers(OrderFilter(mint_out=SOL.mint)) == [9, 5, 1]
    assert numbers(OrderFilter(mint_in=SOL.mint, status="failed")) == [10, 6, 2]
    assert numbers(OrderFilter(status="pending", mint_in=JUP.mint, mint_out=USDC.mint)) == [11, 7, 3]
    assert numbers(OrderFilter(status="confirmed")) == []


def test_a_rare_order_is_found_among_many_in_few_reads(store: Orders, cloud: Cloud) -> None:
    create(store, 0, failed())
    for number in range(1, 60):
        create(store, number)
    queries = calls_to(cloud.dynamodb, "Query")
    page = store.page("local", OrderFilter(status="failed"), 1, None)
    assert [order.order_id for order in page.orders] == ["order-0"]
    assert len(queries) == 1


def test_a_listing_that_keeps_nothing_reads_no_more_than_a_request_may(
    store: Orders, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one request for a rare status reads an account's whole history, again and again."""
    monkeypatch.setattr("chalicelib.aws.dynamodb.order_table.MOST_READ", 10)
    create(store, 0, failed())
    for number in range(1, 25):
        create(store, number)
    keep = OrderFilter(status="failed")
    queries = calls_to(cloud.dynamodb, "Query")
    pages = [store.page("local", keep, 5, None)]
    assert sum(query["Limit"] for query in queries) == 10
    while pages[-1].next_cursor is not None:
        pages.append(store.page("local", keep, 5, pages[-1].next_cursor))
    assert [[order.order_id for order in page.orders] for page in pages] == [[], [], ["order-0"]]


def test_subscriptions_beside_the_orders_are_never_listed(store: Orders, cloud: Cloud) -> None:
    order_id = create(store, 1)
    cloud.connections().subscribe(Subscription(order_id, "connection", closes=True, asked_at_ms=CREATED_AT_MS))
    assert listed(store) == [order_id]


def cursor_of(place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!!!",
        "é",
        "e30",
        "bnVsbA",
        "_" * 1024,
        cursor_of([]),
        cursor_of([1]),
        cursor_of([1, 2]),
        cursor_of(["1", "order"]),
        cursor_of([-1, "order"]),
        cursor_of([10**15, "order"]),
        cursor_of([1.5, "order"]),
        cursor_of([True, "order"]),
        cursor_of([1, ""]),
        cursor_of([1, "\ud800"]),
        cursor_of([1, "x" * 700]),
        cursor_of([1, "order", 3]),
        cursor_of({"created": 1, "id": "order"}),
    ],
)
def test_a_cursor_that_is_none_of_ours_is_a_wrong_field(store: Orders, cursor: str) -> None:
    create(store, 1)
    with pytest.raises(InvalidRequest) as refused:
        store.page("local", EVERYTHING, 1, cursor)
    assert [problem.field for problem in refused.value.problems] == ["cursor"]
