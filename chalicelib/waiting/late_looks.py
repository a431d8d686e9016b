"""For how long pairs of which orders wait have not been looked at: what tells that looks don't come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.waiting.ports import Circulations

# A pair whose watcher was killed is looked at again within this after its look was due.
LATE_LOOK_MS = 14_000


@dataclass(frozen=True, slots=True)
class LooksNow:
    """Of how many pairs orders wait, and for how long the one looked at longest ago has waited, in ms.

    `every_ms` is how often a pair is to be looked at.
    """

    pairs: int
    longest_ms: int
    every_ms: int

    @property
    def late_ms(self) -> int:
        """For how long that one has waited, where it is late; else 0."""
        return self.longest_ms if self.longest_ms > self.every_ms + LATE_LOOK_MS else 0


class LateLooks:
    def __init__(self, circulations: Circulations, every_ms: int, now_ms: Callable[[], int]) -> None:
        self._circulations = circulations
        self._every_ms = every_ms
        self._now_ms = now_ms

    def now(self) -> LooksNow:
        """As it stands. Raises AwsError."""
        now_ms = self._now_ms()
        waits = [one.late_ms(now_ms) for one in self._circulations.all() if one.orders > 0]
        return LooksNow(len(waits), max(waits, default=0), self._every_ms)
