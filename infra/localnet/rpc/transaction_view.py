"""A landed transaction as getTransaction shows it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from infra.localnet import base58
from infra.localnet.rpc.errors import UNSUPPORTED_TRANSACTION_VERSION, RpcError, invalid_params
from infra.localnet.rpc.params import Config
from infra.localnet.transaction_log import LandedTransaction

_ENCODINGS = ("json", "jsonParsed", "base58", "base64")


@dataclass(frozen=True, slots=True)
class TransactionView:
    """The encoding, and the highest version that the caller understands (None: only the first, unnumbered one)."""

    encoding: str
    highest_version: int | None

    @classmethod
    def of(cls, config: Config) -> TransactionView:
        encoding = config.text("encoding") or "json"
        encoding = "base58" if encoding == "binary" else encoding
        if encoding not in _ENCODINGS:
            raise invalid_params(f"Invalid params: unknown encoding `{encoding}`.")
        return cls(encoding, config.number("maxSupportedTransactionVersion"))

    def render(self, landed: LandedTransaction) -> dict[str, Any]:
        """Raises RpcError -32015 where the transaction is of a version that the caller does not know."""
        transaction = VersionedTransaction.from_bytes(landed.wire)
        version = 0 if isinstance(transaction.message, MessageV0) else "legacy"
        if version == 0 and self.highest_version is None:
            raise RpcError(
                UNSUPPORTED_TRANSACTION_VERSION,
                "Transaction version (0) is not supported by the requesting client. Please try the request again "
                'with the following configuration parameter: "maxSupportedTransactionVersion": 0',
            )
        meta = landed.meta
        shown: dict[str, Any] = {
            "slot": landed.slot,
            "blockTime": landed.block_time,
            "transaction": self._transaction(transaction, landed, meta),
            "meta": _with_parsed_inner(meta, landed) if self.encoding == "jsonParsed" else meta,
        }
        if self.highest_version is not None:
            shown["version"] = version
        return shown

    def _transaction(self, transaction: VersionedTransaction, landed: LandedTransaction, meta: dict[str, Any]) -> Any:
        if self.encoding == "base64":
            return [base64.b64encode(landed.wire).decode(), "base64"]
        if self.encoding == "base58":
            return [base58.encode(landed.wire), "base58"]
        signatures = [str(signature) for signature in transaction.signatures]
        if self.encoding == "jsonParsed":
            return {"signatures": signatures, "message": _parsed_message(transaction, landed, meta)}
        return {"signatures": signatures, "message": _raw_message(transaction)}


def _raw_message(transaction: VersionedTransaction) -> dict[str, Any]:
    message = transaction.message
    header = message.header
    shown: dict[str, Any] = {
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "accountKeys": [str(key) for key in message.account_keys],
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            {
                "programIdIndex": instruction.program_id_index,
                "accounts": list(instruction.accounts),
                "data": base58.encode(bytes(instruction.data)),
                "stackHeight": 1,
            }
            for instruction in message.instructions
        ],
    }
    if isinstance(message, MessageV0):
        shown["addressTableLookups"] = _lookups(message)
    return shown


def _parsed_message(
    transaction: VersionedTransaction, landed: LandedTransaction, meta: dict[str, Any]
) -> dict[str, Any]:
    """The keys with their roles; instructions by name of program and accounts, their data unparsed."""
    message = transaction.message
    header = message.header
    signers = header.num_required_signatures
    static = len(message.account_keys)
    loaded_writable = len(meta["loadedAddresses"]["writable"])

    def is_writable(index: int) -> bool:
        if index >= static:
            return index < static + loaded_writable
        if index < signers:
            return index < signers - header.num_readonly_signed_accounts
        return index < static - header.num_readonly_unsigned_accounts

    shown: dict[str, Any] = {
        "accountKeys": [
            {
                "pubkey": str(key),
                "signer": index < signers,
                "source": "transaction" if index < static else "lookupTable",
                "writable": is_writable(index),
            }
            for index, key in enumerate(landed.keys)
        ],
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            _partially_decoded(
                landed,
                instruction.program_id_index,
                list(instruction.accounts),
                base58.encode(bytes(instruction.data)),
                1,
            )
            for instruction in message.instructions
        ],
    }
    if isinstance(message, MessageV0):
        shown["addressTableLookups"] = _lookups(message)
    return shown


def _lookups(message: MessageV0) -> list[dict[str, Any]]:
    return [
        {
            "accountKey": str(lookup.account_key),
            "writableIndexes": list(lookup.writable_indexes),
            "readonlyIndexes": list(lookup.readonly_indexes),
        }
        for lookup in message.address_table_lookups
    ]


def _with_parsed_inner(meta: dict[str, Any], landed: LandedTransaction) -> dict[str, Any]:
    groups = [
        {
            "index": group["index"],
            "instructions": [
                _partially_decoded(landed, one["programIdIndex"], one["accounts"], one["data"], one["stackHeight"])
                for one in group["instructions"]
            ],
        }
        for group in meta["innerInstructions"]
    ]
    shown = {**meta, "innerInstructions": groups}
    # The parsed form names the loaded keys among all the others.
    shown.pop("loadedAddresses")
    return shown


def _partially_decoded(
    landed: LandedTransaction, program: int, accounts: list[int], data: str, stack_height: int | None
) -> dict[str, Any]:
    return {
        "programId": str(landed.keys[program]),
        "accounts": [str(landed.keys[index]) for index in accounts],
        "data": data,
        "stackHeight": stack_height,
    }
