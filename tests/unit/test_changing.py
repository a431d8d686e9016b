"""What a client's change makes of an order, of each type, and until when it may be changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.changing import MAX_TOLD_CHANGES, OrderChanges, changed, may_change
from chalicelib.orders.life import leave_out, start_attempt
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.states import IllegalTransition, State, Status
from chalicelib.orders.triggers import latched, stop_out, triggered
from tests.sample_orders import CREATED_AT_MS, QUOTED_OUT, new_order, order_in, waiting_order

NOW = CREATED_AT_MS + 60_000
SLOT = 372_000_123
DEADLINE = NOW + 3_600_000


# --- what may be changed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_an_order_may_be_changed_while_it_waits_for_its_price_or_for_its_first_start(state: State) -> None:
    order = order_in(state)
    assert may_change(order) is (state in (State.OPEN, State.PENDING))
    if not may_change(order):
        with pytest.raises(IllegalTransition, match="changed cannot happen"):
            changed(order, OrderChanges(slippage_ppm=1), NOW)


def test_a_market_order_that_has_had_a_quote_is_not_changed_though_it_is_pending() -> None:
    assert not may_change(replace(new_order(), first_quoted_out=QUOTED_OUT))


def test_an_order_that_waited_and_is_on_its_way_is_not_changed_whatever_was_quoted() -> None:
    going = triggered(waiting_order("limit"), TriggerKind.LIMIT, 1_650_000_000, SLOT, NOW)
    assert not may_change(going)
    assert not may_change(replace(going, first_quoted_out=None))
    assert not may_change(start_attempt(going, NOW))


def test_a_stop_that_is_latched_is_not_changed() -> None:
    assert not may_change(latched(waiting_order("stop"), 1_390_000_000, SLOT, NOW))


# --- what is left as it is ----------------------------------------------------------------------------------------

SET = {
    "slippage_ppm": 20_000,
    "expires_at_ms": DEADLINE,
    "own_min_out": 1_390_000_000,
    "best_out": 1_600_000_000,
}


@pytest.mark.parametrize(
    "order", [waiting_order("limit", **SET), waiting_order("stop", **SET), waiting_order("oco", **SET)]
)
def test_a_change_of_nothing_changes_nothing_but_that_it_is_counted_and_told(order: Order) -> None:
    after = changed(order, OrderChanges(), NOW)
    assert replace(after, changes=0, history=order.history) == order
    assert (after.changes, len(after.history)) == (1, len(order.history) + 1)


def test_a_market_order_that_a_client_changes_keeps_what_the_change_does_not_name() -> None:
    order = replace(new_order(), min_out=1_400_000_000, expires_at_ms=DEADLINE)
    after = changed(order, OrderChanges(slippage_ppm=5_000), NOW, seen_out=QUOTED_OUT)
    assert (after.slippage_ppm, after.min_out, after.expires_at_ms) == (5_000, 1_400_000_000, DEADLINE)
    assert (after.own_min_out, after.best_out) == (None, None), "those are of orders that wait"
    assert after.history[-1].min_out == 1_400_000_000


# --- what is changed ----------------------------------------------------------------------------------------------


def test_a_market_orders_floor_and_slippage_are_its_clients_before_it_starts() -> None:
    order = replace(new_order(), min_out=1_400_000_000)
    assert changed(order, OrderChanges(min_out=1_450_000_000), NOW).min_out == 1_450_000_000
    without = changed(order, OrderChanges(removes_min_out=True), NOW)
    assert (without.min_out, without.own_min_out) == (None, None)
    assert changed(order, OrderChanges(slippage_ppm=7), NOW).slippage_ppm == 7


@pytest.mark.parametrize("type_", ["limit", "stop", "oco"])
def test_an_order_that_waits_has_a_new_floor_of_its_own_or_none(type_: str) -> None:
    order = waiting_order(type_, own_min_out=1_390_000_000)  # type: ignore[arg-type]
    assert changed(order, OrderChanges(min_out=1_700_000_000), NOW).own_min_out == 1_700_000_000
    without = changed(order, OrderChanges(removes_min_out=True), NOW)
    assert without.own_min_out is None
    assert without.min_out == (1_600_000_000 if type_ == "limit" else None)


def test_a_deadline_that_a_client_names_is_no_longer_the_one_by_default() -> None:
    order = waiting_order("limit", expires_at_ms=DEADLINE)
    assert order.expires_by_default
    kept = changed(order, OrderChanges(slippage_ppm=7), NOW)
    assert (kept.expires_at_ms, kept.expires_by_default) == (DEADLINE, True)
    named = changed(order, OrderChanges(expires_at_ms=DEADLINE + 5), NOW)
    assert (named.expires_at_ms, named.expires_by_default) == (DEADLINE + 5, False)
    assert changed(named, OrderChanges(slippage_ppm=7), NOW).expires_by_default is False


def test_slippage_is_changed_where_it_is_named() -> None:
    assert changed(waiting_order("stop"), OrderChanges(slippage_ppm=7), NOW).slippage_ppm == 7


def test_a_trailing_stop_that_is_changed_follows_on_from_the_best_that_was_seen() -> None:
    order = waiting_order("stop", stop_price=None, trailing_ppm=100_000, best_out=1_600_000_000)
    higher = changed(order, OrderChanges(trailing_ppm=50_000), NOW, seen_out=1_700_000_000)
    assert (higher.best_out, stop_out(higher), higher.stop_price) == (1_700_000_000, 1_615_000_000, "161.5")
    first = changed(waiting_order("stop"), OrderChanges(trailing_ppm=50_000), NOW, seen_out=QUOTED_OUT)
    assert (first.best_out, stop_out(first)) == (QUOTED_OUT, 1_425_000_000)


def test_an_order_that_is_changed_is_handed_over_anew_without_a_pause() -> None:
    paused = replace(leave_out(waiting_order("limit"), "pool", "shut", "X"), wait_until_ms=NOW + 8_000, pauses=3)
    after = changed(paused, OrderChanges(limit_price="150"), NOW)
    assert (after.wait_until_ms, after.pauses) == (0, 0)


# --- what is told -------------------------------------------------------------------------------------------------


def test_each_change_is_counted_and_only_so_many_are_told() -> None:
    order = waiting_order("limit")
    for number in range(MAX_TOLD_CHANGES + 2):
        order = changed(order, OrderChanges(slippage_ppm=number + 1), NOW + number)
        assert order.changes == number + 1
    assert len(order.history) == 1 + MAX_TOLD_CHANGES
    assert order.slippage_ppm == MAX_TOLD_CHANGES + 2
    assert (order.moved_at_ms, order.updated_at_ms) == (NOW + MAX_TOLD_CHANGES + 1,) * 2
    assert order.history[-1].status is Status.OPEN


def test_a_change_that_is_not_told_is_never_dated_before_the_step_before_it() -> None:
    order = replace(waiting_order("limit"), changes=MAX_TOLD_CHANGES)
    assert changed(order, OrderChanges(slippage_ppm=1), CREATED_AT_MS - 5).moved_at_ms == CREATED_AT_MS
