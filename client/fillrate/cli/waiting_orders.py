"""`limit`, `stop`, `oco`: place an order that waits for a price; `change`: change one that has not started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import (
    AmountArgument,
    JsonFlag,
    MinOutOption,
    SlippageOption,
    TimeoutOption,
    TokenArgument,
    WatchFlag,
    complete_token,
    connect,
    parse_slippage,
)
from fillrate.cli.output import Output
from fillrate.cli.timeline import Timeline
from fillrate.cli.trading import follow_to_end, show_accepted
from fillrate.client import Fillrate
from fillrate.errors import SubmissionUnknown
from fillrate.models import Accepted

ForOption = Annotated[str, typer.Option("--for", metavar="TOKEN", help="What to get.", autocompletion=complete_token)]
LimitPriceOption = Annotated[
    str, typer.Option(metavar="PRICE", help="What each token sold must bring at least, all fees in.")
]
StopPriceOption = Annotated[
    str | None, typer.Option(metavar="PRICE", help="Sold once each token would bring no more than this.")
]
TrailingOption = Annotated[
    str | None,
    typer.Option(
        metavar="FRACTION",
        parser=parse_slippage,
        help="In place of --stop-price: the stop stays so far below the best price seen, 0.05 or 5%.",
    ),
]
ExpiresOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="RFC 3339: when it ends unfilled; in 24 hours if not given.")
]
TriesOption = Annotated[
    int | None, typer.Option(min=1, help="How often it waits again after a transaction that did not fill.")
]
ForceFlag = Annotated[bool, typer.Option("--force", help="Take a price that looks like a mistake.")]
KeyOption = Annotated[
    str | None, typer.Option(metavar="KEY", help="The same command with the same key again is the same order.")
]


def limit(
    context: typer.Context,
    token: TokenArgument,
    amount: AmountArgument,
    for_token: ForOption,
    limit_price: LimitPriceOption,
    min_out: MinOutOption = None,
    expires_at: ExpiresOption = None,
    max_tries: TriesOption = None,
    force: ForceFlag = False,
    watch: WatchFlag = False,
    timeout: TimeoutOption = None,
    idempotency_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Sell exactly AMOUNT of TOKEN once each brings --limit-price, and never for less."""
    return _place(
        context,
        Output(as_json=as_json),
        (token, for_token),
        lambda fillrate: fillrate.limit(
            token,
            for_token,
            amount,
            limit_price,
            min_out=min_out,
            expires_at=expires_at,
            max_tries=max_tries,
            force=force,
            idempotency_key=idempotency_key,
        ),
        watch,
        timeout,
    )


def stop(
    context: typer.Context,
    token: TokenArgument,
    amount: AmountArgument,
    for_token: ForOption,
    stop_price: StopPriceOption = None,
    trailing: TrailingOption = None,
    slippage: SlippageOption = None,
    min_out: MinOutOption = None,
    expires_at: ExpiresOption = None,
    max_tries: TriesOption = None,
    force: ForceFlag = False,
    watch: WatchFlag = False,
    timeout: TimeoutOption = None,
    idempotency_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Sell exactly AMOUNT of TOKEN once each brings no more than --stop-price, or --trailing below the best price.

    In a fall deeper than its slippage a stop does not fill.
    """
    return _place(
        context,
        Output(as_json=as_json),
        (token, for_token),
        lambda fillrate: fillrate.stop(
            token,
            for_token,
            amount,
            stop_price=stop_price,
            trailing=trailing,
            slippage=slippage,
            min_out=min_out,
            expires_at=expires_at,
            max_tries=max_tries,
            force=force,
            idempotency_key=idempotency_key,
        ),
        watch,
        timeout,
    )


def oco(
    context: typer.Context,
    token: TokenArgument,
    amount: AmountArgument,
    for_token: ForOption,
    limit_price: LimitPriceOption,
    stop_price: StopPriceOption = None,
    trailing: TrailingOption = None,
    slippage: SlippageOption = None,
    min_out: MinOutOption = None,
    expires_at: ExpiresOption = None,
    max_tries: TriesOption = None,
    force: ForceFlag = False,
    watch: WatchFlag = False,
    timeout: TimeoutOption = None,
    idempotency_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Sell exactly AMOUNT of TOKEN at --limit-price or at the stop, whichever comes first, and never both."""
    return _place(
        context,
        Output(as_json=as_json),
        (token, for_token),
        lambda fillrate: fillrate.oco(
            token,
            for_token,
            amount,
            limit_price,
            stop_price=stop_price,
            trailing=trailing,
            slippage=slippage,
            min_out=min_out,
            expires_at=expires_at,
            max_tries=max_tries,
            force=force,
            idempotency_key=idempotency_key,
        ),
        watch,
        timeout,
    )


def change(
    context: typer.Context,
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id.")],
    limit_price: Annotated[str | None, typer.Option(metavar="PRICE", help="The new limit price.")] = None,
    stop_price: Annotated[str | None, typer.Option(metavar="PRICE", help="The new stop price.")] = None,
    trailing: TrailingOption = None,
    min_out: MinOutOption = None,
    no_min_out: Annotated[bool, typer.Option("--no-min-out", help="Let it have no least of its own.")] = False,
    slippage: SlippageOption = None,
    expires_at: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339: when it ends unfilled.")] = None,
    force: ForceFlag = False,
    as_json: JsonFlag = False,
) -> int:
    """Change an order that has neither started nor been triggered; what isn't given stays as it is."""
    if no_min_out and min_out is not None:
        raise typer.BadParameter("--min-out and --no-min-out contradict each other")
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        changed = fillrate.change(
            order_id,
            limit_price=limit_price,
            stop_price=stop_price,
            trailing=trailing,
            min_out=min_out,
            slippage=slippage,
            expires_at=expires_at,
            remove_min_out=no_min_out,
            force=force,
        )
    if output.as_json:
        output.json(changed.to_json())
    else:
        output.line(f"changed: order {printable(changed.order_id)}")
        timeline = Timeline(output, printable(changed.token_in), printable(changed.token_out))
        output.show(*timeline.lines(changed.history[-1:]))
    return ExitCode.OK


def _place(
    context: typer.Context,
    output: Output,
    pair: tuple[str, str],
    place: Callable[[Fillrate], Accepted],
    watch: bool,
    timeout: float | None,
) -> int:
    with connect(context) as fillrate:
        try:
            accepted = place(fillrate)
        except SubmissionUnknown as error:
            return output.error(error)
        if not watch:
            return show_accepted(output, accepted)
        output.note(f"it waits for its price: {printable(accepted.order_id)}")
        token_in, token_out = map(printable, pair)
        return follow_to_end(fillrate, output, accepted, (token_in, token_out), timeout)
