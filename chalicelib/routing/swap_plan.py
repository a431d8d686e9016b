"""A route as the plan of one transaction: its token accounts and its swap instructions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import TransactionTooLarge
from chalicelib.routing.router import Hop, Route, RouteLeg
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS, ComputeBudget
from chalicelib.solana.token_accounts import TokenMint, TradingAccount, destination_account, source_account
from chalicelib.solana.transaction import OrderMemo, SwapPlan, Tip, TransactionVersion, build_message
from chalicelib.venues.venue import PoolQuote

# A size is all that these stand for: as long as real ones, and equal to none.
_ANYBODY = Pubkey(bytes([7] * 32))
_A_LANE = Pubkey(bytes([8] * 32))
_ANY_ORDER = OrderMemo("00000000-0000-0000-0000-000000000000", attempt=1)

# How many accounts a leg names beyond those that it needs for its quote, where there is room.
MAX_SPARE_ACCOUNTS = 3


@dataclass(frozen=True, slots=True)
class Trade:
    """Whose swap it is, and for which attempt at which order. `rent_lamports`: of a token account.

    `nonce` is the attempt's: nobody else knows where its temporary account will be. `tip` is what a lane is paid.
    """

    wallet: Pubkey
    memo: OrderMemo
    rent_lamports: int
    nonce: str
    tip: Tip | None = None


def tokens_of(route: Route) -> tuple[TokenMint, ...]:
    """The tokens on the way, from the one that is sold to the one that is bought."""
    programs = {side.mint: side.token_program for leg in route.legs for side in leg.pool.sides}
    mints = (route.legs[0].quote.mint_in, *(hop.legs[0].quote.mint_out for hop in route.hops))
    return tuple(TokenMint(mint, programs[mint]) for mint in mints)


def plan_swap(route: Route, trade: Trade, min_out: int) -> SwapPlan:
    """The plan that executes `route` and pays at least `min_out` base units, or fails as a whole."""
    accounts = _accounts_of(tokens_of(route), route.amount_in, trade)
    floors = route.floors(min_out)
    addresses = _addresses(accounts)
    swaps = [_swap(leg, floor, trade.wallet, addresses) for leg, floor in zip(route.legs, floors, strict=True)]
    return _plan(trade, accounts, swaps)


def _accounts_of(tokens: Sequence[TokenMint], amount_in: int, trade: Trade) -> tuple[TradingAccount, ...]:
    """Where the order is paid from, and then where each hop pays to: the next one pays from that."""
    token_in, *tokens_out = tokens
    source = source_account(
        trade.wallet,
        token_in,
        amount_in,
        order_id=trade.memo.order_id,
        attempt=trade.memo.attempt,
        nonce=trade.nonce,
        rent_lamports=trade.rent_lamports,
    )
    destinations = [
        destination_account(
            trade.wallet,
            token,
            order_id=trade.memo.order_id,
            attempt=trade.memo.attempt,
            nonce=trade.nonce,
            rent_lamports=trade.rent_lamports,
        )
        for token in tokens_out
    ]
    return (source, *destinations)


def _addresses(accounts: Sequence[TradingAccount]) -> dict[Pubkey, Pubkey]:
    """By the mints of their tokens."""
    return {account.token.mint: account.address for account in accounts}


def _swap(leg: RouteLeg, floor: int, wallet: Pubkey, addresses: Mapping[Pubkey, Pubkey]) -> Instruction:
    return leg.pool.swap_instruction(
        leg.quote,
        trader=wallet,
        source=addresses[leg.quote.mint_in],
        destination=addresses[leg.quote.mint_out],
        minimum_out=floor,
    )


def _plan(trade: Trade, accounts: Sequence[TradingAccount], swaps: Sequence[Instruction]) -> SwapPlan:
    source, *between, destination = accounts
    return SwapPlan(
        payer=trade.wallet,
        memo=trade.memo,
        source=source,
        destination=destination,
        between=tuple(between),
        swaps=tuple(swaps),
        tip=trade.tip,
    )


class TransactionRoom:
    """Tells whether one transaction can carry a route, whoever's it is: bytes and accounts are the same for everybody.

    A leg's instruction has as many bytes whatever it swaps: for its accounts it is built once, however many routes it
    is in.
    """

    def __init__(self, version: TransactionVersion, *, with_tip: bool = False) -> None:
        self._version = version
        tip = Tip(_A_LANE, 1) if with_tip else None
        self._trade = Trade(_ANYBODY, _ANY_ORDER, rent_lamports=0, nonce="", tip=tip)
        self._accounts: dict[tuple[TokenMint, ...], tuple[TradingAccount, ...]] = {}
        self._swaps: dict[tuple[Pubkey, Pubkey, Pubkey, tuple[Pubkey, ...]], Instruction] = {}

    def __call__(self, route: Route) -> bool:
        tokens = tokens_of(route)
        accounts = self._accounts.get(tokens)
        if accounts is None:
            accounts = self._accounts[tokens] = _accounts_of(tokens, route.amount_in, self._trade)
        addresses = _addresses(accounts)
        plan = _plan(self._trade, accounts, [self._swap_of(leg, addresses) for leg in route.legs])
        try:
            build_message(plan, ComputeBudget(MAX_COMPUTE_UNITS, unit_price=1), Hash.default(), self._version)
        except TransactionTooLarge:
            return False
        return True

    def _swap_of(self, leg: RouteLeg, addresses: Mapping[Pubkey, Pubkey]) -> Instruction:
        quote = leg.quote
        named = (quote.pool, addresses[quote.mint_in], addresses[quote.mint_out], quote.remaining_accounts)
        swap = self._swaps.get(named)
        if swap is None:
            swap = self._swaps[named] = _swap(leg, quote.amount_out, self._trade.wallet, addresses)
        return swap


def with_spare_accounts(route: Route, fits: Callable[[Route], bool]) -> Route:
    """The route with as many of its quotes' spare accounts as fit besides, up to MAX_SPARE_ACCOUNTS each.

    What a leg doesn't need now, it may need when it lands: the price moves over the edge of an array meanwhile.
    """
    for spares in range(MAX_SPARE_ACCOUNTS, 0, -1):
        wider = replace(route, hops=tuple(_wider(hop, spares) for hop in route.hops))
        if wider == route or fits(wider):
            return wider
    return route


def _wider(hop: Hop, spares: int) -> Hop:
    return replace(hop, legs=tuple(replace(leg, quote=_with_spares(leg.quote, spares)) for leg in hop.legs))


def _with_spares(quote: PoolQuote, spares: int) -> PoolQuote:
    return quote._replace(remaining_accounts=quote.remaining_accounts + quote.spare_accounts[:spares])
