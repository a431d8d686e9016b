"""A swap instruction read back from the bytes of a transaction: what it may take, what it must pay, between whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.token_accounts import TokenMint


class NotOurSwap(ValueError):
    """The accounts and data are not an instruction that our encoder writes for this program."""


@dataclass(frozen=True, slots=True)
class DecodedSwap:
    """An exact-in swap. Amounts are base units.

    `instruction` is what our encoder writes for it, with each account's own flags: a message doesn't keep these for
    each instruction. `directions` are the ways (input, output) that it can go; where the program tells the way by the
    accounts that it is given, there are two.
    """

    instruction: Instruction
    pool: Pubkey
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    directions: tuple[tuple[TokenMint, TokenMint], ...]
    amount_in: int
    minimum_out: int


class SwapDecoder(Protocol):
    """One swap program's instructions, read back."""

    @property
    def program_id(self) -> Pubkey: ...

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """The swap that our encoder wrote as these accounts and data; any other raises NotOurSwap.

        Every account is either one of the trader's or derived from the pool by the program's own rules. Pure.
        """
