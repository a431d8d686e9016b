"""A rate's numbers: how far apart passes are, and how many may come at once."""

from __future__ import annotations

import pytest

from chalicelib.rate import Rate, per_minute


@pytest.mark.parametrize(("limit", "burst"), [(1, 1), (5, 1), (6, 1), (60, 10), (65, 10), (100, 16)])
def test_a_sixth_of_what_may_pass_in_a_minute_may_come_at_once(limit: int, burst: int) -> None:
    assert per_minute(limit) == Rate(limit, burst, 60_000_000)
    assert isinstance(per_minute(limit).burst, int)
