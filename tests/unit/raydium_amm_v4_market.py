"""Raydium AMM v4 pools of any state, and traders on them."""

from __future__ import annotations

from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.raydium_amm_v4.pool import RaydiumAmmV4Venue
from infra.localnet.programs.raydium_amm_v4 import RaydiumAmmV4Program
from infra.localnet.programs.raydium_amm_v4_pool import AmmV4PoolSpec, genesis_pool
from infra.localnet.programs.token_accounts import mint_account
from testing.sdk.made_up_pools import sizes
from tests.unit.spl_swap_market import SwapMarket

U64_MAX = (1 << 64) - 1
CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)
COIN, PC = (Mint(Pubkey(bytes([20 + number] * 32)), TOKEN_PROGRAM, 6) for number in range(2))


def market(spec: AmmV4PoolSpec, mint_in: Pubkey, held: int) -> SwapMarket:
    pool = genesis_pool(spec)
    mints = {mint.address: mint_account(mint, supply=U64_MAX, authority=None) for mint in spec.mints}
    return SwapMarket(RaydiumAmmV4Venue(), RaydiumAmmV4Program(), pool.address, pool.accounts | mints, mint_in, held)


@st.composite
def specs(draw: st.DrawFn) -> AmmV4PoolSpec:
    """Reserves from one unit up, profit owed, all fees below the whole, pools that wait to open."""
    reserves = st.one_of(st.integers(10**6, 10**15), sizes(1 << 63))
    owed = st.one_of(st.just(0), sizes(1 << 60))
    denominator = draw(st.sampled_from([10_000, 10_000, 1_000_000, 7]))
    numerator = draw(st.one_of(st.just(denominator // 400), st.integers(0, denominator - 1)))
    return AmmV4PoolSpec(
        mints=(COIN, PC),
        reserves=(draw(reserves), draw(reserves)),
        owed_profit=(draw(owed), draw(owed)),
        swap_fee=(numerator, denominator),
        status=draw(st.sampled_from([6, 6, 6, 7])),
        open_time=CLOCK.unix_timestamp + draw(st.sampled_from([-1, 0, 0, 1])),
    )
