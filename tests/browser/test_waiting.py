"""Orders that wait for a price: placed, changed and cancelled on the page, and filled while somebody watches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from testing.chain import Chain
from testing.client import Client, eventually
from tests.browser.conftest import NewDesk
from tests.browser.desk import Desk, is_order
from tests.faults.market import Market

PHONE: dict[str, Any] = {"viewport": {"width": 320, "height": 720}, "is_mobile": True, "has_touch": True}
PLACES: dict[str, dict[str, Any]] = {"desktop": {}, "phone": PHONE, "dark": {"color_scheme": "dark"}}
CLIPPING = (Path(__file__).parent / "clipping.js").read_text()
WIDTHS = (320, 390, 1024, 1280, 1440, 1920)
AMOUNT = "0.1"

Json = dict[str, Any]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, new_desk: NewDesk) -> Desk:
    """The page on a desktop, on a narrow phone and in the dark."""
    desk = new_desk(**PLACES[request.param], reduced_motion="reduce")
    desk.open()
    return desk


@pytest.fixture(autouse=True)
def _nothing_waits_afterwards(client: Client) -> Iterator[None]:
    yield
    eventually(lambda: bool(client.call("DELETE", "/orders?status=open").body["cancelled"] == 0))


def price_now(client: Client, amount: str = AMOUNT) -> Decimal:
    quote = client.call("GET", f"/quotes?tokenIn=SOL&tokenOut=USDC&amount={amount}").body
    return Decimal(quote["price"])


def short(price: Decimal) -> str:
    """A price as somebody would type it."""
    return f"{price.quantize(Decimal('0.01')):f}"


def placed(client: Client, type_: str, amount: str = AMOUNT, **terms: str) -> Json:
    body = {"type": type_, "tokenIn": "SOL", "tokenOut": "USDC", "amount": amount, **terms}
    reply = client.call("POST", "/orders/execute", body)
    assert reply.status == 202, reply
    return client.order(reply.body["orderId"])


def type_limit(desk: Desk, price: str) -> None:
    desk.page.get_by_label("Limit price", exact=True).fill(price)


def type_stop(desk: Desk, price: str) -> None:
    desk.page.get_by_label("Stop price", exact=True).fill(price)


def test_each_type_is_placed_by_its_own_fields_and_waits_among_the_open_orders(place: Desk, client: Client) -> None:
    page, now = place.page, price_now(client)
    above, below = short(now * Decimal("1.1")), short(now * Decimal("0.9"))
    place.fill_ticket(AMOUNT)

    place.choose_type("Limit")
    type_limit(place, above)
    words = re.compile(rf"1 SOL ≥ {re.escape(f'{Decimal(above).normalize():f}')} USDC.*1 USDC ≤ 0\.00\d+ SOL", re.S)
    expect(page.get_by_label("Limit price", exact=True)).to_have_accessible_description(words)
    expect(page.get_by_test_id("limit-distance")).to_contain_text(
        re.compile(r"^(9\.9|10(\.\d)?)\d* % above the market")
    )
    expect(page.get_by_test_id("amount-out")).to_have_text(f"{(Decimal(AMOUNT) * Decimal(above)).normalize():f}")
    expect(page.get_by_label("Slippage in percent")).to_have_count(0)
    assert place.accessibility_problems() == []
    limit = place.place()
    place.expect_status("open")

    place.choose_type("Stop")
    type_stop(place, below)
    expect(page.get_by_test_id("stop-distance")).to_contain_text("% below the market")
    stop = place.place()

    place.choose_type("Trailing")
    page.get_by_label("Trailing in percent").fill("7.5")
    page.get_by_label("Good for", exact=True).select_option("1 hour")
    trailing = place.place()

    place.choose_type("OCO")
    type_limit(place, above)
    type_stop(place, below)
    expect(page.get_by_text("Or at its stop, about")).to_be_visible()
    assert place.accessibility_problems() == []
    oco = place.place()

    orders = {name: client.order(each) for name, each in [("l", limit), ("s", stop), ("t", trailing), ("o", oco)]}
    assert [one["type"] for one in orders.values()] == ["limit", "stop", "stop", "oco"]
    assert {one["status"] for one in orders.values()} == {"open"}
    assert (orders["l"]["limitPrice"], orders["s"]["stopPrice"]) == (
        f"{Decimal(above).normalize():f}",
        f"{Decimal(below).normalize():f}",
    )
    assert (orders["t"]["trailing"], orders["o"]["limitPrice"]) == ("0.075", orders["l"]["limitPrice"])
    lasts = [_hours(orders[name]) for name in "lt"]
    assert lasts == [pytest.approx(24, abs=0.1), pytest.approx(1, abs=0.1)]

    expect(place.open_order(limit)).to_contain_text("Limit")
    expect(place.open_order(limit).get_by_test_id("distance-limit")).to_contain_text(re.compile(r"^\+\d+(\.\d+)? %"))
    expect(place.open_order(stop).get_by_test_id("distance-stop")).to_contain_text(re.compile(r"^−\d+(\.\d+)? %"))
    expect(place.open_order(trailing)).to_contain_text(re.compile(r"7\.5 % below the best, \d+"))
    expect(place.open_order(oco).get_by_role("list", name="Its prices").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_test_id("open-count")).to_have_text("4 wait for their price")
    assert place.accessibility_problems() == []
    assert page.evaluate(CLIPPING) == []


def _hours(order: Json) -> float:
    """For how long it waits from its placing on."""
    ends, began = (datetime.fromisoformat(order[name]) for name in ("expiresAt", "createdAt"))
    return (ends - began).total_seconds() / 3600


def test_an_open_limit_is_changed_in_its_row_and_then_cancelled_there(place: Desk, client: Client) -> None:
    now = price_now(client)
    order = placed(client, "limit", limitPrice=short(now * Decimal("1.2")))
    row = place.open_order(order["orderId"])
    sent: list[Any] = []
    place.page.on("request", lambda one: sent.append(one.post_data_json) if one.method == "PATCH" else None)

    row.get_by_role("button", name="Change").click()
    field = row.get_by_label("Limit price", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_value(order["limitPrice"])
    field.fill("0")
    row.get_by_role("button", name="Change order").click()
    expect(field).to_have_accessible_description(re.compile("The price must be above zero."))
    expect(field).to_be_focused()
    assert sent == []
    assert place.accessibility_problems() == []
    assert place.page.evaluate(CLIPPING) == []

    nearer = f"{Decimal(short(now * Decimal('1.1'))).normalize():f}"
    field.fill(nearer)
    place.page.keyboard.press("Enter")
    expect(row).to_contain_text(f"1 SOL ≥ {nearer} USDC")
    expect(row.get_by_role("form")).to_have_count(0)
    expect(row.get_by_role("button", name="Change")).to_be_focused()
    assert sent == [{"limitPrice": nearer}]
    assert client.order(order["orderId"])["limitPrice"] == nearer

    row.get_by_role("button", name="Cancel").click()
    expect(row).to_have_count(0)
    expect(place.row(order["orderId"])).to_contain_text("Cancelled")
    assert client.order(order["orderId"])["status"] == "cancelled"


def test_a_change_made_elsewhere_shows_and_one_that_comes_too_late_says_why(desk: Desk, client: Client) -> None:
    now = price_now(client)
    order_id = placed(client, "stop", stopPrice=short(now * Decimal("0.8")))["orderId"]
    row = desk.open_order(order_id)
    expect(row).to_be_visible()
    changed = client.call("PATCH", f"/orders/{order_id}", {"trailing": "0.25", "expiresAt": _in_two_days()})
    assert changed.status == 200
    expect(row).to_contain_text("25 % below the best")
    expect(row.locator("time")).to_have_attribute("datetime", changed.body["expiresAt"])

    def cancel_before(route: Route) -> None:
        if route.request.method == "PATCH":
            assert client.call("DELETE", f"/orders/{order_id}").status == 200
        route.continue_()

    desk.page.route(f"**/orders/{order_id}", cancel_before)
    row.get_by_role("button", name="Change").click()
    row.get_by_label("Trailing in percent").fill("20")
    row.get_by_role("button", name="Change order").click()
    expect(row.get_by_role("alert").filter(has_text="That is no longer possible")).to_contain_text(
        "The order is cancelled and can no longer be changed."
    )
    expect(row.get_by_role("alert").filter(has_text="It has ended meanwhile")).to_be_visible()
    row.get_by_role("button", name="Leave it").click()
    expect(row).to_have_count(0)


def _in_two_days() -> str:
    return (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_price_that_looks_like_a_mistake_is_asked_about_and_enter_does_not_place_it(
    place: Desk, client: Client
) -> None:
    page, now = place.page, price_now(client)
    bodies: list[Any] = []
    page.on("request", lambda one: bodies.append(one.post_data_json) if is_order(one) else None)
    place.fill_ticket(AMOUNT)
    place.choose_type("Limit")
    type_limit(place, short(now * 150))
    place.submit.click()
    question = page.get_by_role("dialog", name="Is this price meant?")
    expect(question).to_contain_text("The limit price is 100 times or more what the best route pays")
    expect(question).not_to_contain_text("force")
    expect(page.get_by_label("Limit price", exact=True)).to_have_accessible_description(re.compile("100 times or more"))
    assert place.accessibility_problems() == []
    anyway = question.get_by_role("button", name="Place it all the same")
    anyway.focus()
    page.keyboard.press("Enter")
    expect(question).to_be_visible()
    assert len(bodies) == 1
    page.keyboard.press("Space")
    place.expect_status("open")
    assert [body.get("force") for body in bodies] == [None, True]
    forced = place.order_id()

    row = place.open_order(forced)
    row.get_by_role("button", name="Change").click()
    row.get_by_label("Limit price", exact=True).fill(short(now * 200))
    row.get_by_role("button", name="Change order").click()
    question.get_by_role("button", name="Change it all the same").click()
    expect(row.get_by_role("form")).to_have_count(0)
    assert Decimal(client.order(forced)["limitPrice"]) == Decimal(short(now * 200))


def test_a_limit_far_below_the_market_and_a_stop_that_may_cost_much_are_asked_about(desk: Desk, client: Client) -> None:
    now = price_now(client)
    desk.fill_ticket(AMOUNT)
    desk.choose_type("Limit")
    type_limit(desk, short(now / 2))
    expect(desk.page.get_by_test_id("reached")).to_contain_text("The market pays this already")
    desk.submit.click()
    question = desk.page.get_by_role("dialog", name=re.compile(r"^This order may cost you [\d,.]+ USDC$"))
    expect(question).to_contain_text("would trade at once")
    desk.page.keyboard.press("Escape")
    desk.choose_type("Stop")
    type_stop(desk, short(now * Decimal("0.9")))
    desk.page.get_by_label("Slippage in percent").fill("5")
    expect(desk.page.get_by_test_id("stop-least")).to_contain_text("USDC")
    desk.wait_for_quote()
    desk.submit.click()
    expect(question).to_contain_text("Its stop sells at the market.")
    desk.page.keyboard.press("Escape")
    latest = client.call("GET", "/orders?status=open").body["orders"]
    assert latest == []


def test_what_is_wrong_with_a_price_stands_at_its_field_and_nothing_is_sent(desk: Desk) -> None:
    bodies: list[Any] = []
    desk.page.on("request", lambda one: bodies.append(one.post_data_json) if is_order(one) else None)
    desk.fill_ticket(AMOUNT)
    desk.choose_type("OCO")
    desk.submit.click()
    limit, stop = (desk.page.get_by_label(name, exact=True) for name in ("Limit price", "Stop price"))
    expect(limit).to_be_focused()
    for text, complaint in {"": "Enter a price.", "1,000": "Write the price in digits", "-3": "above zero"}.items():
        limit.fill(text)
        expect(limit).to_have_accessible_description(re.compile(complaint))
    limit.fill("100")
    stop.fill("100")
    expect(stop).to_have_accessible_description(re.compile("The stop price must be below the limit price."))
    limit.fill("101")
    desk.page.get_by_text("More terms").click()
    desk.page.get_by_label("Tries before it fails").fill("31")
    desk.submit.click()
    expect(desk.page.get_by_label("Tries before it fails")).to_be_focused()
    desk.page.get_by_label("Tries before it fails").fill("")
    # less than a base unit in all: the service's own words
    stop.fill("0.000000001")
    expect(stop).to_have_accessible_description(re.compile("The stop price comes to less than a base unit of USDC"))
    assert bodies == []


def test_a_reload_keeps_the_type_and_the_prices_and_another_pair_has_none(desk: Desk) -> None:
    page = desk.page
    desk.fill_ticket("2.5")
    desk.choose_type("Limit")
    # by the keyboard, as any choice of one of several
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Stop")).to_be_checked()
    type_stop(desk, "99.5")
    page.get_by_label("Good for", exact=True).select_option("7 days")
    page.reload()
    expect(page.get_by_role("radio", name="Stop")).to_be_checked()
    expect(page.get_by_label("Stop price", exact=True)).to_have_value("99.5")
    expect(page.get_by_label("You pay", exact=True)).to_have_value("2.5")
    expect(page.get_by_label("Good for", exact=True)).to_have_value("604800")
    page.get_by_role("button", name="Swap the two tokens").click()
    expect(page.get_by_label("Stop price", exact=True)).to_have_value("")


def test_a_market_that_moves_sets_off_a_limit_while_the_page_watches(desk: Desk, client: Client, chain: Chain) -> None:
    market, now = Market(chain, client), price_now(client)
    limit = placed(client, "limit", limitPrice=short(now * Decimal("1.003")))
    trailing = placed(client, "stop", trailing="0.5")
    desk.open(limit["orderId"])
    desk.expect_status("open")
    row = desk.open_order(limit["orderId"])
    expect(row.get_by_test_id("distance-limit")).to_contain_text("+")
    expect(desk.open_order(trailing["orderId"])).to_contain_text("50 % below the best")
    before = client.order(trailing["orderId"])["stopPrice"]

    undo: list[tuple[str, str, int]] = []
    while price_now(client) < Decimal(limit["limitPrice"]) and len(undo) < 200:
        undo += market.move("USDC", "SOL", Decimal("0.001"))
    desk.expect_status("confirmed")
    expect(row).to_have_count(0)
    expect(desk.row(limit["orderId"])).to_contain_text("Confirmed")
    expect(desk.timeline).to_contain_text("Set off by its limit price: the market paid")
    order = client.order(limit["orderId"])
    assert order["trigger"]["kind"] == "limit"
    assert Decimal(order["amountOut"]) >= Decimal(AMOUNT) * Decimal(limit["limitPrice"])
    expect(desk.page.get_by_test_id("amount-received")).to_have_text(f"{order['amountOut']} USDC")

    eventually(lambda: bool(client.order(trailing["orderId"])["stopPrice"] != before))
    now_at = client.order(trailing["orderId"])["stopPrice"]
    expect(desk.open_order(trailing["orderId"]).locator("[title]").filter(has_text="1 SOL ≤")).to_have_attribute(
        "title", now_at
    )
    market.undo(undo)


def test_nothing_of_what_waits_is_cut_off_at_any_width(new_desk: NewDesk, client: Client) -> None:
    now = price_now(client)
    placed(client, "oco", amount="1234.123456789", limitPrice=f"{now * 2:.15f}", trailing="0.333333", slippage="0.1")
    bonk = {"tokenIn": "BONK", "tokenOut": "USDC", "amount": "12345678901.12345", "limitPrice": "0.0009876543219"}
    assert client.call("POST", "/orders/execute", {"type": "limit", **bonk, "force": True}).status == 202
    desk = new_desk(reduced_motion="reduce")
    desk.open()
    desk.fill_ticket("12345678901.12345", "BONK", "USDC")
    desk.choose_type("OCO")
    type_limit(desk, "0.00098765432198765")
    type_stop(desk, "0.00000012345678912")
    desk.page.locator(".open-order").first.get_by_role("button", name="Change").click()
    cut: dict[int, list[str]] = {}
    for width in WIDTHS:
        desk.page.set_viewport_size({"width": width, "height": 900})
        desk.page.locator("#amount").scroll_into_view_if_needed()
        desk.wait_for_quote()
        found = desk.page.evaluate(CLIPPING)
        if found:
            cut[width] = found
    assert cut == {}
