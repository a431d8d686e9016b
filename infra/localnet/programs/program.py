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

    `authority` signs: the trader for what goes in, the pool's own authority for what comes out. Without a mint, which
    not every program is told, it is a plain Transfer. `memo` is what the program has the memo program say just before,
    where the destination takes no transfer without one.
    """

    token_program: Pubkey
    source: Pubkey
    mint: Pubkey | None
    destination: Pubkey
    authority: Pubkey
    amount: int
    decimals: int
    memo: str | None = None


@dataclass(frozen=True, slots=True)
class SupplyChange:
    """A MintTo, or a Burn where `amount` is negative, that the program would make by CPI; `authority` signs."""

    token_program: Pubkey
    mint: Pubkey
    account: Pubkey
    authority: Pubkey
    amount: int


@dataclass(frozen=True, slots=True)
class SwapEffect:
    """All that a swap changes: the token transfers, in order, then supplies; new data of the programs' own accounts.

    The accounts written are the program's, or those of `callees`: other swap programs that it calls.
    """

    transfers: tuple[TokenTransfer, ...]
    writes: Mapping[Pubkey, bytes]
    compute_units: int
    logs: tuple[str, ...] = field(default=())
    supply_changes: tuple[SupplyChange, ...] = field(default=())
    callees: frozenset[Pubkey] = field(default=frozenset())


class ProgramError(Exception):
    """The program refuses the instruction: its custom error code and the error's name, as the real program gives them.

    `callee` is the program that refused where it was not this one but one that it called. `log` is the line that tells
    of it, where that is not the one that Anchor writes.
    """

    def __init__(
        self, code: int, name: str, message: str = "", *, callee: Pubkey | None = None, log: str | None = None
    ) -> None:
        super().__init__(message or name)
        self.code = code
        self.name = name
        self.callee = callee
        self.log = log


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
