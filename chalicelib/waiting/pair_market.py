"""The PairMarket of ports.py over the routing's market: tokens by their addresses as orders know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from solders.pubkey import Pubkey

from chalicelib.orders.quoting import SwapQuote, quote_of_priced
from chalicelib.routing.market import Market, PairLook
from chalicelib.waiting.ports import MarketSeen
from chalicelib.waiting.quote_stream import QuoteStream

T = TypeVar("T")


class RoutedPairMarket:
    """`leg_lamports`: what one more leg costs, see Market.price."""

    def __init__(self, market: Market, leg_lamports: int, now_ms: Callable[[], int]) -> None:
        self._market = market
        self._leg_lamports = leg_lamports
        self._now_ms = now_ms

    def __call__(self, pair: tuple[str, str], largest: Mapping[str, int], use: Callable[[MarketSeen], T]) -> T:
        """As PairMarket."""

        def used(look: PairLook) -> T:
            def quote(stream: QuoteStream) -> SwapQuote:
                token_in, token_out, amount = stream.token_in, stream.token_out, stream.amount
                priced = look.price(Pubkey.from_string(token_in.mint), amount)
                return quote_of_priced(token_in, token_out, amount, stream.slippage_ppm, priced, self._now_ms())

            return use(MarketSeen(look.slot, {str(mint): side for mint, side in look.sides.items()}, quote))

        mint_a, mint_b = map(Pubkey.from_string, pair)
        by_mint = {Pubkey.from_string(mint): amount for mint, amount in largest.items()}
        return self._market.look(mint_a, mint_b, self._leg_lamports, by_mint, used)
