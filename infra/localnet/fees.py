"""What a transaction costs: lamports a signature, and a priority fee; and what it may use.

A message of version 1 says so in its config, an older one by instructions to the compute budget program. Source:
anza-xyz/agave, fee/src/lib.rs and compute-budget-instruction/src/compute_budget_instruction_details.rs; SIMD-0385.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from solders.instruction import Instruction
from solders.message import TransactionConfig
from solders.pubkey import Pubkey

from chalicelib.amounts import ceil_div

LAMPORTS_PER_SIGNATURE = 5_000
MAX_COMPUTE_UNITS = 1_400_000
COMPUTE_BUDGET_PROGRAM = Pubkey.from_string("ComputeBudget111111111111111111111111111111")

_COMPUTE_UNITS_OF_AN_INSTRUCTION = 200_000
_COMPUTE_UNITS_OF_A_BUILTIN = 3_000
_MICRO_LAMPORTS = 1_000_000
MIN_HEAP_BYTES = 32 * 1024
MAX_LOADED_BYTES = 64 * 1024 * 1024
_REQUEST_HEAP_FRAME = 1
_SET_COMPUTE_UNIT_LIMIT = 2
_SET_COMPUTE_UNIT_PRICE = 3
_SET_LOADED_ACCOUNTS_DATA_SIZE_LIMIT = 4

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
    """What a transaction asks for: compute units in all, bytes of heap and of loaded accounts, and its priority fee.

    `unit_price` is in micro-lamports a compute unit, `priority_fee` in lamports altogether.
    """

    unit_limit: int
    unit_price: int
    priority_fee: int
    heap_bytes: int
    loaded_bytes: int

    @classmethod
    def of(cls, instructions: Iterable[Instruction]) -> ComputeBudgetLimits:
        """What the instructions of a message before version 1 ask for; what they don't name is the default."""
        asked: dict[int, int] = {}
        default = 0
        for instruction in instructions:
            is_builtin = instruction.program_id in _BUILTINS
            default += _COMPUTE_UNITS_OF_A_BUILTIN if is_builtin else _COMPUTE_UNITS_OF_AN_INSTRUCTION
            if instruction.program_id == COMPUTE_BUDGET_PROGRAM and instruction.data:
                asked[instruction.data[0]] = int.from_bytes(instruction.data[1:], "little")
        limit = min(asked.get(_SET_COMPUTE_UNIT_LIMIT, default), MAX_COMPUTE_UNITS)
        price = asked.get(_SET_COMPUTE_UNIT_PRICE, 0)
        return cls(
            unit_limit=limit,
            unit_price=price,
            priority_fee=ceil_div(limit * price, _MICRO_LAMPORTS),
            heap_bytes=asked.get(_REQUEST_HEAP_FRAME, MIN_HEAP_BYTES),
            loaded_bytes=min(asked.get(_SET_LOADED_ACCOUNTS_DATA_SIZE_LIMIT, MAX_LOADED_BYTES), MAX_LOADED_BYTES),
        )

    @classmethod
    def of_config(cls, config: TransactionConfig) -> ComputeBudgetLimits:
        """What a message of version 1 asks for: no compute units and no loaded accounts where it doesn't say."""
        limit = min(config.compute_unit_limit or 0, MAX_COMPUTE_UNITS)
        fee = config.priority_fee or 0
        return cls(
            unit_limit=limit,
            unit_price=fee * _MICRO_LAMPORTS // limit if limit else 0,
            priority_fee=fee,
            heap_bytes=MIN_HEAP_BYTES if config.heap_size is None else config.heap_size,
            loaded_bytes=min(config.loaded_accounts_data_size_limit or 0, MAX_LOADED_BYTES),
        )


def transaction_fee(
    instructions: Iterable[Instruction], signatures: int, budget: ComputeBudgetLimits | None = None
) -> int:
    """Lamports that the fee payer of a message with these instructions and as many signers pays.

    Without `budget` it is what the instructions ask for.
    """
    listed = tuple(instructions)
    verified = sum(ix.data[0] for ix in listed if ix.program_id in _PRECOMPILES and ix.data)
    priority_fee = (budget or ComputeBudgetLimits.of(listed)).priority_fee
    return LAMPORTS_PER_SIGNATURE * (signatures + verified) + priority_fee
