"""A day at the desk: numbers that can be trusted, the wallet's tokens, orders that cost much, and what was filled."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Page, Route, WebSocketRoute, expect

from testing.chain import Chain
from testing.client import Client
from tests.browser.conftest import NewDesk
from tests.browser.desk import Desk, is_order

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PLACES: dict[str, dict[str, Any]] = {"desktop": {}, "phone": PHONE, "dark": {"color_scheme": "dark"}}
CLIPPING = (Path(__file__).parent / "clipping.js").read_text()
WIDTHS = (320, 390, 1024, 1280, 1440, 1920)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, new_desk: NewDesk) -> Desk:
    """The page on a desktop, on a phone and in the dark."""
    desk = new_desk(**PLACES[request.param], reduced_motion="reduce")
    desk.open()
    return desk


class StreamOfQuotes:
    """What the page is told over WebSockets that it opens from now on: its quotes are counted, and may be held back."""

    def __init__(self, page: Page) -> None:
        self.are_held = False
        self.heard = 0
        page.route_web_socket(re.compile("ticket="), self._pass_on)

    def _pass_on(self, page: WebSocketRoute) -> None:
        def told(message: str | bytes) -> None:
            is_quote = json.loads(message)["type"] == "quote"
            self.heard += is_quote
            if not (is_quote and self.are_held):
                page.send(message)

        page.connect_to_server().on_message(told)


def amount_of(desk: Desk) -> Decimal:
    return Decimal(desk.page.get_by_label("You pay", exact=True).input_value())


def test_a_token_is_found_by_symbol_name_and_mint_and_the_wallets_own_is_sold_by_half_and_whole(
    place: Desk, client: Client
) -> None:
    page = place.page
    held = {one["token"]: one for one in client.call("GET", "/balances").body["balances"]}
    expect(page.get_by_test_id("wallet").locator("code")).to_have_attribute(
        "title", client.call("GET", "/balances").body["wallet"]
    )
    page.locator("#token-in").click()
    search = page.get_by_role("combobox", name="Search tokens")
    options = page.get_by_role("listbox").get_by_role("option")
    for query in ("raydium", "ray", held["RAY"]["mint"], held["RAY"]["mint"][:9]):
        search.fill(query)
        expect(options.first).to_contain_text("RAY")
        expect(options.first).to_contain_text("verified")
    search.fill("nothing is called so")
    expect(page.get_by_role("status").get_by_text("No traded token is called so.")).to_be_visible()
    search.fill("levy")
    expect(options).to_have_count(1)
    expect(options.first).not_to_contain_text("verified")
    assert place.accessibility_problems() == []
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("risks")).to_contain_text("LEVY: not verified")
    page.get_by_role("button", name="Max").click()
    assert amount_of(place) == Decimal(held["LEVY"]["amount"])
    page.get_by_role("button", name="Half").click()
    assert amount_of(place) * 2 <= Decimal(held["LEVY"]["amount"]) < amount_of(place) * 2 + Decimal("0.000002")

    page.locator("#token-in").click()
    expect(page.get_by_role("group", name="Chosen lately").get_by_role("button").first).to_contain_text("LEVY")
    search.fill("SOL")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Max").click()
    assert Decimal("0.003") < Decimal(held["SOL"]["free"]) - amount_of(place) < Decimal("0.01"), (
        "rent and fees are kept"
    )
    place.wait_for_quote()
    expect(page.get_by_test_id("total-cost")).to_contain_text("USDC")
    assert place.accessibility_problems() == []

    place.fill_ticket("3")
    quoted = page.get_by_test_id("amount-out").inner_text().replace(",", "")
    page.get_by_role("button", name="Swap the two tokens").click()
    expect(page.locator("#token-in")).to_have_attribute("data-token", "USDC")
    assert abs(amount_of(place) / Decimal(quoted) - 1) < Decimal("0.01"), "what would be received is paid"
    page.get_by_label("You pay", exact=True).fill("12.75")
    page.reload()
    expect(page.get_by_label("You pay", exact=True)).to_have_value("12.75")
    expect(page.locator("#token-in")).to_have_attribute("data-token", "USDC")


def test_an_order_that_may_cost_much_is_asked_for_again_and_enter_does_not_place_it(
    place: Desk, client: Client
) -> None:
    page = place.page
    placed: list[Any] = []
    page.on("request", lambda request: placed.append(request.post_data_json) if is_order(request) else None)

    place.fill_ticket("1.5")
    page.get_by_label("Slippage in percent").fill("2.01")
    place.wait_for_quote()
    question = page.get_by_role("dialog", name=re.compile(r"^This order may cost you [\d,.]+ USDC$"))
    page.get_by_label("You pay", exact=True).focus()
    for _ in range(3):
        page.keyboard.press("Enter")
        expect(question).to_be_visible()
    assert placed == []
    expect(question).to_contain_text("Slippage 2.01 %")
    expect(question).to_contain_text("Swap 1.5 SOL for")
    assert place.accessibility_problems() == []
    swap = question.get_by_role("button", name="Swap all the same")
    swap.focus()
    page.keyboard.press("Enter")
    expect(question).to_be_visible()
    assert placed == []
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)

    place.fill_ticket("2000000", "JUP", "USDC")
    place.submit.click()
    expect(question).to_contain_text(re.compile(r"Price impact \d+\.\d\d %: [\d,.]+ USDC less"))
    page.keyboard.press("Escape")
    place.fill_ticket("1.5", "SOL", "USDC")
    place.submit.click()
    least = re.search(r"for ([\d,.]+) USDC at least", question.inner_text())
    assert least is not None
    swap.focus()
    page.keyboard.press("Space")
    place.expect_status("confirmed")
    assert [post["minOut"] for post in placed] == [least[1].replace(",", "")], "what was agreed to is the floor"


def test_quotes_come_by_the_stream_and_without_it_are_asked_for(place: Desk) -> None:
    told, held, page = StreamOfQuotes(place.page), list[Route](), place.page
    place.open()
    place.fill_ticket("3")
    for _ in range(600):  # the stream's functions begin cold
        if told.heard:
            break
        page.wait_for_timeout(100)
    page.route("**/quotes?*", lambda route: held.append(route))
    page.get_by_label("You pay", exact=True).fill("4")
    place.wait_for_quote()
    assert held, "the first is asked for, and here not answered"
    page.unroute("**/quotes?*")
    for route in held:
        with suppress(Error):
            route.continue_()
    told.are_held = True
    page.get_by_label("You pay", exact=True).fill("5")
    place.wait_for_quote()
    age = page.get_by_test_id("quote-age")
    slot = re.search(r"slot ([\d,]+)", age.inner_text())
    assert slot is not None
    expect(age).not_to_contain_text(slot[1])


def test_the_quote_of_one_amount_never_stands_beside_another(place: Desk, chain: Chain) -> None:
    told = StreamOfQuotes(place.page)
    place.open()
    page, out = place.page, place.page.get_by_test_id("amount-out")
    place.fill_ticket("1")
    expect(place.submit).to_have_attribute("aria-disabled", "false")
    held: list[Route] = []
    page.route("**/quotes?*", lambda route: held.append(route))
    told.are_held = True
    page.get_by_label("You pay", exact=True).fill("20")
    expect(out).to_have_text("…")
    expect(page.get_by_test_id("min-out")).to_have_text("–")
    expect(page.get_by_test_id("why-off")).to_have_text("Waiting for the quote of this amount.")
    expect(place.submit).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text(re.compile("^As it was for 1 SOL$"))).to_be_visible()
    assert place.accessibility_problems() == []
    page.unroute("**/quotes?*")
    told.are_held = False
    for route in held:
        with suppress(Error):  # the page has given up what it asked before
            route.continue_()
    place.wait_for_quote()

    chain.call("localnet_setFaults", {"rpcErrorRate": 1})
    expect(page.get_by_test_id("why-off")).to_contain_text(re.compile("no node|does not answer|out of date|reached"))
    expect(out).to_have_class(re.compile("stale"))
    expect(place.submit).to_have_attribute("aria-disabled", "true")
    chain.call("localnet_setFaults", {})
    expect(place.submit).to_have_attribute("aria-disabled", "false")
    page.get_by_label("You pay", exact=True).fill("5000000")
    expect(page.get_by_test_id("why-off")).to_contain_text("The wallet holds only")


def test_what_was_filled_is_told_with_its_costs_and_saved_as_csv(place: Desk, client: Client) -> None:
    page = place.page
    order = client.ended(client.execute("USDC", "RAY", "41.5")["orderId"])
    panel = page.get_by_role("region", name="Fills", exact=True)
    page.get_by_role("heading", name="Fills").scroll_into_view_if_needed()
    row = page.locator(".fills-table tbody tr").filter(has_text="41.5 USDC").first
    expect(row).to_contain_text("RAY")
    expect(page.get_by_test_id("pnl")).to_contain_text("USDC")
    assert place.accessibility_problems() == []
    with page.expect_download() as saving:
        panel.get_by_role("button", name="Save as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(saving.value.path()).read_text())))
    (line,) = (each for each in rows if each["orderId"] == order["orderId"])
    assert (line["amountIn"], line["amountOut"]) == ("41.5", order["amountOut"])
    assert Decimal(line["vsFloorBps"]) >= 0


def test_all_that_is_not_signed_is_cancelled_after_asking_once_more(new_desk: NewDesk, client: Client) -> None:
    desk = new_desk()
    asked: list[str] = []

    def answer(route: Route) -> None:
        if route.request.method != "DELETE":
            route.continue_()
            return
        asked.append(route.request.url)
        more = len(asked) == 1
        route.fulfill(json={"cancelled": 200 if more else 3, "tooLate": [] if more else ["late"], "more": more})

    def waiting(route: Route) -> None:
        if route.request.method != "GET":
            answer(route)
            return
        listed = route.fetch().json()
        step = {"seq": 1, "status": "pending", "at": "2026-01-01T00:00:00.000Z", "retryCount": 0}
        listed["orders"] = [
            {**one, "status": "pending", "history": [step]} if one["status"] != "pending" else one
            for one in listed["orders"]
        ]
        route.fulfill(json=listed)

    client.ended(client.execute("USDC", "RAY", "2")["orderId"])
    desk.page.route("**/orders?*", waiting)
    desk.open()
    desk.page.get_by_role("button", name="Cancel all").click()
    assert asked == []
    desk.page.get_by_role("button", name="Yes, cancel").click()
    expect(desk.page.locator(".cancel-all")).to_contain_text("203 cancelled, too late for 1.")
    assert [url.rpartition("?")[2] for url in asked] == ["status=unsigned"] * 2


def test_nothing_is_cut_off_at_any_width(new_desk: NewDesk, client: Client) -> None:
    client.ended(client.execute("BONK", "USDC", "12345678901.12345", slippage="0.5")["orderId"])
    client.ended(client.execute("USDC", "BONK", "187654.123456", slippage="0.5")["orderId"])
    desk = new_desk(reduced_motion="reduce")
    desk.open()
    desk.fill_ticket("12345678901.12345", "BONK", "USDC")
    cut: dict[int, list[str]] = {}
    for width in WIDTHS:
        desk.page.set_viewport_size({"width": width, "height": 900})
        desk.page.get_by_role("heading", name="Fills").scroll_into_view_if_needed()
        expect(desk.page.locator(".fills-table")).to_be_visible()
        desk.page.locator("#amount").scroll_into_view_if_needed()
        desk.wait_for_quote()
        found = desk.page.evaluate(CLIPPING)
        if found:
            cut[width] = found
    assert cut == {}


HOSTILE = {
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "\u202eCDSU\u202c": "\u202eCDSU\u202c",
    "x" * 1_024: "x" * 1_024,
    "שקל خدعة": "שקל خدعة",
}


def test_what_others_call_their_tokens_is_shown_as_text_and_breaks_nothing(new_desk: NewDesk) -> None:
    """As if the service let names of any kind through, which it does not; and three hundred of them."""
    desk = new_desk(**PHONE)

    def many(route: Route) -> None:
        tokens = route.fetch().json()["tokens"]
        for number in range(300):
            name = list(HOSTILE)[number % len(HOSTILE)]
            mint = f"Made1up{number:03d}".replace("0", "z").ljust(44, "x")
            risks = [{"risk": "freeze-authority", "meaning": name}]
            tokens.append({**tokens[0], "symbol": None, "mint": mint, "name": name, "verified": False, "risks": risks})
        route.fulfill(json={"tokens": tokens})

    desk.page.route("**/tokens", many)
    desk.open()
    desk.page.locator("#token-in").click()
    search = desk.page.get_by_role("combobox", name="Search tokens")
    expect(desk.page.get_by_text("more: type to find them.")).to_be_visible()
    assert desk.page.get_by_role("listbox").get_by_role("option").count() <= 80
    assert desk.accessibility_problems() == []
    for name in HOSTILE:
        search.fill(name[:64])
        expect(desk.page.get_by_role("listbox").get_by_role("option").first).to_contain_text(name)
        assert desk.page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    search.fill("<img")
    desk.page.keyboard.press("Enter")
    desk.page.get_by_test_id("risks").locator("summary").click()
    expect(desk.page.get_by_test_id("risks")).to_contain_text("<img src=x onerror=alert(1)>")
    assert desk.page.locator("main img").count() == 0
    assert desk.page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    assert "Made1up" in json.dumps(desk.page.evaluate("JSON.stringify(localStorage)")), "a choice is kept"
