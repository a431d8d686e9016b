"""`halt`, `resume`: the kill switch."""

from __future__ import annotations

from typing import Annotated

import typer
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from chalicelib.risk.halt import Halt
from chalicelib.times import time_text
from operations import kill_switch
from operations.approvals import approvals
from operations.commands.record import refer_to_another
from operations.commands.stage import AccountOption, EndpointOption, RegionOption, StageOption, find_target, refusals
from operations.control import control_table, scope_of


def halt(
    reason: Annotated[str, typer.Option(help="Told in the orders' errors.")] = "",
    account: AccountOption = None,
    status: Annotated[bool, typer.Option("--status", help="Only tell whether it is halted.")] = False,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Stop new executions within a second. Transactions that are out are carried to their end."""
    scope = scope_of(account)
    with refusals():
        table = control_table(find_target(stage, endpoint_url, region))
        thrown = kill_switch.state(table, scope) if status else kill_switch.halt(table, scope, reason)
    return _show(Output(as_json=as_json), scope, thrown)


def resume(
    account: AccountOption = None,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Let new orders through again. Those that were refused stay so; `redrive` sends dead letters back."""
    scope = scope_of(account)
    with refusals():
        refer_to_another(approvals(find_target(stage, endpoint_url, region)).resume(scope))
    return _show(Output(as_json=as_json), scope, None)


def _show(output: Output, scope: str, thrown: Halt | None) -> int:
    since = None if thrown is None else time_text(thrown.since_ms)
    if output.as_json:
        reason = None if thrown is None else thrown.reason
        output.json({"scope": scope, "halted": thrown is not None, "since": since, "reason": reason})
    elif thrown is None:
        output.line(printable(f"{scope}: not halted"), style="green")
    else:
        why = f": {thrown.reason}" if thrown.reason else ""
        output.line(printable(f"{scope}: halted since {since}{why}"), style="yellow")
    return ExitCode.OK
