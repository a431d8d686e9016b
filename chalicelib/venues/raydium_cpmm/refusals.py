"""What Raydium CPMM's error codes mean to an order: foreseen by a quote, or met on the chain.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src/error.rs ErrorCode; coral-xyz/anchor, lang/src/error.rs.
"""

from __future__ import annotations

from chalicelib.problems import AmountTooSmall, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.program_errors import KnownError, ProgramRefusals
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID
from chalicelib.venues.refusals import CLOSED, PAYS_NOTHING, PRICE_MOVED, TOO_THIN, Foreseen, SwapRefused

NOT_APPROVED = 6000
EMPTY_SUPPLY = 6002
EXCEEDED_SLIPPAGE = 6005
ZERO_TRADING_TOKENS = 6006
INSUFFICIENT_VAULT = 6012
INVALID_FEE_MODEL = 6013
REQUIRE_GT_VIOLATED = 2505

REFUSALS = ProgramRefusals(
    PROGRAM_ID,
    "Raydium CPMM",
    (
        KnownError("RequireGtViolated", REQUIRE_GT_VIOLATED, PAYS_NOTHING),  # what is received must be above zero
        KnownError("NotApproved", NOT_APPROVED, CLOSED),  # status bit, or open_time not reached
        KnownError("ExceededSlippage", EXCEEDED_SLIPPAGE, PRICE_MOVED),
        KnownError("ZeroTradingTokens", ZERO_TRADING_TOKENS, PAYS_NOTHING),
        KnownError("InsufficientVault", INSUFFICIENT_VAULT, TOO_THIN),
    ),
    paying_account="input_token_account",
)

# What a quote makes of the refusal that it foresees: no other quote of this pool would do better.
_FORESEEN: Foreseen = {
    NOT_APPROVED: (VenueUnavailable, "the pool is closed for swaps or not open yet"),
    EMPTY_SUPPLY: (InsufficientLiquidity, "the pool is empty"),
    ZERO_TRADING_TOKENS: (AmountTooSmall, "the fees leave nothing to trade"),
    INSUFFICIENT_VAULT: (InsufficientLiquidity, "a vault holds less than the fees it owes"),
    INVALID_FEE_MODEL: (VenueUnavailable, "the pool's creator fee follows an unknown model"),
    REQUIRE_GT_VIOLATED: (AmountTooSmall, "the output would be zero"),
}


class CpmmSwapRefused(SwapRefused):
    """The program's own."""

    program = "Raydium CPMM"
    foreseen = _FORESEEN
