"""How the level is found: what a basin knows of its outlet, and what all basins come to at one marginal price."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import isqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.routing.basin import Basin
from chalicelib.routing.outlet import Outlet
from chalicelib.routing.water_filling import Level, level
from tests.unit.simple_outlets import ConstantProduct, Pay, steps


def product(depth: int, price: int = 1) -> Pay:
    """A constant product without a fee: `depth` on either side, `price` out for one in."""
    return ConstantProduct(depth, depth * price, fee_ppm=0)


def basins(amount: int, *pays: Pay) -> list[Basin]:
    return [Basin(Outlet(pay), index, amount) for index, pay in enumerate(pays)]


def leveled(amount: int, *pays: Pay, max_legs: int = 12) -> Level:
    found = level(basins(amount, *pays), amount, max_legs)
    assert found is not None
    return found


def amounts(found: Level, count: int) -> list[int]:
    parts = {leg.index: leg.amount for leg in found.legs}
    return [parts.get(index, 0) for index in range(count)]


class TestABasin:
    def test_knows_the_most_that_is_taken_and_parts_of_it(self) -> None:
        (basin,) = basins(10**9, product(10**9))
        assert basin.ins == [0, 10**9 // 4_096, 10**9 // 64, 10**9 // 8, 10**9]
        assert basin.outs == [product(10**9)(amount) for amount in basin.ins]

    def test_of_an_outlet_that_takes_less_begins_with_about_as_much(self) -> None:
        (basin,) = basins(8**10, steps((8**7, 900_000)))
        assert (basin.most, basin.refused) == (8**7, 8**8)
        (other,) = basins(8**10, steps((8**7 - 1, 900_000)))
        assert (other.most, other.refused) == (8**6, 8**7)
        other.ask_most(64)
        assert (other.most, other.refused) == (8**7 - 1, 8**7)

    def test_of_an_outlet_that_pays_nothing_knows_nothing(self) -> None:
        for pay in (lambda _: 0, lambda _: None):
            (basin,) = basins(10**9, pay)
            assert basin.slopes == []

    def test_asks_for_no_amount_twice_and_for_none_that_is_too_much(self) -> None:
        (basin,) = basins(8**10, steps((8**7, 900_000)))
        asked = basin.outlet.asked
        for amount in (8**7, 8**8, 8**9, 0, -5):
            assert basin.ask(amount) == 0.0
        assert basin.outlet.asked == asked

    def test_keeps_only_what_is_concave(self) -> None:
        """A fee with a cap: little is paid worse a unit than more is."""
        (basin,) = basins(10**6, lambda amount: amount - min(amount // 10, 100))
        assert basin.slopes == sorted(basin.slopes)
        assert basin.ins[:2] == [0, 10**6]

    def test_knows_a_stretch_at_one_price_as_that(self) -> None:
        (basin,) = basins(10**9, steps((10**9, 900_000)))
        assert basin.ins == [0, 10**9]
        assert (0, 10**9) in basin.flat
        assert basin.doubts(0.8, 1.0) == basin.doubts(0.95, 1.0) == []

    @pytest.mark.parametrize("price", [0.9, 0.5, 0.1])
    def test_guesses_a_constant_products_amount_at_a_price_exactly(self, price: float) -> None:
        """Where R·D / (D + t)² is the price."""
        depth = 10**12
        (basin,) = basins(10**13, product(depth))
        amount, pull = basin.at(price, price**-0.5)
        assert amount == pytest.approx(depth * (price**-0.5 - 1), rel=1e-6)
        assert pull == pytest.approx(depth, rel=1e-3)

    def test_says_how_much_is_paid_beyond_a_price(self) -> None:
        (basin,) = basins(10**12, product(10**12))
        assert basin.surplus(10**12, 0.25) == pytest.approx(10**12 // 2 - 0.25 * 10**12)
        assert basin.surplus(5 * 10**11, 0.0) == pytest.approx(10**12 / 3, rel=1e-9)

    def test_says_how_far_rounding_hides_the_bend_and_what_a_falling_price_takes(self) -> None:
        depth, amount = 10**12, 10**11
        (basin,) = basins(10**12, product(depth))
        reached = depth + amount
        assert basin.plateau(amount, 1.0) == pytest.approx(isqrt(reached**3 // depth**2), rel=1e-3)
        assert basin.gives(amount, 0.5) == pytest.approx(reached, rel=1e-3)

    def test_doubts_where_something_may_be_hidden_and_no_longer_once_it_has_looked(self) -> None:
        (basin,) = basins(10**12, product(10**12))
        price = 0.7
        for _ in range(60):
            doubts = basin.doubts(price, 1.0)
            if not doubts:
                break
            for amount in doubts:
                basin.ask(amount)
        assert basin.doubts(price, 1.0) == []
        best = max(paid - price * amount for amount, paid in zip(basin.ins, basin.outs, strict=True))
        optimum = 10**12 * (price**-0.5 - 1)
        most = product(10**12)(int(optimum)) - price * int(optimum)  # type: ignore[operator]
        assert best + 5 >= most
        assert basin.most_beyond(price) == pytest.approx(most, abs=5)

    @given(
        st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 2_000_000)), min_size=1, max_size=5),
        st.integers(1, 10**6),
        st.lists(st.integers(1, 10**6), max_size=12),
    )
    def test_is_the_hull_of_all_that_was_answered(
        self, bins: list[tuple[int, int]], amount: int, asked: list[int]
    ) -> None:
        """Whatever order it was learned in, and also where another basin of the same outlet has learned it."""
        outlet = Outlet(steps(*sorted(bins, key=lambda each: -each[1])))
        basin = Basin(outlet, 0, amount)
        self.check_hull(basin)
        for each in asked:
            basin.learn(each)
            self.check_hull(basin)
        self.check_hull(Basin(outlet, 0, amount))
        asks_nothing_new = Basin(outlet, 0, amount)
        assert asks_nothing_new.flat == self.straight(asks_nothing_new)

    @staticmethod
    def check_hull(basin: Basin) -> None:
        hull = [(0, 0)]
        for amount, paid in basin.outlet.answers(basin.most):
            if not paid:
                continue
            while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (amount - hull[-1][0]) <= (paid - hull[-1][1]) * (
                hull[-1][0] - hull[-2][0]
            ):
                hull.pop()
            hull.append((amount, paid))
        assert list(zip(basin.ins, basin.outs, strict=True)) == hull
        assert basin.slopes == [(a - b) / (d - c) for (c, a), (d, b) in pairwise(hull)]

    @staticmethod
    def straight(basin: Basin) -> set[tuple[int, int]]:
        """The chords of which an answer that isn't near an end tells that nothing is hidden above them."""
        amounts = [amount for amount, paid in basin.outlet.answers(basin.most) if paid]
        return {
            (start, end)
            for start, end in pairwise(basin.ins)
            if any(start < each < end and min(each - start, end - each) * 64 >= end - start for each in amounts)
        }

    @pytest.mark.parametrize(
        ("part", "price", "gain"),
        [
            (1_500, 0.55, 50),
            (1_500, 0.65, 50),
            (0, 0.85, 50),
            (1_000, 0.5, 100),
            (1_000, 0.95, 50),
            (1_000, 0.7, 0),
            (2_000, 0.7, 100),
            (3_000, 0.4, 100),
            (3_000, 0.2, 0),
        ],
    )
    def test_tells_where_a_chord_beside_a_part_gains_more_than_twice_the_rounding(
        self, part: int, price: float, gain: int
    ) -> None:
        (basin,) = basins(3_000, steps((1_000, 900_000), (1_000, 600_000), (1_000, 300_000)))
        for amount in (1_000, 2_000):
            basin.learn(amount)
        assert basin.ins == [0, 1_000, 2_000, 3_000]
        assert not gain or basin.is_off(part, price, gain / 2 - 0.1)
        assert not basin.is_off(part, price, gain / 2 + 0.1)

    @pytest.mark.parametrize("price", [0.95, 0.7, 0.5, 0.1])
    def test_knows_the_most_beyond_a_price_of_stretches_that_it_has_seen(self, price: float) -> None:
        pay = steps((10**6, 900_000), (10**6, 600_000), (10**6, 300_000))
        (basin,) = basins(3 * 10**6, pay)
        for amount in (10**6, 2 * 10**6, 5 * 10**5, 15 * 10**5, 25 * 10**5):
            basin.learn(amount)
        most = max((pay(amount) or 0) - price * amount for amount in (0, 10**6, 2 * 10**6, 3 * 10**6))
        assert basin.most_beyond(price) == pytest.approx(most, abs=1e-6)

    def test_knows_no_more_of_an_outlet_than_that_it_refuses_somewhere(self) -> None:
        """Beyond the most known, up to what is refused, it may be paid as the last chord."""
        (basin,) = basins(8**6, steps((8**6 - 1, 900_000)))
        assert (basin.most, basin.refused) == (8**5, 8**6)
        assert basin.most_beyond(0.5) == pytest.approx(0.9 * 8**5 - 0.5 * 8**5 + 0.4 * (8**6 - 1 - 8**5), rel=1e-4)

    @given(st.integers(10**6, 10**12), st.floats(0.05, 0.95), st.lists(st.floats(0, 1), max_size=6))
    def test_says_no_less_than_may_be_paid_beyond_a_price(self, depth: int, price: float, asked: list[float]) -> None:
        pay = product(depth)
        (basin,) = basins(4 * depth, pay)
        for each in asked:
            basin.learn(int(each * 4 * depth))
        optimum = min(int(depth * (price**-0.5 - 1)), 4 * depth)
        assert basin.most_beyond(price) >= ((pay(optimum) or 0) - price * optimum) * (1 - 1e-6) - 2

    @pytest.mark.parametrize("price", [0.9999, 0.9995, 0.9991])
    def test_tells_of_its_first_stretch_what_a_constant_product_is_paid_beyond_a_price(self, price: float) -> None:
        """Where R = D, the most beyond a price is D · (1 - √price)²."""
        depth = 10**12
        (basin,) = basins(4 * depth, product(depth))
        assert depth * (price**-0.5 - 1) < basin.ins[1]
        assert basin.most_beyond(price) == pytest.approx(depth * (1 - price**0.5) ** 2, rel=1e-3)


class TestALevel:
    def test_of_one_outlet_is_all_of_it(self) -> None:
        assert amounts(leveled(10**9, product(10**9)), 1) == [10**9]

    def test_fills_equal_products_by_their_depths(self) -> None:
        found = leveled(6 * 10**9, product(10**12), product(2 * 10**12), product(3 * 10**12))
        for amount, share in zip(amounts(found, 3), (1, 2, 3), strict=True):
            assert amount == pytest.approx(share * 10**9, abs=4 * 10**6)
        assert sum(amounts(found, 3)) == 6 * 10**9
        assert found.price == pytest.approx((1 + 1e-3) ** -2, rel=1e-6)

    def test_gives_nothing_to_an_outlet_whose_first_unit_is_paid_worse(self) -> None:
        found = leveled(10**9, product(10**12), steps((10**12, 900_000)))
        assert amounts(found, 2) == [10**9, 0]

    def test_fills_a_step_to_its_edge_where_the_price_falls_past_it(self) -> None:
        found = leveled(10**12, steps((10**11, 990_000), (10**12, 900_000)), product(10**14))
        first, _ = amounts(found, 2)
        assert abs(first - 10**11) < 100
        found = leveled(10**12, steps((10**11, 990_000)), product(10**14))
        assert amounts(found, 2) == [10**11, 9 * 10**11]

    def test_divides_a_stretch_at_one_price_as_the_sum_asks_for(self) -> None:
        """What the other outlet doesn't take before its price falls to the stretch's goes into the stretch."""
        found = leveled(10**12, steps((10**13, 900_000)), product(10**12))
        stretch, curve = amounts(found, 2)
        assert curve == pytest.approx(10**12 * (0.9**-0.5 - 1), rel=1e-4)
        assert stretch + curve == 10**12

    def test_is_none_where_they_cannot_take_it_all(self) -> None:
        pays = [steps((10**6, 900_000)), steps((10**6, 800_000))]
        assert level(basins(2 * 10**6, *pays), 2 * 10**6, 2) is not None
        assert level(basins(2 * 10**6 + 1, *pays), 2 * 10**6 + 1, 2) is None
        assert level(basins(10**6, lambda _: None), 10**6, 2) is None

    def test_has_no_more_legs_than_there_may_be_and_those_that_gain_most(self) -> None:
        pays = [product(10**12 + number * 10**11) for number in range(16)]
        found = leveled(10**11, *pays, max_legs=5)
        assert {leg.index for leg in found.legs} == set(range(11, 16))

    @given(
        st.lists(st.integers(10**9, 10**12), min_size=3, max_size=5),
        st.lists(
            st.lists(st.tuples(st.integers(10**8, 10**11), st.integers(500_000, 1_000_000)), min_size=1, max_size=4),
            min_size=1,
            max_size=2,
        ),
        st.integers(10**9, 10**12),
        st.integers(1, 3),
    )
    @settings(deadline=None, max_examples=60)
    def test_has_the_legs_of_all_choices_that_are_worth_most(
        self, depths: list[int], stairs: list[list[tuple[int, int]]], amount: int, max_legs: int
    ) -> None:
        falling = [sorted(bins, key=lambda each: -each[1]) for bins in stairs]
        pays = [*map(product, depths), *(steps(*bins) for bins in falling)]
        found = leveled(amount, *pays, max_legs=max_legs)
        assert len(found.legs) <= max_legs
        choices = [[pays[index] for index in chosen] for chosen in combinations(range(len(pays)), max_legs)]
        levels = ((level(basins(amount, *choice), amount, max_legs), choice) for choice in choices)
        best = max(self.paid(each, choice) for each, choice in levels if each is not None)
        assert self.paid(found, pays) + 4 * max_legs >= best

    def test_tells_the_legs_by_what_would_be_lost_without_each(self) -> None:
        pays = [product(10**12), product(4 * 10**12), product(2 * 10**12)]
        found = leveled(10**11, *pays)
        assert [leg.index for leg in found.legs] == [1, 2, 0]
        without = leveled(10**11, *pays[1:])
        lost = self.paid(found, pays) - self.paid(without, pays[1:])
        assert found.legs[-1].gain == pytest.approx(lost, rel=0.1)

    @staticmethod
    def paid(found: Level, pays: list[Pay]) -> int:
        return sum(pays[leg.index](leg.amount) or 0 for leg in found.legs)

    def test_gives_no_leg_more_than_it_takes_when_the_last_unit_is_given_out(self) -> None:
        takes_no_more = 4_411_291_585
        depths = (1_000_000_000, 68_502_642_353, 68_502_642_382, 68_502_642_407)
        found = leveled(16_320_576_243, *map(product, depths), steps((takes_no_more, 958_055)))
        assert {leg.index: leg.amount for leg in found.legs}[4] == takes_no_more

    @given(
        st.lists(st.integers(10**9, 10**13), min_size=2, max_size=6),
        st.lists(
            st.lists(st.tuples(st.integers(10**8, 10**11), st.integers(500_000, 1_000_000)), min_size=1, max_size=6),
            max_size=3,
        ),
        st.integers(10**9, 10**12),
    )
    @settings(deadline=None, max_examples=60)
    def test_leaves_no_exchange_between_two_legs_that_gains(
        self, depths: list[int], stairs: list[list[tuple[int, int]]], amount: int
    ) -> None:
        falling = [sorted(bins, key=lambda each: -each[1]) for bins in stairs]
        pays = [*map(product, depths), *(steps(*bins) for bins in falling)]
        found = leveled(amount, *pays)
        parts = {leg.index: leg.amount for leg in found.legs}
        assert sum(parts.values()) == amount
        total = sum(pays[index](part) or 0 for index, part in parts.items())
        for exponent in range(amount.bit_length()):
            step = amount >> exponent
            for giver, taker in ((a, b) for a in parts for b in range(len(pays)) if a != b and parts[a] >= step):
                more = pays[taker](parts.get(taker, 0) + step)
                if step and more is not None:
                    less = pays[giver](parts[giver] - step) or 0
                    changed = less + more - (pays[giver](parts[giver]) or 0) - (pays[taker](parts.get(taker, 0)) or 0)
                    assert changed <= 8 * len(pays), (total, step, giver, taker)
