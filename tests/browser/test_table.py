"""The table of orders: a thousand of them, filters, and an order that waits."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.orders.life import place
from chalicelib.orders.order import Order
from testing.client import Client, follow
from testing.emulator import root_session
from tests.browser.conftest import NewDesk
from tests.browser.desk import Desk
from tests.sample_orders import JUP, confirmed, failed, new_order

MANY = 1000


@pytest.fixture(scope="module")
def store(site: dict[str, str]) -> OrderTable:
    client = root_session(site).client("dynamodb", endpoint_url=site["awsEndpoint"])
    return OrderTable(client, site["ordersTable"], site["controlTable"], site["circulationsTable"])


@pytest.fixture(scope="module")
def many_orders(store: OrderTable, site: dict[str, str]) -> list[Order]:
    """A thousand ended orders, newest first: every tenth failed, every hundredth sells JUP."""
    start_ms = int(time.time() * 1000)

    def made(number: int) -> Order:
        token = {"token_in": JUP} if number % 100 == 7 else {}
        order = new_order(f"order-{number:04d}", created_at_ms=start_ms - number * 1000, **token)  # type: ignore[arg-type]
        return failed(order) if number % 10 == 0 else confirmed(order)

    orders = [made(number) for number in range(MANY)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(store.create, orders))
    # The emulator reads its stream in order, and the queue in between: once this is told, it has caught up.
    follow(Client(site["restUrl"]).execute("USDC", "USDT", "1")["wsUrl"])
    return orders


def shown(desk: Desk) -> list[str]:
    rows = desk.rows.evaluate_all("rows => rows.map(row => [row.ariaRowIndex, row.dataset.order])")
    return [order for _, order in sorted(rows, key=lambda row: int(row[0]))]


def test_a_thousand_orders_scroll_with_only_those_in_sight_in_the_document(
    new_desk: NewDesk, many_orders: list[Order]
) -> None:
    desk = new_desk()
    desk.open()
    expect(desk.row("order-0000")).to_be_visible()
    view = desk.page.get_by_test_id("orders-view")
    most = 0
    while not desk.row("order-0999").count():
        height = view.evaluate("view => { view.scrollTop = view.scrollHeight; return view.scrollHeight }")
        desk.page.wait_for_function(
            "before => document.querySelector('[data-test=orders-view]').scrollHeight > before"
            " || document.querySelector('[data-order=order-0999]')",
            arg=height,
        )
        most = max(most, desk.rows.count())
    expect(desk.row("order-0999")).to_be_visible()

    assert 5 < most < 60
    assert desk.page.locator("*").count() < 2500
    order = shown(desk)
    assert order == sorted(order)
    # Each screenful is drawn well within the time in which a person notices.
    slowest = view.evaluate(
        """async view => {
            let slowest = 0
            for (let place = 0; place < view.scrollHeight; place += 2000) {
                const before = performance.now()
                view.scrollTop = place
                await new Promise(done => requestAnimationFrame(() => setTimeout(done)))
                slowest = Math.max(slowest, performance.now() - before)
            }
            return slowest
        }"""
    )
    print(f"the slowest screenful took {slowest:.0f} ms")


def test_filters_find_the_few_among_the_many(new_desk: NewDesk, many_orders: list[Order]) -> None:
    desk = new_desk()
    desk.open()
    desk.page.get_by_label("Paid in").select_option("JUP")
    desk.page.get_by_role("combobox", name="Status").select_option("confirmed")
    expect(desk.row("order-0907")).to_have_count(1)
    expect(desk.page.get_by_test_id("orders-count")).not_to_contain_text("+")
    ours = [one for one in shown(desk) if one.startswith("order-")]
    assert ours == [f"order-{hundred * 100 + 7:04d}" for hundred in range(10)]
    desk.page.get_by_role("combobox", name="Status").select_option("cancelled")
    expect(desk.page.get_by_text("No order matches this filter.")).to_be_visible()


def test_arrows_walk_through_the_table_and_the_focus_is_never_lost(new_desk: NewDesk, many_orders: list[Order]) -> None:
    desk = new_desk()
    desk.open()
    expect(desk.row("order-0000")).to_be_visible()
    desk.row("order-0000").get_by_role("link").focus()
    first = int(desk.row("order-0000").get_by_role("link").get_attribute("data-index") or 0)
    for key, place_ in (("PageDown", first + 10), ("PageDown", first + 20), ("ArrowUp", first + 19)):
        desk.page.keyboard.press(key)
        expect(desk.page.locator(":focus")).to_have_attribute("data-index", str(place_))


def test_an_order_that_waits_can_be_cancelled(new_desk: NewDesk, store: OrderTable) -> None:
    now_ms = int(time.time() * 1000)
    waiting = place(replace(new_order("order-waiting", created_at_ms=now_ms), history=()), start_at_ms=now_ms + 600_000)
    assert store.create(waiting)
    desk = new_desk()
    desk.open("order-waiting")
    expect(desk.timeline).to_contain_text("Many orders are waiting: this one starts at")
    desk.page.get_by_role("button", name="Cancel order").click()
    desk.expect_status("cancelled")
    expect(desk.row("order-waiting")).to_contain_text("Cancelled")
    stored = store.load("order-waiting")
    assert stored is not None
    assert stored.status.value == "cancelled"
