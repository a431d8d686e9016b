"""What a swap would get right now: every pool's quote and the best route, as GET /quotes answers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.orders.order import Token
from chalicelib.routing.market import Market, MarketOffers
from chalicelib.routing.quote import PoolOffer, floor_of
from chalicelib.routing.router import Route, best_route
from chalicelib.wire import price_text, time_text, to_text

PPM = 1_000_000


def quote_pair(market: Market, token_in: Token, token_out: Token, amount: int, slippage_ppm: int) -> dict[str, Any]:
    """Quote `amount` base units of `token_in` at every pool and route it.

    Raises ExecutionError: no pool, nothing quotes, the chain can't be read.
    """
    mint_in, mint_out = Pubkey.from_string(token_in.mint), Pubkey.from_string(token_out.mint)
    market_offers = market.offers(mint_in, mint_out, amount)
    route = best_route(market_offers.offers)
    return {
        "tokenIn": token_in.text,
        "tokenOut": token_out.text,
        "amount": to_text(amount, token_in.decimals),
        "slippage": to_text(slippage_ppm, 6),
        "slot": market_offers.slot,
        "at": time_text(market_offers.clock.unix_timestamp * 1000),
        "amountOut": to_text(route.amount_out, token_out.decimals),
        "minOut": to_text(floor_of(route.amount_out, slippage_ppm), token_out.decimals),
        "price": price_text(route.amount_out, token_out.decimals, amount, token_in.decimals),
        "priceImpact": _fraction_text(_route_impact(route, market_offers)),
        "route": _route_json(route, token_in, token_out),
        "quotes": [_offer_json(offer, token_in, token_out) for offer in _best_first(market_offers.offers)],
    }


def shares_ppm(route: Route) -> tuple[int, ...]:
    """Each leg's part of the input in millionths; together exactly a million."""
    total, taken, before, shares = route.amount_in, 0, 0, []
    for leg in route.legs:
        taken += leg.quote.amount_in
        share = taken * PPM // total
        shares.append(share - before)
        before = share
    return tuple(shares)


def _best_first(offers: tuple[PoolOffer, ...]) -> list[PoolOffer]:
    return sorted(offers, key=lambda offer: (-(offer.quote.amount_out if offer.quote else 0), str(offer.pool.address)))


def _route_json(route: Route, token_in: Token, token_out: Token) -> list[dict[str, str]]:
    return [
        {
            "dex": leg.quote.venue,
            "pool": str(leg.pool.address),
            "share": to_text(share, 6),
            "amountIn": to_text(leg.quote.amount_in, token_in.decimals),
            "expectedOut": to_text(leg.quote.amount_out, token_out.decimals),
        }
        for leg, share in zip(route.legs, shares_ppm(route), strict=True)
    ]


def _offer_json(offer: PoolOffer, token_in: Token, token_out: Token) -> dict[str, Any]:
    place = {"dex": offer.pool.venue, "pool": str(offer.pool.address)}
    if offer.quote is None:
        assert offer.refusal is not None, "an offer is a quote or a refusal"
        return {**place, "error": str(offer.refusal), "errorCode": offer.refusal.code}
    quote = offer.quote
    fee_token = token_in if str(quote.fee_mint) == token_in.mint else token_out
    return {
        **place,
        "amountOut": to_text(quote.amount_out, token_out.decimals),
        "price": price_text(quote.amount_out, token_out.decimals, quote.amount_in, token_in.decimals),
        "priceImpact": _fraction_text(offer.price_impact),
        "fee": to_text(quote.fee, fee_token.decimals),
        "feeToken": fee_token.text,
    }


def _route_impact(route: Route, market_offers: MarketOffers) -> Fraction | None:
    """Against the mid prices of the route's own pools, weighed by what goes through each."""
    mids = {offer.pool.address: offer.mid_price for offer in market_offers.offers}
    ideal = sum(((mids[leg.pool.address] or Fraction(0)) * leg.quote.amount_in for leg in route.legs), Fraction(0))
    return (ideal - route.amount_out) / ideal if ideal else None


def _fraction_text(fraction: Fraction | None) -> str | None:
    """A fraction with six decimals, rounded down in size."""
    if fraction is None:
        return None
    ppm = int(fraction * PPM)
    return ("-" if ppm < 0 else "") + to_text(abs(ppm), 6)
