"""The page for everyone: axe-core finds nothing, in light, in dark and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Route, expect

from testing.chain import Chain
from testing.client import Client, eventually
from tests.browser.conftest import NewDesk
from tests.browser.desk import AXE

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def troubled_order(site: dict[str, str]) -> str:
    """An order that needed a second attempt: its timeline has everything that a timeline can have."""
    chain, client = Chain(site["rpcUrl"]), Client(site["restUrl"])
    chain.call("localnet_setFaults", {"expireRate": 1})
    order_id = str(client.execute("SOL", "USDT", "7")["orderId"])
    eventually(lambda: bool(client.order(order_id)["status"] == "submitted"))
    chain.call("localnet_advanceSlots", {"slots": 400})
    chain.call("localnet_setFaults", {})
    assert client.ended(order_id)["retryCount"] == 1
    return order_id


@pytest.mark.skipif(not AXE.exists(), reason="axe-core isn't installed: make npm-tools")
@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, PHONE],
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing(new_desk: NewDesk, troubled_order: str, options: dict[str, Any]) -> None:
    desk = new_desk(**options, reduced_motion="reduce")
    desk.open(troubled_order)
    desk.expect_status("confirmed")
    desk.fill_ticket("2000")
    assert desk.accessibility_problems() == []
    desk.page.get_by_text("Both charts as a table").click()
    desk.page.get_by_label("You pay", exact=True).fill("x")
    desk.submit.click()
    assert desk.accessibility_problems() == []


def test_a_phone_shows_all_of_it_without_scrolling_sideways(new_desk: NewDesk, troubled_order: str) -> None:
    desk = new_desk(**PHONE)
    desk.open(troubled_order)
    desk.expect_status("confirmed")
    desk.fill_ticket("4000000000.00001", "BONK", "LEVY")
    assert desk.page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]  # type: ignore[index]


def test_the_theme_is_the_systems_until_one_is_chosen_and_then_stays(new_desk: NewDesk) -> None:
    desk = new_desk(color_scheme="dark")
    desk.open()
    root = desk.page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    desk.page.get_by_role("button", name="Theme: auto").click()
    expect(root).to_have_attribute("data-theme", "light")
    desk.page.reload()
    expect(root).to_have_attribute("data-theme", "light")


def test_a_stage_that_wants_a_key_is_given_it_for_this_tab_alone(new_desk: NewDesk) -> None:
    desk = new_desk()
    seen: list[str | None] = []

    def only_with_a_key(route: Route) -> None:
        key = route.request.headers.get("x-api-key")
        seen.append(key)
        if key == "right":
            headers = {name: value for name, value in route.request.headers.items() if name != "x-api-key"}
            route.continue_(headers=headers)
        else:
            problem = '{"type":"urn:fillrate:problem:unauthorized","title":"Unauthorized","status":401,"detail":"no"}'
            route.fulfill(status=401, content_type="application/problem+json", body=problem)

    asked = ("quotes?*", "orders?*", "tokens", "ws-tickets", "balances", "fills?*", "orders/execute")
    for path in (f"**/{each}" for each in asked):
        desk.page.route(path, only_with_a_key)
    desk.page.goto(desk.url)
    dialog = desk.page.get_by_role("dialog", name="Enter your API key")
    expect(dialog).to_be_visible()
    dialog.get_by_label("API key").fill("wrong")
    dialog.get_by_role("button", name="Use this key").click()
    dialog = desk.page.get_by_role("dialog", name="This API key isn't valid")
    dialog.get_by_label("API key").fill("right")
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_have_count(0)
    desk.wait_for_quote()

    assert {None, "wrong", "right"} <= set(seen)
    stored = desk.page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href]")
    assert not any("right" in place for place in stored)
    desk.page.get_by_role("button", name="Forget key").click()
    assert "right" not in desk.page.evaluate("JSON.stringify(sessionStorage)")
