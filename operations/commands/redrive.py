"""`redrive`: after an outage."""

from __future__ import annotations

from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from operations import redrive as redriving
from operations.commands.stage import EndpointOption, RegionOption, StageOption, find_target, refusals


def redrive(
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Send dead letters back: a new order for each that failed, however often this is run."""
    output = Output(as_json=as_json)
    with refusals():
        redriven = redriving.redrive(find_target(stage, endpoint_url, region))
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
