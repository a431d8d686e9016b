"""What the product writes for its operators: log lines, and metrics in the embedded metric format."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.aws import cloudwatch_metrics
from chalicelib.telemetry import logger

Json = dict[str, Any]


@dataclass
class LogLines:
    """The logger's lines from now on, as CloudWatch gets them."""

    text: io.StringIO = field(default_factory=io.StringIO)

    def __call__(self) -> list[Json]:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]

    def saying(self, message: str) -> list[Json]:
        return [line for line in self() if line["message"] == message]


def log_lines_of_the_test(monkeypatch: pytest.MonkeyPatch) -> LogLines:
    lines = LogLines()
    monkeypatch.setattr(logger.registered_handler, "stream", lines.text)
    return lines


def flushed(capsys: pytest.CaptureFixture[str]) -> list[Json]:
    """The metric lines that a flush now, or an invocation that ended since the last look, has written."""
    cloudwatch_metrics.flush()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    for line in lines:
        check(line)
    return lines


def values(lines: list[Json], metric: str, **dimensions: str) -> list[float]:
    """Every value that CloudWatch would keep for the metric under exactly these dimensions, besides the service."""
    wanted = {"service": "fillrate", **dimensions}
    return [
        value
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        if metric in [one["Name"] for one in directive["Metrics"]]
        if any({name: line[name] for name in names} == wanted for names in directive["Dimensions"])
        for value in line[metric]
    ]


def check(line: Json) -> None:
    """That CloudWatch can read the line: the format's schema, by hand where its published one is loose."""
    assert isinstance(line["_aws"]["Timestamp"], int)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Fillrate"
    assert 0 < len(directive["Metrics"]) <= 100
    for names in directive["Dimensions"]:
        assert len(names) <= 30
        assert all(isinstance(line[name], str) and line[name] for name in names)
    for metric in directive["Metrics"]:
        assert 0 < len(line[metric["Name"]]) <= 100
        assert all(isinstance(value, float) for value in line[metric["Name"]])
