"""What a transaction of version 1 carries: more legs, more arrays, and some to spare for a price that moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.routing.market import MAX_LEGS
from chalicelib.routing.quote import MAX_REMAINING_ACCOUNTS, LegLimits
from chalicelib.routing.router import Bridge, PairPools, Route, RouteLimits
from chalicelib.routing.swap_plan import (
    MAX_SPARE_ACCOUNTS,
    Trade,
    TransactionRoom,
    plan_swap,
    with_spare_accounts,
)
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS, ComputeBudget
from chalicelib.solana.tokens import Mint
from chalicelib.solana.transaction import (
    MAX_TRANSACTION_BYTES,
    OrderMemo,
    Tip,
    TransactionVersion,
    build_message,
    unsigned_wire,
)
from chalicelib.venues.meteora_dlmm.layout import bin_array_address
from chalicelib.venues.venue import Pool
from tests.unit.model_market import best_route
from tests.unit.routing_pools import CLOCK, JUP, SOL, USDC, around, cpmm, dlmm

WALLET = Pubkey(bytes([5] * 32))
DEEP = (10**12, 10**12)
# An array's 70 bins, of which the middle one is filled.
FILLED = 35


def limits(version: TransactionVersion) -> RouteLimits:
    return RouteLimits(
        MAX_LEGS[version],
        0,
        TransactionRoom(version, with_tip=True),
        LegLimits(MAX_REMAINING_ACCOUNTS[version]),
    )


def pair(sold: Mint, bought: Mint, *direct: Pool, bridges: tuple[Bridge, ...] = ()) -> PairPools:
    return PairPools(sold.address, bought.address, direct, bridges, CLOCK)


def in_arrays(*arrays: int, active: int) -> Pool:
    """A pool whose liquidity is in one bin of each of these arrays, its price in that of the array `active`."""
    bins = {each * 70 + FILLED: (10**9 * (each >= active), 10**9 * (each <= active)) for each in arrays}
    return dlmm((SOL, USDC), bins, active * 70 + FILLED, bin_step=1)


def wire_of(route: Route, version: TransactionVersion) -> bytes:
    trade = Trade(WALLET, OrderMemo("00000000-0000-0000-0000-000000000000", 1), 0, "", Tip(WALLET, 1))
    plan = plan_swap(route, trade, route.amount_out)
    message = build_message(plan, ComputeBudget(MAX_COMPUTE_UNITS, 1), Hash.default(), version)
    message.sanitize()
    return unsigned_wire(message)


@pytest.mark.parametrize(("version", "legs", "most_bytes"), [(0, 2, 1232), (1, 10, 4096)])
def test_a_split_has_as_many_legs_as_its_version_carries(
    version: TransactionVersion, legs: int, most_bytes: int
) -> None:
    """Of 64 accounts a swap takes what is its pool's own; the rest is shared, wraps, opens and tips."""
    pools = [cpmm((SOL, USDC), DEEP, number) for number in range(14)]
    route = best_route(pair(SOL, USDC, *pools), 10**11, limits(version))
    assert len(route.legs) == legs
    assert len(wire_of(route, version)) <= most_bytes


@pytest.mark.parametrize("amount", [150 * 10**6, 200 * 10**6])
def test_a_leg_that_leaves_room_for_no_other_keeps_no_order_from_what_fewer_pools_pay(amount: int) -> None:
    """Through all its bins the one pool burns nearly all of a transaction's units, and takes not all of the amount."""
    bins = dlmm((JUP, USDC), around(0, 200, 10**6, 10**6), bin_step=1)
    others = [cpmm((JUP, USDC), (10**8, 10**8), number) for number in range(5)]
    beyond = cpmm((USDC, SOL), DEEP, 9)
    for amounts_out in (
        [best_route(pair(JUP, USDC, bins, *some), amount, limits(1)).amount_out for some in (others[:3], others)],
        [
            best_route(
                pair(JUP, SOL, bridges=(Bridge(USDC.address, (bins, *some), (beyond,)),)), amount, limits(1)
            ).amount_out
            for some in (others[:2], others)
        ],
    ):
        of_few, of_all = amounts_out
        assert of_all >= of_few


def test_where_few_of_many_have_room_together_few_of_all_are_looked_for_too() -> None:
    """Through all their bins each of the two pools burns half of a transaction's units: cut short, they leave room."""
    bins = [dlmm((JUP, USDC), around(at, bins, 10**6, 10**6), at, bin_step=1) for at, bins in ((0, 100), (3, 120))]
    reserves = [10**7 * held for held in (1, 40, 4, 40, 4, 20, 1, 4)]
    pools = [cpmm((JUP, USDC), (held, held), number) for number, held in enumerate(reserves)]
    route = best_route(pair(JUP, USDC, *bins, *pools), 3 * 10**8, limits(1))
    assert route.amount_out > 26 * 10**7, "those that have room together pay 244 million"


def test_two_hops_go_over_two_venues_with_more_arrays_than_version_0_has_room_for() -> None:
    bins = dlmm((SOL, USDC), {array * 70 + FILLED: (0, 10**9) for array in range(-3, 0)}, -1 * 70 + FILLED, bin_step=1)
    bridge = Bridge(SOL.address, (cpmm((JUP, SOL), DEEP),), (bins,))
    both = pair(JUP, USDC, bridges=(bridge,))
    route = best_route(both, 25 * 10**8, limits(1))
    assert [leg.pool.dex for leg in route.legs] == ["raydium", "meteora"]
    assert len(route.legs[1].quote.remaining_accounts) == 3
    assert TransactionRoom(1, with_tip=True)(route)
    assert not TransactionRoom(0, with_tip=True)(route)


def test_a_route_takes_as_much_room_whatever_was_asked_about_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """SOL that is sold is paid from another account than SOL between two hops is."""
    pool = cpmm((SOL, USDC), DEEP)
    direct = best_route(pair(SOL, USDC, pool), 10**8, limits(1))
    bridge = Bridge(SOL.address, (cpmm((JUP, SOL), DEEP),), (pool,))
    over_sol = best_route(pair(JUP, USDC, bridges=(bridge,)), 10**8, limits(1))
    room = TransactionRoom(1)
    assert room(direct)

    def fits_into(asked: TransactionRoom, most_bytes: int) -> bool:
        monkeypatch.setitem(MAX_TRANSACTION_BYTES, 1, most_bytes)
        return asked(over_sol)

    least = next(size for size in range(1, 4096) if fits_into(TransactionRoom(1), size))
    assert fits_into(room, least)
    assert not fits_into(room, least - 1)


class TestSpareAccounts:
    def test_are_the_next_arrays_on_the_way_and_the_one_before(self) -> None:
        pool = in_arrays(-3, -2, -1, 0, 1, 2, active=0)
        quote = pool.quote(SOL.address, 10**6, CLOCK)
        assert quote.remaining_accounts == (array(pool, 0),)
        assert quote.spare_accounts == (array(pool, -1), array(pool, 1), array(pool, -2))
        back = pool.quote(USDC.address, 10**6, CLOCK)
        assert back.spare_accounts == (array(pool, 1), array(pool, -1), array(pool, 2))

    def test_are_only_such_as_there_are(self) -> None:
        assert in_arrays(0, active=0).quote(SOL.address, 10**6, CLOCK).spare_accounts == ()
        pool = in_arrays(-1, 0, active=0)
        assert pool.quote(SOL.address, 10**6, CLOCK).spare_accounts == (array(pool, -1),)

    def test_are_named_in_the_order_in_which_a_swap_comes_to_them(self) -> None:
        pool = in_arrays(-3, -2, -1, 0, 1, active=0)
        route = best_route(pair(SOL, USDC, pool), 10**6, limits(1))
        wider = with_spare_accounts(route, limits(1).fits)
        (leg,) = wider.legs
        swap = pool.swap_instruction(leg.quote, trader=WALLET, source=WALLET, destination=WALLET, minimum_out=1)
        assert [meta.pubkey for meta in swap.accounts[16:]] == [array(pool, index) for index in (1, 0, -1, -2)]
        assert leg.quote == route.legs[0].quote._replace(remaining_accounts=leg.quote.remaining_accounts)

    def test_are_as_many_as_there_is_room_for(self) -> None:
        pool = in_arrays(-3, -2, -1, 0, 1, active=0)
        route = best_route(pair(SOL, USDC, pool), 10**6, limits(1))
        for room in range(MAX_SPARE_ACCOUNTS + 2):
            named = with_spare_accounts(
                route,
                lambda wider, room=room: len(wider.legs[0].quote.remaining_accounts) <= 1 + room,  # type: ignore[misc]
            )
            assert len(named.legs[0].quote.remaining_accounts) == 1 + min(room, MAX_SPARE_ACCOUNTS)

    def test_cost_a_route_that_has_no_room_for_them_nothing(self) -> None:
        route = best_route(pair(SOL, USDC, in_arrays(-1, 0, active=0)), 10**6, limits(0))
        assert with_spare_accounts(route, lambda wider: False) == route
        plain = best_route(pair(SOL, USDC, cpmm((SOL, USDC), DEEP)), 10**6, limits(1))
        assert with_spare_accounts(plain, lambda wider: False) == plain

    def test_of_a_quote_that_was_made_elsewhere_are_left_in_their_order(self) -> None:
        pool, other = in_arrays(-1, 0, active=0), in_arrays(-1, 0, active=0)
        quote = pool.quote(SOL.address, 10**6, CLOCK)
        given = quote._replace(remaining_accounts=(array(pool, -1), array(pool, 0)))
        swap = other.swap_instruction(given, trader=WALLET, source=WALLET, destination=WALLET, minimum_out=1)
        assert [meta.pubkey for meta in swap.accounts[16:]] == [array(pool, -1), array(pool, 0)]


def array(pool: Pool, index: int) -> Pubkey:
    return bin_array_address(pool.address, index)


def test_the_limits_of_a_version_are_its_own() -> None:
    assert MAX_LEGS == {0: 4, 1: 12}
    assert replace(limits(0), fits=lambda route: True).max_legs == 4
