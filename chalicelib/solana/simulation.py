"""Try a planned swap before it is signed: would it succeed, what does it burn, what must it offer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey

from chalicelib.log import logger
from chalicelib.problems import AllNodesDown, RpcRefused, RpcUnavailable, TransientError
from chalicelib.solana.compute_budget import (
    MAX_COMPUTE_UNITS,
    ComputeBudget,
    PriorityFeePolicy,
)
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.rpc import LatestBlockhash, Simulation
from chalicelib.solana.transaction import SwapPlan, build_message, unsigned_wire, writable_accounts


class SimulationRpc(Protocol):
    """What a simulation asks of a node (see SolanaRpc)."""

    def simulate_transaction(self, wire: bytes) -> Simulation: ...

    def get_recent_prioritization_fees(self, writable: tuple[Pubkey, ...]) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class Measured:
    """What to sign a plan with. `blockhash` is the one it was simulated with, which spares asking for one: it is as new
    as the simulation; None where the node doesn't tell."""

    budget: ComputeBudget
    blockhash: LatestBlockhash | None


def measure(rpc: SimulationRpc, plan: SwapPlan, policy: PriorityFeePolicy, errors: ErrorClassifier) -> Measured:
    """The compute budget to sign the plan with, and the blockhash.

    The simulation comes last, so that its blockhash is as fresh as can be when it is signed.

    Raises:
        TransactionTooLarge: the plan fits no transaction.
        ExecutionError: of the kind that the failed simulation tells (see program_errors.py).
        RpcUnavailable, RpcRefused: the node's.
    """
    # With the most units and for free, so that neither can be what makes it fail. The node replaces the blockhash.
    message = build_message(plan, ComputeBudget(MAX_COMPUTE_UNITS, unit_price=0), Hash.default())
    fees = _recent_fees(rpc, message)
    simulation = rpc.simulate_transaction(unsigned_wire(message))
    if simulation.err is not None:
        raise errors.classify(simulation.err, _programs(message), simulation.logs) or TransientError(
            f"the node can't simulate the swap ({simulation.err})"
        )
    return Measured(policy.budget(simulation.units_consumed, fees), simulation.blockhash)


def _recent_fees(rpc: SimulationRpc, message: MessageV0) -> Sequence[int]:
    """What others paid; nothing where no node tells, which comes to the lowest price that we offer.

    A price is advice: an attempt doesn't end for want of it. Whether the nodes are down the simulation finds out.
    """
    try:
        return rpc.get_recent_prioritization_fees(writable_accounts(message))
    except AllNodesDown:
        raise
    except (RpcUnavailable, RpcRefused) as error:
        logger.info("no node tells the recent fees", error=str(error))
        return ()


def _programs(message: MessageV0) -> list[Pubkey]:
    """The programs called, in order. They are never loaded through lookup tables."""
    return [message.account_keys[instruction.program_id_index] for instruction in message.instructions]
