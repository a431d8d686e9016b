"""The rate at which orders start: never more than the limit in any 60 s, and nobody's slot given twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.rate_cell import RateCell
from chalicelib.aws.dynamodb.start_rate import SharedStartRate
from chalicelib.aws.dynamodb.table import Table
from chalicelib.orders.start_rate import GRACE_MS, LONGEST_WAIT_MS, WINDOW_MS, is_on_time, starts_a_minute
from chalicelib.problems import Backlogged
from tests.integration.cloud import Cloud, cloud_in_memory

NOW = 1_760_000_000_000


def most_in_any_window(starts: list[int]) -> int:
    starts = sorted(starts)
    return max(sum(1 for start in starts if first <= start < first + WINDOW_MS) for first in starts)


@given(
    limit=st.integers(min_value=1, max_value=40),
    data=st.data(),
    waits=st.lists(st.integers(min_value=0, max_value=20_000), min_size=5, max_size=90),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_in_any_sixty_seconds_no_more_orders_start_than_the_limit(
    limit: int, data: st.DataObject, waits: list[int]
) -> None:
    burst = data.draw(st.integers(min_value=1, max_value=limit))
    lateness = st.integers(min_value=0, max_value=GRACE_MS)
    with cloud_in_memory() as cloud:
        start_rate, now, starts = cloud.start_rate(limit, burst), NOW, []
        for wait in waits:
            now += wait
            slot = start_rate.reserve(now)
            assert slot >= now
            starts.append(slot + data.draw(lateness))
            assert is_on_time(slot, starts[-1])
    assert most_in_any_window(starts) <= limit


def test_a_burst_starts_at_once_and_the_rest_one_interval_apart(cloud: Cloud) -> None:
    rate = starts_a_minute(limit=100, burst=10)
    start_rate = SharedStartRate(cloud.dynamodb, cloud.outputs["ControlTable"], rate)

    slots = [start_rate.reserve(NOW) for _ in range(13)]

    assert slots[:10] == [NOW] * 10
    assert slots[10:] == [NOW + rate.interval * n for n in (1, 2, 3)]


def test_after_a_quiet_time_a_whole_burst_starts_at_once_again(cloud: Cloud) -> None:
    start_rate = cloud.start_rate(limit=100, burst=10)
    for _ in range(30):
        start_rate.reserve(NOW)
    later = NOW + 60 * 60 * 1000
    assert [start_rate.reserve(later) for _ in range(10)] == [later] * 10


def test_beyond_the_longest_wait_an_order_is_refused_and_takes_no_slot(cloud: Cloud) -> None:
    start_rate = cloud.start_rate(limit=4, burst=1)
    while True:
        try:
            last = start_rate.reserve(NOW, LONGEST_WAIT_MS)
        except Backlogged as refused:
            seconds = refused.retry_after_seconds or 0
            break
    assert last <= NOW + LONGEST_WAIT_MS
    with pytest.raises(Backlogged):
        start_rate.reserve(NOW, LONGEST_WAIT_MS)
    # what was refused is admitted after the time that was told, in the slot that was left free
    after = start_rate.reserve(NOW + seconds * 1000, LONGEST_WAIT_MS)
    assert after == last + starts_a_minute(limit=4, burst=1).interval


def test_clients_of_one_moment_each_get_a_slot_of_their_own(cloud: Cloud) -> None:
    """Another client takes the next slot just before each of our writes: the condition makes ours look anew."""
    rate = starts_a_minute(limit=100, burst=1)
    rival = SharedStartRate(cloud.dynamodb, cloud.outputs["ControlTable"], rate)
    taken: list[int] = []

    class Outrun(Table):
        def update_and_tell(self, *write: Any) -> tuple[bool, Item]:
            taken.append(rival.reserve(NOW))
            return super().update_and_tell(*write)

    cell = RateCell(Outrun(cloud.dynamodb, cloud.outputs["ControlTable"]), "Ms", rate)
    ours = [cell.take({"name": "admission"}, NOW, None)[0] for _ in range(5)]

    assert len({*ours, *taken}) == len(ours) + len(taken)


def test_a_slot_that_an_earlier_release_gave_is_not_given_again(cloud: Cloud) -> None:
    """The item's attributes are as they have always been: a deploy begins no new minute."""
    stored = {"name": {"S": "admission"}, "tatMs": {"N": str(NOW + 30_000)}}
    cloud.dynamodb.put_item(TableName=cloud.outputs["ControlTable"], Item=stored)
    rate = starts_a_minute(limit=100, burst=10)
    start_rate = SharedStartRate(cloud.dynamodb, cloud.outputs["ControlTable"], rate)
    assert start_rate.reserve(NOW) == NOW + 30_000 - rate.tolerance


@pytest.mark.parametrize(("limit", "burst"), [(1, 2), (10, 11), (10, 0)])
def test_a_rate_that_can_not_be_kept_is_refused(limit: int, burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        starts_a_minute(limit, burst)
