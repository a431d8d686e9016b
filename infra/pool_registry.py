"""Seeds the table of pools from a registry file: [{"address": base58, "program": base58}, …]."""

import json
from pathlib import Path
from typing import Any


class RegistryError(Exception):
    """The registry file can't be used; the text names the file and the fault."""


def read(path: Path) -> dict[str, str]:
    """A registry file's pools: address → program. Raises RegistryError."""
    try:
        entries = json.loads(path.read_text())
        return {str(entry["address"]): str(entry["program"]) for entry in entries}
    except OSError as error:
        raise RegistryError(f"pool registry {path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f'pool registry {path} is not a list of {{"address", "program"}}') from error


def seed(dynamodb: Any, table: str, path: Path) -> int:
    """Make `table` hold exactly the file's pools; returns how many there are. Doing it again changes nothing."""
    wanted = read(path)
    present: dict[str, str] = {}
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        present |= {item["address"]["S"]: item.get("program", {}).get("S", "") for item in page["Items"]}
    for address, program in wanted.items():
        if present.get(address) != program:
            dynamodb.put_item(TableName=table, Item={"address": {"S": address}, "program": {"S": program}})
    for address in present.keys() - wanted.keys():
        dynamodb.delete_item(TableName=table, Key={"address": {"S": address}})
    return len(wanted)
