"""What an order takes up of the limits on sums, and how the counters move when it is written. Pure.

A counter is the sum of what all stored orders claim. It stays so because every write of an order that changes its
claims moves the counters in the same transaction (chalicelib/aws/dynamodb/order_table.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from chalicelib.risk.limits import Limits, LimitsInForce

GLOBAL = "global"

Kind = Literal["open", "waiting", "notional", "fees"]


@dataclass(frozen=True, slots=True)
class Notional:
    """Reference base units that count against one UTC day (`2026-01-31`)."""

    day: str
    value: int


@dataclass(frozen=True, slots=True)
class NetworkFees:
    """Lamports of network fees that count against one UTC day (`2026-01-31`)."""

    day: str
    lamports: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What one order stands for in the counters.

    Whether it is open, or waits for a price; what it trades or has traded on which day; what its transactions cost, or
    may cost, on which.
    """

    open: int = 0
    notional: Notional | None = None
    fees: tuple[NetworkFees, ...] = ()
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """One counter's change. `ceiling` is what it may not pass by growing; None where it may, or where it shrinks."""

    kind: Kind
    scope: str
    day: str | None
    by: int
    ceiling: int | None

    @property
    def key(self) -> str:
        """The counter's name in the control table."""
        return counter_key(self.kind, self.scope, self.day)


@dataclass(frozen=True, slots=True)
class Usage:
    """What counters of one scope and day stand at: orders, reference base units, lamports."""

    open_orders: int
    waiting_orders: int
    notional: int
    network_fees: int


class CounterFull(Exception):
    """A write would have taken a counter over its ceiling; nothing was written. `stood_at`: the counter then."""

    def __init__(self, movement: Movement, stood_at: int) -> None:
        super().__init__(f"{movement.key} stands at {stood_at}, and {movement.by} more pass {movement.ceiling}")
        self.movement = movement
        self.stood_at = stood_at


def account_scope(account: str) -> str:
    """An account's scope; no account's name can make it that of all, or of the defaults."""
    return f"account#{account}"


def counter_key(kind: Kind, scope: str, day: str | None = None) -> str:
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


def summed(moved: Iterable[Movement]) -> tuple[Movement, ...]:
    """Several orders' movements as one write makes them: each counter once, held to the strictest of their ceilings."""
    by_key: dict[str, list[Movement]] = {}
    for movement in moved:
        by_key.setdefault(movement.key, []).append(movement)
    sums = [
        (of_one[0], sum(one.by for one in of_one), [one.ceiling for one in of_one if one.ceiling is not None])
        for of_one in by_key.values()
    ]
    return tuple(
        replace(first, by=by, ceiling=min(ceilings, default=None) if by > 0 else None)
        for first, by, ceilings in sums
        if by
    )


def _movements(scope: str, limits: Limits | None, before: Claims, after: Claims) -> Iterator[Movement]:
    held = Limits() if limits is None else limits
    of_orders: tuple[tuple[Kind, int, int | None], ...] = (
        ("open", after.open - before.open, held.open_orders),
        ("waiting", after.waiting - before.waiting, held.waiting_orders),
    )
    for kind, by, most in of_orders:
        if by:
            yield Movement(kind, scope, None, by, most if by > 0 else None)
    of_days: tuple[tuple[Kind, dict[str, int], int | None], ...] = (
        ("notional", _changes(_notional_by_day(before), _notional_by_day(after)), held.daily_notional),
        ("fees", _changes(_fees_by_day(before), _fees_by_day(after)), held.daily_network_fees),
    )
    for kind, by_day, most in of_days:
        for day, by in sorted(by_day.items()):
            yield Movement(kind, scope, day, by, most if by > 0 else None)


def _notional_by_day(claims: Claims) -> Counter[str]:
    return Counter() if claims.notional is None else Counter({claims.notional.day: claims.notional.value})


def _fees_by_day(claims: Claims) -> Counter[str]:
    sums: Counter[str] = Counter()
    for fees in claims.fees:
        sums[fees.day] += fees.lamports
    return sums


def _changes(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """By day how much more there is after than before; days on which nothing changes are left out."""
    return {day: by for day in before | after if (by := after[day] - before[day])}
