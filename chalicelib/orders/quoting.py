"""What a swap would get right now: every pool's offer and the best route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from solders.pubkey import Pubkey

from chalicelib.amounts import floor_of
from chalicelib.orders.order import Leg, Offer, Token
from chalicelib.orders.route_legs import order_legs, order_offers, tokens_of
from chalicelib.routing.market import Market, PricedPair
from chalicelib.routing.quote import price_impact
from chalicelib.routing.router import Route
from chalicelib.venues.registry import RegisteredPool


@dataclass(frozen=True, slots=True)
class FeeSum:
    """The trading fees of a route that are taken in `token`, in its base units."""

    token: Token
    amount: int


@dataclass(frozen=True, slots=True)
class SwapQuote:
    """The best route for `amount` base units of `token_in`, and every pool's own offer, best first, as of one slot.

    `min_out` is the floor that `slippage_ppm` allows. The chain was at `slot` at `at_ms`, `age_ms` ago, and known to be
    `slot_lag` slots further when the pools were read. `not_looked_at` are the registered pools that were not read.
    """

    token_in: Token
    token_out: Token
    amount: int
    slippage_ppm: int
    slot: int
    slot_lag: int
    at_ms: int
    age_ms: int
    amount_out: int
    min_out: int
    price_impact: Fraction
    route: tuple[Leg, ...]
    fees: tuple[FeeSum, ...]
    offers: tuple[Offer, ...]
    not_looked_at: tuple[RegisteredPool, ...] = ()


class Quoter:
    """Quotes for clients. `leg_lamports`: what one more leg costs, see Market.price."""

    def __init__(self, market: Market, leg_lamports: int, now_ms: Callable[[], int]) -> None:
        self._market = market
        self._leg_lamports = leg_lamports
        self._now_ms = now_ms

    def __call__(self, token_in: Token, token_out: Token, amount: int, slippage_ppm: int) -> SwapQuote:
        """Quote `amount` base units of `token_in` at every pool and route it.

        Raises ExecutionError: no pool, nothing quotes, the chain can't be read.
        """
        return self.of_priced(token_in, token_out, amount, slippage_ppm, self.price(token_in, token_out, amount))

    def price(self, token_in: Token, token_out: Token, amount: int) -> PricedPair:
        """Every pool's offer and the best route, as of one slot. Raises ExecutionError."""
        mint_in, mint_out = Pubkey.from_string(token_in.mint), Pubkey.from_string(token_out.mint)
        return self._market.price(mint_in, mint_out, amount, self._leg_lamports)

    def of_priced(
        self, token_in: Token, token_out: Token, amount: int, slippage_ppm: int, priced: PricedPair
    ) -> SwapQuote:
        """The quote that a priced pair comes to."""
        return quote_of_priced(token_in, token_out, amount, slippage_ppm, priced, self._now_ms())


def quote_of_priced(
    token_in: Token, token_out: Token, amount: int, slippage_ppm: int, priced: PricedPair, now_ms: int
) -> SwapQuote:
    """The quote that a pair comes to that was priced for `amount` base units, as it is told now."""
    route = priced.route
    return SwapQuote(
        token_in=token_in,
        token_out=token_out,
        amount=amount,
        slippage_ppm=slippage_ppm,
        slot=priced.slot,
        slot_lag=priced.slot_lag,
        at_ms=priced.as_of_ms,
        age_ms=max(now_ms - priced.as_of_ms, 0),
        amount_out=route.amount_out,
        min_out=floor_of(route.amount_out, slippage_ppm),
        price_impact=price_impact(route.ideal_out, route.amount_out),
        route=order_legs(route, token_in, token_out),
        fees=_fees(route, token_in, token_out),
        offers=order_offers(priced, token_in),
        not_looked_at=priced.not_looked_at,
    )


def _fees(route: Route, token_in: Token, token_out: Token) -> tuple[FeeSum, ...]:
    tokens = tokens_of(route, token_in, token_out)
    sums: dict[Pubkey, int] = {}
    for quote in (leg.quote for leg in route.legs):
        sums[quote.fee_mint] = sums.get(quote.fee_mint, 0) + quote.fee
    return tuple(FeeSum(tokens[mint], fee) for mint, fee in sums.items())
