"""What is known of the cluster itself: how its blocks become final, and how long its slots take. Pure.

A cluster that has migrated to Alpenglow finalizes a block a moment after it is produced, and calls no block confirmed
that may be taken back. One that hasn't, or of which that isn't known, confirms blocks some seconds before they are
final. Which it is its nodes tell: getAgGenesisCert answers with the certificate of the migration, with null before it,
and nodes of before Agave 4.3 lack the method, which says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import Literal

Commitment = Literal["processed", "confirmed", "finalized"]

# For how many blocks a blockhash is good (agave, MAX_PROCESSING_AGE).
BLOCKHASH_LIFE_BLOCKS = 150
# For how long at least: at the shortest slots that there are.
SHORTEST_BLOCKHASH_LIFE_MS = BLOCKHASH_LIFE_BLOCKS * 200
# How long an answer counts, and how long none at all does. A network migrates once, and changes the length of its slots
# step by step.
_KNOWN_FOR_MS = 300_000
_UNKNOWN_FOR_MS = 60_000


class ConsensusProtocol(Enum):
    """How the cluster agrees on blocks, as its nodes tell."""

    ALPENGLOW = "alpenglow"
    TOWER = "tower"
    UNKNOWN = "unknown"


def consensus_of(migrated: bool | None) -> ConsensusProtocol:
    """By whether the cluster has the certificate of its migration; None where no node tells."""
    if migrated is None:
        return ConsensusProtocol.UNKNOWN
    return ConsensusProtocol.ALPENGLOW if migrated else ConsensusProtocol.TOWER


@dataclass(frozen=True, slots=True)
class SlotSample:
    """How many slots the chain went through in `seconds` (getRecentPerformanceSamples)."""

    slots: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is known now. `slot_ms` was measured; None where nothing was yet."""

    consensus: ConsensusProtocol = ConsensusProtocol.UNKNOWN
    slot_ms: int | None = None

    @property
    def settled_at(self) -> Commitment:
        """From which commitment on a transaction counts as landed, and accounts as they are read."""
        return "finalized" if self.consensus is ConsensusProtocol.ALPENGLOW else "confirmed"

    @property
    def blockhash_life_ms(self) -> int | None:
        """How long a fresh blockhash is good for at the measured pace; None where none was measured."""
        return None if self.slot_ms is None else BLOCKHASH_LIFE_BLOCKS * self.slot_ms


def slot_ms_of(samples: Sequence[SlotSample]) -> int | None:
    """The milliseconds that a slot took over the samples together, rounded to one; None where they tell nothing."""
    slots, seconds = sum(sample.slots for sample in samples), sum(sample.seconds for sample in samples)
    return max(1, round(seconds * 1000 / slots)) if slots and seconds else None


class KnownCluster:
    """What a process has learnt of its cluster, and when it must ask again. Threads may share it. Times in ms."""

    def __init__(self) -> None:
        self._consensus = ConsensusProtocol.UNKNOWN
        self._slot_ms: int | None = None
        self._asked_at_ms: int | None = None
        self._lock = Lock()

    def take_question(self, now_ms: int) -> bool:
        """Whether it is time to ask; whoever is told so asks, and nobody else meanwhile."""
        with self._lock:
            # a clock that was set back makes it due
            if self._asked_at_ms is not None and 0 <= now_ms - self._asked_at_ms < self._good_for_ms():
                return False
            self._asked_at_ms = now_ms
            return True

    def learn(self, migrated: bool | None, slot_ms: int | None, now_ms: int) -> None:
        """What the nodes told; None for what none did. What was measured before counts until it is measured anew."""
        with self._lock:
            self._consensus = consensus_of(migrated)
            self._slot_ms = slot_ms or self._slot_ms
            self._asked_at_ms = now_ms

    def now(self, seen_slot_ms: int | None = None) -> Cluster:
        """What is known; `seen_slot_ms` is what a slot took by what this process saw, for want of a measurement."""
        with self._lock:
            return Cluster(self._consensus, self._slot_ms or seen_slot_ms)

    def _good_for_ms(self) -> int:
        return _UNKNOWN_FOR_MS if self._consensus is ConsensusProtocol.UNKNOWN else _KNOWN_FOR_MS
