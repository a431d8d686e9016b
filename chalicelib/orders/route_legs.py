"""A route as an order remembers it: its legs, the tokens on its way, and the offers that it was chosen from."""

from __future__ import annotations

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM
from chalicelib.orders.order import Leg, Offer, Token
from chalicelib.orders.token_directory import WELL_KNOWN_SYMBOLS
from chalicelib.routing.market import PricedPair
from chalicelib.routing.quote import PoolOffer
from chalicelib.routing.router import Route


def order_legs(route: Route, token_in: Token, token_out: Token) -> tuple[Leg, ...]:
    """The route as the order remembers it."""
    tokens = tokens_of(route, token_in, token_out)
    return tuple(
        Leg(
            dex=leg.pool.dex,
            pool=str(leg.pool.address),
            share_ppm=leg.share_ppm,
            token_in=tokens[leg.quote.mint_in],
            token_out=tokens[leg.quote.mint_out],
            amount_in=leg.quote.amount_in,
            expected_out=leg.quote.amount_out,
        )
        for leg in route.legs
    )


def order_offers(priced: PricedPair, token_in: Token) -> tuple[Offer, ...]:
    """What each pool of the pair offers, best first."""

    def rank(offer: PoolOffer) -> tuple[int, str]:
        return -(offer.quote.amount_out if offer.quote else 0), str(offer.pool.address)

    return tuple(_order_offer(offer, token_in) for offer in sorted(priced.offers, key=rank))


def _order_offer(offer: PoolOffer, token_in: Token) -> Offer:
    dex, pool = offer.pool.dex, str(offer.pool.address)
    if offer.quote is None:
        assert offer.refusal is not None, "an offer is a quote or a refusal"
        return Offer(dex=dex, pool=pool, error=str(offer.refusal), error_code=offer.refusal.code)
    impact = offer.price_impact
    return Offer(
        dex=dex,
        pool=pool,
        amount_out=offer.quote.amount_out,
        price_impact_ppm=None if impact is None else int(impact * PPM),
        fee=offer.quote.fee,
        fee_of_token_in=str(offer.quote.fee_mint) == token_in.mint,
    )


def tokens_of(route: Route, token_in: Token, token_out: Token) -> dict[Pubkey, Token]:
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
