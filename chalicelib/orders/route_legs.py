"""A route as an order remembers it: its legs, the tokens on its way, and the offers that it was chosen from."""

from __future__ import annotations

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM
from chalicelib.orders.order import Leg, Offer, Token
from chalicelib.orders.token_directory import WELL_KNOWN_SYMBOLS
from chalicelib.problems import ExecutionError
from chalicelib.routing.market import PricedPair, UnreadablePool
from chalicelib.routing.quote import PoolOffer
from chalicelib.routing.router import Route
from chalicelib.venues.venue import Pool


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
            program=leg.pool.program,
            fee=leg.quote.fee,
            fee_token=tokens[leg.quote.fee_mint],
        )
        for leg in route.legs
    )


def order_offers(priced: PricedPair, token_in: Token) -> tuple[Offer, ...]:
    """What each pool of the pair offers, best first; then those that offer nothing, and why."""

    def rank(offer: Offer) -> tuple[int, str]:
        return -(offer.amount_out or 0), offer.pool

    asked = (_order_offer(offer, token_in) for offer in priced.offers)
    unread = (_refusing(pool, pool.refusal) for pool in priced.unreadable)
    return tuple(sorted((*asked, *unread), key=rank))


def _refusing(pool: Pool | UnreadablePool, refusal: ExecutionError) -> Offer:
    return Offer(
        dex=pool.dex, program=pool.program, pool=str(pool.address), error=str(refusal), error_code=refusal.code
    )


def _order_offer(offer: PoolOffer, token_in: Token) -> Offer:
    if offer.quote is None:
        assert offer.refusal is not None, "an offer is a quote or a refusal"
        return _refusing(offer.pool, offer.refusal)
    impact = offer.price_impact
    return Offer(
        dex=offer.pool.dex,
        program=offer.pool.program,
        pool=str(offer.pool.address),
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
