"""A route as an order remembers it: its legs, and the tokens on its way."""

from __future__ import annotations

from solders.pubkey import Pubkey

from chalicelib.orders.order import Leg, Token
from chalicelib.orders.token_directory import WELL_KNOWN_SYMBOLS
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
