"""Addresses that Raydium's CPMM and CLMM derive alike, each of its own program id.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src/instructions: initialize.rs, admin/create_config.rs;
raydium-io/raydium-clmm, programs/amm/src: states/pool.rs, config.rs, oracle.rs.
"""

from __future__ import annotations

from functools import lru_cache

from solders.pubkey import Pubkey

# Configs that have pools of many pairs are among these: both programs number theirs.
USUAL_CONFIGS = range(16)


@lru_cache(maxsize=512)
def config_address(program: Pubkey, index: int) -> Pubkey:
    return Pubkey.find_program_address([b"amm_config", index.to_bytes(2, "big")], program)[0]


@lru_cache(maxsize=2048)
def pool_address(program: Pubkey, config: Pubkey, mint_0: Pubkey, mint_1: Pubkey) -> Pubkey:
    """Of CPMM, where a pool is whose creator chooses no other address."""
    seeds = [b"pool", bytes(config), bytes(mint_0), bytes(mint_1)]
    return Pubkey.find_program_address(seeds, program)[0]


def usual_pools(program: Pubkey, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
    """One for each of the usual configs, of the two mints in either order."""
    mint_0, mint_1 = sorted((mint_a, mint_b), key=bytes)
    return tuple(pool_address(program, config_address(program, index), mint_0, mint_1) for index in USUAL_CONFIGS)


@lru_cache(maxsize=2048)
def vault_address(program: Pubkey, pool: Pubkey, mint: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"pool_vault", bytes(pool), bytes(mint)], program)[0]


@lru_cache(maxsize=2048)
def observation_address(program: Pubkey, pool: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"observation", bytes(pool)], program)[0]
