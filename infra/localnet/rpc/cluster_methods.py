"""Methods about the cluster itself: health, consensus, slots and how fast they pass, blockhashes, fees, the faucet."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from solders.hash import Hash
from solders.message import from_bytes_versioned

from infra.localnet.genesis_certificate import genesis_certificate
from infra.localnet.node import Node
from infra.localnet.rpc.answer import API_VERSION, FEATURE_SET, in_context
from infra.localnet.rpc.banks import bank_for
from infra.localnet.rpc.errors import invalid_params
from infra.localnet.rpc.params import Params
from infra.localnet.transaction_error import TransactionRefused

_MAX_FEE_ACCOUNTS = 128
_MAX_PERFORMANCE_SAMPLES = 720


class ClusterMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.table: dict[str, Callable[[Params], Any]] = {
            "getHealth": lambda _: "ok",
            "getVersion": lambda _: {"feature-set": FEATURE_SET, "solana-core": API_VERSION},
            "getGenesisHash": lambda _: str(node.ledger.genesis_hash),
            "getSlot": lambda params: bank_for(node, params.config(0)).slot,
            "getBlockHeight": lambda params: bank_for(node, params.config(0)).block_height,
            "getEpochInfo": self.epoch_info,
            "getEpochSchedule": self.epoch_schedule,
            "getTransactionCount": lambda _: node.ledger.transactions.count,
            "getLatestBlockhash": self.latest_blockhash,
            "isBlockhashValid": self.is_blockhash_valid,
            "getAgGenesisCert": lambda _: self.genesis_certificate(),
            "getRecentPerformanceSamples": self.recent_performance_samples,
            "getRecentPrioritizationFees": self.recent_prioritization_fees,
            "getFeeForMessage": self.fee_for_message,
            "requestAirdrop": self.request_airdrop,
        }

    def epoch_info(self, params: Params) -> dict[str, int]:
        bank = bank_for(self._node, params.config(0))
        epoch, index = divmod(bank.slot, self._node.ledger.slots_per_epoch)
        return {
            "absoluteSlot": bank.slot,
            "blockHeight": bank.block_height,
            "epoch": epoch,
            "slotIndex": index,
            "slotsInEpoch": self._node.ledger.slots_per_epoch,
            "transactionCount": self._node.ledger.transactions.count,
        }

    def epoch_schedule(self, _: Params) -> dict[str, Any]:
        length = self._node.ledger.slots_per_epoch
        return {
            "firstNormalEpoch": 0,
            "firstNormalSlot": 0,
            "leaderScheduleSlotOffset": length,
            "slotsPerEpoch": length,
            "warmup": False,
        }

    def latest_blockhash(self, params: Params) -> dict[str, Any]:
        bank = bank_for(self._node, params.config(0))
        blockhash, last_valid = self._node.ledger.latest_blockhash(bank)
        return in_context(bank, {"blockhash": str(blockhash), "lastValidBlockHeight": last_valid})

    def is_blockhash_valid(self, params: Params) -> dict[str, Any]:
        bank = bank_for(self._node, params.config(1))
        blockhash = Hash(bytes(params.pubkey(0)))
        return in_context(bank, self._node.ledger.is_blockhash_valid(blockhash, bank))

    def genesis_certificate(self) -> dict[str, Any] | None:
        """Of the migration to Alpenglow; None where this cluster hasn't migrated."""
        ledger = self._node.ledger
        if not ledger.consensus.is_alpenglow:
            return None
        return genesis_certificate(ledger.genesis_hash, ledger.genesis_slot)

    def recent_performance_samples(self, params: Params) -> list[dict[str, int]]:
        """The newest first; none in the first seconds of a chain."""
        limit = params.number(0) if params.is_number(0) else _MAX_PERFORMANCE_SAMPLES
        if limit > _MAX_PERFORMANCE_SAMPLES:
            raise invalid_params(f"Invalid limit; max {_MAX_PERFORMANCE_SAMPLES}")
        return [
            {
                "slot": sample.slot,
                "numSlots": sample.slots,
                "numTransactions": sample.transactions,
                "numNonVoteTransactions": sample.transactions,
                "samplePeriodSecs": sample.seconds,
            }
            for sample in self._node.performance.newest(limit)
        ]

    def recent_prioritization_fees(self, params: Params) -> list[dict[str, int]]:
        accounts = params.pubkeys(0) if len(params) else []
        if len(accounts) > _MAX_FEE_ACCOUNTS:
            raise invalid_params(f"Too many inputs provided; max {_MAX_FEE_ACCOUNTS}")
        return [
            {"slot": slot, "prioritizationFee": fee} for slot, fee in self._node.ledger.priority_fees.recent(accounts)
        ]

    def fee_for_message(self, params: Params) -> dict[str, Any]:
        """The fee in lamports; None where the message's blockhash is too old."""
        bank = bank_for(self._node, params.config(1))
        try:
            message = from_bytes_versioned(base64.b64decode(params.text(0), validate=True))
            resolved = self._node.ledger.resolve_message(message, bank)
        except (ValueError, binascii.Error, TransactionRefused) as error:
            raise invalid_params(f"invalid transaction message: {error}") from None
        if not self._node.ledger.is_blockhash_valid(resolved.blockhash, bank):
            return in_context(bank, None)
        return in_context(bank, resolved.fee)

    def request_airdrop(self, params: Params) -> str:
        return str(self._node.faucet.airdrop(params.pubkey(0), params.number(1)))
