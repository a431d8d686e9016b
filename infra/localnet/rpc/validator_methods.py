"""Methods about who makes the blocks: one node, which leads every slot. Nobody votes or stakes, and nobody is paid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.localnet.commitment import Commitment
from infra.localnet.node import Node
from infra.localnet.rpc.answer import API_VERSION, FEATURE_SET, RawJson, in_context
from infra.localnet.rpc.banks import bank_for
from infra.localnet.rpc.errors import NO_SNAPSHOT, RpcError, invalid_params
from infra.localnet.rpc.params import Config, Params

_MAX_LEADERS = 5_000
# Of mainnet: one SOL.
_STAKE_MINIMUM_DELEGATION = 1_000_000_000


class ValidatorMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.table: dict[str, Callable[[Params], Any]] = {
            "getIdentity": lambda _: {"identity": str(node.identity)},
            "getClusterNodes": lambda _: [self.this_node()],
            "getVoteAccounts": lambda _: {"current": [], "delinquent": []},
            "getLeaderSchedule": self.leader_schedule,
            "getSlotLeader": lambda params: self._leader_of(bank_for(node, params.config(0)).slot),
            "getSlotLeaders": self.slot_leaders,
            "getBlockProduction": self.block_production,
            "getBlockCommitment": self.block_commitment,
            "getMaxRetransmitSlot": lambda _: node.ledger.slot,
            "getMaxShredInsertSlot": lambda _: node.ledger.slot,
            "getHighestSnapshotSlot": self.highest_snapshot_slot,
            "getInflationGovernor": self.inflation_governor,
            "getInflationRate": self.inflation_rate,
            "getInflationReward": self.inflation_reward,
            "getStakeMinimumDelegation": lambda params: in_context(
                bank_for(node, params.config(0)), _STAKE_MINIMUM_DELEGATION
            ),
        }

    def this_node(self) -> dict[str, Any]:
        """It gossips with nobody, and so has no address that another could use."""
        addresses = ("gossip", "tpu", "tpuQuic", "tpuForwards", "tpuForwardsQuic", "tpuVote", "tvu", "serveRepair")
        return {
            "pubkey": str(self._node.identity),
            **dict.fromkeys((*addresses, "rpc", "pubsub")),
            "version": API_VERSION,
            "featureSet": FEATURE_SET,
            "shredVersion": 0,
        }

    def leader_schedule(self, params: Params) -> RawJson:
        """Every slot of the epoch of a slot (by default now), counted from its first; null where it is too far off."""
        config = params.config(0 if not params.is_number(0) and len(params) == 1 else 1)
        ledger = self._node.ledger
        now = bank_for(self._node, config).slot
        epoch = (params.number(0) if params.is_number(0) else now) // ledger.slots_per_epoch
        if epoch > now // ledger.slots_per_epoch + 1:
            return RawJson("null")
        if config.text("identity") not in (None, str(self._node.identity)):
            return RawJson("{}")
        return RawJson(f'{{"{self._node.identity}":[{",".join(map(str, range(ledger.slots_per_epoch)))}]}}')

    def slot_leaders(self, params: Params) -> list[str]:
        first, count = params.number(0), params.number(1)
        if not 1 <= count <= _MAX_LEADERS:
            raise invalid_params(f"Invalid limit; max {_MAX_LEADERS}")
        return [self._leader_of(first)] * count

    def block_production(self, params: Params) -> dict[str, Any]:
        """Of this epoch, or of the range that is asked for, as far as it is known."""
        config = params.config(0)
        bank = bank_for(self._node, config)
        known_from = max(self._node.first_available_block, bank.slot - bank.slot % self._node.ledger.slots_per_epoch)
        asked = config.object("range") or Config({})
        first, last = asked.number("firstSlot"), asked.number("lastSlot")
        first, last = known_from if first is None else first, bank.slot if last is None else last
        if not known_from <= first <= last <= bank.slot:
            raise invalid_params(f"Invalid slot range: known are the slots from {known_from} to {bank.slot}.")
        is_asked_for = config.text("identity") in (None, str(self._node.identity))
        slots = last - first + 1
        produced = {str(self._node.identity): [slots, slots]} if is_asked_for else {}
        return in_context(bank, {"byIdentity": produced, "range": {"firstSlot": first, "lastSlot": last}})

    def block_commitment(self, params: Params) -> dict[str, Any]:
        """Nobody votes: there is no commitment by stake."""
        params.number(0)
        return {"commitment": None, "totalStake": 0}

    def highest_snapshot_slot(self, _: Params) -> dict[str, Any]:
        raise RpcError(NO_SNAPSHOT, "No snapshot")

    def inflation_governor(self, params: Params) -> dict[str, float]:
        bank_for(self._node, params.config(0))
        names = ("initial", "terminal", "taper", "foundation", "foundationTerm")
        return dict.fromkeys(names, 0.0)

    def inflation_rate(self, _: Params) -> dict[str, float]:
        epoch = self._node.bank(Commitment.FINALIZED).slot // self._node.ledger.slots_per_epoch
        return {"total": 0.0, "validator": 0.0, "foundation": 0.0, "epoch": epoch}

    def inflation_reward(self, params: Params) -> list[None]:
        """Nobody gets any."""
        return [None for _ in params.pubkeys(0)]

    def _leader_of(self, _: int) -> str:
        return str(self._node.identity)
