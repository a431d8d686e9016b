"""The share of a node's pace that all processes of the API have together, counted in DynamoDB.

Nobody knows how many they are, so none can keep account by itself. The generic cell rate algorithm (see rate.py) on
one number for each node: the theoretical arrival time, which each call moves on by one interval, in one conditional
write. Only where the stage has a pace is anything written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.shared_number import SharedNumber
from chalicelib.rate import Rate
from chalicelib.solana.pacing import WINDOW_MS, Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# How much later than another's a call may reach the node: so much longer is the window in which they are counted.
_ON_THE_WAY_MS = 1_000


class ApiPace:
    """At most `in_window` calls to the node of this number in any ten seconds, over all processes of the API."""

    def __init__(self, client: DynamoDBClient, table: str, node: int, in_window: int) -> None:
        self._arrival = SharedNumber(client, table, f"rpc-pace#{node}")
        # the more at once, the fewer over time; a quote asks for two things at once
        burst = min(in_window, max(2, in_window // 4))
        self._rate = Rate(in_window, burst, (WINDOW_MS + _ON_THE_WAY_MS) * 1000)

    def take(self, calls: int, now_ms: int, longest_wait_ms: int) -> Turn:
        interval_ms = -(-self._rate.interval_us // 1000)
        ahead_ms = max(0, (self._rate.burst - calls) * interval_ms)
        step = {":now": now_ms, ":step": calls * interval_ms}
        while True:
            last = {":last": now_ms + longest_wait_ms + ahead_ms}
            moved = self._arrival.update_if(
                "tatMs > :now AND tatMs <= :last", "SET tatMs = tatMs + :step", {**step, **last}
            )
            if moved is not None:
                return Turn(max(0, int(moved["tatMs"]) - step[":step"] - ahead_ms - now_ms), taken=True)
            again = {":now": now_ms, ":next": now_ms + step[":step"]}
            if self._arrival.update_if("attribute_not_exists(tatMs) OR tatMs <= :now", "SET tatMs = :next", again):
                return Turn(0, taken=True)
            wait_ms = int(self._arrival.read().get("tatMs", 0)) - ahead_ms - now_ms
            if wait_ms > longest_wait_ms:
                return Turn(wait_ms, taken=False)

    def answered(self, turn: Turn, now_ms: int) -> None:
        """Nothing: the window allows for calls that are on their way."""
