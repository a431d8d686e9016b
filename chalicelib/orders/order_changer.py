"""Changing an order in place, as long as it has neither started nor been triggered, against any racing writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from chalicelib.log import logger
from chalicelib.orders.changing import OrderChanges, changed, may_change
from chalicelib.orders.order import Order, Token
from chalicelib.orders.ports import Orders, StaleOrder
from chalicelib.orders.sense import check_prices, check_sense
from chalicelib.problems import Conflict, ExecutionError, NotFound
from chalicelib.risk.limits import LimitsInForce, SwapTerms, check_terms


class MarketPrices(Protocol):
    def __call__(self, token_in: Token, token_out: Token, amount: int) -> int:
        """What the best route would pay now, base units of `token_out`. Raises ExecutionError."""


class OrderLimits(Protocol):
    def limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now."""


class OrderChanger:
    def __init__(self, store: Orders, limits: OrderLimits, prices: MarketPrices, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._limits = limits
        self._prices = prices
        self._now_ms = now_ms

    def change(self, account: str, order_id: str, changes: OrderChanges, *, force: bool) -> Order:
        """The order as written, with a step in its history. `force` accepts prices that look like a mistake.

        Raises:
            NotFound: no such order of this account.
            Conflict: it was triggered, started or ended first.
            InvalidRequest: its prices would contradict each other.
            LimitRefused: the slippage is beyond what the account's limits allow.
            ImplausiblePrice: a price looks like a mistake.
            ExecutionError: what the market pays can't be told, which a new price is held to.
        """
        while True:
            order = self._store.load(order_id)
            if order is None or order.account != account:
                raise NotFound(f"there is no order {order_id[:64]}")
            if not may_change(order):
                raise Conflict(f"the order {_what_it_is(order)} and can no longer be changed")
            seen_out = self._seen(order, changes, force=force)
            after = changed(order, changes, self._now_ms(), seen_out)
            check_prices(after)
            terms = SwapTerms(after.mint_in, after.mint_out, after.slippage_ppm, waits=after.waits_for_price)
            check_terms(self._limits.limits_for(account), terms)
            if seen_out is not None and not force:
                check_sense(after, seen_out)
            try:
                written = self._store.replace(after)
            except StaleOrder:
                continue  # another wrote it first: look at what it is now
            logger.info("order changed", order_id=order_id, placed_by=order.correlation_id)
            return written

    def _seen(self, order: Order, changes: OrderChanges, *, force: bool) -> int | None:
        """What the market pays for it, where a price changes."""
        if (changes.limit_price, changes.stop_price, changes.trailing_ppm) == (None, None, None):
            return None
        try:
            return self._prices(order.token_in, order.token_out, order.amount)
        except ExecutionError:
            if force:
                return None
            raise


def _what_it_is(order: Order) -> str:
    return "was triggered" if order.trigger is not None and not order.is_terminal else f"is {order.status}"
