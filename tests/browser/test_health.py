"""The page says whether a new order would trade now, and why not, without being asked again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.risk.counters import GLOBAL
from operations.control import control_table
from operations.target import EmulatorCredentials, target_for
from testing.chain import Chain
from tests.browser.desk import Desk


@pytest.fixture
def kill_switch(site: dict[str, str]) -> Iterator[ControlTable]:
    table = control_table(target_for("local", site["awsEndpoint"], credentials=EmulatorCredentials.of(site)))
    yield table
    table.resume(GLOBAL)


def test_the_page_says_that_trading_is_halted_and_when_it_goes_on(desk: Desk, kill_switch: ControlTable) -> None:
    state, notice = desk.page.locator(".state"), desk.page.get_by_test_id("degraded")
    expect(state).to_have_text("Ready to trade")
    expect(notice).to_have_count(0)
    kill_switch.halt(GLOBAL, "a drill", int(time.time() * 1000))
    expect(state).to_have_text("Trouble: halted")
    expect(notice).to_contain_text("A new order would not trade now.")
    expect(notice.get_by_role("listitem")).to_have_text(re.compile("^halted: "))
    expect(desk.page.get_by_test_id("why-off")).to_contain_text("A new order would not trade now. halted: ")
    expect(desk.submit).to_have_attribute("aria-disabled", "true")
    desk.choose_type("Trailing")
    expect(desk.submit).to_have_attribute("aria-disabled", "false")  # what waits needn't trade now
    desk.choose_type("Market")
    assert desk.accessibility_problems() == []
    kill_switch.resume(GLOBAL)
    expect(desk.submit).to_have_attribute("aria-disabled", "false")
    expect(state).to_have_text("Ready to trade")
    expect(notice).to_have_count(0)


def test_the_page_says_that_no_node_answers(desk: Desk, chain: Chain) -> None:
    expect(desk.page.locator(".state")).to_have_text("Ready to trade")
    chain.call("localnet_setFaults", {"rpcErrorRate": 1})
    expect(desk.page.get_by_test_id("degraded")).to_contain_text("no node: no Solana node answers")
    chain.call("localnet_setFaults", {})
    expect(desk.page.locator(".state")).to_have_text("Ready to trade")
