"""Times as text. Inside a time is an integer: milliseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(at_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
