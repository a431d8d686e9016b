"""Limits and the kill switch through the whole stack: what the operator sets holds for the next order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from fillrate.cli.main import run

import infra.halt
import infra.limits
from operations import limits
from operations.target import EmulatorCredentials
from testing.chain import Chain
from testing.client import Client, eventually, follow
from tests.faults.market import Market, pools_of

Json = dict[str, Any]
ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.1"}
# USDC, in base units: by far more than pools differ in fees, or other tests have left their prices apart.
PUSHED_BY = 200_000 * 10**6
Command = Callable[..., str]


@pytest.fixture(scope="module")
def client(stack: dict[str, str]) -> Client:
    return Client(stack["restUrl"])


@pytest.fixture
def operator(
    stack: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """`operator("halt", …)` and `operator("set", …)`: the command lines, and what they print."""
    place = ("--stage", "local", "--endpoint-url", stack["awsEndpoint"])
    for name, value in EmulatorCredentials.of(stack).variables.items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str) -> str:
        words = infra.limits.words if arguments[0] in ("show", "set") else infra.halt.words
        assert run(words([*arguments, *place])) == 0
        return capsys.readouterr().out

    yield command
    for scope in ((), ("--account", "local")):
        command("resume", *scope)
        command("set", *scope, *(f"--{limits.option_of(name)}=inherit" for name in limits.OPTIONS))


@pytest.fixture
def better_pool(stack: dict[str, str], client: Client) -> Iterator[str]:
    """A pool that pays by far more than the others meanwhile."""
    market = Market(Chain(stack["rpcUrl"]), client)
    pool = pools_of("SOL", "USDC")[0]
    before = paid(market)
    gave, got = market.sell(pool, "USDC", PUSHED_BY)
    assert gave
    # pools are read as of the last final block, which is some slots old
    eventually(lambda: paid(market) > before)
    yield pool
    market.sell(pool, "SOL", got)


def paid(market: Market) -> Decimal:
    """What the order would bring now."""
    return Decimal(market.quote(ORDER["tokenIn"], ORDER["tokenOut"], ORDER["amount"])["amountOut"])


def told(client: Client, **changes: str) -> list[Json]:
    """All messages about an order that is accepted."""
    order = {**ORDER, **changes}
    return follow(client.execute(order.pop("tokenIn"), order.pop("tokenOut"), order.pop("amount"))["wsUrl"])


def ended(client: Client, **changes: str) -> Json:
    """The last of them."""
    return told(client, **changes)[-1]


def halted(client: Client) -> bool:
    checks = client.call("GET", "/health").body["checks"]
    return bool(checks["halt"]["value"]["halted"])


@pytest.mark.parametrize("scope", [(), ("--account", "local")])
def test_while_halted_orders_are_accepted_and_fail_and_after_resume_they_trade_again(
    client: Client, operator: Command, scope: tuple[str, ...]
) -> None:
    assert "halted since" in operator("halt", "--reason", "a drill", *scope)
    failed = ended(client)
    assert (failed["status"], failed["errorCode"], failed["terminal"]) == ("failed", "HALTED", True)
    assert "a drill" in failed["error"]
    if scope == ():
        eventually(lambda: halted(client))  # health is looked at once in a few seconds
    assert "not halted" in operator("resume", *scope)
    assert ended(client)["status"] == "confirmed"
    eventually(lambda: not halted(client))


def test_no_transaction_leaves_once_a_halt_has_returned(client: Client, operator: Command) -> None:
    """Orders keep coming while the switch is thrown; each that was not submitted by then ends HALTED."""
    order_ids = [client.execute("SOL", "USDC", "0.1")["orderId"] for _ in range(6)]
    operator("halt")
    thrown_at = time.time()
    order_ids += [client.execute("SOL", "USDC", "0.1")["orderId"] for _ in range(3)]
    orders = [client.ended(order_id) for order_id in order_ids]
    for order in orders:
        steps = {change["status"]: change["at"] for change in order["history"]}
        assert order["status"] == "confirmed" if "submitted" in steps else order["errorCode"] == "HALTED"
        # the switch is looked at once more after this step, however long a busy machine takes to come to it
        assert "submitted" not in steps or _seconds(steps["building"]) <= thrown_at
    assert [order["errorCode"] for order in orders[-3:]] == ["HALTED"] * 3


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        (("--largest-order", "1"), "LIMIT_EXCEEDED"),
        (("--daily-notional", "0.01"), "LIMIT_EXCEEDED"),
        (("--price-impact", "0"), "PRICE_IMPACT"),
    ],
)
def test_an_order_beyond_a_limit_that_the_market_tells_fails_with_its_code(
    client: Client, operator: Command, limit: tuple[str, ...], code: str
) -> None:
    operator("set", "--account", "local", *limit)
    failed = ended(client)
    assert (failed["status"], failed["errorCode"], failed["terminal"]) == ("failed", code, True)
    operator("set", "--account", "local", limit[0], "inherit")
    assert ended(client)["status"] == "confirmed"


def test_a_pool_whose_price_is_further_from_the_others_than_the_limit_is_not_traded_at(
    client: Client, operator: Command, better_pool: str
) -> None:
    operator("set", "--account", "local", "--price-deviation", "0")
    messages = told(client)
    first = next(message for message in messages if message["status"] == "failed")
    assert first["errorCode"] == "PRICE_DEVIATION"
    # it is left out then; the order goes over another that is where the others are, if one is
    assert messages[-1]["status"] == "confirmed" or messages[-1]["errorCode"] == "PRICE_DEVIATION"
    assert not pools_of_submitted(messages) & {better_pool}

    operator("set", "--account", "local", "--price-deviation", "inherit")
    assert pools_of_submitted(told(client)) == {better_pool}


def pools_of_submitted(messages: list[Json]) -> set[str]:
    """The pools of every transaction that was sent."""
    return {leg["pool"] for message in messages if message["status"] == "submitted" for leg in message["route"]}


@pytest.mark.parametrize(
    ("limit", "status", "fields"),
    [
        (("--slippage", "0.001"), 422, ["slippage"]),
        (("--tokens", "So11111111111111111111111111111111111111112"), 422, ["tokenOut"]),
        (("--open-orders", "0"), 429, []),
    ],
)
def test_an_order_beyond_a_limit_that_the_request_tells_is_refused_by_name(
    client: Client, operator: Command, limit: tuple[str, ...], status: int, fields: list[str]
) -> None:
    operator("set", *limit)
    refused = client.call("POST", "/orders/execute", ORDER)
    assert refused.status == status
    assert [problem["field"] for problem in refused.body.get("errors", [])] == fields
    assert ("Retry-After" in refused.headers) == (status == 429)


def test_what_was_traded_is_what_the_limits_show_as_used(client: Client, operator: Command) -> None:
    """A swap of USDC counts for just what it pays; one that failed for nothing."""
    before = operator("show", "--account", "local")
    assert ended(client, tokenIn="USDC", tokenOut="SOL", amount="12.345678")["status"] == "confirmed"
    operator("set", "--account", "local", "--largest-order", "1")
    assert ended(client)["errorCode"] == "LIMIT_EXCEEDED"
    after = operator("show", "--account", "local")
    assert _used(after) - _used(before) == 12_345_678


def _used(shown: str) -> int:
    return int(Decimal(json.loads(shown)["used"]["daily-notional"]) * 10**6)


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
