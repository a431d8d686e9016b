"""Items of DynamoDB that may be used only so often: one conditional write counts a use, and refuses one too many.

An item has its own rate (`intervalUs`, `toleranceUs`; see rate.py) and state (`tatUs`, the theoretical arrival time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.aws.dynamodb.attribute_values import Item, deserialize
from chalicelib.aws.errors import is_condition_failure
from chalicelib.rate import Rate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Unusable(Exception):
    """There is no such item, or its time is over."""


class UsedTooOften(Exception):
    """One use too many. The next is free in `retry_in_us`, not before."""

    def __init__(self, retry_in_us: int) -> None:
        super().__init__(f"free again in {retry_in_us} us")
        self.retry_in_us = retry_in_us


def rate_attributes(rate: Rate) -> Item:
    """What an item must have to be used through a Meter."""
    return {"intervalUs": rate.interval_us, "toleranceUs": rate.tolerance_us}


class Meter:
    """Uses of the items of a table whose key is `name`. An item with `validUntilMs` is usable before that time only."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def use(self, name: str, now_ms: int) -> Item:
        """Count one use now; returns the item. One write where its last uses are long past, else two.

        Raises Unusable or UsedTooOften; nothing is written then.
        """
        now_us = now_ms * 1000
        used, found = self._use_idle(name, now_ms)
        while used is None:
            _raise_if_unusable(found, now_ms)
            arrival_us, latest_us = int(found["tatUs"]), now_us + int(found["toleranceUs"])
            if arrival_us > latest_us:
                raise UsedTooOften(arrival_us - latest_us)
            # where others use it at this moment, what was found has changed by now: look anew
            used, found = (
                self._use_after_others(name, now_ms, latest_us) if arrival_us > now_us else self._use_idle(name, now_ms)
            )
        return used

    def _use_idle(self, name: str, now_ms: int) -> tuple[Item | None, Item]:
        condition = "(attribute_not_exists(tatUs) OR tatUs <= :now)"
        return self._count(name, "SET tatUs = :now + intervalUs", condition, {":now": now_ms * 1000, ":ms": now_ms})

    def _use_after_others(self, name: str, now_ms: int, latest_us: int) -> tuple[Item | None, Item]:
        condition = "tatUs > :now AND tatUs <= :latest"
        values = {":now": now_ms * 1000, ":latest": latest_us, ":ms": now_ms}
        return self._count(name, "SET tatUs = tatUs + intervalUs", condition, values)

    def _count(self, name: str, update: str, condition: str, values: dict[str, int]) -> tuple[Item | None, Item]:
        """The item after the update, or None and the item as it stands; that is empty where there is none."""
        try:
            response = self._client.update_item(
                TableName=self._table,
                Key={"name": {"S": name}},
                UpdateExpression=update,
                ConditionExpression=f"attribute_exists(#name) AND {condition}"
                " AND (attribute_not_exists(validUntilMs) OR validUntilMs > :ms)",
                ExpressionAttributeNames={"#name": "name"},
                ExpressionAttributeValues={key: {"N": str(value)} for key, value in values.items()},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not is_condition_failure(error):
                raise
            found: Any = error.response.get("Item") or {}
            return None, deserialize(found)
        return deserialize(response["Attributes"]), {}


def _raise_if_unusable(item: Item, now_ms: int) -> None:
    if not item or ("validUntilMs" in item and item["validUntilMs"] <= now_ms):
        raise Unusable
