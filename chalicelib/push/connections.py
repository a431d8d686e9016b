"""Who watches which order. A subscription lies beside its order in the orders table.

Being in the order's own partition puts it into the same, ordered stream as the order's changes, so that the publisher
sends the history and every later change one after the other, without a gap and without a race. A subscription to all of
an account's orders lies in a partition of its own, under `account_partition`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.order_item import ORDER_ITEM
from chalicelib.aws.dynamodb.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SUBSCRIPTION_PREFIX = "subscription#"
_ACCOUNT_PREFIX = "account#"

# API Gateway ends a connection after 2 h; what is left of it after that is nobody's.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
CONNECTION_LIFE_SECONDS = 2 * 60 * 60 + 10 * 60


def account_partition(account: str) -> str:
    """What stands in for the order's id in a subscription to all orders of `account`."""
    return _ACCOUNT_PREFIX + account


def is_of_an_account(subscribed: str) -> bool:
    """Whether a subscription is to all of an account's orders, by what stands for its order's id."""
    return subscribed.startswith(_ACCOUNT_PREFIX)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A connection's interest in one order.

    `cursor` is the last `seq` that was sent to it. `asked_at_ms` changes with every new wish to see the history.
    `closes` says that the connection was opened for this order alone and ends with it. `waits` is how many batches
    found the connection not established yet.
    """

    order_id: str
    connection_id: str
    closes: bool
    asked_at_ms: int
    cursor: int = 0
    waits: int = 0


class Connections:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def subscribe(self, subscription: Subscription) -> None:
        """Remember it; the publisher then sends the whole history."""
        self._table.put(
            {
                **_key(subscription.order_id, subscription.connection_id),
                "connectionId": subscription.connection_id,
                "closes": subscription.closes,
                "askedAtMs": subscription.asked_at_ms,
                "cursor": subscription.cursor,
                "expiresAt": subscription.asked_at_ms // 1000 + CONNECTION_LIFE_SECONDS,
            }
        )

    def unsubscribe(self, order_id: str, connection_id: str) -> None:
        self._table.delete(_key(order_id, connection_id))

    def find(self, order_id: str, connection_id: str) -> Subscription | None:
        item = self._table.get(_key(order_id, connection_id))
        return item_to_subscription(item) if item else None

    def with_order(self, order_id: str) -> tuple[Item | None, list[Subscription]]:
        """The order's item as it stands, None where there is none, and everyone who watches it now."""
        found = list(self._table.query("orderId = :order", {"order": order_id}))
        order = next((item for item in found if item["item"] == ORDER_ITEM), None)
        watching = [one for one in found if one["item"].startswith(SUBSCRIPTION_PREFIX)]
        return order, [item_to_subscription(item) for item in watching]

    def watchers(self, order_id: str) -> list[Subscription]:
        """Everyone who watches the order now."""
        condition = "orderId = :order AND begins_with(#item, :prefix)"
        found = self._table.query(condition, {"order": order_id, "prefix": SUBSCRIPTION_PREFIX})
        return [item_to_subscription(item) for item in found]

    def advance(self, subscription: Subscription, cursor: int) -> None:
        """Remember that everything up to `cursor` was sent, unless the client asked again or left meanwhile."""
        self._table.update_if(
            "askedAtMs = :asked",
            _key(subscription.order_id, subscription.connection_id),
            "SET #cursor = :cursor",
            {"cursor": cursor, "asked": subscription.asked_at_ms},
        )

    def wait(self, subscription: Subscription) -> None:
        """Note that its connection wasn't established yet; the stream then tells of it again, as of a new one."""
        self._table.update_if(
            "askedAtMs = :asked AND #cursor = :none",
            _key(subscription.order_id, subscription.connection_id),
            "SET waits = :waits",
            {"waits": subscription.waits + 1, "asked": subscription.asked_at_ms, "none": 0},
        )

    def count(self, connection_id: str, at_most: int) -> int:
        """How many subscriptions the connection has, counted no further than `at_most`; those of just now may lack."""
        return self._table.count(*_of_connection(connection_id), index="byConnection", at_most=at_most)

    def all(self) -> Iterator[tuple[str, str]]:
        """Every subscription there is: its order's id and its connection's. Those of just now may lack."""
        for item in self._table.scan(index="byConnection"):
            yield item["orderId"], item["connectionId"]

    def forget(self, connection_id: str) -> None:
        """Drop every subscription of a connection that is gone."""
        for item in self._table.query(*_of_connection(connection_id), index="byConnection"):
            self.unsubscribe(item["orderId"], connection_id)


def item_to_subscription(item: Item) -> Subscription:
    return Subscription(
        order_id=item["orderId"],
        connection_id=item["connectionId"],
        closes=item["closes"],
        asked_at_ms=int(item["askedAtMs"]),
        cursor=int(item["cursor"]),
        waits=int(item.get("waits", 0)),
    )


def _key(order_id: str, connection_id: str) -> Item:
    return {"orderId": order_id, "item": SUBSCRIPTION_PREFIX + connection_id}


def _of_connection(connection_id: str) -> tuple[str, Item]:
    return "connectionId = :connection", {"connection": connection_id}
