"""Orders through the whole stack: gateway, queue, worker, chain, stream, WebSocket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from testing.chain import Chain
from testing.client import Client, follow

Json = dict[str, Any]

LIFE = ["pending", "routing", "building", "submitted", "confirmed"]
# About a hundred dollars' worth of each genesis token.
AMOUNTS = {
    "SOL": "0.7",
    "USDC": "100",
    "USDT": "100.000001",
    "JUP": "240",
    "RAY": "48.5",
    "BONK": "6000000.00001",
    "LEVY": "30.25",
}


@pytest.fixture(scope="module")
def client(stack: dict[str, str]) -> Client:
    return Client(stack["restUrl"])


@pytest.fixture(scope="module")
def chain(stack: dict[str, str]) -> Chain:
    return Chain(stack["rpcUrl"])


@pytest.fixture(scope="module")
def tokens(client: Client) -> dict[str, Json]:
    return {token["symbol"]: token for token in client.call("GET", "/tokens").body["tokens"]}


def test_every_genesis_token_is_traded(tokens: dict[str, Json]) -> None:
    assert tokens.keys() == AMOUNTS.keys()


@pytest.mark.parametrize(("token_in", "token_out"), list(permutations(AMOUNTS, 2)))
def test_an_order_of_every_pair_fills_to_the_unit_of_the_chains_balances(
    client: Client, chain: Chain, tokens: dict[str, Json], stack: dict[str, str], token_in: str, token_out: str
) -> None:
    wallet = stack["wallet"]
    before = {symbol: chain.balance(wallet, tokens[symbol]) for symbol in (token_in, token_out)}

    accepted = client.execute(token_in, token_out, AMOUNTS[token_in])
    messages = follow(accepted["wsUrl"])

    assert [message["status"] for message in messages] == LIFE
    assert [message["seq"] for message in messages] == [1, 2, 3, 4, 5]
    confirmed = messages[-1]
    transaction = chain.transaction(confirmed["txHash"])
    assert transaction["meta"]["err"] is None
    after = {symbol: chain.balance(wallet, tokens[symbol]) for symbol in (token_in, token_out)}
    fee = transaction["meta"]["fee"]
    paid, received = _units(AMOUNTS[token_in], tokens[token_in]), _units(confirmed["amountOut"], tokens[token_out])
    assert before[token_in] - after[token_in] == paid + (fee if token_in == "SOL" else 0)
    assert after[token_out] - before[token_out] == received - (fee if token_out == "SOL" else 0)
    submitted = messages[3]
    assert Decimal(submitted["minOut"]) <= Decimal(confirmed["amountOut"])
    assert any(f"fillrate:{accepted['orderId']}:1" in line for line in transaction["meta"]["logMessages"])


def test_a_late_subscriber_sees_the_whole_history_and_is_closed(client: Client) -> None:
    order_id = client.execute("USDC", "USDT", "5")["orderId"]
    order = client.ended(order_id)

    messages = follow(order["wsUrl"])

    assert [message["status"] for message in messages] == LIFE
    history = [{"type": "status", "orderId": order_id, **change} for change in order["history"]]
    assert messages == history


def test_orders_at_once_all_fill_and_each_moves_the_wallet_once(
    client: Client, chain: Chain, stack: dict[str, str]
) -> None:
    known = {entry["signature"] for entry in chain.signatures_of(stack["wallet"])}
    with ThreadPoolExecutor(12) as pool:
        accepted = list(pool.map(lambda _: client.execute("SOL", "USDC", "0.01"), range(24)))
        orders = list(pool.map(lambda order: client.ended(order["orderId"]), accepted))

    assert [order["status"] for order in orders] == ["confirmed"] * 24
    landed = {entry["signature"] for entry in chain.signatures_of(stack["wallet"])} - known
    assert landed == {order["txHash"] for order in orders}
    assert len(landed) == 24


def test_the_same_idempotency_key_is_one_order(client: Client) -> None:
    body = {"type": "market", "tokenIn": "USDC", "tokenOut": "SOL", "amount": "3"}
    headers = {"Idempotency-Key": "the-same-key"}
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: client.call("POST", "/orders/execute", body, headers), range(8)))

    assert len({reply.body["orderId"] for reply in replies}) == 1
    assert sorted(reply.status for reply in replies) == [200] * 7 + [202]
    other = client.call("POST", "/orders/execute", {**body, "amount": "4"}, headers)
    assert other.status == 409
    assert other.headers["content-type"] == "application/problem+json"


def test_equal_orders_without_a_key_are_two_orders(client: Client) -> None:
    first, second = client.execute("USDC", "SOL", "3"), client.execute("USDC", "SOL", "3")
    assert first["orderId"] != second["orderId"]


def test_an_order_beyond_the_wallet_fails_at_once_and_says_why(client: Client) -> None:
    order = client.ended(client.execute("SOL", "USDC", "90000")["orderId"])

    assert order["status"] == "failed"
    assert order["errorCode"] == "INSUFFICIENT_BALANCE"
    assert order["history"][-1]["terminal"] is True
    assert order["retryCount"] == 0
    assert "txHash" not in order


def test_a_quote_is_what_an_order_then_gets(client: Client) -> None:
    path = "/quotes?tokenIn=JUP&tokenOut=RAY&amount=12.5&slippage=0.02"
    for _ in range(20):
        quote = client.call("GET", path).body
        order = client.ended(client.execute("JUP", "RAY", "12.5", slippage="0.02")["orderId"])
        # where the machine is busy, traders may have moved the pools far in that time
        if _apart(client.call("GET", path).body, quote) < Decimal("0.002"):
            break
    else:
        raise AssertionError("the market never stands still for as long as an order takes")

    assert {entry["dex"] for entry in quote["quotes"]} == {"raydium", "meteora"}
    best = max(quote["quotes"], key=lambda entry: Decimal(entry["amountOut"]))
    # a split or a way over a third token may give more than any pool alone
    assert Decimal(quote["amountOut"]) >= Decimal(best["amountOut"])
    assert Decimal(quote["minOut"]) < Decimal(quote["amountOut"])
    assert _apart(order, quote) < Decimal("0.01")


def _apart(one: Json, other: Json) -> Decimal:
    """How far apart the two amounts are."""
    return abs(Decimal(one["amountOut"]) / Decimal(other["amountOut"]) - 1)


def test_orders_are_listed_newest_first_page_by_page(client: Client) -> None:
    ids = [client.execute("USDC", "BONK", "1")["orderId"] for _ in range(3)]

    listed: list[str] = []
    cursor = ""
    while len(listed) < 3:
        page = client.call("GET", f"/orders?tokenIn=USDC&tokenOut=BONK&limit=1{cursor}").body
        listed += [order["orderId"] for order in page["orders"]]
        cursor = f"&cursor={page['nextCursor']}"

    assert listed == ids[::-1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "market", "tokenIn": "SOL", "tokenOut": "SOL", "amount": "1"}, "tokenOut"),
        ({"type": "market", "tokenIn": "SOL", "tokenOut": "NOPE", "amount": "1"}, "tokenOut"),
        ({"type": "twap", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}, "type"),
        ({"type": "limit", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}, "limitPrice"),
        ({"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.0000000001"}, "amount"),
        ({"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": True}, "amount"),
        ({"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1", "slippage": "0.51"}, "slippage"),
        (b'{"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1e400}', "amount"),
        (b"not json", "body"),
    ],
)
def test_a_wrong_order_is_refused_with_the_field_that_is_wrong(client: Client, body: object, field: str) -> None:
    reply = client.call("POST", "/orders/execute", body)

    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in reply.body["errors"]] == [field]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/orders/no-such-order", 404), ("GET", "/no-such-route", 404), ("PUT", "/orders", 404)],
)
def test_what_is_not_there_is_a_problem_too(client: Client, method: str, path: str, status: int) -> None:
    reply = client.call(method, path)

    assert reply.status == reply.body["status"] == status
    assert reply.headers["content-type"] == "application/problem+json"


def test_health_tells_each_part(client: Client) -> None:
    reply = client.call("GET", "/health")
    assert reply.status == 200
    assert reply.body["status"] == "ok"
    assert all(check["ok"] for check in reply.body["checks"].values())


def _units(amount: str, token: Json) -> int:
    return int(Decimal(amount).scaleb(token["decimals"]))
