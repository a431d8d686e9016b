"""Items of DynamoDB that may be used only so often: one conditional write counts a use.

An item has its own rate (`intervalUs`, `toleranceUs`) and state (`tatUs`), in microseconds: see rate_cell.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.rate_cell import RateCell, Usable
from chalicelib.aws.dynamodb.table import Table
from chalicelib.rate import Rate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Meter:
    """Uses of the items of a table whose key is `name`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._cell = RateCell(Table(client, table), "Us")

    def attributes(self, rate: Rate) -> Item:
        """What an item must have to be used at `rate`, which is in microseconds."""
        return self._cell.attributes(rate)

    def use(self, key: Item, now_ms: int) -> Item:
        """Count one use now; returns the item. One write where its last uses are long past, else two.

        Raises Unusable, or TooSoon in microseconds; nothing is written then.
        """
        return self._cell.take(key, now_ms * 1000, usable=_EXISTS)[1]


_EXISTS = Usable("attribute_exists(#name)", holds=bool)
