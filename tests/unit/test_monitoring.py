"""Alarms, dashboard and runbook belong together, and look at metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.metrics import DIMENSIONS, NAMESPACE, SERVICE, Metric
from infra.deployment.ministack_gaps import without_metric_math
from infra.deployment.monitoring import template

Json = dict[str, Any]

DOCS = Path(__file__).parents[2] / "docs"
PARTS = ("Means", "Look", "Do", "No problem when")


def alarms() -> dict[str, Json]:
    """Each alarm's properties by its name without stage."""
    found = [one["Properties"] for one in template()["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    return {one["AlarmName"]["Fn::Sub"].removeprefix("fillrate-${Stage}-"): one for one in found}


def entries() -> dict[str, str]:
    """The runbook's entries by their heading."""
    _, *sections = re.split(r"^## ", (DOCS / "runbook.md").read_text(), flags=re.MULTILINE)
    return {heading: text for heading, _, text in (section.partition("\n") for section in sections)}


def dashboard() -> Json:
    body, variables = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name in {*template()["Parameters"], *variables, "AWS::Region"}:
        body = body.replace("${" + name + "}", name)
    assert not re.search(r"\$\{(?!!)", body), "a variable that nobody gives"
    read: Json = json.loads(body)
    return read


def own_metrics_of_alarms() -> Iterator[tuple[str, tuple[str, ...]]]:
    """(metric, names of its dimensions) of each look at a metric of our own."""
    for alarm in alarms().values():
        stats = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", ()) if "MetricStat" in one] or [alarm]
        for metric in stats:
            if metric["Namespace"] == NAMESPACE:
                dimensions = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
                assert dimensions["service"] == SERVICE
                yield metric["MetricName"], tuple(dimensions)[1:]


def own_metrics_of_the_dashboard() -> Iterator[tuple[str, tuple[str, ...]]]:
    for widget in dashboard()["widgets"]:
        for metric in widget["properties"]["metrics"]:
            if metric[0] == NAMESPACE:
                assert metric[2:4] == ["service", SERVICE]
                yield metric[1], tuple(metric[4:-1:2])


def test_every_alarm_has_an_entry_in_the_runbook_and_every_entry_an_alarm() -> None:
    assert list(alarms()) == list(entries())


@pytest.mark.parametrize("name", alarms())
def test_an_entry_says_what_it_means_where_to_look_what_to_do_and_when_it_is_no_problem(name: str) -> None:
    parts = re.findall(r"^\*\*(.+?)\.?\*\*", entries()[name], re.MULTILINE)
    assert tuple(parts) == PARTS
    look = entries()[name].partition("**Look.**")[2].partition("**Do.**")[0]
    assert "`" in look, "an exact query or command"


@pytest.mark.parametrize("name", alarms())
def test_an_alarm_rings_says_so_when_it_is_over_and_points_to_its_entry(name: str) -> None:
    alarm = alarms()[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
    assert alarm["AlarmDescription"].endswith(f"docs/runbook.md, {name}.")
    assert alarm["TreatMissingData"] in ("notBreaching", "breaching", "ignore")


def test_the_runbooks_links_lead_somewhere() -> None:
    text = (DOCS / "runbook.md").read_text()
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= entries().keys()
    for path in re.findall(r"\]\(([\w.]+\.md)\)", text):
        assert (DOCS / path).is_file()


@pytest.mark.parametrize(("metric", "dimensions"), [*own_metrics_of_alarms(), *own_metrics_of_the_dashboard()])
def test_what_alarms_and_dashboard_look_at_is_measured(metric: str, dimensions: tuple[str, ...]) -> None:
    assert dimensions == DIMENSIONS.get(Metric(metric), ())[: len(dimensions)]


@pytest.mark.parametrize("metric", Metric)
def test_every_metric_is_explained_with_its_dimensions(metric: Metric) -> None:
    rows = [line for line in (DOCS / "observability.md").read_text().splitlines() if f"| `{metric}` |" in line]
    (row,) = rows
    for dimension in DIMENSIONS.get(metric, ()):
        assert f"`{dimension}`" in row


def test_an_emulator_without_metric_math_gets_the_other_alarms() -> None:
    resources = template()["Resources"]
    without_metric_math(resources)
    left = [one for one in resources.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert 0 < len(left) < len(alarms())
    assert all("MetricName" in one["Properties"] for one in left)
    assert {"Alarms", "Dashboard"} <= resources.keys()


def test_the_dashboards_widgets_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard()["widgets"]:
        cells = {(widget["x"] + x, widget["y"] + y) for x in range(widget["width"]) for y in range(widget["height"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells
