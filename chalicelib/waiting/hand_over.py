"""From a look to the workers: each order on the condition that it stands as it was judged, several with one write.

Many stops go off at once when a market falls. So some are read, written and told of together, each call for all of
them. Where one was changed meanwhile, or a limit is full, nothing of that is written, and each goes by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.life import expire, is_past_deadline
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.ports import StaleOrder
from chalicelib.orders.states import State
from chalicelib.orders.triggers import followed, is_paused, judge, latched, triggered
from chalicelib.risk.counters import CounterFull
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import LimitsInForce
from chalicelib.waiting.look import Reached
from chalicelib.waiting.ports import OrdersTogether, WorkersQueue

# If the watcher dies between an order's write and its message, this one brings the order to a worker.
BESIDE_MS = 10_000
# As many as one call to the queue sends; with counters and circulation a third of what one transaction holds.
TOGETHER = 10

T = TypeVar("T")


class OperatorsControls(Protocol):
    """What the operator lets through."""

    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now."""

    def counted_limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now, and how many are open."""


@dataclass(frozen=True, slots=True)
class _Due:
    """An open order that has reached a price by what it is now."""

    order: Order
    kind: TriggerKind
    reached: Reached


class HandOver:
    """For one look: what it learns of an account holds for the look."""

    def __init__(
        self, store: OrdersTogether, workers: WorkersQueue, controls: OperatorsControls, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._workers = workers
        self._controls = controls
        self._now_ms = now_ms
        self._halted: dict[str, bool] = {}
        self._limits: dict[str, LimitsInForce] = {}
        self._full: set[str] = set()
        # how many of each account this look has handed over, which the limits as they were read don't know of
        self._handed: Counter[str] = Counter()

    def hand_over(self, reached: Sequence[Reached], slot: int) -> int:
        """Hand orders to the workers whose price was reached, at `slot`; how many were.

        Each is judged again by what it is now: its client may have changed it, or cancelled it, since the look began.
        Where so many of its account's orders are open as may be, it stays; a stop is triggered for good then.
        Raises AwsError.
        """
        return sum(self._some(some, slot) for some in by_tens(reached))

    def follow(self, seen: Mapping[str, int]) -> None:
        """Store what trailing stops have seen: the best amount out of each, by the order's id. Raises AwsError."""
        for some in by_tens(seen):
            moved = [after for order in self._open(some) if (after := self._followed(order, seen)) is not order]
            if moved and not self._store.replace_together(moved, {}):
                for order in self._open([one.order_id for one in moved]):
                    after = self._followed(order, seen)
                    if after is not order:
                        self._replace(after)

    def expire(self, order_id: str) -> None:
        """End an order whose time is over. Raises AwsError."""
        for order in self._open([order_id]):
            if is_past_deadline(order, self._now_ms()):
                self._replace(expire(order, self._now_ms()))

    def _some(self, reached: Sequence[Reached], slot: int) -> int:
        due = self._due(reached)
        if not due:
            return 0
        handed = self._together(due, slot)
        if handed is None:  # as it stands now, and by itself
            return sum(self._by_itself(again, slot) for one in due for again in self._due([one.reached]))
        return handed

    def _due(self, reached: Sequence[Reached]) -> list[_Due]:
        """Those that are due by what they are now."""
        standing = {order.order_id: order for order in self._open([one.order_id for one in reached])}
        now_ms, due = self._now_ms(), []
        for one in reached:
            order = standing.get(one.order_id)
            if order is None:
                continue
            if one.best_out is not None:
                order = followed(order, one.best_out, now_ms)
            kind = judge(order, one.amount_out)
            if kind is None or is_paused(order.wait_until_ms, now_ms) or is_past_deadline(order, now_ms):
                continue
            if not self._is_halted(order.account):
                due.append(_Due(order, kind, one))
        return due

    def _together(self, due: Sequence[_Due], slot: int) -> int | None:
        """All of them with one write; None, and nothing written, where one was written meanwhile or a limit is full."""
        now_ms, going, staying, more = self._now_ms(), [], [], Counter[str]()
        for one in due:
            account = one.order.account
            if self._has_room(account, more):
                more[account] += 1
                going.append(triggered(one.order, one.kind, one.reached.amount_out, slot, now_ms))
            elif one.kind is TriggerKind.STOP and one.order.trigger is None:
                staying.append(latched(one.order, one.reached.amount_out, slot, now_ms))
        messages = {order.order_id: order.correlation_id for order in going}
        if messages:
            self._workers.enqueue_each(messages, BESIDE_MS)
        limits = {account: self._limits_for(account) for account in more}
        if (going or staying) and not self._store.replace_together([*going, *staying], limits):
            return None
        if messages:
            self._workers.enqueue_each(messages)
        self._handed += more
        for order in going:
            _tell(order, slot)
        return len(going)

    def _by_itself(self, one: _Due, slot: int) -> bool:
        order, now_ms = one.order, self._now_ms()
        if self._has_room(order.account, Counter()):
            going = triggered(order, one.kind, one.reached.amount_out, slot, now_ms)
            self._workers.enqueue_each({order.order_id: order.correlation_id}, BESIDE_MS)
            try:
                self._store.replace(going, self._limits_for(order.account))
            except StaleOrder:
                return False
            except CounterFull as full:
                logger.info("triggered, and no room for it", order_id=order.order_id, reason=str(full))
                self._full.add(order.account)
            else:
                self._workers.enqueue_each({order.order_id: order.correlation_id})
                self._handed[order.account] += 1
                _tell(going, slot)
                return True
        if one.kind is TriggerKind.STOP and order.trigger is None:
            self._replace(latched(order, one.reached.amount_out, slot, now_ms))
        return False

    def _open(self, order_ids: Sequence[str]) -> list[Order]:
        return [order for order in self._store.load_each(order_ids) if order.state is State.OPEN]

    def _replace(self, order: Order) -> None:
        """Unless somebody wrote it meanwhile: the next look sees what became of it."""
        with suppress(StaleOrder):
            self._store.replace(order)

    def _followed(self, order: Order, seen: Mapping[str, int]) -> Order:
        return order if order.trailing_ppm is None else followed(order, seen[order.order_id], self._now_ms())

    def _has_room(self, account: str, more: Counter[str]) -> bool:
        """Whether another of the account's orders may be open, beside `more` by account, as far as is known."""
        limits, handed = self._limits_for(account), self._handed + more
        counted = (
            (limits.open_account + handed[account], limits.account),
            (limits.open_together + handed.total(), limits.together),
        )
        is_full = any(most.open_orders is not None and count >= most.open_orders for count, most in counted)
        return account not in self._full and not is_full

    def _is_halted(self, account: str) -> bool:
        if account not in self._halted:
            self._halted[account] = self._controls.halt_of(account) is not None
        return self._halted[account]

    def _limits_for(self, account: str) -> LimitsInForce:
        if account not in self._limits:
            self._limits[account] = self._controls.counted_limits_for(account)
        return self._limits[account]


def by_tens(them: Iterable[T]) -> Iterable[list[T]]:
    """In their order, as many at a time as go together."""
    left = iter(them)
    while some := list(islice(left, TOGETHER)):
        yield some


def _tell(order: Order, slot: int) -> None:
    assert order.trigger is not None, "it was set off"
    note(Metric.TRIGGERED, kind=order.trigger.kind.value)
    logger.info("triggered", order_id=order.order_id, kind=order.trigger.kind.value, slot=slot)
