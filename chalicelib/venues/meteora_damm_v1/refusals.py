"""What the error codes of Meteora DAMM v1, and of the vaults that it calls, mean to an order.

Both programs count from 6000, so a code tells nothing without the program that gave it.
Source: MeteoraAg/damm-v1-sdk, programs/dynamic-amm/src/error.rs; the vault program's IDL.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.program_errors import KnownError, ProgramRefusals
from chalicelib.venues.meteora_damm_v1.layout import PROGRAM_ID, VAULT_PROGRAM_ID
from chalicelib.venues.refusals import CLOSED, PAYS_NOTHING, PRICE_MOVED, TOO_THIN


class RefusedFor(Enum):
    """Why a swap fails: the program that refuses, its code, the error's name."""

    MATH_OVERFLOW = (PROGRAM_ID, 6000, "MathOverflow")
    FEE_CALCULATION = (PROGRAM_ID, 6003, "FeeCalculationFailure")
    EXCEEDED_SLIPPAGE = (PROGRAM_ID, 6004, "ExceededSlippage")
    ZERO_TRADING_TOKENS = (PROGRAM_ID, 6006, "ZeroTradingTokens")
    POOL_DISABLED = (PROGRAM_ID, 6015, "PoolDisabled")
    INVALID_REMAINING_ACCOUNTS = (PROGRAM_ID, 6028, "InvalidRemainingAccounts")
    VAULT_DISABLED = (VAULT_PROGRAM_ID, 6000, "VaultIsDisabled")
    VAULT_MATH_OVERFLOW = (VAULT_PROGRAM_ID, 6003, "MathOverflow")
    NOTHING_DEPOSITED = (VAULT_PROGRAM_ID, 6013, "AmountMustGreaterThanZero")

    @property
    def program_id(self) -> Pubkey:
        return self.value[0]

    @property
    def code(self) -> int:
        return self.value[1]

    @property
    def error_name(self) -> str:
        return self.value[2]


REFUSALS = ProgramRefusals(
    PROGRAM_ID,
    "Meteora DAMM v1",
    (
        KnownError("MathOverflow", 6000, TOO_THIN),
        KnownError("ExceededSlippage", 6004, PRICE_MOVED),
        KnownError("ZeroTradingTokens", 6006, PAYS_NOTHING),
        KnownError("PoolDisabled", 6015, CLOSED),
    ),
    paying_account="user_source_token",
)
VAULT_REFUSALS = ProgramRefusals(
    VAULT_PROGRAM_ID,
    "Meteora's vault",
    (
        KnownError("VaultIsDisabled", 6000, CLOSED),
        KnownError("AmountMustGreaterThanZero", 6013, PAYS_NOTHING),  # the fee takes all
    ),
    paying_account="user_token",
)

# What a quote makes of the refusal that it foresees: no other quote of this pool would do better.
_FORESEEN: Mapping[RefusedFor, tuple[type[ExecutionError], str]] = {
    RefusedFor.MATH_OVERFLOW: (InsufficientLiquidity, "the pool or a vault of it can't take this much"),
    RefusedFor.FEE_CALCULATION: (VenueUnavailable, "the pool's fee is none that the program can take"),
    RefusedFor.ZERO_TRADING_TOKENS: (AmountTooSmall, "the output would be zero"),
    RefusedFor.POOL_DISABLED: (VenueUnavailable, "the pool is closed for swaps or not open yet"),
    RefusedFor.INVALID_REMAINING_ACCOUNTS: (VenueUnavailable, "the price of its token B is not known"),
    RefusedFor.VAULT_DISABLED: (VenueUnavailable, "the vault of the input takes no deposits"),
    RefusedFor.VAULT_MATH_OVERFLOW: (VenueUnavailable, "a vault of it reports profit from the future"),
    RefusedFor.NOTHING_DEPOSITED: (AmountTooSmall, "the fees leave nothing to trade"),
}


class DammV1SwapRefused(Exception):
    """A program would fail with this error. Only the programs' emulation gets to see it."""

    def __init__(self, reason: RefusedFor) -> None:
        super().__init__(reason)
        self.reason = reason

    def execution_error(self, pool: Pubkey) -> ExecutionError:
        """What it means to an order."""
        kind, message = _FORESEEN[self.reason]
        return kind(f"Meteora DAMM v1 pool {pool}: {message}")
