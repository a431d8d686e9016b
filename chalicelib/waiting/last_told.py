"""What a stream of quotes was told last: goes from look to look with the pair's message. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LastTold:
    """A digest of what it was told, for which of its client's wishes that was, and when; times are ms."""

    digest: str
    asked_at_ms: int
    at_ms: int
