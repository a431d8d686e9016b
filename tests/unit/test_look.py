"""A look judges each waiting order as if it had asked for its route alone, and asks for as few as bounds let it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.pools import CLOCK, MINT_IN, MINT_OUT
from chalicelib.problems import ExecutionError
from chalicelib.routing.many_amounts import ManyAmounts
from chalicelib.routing.router import PairPools, RouteLimits, best_routes
from chalicelib.routing.swap_plan import TransactionRoom
from chalicelib.waiting.look import FOLLOWED_AT_ONCE, STORED_AFTER_MS, Findings, Reached, Seen, judge_all, place
from chalicelib.waiting.waiting_order import WaitingOrder
from tests.unit.pools_of_all_venues import amounts, bridge, pair_pools, pool_named

SOLD, BOUGHT = str(MINT_IN.address), str(MINT_OUT.address)
NOW = 1_760_000_000_000
LIMITS = RouteLimits(12, leg_cost=7, fits=TransactionRoom(1))


def order(number: int = 1, amount: int = 1_000, **terms: object) -> WaitingOrder:
    return replace(WaitingOrder(order_id=f"order-{number}", mint_in=SOLD, mint_out=BOUGHT, amount=amount), **terms)  # type: ignore[arg-type]


@dataclass
class Pays:
    """A market that pays `price` parts in a thousand of what is sold, and knows bounds that are exact, or none."""

    price: int | None
    bounded: bool = False
    asked: list[int] = field(default_factory=list)

    def paid(self, amount: int) -> int | None:
        self.asked.append(amount)
        return None if self.price is None else amount * self.price // 1_000

    def at_least(self, amount: int) -> int:
        return amount * (self.price or 0) // 1_000 if self.bounded else 0

    def may_pay(self, amount: int, least: int) -> bool:
        return True


def look(
    *orders: WaitingOrder, price: int | None = 1_000, seen: dict[str, Seen] | None = None, now_ms: int = NOW
) -> Findings:
    return judge_all(orders, {SOLD: Pays(price)}, seen or {}, now_ms)


def reached(findings: Findings) -> list[str]:
    return [one.order_id for one in findings.reached]


class TestPrices:
    @pytest.mark.parametrize(("price", "is_due"), [(999, False), (1_000, True), (1_001, True)])
    def test_a_limit_is_reached_where_its_amount_is_paid_at_least_what_it_asks(self, price: int, is_due: bool) -> None:
        assert bool(reached(look(order(limit_out=1_000), price=price))) is is_due

    @pytest.mark.parametrize(("price", "is_due"), [(1_001, False), (1_000, True), (1, True)])
    def test_a_stop_is_reached_where_its_amount_is_paid_no_more(self, price: int, is_due: bool) -> None:
        findings = look(order(stop_out=1_000), price=price)
        assert bool(reached(findings)) is is_due
        assert all(one.is_stop and one.amount_out == price for one in findings.reached)

    @pytest.mark.parametrize(("price", "is_stop"), [(1_100, False), (900, True)])
    def test_either_of_two_prices_is_enough(self, price: int, is_stop: bool) -> None:
        (one,) = look(order(limit_out=1_100, stop_out=900), price=price).reached
        assert one.is_stop is is_stop

    def test_between_them_an_order_waits_on(self) -> None:
        assert not reached(look(order(limit_out=1_100, stop_out=900)))

    def test_where_no_route_is_found_nothing_is_reached(self) -> None:
        findings = look(order(1, stop_out=10**9), order(2, limit_out=1), order(3, trailing_ppm=1), price=None)
        assert findings == Findings((), {}, ())

    def test_nor_is_an_order_of_a_token_that_nothing_is_paid_for(self) -> None:
        assert judge_all([order(stop_out=10**9)], {}, {}, NOW) == Findings((), {}, ())

    def test_a_paused_order_follows_the_market_and_is_not_handed_over(self) -> None:
        paused = order(trailing_ppm=0, best_out=500, wait_until_ms=NOW + 1)
        findings = look(paused)
        assert not reached(findings)
        assert findings.seen["order-1"].best_out == 1_000
        assert reached(look(replace(paused, wait_until_ms=NOW)))

    def test_a_triggered_stop_is_due_where_its_floor_is_paid(self) -> None:
        latched = order(limit_out=1_000, is_triggered=True)
        assert not reached(look(latched, price=999))
        (one,) = look(latched).reached
        assert one.is_stop

    def test_stops_are_handed_over_before_limits(self) -> None:
        limits = [order(number, limit_out=1) for number in range(3)]
        assert reached(look(*limits, order(9, stop_out=1_000)))[0] == "order-9"


class TestTrailing:
    def test_the_first_price_is_its_best_and_is_stored_at_once(self) -> None:
        findings = look(order(trailing_ppm=50_000))
        assert findings.seen["order-1"].best_out == 1_000
        assert findings.to_store == ("order-1",)
        assert not reached(findings)

    def test_the_stop_follows_the_best_price_and_never_back(self) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        higher = look(waits, price=1_100)
        assert higher.seen["order-1"].best_out == 1_100_000
        lower = look(waits, price=1_050, seen=dict(higher.seen))
        assert lower.seen == higher.seen
        assert not reached(lower)
        (one,) = look(waits, price=1_045, seen=dict(higher.seen)).reached
        assert (one.amount_out, one.best_out) == (1_045_000, 1_100_000), "1.1 x 0.95 is 1.045"

    @pytest.mark.parametrize(("best", "is_stored"), [(1_000_999, False), (1_001_000, True)])
    def test_a_best_price_is_stored_once_it_has_moved_by_a_thousandth(self, best: int, is_stored: bool) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        findings = look(waits, price=1_000, seen={"order-1": Seen(best, NOW - 1)})
        assert bool(findings.to_store) is is_stored
        assert findings.seen["order-1"].best_out == best, "until the index has it, it is remembered"

    @pytest.mark.parametrize(("since_ms", "is_stored"), [(STORED_AFTER_MS - 1, False), (STORED_AFTER_MS, True)])
    def test_and_after_a_minute_at_the_latest(self, since_ms: int, is_stored: bool) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        findings = look(waits, price=1_000, seen={"order-1": Seen(1_000_001, NOW - since_ms)})
        assert bool(findings.to_store) is is_stored

    @pytest.mark.parametrize(("price", "is_stored"), [(970, False), (958, True)])
    def test_and_where_the_stop_is_near(self, price: int, is_stored: bool) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        findings = look(replace(waits, limit_out=1), price=price, seen={"order-1": Seen(1_000_001, NOW)})
        near = judge_all([waits], {SOLD: Pays(price)}, {"order-1": Seen(1_000_001, NOW)}, NOW)
        assert bool(near.to_store) is is_stored
        assert reached(findings) == ["order-1"], "what is handed over is written with what it has seen"
        assert findings.to_store == ()

    def test_a_clock_that_is_set_back_stores_what_it_was_about_to_forget(self) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        assert look(waits, price=1_000, seen={"order-1": Seen(1_000_001, NOW + 10**9)}).to_store == ("order-1",)

    def test_what_is_stored_is_forgotten_and_so_is_what_no_longer_waits(self) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=2 * 10**6)
        seen = {"order-1": Seen(2 * 10**6, NOW), "order-2": Seen(5, NOW)}
        assert look(waits, price=1_950, seen=seen).seen == {}


@dataclass
class Bounds:
    """A market whose bounds are exact, so that a look asks it for just the routes that it can't do without."""

    price: int
    routes: list[int] = field(default_factory=list)
    floors: list[int] = field(default_factory=list)

    def paid(self, amount: int) -> int | None:
        self.routes.append(amount)
        return amount * self.price // 1_000

    def at_least(self, amount: int) -> int:
        self.floors.append(amount)
        return amount * self.price // 1_000

    def may_pay(self, amount: int, least: int) -> bool:
        return amount * self.price // 1_000 >= least


class TestPassedOver:
    @pytest.mark.parametrize(
        ("terms", "is_asked"),
        [
            ({"limit_out": 1_001}, False),
            ({"limit_out": 1_000}, True),
            ({"stop_out": 999}, False),
            ({"stop_out": 1_000}, True),
            ({"limit_out": 1_001, "stop_out": 999}, False),
            ({"limit_out": 1_000, "stop_out": 999}, True),
            ({"limit_out": 1_001, "stop_out": 1_000}, True),
            ({"limit_out": 1_000, "is_triggered": True}, True),
            ({"limit_out": 1_001, "is_triggered": True}, False),
            ({"trailing_ppm": 50_000}, True),
            ({"trailing_ppm": 50_000, "best_out": 999}, True),
            ({"trailing_ppm": 50_000, "best_out": 1_000}, False),
            ({"trailing_ppm": 50_000, "best_out": 1_052}, False),
            ({"trailing_ppm": 50_000, "best_out": 1_053}, True),
            ({"trailing_ppm": 50_000, "best_out": 1_000, "limit_out": 1_000}, True),
        ],
    )
    def test_a_route_is_asked_for_just_where_a_bound_does_not_tell(self, terms: dict[str, Any], is_asked: bool) -> None:
        market = Bounds(1_000)
        judge_all([order(**terms)], {SOLD: market}, {}, NOW)
        assert market.routes == ([1_000] if is_asked else [])

    @pytest.mark.parametrize(
        ("terms", "is_asked"),
        [
            ({"limit_out": 1_000}, False),
            ({"stop_out": 1_000}, False),
            ({"trailing_ppm": 50_000, "best_out": 1_053}, False),
            ({"trailing_ppm": 50_000, "best_out": 999}, True),
        ],
    )
    def test_of_a_paused_order_only_what_its_stop_follows_is_asked_for(
        self, terms: dict[str, Any], is_asked: bool
    ) -> None:
        market = Bounds(1_000)
        findings = judge_all([order(wait_until_ms=NOW + 1, **terms)], {SOLD: market}, {}, NOW)
        assert bool(market.routes) is is_asked
        assert not findings.reached

    def test_what_is_paid_at_least_is_asked_for_where_there_is_a_stop_alone(self) -> None:
        market = Bounds(1_000)
        judge_all([order(1, amount=10, limit_out=1), order(2, amount=20, stop_out=1)], {SOLD: market}, {}, NOW)
        assert market.floors == [20]


class TestOrderOfJudging:
    def test_orders_are_judged_by_the_token_that_they_sell_then_by_their_amount_then_by_their_name(self) -> None:
        there = [order(2, amount=5), order(1, amount=5), order(3, amount=4)]
        back = replace(order(0, amount=1), mint_in=BOUGHT, mint_out=SOLD)
        expected = sorted([SOLD, BOUGHT])
        judged = sorted([*there, back], key=place)
        assert [each.mint_in for each in judged] == (
            [SOLD] * 3 + [BOUGHT] if expected[0] == SOLD else [BOUGHT] + [SOLD] * 3
        )
        assert [each.order_id for each in judged if each.mint_in == SOLD] == ["order-3", "order-1", "order-2"]

    def test_each_order_is_judged_by_what_is_paid_for_the_token_that_it_sells(self) -> None:
        there, back = order(1, limit_out=1_000), replace(order(2, limit_out=1_000), mint_in=BOUGHT, mint_out=SOLD)
        assert reached(judge_all([there, back], {SOLD: Pays(999), BOUGHT: Pays(1_000)}, {}, NOW)) == ["order-2"]

    def test_whoever_has_reached_a_price_is_told_of_at_once_and_in_turn(self) -> None:
        told: list[Reached] = []
        orders = [order(1, amount=1_000, limit_out=1), order(2, amount=2_000, stop_out=2_000), order(3, limit_out=9**9)]
        findings = judge_all(orders, {SOLD: Pays(1_000)}, {}, NOW, found=told.append)
        assert [one.order_id for one in told] == ["order-1", "order-2"]
        assert reached(findings) == ["order-2", "order-1"], "stops first"
        assert told[0] == Reached("order-1", 1_000, None, is_stop=False)
        assert told[1] == Reached("order-2", 2_000, None, is_stop=True)

    def test_what_there_was_no_time_for_keeps_what_was_seen_of_it(self) -> None:
        orders = [order(1, amount=10), order(2, amount=20, trailing_ppm=50_000, best_out=10)]
        findings = judge_all(orders, {SOLD: Pays(1_000)}, {"order-2": Seen(15, NOW)}, NOW, lambda: False)
        assert findings.seen == {"order-2": Seen(15, NOW)}
        assert [one.order_id for one in findings.left] == ["order-2"]


class TestSeen:
    def test_what_was_seen_is_dated_by_when_the_price_first_moved(self) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        first = look(waits, price=1_001)
        assert first.seen["order-1"] == Seen(1_001_000, NOW)
        assert look(waits, price=1_002, seen=dict(first.seen), now_ms=NOW + 5).seen["order-1"] == Seen(1_002_000, NOW)

    @pytest.mark.parametrize(("best_out", "is_kept"), [(None, True), (999, True), (1_000, False), (1_001, False)])
    def test_what_was_seen_is_kept_as_long_as_the_order_does_not_have_it(
        self, best_out: int | None, is_kept: bool
    ) -> None:
        waits = order(trailing_ppm=50_000, best_out=best_out)
        assert bool(look(waits, price=990, seen={"order-1": Seen(1_000, NOW)}).seen) is is_kept

    def test_a_price_that_is_just_the_best_so_far_is_no_news(self) -> None:
        assert look(order(trailing_ppm=50_000, best_out=1_000), price=1_000).seen == {}

    def test_the_first_unit_that_is_seen_is_more_than_nothing(self) -> None:
        seen = {"order-1": Seen(1, NOW)}
        assert look(order(trailing_ppm=50_000), price=None, seen=seen).seen == seen

    def test_of_an_order_that_no_longer_trails_nothing_is_kept(self) -> None:
        assert look(order(stop_out=1), seen={"order-1": Seen(1_000, NOW)}).seen == {}

    def test_what_is_seen_of_an_order_that_has_reached_its_price_goes_with_it(self) -> None:
        findings = look(order(limit_out=1, trailing_ppm=50_000))
        assert findings.to_store == ()
        assert [(one.best_out, one.is_stop) for one in findings.reached] == [(1_000, False)]

    @pytest.mark.parametrize(("price", "is_stored"), [(960, False), (959, True)])
    def test_a_hundredth_from_the_stop_whatever_was_seen_is_stored(self, price: int, is_stored: bool) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        findings = look(waits, price=price, seen={"order-1": Seen(1_000_009, NOW)})
        assert not findings.reached
        assert bool(findings.to_store) is is_stored

    def test_just_a_hundredth_from_the_stop_is_near(self) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=1_042_100)
        findings = look(waits, price=1_000, seen={"order-1": Seen(1_042_106, NOW)})
        assert waits.stop_at(1_042_106) == 990_000
        assert findings.to_store == ("order-1",)

    def test_without_a_price_what_was_seen_is_kept_and_stored_in_its_time(self) -> None:
        waits = order(amount=10**6, trailing_ppm=50_000, best_out=10**6)
        assert look(waits, price=None, seen={"order-1": Seen(1_000_001, NOW)}).to_store == ()
        late = look(waits, price=None, seen={"order-1": Seen(1_000_001, NOW)}, now_ms=NOW + STORED_AFTER_MS)
        assert late.to_store == ("order-1",)


class TestManyTrailing:
    def test_as_many_as_are_followed_at_once_are_all_followed(self) -> None:
        orders = [order(number, trailing_ppm=50_000, best_out=999) for number in range(FOLLOWED_AT_ONCE)]
        orders += [order(1_000 + number, limit_out=10**9) for number in range(FOLLOWED_AT_ONCE)]
        market = Bounds(1_000)
        for turn in range(2):
            assert len(judge_all(orders, {SOLD: market}, {}, NOW, turn=turn).seen) == FOLLOWED_AT_ONCE

    def test_of_one_more_a_part_is_followed_in_each_of_two_looks(self) -> None:
        orders = [order(number, trailing_ppm=500_000, best_out=999) for number in range(FOLLOWED_AT_ONCE + 1)]
        first, second, third = (
            set(judge_all(orders, {SOLD: Bounds(1_000)}, {}, NOW, turn=turn).seen) for turn in range(3)
        )
        assert first | second == {each.order_id for each in orders}
        assert judge_all(orders, {SOLD: Bounds(1_000)}, {}, NOW).seen.keys() == first, "the first of all looks"
        assert not first & second
        assert third == first

    @pytest.mark.parametrize(("trailing_ppm", "looks"), [(9_999, 4), (10_000, 1)])
    def test_one_that_is_within_a_hundredth_of_its_stop_is_followed_by_each_look(
        self, trailing_ppm: int, looks: int
    ) -> None:
        many = [order(number, trailing_ppm=500_000, best_out=2_000) for number in range(3 * FOLLOWED_AT_ONCE)]
        one = order(1_001, amount=10**6, trailing_ppm=trailing_ppm, best_out=999_999)
        followed = [
            "order-1001" in judge_all([*many, one], {SOLD: Bounds(1_000)}, {}, NOW, turn=turn).seen for turn in range(4)
        ]
        assert followed.count(True) == looks

    def test_of_many_each_is_followed_in_its_turn_and_none_twice_before_all(self) -> None:
        orders = [
            order(number, amount=10**6, trailing_ppm=50_000, best_out=10**6) for number in range(3 * FOLLOWED_AT_ONCE)
        ]
        followed: list[str] = []
        for turn in range(7, 10):
            seen = judge_all(orders, {SOLD: Pays(1_040, bounded=True)}, {}, NOW, turn=turn).seen
            assert len(seen) < 2 * FOLLOWED_AT_ONCE
            followed += seen
        assert sorted(followed) == sorted(each.order_id for each in orders)

    def test_those_that_are_new_or_near_their_stop_are_followed_by_each_look(self) -> None:
        many = [
            order(number, amount=10**6, trailing_ppm=50_000, best_out=2 * 10**6)
            for number in range(3 * FOLLOWED_AT_ONCE)
        ]
        near = order(1_001, amount=10**6, trailing_ppm=1_000, best_out=10**6)
        new = order(1_002, amount=10**6, trailing_ppm=50_000)
        for turn in range(4):
            findings = judge_all([*many, near, new], {SOLD: Pays(1_001, bounded=True)}, {}, NOW, turn=turn)
            assert {"order-1001", "order-1002"} <= findings.seen.keys()
            assert len(findings.reached) == len(many), "whoever is at its stop is handed over, whoever's turn it is"


class TestTime:
    def test_what_there_is_no_time_for_is_left_and_the_first_is_always_judged(self) -> None:
        orders = [order(number, amount=number, limit_out=1) for number in range(1, 6)]
        for allowed in range(4):
            answers = iter([True] * allowed + [False])
            findings = judge_all(orders, {SOLD: Pays(1_000)}, {}, NOW, partial(next, answers))
            assert len(findings.reached) == allowed + 1
            assert [one.amount for one in findings.left] == list(range(allowed + 2, 6))


@st.composite
def books(draw: st.DrawFn, market: ManyAmounts) -> list[WaitingOrder]:
    """Orders at, just above, just below and far from what they would be paid."""
    orders = []
    for number in range(draw(st.integers(1, 8))):
        amount = draw(amounts())
        paid = market.paid(amount) or amount
        near = st.integers(max(1, paid - 2), paid + 2)
        far = st.integers(1, 3 * paid)
        price = near | far
        kind = draw(st.sampled_from(["limit", "stop", "oco", "trailing", "bracket"]))
        terms = {
            "limit_out": draw(price) if kind in ("limit", "oco", "bracket") else None,
            "stop_out": draw(price) if kind in ("stop", "oco") else None,
            "trailing_ppm": draw(st.integers(0, 200_000)) if kind in ("trailing", "bracket") else None,
        }
        if terms["trailing_ppm"] is not None:
            terms["best_out"] = draw(st.none() | price)
        orders.append(order(number, amount, **terms))
    return orders


def route_of_its_own(pools: PairPools, amount: int) -> int | None:
    try:
        return best_routes(pools, amount, LIMITS)[0].amount_out
    except ExecutionError:
        return None


@settings(max_examples=20)
@given(pair_pools(), st.data())
def test_no_order_is_missed_and_none_is_set_off_that_its_own_route_would_not(
    pools: PairPools, data: st.DataObject
) -> None:
    orders = data.draw(books(ManyAmounts(pools, lambda amount: LIMITS, 10**12)))
    largest = max(each.amount for each in orders)
    findings = judge_all(orders, {SOLD: ManyAmounts(pools, lambda amount: LIMITS, largest)}, {}, NOW)
    expected, best = set(), {}
    for each in orders:
        paid = route_of_its_own(pools, each.amount)
        if paid is None:
            continue
        seen = each.best_out
        if each.trailing_ppm is not None and (seen is None or paid > seen):
            seen = best[each.order_id] = paid
        if each.is_reached(paid, seen):
            expected.add((each.order_id, paid))
    assert {(one.order_id, one.amount_out) for one in findings.reached} == expected
    assert {name: one.best_out for name, one in findings.seen.items()} == best


def book_of(size: int, market: ManyAmounts) -> list[WaitingOrder]:
    """As many orders of sizes from one to a million, priced up to a tenth away, a tenth of them trailing."""
    dice = random.Random(7)
    orders = []
    for number in range(size):
        amount = int(10 ** dice.uniform(5, 11))
        paid = market.paid(10**6)
        assert paid is not None
        fair = amount * paid // 10**6
        away = dice.uniform(0.001, 0.1)
        if number % 10 == 0:
            terms: dict[str, object] = {"trailing_ppm": 50_000, "best_out": int(fair * (1 + away))}
        elif number % 2:
            terms = {"limit_out": int(fair * (1 + away))}
        else:
            terms = {"stop_out": int(fair * (1 - away) * 0.6)}
        orders.append(order(number, amount, **terms))
    return orders


def test_of_two_thousand_orders_a_look_asks_for_few_routes() -> None:
    names = ["CPMM", "DAMM v2, scheduled", "CLMM, 8 ticks", "AMM v4"]
    pools = PairPools(MINT_IN.address, MINT_OUT.address, tuple(map(pool_named, names)), (bridge(0),), CLOCK)
    orders = book_of(2_000, ManyAmounts(pools, lambda amount: LIMITS, 10**11))
    market = ManyAmounts(pools, lambda amount: LIMITS, max(each.amount for each in orders))
    judge_all(orders, {SOLD: market}, {}, NOW)
    assert market.routes_found < 200
