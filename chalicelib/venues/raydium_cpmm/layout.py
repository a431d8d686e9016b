"""Raydium CPMM's accounts: where they are and what their bytes say. Nothing here computes a swap.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src: states/pool.rs and states/config.rs (layouts),
instructions/initialize.rs and admin/create_config.rs (addresses).
"""

from __future__ import annotations

from functools import lru_cache, partial
from struct import Struct
from typing import NamedTuple

from solders.pubkey import Pubkey

from chalicelib.venues import raydium_addresses
from chalicelib.venues.pool_accounts import InvalidAccount, check_account

PROGRAM_ID = Pubkey.from_string("CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C")
# Owns every vault and mints every LP token of the program.
AUTHORITY, AUTHORITY_BUMP = Pubkey.find_program_address([b"vault_and_lp_mint_auth_seed"], PROGRAM_ID)

# The first eight bytes of SHA-256 of "account:PoolState" and so on: Anchor's way of telling accounts apart.
POOL_DISCRIMINATOR = bytes.fromhex("f7ede3f5d7c3de46")
CONFIG_DISCRIMINATOR = bytes.fromhex("daf42168cbcb2b6f")

POOL_LENGTH = 637
CONFIG_LENGTH = 236
# Of PoolState: token_0_mint, token_1_mint.
MINTS_OFFSET = 168
# What PoolState names; between them creator, LP mint, decimals, LP supply, recent_epoch.
_POOL = Struct("<8x32s32x32s32s32x32s32s32s32s32sxB3x8xQQQQQ8xB?6xQQ")
# states/config.rs AmmConfig, of which: its index, the trade, protocol, fund and creator fee rates.
_CONFIG = Struct("<10xHQQQ72xQ")


class PoolState(NamedTuple):
    """What a swap reads of states/pool.rs PoolState, in its order; addresses as bytes."""

    config: bytes
    vault_0: bytes
    vault_1: bytes
    mint_0: bytes
    mint_1: bytes
    token_program_0: bytes
    token_program_1: bytes
    observation: bytes
    status: int
    protocol_fees_0: int
    protocol_fees_1: int
    fund_fees_0: int
    fund_fees_1: int
    open_time: int
    creator_fee_on: int
    enable_creator_fee: bool
    creator_fees_0: int
    creator_fees_1: int

    @classmethod
    def decode(cls, owner: Pubkey, data: bytes) -> PoolState:
        """Raises InvalidAccount."""
        _check(owner, data, POOL_DISCRIMINATOR, POOL_LENGTH, "PoolState")
        return cls._make(_POOL.unpack_from(data))

    def check_addresses(self, pool: Pubkey) -> None:
        """Raises InvalidAccount unless the pool names its own vaults and observation, and two mints in order.

        The pool's own address isn't derived: the program allows any (instructions/initialize.rs `create_pool`).
        """
        vault_0, vault_1, observation = _addresses_of(pool, self.mint_0, self.mint_1)
        named = self.vault_0, self.vault_1, self.observation
        # of two mints the smaller is token 0 (instructions/initialize.rs), so no pool has one mint twice
        if named != (vault_0, vault_1, observation) or self.mint_0 >= self.mint_1:
            raise InvalidAccount("the pool names accounts that are not its own")


class FeeRates(NamedTuple):
    """A config's fee rates in millionths; the protocol's and the fund's are parts of the trade fee."""

    trade: int
    protocol: int
    fund: int
    creator: int

    @classmethod
    def decode(cls, config: Pubkey, owner: Pubkey, data: bytes) -> FeeRates:
        """Of the AmmConfig at `config`. Raises InvalidAccount, also where that is not where the program has it."""
        _check(owner, data, CONFIG_DISCRIMINATOR, CONFIG_LENGTH, "AmmConfig")
        index, *rates = _CONFIG.unpack_from(data)
        if config != config_address(index):
            raise InvalidAccount("not where the program keeps this config")
        return cls._make(rates)


config_address = partial(raydium_addresses.config_address, PROGRAM_ID)
pool_address = partial(raydium_addresses.pool_address, PROGRAM_ID)
vault_address = partial(raydium_addresses.vault_address, PROGRAM_ID)
observation_address = partial(raydium_addresses.observation_address, PROGRAM_ID)


@lru_cache(maxsize=4096)
def _addresses_of(pool: Pubkey, mint_0: bytes, mint_1: bytes) -> tuple[bytes, bytes, bytes]:
    """Both vaults and the observation account."""
    vault_0, vault_1 = (bytes(vault_address(pool, Pubkey(mint))) for mint in (mint_0, mint_1))
    return vault_0, vault_1, bytes(observation_address(pool))


_check = partial(check_account, PROGRAM_ID, "Raydium CPMM")
