"""The simulation of looks: pairs wait for each other only where watchers or the nodes' pace run out, and then alike."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bench.cost.prices import tariff
from bench.scaling.waiting import WatchLoad, pair_hour, read_units, simulate, told
from bench.written import RECORD
from infra.project import PROJECT

SEED = 3


def test_with_watchers_enough_the_gap_is_the_pause_and_the_queue() -> None:
    gaps = simulate(WatchLoad(pairs=10, watchers=10, judging=0.1), 60.0, SEED)
    assert 1.0 < min(gaps.all) <= max(gaps.all) < 1.07


def test_with_too_few_the_gaps_grow_for_all_pairs_alike() -> None:
    gaps = simulate(WatchLoad(pairs=10, watchers=1, judging=0.5), 120.0, SEED)
    longest = [max(of_pair) for of_pair in gaps.by_pair.values()]
    assert min(longest) > 4.0
    assert max(longest) - min(longest) < 2.0


def test_a_nodes_pace_is_kept_and_shared_evenly() -> None:
    gaps = simulate(WatchLoad(pairs=20, watchers=20, judging=0.0, looks_a_second=5.0), 120.0, SEED)
    assert gaps.looks <= 120 * 5 + 20
    looks = [len(of_pair) for of_pair in gaps.by_pair.values()]
    assert max(looks) - min(looks) <= 2


def test_nobody_watches_nothing() -> None:
    with pytest.raises(ValueError, match="nobody"):
        simulate(WatchLoad(1, 0, 0.1), 1.0, SEED)


def test_a_pairs_looks_cost_the_same_however_many_orders_wait_but_for_reading_them() -> None:
    few, many = (pair_hour(number, 0.1, stored_a_minute=False) for number in (1, 2_000))
    for name in ("sqsRequest", "lambdaRequest", "lambdaGbSecond"):
        assert few.billed[name] == many.billed[name]
    assert many.dollars(tariff()) < 3 * few.dollars(tariff())
    assert read_units(2_000) < Decimal(100)


def test_what_waiting_costs_is_told_as_it_was_simulated() -> None:
    page, docs = (RECORD / "waiting_scaling.md").read_text(), (PROJECT / "docs" / "deploy.md").read_text()
    calm, rising = pair_hour(2_000, 0.1, stored_a_minute=False), pair_hour(2_000, 0.8, stored_a_minute=True)
    for name in ("dynamodbWriteUnit", "dynamodbReadUnit"):
        assert f"| {calm.billed[name]:,.0f} | {rising.billed[name]:,.0f} |" in docs
    assert f"| {calm.dollars(tariff()):.4f} | {rising.dollars(tariff()):.4f} |" in docs
    alone = "A pair with one waiting order costs $11.04 a month."
    assert alone in page
    assert "costs $11.04 a month" in docs


def test_the_page_is_what_the_simulation_says() -> None:
    page = (RECORD / "waiting_scaling.md").read_text()
    assert page == told(calm=0.1, rising=0.8, seed=1)
