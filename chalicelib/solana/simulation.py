"""Try a planned swap before it is signed: what would it burn, and would it succeed just as it is to be signed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey

from chalicelib.amounts import SOL_DECIMALS, to_text
from chalicelib.problems import FeeTooHigh, InsufficientBalance, RpcRefused, TransientError
from chalicelib.solana.compute_budget import (
    BASE_FEE_LAMPORTS,
    MAX_COMPUTE_UNITS,
    ComputeBudget,
    PriorityFeePolicy,
    compute_unit_limit,
    priority_fee,
)
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.rpc import LatestBlockhash, Simulation
from chalicelib.solana.rpc_errors import NodeLacks
from chalicelib.solana.transaction import SwapPlan, build_message, unsigned_wire, writable_accounts


class SimulationRpc(Protocol):
    """What a simulation asks of a node (see SolanaRpc)."""

    def simulate_transaction(self, wire: bytes) -> Simulation: ...

    def get_recent_prioritization_fees(self, writable: tuple[Pubkey, ...]) -> tuple[int, ...]: ...

    def get_latest_blockhash(self) -> LatestBlockhash: ...


@dataclass(frozen=True, slots=True)
class Simulated:
    """A message whose simulation succeeded, and the blockhash that it is built on.

    It is what was simulated in every byte, but for a compute-unit limit that may be lower. `units_consumed` is what the
    simulation burned; None where the node doesn't tell.
    """

    message: MessageV0
    budget: ComputeBudget
    latest: LatestBlockhash
    units_consumed: int | None


def simulate(
    rpc: SimulationRpc,
    plan: SwapPlan,
    policy: PriorityFeePolicy,
    errors: ErrorClassifier,
    most_lamports: int,
    check_wallet: Callable[[int], None],
) -> Simulated:
    """The plan's message to sign, simulated with its own blockhash and price.

    It costs at most `most_lamports`, base fee included. `check_wallet` raises InsufficientBalance where the wallet
    can't pay so many lamports of fees.

    Raises:
        TransactionTooLarge: the plan fits no transaction.
        FeeTooHigh: even at the lowest price it would cost more than `most_lamports`.
        InsufficientBalance: see `check_wallet`.
        ExecutionError: of the kind that the failed simulation tells (see program_errors.py).
        RpcUnavailable, RpcRefused: the node's.
    """
    check_wallet(BASE_FEE_LAMPORTS)
    draft = build_message(plan, ComputeBudget(MAX_COMPUTE_UNITS, unit_price=0), Hash.default())
    wanted = ComputeBudget(MAX_COMPUTE_UNITS, priority_fee(_recent_fees(rpc, draft), policy))
    latest = rpc.get_latest_blockhash()
    if policy.within(wanted, most_lamports) == wanted and _can_pay(check_wallet, wanted):
        used = _units_used(rpc, build_message(plan, wanted, latest.blockhash), errors)
        budget = ComputeBudget(compute_unit_limit(used), wanted.unit_price)
        return Simulated(build_message(plan, budget, latest.blockhash), budget, latest, used)
    # So many units are too dear at this price: those that it needs are found out for free, and it is tried again with
    # these, at a price that may be paid for them.
    used = _units_used(rpc, draft, errors)
    needed = ComputeBudget(compute_unit_limit(used), wanted.unit_price)
    affordable = policy.within(needed, most_lamports)
    if affordable is None:
        least = ComputeBudget(needed.unit_limit, policy.floor).network_fee_lamports
        raise FeeTooHigh(
            f"the transaction costs {to_text(least, SOL_DECIMALS)} SOL at the lowest price, and it may cost "
            f"{to_text(most_lamports, SOL_DECIMALS)} SOL"
        )
    check_wallet(affordable.network_fee_lamports)
    message = build_message(plan, affordable, latest.blockhash)
    return Simulated(message, affordable, latest, _units_used(rpc, message, errors))


def _recent_fees(rpc: SimulationRpc, message: MessageV0) -> tuple[int, ...]:
    try:
        return rpc.get_recent_prioritization_fees(writable_accounts(message))
    except (NodeLacks, RpcRefused):
        return ()  # nobody tells what others paid: the lowest price that we offer


def _can_pay(check_wallet: Callable[[int], None], budget: ComputeBudget) -> bool:
    try:
        check_wallet(budget.network_fee_lamports)
    except InsufficientBalance:
        return False
    return True


def _units_used(rpc: SimulationRpc, message: MessageV0, errors: ErrorClassifier) -> int | None:
    """What the message burns; None where the node doesn't tell. Raises what its failure means."""
    simulation = rpc.simulate_transaction(unsigned_wire(message))
    if simulation.err is not None:
        raise errors.classify(simulation.err, _programs(message), simulation.logs) or TransientError(
            f"the node can't simulate the swap ({simulation.err})"
        )
    return simulation.units_consumed


def _programs(message: MessageV0) -> list[Pubkey]:
    """The programs called, in order. They are never loaded through lookup tables."""
    return [message.account_keys[instruction.program_id_index] for instruction in message.instructions]
