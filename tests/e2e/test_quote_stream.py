"""The stream of quotes on a running stack: two clients of a pair, a market that moves, a node that is away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from fillrate import Fillrate, Quote
from websockets.sync.client import ClientConnection, connect

from testing.chain import Chain
from testing.client import PATIENCE_SECONDS, Client
from tests.asyncapi_contract import check_message
from tests.faults.market import Market

Json = dict[str, Any]
PAIR = {"tokenIn": "SOL", "tokenOut": "USDC"}
WISH = {"action": "quotes", **PAIR, "amount": "10"}
# How far others raise the price at the pair's own pools (where it falls a route goes around them), and how much of that
# is more than the market moves by itself.
MOVE = Decimal("0.05")
ABOVE = Decimal("1.01")


@pytest.fixture
def market(stack: dict[str, str]) -> Market:
    return Market(Chain(stack["rpcUrl"]), Client(stack["restUrl"]))


@contextmanager
def client_of(stack: dict[str, str]) -> Iterator[ClientConnection]:
    with connect(stack["wsUrl"]) as websocket:
        yield websocket


def say(websocket: ClientConnection, message: Json) -> None:
    websocket.send(json.dumps(message))


def heard(websocket: ClientConnection, until: Callable[[Json], bool]) -> list[Json]:
    """All that comes up to the first message that it is waited for."""
    messages: list[Json] = []
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while not messages or not until(messages[-1]):
        assert time.monotonic() < deadline, f"it never came: {messages[-3:]}"
        messages.append(json.loads(websocket.recv(timeout=PATIENCE_SECONDS)))
        check_message(messages[-1])
    return messages


def paid(message: Json) -> Decimal:
    return Decimal(message["amountOut"])


def is_of(*types: str) -> Callable[[Json], bool]:
    return lambda message: message["type"] in types


def pays_less_than(most: Decimal) -> Callable[[Json], bool]:
    return lambda message: message["type"] == "quote" and paid(message) < most


def pays_more_than(least: Decimal) -> Callable[[Json], bool]:
    return lambda message: message["type"] == "quote" and paid(message) > least


def test_two_clients_of_a_pair_are_told_what_has_changed_until_they_unsubscribe(
    stack: dict[str, str], market: Market
) -> None:
    with client_of(stack) as ann, client_of(stack) as bob:
        for client in (ann, bob):
            say(client, WISH)
        first = [heard(client, is_of("quote"))[-1] for client in (ann, bob)]
        assert [one["amount"] for one in first] == ["10", "10"]
        asked = market.quote("SOL", "USDC", "10")
        assert first[0].keys() == asked.keys() | {"type"}

        undo = market.move("USDC", "SOL", MOVE)
        risen = max(map(paid, first)) * ABOVE
        second = [heard(client, pays_more_than(risen))[-1] for client in (ann, bob)]
        assert min(one["slot"] for one in second) > max(one["slot"] for one in first)

        say(ann, {"action": "unsubscribe", **PAIR})
        heard(ann, is_of("unsubscribed"))
        market.undo(undo)
        fallen = min(map(paid, second)) / ABOVE
        heard(bob, pays_less_than(fallen))
        say(ann, {"action": "ping"})
        assert not any(pays_less_than(fallen)(message) for message in heard(ann, is_of("pong")))


def test_without_a_node_a_client_is_told_so_once_and_the_quote_when_one_answers(stack: dict[str, str]) -> None:
    chain = Chain(stack["rpcUrl"])
    with client_of(stack) as client:
        say(client, WISH)
        heard(client, is_of("quote"))
        chain.call("localnet_setFaults", {"rpcErrorRate": 1})
        try:
            gone = heard(client, is_of("quote-error"))[-1]
            assert (gone["errorCode"], gone["amount"]) == ("RPC_UNAVAILABLE", "10")
        finally:
            chain.call("localnet_setFaults", {})
        assert [one["type"] for one in heard(client, is_of("quote"))] == ["quote"]


def test_the_client_streams_quotes(stack: dict[str, str], market: Market) -> None:
    with Fillrate(stack["restUrl"]) as fillrate:
        told = fillrate.stream_quotes("SOL", "USDC", Decimal(10), timeout=PATIENCE_SECONDS)
        first = next(told)
        assert isinstance(first, Quote)
        undo = market.move("USDC", "SOL", MOVE)
        assert any(isinstance(one, Quote) and one.amount_out > first.amount_out * ABOVE for one in told)
        market.undo(undo)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ({"action": "quotes"}, {"tokenIn", "tokenOut", "amount"}),
        ({**WISH, "tokenIn": "WOOF"}, {"tokenIn"}),
        ({**WISH, "amount": "0.0000000001"}, {"amount"}),
    ],
)
def test_a_wrong_wish_is_answered_with_its_fields(stack: dict[str, str], message: Json, fields: set[str]) -> None:
    with client_of(stack) as client:
        say(client, message)
        (answer,) = heard(client, is_of("error"))
        assert {one["field"] for one in answer["errors"]} == fields


def test_a_sixth_pair_is_refused(stack: dict[str, str]) -> None:
    tokens = ("SOL", "USDC", "USDT", "JUP")
    ways = [(one, other) for one in tokens for other in tokens if one != other]
    with client_of(stack) as client:
        for token_in, token_out in ways[:5]:
            say(client, {"action": "quotes", "tokenIn": token_in, "tokenOut": token_out, "amount": "1"})
            heard(client, is_of("subscribed"))
        say(client, {"action": "quotes", "tokenIn": ways[5][0], "tokenOut": ways[5][1], "amount": "1"})
        refused = heard(client, is_of("error"))[-1]
        assert refused["status"] == 429
