"""Every version of every order, as it was seen on its way to the table: what an item was before it was overwritten."""

from __future__ import annotations

import base64
import json
from base64 import b64encode
from collections import defaultdict
from typing import Any

from chalicelib.aws.dynamodb.packed_item import unpacked
from testing.fault_proxy import Call

Json = dict[str, Any]


class Versions:
    """Looks at answered calls of DynamoDB; what a killed emulator never answered is not among them."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[int, Json]] = defaultdict(dict)

    def of(self, order_id: str) -> dict[int, Json]:
        """The order's versions by revision, as plain values."""
        return dict(self._seen.get(order_id, {}))

    def see(self, call: Call) -> None:
        """Keep what the call wrote of orders, if DynamoDB did it."""
        written = orders_written(call)
        if written and not _failed(call.answer):
            for order in map(plain_order, written):
                self._seen[order["orderId"]][order["revision"]] = order


def orders_written(call: Call) -> list[Json]:
    """The orders, in DynamoDB's typed values, that the call writes, alone or in one transaction with other items."""
    if not {"PutItem", "TransactWriteItems"} & set(call.targets):
        return []
    items = [action.get("Put", {}).get("Item", {}) for action in call.body.get("TransactItems", [{"Put": call.body}])]
    return [item for item in items if item.get("item") == {"S": "order"}]


def _failed(answer: bytes) -> bool:
    try:
        return "__type" in json.loads(answer)
    except ValueError:
        return True


def plain_order(item: Json) -> Json:
    """An order's item with each attribute by itself, however it is stored."""
    return unpacked(plain(item))


def plain(item: Json) -> Json:
    """DynamoDB's typed values, of its JSON or of boto3, as Python's; numbers as int."""
    return {name: _plain_value(value) for name, value in item.items()}


def _plain_value(value: Json) -> Any:
    ((kind, inner),) = value.items()
    match kind:
        case "N":
            return int(inner)
        case "B":
            return inner if isinstance(inner, bytes) else base64.b64decode(inner)
        case "L":
            return [_plain_value(one) for one in inner]
        case "M":
            return plain(inner)
        case "NULL":
            return None
        case "B" if isinstance(inner, bytes):
            return b64encode(inner).decode()  # as it is on its way there
    return inner
