"""When the chain was at which slot, as far as the answers of this process tell. Pure.

A slot's length is never assumed: it was 400 ms for years and is 200 ms on some clusters.
"""

from __future__ import annotations

from bisect import bisect_left
from threading import Lock

# Sightings closer together than this tell nothing more.
_APART_MS = 200
_MOST_SIGHTINGS = 256
# Nothing but slots below the newest for so long are another chain's: a localnet was started again.
_FORGOTTEN_AFTER_MS = 30_000
# A node tells of a slot up to one late, and with the time that its answer took: over so many that is a tenth or less.
_LEAST_SLOTS_TO_MEASURE = 20
_MEASURED_OVER_MS = 60_000


class SlotTimes:
    """Slots with the times, ms of one clock, at which a node first told them. Threads may share it."""

    def __init__(self) -> None:
        self._slots: list[int] = []
        self._times_ms: list[int] = []
        # since when nothing but lower slots was told
        self._lower_since_ms: int | None = None
        self._lock = Lock()

    def saw(self, slot: int, now_ms: int) -> None:
        """A node told that its chain is at `slot`, or beyond it."""
        with self._lock:
            self._forget_another_chain(slot, now_ms)
            if self._slots and slot <= self._slots[-1]:
                return
            if len(self._slots) > 1 and self._times_ms[-1] - self._times_ms[-2] < _APART_MS:
                self._slots.pop()
                self._times_ms.pop()
            self._slots.append(slot)
            self._times_ms.append(now_ms)
            del self._slots[:-_MOST_SIGHTINGS], self._times_ms[:-_MOST_SIGHTINGS]

    def newest(self) -> int:
        """The newest slot that was seen; 0 before any was."""
        with self._lock:
            return self._slots[-1] if self._slots else 0

    def slot_ms(self) -> int | None:
        """How long a slot took of late, rounded to a millisecond; None where what was seen is too little to tell."""
        with self._lock:
            if not self._slots:
                return None
            since = bisect_left(self._times_ms, self._times_ms[-1] - _MEASURED_OVER_MS)
            slots, passed_ms = self._slots[-1] - self._slots[since], self._times_ms[-1] - self._times_ms[since]
            return max(1, round(passed_ms / slots)) if slots >= _LEAST_SLOTS_TO_MEASURE else None

    def age_ms(self, slot: int, now_ms: int) -> int | None:
        """How long ago the chain came to `slot`; None where what was seen doesn't reach back to it."""
        with self._lock:
            at = bisect_left(self._slots, slot)
            if at == len(self._slots):
                return 0
            if self._slots[at] == slot:
                return max(0, now_ms - self._times_ms[at])
            # between the two sightings around it, or from the first and the last backwards
            before, after = (at - 1, at) if at else (0, len(self._slots) - 1)
            slots = self._slots[after] - self._slots[before]
            if slots == 0:
                return None
            passed_ms = (slot - self._slots[before]) * (self._times_ms[after] - self._times_ms[before]) // slots
            return max(0, now_ms - self._times_ms[before] - passed_ms)

    def _forget_another_chain(self, slot: int, now_ms: int) -> None:
        if not self._slots or slot >= self._slots[-1]:
            self._lower_since_ms = None
        elif self._lower_since_ms is None or now_ms < self._lower_since_ms:
            self._lower_since_ms = now_ms
        set_back = bool(self._times_ms) and now_ms < self._times_ms[-1] - _APART_MS
        lower_for_ms = 0 if self._lower_since_ms is None else now_ms - self._lower_since_ms
        if set_back or lower_for_ms > _FORGOTTEN_AFTER_MS:
            self._slots.clear()
            self._times_ms.clear()
            self._lower_since_ms = None
