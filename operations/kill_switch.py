"""The kill switch.

Within a second of `halt` no new transaction leaves: workers look at it before each attempt and again before they store
what they signed. Orders that come meanwhile end `failed`, `HALTED`; a transaction that was stored before is carried to
its fate. `resume` lets new orders through; those that ended stay so.
"""

from __future__ import annotations

import time

from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.risk.halt import Halt
from operations.errors import UnfitOption

MAX_REASON = 200


def halt(table: ControlTable, scope: str, reason: str) -> Halt:
    """Throw the scope's switch; `reason` is told in the orders' errors. Raises UnfitOption where it is too long."""
    if len(reason) > MAX_REASON:
        raise UnfitOption(f"--reason is longer than {MAX_REASON} characters")
    return table.halt(scope, reason, time.time_ns() // 1_000_000)


def resume(table: ControlTable, scope: str) -> Halt | None:
    """Take the scope's switch back; what it was, None where it wasn't thrown."""
    return table.resume(scope)


def state(table: ControlTable, scope: str) -> Halt | None:
    """The scope's own switch; None where it isn't thrown."""
    return table.halt_in(scope)
