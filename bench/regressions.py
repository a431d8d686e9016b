"""`python -m bench.regressions`: the last run of bench.orders and of bench beside those on record.

Calls, DynamoDB units and the package's size don't depend on the machine: a fifth more of them is a failure. Times do,
so they are taken as ratios (to a loop of pure Python that the same run timed, to the SDKs' quotes), and a fifth more
of them is a warning.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measurement import FIRST, SDK
from bench.orders.run import OrdersRun
from bench.written import Written

MORE_PERCENT = 20


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that both runs measured. `is_count`: it doesn't depend on the machine."""

    what: str
    before: float
    now: float
    is_count: bool

    @property
    def is_worse(self) -> bool:
        return self.now * 100 > self.before * (100 + MORE_PERCENT)

    @property
    def is_failure(self) -> bool:
        return self.is_worse and self.is_count

    def __str__(self) -> str:
        judged = "FAILED " if self.is_failure else "slower " if self.is_worse else "ok     "
        return f"{judged} {self.what}: {self.now:,.2f}, {self.before:,.2f} on record"


def figures_of_orders(before: OrdersRun, now: OrdersRun) -> Iterator[Figure]:
    """All that can be compared of two runs."""
    yield Figure("AWS calls an order", sum(before.calls.values()), sum(now.calls.values()), True)
    yield Figure("DynamoDB write units an order", before.write_units, now.write_units, True)
    yield Figure("DynamoDB read units an order", before.read_units, now.read_units, True)
    if before.packaged_for == now.packaged_for:
        yield Figure("the deployment zip in MB", before.package_bytes / 1e6, now.package_bytes / 1e6, True)
    was, is_now = _loops(before), _loops(now)
    for what in sorted(was.keys() & is_now.keys()):
        yield Figure(f"{what}, in loops", was[what], is_now[what], False)


def figures_of_quotes(before: Mapping[str, float], now: Mapping[str, float]) -> Iterator[Figure]:
    """Our time by the SDK's, for each quote that both runs timed."""
    for name in sorted(before.keys() & now.keys()):
        yield Figure(f"{name}, by the SDK's time", before[name], now[name], False)


def _loops(run: OrdersRun) -> dict[str, float]:
    """The run's times, by that of the loop which it timed too."""
    timed = {f"functions' processor time, {part}": ms for part, ms in run.functions_ms.items()}
    timed |= {f"{what}, p50": ms["p50"] for what, ms in run.ms.items()}
    return {what: ms / run.reference_loop_ms for what, ms in timed.items()}


def ratios(path: Path) -> dict[str, float]:
    """Ours by the SDK's of each row in a `quotes.json`; none where there is no such file, or no SDK was timed."""
    if not path.exists():
        return {}
    rows = json.loads(path.read_text())
    return {row["name"]: row[FIRST] / row[SDK] for row in rows if SDK in row}


def main() -> int:
    """The command line. Exit code 1 where an order takes more calls or units, or the zip more; 2 without a run."""
    argparse.ArgumentParser(prog="python -m bench.regressions", description=__doc__).parse_args()
    written = Written(recorded=False)
    last, record = (folder / "orders.json" for folder in (written.last_run, written.record))
    if not last.exists():
        print("there is no run to compare: python -m bench.orders makes one", file=sys.stderr)
        return 2
    if not record.exists():
        print("no run is on record, so nothing is compared: python -m bench.orders --record makes one", file=sys.stderr)
        return 0
    figures = [*figures_of_orders(OrdersRun.load(record), OrdersRun.load(last))]
    figures += figures_of_quotes(ratios(written.record / "quotes.json"), ratios(written.last_run / "quotes.json"))
    for figure in figures:
        print(figure)
    return 1 if any(figure.is_failure for figure in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
