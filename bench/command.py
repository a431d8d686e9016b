"""`fillrate bench`, which finds it here, in a checkout: see client/fillrate/cli/checkout.py."""

from __future__ import annotations

import typer
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from bench.__main__ import measured
from bench.report import table

app = typer.Typer()


@app.command()
def bench(as_json: JsonFlag = False) -> int:
    """Time quotes on this machine, without any service; takes half a minute. `make bench` also writes them down."""
    output = Output(as_json=as_json)
    rows = measured()
    if as_json:
        output.json([{"name": row.name, "nanoseconds": row.nanoseconds} for row in rows])
    else:
        output.line(table(rows))
    return ExitCode.OK
