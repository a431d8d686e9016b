"""What an order keeps and tells at each step of its life, above all one that waits for a price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.life import (
    MAX_ERROR_LENGTH,
    MAX_OFFER_ERROR,
    MAX_OFFERS,
    MAX_REFUSED_POOLS,
    MAX_WAITING_WEIGHT,
    booked_before,
    choose_route,
    claim,
    expire,
    fail_attempt,
    fill,
    fix_floor,
    hold_until,
    is_cancellable,
    leave_out,
    pay_fees,
    place,
    placed_again_as,
    prices_in_force,
    reserve,
    sign,
    start_attempt,
)
from chalicelib.orders.order import Lease, Offer, Order, RefusedPool, TriggerKind
from chalicelib.orders.states import State, Status
from chalicelib.orders.triggers import triggered
from chalicelib.risk.counters import Claims, NetworkFees, day_of
from chalicelib.times import time_text
from tests.sample_orders import (
    CREATED_AT_MS,
    QUOTED_OUT,
    ROUTE,
    a_submission,
    building,
    failed,
    new_order,
    order_in,
    retrying,
    routing,
    submitted,
    waiting_order,
)

NOW = CREATED_AT_MS + 60_000
SLOT = 372_000_123
ENDED = (State.CONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED)
POOL = "Poo1111111111111111111111111111111111111111"


def set_off(order: Order) -> Order:
    return triggered(order, TriggerKind.STOP, 1_390_000_000, SLOT, NOW)


# --- how one that waits for a price begins ------------------------------------------------------------------------


def test_an_order_that_waits_begins_with_one_step_open_that_tells_its_prices_and_its_floor() -> None:
    order = waiting_order("oco", own_min_out=1_380_000_000)
    (first,) = order.history
    assert (order.state, first.status) == (State.OPEN, Status.OPEN)
    assert (first.seq, first.at_ms, first.retry_count) == (1, CREATED_AT_MS, 0)
    assert (first.limit_price, first.stop_price, first.min_out) == ("160", "140", 1_380_000_000)


def test_an_order_that_waits_is_not_queued_whatever_time_it_is_placed_for() -> None:
    unplaced = replace(waiting_order("limit"), history=(), state=State.PENDING)
    assert place(unplaced, NOW) == waiting_order("limit")


def test_the_prices_in_force_are_the_orders_own_with_what_is_told_beside() -> None:
    order = waiting_order("oco", trailing_ppm=50_000, best_out=1_600_000_000, own_min_out=7)
    told = prices_in_force(order, error="moved", error_code="SLIPPAGE_EXCEEDED")
    assert (told.limit_price, told.stop_price, told.trailing_ppm) == ("160", "152", 50_000)
    assert told.min_out == 7
    assert (told.error, told.error_code) == ("moved", "SLIPPAGE_EXCEEDED")


def test_the_counters_hold_an_order_that_waits_among_the_waiting_before_it_is_loaded() -> None:
    assert booked_before(waiting_order()) == Claims(waiting=1)
    assert booked_before(new_order()) == Claims(open=1)


# --- what waiting adds to the history -----------------------------------------------------------------------------


def test_each_step_of_waiting_weighs_one_and_each_leg_that_it_tells_two_more() -> None:
    order = set_off(waiting_order())
    assert order.waiting_weight == 1
    order = start_attempt(order, NOW)
    assert order.waiting_weight == 2
    order = choose_route(order, ROUTE, QUOTED_OUT, NOW)
    assert order.waiting_weight == 3 + 2 * len(ROUTE)


def test_what_a_market_order_does_weighs_nothing() -> None:
    assert submitted(retrying()).waiting_weight == 0


def test_a_signed_transaction_weighs_nothing_and_is_told_however_long_the_order_waited() -> None:
    heavy = replace(building(set_off(waiting_order())), waiting_weight=MAX_WAITING_WEIGHT)
    order = sign(heavy, a_submission(), NOW)
    assert order.waiting_weight == MAX_WAITING_WEIGHT
    assert order.history[-1].tx_hash == "signature-1"


def test_the_step_that_comes_to_the_most_that_is_told_is_told() -> None:
    order = set_off(replace(waiting_order(), waiting_weight=MAX_WAITING_WEIGHT - 1))
    assert (order.waiting_weight, order.history[-1].status) == (MAX_WAITING_WEIGHT, Status.PENDING)


def test_what_goes_beyond_the_most_that_is_told_changes_the_order_without_a_step() -> None:
    pending = replace(set_off(waiting_order()), waiting_weight=MAX_WAITING_WEIGHT)
    order = start_attempt(pending, NOW + 5)
    assert (order.state, order.history) == (State.ROUTING, pending.history)
    assert (order.moved_at_ms, order.updated_at_ms) == (NOW + 5, NOW + 5)
    assert order.waiting_weight == MAX_WAITING_WEIGHT


def test_a_route_too_heavy_to_be_told_leaves_no_room_for_lighter_steps_after_it() -> None:
    order = replace(routing(set_off(waiting_order())), waiting_weight=MAX_WAITING_WEIGHT - 1)
    chosen = choose_route(order, ROUTE, QUOTED_OUT, NOW)
    assert (chosen.state, chosen.route, chosen.history) == (State.BUILDING, ROUTE, order.history)
    assert chosen.waiting_weight == MAX_WAITING_WEIGHT


@pytest.mark.parametrize(("weight", "told"), [(0, ROUTE), (MAX_WAITING_WEIGHT - 1, ROUTE), (MAX_WAITING_WEIGHT, None)])
def test_the_step_of_signing_tells_the_route_as_long_as_the_history_has_room(weight: int, told: object) -> None:
    order = replace(building(set_off(waiting_order())), waiting_weight=weight)
    signed = sign(order, a_submission(), NOW)
    assert signed.history[-1].route == told
    assert signed.route == ROUTE


def test_an_order_is_dated_by_its_last_step_though_it_moved_before() -> None:
    moved = replace(waiting_order(), moved_at_ms=NOW + 1_000)
    assert set_off(moved).history[-1].at_ms == NOW + 1_000


# --- attempts -----------------------------------------------------------------------------------------------------


def test_the_first_step_of_an_attempt_tells_what_set_the_order_off() -> None:
    order = set_off(waiting_order())
    assert order.trigger is not None
    assert start_attempt(order, NOW).history[-1].trigger == order.trigger
    assert start_attempt(new_order(), NOW).history[-1].trigger is None


OFFERS = tuple(
    Offer(dex="raydium", pool=f"pool-{number}", amount_out=QUOTED_OUT - number) for number in range(MAX_OFFERS + 1)
)


def chosen(*offers: Offer) -> Order:
    return choose_route(fix_floor(routing(), QUOTED_OUT), ROUTE, QUOTED_OUT, NOW, offers)


def test_the_order_keeps_the_best_offers_that_its_route_was_chosen_from() -> None:
    assert chosen(*OFFERS[:2]).quotes == OFFERS[:2]
    assert chosen(*OFFERS).quotes == OFFERS[:MAX_OFFERS]
    assert chosen().quotes is None


def test_why_a_pool_offered_nothing_is_kept_in_its_first_words() -> None:
    refused = Offer(dex="meteora", pool=POOL, error_code="VENUE_UNAVAILABLE", error="x" * MAX_OFFER_ERROR + "y")
    (kept,) = chosen(refused).quotes or ()
    assert kept == replace(refused, error="x" * MAX_OFFER_ERROR)


def test_a_new_attempt_forgets_the_offers_of_the_one_before() -> None:
    order = fail_attempt(chosen(*OFFERS[:2]), "no answer", "RPC_UNAVAILABLE", NOW, retry=True)
    assert order.quotes == OFFERS[:2], "as long as no other attempt begins"
    assert start_attempt(order, NOW).quotes is None


# --- the end of an attempt ----------------------------------------------------------------------------------------


def test_a_fill_tells_how_many_slots_after_it_was_sent_it_landed() -> None:
    order = fill(submitted(), QUOTED_OUT, NOW, slot_delta=2)
    assert (order.slot_delta, order.history[-1].slot_delta) == (2, 2)
    assert fill(submitted(), QUOTED_OUT, NOW).slot_delta is None


def test_what_a_transaction_cost_counts_on_the_day_on_which_it_was_reserved() -> None:
    order = pay_fees(reserve(submitted(), None, NetworkFees("2026-01-01", 9_000)), 5_000, NOW)
    assert (order.fees_reserved, order.fees_paid) == (None, (NetworkFees("2026-01-01", 5_000),))


def test_what_a_transaction_cost_that_nothing_was_reserved_for_counts_on_the_day_it_is_known() -> None:
    once = pay_fees(submitted(), 5_000, NOW)
    assert once.fees_paid == (NetworkFees(day_of(NOW), 5_000),)
    assert pay_fees(once, 6_000, NOW).fees_paid == (NetworkFees(day_of(NOW), 5_000), NetworkFees(day_of(NOW), 6_000))


def test_a_pool_that_refused_is_remembered_with_its_reason() -> None:
    order = leave_out(routing(), POOL, "shut", "VENUE_UNAVAILABLE")
    assert order.refused_pools == (RefusedPool(POOL, "VENUE_UNAVAILABLE", "shut"),)
    order = leave_out(order, "another", "too little", "INSUFFICIENT_LIQUIDITY")
    assert [each.pool for each in order.refused_pools] == [POOL, "another"]
    assert replace(order, refused_pools=()) == routing()


def test_a_pool_that_refuses_again_stands_once_as_the_last_with_its_new_reason() -> None:
    order = leave_out(leave_out(routing(), POOL, "shut", "VENUE_UNAVAILABLE"), "another", "shut", "VENUE_UNAVAILABLE")
    order = leave_out(order, POOL, "too little", "INSUFFICIENT_LIQUIDITY")
    assert [(each.pool, each.error) for each in order.refused_pools] == [("another", "shut"), (POOL, "too little")]


def test_of_many_pools_that_refused_the_last_are_remembered() -> None:
    order, pools = routing(), [f"pool-{number}" for number in range(MAX_REFUSED_POOLS + 2)]
    for pool in pools:
        order = leave_out(order, pool, "shut", "VENUE_UNAVAILABLE")
    assert [each.pool for each in order.refused_pools] == pools[2:]


def test_a_refusals_text_is_kept_to_a_length_and_to_a_shorter_one_where_many_may_come() -> None:
    market = leave_out(routing(), POOL, "x" * 2_000, "VENUE_UNAVAILABLE")
    assert [len(each.error) for each in market.refused_pools] == [MAX_ERROR_LENGTH]
    waits = leave_out(routing(set_off(waiting_order())), POOL, "x" * 2_000, "VENUE_UNAVAILABLE")
    assert [len(each.error) for each in waits.refused_pools] == [MAX_OFFER_ERROR]


# --- the end of the order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "may_be"), [(state, state not in (State.SUBMITTED, *ENDED)) for state in State])
def test_an_order_may_be_cancelled_until_it_is_signed_or_has_ended(state: State, may_be: bool) -> None:
    assert is_cancellable(order_in(state)) is may_be


def test_an_order_whose_time_is_over_says_until_when_it_was_good_and_tells_that_with_its_last_step() -> None:
    order = expire(replace(new_order(), expires_at_ms=NOW), NOW)
    assert order.error == f"the order was good until {time_text(NOW)}"
    step = order.history[-1]
    assert (step.status, step.error, step.error_code, step.tx_hash) == (Status.EXPIRED, order.error, "EXPIRED", None)


def test_an_order_whose_time_is_over_tells_what_its_last_attempt_met_and_its_last_transaction() -> None:
    order = expire(replace(submitted(), expires_at_ms=NOW), NOW, "no answer")
    assert order.error == f"the order was good until {time_text(NOW)}; before that: no answer"
    assert (order.history[-1].error, order.history[-1].tx_hash) == (order.error, "signature-1")


def test_a_failed_order_that_was_placed_again_names_the_new_one_and_stays_as_it_is() -> None:
    order = placed_again_as(failed(), "order-2")
    assert order.redriven_as == "order-2"
    assert replace(order, redriven_as=None) == failed()


@pytest.mark.parametrize("state", [state for state in State if state is not State.FAILED])
def test_only_a_failed_order_is_placed_again(state: State) -> None:
    with pytest.raises(AssertionError):
        placed_again_as(order_in(state), "order-2")


# --- leases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until_ms", [NOW + 1, NOW + 60_000])
def test_whoever_has_an_order_may_hold_it_for_longer_or_not_so_long(until_ms: int) -> None:
    held = claim(submitted(), "one", NOW, 25_000)
    order = hold_until(held, until_ms)
    assert order.lease == Lease("one", until_ms)
    assert replace(order, lease=held.lease) == held


def test_only_who_has_an_order_can_hold_it() -> None:
    with pytest.raises(AssertionError):
        hold_until(submitted(), NOW)
