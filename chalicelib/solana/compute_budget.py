"""How much computing a transaction may use, and what it offers for it.

The network charges 5000 lamports a signature plus `price x limit`: the limit counts, not what was used. Both are
integers: compute units, and micro-lamports per compute unit. https://solana.com/docs/core/fees
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import Instruction
from solders.message import TransactionConfig

from chalicelib.amounts import ceil_div

BASE_FEE_LAMPORTS = 5_000  # of one signature, which all of ours have
# What one transaction may ask for at most (agave, program-runtime/src/execution_budget.rs, MAX_COMPUTE_UNIT_LIMIT).
MAX_COMPUTE_UNITS = 1_400_000
# How much data a transaction's accounts may have in all, and have where it doesn't say (the same file,
# MAX_LOADED_ACCOUNTS_DATA_SIZE_BYTES).
MAX_LOADED_ACCOUNTS_BYTES = 64 * 1024 * 1024
# A swap can cross more bins or ticks than it did when simulated: a fifth more.
_MARGIN_NUMERATOR = 6
_MARGIN_DENOMINATOR = 5


@dataclass(frozen=True, slots=True)
class ComputeBudget:
    """A limit in compute units and a price in micro-lamports per unit."""

    unit_limit: int
    unit_price: int

    @property
    def config(self) -> TransactionConfig:
        """As a version 1 message carries it: the priority fee is a total there, in lamports.

        What is left out counts as 0. How much data of accounts may be loaded is what other versions have by default.
        """
        return TransactionConfig(
            priority_fee=self.priority_fee_lamports,
            compute_unit_limit=self.unit_limit,
            loaded_accounts_data_size_limit=MAX_LOADED_ACCOUNTS_BYTES,
        )

    def instructions(self) -> tuple[Instruction, Instruction]:
        """As a version 0 message carries it."""
        return set_compute_unit_limit(self.unit_limit), set_compute_unit_price(self.unit_price)

    @property
    def priority_fee_lamports(self) -> int:
        """What the price comes to for the whole limit, rounded up to a lamport as the network does."""
        return ceil_div(self.unit_limit * self.unit_price, 1_000_000)

    @property
    def network_fee_lamports(self) -> int:
        """All that the network takes for a transaction with this budget and one signature."""
        return BASE_FEE_LAMPORTS + self.priority_fee_lamports


@dataclass(frozen=True, slots=True)
class PriorityFeePolicy:
    """Offer what `percentile` of the recent slots asked for, never below `floor` nor above `cap` micro-lamports.

    Whatever the price, a transaction pays no more than `max_lamports` for it: the signing policy refuses more.
    """

    percentile: int = 75
    floor: int = 1_000
    cap: int = 1_000_000
    max_lamports: int = 2_800_000

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100:
            raise ValueError("percentile: 1 to 100")
        if not 0 <= self.floor <= self.cap:
            raise ValueError("floor must lie between 0 and cap")

    @property
    def most_lamports(self) -> int:
        """The most that a transaction costs at this policy, base fee included."""
        dearest = ComputeBudget(MAX_COMPUTE_UNITS, self.cap).priority_fee_lamports
        return BASE_FEE_LAMPORTS + min(dearest, self.max_lamports)

    def within(self, wanted: ComputeBudget, most_lamports: int) -> ComputeBudget | None:
        """The wanted budget at the highest price at which it costs `most_lamports` in all; None below the floor."""
        priority = min(most_lamports - BASE_FEE_LAMPORTS, self.max_lamports)
        price = min(wanted.unit_price, priority * 1_000_000 // wanted.unit_limit)
        return ComputeBudget(wanted.unit_limit, price) if price >= self.floor else None


def compute_unit_limit(simulated_units: int | None) -> int:
    """A fifth above what the simulation used, rounded up, at most what the network allows.

    Where the node doesn't tell what was used (0, None) it is what simulations are allowed: nothing runs in no units.
    """
    if not simulated_units:
        return MAX_COMPUTE_UNITS
    return min(ceil_div(simulated_units * _MARGIN_NUMERATOR, _MARGIN_DENOMINATOR), MAX_COMPUTE_UNITS)


def priority_fee(recent_fees: Sequence[int], policy: PriorityFeePolicy) -> int:
    """The price to offer, micro-lamports per compute unit, given the recent slots' lowest landed fees.

    The percentile is by nearest rank, so that it is always a fee which somebody paid; without any, the floor.
    """
    if not recent_fees:
        return policy.floor
    ranked = sorted(recent_fees)
    rank = ceil_div(len(ranked) * policy.percentile, 100)
    return max(policy.floor, min(ranked[rank - 1], policy.cap))
