"""Which errors of botocore will pass by themselves: AWS out of reach, unwell, or asked too often."""

from __future__ import annotations

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

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
