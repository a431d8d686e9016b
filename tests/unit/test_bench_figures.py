"""The figures of docs/deploy.md are those of the last runs, and the pages of the runs follow from what was counted."""

from __future__ import annotations

import re
from pathlib import Path

from bench.cost.bill import month_bill, order_bill, total
from bench.cost.measuring import Measurement
from bench.cost.prices import tariff
from bench.cost.report import page
from bench.scaling.limits import Limits
from bench.scaling.simulation import Profile, capacities
from bench.written import RECORD

PROJECT = Path(__file__).parents[2]
DEPLOYING = (PROJECT / "docs" / "deploy.md").read_text()
COST = (PROJECT / "bench" / "results" / "cost.md").read_text()
SCALING = (PROJECT / "bench" / "results" / "scaling.md").read_text()


def section(heading: str) -> str:
    return DEPLOYING.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row whose first cell isn't a head or a rule."""
    found = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [cells for cells in found if not re.fullmatch(r"[-: ]*", cells[0]) or cells[0] == ""]


def test_the_pages_figures_follow_from_the_counts_and_the_prices() -> None:
    assert page(Measurement.load(RECORD / "cost.json"), tariff()) == COST


def test_what_an_order_costs_is_told_as_it_was_counted() -> None:
    counted = Measurement.load(RECORD / "cost.json")
    headline = (
        f"${total(order_bill(counted, tariff())):.2f} for a million orders, "
        f"and ${total(month_bill(counted, tariff())):.2f} a month if nobody trades"
    )
    assert f"**{headline}**" in section("What it costs")
    told = {(cells[0], cells[-1]) for cells in rows(section("What it costs")) if "$" not in cells[0]}
    counted_rows = {(cells[0], cells[-1]) for cells in rows(COST)}
    assert told - {("of a million orders", "$"), ("orders a minute", "in all")} <= counted_rows


def test_what_limits_the_engine_is_told_as_it_was_found() -> None:
    able = capacities(Profile.of(Measurement.load(RECORD / "cost.json")), Limits())
    told = {cells[0]: cells[1] for cells in rows(section("How it scales")) if cells[0] in able}
    assert len(told) > 8
    assert told == {name: f"{able[name]:,.0f}" for name in told}
    lowest = sorted(able, key=lambda name: able[name])[: len(told)]
    assert list(told) == lowest
    for name, number in told.items():
        assert f"| {name} | {number} |" in SCALING


def test_how_many_changes_carry_each_load_is_told_as_it_was_found() -> None:
    (thousand, most) = re.findall(r"Carried after (\d+) changes", SCALING)
    assert thousand == "3"
    assert "with three changes" in section("How it scales")
    assert f"after {most} changes" in section("How it scales")
    run = SCALING.partition("## 100,000")[2]
    assert len(set(re.findall(r"\| ([^|]+) \| [^|]+ \(code\) \|", run))) == 5
    assert "of which five are code" in section("How it scales").replace("\n", " ")
