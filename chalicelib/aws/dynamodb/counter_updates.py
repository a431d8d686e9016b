"""The counters' part of an order's write, and what became of it, in DynamoDB's own terms.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.risk.counters import CounterFull, Movement

# A day's sum is of use while an order of that day may still end; the queue forgets one after four days.
KEPT_DAYS = 35


def counter_update(table: str, movement: Movement) -> dict[str, Any]:
    """One movement as an action of a transaction, with its ceiling as the condition. A counter begins at zero."""
    values: dict[str, Any] = {":by": {"N": str(movement.by)}}
    update = "ADD counted :by"
    if movement.day is not None:
        update = f"SET expiresAt = :expires {update}"
        values[":expires"] = {"N": str(_expires_at(movement.day))}
    action: dict[str, Any] = {
        "TableName": table,
        "Key": {"name": {"S": movement.key}},
        "UpdateExpression": update,
        "ExpressionAttributeValues": values,
    }
    if movement.ceiling is not None:
        room = movement.ceiling - movement.by
        # where there is no room at all, not even for the first, nothing meets the condition
        action["ConditionExpression"] = f"{'attribute_not_exists(counted) OR ' if room >= 0 else ''}counted <= :room"
        action["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        values[":room"] = {"N": str(room)}
    return {"Update": action}


def reasons_of(error: ClientError) -> list[Mapping[str, Any]]:
    """Why a transaction was cancelled, one entry an action in their order; empty for any other error."""
    if error.response["Error"]["Code"] != "TransactionCanceledException":
        return []
    reasons: list[Mapping[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return reasons


def is_failed_condition(reason: Mapping[str, Any]) -> bool:
    return reason.get("Code") == "ConditionalCheckFailed"


def full_counter(moved: Sequence[Movement], reasons: Sequence[Mapping[str, Any]]) -> CounterFull | None:
    """The first counter that had no room, given each movement's reason."""
    for movement, reason in zip(moved, reasons, strict=False):
        if is_failed_condition(reason):
            counted = reason.get("Item", {}).get("counted", {"N": "0"})
            return CounterFull(movement, int(counted["N"]))
    return None


def _expires_at(day: str) -> int:
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return int((midnight + timedelta(days=KEPT_DAYS)).timestamp())
