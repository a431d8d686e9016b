"""Raydium CLMM's exact-in swap, to the unit. Integers throughout; square roots of prices are Q64.64, rates millionths.

A swap walks from tick to tick away from the price. What it costs to come to the next tick, and what that pays, depends
on the clock and on where the walk began, but not on the size of the swap. So the walk is recorded once as a ladder of
steps with running totals, as deep as the largest amount asked for; a swap finds by bisection the step in which its
input runs out, and only there computes a part of one.

One set of rules serves both releases of the program: a pool that uses none of what that of 2026 brought (limit orders,
dynamic fee, the side of the fee) is quoted as the release before did.

Source: raydium-io/raydium-clmm, programs/amm/src: instructions/swap.rs (swap_internal), libraries/swap_math.rs,
liquidity_math.rs, sqrt_price_math.rs, tick_math.rs, states/tick_array.rs (match_limit_order_with_sqrt_price),
states/pool_fee.rs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from chalicelib.venues.raydium_clmm.layout import (
    MAX_TICK,
    MIN_TICK,
    ClmmPoolState,
    DynamicFee,
    Tick,
    TickArrayBitmap,
    array_number,
)
from chalicelib.venues.records import new_record

U64_MAX = (1 << 64) - 1
FEE_DENOMINATOR = 1_000_000
# Of the trade fee and the dynamic fee together, where there is one.
MAX_DYNAMIC_TOTAL = 100_000
FEE_ON_TOKEN_0, FEE_ON_TOKEN_1 = 1, 2
MIN_SQRT_PRICE, MAX_SQRT_PRICE = 4_295_048_016, 79_226_673_521_066_979_257_578_248_091

_U32_MAX = (1 << 32) - 1
_U128_MAX = (1 << 128) - 1
_ONE = 1 << 64
# The fee, what comes to the pool, what leaves it, and the price in between.
_ROUNDINGS_IN_A_STEP = 4
_ACCUMULATOR_SCALE = 10_000
_REDUCTION_DENOMINATOR = 10_000
_DYNAMIC_FEE_SCALE = 10**13
# A swap through more steps than this burns more than any transaction has, many times over.
_MAX_STEPS = 4096
_CONTRADICTION = "the pool's price and its tick contradict each other"
# 2^64 / 1.0001^(2^(i - 1)) for each bit of a tick (tick_math.rs, get_sqrt_price_at_tick). Not Uniswap's: 64 bits.
_RATIOS = (
    0xFFFCB933BD6FB800,
    0xFFF97272373D4000,
    0xFFF2E50F5F657000,
    0xFFE5CACA7E10F000,
    0xFFCB9843D60F7000,
    0xFF973B41FA98E800,
    0xFF2EA16466C9B000,
    0xFE5DEE046A9A3800,
    0xFCBE86C7900BB000,
    0xF987A7253AC65800,
    0xF3392B0822BB6000,
    0xE7159475A2CAF000,
    0xD097F3BDFD2F2000,
    0xA9F746462D9F8000,
    0x70D869A156F31C00,
    0x31BE135F97ED3200,
    0x09AA508B5B85A500,
    0x005D6AF8DEDC582C,
    0x00002216E584F5FA,
)


class LiquidityExhausted(Exception):
    """Nothing is left that could take the rest of the input."""


class PriceLimitReached(LiquidityExhausted):
    """The price has come to where the swap is to stop."""


class Unquotable(Exception):
    """The program fails on the pool as it is: a number overflows, or the pool contradicts itself."""


class TickStep(NamedTuple):
    """One step of a ladder: towards a price through liquidity, or the orders of the tick that it has come to.

    Going all the way costs `cost`, fee included where it is on the input, and pays `paid`, less the fee where it is on
    the output. `orders` is what the tick's orders hold, 0 for a step through liquidity.
    """

    start: int
    start_tick: int
    end: int
    liquidity: int
    rate: int
    cost: int
    paid: int
    fee: int
    orders: int
    order_price: int
    # After all of the step: the tick and the liquidity, and how far the price is known to have moved lately.
    end_tick: int
    end_liquidity: int
    accumulator: int


class StepFill(NamedTuple):
    """What a swap does in one step. `paid` is less the fee where that is on the output; else `cost` includes it."""

    step: TickStep
    cost: int
    paid: int
    fee: int


class SwapPayment(NamedTuple):
    """`amount_out` is before any transfer fee of its mint; `fee` is of the input token, or of the output.

    `arrays` are the numbers of the tick arrays entered, in order. `ticks_crossed` and `steps` count what it took.
    """

    amount_out: int
    fee: int
    arrays: tuple[int, ...]
    ticks_crossed: int
    steps: int


class PriceAfter(NamedTuple):
    """The pool's price after a swap, and its liquidity there."""

    sqrt_price: int
    tick: int
    liquidity: int
    accumulator: int


class SwapTrace(NamedTuple):
    """What a swap does on its way. `crossed` are the ticks that it crosses, each with the number of fills before it."""

    fills: list[StepFill]
    after: PriceAfter
    crossed: list[tuple[int, int]]


class FeeReferences(NamedTuple):
    """What a dynamic fee is reckoned from, as a swap finds it: pool_fee.rs, update_reference."""

    spacing_index: int
    volatility: int
    last_update: int


@lru_cache(maxsize=65_536)
def sqrt_price_at(tick: int) -> int:
    """tick_math.rs, get_sqrt_price_at_tick. Raises Unquotable beyond the last tick of either side."""
    rest = abs(tick)
    if rest > MAX_TICK:
        raise Unquotable(f"tick {tick} has no price")
    ratio = _ONE
    for factor in _RATIOS:
        if rest & 1:
            ratio = ratio * factor >> 64
        rest >>= 1
    return _U128_MAX // ratio if tick > 0 else ratio


def tick_at(sqrt_price: int) -> int:
    """tick_math.rs, get_tick_at_sqrt_price. Raises Unquotable for what is no price."""
    if not MIN_SQRT_PRICE <= sqrt_price < MAX_SQRT_PRICE:
        raise Unquotable(f"{sqrt_price} is no square root of a price")
    highest = sqrt_price.bit_length() - 1
    logarithm = (highest - 64) << 32
    mantissa = sqrt_price >> (highest - 63) if highest >= 64 else sqrt_price << (63 - highest)
    bit = 1 << 31
    for _ in range(16):
        mantissa *= mantissa
        above_two = mantissa >> 127
        mantissa >>= 63 + above_two
        logarithm += bit * above_two
        bit >>= 1
    scaled = logarithm * 59_543_866_431_248
    low = (scaled - 184_467_440_737_095_516) >> 64
    high = (scaled + 15_793_534_762_490_258_745) >> 64
    if low == high:
        return low
    return high if sqrt_price_at(high) <= sqrt_price else low


def references_at(fee: DynamicFee, tick: int, tick_spacing: int, timestamp: int) -> FeeReferences:
    """`fee`'s references as a swap at `timestamp` finds them (pool_fee.rs, update_reference)."""
    elapsed = max(timestamp - fee.last_update, 0)
    if elapsed < fee.filter_period:
        return FeeReferences(fee.index_reference, fee.volatility_reference, fee.last_update)
    volatility = 0
    if elapsed < fee.decay_period:
        volatility = fee.accumulator * fee.reduction_factor // _REDUCTION_DENOMINATOR & _U32_MAX
    return FeeReferences(tick // tick_spacing, volatility, timestamp)


def is_fee_on_input(fee_on: int, zero_for_one: bool) -> bool:
    """pool_fee.rs, is_fee_on_input: what is neither of the two means the input."""
    if fee_on == FEE_ON_TOKEN_0:
        return zero_for_one
    if fee_on == FEE_ON_TOKEN_1:
        return not zero_for_one
    return True


def split_fee(fill: StepFill, protocol_rate: int, fund_rate: int) -> tuple[int, int, int]:
    """Who gets how much of a step's fee: liquidity providers, protocol, fund (swap.rs, spilt_fees)."""
    protocol, fund = fill.fee * protocol_rate // FEE_DENOMINATOR, fill.fee * fund_rate // FEE_DENOMINATOR
    providers = fill.fee - protocol - fund
    return (providers, protocol, fund) if fill.step.liquidity else (0, protocol + providers, fund)


class TickLadder:
    """One direction's steps in the order a swap takes them.

    `ticks(number)` gives an array's initialised ticks; what it raises passes through, and the ladder can go on from
    there another time. `trade_rate` is the config's fee; `references` of a dynamic fee, where the pool has one. A swap
    that comes to `price_limit`, without one to the last price there is, stops.
    """

    def __init__(
        self,
        pool: ClmmPoolState,
        trade_rate: int,
        bitmap: TickArrayBitmap,
        ticks: Callable[[int], Sequence[Tick]],
        zero_for_one: bool,
        references: FeeReferences | None,
        price_limit: int | None = None,
    ) -> None:
        if price_limit is None:
            price_limit = MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1
        self._price_limit = price_limit
        self._ticks_of = ticks
        self._bitmap = bitmap
        self._down = zero_for_one
        self._spacing = pool.tick_spacing
        self._fee_on_input = is_fee_on_input(pool.fee_on, zero_for_one)
        self._trade_rate = self._rate = trade_rate
        self._dynamic = pool.dynamic_fee
        self._references = references
        # Where the walk has come to.
        self._price, self._tick, self._liquidity = pool.sqrt_price, pool.tick, pool.liquidity
        self._index = pool.tick // pool.tick_spacing
        self._accumulator = 0
        # The initialised ticks ahead in the array that the walk is in, the next one last.
        self._ahead: list[Tick] = []
        self._array: int | None = None
        # By step: the largest input that ends in it or before it; then what all steps before it take, give and charge.
        self._steps: list[TickStep] = []
        self._ticks_passed = 0
        self._passed_at: list[int] = []
        self._crossed: list[tuple[int, int]] = []
        self._ends: list[int] = []
        self._before: list[tuple[int, int, int]] = [(0, 0, 0)]
        # The arrays entered, and how many steps there were before each.
        self._arrays: list[int] = []
        self._entered_at: list[int] = []
        self._entered: dict[int, tuple[int, ...]] = {}
        # What keeps every swap from going beyond the last step.
        self._obstacle: LiquidityExhausted | Unquotable | None = None
        if not 0 <= trade_rate < FEE_DENOMINATOR:
            self._obstacle = Unquotable(f"a trade fee of {trade_rate} millionths")

    def pay(self, amount_in: int) -> SwapPayment:
        """What `amount_in` buys: above zero, and without any transfer fee of its mint.

        Raises LiquidityExhausted, Unquotable, and what `ticks` raises.
        """
        ends = self._ends
        while not ends or amount_in > ends[-1]:
            self._climb()
        last = bisect_left(ends, amount_in)
        in_before, out_before, fee_before = self._before[last]
        step = self._steps[last]
        rest = amount_in - in_before
        _, paid, fee = self._part(step, rest)
        # with the one that it may end at
        crossed = self._passed_at[last] + (rest >= step.cost)
        entered = bisect_right(self._entered_at, last)
        arrays = self._entered.get(entered)
        if arrays is None:
            arrays = self._entered[entered] = tuple(self._arrays[:entered])
        return new_record(SwapPayment, (out_before + paid, fee_before + fee, arrays, crossed, last + 1))

    def roundings_of_falling(self, amount_in: int) -> int | None:
        """How often a swap of up to `amount_in` may round; None where its fee's rate falls from one step to the next.

        A square root of a price is rounded by so many units as there is liquidity, in 2^64. Of an input that is too
        large for the pool, all steps. Raises Unquotable where no swap can be quoted, and what `ticks` raises.
        """
        try:
            while not self._ends or amount_in > self._ends[-1]:
                self._climb()
        except LiquidityExhausted:
            pass
        except Unquotable:
            if not self._steps:
                raise
        steps = self._steps[: bisect_left(self._ends, amount_in) + 1]
        if any(step.rate > following.rate for step, following in pairwise(steps)):
            return None
        return sum(_ROUNDINGS_IN_A_STEP + (step.liquidity >> 64) for step in steps)

    def follow(self, amount_in: int) -> SwapTrace:
        """What a swap that `pay` pays for does in each step, and where it leaves the price. Raises as `pay` does."""
        last = self.pay(amount_in).steps - 1
        fills = [StepFill(step, step.cost, step.paid, step.fee) for step in self._steps[:last]]
        step = self._steps[last]
        price, paid, fee = self._part(step, amount_in - self._before[last][0])
        fills.append(StepFill(step, amount_in - self._before[last][0], paid, fee))
        after = self._after(fills[-1], price)
        crossed = [each for each in self._crossed if each[0] <= last]
        beyond = next((each for each in self._crossed if each[0] == last + 1), None)
        # of a step that is taken to its end, the tick that it ends at; what lies beyond that costs nothing, but is left
        if beyond is not None and after.tick == (beyond[1] - 1 if self._down else beyond[1]) and price == step.end:
            crossed.append(beyond)
        return SwapTrace(fills, after, crossed)

    def all_to_the_limit(self) -> int:
        """What it takes to bring the price to its limit. Raises as `pay` does where it doesn't come there."""
        try:
            while True:
                self._climb()
        except PriceLimitReached:
            return self._before[-1][0]

    def _after(self, fill: StepFill, price: int) -> PriceAfter:
        step = fill.step
        if step.orders:
            sold = fill.paid if self._fee_on_input else fill.paid + fill.fee
            if sold < step.orders:  # the tick is not crossed while it has orders
                tick = step.end_tick + (1 if self._down else -1)
                return PriceAfter(price, tick, step.liquidity, step.accumulator)
            return PriceAfter(price, step.end_tick, step.end_liquidity, step.accumulator)
        if price == step.end:
            return PriceAfter(price, step.end_tick, step.end_liquidity, step.accumulator)
        # A price that has not moved may be that of a tick which was crossed: what tick it is in can't be told from it.
        tick = tick_at(price) if price != step.start else step.start_tick
        return PriceAfter(price, tick, step.liquidity, step.accumulator)

    def _part(self, step: TickStep, amount_in: int) -> tuple[int, int, int]:
        """The price after `amount_in` of what a step costs, what it pays and the fee (swap_math.rs, compute_swap).

        Raises LiquidityExhausted where the program fails on it.
        """
        start, _, end, liquidity, rate, cost, paid, fee, orders, _, _, _, _ = step
        if orders:
            return end, *self._part_of_orders(step, amount_in)
        if amount_in == cost:
            return end, paid, fee
        down, fee_on_input = self._down, self._fee_on_input
        net = amount_in * (FEE_DENOMINATOR - rate) // FEE_DENOMINATOR if fee_on_input else amount_in
        # -(-a // b) rounds up, here and below.
        if down:
            shifted = liquidity << 64
            price = -(-shifted * start // (shifted + net * start))
            moved = liquidity * (start - price)
            paid = moved >> 64
            net = -(-(moved << 64) // (start * price))
        else:
            price = start + (net << 64) // liquidity
            moved = liquidity * (price - start)
            paid = (moved << 64) // (start * price)
            net = -(-moved >> 64)
        if paid > U64_MAX or net > U64_MAX or (price < end if down else price > end):
            raise LiquidityExhausted("a step of the swap holds more than a u64")
        if fee_on_input:
            return price, paid, amount_in - net
        fee = -(-paid * rate // FEE_DENOMINATOR)
        return price, paid - fee, fee

    def _part_of_orders(self, step: TickStep, amount_in: int) -> tuple[int, int]:
        """What a tick's orders pay for what ends in them, and the fee."""
        fee = -(-amount_in * step.rate // FEE_DENOMINATOR) if self._fee_on_input else 0
        net = amount_in - fee
        sold = net * step.order_price >> 64 if self._down else (net << 64) // step.order_price
        if sold > step.orders:
            return step.paid, step.fee
        if not self._fee_on_input:
            fee = -(-sold * step.rate // FEE_DENOMINATOR)
            sold -= fee
        return sold, fee

    def _climb(self) -> None:
        """Add the steps to the next initialised tick and over it. Raises what keeps from it."""
        if self._obstacle is not None:
            raise self._obstacle.with_traceback(None)
        while not self._ahead:
            self._enter_next_array()
        tick = self._ahead.pop()
        try:
            self._walk_to(tick)
            self._ticks_passed += 1
        except (LiquidityExhausted, Unquotable) as obstacle:
            self._obstacle = obstacle

    def _enter_next_array(self) -> None:
        down, array = self._down, self._array
        current = array_number(self._tick, self._spacing) if array is None else array
        # the array of the price itself is the first one, where it is marked
        number = self._bitmap.first(current if array is None else current - 1 if down else current + 1, down)
        if number is None:
            raise LiquidityExhausted("no tick array further on has liquidity")
        ticks = self._ticks_of(number)
        if not ticks:
            self._obstacle = Unquotable(f"tick array {number} is marked and has no initialised tick")
            raise self._obstacle
        if number == current:  # at the first array only
            price_tick = self._tick
            ticks = [tick for tick in ticks if (tick.tick <= price_tick if down else tick.tick > price_tick)]
        self._array, self._ahead = number, list(ticks if down else reversed(ticks))
        self._arrays.append(number)
        self._entered_at.append(len(self._steps))

    def _walk_to(self, tick: Tick) -> None:
        """Record the steps to `tick`, and over it (swap.rs, the loop in swap_internal)."""
        down, limit = self._down, self._price_limit
        index, _, _ = tick
        tick_price = sqrt_price_at(index if MIN_TICK <= index <= MAX_TICK else _nearest_tick(index))
        if down:
            target = tick_price if tick_price > limit else limit
            is_contradiction = self._tick < index or self._price < target
        else:
            target = tick_price if tick_price < limit else limit
            is_contradiction = self._tick >= index or self._price > target
        if is_contradiction:
            raise Unquotable(_CONTRADICTION)
        if self._dynamic is None:
            if self._price != target:
                self._step_to(target, tick, tick_price, index)
            if target == tick_price:
                self._cross(tick, tick_price)
        else:
            self._walk_with_dynamic_fee(tick, tick_price, target, self._dynamic)
        if target != tick_price or target == limit:
            raise PriceLimitReached("the price comes to its end")

    def _walk_with_dynamic_fee(self, tick: Tick, tick_price: int, target: int, fee: DynamicFee) -> None:
        down, spacing = self._down, self._spacing
        while True:
            self._update_rate(fee)
            skips = self._liquidity == 0 or self._accumulator == fee.max_accumulator
            bound, bound_tick = target, tick.tick
            if not skips:
                group_end = _nearest_tick((self._index if down else self._index + 1) * spacing)
                group_price = sqrt_price_at(group_end)
                if target <= group_price if down else target >= group_price:
                    bound, bound_tick = group_price, group_end
            if self._price != bound:
                self._step_to(bound, tick, tick_price, bound_tick)
            arrived = self._price == tick_price
            if skips:
                self._index = self._index_where(tick.tick if arrived else self._tick)
                if self._accumulator != fee.max_accumulator:
                    self._accumulator = self._accumulator_at(self._index, fee)
            if arrived:
                self._cross(tick, tick_price)
            self._index += -1 if down else 1
            if self._price == target:
                return

    def _index_where(self, tick: int) -> int:
        """The group that the walk comes from when it has jumped to `tick` (swap.rs, update_dynamic_fee_index)."""
        index = tick // self._spacing
        return index - 1 if not self._down and tick % self._spacing == 0 else index

    def _accumulator_at(self, index: int, fee: DynamicFee) -> int:
        assert self._references is not None
        distance = abs(self._references.spacing_index - index)
        return min(self._references.volatility + distance * _ACCUMULATOR_SCALE, fee.max_accumulator)

    def _update_rate(self, fee: DynamicFee) -> None:
        """swap.rs, get_total_fee_rate and compute_dynamic_fee_rate."""
        self._accumulator = self._accumulator_at(self._index, fee)
        moved = self._accumulator * self._spacing
        if moved > _U32_MAX:
            raise Unquotable("the volatility overflows")
        dynamic = -(-fee.control * moved * moved // _DYNAMIC_FEE_SCALE)
        self._rate = min(self._trade_rate + dynamic, MAX_DYNAMIC_TOTAL)

    def _step_to(self, end: int, tick: Tick, tick_price: int, end_tick: int) -> None:
        """Record the step through the liquidity to `end`, which is `tick`'s price or one before."""
        start, start_tick, down = self._price, self._tick, self._down
        liquidity, rate, accumulator = self._liquidity, self._rate, self._accumulator
        distance = start - end if down else end - start
        if distance < 0:
            raise Unquotable(_CONTRADICTION)
        index, _, orders = tick
        end_liquidity = liquidity
        if end == tick_price:
            end_tick = index if down == bool(orders) else index - 1
            if not orders:
                end_liquidity = self._liquidity_beyond(tick)
        elif end_tick == index:  # the limit, which is no tick's price
            end_tick = tick_at(end)
        self._price, self._tick = end, end_tick
        if not liquidity:
            return  # the price jumps for nothing
        moved = liquidity * distance
        # -(-a // b) rounds up, here and below.
        if down:
            net, paid = -(-(moved << 64) // (start * end)), moved >> 64
        else:
            net, paid = -(-moved >> 64), (moved << 64) // (start * end)
        if net > U64_MAX or paid > U64_MAX:
            # so far no swap comes, but all that come here end in it
            unreached = (start, start_tick, end, liquidity, rate, -1, 0, 0, 0, 0, end_tick, liquidity, accumulator)
            self._record(new_record(TickStep, unreached), U64_MAX, -1, 0, 0)
            raise LiquidityExhausted("a step of the swap holds more than a u64")
        if self._fee_on_input:
            fee = -(-net * rate // (FEE_DENOMINATOR - rate))
            cost = net + fee
        else:
            fee = -(-paid * rate // FEE_DENOMINATOR)
            cost, paid = net, paid - fee
        step = (start, start_tick, end, liquidity, rate, cost, paid, fee, 0, 0, end_tick, end_liquidity, accumulator)
        self._record(new_record(TickStep, step), cost, cost, paid, fee)

    def _cross(self, tick: Tick, tick_price: int) -> None:
        """Record the filling of the tick's orders, and be beyond it."""
        index, _, orders = tick
        beyond = self._liquidity_beyond(tick)
        self._tick = index - 1 if self._down else index
        if orders:
            self._fill_orders(orders, tick_price, beyond)
        self._crossed.append((len(self._steps), index))
        self._liquidity = beyond

    def _liquidity_beyond(self, tick: Tick) -> int:
        index, net, _ = tick
        beyond = self._liquidity - net if self._down else self._liquidity + net
        if not 0 <= beyond <= _U128_MAX:
            raise Unquotable(f"tick {index} takes away more liquidity than there is")
        return beyond

    def _fill_orders(self, orders: int, tick_price: int, liquidity_beyond: int) -> None:
        """states/tick_array.rs, match_limit_order_with_sqrt_price, for orders that are filled to the last unit."""
        down, rate, fee_on_input = self._down, self._rate, self._fee_on_input
        squared = tick_price * tick_price
        price = squared >> 64 if down else -(-squared >> 64)
        if orders > U64_MAX or price > _U128_MAX:
            raise Unquotable("a tick's orders overflow")
        # What pays for all of them, and the most that buys no more than all of them.
        if down:
            net, most = -(-(orders << 64) // price), -(-((orders + 1) << 64) // price) - 1
        else:
            net, most = -(-orders * price >> 64), -(-(orders + 1) * price >> 64) - 1
        if fee_on_input:
            fee = -(-net * rate // (FEE_DENOMINATOR - rate))
            cost, paid = net + fee, orders
            most = -(-(most + 1) * FEE_DENOMINATOR // (FEE_DENOMINATOR - rate)) - 1
        else:
            fee = -(-orders * rate // FEE_DENOMINATOR)
            cost, paid = net, orders - fee
        step = TickStep(
            tick_price,
            self._tick,
            tick_price,
            self._liquidity,
            rate,
            cost,
            paid,
            fee,
            orders,
            price,
            self._tick,
            liquidity_beyond,
            self._accumulator,
        )
        # By a rounding, all of them may cost a unit more than what buys no more than all of them, or less.
        self._record(step, max(most, cost), cost, paid, fee)

    def _record(self, step: TickStep, most: int, cost: int, paid: int, fee: int) -> None:
        """`most` is the largest input to the step that ends in it; the others are the step's own."""
        ends, steps, before = self._ends, self._steps, self._before
        if len(steps) >= _MAX_STEPS:
            raise LiquidityExhausted("the swap takes more steps than any transaction can")
        total_in, total_out, total_fee = before[-1]
        end = total_in + most
        # What ends in a tick's orders for a rounding doesn't come to the steps that follow, however little they take.
        ends.append(ends[-1] if ends and ends[-1] > end else end)
        steps.append(step)
        self._passed_at.append(self._ticks_passed)
        before.append((total_in + cost, total_out + paid, total_fee + fee))


def _nearest_tick(index: int) -> int:
    """The tick that has a price."""
    return min(max(index, MIN_TICK), MAX_TICK)
