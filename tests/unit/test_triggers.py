"""When an order that waits is set off, what floor it has then, and how it comes back: by its own whole amount."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws.dynamodb.attribute_values import serialize
from chalicelib.aws.dynamodb.order_item import item_to_order, order_to_item
from chalicelib.orders.changing import MAX_TOLD_CHANGES, OrderChanges, changed, may_change
from chalicelib.orders.life import (
    MAX_ERROR_LENGTH,
    MAX_OFFER_ERROR,
    MAX_WAITING_WEIGHT,
    choose_route,
    draw_nonce,
    leave_out,
    sign,
    start_attempt,
)
from chalicelib.orders.order import Leg, Offer, Order, OrderType, Token, Trigger, TriggerKind
from chalicelib.orders.sense import check_prices, check_sense
from chalicelib.orders.states import IllegalTransition, State, Status
from chalicelib.orders.triggers import (
    MOST_TRIES,
    followed,
    is_paused,
    judge,
    latched,
    limit_out,
    may_wait_on,
    returned,
    stop_out,
    triggered,
)
from chalicelib.problems import (
    AmountTooSmall,
    DayIsFull,
    Halted,
    ImplausiblePrice,
    InsufficientLiquidity,
    InvalidRequest,
    LimitExceeded,
    NoPool,
    OrderExpired,
    PriceImpact,
    RpcUnavailable,
    SlippageExceeded,
)
from chalicelib.risk.counters import Claims, Notional
from tests.sample_orders import CREATED_AT_MS, ROUTE, SOL, USDC, a_submission, waiting_order

NOW = CREATED_AT_MS + 60_000
SLOT = 372_000_123
PRICES = st.decimals("0.000000000000000001", 10**9, allow_nan=False, allow_infinity=False, places=18)


def set_off(order: Order, amount_out: int, now_ms: int = NOW) -> Order:
    kind = judge(order, amount_out)
    assert kind is not None
    return triggered(order, kind, amount_out, SLOT, now_ms)


# --- by what it is judged -----------------------------------------------------------------------------------------


@given(price=PRICES, amount=st.integers(1, 2**64 - 1), decimals=st.tuples(st.integers(0, 18), st.integers(0, 18)))
def test_a_limits_floor_is_the_least_amount_at_its_price_and_a_stops_the_most(
    price: Decimal, amount: int, decimals: tuple[int, int]
) -> None:
    token_in, token_out = (Token(text, text, each) for text, each in zip(("IN", "OUT"), decimals, strict=True))
    text = f"{price:f}"
    order = waiting_order("oco", token_in=token_in, token_out=token_out, amount=amount, limit_price=text)
    order = replace(order, stop_price=text)
    least, most = limit_out(order), stop_out(order)
    assert least is not None
    assert most is not None
    exactly = Fraction(price) * Fraction(amount, 10 ** decimals[0]) * 10 ** decimals[1]
    assert least - 1 < exactly <= least
    assert most <= exactly < most + 1


@pytest.mark.parametrize(
    ("amount_out", "kind"),
    [
        (1_600_000_000, TriggerKind.LIMIT),
        (1_599_999_999, None),
        (1_400_000_001, None),
        (1_400_000_000, TriggerKind.STOP),
    ],
)
def test_an_oco_is_set_off_to_the_unit_by_whichever_of_its_prices_comes_first(
    amount_out: int, kind: TriggerKind | None
) -> None:
    assert judge(waiting_order("oco"), amount_out) is kind


def test_a_price_with_forty_digits_is_kept_and_judged_exactly() -> None:
    text = "160.0000000000000000000000000000000000001"
    order = waiting_order("limit", limit_price=text)
    assert (order.limit_price, limit_out(order)) == (text, 1_600_000_001)
    assert item_to_order(order_to_item(order)).limit_price == text


def test_a_limit_is_not_set_off_by_a_price_that_its_own_least_forbids() -> None:
    order = waiting_order("limit", own_min_out=1_700_000_000)
    assert judge(order, 1_650_000_000) is None
    assert judge(order, 1_700_000_000) is TriggerKind.LIMIT


def test_a_trailing_stop_follows_the_best_price_and_never_falls_back() -> None:
    order = waiting_order("stop", stop_price=None, trailing_ppm=100_000)
    assert (stop_out(order), judge(order, 1), order.stop_price) == (None, None, None)
    order = followed(order, 1_500_000_000, NOW)
    assert (stop_out(order), order.stop_price) == (1_350_000_000, "135")
    assert followed(order, 1_400_000_000, NOW) is order
    order = followed(order, 2_000_000_001, NOW)
    assert stop_out(order) == 1_800_000_000
    assert [step.stop_price for step in order.history] == [None, "135", "180"]
    assert judge(order, 1_800_000_000) is TriggerKind.STOP
    assert judge(order, 1_800_000_001) is None


# --- set off ------------------------------------------------------------------------------------------------------


def test_a_limit_on_its_way_has_its_price_as_its_floor_and_tells_what_set_it_off() -> None:
    order = start_attempt(set_off(waiting_order("limit"), 1_650_000_000), NOW)
    assert order.min_out == 1_600_000_000
    (_, pending, routing) = order.history
    assert pending.status is Status.PENDING
    assert routing.trigger is not None
    assert (routing.trigger.kind, routing.trigger.price, routing.trigger.slot) == (TriggerKind.LIMIT, "165", SLOT)


def test_a_stop_on_its_way_has_what_the_slippage_leaves_of_the_quote_that_set_it_off() -> None:
    order = set_off(waiting_order("stop"), 1_390_000_000)
    assert (order.first_quoted_out, order.min_out) == (1_390_000_000, 1_376_100_000)
    assert set_off(waiting_order("stop", own_min_out=1_380_000_000), 1_390_000_000).min_out == 1_380_000_000


def test_a_stop_that_is_latched_keeps_its_trigger_and_its_floor_whatever_the_price_does() -> None:
    order = latched(waiting_order("stop"), 1_390_000_000, SLOT, NOW)
    assert order.state is State.OPEN
    floor = order.min_out
    assert judge(order, 2_000_000_000) is TriggerKind.STOP, "a price that recovers does not undo it"
    assert judge(order, 1_376_099_999) is None, "under its floor there is nothing to try"
    later = triggered(order, TriggerKind.STOP, 2_000_000_000, SLOT + 9, NOW)
    assert (later.trigger, later.min_out) == (order.trigger, floor)


def test_a_stop_that_is_latched_tells_its_prices_and_what_set_it_off() -> None:
    order = latched(waiting_order("oco"), 1_390_000_000, SLOT, NOW)
    assert order.trigger == Trigger(TriggerKind.STOP, "139", SLOT, NOW)
    step = order.history[-1]
    assert (step.status, step.trigger) == (Status.OPEN, order.trigger)
    assert (step.limit_price, step.stop_price, step.min_out) == ("160", "140", 1_376_100_000)


def test_a_stop_that_is_latched_is_tried_where_its_floor_is_paid_to_the_unit() -> None:
    order = latched(waiting_order("stop"), 1_390_000_000, SLOT, NOW)
    assert judge(order, 1_376_100_000) is TriggerKind.STOP


def test_whatever_set_an_order_off_is_told_with_its_price_its_slot_and_its_time() -> None:
    limit = set_off(waiting_order("limit"), 1_650_000_000)
    assert limit.trigger == limit.history[-1].trigger == Trigger(TriggerKind.LIMIT, "165", SLOT, NOW)
    assert (limit.first_quoted_out, limit.history[-1].status) == (1_650_000_000, Status.PENDING)


def test_a_limit_with_a_least_of_its_own_above_its_price_has_that_as_its_floor() -> None:
    assert set_off(waiting_order("limit", own_min_out=1_640_000_000), 1_650_000_000).min_out == 1_640_000_000


def test_an_order_that_is_set_off_forgets_when_it_was_to_start_and_no_pool_that_refused_it_lately() -> None:
    order = leave_out(replace(waiting_order("limit"), start_at_ms=5, wait_until_ms=NOW), "pool", "shut", "X")
    going = set_off(order, 1_650_000_000)
    assert (going.start_at_ms, going.refused_pools) == (0, order.refused_pools)


def test_a_best_price_that_is_seen_again_is_no_news() -> None:
    order = followed(waiting_order("stop", stop_price=None, trailing_ppm=100_000), 1_500_000_000, NOW)
    assert followed(order, 1_500_000_000, NOW) is order


# --- and back -----------------------------------------------------------------------------------------------------


def under_way(order: Order, amount_out: int, now_ms: int = NOW) -> Order:
    return start_attempt(draw_nonce(set_off(order, amount_out, now_ms), "nonce"), now_ms)


def test_a_limit_that_comes_back_forgets_its_trigger_and_a_stop_does_not() -> None:
    limit = returned(under_way(waiting_order("limit"), 1_650_000_000), "moved", "SLIPPAGE_EXCEEDED", NOW)
    assert (limit.state, limit.trigger, limit.min_out) == (State.OPEN, None, 1_600_000_000)
    stop = returned(under_way(waiting_order("stop"), 1_390_000_000), "moved", "SLIPPAGE_EXCEEDED", NOW)
    assert stop.state is State.OPEN
    assert (stop.trigger is not None, stop.min_out) == (True, 1_376_100_000)


def test_an_oco_whose_limit_came_to_nothing_may_still_be_stopped_out() -> None:
    back = returned(under_way(waiting_order("oco"), 1_650_000_000), "moved", "SLIPPAGE_EXCEEDED", NOW)
    assert (back.trigger, back.first_quoted_out, back.min_out) == (None, None, None)
    stopped = set_off(back, 1_390_000_000)
    assert stopped.min_out == 1_376_100_000


def test_what_waits_again_takes_up_a_place_among_the_waiting_and_no_part_of_a_days_sum() -> None:
    order = replace(under_way(waiting_order("limit"), 1_650_000_000), notional=Notional("2026-01-01", 5))
    assert order.claims == Claims(open=1, notional=Notional("2026-01-01", 5))
    back = returned(order, "moved", "SLIPPAGE_EXCEEDED", NOW)
    assert (back.claims, back.notional) == (Claims(waiting=1), None)


def test_the_pause_doubles_from_a_second_to_a_minute_and_is_forgotten_after_a_calm_while() -> None:
    order, now_ms, pauses = waiting_order("limit"), NOW, []
    for _ in range(9):
        order = returned(under_way(order, 1_650_000_000, now_ms), "moved", "SLIPPAGE_EXCEEDED", now_ms)
        pauses.append(order.wait_until_ms - now_ms)
        assert is_paused(order.wait_until_ms, order.wait_until_ms - 1)
        now_ms = order.wait_until_ms
        assert not is_paused(order.wait_until_ms, now_ms)
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    order = leave_out(order, "pool", "shut", "VENUE_UNAVAILABLE")
    assert set_off(order, 1_650_000_000, now_ms + 119_999).refused_pools
    calm = now_ms + 120_000
    again = set_off(order, 1_650_000_000, calm)
    assert again.refused_pools == (), "a pool that refused long ago is asked again"
    back = returned(start_attempt(again, calm), "moved", "SLIPPAGE_EXCEEDED", calm)
    assert back.wait_until_ms - calm == 1_000


@pytest.mark.parametrize("type_", ["limit", "stop"])
def test_what_comes_back_tells_why_with_the_prices_that_it_waits_for(type_: OrderType) -> None:
    going = under_way(waiting_order(type_), 1_650_000_000 if type_ == "limit" else 1_390_000_000)
    going = replace(going, start_at_ms=NOW + 5_000)
    back = returned(going, "x" * 2_000, "SLIPPAGE_EXCEEDED", NOW)
    assert (back.error, back.error_code) == ("x" * MAX_ERROR_LENGTH, "SLIPPAGE_EXCEEDED")
    step = back.history[-1]
    assert (step.status, step.error, step.error_code) == (Status.OPEN, "x" * MAX_OFFER_ERROR, "SLIPPAGE_EXCEEDED")
    assert (step.limit_price, step.stop_price, step.min_out) == (back.limit_price, back.stop_price, back.min_out)
    assert step.trigger == back.trigger == (None if type_ == "limit" else going.trigger)
    assert (back.start_at_ms, back.lease) == (0, None)


def test_what_comes_back_with_a_signed_transaction_counts_a_try_and_keeps_its_signature() -> None:
    going = under_way(waiting_order("limit"), 1_650_000_000)
    unsigned = returned(going, "moved", "SLIPPAGE_EXCEEDED", NOW)
    assert (unsigned.signed_tries, unsigned.past_signatures) == (0, ())
    signed = sign(choose_route(going, ROUTE, 1_650_000_000, NOW), a_submission(7), NOW)
    back = returned(replace(signed, signed_tries=2, past_signatures=("first",)), "moved", "SLIPPAGE_EXCEEDED", NOW)
    assert (back.signed_tries, back.past_signatures, back.submission) == (3, ("first", "signature-7"), None)


def test_what_comes_back_without_a_pause_is_handed_over_at_once_and_counts_none() -> None:
    going = replace(under_way(waiting_order("limit"), 1_650_000_000), pauses=3, wait_until_ms=NOW)
    back = returned(going, "halted", "HALTED", NOW, pauses=False)
    assert (back.wait_until_ms, back.pauses) == (NOW, 3)
    assert not is_paused(back.wait_until_ms, NOW)


def test_what_may_pass_lets_an_order_wait_on_and_what_never_will_does_not() -> None:
    passing = (
        RpcUnavailable("away"),
        SlippageExceeded("moved"),
        Halted("operator"),
        NoPool("none"),
        PriceImpact("steep"),
        InsufficientLiquidity("thin"),
        DayIsFull("full"),
    )
    assert all(map(may_wait_on, passing))
    for lasting in (AmountTooSmall("dust"), LimitExceeded("an order's most"), OrderExpired("over")):
        assert not may_wait_on(lasting)


DAY_MS = 86_400_000


def test_a_pause_that_a_clock_ahead_of_others_began_holds_nobody_up() -> None:
    back = returned(under_way(waiting_order("limit"), 1_650_000_000, NOW), "moved", "SLIPPAGE_EXCEEDED", NOW)
    ahead = returned(
        under_way(waiting_order("limit"), 1_650_000_000, NOW + DAY_MS), "moved", "SLIPPAGE_EXCEEDED", NOW + DAY_MS
    )
    assert is_paused(back.wait_until_ms, NOW)
    assert not is_paused(ahead.wait_until_ms, NOW)
    assert is_paused(NOW + 60_000, NOW), "the longest there is"
    assert not is_paused(NOW + 60_001, NOW)


# --- changed ------------------------------------------------------------------------------------------------------


def test_a_change_moves_the_prices_and_is_a_step_that_tells_those_in_force() -> None:
    order = changed(waiting_order("oco"), OrderChanges(limit_price="170", stop_price="130"), NOW)
    step = order.history[-1]
    assert (order.state, step.status, step.limit_price, step.stop_price) == (State.OPEN, Status.OPEN, "170", "130")
    assert (limit_out(order), stop_out(order)) == (1_700_000_000, 1_300_000_000)


def test_a_limits_floor_follows_its_price_up_and_down_but_not_under_its_own_least() -> None:
    order = changed(waiting_order("limit"), OrderChanges(limit_price="100", min_out=1_200_000_000), NOW)
    assert order.min_out == 1_200_000_000
    assert changed(order, OrderChanges(removes_min_out=True), NOW).min_out == 1_000_000_000


def test_a_new_trailing_starts_from_the_best_price_seen_so_far() -> None:
    order = waiting_order("stop", best_out=1_600_000_000)
    trailing = changed(order, OrderChanges(trailing_ppm=50_000), NOW, seen_out=1_500_000_000)
    assert (stop_out(trailing), trailing.stop_price) == (1_520_000_000, "152")
    fixed = changed(trailing, OrderChanges(stop_price="120"), NOW)
    assert (fixed.trailing_ppm, stop_out(fixed)) == (None, 1_200_000_000)


@pytest.mark.parametrize("type_", ["limit", "stop", "oco"])
def test_what_was_triggered_is_not_changed(type_: str) -> None:
    order = under_way(waiting_order(type_), 1_650_000_000 if type_ != "stop" else 1_390_000_000)  # type: ignore[arg-type]
    assert not may_change(order)
    with pytest.raises(IllegalTransition):
        changed(order, OrderChanges(slippage_ppm=1), NOW)
    stop = latched(waiting_order("stop"), 1_390_000_000, SLOT, NOW)
    with pytest.raises(IllegalTransition):
        changed(stop, OrderChanges(slippage_ppm=1), NOW)


# --- sense --------------------------------------------------------------------------------------------------------


def test_an_oco_must_sell_higher_at_its_limit_than_at_its_stop() -> None:
    with pytest.raises(InvalidRequest) as wrong:
        check_prices(waiting_order("oco", limit_price="140"))
    assert [problem.field for problem in wrong.value.problems] == ["limitPrice", "stopPrice"]
    check_prices(waiting_order("oco", limit_price="140.01"))


def test_an_oco_whose_prices_can_not_both_be_meant_is_told_each_beside_the_other() -> None:
    with pytest.raises(InvalidRequest) as wrong:
        check_prices(waiting_order("oco", limit_price="139"))
    assert [(problem.field, problem.message) for problem in wrong.value.problems] == [
        ("limitPrice", "must be above stopPrice, 140"),
        ("stopPrice", "must be below limitPrice, 139"),
    ]


@pytest.mark.parametrize(
    "order",
    [
        waiting_order("limit", limit_price="1"),
        waiting_order("stop", stop_price="1000"),
        waiting_order("oco", limit_price="1", trailing_ppm=50_000, best_out=1_600_000_000),
    ],
)
def test_prices_are_compared_only_where_there_are_two_that_stand(order: Order) -> None:
    check_prices(order)


def test_a_trailing_stop_that_is_reached_already_is_named_as_what_the_client_wrote() -> None:
    order = waiting_order("stop", stop_price=None, trailing_ppm=100_000, best_out=1_600_000_000)
    with pytest.raises(ImplausiblePrice) as wrong:
        check_sense(order, 1_440_000_000)
    (problem,) = wrong.value.problems
    assert problem.field == "trailing"
    assert "the stop is at 144, the best route pays 144;" in problem.message


@pytest.mark.parametrize(
    ("order", "seen_out", "field"),
    [
        (waiting_order("stop"), 1_400_000_000, "stopPrice"),
        (waiting_order("limit"), 16_000_000, "limitPrice"),
        (waiting_order("limit"), 160_000_000_000, "limitPrice"),
        (waiting_order("oco"), 1_399_999_999, "stopPrice"),
    ],
)
def test_a_price_that_looks_like_a_mistake_is_named_with_its_number(order: Order, seen_out: int, field: str) -> None:
    with pytest.raises(ImplausiblePrice) as wrong:
        check_sense(order, seen_out)
    (problem,) = wrong.value.problems
    assert problem.field == field
    assert any(digit in problem.message for digit in "123456789")
    assert "force" in problem.message


@pytest.mark.parametrize(
    ("order", "seen_out"),
    [
        (waiting_order("stop"), 1_400_000_001),
        (waiting_order("limit"), 16_000_001),
        (waiting_order("limit"), 159_999_999_999),
        (waiting_order("limit"), 1_700_000_000),
    ],
)
def test_any_other_price_is_the_clients_own_business(order: Order, seen_out: int) -> None:
    check_sense(order, seen_out)


# --- thirty days of flapping --------------------------------------------------------------------------------------

LONG_TEXT = "x" * 44
LONG_SOL, LONG_USDC = replace(SOL, text=LONG_TEXT, mint=LONG_TEXT), replace(USDC, text=LONG_TEXT, mint=LONG_TEXT)
LONGEST_ROUTE = tuple(
    Leg("raydium", LONG_TEXT, 83_333, LONG_SOL, LONG_USDC, 2**64 - 1, 2**64 - 1, "raydium-amm-v4") for _ in range(12)
)

OFFERS = tuple(
    Offer(dex="raydium", pool=LONG_TEXT, error_code="VENUE_UNAVAILABLE", error="x" * 10**4) for _ in range(40)
)


@pytest.mark.parametrize("type_", ["limit", "stop", "oco"])
def test_thirty_days_of_flapping_keep_the_item_small_and_its_history_short(type_: str) -> None:
    order = waiting_order(type_, max_tries=MOST_TRIES)  # type: ignore[arg-type]
    now_ms, began = NOW, len(order.history)
    for round_ in range(400):
        now_ms = max(now_ms, order.wait_until_ms) + 1_000
        if round_ < 2 * MAX_TOLD_CHANGES and may_change(order):
            order = changed(order, OrderChanges(slippage_ppm=round_ + 1, min_out=round_ + 1), now_ms)
        paid = 1_390_000_000 if type_ == "stop" else 1_650_000_000
        order = under_way(order, paid, now_ms)
        for number in range(30 if round_ % 100 == 0 else 1):
            order = leave_out(order, f"{number:044}", "x" * 10**4, "VENUE_UNAVAILABLE")
        order = choose_route(order, LONGEST_ROUTE, 2 * 10**9, now_ms, OFFERS)
        if order.signed_tries < MOST_TRIES:
            order = sign(order, replace(a_submission(round_), signature=f"{round_:088}", wire=b"x" * 4096), now_ms)
        order = returned(order, "x" * 10**4, "SLIPPAGE_EXCEEDED", now_ms)
        assert order.waiting_weight <= MAX_WAITING_WEIGHT
    told = len(order.history) - began
    signed = sum(step.status is Status.SUBMITTED for step in order.history)
    assert signed == order.signed_tries == MOST_TRIES
    assert told - signed - MAX_TOLD_CHANGES <= 100
    assert order.updated_at_ms == now_ms, "what is not told changes the order all the same"
    routed = choose_route(under_way(order, paid, now_ms), LONGEST_ROUTE, 2 * 10**9, now_ms, OFFERS)
    signed_again = sign(routed, replace(a_submission(), wire=b"x" * 4096), now_ms)
    assert signed_again.history[-1].tx_hash == "signature-1", "what is signed is told always"
    for each in (order, signed_again):
        assert len(str(serialize(order_to_item(each, pack=False)))) < 100_000
