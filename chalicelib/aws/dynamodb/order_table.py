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
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.amounts import ceil_div
from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.counter_updates import counter_update, full_counter, is_failed_condition, reasons_of
from chalicelib.aws.dynamodb.order_item import OPEN_SHARDS, ORDER_ITEM, item_to_order, order_to_item
from chalicelib.aws.dynamodb.table import Table
from chalicelib.aws.errors import WriteConflict, translated
from chalicelib.orders.order import Order, as_created, as_written, booked_before
from chalicelib.orders.ports import ClientOrderIdInUse, OrderFilter, OrderPage, StaleOrder
from chalicelib.problems import FieldProblem, InvalidRequest
from chalicelib.risk.counters import Claims, Movement, movements
from chalicelib.risk.limits import LimitsInForce

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# Ids come from outside too, and DynamoDB answers an empty or overlong key with an error of its own.
_ORDER_ID = re.compile(r"[\x21-\x7e]{1,64}")


CLIENT_ORDER_ID_ITEM = "clientOrderId"

# How often a write is tried that met another transaction on one of its items, a counter mostly.
CONFLICT_TRIES = 8


def pause_after_conflict(number: int) -> None:
    """Wait before another try, longer each time, and not as long as those that the write collided with."""
    time.sleep(random.uniform(0.0, 0.01 * 2**number))  # noqa: S311 - no secret


class OrderTable:
    """The Orders of ports.py in DynamoDB. Every read of a single order is consistent.

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
        self._table = Table(client, table)
        self._counters = counters
        self._pause = pause

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        """Store a new order. False, and nothing written, where its id is taken.

        Its client order id is an item of its own, put in the same transaction and never deleted.

        Raises CounterFull where that would be one more than `limits` let through, ClientOrderIdInUse where another
        order of the account has its client order id; nothing is written then.
        """
        created = as_created(order)
        moved = movements(order.account, Claims(), order.claims, limits)
        return self._write(created, "attribute_not_exists(orderId)", {}, moved, order.client_order_id)

    def called(self, account: str, client_order_id: str) -> Order | None:
        """The account's order that has this client order id, as it stands; consistent with every write before."""
        claim = self._table.get(_claim_key(account, client_order_id))
        return None if claim is None else self.load(claim["claimedBy"])

    def load(self, order_id: str) -> Order | None:
        """The order as it stands, or None. Any text may be asked for."""
        if not _ORDER_ID.fullmatch(order_id):
            return None
        item = self._table.get(_key(order_id))
        return item_to_order(item) if item else None

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        """Write `order` over the revision it was made from; returns it with its new revision.

        Raises StaleOrder where the stored revision is another one, CounterFull where what it newly claims is more than
        `limits` let through; nothing is written then.
        """
        written = as_written(order)
        moved = movements(order.account, booked_before(order), order.claims, limits)
        if not self._write(written, "revision = :revision", {"revision": order.revision}, moved):
            raise StaleOrder(order.order_id)
        return written

    def _write(
        self, order: Order, condition: str, values: Item, moved: Sequence[Movement], claimed: str | None = None
    ) -> bool:
        """Write the order if `condition` holds, and move the counters with it; False, and nothing written, if not.

        Where AWS's answer is lost botocore sends the write again. Each write has an id of its own, by which the second
        finds that the first went through, and does not take it for another writer's.
        """
        item = {**order_to_item(order), "writeId": uuid.uuid4().hex}
        for number in range(CONFLICT_TRIES):
            try:
                if not moved and claimed is None:
                    return self._put(item, condition, values)
                return self._transact(item, condition, values, moved, claimed)
            except WriteConflict:
                if number == CONFLICT_TRIES - 1:
                    raise
                self._pause(number)
        raise AssertionError("the last try returns or raises")

    def _put(self, item: Item, condition: str, values: Item) -> bool:
        ours = {**values, "write": item["writeId"]}
        return self._table.put_if(f"{condition} OR writeId = :write", item, ours)

    def _transact(
        self, item: Item, condition: str, values: Item, moved: Sequence[Movement], claimed: str | None
    ) -> bool:
        """The order, its client order id if it claims one, and the counters, all or nothing.

        Its own write doesn't meet the condition a second time, as it does in `_put`: the counters would move twice.
        """
        put = self._table.put_action(condition, item, values)
        claims = [] if claimed is None else [self._claim(item, claimed)]
        updates: list[Any] = [counter_update(self._counters, movement) for movement in moved]
        with translated():
            try:
                self._client.transact_write_items(TransactItems=[put, *claims, *updates])
            except ClientError as error:
                reasons = reasons_of(error)
                if reasons and is_failed_condition(reasons[0]):
                    return self._is_stored(item)
                if claimed is not None and reasons and is_failed_condition(reasons[1]):
                    raise ClientOrderIdInUse(self._claimed_by(item["account"], claimed)) from None
                full = full_counter(moved, reasons[1 + len(claims) :])
                if full is not None:
                    raise full from None
                raise
        return True

    def _claim(self, item: Item, client_order_id: str) -> Any:
        claim = {**_claim_key(item["account"], client_order_id), "claimedBy": item["orderId"]}
        return self._table.put_action("attribute_not_exists(orderId)", claim)

    def _claimed_by(self, account: str, client_order_id: str) -> str:
        """Whose it is: what is claimed stays claimed, so there is an answer."""
        claim = self._table.get(_claim_key(account, client_order_id))
        assert claim is not None, "a claim is never deleted"
        return str(claim["claimedBy"])

    def _is_stored(self, item: Item) -> bool:
        """Whether the order stands as this very write left it: it went through, and its answer was lost."""
        stands = self._table.get(_key(item["orderId"]), projection="writeId")
        return stands is not None and stands.get("writeId") == item["writeId"]

    def overdue(self, before_ms: int, limit: int) -> Iterator[Order]:
        """Orders that have not ended and that a worker should have come to before `before_ms`; the latest news of each.

        At most `limit`, most overdue first in each part of the index.
        """
        each = ceil_div(limit, OPEN_SHARDS)
        for shard in range(OPEN_SHARDS):
            found = self._table.query(
                "openShard = :shard AND dueAtMs < :before",
                {"shard": f"open#{shard}", "before": before_ms},
                index="byDue",
                read_at_once=each,
            )
            for item in islice(found, each):
                order = self.load(item["orderId"])
                if order is not None and not order.is_terminal:
                    yield order

    def look_again_at(self, order: Order, due_at_ms: int) -> bool:
        """Note when the order is overdue next. False, and nothing written, where someone wrote it meanwhile."""
        return self._table.update_if(
            "revision = :revision AND attribute_exists(openShard)",
            _key(order.order_id),
            "SET dueAtMs = :due",
            {"due": due_at_ms, "revision": order.revision},
        )

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

    def _newest_first(self, account: str, keep: OrderFilter, after: Item | None, read_at_once: int) -> Iterator[Order]:
        wanted = {"status": keep.status, "mintIn": keep.mint_in, "mintOut": keep.mint_out}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        found = self._table.query(
            "account = :account",
            {"account": account, **wanted},
            index="byAccount",
            keep=" AND ".join(f"#{name} = :{name}" for name in wanted) or None,
            newest_first=True,
            # a limit counts what is read and not what is kept: a rare order would take a read for every few others
            read_at_once=None if wanted else read_at_once,
            after=after,
        )
        return map(item_to_order, found)


def _key(order_id: str) -> Item:
    return {"orderId": order_id, "item": ORDER_ITEM}


def _claim_key(account: str, client_order_id: str) -> Item:
    """No id of an order has a line break, and no client order id."""
    return {"orderId": f"{account}\n{client_order_id}", "item": CLIENT_ORDER_ID_ITEM}


def _encode_cursor(order: Order) -> str:
    place = json.dumps([order.created_at_ms, order.order_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, account: str) -> Item:
    """The last order's key in the index."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        created_at_ms, order_id = place
        if type(created_at_ms) is not int or not 0 <= created_at_ms < 10**15 or not _ORDER_ID.fullmatch(order_id):
            raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise InvalidRequest([FieldProblem("cursor", "must be a nextCursor of an earlier page")]) from None
    return {"account": account, "listKey": f"{created_at_ms:015d}#{order_id}", **_key(order_id)}
