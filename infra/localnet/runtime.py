"""LiteSVM as a function from accounts and a transaction to what the transaction would change. It keeps no history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from solders.account import Account as SvmAccount
from solders.clock import Clock
from solders.compute_budget import ComputeBudget
from solders.epoch_schedule import EpochSchedule
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from chalicelib.solana.accounts import Account, ChainClock
from infra.localnet.fees import MAX_COMPUTE_UNITS, MIN_HEAP_BYTES
from infra.localnet.transaction_error import TransactionError

SLOTS_PER_EPOCH = 432_000
RENT_EXEMPT_EPOCH = (1 << 64) - 1
_SYSTEM_PROGRAM = Pubkey.default()
_OWNERS_OF_BUILT_IN_ACCOUNTS = tuple(
    map(
        Pubkey.from_string,
        (
            "Sysvar1111111111111111111111111111111111111",
            "NativeLoader1111111111111111111111111111111",
            "BPFLoader1111111111111111111111111111111111",
            "BPFLoader2111111111111111111111111111111111",
            "BPFLoaderUpgradeab1e11111111111111111111111",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class InnerInstruction:
    """A cross-program invocation, `accounts` and `program` being indexes into the message's keys."""

    program: int
    accounts: bytes
    data: bytes
    stack_height: int | None


@dataclass(frozen=True, slots=True)
class ReturnData:
    program: Pubkey
    data: bytes


@dataclass(frozen=True, slots=True)
class RuntimeResult:
    """What the virtual machine says. `writes` (None: the account is gone) is empty where `error` is set."""

    error: TransactionError | None
    logs: tuple[str, ...]
    compute_units: int
    fee: int
    writes: Mapping[Pubkey, Account | None]
    inner: tuple[tuple[InnerInstruction, ...], ...]
    return_data: ReturnData | None


class Runtime:
    """The virtual machine with its accounts; nothing in it changes but by `set_account` and the sysvar setters."""

    def __init__(self) -> None:
        # The server verifies signatures and blockhashes itself, and keeps the history.
        self._svm = (
            LiteSVM()
            .with_sigverify(False)
            .with_blockhash_check(False)
            .with_transaction_history(0)
            .with_log_bytes_limit(None)
        )
        self._svm.set_epoch_schedule(EpochSchedule.without_warmup())
        # By the features that LiteSVM takes for mainnet's, of which SIMD-0268 is none.
        self._budget = ComputeBudget(simd_0268_active=False)

    def execute(
        self, transaction: VersionedTransaction, unit_limit: int = MAX_COMPUTE_UNITS, heap_bytes: int = MIN_HEAP_BYTES
    ) -> RuntimeResult:
        """Run `transaction` over the current accounts and change none of them.

        It has `unit_limit` compute units and a heap of `heap_bytes`, whatever it asks for itself: what a message of
        version 1 asks for the virtual machine doesn't read, its priority fee included.
        """
        self._budget.compute_unit_limit = unit_limit
        self._budget.heap_size = heap_bytes
        self._svm.with_compute_budget(self._budget)
        result = self._svm.simulate_transaction(transaction)
        meta = result.meta()
        error: TransactionError | None = None
        writes: dict[Pubkey, Account | None] = {}
        if isinstance(result, FailedTransactionMetadata):
            # The typed error has no uniform accessors; its JSON is the one that RPC clients know.
            error = TransactionError.from_json(json.loads(result.to_json())["err"])
        else:
            writes = {address: _from_svm(account) for address, account in result.post_accounts()}
        returned = meta.return_data()
        return RuntimeResult(
            error=error,
            logs=tuple(meta.logs()),
            compute_units=meta.compute_units_consumed(),
            fee=meta.fee(),
            writes=writes,
            inner=tuple(
                tuple(
                    InnerInstruction(
                        program=(compiled := inner.instruction()).program_id_index,
                        accounts=bytes(compiled.accounts),
                        data=bytes(compiled.data),
                        stack_height=inner.stack_height(),
                    )
                    for inner in group
                )
                for group in meta.inner_instructions()
            ),
            return_data=ReturnData(returned.program_id, bytes(returned.data)) if returned.data else None,
        )

    def all_accounts(self) -> Iterator[tuple[Pubkey, Account]]:
        """What a new virtual machine comes with: sysvars and programs."""
        for owner in _OWNERS_OF_BUILT_IN_ACCOUNTS:
            for address, account in self._svm.get_program_accounts(owner):
                present = _from_svm(account)
                if present is not None:
                    yield address, present

    def get_account(self, address: Pubkey) -> Account | None:
        account = self._svm.get_account(address)
        return None if account is None else _from_svm(account)

    def set_account(self, address: Pubkey, account: Account | None) -> None:
        """Make `account` the content of `address`; None removes it. A program's data must be set before the program."""
        if account is None:
            self._svm.set_account(address, SvmAccount(0, b"", _SYSTEM_PROGRAM))
            return
        self._svm.set_account(
            address,
            SvmAccount(account.lamports, account.data, account.owner, account.executable, RENT_EXEMPT_EPOCH),
        )

    @contextmanager
    def substituted(self, accounts: Mapping[Pubkey, Account | None]) -> Iterator[None]:
        """Within the context `accounts` stand in for the real ones."""
        before = {address: self.get_account(address) for address in accounts}
        try:
            for address, account in accounts.items():
                self.set_account(address, account)
            yield
        finally:
            for address, account in before.items():
                self.set_account(address, account)

    def add_program(self, program: Pubkey, bytecode: bytes) -> None:
        """Deploy `bytecode` at `program`. Raises RuntimeError or ValueError where it is no valid program."""
        self._svm.add_program(program, bytecode)

    def set_clock(self, clock: ChainClock, epoch_start: int) -> None:
        """`epoch_start` is the unix timestamp of the epoch's first slot."""
        self._svm.set_clock(Clock(clock.slot, epoch_start, clock.epoch, clock.epoch + 1, clock.unix_timestamp))

    def set_slot_hashes(self, hashes: Sequence[tuple[int, Hash]]) -> None:
        """Newest first, as the sysvar has them: lookup tables are created at a slot that it names."""
        self._svm.set_slot_hashes(hashes)

    def rent_exempt_minimum(self, data_length: int) -> int:
        """Lamports that an account of `data_length` bytes must hold."""
        return self._svm.minimum_balance_for_rent_exemption(data_length)


def _from_svm(account: SvmAccount) -> Account | None:
    if account.lamports == 0:
        return None
    return Account(account.owner, account.lamports, bytes(account.data), account.executable)
