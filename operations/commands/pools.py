"""`pools add|discover|list|proposals|remove|schedule`: the registry of pools that a stage trades on."""

from __future__ import annotations

from typing import Annotated

import typer
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from chalicelib.solana.mint_risks import MintRisk
from operations import pools
from operations.commands.discover import discover
from operations.commands.discovery_schedule import proposals, schedule
from operations.commands.stage import EndpointOption, NodeOption, RegionOption, StageOption, find_target, refusals
from operations.target import Stage

app = typer.Typer(no_args_is_help=True, help="The pools that a stage trades on.")

app.command("discover")(discover)
app.command("schedule")(schedule)
app.command("proposals")(proposals)

PoolArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="The pool's account, in base58.")]


@app.command("list")
def list_pools(
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    node: NodeOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Every registered pool."""
    output = Output(as_json=as_json)
    with refusals():
        entries = _administration(stage, endpoint_url, region, node).list()
    if as_json:
        output.json([{"address": entry.address, "program": entry.program} for entry in entries])
        return ExitCode.OK
    table = output.table("pool", "program")
    for entry in entries:
        table.add_row(entry.address, entry.program if output.is_roomy else pools.dex_of(entry.program))
    output.show(table)
    return ExitCode.OK


@app.command("add")
def add_pool(
    address: PoolArgument,
    accept_risk: Annotated[
        list[MintRisk] | None,
        typer.Option(metavar="RISK", help=f"Of {', '.join(MintRisk)}; may be given again.", show_choices=False),
    ] = None,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    node: NodeOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Register a pool, after a look at it on the chain: is it one that this version can trade?

    Where somebody may still do something to the holders of its tokens, that risk must be named to be accepted.
    """
    output = Output(as_json=as_json)
    with refusals():
        added = _administration(stage, endpoint_url, region, node).add(address, accept_risk or ())
    for warning in added.warnings:
        output.note(printable(warning))
    if as_json:
        entry = {"address": added.entry.address, "program": added.entry.program}
        risks = {mint: list(found) for mint, found in added.risks.items() if found}
        facts = {"venue": added.venue, "mints": list(added.mints), "acceptedRisks": risks}
        output.json({**entry, **facts, "warnings": list(added.warnings)})
    else:
        output.line(f"added a pool of {added.venue}; it is traded within half a minute", style="green")
        output.line(f"  {added.mints[0]}\n  {added.mints[1]}", style="dim")
    return ExitCode.OK


@app.command("remove")
def remove_pool(
    address: PoolArgument,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    node: NodeOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Take a pool out of the registry. A deploy with a registry file that lists it brings it back."""
    output = Output(as_json=as_json)
    with refusals():
        _administration(stage, endpoint_url, region, node).remove(address)
    if as_json:
        output.json({"address": address, "removed": True})
    else:
        output.line("removed; it is traded for half a minute more at most", style="green")
    return ExitCode.OK


def _administration(
    stage: Stage | None, endpoint_url: str | None, region: str | None, node: str | None
) -> pools.PoolAdministration:
    return pools.administration(find_target(stage, endpoint_url, region), node)
