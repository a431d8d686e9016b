"""A rate (rate.py) that all processes keep together: its theoretical arrival time in an item, one write a pass.

The attributes are `tat`, and `interval` and `tolerance` where the rate is the item's own and not the caller's, each
with the unit of its times behind it, as in `tatUs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.table import Table
from chalicelib.rate import Rate


class TooSoon(Exception):
    """One pass too many. The next is free in `wait`, in the cell's unit, not before."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"free again in {wait}")
        self.wait = wait


class Unusable(Exception):
    """There is no such item, or its time is over."""


@dataclass(frozen=True, slots=True)
class Usable:
    """What must hold of an item besides: for DynamoDB as a condition with its values, and for an item at hand."""

    condition: str = ""
    values: Item = field(default_factory=dict)
    holds: Callable[[Item], bool] = lambda item: True


class RateCell:
    """Passes at items of a table. `rate` is that of all of them, in `unit`; None where each has its own.

    `mostly_free`: what to guess of an item with the shared rate, that nobody else uses it at this moment.
    """

    def __init__(self, table: Table, unit: str, rate: Rate | None = None, *, mostly_free: bool = False) -> None:
        self._table = table
        self._rate = rate
        self._mostly_free = mostly_free or rate is None
        self._tat, self._own_interval, self._own_tolerance = f"tat{unit}", f"interval{unit}", f"tolerance{unit}"

    def attributes(self, rate: Rate) -> Item:
        """What an item must have to keep a rate of its own."""
        return {self._own_interval: rate.interval, self._own_tolerance: rate.tolerance}

    def take(self, key: Item, now: int, longest_wait: int = 0, usable: Usable = Usable()) -> tuple[int, Item]:
        """Take the next pass: the time from which it counts, now or at most `longest_wait` later, and the item.

        One write where the first guess is right: that a shared rate is in use, unless it is `mostly_free`, and that an
        item with its own is not.
        Raises Unusable or TooSoon; nothing is written then.
        """
        behind_others = not self._mostly_free
        latest = now + self._tolerance({}) + longest_wait if behind_others else now
        while True:
            taken, item = self._after_others(key, now, latest, usable) if behind_others else self._now(key, now, usable)
            if taken:
                arrival = int(item[self._tat]) - self._interval(item)
                return max(now, arrival - self._tolerance(item)), item
            if not usable.holds(item):
                raise Unusable
            arrival, latest = int(item.get(self._tat, 0)), now + self._tolerance(item) + longest_wait
            if arrival > latest:
                raise TooSoon(arrival - latest)
            # where others take passes at this moment, what was found has changed by now: the condition tells
            behind_others = arrival > now

    def _after_others(self, key: Item, now: int, latest: int, usable: Usable) -> tuple[bool, Item]:
        condition = f"{self._tat} > :now AND {self._tat} <= :latest"
        return self._move(key, condition, self._tat, {"now": now, "latest": latest}, usable)

    def _now(self, key: Item, now: int, usable: Usable) -> tuple[bool, Item]:
        condition = f"(attribute_not_exists({self._tat}) OR {self._tat} <= :now)"
        return self._move(key, condition, ":now", {"now": now}, usable)

    def _move(self, key: Item, condition: str, base: str, values: Item, usable: Usable) -> tuple[bool, Item]:
        """Move the arrival time to one interval after `base`."""
        interval = self._own_interval if self._rate is None else ":interval"
        given = {} if self._rate is None else {"interval": self._rate.interval}
        return self._table.update_and_tell(
            f"{usable.condition} AND {condition}" if usable.condition else condition,
            key,
            f"SET {self._tat} = {base} + {interval}",
            {**values, **given, **usable.values},
        )

    def _interval(self, item: Item) -> int:
        return int(item[self._own_interval]) if self._rate is None else self._rate.interval

    def _tolerance(self, item: Item) -> int:
        return int(item[self._own_tolerance]) if self._rate is None else self._rate.tolerance
