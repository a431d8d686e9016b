"""Loans of rent, so that a transaction can be looked at before it has ended.

The virtual machine judges rent when what it was given to execute has ended. Of the first part of a transaction that is
too early: a cluster compares what was before the transaction with what is after it, and in between an account may hold
less than its rent (anza-xyz/agave, svm/src/transaction_account_state_info.rs). So an account that is short gets a loan
by an instruction after that part, which the part's own can't see, and the loan is taken off what the part leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from solders.instruction import Instruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from chalicelib.solana.accounts import Account
from infra.localnet import invocation_logs as logs
from infra.localnet.runtime import RuntimeResult

# Of one loan's instruction.
COMPUTE_UNITS = 150
LENDER = Pubkey(sha256(b"fillrate localnet rent loans").digest())
# More than the rent of the longest account, ten megabytes.
_LOAN = 100 * 10**9
_SYSTEM_PROGRAM = Pubkey.default()
# "invoke" and "success"
_LOG_LINES = 2


def short_of_rent(result: RuntimeResult, executed: Message) -> Pubkey | None:
    """The account that failed the transaction by what it holds at its end."""
    if result.error is None or result.error.kind != "InsufficientFundsForRent":
        return None
    short: Pubkey = executed.account_keys[result.error.detail["account_index"]]
    return short


def lend(to: Pubkey) -> Instruction:
    return transfer(TransferParams(from_pubkey=LENDER, to_pubkey=to, lamports=_LOAN))


def lender() -> Account:
    """Who has enough for everybody, and exists only while a transaction is looked at."""
    return Account(_SYSTEM_PROGRAM, 1_000 * _LOAN, b"")


def repaid(result: RuntimeResult, borrowers: Sequence[Pubkey], more_units: int) -> RuntimeResult:
    """`result` as it were without the loans, and with a compute-unit limit that is lower by `more_units`."""
    lines = logs.with_less_budget(result.logs, more_units)
    if result.error is not None:
        return replace(result, logs=tuple(lines))
    writes = {
        address: _without_loan(account) if address in borrowers else account
        for address, account in result.writes.items()
        if address != LENDER
    }
    return replace(
        result,
        logs=tuple(lines[: len(lines) - _LOG_LINES * len(borrowers)]),
        compute_units=result.compute_units - COMPUTE_UNITS * len(borrowers),
        writes=writes,
    )


def _without_loan(account: Account | None) -> Account | None:
    if account is None or account.lamports == _LOAN:
        return None
    return replace(account, lamports=account.lamports - _LOAN)
