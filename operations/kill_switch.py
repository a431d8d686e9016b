"""The kill switch.

Within a second of `halt` no new transaction leaves: workers look at it before each attempt and again before they store
what they signed. Orders that come meanwhile end `failed`, `HALTED`; a transaction that was stored before is carried to
its fate. Resuming (approvals.py) lets new orders through; those that ended stay so.
"""

from __future__ import annotations

from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.risk.halt import Halt
from operations.clock import now_ms
from operations.errors import UnfitOption

MAX_REASON = 200


def halt(table: ControlTable, scope: str, reason: str) -> Halt:
    """Throw the scope's switch; `reason` is told in the orders' errors. Raises UnfitOption where it is too long."""
    if len(reason) > MAX_REASON:
        raise UnfitOption(f"--reason is longer than {MAX_REASON} characters")
    return table.halt(scope, reason, now_ms())


def state(table: ControlTable, scope: str) -> Halt | None:
    """The scope's own switch; None where it isn't thrown."""
    return table.halt_in(scope)
