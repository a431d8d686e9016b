"""Meteora DLMM's swap2 as an instruction, written and read back.

Source: MeteoraAg/dlmm-sdk, idls/dlmm.json `swap2` (the accounts' order), commons/src/pda.rs (their addresses).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.account_metas import readonly, writable
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.venues.derived_addresses import DerivedAddresses
from chalicelib.venues.meteora_dlmm.layout import (
    EVENT_AUTHORITY,
    EXTENDED_REACH,
    PROGRAM_ID,
    bin_array_address,
    bitmap_extension_address,
    oracle_address,
    reserve_address,
)

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
SWAP2_DISCRIMINATOR = bytes([65, 75, 63, 76, 235, 91, 91, 136])
# discriminator, amount_in, min_amount_out, then the length of an empty remaining_accounts_info
_SWAP2 = Struct("<8sQQI")
# Of the accounts; the bin arrays follow.
_FIXED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap2:
    """The instruction's accounts and arguments, without host fee. Pairs are X, Y; amounts base units."""

    pool: Pubkey
    has_bitmap_extension: bool
    reserves: tuple[Pubkey, Pubkey]
    tokens: tuple[TokenMint, TokenMint]
    oracle: Pubkey
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    bin_arrays: tuple[Pubkey, ...]
    amount_in: int
    minimum_out: int

    def encode(self) -> Instruction:
        token_x, token_y = self.tokens
        # The program takes its own id for an optional account that is not given.
        none = readonly(PROGRAM_ID)
        metas = [
            writable(self.pool),
            writable(bitmap_extension_address(self.pool)) if self.has_bitmap_extension else none,
            writable(self.reserves[0]),
            writable(self.reserves[1]),
            writable(self.source),
            writable(self.destination),
            readonly(token_x.mint),
            readonly(token_y.mint),
            writable(self.oracle),
            none,
            AccountMeta(self.trader, is_signer=True, is_writable=False),
            readonly(token_x.token_program),
            readonly(token_y.token_program),
            readonly(MEMO_PROGRAM),
            readonly(EVENT_AUTHORITY),
            readonly(PROGRAM_ID),
            *(writable(address) for address in self.bin_arrays),
        ]
        return Instruction(PROGRAM_ID, _SWAP2.pack(SWAP2_DISCRIMINATOR, self.amount_in, self.minimum_out, 0), metas)


def decode_swap(accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
    """The swap that `Swap2.encode` wrote. Raises NotOurSwap.

    Reserves, oracle, extension and bin arrays must be at the addresses that the program derives from the pool, the
    arrays in a row. The program tells the way that the swap goes by the source's mint, so both ways are named.
    """
    if len(accounts) < _FIXED or len(data) != _SWAP2.size:
        raise NotOurSwap("it has other accounts or arguments than swap2 has")
    discriminator, amount_in, minimum_out, slices = _SWAP2.unpack(data)
    if discriminator != SWAP2_DISCRIMINATOR or slices:
        raise NotOurSwap("it is not a swap2 without transfer-hook accounts")
    pool, extension, reserve_x, reserve_y, source, destination, mint_x, mint_y, oracle = accounts[:9]
    trader, program_x, program_y = accounts[10:13]
    swap = Swap2(
        pool=pool,
        has_bitmap_extension=extension != PROGRAM_ID,
        reserves=(reserve_x, reserve_y),
        tokens=(TokenMint(mint_x, program_x), TokenMint(mint_y, program_y)),
        oracle=oracle,
        trader=trader,
        source=source,
        destination=destination,
        bin_arrays=tuple(accounts[_FIXED:]),
        amount_in=amount_in,
        minimum_out=minimum_out,
    )
    instruction = swap.encode()
    if [meta.pubkey for meta in instruction.accounts] != list(accounts):
        raise NotOurSwap("an account that is always the same is another")
    if (reserve_x, reserve_y, oracle) != (
        reserve_address(pool, mint_x),
        reserve_address(pool, mint_y),
        oracle_address(pool),
    ):
        raise NotOurSwap("a reserve or the oracle is not the pool's")
    if not _in_a_row(pool, swap.bin_arrays):
        raise NotOurSwap("the bin arrays are not the pool's, in the order of a swap")
    token_x, token_y = swap.tokens
    directions = (token_x, token_y), (token_y, token_x)
    return DecodedSwap(instruction, pool, trader, source, destination, directions, amount_in, minimum_out)


def _in_a_row(pool: Pubkey, arrays: Sequence[Pubkey]) -> bool:
    """Whether these are some of the pool's bin arrays, each once, upwards or downwards."""
    indexes = [index for array in arrays if (index := _bin_arrays(pool).index_of(array)) is not None]
    if len(indexes) != len(arrays):
        return False
    return all(a < b for a, b in pairwise(indexes)) or all(a > b for a, b in pairwise(indexes))


@lru_cache(maxsize=256)
def _bin_arrays(pool: Pubkey) -> DerivedAddresses:
    """All that the pool can have, looked through outwards from index 0."""
    outwards = (index for distance in range(EXTENDED_REACH) for index in (distance, -distance - 1))
    return DerivedAddresses(partial(bin_array_address, pool), outwards)
