"""What Raydium CLMM's error codes mean to an order.

The release of 2026 dropped entries of the program's list of errors, so that most have another number since; some
numbers mean one thing in one release and another in the other. The name in the log tells them apart.
Source: raydium-io/raydium-clmm, programs/amm/src/error.rs ErrorCode; coral-xyz/anchor, lang/src/error.rs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chalicelib.problems import VenueUnavailable
from chalicelib.solana.program_errors import KnownError, ProgramRefusals, Refusal
from chalicelib.venues.raydium_clmm.layout import PROGRAM_ID
from chalicelib.venues.refusals import CLOSED, PAYS_NOTHING, PRICE_MOVED, TOO_THIN

_STALE = Refusal(VenueUnavailable, "the price moved out of the tick arrays that the transaction names")

# Each error's number in the release before that of 2026, and in that.
ERROR_NUMBERS: Mapping[str, tuple[int, int]] = {
    "RequireEqViolated": (2501, 2501),
    "RequireGtViolated": (2505, 2505),
    "NotApproved": (6001, 6000),
    "SqrtPriceLimitOverflow": (6013, 6011),
    "LiquidityInsufficient": (6019, 6016),
    "TooLittleOutputReceived": (6022, 6018),
    "ZeroAmountSpecified": (6024, 6020),
    "TooSmallInputOrOutputAmount": (6026, 6022),
    "NotEnoughTickArrayAccount": (6027, 6023),
    "InvalidFirstTickArrayAccount": (6028, 6024),
    "MissingTickArrayBitmapExtensionAccount": (6040, 6035),
    "InsufficientLiquidityForDirection": (6041, 6036),
    "MaxTokenOverflow": (6042, 6037),
}
_MEANINGS: Mapping[str, Refusal] = {
    "RequireEqViolated": TOO_THIN,  # not all of the input was used
    "RequireGtViolated": CLOSED,  # open_time has not passed
    "NotApproved": CLOSED,
    "SqrtPriceLimitOverflow": TOO_THIN,  # the price is at its end
    "LiquidityInsufficient": TOO_THIN,
    "TooLittleOutputReceived": PRICE_MOVED,
    "ZeroAmountSpecified": PAYS_NOTHING,
    "TooSmallInputOrOutputAmount": PAYS_NOTHING,
    "NotEnoughTickArrayAccount": _STALE,
    "InvalidFirstTickArrayAccount": _STALE,
    # no tick array further on in the pool's own bitmap
    "MissingTickArrayBitmapExtensionAccount": TOO_THIN,
    "InsufficientLiquidityForDirection": TOO_THIN,
    "MaxTokenOverflow": TOO_THIN,
}


def _known_errors() -> Iterator[KnownError]:
    for name, refusal in _MEANINGS.items():
        for number in sorted(set(ERROR_NUMBERS[name])):
            yield KnownError(name, number, refusal)


REFUSALS = ProgramRefusals(PROGRAM_ID, "Raydium CLMM", _known_errors(), paying_account="input_token_account")
