"""The page as a person uses it: what is typed, clicked and read."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, Request, expect

PATIENCE_MS = 30_000
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


def is_order(request: Request) -> bool:
    """Whether it places an order: the ticket also asks, by a dry run, what one would cost."""
    if request.method != "POST" or not request.url.endswith("/orders/execute"):
        return False
    body = request.post_data_json
    return body is not None and not body.get("dryRun")


class Desk:
    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.state = page.get_by_test_id("order-state")
        self.timeline = page.get_by_test_id("timeline")
        self.submit = page.locator(".ticket button[type=submit]")
        self.rows = page.get_by_test_id("orders-view").get_by_role("row")

    def open(self, order_id: str = "") -> None:
        self.page.goto(self.url + (f"#order={order_id}" if order_id else ""))
        expect(self.page.locator("#token-in .token-icon")).to_be_visible()

    def fill_ticket(self, amount: str, token_in: str = "SOL", token_out: str = "USDC") -> None:
        """Write the order and wait for its quote."""
        self.choose("in", token_in)
        self.choose("out", token_out)
        self.page.get_by_label("You pay", exact=True).fill(amount)
        self.wait_for_quote()

    def choose_type(self, name: str) -> None:
        """Which order the ticket is of, by the word on its choice."""
        self.page.locator(".kinds").get_by_text(name, exact=True).click()
        expect(self.page.get_by_role("radio", name=name)).to_be_checked()

    def choose(self, side: str, token: str) -> None:
        """Search the token on that side of the ticket, and take the best match."""
        button = self.page.locator(f"#token-{side}")
        if button.get_attribute("data-token") == token:
            return
        button.click()
        self.page.get_by_role("combobox", name="Search tokens").fill(token)
        self.page.keyboard.press("Enter")
        expect(button).to_have_attribute("data-token", token)

    def wait_for_quote(self) -> None:
        expect(self.page.get_by_test_id("amount-out")).to_have_text(re.compile(r"^[\d,]+(\.\d+)?$"))
        expect(self.page.get_by_test_id("amount-out")).not_to_have_class(re.compile("stale"))

    def place(self) -> str:
        """Click; the order's id once it is taken."""
        before = self.order_id()
        expect(self.submit).to_have_attribute("aria-disabled", "false")
        self.submit.click()
        self.page.wait_for_function(
            "before => location.hash.length > 7 && location.hash !== before", arg=f"#order={before}"
        )
        return self.order_id()

    def order_id(self) -> str:
        return str(self.page.evaluate("new URLSearchParams(location.hash.slice(1)).get('order') ?? ''"))

    def expect_status(self, status: str) -> None:
        expect(self.state).to_have_attribute("data-status", status)

    def steps(self) -> list[str]:
        """The timeline's statuses, without those that are still to come."""
        steps = self.timeline.locator(".step:not(.step-next)")
        return [str(status) for status in steps.evaluate_all("all => all.map(one => one.dataset.status)")]

    def tx_hash(self) -> str | None:
        return self.page.get_by_test_id("tx-hash").locator("code").get_attribute("title")

    def row(self, order_id: str) -> Locator:
        return self.page.locator(f'[data-order="{order_id}"]')

    def open_order(self, order_id: str) -> Locator:
        """The order among those that wait for their price or are on their way."""
        return self.page.locator(f'[data-open="{order_id}"]')

    def accessibility_problems(self) -> list[str]:
        """What axe-core finds, one line each."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
            ".flatMap(({id, help, nodes}) => nodes.map(({target, failureSummary}) =>"
            " `${id}: ${help} at ${target.join(' ')}: ${failureSummary}`))"
        )
        return [str(problem) for problem in found]
