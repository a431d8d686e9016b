"""What was found, as a Markdown page and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, log10

from bench.cost.measuring import Measurement
from bench.scaling.limits import Limits
from bench.scaling.search import Step, unloaded_seconds
from bench.scaling.simulation import Outcome, Profile, capacities, percentile
from bench.svg import drawing

_PAGE = """\
# How the engine scales

A simulation, seeded, with what one order took when it was counted ([cost.md](cost.md)): its durations, units and calls.
Orders come at random times; each waits for every limit on its way. Nothing of this ran on AWS.

## What each limit lets through, as deployed

{capacities}

![The same as a chart](scaling.svg)

The Solana node's rate is an assumption: {rpc:,.0f} calls a second. So are {accounts} clients' accounts, {pools}
pools that the orders spread over, and the {transaction_ms:.0f} ms for which a transaction holds the counters that all
orders share. AWS's limits are the defaults of an account in us-east-1 (`bench/scaling/limits.py`
names the pages), Solana's {block_units} million compute units a block and {account_units} million for one account.

{loads}

## A sudden start

With the changes above, but from idle: Lambda starts with five workers and adds 300 a minute.

| orders a minute | from placed to confirmed, p95, warm | from idle |
| ---: | ---: | ---: |
{cold}

Measured on: {machine}. Again with `python -m bench.scaling`, after `python -m bench.cost`.
"""

_LOAD = """\
## {per_minute:,} orders a minute

{summary}

| run | turned away | confirmed in time | p50 | p95 | told after | what binds | what to change |
| ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |
{rows}
"""


def page(
    counted: Measurement,
    profile: Profile,
    found: Mapping[int, tuple[list[Step], Limits]],
    cold: Mapping[int, Outcome],
) -> str:
    limits = Limits()
    able = sorted(capacities(profile, limits).items(), key=lambda entry: entry[1])
    return _PAGE.format(
        capacities="\n".join(
            ["| limit | orders a minute |", "| --- | ---: |", *(f"| {name} | {number:,.0f} |" for name, number in able)]
        ),
        rpc=limits.rpc_per_second,
        accounts=limits.accounts,
        pools=limits.pools,
        transaction_ms=limits.transaction_seconds * 1000,
        block_units=round(limits.block_units / 1e6),
        account_units=round(limits.account_units / 1e6),
        loads="\n".join(_load(per_minute, steps, profile) for per_minute, (steps, _) in found.items()),
        cold="\n".join(
            f"| {per_minute:,} | {_seconds(found[per_minute][0][-1].outcome.confirmed, 95)} "
            f"| {_seconds(outcome.confirmed, 95)} |"
            for per_minute, outcome in cold.items()
        ),
        machine=counted.machine,
    )


def _load(per_minute: int, steps: Sequence[Step], profile: Profile) -> str:
    last = steps[-1]
    blocks = capacities(profile, Limits())["Solana's blocks"]
    share = f"It takes {100 * per_minute / blocks:.2g} % of all compute units of all of Solana's blocks."
    if last.binding is None:
        changes = len(steps) - 1
        head = "Carried as deployed." if not changes else f"Carried after {changes} changes."
    else:
        head = f"Not carried: {last.binding} is in the way, and no change of ours removes it."
    rows = "\n".join(_row(number, step) for number, step in enumerate(steps, 1))
    alone = f"An order that is alone takes {unloaded_seconds(profile):.2f} s."
    return _LOAD.format(per_minute=per_minute, summary=f"{head} {share} {alone}", rows=rows)


def _row(number: int, step: Step) -> str:
    outcome = step.outcome
    change = f"{step.change.how} ({step.change.kind})" if step.change else "–"
    cells = [
        str(number),
        _percent(outcome.refused, outcome.offered),
        _percent(len(outcome.told), outcome.offered),
        _seconds(outcome.confirmed, 50),
        _seconds(outcome.confirmed, 95),
        _seconds(outcome.told, 95),
        step.binding or "nothing",
        change,
    ]
    return f"| {' | '.join(cells)} |"


def _percent(part: int, whole: int) -> str:
    return "0" if not part else "100 %" if part == whole else f"{100 * part / whole:.1f} %"


def _seconds(values: list[float], percent: int) -> str:
    return f"{percentile(values, percent):.2f} s" if values else "–"


_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM, _BAR, _GAP = 900, 190, 90, 50, 30, 16, 8


def chart(profile: Profile, loads: Sequence[int]) -> str:
    """Each limit's capacity as deployed, on a logarithmic scale, and the loads as lines."""
    able = sorted(capacities(profile, Limits()).items(), key=lambda entry: entry[1])
    powers = range(1, ceil(log10(max(number for _, number in able))) + 1)
    height = _TOP + len(able) * (_BAR + _GAP) + _BOTTOM

    def x(number: float) -> float:
        return _LEFT + (log10(number) - powers[0]) / (powers[-1] - powers[0]) * (_WIDTH - _LEFT - _RIGHT)

    parts = [
        f'<line x1="{x(load):.1f}" y1="{_TOP - 8}" x2="{x(load):.1f}" y2="{height - _BOTTOM}" stroke="#d1495b"'
        f' stroke-dasharray="4 3"/><text x="{x(load):.1f}" y="{_TOP - 14}" text-anchor="middle" fill="#d1495b">'
        f"{load:,} a minute</text>"
        for load in loads
    ]
    for index, (name, number) in enumerate(able):
        y = _TOP + index * (_BAR + _GAP)
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LEFT}" y="{y}" width="{x(number) - _LEFT:.1f}" height="{_BAR}" fill="#2fa57a"/>'
            f'<text x="{x(number) + 5:.1f}" y="{y + 12}" fill="#333">{number:,.0f}</text>'
        )
    return drawing(_WIDTH, height, "Orders a minute that each limit lets through, logarithmic", parts)
