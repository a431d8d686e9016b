"""What every division of an input must be, and what one is worth, for the tests of the search for a split."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.routing.split import Division
from tests.unit.simple_outlets import Pay


def worth(division: Division | None, leg_cost: int) -> int | None:
    """What a division is worth: its output less the cost of each leg but one."""
    return None if division is None else division.amount_out - leg_cost * (division.legs - 1)


def check_sound(division: Division, pays: Sequence[Pay], amount: int, max_legs: int = 4) -> None:
    assert sum(division.amounts) == amount
    assert 1 <= division.legs <= max_legs
    paid = [pay(part) for pay, part in zip(pays, division.amounts, strict=True) if part]
    assert all(paid), "a leg that is paid nothing fails on the chain"
    assert division.amount_out == sum(each or 0 for each in paid)
