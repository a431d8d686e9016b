"""`pools discover`: a pair's pools on the chain, the best first, and adding the best of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer
from fillrate.cli.display import amount, printable, shortened
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output
from rich.table import Table

from chalicelib.amounts import fraction_text, parse_decimal, to_text
from chalicelib.discovery.ranking import RankedPool
from chalicelib.solana.mint_risks import MintRisk
from operations import discovery
from operations.commands.stage import (
    EndpointOption,
    NodeOption,
    RegionOption,
    StageOption,
    find_target,
    refusals,
    usage,
)
from operations.discovery import Added, Discovered, FoundPool
from operations.errors import UnfitOption

# Of what can't be traded so many are named; with --json all are.
_UNFIT_SHOWN = 5
_DAY = 86_400


def discover(
    pair: Annotated[str | None, typer.Argument(metavar="PAIR", help="Two tokens, as in SOL/USDC.")] = None,
    mint: Annotated[str | None, typer.Option("--mint", metavar="TOKEN", help="All pairs of one token instead.")] = None,
    add: Annotated[int, typer.Option("--add", metavar="N", min=0, help="Add the best N that aren't registered.")] = 0,
    size: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="How much of the first token to rank by, in whole tokens.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Show the best N; with --json all are.")] = 20,
    accept_risk: Annotated[
        list[MintRisk] | None,
        typer.Option(metavar="RISK", help=f"Of {', '.join(MintRisk)}; may be given again.", show_choices=False),
    ] = None,
    pace: Annotated[
        str | None,
        typer.Option("--requests-per-second", metavar="N", help="To each node; else as the stage's pace allows."),
    ] = None,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    node: NodeOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Find the pools of a pair on the chain, ranked by what they pay, and add the best of them.

    Each is checked with the code that would trade it. Without --add nothing is changed.
    """
    output = Output(as_json=as_json)
    with usage():
        if (pair is None) == (mint is None):
            raise UnfitOption("name a pair, as in SOL/USDC, or a token with --mint")
    with refusals(), usage():
        wanted = None if size is None else parse_decimal(size, "--size")
        calls = None if pace is None else parse_decimal(pace, "--requests-per-second")
        search = discovery.discovery(find_target(stage, endpoint_url, region), node, calls)
        found = search.of_pair(pair, wanted) if pair is not None else search.of_mint(mint or "", wanted)
        added = search.add_best(found, add, accept_risk or ()) if add else Added((), ())
    if as_json:
        output.json(_as_json(found, added))
    else:
        _show(output, found, added, limit)
    if add and not added.pools:
        reason = "; ".join(added.refusals) or "no pool was found that isn't registered and takes the amount"
        raise CommandError("REFUSED", f"nothing was added: {reason}", ExitCode.REJECTED)
    return ExitCode.OK


def _show(output: Output, found: Discovered, added: Added, limit: int) -> None:
    for one in found.unsearched:
        output.note(printable(f"{one.program} was not searched: {one.reason}"), "yellow")
    if found.pools:
        output.show(_table(output, found, limit))
    else:
        output.line("no pool was found that can be traded")
    if len(found.pools) > limit:
        output.note(f"{len(found.pools) - limit} more; --limit shows them")
    for unfit in found.unfit[:_UNFIT_SHOWN]:
        output.note(printable(f"{unfit.candidate.address} can't be traded: {unfit.reason}"))
    if len(found.unfit) > _UNFIT_SHOWN:
        output.note(f"{len(found.unfit) - _UNFIT_SHOWN} more accounts are no pools that can be traded")
    for refusal in added.refusals if added.pools else ():
        output.note(printable(refusal), "yellow")
    for checked in added.pools:
        output.line(f"added {checked.entry.address}, a pool of {checked.venue}", style="green")
        for warning in checked.warnings:
            output.note(printable(warning), "yellow")


def _table(output: Output, found: Discovered, limit: int) -> Table:
    table = output.table(
        "pool",
        "program",
        "pair",
        "sells",
        "gets",
        "fee",
        "depth",
        "age",
        "remarks",
        right=("sells", "gets", "fee", "depth"),
    )
    for one in found.pools[:limit]:
        pool = one.ranked
        table.add_row(
            shortened(str(pool.candidate.address), whole=not output.console.is_terminal or output.is_roomy),
            pool.candidate.venue.program,
            f"{shortened(str(pool.sold.address), whole=False)}/{shortened(str(pool.bought.address), whole=False)}",
            _whole(pool.amount_in, pool.sold.decimals),
            "–" if pool.amount_out is None else _whole(pool.amount_out, pool.bought.decimals),
            "–" if pool.fee is None else f"{Decimal(fraction_text(pool.fee)) * 100:f} %",
            _whole(pool.depth, pool.sold.decimals),
            _age(pool, found.unix_timestamp),
            ", ".join(_remarks(one)) or "–",
        )
    return table


def _remarks(found: FoundPool) -> list[str]:
    """What to know of the pool besides: registered, risks of its tokens, trades one way, too small for the amount."""
    pool = found.ranked
    remarks = ["registered"] if found.registered else []
    remarks += sorted({str(risk) for powers in pool.powers.values() for risk in powers})
    if not pool.depth:
        remarks.append("no depth both ways")
    if pool.amount_out is None:
        remarks.append("too small")
    return remarks


def _whole(base_units: int, decimals: int) -> str:
    return amount(Decimal(to_text(base_units, decimals)))


def _age(pool: RankedPool, now: int) -> str:
    if pool.existed_at is None:
        return "–"
    if pool.existed_at > now:
        return "not open yet"
    days, rest = divmod(now - pool.existed_at, _DAY)
    return f"{days}d" if days else f"{rest // 3600}h"


def _as_json(found: Discovered, added: Added) -> dict[str, Any]:
    return {
        "pools": [_pool_json(one) for one in found.pools],
        "unfit": [{"address": str(one.candidate.address), "reason": one.reason} for one in found.unfit],
        "unsearched": [{"program": one.program, "reason": one.reason} for one in found.unsearched],
        "added": [one.entry.address for one in added.pools],
        "refusals": list(added.refusals),
        "warnings": [warning for one in added.pools for warning in one.warnings],
    }


def _pool_json(found: FoundPool) -> dict[str, Any]:
    pool = found.ranked
    venue = pool.candidate.venue
    return {
        "address": str(pool.candidate.address),
        "program": venue.program,
        "dex": venue.dex,
        "mints": [str(mint) for mint in pool.candidate.mints],
        "mintIn": str(pool.sold.address),
        "mintOut": str(pool.bought.address),
        "amountIn": to_text(pool.amount_in, pool.sold.decimals),
        "amountOut": None if pool.amount_out is None else to_text(pool.amount_out, pool.bought.decimals),
        "refusal": pool.refusal,
        "fee": None if pool.fee is None else fraction_text(pool.fee),
        "depth": to_text(pool.depth, pool.sold.decimals),
        "existedAt": pool.existed_at,
        "risks": {str(mint): [str(risk) for risk in powers] for mint, powers in pool.powers.items() if powers},
        "registered": found.registered,
    }
