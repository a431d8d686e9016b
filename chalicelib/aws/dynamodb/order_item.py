"""The order as a DynamoDB item, both ways: its own fields by name, in camelCase. contract/ says what the API shows.

Attributes have had these names since the first version, and items of every version are read: a field that an item
lacks has its default.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel, to_snake

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.waiting_index import waiting_attributes
from chalicelib.orders.fills import is_fill
from chalicelib.orders.life import is_cancellable
from chalicelib.orders.order import Order, dex_names
from chalicelib.orders.recovery import due_at_ms
from chalicelib.orders.states import State

ORDER_ITEM = "order"
OPEN_SHARDS = 4
# Where those stand meanwhile that the sweeper has handed back because nobody came to them.
LATE_SHARD = "late"
OPEN_PARTS = (*(f"open#{number}" for number in range(OPEN_SHARDS)), LATE_SHARD)

# How an account's orders stand: waiting for a condition, on their way and not signed, filled.
WAITING, STARTING, FILLED = "open", "starting", "filled"

# Of one order: pydantic takes no naming for a dataclass alone, lest it contradict one of the dataclass's own.
_ORDERS = TypeAdapter(tuple[Order], config=ConfigDict(alias_generator=to_camel))
# Of a step these stand at the top, and all that it tells in `detail`, there in snake_case.
_OF_ONE_THAT_WAITS = ("signedTries", "pauses", "waitUntilMs", "movedAtMs", "waitingWeight", "changes")
_OF_THE_STEP_ITSELF = ("seq", "status", "atMs", "retryCount")


def order_to_item(order: Order) -> Item:
    """The order as one item; `status`, `mintIn` and `listKey` stand at the top because queries filter on them."""
    item: Item
    (item,) = _ORDERS.dump_python((order,), by_alias=True, exclude_none=True)
    token_in, token_out, lease = item["tokenIn"], item["tokenOut"], item.pop("lease", {})
    if not order.correlation_id:
        del item["correlationId"]
    if order.booked is not None and not order.booked.fees:
        del item["booked"]["fees"]
    if order.booked is not None and not order.booked.waiting:
        del item["booked"]["waiting"]
    for name in _OF_ONE_THAT_WAITS:
        if not item[name]:
            del item[name]
    return {
        **item,
        "item": ORDER_ITEM,
        "listKey": f"{order.created_at_ms:015d}#{order.order_id}",
        "status": order.status.value,
        "state": order.state.value,
        "mintIn": token_in["mint"],
        "mintOut": token_out["mint"],
        "tokenIn": token_in["text"],
        "tokenOut": token_out["text"],
        "decimalsIn": token_in["decimals"],
        "decimalsOut": token_out["decimals"],
        "updatedAtMs": order.updated_at_ms,
        "history": [_step_to_map(step) for step in item["history"]],
        **({"quotes": _packed(item["quotes"])} if "quotes" in item else {}),
        **_due(order),
        **_standing(order),
        **waiting_attributes(order),
        **{f"lease{name[:1].upper()}{name[1:]}": value for name, value in lease.items()},
    }


def item_to_order(item: Item) -> Order:
    """The order that `order_to_item` wrote, now or in an earlier version. Raises KeyError or ValueError otherwise."""
    found = {
        **item,
        "tokenIn": {"text": item["tokenIn"], "mint": item["mintIn"], "decimals": item["decimalsIn"]},
        "tokenOut": {"text": item["tokenOut"], "mint": item["mintOut"], "decimals": item["decimalsOut"]},
        "history": [_step_from_map(step) for step in item["history"]],
        # an order of before there were counters is in none of them
        "booked": item.get("booked", {}),
    }
    if "leaseOwner" in item:
        found["lease"] = {"owner": item["leaseOwner"], "untilMs": item["leaseUntilMs"]}
    if "quotes" in item:
        found["quotes"] = _unpacked(item["quotes"])
    if "submission" in item:
        found["submission"] = {**item["submission"], "wire": bytes(item["submission"]["wire"])}
    (order,) = _ORDERS.validate_python((found,))
    if order.route and order.dex_used is None:  # only steps had it once
        order = replace(order, dex_used=dex_names(order.route))
    if order.first_quoted_out is None and order.quoted_out is not None:  # of before the first quote was kept
        order = replace(order, first_quoted_out=order.quoted_out)
    return order


def _due(order: Order) -> Item:
    """What the sweeper's index needs: only orders that have not ended are in it, by when a worker should have come.

    The index is spread over a few keys, for one key takes 1000 writes a second.
    """
    if order.is_terminal:
        return {}
    return {"openShard": open_shard(order.order_id), "dueAtMs": due_at_ms(order)}


def _standing(order: Order) -> Item:
    """What an account's index needs in which only those orders are that may be cancelled, and those that were filled.

    By when they were placed, or filled, so that either can be read newest first without reading the others.
    """
    if is_fill(order):
        return {"standing": standing_key(FILLED, order.updated_at_ms, order.order_id)}
    if not is_cancellable(order):
        return {}
    kind = WAITING if order.state is State.OPEN else STARTING
    return {"standing": standing_key(kind, order.created_at_ms, order.order_id)}


def standing_key(kind: str, at_ms: int, order_id: str = "") -> str:
    """Where an order stands among its account's; without an id, before all of that time."""
    return f"{kind}#{at_ms:015d}#{order_id}"


def open_shard(order_id: str) -> str:
    return f"open#{zlib.crc32(order_id.encode()) % OPEN_SHARDS}"


def _packed(quotes: Any) -> bytes:
    """As JSON in zlib's format: DynamoDB bills all of an item's bytes at each write, and no query asks for these."""
    return zlib.compress(json.dumps(quotes, separators=(",", ":")).encode())


def _unpacked(quotes: Any) -> Any:
    """What was packed; a list as it was written before. Raises ValueError."""
    if isinstance(quotes, list):
        return quotes
    try:
        return json.loads(zlib.decompress(bytes(quotes)))
    except zlib.error as error:
        raise ValueError(f"the quotes can't be read: {error}") from None


def _step_to_map(step: Item) -> Item:
    told = {to_snake(name): value for name, value in step.items() if name not in _OF_THE_STEP_ITSELF}
    return {**{name: step[name] for name in _OF_THE_STEP_ITSELF}, "detail": told}


def _step_from_map(step: Item) -> Item:
    return {**step, **{to_camel(name): value for name, value in step["detail"].items()}}
