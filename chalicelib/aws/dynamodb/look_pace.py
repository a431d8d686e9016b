"""The LookPace of waiting/ports.py: looks take turns at one rate, which all watchers keep together in one item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.rate_cell import RateCell, TooSoon
from chalicelib.aws.dynamodb.table import Table
from chalicelib.rate import Rate
from chalicelib.solana.pacing import WINDOW_MS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEY = {"name": "rpc-pace#looks"}
# As far ahead as a message can be sent.
_FURTHEST_MS = 15 * 60 * 1_000


class SharedLookPace:
    """At most `in_window` looks at any pairs in ten seconds: a pair has its next turn after all that asked before."""

    def __init__(self, client: DynamoDBClient, table: str, in_window: int) -> None:
        self._cell = RateCell(Table(client, table), "Ms", Rate(in_window, 1, WINDOW_MS))

    def next_at_ms(self, now_ms: int) -> int:
        """As LookPace.next_at_ms. Raises AwsError."""
        try:
            return self._cell.take(_KEY, now_ms, _FURTHEST_MS)[0]
        except TooSoon:
            return now_ms + _FURTHEST_MS
