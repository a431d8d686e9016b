"""The share of a node's pace that all processes of the API have together, counted in DynamoDB.

Nobody knows how many they are, so none can keep account by itself. Only where the stage has a pace is anything written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.rate_cell import RateCell, TooSoon
from chalicelib.aws.dynamodb.table import Table
from chalicelib.rate import Rate
from chalicelib.solana.pacing import WINDOW_MS, Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# How much later than another's a call may reach the node: so much longer is the window in which they are counted.
_ON_THE_WAY_MS = 1_000


class ApiPace:
    """At most `in_window` calls to the node of this number in any ten seconds, over all processes of the API."""

    def __init__(self, client: DynamoDBClient, table: str, node: int, in_window: int) -> None:
        # the more at once, the fewer over time; a quote asks for two things at once
        burst = min(in_window, max(2, in_window // 4))
        self._cell = RateCell(Table(client, table), "Ms", Rate(in_window, burst, WINDOW_MS + _ON_THE_WAY_MS))
        self._key = {"name": f"rpc-pace#{node}"}

    def take(self, calls: int, now_ms: int, longest_wait_ms: int) -> Turn:
        """As Pace.take, but that of several calls the first may have taken a place in vain."""
        free_at_ms = now_ms
        try:
            for _ in range(calls):
                free_at_ms, _item = self._cell.take(self._key, now_ms, longest_wait_ms)
        except TooSoon as error:
            return Turn(longest_wait_ms + error.wait, taken=False)
        return Turn(free_at_ms - now_ms, taken=True)

    def answered(self, turn: Turn, now_ms: int) -> None:
        """Nothing: the window allows for calls that are on their way."""
