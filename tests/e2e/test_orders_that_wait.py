"""On a running stack orders of each type that waits are placed, the market moves, and each does what its page says."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from fillrate.cli.main import run

from testing.chain import Chain
from testing.client import PATIENCE_SECONDS, Client, eventually, follow
from tests.faults.market import SYMBOLS, Market

AMOUNT = "0.1"
# How far the market is raised, and how little of that it must fall again.
ABOVE, BACK = Decimal("1.0040"), Decimal("0.9980")
MOST_MOVES = 20
# How far a trailing stop stays below the best price; how far the market rises before it falls, and each time.
TRAILING, RISE, MOVE = Decimal("0.01"), Decimal("1.004"), Decimal("0.002")
# By how much the best price may have moved that isn't stored yet.
STORED = Decimal("0.001")

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


def lower_to(market: Market, most: Decimal) -> list[tuple[str, str, int]]:
    """Others sell SOL, for every token, until the best route pays no more than that; the trades that undo it."""
    undo: list[tuple[str, str, int]] = []
    for _ in range(MOST_MOVES):
        if paid(market) <= most:
            return undo[::-1]
        for token in (symbol for symbol in SYMBOLS if symbol != "SOL"):
            undo += market.move("SOL", token, MOVE)
    raise AssertionError("the market doesn't fall so far")


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


def test_a_trailing_stop_follows_the_best_price_up_and_is_sold_once_the_market_falls_from_it(
    market: Market, home: Path, stack: dict[str, str]
) -> None:
    now = paid(market)
    body = {"type": "stop", "tokenIn": "SOL", "tokenOut": "USDC", "amount": AMOUNT}
    placed = market.client.call("POST", "/orders/execute", {**body, "trailing": f"{TRAILING}", "slippage": "0.05"})
    assert placed.status == 202
    by_command = command(home, "stop", "SOL", AMOUNT, "--for", "USDC", "--trailing", "1%", "--slippage", "5%")
    assert by_command["status"] == placed.body["status"] == "open"
    ids = [placed.body["orderId"], by_command["orderId"]]
    with ThreadPoolExecutor(len(ids)) as pool:
        pushes = [pool.submit(follow, f"{stack['wsUrl']}?orderId={order_id}") for order_id in ids]
        assert all(near(stop_of(market, order_id), now * (1 - TRAILING)) for order_id in ids), "from what is paid now"
        undo: list[tuple[str, str, int]] = []
        risen = now * RISE * (1 - TRAILING) * (1 - STORED)

        def have_followed() -> bool:
            """Others may let it fall back before somebody has looked: it rises again."""
            undo[:0] = raise_to(market, now * RISE)
            return all(stop_of(market, order_id) >= risen for order_id in ids)

        eventually(have_followed)
        stops = {order_id: stop_of(market, order_id) for order_id in ids}
        assert all(market.client.order(order_id)["status"] == "open" for order_id in ids), "it has not fallen yet"

        undo[:0] = lower_to(market, min(stops.values()))
        for order_id, pushed in zip(ids, pushes, strict=True):
            sold = market.client.ended(order_id)
            assert (sold["status"], sold["trigger"]["kind"]) == ("confirmed", "stop")
            seen = Decimal(sold["trigger"]["price"]) * Decimal(AMOUNT)
            assert seen <= Decimal(sold["stopPrice"]) * Decimal(AMOUNT), "it was reached"
            assert Decimal(sold["stopPrice"]) * Decimal(AMOUNT) >= stops[order_id], "it never comes down"
            assert Decimal(sold["amountOut"]) >= Decimal(sold["minOut"]) >= seen * Decimal("0.95")
            told = [Decimal(step["stopPrice"]) for step in sold["history"] if step["status"] == "open"]
            assert len(told) > 1, "moves of the stop are told"
            assert told == sorted(set(told)), "each is higher than the one before"
            assert statuses(sold)[-5:] == ["pending", "routing", "building", "submitted", "confirmed"]
            told_by_push = [one for one in pushed.result(PATIENCE_SECONDS) if one["type"] == "status"]
            assert [(one["seq"], one["status"]) for one in told_by_push] == [
                (step["seq"], step["status"]) for step in sold["history"]
            ]
    market.undo(undo)


def stop_of(market: Market, order_id: str) -> Decimal:
    """For how much of USDC, or less, its whole amount is sold."""
    return Decimal(market.client.order(order_id)["stopPrice"]) * Decimal(AMOUNT)


def near(stop: Decimal, expected: Decimal) -> bool:
    """With what isn't stored yet; and others may have raised the price since, which it followed."""
    return expected * (1 - STORED) <= stop <= expected * (1 + 10 * STORED)


def test_what_waits_is_cancelled_by_the_command_and_is_not_sold_any_more(market: Market, home: Path) -> None:
    placed = command(home, "limit", "SOL", AMOUNT, "--for", "USDC", "--limit-price", price(paid(market) * 2))
    assert command(home, "cancel", placed["orderId"])["status"] == "cancelled"
    assert statuses(market.client.order(placed["orderId"])) == ["open", "cancelled"]
