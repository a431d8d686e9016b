"""Holds real WebSocket messages to the AsyncAPI document: what isn't described there may not be told."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from chalicelib.contract.asyncapi import document

URL = "ws://127.0.0.1:4566/_aws/execute-api/abc/api"


@cache
def message_validator(kind: str) -> Draft202012Validator:
    """A validator of one kind of message, by its name in the document."""
    components = document(URL)["components"]
    return Draft202012Validator({**components["messages"][kind]["payload"], "components": components})


@cache
def kinds_of(type_: str) -> tuple[str, ...]:
    """The kinds of messages whose `type` this is: what is subscribed to may be an order, or quotes."""
    messages = document(URL)["components"]["messages"]
    return tuple(name for name, message in messages.items() if message["examples"][0]["payload"].get("type") == type_)


def check_message(message: dict[str, Any]) -> None:
    """Raises AssertionError unless the document describes this message of the server."""
    kinds = kinds_of(message["type"])
    assert kinds, f"{message} is of no type that is described"
    errors = [list(message_validator(kind).iter_errors(message)) for kind in kinds]
    first = errors[0]
    assert not all(errors), f"{message}: {first[0].instance_path}: {first[0].message}"
