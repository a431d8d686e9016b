"""Accounts that others lay out for a localnet: what they import, and that pools made of it are pools to us."""

from __future__ import annotations

import struct
from fractions import Fraction

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import NATIVE_MINT, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Mint, associated_token_address
from chalicelib.venues import supported
from infra.localnet.market.genesis import active_bin, genesis_market
from infra.localnet.programs import meteora_damm_v2_pool, meteora_dlmm_pool, raydium_clmm_pool, raydium_cpmm_pool
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.token_accounts import rent_exempt, token_account

WALLET = Pubkey(bytes([7] * 32))
MADE_UP = Mint(Pubkey(bytes([1] * 32)), TOKEN_2022_PROGRAM, 6, extensions=frozenset((14,)))
USDC = Mint(Pubkey(bytes([2] * 32)), TOKEN_PROGRAM, 6)
DEPTH = (10**11, 10**11)


def programs_of(pool: GenesisPool) -> set[Pubkey]:
    return {pool.accounts[pool.address].owner} & {venue.program_id for venue in supported.VENUES}


def test_a_raydium_pool_of_made_up_mints_is_owned_by_the_program_that_trades_it() -> None:
    spec = raydium_cpmm_pool.CpmmPoolSpec(mints=(MADE_UP, USDC), reserves=DEPTH, config_index=100)
    assert programs_of(raydium_cpmm_pool.genesis_pool(spec)) == {raydium_cpmm_pool.PROGRAM_ID}


def test_a_meteora_pool_of_made_up_mints_keeps_its_tokens_in_reserves_whose_addresses_follow_from_it() -> None:
    active = active_bin(Fraction(101, 100), 10)
    spec = meteora_dlmm_pool.DlmmPoolSpec(
        mint_x=MADE_UP, mint_y=USDC, bin_step=10, active_id=active, base_factor=10_000, liquidity={active: DEPTH}
    )
    pool = meteora_dlmm_pool.genesis_pool(spec)
    assert programs_of(pool) == {meteora_dlmm_pool.PROGRAM_ID}
    for mint, held in zip((MADE_UP, USDC), DEPTH, strict=True):
        reserve = pool.accounts[meteora_dlmm_pool.reserve_address(pool.address, mint.address)]
        assert struct.unpack_from("<32s32sQ", reserve.data) == (bytes(mint.address), bytes(pool.address), held)


def test_the_bin_that_trades_at_a_price_is_the_highest_that_does_not_ask_more() -> None:
    for bin_id in (-3, 0, 3):
        price = Fraction(1001, 1000) ** bin_id
        assert active_bin(price * Fraction(10_005, 10_000), 10) == bin_id


def test_a_wallets_made_up_tokens_are_a_token_account_that_pays_no_rent() -> None:
    held = token_account(USDC, WALLET, 10**6)
    assert held == Account(owner=TOKEN_PROGRAM, lamports=rent_exempt(len(held.data)), data=held.data)
    assert struct.unpack_from("<32s32sQ", held.data) == (bytes(USDC.address), bytes(WALLET), 10**6)
    assert associated_token_address(WALLET, USDC.address, USDC.token_program).is_on_curve() is False


def test_the_genesis_market_tells_of_each_pool_its_address_and_program() -> None:
    market = genesis_market(0)
    assert NATIVE_MINT in market.accounts
    assert {market.accounts[pool.address].owner for pool in market.pools} >= {
        raydium_cpmm_pool.PROGRAM_ID,
        meteora_dlmm_pool.PROGRAM_ID,
        raydium_clmm_pool.PROGRAM_ID,
        meteora_damm_v2_pool.PROGRAM_ID,
    }
    assert all(market.accounts[pool.address].owner == pool.program for pool in market.pools)
