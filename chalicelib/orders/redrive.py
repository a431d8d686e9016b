"""Send dead letters back after an outage, safely.

An order that has failed stays failed: what is sent back of it is a new order for the same trade. Its Idempotency-Key
is made of the failed order's id, so however often dead letters are redriven there is one new order for each.

While executions are halted nothing is placed again: such an order would fail at once, and its key would be used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chalicelib.orders.intake import Intake, NewOrder
from chalicelib.orders.message import MalformedMessage, order_id_of
from chalicelib.orders.order import Order, State
from chalicelib.orders.ports import Orders, OrdersQueue
from chalicelib.problems import RequestError
from chalicelib.risk.halt import Halt


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of one dead letter; `order_id` is the new order's, or the old one's where it goes on."""

    dead_order_id: str
    order_id: str | None
    outcome: str


class KillSwitches(Protocol):
    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now."""


class Redrive:
    def __init__(self, store: Orders, queue: OrdersQueue, intake: Intake, switches: KillSwitches) -> None:
        self._store = store
        self._queue = queue
        self._intake = intake
        self._switches = switches

    def run(self, limit: int) -> list[Redriven]:
        """Send back up to about `limit` dead letters; what can't be sent back stays where it is."""
        redriven = []
        for letter in self._queue.dead_letters(limit):
            done = self._redrive(letter.body)
            if done.order_id is None:
                self._queue.leave(letter)
            else:
                self._queue.discard(letter)
            redriven.append(done)
        return redriven

    def _redrive(self, body: str) -> Redriven:
        try:
            dead_order_id = order_id_of(body)
        except MalformedMessage:
            return Redriven("", None, "names no order; left")
        order = self._store.load(dead_order_id)
        if order is None:
            return Redriven(dead_order_id, None, "is not stored; left")
        if order.state is State.FAILED:
            return self._again(order)
        if not order.is_terminal:
            self._queue.enqueue(order.order_id)
            return Redriven(dead_order_id, order.order_id, "goes on")
        return Redriven(dead_order_id, order.order_id, f"is {order.status} by now")

    def _again(self, order: Order) -> Redriven:
        halt = self._switches.halt_of(order.account)
        if halt is not None:
            return Redriven(order.order_id, None, f"{halt}; left")
        again = NewOrder(order.type, order.token_in, order.token_out, order.amount, order.slippage_ppm)
        try:
            submitted = self._intake.submit(order.account, again, f"redrive:{order.order_id}")
        except RequestError as error:
            return Redriven(order.order_id, None, f"{error}; left")
        outcome = "placed again" if submitted.created else "was placed again before"
        return Redriven(order.order_id, submitted.order.order_id, outcome)
