"""`make bench`: times quotes, prints the table, writes it with a chart to bench/results/."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.chart import chart
from bench.machine import machine
from bench.measurement import QuoteBench, Row, SplitBench
from bench.pools import bins, constant_product
from bench.report import page, table
from testing.sdk.oracle import SdkOracle, sdk_versions, what_is_missing

RESULTS = Path(__file__).parent / "results"
ROUNDS = 7
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
    rows = measured()
    print(table(rows))
    missing = what_is_missing()
    sdks = "Not installed." if missing is not None else f"{sdk_versions()}."
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "quotes.md").write_text(page(rows, ROUNDS, machine(), sdks))
    (RESULTS / "quotes.svg").write_text(chart(rows))
    print("written to bench/results/quotes.md and quotes.svg")


def _measure(sdk: SdkOracle | None) -> Sequence[Row]:
    quoted = (constant_product(), bins(1), bins(33), bins(55), bins(142, every=13), bins(512))
    divided = (
        constant_product(reserve=2_000_000_000_000, config_index=1),
        constant_product(reserve=3_000_000_000_000, config_index=2),
        bins(33, base_factor=8_000),
        bins(55, base_factor=20_000),
    )
    benches: list[QuoteBench | SplitBench] = [
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
