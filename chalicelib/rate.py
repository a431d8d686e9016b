"""How often something may happen: at most so many in any period, some of them at once. Pure.

The generic cell rate algorithm (GCRA, ITU-T I.371): each pass moves the theoretical arrival time on by one interval; a
pass conforms while that time is no further ahead of the clock than the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` passes in any `period_us`, of which `burst` may come at once. Times in microseconds."""

    limit: int
    burst: int
    period_us: int

    def __post_init__(self) -> None:
        if not 0 < self.burst <= self.limit:
            raise ValueError("burst must be at least 1 and at most the limit")

    @property
    def interval_us(self) -> int:
        """How far apart passes are once the burst is used up, rounded up.

        In a period that begins with a whole burst, `ceil(period / interval) - 1` more conform: `limit` in all.
        """
        return -(-self.period_us // (self.limit - self.burst + 1))

    @property
    def tolerance_us(self) -> int:
        """How far the theoretical arrival time may be ahead of the clock."""
        return (self.burst - 1) * self.interval_us


def per_minute(limit: int) -> Rate:
    """`limit` in any 60 s, a sixth of them (at least one) at once."""
    return Rate(limit, max(1, limit // 6), 60_000_000)
