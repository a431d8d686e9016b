"""Why a transaction failed, in the shape that JSON-RPC and the Rust `TransactionError` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Errors of transactions that are in a block all the same: their fee is paid. Every other kind never lands.
# anza-xyz/agave, svm/src/transaction_processor.rs (executed and fees-only transactions).
_LANDING = frozenset(
    {
        "InstructionError",
        "InsufficientFundsForRent",
        "ProgramAccountNotFound",
        "InvalidProgramForExecution",
        "MaxLoadedAccountsDataSizeExceeded",
    }
)
# As the Rust type's Display has them (solana-transaction-error), for the errors that clients show or look for.
_MESSAGES = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AccountLoadedTwice": "Account loaded twice",
    "AddressLookupTableNotFound": "Transaction loads an address table account that doesn't exist",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "InvalidAccountForFee": "This account may not be used to pay transaction fees",
    "InvalidAddressLookupTableData": "Transaction loads an address table account with invalid data",
    "InvalidAddressLookupTableIndex": "Transaction address table lookup uses an invalid index",
    "InvalidAddressLookupTableOwner": "Transaction loads an address table account with an invalid owner",
    "InvalidProgramForExecution": "This program may not be used for executing instructions",
    "MaxLoadedAccountsDataSizeExceeded": "Transaction exceeded max loaded accounts data size cap",
    "ProgramAccountNotFound": "Attempt to load a program that does not exist",
    "SanitizeFailure": "Transaction failed to sanitize accounts offsets correctly",
    "SignatureFailure": "Transaction did not pass signature verification",
    "TooManyAccountLocks": "Transaction locked too many accounts",
    "UnsupportedVersion": "Transaction version is unsupported",
}


@dataclass(frozen=True, slots=True)
class TransactionError:
    """One error. `detail` is what the kind carries: `[index, reason]` for an InstructionError."""

    kind: str
    detail: Any = None

    @classmethod
    def from_json(cls, value: str | dict[str, Any]) -> TransactionError:
        if isinstance(value, str):
            return cls(value)
        ((kind, detail),) = value.items()
        return cls(kind, detail)

    @classmethod
    def instruction(cls, index: int, reason: str | dict[str, Any]) -> TransactionError:
        """The instruction at `index` failed: `"InvalidArgument"`, `{"Custom": 6005}`."""
        return cls("InstructionError", [index, reason])

    @property
    def to_json(self) -> str | dict[str, Any]:
        return self.kind if self.detail is None else {self.kind: self.detail}

    @property
    def lands(self) -> bool:
        """Whether a transaction with this error is in a block, its fee paid."""
        return self.kind in _LANDING

    @property
    def reason_message(self) -> str:
        """Of an InstructionError: what a program's log says after `failed:`."""
        return _instruction_message(self.detail[1])

    def __str__(self) -> str:
        if self.kind == "InstructionError":
            return f"Error processing Instruction {self.detail[0]}: {self.reason_message}"
        if self.kind == "InsufficientFundsForRent":
            index = self.detail["account_index"]
            return f"Transaction results in an account ({index}) with insufficient funds for rent"
        return _MESSAGES.get(self.kind, self.kind)


class TransactionRefused(Exception):
    """The transaction can't be in a block at all."""

    def __init__(self, error: TransactionError) -> None:
        super().__init__(str(error))
        self.error = error


def _instruction_message(reason: str | dict[str, Any]) -> str:
    if isinstance(reason, dict) and "Custom" in reason:
        return f"custom program error: {reason['Custom']:#x}"
    name = reason if isinstance(reason, str) else next(iter(reason))
    # InvalidAccountData -> invalid account data, near enough to the Display of each.
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
