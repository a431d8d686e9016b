"""Whether an order's prices can be meant: among themselves, and beside what the market pays now. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from chalicelib.orders.order import Order
from chalicelib.orders.triggers import limit_out, stop_out
from chalicelib.problems import FieldProblem, ImplausiblePrice, InvalidRequest

# A limit price so many times above or below the market's is taken for a mistake.
FAR_OFF = 100


def check_prices(order: Order) -> None:
    """Raises InvalidRequest naming both prices of an order that would sell at its limit and at its stop at once."""
    if order.limit_price is None or order.stop_price is None or order.trailing_ppm is not None:
        return
    if Decimal(order.limit_price) <= Decimal(order.stop_price):
        raise InvalidRequest(
            (
                FieldProblem("limitPrice", f"must be above stopPrice, {order.stop_price}"),
                FieldProblem("stopPrice", f"must be below limitPrice, {order.limit_price}"),
            )
        )


def check_sense(order: Order, seen_out: int) -> None:
    """Raises ImplausiblePrice where the market, which would pay `seen_out` base units now, makes its prices a mistake.

    A stop that is reached already would sell at once, and a limit price a hundred times off never, or for a hundredth.
    """
    problems = tuple(_implausible(order, seen_out))
    if problems:
        raise ImplausiblePrice(problems)


def _implausible(order: Order, seen_out: int) -> Iterator[FieldProblem]:
    pays = order.price_at(seen_out)
    stop = stop_out(order)
    if stop is not None and seen_out <= stop:
        field = "stopPrice" if order.trailing_ppm is None else "trailing"
        yield FieldProblem(
            field, f"is reached already: the stop is at {order.stop_price}, the best route pays {pays}; {_FORCE}"
        )
    limit = limit_out(order)
    if limit is not None and limit >= FAR_OFF * seen_out:
        yield FieldProblem("limitPrice", f"is {FAR_OFF} times or more what the best route pays, {pays}; {_FORCE}")
    if limit is not None and limit * FAR_OFF <= seen_out:
        yield FieldProblem("limitPrice", f"is a {FAR_OFF}th or less of what the best route pays, {pays}; {_FORCE}")


_FORCE = "force: true accepts it"
