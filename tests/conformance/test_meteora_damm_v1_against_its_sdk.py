"""Our quotes of Meteora DAMM v1 equal @meteora-ag/dynamic-amm-sdk's, on recorded pools and on pools made up at random.

Where the two differ, the program decides: its source, or what it did when the vectors were recorded. Each exception is
tested for being exactly what is stated (the SDK's calculateSwapQuote):
- Of an amount so small that a fee rounds down to nothing it takes none; the program takes one unit.
- It doesn't refuse what would pay nothing, or less than that, and refuses what takes all that a vault holds.
- It has no price for a depeg pool whose own is too old, nor an opening for a stable one: these aren't asked for.
- Its stable curve has longer numbers than the program, takes fewer steps at most, and rounds otherwise on the way: what
  it gives may be a unit off, which the vault makes an LP token's worth. Lopsided pools aren't asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.venues.meteora_damm_v1.layout import Depeg
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Pool, MeteoraDammV1Venue
from chalicelib.venues.venue import PoolQuote
from infra.localnet.programs.meteora_damm_v1_pool import DammV1PoolSpec
from testing.sdk.made_up_pools import sizes
from testing.sdk.oracle import FOLDER, SdkOracle, what_is_missing
from tests.conformance.vector_file import VectorFile
from tests.unit.meteora_damm_v1_market import CLOCK, MINT_A, MINT_B, market, specs

_SDK = "@meteora-ag/dynamic-amm-sdk"
_missing = what_is_missing() or (None if (FOLDER / "node_modules" / _SDK).is_dir() else f"{_SDK} is not installed")
pytestmark = pytest.mark.skipif(_missing is not None, reason=_missing or "")

VECTORS = Path(__file__).parent / "vectors"
# How many times more of one token a stable pool may hold.
MOST_LOPSIDED = 100

# Mint in, amount in.
Swap = tuple[Pubkey, int]


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkOracle]:
    with SdkOracle() as oracle:
        yield oracle


swaps = st.lists(
    st.tuples(st.sampled_from([MINT_A.address, MINT_B.address]), st.one_of(sizes(1 << 50), st.integers(1, 10**13))),
    min_size=3,
    max_size=6,
)


@given(made=specs(), swaps=swaps)
@settings(
    max_examples=80,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
def test_quotes_of_any_pool_equal_the_sdks(sdk: SdkOracle, made: DammV1PoolSpec, swaps: list[Swap]) -> None:
    assume(made.curve is None or made.curve.depeg is Depeg.NONE)
    of = market(replace(made, enabled=True, activation_point=0), MINT_A.address, held=0)
    assume(_is_even(MeteoraDammV1Venue().decode(of.pool_address, of.accounts)))
    _hold_against(sdk, of.pool_address, of.accounts, CLOCK, swaps)


def test_quotes_of_recorded_swaps_equal_the_sdks(sdk: SdkOracle) -> None:
    cases = [case for case in VectorFile.load(VECTORS / "meteora_damm_v1.json").cases if case.kind == "size"]
    for _, of_pool in groupby(cases, lambda case: (case.pool.name, case.clock)):
        alike = list(of_pool)
        pool, clock = alike[0].pool, alike[0].clock
        _hold_against(sdk, pool.address, pool.accounts, clock, [(case.mint_in, case.amount_in) for case in alike])


def _is_even(pool: MeteoraDammV1Pool) -> bool:
    """Whether its curve counts about as much of one token as of the other."""
    if pool.curve is None:
        return True
    amounts = [
        vault.total * vault.pool_lp // vault.lp_supply * multiplier
        for vault, multiplier in zip(pool.vaults, pool.curve.multipliers, strict=True)
    ]
    return 0 < max(amounts) < MOST_LOPSIDED * min(amounts)


def _hold_against(
    sdk: SdkOracle, address: Pubkey, accounts: AccountMap, clock: ChainClock, swaps: Sequence[Swap]
) -> None:
    pool = MeteoraDammV1Venue().decode(address, accounts)
    # Fees that don't round down to nothing, or that there are none of.
    swaps = [swap for swap in swaps if _takes_no_least_fee(pool, swap[1])]
    answers = sdk.quotes("meteora_damm_v1", address, accounts, clock, swaps)
    for swap, theirs in zip(swaps, answers, strict=True):
        ours = _quote(pool, swap, clock)
        if isinstance(ours, ExecutionError):
            assert type(ours) in _refusals(pool, swap, theirs), (swap, theirs, ours)
        elif ours.amount_out == pool.vaults[1 - _side(pool, swap)].reserve:
            assert "error" in theirs
        else:
            off = abs(int(theirs["amountOut"]) - ours.amount_out)
            assert off <= _units_off(pool, 1 - _side(pool, swap)), (swap, theirs, ours.amount_out)


def _units_off(pool: MeteoraDammV1Pool, side_out: int) -> int:
    """By how much the SDK's stable curve may be off; its constant product is not."""
    vault = pool.vaults[side_out]
    return 0 if pool.curve is None else 1 + -(-vault.total // vault.lp_supply)


def _takes_no_least_fee(pool: MeteoraDammV1Pool, amount_in: int) -> bool:
    trade = amount_in * pool.trade_fee_numerator // pool.trade_fee_denominator
    protocol = trade * pool.protocol_fee_numerator // pool.protocol_fee_denominator
    return (trade > 0 or not pool.trade_fee_numerator) and (
        protocol > 0 or not pool.protocol_fee_numerator or not trade
    )


def _side(pool: MeteoraDammV1Pool, swap: Swap) -> int:
    return 0 if swap[0] == pool.mints[0].address else 1


def _quote(pool: MeteoraDammV1Pool, swap: Swap, clock: ChainClock) -> PoolQuote | ExecutionError:
    try:
        return pool.quote(*swap, clock)
    except ExecutionError as refusal:
        return refusal


def _refusals(pool: MeteoraDammV1Pool, swap: Swap, theirs: dict[str, str]) -> Iterator[type[ExecutionError]]:
    """Ours, and what the SDK does instead: refuse too, pay nothing, or not notice."""
    side_out = 1 - _side(pool, swap)
    if "error" in theirs or int(theirs["amountOut"]) <= _units_off(pool, side_out):
        yield from (AmountTooSmall, InsufficientLiquidity, VenueUnavailable)
    elif int(theirs["amountOut"]) + _units_off(pool, side_out) >= pool.vaults[side_out].reserve:
        yield InsufficientLiquidity
    if not pool.vaults[_side(pool, swap)].takes_deposits:
        yield VenueUnavailable
