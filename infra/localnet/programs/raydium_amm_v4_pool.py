"""Raydium AMM v4 pools for the genesis market, as the program itself would have created them.

Facts: raydium-io/raydium-amm, program/src/processor.rs `process_initialize2`, state.rs. Amounts are base units.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import isqrt
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.raydium_amm_v4.layout import AMM_INFO_LENGTH, AUTHORITY, AUTHORITY_NONCE, STATUS_SWAP_ONLY
from chalicelib.venues.raydium_amm_v4.layout import PROGRAM_ID as PROGRAM_ID
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.token_accounts import mint_account, rent_exempt, token_account

# The order book's program: the pool's market is one of its accounts, from which the pool's own addresses are derived.
_MARKET_PROGRAM = Pubkey.from_string("srmqPvymJeFKQ4zGQed1GFppgkRHL9kaELCbyksJtPX")
# status, nonce, order_num, depth, decimals of both; state, reset_flag, min_size; vol_max_cut_ratio, amount_wave, lot
# sizes, price multipliers, sys_decimal_value
_HEAD = Struct("<16Q")
# min_separate, trade, pnl and swap: numerator and denominator each
_FEES = Struct("<8Q")
# need_take_pnl of coin and pc, total pnl of both, pool_open_time, padding, orderbook_to_init_time; then the sums of
# what was swapped
_STATE_DATA = Struct("<5Q16xQ80x")
# vaults, mints, LP mint, open orders, market, market program, target orders; padding, owner; LP amount
_ADDRESSES = Struct(f"<{'32s' * 9}64x32sQ24x")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmmV4PoolSpec:
    """A pool to be written into a genesis. Pairs go with `mints`: coin, then pc; the program doesn't sort them.

    `reserves` is the liquidity; the profit that is owed lies in the vaults besides. Another `market` makes another pool
    of the same pair. The swap's fee is 25 of 10000, as of every pool.
    """

    mints: tuple[Mint, Mint]
    reserves: tuple[int, int]
    market: int = 0
    owed_profit: tuple[int, int] = (0, 0)
    swap_fee: tuple[int, int] = (25, 10_000)
    status: int = STATUS_SWAP_ONLY
    open_time: int = 0


def genesis_pool(spec: AmmV4PoolSpec) -> GenesisPool:
    """The accounts that the program's own initialize2 would leave, at their derived addresses."""
    market = _market_address(spec)
    pool, coin_vault, pc_vault, lp_mint_address, open_orders, target_orders = (
        _derived(market, name)
        for name in (
            b"amm_associated_seed",
            b"coin_vault_associated_seed",
            b"pc_vault_associated_seed",
            b"lp_mint_associated_seed",
            b"open_order_associated_seed",
            b"target_associated_seed",
        )
    )
    coin, pc = spec.mints
    lp_mint = Mint(lp_mint_address, TOKEN_PROGRAM, coin.decimals)
    lp_supply = isqrt(spec.reserves[0] * spec.reserves[1])
    head = _HEAD.pack(spec.status, AUTHORITY_NONCE, 7, 3, coin.decimals, pc.decimals, 1, 0, 0, 0, 0, 0, 0, 0, 0, 10**9)
    fees = _FEES.pack(5, 10_000, 25, 10_000, 12, 100, *spec.swap_fee)
    state = _STATE_DATA.pack(*spec.owed_profit, 0, 0, spec.open_time, 0)
    addresses = (
        coin_vault,
        pc_vault,
        coin.address,
        pc.address,
        lp_mint_address,
        open_orders,
        market,
        _MARKET_PROGRAM,
        target_orders,
    )
    data = head + fees + state + _ADDRESSES.pack(*map(bytes, addresses), bytes(AUTHORITY), lp_supply)
    assert len(data) == AMM_INFO_LENGTH
    held = [reserve + owed for reserve, owed in zip(spec.reserves, spec.owed_profit, strict=True)]
    return GenesisPool(
        pool,
        {
            pool: Account(owner=PROGRAM_ID, lamports=rent_exempt(len(data)), data=data),
            coin_vault: token_account(coin, AUTHORITY, held[0]),
            pc_vault: token_account(pc, AUTHORITY, held[1]),
            lp_mint_address: mint_account(lp_mint, supply=lp_supply, authority=AUTHORITY),
        },
    )


def _market_address(spec: AmmV4PoolSpec) -> Pubkey:
    """Markets are at addresses of their makers' choice; this one is the pair's."""
    names = b"".join(bytes(mint.address) for mint in spec.mints) + spec.market.to_bytes(4, "little")
    return Pubkey(sha256(b"fillrate localnet market" + names).digest())


def _derived(market: Pubkey, name: bytes) -> Pubkey:
    return Pubkey.find_program_address([bytes(PROGRAM_ID), bytes(market), name], PROGRAM_ID)[0]
