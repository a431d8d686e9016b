"""Seeds the table of pools from a registry file: [{"address": base58, "program": base58}, …]."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.recorder import Recorder, no_record
from chalicelib.aws.dynamodb.table import Table
from chalicelib.venues import supported
from operations.errors import OperationError

# Who added a pool by hand (`fillrate pools add`): a deploy leaves it alone.
OPERATOR = "operator"


class RegistryError(OperationError):
    """The registry file can't be used; the text names the file and the fault."""


def read(path: Path, left_out: Callable[[str], None] | None = None) -> dict[str, str]:
    """A registry file's pools: address → program. A line that is wrong is left out where `left_out` is to be told.

    Raises RegistryError.
    """
    try:
        entries = json.loads(path.read_text())
    except OSError as error:
        raise RegistryError(f"pool registry {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise RegistryError(f'pool registry {path} is not a list of {{"address", "program"}}') from error
    if not isinstance(entries, list):
        raise RegistryError(f'pool registry {path} is not a list of {{"address", "program"}}')
    pools: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            address, program = _checked(path, number, entry)
        except RegistryError as error:
            if left_out is None:
                raise
            left_out(f"{error}; it is left out")
        else:
            pools[address] = program
    return pools


def _checked(path: Path, number: int, entry: Any) -> tuple[str, str]:
    try:
        address, program = str(entry["address"]), str(entry["program"])
    except (KeyError, TypeError) as error:
        raise RegistryError(f'pool registry {path}: entry {number} is not {{"address", "program"}}') from error
    if program not in {str(venue.program_id) for venue in supported.VENUES}:
        known = ", ".join(f"{venue.program} ({venue.program_id})" for venue in supported.VENUES)
        raise RegistryError(f"pool registry {path}: {address} is of program {program}; Fillrate trades on {known}")
    try:
        Pubkey.from_string(address)
    except ValueError as error:
        raise RegistryError(f"pool registry {path}: {address[:64]!r} is no address") from error
    return address, program


def seed(
    dynamodb: Any,
    table: str,
    path: Path,
    record: Recorder = no_record,
    left_out: Callable[[str], None] | None = None,
) -> int:
    """Make `table` hold the file's pools, and those that an operator added; returns how many the file has.

    Each change is written with what `record` adds, in one transaction. Doing it again changes nothing. `left_out` is as
    in `read`.
    """
    wanted = read(path, left_out)
    present: dict[str, str] = {}
    by_hand: set[str] = set()
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        present |= {item["address"]["S"]: item.get("program", {}).get("S", "") for item in page["Items"]}
        by_hand |= {item["address"]["S"] for item in page["Items"] if item.get("addedBy", {}).get("S") == OPERATOR}
    for address, program in wanted.items():
        if present.get(address) != program:
            _change(Table(dynamodb, table), address, "seed", {"program": program}, record)
    for address in present.keys() - wanted.keys() - by_hand:
        _change(Table(dynamodb, table), address, "unseed", None, record)
    return len(wanted)


def _change(table: Table, address: str, action: str, item: Item | None, record: Recorder) -> None:
    table.change({"address": address}, lambda before: item, partial(record, "pools", action, address))
