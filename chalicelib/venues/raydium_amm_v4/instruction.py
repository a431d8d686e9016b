"""Raydium AMM v4's SwapBaseInV2 as an instruction, written and read back: the swap that names no order book.

Source: raydium-io/raydium-amm, program/src: instruction.rs `SwapBaseInV2` (tag, arguments, the accounts' order),
processor.rs `process_swap_base_in_v2` (how each account is checked).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.account_metas import readonly, writable
from chalicelib.solana.decoded_swap import DecodedSwap, Directions, NotOurSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_PROGRAM
from chalicelib.venues.raydium_amm_v4.layout import AUTHORITY, PROGRAM_ID

SWAP_BASE_IN_V2 = 16
SWAP_ARGUMENTS = Struct("<BQQ")  # tag, amount_in, minimum_amount_out

_ACCOUNTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapBaseInV2:
    """The instruction's accounts and arguments. `vaults` are the coin's and the pc's; amounts base units."""

    pool: Pubkey
    vaults: tuple[Pubkey, Pubkey]
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    amount_in: int
    minimum_out: int

    def encode(self) -> Instruction:
        metas = [
            readonly(TOKEN_PROGRAM),
            writable(self.pool),
            readonly(AUTHORITY),
            writable(self.vaults[0]),
            writable(self.vaults[1]),
            writable(self.source),
            writable(self.destination),
            AccountMeta(self.trader, is_signer=True, is_writable=False),
        ]
        return Instruction(PROGRAM_ID, SWAP_ARGUMENTS.pack(SWAP_BASE_IN_V2, self.amount_in, self.minimum_out), metas)


def decode_swap(accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
    """The swap that `SwapBaseInV2.encode` wrote. Raises NotOurSwap.

    It names neither mints nor a market, from which a pool's vaults are derived, and the first pools' vaults are not
    derived at all: that they are this pool's only the program can tell, which compares them with the pool's own.
    """
    if len(accounts) != _ACCOUNTS or len(data) != SWAP_ARGUMENTS.size:
        raise NotOurSwap("it has other accounts or arguments than SwapBaseInV2 has")
    tag, amount_in, minimum_out = SWAP_ARGUMENTS.unpack(data)
    token_program, pool, authority, coin_vault, pc_vault, source, destination, trader = accounts
    if tag != SWAP_BASE_IN_V2 or token_program != TOKEN_PROGRAM or authority != AUTHORITY:
        raise NotOurSwap("it is not SwapBaseInV2")
    if len(set(accounts)) != _ACCOUNTS:
        raise NotOurSwap("one account is named twice")
    swap = SwapBaseInV2(
        pool=pool,
        vaults=(coin_vault, pc_vault),
        trader=trader,
        source=source,
        destination=destination,
        amount_in=amount_in,
        minimum_out=minimum_out,
    )
    return DecodedSwap(
        swap.encode(), pool, trader, source, destination, (), amount_in, minimum_out, directions_between=_directions
    )


def _directions(mints: tuple[Pubkey, Pubkey]) -> Directions:
    """Either way: the program tells the way by the mints of the trader's accounts."""
    one, other = (TokenMint(mint, TOKEN_PROGRAM) for mint in mints)
    return (one, other), (other, one)
