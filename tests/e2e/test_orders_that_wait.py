"""On a running stack a limit, a stop and an oco are placed, the market is moved, and each does what its page says."""

from __future__ import annotations

import json
from contextlib import chdir, redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from fillrate.cli.main import run

from testing.chain import Chain
from testing.client import Client, eventually
from tests.faults.market import Market

AMOUNT = "0.1"
# How far the market is raised, and how little of that it must fall again.
ABOVE, BACK = Decimal("1.0010"), Decimal("0.9997")
MOST_MOVES = 20

Json = dict[str, Any]


def paid(market: Market) -> Decimal:
    """What the best route pays now."""
    return Decimal(market.quote("SOL", "USDC", AMOUNT)["amountOut"])


def raise_to(market: Market, least: Decimal) -> list[tuple[str, str, int]]:
    """Others buy SOL until the best route pays so much; the trades that undo it."""
    undo: list[tuple[str, str, int]] = []
    for _ in range(MOST_MOVES):
        if paid(market) >= least:
            return undo
        undo += market.move("USDC", "SOL", Decimal("0.001"))
    raise AssertionError("the market doesn't rise so far")


@pytest.fixture
def market(stack: dict[str, str]) -> Market:
    return Market(Chain(stack["rpcUrl"]), Client(stack["restUrl"]))


@pytest.fixture
def home(stack: dict[str, str], tmp_path: Path) -> Path:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(stack))
    return tmp_path


def command(home: Path, *arguments: str) -> Json:
    printed = StringIO()
    with chdir(home), redirect_stdout(printed):
        assert run([*arguments, "--json"]) == 0, printed.getvalue()
    return dict(json.loads(printed.getvalue()))


def price(amount_out: Decimal) -> str:
    return f"{(amount_out / Decimal(AMOUNT)).normalize():f}"


def statuses(order: Json) -> list[str]:
    return [step["status"] for step in order["history"]]


def test_each_waits_until_its_price_is_reached_and_is_sold_within_its_floor(market: Market, home: Path) -> None:
    now = paid(market)
    above, below = price(now * ABOVE), price(now * Decimal("0.9"))
    trade = ("SOL", AMOUNT, "--for", "USDC")
    limit = command(home, "limit", *trade, "--limit-price", above)
    stop = command(home, "stop", *trade, "--stop-price", below, "--slippage", "5%")
    body = {"type": "oco", "tokenIn": "SOL", "tokenOut": "USDC", "amount": AMOUNT, "slippage": "0.05"}
    placed = market.client.call("POST", "/orders/execute", {**body, "limitPrice": above, "stopPrice": below})
    assert placed.status == 202
    oco = placed.body
    other = command(home, "oco", *trade, "--limit-price", price(now * 2), "--stop-price", below, "--slippage", "5%")
    assert [one["status"] for one in (limit, stop, oco, other)] == ["open"] * 4
    eventually(lambda: "lastLookedAt" in market.client.order(limit["orderId"]))
    assert statuses(market.client.order(limit["orderId"])) == ["open"], "its price is not there"

    undo = raise_to(market, now * ABOVE)
    sold = market.client.ended(limit["orderId"])
    assert sold["status"] == "confirmed"
    assert Decimal(sold["amountOut"]) >= Decimal(sold["minOut"]) >= now * ABOVE
    assert sold["trigger"]["kind"] == "limit"
    by_limit = market.client.ended(oco["orderId"])
    assert (by_limit["status"], by_limit["trigger"]["kind"]) == ("confirmed", "limit")
    assert statuses(market.client.order(stop["orderId"])) == ["open"]

    least = paid(market) * BACK
    for order_id in (stop["orderId"], other["orderId"]):
        changed = command(home, "change", order_id, "--stop-price", price(least))
        assert (changed["status"], changed["stopPrice"]) == ("open", price(least))
    market.undo(undo)
    for order_id in (stop["orderId"], other["orderId"]):
        stopped = market.client.ended(order_id)
        assert (stopped["status"], stopped["trigger"]["kind"]) == ("confirmed", "stop")
        seen = Decimal(stopped["trigger"]["price"]) * Decimal(AMOUNT)
        assert seen <= least
        assert Decimal(stopped["amountOut"]) >= Decimal(stopped["minOut"]) >= seen * Decimal("0.95")


def test_what_waits_is_cancelled_by_the_command_and_is_not_sold_any_more(market: Market, home: Path) -> None:
    placed = command(home, "limit", "SOL", AMOUNT, "--for", "USDC", "--limit-price", price(paid(market) * 2))
    assert command(home, "cancel", placed["orderId"])["status"] == "cancelled"
    assert statuses(market.client.order(placed["orderId"])) == ["open", "cancelled"]
