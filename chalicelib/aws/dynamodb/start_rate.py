"""The StartRate that all workers share: one item of the control table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.amounts import ceil_div
from chalicelib.aws.dynamodb.rate_cell import RateCell, TooSoon
from chalicelib.aws.dynamodb.table import Table
from chalicelib.problems import Backlogged
from chalicelib.rate import Rate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEY = {"name": "admission"}


class SharedStartRate:
    """See orders/start_rate.py. `rate` is in milliseconds."""

    def __init__(self, client: DynamoDBClient, table: str, rate: Rate) -> None:
        self._cell = RateCell(Table(client, table), "Ms", rate)

    def reserve(self, now_ms: int, longest_wait_ms: int | None = None) -> int:
        """As StartRate.reserve."""
        try:
            return self._cell.take(_KEY, now_ms, longest_wait_ms)[0]
        except TooSoon as error:
            raise Backlogged(ceil_div(error.wait, 1000)) from None

    def next_start(self, now_ms: int, longest_wait_ms: int) -> int:
        """As StartRate.next_start."""
        try:
            return self._cell.look(_KEY, now_ms, longest_wait_ms)
        except TooSoon as error:
            raise Backlogged(ceil_div(error.wait, 1000)) from None
