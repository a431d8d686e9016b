"""An order from the ticket to its end, as a person sees it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from playwright.sync_api import Request, Route, WebSocketRoute, expect

from chalicelib.venues.supported import VENUES
from testing.chain import Chain
from testing.client import Client, eventually
from tests.browser.conftest import NewDesk
from tests.browser.desk import Desk, is_order

# Programs, as the page names them.
VENUE_NAMES = {
    "raydium-cpmm": "Raydium CPMM",
    "raydium-clmm": "Raydium CLMM",
    "raydium-amm-v4": "Raydium AMM v4",
    "meteora-dlmm": "Meteora DLMM",
    "meteora-damm-v1": "Meteora DAMM v1",
    "meteora-damm-v2": "Meteora DAMM v2",
}
LIFE = ["pending", "routing", "building", "submitted", "confirmed"]


def orders_of(client: Client, amount: str) -> list[str]:
    """The ids of the latest orders of so much; each test has an amount of its own."""
    latest = client.call("GET", "/orders?limit=200").body["orders"]
    return [order["orderId"] for order in latest if order["amount"] == amount]


def test_an_order_is_placed_and_watched_until_it_is_confirmed(desk: Desk, client: Client) -> None:
    desk.fill_ticket("2.5")
    order_id = desk.place()
    desk.expect_status("confirmed")

    order = client.order(order_id)
    assert desk.steps() == LIFE
    assert desk.tx_hash() == order["txHash"]
    expect(desk.page.get_by_test_id("amount-received")).to_have_text(f"{order['amountOut']} USDC")
    expect(desk.row(order_id)).to_contain_text("Confirmed")
    quoted = desk.page.get_by_text(re.compile("USDC quoted at"))
    for leg in order["route"]:
        expect(quoted).to_contain_text(VENUE_NAMES[leg["program"]])
    expect(desk.page.get_by_role("img", name=re.compile("^Time by step"))).to_be_visible()
    expect(desk.page.locator(".unseen[role=status]")).to_contain_text("Order confirmed: received")


def test_what_the_ticket_shows_as_the_least_is_the_orders_floor(desk: Desk, client: Client) -> None:
    sent: list[Any] = []

    def read(route: Route, request: Request) -> None:
        if is_order(request):
            sent.append(request.post_data_json)
        route.continue_()

    desk.page.route("**/orders/execute", read)
    desk.fill_ticket("0.625")
    order_id = desk.place()
    desk.expect_status("confirmed")

    order = client.order(order_id)
    assert Decimal(sent[0]["minOut"]) > 0
    assert Decimal(order["history"][0]["minOut"]) == Decimal(sent[0]["minOut"])
    assert Decimal(order["amountOut"]) >= Decimal(order["minOut"]) >= Decimal(sent[0]["minOut"])
    expect(desk.page.get_by_test_id("against-quote")).to_be_visible()
    expect(desk.page.get_by_test_id("above-floor")).to_be_visible()


def test_an_orders_details_show_its_floor_its_deadline_its_fees_and_what_each_pool_offered(
    desk: Desk, client: Client
) -> None:
    desk.fill_ticket("0.75")
    order_id = desk.place()
    desk.expect_status("confirmed")

    order = client.order(order_id)
    expect(desk.page.get_by_test_id("floor")).to_have_text(f"{order['minOut']} USDC")
    expect(desk.page.get_by_test_id("network-fees")).to_have_text(f"{order['networkFees']} SOL")
    expect(desk.page.get_by_test_id("expires-at").locator("time")).to_have_attribute("datetime", order["expiresAt"])
    offers = desk.page.get_by_test_id("offers")
    pools, amounts = offers.get_by_role("term"), offers.get_by_role("definition")
    expect(amounts).to_have_count(len(order["quotes"]))
    assert len(order["quotes"]) >= 2
    for pool, amount, offer in zip(pools.all(), amounts.all(), order["quotes"], strict=True):
        expect(pool).to_contain_text(VENUE_NAMES[offer["program"]])
        expect(amount).to_contain_text(f"{offer['amountOut']} USDC")


def test_quotes_of_every_venue_are_there_and_renew_themselves(desk: Desk) -> None:
    desk.fill_ticket("2000")
    venues = desk.page.get_by_role("table", name="What each venue would pay").get_by_role("rowheader")
    expect(venues).to_have_count(len(VENUES))
    for name in VENUE_NAMES.values():
        expect(venues.filter(has_text=name)).to_have_count(1)
    named = "|".join(VENUE_NAMES.values())
    expect(desk.page.get_by_test_id("route")).to_have_accessible_name(
        re.compile(rf"SOL to USDC, .* % at ({named})( and .* % at ({named}))+")
    )
    slot = desk.page.get_by_test_id("quote-age")
    first = re.search(r"slot ([\d,]+)", slot.inner_text())
    assert first is not None
    expect(slot).not_to_contain_text(first[1])


def test_a_double_click_is_one_order_and_a_later_click_another(desk: Desk, client: Client) -> None:
    posts: list[Request] = []
    desk.page.on("request", lambda request: posts.append(request) if is_order(request) else None)
    desk.fill_ticket("0.125")
    desk.submit.dblclick()
    desk.expect_status("confirmed")
    expect(desk.submit).to_have_text("Swap 0.125 SOL for USDC")
    desk.submit.click()
    desk.expect_status("confirmed")

    eventually(lambda: len(orders_of(client, "0.125")) >= 2)
    assert len(orders_of(client, "0.125")) == 2
    keys = [post.headers["idempotency-key"] for post in posts]
    assert len(set(keys)) == 2


def test_an_order_whose_answer_was_lost_is_sent_again_as_the_same_order(desk: Desk, client: Client) -> None:
    desk.fill_ticket("0.375")
    keys: list[str] = []
    bodies: list[str | None] = []

    def lose_the_first_answer(route: Route, request: Request) -> None:
        if not is_order(request):
            route.continue_()
            return
        keys.append(request.headers["idempotency-key"])
        bodies.append(request.post_data)
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    desk.page.route("**/orders/execute", lose_the_first_answer)
    desk.submit.click()
    expect(desk.page.get_by_role("alert")).to_contain_text("It can't become a second order")
    desk.place()
    desk.expect_status("confirmed")

    assert keys[0] == keys[1]
    assert bodies[0] == bodies[1], "a body with the floor of a later quote would be another order"
    assert len(orders_of(client, "0.375")) == 1


def test_a_retry_is_told_in_words_while_it_happens(desk: Desk, chain: Chain) -> None:
    chain.call("localnet_setFaults", {"expireRate": 1})
    desk.fill_ticket("1.5")
    desk.place()
    desk.expect_status("submitted")
    chain.call("localnet_advanceSlots", {"slots": 400})

    expect(desk.timeline).to_contain_text("The transaction did not land in time and can't land any more.")
    chain.call("localnet_setFaults", {})
    desk.expect_status("confirmed")
    expect(desk.timeline).to_contain_text("Attempt 2 of at most 3")
    assert desk.steps() == [*LIFE[:4], "failed", *LIFE[1:]]


def test_a_failure_says_what_happened_and_what_to_do(desk: Desk, client: Client) -> None:
    desk.open(str(client.execute("SOL", "USDC", "90000")["orderId"]))
    desk.expect_status("failed")

    expect(desk.timeline).to_contain_text("The wallet holds too little to pay for this.")
    expect(desk.timeline).to_contain_text("Swap less, or fund the wallet.")
    expect(desk.page.get_by_role("button", name="Cancel order")).to_have_count(0)


def test_wrong_fields_say_so_themselves_and_nothing_is_sent(desk: Desk) -> None:
    posts: list[str] = []
    desk.page.on("request", lambda request: posts.append(request.url) if is_order(request) else None)
    amount = desk.page.get_by_label("You pay", exact=True)
    for text, complaint in {
        "": "Enter an amount.",
        "1,000": "Write the amount in digits",
        "0": "above zero",
        "1.0123456789": "SOL has 9 decimals, this has 10.",
    }.items():
        amount.fill(text)
        desk.submit.click()
        expect(amount).to_have_accessible_description(re.compile(re.escape(complaint)))
        expect(amount).to_be_focused()
    amount.fill("1")
    slippage = desk.page.get_by_label("Slippage in percent")
    slippage.fill("51")
    desk.submit.click()
    expect(slippage).to_have_accessible_description("Slippage can be 0 to 50 %.")
    assert posts == []


def test_what_the_server_refuses_stands_at_its_field(desk: Desk) -> None:
    desk.page.get_by_label("You pay", exact=True).fill("99999999999999999999")
    expect(desk.page.get_by_label("You pay", exact=True)).to_have_accessible_description(
        re.compile("The amount is larger than any token amount can be")
    )


def test_a_finished_order_is_shown_to_who_comes_late(new_desk: NewDesk, client: Client) -> None:
    order = client.ended(client.execute("USDC", "JUP", "120")["orderId"])
    late = new_desk()
    late.open(order["orderId"])

    late.expect_status("confirmed")
    assert late.steps() == LIFE
    assert late.tx_hash() == order["txHash"]


def test_orders_placed_elsewhere_come_into_the_table_live(desk: Desk, client: Client) -> None:
    order_id = client.execute("USDC", "RAY", "33")["orderId"]
    expect(desk.row(order_id)).to_contain_text("Confirmed")
    expect(desk.page.get_by_test_id("orders-count")).to_contain_text("live")


def test_an_unknown_order_is_said_to_be_unknown(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.open("no-such-order")
    expect(desk.page.get_by_role("alert")).to_contain_text("There is no such order.")


def test_a_reload_in_the_middle_shows_the_order_and_goes_on(desk: Desk, chain: Chain) -> None:
    chain.call("localnet_setFaults", {"dropRate": 1})
    desk.fill_ticket("1.75")
    order_id = desk.place()
    desk.expect_status("submitted")

    desk.page.reload()
    desk.expect_status("submitted")
    assert desk.order_id() == order_id
    assert desk.steps() == LIFE[:4]
    chain.call("localnet_setFaults", {})
    desk.expect_status("confirmed")


def test_a_lost_connection_comes_back_and_nothing_is_shown_twice(new_desk: NewDesk, chain: Chain) -> None:
    desk = new_desk()
    connections: list[WebSocketRoute] = []

    def pass_on_and_close(client_side: WebSocketRoute, message: str | bytes) -> None:
        client_side.send(message)
        client_side.close(code=1011)

    def drop_the_first(client_side: WebSocketRoute) -> None:
        connections.append(client_side)
        server_side = client_side.connect_to_server()
        if len(connections) == 1:
            server_side.on_message(lambda message: pass_on_and_close(client_side, message))

    desk.page.route_web_socket(re.compile("orderId="), drop_the_first)
    desk.open()
    chain.call("localnet_setFaults", {"dropRate": 1})
    desk.fill_ticket("2.25")
    desk.place()
    desk.expect_status("submitted")
    while len(connections) < 2:
        desk.page.wait_for_timeout(50)
    chain.call("localnet_setFaults", {})
    desk.expect_status("confirmed")

    assert desk.steps() == LIFE


def test_an_order_is_made_and_opened_without_a_mouse(desk: Desk, client: Client) -> None:
    client.ended(client.execute("USDC", "SOL", "10")["orderId"])
    page = desk.page
    page.get_by_label("You pay", exact=True).focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("0.75")
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#token-in")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Search tokens")).to_be_focused()
    page.keyboard.type("jup")
    page.keyboard.press("Enter")
    expect(page.locator("#token-in")).to_have_attribute("data-token", "JUP")
    expect(page.locator("#token-in")).to_be_focused()
    desk.wait_for_quote()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "submit":
            break
    page.keyboard.press("Enter")
    desk.expect_status("confirmed")

    row = page.get_by_test_id("orders-view").get_by_role("link").first
    row.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(":focus")).to_have_attribute("data-index", "1")
    opened = page.locator(":focus").get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(opened)))
    expect(page.get_by_role("heading", level=2).and_(page.locator(":focus"))).to_be_visible()


def test_a_stack_that_is_down_is_said_to_be_down_until_it_is_back(desk: Desk) -> None:
    desk.fill_ticket("1")
    desk.page.context.set_offline(True)
    notice = desk.page.get_by_text("Fillrate does not answer.").first
    expect(notice).to_be_visible()
    expect(desk.page.locator(".state")).to_have_text("Offline")
    desk.page.context.set_offline(False)
    expect(notice).to_have_count(0)
    desk.wait_for_quote()
    desk.place()
    desk.expect_status("confirmed")
