"""Executing one transaction on the accounts of one bank, without changing anything: the result is what would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import Account, ChainClock
from infra.localnet.fee_payer import payer_for, why_unpayable
from infra.localnet.fees import transaction_fee
from infra.localnet.loaded_accounts import loaded_bytes
from infra.localnet.message import ReadAccount, ResolvedMessage
from infra.localnet.programs.program import EmulatedProgram
from infra.localnet.runtime import InnerInstruction, ReturnData, Runtime, RuntimeResult
from infra.localnet.swap_emulation import EmulatedRun
from infra.localnet.transaction_error import TransactionError


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """The outcome. `writes` (None: the account is gone) holds what really changes, on failure the fee alone.

    `fee` in lamports; `inner` by the top-level instruction's index, in indexes of the message's resolved keys.
    """

    error: TransactionError | None
    logs: tuple[str, ...]
    compute_units: int
    fee: int
    writes: Mapping[Pubkey, Account | None]
    inner: Mapping[int, tuple[InnerInstruction, ...]]
    return_data: ReturnData | None = None
    # Of the accounts that it has loaded for it.
    loaded_bytes: int = 0
    # An error of the payer's is no error that a transaction pays for, even where it has the name of one.
    payer_can_pay: bool = True

    @property
    def lands(self) -> bool:
        return self.payer_can_pay and (self.error is None or self.error.lands)


class Executor:
    """Runs transactions: in the virtual machine, with the swaps of emulated programs replaced by their effects."""

    def __init__(self, runtime: Runtime, programs: Mapping[Pubkey, EmulatedProgram]) -> None:
        self._runtime = runtime
        self._programs = programs

    def execute(
        self, transaction: VersionedTransaction, message: ResolvedMessage, read: ReadAccount, clock: ChainClock
    ) -> ExecutionResult:
        """What `transaction` does to the accounts that `read` gives, which are those of the runtime too."""
        fee = message.fee
        unpayable = why_unpayable(read(message.fee_payer), fee, self._runtime.rent_exempt_minimum)
        if unpayable is not None:
            return ExecutionResult(
                unpayable, logs=(), compute_units=0, fee=fee, writes={}, inner={}, payer_can_pay=False
            )
        loaded = loaded_bytes(message, read, self._programs)
        if loaded > message.budget.loaded_bytes:
            too_large = TransactionError("MaxLoadedAccountsDataSizeExceeded")
            writes = _fee_alone(too_large, message, read, fee)
            return ExecutionResult(
                too_large, logs=(), compute_units=0, fee=fee, writes=writes, inner={}, loaded_bytes=loaded
            )
        if any(instruction.program_id in self._programs for instruction in message.instructions):
            result = EmulatedRun(self._runtime, self._programs, message, read, clock).execute()
        else:
            charged = transaction_fee(message.instructions, message.signatures)
            with self._runtime.substituted(payer_for(charged, message, read)):
                result = self._runtime.execute(transaction, message.budget.unit_limit, message.budget.heap_bytes)
        error = _named_as_a_validator_would(result.error, message, read)
        return ExecutionResult(
            error=error,
            logs=result.logs,
            compute_units=result.compute_units,
            fee=fee,
            writes=_changes(result, read) if error is None else _fee_alone(error, message, read, fee),
            inner={index: group for index, group in enumerate(result.inner) if group},
            return_data=result.return_data,
            loaded_bytes=loaded,
        )


def _changes(result: RuntimeResult, read: ReadAccount) -> dict[Pubkey, Account | None]:
    return {address: account for address, account in result.writes.items() if account != read(address)}


def _fee_alone(
    error: TransactionError, message: ResolvedMessage, read: ReadAccount, fee: int
) -> dict[Pubkey, Account | None]:
    payer = read(message.fee_payer)
    if not error.lands or payer is None:
        return {}
    return {message.fee_payer: replace(payer, lamports=payer.lamports - fee)}


def _named_as_a_validator_would(
    error: TransactionError | None, message: ResolvedMessage, read: ReadAccount
) -> TransactionError | None:
    """LiteSVM gives a program that does not exist the name of one that is not executable."""
    if (
        error is not None
        and error.kind == "InvalidProgramForExecution"
        and any(read(instruction.program_id) is None for instruction in message.instructions)
    ):
        return TransactionError("ProgramAccountNotFound")
    return error
