"""What a transaction costs: lamports a signature, and the compute budget's priority fee.

Source: anza-xyz/agave, fee/src/lib.rs and compute-budget-instruction/src/compute_budget_instruction_details.rs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.amounts import ceil_div

LAMPORTS_PER_SIGNATURE = 5_000
MAX_COMPUTE_UNITS = 1_400_000
COMPUTE_BUDGET_PROGRAM = Pubkey.from_string("ComputeBudget111111111111111111111111111111")

_COMPUTE_UNITS_OF_AN_INSTRUCTION = 200_000
_COMPUTE_UNITS_OF_A_BUILTIN = 3_000
_MICRO_LAMPORTS = 1_000_000
_SET_COMPUTE_UNIT_LIMIT = 2
_SET_COMPUTE_UNIT_PRICE = 3

_PRECOMPILES = frozenset(
    map(
        Pubkey.from_string,
        (
            "Ed25519SigVerify111111111111111111111111111",
            "KeccakSecp256k11111111111111111111111111111",
            "Secp256r1SigVerify1111111111111111111111111",
        ),
    )
)
_BUILTINS = (
    frozenset(
        map(
            Pubkey.from_string,
            (
                "11111111111111111111111111111111",
                "Vote111111111111111111111111111111111111111",
                "BPFLoader1111111111111111111111111111111111",
                "BPFLoader2111111111111111111111111111111111",
                "BPFLoaderUpgradeab1e11111111111111111111111",
                "LoaderV411111111111111111111111111111111111",
            ),
        )
    )
    | {COMPUTE_BUDGET_PROGRAM}
    | _PRECOMPILES
)


@dataclass(frozen=True, slots=True)
class ComputeBudgetLimits:
    """What a transaction asks for: compute units in all, and micro-lamports it pays for each."""

    unit_limit: int
    unit_price: int
    # False where the limit is the default for the transaction's instructions.
    limit_is_explicit: bool

    @classmethod
    def of(cls, instructions: Iterable[Instruction]) -> ComputeBudgetLimits:
        limit: int | None = None
        price = 0
        default = 0
        for instruction in instructions:
            is_builtin = instruction.program_id in _BUILTINS
            default += _COMPUTE_UNITS_OF_A_BUILTIN if is_builtin else _COMPUTE_UNITS_OF_AN_INSTRUCTION
            if instruction.program_id == COMPUTE_BUDGET_PROGRAM:
                argument = int.from_bytes(instruction.data[1:], "little")
                if sets_unit_limit(instruction):
                    limit = argument
                elif instruction.data[:1] == bytes([_SET_COMPUTE_UNIT_PRICE]):
                    price = argument
        return cls(min(default if limit is None else limit, MAX_COMPUTE_UNITS), price, limit is not None)

    @property
    def priority_fee(self) -> int:
        """In lamports, rounded up."""
        return ceil_div(self.unit_limit * self.unit_price, _MICRO_LAMPORTS)


def sets_unit_limit(instruction: Instruction) -> bool:
    """SetComputeUnitLimit."""
    is_of_budget = instruction.program_id == COMPUTE_BUDGET_PROGRAM
    return is_of_budget and instruction.data[:1] == bytes([_SET_COMPUTE_UNIT_LIMIT])


def transaction_fee(instructions: Iterable[Instruction], signatures: int) -> int:
    """Lamports that the fee payer of a message with these instructions and as many signers pays."""
    listed = tuple(instructions)
    verified = sum(ix.data[0] for ix in listed if ix.program_id in _PRECOMPILES and ix.data)
    return LAMPORTS_PER_SIGNATURE * (signatures + verified) + ComputeBudgetLimits.of(listed).priority_fee
