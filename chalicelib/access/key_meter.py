"""How often each API key is used: in a table of its own, so that who counts requests can write no key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.access.keys import ApiKey
from chalicelib.aws.dynamodb.rate_cell import RateCell
from chalicelib.aws.dynamodb.table import Table
from chalicelib.rate import per_minute

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class KeyMeter:
    """An item for each key that was used, made by its first use. The rate is the key's own and not the item's."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def count(self, key: ApiKey, now_ms: int) -> None:
        """Count one use of the key: one write where its last uses are long past, else two.

        Raises TooSoon in microseconds; nothing is written then.
        """
        cell = RateCell(self._table, "Us", per_minute(key.rate_per_minute), mostly_free=True)
        cell.take({"name": f"key#{key.key_id}"}, now_ms * 1000)
