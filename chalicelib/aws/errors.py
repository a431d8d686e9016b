"""botocore's errors as ours: which of them will pass by themselves, as AWS out of reach, unwell, or asked too often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from chalicelib.problems import AwsError, AwsRefused, AwsUnavailable

# What botocore's standard retry mode retries (botocore/retries/standard.py), plus what our services call theirs.
_TRANSIENT_CODES = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TransactionConflictException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


class WriteConflict(AwsUnavailable):
    """A write to DynamoDB met another one on the same item, or too many; nothing was written."""


@contextmanager
def translated() -> Iterator[None]:
    """Within, botocore's errors become ours: AwsUnavailable where they will pass, AwsRefused where they won't."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise as_ours(error) from error


def as_ours(error: BotoCoreError | ClientError) -> AwsError:
    """The error of ours that says of `error` what a caller can do about it; AWS's own words are left out."""
    if isinstance(error, ClientError):
        if is_conflict(error):
            return WriteConflict()
        what = f"{error.operation_name}: {error.response.get('Error', {}).get('Code')}"
    else:
        what = type(error).__name__
    return AwsUnavailable() if is_transient(error) else AwsRefused(f"AWS refused {what}")


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later. botocore has tried it several times by then.

    Such an error does not say that nothing was done: an answer that was lost looks the same.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in _TRANSIENT_CODES or status >= 500 or is_conflict(error)
    return isinstance(error, ConnectionError | HTTPClientError)


def is_condition_failure(error: ClientError) -> bool:
    """Whether a single write to DynamoDB was not made because its condition didn't hold."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def is_first_condition_failure(error: ClientError) -> bool:
    """Whether a transaction was not made because the condition of its first action didn't hold."""
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return bool(reasons) and reasons[0].get("Code") == "ConditionalCheckFailed"


# What cancels a transaction and will pass (API_TransactWriteItems).
_PASSING_REASONS = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})


def is_conflict(error: ClientError) -> bool:
    """Whether a write to DynamoDB met another one on the same item, or too many; nothing was written then."""
    code = error.response.get("Error", {}).get("Code")
    if code != "TransactionCanceledException":
        return code == "TransactionConflictException"
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
    return bool(codes) and codes <= _PASSING_REASONS
