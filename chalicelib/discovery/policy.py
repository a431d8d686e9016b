"""What the operators let a scheduled search for pools do. Functions that never ask the chain read it: no solders."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiscoveryPolicy:
    """Off, a scheduled search does nothing; without `auto_add` nothing that it finds trades.

    `least_depth` is in base units of the reference currency, which the pool itself must trade; `least_age_ms` counts
    from a time at which the pool was there for certain, or from when a search first saw it.
    """

    on: bool = False
    auto_add: bool = False
    least_depth: int = 0
    least_age_ms: int = 0
