"""A ladder of bins answers every swap as a walk from bin to bin does; prices and fees are the program's to the unit."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.venues.fixed_point import ONE
from chalicelib.venues.meteora_dlmm.layout import (
    BIN_ARRAY_LENGTH,
    BIN_LENGTH,
    BINS_OFFSET,
    BINS_PER_ARRAY,
    PROGRAM_ID,
    BinArrayBitmap,
    BinColumns,
    LbPair,
)
from chalicelib.venues.meteora_dlmm.math import (
    FEE_PRECISION,
    MAX_FEE_RATE,
    U64_MAX,
    BinFill,
    BinOutOfRange,
    BinOverflow,
    BinUnpriced,
    FeeSplit,
    Ladder,
    NoBinArray,
    OutOfLiquidity,
    base_fee_rate,
    price_of_bin,
    references_at,
    split_fee,
)
from tests.conformance.vector_file import VectorFile

VECTORS = VectorFile.load(Path(__file__).parents[1] / "conformance" / "vectors" / "meteora_dlmm.json")
PAIR = LbPair.decode(PROGRAM_ID, VECTORS.pools["syn_lo"].accounts[VECTORS.pools["syn_lo"].address].data)
_BIN = Struct("<QQ16s16s64xQQQIB3x")


class Bin(NamedTuple):
    """One bin of a made-up book: what it holds of each token, and its orders."""

    amount_x: int = 0
    amount_y: int = 0
    open_orders: int = 0
    processed: int = 0
    ask: bool = False
    price: int | None = None


class Book:
    """Bins by id, as bin arrays and a bitmap."""

    def __init__(self, bins: dict[int, Bin], bin_step: int) -> None:
        self.bins = bins
        self.bin_step = bin_step
        self.indexes = sorted({bin_id // BINS_PER_ARRAY for bin_id in bins})

    def bitmap(self) -> BinArrayBitmap:
        positive = sum(1 << index for index in self.indexes if index >= 0)
        negative = sum(1 << (-1 - index) for index in self.indexes if index < 0)
        return BinArrayBitmap(positive, negative, 512)

    def price(self, bin_id: int) -> int:
        price = self.bins[bin_id].price
        return price_of_bin(bin_id, self.bin_step) if price is None else price

    def columns(self, index: int, swap_for_y: bool) -> BinColumns:
        data = bytearray(BIN_ARRAY_LENGTH)
        for position in range(BINS_PER_ARRAY):
            bin_id = index * BINS_PER_ARRAY + position
            if bin_id in self.bins:
                each = self.bins[bin_id]
                price = self.price(bin_id).to_bytes(16, "little")
                offset = BINS_OFFSET + position * BIN_LENGTH
                _BIN.pack_into(
                    data,
                    offset,
                    each.amount_x,
                    each.amount_y,
                    price,
                    bytes(16),
                    each.open_orders,
                    0,
                    each.processed,
                    0,
                    each.ask,
                )
        return BinColumns.decode(bytes(data), swap_for_y, limit_orders=True)


def pair_with(active_id: int = 0, bin_step: int = 20, **parameters: int) -> LbPair:
    return PAIR._replace(parameters=PAIR.parameters._replace(**parameters), active_id=active_id, bin_step=bin_step)


def ladder(pair: LbPair, book: Book, swap_for_y: bool, references: tuple[int, int]) -> Ladder:
    return Ladder(pair, book.bitmap(), lambda index: book.columns(index, swap_for_y), swap_for_y, references)


class Walked(NamedTuple):
    amount_out: int
    fee: int
    active_id: int
    accumulator: int


def fee_rate(pair: LbPair, accumulator: int) -> int:
    parameters = pair.parameters
    base: int = parameters.base_factor * pair.bin_step * 10 * 10**parameters.base_fee_power_factor
    square = (accumulator * pair.bin_step) ** 2 * parameters.variable_fee_control
    return min(base + (square + 99_999_999_999) // 100_000_000_000, MAX_FEE_RATE)


def ceil_div(numerator: int, denominator: int) -> int:
    return (numerator + denominator - 1) // denominator


def walk(pair: LbPair, book: Book, swap_for_y: bool, references: tuple[int, int], amount_in: int) -> Walked | None:
    """commons/src/quote.rs, quote_exact_in, step by step. None: out of liquidity."""
    left, total_out, total_fee, accumulator = amount_in, 0, 0, 0
    fee_on_input = pair.fee_on_input(swap_for_y)
    ahead = [bin_id for bin_id in book.bins if (bin_id <= pair.active_id if swap_for_y else bin_id >= pair.active_id)]
    for bin_id in sorted(ahead, reverse=swap_for_y):
        each, price = book.bins[bin_id], book.price(bin_id)
        layers = [each.amount_y if swap_for_y else each.amount_x]
        if each.ask != swap_for_y:
            layers += [each.processed, each.open_orders]
        if not any(layers):
            continue
        volatility_reference, index_reference = references
        accumulator = volatility_reference + abs(index_reference - bin_id) * 10_000
        accumulator = min(accumulator, pair.parameters.max_volatility_accumulator)
        rate = fee_rate(pair, accumulator)
        fee = ceil_div(left * rate, FEE_PRECISION) if fee_on_input else 0
        unspent, bin_out = left - fee, 0
        offered = unspent
        for layer in layers:
            cost = ceil_div(layer << 64, price) if swap_for_y else ceil_div(layer * price, ONE)
            if unspent >= cost:
                unspent, bin_out = unspent - cost, bin_out + layer
            else:
                bin_out += unspent * price >> 64 if swap_for_y else (unspent << 64) // price
                unspent = 0
        taken = left
        if unspent:
            fee = ceil_div((offered - unspent) * rate, FEE_PRECISION - rate) if fee_on_input else 0
            taken = offered - unspent + fee
        if not fee_on_input:
            fee = ceil_div(bin_out * rate, FEE_PRECISION)
            bin_out -= fee
        left, total_out, total_fee = left - taken, total_out + bin_out, total_fee + fee
        if not left:
            return Walked(total_out, total_fee, bin_id, accumulator)
    return None


amounts = st.one_of(st.integers(0, 4), st.integers(0, 2_000_000), st.integers(0, 10**15))


@st.composite
def bins(draw: st.DrawFn) -> dict[int, Bin]:
    ids = draw(st.lists(st.integers(-160, 160), min_size=1, max_size=25, unique=True))
    return {
        bin_id: Bin(
            amount_x=draw(amounts) if bin_id >= 0 else 0,
            amount_y=draw(amounts) if bin_id <= 0 else 0,
            open_orders=draw(st.one_of(st.just(0), amounts)),
            processed=draw(st.one_of(st.just(0), amounts)),
            ask=bin_id > 0,
        )
        for bin_id in ids
    }


pairs = st.builds(
    pair_with,
    bin_step=st.sampled_from([1, 10, 80, 400]),
    base_factor=st.sampled_from([0, 1, 8_000, 60_000]),
    variable_fee_control=st.sampled_from([0, 40_000, 900_000]),
    max_volatility_accumulator=st.sampled_from([0, 100_000, 350_000]),
    collect_fee_mode=st.sampled_from([0, 1]),
)
references = st.tuples(st.sampled_from([0, 20_000, 150_000]), st.integers(-8, 8))
inputs = st.lists(st.one_of(st.integers(1, 10), st.integers(1, 10**7), st.integers(1, 10**17)), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(pairs, bins(), st.booleans(), references, inputs)
def test_a_ladder_gives_what_a_walk_from_bin_to_bin_gives(
    pair: LbPair, made_up: dict[int, Bin], swap_for_y: bool, refs: tuple[int, int], sizes: list[int]
) -> None:
    book = Book(made_up, pair.bin_step)
    steps = ladder(pair, book, swap_for_y, refs)

    for amount_in in sizes:
        expected = walk(pair, book, swap_for_y, refs, amount_in)
        if expected is None:
            with pytest.raises(NoBinArray):
                steps.swap(amount_in)
        else:
            result = steps.swap(amount_in)
            assert Walked(result.amount_out, result.fee, result.active_id, result.volatility_accumulator) == expected


@settings(max_examples=150, deadline=None)
@given(pairs, bins(), st.booleans(), references, st.integers(1, 10**12))
def test_fills_add_up_to_the_swap(
    pair: LbPair, made_up: dict[int, Bin], swap_for_y: bool, refs: tuple[int, int], amount_in: int
) -> None:
    book = Book(made_up, pair.bin_step)
    fills: list[BinFill] = []

    try:
        result = ladder(pair, book, swap_for_y, refs).swap(amount_in, fills)
    except OutOfLiquidity:
        return

    fee_on_input = pair.fee_on_input(swap_for_y)
    paid_in = sum(fill.market_in + fill.processed_in + fill.open_in for fill in fills)
    paid_out = sum(fill.market_out + fill.processed_out + fill.open_out for fill in fills)
    fee = sum(fill.fee for fill in fills)
    assert fee == result.fee
    assert paid_in == amount_in - (fee if fee_on_input else 0)
    assert paid_out == result.amount_out + (0 if fee_on_input else fee)
    assert [fill.rung.bin_id for fill in fills][-1] == result.active_id
    assert len(fills) == result.bins


@settings(max_examples=100, deadline=None)
@given(pairs, bins(), st.booleans(), references, st.integers(1, 10**12), st.integers(1, 10**12))
def test_more_in_never_gives_less_out(
    pair: LbPair, made_up: dict[int, Bin], swap_for_y: bool, refs: tuple[int, int], less: int, more: int
) -> None:
    steps = ladder(pair, Book(made_up, pair.bin_step), swap_for_y, refs)
    less, more = sorted((less, more))

    try:
        most = steps.swap(more).amount_out
    except OutOfLiquidity:
        return

    assert steps.swap(less).amount_out <= most


def test_the_edges_of_each_bin_are_where_the_program_has_them() -> None:
    """One unit more or less around the amount that empties a bin, where the roundings of the fee show."""
    made_up = {bin_id: Bin(amount_x=997 + bin_id, amount_y=0) for bin_id in range(12)}
    for rate in (0, 1, 777, 40_000):
        pair = pair_with(bin_step=100, base_factor=rate)
        book = Book(made_up, 100)
        steps = ladder(pair, book, False, (0, 0))
        for amount_in in range(1, 9_000):
            expected = walk(pair, book, False, (0, 0), amount_in)
            assert expected is not None
            assert steps.swap(amount_in).amount_out == expected.amount_out


def test_prices_are_those_that_the_program_stored() -> None:
    checked = 0
    for pool in VECTORS.pools.values():
        pair = LbPair.decode(PROGRAM_ID, pool.accounts[pool.address].data)
        for index, address in pool.roles["bin_arrays"].items():
            data = next(account.data for key, account in pool.accounts.items() if str(key) == address)
            columns = BinColumns.decode(data, swap_for_y=True, limit_orders=False)
            for position, (low, high) in enumerate(zip(columns.price_low, columns.price_high, strict=True)):
                bin_id = int(index) * BINS_PER_ARRAY + position
                if high << 64 | low:
                    assert price_of_bin(bin_id, pair.bin_step) == high << 64 | low
                    checked += 1
    assert checked > 500


@given(st.integers(-2_000, 2_000), st.sampled_from([1, 5, 10, 20]))
def test_a_bins_price_is_the_power_of_its_step(bin_id: int, bin_step: int) -> None:
    exact = (1 + Fraction(bin_step, 10_000)) ** bin_id

    assert abs(Fraction(price_of_bin(bin_id, bin_step), ONE) / exact - 1) < Fraction(1, 10**9)


def test_a_bin_too_far_out_has_no_price() -> None:
    for bin_id in (-(1 << 20), 1 << 20, -40_000):
        with pytest.raises(OverflowError, match=f"^bin {bin_id} has no price$"):
            price_of_bin(bin_id, 400)


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (0, (20_000, 7)),
        (29, (20_000, 7)),
        (30, (45_000, 3)),
        (599, (45_000, 3)),
        (600, (0, 3)),
        (-5, (20_000, 7)),
    ],
)
def test_volatility_is_kept_then_halved_then_forgotten(elapsed: int, expected: tuple[int, int]) -> None:
    pair = PAIR._replace(volatility=type(PAIR.volatility)(90_000, 20_000, 7, 1_000_000), active_id=3)
    assert (pair.parameters.filter_period, pair.parameters.decay_period) == (30, 600)

    assert references_at(pair, 1_000_000 + elapsed) == expected


def test_what_is_left_of_the_volatility_is_a_u32_before_it_is_divided() -> None:
    def decayed(accumulator: int, factor: int) -> tuple[int, int]:
        pair = pair_with(active_id=3, reduction_factor=factor)
        return references_at(pair._replace(volatility=type(PAIR.volatility)(accumulator, 0, 7, 1_000_000)), 1_000_030)

    assert 3_342_387 * 1_285 == 2**32 - 1
    assert decayed(3_342_387, 1_285) == (429_496, 3)
    with pytest.raises(OverflowError, match="the volatility accumulator overflows"):
        decayed(2**20, 2**12)


def test_a_base_fee_is_its_factor_times_the_step_and_a_power_of_ten() -> None:
    for power, expected in ((0, 1_600_000), (1, 16_000_000), (3, 1_600_000_000)):
        parameters = PAIR.parameters._replace(base_factor=8_000, base_fee_power_factor=power)
        assert base_fee_rate(parameters, 20) == expected


@given(st.integers(0, 10**12), st.integers(0, 10_000), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_bins_fee_is_split_without_a_remainder(fee: int, share: int, market_in: int, orders_in: int) -> None:
    split = split_fee(fee, share, market_in, market_in + orders_in)

    assert split.market_makers + split.protocol + split.limit_orders == fee
    assert min(split) >= 0


def test_a_fee_on_nothing_that_was_traded_is_the_protocols() -> None:
    assert split_fee(7, 1_000, 0, 0) == FeeSplit(market_makers=0, protocol=7, limit_orders=0, host=0)


NO_FEE = pair_with(base_factor=0, variable_fee_control=0)


@pytest.mark.parametrize(
    ("swap_for_y", "bins_", "limit"),
    [
        (False, {0: Bin(amount_x=100), 3: Bin(amount_x=100), 4: Bin(amount_x=100)}, {"max_bin_id": 3}),
        (False, {2: Bin(amount_x=100), 3: Bin(amount_x=100), 4: Bin(amount_x=100)}, {"max_bin_id": 3}),
        (True, {-2: Bin(amount_y=100), -3: Bin(amount_y=100), -4: Bin(amount_y=100)}, {"min_bin_id": -3}),
    ],
)
def test_a_swap_stops_at_the_end_of_the_pairs_range_of_bins(
    swap_for_y: bool, bins_: dict[int, Bin], limit: dict[str, int]
) -> None:
    first, last, beyond = bins_
    steps = ladder(pair_with(**limit), Book(bins_, 20), swap_for_y, (0, 0))

    assert steps.swap(50).active_id == first
    assert steps.swap(150).active_id == last
    for _ in range(2):
        with pytest.raises(BinOutOfRange, match=f"^bin {beyond} is out of the pair's range$"):
            steps.swap(1_000)
    assert steps.swap(150).active_id == last


@pytest.mark.parametrize("swap_for_y", [True, False])
def test_an_array_is_entered_once_however_many_swaps_walk_through_it(swap_for_y: bool) -> None:
    edge = 0 if swap_for_y else BINS_PER_ARRAY - 1
    start = edge + (1 if swap_for_y else -1)
    book = Book({start: Bin(amount_x=100, amount_y=100), edge: Bin(amount_x=100, amount_y=100)}, 20)
    steps = ladder(NO_FEE._replace(active_id=start), book, swap_for_y, (0, 0))

    assert [steps.swap(amount).arrays for amount in (50, 150, 150)] == [(0,)] * 3


@pytest.mark.parametrize("swap_for_y", [True, False])
def test_an_amount_comes_to_no_more_bins_than_it_needs_and_to_no_array_besides_theirs(swap_for_y: bool) -> None:
    """A hundred units each at a price of one, the third in the next array, which was not read."""
    step = -1 if swap_for_y else 1
    active = 0 if step > 0 else BINS_PER_ARRAY - 1
    alike = Bin(amount_x=100, amount_y=100, price=ONE)
    book = Book({active: alike, active + step: alike, active + step * BINS_PER_ARRAY: alike}, 20)
    read = {0: book.columns(0, swap_for_y)}
    steps = Ladder(NO_FEE._replace(active_id=active), book.bitmap(), read.__getitem__, swap_for_y, (0, 0))

    assert [steps.rungs_of_falling(amount) for amount in (1, 100, 101, 200, 100)] == [1, 1, 2, 2, 1]
    with pytest.raises(KeyError):
        steps.rungs_of_falling(201)


@pytest.mark.parametrize("swap_for_y", [True, False])
def test_a_price_that_gets_worse_from_bin_to_bin_is_falling_where_the_fee_does_not_fall(swap_for_y: bool) -> None:
    book = Book({bin_id: Bin(amount_x=100, amount_y=100) for bin_id in range(-2, 3)}, 20)

    assert ladder(pair_with(base_factor=60_000), book, swap_for_y, (0, 0)).rungs_of_falling(10_000) == 3


def test_a_jump_over_empty_arrays_lands_even_beyond_the_range() -> None:
    book = Book({0: Bin(amount_x=100), 5 * BINS_PER_ARRAY: Bin(amount_x=100)}, 20)

    assert ladder(pair_with(max_bin_id=100), book, False, (0, 0)).swap(150).active_id == 5 * BINS_PER_ARRAY


@pytest.mark.parametrize(("swap_for_y", "nearest"), [(True, -BINS_PER_ARRAY - 1), (False, 2 * BINS_PER_ARRAY)])
def test_a_jump_over_an_empty_array_begins_with_the_nearest_bin_of_the_next(swap_for_y: bool, nearest: int) -> None:
    book = Book({bin_id: Bin(amount_x=100, amount_y=100) for bin_id in (0, nearest)}, 20)

    result = ladder(pair_with(), book, swap_for_y, (0, 0)).swap(150)

    assert (result.active_id, result.arrays) == (nearest, (0, nearest // BINS_PER_ARRAY))


def test_a_bin_that_costs_more_than_a_u64_stops_a_swap_before_it() -> None:
    book = Book({0: Bin(amount_x=100), 1: Bin(amount_x=1 << 60, price=1 << 80)}, 20)
    steps = ladder(pair_with(), book, False, (0, 0))

    with pytest.raises(BinOverflow):
        steps.swap(1_000)
    assert steps.swap(50).active_id == 0


@pytest.mark.parametrize("orders", ["open_orders", "processed"])
def test_orders_that_cost_more_than_a_u64_leave_the_market_makers_part_tradable(orders: str) -> None:
    book = Book({1: Bin(amount_x=1_000, ask=True, price=1 << 80, **{orders: 1 << 60})}, 20)
    steps = ladder(NO_FEE, book, False, (0, 0))

    assert steps.swap(1_000 << 16).amount_out == 1_000
    with pytest.raises(BinOverflow, match=r"^bin 1 holds more than a u64 could buy$"):
        steps.swap((1_000 << 16) + 1)


@pytest.mark.parametrize("orders", ["open_orders", "processed"])
def test_no_swap_goes_beyond_orders_that_cost_more_than_a_u64(orders: str) -> None:
    dear = Bin(amount_x=1_000, ask=True, price=1 << 80, **{orders: 1 << 60})
    steps = ladder(NO_FEE, Book({1: dear, 2: Bin(amount_x=10**9, price=1 << 80)}, 20), False, (0, 0))

    with pytest.raises(BinOverflow, match=r"^bin 1 holds more than a u64 could buy$"):
        steps.swap(2_000 << 16)


@pytest.mark.parametrize("layer", ["market", "open_orders", "processed"])
@pytest.mark.parametrize(("swap_for_y", "price"), [(True, 10 * ONE), (False, ONE // 10)])
def test_what_empties_a_layer_is_paid_what_the_layer_holds_though_its_last_unit_is_worth_more(
    layer: str, swap_for_y: bool, price: int
) -> None:
    """1001 cost 100.1, and so 101, for which the price alone would pay 1010."""
    name = layer if layer != "market" else "amount_y" if swap_for_y else "amount_x"
    held: dict[str, Any] = {name: 1_001}
    bin_ = Bin(ask=not swap_for_y, price=price, **held)
    steps = ladder(NO_FEE, Book({0: bin_}, 20), swap_for_y, (0, 0))

    assert [steps.swap(amount).amount_out for amount in (100, 101)] == [1_000, 1_001]


@pytest.mark.parametrize("layer", ["amount_y", "open_orders", "processed"])
def test_a_fee_on_the_output_is_of_all_that_a_bin_pays(layer: str) -> None:
    pair = pair_with(base_factor=10_000, variable_fee_control=0, collect_fee_mode=1)
    held: dict[str, Any] = {layer: 10**6}
    steps = ladder(pair, Book({0: Bin(price=ONE, **held)}, 20), True, (0, 0))

    result = steps.swap(500_000)

    assert (result.amount_out, result.fee) == (499_000, 1_000)  # 0.2 %


@pytest.mark.parametrize("orders", ["open_orders", "processed"])
def test_orders_that_cost_all_of_a_u64_are_traded(orders: str) -> None:
    book = Book({1: Bin(amount_x=10, ask=True, price=ONE, **{orders: U64_MAX})}, 20)

    assert ladder(NO_FEE, book, False, (0, 0)).swap(30).amount_out == 30


def test_market_makers_liquidity_that_costs_all_of_a_u64_is_traded() -> None:
    book = Book({1: Bin(amount_x=U64_MAX, price=ONE)}, 20)

    assert ladder(NO_FEE, book, False, (0, 0)).swap(30).amount_out == 30


@pytest.mark.parametrize("bin_", [Bin(amount_y=100, price=0), Bin(amount_y=0, open_orders=100, price=0)])
def test_a_bin_without_a_price_stops_a_swap_for_y(bin_: Bin) -> None:
    book = Book({0: bin_}, 20)

    with pytest.raises(BinUnpriced, match=r"^bin 0 has no price$"):
        ladder(pair_with(), book, True, (0, 0)).swap(10)
    with pytest.raises(BinUnpriced, match=r"^bin 0 has no price$"):
        ladder(NO_FEE, book, True, (0, 0)).swap(1)


@given(
    st.sets(st.integers(-6_656, 6_655), max_size=12),
    st.integers(-6_700, 6_700),
    st.booleans(),
    st.sampled_from([512, 6_656]),
)
def test_the_bitmap_finds_the_nearest_array_in_reach(indexes: set[int], start: int, down: bool, reach: int) -> None:
    within = {index for index in indexes if -reach <= index < reach}
    bitmap = BinArrayBitmap(
        sum(1 << index for index in within if index >= 0),
        sum(1 << (-1 - index) for index in within if index < 0),
        reach,
    )
    ahead = sorted((index for index in within if (index <= start if down else index >= start)), reverse=down)

    found = bitmap.indexes_from(start, down, 3)

    assert found == (ahead[:3] if -reach <= start < reach else [])
