"""When a message that is being handled is shown again: SQS's visibility time-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.amounts import ceil_div
from chalicelib.log import logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
_IS_NOT_OURS = frozenset({"MessageNotInflight", "ReceiptHandleIsInvalid"})
# The code is one for whatever is wrong with a parameter.
_NOT_AVAILABLE = "not available for visibility timeout change"


def show_again_in(client: SQSClient, queue_url: str, receipt_handle: str, delay_ms: int, longest_seconds: int) -> None:
    """Let the message come back after `delay_ms`, in whole seconds, at most so many. Raises botocore's errors.

    Nothing is left to do where it came back already, because its worker took longer than it was hidden for: another
    worker has it then, and decides when it is shown again.
    """
    seconds = min(max(ceil_div(delay_ms, 1000), 0), longest_seconds)
    try:
        client.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds)
    except ClientError as error:
        if not _came_back(error):
            raise
        logger.info("the message has come back already")


def _came_back(error: ClientError) -> bool:
    told = error.response.get("Error", {})
    code = told.get("Code", "").removeprefix("AWS.SimpleQueueService.")
    return code in _IS_NOT_OURS or _NOT_AVAILABLE in told.get("Message", "")
