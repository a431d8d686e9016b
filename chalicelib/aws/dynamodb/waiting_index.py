"""The WaitingOrders of waiting/ports.py: an index of the orders table by pair, with what a look needs in one attribute.

An order is in it only while it is open. One text is a fraction of what as many attributes take to read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.table import Table
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from chalicelib.waiting.circulation import mints_of, pair_of
from chalicelib.waiting.waiting_order import WaitingOrder, waiting_order

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "byPair"


def waiting_attributes(order: Order) -> Item:
    """What the index needs of an order; nothing of one that isn't open."""
    if order.state is not State.OPEN:
        return {}
    waits = waiting_order(order)
    told = [
        int(waits.mint_in > waits.mint_out),
        waits.amount,
        waits.limit_out,
        waits.stop_out,
        waits.trailing_ppm,
        waits.best_out,
        int(waits.is_triggered),
        waits.wait_until_ms,
        waits.expires_at_ms,
    ]
    return {"waitingPair": pair_of(waits.mint_in, waits.mint_out), "waitsFor": json.dumps(told, separators=(",", ":"))}


class WaitingIndex:
    """`table` is the orders table's name. Reads are of an index, and so not consistent."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def of_pair(self, pair: str) -> Iterator[WaitingOrder]:
        """As WaitingOrders.of_pair."""
        first, second = mints_of(pair)
        found = self._table.query("waitingPair = :pair", {"pair": pair}, index=INDEX)
        for item in found:
            turned, amount, limit_out, stop_out, trailing_ppm, best_out, is_triggered, wait_until_ms, expires_at_ms = (
                json.loads(item["waitsFor"])
            )
            mint_in, mint_out = (second, first) if turned else (first, second)
            yield WaitingOrder(
                order_id=item["orderId"],
                mint_in=mint_in,
                mint_out=mint_out,
                amount=amount,
                limit_out=limit_out,
                stop_out=stop_out,
                trailing_ppm=trailing_ppm,
                best_out=best_out,
                is_triggered=bool(is_triggered),
                wait_until_ms=wait_until_ms,
                expires_at_ms=expires_at_ms,
            )
