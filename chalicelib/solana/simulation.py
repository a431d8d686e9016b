"""Try a planned swap before it is signed: what would it burn, and would it succeed just as it is to be signed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.amounts import sol_text
from chalicelib.log import logger
from chalicelib.problems import (
    AllNodesDown,
    FeeTooHigh,
    InsufficientBalance,
    RpcRefused,
    RpcUnavailable,
    TransientError,
)
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
from chalicelib.solana.transaction import (
    SwapMessage,
    SwapPlan,
    TransactionVersion,
    build_message,
    unsigned_wire,
    writable_accounts,
)

# TransactionError, of a bank where the feature isn't active.
_UNSUPPORTED_VERSION = "UnsupportedVersion"


class SimulationRpc(Protocol):
    """What a simulation asks of a node (see SolanaRpc)."""

    def simulate_transaction(self, wire: bytes) -> Simulation: ...

    def get_recent_prioritization_fees(self, writable: tuple[Pubkey, ...]) -> tuple[int, ...]: ...

    def get_latest_blockhash(self) -> LatestBlockhash: ...


class VersionRefused(TransientError):
    """The cluster doesn't take transactions of this version yet: nothing was signed, and another version may do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was read with the market, so that it isn't asked for again; None for what wasn't, or wasn't answered."""

    latest: LatestBlockhash | None = None
    recent_fees: tuple[int, ...] | None = None


NOTHING_OPENED = Opened()


@dataclass(frozen=True, slots=True)
class Simulated:
    """A message whose simulation succeeded, and the blockhash that it is built on.

    It is what was simulated in every byte, but for a compute-unit limit that may be lower and, in version 1, the fee,
    which nothing else depends on. `units_consumed` is what the simulation burned; None where the node doesn't tell.
    `slot` is the newest that the answers told.
    """

    message: SwapMessage
    budget: ComputeBudget
    latest: LatestBlockhash
    units_consumed: int | None
    slot: int


def simulate(
    rpc: SimulationRpc,
    plan: SwapPlan,
    version: TransactionVersion,
    policy: PriorityFeePolicy,
    errors: ErrorClassifier,
    most_lamports: int,
    check_wallet: Callable[[int], None],
    opened: Opened = NOTHING_OPENED,
) -> Simulated:
    """The plan's message to sign, simulated with its own blockhash and price: one round trip where all else was opened.

    It costs at most `most_lamports`, base fee and tip included. `check_wallet` raises InsufficientBalance where the
    wallet can't pay so many lamports of these.

    Raises:
        TransactionTooLarge: the plan fits no transaction of this version.
        FeeTooHigh: even at the lowest price it would cost more than `most_lamports`.
        InsufficientBalance: see `check_wallet`.
        VersionRefused: the node doesn't take this version.
        ExecutionError: of the kind that the failed simulation tells (see program_errors.py).
        RpcUnavailable, RpcRefused: the node's.
    """
    return _Attempt(rpc, plan, version, policy, errors, most_lamports - plan.tip_lamports, check_wallet).made(opened)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """`most_lamports` is without the tip, as all that is reckoned here."""

    rpc: SimulationRpc
    plan: SwapPlan
    version: TransactionVersion
    policy: PriorityFeePolicy
    errors: ErrorClassifier
    most_lamports: int
    check_wallet: Callable[[int], None]

    def made(self, opened: Opened) -> Simulated:
        self._check_wallet(BASE_FEE_LAMPORTS)
        draft = self._message(ComputeBudget(MAX_COMPUTE_UNITS, unit_price=0), Hash.default())
        recent = _recent_fees(self.rpc, draft) if opened.recent_fees is None else opened.recent_fees
        wanted = ComputeBudget(MAX_COMPUTE_UNITS, priority_fee(recent, self.policy))
        latest = opened.latest or self.rpc.get_latest_blockhash()
        if self.policy.within(wanted, self.most_lamports) == wanted and self._can_pay(wanted):
            used, slot = self._units_used(self._message(wanted, latest.blockhash))
            budget = ComputeBudget(compute_unit_limit(used), wanted.unit_price)
            return self._simulated(budget, latest, used, slot)
        # So many units are too dear at this price: those that it needs are found out for free, and it is tried again
        # with these, at a price that may be paid for them.
        used, slot = self._units_used(self._message(ComputeBudget(MAX_COMPUTE_UNITS, 0), latest.blockhash))
        needed = ComputeBudget(compute_unit_limit(used), wanted.unit_price)
        affordable = self.policy.within(needed, self.most_lamports)
        if affordable is None:
            least = ComputeBudget(needed.unit_limit, self.policy.floor).network_fee_lamports
            raise FeeTooHigh(
                f"the transaction costs {self._sol(least)} at the lowest price, and it may cost "
                f"{self._sol(self.most_lamports)}"
            )
        self._check_wallet(affordable.network_fee_lamports)
        if self.version == 1:  # the fee is a field beside the limit: nothing else of what was tried depends on it
            return self._simulated(affordable, latest, used, slot)
        used, slot = self._units_used(self._message(affordable, latest.blockhash))
        return self._simulated(affordable, latest, used, slot)

    def _simulated(self, budget: ComputeBudget, latest: LatestBlockhash, used: int | None, slot: int) -> Simulated:
        return Simulated(self._message(budget, latest.blockhash), budget, latest, used, max(slot, latest.slot))

    def _message(self, budget: ComputeBudget, blockhash: Hash) -> SwapMessage:
        return build_message(self.plan, budget, blockhash, self.version)

    def _check_wallet(self, lamports: int) -> None:
        self.check_wallet(lamports + self.plan.tip_lamports)

    def _can_pay(self, budget: ComputeBudget) -> bool:
        try:
            self._check_wallet(budget.network_fee_lamports)
        except InsufficientBalance:
            return False
        return True

    def _sol(self, lamports: int) -> str:
        return sol_text(lamports + self.plan.tip_lamports)

    def _units_used(self, message: SwapMessage) -> tuple[int | None, int]:
        """What the message burns, None where the node doesn't tell, and the slot. Raises what its failure means."""
        try:
            simulation = self.rpc.simulate_transaction(unsigned_wire(message))
        except RpcRefused as refusal:
            # a node of before version 1 can't read the bytes; were it something else, version 0 would be refused too
            if self.version == 1:
                raise VersionRefused(f"no Solana node reads a version 1 transaction ({refusal})") from refusal
            raise
        if self.version == 1 and simulation.err == _UNSUPPORTED_VERSION:
            raise VersionRefused("the cluster takes no version 1 transactions yet")
        if simulation.err is not None:
            raise self.errors.classify(simulation.err, _programs(message), simulation.logs) or TransientError(
                f"the node can't simulate the swap ({simulation.err})"
            )
        return simulation.units_consumed, simulation.slot


def _recent_fees(rpc: SimulationRpc, message: SwapMessage) -> tuple[int, ...]:
    """What others paid; nothing where no node tells, which comes to the lowest price that we offer.

    A price is advice: an attempt doesn't end for want of it. Whether the nodes are down the next question finds out.
    """
    try:
        return rpc.get_recent_prioritization_fees(writable_accounts(message))
    except AllNodesDown:
        raise
    except (RpcUnavailable, RpcRefused) as error:
        logger.info("no node tells the recent fees", error=str(error))
        return ()


def _programs(message: SwapMessage) -> list[Pubkey]:
    """The programs called, in order. They are never loaded through lookup tables."""
    return [message.account_keys[instruction.program_id_index] for instruction in message.instructions]
