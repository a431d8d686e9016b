"""What the send-only lane answers. Source: jito-labs/jito-docs, docs/source/lowlatencytxnsend.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from solders.transaction import VersionedTransaction

from infra.localnet.commitment import Commitment
from infra.localnet.lane.block_engine import MAX_TRANSACTIONS, Bundle, BundleRefused
from infra.localnet.lane.tips import TIP_ACCOUNTS, tip_of
from infra.localnet.node import Node
from infra.localnet.rpc.answer import in_context
from infra.localnet.rpc.errors import SIGNATURE_VERIFICATION_FAILURE, RpcError, invalid_params
from infra.localnet.rpc.params import Params, parse_transaction

# In the address's query: every transaction is a bundle.
BUNDLE_ONLY = ("bundleOnly", "true")
# Where a lane is asked, beside the node's own address.
PATHS = frozenset({"/api/v1/transactions", "/api/v1/bundles"})


class LaneMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node, *, bundle_only: bool) -> None:
        """`bundle_only`: a single transaction is a bundle too, and so leaves no trace where it would fail."""
        self._node = node
        self._lane = node.lane
        self._bundle_only = bundle_only
        self.table: dict[str, Callable[[Params], Any]] = {
            "sendTransaction": self.send_transaction,
            "sendBundle": self.send_bundle,
            "getTipAccounts": lambda _: list(map(str, TIP_ACCOUNTS)),
            "getBundleStatuses": self.bundle_statuses,
            "getInflightBundleStatuses": self.inflight_bundle_statuses,
        }

    def send_transaction(self, params: Params) -> str:
        """Never a preflight: its signature, whatever becomes of it. Raises RpcError -32602 where it doesn't tip."""
        transaction = self._signed(params.text(0), params.config(1).text("encoding") or "base58")
        tip, least = tip_of(transaction), self._lane.block_engine.minimum_tip
        if tip < least:
            self._lane.counts.refused += 1
            raise invalid_params(
                f"Invalid params: the transaction tips {tip} lamports; it must transfer {least} or more to one of "
                "getTipAccounts."
            )
        signature = transaction.signatures[0]
        if self._lane.faults.swallows(bytes(signature)):
            self._lane.counts.lost += 1
        else:
            self._lane.counts.taken += 1
            self._land(transaction)
        return str(signature)

    def send_bundle(self, params: Params) -> str:
        """The bundle's id, whatever becomes of it. Raises RpcError -32602 where it is refused."""
        encoding = params.config(1).text("encoding") or "base58"
        texts = params.texts(0)
        if len(texts) > MAX_TRANSACTIONS:
            raise invalid_params(f"Invalid params: at most {MAX_TRANSACTIONS} transactions make a bundle.")
        transactions = [self._signed(text, encoding) for text in texts]
        engine = self._lane.block_engine
        is_lost = bool(transactions) and self._lane.faults.swallows(bytes(transactions[0].signatures[0]))
        try:
            bundle = engine.lose(transactions) if is_lost else engine.land(transactions)
        except BundleRefused as refused:
            self._lane.counts.refused += 1
            raise invalid_params(str(refused)) from None
        if is_lost:
            self._lane.counts.lost += 1
        else:
            self._lane.counts.taken += 1
        return bundle.bundle_id

    def bundle_statuses(self, params: Params) -> dict[str, Any]:
        """Null for a bundle that isn't known or hasn't landed."""
        bundles = [self._lane.block_engine.bundle(bundle_id) for bundle_id in _bundle_ids(params)]
        return self._answer(
            [None if bundle is None or bundle.slot is None else self._landed(bundle) for bundle in bundles]
        )

    def inflight_bundle_statuses(self, params: Params) -> dict[str, Any]:
        """Each is looked at once, when it comes: a bundle is never pending here."""
        statuses = []
        for bundle_id in _bundle_ids(params):
            bundle = self._lane.block_engine.bundle(bundle_id)
            slot = None if bundle is None else bundle.slot
            status = "Invalid" if bundle is None else "Failed" if slot is None else "Landed"
            statuses.append({"bundle_id": bundle_id, "status": status, "landed_slot": slot})
        return self._answer(statuses)

    def _land(self, transaction: VersionedTransaction) -> None:
        if not self._bundle_only:
            self._node.land(transaction)
            return
        try:
            self._lane.block_engine.land([transaction])
        except BundleRefused as refused:
            raise invalid_params(str(refused)) from None

    def _landed(self, bundle: Bundle) -> dict[str, Any]:
        slot = bundle.slot or 0
        return {
            "bundle_id": bundle.bundle_id,
            "transactions": list(map(str, bundle.signatures)),
            "slot": slot,
            "confirmation_status": self._node.ledger.level_of(slot).value,
            "err": {"Ok": None},
        }

    def _answer(self, value: list[Any]) -> dict[str, Any]:
        return in_context(self._node.bank(Commitment.PROCESSED), value)

    def _signed(self, text: str, encoding: str) -> VersionedTransaction:
        transaction = parse_transaction(text, encoding)
        if not all(transaction.verify_with_results()):
            raise RpcError(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")
        return transaction


def _bundle_ids(params: Params) -> list[str]:
    bundle_ids = params.texts(0)
    if len(bundle_ids) > MAX_TRANSACTIONS:
        raise invalid_params(f"Invalid params: at most {MAX_TRANSACTIONS} bundles at a time.")
    return bundle_ids
