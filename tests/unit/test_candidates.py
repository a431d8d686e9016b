"""Which pools take part, decided by what is known of their depths, and how much room each has."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import VenueUnavailable
from chalicelib.routing.candidates import (
    DEPTH_LIVES_MS,
    EXPLORED,
    MAX_CANDIDATES,
    MEASURED_A_PLAN,
    KnownDepths,
    within_accounts,
)
from chalicelib.routing.depth import depth_of
from chalicelib.routing.router import Bridge, PairPools
from chalicelib.venues.registry import RegisteredPool
from tests.unit.model_market import CLOCK, ModelPool, ModelVenue, address

A, B, C = (address(number) for number in (1, 2, 3))
NOW = 1_000_000_000


def registered(number: int, *, counts: bool = True) -> RegisteredPool:
    return RegisteredPool(address(number), ModelVenue(), (A, B), counts)


def pool(number: int, depth: int, pair: tuple[Pubkey, Pubkey] = (A, B)) -> ModelPool:
    return ModelPool(address(number), pair, (depth, depth))


def read(*pools: ModelPool, bridges: tuple[Bridge, ...] = ()) -> PairPools:
    return PairPools(A, B, pools, bridges, CLOCK)


def numbers(pools: tuple[RegisteredPool, ...]) -> list[int]:
    return [int.from_bytes(bytes(one.address), "big") for one in pools]


def measured(*pools: ModelPool, now_ms: int = NOW) -> KnownDepths:
    """Knows these, each by a plan of its own."""
    depths = KnownDepths()
    for one in pools:
        depths.measure(read(one), now_ms)
    return depths


class TestDeepest:
    def test_operators_pools_come_first_then_the_deeper_then_those_of_which_nothing_is_known(self) -> None:
        depths = measured(pool(11, 10**9), pool(12, 10**10), pool(13, 10**11))
        pools = [registered(10), registered(11), registered(13, counts=False), registered(12)]
        assert numbers(depths.deepest(pools, NOW)) == [12, 11, 10, 13]

    def test_a_pool_that_is_known_to_trade_nothing_comes_before_one_of_which_nothing_is_known(self) -> None:
        depths = measured(replace(pool(12, 10**9), refusal=VenueUnavailable("shut")))
        assert numbers(depths.deepest([registered(11), registered(12)], NOW)) == [12, 11]

    def test_as_many_as_may_take_part_all_do(self) -> None:
        pools = [registered(10 + number) for number in range(MAX_CANDIDATES)]
        assert KnownDepths().deepest(pools, NOW) == tuple(pools)

    def test_of_one_more_a_few_unknown_ones_take_the_places_of_the_least_deep(self) -> None:
        known = [pool(10 + number, 10**9 + number * 10**8) for number in range(MAX_CANDIDATES)]
        depths = measured(*known)
        unknown = [registered(100 + number) for number in range(EXPLORED + 1)]
        found = numbers(depths.deepest([*(registered(10 + number) for number in range(MAX_CANDIDATES)), *unknown], NOW))
        best = [10 + number for number in reversed(range(EXPLORED, MAX_CANDIDATES))]
        assert found == [*best, *(100 + number for number in range(EXPLORED))]

    @pytest.mark.parametrize(("later_ms", "is_fresh"), [(DEPTH_LIVES_MS, True), (DEPTH_LIVES_MS + 1, False)])
    def test_a_depth_is_known_for_so_long(self, later_ms: int, is_fresh: bool) -> None:
        depths = measured(*(pool(10 + number, 10**9 + number * 10**8) for number in range(MAX_CANDIDATES + 1)))
        pools = [registered(10 + number) for number in range(MAX_CANDIDATES + 1)]
        found = numbers(depths.deepest(pools, NOW + later_ms))
        in_their_order = list(reversed(range(11, 11 + MAX_CANDIDATES)))
        if is_fresh:
            assert found == in_their_order
        else:
            assert found[-EXPLORED:] == [34, 33, 32, 31], "the deepest are looked at again first"


class TestMeasure:
    def test_a_depth_is_the_pools_own_in_the_pairs_first_mint_whichever_way_it_is_traded(self) -> None:
        one = ModelPool(address(11), (A, B), (10**9, 4 * 10**9))
        other = ModelPool(address(12), (B, A), (4 * 10**9 + 4 * 10**8, 10**9 + 10**8))
        assert depth_of(one, A, one.mid_price(A), CLOCK) < depth_of(other, A, other.mid_price(A), CLOCK)
        depths = KnownDepths()
        depths.measure(read(one, other), NOW)
        assert numbers(depths.deepest([registered(11), registered(12)], NOW)) == [12, 11]
        depths.measure(PairPools(B, A, (replace(one, reserves=(10**12, 10**12)),), (), CLOCK), NOW + 1)
        assert numbers(depths.deepest([registered(11), registered(12)], NOW)) == [12, 11], "what is fresh is kept"

    def test_in_one_plan_so_many_are_measured_and_those_first_that_are_known_least(self) -> None:
        depths = KnownDepths()
        depths.measure(read(*(pool(10 + number, 10**9) for number in range(MEASURED_A_PLAN + 1))), NOW)
        last = 10 + MEASURED_A_PLAN
        pools = [registered(10 + number) for number in range(MEASURED_A_PLAN + 1)]
        assert numbers(depths.deepest(pools, NOW))[-1] == last
        later = NOW + DEPTH_LIVES_MS + 1
        deeper = [pool(10 + number, 10**12) for number in range(MEASURED_A_PLAN + 1)]
        depths.measure(read(*deeper), later)
        assert numbers(depths.deepest(pools, later)) == [*range(10, last - 1), last, last - 1]

    def test_the_pools_of_both_hops_of_a_way_are_measured_too(self) -> None:
        first, second = pool(11, 10**9, (A, C)), pool(12, 10**10, (C, B))
        depths = KnownDepths()
        depths.measure(read(bridges=(Bridge(C, (first,), (second,)),)), NOW)
        assert numbers(depths.deepest([registered(10), registered(11), registered(12)], NOW)) == [12, 11, 10]

    def test_a_pool_without_a_price_is_known_to_be_no_depth_at_all(self) -> None:
        empty = ModelPool(address(11), (A, B), (10**9, 0))
        depths = measured(empty)
        assert numbers(depths.deepest([registered(10), registered(11)], NOW)) == [11, 10]


class Priceless(ModelPool):
    """Has no price now, and says so."""

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        raise VenueUnavailable("not open yet")


def test_pools_that_trade_nothing_are_alike_whatever_keeps_them_from_it() -> None:
    shut = replace(pool(11, 10**9), refusal=VenueUnavailable("shut"))
    empty, priceless = ModelPool(address(12), (A, B), (10**9, 0)), Priceless(address(13), (A, B), (10**9, 10**9))
    depths = measured(shut, empty, priceless)
    for order in ([11, 12, 13], [13, 12, 11]):
        assert numbers(depths.deepest([registered(number) for number in order], NOW)) == order


def room(most: int, needed: dict[int, set[int]], *rows: list[int]) -> set[int]:
    """The pools of the own row, one hop's and the valuing one's that have room; `needed` accounts by pool."""
    own, hop, valuing = ([registered(number) for number in row] for row in rows)

    def accounts(one: Pubkey) -> frozenset[Pubkey] | None:
        known = needed.get(int.from_bytes(bytes(one), "big"))
        return None if known is None else frozenset(map(address, known))

    found = within_accounts([own], [hop], [valuing], accounts, most)
    return {int.from_bytes(bytes(one), "big") for one in found}


class TestRoom:
    def test_a_pool_that_has_no_room_leaves_it_to_a_smaller_one_after_it(self) -> None:
        needed = {11: {1, 2, 3}, 12: {4, 5, 6, 7}, 13: {8}}
        assert room(8, needed, [11, 12, 13], [], []) == {11, 12, 13}
        assert room(7, needed, [11, 12, 13], [], []) == {11, 12}
        assert room(6, needed, [11, 12, 13], [], []) == {11, 13}

    def test_what_is_guessed_for_unknown_pools_counts_beside_what_known_ones_need(self) -> None:
        needed = {12: {1, 2}}
        assert room(10, needed, [11, 12], [], []) == {11, 12}
        assert room(9, needed, [11, 12], [], []) == {12}
        assert room(18, needed, [], [12, 11, 13], []) == {11, 12, 13}
        assert room(17, needed, [], [12, 11, 13], []) == {11, 12}

    def test_a_pool_of_two_rows_takes_its_room_once(self) -> None:
        needed = {11: {1, 2}, 12: {3, 4}}
        assert room(4, needed, [11], [12], [11]) == {11, 12}
        assert room(8 + 2, {12: {3, 4}}, [11], [12], [11]) == {11, 12}

    def test_no_pools_need_no_room(self) -> None:
        assert room(100, {}, [], [], []) == set()
        assert within_accounts([], [], [], lambda pool: None, 100) == frozenset()
