"""How often something may happen: at most so many in any period, some of them at once. Pure.

The generic cell rate algorithm (GCRA, ITU-T I.371): each pass moves the theoretical arrival time on by one interval; a
pass conforms while that time is no further ahead of the clock than the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.amounts import ceil_div


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` passes in any `period`, of which `burst` may come at once. All times in the period's unit."""

    limit: int
    burst: int
    period: int

    def __post_init__(self) -> None:
        if not 0 < self.burst <= self.limit:
            raise ValueError("burst must be at least 1 and at most the limit")

    @property
    def interval(self) -> int:
        """How far apart passes are once the burst is used up, rounded up.

        In a period that begins with a whole burst, `ceil(period / interval) - 1` more conform: `limit` in all.
        """
        return ceil_div(self.period, self.limit - self.burst + 1)

    @property
    def tolerance(self) -> int:
        """How far the theoretical arrival time may be ahead of the clock."""
        return (self.burst - 1) * self.interval


def per_minute(limit: int) -> Rate:
    """`limit` in any 60 s, a sixth of them (at least one) at once. Times in microseconds."""
    return Rate(limit, max(1, limit // 6), 60_000_000)
