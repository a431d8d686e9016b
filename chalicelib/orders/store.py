"""The orders table: create, load, replace, list. One conditional write a step, so that no two writers both succeed."""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.orders.item import OPEN_SHARDS, ORDER_ITEM, deserialize, item_to_order, order_to_item, serialize
from chalicelib.orders.order import Order
from chalicelib.problems import FieldProblem, InvalidRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# Ids come from outside too, and DynamoDB answers an empty or overlong key with an error of its own.
_ORDER_ID = re.compile(r"[\x21-\x7e]{1,64}")


class StaleOrder(Exception):
    """Someone else wrote the order since it was loaded: load it again and look anew."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a listing keeps; None keeps all. Mints in base58."""

    status: str | None = None
    mint_in: str | None = None
    mint_out: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPage:
    orders: tuple[Order, ...]
    next_cursor: str | None


class OrderStore:
    """Orders in DynamoDB. Every read of a single order is consistent."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def create(self, order: Order) -> bool:
        """Store a new order. False, and nothing written, where its id is taken."""
        return self._put(order, "attribute_not_exists(orderId)", {})

    def load(self, order_id: str) -> Order | None:
        """The order as it stands, or None. Any text may be asked for."""
        if not _ORDER_ID.fullmatch(order_id):
            return None
        response = self._client.get_item(TableName=self._table, Key=self._key(order_id), ConsistentRead=True)
        item = response.get("Item")
        return item_to_order(deserialize(item)) if item else None

    def replace(self, order: Order) -> Order:
        """Write `order` over the revision it was made from; returns it with its new revision.

        Raises StaleOrder where the stored revision is another one; nothing is written then.
        """
        written = replace(order, revision=order.revision + 1)
        if not self._put(written, "revision = :revision", {":revision": {"N": str(order.revision)}}):
            raise StaleOrder(order.order_id)
        return written

    def _put(self, order: Order, condition: str, values: dict[str, Any]) -> bool:
        """Write the order if `condition` holds; False, and nothing written, if it doesn't.

        Where AWS's answer is lost botocore sends the write again. Each write has an id of its own, by which the second
        finds that the first went through, and does not take it for another writer's.
        """
        write_id = {"S": uuid.uuid4().hex}
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**serialize(order_to_item(order)), "writeId": write_id},
                ConditionExpression=f"{condition} OR writeId = :write",
                ExpressionAttributeValues={**values, ":write": write_id},
            )
        except ClientError as error:
            if _is_condition_failure(error):
                return False
            raise
        return True

    def overdue(self, before_ms: int, limit: int) -> Iterator[Order]:
        """Orders that have not ended and that a worker should have come to before `before_ms`; the latest news of each.

        At most `limit`, most overdue first in each part of the index.
        """
        for shard in range(OPEN_SHARDS):
            response = self._client.query(
                TableName=self._table,
                IndexName="byDue",
                KeyConditionExpression="openShard = :shard AND dueAtMs < :before",
                ExpressionAttributeValues={":shard": {"S": f"open#{shard}"}, ":before": {"N": str(before_ms)}},
                Limit=-(-limit // OPEN_SHARDS),
            )
            for item in response["Items"]:
                order = self.load(item["orderId"]["S"])
                if order is not None and not order.is_terminal:
                    yield order

    def look_again_at(self, order: Order, due_at_ms: int) -> bool:
        """Note when the order is overdue next. False, and nothing written, where someone wrote it meanwhile."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self._key(order.order_id),
                UpdateExpression="SET dueAtMs = :due",
                ConditionExpression="revision = :revision AND attribute_exists(openShard)",
                ExpressionAttributeValues={":due": {"N": str(due_at_ms)}, ":revision": {"N": str(order.revision)}},
            )
        except ClientError as error:
            if _is_condition_failure(error):
                return False
            raise
        return True

    def page(self, account: str, keep: OrderFilter, limit: int, cursor: str | None) -> OrderPage:
        """An account's orders, newest first. Raises InvalidRequest on a cursor that is not one of ours.

        The cursor is the last order's place, so that a page neither repeats nor skips when orders come in between.
        """
        start = _decode_cursor(cursor, account) if cursor else None
        orders: list[Order] = []
        for order in self._newest_first(account, keep, start, limit + 1):
            if len(orders) == limit:
                return OrderPage(tuple(orders), _encode_cursor(orders[-1]))
            orders.append(order)
        return OrderPage(tuple(orders), None)

    def _newest_first(
        self, account: str, keep: OrderFilter, start: dict[str, Any] | None, read_at_once: int
    ) -> Iterator[Order]:
        wanted = {"status": keep.status, "mintIn": keep.mint_in, "mintOut": keep.mint_out}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "byAccount",
            "KeyConditionExpression": "account = :account",
            "ExpressionAttributeValues": {
                ":account": {"S": account},
                **{f":{name}": {"S": value} for name, value in wanted.items()},
            },
            "ScanIndexForward": False,
        }
        if not wanted:
            query["Limit"] = read_at_once
        else:  # Limit counts what is read and not what is kept: a rare order would take a read for every few others
            query["FilterExpression"] = " AND ".join(f"#{name} = :{name}" for name in wanted)
            query["ExpressionAttributeNames"] = {f"#{name}": name for name in wanted}
        while True:
            if start:
                query["ExclusiveStartKey"] = start
            response = self._client.query(**query)
            for item in response["Items"]:
                yield item_to_order(deserialize(item))
            start = response.get("LastEvaluatedKey")
            if not start:
                return

    def _key(self, order_id: str) -> dict[str, Any]:
        return {"orderId": {"S": order_id}, "item": {"S": ORDER_ITEM}}


def _is_condition_failure(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _encode_cursor(order: Order) -> str:
    place = json.dumps([order.created_at_ms, order.order_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, account: str) -> dict[str, Any]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        created_at_ms, order_id = place
        if type(created_at_ms) is not int or not 0 <= created_at_ms < 10**15 or not _ORDER_ID.fullmatch(order_id):
            raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise InvalidRequest([FieldProblem("cursor", "must be a nextCursor of an earlier page")]) from None
    return {
        "account": {"S": account},
        "listKey": {"S": f"{created_at_ms:015d}#{order_id}"},
        "orderId": {"S": order_id},
        "item": {"S": ORDER_ITEM},
    }
