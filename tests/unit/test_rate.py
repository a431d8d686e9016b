"""A rate's numbers: how far apart passes are, and how many may come at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.rate import Rate, per_minute


@pytest.mark.parametrize(("limit", "burst"), [(1, 1), (5, 1), (6, 1), (60, 10), (65, 10), (100, 16)])
def test_a_sixth_of_what_may_pass_in_a_minute_may_come_at_once(limit: int, burst: int) -> None:
    assert per_minute(limit) == Rate(limit, burst, 60_000_000)
    assert isinstance(per_minute(limit).burst, int)


@pytest.mark.parametrize(
    ("rate", "interval", "tolerance"),
    [
        (Rate(1, 1, 60), 60, 0),
        (Rate(10, 1, 60), 6, 0),
        (Rate(10, 10, 60), 60, 540),
        (Rate(10, 5, 60), 10, 40),
        (Rate(10, 4, 60), 9, 27),
    ],
)
def test_after_the_burst_passes_are_so_far_apart_that_no_period_has_more_than_the_limit(
    rate: Rate, interval: int, tolerance: int
) -> None:
    assert (rate.interval, rate.tolerance) == (interval, tolerance)


@pytest.mark.parametrize(("limit", "burst"), [(1, 0), (5, 6), (0, 0), (5, -1)])
def test_a_burst_is_one_at_least_and_the_limit_at_most(limit: int, burst: int) -> None:
    with pytest.raises(ValueError, match="burst must be at least 1"):
        Rate(limit, burst, 60)


@given(st.integers(1, 200), st.data())
def test_in_no_period_more_pass_than_the_limit(limit: int, data: st.DataObject) -> None:
    """All that come as early as they may: a burst, then one for each interval."""
    rate = Rate(limit, data.draw(st.integers(1, limit)), data.draw(st.integers(1, 10_000)))
    passes = rate.burst + -(-rate.period // rate.interval) - 1
    assert passes <= rate.limit
