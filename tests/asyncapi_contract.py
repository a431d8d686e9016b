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


def check_message(message: dict[str, Any]) -> None:
    """Raises AssertionError unless the document describes this message of the server."""
    errors = list(message_validator(message["type"]).iter_errors(message))
    assert not errors, f"{message}: {errors[0].instance_path}: {errors[0].message}"
