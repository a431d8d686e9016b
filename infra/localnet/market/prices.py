"""What the tokens are worth: prices that wander a little each slot around where they began."""

from __future__ import annotations

from random import Random

from chalicelib.amounts import PPM
from infra.localnet.market.tokens import TOKENS

# Of the way back to where it began, a price goes this part each slot: it strays by a percent or so, and no further.
_REVERSION_SLOTS = 2_000
# The largest step of a slot, in millionths of the price. The dollar tokens hardly move.
_LARGEST_STEP_PPM = {"SOL": 120, "USDC": 0, "USDT": 5, "JUP": 200, "RAY": 200, "BONK": 250, "LEVY": 200}


class FairPrices:
    """`by_symbol`: the price of a whole token in 10^-12 dollars."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._origin = {token.symbol: token.price for token in TOKENS}
        self.by_symbol = dict(self._origin)

    def step(self) -> None:
        """Let one slot pass."""
        for symbol, price in self.by_symbol.items():
            largest = _LARGEST_STEP_PPM[symbol]
            drift = (self._origin[symbol] - price) // _REVERSION_SLOTS
            self.by_symbol[symbol] = price + drift + price * self._dice.randint(-largest, largest) // PPM
