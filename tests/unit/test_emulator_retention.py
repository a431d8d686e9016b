"""What the emulator keeps while it runs is bounded: by MiniStack's own code, with our bounds in it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ministack.services import cloudwatch_logs, dynamodb, lambda_svc

from infra.local_stack.emulator import retention

TABLE = "retention"


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours, for this test alone: others see MiniStack as it is."""
    monkeypatch.setattr(dynamodb, "_STREAM_RETENTION_SECONDS", dynamodb._STREAM_RETENTION_SECONDS)
    monkeypatch.setattr(lambda_svc, "_emit_lambda_logs", lambda_svc._emit_lambda_logs)
    retention.bound(dynamodb, lambda_svc, cloudwatch_logs)


def record(seconds_ago: float) -> dict[str, Any]:
    return {"dynamodb": {"ApproximateCreationDateTime": time.time() - seconds_ago}}


@pytest.mark.usefixtures("bounds")
def test_a_streams_record_stays_for_five_minutes_and_a_reader_goes_on_where_it_was() -> None:
    dynamodb._stream_records[TABLE] = [record(400), record(301), record(200), record(0)]
    newest = dynamodb._stream_records[TABLE][-1]
    assert dynamodb.stream_records_since(TABLE, 3, 10) == [newest], "the fourth from the beginning, as before"
    assert len(dynamodb._stream_records[TABLE]) == 2
    assert dynamodb.stream_end_position(TABLE) == 4


def test_without_the_bounds_it_would_stay_for_a_day() -> None:
    dynamodb._stream_records["a day"] = [record(3600)]
    assert len(dynamodb.stream_records_since("a day", 0, 10)) == 1


def invoke(function: str, number: int, group: str | None = None) -> None:
    logging = {"LoggingConfig": {"LogGroup": group}} if group else {}
    config = {"FunctionName": function, **logging}
    lambda_svc._emit_lambda_logs({"config": config}, f"request-{number}", f"line {number}", False, 1)


@pytest.mark.parametrize("group", [None, "/fillrate/local/many"])
def test_a_log_group_keeps_the_streams_of_its_last_invocations(
    monkeypatch: pytest.MonkeyPatch, group: str | None
) -> None:
    emit = retention.bounded(lambda_svc._emit_lambda_logs, cloudwatch_logs._log_groups, most=3)
    monkeypatch.setattr(lambda_svc, "_emit_lambda_logs", emit)
    for number in range(8):
        invoke("many", number, group)
    invoke("another", 0)
    streams = cloudwatch_logs._log_groups[group or "/aws/lambda/many"]["streams"].values()
    lines = [event["message"] for stream in streams for event in stream["events"]]
    assert [line for line in lines if line.startswith("line")] == ["line 5", "line 6", "line 7"]
    assert cloudwatch_logs._log_groups["/aws/lambda/another"]["streams"]


@pytest.mark.usefixtures("bounds")
def test_the_bound_is_far_above_what_one_looks_through() -> None:
    for number in range(50):
        invoke("few", number)
    assert len(cloudwatch_logs._log_groups["/aws/lambda/few"]["streams"]) == 50
    assert retention.LOG_STREAMS >= 1_000
