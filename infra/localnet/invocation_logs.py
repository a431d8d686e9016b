"""Program logs: one transaction's lines by top-level instruction, and the moving of a program under another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from solders.pubkey import Pubkey

_INVOKE = re.compile(r"^Program (\w+) invoke \[(\d+)\]$")
_CONSUMED = re.compile(r"^Program (\w+) consumed (\d+) of (\d+) compute units$")
_FAILED = re.compile(r"^Program \w+ failed: (.*)$")


def split_by_instruction(logs: Iterable[str], programs: Sequence[Pubkey]) -> list[list[str]]:
    """The lines of each instruction, `programs` being their programs in order. Precompiles write no line."""
    groups: list[list[str]] = [[] for _ in programs]
    names = [str(program) for program in programs]
    current = -1
    for line in logs:
        invoked = _INVOKE.match(line)
        if invoked is not None and invoked[2] == "1":
            current = names.index(invoked[1], current + 1)
        groups[current].append(line)
    return groups


def nested(lines: Iterable[str]) -> list[str]:
    """The same lines where their program was invoked by another one."""
    return [
        f"Program {invoked[1]} invoke [{int(invoked[2]) + 1}]" if (invoked := _INVOKE.match(line)) else line
        for line in lines
    ]


def with_less_budget(lines: Iterable[str], units: int) -> list[str]:
    """The same lines where `units` more had been burnt before."""
    return [
        consumed_line(found[1], int(found[2]), int(found[3]) - units) if (found := _CONSUMED.match(line)) else line
        for line in lines
    ]


def consumption(lines: Sequence[str]) -> tuple[int, int] | None:
    """Compute units that a top-level instruction burnt, and had when it began. None for builtins, which don't say."""
    for line in reversed(lines):
        if found := _CONSUMED.match(line):
            return int(found[2]), int(found[3])
    return None


def failure_reason(lines: Sequence[str]) -> str | None:
    """What the last line says where it reports a failure."""
    found = _FAILED.match(lines[-1]) if lines else None
    return found[1] if found else None


def invoke_line(program: object) -> str:
    return f"Program {program} invoke [1]"


def consumed_line(program: object, units: int, budget: int) -> str:
    return f"Program {program} consumed {units} of {budget} compute units"


def success_line(program: object) -> str:
    return f"Program {program} success"


def failed_line(program: object, reason: str) -> str:
    return f"Program {program} failed: {reason}"


def anchor_error_line(code: int, name: str, message: str) -> str:
    """As Anchor's `AnchorError::log` has it."""
    return f"Program log: AnchorError occurred. Error Code: {name}. Error Number: {code}. Error Message: {message}."
