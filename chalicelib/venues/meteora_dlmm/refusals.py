"""What Meteora DLMM's error codes mean to an order. Source: MeteoraAg/dlmm-sdk, idls/dlmm.json."""

from __future__ import annotations

from chalicelib.problems import VenueUnavailable
from chalicelib.solana.program_errors import KnownError, ProgramRefusals, Refusal
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID
from chalicelib.venues.refusals import CLOSED, HOOKED, PAYS_NOTHING, PRICE_MOVED, TOO_THIN

_STALE = Refusal(VenueUnavailable, "the price moved out of the bins that the transaction names")

REFUSALS = ProgramRefusals(
    PROGRAM_ID,
    "Meteora DLMM",
    (
        KnownError("AccountNotEnoughKeys", 3005, _STALE),  # the swap walked on to a bin array that was not passed
        KnownError("ExceededAmountSlippageTolerance", 6003, PRICE_MOVED),
        KnownError("ExceededBinSlippageTolerance", 6004, PRICE_MOVED),
        KnownError("ZeroLiquidity", 6007, TOO_THIN),
        KnownError("BinArrayNotFound", 6009, _STALE),
        KnownError("PairInsufficientLiquidity", 6012, TOO_THIN),
        KnownError("InvalidBinArray", 6027, _STALE),
        KnownError("NonContinuousBinArrays", 6028, _STALE),
        # no liquidity left within the pool's own bitmap
        KnownError("BitmapExtensionAccountIsNotProvided", 6036, TOO_THIN),
        KnownError("CannotFindNonZeroLiquidityBinArrayId", 6037, TOO_THIN),
        KnownError("BinIdOutOfBound", 6038, TOO_THIN),
        KnownError("InsufficientOutAmount", 6039, PAYS_NOTHING),
        KnownError("PoolDisabled", 6042, CLOSED),
        KnownError("InvalidStatus", 6066, CLOSED),
        KnownError("MissingRemainingAccountForTransferHook", 6077, HOOKED),
        KnownError("InsufficientInAmount", 6104, PAYS_NOTHING),
    ),
    paying_account="user_token_in",
)
