"""`make screenshots`: docs/images made again, from a stack of its own on which varied orders were really traded."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from infra.local_stack.stack import Layout, start, stop
from testing.chain import Chain
from testing.client import Client, eventually
from testing.ports import free_port
from tests.browser.conftest import FLAGS
from tests.browser.desk import Desk

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}

# Each fills as it is, in one pool, in several, or over a third token.
PLAIN = [
    ("SOL", "USDC", "12.5"),
    ("USDC", "JUP", "2500"),
    ("BONK", "SOL", "40000000"),
    ("SOL", "USDT", "5"),
    ("JUP", "BONK", "100000"),
    ("USDT", "USDC", "15000.25"),
    ("LEVY", "BONK", "20000"),
    ("RAY", "SOL", "812.04"),
    ("SOL", "JUP", "3.141592653"),
    ("USDC", "RAY", "999.99"),
    ("USDC", "SOL", "250000"),
    ("RAY", "USDC", "400"),
]
# Another trader comes first with so much of what the order sells, in base units: a worse fill, but within its slippage.
OVERTAKEN = [
    ("SOL", "USDC", "8", 120 * 10**9),
    ("USDC", "JUP", "900", 5_000 * 10**6),
    ("SOL", "USDT", "2", -80 * 10**9),
]


class Trader:
    """Places orders, and makes the market do to them what markets do."""

    def __init__(self, client: Client, chain: Chain) -> None:
        self._client = client
        self._chain = chain
        self._mints = {token["symbol"]: token["mint"] for token in client.call("GET", "/tokens").body["tokens"]}

    def plain(self, token_in: str, token_out: str, amount: str) -> str:
        return str(self._client.ended(self._client.execute(token_in, token_out, amount)["orderId"])["orderId"])

    def overtaken(self, token_in: str, token_out: str, amount: str, first: int, slippage: str = "0.02") -> str:
        """Hold the order's transaction up until another trader has moved its pool; below zero, the other way."""
        self._chain.call("localnet_setFaults", {"dropRate": 1})
        order_id = str(self._client.execute(token_in, token_out, amount, slippage=slippage)["orderId"])
        self._wait_until_submitted(order_id)
        leg = self._client.order(order_id)["route"][0]
        sold = leg["tokenIn"] if first > 0 else leg["tokenOut"]
        self._chain.call("localnet_trade", {"pool": leg["pool"], "mintIn": self._mints[sold], "amount": abs(first)})
        self._chain.call("localnet_setFaults", {})
        self._client.ended(order_id)
        return order_id

    def expired(self, token_in: str, token_out: str, amount: str) -> str:
        """The order's first transaction never lands."""
        self._chain.call("localnet_setFaults", {"expireRate": 1})
        order_id = str(self._client.execute(token_in, token_out, amount)["orderId"])
        self._wait_until_submitted(order_id)
        self._chain.call("localnet_advanceSlots", {"slots": 400})
        self._chain.call("localnet_setFaults", {})
        self._client.ended(order_id)
        return order_id

    def _wait_until_submitted(self, order_id: str) -> None:
        eventually(lambda: bool(self._client.order(order_id)["status"] == "submitted"))


def trade(trader: Trader) -> dict[str, str]:
    """A little market day; the orders that the pictures open."""
    for order in PLAIN[:6]:
        trader.plain(*order)
    for token_in, token_out, amount, first in OVERTAKEN:
        trader.overtaken(token_in, token_out, amount, first)
    trader.expired("SOL", "USDT", "5")
    for order in PLAIN[6:]:
        trader.plain(*order)
    trader.plain("SOL", "USDC", "90000")
    split = trader.plain("USDC", "SOL", "400000")
    retried = trader.overtaken("SOL", "USDC", "25", 2_000 * 10**9, slippage="0.0005")
    return {"split": split, "retried": retried}


def picture(browser: Browser, site: dict[str, str], name: str, order_id: str, watched: int, **options: Any) -> None:
    """The page with an order opened, after so many quotes: they draw the curve of the rates."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    desk = Desk(context.new_page(), site["uiUrl"])
    desk.open(order_id)
    desk.fill_ticket("2500")
    expect(desk.rows.first).to_be_visible()
    age = desk.page.get_by_test_id("quote-age")
    for _ in range(watched):
        slot = re.search(r"slot ([\d,]+)", age.inner_text())
        assert slot is not None
        expect(age).not_to_contain_text(slot[1], timeout=30_000)
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.screenshot(path=IMAGES / f"{name}.png")
    if name == "page":
        desk.page.locator(".charts").screenshot(path=IMAGES / "page-charts.png")
        desk.page.locator(".fills").scroll_into_view_if_needed()
        expect(desk.page.locator(".fills-table")).to_be_visible()
        desk.page.locator(".fills").screenshot(path=IMAGES / "page-fills.png")
    context.close()


def dialogs(browser: Browser, site: dict[str, str]) -> None:
    """The list of tokens, and the question that an order which may cost much is asked."""
    context = browser.new_context(viewport={"width": DESKTOP["width"], "height": DESKTOP["height"]})
    desk = Desk(context.new_page(), site["uiUrl"])
    desk.open()
    desk.fill_ticket("2000000", "JUP", "USDC")
    desk.page.locator("#token-out").click()
    tokens = desk.page.get_by_role("dialog", name="Choose the token that you receive")
    expect(tokens).to_be_visible()
    tokens.screenshot(path=IMAGES / "page-tokens.png")
    desk.page.keyboard.press("Escape")
    desk.submit.click()
    question = desk.page.get_by_role("dialog").filter(has_text="This order may cost you")
    expect(question).to_be_visible()
    question.screenshot(path=IMAGES / "page-question.png")
    context.close()


def waiting_orders(browser: Browser, site: dict[str, str]) -> None:
    """The ticket of each type that waits for a price, and the open orders, one of which is being changed."""
    context = browser.new_context(viewport=cast("ViewportSize", DESKTOP), reduced_motion="reduce")
    desk = Desk(context.new_page(), site["uiUrl"])
    desk.open()
    desk.fill_ticket("10")
    now = Decimal(Client(site["restUrl"]).call("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=10").body["price"])
    above, below = (f"{(now * Decimal(share)).quantize(Decimal('0.1')):f}" for share in ("1.05", "0.92"))
    ticket = desk.page.locator(".ticket")
    for name in ("Limit", "Stop", "Trailing", "OCO"):
        desk.choose_type(name)
        for label, price in (("Limit price", above), ("Stop price", below)):
            field = ticket.get_by_label(label, exact=True)
            if field.count():
                field.fill(price)
        desk.wait_for_quote()
        expect(desk.submit).to_have_attribute("aria-disabled", "false")
        desk.page.evaluate("document.activeElement.blur()")
        ticket.screenshot(path=IMAGES / f"page-{name.lower()}.png")
        desk.place()
    row = desk.page.locator(".open-order").filter(has_text="OCO")
    row.get_by_role("button", name="Change").click()
    row.get_by_label("Limit price", exact=True).fill(above[:-1] + "5")
    expect(desk.page.locator(".distance").filter(has_text="%")).to_have_count(5)
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.locator(".open-orders").screenshot(path=IMAGES / "page-open-orders.png")
    context.close()


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium here: apt-get install chromium", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        playwright.selectors.set_test_id_attribute("data-test")
        layout = Layout(Path(directory), free_port(), free_port(following=1))
        try:
            site = start(layout, print)
            shown = trade(Trader(Client(site["restUrl"]), Chain(site["rpcUrl"])))
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            picture(browser, site, "page", shown["retried"], 40)
            picture(browser, site, "page-dark", shown["split"], 20, color_scheme="dark")
            picture(browser, site, "page-phone", shown["retried"], 2, **PHONE)
            dialogs(browser, site)
            waiting_orders(browser, site)
            browser.close()
        finally:
            stop(layout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
