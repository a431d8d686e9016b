"""The orders table and the queues in memory: conditional writes and visibility as DynamoDB and SQS have them.

The truth is in `OrdersInMemory` and `Queue`; `StoreOf` and `QueueOf` are what one worker has of them, every call of
which may be refused, lost, or the worker's last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chalicelib.orders.message import message_body
from chalicelib.orders.order import Order
from chalicelib.orders.ports import DeadLetter, OrderFilter, OrderPage
from chalicelib.orders.states import State
from chalicelib.problems import AwsUnavailable
from chalicelib.risk.limits import LimitsInForce
from tests.faults.model.stage import PromiseBroken, Worker
from tests.orders_in_memory import OrdersInMemory

# As in infra/deployment/data.yaml.
VISIBILITY_MS = 120_000
KILL_SWITCH = "looking at the kill switch"


def unreachable() -> Exception:
    """What a store or a queue raises when botocore's own retries are used up."""
    return AwsUnavailable()


@dataclass
class QueuedMessage:
    message_id: str
    body: str
    visible_at_ms: int
    # the newest receipt's; SQS takes an older one no more
    receipt_handle: str = ""


@dataclass
class Queue:
    """One queue. Times are the queue's own clock, which the caller tells."""

    messages: dict[str, QueuedMessage] = field(default_factory=dict)
    sent: int = 0
    received: int = 0

    def send(self, body: str, visible_at_ms: int) -> None:
        self.sent += 1
        message = QueuedMessage(f"message-{self.sent}", body, visible_at_ms)
        self.messages[message.message_id] = message

    def visible(self, now_ms: int) -> list[QueuedMessage]:
        return [message for message in self.messages.values() if message.visible_at_ms <= now_ms]

    def receive(self, message: QueuedMessage, now_ms: int) -> str:
        """Hide it for the visibility time-out; the receipt handle."""
        self.received += 1
        message.receipt_handle = f"receipt-{self.received}"
        message.visible_at_ms = now_ms + VISIBILITY_MS
        return message.receipt_handle

    def of_receipt(self, receipt_handle: str) -> QueuedMessage | None:
        return next((one for one in self.messages.values() if one.receipt_handle == receipt_handle), None)

    def show_at(self, receipt_handle: str, at_ms: int) -> None:
        message = self.of_receipt(receipt_handle)
        if message is not None:
            message.visible_at_ms = at_ms

    def delete(self, receipt_handle: str) -> None:
        message = self.of_receipt(receipt_handle)
        if message is not None:
            del self.messages[message.message_id]

    def bodies(self) -> set[str]:
        return {message.body for message in self.messages.values()}


class StoreOf:
    """One worker's Orders."""

    def __init__(self, table: OrdersInMemory, worker: Worker) -> None:
        self._truth = table
        self._worker = worker

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        return self._worker.call("creating the order", lambda: self._truth.create(order, limits), unreachable)

    def called(self, account: str, client_order_id: str) -> Order | None:
        return self._worker.call("reading the claim", lambda: self._truth.called(account, client_order_id), unreachable)

    def load(self, order_id: str) -> Order | None:
        return self._worker.call("reading the order", lambda: self._truth.load(order_id), unreachable)

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        if order.state is State.SUBMITTED and all(
            version.submission != order.submission for version in self._truth.versions[order.order_id]
        ):
            self._must_have_looked()
        return self._worker.call(f"writing {order.state}", lambda: self._truth.replace(order, limits), unreachable)

    def _must_have_looked(self) -> None:
        """The last thing before a transaction is stored, and so may be sent, is a look at the kill switch."""
        if self._worker.point != KILL_SWITCH:
            raise PromiseBroken(f"a transaction is stored right after {self._worker.point}")

    def overdue(self, before_ms: int, limit: int) -> Iterator[Order]:
        found = self._worker.call(
            "looking for overdue orders", lambda: self._truth.overdue(before_ms, limit), unreachable
        )
        yield from found

    def look_again_at(self, order: Order, due_at_ms: int, *, is_late: bool) -> bool:
        return self._worker.call(
            "noting the sweep", lambda: self._truth.look_again_at(order, due_at_ms, is_late=is_late), unreachable
        )

    def page(self, account: str, keep: OrderFilter, limit: int, cursor: str | None) -> OrderPage:
        return self._worker.call("listing", lambda: self._truth.page(account, keep, limit, cursor), unreachable)


class QueueOf:
    """One worker's OrdersQueue. `now_ms` is the queues' clock, not the worker's."""

    def __init__(self, orders: Queue, dead_letters: Queue, worker: Worker, now_ms: Callable[[], int]) -> None:
        self._orders = orders
        self._dead = dead_letters
        self._worker = worker
        self._now_ms = now_ms

    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        self._call("enqueueing", lambda: self._orders.send(message_body(order_id), self._in(delay_ms)))

    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        self._call("hiding the message", lambda: self._orders.show_at(receipt_handle, self._in(delay_ms)))

    def bury(self, body: str, reason: str, correlation_id: str = "") -> None:
        self._call("burying", lambda: self._dead.send(body, self._now_ms()))

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        def receive() -> list[DeadLetter]:
            visible = self._dead.visible(self._now_ms())[:limit]
            return [DeadLetter(self._dead.receive(message, self._now_ms()), message.body) for message in visible]

        return self._worker.call("receiving dead letters", receive, unreachable)

    def leave(self, letter: DeadLetter) -> None:
        self._call("leaving a dead letter", lambda: self._dead.show_at(letter.receipt_handle, self._now_ms()))

    def discard(self, letter: DeadLetter) -> None:
        self._call("discarding a dead letter", lambda: self._dead.delete(letter.receipt_handle))

    def _call(self, point: str, effect: Callable[[], None]) -> None:
        self._worker.call(point, effect, unreachable)

    def _in(self, delay_ms: int) -> int:
        return self._now_ms() + max(-(-delay_ms // 1000) * 1000, 0)
