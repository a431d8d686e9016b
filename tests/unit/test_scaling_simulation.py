"""The simulation of how the engine scales: its stations hold what they promise, and its runs can be repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scaling.limits import Limits, change_for
from bench.scaling.search import steps_to
from bench.scaling.simulation import Profile, Simulation, capacities, percentile
from bench.scaling.stations import Rate, Refused, Slots

PROFILE = Profile(
    api=(0.02, 0.03),
    worker=(0.7, 0.8),
    publishing=0.05,
    rpc_calls=10.0,
    api_units=2.0,
    worker_units=12.0,
    account_units=11.0,
    due_units=4.0,
    transactions=3.0,
    posts=5.0,
    compute_units=80_000.0,
)
AMPLE = Limits(
    gateway=1e6,
    orders_per_minute=1e9,
    orders_at_once=10**6,
    lambda_concurrency=10**6,
    mapping_start=10**6,
    partition=1e9,
    table=1e9,
    publishers_per_shard=10**6,
    gateway_account=1e9,
    websocket_connects=1e9,
    kms=1e9,
    transaction_seconds=1e-9,
    rpc_per_second=1e9,
    account_units=1e15,
    block_units=1e15,
)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.floats(1, 50), st.floats(0, 20))
def test_a_rate_never_gives_more_than_it_has(gaps: list[float], per_second: float, burst: float) -> None:
    rate, now, given_at = Rate("r", per_second, float("inf"), burst), 0.0, []
    for gap in gaps:
        now += gap
        given_at.append(rate.take(1, now))
        assert given_at[-1] >= now
    for first, start in enumerate(given_at):
        for last in range(first, len(given_at)):
            allowed = burst + (given_at[last] - start) * per_second + 1
            assert last - first <= allowed * (1 + 1e-9) + 1e-6


def test_who_would_wait_too_long_for_a_rate_is_turned_away_and_takes_nothing() -> None:
    rate = Rate("r", 1.0, patience=2.0)
    assert [rate.take(1, 0.0) for _ in range(3)] == [1.0, 2.0, 3.0]
    with pytest.raises(Refused):
        rate.take(1, 0.0)
    assert rate.tally.refused == 1
    assert rate.take(1, 1.0) == 4.0


def test_slots_are_given_in_the_order_of_the_asking_and_never_more_than_there_are() -> None:
    slots, got = Slots("s", lambda now: 2), []
    for asker in range(4):
        slots.take(float(asker), lambda now, asker=asker: got.append((asker, now)))  # type: ignore[misc]
    assert got == [(0, 0.0), (1, 1.0)]
    slots.give_back(10.0)
    slots.give_back(11.0)
    assert got[2:] == [(2, 10.0), (3, 11.0)]
    assert slots.tally.waited == 8.0 + 8.0


def test_a_run_with_the_same_seed_is_the_same_run() -> None:
    first, again = (Simulation(PROFILE, Limits(), 7).run(200, 2) for _ in range(2))
    assert (first.confirmed, first.told, first.refused) == (again.confirmed, again.told, again.refused)
    assert Simulation(PROFILE, Limits(), 8).run(200, 2).confirmed != first.confirmed


def test_where_nothing_is_scarce_every_order_takes_what_it_takes_alone() -> None:
    outcome = Simulation(PROFILE, AMPLE, 1).run(6000, 0.5)
    assert outcome.refused == outcome.waiting == 0
    assert len(outcome.told) == outcome.offered > 2000
    assert min(outcome.confirmed) >= 0.72
    assert percentile(outcome.confirmed, 100) <= 0.83 + 0.01


@pytest.mark.parametrize(
    ("scarce", "station"),
    [
        ({"orders_at_once": 5}, "workers at once"),
        ({"lambda_concurrency": 6}, "Lambda concurrency"),
        ({"rpc_per_second": 60.0}, "Solana node"),
        ({"kms": 6.0}, "KMS"),
        ({"table": 90.0, "partition": 90.0, "publishers_per_shard": 10**6}, "orders table"),
    ],
)
def test_the_scarcest_limit_sets_the_pace(scarce: dict[str, float], station: str) -> None:
    limits = replace(AMPLE, **scarce)  # type: ignore[arg-type]
    if station == "orders table":
        limits = replace(limits, open_shards=10**4, account_parts=10**4, admission_items=10**4)
    able = capacities(PROFILE, limits)
    assert min(able, key=lambda name: able[name]) == station
    outcome = Simulation(PROFILE, limits, 3).run(2 * able[station], 3)
    assert not outcome.healthy(0.8)
    assert outcome.in_the_way() in (station, "workers at once")
    # three minutes of orders, and seven in which what was accepted may end
    assert len(outcome.confirmed) <= able[station] * (3 * 2 + 1) * 1.05


def test_the_search_changes_what_binds_until_the_load_is_carried() -> None:
    steps, limits = steps_to(1000, 2, PROFILE, seed=1)
    assert steps[-1].binding is None
    assert steps[-1].outcome.waiting == steps[-1].outcome.refused == 0
    assert all(step.change is not None for step in steps[:-1])
    assert min(capacities(PROFILE, limits).values()) > 1000


def test_what_solana_itself_can_not_take_no_change_of_ours_carries() -> None:
    assert change_for("Solana's blocks", Limits(), 1e6) is None
    assert capacities(PROFILE, Limits())["Solana's blocks"] < 1e6


@pytest.mark.parametrize("station", [name for name in capacities(PROFILE, Limits()) if name != "Solana's blocks"])
def test_every_other_limit_has_a_change_that_raises_it(station: str) -> None:
    change = change_for(station, Limits(), 100_000)
    assert change is not None
    before, after = capacities(PROFILE, Limits()), capacities(PROFILE, change.apply(Limits()))
    assert after[station] > before[station]
