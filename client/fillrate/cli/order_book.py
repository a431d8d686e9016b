"""`orders`, `order`, `cancel`, `watch`: the account's orders, past and present."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer
from rich.text import Text

from fillrate.cli.display import age, amount, local_time, percent, printable
from fillrate.cli.exit_codes import CommandError, ExitCode, of_outcome
from fillrate.cli.options import JsonFlag, SinceOption, TimeoutOption, UntilOption, complete_token, connect
from fillrate.cli.output import Output
from fillrate.cli.timeline import Timeline, failure_in_words
from fillrate.cli.trading import follow_to_end, show_outcome
from fillrate.client import Fillrate
from fillrate.models import Order, Status, StatusEvent

_STYLES = {Status.CONFIRMED: "green", Status.FAILED: "red", Status.CANCELLED: "yellow", Status.EXPIRED: "yellow"}
_PAGE = 200

OrderArgument = Annotated[str, typer.Argument(metavar="ID", help="The order's id.")]


def orders(
    context: typer.Context,
    status: Annotated[Status | None, typer.Option(help="Only those in this status.")] = None,
    token_in: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Only those that sell it.", autocompletion=complete_token)
    ] = None,
    token_out: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Only those that buy it.", autocompletion=complete_token)
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """The account's orders, newest first. With --json one a line."""
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        size = _PAGE if everything else min(limit, _PAGE)
        found = fillrate.orders(
            status=status, token_in=token_in, token_out=token_out, page_size=size, since=since, until=until
        )
        chosen = found if everything else islice(found, limit)
        if as_json:
            for one in chosen:
                output.json(one.to_json())
            return ExitCode.OK
        heads = ("placed", "order", "sells", "for", "status")
        table = output.table(*heads, right=["sells", "for"], whole=["placed", "order", "status"])
        now = datetime.now(UTC)
        for one in chosen:
            table.add_row(*_row(one, None if output.is_roomy else now))
    if table.row_count:
        output.show(table)
    else:
        output.note("no orders")
    return ExitCode.OK


def order(context: typer.Context, order_id: OrderArgument, as_json: JsonFlag = False) -> int:
    """One order with its history. Ends with 0 however the order ended; `watch` tells by its exit code."""
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        found = fillrate.order(order_id)
    if as_json:
        output.json(found.to_json())
    else:
        _show(output, found)
    return ExitCode.OK


def cancel(
    context: typer.Context,
    order_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The order's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of which nothing is signed.")] = False,
    waiting: Annotated[bool, typer.Option(help="With --all: those alone that wait for their condition.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Cancel an order of which nothing is signed, also between two attempts; or --all of them."""
    output = Output(as_json=as_json)
    if (order_id is None) != everything or (waiting and not everything):
        detail = "nothing is cancelled; say which: fillrate cancel ID, or fillrate cancel --all [--waiting]"
        raise CommandError("USAGE", detail, ExitCode.USAGE)
    with connect(context) as fillrate:
        if order_id is None:
            return _cancel_all(fillrate, output, waiting_alone=waiting)
        cancelled = fillrate.cancel(order_id)
    if as_json:
        output.json(cancelled.to_json())
    else:
        show_outcome(output, cancelled)
    return ExitCode.OK


def _cancel_all(fillrate: Fillrate, output: Output, *, waiting_alone: bool) -> ExitCode:
    outcome = fillrate.cancel_all(waiting_alone=waiting_alone)
    if output.as_json:
        output.json(outcome.to_json())
        return ExitCode.OK
    output.line(f"{outcome.cancelled} cancelled" if outcome.cancelled else "no order was there to cancel")
    for order_id in outcome.too_late:
        output.note(f"too late for {printable(order_id)}: it was signed, or had ended")
    if outcome.more:
        output.note("there may be more: run the same command again")
    return ExitCode.OK


def watch(
    context: typer.Context,
    order_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="An order; without one, all of them.")] = None,
    timeout: TimeoutOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Watch an order to its end, from its first step; or every change of all orders from now on.

    With --json each step is a line. For one order the exit code tells how it ended.
    """
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        if order_id is None:
            return _watch_account(fillrate, output, timeout)
        if as_json:
            return _stream(fillrate, output, order_id, timeout)
        found = fillrate.order(order_id)
        pair = (printable(found.token_in), printable(found.token_out))
        return follow_to_end(fillrate, output, found, pair, timeout)


def _stream(fillrate: Fillrate, output: Output, order_id: str, timeout: float | None) -> ExitCode:
    code = ExitCode.ERROR
    for event in fillrate.follow(order_id, timeout=timeout):
        output.json(event.to_json())
        code = of_outcome(event)
    return code


def _watch_account(fillrate: Fillrate, output: Output, timeout: float | None) -> ExitCode:
    output.note("every change of every order; Ctrl-C ends it")
    try:
        for event in fillrate.watch(timeout=timeout):
            if output.as_json:
                output.json(event.to_json())
            else:
                output.show(_news(event))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _news(event: StatusEvent) -> Text:
    what = ""
    if event.status is Status.FAILED:
        what = failure_in_words(event)
    elif event.amount_out is not None:
        what = f"got {amount(event.amount_out)} at {amount(event.executed_price)}"
    elif event.status is Status.BUILDING and event.quoted_out is not None:
        what = f"quoted {amount(event.quoted_out)}"
    status = Text(f"{event.status.value:<9}", _STYLES.get(event.status, "cyan"))
    return Text.assemble(
        f"{event.at.astimezone():%H:%M:%S}  {printable(event.order_id)}  ", status, f"  {what}".rstrip()
    )


def _row(one: Order, now: datetime | None) -> tuple[str | Text, ...]:
    """With `now`, where there is little room, an age takes the place of the time, and codes are left out."""
    got = one.amount_out or one.quoted_out
    about = "~" if one.amount_out is None and got is not None else ""
    code = f" ({printable(one.error_code)})" if one.error_code and now is None else ""
    return (
        local_time(one.created_at) if now is None else age(one.created_at, now),
        printable(one.order_id),
        f"{amount(one.amount)} {printable(one.token_in)}",
        f"{about}{amount(got)} {printable(one.token_out)}" if got else printable(one.token_out),
        Text(one.status.value + code, _STYLES.get(one.status, "cyan")),
    )


def _show(output: Output, found: Order) -> None:
    token_in, token_out = printable(found.token_in), printable(found.token_out)
    output.line(f"order {printable(found.order_id)}", style="bold")
    output.line(
        f"{amount(found.amount)} {token_in} for {token_out}, slippage {percent(found.slippage)}, "
        f"placed {local_time(found.created_at)}"
    )
    output.show(*Timeline(output, token_in, token_out).lines(found.history))
    if found.is_terminal:
        show_outcome(output, found)
