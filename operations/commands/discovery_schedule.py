"""`pools schedule|proposals`: the search that runs every hour, and what it proposes."""

from __future__ import annotations

from typing import Annotated

import typer
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from chalicelib.amounts import parse_decimal, to_text
from chalicelib.discovery.policy import DiscoveryPolicy
from chalicelib.risk.limits import ReferenceCurrency
from operations.commands.redrive import duration_ms
from operations.commands.stage import EndpointOption, RegionOption, StageOption, find_target, refusals, usage
from operations.discovery_schedule import AutoAdd, DiscoverySchedule
from operations.discovery_schedule import schedule as schedule_of
from operations.errors import UnfitOption

_REFERENCE = ReferenceCurrency()
_HOUR_MS = 3_600_000

DecimalsOption = Annotated[
    int, typer.Option("--reference-decimals", metavar="NUMBER", help="Of the token that the stage values orders in.")
]


def schedule(
    on: Annotated[bool | None, typer.Option("--on/--off", help="Search every hour, or no more.")] = None,
    auto_add: Annotated[
        bool, typer.Option("--auto-add", help="Let what is found trade without an operator's word.")
    ] = False,
    least_depth: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="With --auto-add: so deep at least, in whole tokens of the reference."),
    ] = None,
    least_age: Annotated[
        int | None, typer.Option(metavar="TIME", parser=duration_ms, help="With --auto-add: so old at least, as 7d.")
    ] = None,
    decimals: DecimalsOption = _REFERENCE.decimals,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Whether pools are searched for every hour, and what may become of them; without an option it is shown.

    What is found is proposed, and trades only after `pools add`, or with --auto-add.
    """
    output = Output(as_json=as_json)
    with refusals(), usage():
        wanted = _auto_add(on, auto_add, least_depth, least_age)
        policy = _changed(schedule_of(find_target(stage, endpoint_url, region), decimals), on, wanted)
    if as_json:
        output.json(
            {
                "on": policy.on,
                "autoAdd": policy.auto_add,
                "leastDepth": to_text(policy.least_depth, decimals),
                "leastAgeMs": policy.least_age_ms,
            }
        )
    else:
        output.line(_in_words(policy, decimals))
    return ExitCode.OK


def proposals(
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """What the hourly search proposes: pools to add, and registered ones that can't be traded any more."""
    output = Output(as_json=as_json)
    with refusals():
        found = schedule_of(find_target(stage, endpoint_url, region), _REFERENCE.decimals).proposals()
    if as_json:
        output.json(
            [
                {
                    "address": one.address,
                    "program": one.program,
                    "mints": list(one.mints),
                    "state": str(one.state),
                    "sinceMs": one.since_ms,
                    "reason": one.reason,
                }
                for one in found
            ]
        )
        return ExitCode.OK
    if not found:
        output.line("nothing is proposed")
        return ExitCode.OK
    table = output.table("pool", "is", "why")
    for one in found:
        table.add_row(one.address, str(one.state), printable(one.reason))
    output.show(table)
    return ExitCode.OK


def _auto_add(on: bool | None, wanted: bool, least_depth: str | None, least_age: int | None) -> AutoAdd | None:
    """Raises UnfitOption where the options don't go together."""
    if not wanted:
        if least_depth is not None or least_age is not None:
            raise UnfitOption("--least-depth and --least-age are for --auto-add")
        return None
    if on is not True or least_depth is None or least_age is None:
        raise UnfitOption("--auto-add takes --on, --least-depth and --least-age: which pools may trade unseen?")
    return AutoAdd(parse_decimal(least_depth, "--least-depth"), least_age)


def _changed(stages: DiscoverySchedule, on: bool | None, auto_add: AutoAdd | None) -> DiscoveryPolicy:
    if on is None:
        return stages.policy()
    return stages.turn_on(auto_add) if on else stages.turn_off()


def _in_words(policy: DiscoveryPolicy, decimals: int) -> str:
    if not policy.on:
        return "no pools are searched for"
    if not policy.auto_add:
        return "pools of the registered pairs are searched for every hour; what is found trades after `pools add`"
    depth, hours = to_text(policy.least_depth, decimals), policy.least_age_ms / _HOUR_MS
    return (
        f"pools of the registered pairs are searched for every hour; those that are {depth} {_REFERENCE.symbol} deep "
        f"and {hours:g} h old at least are traded, and count for no reference price"
    )
