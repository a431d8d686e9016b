"""How often a node is asked: by its own count never more than the pace, whatever the network does to the calls."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.discovery.pace import PartOfPace
from chalicelib.solana.pacing import LEAST_CALLS_IN_WINDOW, WINDOW_MS, OwnPace, Pace, Shares, shares_of, workers_for

FAR = 3_600_000


def most_in(times_ms: list[int], window_ms: int) -> int:
    """The most of them within any window, its end left out."""
    times = sorted(times_ms)
    return max((sum(start <= at < start + window_ms for at in times) for start in times), default=0)


@settings(max_examples=200, deadline=None)
@given(
    in_window=st.integers(1, 40),
    steps=st.lists(
        st.tuples(st.integers(0, 4_000), st.integers(1, 3), st.integers(0, 3_000), st.integers(0, 3_000)), max_size=60
    ),
)
def test_by_the_nodes_own_count_no_ten_seconds_have_more_calls_than_the_share(
    in_window: int, steps: list[tuple[int, int, int, int]]
) -> None:
    """A call arrives at any time between its sending and its answer; between two calls any time passes."""
    pace, now_ms, arrivals = OwnPace(in_window), 1_000_000, []
    for idle_ms, calls, way_there_ms, way_back_ms in steps:
        now_ms += idle_ms
        turn = pace.take(min(calls, in_window), now_ms, FAR)
        assert turn.taken
        now_ms += turn.wait_ms + way_there_ms
        arrivals += [now_ms] * min(calls, in_window)
        now_ms += way_back_ms
        pace.answered(turn, now_ms)
    assert most_in(arrivals, WINDOW_MS) <= in_window


@given(in_window=st.integers(1, 400))
def test_a_share_is_used_up_where_calls_are_quick(in_window: int) -> None:
    pace, now_ms, made = OwnPace(in_window), 0, 0
    while True:
        turn = pace.take(1, now_ms, FAR)
        if now_ms + turn.wait_ms >= WINDOW_MS - 1_000:
            break
        now_ms += turn.wait_ms
        pace.answered(turn, now_ms)
        made += 1
    assert made >= in_window * 0.8 - 1


def test_no_second_has_more_than_a_tenth_of_the_share_rounded_up() -> None:
    pace, now_ms, times = OwnPace(30), 0, []
    for _ in range(30):
        turn = pace.take(1, now_ms, FAR)
        now_ms += turn.wait_ms
        times.append(now_ms)
        pace.answered(turn, now_ms)
    assert most_in(times, 1_000) == 3


def test_a_turn_that_is_too_far_away_takes_no_place() -> None:
    pace = OwnPace(1)
    assert pace.take(1, 0, 0).taken
    for _ in range(5):
        refused = pace.take(1, 1_000, 0)
        assert (refused.taken, refused.wait_ms) == (False, 9_000)
    assert pace.take(1, 10_001, 0).taken


def test_two_that_wait_at_once_get_places_one_after_the_other() -> None:
    pace = OwnPace(2)
    waits = [pace.take(1, 0, FAR).wait_ms for _ in range(4)]
    assert waits == [0, 1_000, 10_000, 11_000]


def test_more_calls_at_once_than_the_share_has_are_made_alone() -> None:
    pace = OwnPace(3)
    pace.take(1, 0, FAR)
    assert pace.take(5, 0, FAR).wait_ms == WINDOW_MS


def test_a_clock_that_is_set_back_keeps_nobody_waiting() -> None:
    pace = OwnPace(1)
    pace.take(1, 100 * FAR, FAR)
    assert pace.take(1, 0, 0).taken


# --- the stage's pace, divided -------------------------------------------------------------------------------------


def test_forty_calls_in_ten_seconds_are_three_for_each_of_eleven_workers_and_seven_for_the_api() -> None:
    assert shares_of(Decimal(4), 10) == Shares(worker=3, api=7)


@given(pace=st.decimals(Decimal("0.1"), 1_000, places=1), orders_at_once=st.integers(1, 200))
def test_all_shares_together_are_the_pace(pace: Decimal, orders_at_once: int) -> None:
    try:
        shares = shares_of(pace, orders_at_once)
    except ValueError:
        return
    assert shares.worker * workers_for(orders_at_once) + shares.api == int(pace * 10)
    assert shares.worker >= LEAST_CALLS_IN_WINDOW
    assert shares.api >= int(pace * 10) // 10


def test_a_pace_too_slow_for_so_many_orders_says_how_many_it_carries() -> None:
    with pytest.raises(ValueError, match="carry at most 8 orders at once, not 10"):
        shares_of(Decimal(3), 10)
    assert shares_of(Decimal(3), 8).worker == 3


def test_a_part_of_a_pace_keeps_to_both() -> None:
    shared, now_ms = OwnPace(20), 0
    mine: list[int] = []
    all_of_them: list[int] = []
    paces: list[tuple[Pace, list[list[int]]]] = [
        (PartOfPace(shared, 10), [mine, all_of_them]),
        (shared, [all_of_them]),
    ]
    while now_ms < 3 * WINDOW_MS:
        for pace, times in paces:
            turn = pace.take(1, now_ms, FAR)
            assert turn.taken
            now_ms += turn.wait_ms
            pace.answered(turn, now_ms)
            for counted in times:
                counted.append(now_ms)
    assert most_in(mine, WINDOW_MS) <= 10
    assert most_in(all_of_them, WINDOW_MS) <= 20


def test_a_part_of_a_pace_takes_nothing_where_the_whole_is_taken() -> None:
    shared = OwnPace(1)
    assert shared.take(1, 0, FAR).taken
    turn = PartOfPace(shared, 5).take(1, 0, longest_wait_ms=100)
    assert not turn.taken
    assert turn.wait_ms > 100
