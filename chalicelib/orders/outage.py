"""When Solana is out of reach for everybody, so that no order's attempt is spent on it.

Each process's breakers know its own failures alone (solana/failover.py): many cold workers would use up the attempts of
many orders before each of them had learnt. So failures in a row are counted over all workers. The first few are their
orders' failed attempts, as any failure is; from then on orders wait, until a node answers any of them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
