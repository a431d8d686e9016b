"""One trade of each kind to sign, and what becomes of it where somebody changes its accounts or amounts."""

from __future__ import annotations

import pytest
from solders.instruction import AccountMeta, Instruction

from chalicelib.problems import SigningRefused
from chalicelib.solana.signing_policy import OrderTerms, SigningPolicy
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as RAYDIUM
from tests.trades_to_sign import TradeToSign, compiled, policy, trade

SWAP_PROGRAMS = (RAYDIUM, METEORA)

# One of each kind: a split over both venues; SOL bought; over a third token, which is SOL, and which is not; a
# Token-2022 token sold.
SPLIT = trade("SOL", "LEVY", 700 * 10**9)
BUYING_SOL = trade("USDC", "SOL", 10**9)
OVER_SOL = trade("JUP", "RAY", 3 * 10**9, pools=("JUP/SOL", "SOL/RAY"))
OVER_USDC = trade("SOL", "JUP", 2 * 10**9, pools=("SOL/USDC", "USDC/JUP"))
TAXED = trade("LEVY", "USDC", 60 * 10**9)
KINDS = {"split": SPLIT, "buying SOL": BUYING_SOL, "over SOL": OVER_SOL, "over USDC": OVER_USDC, "Token-2022": TAXED}


def refusal(message: bytes, terms: OrderTerms, by: SigningPolicy | None = None) -> str:
    with pytest.raises(SigningRefused) as refused:
        (by or policy()).approve(message, terms)
    return str(refused.value)


def swaps_of(made: TradeToSign) -> list[int]:
    """Where the swaps stand among the instructions."""
    return [n for n, each in enumerate(made.instructions) if each.program_id in SWAP_PROGRAMS]


def with_accounts(made: TradeToSign, index: int, accounts: list[AccountMeta]) -> bytes:
    """The message with other accounts in one instruction."""
    instructions = made.instructions
    instructions[index] = Instruction(instructions[index].program_id, bytes(instructions[index].data), accounts)
    return compiled(instructions)


def with_amounts(made: TradeToSign, changes: dict[int, tuple[int, int]]) -> bytes:
    """The message with so much added to a swap's amount in and floor, by the swap's number."""
    instructions = made.instructions
    for number, (more_in, more_out) in changes.items():
        index = swaps_of(made)[number]
        data = bytearray(instructions[index].data)
        for at, more in ((8, more_in), (16, more_out)):
            data[at : at + 8] = (int.from_bytes(data[at : at + 8], "little") + more).to_bytes(8, "little")
        instructions[index] = Instruction(instructions[index].program_id, bytes(data), instructions[index].accounts)
    return compiled(instructions)
