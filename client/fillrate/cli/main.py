"""Puts the commands together, and turns what they end with into an exit code and a message."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer
from typer import rich_utils
from typer.exceptions import TyperException

from fillrate.cli import account, doctor, market, order_book, trading, waiting_orders
from fillrate.cli.checkout import COMMANDS, FromCheckout
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.cli.options import JSON_FLAG, Connection
from fillrate.cli.output import Output
from fillrate.errors import FillrateError
from fillrate.version import __version__

_TRADING, _ACCOUNT, _OPERATING = "Trading", "The account's orders", "Operating a stage (in a checkout)"

app = typer.Typer(
    name="fillrate",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done or confirmed, 2 usage, 3 request rejected, 4 unauthorized, 5 unavailable, 6 timed out, "
    "7 order failed, 8 order cancelled, 9 not known whether placed.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"fillrate {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _connection(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="The API, without a trailing slash; else FILLRATE_URL, else the local stack.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(help="Better in FILLRATE_API_KEY: others can see a command line.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Trade on Solana's DEXs at the best route: quote, place orders, watch them."""
    context.obj = Connection(url, api_key)


for command, panel in (
    (market.quote, _TRADING),
    (trading.sell, _TRADING),
    (trading.buy, _TRADING),
    (waiting_orders.limit, _TRADING),
    (waiting_orders.stop, _TRADING),
    (waiting_orders.oco, _TRADING),
    (market.tokens, _TRADING),
    (order_book.orders, _ACCOUNT),
    (order_book.order, _ACCOUNT),
    (order_book.cancel, _ACCOUNT),
    (waiting_orders.change, _ACCOUNT),
    (order_book.watch, _ACCOUNT),
    (account.balances, _ACCOUNT),
    (account.fills, _ACCOUNT),
    (market.health, _TRADING),
    (doctor.doctor, _TRADING),
):
    app.command(rich_help_panel=panel)(command)


def _elsewhere() -> None:
    """FromCheckout puts the checkout's command in its place before this could be called."""


for name, operating in COMMANDS.items():
    app.command(name, cls=FromCheckout, help=operating.help, rich_help_panel=_OPERATING)(_elsewhere)


def main(arguments: list[str] | None = None) -> NoReturn:
    """The command line; ends the process with an ExitCode."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    output = Output(as_json=JSON_FLAG in arguments)
    try:
        return int(app(arguments, prog_name="fillrate", standalone_mode=False) or ExitCode.OK)
    except FillrateError as error:
        return output.error(error)
    except TyperException as error:
        if output.as_json:
            output.problem({"code": "USAGE", "detail": error.format_message()})
        else:
            rich_utils.rich_format_error(error)  # type: ignore[arg-type]  # what typer itself does with it
        return error.exit_code
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except OSError as error:  # as where the disk that stdout goes to is full
        return output.error(CommandError("NOT_WRITTEN", f"the output can't be written: {error}"))
