"""Swaps of programs whose bytecode is not here: each is replaced by the token transfers that it would make.

The token programs run for real: the message is compiled anew with every emulated instruction replaced by its transfers,
and executed as one, so that it is as atomic as any transaction. A pool's authority counts as a signer of the new
message, as `invoke_signed` would make it one; the caller has verified the signatures of the original. Before each
emulated instruction everything up to it is executed, so that the program sees exactly what it would see on a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import Account, ChainClock
from infra.localnet import invocation_logs as logs
from infra.localnet.cross_program_invocation import InvocationError, check_effect, transfer_instruction
from infra.localnet.emulated_logs import ExecutedInstruction, retell
from infra.localnet.fees import COMPUTE_BUDGET_PROGRAM, LAMPORTS_PER_SIGNATURE, ComputeBudgetLimits
from infra.localnet.message import ReadAccount, ResolvedMessage
from infra.localnet.programs.program import EmulatedProgram, ProgramError, SwapEffect
from infra.localnet.runtime import InnerInstruction, Runtime, RuntimeResult
from infra.localnet.transaction_error import TransactionError

_COMPUTE_UNITS_OF_A_BUILTIN = 150
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
        self._budget = ComputeBudgetLimits.of(message.instructions)
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
            before = self._execute_so_far()
            if before.error is not None:
                return self._retold(before)
            try:
                effect = self._effect(program, instruction, before)
            except (ProgramError, InvocationError) as error:
                return self._refused(self._retold(before), index, error)
            self._effects[index] = effect
            self._pool_data.update(effect.writes)
            self._instructions += [(index, transfer_instruction(transfer)) for transfer in effect.transfers]
        return self._retold(self._execute_so_far())

    def _effect(self, program: EmulatedProgram, instruction: Instruction, before: RuntimeResult) -> SwapEffect:
        named = ((meta.pubkey, self._account_after(before, meta.pubkey)) for meta in instruction.accounts)
        accounts = {address: account for address, account in named if account is not None}
        effect = program.execute(bytes(instruction.data), tuple(instruction.accounts), accounts, self._clock)
        check_effect(effect, instruction, accounts)
        return effect

    def _account_after(self, result: RuntimeResult, address: Pubkey) -> Account | None:
        account = result.writes[address] if address in result.writes else self._read(address)
        data = self._pool_data.get(address)
        return account if data is None or account is None else replace(account, data=data)

    def _execute_so_far(self) -> RuntimeResult:
        instructions = [instruction for _, instruction in self._instructions]
        if not self._budget.limit_is_explicit:
            # The default limit, and with it the priority fee, is that of the original instructions.
            instructions.append(set_compute_unit_limit(self._budget.unit_limit))
        message = Message.new_with_blockhash(instructions, self._message.fee_payer, self._message.blockhash)
        signers = message.header.num_required_signatures
        transaction = VersionedTransaction.populate(message, [Signature.default()] * signers)
        with self._runtime.substituted(self._payer_with(LAMPORTS_PER_SIGNATURE * (signers - self._message.signatures))):
            result = self._runtime.execute(transaction)
        return self._with_original_indexes(result, message)

    def _payer_with(self, lamports: int) -> dict[Pubkey, Account | None]:
        """The fee payer with what the new message's other number of signatures costs more, or less."""
        payer = self._read(self._message.fee_payer)
        if payer is None or lamports == 0:
            return {}
        return {self._message.fee_payer: replace(payer, lamports=max(payer.lamports + lamports, 0))}

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
            if not self._budget.limit_is_explicit:
                units -= _COMPUTE_UNITS_OF_A_BUILTIN  # of the limit that was appended
        return replace(result, logs=retelling.lines, compute_units=units, writes=writes)

    def _executed(self, result: RuntimeResult) -> list[ExecutedInstruction]:
        programs = [instruction.program_id for _, instruction in self._instructions]
        if not self._budget.limit_is_explicit:
            programs.append(COMPUTE_BUDGET_PROGRAM)
        by_index: dict[int, list[list[str]]] = {}
        groups = logs.split_by_instruction(result.logs, programs)
        for (index, _), group in zip(self._instructions, groups, strict=False):
            by_index.setdefault(index, []).append(group)
        return [
            ExecutedInstruction(
                index, self._message.instructions[index].program_id, self._effects.get(index), by_index[index]
            )
            for index in sorted(by_index)
        ]

    def _refused(self, before: RuntimeResult, index: int, error: ProgramError | InvocationError) -> RuntimeResult:
        """The emulated instruction at `index` fails by itself after `before`."""
        if before.error is not None:
            return before
        program = self._message.instructions[index].program_id
        budget = self._budget.unit_limit - before.compute_units
        units = min(_COMPUTE_UNITS_OF_A_REFUSAL, budget)
        reason: str | dict[str, int]
        if isinstance(error, ProgramError):
            reason, line = {"Custom": error.code}, logs.anchor_error_line(error.code, error.name, str(error))
        else:
            reason, line = error.reason, f"Program log: {error}"
        failure = TransactionError.instruction(index, reason)
        lines = [
            *before.logs,
            logs.invoke_line(program),
            line,
            logs.consumed_line(program, units, budget),
            logs.failed_line(program, failure.reason_message),
        ]
        units += before.compute_units
        return replace(before, error=failure, logs=tuple(lines), compute_units=units, writes={})
