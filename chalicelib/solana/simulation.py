"""Try a planned swap before it is signed: would it succeed, what does it burn, what must it offer?"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey

from chalicelib.problems import TransientError
from chalicelib.solana.compute_budget import (
    MAX_COMPUTE_UNITS,
    ComputeBudget,
    PriorityFeePolicy,
)
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.rpc import Simulation
from chalicelib.solana.transaction import SwapPlan, build_message, unsigned_wire, writable_accounts


class SimulationRpc(Protocol):
    """What a simulation asks of a node (see SolanaRpc)."""

    def simulate_transaction(self, wire: bytes) -> Simulation: ...

    def get_recent_prioritization_fees(self, writable: tuple[Pubkey, ...]) -> tuple[int, ...]: ...


class Measured(NamedTuple):
    """What a simulated plan used, and the compute budget to sign it with."""

    units_consumed: int
    budget: ComputeBudget


def measure_budget(
    rpc: SimulationRpc, plan: SwapPlan, policy: PriorityFeePolicy, errors: ErrorClassifier
) -> ComputeBudget:
    """The compute budget to sign the plan with. Raises as `measure`."""
    return measure(rpc, plan, policy, errors).budget


def measure(rpc: SimulationRpc, plan: SwapPlan, policy: PriorityFeePolicy, errors: ErrorClassifier) -> Measured:
    """What the plan uses and must offer.

    Fetch the blockhash only after this, so that it is as fresh as can be.

    Raises:
        TransactionTooLarge: the plan fits no transaction.
        ExecutionError: of the kind that the failed simulation tells (see program_errors.py).
        RpcUnavailable, RpcRefused: the node's.
    """
    # With the most units and for free, so that neither can be what makes it fail. The node replaces the blockhash.
    message = build_message(plan, ComputeBudget(MAX_COMPUTE_UNITS, unit_price=0), Hash.default())
    simulation = rpc.simulate_transaction(unsigned_wire(message))
    if simulation.err is not None:
        raise errors.classify(simulation.err, _programs(message), simulation.logs) or TransientError(
            f"the node can't simulate the swap ({simulation.err})"
        )
    fees = rpc.get_recent_prioritization_fees(writable_accounts(message))
    return Measured(simulation.units_consumed, policy.budget(simulation.units_consumed, fees))


def _programs(message: MessageV0) -> list[Pubkey]:
    """The programs called, in order. They are never loaded through lookup tables."""
    return [message.account_keys[instruction.program_id_index] for instruction in message.instructions]
