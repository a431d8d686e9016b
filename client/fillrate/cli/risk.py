"""`halt`, `resume`, `limits show|set`: the kill switch and the limits."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Annotated, Any

import typer

from fillrate.cli import checkout
from fillrate.cli.checkout import EndpointOption, RegionOption, StageOption
from fillrate.cli.display import amount, printable
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

limits_app = typer.Typer(no_args_is_help=True, help="What orders may amount to (an operator's, in a checkout).")

AccountOption = Annotated[str | None, typer.Option(metavar="NAME", help="Of one account; else of all together.")]
DefaultFlag = Annotated[bool, typer.Option("--default", help="Of accounts that have none of their own.")]


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
    with checkout.refusals():
        table, scope = _control(stage, endpoint_url, region), _scope(account)
        if not status:
            checkout.module("operations.halt").halt(table, scope, reason)
        return _show_switch(Output(as_json=as_json), table, scope)


def resume(
    account: AccountOption = None,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Let new orders through again. Those that were refused stay so; `redrive` sends dead letters back."""
    with checkout.refusals():
        table, scope = _control(stage, endpoint_url, region), _scope(account)
        checkout.module("operations.halt").resume(table, scope)
        return _show_switch(Output(as_json=as_json), table, scope)


@limits_app.command("show")
def show_limits(
    account: AccountOption = None,
    default: DefaultFlag = False,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """The limits, and what is used of them."""
    with checkout.refusals():
        table = _control(stage, endpoint_url, region)
        return _show_limits(Output(as_json=as_json), table, _scope(account, default))


@limits_app.command("set")
def set_limits(
    changes: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="As `limits show` names them; none: no limit.")
    ],
    account: AccountOption = None,
    default: DefaultFlag = False,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Set limits: amounts in whole USDC, fractions like slippage. `inherit` takes an account's own away again.

    `fillrate limits set --account desk largest-order=50000 slippage=0.02`
    """
    with checkout.refusals():
        limits = checkout.module("operations.limits")
        texts = _texts(changes, limits)
        table, scope = _control(stage, endpoint_url, region), _scope(account, default)
        table.set_limits(scope, *limits.read_changes(texts, limits.ReferenceCurrency()))
        return _show_limits(Output(as_json=as_json), table, scope)


def _control(stage: str | None, endpoint_url: str | None, region: str | None) -> Any:
    return checkout.module("operations.control").control_table(checkout.target(stage, endpoint_url, region))


def _scope(account: str | None, default: bool = False) -> str:
    if account is not None and default:
        raise CommandError("USAGE", "--account and --default don't go together", ExitCode.USAGE)
    if account is not None:
        return str(checkout.module("chalicelib.risk.counters").account_scope(account))
    if default:
        return str(checkout.module("chalicelib.aws.dynamodb.control_table").DEFAULT)
    return str(checkout.module("chalicelib.risk.counters").GLOBAL)


def _show_switch(output: Output, table: Any, scope: str) -> int:
    thrown = table.halt_in(scope)
    if output.as_json:
        since = None if thrown is None else checkout.module("chalicelib.times").time_text(thrown.since_ms)
        reason = None if thrown is None else thrown.reason
        output.json({"scope": scope, "halted": thrown is not None, "since": since, "reason": reason})
    else:
        described = checkout.module("operations.halt").described(scope, thrown)
        output.line(printable(described), style="yellow" if thrown else "green")
    return ExitCode.OK


def _show_limits(output: Output, table: Any, scope: str) -> int:
    limits = checkout.module("operations.limits")
    today = checkout.module("chalicelib.risk.counters").day_of(time.time_ns() // 1_000_000)
    text = limits.shown(table.limits_in(scope), table.usage(scope, today), limits.ReferenceCurrency())
    shown: dict[str, Any] = json.loads(text)
    if output.as_json:
        output.json(shown)
        return ExitCode.OK
    used = shown.pop("used", {})
    rows = output.table("limit", "value", "used", right=["value", "used"])
    for name, value in shown.items():
        rows.add_row(name, _in_words(value), _in_words(used[name]) if name in used else "")
    output.show(rows)
    return ExitCode.OK


def _in_words(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return printable(", ".join(map(str, value)))
        case _:
            return amount(Decimal(str(value)))


def _texts(changes: list[str], limits: Any) -> dict[str, str]:
    """`largest-order=5` by the field that it sets. Raises CommandError."""
    fields = {limits.option_of(name).removeprefix("--"): name for name in limits.OPTIONS}
    texts: dict[str, str] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if name not in fields or not equals:
            raise CommandError("USAGE", f"{change}: NAME=VALUE, NAME one of {', '.join(fields)}", ExitCode.USAGE)
        texts[fields[name]] = value
    return texts
