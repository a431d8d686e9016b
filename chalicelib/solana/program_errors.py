"""Why the chain refused a transaction, as one of Fillrate's own errors, in words for the order's owner.

Codes mean something only together with their program: 6001 is slippage at Jupiter and an invalid bin at Meteora. The
program is the one that failed innermost, which the logs name; without logs, the one that the instruction called.
Codes: raydium-io/raydium-cp-swap, error.rs; MeteoraAg/dlmm-sdk, idls/dlmm.json; solana-program/token,
interface/src/error.rs; solana-system-interface, error.rs; anchor-lang, error.rs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.problems import (
    AmountTooSmall,
    ExecutionError,
    InsufficientBalance,
    SlippageExceeded,
    TransactionExpired,
    TransactionRejected,
    TransientError,
    VenueUnavailable,
)
from chalicelib.solana.rpc_answers import TransactionErrorJson
from chalicelib.solana.tokens import ASSOCIATED_TOKEN_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM

_RAYDIUM_CPMM = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"
_RAYDIUM_CPMM_DEVNET = "DRaycpLY18LhpbydsBWbVJtxpNv9oXPgjRSfpF2bWpYb"
_METEORA_DLMM = "LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo"
_SYSTEM_PROGRAM = "11111111111111111111111111111111"
_TOKEN_PROGRAMS = frozenset({str(TOKEN_PROGRAM), str(TOKEN_2022_PROGRAM)})

_PROGRAM_NAMES = {
    _RAYDIUM_CPMM: "Raydium CPMM",
    _RAYDIUM_CPMM_DEVNET: "Raydium CPMM",
    _METEORA_DLMM: "Meteora DLMM",
    _SYSTEM_PROGRAM: "the system program",
    str(TOKEN_PROGRAM): "the token program",
    str(TOKEN_2022_PROGRAM): "the Token-2022 program",
    str(ASSOCIATED_TOKEN_PROGRAM): "the associated token program",
}


@dataclass(frozen=True, slots=True)
class _Reason:
    kind: type[ExecutionError]
    text: str


_MOVED = _Reason(SlippageExceeded, "the price moved beyond the order's slippage")
_ZERO_OUT = _Reason(AmountTooSmall, "the amount is too small to buy anything")
# It could when it was quoted: someone took it meanwhile, and a new quote routes around that.
_TOO_THIN = _Reason(VenueUnavailable, "the pool can't fill the whole amount any more")
_CLOSED = _Reason(VenueUnavailable, "the pool is not open for swaps")
_STALE = _Reason(VenueUnavailable, "the price moved out of the bins that the transaction names")
_OUT_OF_UNITS = _Reason(VenueUnavailable, "the program ran out of compute units, or crashed")
_TOO_LITTLE_TOKEN = _Reason(InsufficientBalance, "the account to pay from holds too little")
_TOO_LITTLE_SOL = _Reason(InsufficientBalance, "the wallet holds too little SOL")
_BUSY = _Reason(TransientError, "the cluster is too busy to take it")

_RAYDIUM_REASONS = {
    2505: _ZERO_OUT,  # RequireGtViolated: what is received must be above zero
    6000: _CLOSED,  # NotApproved: status bit, or open_time not reached
    6005: _MOVED,  # ExceededSlippage
    6006: _ZERO_OUT,  # ZeroTradingTokens
    6012: _TOO_THIN,  # InsufficientVault
}
_METEORA_REASONS = {
    3005: _STALE,  # AccountNotEnoughKeys: the swap walked on to a bin array that was not passed
    6003: _MOVED,  # ExceededAmountSlippageTolerance
    6004: _MOVED,  # ExceededBinSlippageTolerance
    6007: _TOO_THIN,  # ZeroLiquidity
    6009: _STALE,  # BinArrayNotFound
    6012: _TOO_THIN,  # PairInsufficientLiquidity
    6027: _STALE,  # InvalidBinArray
    6028: _STALE,  # NonContinuousBinArrays
    6036: _TOO_THIN,  # BitmapExtensionAccountIsNotProvided: no liquidity left within the pool's own bitmap
    6037: _TOO_THIN,  # CannotFindNonZeroLiquidityBinArrayId
    6038: _TOO_THIN,  # BinIdOutOfBound
    6039: _ZERO_OUT,  # InsufficientOutAmount
    6042: _CLOSED,  # PoolDisabled
    6066: _CLOSED,  # InvalidStatus
    6104: _ZERO_OUT,  # InsufficientInAmount
}
_TOKEN_REASONS = {
    1: _TOO_LITTLE_TOKEN,  # InsufficientFunds
    17: _Reason(TransactionRejected, "a token account of the swap is frozen"),  # AccountFrozen
}
_SYSTEM_REASONS = {
    # A new attempt derives accounts of its own.
    0: _Reason(TransientError, "the account to open exists already"),  # AccountAlreadyInUse
    1: _TOO_LITTLE_SOL,  # ResultWithNegativeLamports
}
_REASONS: dict[str, dict[int, _Reason]] = {
    _RAYDIUM_CPMM: _RAYDIUM_REASONS,
    _RAYDIUM_CPMM_DEVNET: _RAYDIUM_REASONS,
    _METEORA_DLMM: _METEORA_REASONS,
    _SYSTEM_PROGRAM: _SYSTEM_REASONS,
    **dict.fromkeys(_TOKEN_PROGRAMS, _TOKEN_REASONS),
}
_SWAP_PROGRAMS = frozenset({_RAYDIUM_CPMM, _RAYDIUM_CPMM_DEVNET, _METEORA_DLMM})

# Errors of the transaction as a whole (solana-transaction-error, TransactionError).
_TRANSACTION_REASONS = {
    "AccountNotFound": _TOO_LITTLE_SOL,
    "InsufficientFundsForFee": _TOO_LITTLE_SOL,
    "InsufficientFundsForRent": _TOO_LITTLE_SOL,
    "BlockhashNotFound": _Reason(TransactionExpired, "its blockhash has run out or isn't known to the node yet"),
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
# The pool's accounts have been read, and the account for the output is opened just before: unless the log names another
# account, the one that is missing is the one to pay from.
_PAYING_ACCOUNTS = frozenset({"input_token_account", "user_token_in", None})

# A program's own output is prefixed "Program log: ", so it can't forge these.
_FAILED = re.compile(r"^Program ([1-9A-HJ-NP-Za-km-z]{32,44}) failed: ")
_ANCHOR_ERROR = re.compile(
    r"^Program log: AnchorError (?:caused by account: (\w+)|thrown in \S+|occurred)\. Error Code: (\w+)\."
)


def classify(
    err: TransactionErrorJson, instruction_programs: Sequence[Pubkey], logs: Sequence[str] = ()
) -> ExecutionError | None:
    """The error that a simulation or a status gave, as one of ours, to be raised or stored.

    `instruction_programs` are the programs that the transaction's instructions call, in order. None for
    AlreadyProcessed: that is no failure, the transaction's own status tells how it went.
    """
    if err == _ALREADY_PROCESSED:
        return None
    if isinstance(err, dict) and "InstructionError" in err:
        index, cause = err["InstructionError"]
        called = str(instruction_programs[index]) if index < len(instruction_programs) else ""
        return _classify_instruction(index, cause, called, logs)
    name = err if isinstance(err, str) else next(iter(err), "an unknown error")
    reason = _TRANSACTION_REASONS.get(name, _Reason(TransactionRejected, "the cluster refuses the transaction"))
    return reason.kind(f"{reason.text} ({name})")


def failure_of(transaction: Mapping[str, Any]) -> ExecutionError | None:
    """Why a landed transaction failed, from `getTransaction`'s JSON (encoding "json"); None if it succeeded."""
    meta = transaction["meta"]
    if meta["err"] is None:
        return None
    message = transaction["transaction"]["message"]
    loaded = meta.get("loadedAddresses") or {}
    keys = [*message["accountKeys"], *loaded.get("writable", ()), *loaded.get("readonly", ())]
    programs = [Pubkey.from_string(keys[instruction["programIdIndex"]]) for instruction in message["instructions"]]
    return classify(meta["err"], programs, meta.get("logMessages") or ())


def _classify_instruction(
    index: int, cause: str | Mapping[str, Any], called: str, logs: Sequence[str]
) -> ExecutionError:
    if isinstance(cause, Mapping) and "Custom" in cause:
        return _classify_custom(index, int(cause["Custom"]), called, logs)
    name = cause if isinstance(cause, str) else next(iter(cause), "an unknown error")
    reason = _RUNTIME_REASONS.get(name) or _unknown(called)
    return reason.kind(f"{_name(called)}: {reason.text} (instruction {index}, {name})")


def _classify_custom(index: int, code: int, called: str, logs: Sequence[str]) -> ExecutionError:
    program = _innermost_failure(logs) or _guess(called, code)
    account, name = _anchor_error(logs)
    if program in _SWAP_PROGRAMS and code == _ACCOUNT_NOT_INITIALIZED and account in _PAYING_ACCOUNTS:
        reason = _TOO_LITTLE_TOKEN
    else:
        reason = _REASONS.get(program, {}).get(code) or _unknown(called)
    error_name = f" {name}" if name else ""
    return reason.kind(f"{_name(program)}: {reason.text} (instruction {index}, error {code}{error_name})")


def _unknown(called: str) -> _Reason:
    """What a swap program refuses for a reason not listed may work with another pool, or a moment later."""
    if called in _SWAP_PROGRAMS:
        return _Reason(VenueUnavailable, "the swap program refused")
    return _Reason(TransactionRejected, "the transaction was refused")


def _guess(called: str, code: int) -> str:
    return str(TOKEN_PROGRAM) if called in _SWAP_PROGRAMS and code < _FIRST_ANCHOR_CODE else called


def _innermost_failure(logs: Sequence[str]) -> str | None:
    """The first program that the runtime logs as failed: its callers fail after it, with its code."""
    return next((match[1] for line in logs if (match := _FAILED.match(line))), None)


def _anchor_error(logs: Sequence[str]) -> tuple[str | None, str | None]:
    """The account and the error's name that Anchor logged last, as far as it did."""
    for line in reversed(logs):
        if match := _ANCHOR_ERROR.match(line):
            return match[1], match[2]
    return None, None


def _name(program: str) -> str:
    return _PROGRAM_NAMES.get(program, f"program {program}" if program else "the transaction")
