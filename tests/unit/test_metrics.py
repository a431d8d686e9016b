"""Metrics as CloudWatch reads them out of the logs."""

from __future__ import annotations

import pytest

from chalicelib.aws.cloudwatch_metrics import flush
from chalicelib.metrics import Metric, note
from tests.log_lines import flushed, values


@pytest.fixture(autouse=True)
def nothing_noted_before(capsys: pytest.CaptureFixture[str]) -> None:
    flush()
    capsys.readouterr()


def test_a_value_counts_under_its_dimensions_and_under_fewer_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    note(Metric.RPC_ERRORS, kind="unavailable", method="getSlot")
    lines = flushed(capsys)
    assert values(lines, "RpcErrors", kind="unavailable", method="getSlot") == [1]
    assert values(lines, "RpcErrors", kind="unavailable") == [1]
    assert values(lines, "RpcErrors") == [1]
    assert values(lines, "RpcErrors", method="getSlot") == []


def test_values_of_other_dimensions_are_kept_apart_and_add_up_above_them(capsys: pytest.CaptureFixture[str]) -> None:
    note(Metric.ORDERS_BY_OUTCOME, outcome="failed", error_code="NO_POOL")
    note(Metric.ORDERS_BY_OUTCOME, outcome="failed", error_code="HALTED")
    note(Metric.ORDERS_BY_OUTCOME, outcome="confirmed")
    lines = flushed(capsys)
    assert values(lines, "OrdersByOutcome", outcome="failed", error_code="NO_POOL") == [1]
    assert values(lines, "OrdersByOutcome", outcome="failed") == [1, 1]
    assert values(lines, "OrdersByOutcome") == [1, 1, 1]


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
def test_however_many_values_there_are_each_is_written_once(capsys: pytest.CaptureFixture[str], count: int) -> None:
    for number in range(count):
        note(Metric.ORDER_MS, number, outcome="confirmed")
    lines = flushed(capsys)
    assert values(lines, "OrderMs", outcome="confirmed") == list(range(count))
    assert values(lines, "OrderMs") == list(range(count))


def test_what_was_written_is_not_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    note(Metric.RETRIES, 2)
    assert values(flushed(capsys), "Retries") == [2]
    assert flushed(capsys) == []


def test_times_are_milliseconds_and_a_balance_has_no_unit(capsys: pytest.CaptureFixture[str]) -> None:
    note(Metric.STEP_MS, 12, step="routing")
    note(Metric.WALLET_LAMPORTS, 10**12)
    note(Metric.DEAD_LETTERS, reason="NO_POOL")
    lines = flushed(capsys)
    units = {
        metric["Name"]: metric["Unit"]
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert units == {"StepMs": "Milliseconds", "WalletLamports": "None", "DeadLetters": "Count"}


@pytest.mark.parametrize(
    ("metric", "dimensions"),
    [
        (Metric.RETRIES, {"outcome": "failed"}),
        (Metric.RPC_ERRORS, {"method": "getSlot"}),
        (Metric.RPC_ERRORS, {"method": "getSlot", "kind": "refused"}),
    ],
)
def test_a_metric_is_told_apart_by_its_own_dimensions_alone(metric: Metric, dimensions: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=metric.value):
        note(metric, 1, **dimensions)
