"""Runs the programs' own bytecode on a market's accounts, for tests marked `real_programs`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache

from solders.account import Account as SvmAccount
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS
from tests.real_programs import DeployedProgram

VARIABLE = "FILLRATE_PROGRAM_CASES"
# Goes before each swap, as in every transaction of ours; the units that it burns itself.
COMPUTE_UNIT_LIMIT = set_compute_unit_limit(MAX_COMPUTE_UNITS)
_UNITS_OF_THE_LIMIT = 150
_NOTHING = SvmAccount(0, b"", SYSTEM_PROGRAM)
_FEES = 10**12


def cases(usual: int) -> int:
    """How many random cases of a test are tried: as many as FILLRATE_PROGRAM_CASES says, which it does for releases."""
    return int(os.environ.get(VARIABLE, usual))


class RealPrograms:
    """LiteSVM with programs' bytecode and one market's accounts; those of earlier markets are gone."""

    def __init__(self, programs: Iterable[DeployedProgram], accounts: Mapping[Pubkey, Account]) -> None:
        self._svm, self._addresses = _loaded(tuple(programs))
        for address in self._addresses:
            self._svm.set_account(address, _NOTHING)
        self._addresses.clear()
        self.put(accounts)
        # Of the last swap: what it burned, 0 where it was refused; what the programs logged.
        self.units = 0
        self.logs: tuple[str, ...] = ()

    def put(self, accounts: Mapping[Pubkey, Account]) -> None:
        self._addresses.update(accounts)
        for address, account in accounts.items():
            self._svm.set_account(address, SvmAccount(account.lamports, account.data, account.owner))

    def run(self, instruction: Instruction, clock: ChainClock) -> tuple[Pubkey, int | None] | None:
        """The program that refuses, and its code, None where it crashes; None where the swap lands."""
        now = self._svm.get_clock()
        now.slot, now.epoch, now.unix_timestamp = clock.slot, clock.epoch, clock.unix_timestamp
        self._svm.set_clock(now)
        trader = next(meta.pubkey for meta in instruction.accounts if meta.is_signer)
        self._addresses.add(trader)
        self._svm.set_account(trader, SvmAccount(_FEES, b"", SYSTEM_PROGRAM))
        message = Message.new_with_blockhash([COMPUTE_UNIT_LIMIT, instruction], trader, self._svm.latest_blockhash())
        result = self._svm.send_transaction(VersionedTransaction.populate(message, [Signature.default()]))
        if not isinstance(result, FailedTransactionMetadata):
            self.units, self.logs = int(result.compute_units_consumed()) - _UNITS_OF_THE_LIMIT, tuple(result.logs())
            return None
        self.units, self.logs = 0, tuple(result.meta().logs())
        failed = next(line for line in self.logs if " failed: " in line).split()
        code = int(failed[-1], 16) if failed[-1].startswith("0x") else None
        return Pubkey.from_string(failed[1]), code

    def account(self, address: Pubkey) -> Account:
        account = self._svm.get_account(address)
        assert account is not None
        return Account(account.owner, account.lamports, bytes(account.data))


@lru_cache(maxsize=2)
def _loaded(programs: tuple[DeployedProgram, ...]) -> tuple[LiteSVM, set[Pubkey]]:
    """With their bytecode, which takes longer to be loaded than many swaps; and the addresses that a market has."""
    svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
    for program in programs:
        svm.add_program(program.address, program.bytecode.read_bytes())
    return svm, set()
