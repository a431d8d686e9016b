"""`audit`, `approve`, `approvals`: the operators' record, and what needs two of them."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from chalicelib.times import time_text
from operations.approvals import NEEDABLE, Proposal, approvals
from operations.clock import now_ms
from operations.commands.redrive import duration_ms
from operations.commands.stage import EndpointOption, RegionOption, StageOption, find_target, refusals, usage
from operations.errors import UnfitOption
from operations.record import KINDS, record_of
from operations.stacks import deployed


def audit(
    since: Annotated[
        int | None, typer.Option(metavar="TIME", parser=duration_ms, help="Not older than that: such as 2h or 7d.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(KINDS)}; may be given again.")] = None,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Who changed keys, limits, halts, pools, webhooks or wallets, when, and from what to what."""
    output = Output(as_json=as_json)
    with usage():
        if unknown := {*(kind or ())} - {*KINDS}:
            raise UnfitOption(f"--kind {min(unknown)}: one of {', '.join(KINDS)}")
    with refusals():
        target = find_target(stage, endpoint_url, region)
        since_ms = 0 if since is None else now_ms() - since
        entries = record_of(target, deployed(target, "data")).entries(since_ms, kind or KINDS)
    if as_json:
        output.json(
            [
                {
                    "at": time_text(one.at_ms),
                    "who": one.who,
                    "kind": one.kind,
                    "action": one.action,
                    "subject": one.subject,
                    "before": one.before,
                    "after": one.after,
                    **({} if one.proposed_by is None else {"proposedBy": one.proposed_by}),
                }
                for one in entries
            ]
        )
        return ExitCode.OK
    table = output.table("at", "who", "what", "before", "after")
    for one in entries:
        who = one.who if one.proposed_by is None else f"{one.who}, proposed by {one.proposed_by}"
        row = (time_text(one.at_ms), who, f"{one.kind} {one.action} {one.subject}", _text(one.before), _text(one.after))
        table.add_row(*map(printable, row))
    output.show(table)
    return ExitCode.OK


def approve(
    proposal: Annotated[str, typer.Argument(metavar="ID", help="As `fillrate approvals` shows it.")],
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Carry out what another operator proposed."""
    output = Output(as_json=as_json)
    with refusals():
        done = approvals(find_target(stage, endpoint_url, region)).approve(proposal)
    if as_json:
        output.json(_facts(done))
    else:
        output.line(printable(f"{done.action} {done.subject}: carried out as {done.who} proposed"), style="green")
    return ExitCode.OK


def show_approvals(
    need: Annotated[
        list[str] | None, typer.Option(help=f"Set what needs two: {', '.join(NEEDABLE)}; may be given again.")
    ] = None,
    need_none: Annotated[bool, typer.Option("--need-none", help="Nothing needs two.")] = False,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """What needs a second operator, and what waits for one."""
    output = Output(as_json=as_json)
    with refusals():
        office = approvals(find_target(stage, endpoint_url, region))
        if need or need_none:
            refer_to_another(office.need(frozenset(() if need_none else need or ())))
        needed, waiting = sorted(office.needed()), office.open_proposals()
    if as_json:
        output.json({"needed": needed, "proposals": [_facts(one) for one in waiting]})
        return ExitCode.OK
    output.line(f"a second operator is needed for: {', '.join(needed) or 'nothing'}")
    if waiting:
        table = output.table("id", "proposed by", "at", "what")
        for one in waiting:
            what = f"{one.action} {one.subject} {_text(dict(one.arguments))}"
            table.add_row(*map(printable, (one.proposal_id, one.who, time_text(one.at_ms), what)))
        output.show(table)
    return ExitCode.OK


def refer_to_another(proposal: Proposal | None) -> None:
    """Say that nothing is done yet, where it was only proposed. Raises CommandError."""
    if proposal is not None:
        text = f"proposed as {proposal.proposal_id}, not done: another operator runs `fillrate approve` with that id"
        raise CommandError("NEEDS_APPROVAL", text, ExitCode.REJECTED)


def _facts(one: Proposal) -> dict[str, object]:
    facts = {"id": one.proposal_id, "proposedBy": one.who, "at": time_text(one.at_ms)}
    return {**facts, "action": one.action, "subject": one.subject, "arguments": json.loads(_text(dict(one.arguments)))}


def _text(value: dict[str, object] | None) -> str:
    return "–" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False, default=int)
