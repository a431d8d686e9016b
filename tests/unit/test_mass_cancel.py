"""Many orders cancelled at once: the newest first, each exactly once, and what is left is told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, repeat

import pytest

from chalicelib.orders.mass_cancel import MOST_AT_ONCE, MassCancel, MassCancelled
from chalicelib.orders.order import Order
from chalicelib.orders.ports import OrderPage
from chalicelib.problems import Conflict
from tests.sample_orders import cancelled, confirmed, new_order, submitted


class Book:
    """An account's orders, the newest first, and what becomes of each that is cancelled."""

    def __init__(self, *order_ids: str, raced: dict[str, Order] | None = None) -> None:
        self.ids = order_ids
        self.raced = raced or {}
        self.cancelled: list[str] = []
        self.asked: list[tuple[bool, int, int]] = []

    def cancellable(self, account: str, *, waiting_alone: bool, placed_by_ms: int, at_most: int) -> Sequence[str]:
        assert account == "desk"
        self.asked.append((waiting_alone, placed_by_ms, at_most))
        return self.ids[:at_most]

    def fills(
        self, account: str, from_ms: int | None, to_ms: int | None, mint: str | None, limit: int, cursor: str | None
    ) -> OrderPage:
        return OrderPage((), None)

    def cancel(self, account: str, order_id: str) -> Order:
        assert account == "desk"
        if order_id in self.raced:
            raise Conflict("somebody was quicker")
        self.cancelled.append(order_id)
        return cancelled(new_order(order_id, account))

    def find(self, account: str, order_id: str) -> Order:
        assert account == "desk"
        return self.raced[order_id]


def test_two_hundred_are_cancelled_in_their_order_and_that_there_are_more_is_told() -> None:
    ids = [f"order-{number}" for number in range(MOST_AT_ONCE + 1)]
    for there, more in ((ids, True), (ids[:-1], False)):
        book = Book(*there)
        outcome = MassCancel(book, book.cancel, book.find, repeat(7).__next__)("desk", waiting_alone=True)
        assert outcome == MassCancelled(200, (), more)
        assert book.cancelled == ids[:MOST_AT_ONCE]
        assert book.asked == [(True, 7, MOST_AT_ONCE + 1)], "what is placed after the call is not looked for"


@pytest.mark.parametrize(
    ("became", "too_late"),
    [(submitted(), ("b",)), (confirmed(), ("b",)), (cancelled(), ())],
    ids=["signed", "filled", "cancelled by another"],
)
def test_one_that_somebody_was_quicker_with_keeps_no_other_from_being_cancelled(
    became: Order, too_late: tuple[str, ...]
) -> None:
    book = Book("a", "b", "c", raced={"b": became})
    outcome = MassCancel(book, book.cancel, book.find, repeat(0).__next__)("desk", waiting_alone=False)
    assert outcome == MassCancelled(2, too_late, more=False)
    assert book.cancelled == ["a", "c"]


def test_it_ends_in_time_for_its_answer_and_says_that_there_are_more() -> None:
    book = Book("a", "b", "c", "d")
    outcome = MassCancel(book, book.cancel, book.find, count(0, 9_000).__next__)("desk", waiting_alone=False)
    assert outcome == MassCancelled(3, (), more=True)


def test_however_slow_it_is_each_call_cancels_one() -> None:
    book = Book("a", "b")
    outcome = MassCancel(book, book.cancel, book.find, count(0, 60_000).__next__)("desk", waiting_alone=False)
    assert outcome == MassCancelled(1, (), more=True)


@pytest.mark.parametrize(("took_ms", "cancelled_ids"), [(20_000, ["a", "b"]), (20_001, ["a"])])
def test_it_goes_on_as_long_as_it_has_taken_no_more_than_twenty_seconds(took_ms: int, cancelled_ids: list[str]) -> None:
    book, times = Book("a", "b", raced={}), iter([7, 7 + took_ms])
    outcome = MassCancel(book, book.cancel, book.find, times.__next__)("desk", waiting_alone=True)
    assert book.cancelled == cancelled_ids
    assert outcome == MassCancelled(len(cancelled_ids), (), more=len(cancelled_ids) < 2)


def test_what_was_too_late_is_told_also_where_time_runs_out() -> None:
    book, times = Book("a", "b", raced={"a": submitted()}), iter([0, 60_000])
    outcome = MassCancel(book, book.cancel, book.find, times.__next__)("desk", waiting_alone=True)
    assert outcome == MassCancelled(0, ("a",), more=True)
