"""The log of a transaction with emulated swaps, told as the real programs would have written it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from solders.pubkey import Pubkey

from infra.localnet import invocation_logs as logs
from infra.localnet.programs.program import SwapEffect

_BUDGET_EXCEEDED = "Computational budget exceeded"


@dataclass(frozen=True, slots=True)
class ExecutedInstruction:
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


def retell(executed_instructions: Sequence[ExecutedInstruction]) -> Retelling:
    lines: list[str] = []
    extra = 0
    for instruction in executed_instructions:
        executed = [group for group in instruction.groups if group]
        if instruction.effect is not None and instruction.effect.transfers and not executed:
            break  # something before it failed
        spent, budget = _spent(instruction, executed, extra)
        if spent > budget:
            lines += _exceeded(instruction, budget)
            return Retelling(tuple(lines), extra, instruction.index)
        if instruction.effect is None:
            for group in executed:
                lines += logs.with_less_budget(group, extra)
            continue
        lines += _swap(instruction.program, instruction.effect, executed, spent, budget, extra)
        extra += spent - _burnt(executed)
    return Retelling(tuple(lines), extra)


def _spent(instruction: ExecutedInstruction, executed: Sequence[Sequence[str]], extra: int) -> tuple[int, int]:
    """Compute units that the instruction burns, and those that are left when it begins."""
    first = logs.consumption(executed[0]) if executed else None
    if first is None:
        return 0, 0
    units, budget = first
    return units if instruction.effect is None else instruction.effect.compute_units, budget - extra


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


def _exceeded(instruction: ExecutedInstruction, budget: int) -> list[str]:
    return [
        logs.invoke_line(instruction.program),
        logs.consumed_line(instruction.program, max(budget, 0), max(budget, 0)),
        logs.failed_line(instruction.program, _BUDGET_EXCEEDED),
    ]
