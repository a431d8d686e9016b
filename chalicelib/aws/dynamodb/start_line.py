"""The Line of orders/starts.py in DynamoDB: the turns are an item of the control table, each order in line one too.

The item's `tatMs` is the rate's arrival time under the name that it has had since the first version.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.table import Table
from chalicelib.orders.turns import AccountInLine, Place, Turns, Waiting

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The turns' item in the control table.
ADMISSION = "admission"
_KEY = {"name": ADMISSION}
_NAMING = ConfigDict(alias_generator=to_camel)
_PLACES = TypeAdapter(dict[str, Place], config=_NAMING)
_LINE = TypeAdapter(tuple[AccountInLine, ...], config=_NAMING)


class StartLine:
    """See orders/starts.py. `control` is the control table's name, `line` that of the orders in line."""

    def __init__(self, client: DynamoDBClient, control: str, line: str) -> None:
        self._control = Table(client, control)
        self._line = Table(client, line)

    def turns(self) -> Turns:
        """As Line.turns."""
        return turns_in(self._control.get(_KEY) or {})

    def write(self, turns: Turns) -> bool:
        """As Line.write. Where AWS's answer is lost the second writing finds that the first went through."""
        places = {_place_name(place.order_id): place for place in turns.places}
        unchanged = "revision = :known" if turns.revision else "attribute_not_exists(revision)"
        return self._control.update_if(
            f"{unchanged} OR writeId = :write",
            _KEY,
            "SET tatMs = :arrival, places = :places, #line = :line, calledForMs = :called, "
            "revision = :next, writeId = :write",
            {
                **({"known": turns.revision} if turns.revision else {}),
                "arrival": turns.arrival_ms,
                "places": _PLACES.dump_python(places, by_alias=True),
                "line": _LINE.dump_python(turns.line, mode="json", by_alias=True),
                "called": turns.called_for_ms,
                "next": turns.revision + 1,
                "write": uuid.uuid4().hex,
            },
        )

    def end(self, order_id: str) -> Turns:
        """As Line.end."""
        place = f"places.#{_place_name(order_id)}"
        _ended, item = self._control.update_and_tell(
            f"attribute_exists({place})", _KEY, f"SET revision = revision + :one REMOVE {place}", {"one": 1}
        )
        return turns_in(item)

    def join(self, waiting: Waiting) -> bool:
        """As Line.join."""
        item = {**_key(waiting), "orderId": waiting.order_id, "toldMs": waiting.told_ms}
        if waiting.correlation_id:
            item["correlationId"] = waiting.correlation_id
        return self._line.put_if("attribute_not_exists(account)", item)

    def leave(self, waiting: Waiting) -> bool:
        """As Line.leave."""
        return self._line.take(_key(waiting)) is not None

    def of(self, account: str, limit: int) -> list[Waiting]:
        """As Line.of."""
        found = self._line.query("account = :account", {"account": account}, read_at_once=limit)
        return [_waiting(item) for _, item in zip(range(limit), found, strict=False)]

    def told(self, waiting: Waiting, told_ms: int) -> None:
        """As Line.told."""
        self._line.update_if("attribute_exists(account)", _key(waiting), "SET toldMs = :told", {"told": told_ms})

    def has(self, waiting: Waiting) -> bool:
        """As Line.has."""
        return self._line.get(_key(waiting), projection="place") is not None


def turns_in(item: Item) -> Turns:
    """The turns as their item has them; empty where there is none yet."""
    return Turns(
        arrival_ms=int(item.get("tatMs", 0)),
        places=tuple(_PLACES.validate_python(item.get("places", {})).values()),
        line=_LINE.validate_python(item.get("line", ())),
        called_for_ms=int(item.get("calledForMs", 0)),
        revision=int(item.get("revision", 0)),
    )


def _place_name(order_id: str) -> str:
    """Under which an order's place stands: expressions take letters, digits and low lines."""
    return "order_" + "".join(each if each.isalnum() else "_" for each in order_id)


def _key(waiting: Waiting) -> Item:
    """An account's orders in the order of their turns: those that need no slot, then the oldest."""
    return {
        "account": waiting.account,
        "place": f"{int(waiting.needs_slot)}#{waiting.since_ms:015d}#{waiting.order_id}",
    }


def _waiting(item: Item) -> Waiting:
    needs_slot, since_ms, _order_id = item["place"].split("#", 2)
    told_ms, correlation_id = int(item["toldMs"]), item.get("correlationId", "")
    return Waiting(item["orderId"], item["account"], int(since_ms), needs_slot == "1", told_ms, correlation_id)
