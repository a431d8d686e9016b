"""A landed transaction as getTransaction and getBlock show it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from solders.message import Message, MessageV0, MessageV1
from solders.transaction import VersionedTransaction

from infra.localnet import base58
from infra.localnet.rpc.errors import UNSUPPORTED_TRANSACTION_VERSION, RpcError, invalid_params
from infra.localnet.rpc.params import Config
from infra.localnet.transaction_log import LandedTransaction

_ENCODINGS = ("json", "jsonParsed", "base58", "base64")
# Below every number.
_LEGACY = -1
_BALANCES_META = frozenset(
    {"err", "status", "fee", "preBalances", "postBalances", "preTokenBalances", "postTokenBalances"}
)


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
        """The transaction with its meta, as a block has it.

        Raises RpcError -32015 where it is of a version that the caller does not know.
        """
        transaction, meta = self._known(landed), landed.meta
        shown: dict[str, Any] = {
            "transaction": self._transaction(transaction, landed, meta),
            "meta": _with_parsed_inner(meta, landed) if self.encoding == "jsonParsed" else meta,
        }
        return self._with_version(shown, transaction)

    def render_accounts(self, landed: LandedTransaction) -> dict[str, Any]:
        """Its signatures, its accounts and what it changed of their balances. Raises RpcError -32015."""
        transaction, meta = self._known(landed), landed.meta
        shown: dict[str, Any] = {
            "transaction": {
                "signatures": [str(signature) for signature in transaction.signatures],
                "accountKeys": _account_keys(transaction, landed, meta),
            },
            "meta": {name: value for name, value in meta.items() if name in _BALANCES_META},
        }
        return self._with_version(shown, transaction)

    @staticmethod
    def version_of(landed: LandedTransaction) -> int:
        """0 and up, below it where the transaction has no number."""
        return _version(VersionedTransaction.from_bytes(landed.wire))

    def _known(self, landed: LandedTransaction) -> VersionedTransaction:
        transaction = VersionedTransaction.from_bytes(landed.wire)
        version = _version(transaction)
        if version > (_LEGACY if self.highest_version is None else self.highest_version):
            raise RpcError(
                UNSUPPORTED_TRANSACTION_VERSION,
                f"Transaction version ({version}) is not supported by the requesting client. Please try the request "
                f'again with the following configuration parameter: "maxSupportedTransactionVersion": {version}',
            )
        return transaction

    def _with_version(self, shown: dict[str, Any], transaction: VersionedTransaction) -> dict[str, Any]:
        if self.highest_version is None:
            return shown
        version = _version(transaction)
        return {**shown, "version": "legacy" if version == _LEGACY else version}

    def _transaction(self, transaction: VersionedTransaction, landed: LandedTransaction, meta: dict[str, Any]) -> Any:
        if self.encoding == "base64":
            return [base64.b64encode(landed.wire).decode(), "base64"]
        if self.encoding == "base58":
            return [base58.encode(landed.wire), "base58"]
        signatures = [str(signature) for signature in transaction.signatures]
        if self.encoding == "jsonParsed":
            return {"signatures": signatures, "message": _parsed_message(transaction, landed, meta)}
        return {"signatures": signatures, "message": _raw_message(transaction)}


def _version(transaction: VersionedTransaction) -> int:
    message = transaction.message
    return 1 if isinstance(message, MessageV1) else 0 if isinstance(message, MessageV0) else _LEGACY


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
    return {**shown, **_of_its_version(message)}


def _parsed_message(
    transaction: VersionedTransaction, landed: LandedTransaction, meta: dict[str, Any]
) -> dict[str, Any]:
    """The keys with their roles; instructions by name of program and accounts, their data unparsed."""
    message = transaction.message
    shown: dict[str, Any] = {
        "accountKeys": _account_keys(transaction, landed, meta),
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
    return {**shown, **_of_its_version(message)}


def _account_keys(
    transaction: VersionedTransaction, landed: LandedTransaction, meta: dict[str, Any]
) -> list[dict[str, Any]]:
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

    return [
        {
            "pubkey": str(key),
            "signer": index < signers,
            "source": "transaction" if index < static else "lookupTable",
            "writable": is_writable(index),
        }
        for index, key in enumerate(landed.keys)
    ]


def _of_its_version(message: Message | MessageV0 | MessageV1) -> dict[str, Any]:
    """What messages of other versions don't have."""
    if isinstance(message, MessageV0):
        return {"addressTableLookups": _lookups(message)}
    if isinstance(message, MessageV1):
        config = message.config
        return {
            "transactionConfig": {
                "priorityFee": config.priority_fee,
                "computeUnitLimit": config.compute_unit_limit,
                "loadedAccountsDataSizeLimit": config.loaded_accounts_data_size_limit,
                "heapSize": config.heap_size,
            }
        }
    return {}


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
