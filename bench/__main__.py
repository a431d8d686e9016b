"""`make bench`: times quotes, prints the table, writes it down with a chart."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from bench.chart import chart
from bench.machine import machine
from bench.measurement import CurveBench, QuoteBench, Row, SplitBench
from bench.pools import bins, constant_product, dynamic_amm, over_vaults, owing_profit, ticks
from bench.report import page, table, to_json
from bench.written import Written
from testing.sdk.oracle import SdkOracle, sdk_versions, what_is_missing

ROUNDS = 3
MILLISECONDS = 60


def measured() -> Sequence[Row]:
    """Every quote timed; the SDKs' too, where they are installed."""
    missing = what_is_missing()
    if missing is not None:
        print(f"without the SDKs' side: {missing}", file=sys.stderr)
    with ExitStack() as stack:
        sdk = None if missing is not None else stack.enter_context(SdkOracle())
        return _measure(sdk)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time quotes.")
    Written.add_option(parser)
    options = parser.parse_args()
    rows = measured()
    print(table(rows))
    missing = what_is_missing()
    sdks = "Not installed." if missing is not None else f"{sdk_versions()}."
    told = {"quotes.md": page(rows, ROUNDS, machine(), sdks), "quotes.svg": chart(rows), "quotes.json": to_json(rows)}
    Written(options.record).write(told)


def _measure(sdk: SdkOracle | None) -> Sequence[Row]:
    quoted = (
        constant_product(),
        bins(1),
        bins(33),
        bins(55),
        bins(142, every=13),
        bins(512),
        ticks(0),
        ticks(8),
        ticks(30),
        ticks(2, dynamic_fee=True),
        *(dynamic_amm(kind) for kind in ("scheduled", "compounding", "limited")),
        owing_profit(),
        over_vaults(stable=False),
        over_vaults(stable=True),
    )
    divided = (
        constant_product(reserve=2_000_000_000_000, config_index=1),
        constant_product(reserve=3_000_000_000_000, config_index=2),
        bins(33, base_factor=8_000),
        bins(55, base_factor=20_000),
    )
    benches: list[QuoteBench | CurveBench | SplitBench] = [
        CurveBench("CPMM, its curve alone", constant_product(), sdk),
        *(QuoteBench(measured, sdk) for measured in quoted),
        SplitBench("split of 4 pools", divided, amount_in=200_000_000_000),
    ]
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
        for bench in benches:
            bench.measure(MILLISECONDS)
    return [bench.row for bench in benches]


if __name__ == "__main__":
    main()
