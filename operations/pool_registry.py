"""Seeds the table of pools from a registry file: [{"address": base58, "program": base58}, …]."""

import json
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.venues import supported
from operations.errors import OperationError

# Who added a pool by hand (`fillrate pools add`): a deploy leaves it alone.
OPERATOR = "operator"


class RegistryError(OperationError):
    """The registry file can't be used; the text names the file and the fault."""


def read(path: Path) -> dict[str, str]:
    """A registry file's pools: address → program. Raises RegistryError."""
    try:
        entries = json.loads(path.read_text())
        pools = {str(entry["address"]): str(entry["program"]) for entry in entries}
    except OSError as error:
        raise RegistryError(f"pool registry {path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f'pool registry {path} is not a list of {{"address", "program"}}') from error
    for address, program in pools.items():
        _check(path, address, program)
    return pools


def _check(path: Path, address: str, program: str) -> None:
    if program not in {str(venue.program_id) for venue in supported.VENUES}:
        known = ", ".join(f"{venue.program} ({venue.program_id})" for venue in supported.VENUES)
        raise RegistryError(f"pool registry {path}: {address} is of program {program}; Fillrate trades on {known}")
    try:
        Pubkey.from_string(address)
    except ValueError as error:
        raise RegistryError(f"pool registry {path}: {address[:64]!r} is no address") from error


def seed(dynamodb: Any, table: str, path: Path) -> int:
    """Make `table` hold the file's pools, and those that an operator added; returns how many the file has.

    Doing it again changes nothing.
    """
    wanted = read(path)
    present: dict[str, str] = {}
    by_hand: set[str] = set()
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        present |= {item["address"]["S"]: item.get("program", {}).get("S", "") for item in page["Items"]}
        by_hand |= {item["address"]["S"] for item in page["Items"] if item.get("addedBy", {}).get("S") == OPERATOR}
    for address, program in wanted.items():
        if present.get(address) != program:
            dynamodb.put_item(TableName=table, Item={"address": {"S": address}, "program": {"S": program}})
    for address in present.keys() - wanted.keys() - by_hand:
        dynamodb.delete_item(TableName=table, Key={"address": {"S": address}})
    return len(wanted)
