"""Which of a program's accounts a call wants. Source: anza-xyz/agave, rpc-client-api/src/filter.rs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from chalicelib.solana.accounts import Account
from infra.localnet import base58
from infra.localnet.rpc.errors import invalid_params
from infra.localnet.rpc.params import Config
from infra.localnet.token_state import token_account

_MAX_FILTERS = 4

AccountFilter = Callable[[Account], bool]


def account_filters(config: Config) -> list[AccountFilter]:
    """Those of the call; an account must pass all. Raises RpcError -32602."""
    filters = [_filter(value) for value in config.array("filters") or []]
    if len(filters) > _MAX_FILTERS:
        raise invalid_params(f"Too many filters provided; max {_MAX_FILTERS}")
    return filters


def _filter(value: Any) -> AccountFilter:
    if isinstance(value, dict) and value.keys() == {"dataSize"}:
        size = Config(value).number("dataSize")
        return lambda account: len(account.data) == size
    if isinstance(value, dict) and value.keys() == {"memcmp"} and isinstance(value["memcmp"], dict):
        return _memcmp(Config(value["memcmp"]))
    if value in ("tokenAccountState", {"tokenAccountState": None}):
        return lambda account: token_account(account) is not None
    raise invalid_params("Invalid params: unknown filter.")


def _memcmp(config: Config) -> AccountFilter:
    text, offset = config.text("bytes"), config.number("offset")
    if text is None or offset is None:
        raise invalid_params("Invalid params: `memcmp` needs `offset` and `bytes`.")
    encoding = config.text("encoding") or "base58"
    try:
        wanted = base64.b64decode(text, validate=True) if encoding == "base64" else base58.decode(text)
    except (ValueError, binascii.Error):
        raise invalid_params(f"Invalid params: `memcmp.bytes` is not {encoding}.") from None
    end = offset + len(wanted)
    return lambda account: account.data[offset:end] == wanted
