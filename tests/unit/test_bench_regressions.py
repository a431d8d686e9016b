"""A run is compared with the one on record: counts fail, times warn, and the machine's speed is taken out of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.orders.run import OrdersRun
from bench.percentiles import percentile
from bench.regressions import Figure, figures_of_orders, figures_of_quotes, ratios

RUN = OrdersRun(
    orders={"one by one": 10, "at once": 20, "counted": 12},
    ms={"POST": {"p50": 20.0, "p95": 40.0, "p99": 50.0}},
    accepted_a_second=30.0,
    confirmed_a_second=10.0,
    processor_ms={
        "one by one": {"APIHandler": 8.0, "ExecuteOrder": 12.0, "emulator": 40.0, "chain": 9.0, "clients": 5.0}
    },
    calls={"APIHandler": 4.0, "ExecuteOrder": 12.0},
    write_units=50.0,
    read_units=20.0,
    usd_a_million=80.0,
    package_bytes=14_700_000,
    packaged_for="lambda",
    reference_loop_ms=10.0,
    load_before=0.1,
    machine="a machine",
)


def failing(now: OrdersRun) -> list[str]:
    return [figure.what for figure in figures_of_orders(RUN, now) if figure.is_failure]


def worse(now: OrdersRun) -> list[str]:
    return [figure.what for figure in figures_of_orders(RUN, now) if figure.is_worse]


def test_the_same_run_is_no_worse() -> None:
    assert worse(RUN) == []


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (replace(RUN, calls={"APIHandler": 4.0, "ExecuteOrder": 15.3}), "AWS calls an order"),
        (replace(RUN, write_units=60.1), "DynamoDB write units an order"),
        (replace(RUN, read_units=24.1), "DynamoDB read units an order"),
        (replace(RUN, package_bytes=17_700_000), "the deployment zip in MB"),
    ],
)
def test_a_fifth_more_of_what_is_counted_fails(now: OrdersRun, what: str) -> None:
    assert failing(now) == worse(now) == [what]


def test_a_fifth_more_and_no_more_is_let_pass() -> None:
    assert worse(replace(RUN, write_units=60.0, read_units=24.0)) == []


def test_a_slower_run_warns_and_does_not_fail() -> None:
    slow = replace(
        RUN, ms={"POST": {"p50": 25.0, "p95": 40.0, "p99": 50.0}}, processor_ms={"one by one": {"ExecuteOrder": 24.5}}
    )
    assert sorted(worse(slow)) == ["POST, p50, in loops", "functions' processor time, one by one, in loops"]
    assert failing(slow) == []


def test_a_slower_machine_is_no_slower_run() -> None:
    slow = replace(RUN, ms={"POST": {"p50": 60.0, "p95": 120.0, "p99": 150.0}}, reference_loop_ms=30.0)
    assert worse(slow) == []


def test_the_emulators_time_and_the_clients_are_none_of_the_functions() -> None:
    assert RUN.functions_ms == {"one by one": 20.0}


def test_packages_for_different_systems_are_not_compared() -> None:
    assert worse(replace(RUN, package_bytes=30_000_000, packaged_for="host")) == []


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "orders.json").write_text(RUN.to_json())
    assert OrdersRun.load(tmp_path / "orders.json") == RUN


def test_quotes_are_compared_by_their_ratio_to_the_sdks_where_that_was_timed(tmp_path: Path) -> None:
    rows = [{"name": "a pool", "first quote": 30.0, "SDK quote": 10.0}, {"name": "a split", "first quote": 99.0}]
    path = tmp_path / "quotes.json"
    assert ratios(path) == {}
    path.write_text(json.dumps(rows))
    assert ratios(path) == {"a pool": 3.0}
    (figure,) = figures_of_quotes({"a pool": 2.0, "another": 1.0}, ratios(path))
    assert (figure.is_worse, figure.is_failure) == (True, False)
    assert str(figure) == "slower  a pool, by the SDK's time: 3.00, 2.00 on record"


def test_a_failure_says_so() -> None:
    assert str(Figure("calls", 10.0, 13.0, is_count=True)).startswith("FAILED ")


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 2), (75, 3), (95, 4), (100, 4)])
def test_a_percentile_is_one_of_the_values(percent: int, value: int) -> None:
    assert percentile([3, 1, 4, 2], percent) == value


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 50)
