"""Raydium CPMM pools for the genesis market, as the program itself would have created them.

Facts: raydium-io/raydium-cp-swap, programs/cp-swap/src/instructions/initialize.rs, admin/create_config.rs, states/*.rs.
Amounts are base units, rates millionths.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.raydium_cpmm.layout import (
    AUTHORITY,
    AUTHORITY_BUMP,
    CONFIG_DISCRIMINATOR,
    POOL_DISCRIMINATOR,
)
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as PROGRAM_ID
from chalicelib.venues.raydium_cpmm.math import CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0, CREATOR_FEE_ON_TOKEN_1
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.raydium_cpmm import (
    OBSERVATION_DISCRIMINATOR,
    OBSERVATION_HEAD,
    OBSERVATION_LENGTH,
    POOL_STATE,
)
from infra.localnet.programs.token_accounts import mint_account, rent_exempt, token_account

# bump, disable_create_pool, index, trade, protocol and fund fee rates, create_pool_fee, both owners, creator_fee_rate
_CONFIG = Struct("<8sB?HQQQQ32s32sQ120x")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpmmPoolSpec:
    """A pool to be written into a genesis. Pairs go with `mints`, which may stand in either order.

    `reserves` is the liquidity; owed fees lie in the vaults besides. `creator_fee_on` 1 and 2 name the first and the
    second of `mints`. Pools of one `config_index` share its rates.
    """

    mints: tuple[Mint, Mint]
    reserves: tuple[int, int]
    config_index: int
    trade_fee_rate: int = 2_500
    protocol_fee_rate: int = 120_000
    fund_fee_rate: int = 40_000
    creator_fee_rate: int = 0
    creator_fee_on: int = CREATOR_FEE_ON_BOTH
    enable_creator_fee: bool = False
    protocol_fees: tuple[int, int] = (0, 0)
    fund_fees: tuple[int, int] = (0, 0)
    creator_fees: tuple[int, int] = (0, 0)
    status: int = 0
    open_time: int = 0
    epoch: int = 0
    creator: Pubkey = AUTHORITY


def genesis_pool(spec: CpmmPoolSpec) -> GenesisPool:
    """The accounts that the program's own create_amm_config and initialize would leave, at their derived addresses."""
    order = (0, 1) if bytes(spec.mints[0].address) < bytes(spec.mints[1].address) else (1, 0)
    mints = [spec.mints[i] for i in order]
    config = _derived(b"amm_config", spec.config_index.to_bytes(2, "big"))
    pool = _derived(b"pool", config, *(mint.address for mint in mints))
    vaults = [_derived(b"pool_vault", pool, mint.address) for mint in mints]
    lp_mint = Mint(_derived(b"pool_lp_mint", pool), TOKEN_PROGRAM, decimals=9)
    observation = _derived(b"observation", pool)
    lp_supply = isqrt(spec.reserves[0] * spec.reserves[1])
    creator_fee_on = spec.creator_fee_on
    if creator_fee_on != CREATOR_FEE_ON_BOTH and order == (1, 0):
        creator_fee_on = CREATOR_FEE_ON_TOKEN_0 + CREATOR_FEE_ON_TOKEN_1 - creator_fee_on
    state = POOL_STATE.pack(
        POOL_DISCRIMINATOR,
        *map(bytes, (config, spec.creator, *vaults, lp_mint.address)),
        *(bytes(mint.address) for mint in mints),
        *(bytes(mint.token_program) for mint in mints),
        bytes(observation),
        AUTHORITY_BUMP,
        spec.status,
        lp_mint.decimals,
        *(mint.decimals for mint in mints),
        lp_supply,
        *(spec.protocol_fees[i] for i in order),
        *(spec.fund_fees[i] for i in order),
        spec.open_time,
        spec.epoch,
        creator_fee_on,
        spec.enable_creator_fee,
        *(spec.creator_fees[i] for i in order),
    )
    accounts = {
        pool: _program_account(state),
        config: _program_account(_config_state(spec)),
        lp_mint.address: mint_account(lp_mint, supply=lp_supply, authority=AUTHORITY),
        observation: _program_account(_observation_state(pool)),
    }
    for i, vault, mint in zip(order, vaults, mints, strict=True):
        owed = spec.protocol_fees[i] + spec.fund_fees[i] + spec.creator_fees[i]
        accounts[vault] = token_account(mint, AUTHORITY, spec.reserves[i] + owed)
    return GenesisPool(pool, accounts)


def _config_state(spec: CpmmPoolSpec) -> bytes:
    _, bump = Pubkey.find_program_address([b"amm_config", spec.config_index.to_bytes(2, "big")], PROGRAM_ID)
    return _CONFIG.pack(
        CONFIG_DISCRIMINATOR,
        bump,
        False,
        spec.config_index,
        spec.trade_fee_rate,
        spec.protocol_fee_rate,
        spec.fund_fee_rate,
        0,
        bytes(spec.creator),
        bytes(spec.creator),
        spec.creator_fee_rate,
    )


def _observation_state(pool: Pubkey) -> bytes:
    head = OBSERVATION_DISCRIMINATOR + OBSERVATION_HEAD.pack(False, 0) + bytes(pool)
    return head.ljust(OBSERVATION_LENGTH, b"\0")


def _program_account(data: bytes) -> Account:
    return Account(owner=PROGRAM_ID, lamports=rent_exempt(len(data)), data=data)


def _derived(*seeds: bytes | Pubkey) -> Pubkey:
    return Pubkey.find_program_address([bytes(seed) for seed in seeds], PROGRAM_ID)[0]
