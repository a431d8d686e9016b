"""`python -m bench.cost`: counts what orders take on a stack of their own, and prices it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.cost.measuring import Measurement, measure
from bench.cost.prices import tariff
from bench.cost.report import page, table
from bench.machine import machine

RESULTS = Path(__file__).parents[1] / "results"
MEASURED = RESULTS / "cost.json"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description="What an order costs on AWS.")
    parser.add_argument("--orders", type=int, default=60, help="how many to count")
    parser.add_argument("--again", action="store_true", help="price the last run's counts, without a run")
    options = parser.parse_args()
    if options.again:
        counted = Measurement.load(MEASURED)
    else:
        counted = measure(options.orders, machine(), lambda step: print(step, file=sys.stderr))
        counted.save(MEASURED)
    print(table(counted, tariff()))
    (RESULTS / "cost.md").write_text(page(counted, tariff()))
    print("written to bench/results/cost.md and cost.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
