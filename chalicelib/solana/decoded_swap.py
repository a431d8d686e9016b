"""A swap instruction read back from the bytes of a transaction: what it may take, what it must pay, between whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.token_accounts import TokenMint

# Ways that a swap can go: input, output.
Directions = tuple[tuple[TokenMint, TokenMint], ...]


class NotOurSwap(ValueError):
    """The accounts and data are not an instruction that our encoder writes for this program."""


@dataclass(frozen=True, slots=True)
class DecodedSwap:
    """An exact-in swap. Amounts are base units.

    `instruction` is what our encoder writes for it, with each account's own flags: a message doesn't keep these for
    each instruction. `directions` are the ways (input, output) that it can go; where the program tells the way by the
    accounts that it is given, there are two. An instruction that names no mints has none of its own:
    `directions_between` tells them from the two mints that its pool is registered with, and raises NotOurSwap where an
    account that is derived from these is another.
    """

    instruction: Instruction
    pool: Pubkey
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    directions: Directions
    amount_in: int
    minimum_out: int
    directions_between: Callable[[tuple[Pubkey, Pubkey]], Directions] | None = field(default=None, compare=False)


class SwapDecoder(Protocol):
    """One swap program's instructions, read back."""

    @property
    def program_id(self) -> Pubkey: ...

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """The swap that our encoder wrote as these accounts and data; any other raises NotOurSwap.

        Every account is either one of the trader's or derived from the pool by the program's own rules. Pure.
        """
