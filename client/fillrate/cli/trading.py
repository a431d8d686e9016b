"""`buy`, `sell`: place an order, and watch it to its end."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from fillrate.cli.display import amount as amount_text
from fillrate.cli.display import printable, seconds
from fillrate.cli.exit_codes import CommandError, ExitCode, of_error, of_outcome
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
)
from fillrate.cli.output import Output
from fillrate.cli.plain_words import words_for
from fillrate.cli.timeline import Timeline
from fillrate.client import Fillrate
from fillrate.errors import CannotExecute, Forbidden, NotEnded, ServiceUnavailable, SubmissionUnknown
from fillrate.models import Accepted, Order, Status
from fillrate.terms import Terms

KeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="The same command with the same key again is the same order, never a second one. It is not quoted first: "
        "--min-out says the least.",
    ),
]


def sell(
    context: typer.Context,
    token: TokenArgument,
    amount: AmountArgument,
    for_token: Annotated[
        str, typer.Option("--for", metavar="TOKEN", help="What to get.", autocompletion=complete_token)
    ],
    slippage: SlippageOption = None,
    min_out: MinOutOption = None,
    watch: WatchFlag = True,
    timeout: TimeoutOption = None,
    idempotency_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Sell exactly AMOUNT of TOKEN: never for less than what it is quoted first, less the slippage."""
    output = Output(as_json=as_json)
    terms = Terms(slippage, min_out)
    return _trade(context, output, (token, for_token), amount, terms, watch, timeout, idempotency_key)


def buy(
    context: typer.Context,
    token: TokenArgument,
    amount: Annotated[str | None, typer.Argument(hidden=True)] = None,
    spend: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Whole tokens of --with to spend, exactly.")
    ] = None,
    with_token: Annotated[
        str, typer.Option("--with", metavar="TOKEN", help="What to spend.", autocompletion=complete_token)
    ] = "USDC",  # noqa: S107
    slippage: SlippageOption = None,
    min_out: MinOutOption = None,
    watch: WatchFlag = True,
    timeout: TimeoutOption = None,
    idempotency_key: KeyOption = None,
    _yes: Annotated[bool, typer.Option("--yes", hidden=True)] = False,  # nothing is asked that it would answer
    as_json: JsonFlag = False,
) -> int:
    """Buy TOKEN by spending exactly --spend of --with: what goes in, never what comes out.

    `fillrate buy SOL --spend 150` spends 150 USDC, and is the same as `fillrate sell USDC 150 --for SOL`.
    """
    output = Output(as_json=as_json)
    if amount is not None or spend is None:
        # of `buy SOL 150` some mean 150 SOL, and others what 150 USDC buy
        line = (
            f"fillrate buy {printable(token)} --spend {printable(amount or 'AMOUNT')} [--with {printable(with_token)}]"
        )
        raise CommandError("USAGE", f"nothing is placed; say what to spend: {line}", ExitCode.USAGE)
    terms = Terms(slippage, min_out)
    return _trade(context, output, (with_token, token), spend, terms, watch, timeout, idempotency_key)


def _trade(
    context: typer.Context,
    output: Output,
    pair: tuple[str, str],
    amount: str,
    terms: Terms,
    watch: bool,
    timeout: float | None,
    idempotency_key: str | None,
) -> int:
    with connect(context) as fillrate:
        if idempotency_key is None:
            terms = _bound_by_quote(fillrate, output, pair, amount, terms)
        try:
            accepted = fillrate.execute(
                *pair, amount, slippage=terms.slippage, min_out=terms.min_out, idempotency_key=idempotency_key
            )
        except SubmissionUnknown as error:
            return output.error(error, **({} if terms.min_out is None else {"minOut": str(terms.min_out)}))
        if not watch:
            return show_accepted(output, accepted)
        token_in, token_out = map(printable, pair)
        output.note(f"selling exactly {printable(amount)} {token_in} for {token_out}: {printable(accepted.order_id)}")
        return follow_to_end(fillrate, output, accepted, (token_in, token_out), timeout)


def show_accepted(output: Output, accepted: Accepted) -> ExitCode:
    """That the order is taken, and how to see what becomes of it."""
    if output.as_json:
        output.json(accepted.to_json())
    else:
        output.line(f"accepted: order {printable(accepted.order_id)}")
        output.note(f"`fillrate watch {printable(accepted.order_id)}` shows what becomes of it")
    return ExitCode.OK


def _bound_by_quote(fillrate: Fillrate, output: Output, pair: tuple[str, str], amount: str, terms: Terms) -> Terms:
    """The terms with the least that a quote promises now, which is told.

    Where there is no quote just now the terms are as they were: an order has its own time to wait for one.
    """
    try:
        quote = fillrate.quote(*pair, amount, slippage=terms.slippage)
    except (CannotExecute, ServiceUnavailable, Forbidden) as error:
        words = words_for(error.code)
        why = words.meaning if words else printable(error)
        floor = f"the least is {printable(terms.min_out)}" if terms.min_out else "the slippage alone limits it"
        output.note(f"not quoted beforehand: {why} The order is placed all the same, and {floor}.")
        return terms
    bound = terms.at_least(quote.min_out)
    least = bound.min_out
    shown = amount_text(least) if isinstance(least, Decimal) else printable(least)
    output.note(f"receive at least {shown} {printable(pair[1])}")
    return bound


def follow_to_end(
    fillrate: Fillrate, output: Output, order: Accepted | Order, pair: tuple[str, str], timeout: float | None
) -> ExitCode:
    """Show each step, then the outcome, with --json the ended order alone; returns the exit code that tells it."""
    try:
        if output.as_json:
            ended = fillrate.wait(order, timeout=timeout)
            output.json(ended.to_json())
            return of_outcome(ended)
        with Timeline(output, *pair).running() as show:
            for event in fillrate.follow(order, timeout=timeout):
                show(event)
        ended = fillrate.order(order.order_id)
    except NotEnded as error:
        output.error(error)
        return of_error(error)
    except KeyboardInterrupt:
        output.note(f"\nno longer watched; the order goes on: fillrate watch {order.order_id}", style=None)
        return ExitCode.INTERRUPTED
    show_outcome(output, ended)
    return of_outcome(ended)


def show_outcome(output: Output, order: Order) -> None:
    """How it ended, in a sentence; then the transaction to look up, or what to do."""
    took = seconds((order.updated_at - order.created_at).total_seconds())
    token_in, token_out = printable(order.token_in), printable(order.token_out)
    if order.status is Status.CONFIRMED:
        output.line(
            f"sold {amount_text(order.amount)} {token_in} for {amount_text(order.amount_out)} {token_out} in {took}",
            style="bold green",
        )
        for told in _compared(order):
            output.note(told)
        output.line(f"transaction {printable(order.tx_hash)}")
    elif order.status in (Status.FAILED, Status.EXPIRED):
        output.problem({"code": order.error_code or "FAILED", "detail": order.error or "no reason given"})
        words = words_for(order.error_code)
        if words is None:
            output.note("nothing is known of this error in this version of the command")
    elif order.status is Status.CANCELLED:
        output.line("the order was cancelled; nothing was traded", style="yellow")


def _compared(order: Order) -> list[str]:
    """What came out against the first quote and against the floor, to the last unit."""
    references = (
        (order.first_quoted_out, "exactly as quoted at first", "quoted at first"),
        (order.min_out, "exactly the least", "the least"),
    )
    return [
        _difference(order.amount_out - reference, order.token_out, equal, name)
        for reference, equal, name in references
        if order.amount_out is not None and reference is not None
    ]


def _difference(amount: Decimal, token: str, equal: str, name: str) -> str:
    if not amount:
        return equal
    return f"{amount_text(abs(amount))} {printable(token)} {'more' if amount > 0 else 'less'} than {name}"
