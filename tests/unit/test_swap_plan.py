"""What a route's plan opens, closes and names: accounts of one attempt alone, and of each token on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.routing.router import Bridge, PairPools, RouteLimits
from chalicelib.routing.swap_plan import Trade, TransactionRoom, plan_swap
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS, ComputeBudget
from chalicelib.solana.transaction import (
    MAX_TRANSACTION_BYTES,
    OrderMemo,
    SwapPlan,
    Tip,
    TransactionVersion,
    build_message,
    unsigned_wire,
)
from tests.unit.model_market import best_route
from tests.unit.routing_pools import CLOCK, JUP, SOL, USDC, cpmm

DEEP = (10**15, 10**15)
LIMITS = RouteLimits(max_legs=2, leg_cost=0, fits=lambda route: True)
TRADE = Trade(Pubkey(bytes([5] * 32)), OrderMemo("order-1", 1), rent_lamports=2_039_280, nonce="5e2b7c")

SELLING = PairPools(SOL.address, USDC.address, (cpmm((SOL, USDC), DEEP),), (), CLOCK)
BUYING = PairPools(USDC.address, SOL.address, (cpmm((SOL, USDC), DEEP),), (), CLOCK)
OVER_SOL = PairPools(
    JUP.address,
    USDC.address,
    (),
    (Bridge(SOL.address, (cpmm((JUP, SOL), DEEP),), (cpmm((SOL, USDC), DEEP),)),),
    CLOCK,
)


def plan(pools: PairPools, trade: Trade = TRADE) -> SwapPlan:
    return plan_swap(best_route(pools, 10**9, LIMITS), trade, min_out=1)


def account_of_sol(made: SwapPlan) -> Pubkey:
    (address,) = (one.address for one in (made.source, *made.between, made.destination) if one.token.is_sol)
    return address


@pytest.mark.parametrize("pools", [SELLING, BUYING, OVER_SOL], ids=["sold", "bought", "between"])
def test_the_account_that_wraps_sol_is_of_one_attempt_at_one_order_and_nobody_foretells_it(pools: PairPools) -> None:
    trades = [
        TRADE,
        replace(TRADE, memo=OrderMemo("order-2", 1)),
        replace(TRADE, memo=OrderMemo("order-1", 2)),
        replace(TRADE, nonce="5e2b7d"),
    ]
    assert len({account_of_sol(plan(pools, trade)) for trade in trades}) == len(trades)
    assert account_of_sol(plan(pools)) == account_of_sol(plan(pools))


def test_one_hop_has_no_token_between_and_two_have_the_one_that_they_share() -> None:
    assert plan(SELLING).between == ()
    made = plan(OVER_SOL)
    assert [account.token.mint for account in made.between] == [SOL.address]
    assert (made.source.token.mint, made.destination.token.mint) == (JUP.address, USDC.address)


def test_what_is_between_two_hops_is_opened_before_the_swaps_and_closed_after_them() -> None:
    made = plan(OVER_SOL)
    (between,) = made.between
    first, second = made.swaps
    for swap in (first, second):
        assert between.address in [meta.pubkey for meta in swap.accounts]
    assert between.opening
    assert between.closing


@pytest.mark.parametrize("tip", [None, Tip(Pubkey(bytes([6] * 32)), 10_000)], ids=["no tip", "tip"])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("pools", [SELLING, OVER_SOL], ids=["one hop", "two hops"])
def test_a_transaction_has_room_for_just_its_bytes_and_its_tip_is_among_them(
    pools: PairPools, version: TransactionVersion, tip: Tip | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = best_route(pools, 10**9, LIMITS)
    memo = OrderMemo("3f0c1f9e-8a53-4f06-9d0e-2f6a4f1c7b11", 2)
    made = plan_swap(route, replace(TRADE, memo=memo, tip=tip), min_out=1)
    assert made.tip == tip
    monkeypatch.setitem(MAX_TRANSACTION_BYTES, version, MAX_TRANSACTION_BYTES[1])
    message = build_message(made, ComputeBudget(MAX_COMPUTE_UNITS, 5_000), Hash.default(), version)
    needed = len(unsigned_wire(message))
    for room, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setitem(MAX_TRANSACTION_BYTES, version, room)
        assert TransactionRoom(version, with_tip=tip is not None)(route) == fits
