"""Meteora DAMM v1's accounts and those of the vaults that it keeps its tokens in. Nothing here computes a swap.

Source: MeteoraAg/damm-v1-sdk, programs/dynamic-amm/src/state.rs (Pool), programs/dynamic-vault/src/state.rs (Vault),
common/src (addresses), dynamic-amm-quote/src/depeg (what is read of a stake account).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import MINT_LENGTH, TOKEN_PROGRAM
from chalicelib.venues.pool_accounts import InvalidAccount

PROGRAM_ID = Pubkey.from_string("Eo7WjKq67rjJQSZxS6z3YkapzY3eMj6Xy8X5EQVn5UaB")
VAULT_PROGRAM_ID = Pubkey.from_string("24Uqj9JCLxUeoC3hGfh5W3s9FM9uCHDS2SG3LYwBpyTi")
# Every vault's address is derived from this and its mint: there is one vault for each token.
_VAULT_BASE = Pubkey.from_string("HWzXGcGHy4tcpYfaRDCyLNzXqBTv3E6BttpCH2vJxArv")

# The first eight bytes of SHA-256 of "account:Pool" and so on: Anchor's way of telling accounts apart.
POOL_DISCRIMINATOR = bytes.fromhex("f19a6d0411b16dbc")
VAULT_DISCRIMINATOR = bytes.fromhex("d308e82b02987577")

# Of Pool: mints, vaults, the pool's LP of both; whether it is enabled; accounts for the protocol's fee, the fees; the
# stake pool; when it opens; a partner's part of the protocol's fee. Then what nothing depends on, and which curve.
_POOL = Struct("<40x32s32s32s32s32s32sx?32s32s32xQQQQx32s8xQ64xBQ390xB")
# Of the stable curve, behind its tag: amplification, multipliers of A and B; the depeg's cached price, its time, kind.
_STABLE_CURVE = Struct("<QQQxQQB")
_CURVE_OFFSET = _POOL.size
# Of Pool: token_a_mint, token_b_mint.
MINTS_OFFSET = 40
# Of Vault: whether deposits are taken, all that it has, its token account, mint and LP mint; the locked profit.
_VAULT = Struct("<8xB2xQ32s32x32s32s1056xQQQ")
_LP_SUPPLY = Struct("<36xQx?")
_PRICE_X32 = Struct("<Q")
_SOLIDO_SUPPLY_AND_BALANCE = Struct("<73xQQ")
_STAKE_POOL_LAMPORTS_AND_SUPPLY = Struct("<258xQQ")
_MARINADE_PRICE_OFFSET = 512

_MARINADE_STATE = Pubkey.from_string("8szGkuLTAux9XMgZ2vtY39jVSowEcpBfFfD8hXSEqdGC")
_SOLIDO_STATE = Pubkey.from_string("49Yi1TKkNyYjPAFdR9LBvoHcUjuPX4Df5T5yv39w2XTn")

ACTIVATION_BY_SLOT, ACTIVATION_BY_TIME = range(2)
CONSTANT_PRODUCT, STABLE = range(2)
# What a depeg pool's virtual price counts in (constants.rs `depeg::PRECISION`).
PRICE_PRECISION = 10**6


class Depeg(IntEnum):
    """Whose token B is, where its price is the stake's and not one (state.rs DepegType)."""

    NONE = 0
    MARINADE = 1
    LIDO = 2
    SPL_STAKE = 3


@dataclass(frozen=True, slots=True)
class StableCurve:
    """The parameters of a stable pool. `cached_price` is B's in millionths, as of `cached_at`; both 0 without depeg."""

    amplification: int
    multipliers: tuple[int, int]
    cached_price: int
    cached_at: int
    depeg: Depeg


class DammV1PoolState(NamedTuple):
    """What a swap reads of state.rs Pool, in its order; addresses as bytes. Of pairs, A comes first."""

    mint_a: bytes
    mint_b: bytes
    vault_a: bytes
    vault_b: bytes
    vault_lp_a: bytes
    vault_lp_b: bytes
    enabled: bool
    protocol_fee_a: bytes
    protocol_fee_b: bytes
    trade_fee_numerator: int
    trade_fee_denominator: int
    protocol_fee_numerator: int
    protocol_fee_denominator: int
    stake: bytes
    activation_point: int
    activation_type: int
    partner_fee_numerator: int
    curve: int

    @classmethod
    def decode(cls, owner: Pubkey, data: bytes) -> DammV1PoolState:
        """Raises InvalidAccount. What is behind the curve is not looked at: older pools are shorter."""
        if owner != PROGRAM_ID:
            raise InvalidAccount(f"no Pool of Meteora DAMM v1: owned by {owner}")
        if data[:8] != POOL_DISCRIMINATOR or len(data) < _POOL.size:
            raise InvalidAccount("no Pool of Meteora DAMM v1")
        return cls._make(_POOL.unpack_from(data))

    def check_addresses(self, pool: Pubkey) -> None:
        """Raises InvalidAccount unless the pool names its mints' vaults, its own LP accounts there, and two mints.

        The pool's own address isn't derived: the program has had several ways to make one.
        """
        named = self.vault_a, self.vault_b, self.vault_lp_a, self.vault_lp_b
        if named != _addresses_of(pool, self.mint_a, self.mint_b) or self.mint_a == self.mint_b:
            raise InvalidAccount("the pool names accounts that are not its own")

    def stable_curve(self, data: bytes) -> StableCurve | None:
        """The curve's parameters, from the same account; None for the constant product. Raises InvalidAccount."""
        if self.curve == CONSTANT_PRODUCT:
            return None
        if self.curve != STABLE or len(data) < _CURVE_OFFSET + _STABLE_CURVE.size:
            raise InvalidAccount(f"the pool's curve is of an unknown kind: {self.curve}")
        amplification, multiplier_a, multiplier_b, price, cached_at, kind = _STABLE_CURVE.unpack_from(
            data, _CURVE_OFFSET
        )
        try:
            depeg = Depeg(kind)
        except ValueError:
            raise InvalidAccount(f"its depeg is of an unknown kind: {kind}") from None
        if not amplification or not multiplier_a or not multiplier_b:
            raise InvalidAccount("its curve makes no sense")
        return StableCurve(amplification, (multiplier_a, multiplier_b), price, cached_at, depeg)

    def stake_account(self, depeg: Depeg) -> Pubkey | None:
        """Where the price of token B is read; None without depeg."""
        if depeg is Depeg.NONE:
            return None
        known = {Depeg.MARINADE: _MARINADE_STATE, Depeg.LIDO: _SOLIDO_STATE}
        return known.get(depeg) or Pubkey(self.stake)


class VaultState(NamedTuple):
    """What a swap reads of state.rs Vault, in its order; addresses as bytes, amounts in base units."""

    enabled: int
    total_amount: int
    token_vault: bytes
    token_mint: bytes
    lp_mint: bytes
    locked_profit: int
    last_report: int
    degradation: int  # of locked profit a second, of 10^12

    @classmethod
    def decode(cls, vault: Pubkey, owner: Pubkey, data: bytes, mint: bytes) -> VaultState:
        """The vault of `mint` at `vault`. Raises InvalidAccount."""
        if owner != VAULT_PROGRAM_ID:
            raise InvalidAccount(f"no Vault of Meteora's: owned by {owner}")
        if data[:8] != VAULT_DISCRIMINATOR or len(data) < _VAULT.size:
            raise InvalidAccount("no Vault of Meteora's")
        state = cls._make(_VAULT.unpack_from(data))
        if state.token_mint != mint or state.token_vault != bytes(token_vault_address(vault)):
            raise InvalidAccount("the vault is another token's, or names accounts that are not its own")
        return state


def lp_supply(account: Account) -> int:
    """How many LP tokens of a vault there are, from their mint. Raises InvalidAccount."""
    if account.owner != TOKEN_PROGRAM or len(account.data) != MINT_LENGTH:
        raise InvalidAccount("no mint of the SPL Token program")
    supply, initialized = _LP_SUPPLY.unpack_from(account.data)
    if not initialized:
        raise InvalidAccount("a mint that is not initialized")
    return int(supply)


def virtual_price(depeg: Depeg, data: bytes) -> int:
    """What the stake account says that one of token B is worth, in millionths. Raises InvalidAccount.

    Source: damm-v1-sdk, dynamic-amm-quote/src/depeg/{marinade,solido,spl_stake}.rs.
    """
    if depeg is Depeg.MARINADE:
        if len(data) < _MARINADE_PRICE_OFFSET + _PRICE_X32.size:
            raise InvalidAccount("no state of Marinade")
        return int(_PRICE_X32.unpack_from(data, _MARINADE_PRICE_OFFSET)[0]) * PRICE_PRECISION >> 32
    if depeg is Depeg.LIDO:
        if len(data) < _SOLIDO_SUPPLY_AND_BALANCE.size:
            raise InvalidAccount("no state of Lido")
        supply, lamports = _SOLIDO_SUPPLY_AND_BALANCE.unpack_from(data)
    else:
        if len(data) < _STAKE_POOL_LAMPORTS_AND_SUPPLY.size:
            raise InvalidAccount("no stake pool")
        lamports, supply = _STAKE_POOL_LAMPORTS_AND_SUPPLY.unpack_from(data)
    if not supply:
        raise InvalidAccount("a stake pool that has issued nothing")
    return int(lamports) * PRICE_PRECISION // int(supply)


@lru_cache(maxsize=1024)
def vault_address(mint: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"vault", bytes(mint), bytes(_VAULT_BASE)], VAULT_PROGRAM_ID)[0]


@lru_cache(maxsize=1024)
def token_vault_address(vault: Pubkey) -> Pubkey:
    """Where a vault keeps what it has not lent out."""
    return Pubkey.find_program_address([b"token_vault", bytes(vault)], VAULT_PROGRAM_ID)[0]


@lru_cache(maxsize=1024)
def vault_lp_address(vault: Pubkey, pool: Pubkey) -> Pubkey:
    """Where a pool keeps its LP tokens of a vault. The one of vault A is also the authority over both."""
    return Pubkey.find_program_address([bytes(vault), bytes(pool)], PROGRAM_ID)[0]


@lru_cache(maxsize=4096)
def _addresses_of(pool: Pubkey, mint_a: bytes, mint_b: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Both vaults, and the pool's LP accounts there."""
    vault_a, vault_b = vault_address(Pubkey(mint_a)), vault_address(Pubkey(mint_b))
    lp_a, lp_b = vault_lp_address(vault_a, pool), vault_lp_address(vault_b, pool)
    return bytes(vault_a), bytes(vault_b), bytes(lp_a), bytes(lp_b)
