"""The WatchQueue of waiting/ports.py in SQS: the messages that go round, one a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.amounts import ceil_div
from chalicelib.aws.errors import translated
from chalicelib.aws.message_visibility import show_again_in
from chalicelib.waiting.circulation import WatchMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_MAX_DELAY_SECONDS = 15 * 60


class SqsWatchQueue:
    """Every method raises AwsError."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    @translated()
    def send(self, message: WatchMessage, delay_ms: int = 0) -> None:
        """As WatchQueue.send; the delay is rounded up to a second, and at most SQS's 15 minutes."""
        self._client.send_message(
            QueueUrl=self._queue_url,
            MessageBody=message.body(),
            DelaySeconds=min(max(ceil_div(delay_ms, 1000), 0), _MAX_DELAY_SECONDS),
        )

    @translated()
    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        """As WatchQueue.show_again_in, rounded up to a second."""
        show_again_in(self._client, self._queue_url, receipt_handle, delay_ms, _MAX_DELAY_SECONDS)
