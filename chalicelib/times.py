"""Times as text. Inside a time is an integer: milliseconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

SECOND_MS = 1_000
DAY_MS = 24 * 60 * 60 * SECOND_MS
# RFC 3339, 5.6: a date, a time to the second or finer, and a zone, which it can't be without.
TIME_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII
)


def time_text(at_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def parse_time(text: str) -> int:
    """An RFC 3339 time in milliseconds since the epoch, what is finer cut off. Raises ValueError, also without zone."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("must be a time by RFC 3339 with its zone, such as 2026-01-31T12:00:00Z")
    *moment, fraction, sign, hours, minutes = found.groups()
    try:
        zone = UTC
        if sign is not None:
            if int(hours) > 23 or int(minutes) > 59:
                raise ValueError
            ahead = timedelta(hours=int(hours), minutes=int(minutes))
            zone = timezone(-ahead if sign == "-" else ahead)
        year, month, day, hour, minute, second = map(int, moment)
        since = datetime(year, month, day, hour, minute, second, tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a time that there is") from None
    return (since.days * 86_400 + since.seconds) * SECOND_MS + int((fraction or "").ljust(3, "0")[:3])
