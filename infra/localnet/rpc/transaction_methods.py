"""Methods that simulate and send transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import Account
from infra.localnet.execution import ExecutionResult
from infra.localnet.ledger import Bank
from infra.localnet.node import Node
from infra.localnet.rpc.account_view import AccountView, account_json
from infra.localnet.rpc.answer import in_context
from infra.localnet.rpc.banks import bank_for
from infra.localnet.rpc.errors import (
    PREFLIGHT_FAILURE,
    SIGNATURE_VERIFICATION_FAILURE,
    RpcError,
    invalid_params,
)
from infra.localnet.rpc.params import Config, Params, parse_pubkey, parse_transaction
from infra.localnet.transaction_error import TransactionError, TransactionRefused
from infra.localnet.transaction_meta import inner_instructions, return_data


class TransactionMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.table: dict[str, Callable[[Params], Any]] = {
            "simulateTransaction": self.simulate_transaction,
            "sendTransaction": self.send_transaction,
        }

    def send_transaction(self, params: Params) -> str:
        config = params.config(1)
        transaction = parse_transaction(params.text(0), config.text("encoding") or "base58")
        config.number("maxRetries")  # A transaction that arrives lands at once: there is nothing to retry.
        bank = bank_for(self._node, config, "preflightCommitment")
        signed = all(transaction.verify_with_results())
        if not config.flag("skipPreflight"):
            if not signed:
                raise RpcError(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")
            self._preflight(transaction, bank)
        signature = transaction.signatures[0]
        if signed and not self._node.faults.swallows(bytes(signature)):
            self._node.land(transaction)
        return str(signature)

    def simulate_transaction(self, params: Params) -> dict[str, Any]:
        config = params.config(1)
        transaction = parse_transaction(params.text(0), config.text("encoding") or "base58")
        bank = bank_for(self._node, config)
        replace_blockhash = config.flag("replaceRecentBlockhash")
        if config.flag("sigVerify"):
            if replace_blockhash:
                raise invalid_params("sigVerify may not be used with replaceRecentBlockhash")
            if not all(transaction.verify_with_results()):
                raise RpcError(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")
        execution = self._simulate(transaction, bank, check_blockhash=not replace_blockhash)
        replacement = None
        if replace_blockhash:
            blockhash, last_valid = self._node.ledger.latest_blockhash(bank)
            replacement = {"blockhash": str(blockhash), "lastValidBlockHeight": last_valid}
        value = simulation(execution, with_inner=config.flag("innerInstructions"), replacement=replacement)
        value["accounts"] = self._accounts_after(execution, bank, config.object("accounts"))
        return in_context(bank, value)

    def _preflight(self, transaction: VersionedTransaction, bank: Bank) -> None:
        execution = self._simulate(transaction, bank, check_blockhash=True)
        if execution.error is not None:
            raise RpcError(
                PREFLIGHT_FAILURE,
                f"Transaction simulation failed: {execution.error}",
                simulation(execution, with_inner=False, replacement=None),
            )

    def _simulate(self, transaction: VersionedTransaction, bank: Bank, *, check_blockhash: bool) -> ExecutionResult:
        try:
            return self._node.ledger.simulate(transaction, bank, check_blockhash=check_blockhash)
        except TransactionRefused as refusal:
            return _refused(refusal.error)

    def _accounts_after(self, execution: ExecutionResult, bank: Bank, wanted: Config | None) -> list[Any] | None:
        if wanted is None or execution.error is not None:
            return None
        view = AccountView(wanted.text("encoding") or "base64")
        if view.encoding not in ("base64", "jsonParsed"):
            raise invalid_params("base58 encoding not supported")

        def read(address: Any) -> Account | None:
            writes = execution.writes
            return writes[address] if address in writes else self._node.ledger.account(address, bank)

        addresses = [parse_pubkey(text) for text in wanted.array("addresses") or []]
        accounts = ((address, read(address)) for address in addresses)
        return [
            None if account is None else account_json(address, account, view, read) for address, account in accounts
        ]


def simulation(execution: ExecutionResult, *, with_inner: bool, replacement: dict[str, Any] | None) -> dict[str, Any]:
    """The value of simulateTransaction, and the data of a failed preflight."""
    return {
        "accounts": None,
        "err": None if execution.error is None else execution.error.to_json,
        "fee": execution.fee,
        "innerInstructions": inner_instructions(execution.inner) if with_inner else None,
        "loadedAccountsDataSize": execution.loaded_bytes,
        "logs": list(execution.logs),
        "replacementBlockhash": replacement,
        "returnData": None if execution.return_data is None else return_data(execution.return_data),
        "unitsConsumed": execution.compute_units,
    }


def _refused(error: TransactionError) -> ExecutionResult:
    return ExecutionResult(error=error, logs=(), compute_units=0, fee=0, writes={}, inner={})
