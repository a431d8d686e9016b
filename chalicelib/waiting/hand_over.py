"""From a look to the workers: each order by one conditional write of its own, by what it is when it is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.life import expire, is_past_deadline
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.ports import Orders, OrdersQueue, StaleOrder
from chalicelib.orders.states import State
from chalicelib.orders.triggers import followed, is_paused, judge, latched, triggered
from chalicelib.risk.counters import CounterFull
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import LimitsInForce
from chalicelib.waiting.look import Reached

# If the watcher dies between an order's write and its message, this one brings the order to a worker.
BESIDE_MS = 10_000


class OperatorsControls(Protocol):
    """What the operator lets through."""

    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now."""

    def limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now."""


class HandOver:
    """For one look: what it learns of an account holds for the look."""

    def __init__(
        self, store: Orders, workers: OrdersQueue, controls: OperatorsControls, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._workers = workers
        self._controls = controls
        self._now_ms = now_ms
        self._halted: dict[str, bool] = {}
        self._limits: dict[str, LimitsInForce] = {}
        self._full: set[str] = set()

    def hand_over(self, reached: Reached, slot: int) -> bool:
        """Hand an order to the workers whose price was reached, at `slot`; False where it is not, by now.

        It is judged again by what it is now: its client may have changed it, or cancelled it, since the look began.
        Where so many of its account's orders are open as may be, it stays; a stop is triggered for good then.
        Raises AwsError.
        """
        order = self._open(reached.order_id)
        if order is None:
            return False
        now_ms = self._now_ms()
        if reached.best_out is not None:
            order = followed(order, reached.best_out, now_ms)
        kind = judge(order, reached.amount_out)
        if kind is None or is_paused(order, now_ms) or self._is_halted(order.account):
            return False
        with suppress(StaleOrder):
            return self._set_off(order, kind, reached.amount_out, slot, now_ms)
        return False

    def follow(self, order_id: str, best_out: int) -> None:
        """Store what the order's trailing stop has seen. Raises AwsError."""
        order = self._open(order_id)
        if order is None or order.trailing_ppm is None:
            return
        moved = followed(order, best_out, self._now_ms())
        if moved is not order:
            with suppress(StaleOrder):
                self._store.replace(moved)

    def expire(self, order_id: str) -> None:
        """End an order whose time is over. Raises AwsError."""
        order = self._open(order_id)
        if order is not None and is_past_deadline(order, self._now_ms()):
            with suppress(StaleOrder):
                self._store.replace(expire(order, self._now_ms()))

    def _open(self, order_id: str) -> Order | None:
        order = self._store.load(order_id)
        return order if order is not None and order.state is State.OPEN else None

    def _set_off(self, order: Order, kind: TriggerKind, amount_out: int, slot: int, now_ms: int) -> bool:
        """Raises StaleOrder."""
        if is_past_deadline(order, now_ms):
            return False
        if self._has_room(order.account):
            self._workers.enqueue(order.order_id, BESIDE_MS, order.correlation_id)
            try:
                self._store.replace(triggered(order, kind, amount_out, slot, now_ms), self._limits_for(order.account))
            except CounterFull as full:
                logger.info("triggered, and no room for it", order_id=order.order_id, reason=str(full))
                self._full.add(order.account)
            else:
                self._workers.enqueue(order.order_id, 0, order.correlation_id)
                note(Metric.TRIGGERED, kind=kind.value)
                logger.info("triggered", order_id=order.order_id, kind=kind.value, slot=slot)
                return True
        if kind is TriggerKind.STOP and order.trigger is None:
            self._store.replace(latched(order, amount_out, slot, now_ms))
        return False

    def _has_room(self, account: str) -> bool:
        """Whether another of the account's orders may be open, as far as is known."""
        limits = self._limits_for(account)
        counted = (limits.open_account, limits.account), (limits.open_together, limits.together)
        is_full = any(most.open_orders is not None and count >= most.open_orders for count, most in counted)
        return account not in self._full and not is_full

    def _is_halted(self, account: str) -> bool:
        if account not in self._halted:
            self._halted[account] = self._controls.halt_of(account) is not None
        return self._halted[account]

    def _limits_for(self, account: str) -> LimitsInForce:
        if account not in self._limits:
            self._limits[account] = self._controls.limits_for(account)
        return self._limits[account]
