"""From queue messages to attempts: what is done with each message follows from what became of its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.log import context, logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.execution import ComeBack, Execution, Finished, UnknownOrder
from chalicelib.orders.message import CORRELATION_ID, MalformedMessage, order_id_of
from chalicelib.orders.order import MAX_ATTEMPTS, State
from chalicelib.orders.ports import OrdersQueue


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


class Delivery:
    def __init__(self, execution: Execution, queue: OrdersQueue, lease_ms: int) -> None:
        self._execution = execution
        self._queue = queue
        self._lease_ms = lease_ms

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
            # if this worker dies the message is back when its lease runs out, not when the queue's long time-out does
            self._queue.show_again_in(message.receipt_handle, self._lease_ms)
            with context(order_id=order_id, correlation_id=message.correlation_id):
                return self._after(self._execution.run(order_id, f"{owner}/{message.message_id}"), message)
        except (MalformedMessage, UnknownOrder) as error:
            logger.error("message without an order", message_id=message.message_id, reason=type(error).__name__)
            self._bury(message, type(error).__name__)
            return True

    def _after(self, outcome: Finished | ComeBack, message: Message) -> bool:
        match outcome:
            case Finished(order):
                if order.state is State.FAILED and order.retry_count >= MAX_ATTEMPTS:
                    self._bury(message, order.error_code or "FAILED")
                logger.info("order finished", status=order.status.value, retry_count=order.retry_count)
                return True
            case ComeBack(in_ms, why):
                logger.info("order comes back", in_ms=in_ms, why=why)
                self._queue.show_again_in(message.receipt_handle, in_ms)
                return False

    def _bury(self, message: Message, reason: str) -> None:
        self._queue.bury(message.body, reason, message.correlation_id)
        note(Metric.DEAD_LETTERS, reason=reason)
