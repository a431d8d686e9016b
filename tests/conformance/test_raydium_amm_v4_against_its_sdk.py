"""Our quotes of Raydium AMM v4 equal @raydium-io/raydium-sdk-v2's, on recorded pools and on pools made up at random.

Where the two differ, the program decides: its source, or what it did when the vectors were recorded. Each exception is
tested for being exactly what is stated (the SDK's computeAmountOut):
- It knows one fee, 25 of 10000, and not the pool's own. Pools with another aren't asked for.
- It doesn't refuse what would pay nothing, would empty the pool, or what a vault can't hold, nor pools that are closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.venues.raydium_amm_v4.layout import STATUS_SWAP_ONLY, STATUS_WAITING_TRADE
from chalicelib.venues.raydium_amm_v4.pool import RaydiumAmmV4Pool, RaydiumAmmV4Venue
from chalicelib.venues.venue import PoolQuote
from infra.localnet.programs.raydium_amm_v4_pool import AmmV4PoolSpec
from testing.sdk.made_up_pools import sizes
from testing.sdk.oracle import SdkOracle, what_is_missing
from tests.conformance.vector_file import VectorFile
from tests.unit.raydium_amm_v4_market import CLOCK, COIN, PC, U64_MAX, market, specs

_missing = what_is_missing()
pytestmark = pytest.mark.skipif(_missing is not None, reason=_missing or "")

VECTORS = Path(__file__).parent / "vectors"
THE_SDKS_FEE = (25, 10_000)

# Mint in, amount in.
Swap = tuple[Pubkey, int]


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkOracle]:
    with SdkOracle() as oracle:
        yield oracle


swaps = st.lists(
    st.tuples(st.sampled_from([COIN.address, PC.address]), st.one_of(sizes(U64_MAX), st.integers(1, 10**12))),
    min_size=3,
    max_size=6,
)


@given(made=specs(), swaps=swaps)
@settings(
    max_examples=100,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_quotes_of_any_pool_equal_the_sdks(sdk: SdkOracle, made: AmmV4PoolSpec, swaps: list[Swap]) -> None:
    of = market(replace(made, swap_fee=THE_SDKS_FEE), COIN.address, held=0)
    _hold_against(sdk, of.pool_address, of.accounts, CLOCK, swaps)


def test_quotes_of_recorded_swaps_equal_the_sdks(sdk: SdkOracle) -> None:
    cases = [case for case in VectorFile.load(VECTORS / "raydium_amm_v4.json").cases if case.amount_in]
    compared = 0
    for _, of_pool in groupby(cases, lambda case: (case.pool.name, case.clock)):
        alike = list(of_pool)
        pool, clock = alike[0].pool, alike[0].clock
        decoded = RaydiumAmmV4Venue().decode(pool.address, pool.accounts)
        if (decoded.swap_fee_numerator, decoded.swap_fee_denominator) == THE_SDKS_FEE:
            _hold_against(sdk, pool.address, pool.accounts, clock, [(case.mint_in, case.amount_in) for case in alike])
            compared += len(alike)
    assert compared > 300


def _hold_against(
    sdk: SdkOracle, address: Pubkey, accounts: AccountMap, clock: ChainClock, swaps: Sequence[Swap]
) -> None:
    pool = RaydiumAmmV4Venue().decode(address, accounts)
    answers = sdk.quotes("raydium_amm_v4", address, accounts, clock, swaps)
    for swap, theirs in zip(swaps, answers, strict=True):
        ours = _quote(pool, swap, clock)
        if isinstance(ours, ExecutionError):
            assert type(ours) in _refusals(pool, swap, clock, int(theirs.get("amountOut", 0))), (swap, theirs, ours)
            continue
        assert theirs == {"amountOut": str(ours.amount_out), "fee": str(ours.fee)}, swap


def _quote(pool: RaydiumAmmV4Pool, swap: Swap, clock: ChainClock) -> PoolQuote | ExecutionError:
    try:
        return pool.quote(*swap, clock)
    except ExecutionError as refusal:
        return refusal


def _refusals(pool: RaydiumAmmV4Pool, swap: Swap, clock: ChainClock, their_out: int) -> Iterator[type[ExecutionError]]:
    """Ours that the SDK doesn't make."""
    mint_in, amount_in = swap
    side = 0 if mint_in == pool.mints[0].address else 1
    waits = pool.status == STATUS_WAITING_TRADE and clock.unix_timestamp < pool.open_time
    if waits or pool.status not in (STATUS_SWAP_ONLY, STATUS_WAITING_TRADE):
        yield VenueUnavailable
    if their_out <= 0:
        yield AmountTooSmall
    if (
        min(pool.reserves) <= 0
        or their_out >= pool.reserves[1 - side]
        or pool.vault_amounts[side] + amount_in > U64_MAX
    ):
        yield InsufficientLiquidity
