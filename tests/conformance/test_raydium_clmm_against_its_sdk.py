"""Our quotes of Raydium CLMM equal @raydium-io/raydium-sdk-v2's, on recorded pools and on pools made up at random.

Where the two differ, the program's source decides. Each exception is tested for being exactly what is stated (the
SDK's swapInternal):
- It doesn't refuse what would pay nothing, or what a vault can't pay.
- At the end of all prices it says that all was traded, and leaves the rest of the input aside.
- Of the fee on orders at a tick where nobody has liquidity, it names the protocol's and the fund's share alone.
- Where the fee takes all that is left of the input at a tick with orders, it tries the same for ever. It isn't asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.venues.raydium_clmm.layout import Tick, array_start, tick_array_address, ticks_of
from chalicelib.venues.raydium_clmm.math import (
    FEE_DENOMINATOR,
    MAX_SQRT_PRICE,
    MIN_SQRT_PRICE,
    LiquidityExhausted,
    StepFill,
    TickLadder,
    Unquotable,
)
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmPool, RaydiumClmmVenue
from chalicelib.venues.venue import PoolQuote
from testing.sdk.made_up_clmm_pools import clmm_pools
from testing.sdk.made_up_pools import MadeUpPool
from testing.sdk.oracle import SdkOracle, what_is_missing
from tests.conformance.subjects.raydium_clmm import RaydiumClmmSubject
from tests.conformance.vector_file import VectorFile

_missing = what_is_missing()
pytestmark = pytest.mark.skipif(_missing is not None, reason=_missing or "")

VECTORS = Path(__file__).parent / "vectors"
LAST_PRICES = {str(MIN_SQRT_PRICE + 1), str(MAX_SQRT_PRICE - 1)}

# Mint in, amount in.
Swap = tuple[Pubkey, int]


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkOracle]:
    with SdkOracle() as oracle:
        yield oracle


@given(made_up=clmm_pools())
@settings(
    max_examples=80,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_quotes_of_any_pool_equal_the_sdks(sdk: SdkOracle, made_up: MadeUpPool) -> None:
    _hold_against(sdk, made_up.address, made_up.accounts, made_up.clock, made_up.swaps)


@pytest.mark.parametrize("name", ["raydium_clmm.json.gz", "raydium_clmm_2026_by_models.json.gz"])
def test_quotes_of_recorded_swaps_equal_the_sdks(sdk: SdkOracle, name: str) -> None:
    cases = [case for case in VectorFile.load(VECTORS / name).cases if case.ok]
    cases = [case for case in cases if case.kind not in RaydiumClmmSubject.not_reproduced][::4]
    cases.sort(key=lambda case: (case.pool.name, case.clock.unix_timestamp))
    assert cases
    for (address, clock), group in groupby(cases, lambda case: (case.pool.address, case.clock)):
        recorded = list(group)
        swaps = [(case.mint_in, case.amount_in) for case in recorded]
        # an account that was not recorded did not exist
        needed = _needed(address, recorded[0].pool.accounts)
        _hold_against(sdk, address, needed | dict(recorded[0].pool.accounts), clock, swaps)


def _needed(address: Pubkey, accounts: AccountMap) -> dict[Pubkey, None]:
    known = dict(accounts)
    for _ in range(3):
        known |= {each: accounts.get(each) for each in RaydiumClmmVenue().accounts_needed(address, known)}
    return dict.fromkeys(known.keys() - accounts.keys())


def _hold_against(
    sdk: SdkOracle, address: Pubkey, accounts: AccountMap, clock: ChainClock, swaps: Sequence[Swap]
) -> None:
    pool = RaydiumClmmVenue().decode(address, accounts)
    asked = [swap for swap in swaps if not _is_tried_for_ever(pool, accounts, swap, clock)]
    for swap, theirs in zip(asked, sdk.quotes("raydium_clmm", address, accounts, clock, asked), strict=True):
        ours = _quote(pool, swap, clock)
        if isinstance(ours, ExecutionError):
            assert type(ours) in _refusals(pool, swap, theirs), (swap, theirs, ours)
            continue
        trace = pool.swap(*swap, clock)
        assert {
            "allTrade": True,
            "vaultOut": str(sum(fill.paid for fill in trace.fills)),
            "amountOut": str(ours.amount_out),
            "fee": str(sum(_fee_that_is_named(pool, fill) for fill in trace.fills)),
            "sqrtPrice": str(trace.after.sqrt_price),
            "tick": trace.after.tick,
            "liquidity": str(trace.after.liquidity),
        } == theirs, swap


def _quote(pool: RaydiumClmmPool, swap: Swap, clock: ChainClock) -> PoolQuote | ExecutionError:
    try:
        return pool.quote(*swap, clock)
    except ExecutionError as refusal:
        return refusal


def _fee_that_is_named(pool: RaydiumClmmPool, fill: StepFill) -> int:
    if fill.step.liquidity:
        return fill.fee
    return sum(fill.fee * rate // FEE_DENOMINATOR for rate in (pool.rates.protocol, pool.rates.fund))


def _is_tried_for_ever(pool: RaydiumClmmPool, accounts: AccountMap, swap: Swap, clock: ChainClock) -> bool:
    """Whether the swap comes to orders with so little that the fee takes it whole."""
    mint_in, amount_in = swap
    side = [mint.address for mint in pool.mints].index(mint_in)
    received = pool.mints[side].amount_after_transfer_fee(amount_in, clock.epoch)

    def ticks(number: int) -> Sequence[Tick]:
        start = array_start(number, pool.state.tick_spacing)
        account = accounts[tick_array_address(pool.address, start)]
        assert account is not None
        return ticks_of(account.owner, account.data, pool.address, start)

    ladder = TickLadder(pool.state, pool.rates.trade, pool.bitmap, ticks, side == 0, pool.references(clock))
    try:
        last = ladder.follow(received).fills[-1] if received else None
    except (LiquidityExhausted, Unquotable):
        return False
    return last is not None and bool(last.step.orders) and last.cost == last.fee and not last.paid


def _refusals(pool: RaydiumClmmPool, swap: Swap, theirs: dict[str, Any]) -> Iterator[type[ExecutionError]]:
    """Ours, and what the SDK does instead."""
    if "error" in theirs:
        yield from (AmountTooSmall, InsufficientLiquidity, VenueUnavailable)
        return
    if theirs["amountOut"] == "0":
        yield AmountTooSmall
    side = [mint.address for mint in pool.mints].index(swap[0])
    is_beyond_the_vault = int(theirs["vaultOut"]) > pool.vault_amounts[1 - side]
    if not theirs["allTrade"] or is_beyond_the_vault or theirs["sqrtPrice"] in LAST_PRICES:
        yield InsufficientLiquidity
