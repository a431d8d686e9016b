"""Our quotes equal the official SDKs', on recorded pools and on pools made up at random, but for stated exceptions.

Where the two differ, the program decides: its source, or what it did when the vectors were recorded. Each exception is
tested for being exactly what is stated.

Raydium CPMM (@raydium-io/raydium-sdk-v2, CurveCalculator.swapBaseInput)
- Creator fee on the input: the SDK rounds the trade fee and the creator fee up apart. The program rounds their sum up,
  then splits it (curve/fees.rs `split_creator_fee`), which takes up to one unit less. Where its two fees come to more
  than the input, the SDK trades a negative amount, or divides by zero.
- With both rates zero and the creator fee on the input, that split divides by zero: the program can't trade.
- The SDK doesn't refuse what would pay nothing, or what a vault of u64 can't hold.

Meteora DLMM (@meteora-ag/dlmm, DLMM.swapQuote)
- Of what a bin's fee takes whole, the SDK names no fee.
- It doesn't refuse what would pay nothing, bins that cost more than a u64, or a volatility reference beyond u32; what
  a transfer fee takes whole it calls a lack of liquidity.

Meteora DAMM v2 (@meteora-ag/cp-amm-sdk, swapQuoteExactInput)
- It looks neither at the vaults nor at the pool's own count of its tokens, and knows no u64 that they must fit into.
- What a transfer fee takes whole, it quotes as nothing. Other swaps that pay nothing it refuses; the program does not.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Pool, MeteoraDammV2Venue
from chalicelib.venues.meteora_dlmm.layout import BIN_ARRAY_LENGTH, BinColumns, bitmap_extension_address
from chalicelib.venues.meteora_dlmm.math import BinFill, split_fee
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool, MeteoraDlmmVenue
from chalicelib.venues.raydium_cpmm.math import CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0, FEE_RATE_DENOMINATOR
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool, RaydiumCpmmVenue
from chalicelib.venues.venue import Pool, PoolQuote
from infra.localnet.programs.raydium_cpmm_pool import CpmmPoolSpec
from testing.sdk.made_up_pools import U64_MAX, MadeUpPool, cpmm_pools, damm_v2_pools, dlmm_pools
from testing.sdk.oracle import SdkOracle, what_is_missing
from tests.conformance.vector_file import VectorFile

_missing = what_is_missing()
pytestmark = pytest.mark.skipif(_missing is not None, reason=_missing or "")

VECTORS = Path(__file__).parent / "vectors"
# Of the ends of bins that a swap goes beyond, how many are tried to the unit.
BIN_ENDS = 4
U32_MAX = (1 << 32) - 1
U128_MAX = (1 << 128) - 1

TOKEN_A, TOKEN_B = (Pubkey(bytes([byte] * 32)) for byte in (1, 2))

# Mint in, amount in.
Swap = tuple[Pubkey, int]


def _made_up(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize="CI" in os.environ,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkOracle]:
    with SdkOracle() as oracle:
        yield oracle


# Its two fees come to more than the input, by more than the reserve: two negative factors, and the SDK pays.
FEES_OF_MORE_THAN_ALL = MadeUpPool(
    CpmmPoolSpec(
        mints=(Mint(TOKEN_A, TOKEN_PROGRAM, 6), Mint(TOKEN_B, TOKEN_PROGRAM, 6)),
        reserves=(100_000, 10**9),
        config_index=0,
        trade_fee_rate=999_966,
        creator_fee_rate=500,
        enable_creator_fee=True,
    ),
    ChainClock(slot=300_000_000, epoch=700, unix_timestamp=1_760_000_000),
    tuple((mint, 1 << 31) for mint in (TOKEN_A, TOKEN_B)),
)


@given(made_up=cpmm_pools())
@example(made_up=FEES_OF_MORE_THAN_ALL)
@_made_up(150)
def test_cpmm_quotes_of_any_pool_equal_the_sdks(sdk: SdkOracle, made_up: MadeUpPool) -> None:
    _hold_cpmm_against(sdk, made_up.address, made_up.accounts, made_up.clock, made_up.swaps)


@given(made_up=dlmm_pools())
@_made_up(100)
def test_dlmm_quotes_of_any_pool_equal_the_sdks(sdk: SdkOracle, made_up: MadeUpPool) -> None:
    _hold_dlmm_against(sdk, made_up.address, made_up.accounts, made_up.clock, made_up.swaps)


@given(made_up=damm_v2_pools())
@_made_up(150)
def test_damm_v2_quotes_of_any_pool_equal_the_sdks(sdk: SdkOracle, made_up: MadeUpPool) -> None:
    _hold_damm_v2_against(sdk, made_up.address, made_up.accounts, made_up.clock, made_up.swaps)


def test_damm_v2_quotes_of_recorded_swaps_equal_the_sdks(sdk: SdkOracle) -> None:
    for address, accounts, clock, swaps in _recorded("meteora_damm_v2.json"):
        _hold_damm_v2_against(sdk, address, accounts, clock, [swap for swap in swaps if swap[1]])


def test_cpmm_quotes_of_recorded_swaps_equal_the_sdks(sdk: SdkOracle) -> None:
    for address, accounts, clock, swaps in _recorded("raydium_cpmm.json"):
        _hold_cpmm_against(sdk, address, accounts, clock, swaps)


def test_dlmm_quotes_of_recorded_swaps_equal_the_sdks(sdk: SdkOracle) -> None:
    for address, accounts, clock, swaps in _recorded("meteora_dlmm.json"):
        extension = bitmap_extension_address(address)
        _hold_dlmm_against(sdk, address, {extension: None} | dict(accounts), clock, swaps)


def _recorded(name: str) -> Iterator[tuple[Pubkey, AccountMap, ChainClock, list[Swap]]]:
    """The swaps that the program made, by pool and clock."""
    cases = [case for case in VectorFile.load(VECTORS / name).cases if case.ok]
    cases.sort(key=lambda case: (case.pool.name, case.clock.unix_timestamp, case.clock.slot, case.clock.epoch))
    groups = [(key, list(group)) for key, group in groupby(cases, lambda case: (case.pool.address, case.clock))]
    assert groups
    for (address, clock), group in groups:
        yield address, group[0].pool.accounts, clock, [(case.mint_in, case.amount_in) for case in group]


def _quote(pool: Pool, swap: Swap, clock: ChainClock) -> PoolQuote | ExecutionError:
    try:
        return pool.quote(*swap, clock)
    except ExecutionError as refusal:
        return refusal


# Raydium CPMM


def _hold_cpmm_against(
    sdk: SdkOracle, address: Pubkey, accounts: AccountMap, clock: ChainClock, swaps: Sequence[Swap]
) -> None:
    pool = RaydiumCpmmVenue().decode(address, accounts)
    for swap, answer in zip(swaps, sdk.quotes("raydium", address, accounts, clock, swaps), strict=True):
        mint_in, amount_in = swap
        side = [mint.address for mint in pool.mints].index(mint_in)
        received = pool.mints[side].amount_after_transfer_fee(amount_in, clock.epoch)
        on_input = pool.creator_fee_on in (CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0 + side)
        ours = _quote(pool, swap, clock)
        if "error" in answer:
            assert isinstance(ours, AmountTooSmall)
            assert on_input
            assert _share(received, pool.trade_fee_rate) + _share(received, pool.creator_fee_rate) > received
            continue
        theirs = {name: int(amount) for name, amount in answer.items()}
        if isinstance(ours, ExecutionError):
            assert type(ours) in _cpmm_refusals(pool, side, received, on_input, theirs), (swap, theirs)
            continue
        outcome = pool.swap(side, amount_in, clock)
        if on_input and pool.creator_fee_rate:
            _check_fees_rounded_together(pool, side, received, theirs, outcome.trade_fee, outcome.creator_fee)
            expected_out = _curve(pool, side, received - outcome.trade_fee - outcome.creator_fee)
            assert outcome.vault_out == expected_out
            # A unit more is traded, or none: the curve's answer to the SDK's amount is the SDK's.
            their_out = _curve(pool, side, received - theirs["tradeFee"] - theirs["creatorFee"])
            assert theirs["amountOut"] == pool.mints[1 - side].amount_after_transfer_fee(their_out, clock.epoch)
            continue
        assert {
            "amountOut": ours.amount_out,
            "tradeFee": outcome.trade_fee,
            "protocolFee": outcome.protocol_fee,
            "fundFee": outcome.fund_fee,
            "creatorFee": outcome.creator_fee,
        } == theirs, swap


def _cpmm_refusals(
    pool: RaydiumCpmmPool, side: int, received: int, on_input: bool, theirs: dict[str, int]
) -> Iterator[type[ExecutionError]]:
    """Ours that the SDK doesn't make."""
    if received == 0 or theirs["amountOut"] <= 0:
        yield AmountTooSmall
    if on_input and pool.trade_fee_rate + pool.creator_fee_rate == 0:
        yield AmountTooSmall
    # The SDK goes on with what is left below zero, where the program's checked subtraction ends the swap.
    if on_input and _share(received, pool.trade_fee_rate) + _share(received, pool.creator_fee_rate) > received:
        yield AmountTooSmall
    if pool.vault_amounts[side] + received > U64_MAX:
        yield InsufficientLiquidity


def _check_fees_rounded_together(
    pool: RaydiumCpmmPool, side: int, received: int, theirs: dict[str, int], trade_fee: int, creator_fee: int
) -> None:
    """The SDK's two fees are each rounded up; ours are one sum rounded up, the creator's share of it rounded down."""
    trade_rate, creator_rate = pool.trade_fee_rate, pool.creator_fee_rate
    together = _share(received, trade_rate + creator_rate)
    assert (theirs["tradeFee"], theirs["creatorFee"]) == (_share(received, trade_rate), _share(received, creator_rate))
    assert trade_fee + creator_fee == together
    assert creator_fee == together * creator_rate // (trade_rate + creator_rate)
    assert theirs["tradeFee"] + theirs["creatorFee"] - together in (0, 1)


def _share(amount: int, rate: int) -> int:
    """Rounded up."""
    return -(-amount * rate // FEE_RATE_DENOMINATOR)


def _curve(pool: RaydiumCpmmPool, side: int, traded: int) -> int:
    return traded * pool.reserves[1 - side] // (pool.reserves[side] + traded)


# Meteora DLMM


def _hold_dlmm_against(
    sdk: SdkOracle, address: Pubkey, accounts: AccountMap, clock: ChainClock, swaps: Sequence[Swap]
) -> None:
    pool = MeteoraDlmmVenue().decode(address, accounts)
    swaps = [*swaps, *(end for swap in swaps for end in _bin_ends(pool, swap, clock))]
    for swap, theirs in zip(swaps, sdk.quotes("meteora", address, accounts, clock, swaps), strict=True):
        mint_in, amount_in = swap
        swap_for_y = mint_in == pool.pair.mint_x
        ours = _quote(pool, swap, clock)
        if isinstance(ours, ExecutionError):
            assert type(ours) in _dlmm_refusals(pool, accounts, swap, clock, theirs), (swap, theirs, ours)
            continue
        fills: list[BinFill] = []
        pool.swap(swap_for_y, amount_in, clock, fills)
        named = [fill for fill in fills if _taken(fill)]
        assert {
            "amountOut": str(ours.amount_out),
            "fee": str(ours.fee - sum(fill.fee for fill in fills if not _taken(fill))),
            "protocolFee": str(sum(_protocol_fee(pool, fill) for fill in named)),
            "binArrays": [str(array) for array in ours.remaining_accounts],
        } == theirs, swap


def _dlmm_refusals(
    pool: MeteoraDlmmPool, accounts: AccountMap, swap: Swap, clock: ChainClock, theirs: dict[str, Any]
) -> Iterator[type[ExecutionError]]:
    """Ours, and what the SDK does instead: refuse too, pay nothing, or not notice."""
    mint_in, amount_in = swap
    pair = pool.pair
    mint = pool.mint_x if mint_in == pair.mint_x else pool.mint_y
    if mint.amount_after_transfer_fee(amount_in, clock.epoch) == 0:
        yield AmountTooSmall
    elif "error" in theirs:
        assert theirs["error"] == "SWAP_QUOTE_INSUFFICIENT_LIQUIDITY"
        yield InsufficientLiquidity
    elif theirs["amountOut"] == "0":
        yield AmountTooSmall
    if pair.volatility.accumulator * pair.parameters.reduction_factor > U32_MAX:
        elapsed = clock.unix_timestamp - pair.volatility.last_update_timestamp
        if pair.parameters.filter_period <= elapsed < pair.parameters.decay_period:
            yield VenueUnavailable
    if any(cost > U64_MAX for cost in _bin_costs(accounts, mint_in == pair.mint_x)):
        yield InsufficientLiquidity


def _bin_ends(pool: MeteoraDlmmPool, swap: Swap, clock: ChainClock) -> Iterator[Swap]:
    """Inputs that just empty some of the bins which `swap` goes through, and one unit less and more."""
    mint_in, amount_in = swap
    swap_for_y = mint_in == pool.pair.mint_x
    fills: list[BinFill] = []
    try:
        pool.swap(swap_for_y, amount_in, clock, fills)
    except ExecutionError:
        return
    on_input = pool.pair.fee_on_input(swap_for_y)
    ends = list(accumulate(_taken(fill) + (fill.fee if on_input else 0) for fill in fills[:-1]))
    mint = pool.mint_x if swap_for_y else pool.mint_y
    for end in ends[:: max(1, len(ends) // BIN_ENDS)]:
        amount = _amount_that_leaves(end, mint, clock)
        yield from ((mint_in, near) for near in (amount - 1, amount, amount + 1) if 0 < near <= U64_MAX)


def _amount_that_leaves(amount_after: int, mint: Mint, clock: ChainClock) -> int:
    """The smallest transfer of which `amount_after` arrives."""

    def arrives(amount: int) -> int:
        return mint.amount_after_transfer_fee(amount, clock.epoch)

    return bisect_left(range(1 << 63), amount_after, hi=(1 << 63) - 1, key=arrives)


def _bin_costs(accounts: AccountMap, swap_for_y: bool) -> Iterator[int]:
    """What it takes to buy all that each bin holds, rounded down."""
    for account in accounts.values():
        if account is not None and len(account.data) == BIN_ARRAY_LENGTH:
            columns = BinColumns.decode(account.data, swap_for_y, limit_orders=True)
            for low, high, amount in zip(columns.price_low, columns.price_high, columns.holds, strict=True):
                price = high << 64 | low
                if amount:
                    yield (amount << 64) // price if swap_for_y else amount * price >> 64


def _taken(fill: BinFill) -> int:
    return fill.market_in + fill.processed_in + fill.open_in


def _protocol_fee(pool: MeteoraDlmmPool, fill: BinFill) -> int:
    return split_fee(fill.fee, pool.pair.parameters.protocol_share, fill.market_in, _taken(fill)).protocol


# Meteora DAMM v2

# What the SDK calls its refusals.
_DAMM_V2_ERRORS = {
    "Price range is violated": InsufficientLiquidity,
    "Amount out must be greater than 0": AmountTooSmall,
    "Swap is disabled": VenueUnavailable,
}


def _hold_damm_v2_against(
    sdk: SdkOracle, address: Pubkey, accounts: AccountMap, clock: ChainClock, swaps: Sequence[Swap]
) -> None:
    pool = MeteoraDammV2Venue().decode(address, accounts)
    for swap, theirs in zip(swaps, sdk.quotes("meteora_damm_v2", address, accounts, clock, swaps), strict=True):
        mint_in, amount_in = swap
        side = [mint.address for mint in pool.mints].index(mint_in)
        ours = _quote(pool, swap, clock)
        if isinstance(ours, ExecutionError):
            assert type(ours) in _damm_v2_refusals(pool, side, swap, clock, theirs), (swap, theirs, ours)
            continue
        outcome = pool.swap(side, amount_in, clock)
        assert {
            "amountOut": str(ours.amount_out),
            "vaultOut": str(outcome.vault_out),
            "protocolFee": str(outcome.split.protocol),
            "compoundingFee": str(outcome.split.compounding),
            "claimingFee": str(outcome.split.claiming),
            "sqrtPrice": str(outcome.sqrt_price),
        } == theirs, swap
        assert ours.fee == sum(outcome.split)


def _damm_v2_refusals(
    pool: MeteoraDammV2Pool, side: int, swap: Swap, clock: ChainClock, theirs: dict[str, Any]
) -> Iterator[type[ExecutionError]]:
    """Ours, and what the SDK does instead: refuse too, pay nothing, or not notice."""
    _, amount_in = swap
    received = pool.mints[side].amount_after_transfer_fee(amount_in, clock.epoch)
    if "error" in theirs:
        yield _DAMM_V2_ERRORS[theirs["error"]]
        return
    if received == 0:
        assert theirs["amountOut"] == "0"
        yield AmountTooSmall
    taken_out = sum(int(theirs[name]) for name in ("vaultOut", "protocolFee", "compoundingFee", "claimingFee"))
    counted = pool.state.token_amounts if pool.state.layout_version else pool.vault_amounts
    if (
        pool.vault_amounts[side] + received > U64_MAX
        or int(theirs["vaultOut"]) > pool.vault_amounts[1 - side]
        or taken_out > counted[1 - side]
        or int(theirs["sqrtPrice"]) > U128_MAX
    ):
        yield InsufficientLiquidity
