"""Made-up pools of the venues, decoded from the accounts that their programs would leave, for the routing's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.tokens import (
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    Mint,
    TransferFee,
    TransferFeeConfig,
)
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Pool, MeteoraDammV2Venue
from chalicelib.venues.meteora_dlmm.layout import bitmap_extension_address
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool, MeteoraDlmmVenue
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool, RaydiumCpmmVenue
from infra.localnet.programs import meteora_damm_v2_pool, meteora_dlmm_pool, raydium_cpmm_pool
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.token_accounts import mint_account

CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)

SOL = Mint(NATIVE_MINT, TOKEN_PROGRAM, 9)
USDC = Mint(Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"), TOKEN_PROGRAM, 6)
JUP = Mint(Pubkey(bytes([70] * 32)), TOKEN_PROGRAM, 6)
RAY = Mint(Pubkey(bytes([90] * 32)), TOKEN_PROGRAM, 6)


def taxed(basis_points: int, maximum_fee: int) -> Mint:
    """A Token-2022 mint with a transfer fee."""
    fee = TransferFee(epoch=0, maximum_fee=maximum_fee, basis_points=basis_points)
    return Mint(Pubkey(bytes([80] * 32)), TOKEN_2022_PROGRAM, 6, TransferFeeConfig(fee, fee), extensions=frozenset({1}))


def accounts_of(made: GenesisPool, *mints: Mint) -> dict[Pubkey, Account]:
    """The pool's accounts and its mints'."""
    return {
        **made.accounts,
        **{mint.address: mint_account(mint, supply=10**18, authority=None) for mint in mints},
    }


def cpmm(mints: tuple[Mint, Mint], reserves: tuple[int, int], config_index: int = 0, **more: Any) -> RaydiumCpmmPool:
    """A constant-product pool; another `config_index` makes another pool of the same pair."""
    spec = raydium_cpmm_pool.CpmmPoolSpec(mints=mints, reserves=reserves, config_index=config_index, **more)
    made = raydium_cpmm_pool.genesis_pool(spec)
    return RaydiumCpmmVenue().decode(made.address, accounts_of(made, *mints))


def damm_v2(mints: tuple[Mint, Mint], **more: Any) -> MeteoraDammV2Pool:
    """A DAMM v2 pool; another `config` makes another pool of the same pair."""
    made = meteora_damm_v2_pool.genesis_pool(meteora_damm_v2_pool.DammV2PoolSpec(mints=mints, **more))
    return MeteoraDammV2Venue().decode(made.address, accounts_of(made, *mints))


def dlmm(
    mints: tuple[Mint, Mint],
    liquidity: Mapping[int, tuple[int, int]],
    active_id: int = 0,
    bin_step: int = 20,
    base_factor: int = 10_000,
    without: frozenset[Pubkey] = frozenset(),
    **more: Any,
) -> MeteoraDlmmPool:
    """A DLMM pool, `liquidity` by bin; another `base_factor` makes another pool of the same pair and bin step.

    The accounts in `without` are as if they had not been read.
    """
    spec = meteora_dlmm_pool.DlmmPoolSpec(
        mint_x=mints[0],
        mint_y=mints[1],
        bin_step=bin_step,
        active_id=active_id,
        base_factor=base_factor,
        liquidity=liquidity,
        **more,
    )
    made = meteora_dlmm_pool.genesis_pool(spec)
    accounts: AccountMap = {
        bitmap_extension_address(made.address): None,
        **{address: account for address, account in accounts_of(made, *mints).items() if address not in without},
    }
    return MeteoraDlmmVenue().decode(made.address, accounts)


def around(active_id: int, bins: int, of_x: int, of_y: int) -> dict[int, tuple[int, int]]:
    """The same liquidity in each of so many bins to either side, and in the active one."""
    return {
        bin_id: (of_x if bin_id >= active_id else 0, of_y if bin_id <= active_id else 0)
        for bin_id in range(active_id - bins, active_id + bins + 1)
    }
