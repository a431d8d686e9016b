"""Raydium CLMM's swap_v2 as an instruction, written and read back.

Source: raydium-io/raydium-clmm, programs/amm/src/instructions/swap_v2.rs `SwapSingleV2` (the accounts' order).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.account_metas import readonly, writable
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.derived_addresses import DerivedAddresses
from chalicelib.venues.raydium_clmm.layout import (
    MAX_TICK,
    PROGRAM_ID,
    TICKS_PER_ARRAY,
    bitmap_extension_address,
    config_address,
    observation_address,
    pool_address,
    tick_array_address,
    vault_address,
)

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
SWAP_V2_DISCRIMINATOR = bytes.fromhex("2b04ed0b1ac91e62")
# discriminator, amount, other_amount_threshold, sqrt_price_limit_x64, is_base_input
SWAP_V2 = Struct("<8sQQ16s?")
# Without a limit the program takes all of the input or fails.
NO_PRICE_LIMIT = bytes(16)
# Of the accounts; the bitmap extension and the tick arrays follow.
FIXED_ACCOUNTS = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapV2:
    """The instruction's accounts and arguments, exact in. Pairs are input, output; amounts base units.

    `tick_arrays` are those that the swap may go through, in its order; the bitmap extension may be before them.
    """

    pool: Pubkey
    config: Pubkey
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    tokens: tuple[TokenMint, TokenMint]
    remaining_accounts: tuple[Pubkey, ...]
    amount_in: int
    minimum_out: int

    def encode(self) -> Instruction:
        token_in, token_out = self.tokens
        metas = [
            AccountMeta(self.trader, is_signer=True, is_writable=False),
            readonly(self.config),
            writable(self.pool),
            writable(self.source),
            writable(self.destination),
            writable(vault_address(self.pool, token_in.mint)),
            writable(vault_address(self.pool, token_out.mint)),
            writable(observation_address(self.pool)),
            readonly(TOKEN_PROGRAM),
            readonly(TOKEN_2022_PROGRAM),
            readonly(MEMO_PROGRAM),
            readonly(token_in.mint),
            readonly(token_out.mint),
            # filling a tick's last order may unmark its array
            *(writable(address) for address in self.remaining_accounts),
        ]
        data = SWAP_V2.pack(SWAP_V2_DISCRIMINATOR, self.amount_in, self.minimum_out, NO_PRICE_LIMIT, True)
        return Instruction(PROGRAM_ID, data, metas)


def decode_swap(accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
    """The swap that `SwapV2.encode` wrote. Raises NotOurSwap.

    Pool, vaults, observation, bitmap extension and tick arrays must be at the addresses that the program derives, the
    arrays in a row. The instruction doesn't say which token program each mint is of: all four pairs are named.
    """
    if len(accounts) < FIXED_ACCOUNTS or len(data) != SWAP_V2.size:
        raise NotOurSwap("it has other accounts or arguments than swap_v2 has")
    discriminator, amount_in, minimum_out, limit, is_base_input = SWAP_V2.unpack(data)
    if discriminator != SWAP_V2_DISCRIMINATOR or limit != NO_PRICE_LIMIT or data[-1] != 1 or not is_base_input:
        raise NotOurSwap("it is not an exact-in swap_v2 without price limit")
    trader, config, pool, source, destination = accounts[:5]
    mint_in, mint_out = accounts[11:FIXED_ACCOUNTS]
    remaining = tuple(accounts[FIXED_ACCOUNTS:])
    if _CONFIGS.index_of(config) is None:
        raise NotOurSwap("the config is not one of the program's")
    if pool != pool_address(config, *sorted((mint_in, mint_out), key=bytes)):
        raise NotOurSwap("the pool is not that of the config and the mints")
    directions = tuple(
        (TokenMint(mint_in, program_in), TokenMint(mint_out, program_out))
        for program_in in _TOKEN_PROGRAMS
        for program_out in _TOKEN_PROGRAMS
    )
    swap = SwapV2(
        pool=pool,
        config=config,
        trader=trader,
        source=source,
        destination=destination,
        tokens=directions[0],
        remaining_accounts=remaining,
        amount_in=amount_in,
        minimum_out=minimum_out,
    )
    instruction = swap.encode()
    if [meta.pubkey for meta in instruction.accounts] != list(accounts):
        raise NotOurSwap("a vault, the observation, or an account that is always the same is another")
    arrays = remaining[1:] if remaining[:1] == (bitmap_extension_address(pool),) else remaining
    if not _in_a_row(pool, arrays):
        raise NotOurSwap("the tick arrays are not the pool's, in the order of a swap")
    return DecodedSwap(instruction, pool, trader, source, destination, directions, amount_in, minimum_out)


def _in_a_row(pool: Pubkey, arrays: Sequence[Pubkey]) -> bool:
    """Whether these are some of the pool's tick arrays, each once, upwards or downwards."""
    starts = [start for array in arrays if (start := _tick_arrays(pool).index_of(array)) is not None]
    if len(starts) != len(arrays):
        return False
    return all(a < b for a, b in pairwise(starts)) or all(a > b for a, b in pairwise(starts))


@lru_cache(maxsize=256)
def _tick_arrays(pool: Pubkey) -> DerivedAddresses:
    """All that the pool can have, whatever its tick spacing: those of usual spacings first, outwards from 0."""
    return DerivedAddresses(partial(tick_array_address, pool), _starts())


def _starts() -> Iterator[int]:
    tried: list[int] = []
    for spacing in _USUAL_SPACINGS:
        width = TICKS_PER_ARRAY * spacing
        for distance in range(MAX_TICK // width + 1):
            for start in (distance * width, -(distance + 1) * width):
                if not any(start % each == 0 for each in tried):
                    yield start
        tried.append(width)


# The program numbers its configs; the numbers in use are small.
_CONFIGS = DerivedAddresses(config_address, range(1 << 16))
_TOKEN_PROGRAMS = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)
# Of the configs in use, the last of which is a part of every other spacing.
_USUAL_SPACINGS = (120, 60, 10, 1)
