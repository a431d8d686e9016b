"""From queue messages to attempts: what is done with each message follows from what became of its order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.log import context, logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.execution import WATCH_MARGIN_MS, ComeBack, Execution, Finished, UnknownOrder, Waits
from chalicelib.orders.life import MAX_ATTEMPTS
from chalicelib.orders.message import CORRELATION_ID, MalformedMessage, message_body, order_id_of
from chalicelib.orders.order import Order
from chalicelib.orders.ports import OrdersQueue
from chalicelib.orders.states import State
from chalicelib.orders.turns import Waiting


@dataclass(frozen=True, slots=True)
class Message:
    """An SQS message as a worker gets it. `waited_ms`: from its sending to its first receipt; None at a later one."""

    message_id: str
    receipt_handle: str
    body: str
    correlation_id: str = ""
    waited_ms: int | None = None


def message_of(record: Mapping[str, Any], now_ms: int) -> Message:
    """The message in one record of Lambda's SQS event."""
    attributes, own = record.get("attributes", {}), record.get("messageAttributes", {})
    first = attributes.get("ApproximateReceiveCount") == "1" and "SentTimestamp" in attributes
    return Message(
        record["messageId"],
        record["receiptHandle"],
        record["body"],
        own.get(CORRELATION_ID, {}).get("stringValue", ""),
        max(0, now_ms - int(attributes["SentTimestamp"])) if first else None,
    )


def takeover_ms(watch_ms: int, lease_ms: int) -> int:
    """After how long another worker must come to an order whose worker died, in case something was signed: about when
    the signer would have stopped watching. Whoever comes sooner than the lease runs out steps back until then.
    """
    return min(watch_ms + WATCH_MARGIN_MS, lease_ms)


class Delivery:
    """`hidden_ms`: after how long another worker must come to an order whose worker died, see `takeover_ms`."""

    def __init__(self, execution: Execution, queue: OrdersQueue, hidden_ms: Callable[[], int]) -> None:
        self._execution = execution
        self._queue = queue
        self._hidden_ms = hidden_ms

    def handle(self, messages: Iterable[Message], owner: str) -> list[str]:
        """Work on each message; returns the ids of those that must come back.

        Never raises for one message's sake: that would bring all of them back, and stop the mapping for a while.
        """
        return [message.message_id for message in messages if not self._handle_one(message, owner)]

    def _handle_one(self, message: Message, owner: str) -> bool:
        """True where the message is done with."""
        if message.waited_ms is not None:
            note(Metric.QUEUE_AGE_MS, message.waited_ms)
        try:
            return self._work_on(message, owner)
        except Exception:  # noqa: BLE001
            # the boundary: whatever it was, the message comes back when the lease has run out and the order resumes
            logger.exception("worker failed; the order will be taken up again", message_id=message.message_id)
            return False

    def _work_on(self, message: Message, owner: str) -> bool:
        try:
            order_id = order_id_of(message.body)
            # if this worker dies the message is back while what it signed can be sent, not when the queue's long
            # time-out ends
            self._queue.show_again_in(message.receipt_handle, self._hidden_ms())
            owner = f"{owner}/{message.message_id}"
            with context(order_id=order_id, correlation_id=message.correlation_id):
                outcome = self._execution.run(order_id, owner)
                done = self._after(outcome, message)
            while isinstance(outcome, Waits) and outcome.instead is not None:
                outcome = self._work_instead(outcome.instead, owner)
            return done
        except (MalformedMessage, UnknownOrder) as error:
            logger.error("message without an order", message_id=message.message_id, reason=type(error).__name__)
            self._bury(message.body, type(error).__name__, message.correlation_id)
            return True

    def _after(self, outcome: Finished | ComeBack | Waits, message: Message) -> bool:
        match outcome:
            case Finished(order):
                self._end(order, message.body, message.correlation_id)
                return True
            case Waits():
                # its message would be received again and again for nothing, and be given up at last
                logger.info("order waits for its turn")
                return True
            case ComeBack(in_ms, why):
                logger.info("order comes back", in_ms=in_ms, why=why)
                self._queue.show_again_in(message.receipt_handle, in_ms)
                return False

    def _work_instead(self, waiting: Waiting, owner: str) -> Finished | ComeBack | Waits:
        """Work on an order whose turn it is, for which this message was not.

        Its own was dropped as it came into line: another comes to it if this worker dies.
        """
        with context(order_id=waiting.order_id, correlation_id=waiting.correlation_id):
            self._queue.enqueue(waiting.order_id, self._hidden_ms(), waiting.correlation_id)
            outcome = self._execution.run(waiting.order_id, owner)
            match outcome:
                case Finished(order):
                    self._end(order, message_body(order.order_id), waiting.correlation_id)
                case ComeBack(in_ms, why):
                    logger.info("order comes back", in_ms=in_ms, why=why)
                    self._queue.enqueue(waiting.order_id, in_ms, waiting.correlation_id)
            return outcome

    def _end(self, order: Order, body: str, correlation_id: str) -> None:
        if order.state is State.FAILED and order.retry_count >= MAX_ATTEMPTS:
            self._bury(body, order.error_code or "FAILED", correlation_id)
        logger.info("order finished", status=order.status.value, retry_count=order.retry_count)

    def _bury(self, body: str, reason: str, correlation_id: str) -> None:
        self._queue.bury(body, reason, correlation_id)
        note(Metric.DEAD_LETTERS, reason=reason)
