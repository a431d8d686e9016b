"""The pool registry's lines in DynamoDB, so that pools come and go without a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.venues.registry import PoolEntry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class PoolTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def entries(self) -> list[PoolEntry]:
        """Every registered pool."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        return [PoolEntry(item["address"]["S"], item["program"]["S"]) for page in pages for item in page["Items"]]
