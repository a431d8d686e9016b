"""`python -m bench.cost`: counts what orders take on a stack of their own, and prices it."""

from __future__ import annotations

import argparse
import sys

from bench.cost.measuring import Measurement, measure
from bench.cost.prices import tariff
from bench.cost.report import page, table
from bench.machine import machine
from bench.written import Written


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description="What an order costs on AWS.")
    parser.add_argument("--orders", type=int, default=60, help="how many to count")
    parser.add_argument("--again", action="store_true", help="price the last run's counts, without a run")
    Written.add_option(parser)
    options = parser.parse_args()
    written = Written(options.record)
    if options.again:
        counted = Measurement.load(written.latest("cost.json"))
    else:
        counted = measure(options.orders, machine(), lambda step: print(step, file=sys.stderr))
    print(table(counted, tariff()))
    written.write({"cost.md": page(counted, tariff()), "cost.json": counted.to_json()})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
