"""Meteora DLMM's exact-in swap, to the unit. Integers throughout; prices are Q64.64, Y per X.

A swap walks bin after bin away from the active one. What a bin costs to empty and what it then pays depends on the
clock and on how far the bin is from where the walk began, but not on the size of the swap. So the walk is recorded once
as a ladder of bins with running totals, as deep as the largest amount asked for; a swap finds by bisection the bin in
which its input runs out, and only there computes a partial fill.

Source: MeteoraAg/dlmm-sdk, commons/src/quote.rs (quote_exact_in and what it calls),
commons/src/extensions/{bin,lb_pair}.rs, commons/src/math/*.rs, commons/src/constants.rs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from chalicelib.venues.fixed_point import ONE, power
from chalicelib.venues.meteora_dlmm.layout import BINS_PER_ARRAY, BinArrayBitmap, BinColumns, FeeParameters, LbPair
from chalicelib.venues.records import new_record

U64_MAX = (1 << 64) - 1
BASIS_POINT_MAX = 10_000
FEE_PRECISION = 1_000_000_000
MAX_FEE_RATE = 100_000_000
LIMIT_ORDER_FEE_SHARE = 5_000
HOST_FEE_BPS = 2_000

_U32_MAX = (1 << 32) - 1
_U128_MAX = (1 << 128) - 1
_VARIABLE_FEE_SCALE = 100_000_000_000
_MAX_EXPONENT = 0x80000


class OutOfLiquidity(Exception):
    """Nothing is left that could take the rest of the input."""


class NoBinArray(OutOfLiquidity):
    """The bitmaps name no further bin array."""


class BinOutOfRange(OutOfLiquidity):
    """The walk has come to the end of the pair's range of bins."""


class BinOverflow(OutOfLiquidity):
    """A bin's cost is no u64, on which the program stops with an error."""


class BinUnpriced(OutOfLiquidity):
    """A bin's price was never stored, on which the program stops with an error."""


class Rung(NamedTuple):
    """One bin of a ladder: the fee rate in parts of 10^9, and what each source of liquidity in it pays and costs.

    Market makers' liquidity is taken first, then what is left of limit orders being processed, then open ones.
    """

    bin_id: int
    price: int
    rate: int
    volatility_accumulator: int
    market_out: int
    market_in: int
    processed_out: int
    processed_in: int
    open_out: int
    open_in: int


# Rung(...) without its own constructor in between: of all that is done for a bin, that would take longest.
_new_rung = tuple.__new__


class BinFill(NamedTuple):
    """What a swap does in one bin. `*_in` excludes the fee where it is on the input, `*_out` includes it where not."""

    rung: Rung
    market_in: int
    market_out: int
    processed_in: int
    processed_out: int
    open_in: int
    open_out: int
    fee: int


class FeeSplit(NamedTuple):
    """One bin's fee: the first three add up to it. `host` is what a host, where one is named, gets of `protocol`."""

    market_makers: int
    protocol: int
    limit_orders: int
    host: int


class SwapResult(NamedTuple):
    """`amount_out` is before any transfer fee of its mint; the last two are the pair's after the swap.

    `bins` counts those that paid; `arrays` are the indexes of the bin arrays entered, in order.
    """

    amount_out: int
    fee: int
    bins: int
    arrays: tuple[int, ...]
    active_id: int
    volatility_accumulator: int


def price_of_bin(bin_id: int, bin_step: int) -> int:
    """(1 + bin_step / 10^4) ^ bin_id in Q64.64, rounded as math/u64x64_math.rs, pow does.

    Raises OverflowError where that has no price.
    """
    if bin_id == 0:
        return ONE
    exponent = abs(bin_id)
    if exponent >= _MAX_EXPONENT:
        raise OverflowError(f"bin {bin_id} has no price")
    base = ONE + (bin_step << 64) // BASIS_POINT_MAX
    # The program powers the inverse, which is below one and can't overflow, and inverts the result of positive ids.
    result = power(_U128_MAX // base, exponent)
    if result == 0:
        raise OverflowError(f"bin {bin_id} has no price")
    return _U128_MAX // result if bin_id > 0 else result


def references_at(pair: LbPair, timestamp: int) -> tuple[int, int]:
    """`volatility_reference` and `index_reference` as a swap at `timestamp` finds them.

    commons/src/extensions/lb_pair.rs, update_references. Raises OverflowError where the program does.
    """
    parameters, volatility = pair.parameters, pair.volatility
    elapsed = timestamp - volatility.last_update_timestamp
    if elapsed < parameters.filter_period:
        return volatility.reference, volatility.index_reference
    if elapsed < parameters.decay_period:
        decayed = volatility.accumulator * parameters.reduction_factor
        if decayed > _U32_MAX:
            raise OverflowError("the volatility accumulator overflows")
        return decayed // BASIS_POINT_MAX, pair.active_id
    return 0, pair.active_id


def base_fee_rate(parameters: FeeParameters, bin_step: int) -> int:
    """In parts of 10^9 (lb_pair.rs, get_base_fee)."""
    return int(parameters.base_factor * bin_step * 10 ** (1 + parameters.base_fee_power_factor))


def split_fee(fee: int, protocol_share: int, market_in: int, total_in: int) -> FeeSplit:
    """Who gets how much of a bin's fee (quote.rs, split_fee; the host's part: the program, which has no source).

    `market_in` of `total_in` went to market makers. The protocol takes its share of their fee, and half of the limit
    orders' fee whatever its share; a host takes a fifth of the share of either, each rounded down.
    """
    if not total_in:
        return FeeSplit(0, fee, 0, 0)
    market_fee = -(-fee * market_in // total_in)
    order_fee = fee - market_fee
    to_orders = order_fee * LIMIT_ORDER_FEE_SHARE // BASIS_POINT_MAX
    market_share = market_fee * protocol_share // BASIS_POINT_MAX
    order_share = order_fee * protocol_share // BASIS_POINT_MAX
    return FeeSplit(
        market_makers=market_fee - market_share,
        protocol=order_fee - to_orders + market_share,
        limit_orders=to_orders,
        host=market_share * HOST_FEE_BPS // BASIS_POINT_MAX + order_share * HOST_FEE_BPS // BASIS_POINT_MAX,
    )


class Ladder:
    """One direction's bins in the order a swap empties them, from given volatility references on.

    `columns(index)` gives a bin array's columns for this direction; what it raises passes through, and the ladder can
    go on from there another time.
    """

    def __init__(
        self,
        pair: LbPair,
        bitmap: BinArrayBitmap,
        columns: Callable[[int], BinColumns],
        swap_for_y: bool,
        references: tuple[int, int],
    ) -> None:
        parameters = pair.parameters
        self._bitmap = bitmap
        self._columns = columns
        self._swap_for_y = swap_for_y
        self._fee_on_input = pair.fee_on_input(swap_for_y)
        # What a bin's fee rate follows from: together, so that they are at hand as locals at once.
        self._fee_terms = (
            *references,
            parameters.max_volatility_accumulator,
            base_fee_rate(parameters, pair.bin_step),
            parameters.variable_fee_control,
            pair.bin_step,
        )
        self._min_bin, self._max_bin = parameters.min_bin_id, parameters.max_bin_id
        self._rungs: list[Rung] = []
        # By rung: the largest input that ends in it or before it; then what all rungs before it take, give and charge.
        self._ends: list[int] = []
        self._before: list[tuple[int, int, int]] = [(0, 0, 0)]
        self._arrays: list[int] = []
        # By array: how many rungs there were before it.
        self._entered_at: list[int] = []
        # The next bin to look at, and the columns of its array once that has been entered.
        self._next_bin = pair.active_id
        self._array: BinColumns | None = None
        # What keeps every swap from going beyond the last rung.
        self._obstacle: OutOfLiquidity | None = None

    def swap(self, amount_in: int, fills: list[BinFill] | None = None) -> SwapResult:
        """Swap `amount_in`: above zero, and without any transfer fee of its mint.

        Where `fills` is given, what happens in each bin is appended to it.
        Raises OutOfLiquidity, and what `columns` raises.
        """
        ends = self._ends
        while not ends or amount_in > ends[-1]:
            self._climb(amount_in)
        last = bisect_left(ends, amount_in)
        rung = self._rungs[last]
        in_before, out_before, fee_before = self._before[last]
        fill = self._fill(rung, amount_in - in_before)
        _, _, market_out, _, processed_out, _, open_out, fee = fill
        if fills is not None:
            fills.extend(self._emptied(index) for index in range(last))
            fills.append(fill)
        amount_out = out_before + market_out + processed_out + open_out
        return new_record(
            SwapResult,
            (
                amount_out if self._fee_on_input else amount_out - fee,
                fee_before + fee,
                last + 1,
                tuple(self._arrays[: bisect_right(self._entered_at, last)]),
                rung.bin_id,
                rung.volatility_accumulator,
            ),
        )

    def rungs_of_falling(self, amount_in: int) -> int | None:
        """How many bins a swap of up to `amount_in` comes to; None where one pays more for a unit than the one before.

        Of an input that is too large for the bins, all of them. Raises what `columns` raises.
        """
        with suppress(OutOfLiquidity):
            while not self._ends or amount_in > self._ends[-1]:
                self._climb(amount_in)
        rungs = self._rungs[: bisect_left(self._ends, amount_in) + 1]
        for rung, following in pairwise(rungs):
            # what a unit more brings: price, or its inverse, less the fee
            kept, kept_next = FEE_PRECISION - rung.rate, FEE_PRECISION - following.rate
            before, after = (rung.price, following.price) if self._swap_for_y else (following.price, rung.price)
            if kept_next * after > kept * before:
                return None
        return len(rungs)

    def _fill(self, rung: Rung, amount_in: int) -> BinFill:
        """What the bin in which `amount_in` ends makes of it (quote.rs, swap_exact_in_quote_at_bin)."""
        _, price, rate, _, market_out, market_in, processed_out, processed_in, open_out, open_in = rung
        down, fee_on_input = self._swap_for_y, self._fee_on_input
        fee = 0
        if fee_on_input:
            fee = -(-amount_in * rate // FEE_PRECISION)
        left = amount_in - fee
        if left < market_in:
            market_in, market_out = left, left * price >> 64 if down else (left << 64) // price
        if processed_in or open_in:
            left -= market_in
            if left < processed_in:
                processed_in, processed_out = left, left * price >> 64 if down else (left << 64) // price
            left -= processed_in
            if left < open_in:
                open_in, open_out = left, left * price >> 64 if down else (left << 64) // price
        if not fee_on_input:
            fee = -(-(market_out + processed_out + open_out) * rate // FEE_PRECISION)
        fill = (rung, market_in, market_out, processed_in, processed_out, open_in, open_out, fee)
        return new_record(BinFill, fill)

    def _emptied(self, index: int) -> BinFill:
        """What a swap takes from a bin that it goes beyond."""
        rung = self._rungs[index]
        return BinFill(
            rung=rung,
            market_in=rung.market_in,
            market_out=rung.market_out,
            processed_in=rung.processed_in,
            processed_out=rung.processed_out,
            open_in=rung.open_in,
            open_out=rung.open_out,
            fee=self._before[index + 1][2] - self._before[index][2],
        )

    def _climb(self, amount_in: int) -> None:
        """Add the rungs of one array, no further than `amount_in` needs."""
        if self._obstacle is not None:
            raise self._obstacle.with_traceback(None)
        columns = self._array or self._enter_array()
        start = self._next_bin
        first_bin = start // BINS_PER_ARRAY * BINS_PER_ARRAY
        down = self._swap_for_y
        if down:
            step, walk = -1, range(start, max(first_bin, self._min_bin) - 1, -1)
        else:
            step, walk = 1, range(start, min(first_bin + BINS_PER_ARRAY - 1, self._max_bin) + 1)
        holds, market, price_low, price_high, orders, _ = columns
        fee_on_input = self._fee_on_input
        reference, index_reference, max_accumulator, base_rate, control, bin_step = self._fee_terms
        total_in, total_out, total_fee = self._before[-1]
        bin_id = start
        # A jump to an array is not held to the pair's range of bins, only the steps from there on are.
        for bin_id in walk or (start,):
            position = bin_id - first_bin
            if not holds[position]:
                continue
            bin_out = market_out = market[position]
            price = price_high[position] << 64 | price_low[position]
            bin_in = market_in = _amount_in(market_out, price, down)
            if market_in > U64_MAX:
                self._obstacle = _overflow(bin_id, price)
                break
            processed_out = processed_in = open_out = open_in = 0
            if orders:
                processed_out, processed_in, open_out, open_in = self._orders(columns, position, bin_id, price)
                bin_out += processed_out + open_out
                bin_in += processed_in + open_in
            # lb_pair.rs, update_volatility_accumulator, get_variable_fee, get_total_fee
            accumulator = reference + abs(index_reference - bin_id) * BASIS_POINT_MAX
            if accumulator > max_accumulator:
                accumulator = max_accumulator
            moved = accumulator * bin_step
            # -(-a // b) rounds up, here and below.
            rate = base_rate - (-control * moved * moved // _VARIABLE_FEE_SCALE)
            if rate > MAX_FEE_RATE:
                rate = MAX_FEE_RATE
            if fee_on_input:
                # A swap goes beyond the bin if its input less the fee on all of it exceeds `bin_in`; then it pays in
                # the bin only the fee on what the bin takes.
                kept = FEE_PRECISION - rate
                end = total_in - (-(bin_in + 1) * FEE_PRECISION // kept) - 1
                fee = -(-bin_in * rate // kept)
                total_in += bin_in + fee
                total_out += bin_out
            else:
                end = total_in + bin_in
                fee = -(-bin_out * rate // FEE_PRECISION)
                total_in += bin_in
                total_out += bin_out - fee
            total_fee += fee
            rung = (
                bin_id,
                price,
                rate,
                accumulator,
                market_out,
                market_in,
                processed_out,
                processed_in,
                open_out,
                open_in,
            )
            self._rungs.append(_new_rung(Rung, rung))
            self._ends.append(end)
            self._before.append((total_in, total_out, total_fee))
            if amount_in <= end or self._obstacle is not None:
                break
        self._step_to(bin_id + step, first_bin)

    def _step_to(self, bin_id: int, first_bin: int) -> None:
        """Note where the walk goes on: in the array that begins with `first_bin`, beyond it, or not at all."""
        self._next_bin = bin_id
        if not first_bin <= bin_id < first_bin + BINS_PER_ARRAY:
            self._array = None
        if self._obstacle is None and not self._min_bin <= bin_id <= self._max_bin:
            self._obstacle = BinOutOfRange(f"bin {bin_id} is out of the pair's range")

    def _enter_array(self) -> BinColumns:
        """The columns of the next array with liquidity; `_next_bin` becomes the bin to begin with in it."""
        down, start = self._swap_for_y, self._next_bin // BINS_PER_ARRAY
        index = self._bitmap.next_index(start, down)
        if index is None:
            raise NoBinArray("no bin array further on has liquidity")
        columns = self._columns(index)
        if index != start:
            self._next_bin = index * BINS_PER_ARRAY + (BINS_PER_ARRAY - 1 if down else 0)
        self._arrays.append(index)
        self._entered_at.append(len(self._rungs))
        self._array = columns
        return columns

    def _orders(self, columns: BinColumns, position: int, bin_id: int, price: int) -> tuple[int, int, int, int]:
        """What a bin's limit orders pay and cost: processed out and in, open out and in.

        The program looks at them only once the market makers' part is taken: up to there a swap succeeds, even where
        the program fails on what they cost. That is an obstacle then, and they pay nothing.
        """
        processed_out, open_out = columns.processed[position], columns.open_orders[position]
        processed_in = _amount_in(processed_out, price, self._swap_for_y)
        open_in = _amount_in(open_out, price, self._swap_for_y)
        if processed_in > U64_MAX:
            self._obstacle = _overflow(bin_id, price)
            return 0, 0, 0, 0
        if open_in > U64_MAX:
            self._obstacle = _overflow(bin_id, price)
            return processed_out, processed_in, 0, 0
        return processed_out, processed_in, open_out, open_in


def _overflow(bin_id: int, price: int) -> OutOfLiquidity:
    if price:
        return BinOverflow(f"bin {bin_id} holds more than a u64 could buy")
    return BinUnpriced(f"bin {bin_id} has no price")


def _amount_in(amount_out: int, price: int, swap_for_y: bool) -> int:
    """What buys `amount_out` at `price`, rounded up (bin.rs, get_amount_in)."""
    if not swap_for_y:
        return -(-amount_out * price >> 64)
    if price:
        return -(-(amount_out << 64) // price)
    # A bin whose price was never stored: the program fails to divide by it.
    return U64_MAX + 1 if amount_out else 0
