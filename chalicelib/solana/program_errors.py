"""Why the chain refused a transaction, as one of Fillrate's own errors, in words for the order's owner.

Codes mean something only together with their program: 6001 is slippage at one and an invalid account at another. The
program is the one that failed innermost, which the logs name; without logs, the one that the instruction called.
Here are the runtime's own errors and those of the system and token programs; swap programs' are the venues'
(chalicelib/venues/<program>/refusals.py) and passed in.
Codes: solana-program/token, interface/src/error.rs; solana-system-interface, error.rs; anchor-lang, error.rs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from solders.pubkey import Pubkey

from chalicelib.problems import (
    ExecutionError,
    InsufficientBalance,
    TokenNotTradable,
    TransactionExpired,
    TransactionRejected,
    TransientError,
    VenueUnavailable,
)
from chalicelib.solana.fill import FillUnreadable, account_keys
from chalicelib.solana.rpc_answers import TransactionErrorJson
from chalicelib.solana.tokens import ASSOCIATED_TOKEN_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM

_SYSTEM_PROGRAM = "11111111111111111111111111111111"
_TOKEN_PROGRAMS = frozenset({str(TOKEN_PROGRAM), str(TOKEN_2022_PROGRAM)})

_PROGRAM_NAMES = {
    _SYSTEM_PROGRAM: "the system program",
    str(TOKEN_PROGRAM): "the token program",
    str(TOKEN_2022_PROGRAM): "the Token-2022 program",
    str(ASSOCIATED_TOKEN_PROGRAM): "the associated token program",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error means to an order: the kind of ours, and what happened in words.

    `of_wallet`: the wallet's own accounts are why, so that every pool would refuse.
    """

    kind: type[ExecutionError]
    text: str
    of_wallet: bool = False


class KnownError(NamedTuple):
    """One error of a program: its name as Anchor logs it, its code, what it means."""

    name: str
    code: int
    refusal: Refusal


class ProgramRefusals:
    """What one program's errors mean to an order.

    An error is known by its name where the log has one, for releases of a program may number the same errors otherwise;
    without one, by its code, where that means the same in every release that is listed.
    `paying_account` is what the program calls the account that a swap pays from.
    """

    def __init__(
        self, program_id: Pubkey, name: str, errors: Iterable[KnownError], paying_account: str | None = None
    ) -> None:
        listed = tuple(errors)
        self.program_id = program_id
        self.name = name
        self.paying_account = paying_account
        self._by_name = {error.name: error.refusal for error in listed}
        meanings: dict[int, set[Refusal]] = {}
        for error in listed:
            meanings.setdefault(error.code, set()).add(error.refusal)
        self._by_code = {code: next(iter(refusals)) for code, refusals in meanings.items() if len(refusals) == 1}

    def refusal(self, code: int, name: str | None = None) -> Refusal | None:
        """None where the error is not listed."""
        return self._by_code.get(code) if name is None else self._by_name.get(name)


_OUT_OF_UNITS = Refusal(VenueUnavailable, "the program ran out of compute units, or crashed")
# Of the wallet or of the pool: that the code doesn't tell.
_TOO_LITTLE_TOKEN = Refusal(InsufficientBalance, "the account to pay from holds too little")
_NO_TOKEN = Refusal(InsufficientBalance, "the account to pay from holds too little", of_wallet=True)
_TOO_LITTLE_SOL = Refusal(InsufficientBalance, "the wallet holds too little SOL", of_wallet=True)
_BUSY = Refusal(TransientError, "the cluster is too busy to take it")

_TOKEN_REASONS = {
    1: _TOO_LITTLE_TOKEN,  # InsufficientFunds
    17: Refusal(TransactionRejected, "a token account of the swap is frozen"),  # AccountFrozen
}
# Token-2022, interface/src/error.rs, TokenError.
_TOKEN_2022_REASONS = {
    **_TOKEN_REASONS,
    # NoMemo: some swap programs send one
    36: Refusal(
        TransactionRejected,
        "the wallet's account for what is bought takes no transfer without a memo, and the swap program sends none; "
        "the wallet's owner must switch required memos off (spl-token disable-required-transfer-memos)",
    ),
    37: Refusal(TokenNotTradable, "the token can't be transferred"),  # NonTransferable
    # CpiGuardTransferBlocked
    42: Refusal(
        TransactionRejected,
        "the wallet's account to pay from has its CPI guard on, so that no swap program may take from it; "
        "the wallet's owner must switch the guard off (spl-token disable-cpi-guard)",
        of_wallet=True,
    ),
    67: Refusal(TokenNotTradable, "the token is paused by its issuer"),  # MintPaused
}
_SYSTEM_REASONS = {
    # A new attempt derives accounts of its own.
    0: Refusal(TransientError, "the account to open exists already"),  # AccountAlreadyInUse
    1: _TOO_LITTLE_SOL,  # ResultWithNegativeLamports
}
_REASONS: dict[str, dict[int, Refusal]] = {
    _SYSTEM_PROGRAM: _SYSTEM_REASONS,
    str(TOKEN_PROGRAM): _TOKEN_REASONS,
    str(TOKEN_2022_PROGRAM): _TOKEN_2022_REASONS,
}

# Errors of the transaction as a whole (solana-transaction-error, TransactionError).
_TRANSACTION_REASONS = {
    "AccountNotFound": _TOO_LITTLE_SOL,
    "InsufficientFundsForFee": _TOO_LITTLE_SOL,
    "InsufficientFundsForRent": _TOO_LITTLE_SOL,
    "BlockhashNotFound": Refusal(TransactionExpired, "its blockhash has run out or isn't known to the node yet"),
    **dict.fromkeys(
        (
            "AccountInUse",
            "ClusterMaintenance",
            "CommitCancelled",
            "ProgramCacheHitMaxLimit",
            "ProgramExecutionTemporarilyRestricted",
            "ResanitizationNeeded",
            "WouldExceedAccountDataBlockLimit",
            "WouldExceedAccountDataTotalLimit",
            "WouldExceedMaxAccountCostLimit",
            "WouldExceedMaxBlockCostLimit",
            "WouldExceedMaxVoteCostLimit",
        ),
        _BUSY,
    ),
}
# Errors that the runtime gives in a program's name (solana-instruction-error, InstructionError).
_RUNTIME_REASONS = {
    "InsufficientFunds": _TOO_LITTLE_SOL,
    "ComputationalBudgetExceeded": _OUT_OF_UNITS,
    "ProgramFailedToComplete": _OUT_OF_UNITS,
}

_ALREADY_PROCESSED = "AlreadyProcessed"
# Anchor's own codes begin at 100; below, a swap program hands on the code of a token program that it called.
_FIRST_ANCHOR_CODE = 100
_ACCOUNT_NOT_INITIALIZED = 3012

# A program's own output is prefixed "Program log: ", so it can't forge these.
_FAILED = re.compile(r"^Program ([1-9A-HJ-NP-Za-km-z]{32,44}) failed: ")
_ANCHOR_ERROR = re.compile(
    r"^Program log: AnchorError (?:caused by account: (\w+)|thrown in \S+|occurred)\. "
    r"Error Code: (\w+)\. Error Number: (\d+)\."
)


class ErrorClassifier:
    """Tells what went wrong with a transaction whose swaps are of these programs."""

    def __init__(self, refusals: Iterable[ProgramRefusals]) -> None:
        """`refusals` of the swap programs, and of the programs that those call."""
        self._swap_programs = {str(each.program_id): each for each in refusals}

    def classify(
        self, err: TransactionErrorJson, instruction_programs: Sequence[Pubkey], logs: Sequence[str] = ()
    ) -> ExecutionError | None:
        """The error that a simulation or a status gave, as one of ours, to be raised or stored.

        `instruction_programs` are the programs that the transaction's instructions call, in order. None for
        AlreadyProcessed: that is no failure, the transaction's own status tells how it went. The error's `leg` counts
        the calls of swap programs: it is the one that refused, unless for the wallet's sake.
        """
        if err == _ALREADY_PROCESSED:
            return None
        if isinstance(err, dict) and "InstructionError" in err:
            index, cause = err["InstructionError"]
            called = str(instruction_programs[index]) if index < len(instruction_programs) else ""
            refusal, where = self._instruction_refusal(index, cause, called, logs)
            error = refusal.kind(f"{where[0]}: {refusal.text} ({where[1]})")
            if called in self._swap_programs and not refusal.of_wallet:
                error.leg = sum(str(program) in self._swap_programs for program in instruction_programs[:index])
            return error
        name = err if isinstance(err, str) else next(iter(err), "an unknown error")
        refusal = _TRANSACTION_REASONS.get(name, Refusal(TransactionRejected, "the cluster refuses the transaction"))
        return refusal.kind(f"{refusal.text} ({name})")

    def failure_of(self, transaction: Mapping[str, Any]) -> ExecutionError | None:
        """Why a landed transaction failed, from `getTransaction`'s JSON (encoding "json"); None if it succeeded.

        Raises FillUnreadable where it doesn't say: a node may keep a transaction without its `meta`.
        """
        try:
            meta = transaction["meta"]
            if meta["err"] is None:
                return None
            keys = account_keys(transaction, meta)
            called = transaction["transaction"]["message"]["instructions"]
            programs = [Pubkey.from_string(keys[instruction["programIdIndex"]]) for instruction in called]
            return self.classify(meta["err"], programs, meta.get("logMessages") or ())
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise FillUnreadable(
                f"the transaction lacks what its fate is read from ({type(error).__name__})"
            ) from error

    def _instruction_refusal(
        self, index: int, cause: str | Mapping[str, Any], called: str, logs: Sequence[str]
    ) -> tuple[Refusal, tuple[str, str]]:
        """What it means; who said it, and where and how."""
        if isinstance(cause, Mapping) and "Custom" in cause:
            code = int(cause["Custom"])
            program = _innermost_failure(logs) or self._guess(called, code)
            account, name = _anchor_error(logs, code)
            refusal = self._refusal(program, code, account, name) or self._unknown(called)
            error_name = f" {name}" if name else ""
            return refusal, (self._name(program), f"instruction {index}, error {code}{error_name}")
        name = cause if isinstance(cause, str) else next(iter(cause), "an unknown error")
        return _RUNTIME_REASONS.get(name) or self._unknown(called), (self._name(called), f"instruction {index}, {name}")

    def _refusal(self, program: str, code: int, account: str | None, name: str | None) -> Refusal | None:
        swap_program = self._swap_programs.get(program)
        if swap_program is None:
            return _REASONS.get(program, {}).get(code)
        # The pool's accounts have been read, and the account for the output is opened just before: unless the log
        # names another account, the one that is missing is the one to pay from.
        if code == _ACCOUNT_NOT_INITIALIZED and account in (swap_program.paying_account, None):
            return _NO_TOKEN
        return swap_program.refusal(code, name)

    def _unknown(self, called: str) -> Refusal:
        """What a swap program refuses for a reason not listed may work with another pool, or a moment later."""
        if called in self._swap_programs:
            return Refusal(VenueUnavailable, "the swap program refused")
        return Refusal(TransactionRejected, "the transaction was refused")

    def _guess(self, called: str, code: int) -> str:
        """The program that failed, where no log names it."""
        swap_program = self._swap_programs.get(called)
        if swap_program is None or code >= _FIRST_ANCHOR_CODE or swap_program.refusal(code) is not None:
            return called
        return str(TOKEN_PROGRAM)

    def _name(self, program: str) -> str:
        if program in self._swap_programs:
            return self._swap_programs[program].name
        return _PROGRAM_NAMES.get(program, f"program {program}" if program else "the transaction")


def _innermost_failure(logs: Sequence[str]) -> str | None:
    """The first program that the runtime logs as failed: its callers fail after it, with its code."""
    return next((match[1] for line in logs if (match := _FAILED.match(line))), None)


def _anchor_error(logs: Sequence[str], code: int) -> tuple[str | None, str | None]:
    """The account and the name of the error `code` that Anchor logged last, as far as it did."""
    for line in reversed(logs):
        if (match := _ANCHOR_ERROR.match(line)) and int(match[3]) == code:
            return match[1], match[2]
    return None, None
