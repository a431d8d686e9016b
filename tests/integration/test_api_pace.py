"""The share of a node's pace that the API's processes have together: counted where all of them see it."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb.api_pace import ApiPace
from chalicelib.solana.pacing import WINDOW_MS
from tests.integration.cloud import Cloud, cloud_in_memory

NOW = 1_760_000_000_000
FAR = 3_600_000


def process_of(cloud: Cloud, in_window: int, node: int = 1) -> ApiPace:
    return ApiPace(cloud.dynamodb, cloud.outputs["ControlTable"], node, in_window)


@given(
    in_window=st.integers(1, 20),
    steps=st.lists(
        st.tuples(st.integers(0, 3_000), st.integers(1, 2), st.integers(0, 1_000), st.integers(0, 2)),
        min_size=5,
        max_size=60,
    ),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_however_many_processes_there_are_no_ten_seconds_have_more_calls_than_the_share(
    in_window: int, steps: list[tuple[int, int, int, int]]
) -> None:
    with cloud_in_memory() as cloud:
        processes, now_ms, arrivals = [process_of(cloud, in_window) for _ in range(3)], NOW, []
        for idle_ms, calls, way_there_ms, number in steps:
            now_ms += idle_ms
            calls = min(calls, in_window)
            turn = processes[number].take(calls, now_ms, FAR)
            assert turn.taken
            arrivals += [now_ms + turn.wait_ms + way_there_ms] * calls
    most = max(sum(start <= at < start + WINDOW_MS for at in arrivals) for start in arrivals)
    assert most <= in_window


def test_a_turn_that_is_too_far_away_takes_no_place(cloud: Cloud) -> None:
    pace = process_of(cloud, in_window=1)
    assert pace.take(1, NOW, 0).taken
    for _ in range(3):
        refused = pace.take(1, NOW, 1_000)
        assert not refused.taken
        assert 1_000 < refused.wait_ms <= WINDOW_MS + 1_000
    assert pace.take(1, NOW + refused.wait_ms, 0).taken


def test_a_quarter_of_the_share_may_come_at_once(cloud: Cloud) -> None:
    pace = process_of(cloud, in_window=12)
    assert [pace.take(1, NOW, FAR).wait_ms for _ in range(5)] == [0, 0, 0, 1_100, 2_200]


def test_the_calls_of_a_quote_may_come_at_once_however_small_the_share(cloud: Cloud) -> None:
    assert process_of(cloud, in_window=2).take(2, NOW, 0).taken


def test_each_node_has_a_pace_of_its_own(cloud: Cloud) -> None:
    first, second = process_of(cloud, 1, node=1), process_of(cloud, 1, node=2)
    assert first.take(1, NOW, 0).taken
    assert second.take(1, NOW, 0).taken
    assert not process_of(cloud, 1, node=2).take(1, NOW, 0).taken
