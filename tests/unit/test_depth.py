"""A pool's depth: what it trades either way at most a tenth off its mid price, whatever its venue and its fees."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError, VenueUnavailable
from chalicelib.routing.depth import depth_of
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.meteora_damm_v2.layout import DammV2CollectFeeMode
from chalicelib.venues.meteora_dlmm.layout import bin_array_address
from chalicelib.venues.venue import Pool, PoolQuote
from infra.localnet.programs.meteora_damm_v2_pool import flat_fee
from tests.unit import routing_pools
from tests.unit.model_market import CLOCK as MODEL_CLOCK
from tests.unit.model_market import ModelPool, address
from tests.unit.routing_pools import JUP, USDC, around, cpmm, damm_v2, dlmm, taxed

A, B = address(1), address(2)


def model(of_a: int, of_b: int, **more: object) -> ModelPool:
    return ModelPool(address(101), (A, B), (of_a, of_b), **more)  # type: ignore[arg-type]


def model_depth(pool: ModelPool) -> int:
    return depth_of(pool, A, pool.mid_price(A), MODEL_CLOCK)


def depth(pool: Pool) -> int:
    mint = pool.sides[0].mint
    return depth_of(pool, mint, pool.mid_price(mint), routing_pools.CLOCK)


def is_about(found: int, expected: Fraction) -> bool:
    """To within the search's own precision and the rounding of small amounts."""
    return abs(Fraction(found) / expected - 1) <= Fraction(1, 25)


@given(of_a=st.integers(10**9, 10**15), price=st.fractions(Fraction(1, 10**6), 10**6, max_denominator=10**6))
def test_a_constant_products_depth_is_a_ninth_of_its_reserve(of_a: int, price: Fraction) -> None:
    """For there the output is nine tenths of what the mid price says: R / (R + R/9)."""
    of_b = int(of_a * price)
    if 10**9 <= of_b < 2**64:
        assert is_about(model_depth(model(of_a, of_b)), Fraction(of_a, 9))


@given(factor=st.integers(1, 10**4))
def test_a_pool_of_so_many_times_the_reserves_is_so_many_times_as_deep(factor: int) -> None:
    one, many = model(10**11, 3 * 10**11), model(factor * 10**11, factor * 3 * 10**11)
    assert is_about(model_depth(many), Fraction(model_depth(one) * factor))


def test_fees_are_no_lack_of_depth() -> None:
    without, dear = (cpmm((JUP, USDC), (10**12, 10**12), trade_fee_rate=rate) for rate in (1, 150_000))
    assert is_about(depth(without), Fraction(10**12, 9))
    assert is_about(depth(dear), Fraction(depth(without) * 100, 85))


@pytest.mark.parametrize("mode", list(DammV2CollectFeeMode))
@pytest.mark.parametrize("fee", [1_000_000, 150_000_000])
def test_a_dynamic_amms_depth_is_a_constant_products_whichever_side_its_fee_is_of(
    mode: DammV2CollectFeeMode, fee: int
) -> None:
    pool = damm_v2(
        (JUP, USDC),
        liquidity=10**12 << 64,
        reserves=(10**12, 10**12) if mode == DammV2CollectFeeMode.COMPOUNDING else (0, 0),
        base_fee=flat_fee(fee),
        collect_fee_mode=mode,
    )
    assert is_about(depth(pool), Fraction(10**12, 9))


def test_a_fee_on_what_is_paid_out_is_no_lack_of_depth_either() -> None:
    """A pair that takes its fee in USDC alone, from the output where JUP is sold: JUP at a third of a USDC."""
    bins = {-110 + number: (0, 10**9) if number < 0 else (10**10, 0) for number in range(-60, 60)}
    without, dear = (
        dlmm((JUP, USDC), bins | {-110: (10**10, 10**9)}, -110, bin_step=100, base_factor=factor, collect_fee_mode=1)
        for factor in (1, 50_000)
    )
    assert dear.quote(JUP.address, 10**9, routing_pools.CLOCK).fee_mint == USDC.address
    assert is_about(depth(dear), Fraction(depth(without)))


def test_what_a_tokens_own_transfer_fee_takes_is_not_paid() -> None:
    tax = cpmm((taxed(300, 2**64 - 1), USDC), (10**12, 10**12))
    assert is_about(depth(tax), Fraction(10**12 * 7, 90))
    assert depth(cpmm((taxed(1_100, 2**64 - 1), USDC), (10**12, 10**12))) == 0


def test_dust_at_another_price_does_not_lend_the_depth_of_far_off_liquidity_to_it() -> None:
    """Few base units in the active bin cost nothing, and its price would be the pool's with all the pool's weight."""
    asks = dict.fromkeys(range(150, 160), (10**12, 0))
    bids = dict.fromkeys(range(-160, -149), (0, 10**12))
    dust = dlmm((JUP, USDC), {**asks, **bids, 0: (900, 900)})
    assert depth(dust) < 2_000
    assert depth(dlmm((JUP, USDC), {**asks, **bids, 0: (10**9, 10**9)})) < 3 * 10**9


def test_of_bins_those_around_the_price_count() -> None:
    near = dlmm((JUP, USDC), around(0, 10, 10**9, 10**9))
    assert is_about(depth(near), Fraction(11 * 10**9))
    far_off = {150: (10**15, 0), -150: (0, 10**15)}
    assert depth(near) <= depth(dlmm((JUP, USDC), {**around(0, 10, 10**9, 10**9), **far_off})) < 2 * depth(near)


def test_a_pool_with_offers_on_one_side_only_has_no_depth() -> None:
    bids = dict.fromkeys(range(-10, 1), (0, 10**12))
    asks = dict.fromkeys(range(11), (10**12, 0))
    assert depth(dlmm((JUP, USDC), bids)) == 0
    assert depth(dlmm((JUP, USDC), asks)) == 0
    assert depth(dlmm((JUP, USDC), {**bids, **asks, 0: (10**12, 10**12)})) > 10**12


def test_a_depth_is_what_the_thinner_side_trades() -> None:
    lopsided = {**dict.fromkeys(range(-10, 0), (0, 10**12)), 0: (10**9, 10**9), 1: (10**9, 0)}
    assert is_about(depth(dlmm((JUP, USDC), lopsided)), Fraction(2 * 10**9))


def test_what_was_not_read_does_not_count() -> None:
    bins = around(0, 100, 10**9, 10**9)
    whole = dlmm((JUP, USDC), bins, bin_step=1)
    unread = frozenset({bin_array_address(whole.address, -2)})
    assert 0 < depth(dlmm((JUP, USDC), bins, bin_step=1, without=unread)) < depth(whole)


@pytest.mark.parametrize(
    "useless",
    [
        model(10**12, 10**12, refusal=VenueUnavailable("closed")),
        model(1, 5),
        model(100, 10**12),
        model(10**12, 100),
    ],
)
def test_a_pool_that_is_closed_or_as_good_as_empty_has_no_depth(useless: ModelPool) -> None:
    assert model_depth(useless) == 0


def test_no_more_is_asked_of_a_pool_than_a_token_account_can_hold() -> None:
    vast = model(2**70, 2**70)
    assert 2**63 < model_depth(vast) < 2**64
    assert model_depth(replace(vast, reserves=(2**70, 1))) == 0


class Asked:
    """A pool that counts how often it is asked for a quote, and notes for which amounts."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.times = 0
        self.amounts: dict[Pubkey, list[int]] = {side.mint: [] for side in pool.sides}

    def __getattr__(self, name: str) -> object:
        return getattr(self._pool, name)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        self.times += 1
        self.amounts[mint_in].append(amount_in)
        return self._pool.quote(mint_in, amount_in, clock)


def brings_nine_tenths(pool: Pool, mint_in: Pubkey, amount: int) -> bool:
    try:
        quote = pool.quote(mint_in, amount, routing_pools.CLOCK)
    except ExecutionError:
        return False
    fee_in, fee_out = (quote.fee, 0) if quote.fee_mint == mint_in else (0, quote.fee)
    return (quote.amount_out + fee_out) * 10 >= 9 * pool.mid_price(mint_in) * (quote.amount_in - fee_in)


def of_many_bins(*, bin_step: int, each: int, number: int, last: int) -> Pool:
    bins = {**around(0, number, each, each), last: (each * 10**4, 0), -last: (0, each * 10**4)}
    return dlmm((JUP, USDC), bins, bin_step=bin_step)


POOLS = st.one_of(
    st.builds(
        lambda jup, usdc, rate: cpmm((JUP, USDC), (jup, usdc), trade_fee_rate=rate),
        st.integers(10**8, 10**17),
        st.integers(10**8, 10**17),
        st.integers(1, 200_000),
    ),
    st.builds(
        lambda tax, most, jup: cpmm((taxed(tax, most), USDC), (jup, 10**12)),
        st.integers(1, 900),
        st.sampled_from([1, 10**6, 2**64 - 1]),
        st.integers(10**9, 10**15),
    ),
    st.builds(
        of_many_bins,
        bin_step=st.sampled_from([1, 10, 25, 100]),
        each=st.integers(10**7, 10**12),
        number=st.integers(1, 60),
        last=st.integers(61, 200),
    ),
)


@given(pool=POOLS)
def test_a_depth_is_the_most_that_brings_nine_tenths_both_ways_and_is_found_with_few_quotes(pool: Pool) -> None:
    """A hundredth more doesn't, one way or the other. By halves alone the search takes 36 quotes and more."""
    mint, other = (side.mint for side in pool.sides)
    price = pool.mid_price(mint)
    asked = Asked(pool)
    found = depth_of(asked, mint, price, routing_pools.CLOCK)  # type: ignore[arg-type]
    assert asked.times <= 60
    if not found:
        return
    assert brings_nine_tenths(pool, mint, found)
    assert brings_nine_tenths(pool, other, int(found * price))
    more = found + found // 100 + 1
    assert not (brings_nine_tenths(pool, mint, more) and brings_nine_tenths(pool, other, int(more * price) + 1))


@given(pool=POOLS)
@example(pool=of_many_bins(bin_step=1, each=10**7, number=10, last=100))
@example(pool=of_many_bins(bin_step=100, each=10**7, number=1, last=100))
@example(pool=of_many_bins(bin_step=100, each=10**9, number=60, last=100))
@example(pool=cpmm((JUP, USDC), (114_293_551_756_922, 561_186_532), trade_fee_rate=1))
def test_no_quote_is_asked_for_that_tells_nothing_new(pool: Pool) -> None:
    """Each is for more than what is known to bring nine tenths and for less than what is known not to."""
    asked = Asked(pool)
    mint = pool.sides[0].mint
    depth_of(asked, mint, pool.mid_price(mint), routing_pools.CLOCK)  # type: ignore[arg-type]
    for mint_in, amounts in asked.amounts.items():
        enough, too_much = 0, 2**64
        for amount in amounts:
            assert enough < amount < too_much
            if brings_nine_tenths(pool, mint_in, amount):
                enough = amount
            else:
                too_much = amount


@pytest.mark.parametrize("reserve", [1_000, 100_000, 300_000, 10**6, 10**9])
def test_where_a_price_does_not_fall_it_takes_as_many_quotes_as_strides_and_halves(reserve: int) -> None:
    """Strides by 256; then two halves of the exponent and ten of what is left come to a 256th of it."""
    asked = Asked(dlmm((JUP, USDC), {0: (reserve, reserve)}))
    mint = asked._pool.sides[0].mint
    depth_of(asked, mint, asked._pool.mid_price(mint), routing_pools.CLOCK)  # type: ignore[arg-type]
    strides = next(number for number in range(1, 8) if 1_000 * 256**number > reserve)
    assert asked.times <= 2 * (1 + strides + 2 + 10)


class FeesInB(ModelPool):
    """As deep as it says for A alone: it takes any amount of B. Its fees, of nothing, are in B."""

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        if mint_in == B:
            return model(10**12, 3 * 10**12).quote(mint_in, amount_in, clock)
        return super().quote(mint_in, amount_in, clock)._replace(fee_mint=B)


def test_the_least_depth_is_a_thousand_units_that_bring_just_nine_tenths() -> None:
    asked = Asked(model(9_000, 9_000))
    assert depth_of(asked, A, Fraction(1), MODEL_CLOCK) == 1_000  # type: ignore[arg-type]
    assert asked.times <= 24
    assert model_depth(model(8_999, 8_999)) == 0
    assert model_depth(FeesInB(address(101), (A, B), (9_000, 27_000))) == 1_000
    assert model_depth(FeesInB(address(101), (A, B), (8_999, 26_997))) == 0


@given(of_a=st.integers(10**9, 10**16), of_b=st.integers(10**9, 10**16))
def test_of_a_constant_product_it_takes_few_quotes(of_a: int, of_b: int) -> None:
    asked = Asked(cpmm((JUP, USDC), (of_a, of_b)))
    mint = asked._pool.sides[0].mint
    assert depth_of(asked, mint, asked._pool.mid_price(mint), routing_pools.CLOCK)  # type: ignore[arg-type]
    assert asked.times <= 24
