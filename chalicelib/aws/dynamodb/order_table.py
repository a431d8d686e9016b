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
from chalicelib.aws.dynamodb.circulation_table import circulation_update
from chalicelib.aws.dynamodb.counter_updates import counter_update, full_counter, is_failed_condition, reasons_of
from chalicelib.aws.dynamodb.order_item import (
    FILLED,
    LATE_SHARD,
    OPEN_PARTS,
    OPEN_SHARDS,
    ORDER_ITEM,
    STARTING,
    WAITING,
    item_to_order,
    open_shard,
    order_to_item,
    standing_key,
)
from chalicelib.aws.dynamodb.table import QueryPage, Table
from chalicelib.aws.errors import WriteConflict, translated
from chalicelib.orders.life import as_created, as_written, booked_before
from chalicelib.orders.order import Order
from chalicelib.orders.ports import ClientOrderIdInUse, OrderFilter, OrderPage, StaleOrder
from chalicelib.orders.states import State
from chalicelib.problems import FieldProblem, InvalidRequest
from chalicelib.risk.counters import Claims, Movement, movements
from chalicelib.risk.limits import LimitsInForce
from chalicelib.waiting.circulation import pair_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# Ids come from outside too, and DynamoDB answers an empty or overlong key with an error of its own.
_ORDER_ID = re.compile(r"[\x21-\x7e]{1,64}")


CLIENT_ORDER_ID_ITEM = "clientOrderId"

# How many orders one listing reads at most, kept or not: what a request costs is bounded, whatever it filters by.
MOST_READ = 1_000
# How many orders DynamoDB gives by their keys at once.
READ_AT_ONCE = 100
# As many milliseconds as an order's place in an index has digits for.
LAST_MS = 10**15 - 1

# How often a write is tried that met another transaction on one of its items, a counter mostly.
CONFLICT_TRIES = 8


def pause_after_conflict(number: int) -> None:
    """Wait before another try, longer each time, and not as long as those that the write collided with."""
    time.sleep(random.uniform(0.0, 0.01 * 2**number))  # noqa: S311 - no secret


def system_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class OrderTable:
    """The Orders of ports.py in DynamoDB. Every read of a single order is consistent.

    `counters` is the control table's name, `circulations` that of the pairs' circulations, which an order's write moves
    that waits or waited for its price. `pause` waits after the nth conflict, from 0.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        counters: str,
        circulations: str,
        pause: Callable[[int], None] = pause_after_conflict,
        now_ms: Callable[[], int] = system_clock_ms,
    ) -> None:
        self._client = client
        self._table = Table(client, table)
        self._counters = counters
        self._circulations = circulations
        self._now_ms = now_ms
        self._pause = pause

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        """Store a new order. False, and nothing written, where its id is taken.

        Its client order id is an item of its own, put in the same transaction and never deleted.

        Raises CounterFull where that would be one more than `limits` let through, ClientOrderIdInUse where another
        order of the account has its client order id; nothing is written then.
        """
        created = as_created(order)
        moved = movements(order.account, Claims(), order.claims, limits)
        waiting = self._waiting(Claims(), order)
        return self._write(created, "attribute_not_exists(orderId)", {}, moved, waiting, order.client_order_id)

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
        waiting = self._waiting(booked_before(order), order)
        if not self._write(written, "revision = :revision", {"revision": order.revision}, moved, waiting):
            raise StaleOrder(order.order_id)
        return written

    def _waiting(self, before: Claims, order: Order) -> list[Any]:
        """How the write moves its pair's circulation: it is there while one of the pair's orders waits."""
        by = order.claims.waiting - before.waiting
        if not by and order.state is not State.OPEN:
            return []
        pair = pair_of(order.mint_in, order.mint_out)
        return [circulation_update(self._circulations, pair, by, self._now_ms())]

    def _write(
        self,
        order: Order,
        condition: str,
        values: Item,
        moved: Sequence[Movement],
        waiting: Sequence[Any],
        claimed: str | None = None,
    ) -> bool:
        """Write the order if `condition` holds, and all that moves with it; False, and nothing written, if not.

        Where AWS's answer is lost botocore sends the write again. Each write has an id of its own, by which the second
        finds that the first went through, and does not take it for another writer's.
        """
        item = {**order_to_item(order), "writeId": uuid.uuid4().hex}
        for number in range(CONFLICT_TRIES):
            try:
                if not moved and not waiting and claimed is None:
                    return self._put(item, condition, values)
                return self._transact(item, condition, values, moved, waiting, claimed)
            except WriteConflict:
                if number == CONFLICT_TRIES - 1:
                    raise
                self._pause(number)
        raise AssertionError("the last try returns or raises")

    def _put(self, item: Item, condition: str, values: Item) -> bool:
        ours = {**values, "write": item["writeId"]}
        return self._table.put_if(f"{condition} OR writeId = :write", item, ours)

    def _transact(
        self,
        item: Item,
        condition: str,
        values: Item,
        moved: Sequence[Movement],
        waiting: Sequence[Any],
        claimed: str | None,
    ) -> bool:
        """The order, its client order id if it claims one, the counters and the circulation, all or nothing.

        Its own write doesn't meet the condition a second time, as it does in `_put`: the counters would move twice.
        """
        put = self._table.put_action(condition, item, values)
        claims = [] if claimed is None else [self._claim(item, claimed)]
        updates: list[Any] = [counter_update(self._counters, movement) for movement in moved]
        with translated():
            try:
                self._client.transact_write_items(TransactItems=[put, *claims, *updates, *waiting])
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

        About `limit`, most overdue first in each part of the index.
        """
        for shard in OPEN_PARTS:
            yield from self._due(shard, before_ms, limit if shard == LATE_SHARD else ceil_div(limit, OPEN_SHARDS))

    def late(self, before_ms: int, limit: int) -> Iterator[Order]:
        """As LateOrders.late; the most overdue first in each part of the index."""
        each = ceil_div(limit, len(OPEN_PARTS))
        for shard in OPEN_PARTS:
            yield from self._due(shard, None if shard == LATE_SHARD else before_ms, each)

    def _due(self, shard: str, before_ms: int | None, limit: int) -> Iterator[Order]:
        """The first of a part of the index, as they stand; None: however soon they are due."""
        values: Item = {"shard": shard}
        condition = "openShard = :shard"
        if before_ms is not None:
            condition, values["before"] = f"{condition} AND dueAtMs < :before", before_ms
        found = self._table.query(condition, values, index="byDue", read_at_once=limit)
        for item in islice(found, limit):
            order = self.load(item["orderId"])
            if order is not None and not order.is_terminal:
                yield order

    def open_of_key(self, key_id: str) -> Iterator[Order]:
        """The orders that have not ended and were placed with the API key of that public name."""
        for shard in OPEN_PARTS:
            for item in self._table.query("openShard = :shard", {"shard": shard}, index="byDue"):
                order = self.load(item["orderId"])
                if order is not None and order.key_id == key_id and not order.is_terminal:
                    yield order

    def look_again_at(self, order: Order, due_at_ms: int, *, is_late: bool) -> bool:
        """As Orders.look_again_at."""
        shard = LATE_SHARD if is_late else open_shard(order.order_id)
        return self._table.update_if(
            "revision = :revision AND attribute_exists(openShard)",
            _key(order.order_id),
            "SET dueAtMs = :due, openShard = :shard",
            {"due": due_at_ms, "shard": shard, "revision": order.revision},
        )

    def page(self, account: str, keep: OrderFilter, limit: int, cursor: str | None) -> OrderPage:
        """An account's orders, newest first. Raises InvalidRequest on a cursor that is not one of ours.

        The cursor is the last order's place, so that a page neither repeats nor skips when orders come in between.
        Where few of many orders are kept, a page ends after MOST_READ, short or empty, with the place to go on from.
        """
        place = None if cursor is None else _decode_cursor(cursor)
        first_ms = max(keep.from_ms or 0, 0)
        if (place is not None and place[0] < first_ms) or (keep.to_ms is not None and keep.to_ms <= first_ms):
            return OrderPage((), None)
        # a place after all that is looked for is where to begin anyway; DynamoDB would refuse it
        is_within = place is not None and (keep.to_ms is None or place[0] < keep.to_ms)
        after = _list_place(account, *place) if place is not None and is_within else None
        orders: list[Order] = []
        read = 0
        while True:
            found = self._newest_first(account, keep, after, limit + 1, MOST_READ - read)
            for order in map(item_to_order, found.items):
                if len(orders) == limit:
                    return OrderPage(tuple(orders), _encode_cursor(orders[-1].created_at_ms, orders[-1].order_id))
                orders.append(order)
            read, after = read + found.read, found.last
            if after is None:
                return OrderPage(tuple(orders), None)
            if read >= MOST_READ:
                created_at_ms, _, order_id = str(after["listKey"]).partition("#")
                return OrderPage(tuple(orders), _encode_cursor(int(created_at_ms), order_id))

    def _newest_first(
        self, account: str, keep: OrderFilter, after: Item | None, wanted_at_once: int, most_read: int
    ) -> QueryPage:
        wanted = {"status": keep.status, "mintIn": keep.mint_in, "mintOut": keep.mint_out}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        condition, values = _placed_within(keep.from_ms, keep.to_ms)
        return self._table.query_page(
            f"account = :account{condition}",
            {"account": account, **wanted, **values},
            index="byAccount",
            keep=" AND ".join(f"#{name} = :{name}" for name in wanted) or None,
            # a limit counts what is read and not what is kept: a rare order would take a read for every few others
            most_read=most_read if wanted else min(wanted_at_once, most_read),
            after=after,
        )

    def cancellable(self, account: str, *, waiting_alone: bool, placed_by_ms: int, at_most: int) -> list[str]:
        """As StandingOrders.cancellable."""
        found = [
            item["standing"].partition("#")[2]
            for kind in ((WAITING,) if waiting_alone else (WAITING, STARTING))
            for item in self._standing(account, standing_key(kind, 0), standing_key(kind, placed_by_ms + 1), at_most)
        ]
        return [place.partition("#")[2] for place in sorted(found, reverse=True)[:at_most]]

    def fills(
        self, account: str, from_ms: int | None, to_ms: int | None, mint: str | None, limit: int, cursor: str | None
    ) -> OrderPage:
        """As StandingOrders.fills."""
        first, end = (
            standing_key(FILLED, max(from_ms or 0, 0)),
            standing_key(FILLED, LAST_MS if to_ms is None else to_ms),
        )
        if cursor is not None:
            end = min(end, standing_key(FILLED, *_decode_cursor(cursor)))
        orders: list[Order] = []
        read = 0
        while end > first:
            places = self._standing(account, first, end, READ_AT_ONCE + 1)
            for order in self._load_each([place["orderId"] for place in places[:READ_AT_ONCE]]):
                if mint not in (None, order.mint_in, order.mint_out):
                    continue
                if len(orders) == limit:
                    return OrderPage(tuple(orders), _encode_cursor(orders[-1].updated_at_ms, orders[-1].order_id))
                orders.append(order)
            if len(places) <= READ_AT_ONCE:
                break
            end, read = places[READ_AT_ONCE - 1]["standing"], read + READ_AT_ONCE
            if read >= MOST_READ:
                _, at_ms, order_id = end.split("#", 2)
                return OrderPage(tuple(orders), _encode_cursor(int(at_ms), order_id))
        return OrderPage(tuple(orders), None)

    def _standing(self, account: str, first: str, end: str, at_most: int) -> list[Item]:
        """Where orders stand from `first` on and before `end`, last first."""
        values = {"account": account, "first": first, "end": end}
        found = self._table.query(
            "account = :account AND standing BETWEEN :first AND :end",
            values,
            index="byStanding",
            newest_first=True,
            read_at_once=at_most + 1,
        )
        return list(islice((item for item in found if item["standing"] < end), at_most))

    def _load_each(self, order_ids: Sequence[str]) -> Iterator[Order]:
        """The orders in this order."""
        items = {item["orderId"]: item for item in self._table.get_each(map(_key, order_ids))} if order_ids else {}
        return (item_to_order(items[order_id]) for order_id in order_ids if order_id in items)


def _placed_within(from_ms: int | None, to_ms: int | None) -> tuple[str, Item]:
    """A query's condition on when an order was placed, and its values. No order's place equals either end."""
    if from_ms is None and to_ms is None:
        return "", {}
    values = {"first": _list_key(max(from_ms or 0, 0), ""), "end": _list_key(LAST_MS if to_ms is None else to_ms, "")}
    return " AND listKey BETWEEN :first AND :end", values


def _list_key(created_at_ms: int, order_id: str) -> str:
    return f"{created_at_ms:015d}#{order_id}"


def _list_place(account: str, created_at_ms: int, order_id: str) -> Item:
    """An order's key in the index of its account's orders."""
    return {"account": account, "listKey": _list_key(created_at_ms, order_id), **_key(order_id)}


def _key(order_id: str) -> Item:
    return {"orderId": order_id, "item": ORDER_ITEM}


def _claim_key(account: str, client_order_id: str) -> Item:
    """No id of an order has a line break, and no client order id."""
    return {"orderId": f"{account}\n{client_order_id}", "item": CLIENT_ORDER_ID_ITEM}


def _encode_cursor(created_at_ms: int, order_id: str) -> str:
    place = json.dumps([created_at_ms, order_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[int, str]:
    """The time and the id of the last order of the page before. Raises InvalidRequest."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        created_at_ms, order_id = place
        if type(created_at_ms) is not int or not 0 <= created_at_ms < LAST_MS or not _ORDER_ID.fullmatch(order_id):
            raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise InvalidRequest([FieldProblem("cursor", "must be a nextCursor of an earlier page")]) from None
    return created_at_ms, order_id
