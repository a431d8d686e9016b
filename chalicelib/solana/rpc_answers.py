"""What a Solana node's JSON may look like. A node is not trusted: what isn't of its shape is no answer.

The functions raise ValueError, KeyError, TypeError, AttributeError or IndexError on anything else; `reading` makes
RpcUnavailable of all of them. Texts come out short and of one printable line, for they end in orders and logs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from solders.hash import Hash, ParseHashError
from solders.pubkey import Pubkey

from chalicelib.metrics import Metric, note
from chalicelib.problems import RpcUnavailable
from chalicelib.solana.accounts import Account

# A transaction's error as the node encodes it: a variant's name, or an object of one key.
TransactionErrorJson = str | dict[str, Any]

# More than any honest answer to what is asked here: a hundred accounts of 10 KB each are 1.4 MB.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_LOG_LINES = 1_000
MAX_LINE_LENGTH = 300
LONGEST_WAIT_MS = 3_600_000

_U64_MAX = (1 << 64) - 1
_VARIANT = re.compile(r"[A-Za-z]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_SIGNATURE = re.compile(r"[1-9A-HJ-NP-Za-km-z]{1,88}")


@contextmanager
def reading(method: str) -> Iterator[None]:
    """Turns a surprise in an answer's shape into RpcUnavailable."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        note(Metric.RPC_ERRORS, kind="unreadable", method=method)
        raise RpcUnavailable(f"the Solana node's answer to {method} can't be read") from error


def whole_number(value: object) -> int:
    """A u64 as JSON has it: no boolean, no fraction, nothing below zero."""
    if type(value) is not int or not 0 <= value <= _U64_MAX:
        raise ValueError("not a u64")
    return value


def account(value: Mapping[str, Any] | None) -> Account | None:
    """An account in base64; None for one that doesn't exist."""
    if value is None:
        return None
    data, encoding = value["data"]
    if encoding != "base64":
        raise ValueError("data in another encoding")
    return Account(
        owner=Pubkey.from_string(value["owner"]),
        lamports=whole_number(value["lamports"]),
        data=base64.b64decode(data, validate=True),
        executable=value["executable"] is True,
    )


def keyed_accounts(value: object) -> dict[Pubkey, Account]:
    """getProgramAccounts's accounts by address."""
    if not isinstance(value, list):
        raise TypeError("not a list of accounts")
    found = {Pubkey.from_string(one["pubkey"]): account(one["account"]) for one in value}
    return {address: one for address, one in found.items() if one is not None}


def blockhash(value: str) -> Hash:
    try:
        return Hash.from_string(value)
    except ParseHashError as error:  # which is no ValueError
        raise ValueError("not a blockhash") from error


def signature(value: str) -> str:
    """A transaction's signature in base58, as far as its letters tell."""
    if not _SIGNATURE.fullmatch(value):
        raise ValueError("not a signature")
    return value


def transaction_error(value: object) -> TransactionErrorJson | None:
    """A transaction's error, of which nothing is left to be checked: names are short words, codes are numbers."""
    if value is None:
        return None
    error = _variant(value)
    if isinstance(error, dict) and "InstructionError" in error:
        index, cause = error["InstructionError"]
        whole_number(index)
        cause = _variant(cause)
        if isinstance(cause, dict) and "Custom" in cause:
            whole_number(cause["Custom"])
    return error


def _variant(value: object) -> str | dict[str, Any]:
    if isinstance(value, str) and _VARIANT.fullmatch(value):
        return value
    if isinstance(value, dict) and len(value) == 1 and all(_VARIANT.fullmatch(name) for name in value):
        return value
    raise ValueError("not an error's name")


def log_lines(value: object) -> tuple[str, ...]:
    """Programs' log lines, as many and as long as are of use."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError("not a list of lines")
    return tuple(line_of(line) for line in value[:MAX_LOG_LINES])


def error_code(value: object) -> int:
    """A JSON-RPC error's code; 0 for what is none."""
    return value if type(value) is int and abs(value) < 1 << 31 else 0


def line_of(value: object) -> str:
    """A text as one short printable line."""
    text = str(value)[:MAX_LINE_LENGTH]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def wait_asked_for(retry_after: str | None, now: float) -> int | None:
    """The milliseconds that a Retry-After header asks for: seconds, or a date (RFC 9110, 10.2.3).

    None where there is no header, none that can be read, or no wait in it. `now` is Unix time in seconds. No more than
    an hour: a node that asks for a year has made a mistake.
    """
    text = (retry_after or "").strip()
    try:
        # some send fractions, though the standard has none
        seconds = float(text) if _SECONDS.fullmatch(text) else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(int(seconds * 1000), LONGEST_WAIT_MS) if seconds > 0 else None


def landed_transaction(value: object) -> dict[str, Any] | None:
    """getTransaction's JSON (encoding "json") whose error, instructions and keys are of their shape; None if unknown.

    The balances are for fill.py to check.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError("not a transaction")
    whole_number(value["slot"])
    meta, message = value["meta"], value["transaction"]["message"]
    transaction_error(meta["err"])
    meta["logMessages"] = list(log_lines(meta.get("logMessages")))
    loaded = meta.get("loadedAddresses") or {}
    keys = [*message["accountKeys"], *(loaded.get("writable") or ()), *(loaded.get("readonly") or ())]
    for key in keys:
        Pubkey.from_string(key)
    for instruction in message["instructions"]:
        keys[whole_number(instruction["programIdIndex"])]
    return value
