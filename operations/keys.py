"""The API keys of a deployed stage."""

from __future__ import annotations

import secrets
import time

from chalicelib.access.key_administration import KeyAdministration
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import Scope
from operations.errors import UnfitOption
from operations.stacks import deployed
from operations.target import Target


def administration(target: Target, table: str) -> KeyAdministration:
    """What is done with the keys in `table`, with `target`'s credentials."""
    return KeyAdministration(KeyTable(target.client("dynamodb"), table), _now_ms, secrets.token_bytes)


def access_table(target: Target) -> str:
    """The name of the deployed stage's table of keys. Raises NoStage."""
    return deployed(target, "data")["AccessTable"]


def scopes(text: str) -> frozenset[Scope]:
    """`read,trade` as scopes. Raises UnfitOption."""
    try:
        return frozenset(Scope(name.strip()) for name in text.split(","))
    except ValueError:
        raise UnfitOption(f"--scopes: one or more of {', '.join(Scope)}, separated by commas") from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
