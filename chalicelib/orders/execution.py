"""One attempt at an order, resumable at every step.

Each step is one conditional write to the order. Whoever comes to an order with a stored transaction that is still
undecided goes on with that one and never builds another: only a transaction that can't land any more ends an attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chalicelib.orders.admission import Starts, is_on_time
from chalicelib.orders.order import (
    MAX_ATTEMPTS,
    Leased,
    Leg,
    Order,
    State,
    Submission,
    choose_route,
    claim,
    fail_attempt,
    fill,
    queue,
    release,
    sign,
    start_attempt,
)
from chalicelib.orders.store import OrderStore, StaleOrder
from chalicelib.problems import AllNodesDown, ExecutionError, TransientError
from chalicelib.telemetry import logger

UNDECIDED_AGAIN_MS = 1000


@dataclass(frozen=True, slots=True)
class PlannedSwap:
    """A chosen route with its floor, and the builder of its signed transaction."""

    route: tuple[Leg, ...]
    quoted_out: int
    min_out: int
    build: Callable[[], Submission]


@dataclass(frozen=True, slots=True)
class Landed:
    """The transaction is in the chain, at `confirmed` or better, and paid `amount_out` base units."""

    amount_out: int


@dataclass(frozen=True, slots=True)
class LandedFailed:
    """The transaction is in the chain and changed nothing but the fee."""

    reason: ExecutionError


@dataclass(frozen=True, slots=True)
class Undecided:
    """The transaction may still land."""


@dataclass(frozen=True, slots=True)
class NeverLands:
    """The transaction isn't in the chain and can't come into it any more."""

    reason: ExecutionError


Fate = Landed | LandedFailed | Undecided | NeverLands


class Trader(Protocol):
    """What an attempt needs of the market and of the chain."""

    def plan(self, order: Order) -> PlannedSwap:
        """Read the market and choose the route. Raises ExecutionError."""

    def settle(self, order: Order, submission: Submission) -> Fate:
        """Send the stored bytes, as often as need be, and watch for a while. Raises ExecutionError: undecided too."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to do for this order."""

    order: Order


@dataclass(frozen=True, slots=True)
class ComeBack:
    """The order wants another delivery in `in_ms`."""

    in_ms: int
    why: str


class UnknownOrder(Exception):
    """A message about an order that isn't stored."""


class Execution:
    def __init__(
        self, store: OrderStore, trader: Trader, starts: Starts, now_ms: Callable[[], int], lease_ms: int
    ) -> None:
        self._store = store
        self._trader = trader
        self._starts = starts
        self._now_ms = now_ms
        self._lease_ms = lease_ms

    def run(self, order_id: str, owner: str) -> Finished | ComeBack:
        """Carry the order as far as one invocation can. `owner` names this invocation and no other.

        Raises UnknownOrder.
        """
        while True:
            order = self._store.load(order_id)
            if order is None:
                raise UnknownOrder(order_id)
            if order.is_terminal:
                return Finished(order)
            now_ms = self._now_ms()
            if order.state is State.RETRYING and order.retry_at_ms > now_ms:
                return ComeBack(order.retry_at_ms - now_ms, "backing off")
            try:
                waiting = self._await_turn(order, now_ms) if order.state is State.PENDING else None
                return waiting or self._carry_on(self._take(order, owner, now_ms))
            except Leased as leased:
                return ComeBack(leased.until_ms - now_ms, "another worker has it")
            except StaleOrder:
                continue  # cancelled, or taken over: look at what it is now

    def _await_turn(self, order: Order, now_ms: int) -> ComeBack | None:
        """None where the order may start now; one that comes too late for its slot gets the next, which may be now."""
        if order.start_at_ms > now_ms:
            return ComeBack(order.start_at_ms - now_ms, "its turn has not come")
        if is_on_time(order.start_at_ms, now_ms):
            return None
        start_at_ms = self._starts.reserve(now_ms)
        if start_at_ms <= now_ms:
            return None
        self._store.replace(queue(order, start_at_ms, now_ms))
        return ComeBack(start_at_ms - now_ms, "its turn had passed")

    def _take(self, order: Order, owner: str, now_ms: int) -> Order:
        taken = claim(order, owner, now_ms, self._lease_ms)
        return self._store.replace(taken if taken.state is State.SUBMITTED else start_attempt(taken, now_ms))

    def _carry_on(self, order: Order) -> Finished | ComeBack:
        try:
            if order.state is not State.SUBMITTED:
                planned = self._trader.plan(order)
                chosen = choose_route(order, planned.route, planned.quoted_out, planned.min_out, self._now_ms())
                order = self._store.replace(chosen)
                # stored before anything is sent: whoever comes after a crash asks for this transaction's fate
                order = self._store.replace(sign(order, planned.build(), self._now_ms()))
        except AllNodesDown as outage:
            # Solana is out of reach, which is nothing about this order: it waits and keeps its attempts
            self._store.replace(release(order))
            return ComeBack(outage.retry_in_ms, "no Solana node answers")
        except ExecutionError as error:
            return self._after_failure(order, error)
        return self._settle(order)

    def _settle(self, order: Order) -> Finished | ComeBack:
        submission = order.submission
        assert submission is not None, "a submitted order has its transaction"
        try:
            fate = self._trader.settle(order, submission)
        except ExecutionError as error:
            # whatever the node says: it says it of a question about the transaction, not of the transaction
            logger.warning("the transaction's fate can't be read", error_code=error.code, error=str(error))
            fate = Undecided()
        match fate:
            case Landed(amount_out):
                return Finished(self._store.replace(fill(order, amount_out, self._now_ms())))
            case LandedFailed(reason) | NeverLands(reason):
                return self._after_failure(order, reason)
            case Undecided():
                self._store.replace(release(order))
                return ComeBack(UNDECIDED_AGAIN_MS, "its transaction may still land")

    def _after_failure(self, order: Order, error: ExecutionError) -> Finished | ComeBack:
        retry = isinstance(error, TransientError)
        failed = self._store.replace(fail_attempt(order, str(error), error.code, self._now_ms(), retry=retry))
        if failed.is_terminal:
            _post_mortem(failed)
            return Finished(failed)
        logger.warning("attempt failed", attempt=order.attempt, error_code=error.code)
        return ComeBack(failed.retry_at_ms - self._now_ms(), "backing off")


def _post_mortem(order: Order) -> None:
    logger.error(
        "order failed",
        attempts=min(order.attempt, MAX_ATTEMPTS),
        retry_count=order.retry_count,
        error_code=order.error_code,
        error=order.error,
        past_signatures=order.past_signatures,
        steps=[
            {"status": change.status, "atMs": change.at_ms, "errorCode": change.detail.error_code}
            for change in order.history
        ],
    )
