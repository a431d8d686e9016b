"""Taking orders in: validate, store once, enqueue; and cancel what is not signed."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.order import IllegalTransition, Order, OrderType, State, Token, cancel, place
from chalicelib.orders.pair import TokenDirectory, find_pair
from chalicelib.orders.ports import ClientOrderIdInUse, Orders, OrdersQueue, StaleOrder
from chalicelib.orders.same_request import is_same_request
from chalicelib.orders.start_rate import LONGEST_WAIT_MS, StartRate
from chalicelib.problems import (
    AwsError,
    AwsUnavailable,
    Backlogged,
    ClientOrderIdTaken,
    Conflict,
    FieldProblem,
    InvalidRequest,
    NotFound,
    RequestError,
    SubmissionUnknown,
    TooManyOpenOrders,
)
from chalicelib.risk.counters import GLOBAL, CounterFull
from chalicelib.risk.limits import LimitsInForce, SwapTerms, check_request
from chalicelib.times import DAY_MS, time_text

LONGEST_LIFE_MS = 30 * DAY_MS
ORDER_ID_NAMESPACE = uuid.UUID("5f0c9b1e-6f0b-4d53-9d0a-2f6f8f2f3b7a")


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What is asked for: `amount` base units of `token_in` for `token_out`, at most `slippage_ppm` below the quote.

    `min_out`: base units of `token_out`, at least; `max_network_fee` in lamports. `expires_by_default` where the client
    named no time of its own. `asked`: the request's fields as they were written, which tell a repetition.
    """

    type: OrderType
    token_in: Token
    token_out: Token
    amount: int
    slippage_ppm: int
    min_out: int | None = None
    expires_at_ms: int | None = None
    expires_by_default: bool = True
    client_order_id: str | None = None
    max_price_impact_ppm: int | None = None
    max_network_fee: int | None = None
    redrive_of: str | None = None
    asked: dict[str, str] | None = None

    @property
    def terms(self) -> SwapTerms:
        """What the limits look at."""
        return SwapTerms(self.token_in.mint, self.token_out.mint, self.slippage_ppm)


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
        market_order_ms: int = 5 * 60_000,
    ) -> None:
        """`correlation_id` tells which request is being served; `market_order_ms`: how long an order is good for."""
        self._store = store
        self._queue = queue
        self._tokens = tokens
        self._start_rate = start_rate
        self._limits = limits
        self._now_ms = now_ms
        self._new_id = new_id
        self._correlation_id = correlation_id
        self._market_order_ms = market_order_ms

    def submit(self, account: str, asked: NewOrder, idempotency_key: str | None) -> Submitted:
        """Store the order and hand it to the workers. `idempotency_key`: 1 to 128 visible ASCII characters.

        The same key and order give the same order, however often and from however many clients at once: its id is
        derived from account and key, and only the first conditional write succeeds.

        Raises:
            InvalidRequest: a token is not traded, both are the same, the deadline has passed or is too far.
            Conflict: the key was used for another order, or the client order id is another's (ClientOrderIdTaken).
            LimitRefused: the slippage or a token is beyond the account's limits, or those of all.
            TooManyOpenOrders: as many are open as may be.
            Backlogged: more work waits than 15 minutes can take; nothing is stored.
            SubmissionUnknown: AWS left it open whether the order is stored.
            AwsError: AWS did not do it; nothing is stored.
        """
        # a repeated request takes no starting slot, unless it comes at the very moment of the first
        known = None if idempotency_key is None else self.placed_with(account, idempotency_key)
        if known is None:
            order = self._new_order(account, asked, idempotency_key)
            limits = self._limits.limits_for(account)
            check_request(limits, asked.terms)
            self._check_client_order_id(account, asked)
            start_at_ms = self._start_rate.reserve(order.created_at_ms, LONGEST_WAIT_MS)
            placed = place(self._with_deadline(order, start_at_ms), start_at_ms)
            if self._create(placed, limits, repeatable=idempotency_key is not None):
                self._hand_over(placed, start_at_ms - order.created_at_ms)
                logger.info("order accepted", order_id=placed.order_id, start_at_ms=start_at_ms)
                note(Metric.ORDERS_ACCEPTED)
                return Submitted(placed, created=True)
            known = self._store.load(order.order_id)
        if known is None or not _is_placed_for(known, asked):
            raise _key_of_another()
        return Submitted(self._asked_for_again(known), created=False)

    def placed_with(self, account: str, idempotency_key: str) -> Order | None:
        """The order that the key was used for, as it is now."""
        return self._store.load(_order_id(account, idempotency_key))

    def repeated(self, account: str, fields: Mapping[str, str], idempotency_key: str) -> Order | None:
        """The order that the key was used for, as it is now; None where it was used for none.

        Nothing is looked up but the order, so whatever became of its tokens, its pools or the nodes is no obstacle.
        Raises Conflict where the body, whose fields these are as written, is another one.
        """
        known = self.placed_with(account, idempotency_key)
        if known is None:
            return None
        if not is_same_request(fields, known):
            raise _key_of_another()
        return self._asked_for_again(known)

    def check(self, account: str, asked: NewOrder) -> tuple[RequestError, ...]:
        """Why the order would be refused now; nothing is stored or used up.

        Raises InvalidRequest where it is no valid order at all.
        """
        self._check_order(asked)
        refusals: list[RequestError] = []
        for look in (
            lambda: check_request(self._limits.limits_for(account), asked.terms),
            lambda: self._check_client_order_id(account, asked),
            lambda: self._start_at_ms(),
        ):
            try:
                look()
            except RequestError as refusal:
                refusals.append(refusal)
        return tuple(refusals)

    def starts_at_once(self) -> bool:
        """Whether an order that came now would wait for no slot."""
        try:
            return self._start_at_ms() <= self._now_ms()
        except Backlogged:
            return False

    def _start_at_ms(self) -> int:
        """When an order that came now would start; no slot is taken. Raises Backlogged."""
        return self._start_rate.next_start(self._now_ms(), LONGEST_WAIT_MS)

    def _asked_for_again(self, known: Order) -> Order:
        if known.state is State.PENDING:
            # the first client may have died between put and enqueue; a second message for one order is harmless
            self._hand_over(known, known.start_at_ms - self._now_ms())
        logger.info("order asked for again", order_id=known.order_id, status=known.status.value)
        return known

    def _check_client_order_id(self, account: str, asked: NewOrder) -> None:
        """So that an order which can't be placed takes no slot; that nobody is quicker, its write makes sure."""
        if asked.client_order_id is not None:
            first = self._store.called(account, asked.client_order_id)
            if first is not None:
                raise ClientOrderIdTaken(asked.client_order_id, first.order_id)

    def _check_order(self, asked: NewOrder) -> None:
        """Raises InvalidRequest: the deadline has passed or is too far, a token is not traded, or both are the same."""
        now_ms = self._now_ms()
        if asked.expires_at_ms is not None:
            if asked.expires_at_ms <= now_ms:
                raise InvalidRequest([FieldProblem("expiresAt", f"has passed: it is {time_text(now_ms)}")])
            if asked.expires_at_ms > now_ms + LONGEST_LIFE_MS:
                raise InvalidRequest([FieldProblem("expiresAt", "is more than 30 days ahead")])
        find_pair(self._tokens, asked.token_in.mint, asked.token_out.mint)  # of a redrive: still traded?

    def _with_deadline(self, order: Order, start_at_ms: int) -> Order:
        """Computed once: an order that must wait has its time from its start on, and later waits don't move it."""
        if order.expires_at_ms is not None:
            return order
        begins_ms = max(start_at_ms, order.created_at_ms)
        return replace(order, expires_at_ms=begins_ms + self._market_order_ms)

    def cancel(self, account: str, order_id: str) -> Order:
        """Cancel an order of which no signed transaction is stored, exactly once, against any racing worker.

        Raises:
            NotFound: no such order of this account.
            Conflict: a transaction of it may land, or it has ended.
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

        Raises SubmissionUnknown, TooManyOpenOrders, ClientOrderIdTaken, or another AwsError: it is not stored then.
        """
        try:
            return self._store.create(order, limits)
        except ClientOrderIdInUse as used:
            raise ClientOrderIdTaken(order.client_order_id or "", used.order_id) from None
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
        self._check_order(asked)
        return Order(
            order_id=str(self._new_id()) if idempotency_key is None else _order_id(account, idempotency_key),
            account=account,
            type=asked.type,
            token_in=asked.token_in,
            token_out=asked.token_out,
            amount=asked.amount,
            slippage_ppm=asked.slippage_ppm,
            request_digest=_digest_of(asked),
            created_at_ms=self._now_ms(),
            min_out=asked.min_out,
            expires_at_ms=asked.expires_at_ms,
            expires_by_default=asked.expires_by_default,
            client_order_id=asked.client_order_id,
            max_price_impact_ppm=asked.max_price_impact_ppm,
            max_network_fee=asked.max_network_fee,
            redrive_of=asked.redrive_of,
            asked=asked.asked,
            correlation_id=self._correlation_id(),
        )


def _order_id(account: str, idempotency_key: str) -> str:
    """The id of the one order that there is for the key."""
    return str(uuid.uuid5(ORDER_ID_NAMESPACE, f"{account}\n{idempotency_key}"))


def _is_placed_for(known: Order, asked: NewOrder) -> bool:
    if asked.redrive_of is not None or asked.asked is None:
        return known.redrive_of == asked.redrive_of and _digest_of(asked) == known.request_digest
    return is_same_request(asked.asked, known)


def _key_of_another() -> Conflict:
    return Conflict("this Idempotency-Key was used for another order; use a new key, or the same body")


def _digest_of(asked: NewOrder) -> str:
    mints = asked.token_in.mint, asked.token_out.mint
    return _digest(asked.type, *mints, asked.amount, asked.slippage_ppm)


def _digest(*parts: object) -> str:
    """Equal for equal orders: "10" and "10.0" SOL are the same request."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
