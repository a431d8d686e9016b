"""Raydium CPMM's swap_base_input as an instruction, written and read back.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src/instructions/swap_base_input.rs `Swap` (the accounts' order).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.account_metas import readonly, writable
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.venues.derived_addresses import DerivedAddresses
from chalicelib.venues.raydium_cpmm.layout import (
    AUTHORITY,
    PROGRAM_ID,
    config_address,
    observation_address,
    vault_address,
)

SWAP_BASE_INPUT = bytes.fromhex("8fbe5adac41e33de")
SWAP_ARGUMENTS = Struct("<QQ")  # amount_in, minimum_amount_out

_ACCOUNTS = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapBaseInput:
    """The instruction's accounts and arguments. Pairs are input, output; amounts base units."""

    pool: Pubkey
    config: Pubkey
    observation: Pubkey
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    vaults: tuple[Pubkey, Pubkey]
    tokens: tuple[TokenMint, TokenMint]
    amount_in: int
    minimum_out: int

    def encode(self) -> Instruction:
        token_in, token_out = self.tokens
        metas = [
            AccountMeta(self.trader, is_signer=True, is_writable=False),
            readonly(AUTHORITY),
            readonly(self.config),
            writable(self.pool),
            writable(self.source),
            writable(self.destination),
            writable(self.vaults[0]),
            writable(self.vaults[1]),
            readonly(token_in.token_program),
            readonly(token_out.token_program),
            readonly(token_in.mint),
            readonly(token_out.mint),
            writable(self.observation),
        ]
        return Instruction(PROGRAM_ID, SWAP_BASE_INPUT + SWAP_ARGUMENTS.pack(self.amount_in, self.minimum_out), metas)


def decode_swap(accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
    """The swap that `SwapBaseInput.encode` wrote. Raises NotOurSwap.

    The vaults and the observation must be at the addresses that the program derives from the pool and its mints. The
    config must be one of the program's: that it is this pool's own only the program can tell.
    """
    if len(accounts) != _ACCOUNTS or len(data) != len(SWAP_BASE_INPUT) + SWAP_ARGUMENTS.size:
        raise NotOurSwap("it has other accounts or arguments than swap_base_input has")
    trader, authority, config, pool, source, destination, *vaults_and_tokens = accounts
    vault_in, vault_out, program_in, program_out, mint_in, mint_out, observation = vaults_and_tokens
    if not data.startswith(SWAP_BASE_INPUT) or authority != AUTHORITY:
        raise NotOurSwap("it is not swap_base_input")
    if (vault_in, vault_out) != (vault_address(pool, mint_in), vault_address(pool, mint_out)):
        raise NotOurSwap("a vault is not the pool's")
    if observation != observation_address(pool):
        raise NotOurSwap("the observation is not the pool's")
    if _CONFIGS.index_of(config) is None:
        raise NotOurSwap("the config is not one of the program's")
    amount_in, minimum_out = SWAP_ARGUMENTS.unpack_from(data, len(SWAP_BASE_INPUT))
    tokens = TokenMint(mint_in, program_in), TokenMint(mint_out, program_out)
    swap = SwapBaseInput(
        pool=pool,
        config=config,
        observation=observation,
        trader=trader,
        source=source,
        destination=destination,
        vaults=(vault_in, vault_out),
        tokens=tokens,
        amount_in=amount_in,
        minimum_out=minimum_out,
    )
    return DecodedSwap(swap.encode(), pool, trader, source, destination, (tokens,), amount_in, minimum_out)


# The program numbers its configs; the numbers in use are small.
_CONFIGS = DerivedAddresses(config_address, range(1 << 16))
