"""The orders queue and its dead-letter queue. A message is `{"orderId": …}`, no more: the truth is the order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chalicelib.amounts import ceil_div
from chalicelib.aws.errors import translated
from chalicelib.aws.message_visibility import show_again_in
from chalicelib.log import logger
from chalicelib.orders.message import CORRELATION_ID, message_body
from chalicelib.orders.ports import DeadLetter
from chalicelib.problems import AwsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, SendMessageBatchRequestEntryTypeDef

# A message may stay hidden for 12 h from its receipt on, of which some have passed by now.
MAX_DELAY_SECONDS = 15 * 60
MAX_VISIBILITY_SECONDS = 11 * 60 * 60
MESSAGES_A_CALL = 10


class SqsOrdersQueue:
    """The OrdersQueue of ports.py in SQS. Every method raises AwsError."""

    def __init__(self, client: SQSClient, queue_url: str, dead_letter_queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url
        self._dead_letter_queue_url = dead_letter_queue_url

    @translated()
    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        """Hand the order to the workers, after `delay_ms` rounded up to a second, at most SQS's 15 minutes."""
        self._client.send_message(
            QueueUrl=self._queue_url,
            MessageBody=message_body(order_id),
            DelaySeconds=_delay_seconds(delay_ms),
            MessageAttributes=_attributes({CORRELATION_ID: correlation_id}),
        )

    @translated()
    def enqueue_each(self, correlation_ids: Mapping[str, str], delay_ms: int = 0) -> None:
        """As WorkersQueue.enqueue_each; delays as `enqueue` has them."""
        names = list(correlation_ids)
        for first in range(0, len(names), MESSAGES_A_CALL):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {
                    "Id": str(number),
                    "MessageBody": message_body(order_id),
                    "DelaySeconds": _delay_seconds(delay_ms),
                    "MessageAttributes": _attributes({CORRELATION_ID: correlation_ids[order_id]}),
                }
                for number, order_id in enumerate(names[first : first + MESSAGES_A_CALL])
            ]
            answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            failed = answer.get("Failed", [])
            if failed:
                logger.warning("messages were not taken", number=len(failed), code=failed[0]["Code"])
                raise AwsUnavailable

    @translated()
    def waiting(self) -> int:
        """About how many orders wait for a worker."""
        response = self._client.get_queue_attributes(
            QueueUrl=self._queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(response["Attributes"]["ApproximateNumberOfMessages"])

    @translated()
    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        """Let a message that is being handled come back after `delay_ms`, rounded up to a second."""
        show_again_in(self._client, self._queue_url, receipt_handle, delay_ms, MAX_VISIBILITY_SECONDS)

    @translated()
    def bury(self, body: str, reason: str, correlation_id: str = "") -> None:
        """Put a message into the dead-letter queue, with why."""
        self._client.send_message(
            QueueUrl=self._dead_letter_queue_url,
            MessageBody=body,
            MessageAttributes=_attributes({"reason": reason, CORRELATION_ID: correlation_id}),
        )

    @translated()
    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """About `limit` dead letters, all there are if fewer; out of others' sight until `leave`, or for a minute."""
        letters: list[DeadLetter] = []
        while len(letters) < limit:
            response = self._client.receive_message(
                QueueUrl=self._dead_letter_queue_url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=60,
                WaitTimeSeconds=0,
            )
            messages = response.get("Messages", [])
            if not messages:
                break
            letters += [DeadLetter(message["ReceiptHandle"], message["Body"]) for message in messages]
        return letters

    @translated()
    def leave(self, letter: DeadLetter) -> None:
        """Put a dead letter back where it was, for the next to see."""
        self._client.change_message_visibility(
            QueueUrl=self._dead_letter_queue_url, ReceiptHandle=letter.receipt_handle, VisibilityTimeout=0
        )

    @translated()
    def discard(self, letter: DeadLetter) -> None:
        self._client.delete_message(QueueUrl=self._dead_letter_queue_url, ReceiptHandle=letter.receipt_handle)


def _delay_seconds(delay_ms: int) -> int:
    return min(max(ceil_div(delay_ms, 1000), 0), MAX_DELAY_SECONDS)


def _attributes(values: dict[str, str]) -> dict[str, MessageAttributeValueTypeDef]:
    """Message attributes; SQS refuses an empty one."""
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value}
