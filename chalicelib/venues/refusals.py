"""What swap programs refuse for, whatever their codes for it are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, SlippageExceeded, TokenNotTradable, VenueUnavailable
from chalicelib.solana.program_errors import Refusal

Foreseen = Mapping[int, tuple[type[ExecutionError], str]]


class SwapRefused(Exception):
    """A program would fail with this custom error code. Only the program's emulation gets to see it.

    Each program's own has its name, and what a quote makes of the codes that it foresees.
    """

    program: ClassVar[str]
    foreseen: ClassVar[Foreseen]

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def execution_error(self, pool: Pubkey) -> ExecutionError:
        """What it means to an order."""
        kind, message = self.foreseen[self.code]
        return kind(f"{self.program} pool {pool}: {message}")


PRICE_MOVED = Refusal(SlippageExceeded, "the price moved beyond the order's slippage")
PAYS_NOTHING = Refusal(AmountTooSmall, "the amount is too small to buy anything")
# It could when it was quoted: someone took it meanwhile, and a new quote routes around that.
TOO_THIN = Refusal(VenueUnavailable, "the pool can't fill the whole amount any more")
HOOKED = Refusal(TokenNotTradable, "transfers of the token call a program of its issuer")
CLOSED = Refusal(VenueUnavailable, "the pool is not open for swaps")
