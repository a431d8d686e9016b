"""The PairMarket of ports.py over the routing's market: tokens by their addresses as orders know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from solders.pubkey import Pubkey

from chalicelib.routing.market import Market, PairLook
from chalicelib.waiting.ports import MarketSeen

T = TypeVar("T")


class RoutedPairMarket:
    """`leg_lamports`: what one more leg costs, see Market.price."""

    def __init__(self, market: Market, leg_lamports: int) -> None:
        self._market = market
        self._leg_lamports = leg_lamports

    def __call__(self, pair: tuple[str, str], largest: Mapping[str, int], use: Callable[[MarketSeen], T]) -> T:
        """As PairMarket."""

        def used(look: PairLook) -> T:
            return use(MarketSeen(look.slot, {str(mint): side for mint, side in look.sides.items()}))

        mint_a, mint_b = map(Pubkey.from_string, pair)
        by_mint = {Pubkey.from_string(mint): amount for mint, amount in largest.items()}
        return self._market.look(mint_a, mint_b, self._leg_lamports, by_mint, used)
