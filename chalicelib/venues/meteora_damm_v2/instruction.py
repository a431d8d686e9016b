"""Meteora DAMM v2's swap as an instruction, written and read back.

Source: MeteoraAg/damm-v2, programs/cp-amm/src/instructions/swap/ix_swap.rs `SwapCtx` (the accounts' order) and
ix_p_swap.rs `validate_single_swap_instruction` (the account that a pool with a rate limiter wants besides).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.account_metas import readonly, writable
from chalicelib.solana.accounts import INSTRUCTIONS_SYSVAR
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.venues.meteora_damm_v2.layout import (
    AUTHORITY,
    EVENT_AUTHORITY,
    PROGRAM_ID,
    vault_address,
)

SWAP_DISCRIMINATOR = bytes.fromhex("f8c69e91e17587c8")
SWAP_ARGUMENTS = Struct("<QQ")  # amount_in, minimum_amount_out

# Then perhaps the instructions sysvar.
ACCOUNTS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class DammV2Swap:
    """The instruction's accounts and arguments, without a referral. Pairs are A, B; amounts base units."""

    pool: Pubkey
    vaults: tuple[Pubkey, Pubkey]
    tokens: tuple[TokenMint, TokenMint]
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    has_rate_limiter: bool
    amount_in: int
    minimum_out: int

    def encode(self) -> Instruction:
        token_a, token_b = self.tokens
        metas = [
            readonly(AUTHORITY),
            writable(self.pool),
            writable(self.source),
            writable(self.destination),
            writable(self.vaults[0]),
            writable(self.vaults[1]),
            readonly(token_a.mint),
            readonly(token_b.mint),
            AccountMeta(self.trader, is_signer=True, is_writable=False),
            readonly(token_a.token_program),
            readonly(token_b.token_program),
            # The program takes its own id for the referral account that is not given.
            readonly(PROGRAM_ID),
            readonly(EVENT_AUTHORITY),
            readonly(PROGRAM_ID),
        ]
        if self.has_rate_limiter:
            metas.append(readonly(INSTRUCTIONS_SYSVAR))
        return Instruction(
            PROGRAM_ID, SWAP_DISCRIMINATOR + SWAP_ARGUMENTS.pack(self.amount_in, self.minimum_out), metas
        )


def decode_swap(accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
    """The swap that `Swap.encode` wrote. Raises NotOurSwap.

    The vaults must be at the addresses that the program derives from the pool and its mints. The program tells the way
    that the swap goes by the source's mint, so both ways are named.
    """
    if not ACCOUNTS <= len(accounts) <= ACCOUNTS + 1 or len(data) != len(SWAP_DISCRIMINATOR) + SWAP_ARGUMENTS.size:
        raise NotOurSwap("it has other accounts or arguments than swap has")
    if not data.startswith(SWAP_DISCRIMINATOR):
        raise NotOurSwap("it is not swap")
    pool, source, destination, vault_a, vault_b, mint_a, mint_b, trader, program_a, program_b = accounts[1:11]
    amount_in, minimum_out = SWAP_ARGUMENTS.unpack_from(data, len(SWAP_DISCRIMINATOR))
    token_a, token_b = TokenMint(mint_a, program_a), TokenMint(mint_b, program_b)
    swap = DammV2Swap(
        pool=pool,
        vaults=(vault_a, vault_b),
        tokens=(token_a, token_b),
        trader=trader,
        source=source,
        destination=destination,
        has_rate_limiter=len(accounts) > ACCOUNTS,
        amount_in=amount_in,
        minimum_out=minimum_out,
    )
    instruction = swap.encode()
    if [meta.pubkey for meta in instruction.accounts] != list(accounts):
        raise NotOurSwap("an account that is always the same is another")
    if (vault_a, vault_b) != (vault_address(pool, mint_a), vault_address(pool, mint_b)):
        raise NotOurSwap("a vault is not the pool's")
    directions = (token_a, token_b), (token_b, token_a)
    return DecodedSwap(instruction, pool, trader, source, destination, directions, amount_in, minimum_out)
