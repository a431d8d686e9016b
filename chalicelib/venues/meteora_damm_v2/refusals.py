"""What Meteora DAMM v2's error codes mean to an order: foreseen by a quote, or met on the chain.

Source: MeteoraAg/damm-v2, programs/cp-amm/src/error.rs PoolError.
"""

from __future__ import annotations

from chalicelib.problems import AmountTooSmall, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.program_errors import KnownError, ProgramRefusals, Refusal
from chalicelib.venues.meteora_damm_v2.layout import PROGRAM_ID
from chalicelib.venues.refusals import CLOSED, PAYS_NOTHING, PRICE_MOVED, TOO_THIN, Foreseen, SwapRefused

MATH_OVERFLOW = 6000
EXCEEDED_SLIPPAGE = 6002
POOL_DISABLED = 6003
AMOUNT_IS_ZERO = 6006
TYPE_CAST_FAILED = 6007
PRICE_RANGE_VIOLATION = 6015
FAIL_TO_VALIDATE_SINGLE_SWAP_INSTRUCTION = 6049

_ONE_SWAP = Refusal(VenueUnavailable, "the pool takes one swap in a transaction, and another instruction names it")

REFUSALS = ProgramRefusals(
    PROGRAM_ID,
    "Meteora DAMM v2",
    (
        KnownError("MathOverflow", MATH_OVERFLOW, TOO_THIN),  # the reserves don't cover the payout
        KnownError("ExceededSlippage", EXCEEDED_SLIPPAGE, PRICE_MOVED),
        KnownError("PoolDisabled", POOL_DISABLED, CLOSED),  # its status, or the activation point is not reached
        KnownError("AmountIsZero", AMOUNT_IS_ZERO, PAYS_NOTHING),
        KnownError("TypeCastFailed", TYPE_CAST_FAILED, TOO_THIN),  # the price would leave its 128 bits
        KnownError("PriceRangeViolation", PRICE_RANGE_VIOLATION, TOO_THIN),
        KnownError("FailToValidateSingleSwapInstruction", FAIL_TO_VALIDATE_SINGLE_SWAP_INSTRUCTION, _ONE_SWAP),
    ),
    paying_account="input_token_account",
)

# What a quote makes of the refusal that it foresees: no other quote of this pool would do better.
_FORESEEN: Foreseen = {
    MATH_OVERFLOW: (InsufficientLiquidity, "the pool's reserves don't cover the swap, or its sums overflow"),
    POOL_DISABLED: (VenueUnavailable, "the pool is closed for swaps or not open yet"),
    AMOUNT_IS_ZERO: (AmountTooSmall, "the transfer fee takes the whole input"),
    TYPE_CAST_FAILED: (InsufficientLiquidity, "the swap would move the price beyond all prices"),
    PRICE_RANGE_VIOLATION: (InsufficientLiquidity, "the swap would move the price out of the pool's range"),
}


class DammV2SwapRefused(SwapRefused):
    """The program's own."""

    program = "Meteora DAMM v2"
    foreseen = _FORESEEN
