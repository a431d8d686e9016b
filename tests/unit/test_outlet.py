"""A pool as the search sees it: what it pays, what it takes at most and at least, each asked but once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.routing.outlet import IMPOSSIBLE, Outlet


@dataclass
class Shop:
    """Takes up to `most` and pays a unit for each `unit` of it; counts how often it is asked."""

    most: int
    unit: int = 1
    asked: list[int] = field(default_factory=list)

    def __call__(self, amount: int) -> int | None:
        self.asked.append(amount)
        return amount // self.unit if amount <= self.most else None


def test_nothing_is_paid_nothing_and_nobody_is_asked_for_that() -> None:
    shop = Shop(10)
    assert Outlet(shop).paid(0) == 0
    assert shop.asked == []


def test_what_is_refused_or_would_be_paid_nothing_is_impossible() -> None:
    outlet = Outlet(Shop(10, unit=3))
    assert [outlet.paid(amount) for amount in (2, 3, 10, 11)] == [IMPOSSIBLE, 1, 3, IMPOSSIBLE]
    assert [outlet.takes(amount) for amount in (2, 10, 11)] == [True, True, False]
    assert IMPOSSIBLE + 2**64 < 0, "no sum with it is above zero"


def test_each_amount_is_asked_for_once_whatever_is_to_be_known_of_it() -> None:
    shop = Shop(10)
    outlet = Outlet(shop)
    for _ in range(2):
        outlet.paid(11)
        outlet.takes(11)
        outlet.takes(5)
        outlet.paid(5)
    assert shop.asked == [11, 5]
    assert outlet.asked == 2
    assert outlet.answers(11) == [(5, 5), (11, None)]
    assert outlet.answers(10) == [(5, 5)]


@given(most=st.integers(0, 200), limit=st.integers(1, 200), unit=st.integers(1, 9))
def test_the_room_is_the_most_that_is_taken_and_paid(most: int, limit: int, unit: int) -> None:
    taken = min(most, limit)
    assert Outlet(Shop(most, unit)).room(limit) == (taken if taken >= unit else 0)


@given(room=st.integers(0, 200), unit=st.integers(1, 9))
def test_the_least_is_the_first_amount_that_is_paid_for(room: int, unit: int) -> None:
    room = room if room >= unit else 0
    assert Outlet(Shop(room, unit)).least(room) == (unit if room else 0)


@pytest.mark.parametrize(
    ("most", "halvings", "between"),
    [(37, 0, (0, 100)), (37, 1, (0, 50)), (37, 2, (25, 50)), (37, 20, (37, 38)), (0, 20, (0, 1)), (99, 20, (99, 100))],
)
def test_the_room_is_closed_in_on_by_halves_as_often_as_is_asked(
    most: int, halvings: int, between: tuple[int, int]
) -> None:
    shop = Shop(most)
    assert Outlet(shop).room_between(0, 100, halvings) == between
    assert len(shop.asked) <= halvings


def test_where_two_amounts_lie_side_by_side_nobody_is_asked() -> None:
    shop = Shop(37)
    assert Outlet(shop).room_between(37, 38, 5) == (37, 38)
    assert shop.asked == []
