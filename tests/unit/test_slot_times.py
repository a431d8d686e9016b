"""When the chain was at a slot: by what was seen of it, whatever a slot's length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.solana.slot_times import SlotTimes

MINUTE = 60_000


def test_a_slot_that_was_told_is_as_old_as_its_telling() -> None:
    times = SlotTimes()
    times.saw(100, 0)
    times.saw(150, 20_000)
    assert times.newest() == 150
    assert times.age_ms(100, 20_000) == 20_000
    assert times.age_ms(150, 20_300) == 300


def test_a_slot_beyond_all_that_was_told_has_no_age() -> None:
    times = SlotTimes()
    assert times.age_ms(7, 5) == 0
    times.saw(100, 0)
    assert times.age_ms(101, 400) == 0


@given(slot_ms=st.integers(50, 1_000), back=st.integers(0, 400))
def test_slots_between_and_before_those_seen_are_dated_by_the_chains_own_speed(slot_ms: int, back: int) -> None:
    times = SlotTimes()
    for slot in range(1_000, 1_100, 10):
        times.saw(slot, slot * slot_ms)
    now_ms = 1_090 * slot_ms
    told = times.age_ms(1_090 - back, now_ms)
    assert told is not None
    assert abs(told - back * slot_ms) <= 10


def test_one_sighting_dates_no_earlier_slot() -> None:
    times = SlotTimes()
    times.saw(100, 0)
    assert times.age_ms(90, 1_000) is None


def test_a_lower_slot_is_a_node_that_lags_and_no_news() -> None:
    times = SlotTimes()
    times.saw(100, 0)
    for second in range(120):
        times.saw(40, second * 1_000)
        times.saw(101 + second, second * 1_000 + 500)
    assert times.newest() == 220


def test_a_chain_that_was_started_again_is_followed_after_half_a_minute() -> None:
    times = SlotTimes()
    times.saw(1_000_000, 0)
    times.saw(5, MINUTE)
    assert times.newest() == 1_000_000, "a node that lags, after an idle minute, doesn't make the others forgotten"
    times.saw(80, MINUTE + 30_001)
    assert times.newest() == 80


def test_a_clock_that_is_set_back_begins_again() -> None:
    times = SlotTimes()
    times.saw(100, 10 * MINUTE)
    times.saw(101, 0)
    assert times.newest() == 101
    assert times.age_ms(101, 500) == 500


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 100)), max_size=600))
def test_what_is_seen_often_is_thinned_out_and_no_age_is_below_zero(steps: list[tuple[int, int]]) -> None:
    times, slot, now_ms = SlotTimes(), 1, 0
    for slots, ms in steps:
        slot, now_ms = slot + slots, now_ms + ms
        times.saw(slot, now_ms)
    assert all((times.age_ms(one, now_ms) or 0) >= 0 for one in range(0, slot + 10, 7))
    assert times.newest() <= slot
