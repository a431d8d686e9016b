"""From when until when: what a listing of orders or fills is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fillrate.terms import time_text


@dataclass(frozen=True, slots=True)
class Period:
    """`since` is included, `until` is not; None: without such an end."""

    since: datetime | str | None = None
    until: datetime | str | None = None

    def to_query(self) -> dict[str, str]:
        """The ends that are given, as the service takes them. Raises ValueError for a time without a zone."""
        ends = {"from": ("since", self.since), "to": ("until", self.until)}
        return {name: time_text(moment, called) for name, (called, moment) in ends.items() if moment is not None}


ALWAYS = Period()
