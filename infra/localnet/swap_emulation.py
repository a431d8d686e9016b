"""Swaps of programs whose bytecode is not here: each is replaced by the token transfers that it would make.

The token programs run for real: the message is compiled anew with every emulated instruction replaced by its transfers,
and executed as one, so that it is as atomic as any transaction. A pool's authority counts as a signer of the new
message, as `invoke_signed` would make it one; the caller has verified the signatures of the original. Before each
emulated instruction everything up to it is executed, so that the program sees exactly what it would see on a chain;
rent is judged at the end of the whole alone. What a token program lets nobody but a wallet do is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from solders.instruction import Instruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import INSTRUCTIONS_SYSVAR, Account, ChainClock
from infra.localnet import cpi_guard, rent_loan
from infra.localnet import invocation_logs as logs
from infra.localnet.cross_program_invocation import InvocationError, check_effect, invocations, supply_instruction
from infra.localnet.emulated_logs import ExecutedInstruction, retell
from infra.localnet.fee_payer import payer_for
from infra.localnet.fees import transaction_fee
from infra.localnet.instructions_sysvar import sysvar_account
from infra.localnet.message import ReadAccount, ResolvedMessage
from infra.localnet.programs.program import EmulatedProgram, ProgramError, SwapEffect
from infra.localnet.runtime import InnerInstruction, Runtime, RuntimeResult
from infra.localnet.transaction_error import TransactionError

# What the real programs burn before they refuse a swap, about: measured on Raydium CPMM and Meteora DLMM.
_COMPUTE_UNITS_OF_A_REFUSAL = 25_000


class EmulatedRun:
    """One transaction that has emulated instructions."""

    def __init__(
        self,
        runtime: Runtime,
        programs: Mapping[Pubkey, EmulatedProgram],
        message: ResolvedMessage,
        read: ReadAccount,
        clock: ChainClock,
    ) -> None:
        self._runtime = runtime
        self._programs = programs
        self._message = message
        self._read = read
        self._clock = clock
        self._budget = message.budget
        # What is executed: each instruction with the index that it has, or stands for, in the original message.
        self._instructions: list[tuple[int, Instruction]] = []
        self._effects: dict[int, SwapEffect] = {}
        self._pool_data: dict[Pubkey, bytes] = {}

    def execute(self) -> RuntimeResult:
        """The result as the original message would have given it."""
        for index, instruction in enumerate(self._message.instructions):
            program = self._programs.get(instruction.program_id)
            if program is None:
                self._instructions.append((index, instruction))
                continue
            before = self._execute_so_far(has_ended=False)
            if before.error is not None:
                return self._retold(before)
            try:
                effect = self._effect(program, index, before)
            except (ProgramError, InvocationError) as error:
                return self._refused(self._retold(before), index, error)
            self._effects[index] = effect
            self._pool_data.update(effect.writes)
            for transfer in effect.transfers:
                self._instructions += [(index, invoked) for invoked in invocations(transfer)]
                if cpi_guard.blocks(transfer, self._account_after(before, transfer.source)):
                    return self._retold(self._blocked(index))
            self._instructions += [(index, supply_instruction(change)) for change in effect.supply_changes]
        return self._retold(self._execute_so_far(has_ended=True))

    def _effect(self, program: EmulatedProgram, index: int, before: RuntimeResult) -> SwapEffect:
        instruction = self._message.instructions[index]
        named = ((meta.pubkey, self._account_after(before, meta.pubkey)) for meta in instruction.accounts)
        accounts = {address: account for address, account in named if account is not None}
        if any(meta.pubkey == INSTRUCTIONS_SYSVAR for meta in instruction.accounts):
            accounts[INSTRUCTIONS_SYSVAR] = sysvar_account(self._message.instructions, index)
        effect = program.execute(bytes(instruction.data), tuple(instruction.accounts), accounts, self._clock)
        check_effect(effect, instruction, accounts)
        return effect

    def _account_after(self, result: RuntimeResult, address: Pubkey) -> Account | None:
        account = result.writes[address] if address in result.writes else self._read(address)
        data = self._pool_data.get(address)
        return account if data is None or account is None else replace(account, data=data)

    def _blocked(self, index: int) -> RuntimeResult:
        """The last transfer so far is one that Token-2022 refuses a program."""
        result = self._execute_so_far(has_ended=False)
        groups = self._log_groups(result)[: len(self._instructions)]
        return cpi_guard.refused(result, groups, index=index, unit_limit=self._budget.unit_limit)

    def _execute_so_far(self, *, has_ended: bool) -> RuntimeResult:
        """Until the transaction has ended an account may hold less than its rent."""
        borrowers: list[Pubkey] = []
        while True:
            result, executed = self._execute_with_loans(borrowers)
            short = None if has_ended else rent_loan.short_of_rent(result, executed)
            if short is None or short in borrowers:
                return self._with_original_indexes(result, executed)
            borrowers.append(short)

    def _execute_with_loans(self, borrowers: Sequence[Pubkey]) -> tuple[RuntimeResult, Message]:
        """The result without the loans of rent to `borrowers`, and the message that was executed."""
        more_units = rent_loan.COMPUTE_UNITS * len(borrowers)
        instructions = [instruction for _, instruction in self._instructions]
        instructions += map(rent_loan.lend, borrowers)
        message = Message.new_with_blockhash(instructions, self._message.fee_payer, self._message.blockhash)
        signers = message.header.num_required_signatures
        transaction = VersionedTransaction.populate(message, [Signature.default()] * signers)
        # Its own fee goes by other instructions and other signatures than the original message's.
        accounts = dict(payer_for(transaction_fee(instructions, signers), self._message, self._read))
        if borrowers:
            accounts[rent_loan.LENDER] = rent_loan.lender()
        with self._runtime.substituted(accounts):
            result = self._runtime.execute(transaction, self._budget.unit_limit + more_units, self._budget.heap_bytes)
        return rent_loan.repaid(result, borrowers, more_units), message

    def _with_original_indexes(self, result: RuntimeResult, executed: Message) -> RuntimeResult:
        """Error and inner instructions in the original message's terms. What was appended to it is left out."""
        keys = self._message.keys
        original_key = [keys.index(key) if key in keys else -1 for key in executed.account_keys]
        error = result.error
        if error is not None and error.kind == "InstructionError" and error.detail[0] < len(self._instructions):
            error = TransactionError.instruction(self._instructions[error.detail[0]][0], error.detail[1])
        elif error is not None and error.kind == "InsufficientFundsForRent":
            error = TransactionError(error.kind, {"account_index": original_key[error.detail["account_index"]]})
        inner: list[list[InnerInstruction]] = [[] for _ in self._message.instructions]
        for (index, instruction), group in zip(self._instructions, result.inner, strict=False):
            if index in self._effects:
                inner[index].append(self._as_inner(instruction))
            inner[index] += [
                replace(one, program=original_key[one.program], accounts=bytes(original_key[a] for a in one.accounts))
                for one in group
            ]
        return replace(result, error=error, inner=tuple(map(tuple, inner)))

    def _as_inner(self, instruction: Instruction) -> InnerInstruction:
        keys = self._message.keys
        return InnerInstruction(
            program=keys.index(instruction.program_id),
            accounts=bytes(keys.index(meta.pubkey) for meta in instruction.accounts),
            data=bytes(instruction.data),
            stack_height=2,
        )

    def _retold(self, result: RuntimeResult) -> RuntimeResult:
        """Logs, compute units and the pools' own accounts as if the real programs had run."""
        retelling = retell(self._executed(result))
        if retelling.exceeded_at is not None:
            error = TransactionError.instruction(retelling.exceeded_at, "ComputationalBudgetExceeded")
            units = self._budget.unit_limit
            return replace(result, error=error, logs=retelling.lines, compute_units=units, writes={}, inner=())
        units = result.compute_units + retelling.extra_units
        writes = result.writes
        if result.error is None:
            writes = {**writes, **{address: self._account_after(result, address) for address in self._pool_data}}
        return replace(result, logs=retelling.lines, compute_units=units, writes=writes)

    def _executed(self, result: RuntimeResult) -> list[ExecutedInstruction]:
        by_index: dict[int, list[list[str]]] = {}
        for (index, _), group in zip(self._instructions, self._log_groups(result), strict=False):
            by_index.setdefault(index, []).append(group)
        return [
            ExecutedInstruction(
                index, self._message.instructions[index].program_id, self._effects.get(index), by_index[index]
            )
            for index in sorted(by_index)
        ]

    def _log_groups(self, result: RuntimeResult) -> list[list[str]]:
        """The lines of each executed instruction."""
        programs = [instruction.program_id for _, instruction in self._instructions]
        return logs.split_by_instruction(result.logs, programs)

    def _refused(self, before: RuntimeResult, index: int, error: ProgramError | InvocationError) -> RuntimeResult:
        """The emulated instruction at `index` fails by itself after `before`."""
        if before.error is not None:
            return before
        program = self._message.instructions[index].program_id
        budget = self._budget.unit_limit - before.compute_units
        units = min(_COMPUTE_UNITS_OF_A_REFUSAL, budget)
        reason: str | dict[str, int]
        if isinstance(error, ProgramError):
            reason = {"Custom": error.code}
            line = error.log or logs.anchor_error_line(error.code, error.name, str(error))
        else:
            reason, line = error.reason, f"Program log: {error}"
        failure = TransactionError.instruction(index, reason)
        told = [line]
        if isinstance(error, ProgramError) and error.callee is not None:
            called = [
                logs.invoke_line(error.callee),
                line,
                logs.consumed_line(error.callee, units, budget),
                logs.failed_line(error.callee, failure.reason_message),
            ]
            told = logs.nested(called)
        lines = [
            *before.logs,
            logs.invoke_line(program),
            *told,
            logs.consumed_line(program, units, budget),
            logs.failed_line(program, failure.reason_message),
        ]
        units += before.compute_units
        return replace(before, error=failure, logs=tuple(lines), compute_units=units, writes={})
