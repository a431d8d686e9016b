"""Methods about transactions that landed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from solders.signature import Signature

from infra.localnet.blockhashes import LIFE_IN_BLOCKS
from infra.localnet.commitment import Commitment
from infra.localnet.node import Node
from infra.localnet.rpc.answer import in_context
from infra.localnet.rpc.errors import invalid_params
from infra.localnet.rpc.params import Config, Params, parse_signature
from infra.localnet.rpc.settled import settled_bank
from infra.localnet.rpc.transaction_view import TransactionView
from infra.localnet.transaction_log import LandedTransaction

_MAX_SIGNATURE_STATUSES = 256
_MAX_SIGNATURES = 1000


class HistoryMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.table: dict[str, Callable[[Params], Any]] = {
            "getSignatureStatuses": self.signature_statuses,
            "getSignaturesForAddress": self.signatures_for_address,
            "getTransaction": self.transaction,
        }

    def signature_statuses(self, params: Params) -> dict[str, Any]:
        """Without `searchTransactionHistory` only what the status cache, of the last 150 slots, still has."""
        signatures = [parse_signature(text) for text in params.texts(0)]
        if len(signatures) > _MAX_SIGNATURE_STATUSES:
            raise invalid_params(f"Too many inputs provided; max {_MAX_SIGNATURE_STATUSES}")
        search_history = params.config(1).flag("searchTransactionHistory")
        oldest = 0 if search_history else self._node.ledger.slot - LIFE_IN_BLOCKS
        bank = self._node.bank(Commitment.PROCESSED)
        return in_context(bank, [self._status(signature, oldest) for signature in signatures])

    def signatures_for_address(self, params: Params) -> list[dict[str, Any]]:
        address, config = params.pubkey(0), params.config(1)
        limit = config.number("limit")
        if limit is None:
            limit = _MAX_SIGNATURES
        if not 1 <= limit <= _MAX_SIGNATURES:
            raise invalid_params(f"Invalid limit; max {_MAX_SIGNATURES}")
        newest = settled_bank(self._node, config).slot
        before, until = _optional_signature(config, "before"), _optional_signature(config, "until")
        found: list[dict[str, Any]] = []
        listing = before is None
        for landed in self._node.ledger.transactions.of_address(address):
            if landed.signature == until or len(found) == limit:
                break
            if listing and landed.slot <= newest:
                found.append(self._signature_entry(landed))
            listing = listing or landed.signature == before
        return found

    def transaction(self, params: Params) -> dict[str, Any] | None:
        # A bare string here is an encoding, not a commitment.
        config = params.config(1) if not params.is_text(1) else Config({"encoding": params.text(1)})
        view = TransactionView.of(config)
        newest = settled_bank(self._node, config).slot
        landed = self._node.ledger.transactions.get(params.signature(0))
        if landed is None or landed.slot > newest:
            return None
        return {"slot": landed.slot, "blockTime": landed.block_time, **view.render(landed)}

    def _status(self, signature: Signature, oldest: int) -> dict[str, Any] | None:
        landed = self._node.ledger.transactions.get(signature)
        if landed is None or landed.slot < oldest:
            return None
        tip = self._node.ledger.slot
        level = self._node.ledger.level_of(landed.slot)
        error = None if landed.error is None else landed.error.to_json
        return {
            "slot": landed.slot,
            "confirmations": None if level is Commitment.FINALIZED else tip - landed.slot,
            "status": {"Ok": None} if error is None else {"Err": error},
            "err": error,
            "confirmationStatus": level.value,
        }

    def _signature_entry(self, landed: LandedTransaction) -> dict[str, Any]:
        return {
            "signature": str(landed.signature),
            "slot": landed.slot,
            "err": None if landed.error is None else landed.error.to_json,
            "memo": landed.memo,
            "blockTime": landed.block_time,
            "confirmationStatus": self._node.ledger.level_of(landed.slot).value,
        }


def _optional_signature(config: Config, name: str) -> Signature | None:
    text = config.text(name)
    return None if text is None else parse_signature(text)
