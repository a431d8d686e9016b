"""Raydium CLMM's arithmetic to the unit: prices and ticks, orders, the dynamic fee, and where its numbers end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil

import pytest

from chalicelib.problems import AccountsMissing
from chalicelib.venues.raydium_clmm.layout import (
    MAX_TICK,
    MIN_TICK,
    DynamicFee,
    Tick,
    TickArrayBitmap,
    array_number,
)
from chalicelib.venues.raydium_clmm.math import (
    FEE_DENOMINATOR,
    FEE_ON_TOKEN_0,
    FEE_ON_TOKEN_1,
    MIN_SQRT_PRICE,
    U64_MAX,
    FeeReferences,
    LiquidityExhausted,
    PriceAfter,
    TickLadder,
    Unquotable,
    is_fee_on_input,
    references_at,
    sqrt_price_at,
    tick_at,
)
from tests.unit.test_raydium_clmm import ACCOUNTS, pool_of

Arrays = Mapping[int, Sequence[Tick] | None]
BOTH_WAYS = pytest.mark.parametrize("down", [True, False])
STATE = pool_of({**ACCOUNTS}).state
ONE, U32_MAX, U128_MAX = 1 << 64, (1 << 32) - 1, (1 << 128) - 1
CONTRADICTION = r"^the pool's price and its tick contradict each other$"
BEYOND_U64 = r"^a step of the swap holds more than a u64$"
FEE = DynamicFee(
    filter_period=10,
    decay_period=120,
    reduction_factor=5_000,
    control=1_000,
    max_accumulator=1_000_000,
    index_reference=7,
    volatility_reference=40_000,
    accumulator=100_000,
    last_update=1_000,
)


def in_arrays(*ticks: Tick) -> Arrays:
    """Ticks of a pool of spacing 1, ascending, in the arrays that they belong in."""
    return {
        number: [tick for tick in ticks if array_number(tick.tick, 1) == number]
        for number in {array_number(tick.tick, 1) for tick in ticks}
    }


def ladder(
    arrays: Arrays,
    *,
    down: bool,
    tick: int = 0,
    sqrt_price: int | None = None,
    liquidity: int = 10**12,
    trade_rate: int = 0,
    fee_on: int = 0,
    dynamic_fee: DynamicFee | None = None,
    references: FeeReferences | None = None,
    price_limit: int | None = None,
) -> TickLadder:
    """Of a pool of spacing 1 with all of `arrays` marked; one without ticks of its own has not been read."""

    def ticks(number: int) -> Sequence[Tick]:
        found = arrays[number]
        if found is None:
            raise AccountsMissing([str(number)])
        return found

    pool = STATE._replace(
        tick=tick,
        sqrt_price=sqrt_price_at(tick) if sqrt_price is None else sqrt_price,
        liquidity=liquidity,
        fee_on=fee_on,
        dynamic_fee=dynamic_fee,
    )
    reach = 512 * 15
    bitmap = TickArrayBitmap(sum(1 << (number + reach) for number in arrays), reach)
    return TickLadder(pool, trade_rate, bitmap, ticks, down, references, price_limit)


# --- prices ---------------------------------------------------------------------------------------------------------


def test_the_lowest_price_is_in_the_lowest_tick() -> None:
    assert tick_at(MIN_SQRT_PRICE) == MIN_TICK


def test_what_is_no_price_is_named() -> None:
    with pytest.raises(Unquotable, match=r"^7 is no square root of a price$"):
        tick_at(7)


# --- swaps between ticks --------------------------------------------------------------------------------------------


def test_the_way_to_a_limit_at_the_last_tick_costs_what_the_liquidity_of_each_part_takes() -> None:
    nested = in_arrays(Tick(-20, 10**9, 0), Tick(-10, 10**12, 0))
    selling = ladder(nested, down=True, liquidity=10**12 + 10**9, price_limit=sqrt_price_at(-20))
    prices = [ONE, sqrt_price_at(-10), sqrt_price_at(-20)]
    between = zip((10**12 + 10**9, 10**9), prices, prices[1:], strict=False)
    costs = [ceil(liquidity * (Fraction(ONE, end) - Fraction(ONE, start))) for liquidity, start, end in between]
    assert selling.all_to_the_limit() == sum(costs)
    assert selling.follow(sum(costs)).after == PriceAfter(prices[-1], -21, 0, 0)


@pytest.mark.parametrize(("down", "limit"), [(True, -20), (False, 20)])
def test_a_price_that_stops_before_the_next_tick_is_in_its_own(down: bool, limit: int) -> None:
    stopping = ladder(
        in_arrays(Tick(-40, 10**12, 0), Tick(40, -(10**12), 0)), down=down, price_limit=sqrt_price_at(limit)
    )
    everything = stopping.all_to_the_limit()
    assert stopping.follow(everything).after == PriceAfter(sqrt_price_at(limit), limit, 10**12, 0)


def test_a_price_that_does_not_move_stays_in_the_tick_below_the_one_that_it_has_crossed() -> None:
    selling = ladder(
        in_arrays(Tick(-10, 10**18, 0)),
        down=True,
        tick=29,
        sqrt_price=sqrt_price_at(30),
        liquidity=10**18,
        trade_rate=1,
    )
    assert selling.follow(1).after == PriceAfter(sqrt_price_at(30), 29, 10**18, 0)


def test_the_tick_that_a_swap_ends_at_is_counted_and_one_that_it_falls_short_of_is_not() -> None:
    selling = ladder(in_arrays(Tick(-20, 0, 0), Tick(-10, 0, 0)), down=True)
    to_first = ceil(10**12 * (Fraction(ONE, sqrt_price_at(-10)) - 1))
    assert [selling.pay(amount).ticks_crossed for amount in (to_first - 1, to_first, to_first + 1)] == [0, 1, 1]


@pytest.mark.parametrize(("down", "beyond"), [(True, MIN_TICK - 4), (False, MAX_TICK + 4)])
def test_a_tick_beyond_the_last_price_is_at_the_last_price(down: bool, beyond: int) -> None:
    last = max(min(beyond, MAX_TICK), MIN_TICK)
    costs = [
        ladder(in_arrays(Tick(tick, 0, 0)), down=down, liquidity=1_000).all_to_the_limit() for tick in (beyond, last)
    ]
    assert costs[0] == costs[1]


def test_a_swap_of_4096_steps_is_quoted_and_none_of_more() -> None:
    ticks = in_arrays(*(Tick(tick, 0, 0) for tick in range(-4_100, 0)))
    most = ladder(ticks, down=True, price_limit=sqrt_price_at(-4_096))
    assert most.pay(most.all_to_the_limit()).steps == 4_096
    with pytest.raises(LiquidityExhausted, match=r"^the swap takes more steps than any transaction can$"):
        ladder(ticks, down=True, price_limit=sqrt_price_at(-4_097)).all_to_the_limit()


# --- roundings ------------------------------------------------------------------------------------------------------


def test_a_price_rounds_by_a_unit_for_each_2_to_the_64_of_liquidity() -> None:
    selling = ladder(in_arrays(Tick(-10, 0, 0)), down=True, liquidity=3 << 64)
    assert selling.roundings_of_falling(10**6) == 4 + 3


def test_what_ends_at_a_tick_rounds_as_its_step_does_whatever_was_asked_before_and_needs_no_array_beyond() -> None:
    unread: Arrays = {**in_arrays(Tick(-10, 0, 0)), -2: None}
    to_tick = ceil(10**12 * (Fraction(ONE, sqrt_price_at(-10)) - 1))
    assert ladder(unread, down=True).roundings_of_falling(to_tick) == 4

    further = ladder(in_arrays(Tick(-20, 0, 0), Tick(-10, 0, 0)), down=True)
    assert further.pay(to_tick + 1).steps == 2
    assert further.roundings_of_falling(to_tick) == 4


# --- orders ---------------------------------------------------------------------------------------------------------

# Ticks at which a unit of what comes in is worth about a hundredth of what the orders sell.
ORDERS = [
    (down, tick, fee_on)
    for down, tick in ((True, -46_055), (False, 46_054))
    for fee_on in (FEE_ON_TOKEN_0, FEE_ON_TOKEN_1)
]


def order_price(tick: int, *, down: bool) -> int:
    """Token 1 per token 0, to the pool's favour: tick_array.rs, match_limit_order_with_sqrt_price."""
    squared = sqrt_price_at(tick) ** 2
    return squared // ONE if down else ceil(Fraction(squared, ONE))


def bought(amount_in: int, price: int, rate: int, *, down: bool, fee_on_input: bool) -> tuple[int, int]:
    """What `amount_in` buys of orders without end, and the fee that is taken of the input."""
    fee = ceil(Fraction(amount_in * rate, FEE_DENOMINATOR)) if fee_on_input else 0
    net = amount_in - fee
    return (net * price // ONE if down else net * ONE // price), fee


@pytest.mark.parametrize(("down", "tick", "fee_on"), ORDERS)
@pytest.mark.parametrize("orders", [5, 70, 900])
def test_what_buys_no_more_than_all_of_a_ticks_orders_ends_in_them(
    down: bool, tick: int, fee_on: int, orders: int
) -> None:
    rate, price, fee_on_input = 10_000, order_price(tick, down=down), is_fee_on_input(fee_on, down)

    def sold(amount_in: int) -> int:
        return bought(amount_in, price, rate, down=down, fee_on_input=fee_on_input)[0]

    # What lies beyond is for one tick so thin that it takes less than what is left over of the orders' price.
    onwards = -1 if down else 1
    further = Tick(tick + onwards, onwards * 10**12, 0), Tick(tick + 300 * onwards, 0, 0)
    ticks = in_arrays(*sorted((Tick(tick, onwards, orders), *further)))
    buying = ladder(
        ticks,
        down=down,
        tick=tick if down else tick - 1,
        sqrt_price=sqrt_price_at(tick),
        liquidity=0,
        trade_rate=rate,
        fee_on=fee_on,
    )
    least = bisect_left(range(10**6), orders, key=sold)
    most = bisect_right(range(10**6), orders, key=sold) - 1
    assert buying.pay(most + 1).steps == 3
    for amount in (least, most):
        _, fee = bought(amount, price, rate, down=down, fee_on_input=fee_on_input)
        fee_out = 0 if fee_on_input else ceil(Fraction(orders * rate, FEE_DENOMINATOR))
        payment = buying.pay(amount)
        assert (payment.amount_out, payment.fee, payment.steps) == (orders - fee_out, fee + fee_out, 1)
        assert buying.follow(amount).after == PriceAfter(sqrt_price_at(tick), tick - 1 if down else tick, 1, 0)


def test_orders_for_token_0_cost_a_unit_more_where_their_price_is_rounded_up() -> None:
    tick = next(tick for tick in range(1, 100) if not order_price(tick, down=True) % 2)
    # half a unit for each unit of the price: none is left over of the price rounded down
    orders = 1 << 63
    buying = ladder(in_arrays(Tick(tick, 0, orders)), down=False, tick=tick - 1, sqrt_price=sqrt_price_at(tick))
    step = buying.follow(order_price(tick, down=True) // 2 + 1).fills[0].step
    assert (step.order_price, step.cost) == (order_price(tick, down=False), order_price(tick, down=True) // 2 + 1)


@pytest.mark.parametrize(("down", "tick"), [(True, 0), (False, -1)])
def test_orders_of_up_to_a_u64_are_quoted_at_the_one_price_of_their_tick(down: bool, tick: int) -> None:
    buying = ladder(in_arrays(Tick(0, 0, U64_MAX)), down=down, tick=tick, sqrt_price=ONE)
    assert buying.pay(U64_MAX).amount_out == U64_MAX
    step = buying.follow(U64_MAX).fills[0].step
    assert step.start == step.end == ONE
    too_many = ladder(in_arrays(Tick(0, 0, U64_MAX + 1)), down=down, tick=tick, sqrt_price=ONE)
    with pytest.raises(Unquotable, match=r"^a tick's orders overflow$"):
        too_many.pay(1)


@pytest.mark.parametrize(("down", "tick"), [(True, -10), (False, 10)])
def test_a_tick_that_has_orders_is_not_crossed_by_what_only_comes_to_its_price(down: bool, tick: int) -> None:
    to_tick = ladder(in_arrays(Tick(tick, 0, 0)), down=down, price_limit=sqrt_price_at(tick)).all_to_the_limit()
    with_orders = ladder(in_arrays(Tick(tick, 10**11 if down else -(10**11), 10**6)), down=down)
    assert with_orders.follow(to_tick).after == PriceAfter(sqrt_price_at(tick), tick if down else tick - 1, 10**12, 0)


# --- the dynamic fee ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fee", "elapsed", "found"),
    [
        (FEE._replace(filter_period=1), 0, FeeReferences(7, 40_000, 1_000)),
        (FEE._replace(filter_period=1), -5, FeeReferences(7, 40_000, 1_000)),
        (FEE, 9, FeeReferences(7, 40_000, 1_000)),
        (FEE, 10, FeeReferences(3, 50_000, 1_010)),
        (FEE, 119, FeeReferences(3, 50_000, 1_119)),
        (FEE, 120, FeeReferences(3, 0, 1_120)),
    ],
)
def test_references_are_kept_within_the_filter_period_and_volatility_within_that_of_its_decay(
    fee: DynamicFee, elapsed: int, found: FeeReferences
) -> None:
    assert references_at(fee, 39, 10, fee.last_update + elapsed) == found


@pytest.mark.parametrize(("down", "tick", "moved"), [(True, 10, 20), (False, 70, 39)])
def test_a_jump_over_ticks_without_liquidity_moves_the_fee_by_all_of_them(down: bool, tick: int, moved: int) -> None:
    jumping = ladder(
        in_arrays(Tick(tick, 0, 10**6)),
        down=down,
        tick=30,
        liquidity=0,
        dynamic_fee=FEE,
        references=FeeReferences(30, 40_000, 1_000),
    )
    after = jumping.follow(100).after
    assert after == PriceAfter(sqrt_price_at(tick), tick if down else tick - 1, 0, 40_000 + moved * 10_000)


def test_a_fee_as_volatile_as_a_u32_can_say_is_at_its_maximum() -> None:
    volatile = ladder(
        in_arrays(Tick(-1, 0, 0)),
        down=True,
        dynamic_fee=FEE._replace(max_accumulator=U32_MAX),
        references=FeeReferences(0, U32_MAX, 1_000),
    )
    assert volatile.pay(1_000_000).fee == 100_000


# --- where the numbers end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("down", "start", "limit", "amount_in", "amount_out"),
    # Between 1 and 2 as square roots of the price, a unit of liquidity is one of token 1 and half of token 0.
    [(True, 2 * ONE, ONE, 1 << 63, U64_MAX), (False, ONE, 2 * ONE, U64_MAX, U64_MAX // 2)],
)
def test_a_step_may_take_and_pay_as_much_as_a_u64_can_say(
    down: bool, start: int, limit: int, amount_in: int, amount_out: int
) -> None:
    ticks = in_arrays(Tick(-10, 0, 0), Tick(20_000, 0, 0))
    swap = ladder(ticks, down=down, tick=tick_at(start), sqrt_price=start, liquidity=U64_MAX, price_limit=limit)
    assert swap.all_to_the_limit() == amount_in
    assert swap.pay(amount_in).amount_out == amount_out


def test_of_a_step_that_would_pay_more_than_a_u64_can_say_a_part_is_paid_until_it_does() -> None:
    selling = ladder(
        in_arrays(Tick(-10, 0, 0)), down=True, tick=tick_at(2 * ONE), sqrt_price=2 * ONE, liquidity=U64_MAX
    )
    # A unit moves the price by a little less than four, and the price is rounded up.
    assert selling.pay(1).amount_out == 2
    assert [selling.pay((1 << 63) + more).amount_out for more in (0, 1)] == [U64_MAX, U64_MAX]
    for amount_in in ((1 << 63) + 2, U64_MAX):
        with pytest.raises(LiquidityExhausted, match=BEYOND_U64):
            selling.pay(amount_in)


def test_of_a_step_that_would_take_more_than_a_u64_can_say_a_part_takes_up_to_that() -> None:
    liquidity = 1 << 40
    buying = ladder(in_arrays(Tick(MAX_TICK, 0, 0)), down=False, liquidity=liquidity)
    price = ONE + U64_MAX * ONE // liquidity
    assert buying.follow(U64_MAX).after.sqrt_price == price
    assert buying.pay(U64_MAX).amount_out == liquidity * (1 - Fraction(ONE, price)) // 1


@BOTH_WAYS
def test_there_may_be_as_much_liquidity_beyond_a_tick_as_a_u128_can_say(down: bool) -> None:
    most, half = (1 << 127) - 1, 1 << 127
    start = sqrt_price_at(10)
    ticks = in_arrays(Tick(-20, 0, 0), Tick(10, -most if down else most, 0), Tick(40, 0, 0))
    swap = ladder(ticks, down=down, tick=10 if down else 9, sqrt_price=start, liquidity=half)
    assert swap.follow(1).after == PriceAfter(start, 9 if down else 10, U128_MAX, 0)


def test_a_tick_that_takes_away_more_liquidity_than_there_is_is_named() -> None:
    with pytest.raises(Unquotable, match=r"^tick -10 takes away more liquidity than there is$"):
        ladder(in_arrays(Tick(-10, 10**12 + 1, 0)), down=True).pay(1)


# --- contradictions -------------------------------------------------------------------------------------------------


def test_a_marked_array_without_a_tick_is_named_each_time_that_it_is_asked_for() -> None:
    selling = ladder({-1: []}, down=True)
    for _ in range(2):
        with pytest.raises(Unquotable, match=r"^tick array -1 is marked and has no initialised tick$"):
            selling.pay(1)


@pytest.mark.parametrize(
    ("down", "tick", "price_tick", "array", "next_tick"),
    [
        # the next tick is behind the pool's, the pool's price before it
        (True, 5, 20, -1, 10),
        (False, 70, 60, 2, 70),
        # the other way round
        (True, 30, 5, 0, 10),
        (False, 30, 80, 1, 70),
    ],
)
def test_a_next_tick_that_lies_behind_the_pools_tick_or_its_price_is_a_contradiction(
    down: bool, tick: int, price_tick: int, array: int, next_tick: int
) -> None:
    swap = ladder({array: [Tick(next_tick, 0, 0)]}, down=down, tick=tick, sqrt_price=sqrt_price_at(price_tick))
    with pytest.raises(Unquotable, match=CONTRADICTION):
        swap.pay(1)


def test_a_price_that_is_beyond_its_group_of_ticks_is_a_contradiction() -> None:
    swap = ladder(
        in_arrays(Tick(10, 0, 0)),
        down=True,
        tick=30,
        sqrt_price=sqrt_price_at(20),
        dynamic_fee=FEE,
        references=FeeReferences(30, 0, 1_000),
    )
    with pytest.raises(Unquotable, match=CONTRADICTION):
        swap.pay(1)
