"""Hypothesis strategies for pools, written by the builders of the genesis market, and for swaps through them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import log2

from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    ExtensionType,
    Mint,
    TransferFee,
    TransferFeeConfig,
)
from chalicelib.venues.meteora_damm_v2.layout import (
    BaseFee,
    DammV2CollectFeeMode,
    DammV2DynamicFee,
    MarketCapScheduler,
    RateLimiter,
    TimeScheduler,
)
from chalicelib.venues.meteora_dlmm.layout import BINS_PER_ARRAY, bitmap_extension_address
from chalicelib.venues.meteora_dlmm.math import price_of_bin
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_damm_v2_pool import MAX_SQRT_PRICE, MIN_SQRT_PRICE, DammV2PoolSpec
from infra.localnet.programs.meteora_damm_v2_pool import dynamic_fee as usual_dynamic_fee
from infra.localnet.programs.meteora_damm_v2_pool import genesis_pool as damm_v2_pool
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec, LimitOrders
from infra.localnet.programs.meteora_dlmm_pool import genesis_pool as dlmm_pool
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec
from infra.localnet.programs.raydium_clmm_pool import genesis_pool as clmm_pool
from infra.localnet.programs.raydium_cpmm_pool import CpmmPoolSpec
from infra.localnet.programs.raydium_cpmm_pool import genesis_pool as cpmm_pool
from infra.localnet.programs.token_accounts import mint_account

U64_MAX = (1 << 64) - 1
U128_MAX = (1 << 128) - 1
U127_MAX = (1 << 127) - 1
EPOCH = 700
NOW = 1_760_000_000
# Of the three fees that a CPMM vault owes, each.
_LARGEST_DEBT = 1 << 60
# How far _bins goes from the active bin.
_FARTHEST_BIN = 4 * (150 + 12)
# Token 0 and 1, or X and Y.
_FIRST_MINT, _SECOND_MINT = (Pubkey.find_program_address([name], TOKEN_PROGRAM)[0] for name in (b"first", b"second"))


@dataclass(frozen=True)
class MadeUpPool:
    """A pool, a clock, and swaps (mint in, amount in) to try on it."""

    spec: CpmmPoolSpec | DlmmPoolSpec | ClmmPoolSpec | DammV2PoolSpec
    clock: ChainClock
    swaps: tuple[tuple[Pubkey, int], ...]

    @cached_property
    def _pool(self) -> GenesisPool:
        if isinstance(self.spec, ClmmPoolSpec):
            return clmm_pool(self.spec)
        if isinstance(self.spec, DammV2PoolSpec):
            return damm_v2_pool(self.spec)
        return cpmm_pool(self.spec) if isinstance(self.spec, CpmmPoolSpec) else dlmm_pool(self.spec)

    @property
    def address(self) -> Pubkey:
        return self._pool.address

    @property
    def mints(self) -> tuple[Mint, Mint]:
        match self.spec:
            case CpmmPoolSpec(mints=mints_) | DammV2PoolSpec(mints=mints_):
                return mints_
            case DlmmPoolSpec(mint_x=mint_x, mint_y=mint_y):
                return mint_x, mint_y
            case ClmmPoolSpec(mint_0=mint_0, mint_1=mint_1):
                return mint_0, mint_1

    @cached_property
    def accounts(self) -> dict[Pubkey, Account | None]:
        """All of its accounts, mints included; None for a bitmap extension that doesn't exist."""
        spec, accounts = self.spec, dict[Pubkey, Account | None](self._pool.accounts)
        accounts |= {mint.address: mint_account(mint, supply=U64_MAX, authority=None) for mint in self.mints}
        if isinstance(spec, DlmmPoolSpec):
            accounts.setdefault(bitmap_extension_address(self.address), None)
        return accounts


def sizes(largest: int) -> st.SearchStrategy[int]:
    """From 1 to `largest`, each order of magnitude as likely as another."""
    bits = st.integers(1, largest.bit_length())
    return bits.flatmap(lambda n: st.integers(1 << (n - 1), min(largest, (1 << n) - 1)))


def clocks(timestamps: st.SearchStrategy[int]) -> st.SearchStrategy[ChainClock]:
    return timestamps.map(lambda at: ChainClock(slot=300_000_000, epoch=EPOCH, unix_timestamp=at))


def transfer_fees() -> st.SearchStrategy[TransferFee]:
    rate = st.one_of(st.just(0), st.integers(1, 1_000), st.integers(1, 10_000))
    limit = st.one_of(st.just(U64_MAX), st.just(0), sizes(1 << 40))
    return st.builds(TransferFee, epoch=st.integers(EPOCH - 2, EPOCH + 2), maximum_fee=limit, basis_points=rate)


@st.composite
def mints(draw: st.DrawFn, address: Pubkey) -> Mint:
    """Of SPL Token, or of Token-2022 with a transfer fee or without."""
    plain = Mint(address, TOKEN_PROGRAM, draw(st.integers(0, 9)))
    kind = draw(st.sampled_from(["plain", "plain", "token-2022", "transfer fee"]))
    if kind == "plain":
        return plain
    if kind == "token-2022":
        return replace(plain, token_program=TOKEN_2022_PROGRAM)
    return replace(
        plain,
        token_program=TOKEN_2022_PROGRAM,
        transfer_fee=TransferFeeConfig(draw(transfer_fees()), draw(transfer_fees())),
        extensions=frozenset({int(ExtensionType.TRANSFER_FEE_CONFIG)}),
    )


@st.composite
def cpmm_pools(draw: st.DrawFn) -> MadeUpPool:
    """Raydium CPMM: reserves from one unit up, owed fees, all fee rates and creator fee modes."""
    first, second = draw(mints(_FIRST_MINT)), draw(mints(_SECOND_MINT))
    reserves = st.one_of(st.integers(10**6, 10**15), sizes(U64_MAX - 3 * _LARGEST_DEBT))
    trade_rate = draw(st.one_of(st.sampled_from([0, 100, 2_500, 20_000]), st.integers(0, 999_999)))
    creator_rate = draw(st.one_of(st.sampled_from([0, 500]), st.integers(0, 999_999 - trade_rate)))
    protocol_rate = draw(st.one_of(st.just(120_000), st.integers(0, 1_000_000)))
    owed = st.one_of(st.just(0), sizes(_LARGEST_DEBT))
    owed_pairs = st.tuples(owed, owed)
    spec = CpmmPoolSpec(
        mints=(first, second),
        reserves=(draw(reserves), draw(reserves)),
        config_index=draw(st.integers(0, 3)),
        trade_fee_rate=trade_rate,
        protocol_fee_rate=protocol_rate,
        fund_fee_rate=draw(st.integers(0, 1_000_000 - protocol_rate)),
        creator_fee_rate=creator_rate,
        creator_fee_on=draw(st.integers(0, 2)),
        enable_creator_fee=draw(st.booleans()),
        protocol_fees=draw(owed_pairs),
        fund_fees=draw(owed_pairs),
        creator_fees=draw(owed_pairs),
    )
    swap = st.one_of(
        st.tuples(st.just(first.address), st.one_of(sizes(spec.reserves[0]), sizes(U64_MAX))),
        st.tuples(st.just(second.address), st.one_of(sizes(spec.reserves[1]), sizes(U64_MAX))),
    )
    return MadeUpPool(spec, draw(clocks(st.just(NOW))), tuple(draw(st.lists(swap, min_size=4, max_size=8))))


@st.composite
def dlmm_pools(draw: st.DrawFn) -> MadeUpPool:
    """Meteora DLMM: any bin step and fee, moved prices, gaps, many and far arrays, limit orders."""
    mint_x, mint_y = draw(mints(_FIRST_MINT)), draw(mints(_SECOND_MINT))
    bin_step = draw(st.sampled_from([1, 2, 4, 5, 8, 10, 20, 25, 50, 80, 100, 200, 400]))
    active_id = draw(_active_ids(bin_step))
    # The program keeps price times X as a u128.
    largest = U127_MAX // price_of_bin(active_id + _FARTHEST_BIN, bin_step)
    liquidity, orders = draw(_bins(active_id, largest))
    max_accumulator = draw(st.sampled_from([0, 100_000, 150_000, 350_000, 3_000_000]))
    filter_period = draw(st.sampled_from([1, 10, 30, 300]))
    decay_period = filter_period + draw(st.sampled_from([1, 60, 600]))
    spec = DlmmPoolSpec(
        mint_x=mint_x,
        mint_y=mint_y,
        bin_step=bin_step,
        active_id=active_id,
        base_factor=draw(st.one_of(st.sampled_from([5_000, 10_000, 20_000]), st.integers(0, 65_535))),
        base_fee_power_factor=draw(st.sampled_from([0, 0, 1])),
        liquidity=liquidity,
        orders=orders,
        filter_period=filter_period,
        decay_period=decay_period,
        reduction_factor=draw(st.integers(0, 10_000)),
        variable_fee_control=draw(st.one_of(st.sampled_from([0, 7_500, 40_000]), sizes((1 << 32) - 1))),
        max_volatility_accumulator=max_accumulator,
        protocol_share=draw(st.integers(0, 2_500)),
        function_type=draw(st.integers(0, 2)),
        collect_fee_mode=draw(st.integers(0, 1)),
        volatility_accumulator=draw(st.integers(0, max_accumulator)),
        volatility_reference=draw(st.integers(0, max_accumulator)),
        index_reference=active_id + draw(st.integers(-30, 30)),
        last_update_timestamp=NOW,
        with_bitmap_extension=draw(st.integers(0, 9)) == 0,
    )
    elapsed = st.sampled_from(
        [-3, 0, filter_period - 1, filter_period, decay_period - 1, decay_period, decay_period + 9]
    )
    capacity_x, capacity_y = _capacities(spec)
    swap = st.one_of(
        st.tuples(st.just(mint_x.address), st.one_of(sizes(2 * capacity_x), st.integers(1, capacity_x))),
        st.tuples(st.just(mint_y.address), st.one_of(sizes(2 * capacity_y), st.integers(1, capacity_y))),
    )
    clock = draw(clocks(elapsed.map(lambda seconds: NOW + seconds)))
    return MadeUpPool(spec, clock, tuple(draw(st.lists(swap, min_size=3, max_size=5))))


def _active_ids(bin_step: int) -> st.SearchStrategy[int]:
    """Where prices stay between 2^-40 and 2^40: near par, anywhere, and where the pair's own bitmap ends."""
    reach = int(40 / log2(1 + bin_step / 10_000)) - _FARTHEST_BIN
    edge = 512 * BINS_PER_ARRAY
    near, anywhere = st.integers(-200, 200), st.integers(-reach, reach)
    if reach <= edge + 200:
        return st.one_of(near, anywhere)
    edges = st.integers(-150, 150).flatmap(lambda offset: st.sampled_from([-edge + offset, edge + offset]))
    return st.one_of(near, near, anywhere, edges)


@st.composite
def _bins(draw: st.DrawFn, active_id: int, most: int) -> tuple[dict[int, tuple[int, int]], dict[int, LimitOrders]]:
    """Runs of bins with liquidity on both sides, with gaps between them, and orders on some."""
    largest = min(most, draw(st.sampled_from([3, 1_000, 10**9, 10**13])))
    amounts = st.integers(0, largest)
    liquidity = {active_id: (draw(amounts), draw(amounts))}
    orders: dict[int, LimitOrders] = {}
    for direction in (-1, 1):
        bin_id = active_id
        for _ in range(draw(st.integers(0, 4))):
            bin_id += direction * draw(st.sampled_from([1, 2, 30, 71, 150]))
            for _ in range(draw(st.integers(1, 12))):
                amount = draw(amounts)
                liquidity[bin_id] = (amount, 0) if direction > 0 else (0, amount)
                if draw(st.integers(0, 3)) == 0:
                    orders[bin_id] = draw(_limit_orders(ask=direction > 0, largest=largest))
                bin_id += direction
    if draw(st.booleans()):
        orders[active_id] = draw(_limit_orders(ask=draw(st.booleans()), largest=largest))
    return liquidity, orders


def _capacities(spec: DlmmPoolSpec) -> tuple[int, int]:
    """About how much of X and of Y the pool takes, at the active bin's price."""
    price = price_of_bin(spec.active_id, spec.bin_step)
    pays_x, pays_y = (sum(amounts[side] for amounts in spec.liquidity.values()) for side in (0, 1))
    takes = (pays_y << 64) // price, pays_x * price >> 64
    return max(1, min(takes[0], U64_MAX >> 1)), max(1, min(takes[1], U64_MAX >> 1))


@st.composite
def _limit_orders(draw: st.DrawFn, ask: bool, largest: int) -> LimitOrders:
    amounts = st.integers(0, largest)
    processing = draw(amounts)
    return LimitOrders(ask, open=draw(amounts), processing=processing, remaining=draw(st.integers(0, processing)))


# Numerators of 10^9: from a basis point to 99 percent.
_FEE_NUMERATORS = st.one_of(st.sampled_from([100_000, 2_500_000, 10_000_000]), st.integers(100_000, 990_000_000))


@st.composite
def damm_v2_pools(draw: st.DrawFn) -> MadeUpPool:
    """Meteora DAMM v2: every base fee at any point of its life, both curves, any range, dynamic fees."""
    first, second = draw(mints(_FIRST_MINT)), draw(mints(_SECOND_MINT))
    mode = draw(st.sampled_from(list(DammV2CollectFeeMode)))
    compounds = mode == DammV2CollectFeeMode.COMPOUNDING
    low, price, high = draw(_price_ranges())
    in_slots = draw(st.booleans())
    clock = draw(clocks(st.just(NOW)))
    passed = draw(st.one_of(st.integers(-1, 3), st.integers(0, 2_000), st.just(10**6)))
    reserve = st.one_of(st.integers(10**6, 10**15), sizes(10**18))
    spec = DammV2PoolSpec(
        mints=(first, second),
        liquidity=draw(_liquidity(low, price, high)),
        sqrt_prices=(low, price, high),
        reserves=(draw(reserve), draw(reserve)) if compounds else (0, 0),
        base_fee=draw(_base_fees(may_limit=mode == DammV2CollectFeeMode.ONLY_B)),
        dynamic_fee=draw(st.one_of(st.none(), _dynamic_fees(price))),
        collect_fee_mode=mode,
        compounding_fee_bps=draw(st.integers(0, 10_000)) if compounds else 0,
        protocol_fee_percent=draw(st.integers(0, 50)),
        protocol_fees=(draw(sizes(10**18)), 0),
        init_sqrt_price=draw(st.sampled_from([low, price, price * 2 // 3, price * 9 // 10, price * 2])) or 1,
        activation_point=(clock.slot if in_slots else clock.unix_timestamp) - passed,
        activation_type=0 if in_slots else 1,
        fee_version=draw(st.integers(0, 1)),
        layout_version=1 if compounds else draw(st.sampled_from([0, 1, 1])),
        config=draw(st.sampled_from([None, _FIRST_MINT])),
    )
    amount = st.one_of(sizes(U64_MAX), st.integers(10**6, 10**12))
    swap = st.tuples(st.sampled_from([first.address, second.address]), amount)
    return MadeUpPool(spec, clock, tuple(draw(st.lists(swap, min_size=4, max_size=8))))


@st.composite
def _price_ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    """Lowest, current and highest: the whole range, a wide or narrow one, or the price at one of its ends."""
    price = draw(st.one_of(st.integers(1 << 60, 1 << 68), sizes(MAX_SQRT_PRICE - MIN_SQRT_PRICE - 1)))
    price = min(max(price, MIN_SQRT_PRICE + 1), MAX_SQRT_PRICE - 1)
    low, high = MIN_SQRT_PRICE, MAX_SQRT_PRICE
    if draw(st.booleans()):
        low = max(low, price - draw(sizes(price)))
    if draw(st.booleans()):
        high = min(high, price + draw(sizes(price)))
    at_low, at_high = draw(st.sampled_from([(False, False)] * 4 + [(True, False), (False, True)]))
    return price if at_low else low, price, price if at_high else high


def _liquidity(low: int, price: int, high: int) -> st.SearchStrategy[int]:
    """Of which A and B still fit into 64 bits each."""
    of_a = U64_MAX * price * high // (high - price) if high > price else U128_MAX
    of_b = (U64_MAX << 128) // (price - low) if price > low else U128_MAX
    most = min(of_a, of_b, U128_MAX) * 9 // 10
    return st.one_of(sizes(most), st.integers(most // 10**6 + 1, most // 1_000 + 1))


@st.composite
def _base_fees(draw: st.DrawFn, *, may_limit: bool) -> BaseFee:
    cliff = draw(_FEE_NUMERATORS)
    periods = draw(st.one_of(st.integers(1, 100), st.integers(1, 65_535)))
    exponential = draw(st.booleans())
    # A linear fee may not fall below zero, an exponential one not to it.
    reduction = draw(st.integers(1, 200) if exponential else st.integers(1, max(cliff // periods, 1)))
    if not exponential:
        periods = min(periods, cliff // reduction)
    kind = draw(st.sampled_from(["flat", "time", "market cap", *["limiter"] * (2 * may_limit)]))
    if kind == "limiter":
        most = draw(st.integers(-(-cliff // 100_000), 9_900))
        limiter = RateLimiter(cliff, draw(st.integers(1, 500)), draw(st.integers(1, 1_000)), most, draw(sizes(10**12)))
        return draw(st.sampled_from([limiter, limiter, RateLimiter(cliff, 0, 0, 0, 0)]))
    if kind == "time":
        return TimeScheduler(cliff, exponential, min(periods, 2_000), draw(st.integers(1, 600)), reduction)
    if kind == "market cap":
        step, duration = draw(st.integers(1, 2_000)), draw(st.integers(1, 2_000))
        return MarketCapScheduler(cliff, exponential, min(periods, 2_000), step, duration, reduction)
    return TimeScheduler(cliff, exponential=False, periods=0, period_frequency=0, reduction=0)


def _dynamic_fees(price: int) -> st.SearchStrategy[DammV2DynamicFee]:
    return st.builds(
        usual_dynamic_fee,
        variable_fee_control=st.one_of(st.sampled_from([956, 40_000]), sizes((1 << 32) - 1)),
        bin_step=st.sampled_from([1, 1, 10, 400]),
        last_update_timestamp=st.sampled_from([NOW - 200, NOW - 60, NOW - 5, NOW + 3]),
        sqrt_price_reference=st.sampled_from([price, price * 2, price * 999 // 1_000 or 1]),
        volatility_accumulator=st.integers(0, 14_460_000),
        volatility_reference=st.integers(0, 14_460_000),
    )
