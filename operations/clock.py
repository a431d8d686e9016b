"""The operators' clock."""

from __future__ import annotations

import time


def now_ms() -> int:
    """The present time."""
    return time.time_ns() // 1_000_000
