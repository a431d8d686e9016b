"""Raydium CLMM's walk from tick to tick: what each part of a swap takes, which ticks it crosses, whose its fee is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.venues.raydium_clmm.layout import MAX_TICK, MIN_TICK, DynamicFee, Tick, ticks_of
from chalicelib.venues.raydium_clmm.math import (
    FEE_ON_TOKEN_0,
    FEE_ON_TOKEN_1,
    MAX_SQRT_PRICE,
    MIN_SQRT_PRICE,
    LiquidityExhausted,
    StepFill,
    SwapTrace,
    TickLadder,
    TickStep,
    split_fee,
    sqrt_price_at,
    tick_at,
)
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec, ClmmPosition, TickOrders, genesis_pool
from tests.unit.raydium_clmm_market import CLOCK
from tests.unit.test_raydium_clmm import ACCOUNTS, LADDER, POOL, array, pool_of

# The positions of LADDER end at 10, 70, and so on; its price is at tick 30.
BOTH_WAYS = pytest.mark.parametrize(("down", "tick"), [(True, 10), (False, 70)])


def ladder(*, down: bool, price_limit: int | None = None, spec: ClmmPoolSpec = LADDER) -> TickLadder:
    accounts = ACCOUNTS | genesis_pool(spec).accounts
    pool = pool_of(dict(accounts))

    def ticks(number: int) -> list[Tick]:
        account = accounts[array(number)]
        return list(ticks_of(account.owner, account.data, POOL.address, number * 60))

    return TickLadder(pool.state, pool.rates.trade, pool.bitmap, ticks, down, pool.references(CLOCK), price_limit)


def to_tick(tick: int, *, down: bool, spec: ClmmPoolSpec = LADDER) -> int:
    """The input that brings the price to the tick's."""
    return ladder(down=down, price_limit=sqrt_price_at(tick), spec=spec).all_to_the_limit()


def followed(amount_in: int, *, down: bool) -> SwapTrace:
    return ladder(down=down).follow(amount_in)


@BOTH_WAYS
def test_a_swap_that_ends_at_a_ticks_price_has_crossed_it_and_one_of_a_unit_less_has_not(down: bool, tick: int) -> None:
    amount = to_tick(tick, down=down)
    there = followed(amount, down=down)
    assert there.after.sqrt_price == sqrt_price_at(tick)
    assert there.after.tick == (tick - 1 if down else tick)
    assert there.crossed == [(1, tick)]

    short = followed(amount - 1, down=down)
    assert short.crossed == []
    assert short.after.tick == (tick if down else tick - 1)


@BOTH_WAYS
def test_the_parts_of_a_swap_cost_what_it_takes_in_and_pay_what_is_quoted(down: bool, tick: int) -> None:
    amount = to_tick(tick, down=down) * 6
    trace, payment = followed(amount, down=down), ladder(down=down).pay(amount)
    assert len(trace.fills) == payment.steps > 2
    assert [number for number, _ in trace.crossed] == list(range(1, payment.steps))
    assert sum(fill.cost for fill in trace.fills) == amount
    assert sum(fill.paid for fill in trace.fills) == payment.amount_out
    assert sum(fill.fee for fill in trace.fills) == payment.fee
    assert all(fill.cost == fill.step.cost for fill in trace.fills[:-1])
    assert 0 < trace.fills[-1].cost < trace.fills[-1].step.cost


@pytest.mark.parametrize(("down", "last"), [(True, MIN_SQRT_PRICE + 1), (False, MAX_SQRT_PRICE - 1)])
def test_a_swap_without_a_limit_goes_to_the_last_price_that_there_is(down: bool, last: int) -> None:
    everywhere = replace(LADDER, positions=(ClmmPosition(MIN_TICK, MAX_TICK, 1_000),))
    amount = ladder(down=down, spec=everywhere).all_to_the_limit()
    assert ladder(down=down, spec=everywhere).follow(amount).after.sqrt_price == last
    with pytest.raises(LiquidityExhausted):
        ladder(down=down, spec=everywhere).pay(amount + 1)


@pytest.mark.parametrize("fee_on", [FEE_ON_TOKEN_0, FEE_ON_TOKEN_1])
def test_a_part_of_a_ticks_orders_is_bought_at_the_ticks_price(fee_on: int) -> None:
    with_orders = replace(LADDER, orders={10: TickOrders(10**6, 0)}, fee_on=fee_on)
    to_orders, into_orders = to_tick(10, down=True, spec=replace(LADDER, fee_on=fee_on)), 5_000
    fill = ladder(down=True, spec=with_orders).follow(to_orders + into_orders).fills[-1]
    price, rate = sqrt_price_at(10) ** 2 >> 64, fill.step.rate
    fee_in = -(-into_orders * rate // 10**6) if fee_on == FEE_ON_TOKEN_0 else 0
    sold = (into_orders - fee_in) * price >> 64
    fee_out = -(-sold * rate // 10**6) if fee_on == FEE_ON_TOKEN_1 else 0
    assert (fill.step.orders, fill.cost) == (10**6, into_orders)
    assert (fill.paid, fill.fee) == (sold - fee_out, fee_in or fee_out)


@pytest.mark.parametrize("down", [True, False])
def test_a_dynamic_fee_parts_a_swap_at_each_group_of_ticks_and_the_price_is_in_its_tick_there(down: bool) -> None:
    fee = DynamicFee(
        filter_period=10,
        decay_period=120,
        reduction_factor=5_000,
        control=1_000,
        max_accumulator=350_000,
        index_reference=30,
        volatility_reference=0,
        accumulator=0,
        last_update=CLOCK.unix_timestamp,
    )
    moving = replace(LADDER, dynamic_fee=fee)
    fills = ladder(down=down, spec=moving).follow(10**9).fills
    assert len(fills) > 5
    taken = 0
    for fill in fills[:5]:
        taken += fill.cost
        after = ladder(down=down, spec=moving).follow(taken).after
        assert after.sqrt_price == fill.step.end
        assert after.tick == tick_at(after.sqrt_price)


def a_fill(liquidity: int, fee: int) -> StepFill:
    step = TickStep(2, 0, 1, liquidity, 2_500, 10**6, 10**6, fee, 0, 0, 0, liquidity, 0)
    return StepFill(step, 10**6, 10**6, fee)


def test_of_a_fee_protocol_and_fund_have_their_parts_and_the_providers_the_rest() -> None:
    assert split_fee(a_fill(10**9, 2_501), 120_000, 40_000) == (2_101, 300, 100)


def test_the_fee_of_a_step_without_liquidity_is_the_protocols_but_for_the_funds_part() -> None:
    assert split_fee(a_fill(0, 2_501), 120_000, 40_000) == (0, 2_401, 100)


def test_the_made_up_pool_is_what_the_ticks_above_are_told_of() -> None:
    assert LADDER.sqrt_price == sqrt_price_at(30)
    assert (
        {position.lower % 60 for position in LADDER.positions}
        == {position.upper % 60 for position in LADDER.positions}
        == {10}
    )
