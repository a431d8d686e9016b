"""The kill switch. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.risk.counters import GLOBAL


@dataclass(frozen=True, slots=True)
class Halt:
    """A kill switch that is thrown: for `scope`, since when (ms), and why."""

    scope: str
    since_ms: int
    reason: str

    def __str__(self) -> str:
        whose = "all executions are" if self.scope == GLOBAL else "this account's executions are"
        return f"{whose} halted{f': {self.reason}' if self.reason else ''}"
