"""The log of a transaction with emulated swaps, told as the real programs would have written it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from solders.pubkey import Pubkey

from infra.localnet import invocation_logs as logs
from infra.localnet.programs.program import SwapEffect

_BUDGET_EXCEEDED = "Computational budget exceeded"


@dataclass(frozen=True, slots=True)
class Step:
    """One of the original instructions with the log lines of each instruction that was executed for it."""

    index: int
    program: Pubkey
    effect: SwapEffect | None
    groups: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Retelling:
    """`extra_units` is what the swaps burn beyond their transfers; at `exceeded_at` the budget runs out."""

    lines: tuple[str, ...]
    extra_units: int
    exceeded_at: int | None = None


def retell(steps: Sequence[Step]) -> Retelling:
    lines: list[str] = []
    extra = 0
    for step in steps:
        executed = [group for group in step.groups if group]
        if step.effect is not None and step.effect.transfers and not executed:
            break  # something before it failed
        spent, budget = _spent(step, executed, extra)
        if spent > budget:
            lines += _exceeded(step, budget)
            return Retelling(tuple(lines), extra, step.index)
        if step.effect is None:
            for group in executed:
                lines += logs.with_less_budget(group, extra)
            continue
        lines += _swap(step.program, step.effect, executed, spent, budget, extra)
        extra += spent - _burnt(executed)
    return Retelling(tuple(lines), extra)


def _spent(step: Step, executed: Sequence[Sequence[str]], extra: int) -> tuple[int, int]:
    """Compute units that the instruction burns, and those that are left when it begins."""
    first = logs.consumption(executed[0]) if executed else None
    if first is None:
        return 0, 0
    units, budget = first
    return units if step.effect is None else step.effect.compute_units, budget - extra


def _burnt(executed: Sequence[Sequence[str]]) -> int:
    return sum(spent[0] for group in executed if (spent := logs.consumption(group)) is not None)


def _swap(
    program: Pubkey, effect: SwapEffect, executed: Sequence[Sequence[str]], spent: int, budget: int, extra: int
) -> list[str]:
    lines = [logs.invoke_line(program), *effect.logs]
    for group in executed:
        lines += logs.nested(logs.with_less_budget(group, extra))
    lines.append(logs.consumed_line(program, spent, budget))
    reason = logs.failure_reason(executed[-1]) if executed else None
    lines.append(logs.success_line(program) if reason is None else logs.failed_line(program, reason))
    return lines


def _exceeded(step: Step, budget: int) -> list[str]:
    return [
        logs.invoke_line(step.program),
        logs.consumed_line(step.program, max(budget, 0), max(budget, 0)),
        logs.failed_line(step.program, _BUDGET_EXCEEDED),
    ]
