"""`redrive`, `bench`: after an outage, and before a boast."""

from __future__ import annotations

from fillrate.cli import checkout
from fillrate.cli.checkout import EndpointOption, RegionOption, StageOption
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output


def redrive(
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Send dead letters back: a new order for each that failed, however often this is run."""
    output = Output(as_json=as_json)
    with checkout.refusals():
        redriven = checkout.module("operations.redrive").redrive(checkout.target(stage, endpoint_url, region))
    if as_json:
        letters = ((one.dead_order_id or None, one.order_id, one.outcome) for one in redriven)
        output.json([{"deadOrderId": dead, "orderId": new, "outcome": outcome} for dead, new, outcome in letters])
        return ExitCode.OK
    if not redriven:
        output.line("no dead letters")
        return ExitCode.OK
    table = output.table("dead order", "outcome", "order")
    for one in redriven:
        table.add_row(*(printable(text or "–") for text in (one.dead_order_id, one.outcome, one.order_id)))
    output.show(table)
    return ExitCode.OK


def bench(as_json: JsonFlag = False) -> int:
    """Time quotes on this machine, without any service; takes half a minute. `make bench` also writes them down."""
    output = Output(as_json=as_json)
    rows = checkout.module("bench.__main__").measured()
    if as_json:
        output.json([{"name": row.name, "nanoseconds": row.nanoseconds} for row in rows])
    else:
        output.line(checkout.module("bench.report").table(rows))
    return ExitCode.OK
