"""What splits were worth and how many quotes they asked for, recorded: no change of the search may make one worse.

A change that makes one better, or worse for a reason, is recorded by hand: a failure's message has the new figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NotRequired, TypedDict

import pytest

from chalicelib.routing.outlet import Outlet
from chalicelib.routing.split import divide
from tests.unit.divisions import check_sound, worth
from tests.unit.simple_outlets import ConstantProduct, Pay, steps


class RecordedPool(TypedDict):
    """Either a constant product's reserves, fee in millionths and most; or steps, each its most and its millionths."""

    product: NotRequired[tuple[int, int, int, int | None]]
    steps: NotRequired[list[tuple[int, int]]]


class RecordedSplits(TypedDict):
    """Inputs that the same outlets are divided for, one after the other, and what came of each.

    `found`: output less the cost of each leg but one, None where the pools can't take it all; and how many quotes were
    asked for by then.
    """

    amounts: list[int]
    max_legs: int
    leg_cost: int
    found: list[tuple[int | None, int]]
    pools: list[RecordedPool]


RECORDED: list[RecordedSplits] = json.loads(Path(__file__).with_name("recorded_splits.json").read_text())


def pay_of(pool: RecordedPool) -> Pay:
    return ConstantProduct(*pool["product"]) if "product" in pool else steps(*pool["steps"])


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: f"{recorded['amounts'][0]}")
def test_a_split_is_worth_no_less_and_asks_for_no_more_quotes_than_before(recorded: RecordedSplits) -> None:
    pays, max_legs, leg_cost = [pay_of(pool) for pool in recorded["pools"]], recorded["max_legs"], recorded["leg_cost"]
    outlets = [Outlet(pay) for pay in pays]
    for amount, (worth_before, asked_before) in zip(recorded["amounts"], recorded["found"], strict=True):
        division = divide(outlets, amount, max_legs, leg_cost)
        now, asked = worth(division, leg_cost), sum(outlet.asked for outlet in outlets)
        if division is None or now is None or worth_before is None:
            assert now == worth_before
        else:
            check_sound(division, pays, amount, max_legs)
            assert now >= worth_before, f"worth {now} now, by {asked} quotes"
        assert asked <= asked_before, f"{asked} quotes now"
