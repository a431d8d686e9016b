"""What an emulated swap program is to the ledger: an instruction and accounts in, token transfers and new data out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, ChainClock


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """A TransferChecked that the program would make by CPI, `amount` in base units before any transfer fee.

    `authority` signs: the trader for what goes in, the pool's own authority for what comes out. `memo` is what the
    program has the memo program say just before, where the destination takes no transfer without one.
    """

    token_program: Pubkey
    source: Pubkey
    mint: Pubkey
    destination: Pubkey
    authority: Pubkey
    amount: int
    decimals: int
    memo: str | None = None


@dataclass(frozen=True, slots=True)
class SwapEffect:
    """All that a swap changes: the token transfers, in order, and the new data of the program's own accounts."""

    transfers: tuple[TokenTransfer, ...]
    writes: Mapping[Pubkey, bytes]
    compute_units: int
    logs: tuple[str, ...] = field(default=())


class ProgramError(Exception):
    """The program refuses the instruction: Anchor's custom error code and name, as the real program gives them."""

    def __init__(self, code: int, name: str, message: str = "") -> None:
        super().__init__(message or name)
        self.code = code
        self.name = name


class EmulatedProgram(Protocol):
    """A swap program emulated at its own address by the venue's own math."""

    @property
    def program_id(self) -> Pubkey: ...

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: Mapping[Pubkey, Account], clock: ChainClock
    ) -> SwapEffect:
        """Run one instruction over the accounts it names (absent: the account does not exist).

        Checks what the real program checks of its accounts (owners, PDAs, vaults and mints of this pool, the signer).
        Raises ProgramError with the real program's code.
        """
