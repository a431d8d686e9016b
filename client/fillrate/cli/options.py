"""Options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from fillrate.client import Fillrate
from fillrate.errors import FillrateError
from fillrate.retrying import RetryPolicy

JSON_FLAG = "--json"
# Someone waits before the screen.
_RETRIES = RetryPolicy(attempts=3)


@dataclass(frozen=True, slots=True)
class Connection:
    """What stands before the command: where the service is, and the key."""

    url: str | None = None
    api_key: str | None = None


def connect(context: typer.Context) -> Fillrate:
    """The client that the command line, the environment or the local stack describe. Raises ConfigurationError."""
    connection = context.find_object(Connection) or Connection()
    return Fillrate(connection.url, connection.api_key, retries=_RETRIES)


def complete_token(context: typer.Context, incomplete: str) -> list[str]:
    """Symbols that begin so; nothing where the service can't be asked."""
    try:
        with connect(context) as fillrate:
            symbols = [token.symbol for token in fillrate.tokens() if token.symbol]
    except FillrateError:
        return []
    return [symbol for symbol in symbols if symbol.startswith(incomplete.upper())]


def parse_slippage(text: str) -> str:
    """`1%` is 0.01; a fraction stays as it is. Raises BadParameter."""
    if not text.endswith("%"):
        return text
    try:
        return f"{Decimal(text.removesuffix('%').strip()).scaleb(-2):f}"
    except (InvalidOperation, ValueError):
        raise typer.BadParameter(f"{text} is no percentage, such as 0.5%") from None


JsonFlag = Annotated[bool, typer.Option(JSON_FLAG, help="Print JSON, and nothing else.")]
TokenArgument = Annotated[str, typer.Argument(help="A symbol or a mint address.", autocompletion=complete_token)]
AmountArgument = Annotated[str, typer.Argument(help="Whole tokens, exactly: 10 or 0.25.")]
SlippageOption = Annotated[
    str | None,
    typer.Option(
        metavar="FRACTION",
        parser=parse_slippage,
        help="How much less than quoted may come out: 0.01 or 1%. The service's default is 1%.",
    ),
]
MinOutOption = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT",
        help="The least that may come out, in whole tokens, whatever the market does: `fillrate quote` tells one.",
    ),
]
SinceOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="From then on: RFC 3339, such as 2026-01-31T12:00:00Z.")
]
UntilOption = Annotated[str | None, typer.Option(metavar="TIME", help="Before then: RFC 3339.")]
WatchFlag = Annotated[bool, typer.Option("--watch/--no-watch", help="Watch the order to its end.")]
GoOnFlag = Annotated[bool, typer.Option("--watch", help="Go on, and tell each quote that is another.")]
TimeoutOption = Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="Stop watching after this long.")]
