"""Who watches which order. A subscription lies beside its order in the orders table.

Being in the order's own partition puts it into the same, ordered stream as the order's changes, so that the publisher
sends the history and every later change one after the other, without a gap and without a race. A subscription to all of
an account's orders lies in a partition of its own, under `account_partition`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.aws.dynamodb.attribute_values import deserialize, serialize
from chalicelib.aws.errors import is_condition_failure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SUBSCRIPTION_PREFIX = "subscription#"

# API Gateway ends a connection after 2 h; what is left of it after that is nobody's.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
CONNECTION_LIFE_SECONDS = 2 * 60 * 60 + 10 * 60


def account_partition(account: str) -> str:
    """What stands in for the order's id in a subscription to all orders of `account`."""
    return f"account#{account}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A connection's interest in one order.

    `cursor` is the last `seq` that was sent to it. `asked_at_ms` changes with every new wish to see the history.
    `closes` says that the connection was opened for this order alone and ends with it.
    """

    order_id: str
    connection_id: str
    closes: bool
    asked_at_ms: int
    cursor: int = 0


class Connections:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def subscribe(self, subscription: Subscription) -> None:
        """Remember it; the publisher then sends the whole history."""
        self._client.put_item(
            TableName=self._table,
            Item=serialize(
                {
                    "orderId": subscription.order_id,
                    "item": SUBSCRIPTION_PREFIX + subscription.connection_id,
                    "connectionId": subscription.connection_id,
                    "closes": subscription.closes,
                    "askedAtMs": subscription.asked_at_ms,
                    "cursor": subscription.cursor,
                    "expiresAt": subscription.asked_at_ms // 1000 + CONNECTION_LIFE_SECONDS,
                }
            ),
        )

    def unsubscribe(self, order_id: str, connection_id: str) -> None:
        self._client.delete_item(TableName=self._table, Key=_key(order_id, connection_id))

    def find(self, order_id: str, connection_id: str) -> Subscription | None:
        response = self._client.get_item(TableName=self._table, Key=_key(order_id, connection_id), ConsistentRead=True)
        item = response.get("Item")
        return item_to_subscription(deserialize(item)) if item else None

    def watchers(self, order_id: str) -> list[Subscription]:
        """Everyone who watches the order now."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="orderId = :order AND begins_with(#item, :prefix)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={":order": {"S": order_id}, ":prefix": {"S": SUBSCRIPTION_PREFIX}},
            ConsistentRead=True,
        )
        return [item_to_subscription(deserialize(item)) for page in pages for item in page["Items"]]

    def advance(self, subscription: Subscription, cursor: int) -> None:
        """Remember that everything up to `cursor` was sent, unless the client asked anew or left meanwhile."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(subscription.order_id, subscription.connection_id),
                UpdateExpression="SET #cursor = :cursor",
                ConditionExpression="askedAtMs = :asked",
                ExpressionAttributeNames={"#cursor": "cursor"},
                ExpressionAttributeValues={
                    ":cursor": {"N": str(cursor)},
                    ":asked": {"N": str(subscription.asked_at_ms)},
                },
            )
        except ClientError as error:
            if not is_condition_failure(error):
                raise

    def count(self, connection_id: str, at_most: int) -> int:
        """How many subscriptions the connection has, counted no further than `at_most`; those of just now may lack."""
        response = self._client.query(
            TableName=self._table,
            IndexName="byConnection",
            KeyConditionExpression="connectionId = :connection",
            ExpressionAttributeValues={":connection": {"S": connection_id}},
            Select="COUNT",
            Limit=at_most,
        )
        return response["Count"]

    def all(self) -> Iterator[tuple[str, str]]:
        """Every subscription there is: its order's id and its connection's. Those of just now may lack."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, IndexName="byConnection")
        for page in pages:
            for item in page["Items"]:
                yield item["orderId"]["S"], item["connectionId"]["S"]

    def forget(self, connection_id: str) -> None:
        """Drop every subscription of a connection that is gone."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="byConnection",
            KeyConditionExpression="connectionId = :connection",
            ExpressionAttributeValues={":connection": {"S": connection_id}},
        )
        for page in pages:
            for item in page["Items"]:
                self.unsubscribe(item["orderId"]["S"], connection_id)


def item_to_subscription(item: dict[str, Any]) -> Subscription:
    return Subscription(
        order_id=item["orderId"],
        connection_id=item["connectionId"],
        closes=item["closes"],
        asked_at_ms=int(item["askedAtMs"]),
        cursor=int(item["cursor"]),
    )


def _key(order_id: str, connection_id: str) -> dict[str, Any]:
    return {"orderId": {"S": order_id}, "item": {"S": SUBSCRIPTION_PREFIX + connection_id}}
