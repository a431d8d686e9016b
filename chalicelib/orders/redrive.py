"""Send dead letters back after an outage, safely.

An order that has failed stays failed: what is sent back of it is a new order for the same trade. Its Idempotency-Key
is made of the failed order's id, so however often dead letters are redriven there is one new order for each.

The new order keeps the failed one's terms: type, mints, amount, prices, slippage, the floor in force, the ceilings, the
deadline, the wallet. One that waits for a price waits for it anew.
Where that deadline has passed nothing is placed, unless it was the default and the operator gives a new one.

While executions are halted nothing is placed again: such an order would fail at once, and its key would be used up.
Nor is an order whose API key has ended: whoever revoked it wants nothing more done in its name. A new order counts as
placed with the first one's key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chalicelib.orders.intake import Intake, NewOrder
from chalicelib.orders.life import placed_again_as
from chalicelib.orders.message import MalformedMessage, order_id_of
from chalicelib.orders.order import Order
from chalicelib.orders.ports import Orders, OrdersQueue
from chalicelib.orders.rewriting import rewrite
from chalicelib.orders.states import State
from chalicelib.problems import ExecutionError, RequestError
from chalicelib.risk.halt import Halt
from chalicelib.times import time_text


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of one dead letter; `order_id` is the new order's, or the old one's where it goes on."""

    dead_order_id: str
    order_id: str | None
    outcome: str


class KillSwitches(Protocol):
    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now."""


class PlacingKeys(Protocol):
    def is_valid(self, key_id: str, now_ms: int) -> bool:
        """Whether the key of that public name may be used now."""


class Redrive:
    def __init__(
        self,
        store: Orders,
        queue: OrdersQueue,
        intake: Intake,
        switches: KillSwitches,
        keys: PlacingKeys,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._queue = queue
        self._intake = intake
        self._switches = switches
        self._keys = keys
        self._now_ms = now_ms

    def run(self, limit: int, expires_in_ms: int | None = None) -> list[Redriven]:
        """Send back up to about `limit` dead letters; what can't be sent back stays where it is.

        `expires_in_ms`: how long from now orders are good for whose deadline was the default; None keeps it.
        """
        redriven = []
        for letter in self._queue.dead_letters(limit):
            done = self._redrive(letter.body, expires_in_ms)
            if done.order_id is None:
                self._queue.leave(letter)
            else:
                self._queue.discard(letter)
            redriven.append(done)
        return redriven

    def _redrive(self, body: str, expires_in_ms: int | None) -> Redriven:
        try:
            dead_order_id = order_id_of(body)
        except MalformedMessage:
            return Redriven("", None, "names no order; left")
        order = self._store.load(dead_order_id)
        if order is None:
            return Redriven(dead_order_id, None, "is not stored; left")
        if order.state is State.FAILED:
            return self._again(order, expires_in_ms)
        if not order.is_terminal:
            self._queue.enqueue(order.order_id)
            return Redriven(dead_order_id, order.order_id, "goes on")
        return Redriven(dead_order_id, order.order_id, f"is {order.status} by now")

    def _again(self, order: Order, expires_in_ms: int | None) -> Redriven:
        if order.redriven_as is not None:
            return Redriven(order.order_id, order.redriven_as, "was placed again before")
        halt = self._switches.halt_of(order.account)
        if halt is not None:
            return Redriven(order.order_id, None, f"{halt}; left")
        now_ms = self._now_ms()
        if order.key_id is not None and not self._keys.is_valid(order.key_id, now_ms):
            return Redriven(order.order_id, None, f"was placed with the API key {order.key_id}, which has ended; left")
        expires_at_ms = order.expires_at_ms
        if expires_in_ms is not None and order.expires_by_default:
            expires_at_ms = now_ms + expires_in_ms
        again = _same_terms(order, expires_at_ms)
        try:
            if expires_at_ms is not None and expires_at_ms <= now_ms and not self._was_placed(order):
                return Redriven(order.order_id, None, _passed(order, expires_at_ms))
            submitted = self._intake.submit(order.account, again, _key(order))
        except (RequestError, ExecutionError) as error:
            return Redriven(order.order_id, None, f"{error}; left")
        self._name_the_new_one(order, submitted.order.order_id)
        outcome = "placed again" if submitted.created else "was placed again before"
        return Redriven(order.order_id, submitted.order.order_id, outcome)

    def _was_placed(self, order: Order) -> bool:
        """Whether an earlier run placed it and ended before it could say so."""
        return self._intake.placed_with(order.account, _key(order)) is not None

    def _name_the_new_one(self, order: Order, order_id: str) -> None:
        def named(stands: Order) -> Order | None:
            return placed_again_as(stands, order_id) if stands.redriven_as is None else None

        rewrite(self._store, order, named)


def _key(order: Order) -> str:
    return f"redrive:{order.order_id}"


def _same_terms(order: Order, expires_at_ms: int | None) -> NewOrder:
    return NewOrder(
        order.type,
        order.token_in,
        order.token_out,
        order.amount,
        order.slippage_ppm,
        min_out=order.min_out,
        expires_at_ms=expires_at_ms,
        expires_by_default=order.expires_by_default,
        max_price_impact_ppm=order.max_price_impact_ppm,
        max_network_fee=order.max_network_fee,
        redrive_of=order.order_id,
        key_id=order.key_id,
        wallet=order.wallet,
        limit_price=order.limit_price,
        stop_price=None if order.trailing_ppm is not None else order.stop_price,
        trailing_ppm=order.trailing_ppm,
        max_tries=order.max_tries,
        force=True,  # what was sensible when it was placed is not judged again
    )


def _passed(order: Order, expires_at_ms: int) -> str:
    passed = f"was good until {time_text(expires_at_ms)}, nothing is placed; left"
    return f"{passed} (--expires-in gives it a new time)" if order.expires_by_default else passed
