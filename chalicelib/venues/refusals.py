"""What swap programs refuse for, whatever their codes for it are."""

from __future__ import annotations

from chalicelib.problems import AmountTooSmall, SlippageExceeded, TokenNotTradable, VenueUnavailable
from chalicelib.solana.program_errors import Refusal

PRICE_MOVED = Refusal(SlippageExceeded, "the price moved beyond the order's slippage")
PAYS_NOTHING = Refusal(AmountTooSmall, "the amount is too small to buy anything")
# It could when it was quoted: someone took it meanwhile, and a new quote routes around that.
TOO_THIN = Refusal(VenueUnavailable, "the pool can't fill the whole amount any more")
HOOKED = Refusal(TokenNotTradable, "transfers of the token call a program of its issuer")
CLOSED = Refusal(VenueUnavailable, "the pool is not open for swaps")
