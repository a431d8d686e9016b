"""`balances`, `fills`: what the account has, and what its orders were filled at."""

from __future__ import annotations

import sys
from decimal import Decimal
from itertools import islice
from typing import Annotated

import typer

from fillrate.cli.display import amount, local_time, printable
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.cli.options import JSON_FLAG, JsonFlag, SinceOption, UntilOption, complete_token, connect
from fillrate.cli.output import Output
from fillrate.models import OrderFill

_PAGE = 200


def balances(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also tokens of which there is nothing.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """What the wallet holds of the tokens that are traded. `free` SOL is what its own rent leaves."""
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        found = fillrate.balances()
    if as_json:
        output.json(found.to_json())
        return ExitCode.OK
    table = output.table("token", "amount", "free", "value", "mint", right=["amount", "free", "value"])
    for held in found.balances:
        if held.amount or everything:
            free = "" if held.free is None else amount(held.free)
            table.add_row(printable(held.token), amount(held.amount), free, amount(held.value), printable(held.mint))
    output.line(f"wallet {printable(found.wallet)}, as of slot {found.slot}")
    if table.row_count:
        output.show(table)
    else:
        output.note("it holds nothing that is traded")
    return ExitCode.OK


def fills(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Only those that trade it.", autocompletion=complete_token)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="All of them as comma-separated values.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """What the account's orders were filled at, the latest first. With --json one a line."""
    output = Output(as_json=as_json)
    if as_csv and as_json:
        raise CommandError("USAGE", f"say --csv or {JSON_FLAG}, and not both", ExitCode.USAGE)
    with connect(context) as fillrate:
        if as_csv:
            for part in fillrate.fills_csv(since=since, until=until, token=token):
                sys.stdout.write(part.replace("\r\n", "\n"))
            return ExitCode.OK
        size = _PAGE if everything else min(limit, _PAGE)
        found = fillrate.fills(since=since, until=until, token=token, page_size=size)
        chosen = found if everything else islice(found, limit)
        if as_json:
            for one in chosen:
                output.json(one.to_json())
            return ExitCode.OK
        heads = ("filled", "order", "sold", "got", "price", "against quote", "above floor", "network")
        table = output.table(*heads, right=heads[2:], whole=heads[:2])
        for one in chosen:
            table.add_row(*_row(one))
    if table.row_count:
        output.show(table)
    else:
        output.note("no fills")
    return ExitCode.OK


def _row(one: OrderFill) -> tuple[str, ...]:
    return (
        local_time(one.at),
        printable(one.order_id),
        f"{amount(one.amount_in)} {printable(one.token_in)}",
        f"{amount(one.amount_out)} {printable(one.token_out)}",
        amount(one.price),
        _basis_points(one.vs_quote_bps),
        _basis_points(one.vs_floor_bps),
        f"{amount(one.network_fee)} SOL",
    )


def _basis_points(number: Decimal | None) -> str:
    """To hundredths; --json and --csv have every digit."""
    return "–" if number is None else f"{number:+,.2f} bps"
