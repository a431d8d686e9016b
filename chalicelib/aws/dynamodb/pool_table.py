"""The pool registry's lines in DynamoDB, so that pools come and go without a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.table import Table
from chalicelib.venues.registry import PoolEntry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class PoolTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def entries(self) -> list[PoolEntry]:
        """Every registered pool, always in the same order. A line that lacks a name takes no other down with it."""
        named = ((item.get("address"), item.get("program")) for item in self._table.scan())
        return sorted(
            PoolEntry(address, program)
            for address, program in named
            if isinstance(address, str) and isinstance(program, str) and address and program
        )
