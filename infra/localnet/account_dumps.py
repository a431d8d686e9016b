"""Account dumps as `solana account --output json` writes them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account


class InvalidDumpError(ValueError):
    """A file is not an account dump."""


def read_directory(directory: Path) -> dict[Pubkey, Account]:
    """Every `*.json` in `directory`. Raises InvalidDumpError that names the file, or OSError."""
    accounts = {}
    for file in sorted(directory.glob("*.json")):
        try:
            dump = json.loads(file.read_text())
            accounts[Pubkey.from_string(dump["pubkey"])] = account_of_json(dump["account"])
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidDumpError(f"{file} is no account dump: {error!r}") from None
    return accounts


def account_of_json(value: Mapping[str, Any]) -> Account:
    """An account with base64 data, as dumps and JSON-RPC have it. Raises ValueError, KeyError or TypeError."""
    encoded, encoding = value["data"]
    if encoding != "base64":
        raise ValueError(f"data in {encoding}, not base64")
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f"data is not base64: {error}") from None
    return Account(
        owner=Pubkey.from_string(value["owner"]),
        lamports=int(value["lamports"]),
        data=data,
        executable=bool(value["executable"]),
    )
