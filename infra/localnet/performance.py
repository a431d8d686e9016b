"""How fast the chain has been: what getRecentPerformanceSamples tells, measured by the clock.

Source: anza-xyz/agave, core/src/sample_performance_service.rs. A node takes a sample a minute; this one takes six, so
that a chain that was just started has one too. `samplePeriodSecs` says so to whoever reads them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

PERIOD_SECONDS = 10
_RETAINED = 720


@dataclass(frozen=True, slots=True)
class SlotPaceSample:
    """What passed in `seconds` up to the beginning of `slot`."""

    slot: int
    slots: int
    transactions: int
    seconds: int


class PerformanceSamples:
    """The last 720 samples."""

    def __init__(self, slot: int, transactions: int, unix_time: float) -> None:
        """The first period begins here: at `slot`, with so many transactions so far."""
        self._samples: deque[SlotPaceSample] = deque(maxlen=_RETAINED)
        self._since = (slot, transactions, unix_time)

    def saw(self, slot: int, transactions: int, unix_time: float) -> None:
        """`slot` begins at `unix_time`, with so many transactions so far."""
        slot_before, transactions_before, began = self._since
        elapsed = unix_time - began
        if elapsed < 0:
            self._since = (slot, transactions, unix_time)  # the clock was set back: nothing can be said of this period
        elif elapsed >= PERIOD_SECONDS:
            self._samples.appendleft(
                SlotPaceSample(slot, slot - slot_before, transactions - transactions_before, round(elapsed))
            )
            self._since = (slot, transactions, unix_time)

    def newest(self, limit: int) -> Iterator[SlotPaceSample]:
        """At most `limit`, the newest first."""
        return islice(self._samples, limit)
