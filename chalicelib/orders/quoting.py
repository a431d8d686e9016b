"""What a swap would get right now: every pool's quote and the best route, as GET /quotes answers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.amounts import price_text, to_text
from chalicelib.contract.views import leg_json
from chalicelib.orders.order import Leg, Token
from chalicelib.orders.token_directory import WELL_KNOWN_SYMBOLS
from chalicelib.routing.market import Market, PricedPair
from chalicelib.routing.quote import PPM, PoolOffer, floor_of, price_impact
from chalicelib.routing.router import Route
from chalicelib.times import time_text


class Quoter:
    """Quotes for clients. `leg_lamports`: what one more leg costs, see Market.price."""

    def __init__(self, market: Market, leg_lamports: int, now_ms: Callable[[], int]) -> None:
        self._market = market
        self._leg_lamports = leg_lamports
        self._now_ms = now_ms

    def __call__(self, token_in: Token, token_out: Token, amount: int, slippage_ppm: int) -> dict[str, Any]:
        """Quote `amount` base units of `token_in` at every pool and route it.

        Raises ExecutionError: no pool, nothing quotes, the chain can't be read.
        """
        mint_in, mint_out = Pubkey.from_string(token_in.mint), Pubkey.from_string(token_out.mint)
        priced = self._market.price(mint_in, mint_out, amount, self._leg_lamports)
        route = priced.route
        return {
            "tokenIn": token_in.text,
            "tokenOut": token_out.text,
            "amount": to_text(amount, token_in.decimals),
            "slippage": to_text(slippage_ppm, 6),
            "slot": priced.slot,
            "slotLag": priced.slot_lag,
            "at": time_text(priced.as_of_ms),
            "ageMs": max(self._now_ms() - priced.as_of_ms, 0),
            "amountOut": to_text(route.amount_out, token_out.decimals),
            "minOut": to_text(floor_of(route.amount_out, slippage_ppm), token_out.decimals),
            "price": price_text(route.amount_out, token_out.decimals, amount, token_in.decimals),
            "priceImpact": _fraction_text(price_impact(route.ideal_out, route.amount_out)),
            "route": [leg_json(leg) for leg in order_legs(route, token_in, token_out)],
            "fees": _fees(route, token_in, token_out),
            "quotes": [_offer_json(offer, token_in, token_out) for offer in _best_first(priced)],
        }


def order_legs(route: Route, token_in: Token, token_out: Token) -> tuple[Leg, ...]:
    """The route as the order remembers it."""
    tokens = _tokens_of(route, token_in, token_out)
    return tuple(
        Leg(
            dex=leg.quote.venue,
            pool=str(leg.pool.address),
            share_ppm=leg.share_ppm,
            token_in=tokens[leg.quote.mint_in],
            token_out=tokens[leg.quote.mint_out],
            amount_in=leg.quote.amount_in,
            expected_out=leg.quote.amount_out,
        )
        for leg in route.legs
    )


def _tokens_of(route: Route, token_in: Token, token_out: Token) -> dict[Pubkey, Token]:
    """Every token on the way; the ones between are known by the pools' own decimals."""
    between = {
        side.mint: Token(WELL_KNOWN_SYMBOLS.get(str(side.mint), str(side.mint)), str(side.mint), side.decimals)
        for leg in route.legs
        for side in leg.pool.sides
    }
    return {
        **between,
        Pubkey.from_string(token_in.mint): token_in,
        Pubkey.from_string(token_out.mint): token_out,
    }


def _best_first(priced: PricedPair) -> list[PoolOffer]:
    def rank(offer: PoolOffer) -> tuple[int, str]:
        return -(offer.quote.amount_out if offer.quote else 0), str(offer.pool.address)

    return sorted(priced.offers, key=rank)


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


def _fees(route: Route, token_in: Token, token_out: Token) -> list[dict[str, str]]:
    """The route's trading fees, summed by the token that they are taken in."""
    tokens = _tokens_of(route, token_in, token_out)
    sums: dict[Pubkey, int] = {}
    for quote in (leg.quote for leg in route.legs):
        sums[quote.fee_mint] = sums.get(quote.fee_mint, 0) + quote.fee
    return [{"token": tokens[mint].text, "amount": to_text(fee, tokens[mint].decimals)} for mint, fee in sums.items()]


def _fraction_text(fraction: Fraction | None) -> str | None:
    """A fraction with six decimals, rounded down in size."""
    if fraction is None:
        return None
    ppm = int(fraction * PPM)
    return ("-" if ppm < 0 else "") + to_text(abs(ppm), 6)
