"""When an order may start: at most so many in any 60 s over all workers, a few of them at once.

The generic cell rate algorithm (GCRA, ITU-T I.371) on one number in DynamoDB, the theoretical arrival time: each
start moves it on by one interval, in one conditional write, so that no two starts ever get the same slot. In any
span L, `burst + L / interval` starts conform; the interval is chosen so that for 60 s this is the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chalicelib.aws.dynamodb.shared_number import SharedNumber
from chalicelib.problems import Backlogged

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WINDOW_MS = 60_000
# A start this much later than its slot still counts as on time; the interval allows for it.
GRACE_MS = 2_000
# More than this much work ahead, and a new order is refused rather than made to wait (SQS delays at most 15 min too).
LONGEST_WAIT_MS = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `limit` starts in any 60 s, of which `burst` may come at once. Times in ms."""

    limit: int
    burst: int

    def __post_init__(self) -> None:
        if not 0 < self.burst < self.limit:
            raise ValueError("burst must be at least 1 and less than the limit")

    @property
    def interval_ms(self) -> int:
        """How far apart starts are once the burst is used up, rounded up."""
        return -(-(WINDOW_MS + GRACE_MS) // (self.limit - self.burst))

    @property
    def tolerance_ms(self) -> int:
        """How far the theoretical arrival time may run ahead of the clock before a start must wait."""
        return (self.burst - 1) * self.interval_ms


def is_on_time(slot_ms: int, now_ms: int) -> bool:
    """Whether a start now belongs to the slot; an order that comes later than that needs a new one."""
    return slot_ms <= now_ms <= slot_ms + GRACE_MS


class Starts(Protocol):
    """Keeps the pace at which orders start."""

    def reserve(self, now_ms: int, longest_wait_ms: int | None = None) -> int:
        """The time from which one order may start: now, or later. The slot is that order's alone.

        Raises Backlogged, and takes no slot, where that would be more than `longest_wait_ms` away.
        """


class Admission:
    """The Starts that all workers share, in DynamoDB."""

    def __init__(self, client: DynamoDBClient, table: str, pace: Pace) -> None:
        self._arrival = SharedNumber(client, table, "admission")
        self._pace = pace

    def reserve(self, now_ms: int, longest_wait_ms: int | None = None) -> int:
        while True:
            arrival_ms = self._queue_up(now_ms, longest_wait_ms)
            if arrival_ms is not None:
                return max(now_ms, arrival_ms - self._pace.tolerance_ms)
            if self._begin_anew(now_ms):
                return now_ms
            arrival_ms = int(self._arrival.read().get("tatMs", 0))
            wait_ms = arrival_ms - self._pace.tolerance_ms - now_ms
            if longest_wait_ms is not None and arrival_ms > now_ms and wait_ms > longest_wait_ms:
                raise Backlogged(-(-(wait_ms - longest_wait_ms) // 1000))

    def _queue_up(self, now_ms: int, longest_wait_ms: int | None) -> int | None:
        """Take the next slot behind those already given; None where none is ahead of now, or the line is too long."""
        condition, values = "tatMs > :now", {":now": now_ms, ":interval": self._pace.interval_ms}
        if longest_wait_ms is not None:
            condition += " AND tatMs <= :last"
            values[":last"] = now_ms + longest_wait_ms + self._pace.tolerance_ms
        moved = self._arrival.update_if(condition, "SET tatMs = tatMs + :interval", values)
        return None if moved is None else int(moved["tatMs"]) - self._pace.interval_ms

    def _begin_anew(self, now_ms: int) -> bool:
        values = {":now": now_ms, ":next": now_ms + self._pace.interval_ms}
        condition = "attribute_not_exists(tatMs) OR tatMs <= :now"
        return self._arrival.update_if(condition, "SET tatMs = :next", values) is not None
