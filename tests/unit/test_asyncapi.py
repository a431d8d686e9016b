"""The AsyncAPI document is valid, and its examples are what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema_rs import validator_for
from pydantic import BaseModel

from chalicelib.contract.asyncapi import document
from chalicelib.contract.requests import ClientMessage, QuotesEndMessage, QuotesMessage, parse_body, validate
from chalicelib.problems import InvalidRequest
from tests.asyncapi_contract import URL, message_validator
from tests.e2e.node_tools import package_file

Json = dict[str, Any]
MESSAGES: Json = document(URL)["components"]["messages"]


def test_it_is_a_valid_asyncapi_3_document() -> None:
    schema = json.loads(package_file("@asyncapi/specs/schemas/3.0.0-without-$id.json").read_text())
    assert [error.message for error in validator_for(schema).iter_errors(document(URL))] == []


def test_it_tells_where_the_websocket_is() -> None:
    assert document("wss://abc.example.com/api")["servers"]["gateway"] == {
        "host": "abc.example.com",
        "protocol": "wss",
        "pathname": "/api",
    }


@pytest.mark.parametrize("name", MESSAGES)
def test_an_example_is_a_message_of_its_kind_and_of_no_other(name: str) -> None:
    (example,) = MESSAGES[name]["examples"]
    assert [kind for kind in MESSAGES if message_validator(kind).is_valid(example["payload"])] == [name]


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        ({"action": "ping"}, True),
        ({"action": "subscribe", "orderId": "1"}, True),
        ({"action": "shout"}, False),
        ({"orderId": "1"}, False),
        ({"action": "ping", "extra": 1}, False),
        ({"action": "subscribe", "orderId": "x" * 65}, False),
        ({"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}, True),
        ({"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1, "slippage": "0.02"}, True),
        ({"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC"}, False),
        ({"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1", "orderId": "1"}, False),
        ({"action": "unsubscribe", "tokenIn": "SOL", "tokenOut": "USDC"}, True),
        ({"action": "unsubscribe", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}, True),
        ({"action": "unsubscribe", "tokenIn": "SOL"}, False),
    ],
)
def test_what_a_client_may_say_is_what_the_server_takes(body: Json, *, taken: bool) -> None:
    kinds = ("subscribe", "unsubscribe", "quotes", "unsubscribeFromQuotes", "ping")
    assert any(message_validator(kind).is_valid(body) for kind in kinds) == taken
    model: type[BaseModel] = ClientMessage
    if "tokenIn" in body:
        model = QuotesMessage if body["action"] == "quotes" else QuotesEndMessage
    if taken:
        validate(model, parse_body(json.dumps(body)))
    else:
        with pytest.raises(InvalidRequest):
            validate(model, parse_body(json.dumps(body)))
