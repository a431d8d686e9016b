"""Pools whose swaps the program refuses for a reason that none of their accounts tells: as a program's own rule may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, ChainClock
from infra.localnet.programs.program import EmulatedProgram, ProgramError, SwapEffect

# None of any venue's errors.
CODE = 6999


class RefusingPools:
    """Which pools refuse; none at first. One for all emulated programs."""

    def __init__(self) -> None:
        self.addresses: frozenset[Pubkey] = frozenset()

    def set(self, addresses: Iterable[Pubkey]) -> None:
        """These refuse from now on, in simulations and when a transaction lands, and no others."""
        self.addresses = frozenset(addresses)

    def watched(self, program: EmulatedProgram) -> EmulatedProgram:
        """The program, except that it refuses a swap that names one of the pools."""
        return _Watched(program, self)


class _Watched:
    def __init__(self, program: EmulatedProgram, refusing: RefusingPools) -> None:
        self._program = program
        self._refusing = refusing

    @property
    def program_id(self) -> Pubkey:
        return self._program.program_id

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: Mapping[Pubkey, Account], clock: ChainClock
    ) -> SwapEffect:
        """As the program itself. Raises ProgramError with CODE where it refuses the pool."""
        if any(meta.pubkey in self._refusing.addresses for meta in metas):
            raise ProgramError(CODE, "SwapRefused", "This pool takes no swaps now.")
        return self._program.execute(data, metas, accounts, clock)
