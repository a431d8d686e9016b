"""Meteora DAMM v1 pools and their vaults for the genesis market, as the programs themselves would have created them.

Facts: MeteoraAg/damm-v1-sdk, programs/dynamic-amm/src/state.rs, programs/dynamic-vault/src, common/src (addresses).
Amounts are base units of the token, or of a vault's LP token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.meteora_damm_v1.layout import (
    CONSTANT_PRODUCT,
    POOL_DISCRIMINATOR,
    STABLE,
    VAULT_DISCRIMINATOR,
    VAULT_PROGRAM_ID,
    Depeg,
    token_vault_address,
    vault_address,
    vault_lp_address,
)
from chalicelib.venues.meteora_damm_v1.layout import PROGRAM_ID as PROGRAM_ID
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.token_accounts import mint_account, rent_exempt, token_account

POOL_LENGTH, VAULT_LENGTH = 1387, 10_240
# LP mint, mints, vaults, LP accounts, bump, enabled, fee accounts; fee_last_updated_at, padding; fees; pool type,
# stake, locked LP; activation point, whitelisted vault, creator, activation type; partner's fee, authority, pending
_POOL = Struct("<8s32s32s32s32s32s32s32sB?32s32s32xQQQQB32sQQ64xBQ32sQQ342x")
# tag, amplification, multipliers, precision; virtual price, its time, depeg's kind; when the amplification changed
_CURVE = Struct("<BQQQBQQBQ")
# enabled, bumps, total, token vault, fee vault, mint, LP mint; strategies; base, admin, operator; locked profit
_VAULT = Struct("<8sBBBQ32s32s32s32s960x32s32s32sQQQ")
_VAULT_BASE = Pubkey.from_string("HWzXGcGHy4tcpYfaRDCyLNzXqBTv3E6BttpCH2vJxArv")


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSpec:
    """A vault, which all pools of its token share: they must name the same one.

    `lp_supply` LP tokens stand for `total` base units, of which `reserve` are not lent out.
    """

    total: int
    lp_supply: int
    reserve: int
    locked_profit: int = 0
    last_report: int = 0
    degradation: int = 46_296_296
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StableSpec:
    """The stable curve. `multipliers` bring A and B to the same precision. The price of B is in millionths."""

    amplification: int = 100
    multipliers: tuple[int, int] = (1, 1)
    depeg: Depeg = Depeg.NONE
    price: int = 0
    priced_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DammV1PoolSpec:
    """A pool to be written into a genesis. Pairs go with `mints`. `pool_lp`: its LP tokens of each vault.

    Another `number` makes another pool of the same pair. Fees are numerator and denominator; the protocol's is a part
    of the trade fee.
    """

    mints: tuple[Mint, Mint]
    vaults: tuple[VaultSpec, VaultSpec]
    pool_lp: tuple[int, int]
    number: int = 0
    trade_fee: tuple[int, int] = (250, 100_000)
    protocol_fee: tuple[int, int] = (20_000, 100_000)
    partner_fee: int = 0
    curve: StableSpec | None = None
    stake: Pubkey = field(default=Pubkey.default())
    enabled: bool = True
    activation_point: int = 0
    activation_type: int = 0


def genesis_pool(spec: DammV1PoolSpec) -> GenesisPool:
    """The pool with its fee and LP accounts, and both vaults with what they consist of."""
    mint_a, mint_b = spec.mints
    pool = _derived(b"pool", spec.number.to_bytes(4, "little"), mint_a.address, mint_b.address)
    vaults = vault_address(mint_a.address), vault_address(mint_b.address)
    vault_lps = vault_lp_address(vaults[0], pool), vault_lp_address(vaults[1], pool)
    fees = _derived(b"fee", mint_a.address, pool), _derived(b"fee", mint_b.address, pool)
    lp_mint = Mint(_derived(b"lp_mint", pool), TOKEN_PROGRAM, decimals=mint_a.decimals)
    curve = spec.curve
    state = _POOL.pack(
        POOL_DISCRIMINATOR,
        *map(bytes, (lp_mint.address, mint_a.address, mint_b.address, *vaults, *vault_lps)),
        Pubkey.find_program_address([bytes(vaults[0]), bytes(pool)], PROGRAM_ID)[1],
        spec.enabled,
        *map(bytes, fees),
        *spec.trade_fee,
        *spec.protocol_fee,
        1,
        bytes(spec.stake),
        0,
        spec.activation_point,
        spec.activation_type,
        spec.partner_fee,
        bytes(32),
        0,
        0,
    )
    if curve is None:
        state += bytes([CONSTANT_PRODUCT])
    else:
        precision = max(mint_a.decimals, mint_b.decimals)
        state += _CURVE.pack(
            STABLE, curve.amplification, *curve.multipliers, precision, curve.price, curve.priced_at, curve.depeg, 0
        )
    accounts = {
        pool: _program_account(PROGRAM_ID, state, POOL_LENGTH),
        lp_mint.address: mint_account(lp_mint, supply=sum(spec.pool_lp), authority=vault_lps[0]),
    }
    for mint, vault, vault_spec, vault_lp, held, fee in zip(
        spec.mints, vaults, spec.vaults, vault_lps, spec.pool_lp, fees, strict=True
    ):
        accounts |= _vault_accounts(mint, vault, vault_spec)
        accounts[vault_lp] = token_account(_vault_lp_mint(mint, vault), vault_lps[0], held)
        accounts[fee] = token_account(mint, vault_lps[0], 0)
    return GenesisPool(pool, accounts)


def _vault_accounts(mint: Mint, vault: Pubkey, spec: VaultSpec) -> dict[Pubkey, Account]:
    token_vault, lp_mint = token_vault_address(vault), _vault_lp_mint(mint, vault)
    state = _VAULT.pack(
        VAULT_DISCRIMINATOR,
        spec.enabled,
        _bump(b"vault", mint.address, _VAULT_BASE),
        _bump(b"token_vault", vault),
        spec.total,
        *map(bytes, (token_vault, vault, mint.address, lp_mint.address, _VAULT_BASE, vault, vault)),
        spec.locked_profit,
        spec.last_report,
        spec.degradation,
    )
    return {
        vault: _program_account(VAULT_PROGRAM_ID, state, VAULT_LENGTH),
        token_vault: token_account(mint, vault, spec.reserve),
        lp_mint.address: mint_account(lp_mint, supply=spec.lp_supply, authority=vault),
    }


def _vault_lp_mint(mint: Mint, vault: Pubkey) -> Mint:
    address, _ = Pubkey.find_program_address([b"lp_mint", bytes(vault)], VAULT_PROGRAM_ID)
    return Mint(address, TOKEN_PROGRAM, mint.decimals)


def _program_account(program: Pubkey, state: bytes, length: int) -> Account:
    return Account(owner=program, lamports=rent_exempt(length), data=state.ljust(length, b"\0"))


def _bump(*seeds: bytes | Pubkey) -> int:
    return Pubkey.find_program_address([bytes(seed) for seed in seeds], VAULT_PROGRAM_ID)[1]


def _derived(*seeds: bytes | Pubkey) -> Pubkey:
    return Pubkey.find_program_address([bytes(seed) for seed in seeds], PROGRAM_ID)[0]
