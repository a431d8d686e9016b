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
from chalicelib.orders.life import cancel, place
from chalicelib.orders.order import Order, OrderType, Token
from chalicelib.orders.order_changer import MarketPrices, OrderLimits
from chalicelib.orders.pair import TokenDirectory, find_pair
from chalicelib.orders.ports import ClientOrderIdInUse, Orders, OrdersQueue, StaleOrder
from chalicelib.orders.same_request import is_same_request
from chalicelib.orders.sense import check_prices, check_sense
from chalicelib.orders.states import IllegalTransition, State
from chalicelib.orders.triggers import DEFAULT_TRIES, floor_while_open, with_trailing_price
from chalicelib.problems import (
    AwsError,
    AwsUnavailable,
    Backlogged,
    ClientOrderIdTaken,
    Conflict,
    ExecutionError,
    FieldProblem,
    FillrateError,
    InvalidRequest,
    NotFound,
    RequestError,
    SubmissionUnknown,
    TooManyOpenOrders,
    TooManyWaitingOrders,
)
from chalicelib.risk.counters import GLOBAL, CounterFull
from chalicelib.risk.limits import LimitsInForce, SwapTerms, check_request, check_terms
from chalicelib.times import DAY_MS, time_text

LONGEST_LIFE_MS = 30 * DAY_MS
# How long an order waits for its price that names no expiresAt.
WAITING_ORDER_MS = DAY_MS
ORDER_ID_NAMESPACE = uuid.UUID("5f0c9b1e-6f0b-4d53-9d0a-2f6f8f2f3b7a")


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What is asked for: `amount` base units of `token_in` for `token_out`, at most `slippage_ppm` below the quote.

    `min_out`: base units of `token_out`, at least; `max_network_fee` in lamports. `expires_by_default` where the client
    named no time of its own. `asked`: the request's fields as they were written, which tell a repetition. `key_id`: of
    the API key that it came with. `wallet`: base58, where it is for another one than the stage's own.
    Prices are exact text, whole `token_out` for a whole `token_in`; `force` accepts ones that look like a mistake.
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
    key_id: str | None = None
    wallet: str | None = None
    limit_price: str | None = None
    stop_price: str | None = None
    trailing_ppm: int | None = None
    max_tries: int | None = None
    force: bool = False

    @property
    def waits(self) -> bool:
        """Whether it waits for a price."""
        return self.type != "market"

    @property
    def terms(self) -> SwapTerms:
        """What the limits look at."""
        return SwapTerms(self.token_in.mint, self.token_out.mint, self.slippage_ppm, waits=self.waits)


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted order; `created` is False where an Idempotency-Key found an earlier one."""

    order: Order
    created: bool


class StartTimes(Protocol):
    """When orders start."""

    def estimate(self, account: str, now_ms: int) -> int:
        """When an order of the account that comes at `now_ms` would start, about: then or later.

        Raises Backlogged where more orders of the account wait than 15 minutes can take.
        """

    def line_up(self, order: Order) -> bool:
        """Put a new order that must wait into line; whether a worker must be told of it. Raises AwsError."""

    def withdraw(self, order: Order) -> None:
        """The order ended while it may have waited. Never raises AwsError."""


class CountedLimits(OrderLimits, Protocol):
    def counted_limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now, and how many are open and how many wait."""


class Intake:
    """Submit and cancel, for one account at a time."""

    def __init__(
        self,
        store: Orders,
        queue: OrdersQueue,
        tokens: TokenDirectory,
        starts: StartTimes,
        limits: CountedLimits,
        now_ms: Callable[[], int],
        new_id: Callable[[], uuid.UUID],
        correlation_id: Callable[[], str] = lambda: "",
        market_order_ms: int = 5 * 60_000,
        wallet: str | None = None,
        *,
        prices: MarketPrices,
    ) -> None:
        """`correlation_id` tells which request is being served; `market_order_ms`: how long an order is good for.

        `wallet` is the stage's address in base58, None where it isn't known here.
        """
        self._prices = prices
        self._store = store
        self._queue = queue
        self._tokens = tokens
        self._starts = starts
        self._limits = limits
        self._now_ms = now_ms
        self._new_id = new_id
        self._correlation_id = correlation_id
        self._market_order_ms = market_order_ms
        self._wallet = wallet

    def submit(
        self, account: str, asked: NewOrder, idempotency_key: str | None, *, looked_up: bool = False
    ) -> Submitted:
        """Store the order and hand it to the workers. `idempotency_key`: 1 to 128 visible ASCII characters.

        `looked_up`: the key was found to be used for none a moment ago (see `repeated`).

        The same key and order give the same order, however often and from however many clients at once: its id is
        derived from account and key, and only the first conditional write succeeds.

        Raises:
            InvalidRequest: a token is not traded, both are the same, the deadline has passed or is too far.
            Conflict: the key was used for another order, or the client order id is another's (ClientOrderIdTaken).
            LimitRefused: the slippage or a token is beyond the account's limits, or those of all.
            TooManyOpenOrders, TooManyWaitingOrders: as many are open, or wait for a price, as may.
            ImplausiblePrice: a price looks like a mistake beside the market's.
            ExecutionError: what the market pays can't be told, which the order's prices are held to.
            Backlogged: more orders of the account wait than 15 minutes can take; nothing is stored.
            SubmissionUnknown: AWS left it open whether the order is stored.
            AwsError: AWS did not do it; nothing is stored.
        """
        known = None if idempotency_key is None or looked_up else self.placed_with(account, idempotency_key)
        if known is None:
            try:
                placed = self._place(account, asked, idempotency_key)
            except RequestError:
                # of two at once the first may have taken the last place, or the client order id that both name
                known = None if idempotency_key is None else self.placed_with(account, idempotency_key)
                if known is None:
                    raise
            else:
                if placed is not None:
                    return Submitted(placed, created=True)
                assert idempotency_key is not None, "only a derived id can be taken"
                known = self.placed_with(account, idempotency_key)
        if known is None or not _is_placed_for(known, asked):
            raise _key_of_another()
        return Submitted(self._asked_for_again(known), created=False)

    def _place(self, account: str, asked: NewOrder, idempotency_key: str | None) -> Order | None:
        """The new order, stored and handed over; None where one of its id is stored already. Raises as `submit`."""
        order = self._new_order(account, asked, idempotency_key)
        limits = self._limits.limits_for(account)
        check_terms(limits, asked.terms)
        self._check_client_order_id(account, asked)
        if order.waits_for_price:
            return self._place_open(self._at_the_door(order, asked), limits, repeatable=idempotency_key is not None)
        start_at_ms = self._starts.estimate(account, order.created_at_ms)
        placed = place(self._with_deadline(order, start_at_ms), start_at_ms)
        if not self._create(placed, limits, repeatable=idempotency_key is not None):
            return None
        if start_at_ms <= order.created_at_ms or self._line_up(placed):
            self._hand_over(placed)
        logger.info("order accepted", order_id=placed.order_id, start_at_ms=start_at_ms)
        note(Metric.ORDERS_ACCEPTED)
        return placed

    def _place_open(self, order: Order, limits: LimitsInForce, *, repeatable: bool) -> Order | None:
        """The new order, stored, waiting for its price; None where one of its id is stored already."""
        placed = place(self._with_deadline(order, 0))
        if not self._create(placed, limits, repeatable=repeatable):
            return None
        logger.info("order accepted, waits for its price", order_id=placed.order_id)
        note(Metric.ORDERS_ACCEPTED)
        return placed

    def _at_the_door(self, order: Order, asked: NewOrder) -> Order:
        """The order with what the market pays now, from which its trailing stop follows it.

        Raises InvalidRequest, ImplausiblePrice, ExecutionError.
        """
        check_prices(order)
        try:
            seen_out = self._prices(order.token_in, order.token_out, order.amount)
        except ExecutionError:
            if asked.force:
                return order
            raise
        seen = with_trailing_price(replace(order, best_out=seen_out))
        if not asked.force:
            check_sense(seen, seen_out)
        return seen

    def placed_with(self, account: str, idempotency_key: str) -> Order | None:
        """The order that the key was used for, as it is now."""
        return self._store.load(order_id_for(account, idempotency_key))

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

    def check(self, account: str, asked: NewOrder) -> tuple[FillrateError, ...]:
        """Why the order would be refused now; nothing is stored or used up.

        Raises InvalidRequest where it is no valid order at all.
        """
        self._check_order(asked)
        refusals: list[FillrateError] = []
        looks: list[Callable[[], object]] = [
            lambda: check_request(self._limits.counted_limits_for(account), asked.terms),
            lambda: self._check_client_order_id(account, asked),
        ]
        if asked.waits:
            order = self._new_order(account, asked, None)
            check_prices(order)
            looks.append(lambda: self._at_the_door(order, asked))
        else:
            looks.append(lambda: self._starts.estimate(account, self._now_ms()))
        for look in looks:
            try:
                look()
            except (RequestError, ExecutionError) as refusal:
                refusals.append(refusal)
        return tuple(refusals)

    def as_placed(self, account: str, asked: NewOrder) -> Order:
        """The order as it would stand, stored nowhere. Raises InvalidRequest where it is no valid order."""
        return place(self._with_deadline(self._new_order(account, asked, None), 0))

    def wrong_deadline(self, expires_at_ms: int | None) -> tuple[FieldProblem, ...]:
        """What is wrong with an order's `expiresAt` now; None is its default."""
        now_ms = self._now_ms()
        if expires_at_ms is not None and expires_at_ms <= now_ms:
            return (FieldProblem("expiresAt", f"has passed: it is {time_text(now_ms)}"),)
        if expires_at_ms is not None and expires_at_ms > now_ms + LONGEST_LIFE_MS:
            return (FieldProblem("expiresAt", "is more than 30 days ahead"),)
        return ()

    def starts_at_once(self, account: str) -> bool:
        """Whether an order of the account that came now would wait for nothing."""
        now_ms = self._now_ms()
        try:
            return self._starts.estimate(account, now_ms) <= now_ms
        except Backlogged:
            return False

    def _asked_for_again(self, known: Order) -> Order:
        if known.state is State.PENDING:
            # the first client may have died between put and enqueue; a second message for one order is harmless
            self._hand_over(known)
        logger.info("order asked for again", order_id=known.order_id, status=known.status.value)
        return known

    def _check_client_order_id(self, account: str, asked: NewOrder) -> None:
        """So that it is refused in words before anything is stored; that nobody is quicker, its write makes sure."""
        if asked.client_order_id is not None:
            first = self._store.called(account, asked.client_order_id)
            if first is not None:
                raise ClientOrderIdTaken(asked.client_order_id, first.order_id)

    def _check_order(self, asked: NewOrder) -> None:
        """Raises InvalidRequest: the deadline has passed or is too far, a token is not traded, or both are the same."""
        wrong = self.wrong_deadline(asked.expires_at_ms)
        if wrong:
            raise InvalidRequest(wrong)
        find_pair(self._tokens, asked.token_in.mint, asked.token_out.mint)  # of a redrive: still traded?

    def _with_deadline(self, order: Order, start_at_ms: int) -> Order:
        """Computed once: an order that must wait has its time from its start on, and later waits don't move it."""
        if order.expires_at_ms is not None:
            return order
        begins_ms = max(start_at_ms, order.created_at_ms)
        if order.waits_for_price:
            return replace(order, expires_at_ms=begins_ms + WAITING_ORDER_MS)
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
                self._starts.withdraw(order)
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
            too_many = TooManyWaitingOrders if order.waits_for_price else TooManyOpenOrders
            raise too_many(full.movement.ceiling or 0, whose) from None
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

    def _line_up(self, order: Order) -> bool:
        """As StartTimes.line_up. A worker that is told of one that isn't in line puts it there."""
        try:
            return self._starts.line_up(order)
        except AwsError:
            logger.exception("order not in line yet; a worker will put it there", order_id=order.order_id)
            return True

    def _hand_over(self, order: Order) -> None:
        """Tell the workers. That this fails is no reason to refuse an order that is stored: the sweeper tells them."""
        try:
            self._queue.enqueue(order.order_id, correlation_id=order.correlation_id)
        except AwsError:
            logger.exception("order not enqueued; the sweeper will do it", order_id=order.order_id)

    def _new_order(self, account: str, asked: NewOrder, idempotency_key: str | None) -> Order:
        self._check_order(asked)
        new = Order(
            order_id=str(self._new_id()) if idempotency_key is None else order_id_for(account, idempotency_key),
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
            wallet=asked.wallet or self._wallet,
            key_id=asked.key_id,
            correlation_id=self._correlation_id(),
        )
        if not asked.waits:
            return new
        waits = replace(
            new,
            limit_price=asked.limit_price,
            stop_price=asked.stop_price,
            trailing_ppm=asked.trailing_ppm,
            max_tries=DEFAULT_TRIES if asked.max_tries is None else asked.max_tries,
            own_min_out=asked.min_out,
        )
        return replace(waits, min_out=floor_while_open(waits))


def order_id_for(account: str, idempotency_key: str) -> str:
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
    prices = (asked.limit_price, asked.stop_price, asked.trailing_ppm) if asked.waits else ()
    return _digest(asked.type, *mints, asked.amount, asked.slippage_ppm, *prices)


def _digest(*parts: object) -> str:
    """Equal for equal orders: "10" and "10.0" SOL are the same request."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
