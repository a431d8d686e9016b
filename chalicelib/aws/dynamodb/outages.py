"""The Outages that all workers share: one item of the control table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.table import Table
from chalicelib.orders.outage import LOOK_EVERY_MS, WAIT_MS, OutagePolicy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEY = {"name": "outage"}


class SharedOutages:
    """See orders/outage.py. Where nothing fails, a process looks at the item once in a while."""

    def __init__(self, client: DynamoDBClient, table: str, policy: OutagePolicy) -> None:
        self._table = Table(client, table)
        self._policy = policy
        self._looks_at_ms = 0

    def failed(self, now_ms: int) -> int | None:
        """As Outages.failed."""
        self._looks_at_ms = now_ms
        return WAIT_MS if self._count(now_ms) >= self._policy.failures_to_tell else None

    def answered(self, now_ms: int) -> None:
        """Takes all failures back: a node that answers one worker answers the others too.

        One that has failed itself looks at once, the others when it is time.
        """
        if now_ms < self._looks_at_ms:
            return
        self._looks_at_ms = now_ms + LOOK_EVERY_MS
        if (self._table.get(_KEY) or {}).get("failures"):
            self._table.update_if("attribute_exists(failures)", _KEY, "SET failures = :none", {"none": 0})

    def _count(self, now_ms: int) -> int:
        """The failures in a row, this one among them."""
        since = now_ms - self._policy.failures_count_for_ms
        one_more = "lastFailureMs >= :since", "SET failures = failures + :one, lastFailureMs = :now"
        the_first = (
            "attribute_not_exists(lastFailureMs) OR lastFailureMs < :since",
            "SET failures = :one, lastFailureMs = :now",
        )
        while True:
            for condition, update in (one_more, the_first):
                values = {"since": since, "now": now_ms, "one": 1}
                counted, item = self._table.update_and_tell(condition, _KEY, update, values)
                if counted:
                    return int(item["failures"])
