"""Taking orders in: validate, store once, enqueue; and cancel what has not started."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.order import IllegalTransition, Order, OrderType, State, Token, cancel, place
from chalicelib.orders.pair import TokenDirectory, find_pair
from chalicelib.orders.ports import Orders, OrdersQueue, StaleOrder
from chalicelib.orders.start_rate import LONGEST_WAIT_MS, StartRate
from chalicelib.problems import AwsError, AwsUnavailable, Conflict, NotFound, SubmissionUnknown, TooManyOpenOrders
from chalicelib.risk.counters import GLOBAL, CounterFull
from chalicelib.risk.limits import LimitsInForce, Terms, check_request

ORDER_ID_NAMESPACE = uuid.UUID("5f0c9b1e-6f0b-4d53-9d0a-2f6f8f2f3b7a")


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What is asked for: `amount` base units of `token_in` for `token_out`, at most `slippage_ppm` below the quote."""

    type: OrderType
    token_in: Token
    token_out: Token
    amount: int
    slippage_ppm: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted order; `created` is False where an Idempotency-Key found an earlier one."""

    order: Order
    created: bool


class OrderLimits(Protocol):
    def limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now."""


class Intake:
    """Submit and cancel, for one account at a time."""

    def __init__(
        self,
        store: Orders,
        queue: OrdersQueue,
        tokens: TokenDirectory,
        start_rate: StartRate,
        limits: OrderLimits,
        now_ms: Callable[[], int],
        new_id: Callable[[], uuid.UUID],
        correlation_id: Callable[[], str] = lambda: "",
    ) -> None:
        """`correlation_id` tells which request is being served."""
        self._store = store
        self._queue = queue
        self._tokens = tokens
        self._start_rate = start_rate
        self._limits = limits
        self._now_ms = now_ms
        self._new_id = new_id
        self._correlation_id = correlation_id

    def submit(self, account: str, asked: NewOrder, idempotency_key: str | None) -> Submitted:
        """Store the order and hand it to the workers. `idempotency_key`: 1 to 128 visible ASCII characters.

        The same key and order give the same order, however often and from however many clients at once: its id is
        derived from account and key, and only the first conditional write succeeds.

        Raises:
            InvalidRequest: a token is not traded, or both are the same.
            Conflict: the key was used for another order.
            LimitRefused: the slippage or a token is beyond the account's limits, or those of all.
            TooManyOpenOrders: as many are open as may be.
            Backlogged: more work waits than 15 minutes can take; nothing is stored.
            SubmissionUnknown: AWS left it open whether the order is stored.
            AwsError: AWS did not do it; nothing is stored.
        """
        order = self._new_order(account, asked, idempotency_key)
        # a repeated request takes no starting slot, unless it comes at the very moment of the first
        known = self._store.load(order.order_id) if idempotency_key is not None else None
        if known is None:
            limits = self._limits.limits_for(account)
            check_request(limits, Terms(order.token_in.mint, order.token_out.mint, order.slippage_ppm))
            start_at_ms = self._start_rate.reserve(order.created_at_ms, LONGEST_WAIT_MS)
            placed = place(order, start_at_ms)
            if self._create(placed, limits, repeatable=idempotency_key is not None):
                self._hand_over(placed, start_at_ms - order.created_at_ms)
                logger.info("order accepted", order_id=placed.order_id, start_at_ms=start_at_ms)
                note(Metric.ORDERS_ACCEPTED)
                return Submitted(placed, created=True)
            known = self._store.load(order.order_id)
        if known is None or known.request_digest != order.request_digest:
            raise Conflict("this Idempotency-Key was used for another order; use a new key, or the same body")
        if known.state is State.PENDING:
            # the first client may have died between put and enqueue; a second message for one order is harmless
            self._hand_over(known, known.start_at_ms - self._now_ms())
        logger.info("order asked for again", order_id=known.order_id, status=known.status.value)
        return Submitted(known, created=False)

    def cancel(self, account: str, order_id: str) -> Order:
        """Cancel an order that has not started, exactly once, against any racing worker.

        Raises:
            NotFound: no such order of this account.
            Conflict: it has started, or ended.
        """
        while True:
            order = self.find(account, order_id)
            try:
                cancelled = self._store.replace(cancel(order, self._now_ms()))
                logger.info("order cancelled", order_id=order_id, placed_by=order.correlation_id)
                return cancelled
            except IllegalTransition:
                raise Conflict(f"the order is {order.status} and can no longer be cancelled") from None
            except StaleOrder:
                continue  # a worker wrote it first: look at what it is now

    def find(self, account: str, order_id: str) -> Order:
        """An account's order. Raises NotFound, also where it is another account's."""
        order = self._store.load(order_id)
        if order is None or order.account != account:
            raise NotFound(f"there is no order {order_id[:64]}")
        return order

    def _create(self, order: Order, limits: LimitsInForce, *, repeatable: bool) -> bool:
        """Store a new order; False where its id is taken.

        Raises SubmissionUnknown, TooManyOpenOrders, or another AwsError: it is not stored then.
        """
        try:
            return self._store.create(order, limits)
        except CounterFull as full:
            whose = "all accounts together" if full.movement.scope == GLOBAL else "the account"
            raise TooManyOpenOrders(full.movement.ceiling or 0, whose) from None
        except AwsUnavailable:
            stored = self._look_for(order, repeatable=repeatable)
            if stored is None:
                raise
            return (stored.created_at_ms, stored.request_digest) == (order.created_at_ms, order.request_digest)

    def _look_for(self, order: Order, *, repeatable: bool) -> Order | None:
        """What is stored under the order's id, although storing it ended in an error: an answer can be lost."""
        try:
            return self._store.load(order.order_id)
        except AwsError:
            raise SubmissionUnknown(order.order_id, repeatable=repeatable) from None

    def _hand_over(self, order: Order, delay_ms: int) -> None:
        """Tell the workers. That this fails is no reason to refuse an order that is stored: the sweeper tells them."""
        try:
            self._queue.enqueue(order.order_id, delay_ms, order.correlation_id)
        except AwsError:
            logger.exception("order not enqueued; the sweeper will do it", order_id=order.order_id)

    def _new_order(self, account: str, asked: NewOrder, idempotency_key: str | None) -> Order:
        mint_in, mint_out = asked.token_in.mint, asked.token_out.mint
        find_pair(self._tokens, mint_in, mint_out)  # an order that is placed again may name what is no longer traded
        if idempotency_key is None:
            order_id = self._new_id()
        else:
            order_id = uuid.uuid5(ORDER_ID_NAMESPACE, f"{account}\n{idempotency_key}")
        return Order(
            order_id=str(order_id),
            account=account,
            type=asked.type,
            token_in=asked.token_in,
            token_out=asked.token_out,
            amount=asked.amount,
            slippage_ppm=asked.slippage_ppm,
            request_digest=_digest(asked.type, mint_in, mint_out, asked.amount, asked.slippage_ppm),
            created_at_ms=self._now_ms(),
            correlation_id=self._correlation_id(),
        )


def _digest(*parts: object) -> str:
    """Equal for equal orders: "10" and "10.0" SOL are the same request."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
