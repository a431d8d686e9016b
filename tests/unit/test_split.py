"""A split pays as much as any division of the input: compared with all of them, or on large inputs with a fine grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.routing.outlet import Outlet
from chalicelib.routing.quote import PoolPayment
from chalicelib.routing.split import EXHAUSTIVE_INPUT, Division, divide
from chalicelib.solana.tokens import Mint
from chalicelib.venues.venue import Pool
from tests.unit.divisions import check_sound, worth
from tests.unit.routing_pools import CLOCK, JUP, USDC, around, cpmm, dlmm, taxed
from tests.unit.simple_outlets import ConstantProduct, Pay


def split(pays: Sequence[Pay], amount: int, max_legs: int = 4, leg_cost: int = 0) -> Division | None:
    return divide([Outlet(pay) for pay in pays], amount, max_legs, leg_cost)


def partitions(amount: int, legs: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `amount` as a sum of so many parts above zero."""
    if legs == 1:
        yield (amount,)
        return
    for part in range(1, amount - legs + 2):
        for rest in partitions(amount - part, legs - 1):
            yield (part, *rest)


def best_of_all(pays: Sequence[Pay], amount: int, max_legs: int, leg_cost: int) -> int | None:
    """The most that any division whatever is worth, each tried."""
    tables = [[pay(part) if part else None for part in range(amount + 1)] for pay in pays]
    best: int | None = None
    for legs in range(1, min(max_legs, len(pays)) + 1):
        for chosen in combinations(tables, legs):
            for parts in partitions(amount, legs):
                paid = [table[part] for table, part in zip(chosen, parts, strict=True)]
                if all(paid):
                    found = sum(each or 0 for each in paid) - leg_cost * (legs - 1)
                    best = found if best is None or found > best else best
    return best


@st.composite
def simple_pools(
    draw: st.DrawFn, amount: int, least: int = 1, most: int = 3, least_room: int = 1
) -> Sequence[ConstantProduct]:
    """Pools a half to a hundred times the input's size, mostly at prices near each other; some can't take it all."""
    out_per_in = draw(st.sampled_from([(1, 40), (1, 3), (1, 1), (7, 2), (300, 1)]))
    pools = []
    for _ in range(draw(st.integers(least, most))):
        reserve = amount * draw(st.integers(5, 1_000)) // 10 + 1
        off = draw(st.integers(950, 1_050) | st.integers(950, 1_050) | st.integers(1, 20_000))
        pools.append(
            ConstantProduct(
                reserve,
                reserve * out_per_in[0] * off // (out_per_in[1] * 1_000) + 1,
                draw(st.sampled_from([0, 100, 2_500, 10_000])),
                draw(st.none() | st.integers(least_room, amount)),
            )
        )
    return pools


@st.composite
def real_pools(draw: st.DrawFn, amount: int, least: int = 2, most: int = 3) -> tuple[list[Pool], Mint]:
    """Pools of both venues for one pair, and the token to sell, which may be taxed."""
    sold = draw(st.sampled_from([JUP, taxed(300, maximum_fee=10**18)]))
    pair = (sold, USDC)
    pools: list[Pool] = []
    for number in range(draw(st.integers(least, most))):
        if draw(st.booleans()):
            reserve = amount * draw(st.integers(3, 200))
            off = draw(st.integers(900, 1_100))
            more = {"creator_fee_rate": draw(st.sampled_from([0, 500])), "enable_creator_fee": True}
            pools.append(cpmm(pair, (reserve, reserve * off // 1_000), number, trade_fee_rate=2_500, **more))
        else:
            each = amount * draw(st.integers(1, 60)) // 60 + 1
            active = draw(st.integers(-5, 5))
            liquidity = around(active, draw(st.integers(0, 12)), each, each)
            mode = draw(st.sampled_from([0, 1]))
            pools.append(dlmm(pair, liquidity, active, base_factor=10_000 + number, collect_fee_mode=mode))
    return pools, sold


def payments(pools: Sequence[Pool], sold: Mint) -> list[Pay]:
    return [PoolPayment(pool, sold.address, CLOCK) for pool in pools]


def two_steps(ends: tuple[int, int], *prices_e9: int) -> Pay:
    """A pool of two steps, each at one price: up to `ends`, in units of 10^-9."""

    def pay(amount: int) -> int | None:
        if amount > ends[1]:
            return None
        return (min(amount, ends[0]) * prices_e9[0] + max(amount - ends[0], 0) * prices_e9[1]) // 10**9

    return pay


class TestAPoolAsTheSearchSeesIt:
    def test_is_paid_what_the_pool_pays_and_nothing_for_nothing(self) -> None:
        pay = ConstantProduct(1_000, 1_000)
        outlet = Outlet(pay)
        assert [outlet.paid(amount) for amount in (0, 10, 900)] == [0, pay(10), pay(900)]

    def test_is_impossible_where_it_refuses_or_pays_nothing_whatever_the_others_pay(self) -> None:
        for refusing in (lambda _: None, lambda _: 0):
            assert Outlet(refusing).paid(10) + 100 * (2**64 - 1) < 0

    def test_has_room_for_the_most_that_it_takes_and_pays_for(self) -> None:
        outlet = Outlet(ConstantProduct(1_000, 1_000, most=238))
        assert [outlet.room(limit) for limit in (100, 238, 239, 10**12)] == [100, 238, 238, 238]
        assert Outlet(ConstantProduct(1_000, 10**6, fee_ppm=0, most=1)).room(10) == 1
        assert Outlet(lambda amount: None if amount > 5 else 0).room(10) == 0
        assert Outlet(lambda amount: None).room(10) == 0

    def test_pays_for_no_less_than_its_least(self) -> None:
        outlet = Outlet(lambda amount: amount // 10)
        assert [outlet.least(room) for room in (0, 10, 11, 10**12)] == [0, 10, 10, 10]
        assert Outlet(ConstantProduct(1_000, 10**6, fee_ppm=0)).least(5) == 1


legs_allowed = st.integers(1, 3)
costs = st.sampled_from([0, 0, 1, 2, 5, 40])


class TestNoDivisionIsBetter:
    """Small inputs."""

    @given(st.data(), st.integers(1, 45), legs_allowed, costs)
    @settings(deadline=None)
    def test_of_all_that_can_be_made(self, data: st.DataObject, amount: int, max_legs: int, leg_cost: int) -> None:
        pays = data.draw(simple_pools(amount))

        division = split(pays, amount, max_legs, leg_cost)

        assert worth(division, leg_cost) == best_of_all(pays, amount, max_legs, leg_cost)
        if division is not None:
            check_sound(division, pays, amount, max_legs)

    @given(st.data(), st.integers(1, 40), legs_allowed, costs)
    @settings(deadline=None, max_examples=50)
    def test_of_all_over_pools_of_both_venues(
        self, data: st.DataObject, amount: int, max_legs: int, leg_cost: int
    ) -> None:
        pays = payments(*data.draw(real_pools(amount)))

        division = split(pays, amount, max_legs, leg_cost)

        assert worth(division, leg_cost) == best_of_all(pays, amount, max_legs, leg_cost)

    @given(st.data(), st.integers(EXHAUSTIVE_INPUT - 50, EXHAUSTIVE_INPUT), costs)
    @settings(deadline=None, max_examples=30)
    def test_of_all_over_two_pools_up_to_the_limit(self, data: st.DataObject, amount: int, leg_cost: int) -> None:
        pays = payments(*data.draw(real_pools(amount, most=2)))

        assert worth(split(pays, amount, 2, leg_cost), leg_cost) == best_of_all(pays, amount, 2, leg_cost)

    def test_not_even_with_more_pools_than_legs(self) -> None:
        pays = [ConstantProduct(100 + 7 * number, 90 + 9 * number) for number in range(6)]
        for max_legs in (1, 2, 3):
            assert worth(split(pays, 24, max_legs, 1), 1) == best_of_all(pays, 24, max_legs, 1)


def best_price(pays: Sequence[Pay], amount: int) -> int:
    """What a base unit of input is worth at most, rounded up."""
    parts = [amount >> halvings for halvings in range(amount.bit_length())]
    prices = [-(-paid // part) for pay in pays for part in parts if (paid := pay(part))]
    return max(prices, default=0)


class TestRoundingIsAllThatCanBeMissed:
    """Inputs too large to try all divisions: each leg but one can miss what rounding takes from a leg."""

    @given(st.data(), st.integers(EXHAUSTIVE_INPUT + 1, 5_000), costs)
    @settings(deadline=None)
    def test_by_two_pools(self, data: st.DataObject, amount: int, leg_cost: int) -> None:
        pays = data.draw(simple_pools(amount, least=2, most=2))
        self.check(pays, amount, 2, leg_cost, fees=1)

    @given(st.data(), st.integers(EXHAUSTIVE_INPUT + 1, EXHAUSTIVE_INPUT + 80), costs)
    @settings(deadline=None, max_examples=8)
    def test_by_three_pools(self, data: st.DataObject, amount: int, leg_cost: int) -> None:
        pays = data.draw(simple_pools(amount, least=3))
        self.check(pays, amount, 3, leg_cost, fees=1)

    @given(st.data(), st.integers(EXHAUSTIVE_INPUT + 1, 5_000), costs)
    @settings(deadline=None, max_examples=60)
    def test_by_pools_of_both_venues(self, data: st.DataObject, amount: int, leg_cost: int) -> None:
        pays = payments(*data.draw(real_pools(amount, most=2)))
        self.check(pays, amount, 2, leg_cost, fees=2)  # the transfer's and the pool's

    @pytest.mark.parametrize(
        ("amount", "leg_cost", "pays"),
        [
            # each pool pays for nothing less than almost all that it takes
            (1589, 2, [ConstantProduct(13666, 65, 100, 238), ConstantProduct(13507, 11, 2500, 1451)]),
            (1645, 0, [ConstantProduct(14312, 13, 100, 1247), ConstantProduct(6910, 17, 2500, 558)]),
            # a price without equal, for two units and no less
            (1820, 2, [ConstantProduct(164893, 881122235, 10000, 2), ConstantProduct(73893, 21325520, 100)]),
            # so flat that each small step seems to gain nothing
            (1320, 0, [ConstantProduct(122101, 42410, 10000, 159), ConstantProduct(59533, 18972, 0, 1241)]),
            (686, 1, [ConstantProduct(3842, 224, 2500, 675), ConstantProduct(2333, 55, 0)]),
            (622, 0, [ConstantProduct(2924, 83, 10000, 152), ConstantProduct(5039, 11, 100)]),
        ],
    )
    def test_where_little_is_paid_or_taken(self, amount: int, leg_cost: int, pays: list[ConstantProduct]) -> None:
        self.check(pays, amount, 2, leg_cost, fees=1)

    def check(self, pays: Sequence[Pay], amount: int, max_legs: int, leg_cost: int, fees: int) -> None:
        division = split(pays, amount, max_legs, leg_cost)

        best = best_of_all(pays, amount, max_legs, leg_cost)
        if best is None:
            assert division is None
            return
        assert division is not None
        check_sound(division, pays, amount, max_legs)
        missed = best - division.amount_out + leg_cost * (division.legs - 1)
        assert 0 <= missed <= (max_legs - 1) * (fees * best_price(pays, amount) + 1)


# Amount, legs allowed, cost of a leg, what was found; of each pool the reserves, the fee and the most that it takes.
FOUND: list[tuple[int, int, int, int, list[tuple[int, int, int, int | None]]]] = [
    (512, 3, 0, 439, [(14_610, 12_484, 0, None), (15_903, 9_821, 0, None), (16_600, 14_624, 0, None)]),
    (1_192, 4, 0, 26, [(1_073, 28, 0, None), (4_292, 112, 2_500, 1_011), (4_649, 112, 2_500, None)]),
    (
        5_421,
        3,
        87_535,
        26_339_323,
        [(76_437, 380_656_261, 10_000, 2_053), (2_711, 13_514_336, 10_000, 3_026), (156_125, 784_528_126, 2_500, None)],
    ),
    (
        561_855_758,
        3,
        1,
        1_928_904_165,
        [
            (4_438_660_489, 15_690_664_829, 10_000, 192_625_239),
            (5_112_887_398, 17_823_525_470, 2_500, None),
            (34_048_458_935, 118_573_758_242, 2_500, None),
        ],
    ),
    (6_184, 4, 4, 1_905, [(546_048, 174_918, 0, 3_682), (4_329, 1_448, 100, None), (16_697, 5_544, 2_500, None)]),
    (
        16_686,
        4,
        14_810,
        4_793_677,
        [(1_346_561, 397_908_776, 10_000, 8_628), (128_483, 38_660_535, 100, None), (46_721, 14_002_284, 0, None)],
    ),
    (
        218_454,
        3,
        0,
        12_750_932_648,
        [
            (2_512_222, 96_858_719_211, 0, 147_167),
            (393_218, 1_964_123_911, 0, None),
            (5_002_597, 24_987_972_016, 2_500, 27_973),
            (16_799_113, 1_646_481_065_131, 0, 78_208),
        ],
    ),
    (6_427_901, 4, 429, 135_888, [(24_426_024, 618_590, 100, None), (9_641_852, 242_252, 10_000, None)]),
    (726, 4, 1, 62, [(6_172, 111, 2_500, 486), (3_413, 814, 0, 243), (1_235, 33, 0, 7_261)]),
    (1_095, 3, 0, 4, [(1_096, 6, 10_000, 980), (986, 6, 10_000, 531), (986, 6, 100, None)]),
    (278_956, 3, 0, 265_092, [(418_435, 417_599, 10_000, 186_024), (5_495_434, 5_484_444, 2_500, None)]),
    (577, 3, 0, 253, [(1_674, 796, 0, 98), (1_097, 543, 0, 481), (4_732, 2_213, 2_500, 19_235)]),
    (3_110, 4, 0, 13_352, [(3_733, 72_660, 0, 691), (39_498, 39_143, 2_500, 1_742), (4_044, 2_479, 0, 706)]),
    (
        9_873,
        4,
        0,
        464,
        [(43_442, 585, 0, 76), (71_086, 2_922, 2_500, 1_141), (28_632, 144, 2_500, 1_188), (11_848, 1_058, 0, 7_594)],
    ),
    (
        902,
        3,
        0,
        897,
        [
            (16_778, 17_450, 2_500, 118),
            (8_028, 46_105, 2_500, 4),
            (10_644, 10_964, 0, 784),
            (11_727, 11_856, 2_500, 781),
        ],
    ),
    (
        17_665_949,
        4,
        1_610_050,
        5_002_950_252,
        [
            (109_528_884, 32_760_089_205, 2_500, 7_793_797),
            (17_665_950, 5_448_178_981, 2_500, None),
            (192_558_845, 57_478_815_233, 0, None),
        ],
    ),
]


class TestWhatASearchMustNotLose:
    """Of thousands of made-up markets those at which a search that is a little lazier or ruder is paid less."""

    @pytest.mark.parametrize(("amount", "max_legs", "leg_cost", "found", "pools"), FOUND)
    def test_is_found_again(
        self,
        amount: int,
        max_legs: int,
        leg_cost: int,
        found: int,
        pools: list[tuple[int, int, int, int | None]],
    ) -> None:
        pays = [ConstantProduct(*each) for each in pools]

        division = split(pays, amount, max_legs, leg_cost)

        assert division is not None
        check_sound(division, pays, amount, max_legs)
        assert (worth(division, leg_cost) or 0) >= found


large_amounts = st.integers(10**6, 10**15)


class TestLargeInputs:
    @given(st.data(), large_amounts)
    @settings(deadline=None)
    def test_no_point_of_a_fine_grid_is_better(self, data: st.DataObject, amount: int) -> None:
        pays = data.draw(simple_pools(amount, least=2, most=2))
        self.check(pays, amount, [amount * point // 500 for point in range(501)], fees=1)

    @given(st.data(), large_amounts)
    @settings(deadline=None, max_examples=25)
    def test_no_point_of_a_fine_grid_is_better_at_pools_of_both_venues(self, data: st.DataObject, amount: int) -> None:
        pays = payments(*data.draw(real_pools(amount, most=2)))
        self.check(pays, amount, [amount * point // 300 for point in range(301)], fees=2)

    @given(st.data(), large_amounts)
    @settings(deadline=None, max_examples=15)
    def test_no_point_of_a_grid_over_three_pools_is_better(self, data: st.DataObject, amount: int) -> None:
        pays = data.draw(simple_pools(amount, least=3))
        division = split(pays, amount)

        cell = amount // 60
        # what a pool pays nothing for, it refuses; the last takes what sixty cells don't come to, too
        rest = amount - 60 * cell
        tables = [
            [(pay(sold) or None) if (sold := cell * count + extra) else 0 for count in range(61)]
            for pay, extra in zip(pays, (0, 0, rest), strict=True)
        ]
        possible = (
            sum(each or 0 for each in paid)
            for i in range(61)
            for j in range(61 - i)
            if None not in (paid := (tables[0][i], tables[1][j], tables[2][60 - i - j]))
        )
        best = max(possible, default=0) if division else 0
        assert division is None or division.amount_out + 2 * (best_price(pays, amount) + 1) >= best

    def test_a_stretch_on_which_nothing_more_is_paid_is_no_edge_of_a_price(self) -> None:
        pays = [ConstantProduct(577_701_910_982, 14_442_548, 0), ConstantProduct(22_219_304_269, 527_708_477, 0, 453)]
        amount = 44_438_608_537
        self.check(pays, amount, [amount * point // 500 for point in range(501)], fees=1)

    def check(self, pays: Sequence[Pay], amount: int, grid: Sequence[int], fees: int) -> None:
        division = split(pays, amount)

        outputs = [(pays[0](part) if part else 0, pays[1](amount - part) if part < amount else 0) for part in grid]
        possible = [
            (first or 0) + (second or 0)
            for (first, second), part in zip(outputs, grid, strict=True)
            if (first or not part) and (second or part == amount)
        ]
        if division is None:
            assert not possible
            return
        check_sound(division, pays, amount)
        # where the best is flat, a grid point can be luckier in its rounding
        assert division.amount_out + fees * best_price(pays, amount) + 1 >= max(possible, default=0)


class TestPoolsThatCannotTakeEverything:
    @given(st.lists(st.integers(1, 10**12), min_size=2, max_size=4), st.integers(0, 10**6))
    @settings(deadline=None)
    def test_are_filled_to_the_brim_where_that_is_what_it_takes(self, rooms: list[int], spare: int) -> None:
        pays = [_at_least_one(ConstantProduct(room * 50, room * 50, most=room)) for room in rooms]
        total = sum(rooms)

        division = split(pays, max(total - spare, max(rooms) + 1))

        assert division is not None
        check_sound(division, pays, max(total - spare, max(rooms) + 1))
        full = split(pays, total)
        assert full is not None
        assert full.amounts == tuple(rooms)

    @pytest.mark.parametrize(
        ("first", "second", "amount"),
        [
            ((25_545_677_684_966, 51_142_856_540_892), (1_824_691_617_214, 3_653_061_913_578), 54_631_255_822_330),
            ((12_772_839_490_991, 25_571_428_270_444), (1_388_206_119_222, 2_739_796_435_185), 27_315_627_911_160),
        ],
    )
    def test_with_steps_of_almost_one_price_the_better_step_is_filled_first(
        self, first: tuple[int, int], second: tuple[int, int], amount: int
    ) -> None:
        """As two bins each of two DLMM pools whose fees differ by a five-millionth."""
        pays = [two_steps(first, 998_000_000, 995_992_016), two_steps(second, 997_999_800, 995_991_816)]

        division = split(pays, amount)

        assert division is not None
        best = (first[1], amount - first[1])
        assert division.amount_out + 4 >= sum(pay(sold) or 0 for pay, sold in zip(pays, best, strict=True))

    def test_leave_the_last_one_enough_to_be_paid_for(self) -> None:
        pays = [ConstantProduct(10**8, 10**6, most=999_990), ConstantProduct(10**8, 10**6, most=4_000)]

        division = split(pays, 10**6)

        assert division is not None  # although what the roomier one can't take buys nothing
        check_sound(division, pays, 10**6)

    def test_are_divided_though_each_must_be_given_the_very_least_that_it_pays_for(self) -> None:
        def between(least: int, most: int) -> Pay:
            return lambda amount: None if amount > most else amount if amount >= least else 0

        division = split([between(300, 350), between(400, 450)], 700)
        assert division == Division((300, 400), 700)
        assert split([between(300, 350), between(400, 450)], 699) is None
        assert split([between(300, 350), between(400, 450)], 801) is None

    def test_are_found_however_small_a_part_they_take_and_however_poor_the_others_are(self) -> None:
        small, poor = ConstantProduct(1_000, 1_000, most=10_000), ConstantProduct(50_000_000, 1_000)
        division = split([small, poor], 160_016)
        assert division is not None
        assert division.amounts[0] > 9_990

    @given(st.lists(st.integers(1, 10**12), min_size=1, max_size=4), st.integers(1, 10**12))
    def test_leave_an_order_that_is_too_large_for_all_of_them_unserved(self, rooms: list[int], over: int) -> None:
        assert split([ConstantProduct(room, room, most=room) for room in rooms], sum(rooms) + over) is None

    def test_are_not_all_used_where_that_takes_more_legs_than_allowed(self) -> None:
        pays = [ConstantProduct(10**12, 10**12, most=10**9) for _ in range(5)]
        assert split(pays, 4 * 10**9, max_legs=4) is not None
        assert split(pays, 4 * 10**9 + 1, max_legs=4) is None

    def test_take_what_they_can_at_a_better_price(self) -> None:
        better, deep = ConstantProduct(10**15, 2 * 10**15, most=3 * 10**9), ConstantProduct(10**15, 10**15)
        division = split([deep, better], 10**10)
        assert division is not None
        assert division.amounts == (7 * 10**9, 3 * 10**9)


def _at_least_one(pay: Pay) -> Pay:
    """The same pool, only that it pays for a single unit of input too."""
    return lambda amount: None if (paid := pay(amount)) is None else max(paid, 1)


class TestPoolsThatPayNothingForLittle:
    @given(st.integers(1, 10**9), st.integers(1, 10**6))
    @settings(deadline=None)
    def test_never_get_a_leg_that_they_would_refuse(self, amount: int, dust: int) -> None:
        plain = ConstantProduct(10**9, 10**9)

        def picky(amount_in: int) -> int | None:
            return plain(amount_in) if amount_in >= dust else 0

        pays: list[Pay] = [picky, ConstantProduct(10**7, 10**7), picky]
        division = split(pays, amount)
        if division is not None:
            check_sound(division, pays, amount)
        else:
            assert not any(pay(amount) for pay in pays)

    @pytest.mark.parametrize("amount", [5, 10**6])
    def test_and_a_single_unit_for_all_of_it_serve_it(self, amount: int) -> None:
        assert split([lambda each: 1 if each == amount else 0], amount) == Division((amount,), 1)

    def test_and_nothing_for_all_of_it_serve_nothing(self) -> None:
        assert split([lambda _: 0, lambda _: 0], 100) is None
        assert split([lambda _: 0, lambda _: 0], 10**9) is None

    def test_or_nothing_at_all_leave_the_order_to_the_others(self) -> None:
        division = split([lambda _: 0, ConstantProduct(10**12, 10**12), lambda _: None], 10**9)
        assert division is not None
        assert division.amounts == (0, 10**9, 0)


class TestLegsThatCostMoreThanTheyGain:
    def gain_of_two(self, amount: int) -> tuple[list[Pay], int]:
        """Two equal pools and what the second gains."""
        pays: list[Pay] = [ConstantProduct(10**12, 10**12)] * 2
        both, one = split(pays, amount), split(pays, amount, max_legs=1)
        assert both is not None
        assert one is not None
        assert (both.legs, one.legs) == (2, 1)
        return pays, both.amount_out - one.amount_out

    @pytest.mark.parametrize("amount", [500 * 10**6, 10**9, 77 * 10**10])
    def test_are_left_out_up_to_the_unit(self, amount: int) -> None:
        pays, gain = self.gain_of_two(amount)

        at_a_loss, at_a_gain = split(pays, amount, leg_cost=gain), split(pays, amount, leg_cost=gain - 1)

        assert at_a_loss is not None
        assert at_a_gain is not None
        assert (at_a_loss.legs, at_a_gain.legs) == (1, 2)

    def gain_of_the_shallow(self, depth: int, shallow: int, amount: int) -> tuple[list[Pay], Division, Division, int]:
        """A shallow pool between two equal deep ones; what all three come to, the deep ones, and the difference."""
        deep: Pay = ConstantProduct(depth, depth)
        pays: list[Pay] = [deep, ConstantProduct(shallow, shallow), deep]
        all_three, both = split(pays, amount), split([deep, deep], amount)
        assert all_three is not None
        assert both is not None
        gain = all_three.amount_out - both.amount_out
        assert gain > 1
        return pays, all_three, both, gain

    @pytest.mark.parametrize(("depth", "shallow", "amount"), [(10**12, 10**9, 10**10), (10**8, 10**7, 10**6)])
    def test_are_left_out_up_to_the_unit_where_other_legs_gain_more(
        self, depth: int, shallow: int, amount: int
    ) -> None:
        pays, all_three, _, gain = self.gain_of_the_shallow(depth, shallow, amount)

        at_a_loss, at_a_gain = split(pays, amount, leg_cost=gain), split(pays, amount, leg_cost=gain - 1)

        assert at_a_loss is not None
        assert (at_a_loss.amounts[0], at_a_loss.amounts[1]) == (amount // 2, 0)
        assert at_a_gain == all_three

    def test_are_left_out_up_to_the_unit_of_a_small_input_which_rounding_pays_alike_in_several_parts(self) -> None:
        pays, all_three, both, gain = self.gain_of_the_shallow(200_000, 20_000, amount := 40_000)

        at_a_loss, at_a_gain = split(pays, amount, leg_cost=gain), split(pays, amount, leg_cost=gain - 1)

        assert at_a_loss is not None
        assert (at_a_loss.amounts[1], at_a_loss.amount_out) == (0, both.amount_out)
        assert at_a_gain == all_three

    def test_are_left_out_where_the_one_that_gains_least_must_stay_for_its_room(self) -> None:
        reserve_in, amount, leg_cost = 641_800_157_649, 1_283_600_315_297, 4_636_364_338
        pays: list[Pay] = [
            ConstantProduct(reserve_in, 203_236_716_589, most=20_051_355_038),
            ConstantProduct(reserve_in, 213_933_386),
            ConstantProduct(reserve_in, 203_236_716_589, most=12_836_003_152),
        ]
        division, best = split(pays, amount, leg_cost=leg_cost), split(pays[:2], amount)
        assert division is not None
        assert best is not None
        assert (division.amounts, division.amount_out) == ((*best.amounts, 0), best.amount_out)

    @given(st.data(), large_amounts, st.integers(0, 5_000))
    @settings(deadline=None, max_examples=40)
    def test_are_left_out_one_by_one(self, data: st.DataObject, amount: int, cost_ppm: int) -> None:
        pays = data.draw(simple_pools(amount, least=2, most=4, least_room=amount // 100))
        leg_cost = best_price(pays, amount) * amount * cost_ppm // 1_000_000
        division = split(pays, amount, leg_cost=leg_cost)
        if division is None:
            return
        used = [pay for pay, part in zip(pays, division.amounts, strict=True) if part]
        slack = 3 * (best_price(pays, amount) + 1) + division.amount_out // 10**9
        for given_up in range(len(used) if len(used) > 1 else 0):
            fewer = split(used[:given_up] + used[given_up + 1 :], amount)
            assert fewer is None or division.amount_out - fewer.amount_out >= leg_cost - slack

    def test_are_given_up_where_only_both_together_gain_too_little(self) -> None:
        big, small = ConstantProduct(10**15, 10**15), ConstantProduct(10**10, 10**10)
        division = split([small, big, small], 10**12, leg_cost=10**8)
        assert division is not None
        assert division.amounts == (0, 10**12, 0)


class TestAFeeWithACap:
    """A token's capped transfer fee is paid once per leg: an output that isn't concave."""

    @pytest.mark.parametrize("cap", [10**3, 10**6, 10**8, 10**11])
    def test_is_not_paid_twice_for_less_than_it_brings(self, cap: int) -> None:
        sold, amount = taxed(300, cap), 10**10
        pools = [cpmm((sold, USDC), (10**12 * (1 + number), 10**12 * (1 + number)), number) for number in range(3)]
        pays = payments(pools, sold)

        division = split(pays, amount)

        assert division is not None
        cell = amount // 60
        grid = [[pay(cell * count) or 0 for count in range(61)] if cell else [] for pay in map(_from_one, pays)]
        best = max(grid[0][i] + grid[1][j] + grid[2][60 - i - j] for i in range(61) for j in range(61 - i))
        assert division.amount_out >= best


def _from_one(pay: Pay) -> Pay:
    """The same pool, asked for nothing too."""
    return lambda amount: pay(amount) if amount else 0


class TestChoosingAlike:
    @given(st.data(), st.sampled_from([300, 10**7, 10**12]), costs)
    @settings(deadline=None, max_examples=30)
    def test_the_same_pools_give_the_same_split(self, data: st.DataObject, amount: int, leg_cost: int) -> None:
        pays = data.draw(simple_pools(amount, most=4))
        assert split(pays, amount, leg_cost=leg_cost) == split(pays, amount, leg_cost=leg_cost)

    @pytest.mark.parametrize("amount", [100, 512, 513, 4_096, 10**6 + 1, 10**12 + 7])
    @pytest.mark.parametrize("pools", [2, 3, 4])
    def test_identical_pools_pay_at_least_what_equal_shares_do(self, pools: int, amount: int) -> None:
        pay = ConstantProduct(amount * 3, amount * 3 * 10**4)
        share, rest = divmod(amount, pools)

        division = split([pay] * pools, amount)

        assert division is not None
        assert division.legs == pools
        assert division.amount_out >= sum(pay(share + (number < rest)) or 0 for number in range(pools))

    def test_of_equally_good_pools_the_first_serves_alone(self) -> None:
        division = split([ConstantProduct(10**12, 10**12)] * 3, 1_000, leg_cost=1)
        assert division is not None
        assert division.amounts == (1_000, 0, 0)

    def test_one_pool_takes_it_all(self) -> None:
        for amount in (1, 2, 512, 513, 10**15):
            pay = ConstantProduct(10**12, 10**16, fee_ppm=0)
            assert split([pay], amount) == Division((amount,), pay(amount) or 0)


class TestQuotesAsked:
    """What a split costs is the quotes it asks for."""

    def asked(self, pools: int, leg_cost: int) -> int:
        count = 0

        def counted(pay: Pay) -> Pay:
            def ask(amount: int) -> int | None:
                nonlocal count
                count += 1
                return pay(amount)

            return ask

        pays = [ConstantProduct(10**13 + number * 10**12, 10**13 + number * 10**12) for number in range(pools)]
        assert split([counted(pay) for pay in pays], 10**12, leg_cost=leg_cost) is not None
        return count

    def test_are_a_few_hundred_for_four_pools(self) -> None:
        assert self.asked(4, leg_cost=0) < 500
        assert self.asked(2, leg_cost=0) < 250

    def test_are_not_many_more_where_legs_hardly_gain_what_they_cost(self) -> None:
        assert max(self.asked(4, leg_cost) for leg_cost in (10**5, 10**7, 10**8, 10**9, 5 * 10**9, 10**10)) < 1_000

    def test_are_never_made_twice(self) -> None:
        seen: list[int] = []
        pay = ConstantProduct(10**13, 10**13)
        outlet = Outlet(lambda amount: seen.append(amount) or pay(amount))  # type: ignore[func-returns-value]
        divide([outlet, Outlet(ConstantProduct(10**12, 10**12))], 10**12, 2, 0)
        assert len(seen) == len(set(seen))
