"""The orders table's stream: each record is one write. Read here into orders, without their signed bytes and quotes.

The stream's JSON carries bytes as text. Nobody outside may see the signed ones, and no message tells the quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.aws.dynamodb.attribute_values import deserialize
from chalicelib.aws.dynamodb.order_item import ORDER_ITEM, item_to_order
from chalicelib.log import logger
from chalicelib.orders.order import Order
from chalicelib.orders.states import TERMINAL

Record = Mapping[str, Any]

_LEFT_OUT = ("submission", "quotes")
_ENDED = frozenset(state.value for state in TERMINAL)


@dataclass(frozen=True, slots=True)
class OrderWrite:
    """An order as a write left it, and how many of its steps were there before the write."""

    order: Order
    known: int


def order_write(change: Mapping[str, Any]) -> OrderWrite | None:
    """What a record's `dynamodb` part tells of an order; None where it tells of none. Raises on what can't be read."""
    new, old = change.get("NewImage"), change.get("OldImage")
    if new is None or new["item"]["S"] != ORDER_ITEM:
        return None
    order = item_to_order(deserialize({name: value for name, value in new.items() if name not in _LEFT_OUT}))
    return OrderWrite(order, 0 if old is None else len(old["history"]["L"]))


def ended_orders(records: Iterable[Record]) -> Iterator[Order]:
    """Each order that one of these writes ended. What can't be read is logged and passed over."""
    for record in records:
        try:
            write = order_write(record["dynamodb"]) if _ends(record["dynamodb"]) else None
        except (KeyError, TypeError, ValueError):
            logger.exception("record not counted", event_id=record.get("eventID"))
            continue
        if write is not None:
            yield write.order


def _ends(change: Mapping[str, Any]) -> bool:
    """Whether this write ended an order."""
    new, old = change.get("NewImage"), change.get("OldImage")
    if new is None or new["item"]["S"] != ORDER_ITEM or new["state"]["S"] not in _ENDED:
        return False
    return old is None or old["state"]["S"] not in _ENDED
