"""`redrive`: after an outage."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from operations import redrive as redriving
from operations.commands.stage import EndpointOption, RegionOption, StageOption, find_target, refusals

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: str) -> int:
    """`90s`, `10m`, `2h` or `1d` in milliseconds. Raises typer.BadParameter."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    if found is None:
        raise typer.BadParameter("a whole number with its unit, such as 90s, 10m, 2h or 1d")
    return int(found[1]) * _UNITS_MS[found[2]]


def redrive(
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    expires_in: Annotated[
        int | None,
        typer.Option(metavar="TIME", parser=duration_ms, help="For orders that named no expiresAt: such as 90s, 10m."),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Send dead letters back: a new order for each that failed, however often this is run."""
    output = Output(as_json=as_json)
    with refusals():
        redriven = redriving.redrive(find_target(stage, endpoint_url, region), expires_in)
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
