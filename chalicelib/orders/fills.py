"""What orders were filled at: their costs, and how they came out against what was promised. Pure, exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from chalicelib.orders.order import Order, Token
from chalicelib.orders.states import State

_ONE_IN_BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class TradedSum:
    """What fills of one pair in one direction come to, in base units of the two tokens."""

    token_in: Token
    token_out: Token
    amount_in: int
    amount_out: int
    count: int


def is_fill(order: Order) -> bool:
    """Whether a transaction of the order's own swapped."""
    return order.state is State.CONFIRMED and order.tx_hash is not None and order.amount_out is not None


def pool_fees(order: Order) -> tuple[tuple[Token, int], ...]:
    """What the pools of the fill's route kept, as it was quoted last before it was signed: a token's sum in base units.

    Orders of before legs had their fees tell none.
    """
    sums: dict[str, tuple[Token, int]] = {}
    for leg in order.route or ():
        if leg.fee_token is not None and leg.fee is not None:
            _, so_far = sums.get(leg.fee_token.mint, (leg.fee_token, 0))
            sums[leg.fee_token.mint] = (leg.fee_token, so_far + leg.fee)
    return tuple(sums.values())


def network_fee(order: Order) -> int:
    """What the transaction that filled the order cost, in lamports; those that failed before it are not in it."""
    return order.fees_paid[-1].lamports if order.fees_paid else 0


def basis_points_over(amount_out: int | None, reference: int | None) -> Fraction | None:
    """How much more than `reference` was received, in basis points of it: negative where less, None without either."""
    if not reference or amount_out is None:
        return None
    return Fraction((amount_out - reference) * _ONE_IN_BASIS_POINTS, reference)


def sums_of(fills: Iterable[Order]) -> tuple[TradedSum, ...]:
    """The sums of each pair and direction, in the order in which they come first."""
    sums: dict[tuple[str, str], TradedSum] = {}
    for order in fills:
        pair = (order.mint_in, order.mint_out)
        so_far = sums.get(pair, TradedSum(order.token_in, order.token_out, 0, 0, 0))
        sums[pair] = TradedSum(
            so_far.token_in,
            so_far.token_out,
            so_far.amount_in + order.amount,
            so_far.amount_out + (order.amount_out or 0),
            so_far.count + 1,
        )
    return tuple(sums.values())
