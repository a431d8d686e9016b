"""What a look needs of an open order says the same of every amount as the order itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws.dynamodb.order_item import order_to_item
from chalicelib.aws.dynamodb.waiting_index import waiting_attributes
from chalicelib.orders.life import cancel
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.triggers import judge, latched, stop_out
from chalicelib.waiting.circulation import pair_of
from chalicelib.waiting.waiting_order import waiting_order as as_waiting
from tests.sample_orders import SOL, USDC, waiting_order

AMOUNTS = st.integers(1, 3 * 10**9) | st.sampled_from(
    [1_399_999_999, 1_400_000_000, 1_400_000_001, 1_599_999_999, 1_600_000_000, 1_600_000_001]
)
ORDERS: dict[str, Order] = {
    "limit": waiting_order("limit"),
    "limit with a floor": waiting_order("limit", own_min_out=1_600_000_001),
    "stop": waiting_order("stop"),
    "oco": waiting_order("oco"),
    "trailing": waiting_order("stop", stop_price=None, trailing_ppm=50_000, best_out=1_500_000_000),
    "trailing oco": waiting_order("oco", stop_price=None, trailing_ppm=50_000, best_out=1_500_000_000),
    "triggered stop": latched(waiting_order("stop"), 1_400_000_000, 1, 2),
    "triggered trailing stop": latched(
        waiting_order("stop", stop_price=None, trailing_ppm=50_000, best_out=1_500_000_000), 1_400_000_000, 1, 2
    ),
}


@pytest.mark.parametrize("name", ORDERS)
@given(paid=AMOUNTS)
def test_it_is_reached_exactly_where_the_order_is(name: str, paid: int) -> None:
    order = ORDERS[name]
    waits = as_waiting(order)
    assert waits.is_reached(paid, waits.best_out) is (judge(order, paid) is not None)


@given(st.integers(1, 10**18), st.integers(0, 999_999))
def test_a_trailing_stop_is_where_the_order_has_it(best: int, trailing: int) -> None:
    order = waiting_order("stop", stop_price=None, trailing_ppm=trailing, best_out=best)
    assert as_waiting(order).stop_at(best) == stop_out(order)


def test_before_its_first_price_a_trailing_stop_is_nowhere() -> None:
    waits = as_waiting(waiting_order("stop", stop_price=None, trailing_ppm=1))
    assert waits.stop_at(None) is None
    assert not waits.is_reached(1, None)


def test_a_triggered_stop_waits_for_its_floor_alone() -> None:
    waits = as_waiting(ORDERS["triggered stop"])
    assert waits.is_triggered
    assert (waits.limit_out, waits.stop_out, waits.trailing_ppm) == (1_386_000_000, None, None)
    trigger = ORDERS["triggered stop"].trigger
    assert trigger is not None
    assert trigger.kind is TriggerKind.STOP


def test_it_has_the_orders_name_its_tokens_its_amount_and_its_times() -> None:
    order = replace(waiting_order("oco"), wait_until_ms=7, expires_at_ms=9)
    waits = as_waiting(order)
    assert (waits.order_id, waits.mint_in, waits.mint_out, waits.amount) == ("order-1", SOL.mint, USDC.mint, 10**10)
    assert (waits.limit_out, waits.stop_out, waits.is_triggered) == (1_600_000_000, 1_400_000_000, False)
    assert (waits.trailing_ppm, waits.best_out) == (None, None)
    assert (waits.wait_until_ms, waits.expires_at_ms) == (7, 9)


def test_a_trailing_stop_has_what_it_follows_and_no_price_of_its_own() -> None:
    waits = as_waiting(ORDERS["trailing oco"])
    assert (waits.stop_out, waits.trailing_ppm, waits.best_out) == (None, 50_000, 1_500_000_000)
    assert waits.limit_out == 1_600_000_000


def test_a_trailing_stop_that_was_triggered_follows_nothing_any_more() -> None:
    waits = as_waiting(ORDERS["triggered trailing stop"])
    assert (waits.stop_out, waits.trailing_ppm, waits.best_out) == (None, None, None)
    assert (waits.limit_out, waits.is_triggered) == (1_386_000_000, True)


def test_a_fixed_stop_is_where_it_is_whatever_was_seen() -> None:
    assert as_waiting(waiting_order("stop")).stop_at(2_000_000_000) == 1_400_000_000


@pytest.mark.parametrize("name", ORDERS)
def test_only_an_open_order_is_in_the_index(name: str) -> None:
    order = ORDERS[name]
    item: dict[str, Any] = order_to_item(order)
    assert item["waitingPair"] == pair_of(SOL.mint, USDC.mint)
    assert len(item["waitsFor"]) < 120, "thousands are read at a time"
    ended = order_to_item(cancel(order, order.created_at_ms + 1))
    assert not {"waitingPair", "waitsFor"} & ended.keys()
    assert waiting_attributes(replace(order, wait_until_ms=7))["waitsFor"] != item["waitsFor"]
