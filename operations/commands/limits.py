"""`limits show|set`: what orders may amount to."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer
from fillrate.cli.display import amount, printable
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from chalicelib.risk.limits import ReferenceCurrency
from operations import limits
from operations.approvals import approvals
from operations.commands.record import refer_to_another
from operations.commands.stage import (
    AccountOption,
    EndpointOption,
    RegionOption,
    StageOption,
    find_target,
    refusals,
    usage,
)
from operations.control import control_table, scope_of

app = typer.Typer(no_args_is_help=True, help="What orders may amount to.")

_DECIMALS = ReferenceCurrency().decimals
_FIELDS = {limits.option_of(name): name for name in limits.OPTIONS}

DefaultFlag = Annotated[bool, typer.Option("--default", help="Of accounts that have none of their own.")]
DecimalsOption = Annotated[
    int, typer.Option("--reference-decimals", metavar="NUMBER", help="Of the token that the stage values orders in.")
]


@app.command("show")
def show_limits(
    account: AccountOption = None,
    default: DefaultFlag = False,
    decimals: DecimalsOption = _DECIMALS,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """The limits, and what is used of them."""
    with refusals():
        scope = _scope(account, default)
        table = control_table(find_target(stage, endpoint_url, region))
        report = limits.report(table, scope, ReferenceCurrency(decimals=decimals))
    return _show(Output(as_json=as_json), report)


@app.command(
    "set", epilog="\n\n".join(f"{limits.option_of(name)}: {it.meaning}" for name, it in limits.OPTIONS.items())
)
def set_limits(
    changes: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="As `limits show` names them; none: no limit.")
    ],
    account: AccountOption = None,
    default: DefaultFlag = False,
    decimals: DecimalsOption = _DECIMALS,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Set limits: amounts in whole USDC, fractions like slippage. `inherit` takes an account's own away again.

    `fillrate limits set --account desk largest-order=50000 slippage=0.02`
    """
    texts = _texts(changes)
    currency = ReferenceCurrency(decimals=decimals)
    with refusals():
        scope = _scope(account, default)
        target = find_target(stage, endpoint_url, region)
        refer_to_another(approvals(target).set_limits(scope, texts, currency))
        report = limits.report(control_table(target), scope, currency)
    return _show(Output(as_json=as_json), report)


def _scope(account: str | None, default: bool) -> str:
    with usage():
        return scope_of(account, default=default)


def _texts(changes: list[str]) -> dict[str, str]:
    """`largest-order=5` by the field that it sets. Raises CommandError."""
    texts: dict[str, str] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if name not in _FIELDS or not equals:
            raise CommandError("USAGE", f"{change}: NAME=VALUE, NAME one of {', '.join(_FIELDS)}", ExitCode.USAGE)
        texts[_FIELDS[name]] = value
    return texts


def _show(output: Output, report: limits.LimitsReport) -> int:
    if output.as_json:
        output.json({**report.limits, "used": report.used})
        return ExitCode.OK
    rows = output.table("limit", "value", "used", right=["value", "used"])
    for name, value in report.limits.items():
        rows.add_row(name, _in_words(value), _in_words(report.used[name]) if name in report.used else "")
    output.show(rows)
    return ExitCode.OK


def _in_words(value: limits.Shown) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return printable(", ".join(value))
        case _:
            return amount(Decimal(value))
