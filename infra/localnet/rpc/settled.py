"""What history shows: blocks below `confirmed` can still be abandoned, and it has none of them."""

from __future__ import annotations

from infra.localnet.commitment import Commitment
from infra.localnet.ledger import Bank
from infra.localnet.node import Node
from infra.localnet.rpc.banks import bank_for
from infra.localnet.rpc.errors import invalid_params
from infra.localnet.rpc.params import Config


def settled_bank(node: Node, config: Config) -> Bank:
    """The newest bank whose history the call may see. Raises RpcError where it asks for `processed`."""
    check_settled(config)
    return bank_for(node, config)


def check_settled(config: Config) -> None:
    """Raises RpcError where the call asks for `processed`."""
    if config.commitment is Commitment.PROCESSED:
        raise invalid_params("Method does not support commitment below `confirmed`")
