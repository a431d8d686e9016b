"""What Raydium AMM v4's error codes mean to an order: foreseen by a quote, or met on the chain.

The codes are the plain numbers of an enumeration, so that they mix with those of the token program, which it calls.
Source: raydium-io/raydium-amm, program/src/error.rs AmmError; where each is raised, processor.rs.
"""

from __future__ import annotations

from chalicelib.problems import (
    AmountTooSmall,
    InsufficientBalance,
    InsufficientLiquidity,
    VenueUnavailable,
)
from chalicelib.solana.program_errors import KnownError, ProgramRefusals, Refusal
from chalicelib.venues.raydium_amm_v4.layout import PROGRAM_ID
from chalicelib.venues.refusals import CLOSED, PAYS_NOTHING, PRICE_MOVED, TOO_THIN, Foreseen, SwapRefused

INVALID_STATUS = 22
INVALID_INPUT = 29
EXCEEDED_SLIPPAGE = 30
CHECKED_SUB_OVERFLOW = 32
INSUFFICIENT_FUNDS = 40
# What the program has no code for, because it panics: a fee of nothing, or one above the amount.
INVALID_FEE = 48

# The program has one code for a trader who holds too little and for a pool that would be emptied.
_TOO_LITTLE = Refusal(InsufficientBalance, "the account to pay from holds too little, or the pool does")

REFUSALS = ProgramRefusals(
    PROGRAM_ID,
    "Raydium AMM v4",
    (
        KnownError("InvalidStatus", INVALID_STATUS, CLOSED),
        KnownError("InvalidInput", INVALID_INPUT, PAYS_NOTHING),  # nothing goes in, or nothing would come out
        KnownError("ExceededSlippage", EXCEEDED_SLIPPAGE, PRICE_MOVED),
        KnownError("CheckedSubOverflow", CHECKED_SUB_OVERFLOW, TOO_THIN),  # a vault holds less than it owes
        KnownError("InsufficientFunds", INSUFFICIENT_FUNDS, _TOO_LITTLE),
    ),
)

# What a quote makes of the refusal that it foresees: no other quote of this pool would do better.
_FORESEEN: Foreseen = {
    INVALID_STATUS: (VenueUnavailable, "the pool is closed for swaps or not open yet"),
    INVALID_INPUT: (AmountTooSmall, "the output would be zero"),
    CHECKED_SUB_OVERFLOW: (InsufficientLiquidity, "a vault holds less than the profit it owes"),
    INSUFFICIENT_FUNDS: (InsufficientLiquidity, "the swap would empty the pool"),
    INVALID_FEE: (VenueUnavailable, "the pool's fee is none that the program can take"),
}


class AmmV4SwapRefused(SwapRefused):
    """The program's own."""

    program = "Raydium AMM v4"
    foreseen = _FORESEEN
