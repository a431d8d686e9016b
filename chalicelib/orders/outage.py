"""When Solana is out of reach for everybody, so that no order's attempt is spent on it.

Each process's breakers know its own failures alone (solana/failover.py): many cold workers would use up the attempts of
many orders before each of them had learnt. So failures in a row are counted over all workers. The first few are their
orders' failed attempts, as any failure is; from then on orders wait, until a node answers any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chalicelib.aws.dynamodb.shared_number import SharedNumber

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# How long an order waits then. The breakers make it longer where a process has failures enough of its own.
WAIT_MS = 2_000
# How often a process to which nothing happens sees whether others have failed.
LOOK_EVERY_MS = 5_000


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """So many failures in a row are an outage; those further apart than `failures_count_for_ms` are not in a row."""

    failures_to_tell: int = 8
    failures_count_for_ms: int = 60_000

    def __post_init__(self) -> None:
        if self.failures_to_tell < 1:
            raise ValueError("what never failed is no outage")


class Outages(Protocol):
    """Tells one order's bad luck from an outage."""

    def failed(self, now_ms: int) -> int | None:
        """No node answered an attempt. Milliseconds that its order should wait; None where it counts as an attempt."""

    def answered(self, now_ms: int) -> None:
        """An attempt got all its answers."""


class SharedOutages:
    """The Outages that all workers share, in DynamoDB. Where nothing fails, a process looks at it once in a while."""

    def __init__(self, client: DynamoDBClient, table: str, policy: OutagePolicy) -> None:
        self._failures = SharedNumber(client, table, "outage")
        self._policy = policy
        self._looks_at_ms = 0

    def failed(self, now_ms: int) -> int | None:
        self._looks_at_ms = now_ms
        return WAIT_MS if self._count(now_ms) >= self._policy.failures_to_tell else None

    def answered(self, now_ms: int) -> None:
        """Takes all failures back: a node that answers one worker answers the others too.

        One that has failed itself looks at once, the others when it is time.
        """
        if now_ms < self._looks_at_ms:
            return
        self._looks_at_ms = now_ms + LOOK_EVERY_MS
        if self._failures.read().get("failures"):
            self._failures.update_if("attribute_exists(failures)", "SET failures = :none", {":none": 0})

    def _count(self, now_ms: int) -> int:
        """The failures in a row, this one among them."""
        values = {":since": now_ms - self._policy.failures_count_for_ms, ":now": now_ms, ":one": 1}
        one_more = "lastFailureMs >= :since", "SET failures = failures + :one, lastFailureMs = :now"
        the_first = (
            "attribute_not_exists(lastFailureMs) OR lastFailureMs < :since",
            "SET failures = :one, lastFailureMs = :now",
        )
        while True:
            for condition, update in (one_more, the_first):
                counted = self._failures.update_if(condition, update, values)
                if counted is not None:
                    return int(counted["failures"])
