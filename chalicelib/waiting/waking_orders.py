"""The orders as those write them who place, change or give orders back: whatever waits then is sure to be looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from chalicelib.log import logger
from chalicelib.orders.order import Order
from chalicelib.orders.ports import OrderFilter, OrderPage, Orders
from chalicelib.orders.states import State
from chalicelib.problems import AwsError
from chalicelib.risk.limits import LimitsInForce


class PairWakes(Protocol):
    def wake(self, mint_in: str, mint_out: str) -> None:
        """Have the pair looked at, if nobody does. Raises AwsError."""


class WakingOrders:
    """Orders like any other; each method is as Orders has it.

    That a pair is to be looked at is stored with the order. What is done here besides only makes it soon: where it
    fails, or its process dies before, the sweeper does it within a minute.
    """

    def __init__(self, orders: Orders, wakes: PairWakes) -> None:
        self._orders = orders
        self._wakes = wakes

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        created = self._orders.create(order, limits)
        if created:
            self._wake_for(order)
        return created

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        written = self._orders.replace(order, limits)
        self._wake_for(written)
        return written

    def called(self, account: str, client_order_id: str) -> Order | None:
        return self._orders.called(account, client_order_id)

    def load(self, order_id: str) -> Order | None:
        return self._orders.load(order_id)

    def overdue(self, before_ms: int, limit: int) -> Iterable[Order]:
        return self._orders.overdue(before_ms, limit)

    def look_again_at(self, order: Order, due_at_ms: int, *, is_late: bool) -> bool:
        return self._orders.look_again_at(order, due_at_ms, is_late=is_late)

    def page(self, account: str, keep: OrderFilter, limit: int, cursor: str | None) -> OrderPage:
        return self._orders.page(account, keep, limit, cursor)

    def _wake_for(self, order: Order) -> None:
        if order.state is not State.OPEN:
            return
        try:
            self._wakes.wake(order.mint_in, order.mint_out)
        except AwsError:
            logger.exception("its pair is not looked at yet; the sweeper sees to it", order_id=order.order_id)
