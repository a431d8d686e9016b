"""`quote`, `tokens`, `health`: what can be traded, at what price, and whether it would be traded now."""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.console import RenderableType
from rich.text import Text

from fillrate.cli.display import amount, percent, printable, shortened
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import (
    AmountArgument,
    GoOnFlag,
    JsonFlag,
    SlippageOption,
    TimeoutOption,
    TokenArgument,
    connect,
)
from fillrate.cli.output import Output
from fillrate.cli.plain_words import words_for
from fillrate.models import NoQuote, PoolOffer, Quote


def quote(
    context: typer.Context,
    token_in: TokenArgument,
    token_out: TokenArgument,
    amount: AmountArgument,
    slippage: SlippageOption = None,
    watch: GoOnFlag = False,
    timeout: TimeoutOption = None,
    as_json: JsonFlag = False,
) -> int:
    """What exactly AMOUNT of TOKEN_IN would get now, by the best route and at each pool alone.

    With --watch a line for each quote that is another than the last, until Ctrl-C or the timeout.
    """
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        if watch:
            return _watch_quotes(
                output, fillrate.stream_quotes(token_in, token_out, amount, slippage=slippage, timeout=timeout)
            )
        answer = fillrate.quote(token_in, token_out, amount, slippage=slippage)
    if as_json:
        output.json(answer.to_json())
    else:
        output.show(*_headline(answer), *_route(answer, output), *_pools(answer, output))
    return ExitCode.OK


def _watch_quotes(output: Output, told: Iterable[Quote | NoQuote]) -> ExitCode:
    output.note("each quote that is another; Ctrl-C ends it")
    try:
        for news in told:
            if output.as_json:
                output.json(news.to_json())
            elif isinstance(news, Quote):
                output.show(_line_of(news))
            else:
                words = words_for(news.error_code)
                output.show(Text(f"no quote: {words.meaning if words else printable(news.detail)}", "red"))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _line_of(quote: Quote) -> Text:
    when = f"{quote.at.astimezone():%H:%M:%S}  " if quote.at is not None else ""
    token_in, token_out = printable(quote.token_in), printable(quote.token_out)
    return Text.assemble(
        f"{when}{amount(quote.amount)} {token_in} → ",
        (f"{amount(quote.amount_out)} {token_out}", "bold green"),
        f"   at {amount(quote.price)}, at least {amount(quote.min_out)}",
    )


def tokens(context: typer.Context, as_json: JsonFlag = False) -> int:
    """What the service's pools trade."""
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        traded = fillrate.tokens()
    if as_json:
        output.json({"tokens": [token.to_json() for token in traded]})
        return ExitCode.OK
    table = output.table("symbol", "decimals", "mint", right=["decimals"])
    for token in traded:
        table.add_row(printable(token.symbol or "–"), str(token.decimals), printable(token.mint))
    output.show(table)
    return ExitCode.OK


def health(context: typer.Context, as_json: JsonFlag = False) -> int:
    """Whether a new order would trade now, and if not, why."""
    output = Output(as_json=as_json)
    with connect(context) as fillrate:
        answer = fillrate.health()
    if as_json:
        output.json(answer.to_json())
    else:
        table = output.table("part", "", "says")
        for part, check in answer.checks.items():
            good = isinstance(check, dict) and bool(check.get("ok"))
            table.add_row(printable(part), Text("ok" if good else "down", "green" if good else "red"), _word_of(check))
        output.show(table)
        for reason in answer.degraded:
            output.show(Text(printable(reason), "red"))
    return ExitCode.OK if answer.is_ok else ExitCode.UNAVAILABLE


def _word_of(check: object) -> str:
    """A part's own word: `slot 123` of {"ok": true, "value": {"slot": 123}}, or the error's name."""
    word = check.get("value", check.get("error", "")) if isinstance(check, dict) else check
    if not isinstance(word, dict):
        return printable(word)
    return printable(", ".join(_fact(name, value) for name, value in word.items()))


def _fact(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return f"{name} {value}"


def _headline(answer: Quote) -> list[RenderableType]:
    token_in, token_out = printable(answer.token_in), printable(answer.token_out)
    first = Text.assemble(
        f"{amount(answer.amount)} {token_in} → ",
        (f"{amount(answer.amount_out)} {token_out}", "bold green"),
        f"   at {amount(answer.price)} {token_out} per {token_in}",
    )
    facts = [
        f"at least {amount(answer.min_out)} {token_out} with {percent(answer.slippage)} slippage",
        f"price impact {percent(answer.price_impact)}",
        f"fees {' + '.join(f'{amount(fee.amount)} {printable(fee.token)}' for fee in answer.fees) or 'none'}",
    ]
    return [first, *(Text(f"  {fact}", "dim") for fact in facts), Text()]


def _route(answer: Quote, output: Output) -> list[RenderableType]:
    hops = len({leg.token_out for leg in answer.route})
    kind = "the best route: one pool"
    if len(answer.route) > 1:
        kind = f"the best route: {hops} hops" if hops > 1 else f"the best route: split over {len(answer.route)} pools"
    table = output.table("venue", "pool", "share", "sells", "gets", right=["share", "sells", "gets"], whole=["venue"])
    for leg in answer.route:
        table.add_row(
            printable(leg.program or leg.dex),
            shortened(leg.pool, whole=output.is_roomy),
            percent(leg.share),
            f"{amount(leg.amount_in)} {printable(leg.token_in)}",
            f"{amount(leg.expected_out)} {printable(leg.token_out)}",
        )
    return [Text(kind, "bold"), table, Text()]


def _pools(answer: Quote, output: Output) -> list[RenderableType]:
    if not answer.quotes:
        return []
    heads = ("venue", "pool", f"gets {printable(answer.token_out)}", "less", "impact", "fee")
    table = output.table(*heads, right=heads[2:], whole=["venue"])
    for pool in answer.quotes:
        table.add_row(
            printable(pool.program or pool.dex), shortened(pool.pool, whole=output.is_roomy), *_offer(pool, answer)
        )
    shown: list[RenderableType] = [
        Text("each pool alone, and how much less than the best route it gives", "bold"),
        table,
    ]
    if answer.not_looked_at:
        shown.append(
            Text(f"  {len(answer.not_looked_at)} more registered pools were not looked at: others are deeper", "dim")
        )
    return shown


def _offer(pool: PoolOffer, answer: Quote) -> tuple[str, ...]:
    if pool.amount_out is None:
        words = words_for(pool.error_code)
        return (printable(words.meaning.rstrip(".") if words else pool.error or "–"), "", "", "")
    missing = (answer.amount_out - pool.amount_out) / answer.amount_out
    fee = "–" if pool.fee is None else f"{amount(pool.fee)} {printable(pool.fee_token or '')}"
    return (
        amount(pool.amount_out),
        f"{missing * 100:.3f} %",
        percent(pool.price_impact),
        fee,
    )
