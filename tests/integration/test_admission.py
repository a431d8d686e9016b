"""The pace at which orders start: never more than the limit in any 60 s, and nobody's slot given twice."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.orders.admission import GRACE_MS, LONGEST_WAIT_MS, WINDOW_MS, Admission, Pace, is_on_time
from chalicelib.problems import Backlogged
from tests.integration.cloud import Cloud, cloud_in_memory

NOW = 1_760_000_000_000


def most_in_any_window(starts: list[int]) -> int:
    starts = sorted(starts)
    return max(sum(1 for start in starts if first <= start < first + WINDOW_MS) for first in starts)


@given(
    limit=st.integers(min_value=2, max_value=40),
    data=st.data(),
    waits=st.lists(st.integers(min_value=0, max_value=20_000), min_size=5, max_size=90),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_in_any_sixty_seconds_no_more_orders_start_than_the_limit(
    limit: int, data: st.DataObject, waits: list[int]
) -> None:
    burst = data.draw(st.integers(min_value=1, max_value=limit - 1))
    lateness = st.integers(min_value=0, max_value=GRACE_MS)
    with cloud_in_memory() as cloud:
        admission, now, starts = cloud.admission(limit, burst), NOW, []
        for wait in waits:
            now += wait
            slot = admission.reserve(now)
            assert slot >= now
            starts.append(slot + data.draw(lateness))
            assert is_on_time(slot, starts[-1])
    assert most_in_any_window(starts) <= limit


def test_a_burst_starts_at_once_and_the_rest_one_interval_apart(cloud: Cloud) -> None:
    pace = Pace(limit=100, burst=10)
    admission = Admission(cloud.dynamodb, cloud.outputs["ControlTable"], pace)

    slots = [admission.reserve(NOW) for _ in range(13)]

    assert slots[:10] == [NOW] * 10
    assert slots[10:] == [NOW + pace.interval_ms * n for n in (1, 2, 3)]


def test_after_a_quiet_time_a_whole_burst_starts_at_once_again(cloud: Cloud) -> None:
    admission = cloud.admission(limit=100, burst=10)
    for _ in range(30):
        admission.reserve(NOW)
    later = NOW + 60 * 60 * 1000
    assert [admission.reserve(later) for _ in range(10)] == [later] * 10


def test_beyond_the_longest_wait_an_order_is_refused_and_takes_no_slot(cloud: Cloud) -> None:
    admission = cloud.admission(limit=4, burst=1)
    while True:
        try:
            last = admission.reserve(NOW, LONGEST_WAIT_MS)
        except Backlogged as refused:
            seconds = refused.retry_after_seconds or 0
            break
    assert last <= NOW + LONGEST_WAIT_MS
    with pytest.raises(Backlogged):
        admission.reserve(NOW, LONGEST_WAIT_MS)
    # what was refused is admitted after the time that was told, in the slot that was left free
    after = admission.reserve(NOW + seconds * 1000, LONGEST_WAIT_MS)
    assert after == last + Pace(limit=4, burst=1).interval_ms


def test_clients_of_one_moment_each_get_a_slot_of_their_own(cloud: Cloud) -> None:
    """Another client takes the next slot just before each of our writes: the condition makes ours look anew."""
    pace = Pace(limit=100, burst=1)
    rival = Admission(cloud.dynamodb, cloud.outputs["ControlTable"], pace)
    taken: list[int] = []

    class Outrun(Admission):
        def _queue_up(self, now_ms: int, longest_wait_ms: int | None) -> int | None:
            taken.append(rival.reserve(now_ms))
            return super()._queue_up(now_ms, longest_wait_ms)

        def _begin_anew(self, now_ms: int) -> bool:
            taken.append(rival.reserve(now_ms))
            return super()._begin_anew(now_ms)

    ours = [Outrun(cloud.dynamodb, cloud.outputs["ControlTable"], pace).reserve(NOW) for _ in range(5)]

    assert len({*ours, *taken}) == len(ours) + len(taken)


@pytest.mark.parametrize(("limit", "burst"), [(1, 1), (10, 10), (10, 0)])
def test_a_pace_that_can_not_be_kept_is_refused(limit: int, burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        Pace(limit, burst)
