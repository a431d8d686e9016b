"""Times as clients write them: RFC 3339, with a zone, exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.times import parse_time, time_text

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(9000, 1, 1)), ZONES)  # noqa: DTZ001 - hypothesis adds it
def test_a_time_in_any_zone_is_the_moment_that_it_names(at: datetime, zone: timezone) -> None:
    moment = at.replace(tzinfo=zone)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_time(moment.isoformat()) == since // timedelta(milliseconds=1)


@given(st.integers(0, 10**14))
def test_what_we_write_is_read_as_what_it_was(at_ms: int) -> None:
    assert parse_time(time_text(at_ms)) == at_ms


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-01-31T12:00:00Z", 1_769_860_800_000),
        ("2026-01-31t12:00:00z", 1_769_860_800_000),
        ("2026-01-31T13:30:00.5+01:30", 1_769_860_800_500),
        ("2026-01-31T12:00:00.999999999Z", 1_769_860_800_999),
        ("2026-01-31T12:00:00-00:00", 1_769_860_800_000),
    ],
)
def test_every_form_of_the_standard_is_read(text: str, at_ms: int) -> None:
    assert parse_time(text) == at_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "2026-02-30T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "0000-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00UTC",
        "٢٠٢٦-01-31T12:00:00Z",
        "1769860800000",
    ],
)
def test_what_is_no_such_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text)
