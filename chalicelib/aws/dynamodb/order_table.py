"""The orders table: create, load, replace, list. One conditional write a step, so that no two writers both succeed.

A write that changes what an order takes up of the limits moves the counters in the control table in the same
transaction: they are always the sum over the stored orders, and never over their ceilings.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.aws.dynamodb.attribute_values import deserialize, serialize
from chalicelib.aws.dynamodb.counter_updates import counter_update, full_counter, is_failed_condition, reasons_of
from chalicelib.aws.dynamodb.order_item import OPEN_SHARDS, ORDER_ITEM, item_to_order, order_to_item
from chalicelib.aws.errors import is_condition_failure, is_conflict
from chalicelib.orders.order import Order, as_created, as_written, booked_before
from chalicelib.orders.ports import OrderFilter, OrderPage, StaleOrder
from chalicelib.problems import FieldProblem, InvalidRequest
from chalicelib.risk.counters import Claims, Movement, movements
from chalicelib.risk.limits import LimitsInForce

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# Ids come from outside too, and DynamoDB answers an empty or overlong key with an error of its own.
_ORDER_ID = re.compile(r"[\x21-\x7e]{1,64}")


# How often a write is tried that met another transaction on one of its items, a counter mostly.
CONFLICT_TRIES = 8


def pause_after_conflict(number: int) -> None:
    """Wait before another try, longer each time, and not as long as those that the write collided with."""
    time.sleep(random.uniform(0.0, 0.01 * 2**number))  # noqa: S311 - no secret


class OrderTable:
    """Orders in DynamoDB. Every read of a single order is consistent.

    `counters` is the control table's name; `pause` waits after the nth conflict, from 0.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        counters: str,
        pause: Callable[[int], None] = pause_after_conflict,
    ) -> None:
        self._client = client
        self._table = table
        self._counters = counters
        self._pause = pause

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        """Store a new order. False, and nothing written, where its id is taken.

        Raises CounterFull, and nothing is written, where that would be one more than `limits` let through.
        """
        created = as_created(order)
        moved = movements(order.account, Claims(), order.claims, limits)
        return self._write(created, "attribute_not_exists(orderId)", {}, moved)

    def load(self, order_id: str) -> Order | None:
        """The order as it stands, or None. Any text may be asked for."""
        if not _ORDER_ID.fullmatch(order_id):
            return None
        response = self._client.get_item(TableName=self._table, Key=self._key(order_id), ConsistentRead=True)
        item = response.get("Item")
        return item_to_order(deserialize(item)) if item else None

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        """Write `order` over the revision it was made from; returns it with its new revision.

        Raises StaleOrder where the stored revision is another one, CounterFull where what it newly claims is more than
        `limits` let through; nothing is written then.
        """
        written = as_written(order)
        moved = movements(order.account, booked_before(order), order.claims, limits)
        if not self._write(written, "revision = :revision", {":revision": {"N": str(order.revision)}}, moved):
            raise StaleOrder(order.order_id)
        return written

    def _write(self, order: Order, condition: str, values: dict[str, Any], moved: Sequence[Movement]) -> bool:
        """Write the order if `condition` holds, and move the counters with it; False, and nothing written, if not.

        Where AWS's answer is lost botocore sends the write again. Each write has an id of its own, by which the second
        finds that the first went through, and does not take it for another writer's.
        """
        write_id = uuid.uuid4().hex
        item = {**serialize(order_to_item(order)), "writeId": {"S": write_id}}
        for number in range(CONFLICT_TRIES):
            try:
                if not moved:
                    return self._put(item, condition, values, write_id)
                return self._transact(item, condition, values, moved)
            except ClientError as error:
                if not is_conflict(error) or number == CONFLICT_TRIES - 1:
                    raise
                self._pause(number)
        raise AssertionError("the last try returns or raises")

    def _put(self, item: dict[str, Any], condition: str, values: dict[str, Any], write_id: str) -> bool:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=f"{condition} OR writeId = :write",
                ExpressionAttributeValues={**values, ":write": {"S": write_id}},
            )
        except ClientError as error:
            if is_condition_failure(error):
                return False
            raise
        return True

    def _transact(
        self, item: dict[str, Any], condition: str, values: dict[str, Any], moved: Sequence[Movement]
    ) -> bool:
        """The order and the counters, all or nothing.

        Its own write doesn't meet the condition a second time, as it does in `_put`: the counters would move twice.
        """
        put: Any = {"TableName": self._table, "Item": item, "ConditionExpression": condition}
        if values:
            put["ExpressionAttributeValues"] = values
        updates: list[Any] = [counter_update(self._counters, movement) for movement in moved]
        try:
            self._client.transact_write_items(TransactItems=[{"Put": put}, *updates])
        except ClientError as error:
            reasons = reasons_of(error)
            if reasons and is_failed_condition(reasons[0]):
                return self._is_stored(item)
            full = full_counter(moved, reasons[1:])
            if full is not None:
                raise full from None
            raise
        return True

    def _is_stored(self, item: dict[str, Any]) -> bool:
        """Whether the order stands as this very write left it: it went through, and its answer was lost."""
        key = {name: item[name] for name in ("orderId", "item")}
        response = self._client.get_item(
            TableName=self._table, Key=key, ProjectionExpression="writeId", ConsistentRead=True
        )
        return "Item" in response and response["Item"].get("writeId") == item["writeId"]

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
            if is_condition_failure(error):
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
