"""The pool registry's lines in DynamoDB, so that pools come and go without a deploy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.venues.registry import PoolEntry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class PoolTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def entries(self) -> list[PoolEntry]:
        """Every registered pool, always in the same order. A line that lacks a name takes no other down with it."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        items = (item for page in pages for item in page["Items"])
        entries = (PoolEntry(_text(item, "address"), _text(item, "program")) for item in items)
        return sorted(entry for entry in entries if entry.address and entry.program)


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(item.get(name, {}).get("S", ""))
