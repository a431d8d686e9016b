"""A route as the plan of one transaction: its token accounts and its swap instructions. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.problems import TransactionTooLarge
from chalicelib.routing.router import Route
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS, ComputeBudget
from chalicelib.solana.token_accounts import TokenMint, destination_account, source_account
from chalicelib.solana.transaction import OrderMemo, SwapPlan, build_message

# A size is all that these stand for: as long as real ones, and equal to none.
_ANYBODY = Pubkey(bytes([7] * 32))
_ANY_ORDER = OrderMemo("00000000-0000-0000-0000-000000000000", attempt=1)


@dataclass(frozen=True, slots=True)
class Trade:
    """Whose swap it is, and for which attempt at which order. `rent_lamports`: of a token account.

    `nonce` is the attempt's: nobody else knows where its temporary account will be.
    """

    wallet: Pubkey
    memo: OrderMemo
    rent_lamports: int
    nonce: str


def tokens_of(route: Route) -> tuple[TokenMint, ...]:
    """The tokens on the way, from the one that is sold to the one that is bought."""
    programs = {side.mint: side.token_program for leg in route.legs for side in leg.pool.sides}
    mints = (route.legs[0].quote.mint_in, *(hop.legs[0].quote.mint_out for hop in route.hops))
    return tuple(TokenMint(mint, programs[mint]) for mint in mints)


def plan_swap(route: Route, trade: Trade, min_out: int) -> SwapPlan:
    """The plan that executes `route` and pays at least `min_out` base units, or fails as a whole."""
    wallet = trade.wallet
    token_in, *tokens_out = tokens_of(route)
    source = source_account(
        wallet,
        token_in,
        route.amount_in,
        order_id=trade.memo.order_id,
        attempt=trade.memo.attempt,
        nonce=trade.nonce,
        rent_lamports=trade.rent_lamports,
    )
    # what one hop pays into the next one pays from: the last of these accounts is the order's destination
    destinations = [
        destination_account(
            wallet,
            token,
            order_id=trade.memo.order_id,
            attempt=trade.memo.attempt,
            nonce=trade.nonce,
            rent_lamports=trade.rent_lamports,
        )
        for token in tokens_out
    ]
    accounts = {account.token.mint: account.address for account in (source, *destinations)}
    swaps = tuple(
        leg.pool.swap_instruction(
            leg.quote,
            trader=wallet,
            source=accounts[leg.quote.mint_in],
            destination=accounts[leg.quote.mint_out],
            minimum_out=floor,
        )
        for leg, floor in zip(route.legs, route.floors(min_out), strict=True)
    )
    return SwapPlan(
        payer=wallet,
        memo=trade.memo,
        source=source,
        destination=destinations[-1],
        between=tuple(destinations[:-1]),
        swaps=swaps,
    )


def fits_a_transaction(route: Route) -> bool:
    """Whether one transaction can carry the route, whoever's it is: bytes and accounts are the same for everybody."""
    plan = plan_swap(route, Trade(_ANYBODY, _ANY_ORDER, rent_lamports=0, nonce=""), min_out=route.amount_out)
    try:
        build_message(plan, ComputeBudget(MAX_COMPUTE_UNITS, unit_price=1), Hash.default())
    except TransactionTooLarge:
        return False
    return True
