"""Which bank a call reads."""

from __future__ import annotations

from infra.localnet.ledger import Bank
from infra.localnet.node import Node
from infra.localnet.rpc.errors import MIN_CONTEXT_SLOT_NOT_REACHED, RpcError
from infra.localnet.rpc.params import Config


def bank_for(node: Node, config: Config, commitment: str = "commitment") -> Bank:
    """The one of the call's commitment. Raises RpcError -32016 where it has not reached `minContextSlot`."""
    bank = node.bank(config.commitment_named(commitment))
    least = config.number("minContextSlot")
    if least is not None and bank.slot < least:
        raise RpcError(
            MIN_CONTEXT_SLOT_NOT_REACHED, "Minimum context slot has not been reached", {"contextSlot": bank.slot}
        )
    return bank
