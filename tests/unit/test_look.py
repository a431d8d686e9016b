"""A look judges each waiting order as if it had asked for its route alone, and asks for as few as bounds let it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.pools import CLOCK, MINT_IN, MINT_OUT
from chalicelib.problems import ExecutionError
from chalicelib.routing.many_amounts import ManyAmounts
from chalicelib.routing.router import PairPools, RouteLimits, best_routes
from chalicelib.routing.swap_plan import fits_a_transaction
from chalicelib.waiting.look import FOLLOWED_AT_ONCE, STORED_AFTER_MS, Findings, Seen, judge_all
from chalicelib.waiting.waiting_order import WaitingOrder
from tests.unit.pools_of_all_venues import amounts, bridge, pair_pools, pool_named

SOLD, BOUGHT = str(MINT_IN.address), str(MINT_OUT.address)
NOW = 1_760_000_000_000
LIMITS = RouteLimits(12, leg_cost=7, fits=partial(fits_a_transaction, version=1))


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


class TestManyTrailing:
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
