"""Hypothesis strategies for Raydium CLMM pools, written by the genesis market's builder, and for swaps through them."""

from __future__ import annotations

from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Mint, TransferFee, TransferFeeConfig
from chalicelib.venues.raydium_clmm.layout import DynamicFee
from chalicelib.venues.raydium_clmm.math import sqrt_price_at
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec, ClmmPosition, TickOrders
from testing.sdk.made_up_pools import NOW, MadeUpPool, clocks, sizes

FEE = TransferFee(epoch=0, maximum_fee=5_000_000, basis_points=300)
PLAIN_0, PLAIN_1 = (Mint(Pubkey(bytes([number] * 32)), TOKEN_PROGRAM, 6) for number in (30, 40))
TAXED_0, TAXED_1 = (
    Mint(
        Pubkey(bytes([number] * 32)),
        TOKEN_2022_PROGRAM,
        6,
        transfer_fee=TransferFeeConfig(FEE, FEE),
        extensions=frozenset({1}),
    )
    for number in (31, 41)
)


@st.composite
def clmm_specs(draw: st.DrawFn, *, of_2026: bool = True, taxed: bool = True) -> ClmmPoolSpec:
    """Pools of any spacing: nested and lone positions, gaps, prices at ticks. `of_2026`: with what is new since."""
    spacing = draw(st.sampled_from([1, 10, 60, 120]))
    middle = draw(st.integers(-300, 300) | st.integers(-200_000 // spacing, 200_000 // spacing)) * spacing
    reach = 90
    offsets = st.integers(-reach, reach)
    ranges = draw(st.lists(st.tuples(offsets, offsets).filter(lambda ends: ends[0] != ends[1]), min_size=1, max_size=6))
    liquidity = st.sampled_from([10**3, 10**9, 10**12]).flatmap(lambda most: st.integers(1, most))
    positions = tuple(
        ClmmPosition(middle + min(ends) * spacing, middle + max(ends) * spacing, draw(liquidity)) for ends in ranges
    )
    orders: dict[int, TickOrders] = {}
    dynamic = None
    if of_2026:
        amounts = st.integers(0, 10**9)
        for offset in draw(st.lists(offsets, max_size=4)):
            orders[middle + offset * spacing] = TickOrders(draw(amounts), draw(amounts))
        dynamic = draw(st.none() | _dynamic_fees(middle // spacing))
    at_tick = sqrt_price_at(middle)
    between = st.integers(at_tick, sqrt_price_at(middle + spacing) - 1)
    sqrt_price = draw(st.just(at_tick) | between)
    crossed = sqrt_price == at_tick and draw(st.booleans())
    mint_0 = draw(st.sampled_from([PLAIN_0, TAXED_0] if taxed else [PLAIN_0]))
    mint_1 = draw(st.sampled_from([PLAIN_1, TAXED_1] if taxed else [PLAIN_1]))
    return ClmmPoolSpec(
        mint_0=mint_0,
        mint_1=mint_1,
        config_index=3,
        tick_spacing=spacing,
        sqrt_price=sqrt_price,
        tick=middle - 1 if crossed else None,
        positions=positions,
        orders=orders,
        trade_fee_rate=draw(st.sampled_from([0, 100, 2_500, 400_000])),
        protocol_fee_rate=draw(st.sampled_from([0, 120_000])),
        fund_fee_rate=draw(st.sampled_from([0, 40_000])),
        fee_on=draw(st.integers(0, 2)) if of_2026 else 0,
        dynamic_fee=dynamic,
    )


@st.composite
def _dynamic_fees(draw: st.DrawFn, group: int) -> DynamicFee:
    max_accumulator = draw(st.sampled_from([10_000, 350_000]))
    return DynamicFee(
        filter_period=10,
        decay_period=120,
        reduction_factor=draw(st.integers(1, 9_999)),
        control=draw(st.integers(1, 99_999)),
        max_accumulator=max_accumulator,
        index_reference=group + draw(st.integers(-5, 5)),
        volatility_reference=draw(st.integers(0, max_accumulator)),
        accumulator=draw(st.integers(0, max_accumulator)),
        last_update=NOW - draw(st.sampled_from([0, 9, 10, 119, 120, 1_000])),
    )


@st.composite
def clmm_pools(draw: st.DrawFn) -> MadeUpPool:
    """Any pool of `clmm_specs`, a clock at which a dynamic fee may have calmed down, and swaps both ways."""
    spec = draw(clmm_specs())
    mints = st.sampled_from([spec.mint_0.address, spec.mint_1.address])
    swaps = st.lists(st.tuples(mints, sizes(10**14)), min_size=3, max_size=6)
    clock = draw(clocks(st.sampled_from([0, 1, 50, 2_000]).map(lambda elapsed: NOW + elapsed)))
    return MadeUpPool(spec, clock, tuple(draw(swaps)))
