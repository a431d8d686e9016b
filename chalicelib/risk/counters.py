"""What an order takes up of the limits on sums, and how the counters move when it is written. Pure.

A counter is the sum of what all stored orders claim. It stays so because every write of an order that changes its
claims moves the counters in the same transaction (chalicelib/aws/dynamodb/order_table.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from chalicelib.risk.limits import Limits, LimitsInForce

GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Notional:
    """Reference base units that count against one UTC day (`2026-01-31`)."""

    day: str
    value: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What one order stands for in the counters: whether it is open, and what it trades or has traded on which day."""

    open: int = 0
    notional: Notional | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """One counter's change. `ceiling` is what it may not pass by growing; None where it may, or where it shrinks."""

    kind: Literal["open", "notional"]
    scope: str
    day: str | None
    by: int
    ceiling: int | None

    @property
    def key(self) -> str:
        """The counter's name in the control table."""
        return counter_key(self.kind, self.scope, self.day)


class CounterFull(Exception):
    """A write would have taken a counter over its ceiling; nothing was written. `stood_at`: the counter then."""

    def __init__(self, movement: Movement, stood_at: int) -> None:
        super().__init__(f"{movement.key} stands at {stood_at}, and {movement.by} more pass {movement.ceiling}")
        self.movement = movement
        self.stood_at = stood_at


def account_scope(account: str) -> str:
    """An account's scope; no account's name can make it that of all, or of the defaults."""
    return f"account#{account}"


def counter_key(kind: str, scope: str, day: str | None = None) -> str:
    return f"{kind}#{scope}" if day is None else f"{kind}#{day}#{scope}"


def day_of(at_ms: int) -> str:
    """The UTC day of a time in milliseconds."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()


def movements(account: str, before: Claims, after: Claims, limits: LimitsInForce | None) -> tuple[Movement, ...]:
    """How the counters must move when an order's claims change from `before` to `after`; none where they don't.

    With `limits` what grows is held to them; without it is only counted.
    """
    scopes = (
        (account_scope(account), None if limits is None else limits.account),
        (GLOBAL, None if limits is None else limits.together),
    )
    return tuple(movement for scope, own in scopes for movement in _movements(scope, own, before, after))


def _movements(scope: str, limits: Limits | None, before: Claims, after: Claims) -> Iterator[Movement]:
    opened = after.open - before.open
    if opened:
        ceiling = limits.open_orders if limits is not None and opened > 0 else None
        yield Movement("open", scope, None, opened, ceiling)
    by_day: dict[str, int] = {}
    for notional, sign in ((before.notional, -1), (after.notional, 1)):
        if notional is not None:
            by_day[notional.day] = by_day.get(notional.day, 0) + sign * notional.value
    for day, by in sorted(by_day.items()):
        if by:
            ceiling = limits.daily_notional if limits is not None and by > 0 else None
            yield Movement("notional", scope, day, by, ceiling)
