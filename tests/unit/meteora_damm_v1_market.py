"""Meteora DAMM v1 pools of any state, and traders on them."""

from __future__ import annotations

from struct import Struct

from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.meteora_damm_v1.layout import Depeg
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Venue
from infra.localnet.programs.meteora_damm_v1 import MeteoraDammV1Program
from infra.localnet.programs.meteora_damm_v1_pool import DammV1PoolSpec, StableSpec, VaultSpec, genesis_pool
from infra.localnet.programs.token_accounts import mint_account
from testing.sdk.made_up_pools import sizes
from tests.unit.spl_swap_market import SwapMarket

U64_MAX = (1 << 64) - 1
CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)
MINT_A, MINT_B = (Mint(Pubkey(bytes([30 + number] * 32)), TOKEN_PROGRAM, 6) for number in range(2))
STAKE_POOL = Pubkey(bytes([40] * 32))
_STAKE_POOL_PROGRAM = Pubkey.from_string("SPoo1Ku8WFXoNDMHPsrGSTSD1Y47rzgq41SLUNyQWiy")
_LAMPORTS_AND_SUPPLY = Struct("<QQ")


def market(spec: DammV1PoolSpec, mint_in: Pubkey, held: int, stake_price: int = 0) -> SwapMarket:
    """`stake_price` in millionths, of the SPL stake pool that a depeg pool goes by."""
    pool = genesis_pool(spec)
    accounts = pool.accounts | {mint.address: mint_account(mint, supply=U64_MAX, authority=None) for mint in spec.mints}
    if stake_price:
        data = bytes([1]).ljust(258, b"\0") + _LAMPORTS_AND_SUPPLY.pack(stake_price * 10**6, 10**12)
        accounts[STAKE_POOL] = Account(_STAKE_POOL_PROGRAM, 10**9, data.ljust(611, b"\0"))
    return SwapMarket(MeteoraDammV1Venue(), MeteoraDammV1Program(), pool.address, accounts, mint_in, held)


@st.composite
def vaults(draw: st.DrawFn, most: int) -> VaultSpec:
    """Whose LP tokens are worth less than a unit, a unit, or very much; with profit that is locked; lent out or not."""
    total = draw(st.one_of(st.integers(10**6, 10**14), sizes(most)))
    worth = draw(st.sampled_from([(1, 1), (1, 1), (1, 1000), (10, 11), (3, 2), (999, 1000)]))
    supply = max(1, min(total * worth[0] // worth[1], most))
    locked = draw(st.one_of(st.just(0), st.integers(0, total // 10)))
    return VaultSpec(
        total=total,
        lp_supply=supply,
        reserve=draw(st.one_of(st.just(total), st.integers(0, total))),
        locked_profit=locked,
        last_report=CLOCK.unix_timestamp - draw(st.sampled_from([0, 7, 3_600, 10_800, 21_600, 10**6])),
        enabled=draw(st.integers(0, 19)) > 0,
    )


@st.composite
def specs(draw: st.DrawFn) -> DammV1PoolSpec:
    """Both curves; pools that have a part of their vaults, or all; fees of all kinds; depeg."""
    curve = None
    if draw(st.booleans()):
        depeg = draw(st.sampled_from([Depeg.NONE, Depeg.NONE, Depeg.SPL_STAKE]))
        multipliers = st.sampled_from([(1, 1), (1, 1), (1, 1000), (1000, 1)])
        curve = StableSpec(
            amplification=draw(st.sampled_from([1, 10, 100, 1_000, 10_000])),
            multipliers=draw(multipliers) if depeg is Depeg.NONE else (1, 1),
            depeg=depeg,
            price=0 if depeg is Depeg.NONE else draw(st.integers(900_000, 1_500_000)),
            priced_at=CLOCK.unix_timestamp - draw(st.sampled_from([0, 600, 601])),
        )
    both = draw(vaults(1 << 60)), draw(vaults(1 << 60))
    pool_lp = [draw(st.one_of(st.just(vault.lp_supply), st.integers(1, vault.lp_supply))) for vault in both]
    return DammV1PoolSpec(
        mints=(MINT_A, MINT_B),
        vaults=both,
        pool_lp=(pool_lp[0], pool_lp[1]),
        trade_fee=draw(
            st.sampled_from([(250, 100_000), (10, 100_000), (4_000, 100_000), (0, 100_000), (15_000, 100_000)])
        ),
        protocol_fee=(draw(st.sampled_from([20_000, 0, 50_000])), 100_000),
        partner_fee=draw(st.sampled_from([0, 0, 50_000])),
        curve=curve,
        stake=STAKE_POOL if curve is not None and curve.depeg is Depeg.SPL_STAKE else Pubkey.default(),
        enabled=draw(st.integers(0, 19)) > 0,
        activation_point=draw(st.sampled_from([0, 0, CLOCK.unix_timestamp, CLOCK.unix_timestamp + 1])),
        activation_type=1,
    )
