"""Token-2022's CPI guard: its holder's own signature moves nothing out of a guarded account in a program's hands.

A transfer that an emulated program makes is executed as an instruction of its own, where the guard lets it through;
here it is refused as the token program refuses it to a program. Source: solana-program/token-2022,
program/src/processor.rs `process_transfer`, program/src/extension/cpi_guard/mod.rs `in_cpi`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TokenAccount
from infra.localnet import invocation_logs as logs
from infra.localnet.programs.program import TokenTransfer
from infra.localnet.runtime import RuntimeResult
from infra.localnet.token_extensions import AccountExtension, account_extensions
from infra.localnet.transaction_error import TransactionError

# Of TokenError (interface/src/error.rs): CpiGuardTransferBlocked, and what a transfer is refused for before the guard.
_BLOCKED = 42
_INSUFFICIENT_FUNDS, _MINT_MISMATCH, _ACCOUNT_FROZEN, _DECIMALS_MISMATCH = 1, 3, 17, 18
_NON_TRANSFERABLE, _MINT_PAUSED = 37, 67
_REFUSED_EARLIER = tuple(
    {"Custom": code}
    for code in (
        _INSUFFICIENT_FUNDS,
        _MINT_MISMATCH,
        _ACCOUNT_FROZEN,
        _DECIMALS_MISMATCH,
        _NON_TRANSFERABLE,
        _MINT_PAUSED,
    )
)
_LOG = "Program log: CPI Guard is enabled, and a program attempted to transfer user funds without using a delegate"
# What a refused transfer burns: measured on the program.
_COMPUTE_UNITS = 3_094


def blocks(transfer: TokenTransfer, source: Account | None) -> bool:
    """Whether the guard of `source`, as it is before `transfer`, refuses it to a program."""
    if source is None or source.owner != TOKEN_2022_PROGRAM:
        return False
    guard = account_extensions(source).get(AccountExtension.CPI_GUARD)
    return guard is not None and any(guard) and TokenAccount.decode(source).owner == transfer.authority


def refused(result: RuntimeResult, groups: Sequence[Sequence[str]], *, index: int, unit_limit: int) -> RuntimeResult:
    """`result`, whose last instruction is a transfer that the guard refuses, as if it had been refused.

    `groups` are the log's lines by executed instruction; `index` is that of the instruction whose program transfers.
    """
    *earlier, last = groups
    found = logs.consumption(last)
    if found is None or (result.error is not None and result.error.detail[1] in _REFUSED_EARLIER):
        return result  # it failed before, or for what is looked at first
    _, budget = found
    error = TransactionError.instruction(index, {"Custom": _BLOCKED})
    lines = [
        *(line for group in earlier for line in group),
        logs.invoke_line(TOKEN_2022_PROGRAM),
        "Program log: Instruction: TransferChecked",
        _LOG,
        logs.consumed_line(TOKEN_2022_PROGRAM, _COMPUTE_UNITS, budget),
        logs.failed_line(TOKEN_2022_PROGRAM, error.reason_message),
    ]
    units = unit_limit - budget + _COMPUTE_UNITS
    return replace(result, error=error, logs=tuple(lines), compute_units=units, writes={})
