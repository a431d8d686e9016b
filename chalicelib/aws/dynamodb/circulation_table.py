"""The Circulations of waiting/ports.py in DynamoDB: an item a pair, which its orders' writes move as they are made.

So does the write that begins a stream of the pair's quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.table import Table
from chalicelib.waiting.circulation import LOOK_LEASE_MS, SILENT_MS, Circulation
from chalicelib.waiting.ports import LookRefused, LookTaken

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def circulation_update(table: str, pair: str, by: int, now_ms: int) -> dict[str, Any]:
    """An order's write as its pair's circulation has it, an action of a transaction: `by` orders more wait now."""
    values = {":by": by, ":one": 1, ":now": now_ms}
    return {
        "Update": {
            "TableName": table,
            "Key": {"pair": {"S": pair}},
            "UpdateExpression": (
                "SET startedAtMs = if_not_exists(startedAtMs, :now), changedAtMs = :now ADD orders :by, changes :one"
            ),
            "ExpressionAttributeValues": {name: {"N": str(value)} for name, value in values.items()},
        }
    }


def stream_start(table: str, pair: str, now_ms: int) -> dict[str, Any]:
    """The beginning of a stream of the pair's quotes as its circulation has it, an action of a transaction."""
    values = {":none": 0, ":one": 1, ":now": now_ms}
    return {
        "Update": {
            "TableName": table,
            "Key": {"pair": {"S": pair}},
            "UpdateExpression": (
                "SET startedAtMs = if_not_exists(startedAtMs, :now) ADD orders :none, streamStarts :one"
            ),
            "ExpressionAttributeValues": {name: {"N": str(value)} for name, value in values.items()},
        }
    }


class CirculationTable:
    """See waiting/ports.py. Where AWS's answer is lost, the second writing finds that the first went through."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def load(self, pair: str) -> Circulation | None:
        """As Circulations.load."""
        item = self._table.get(_key(pair))
        return None if item is None else _circulation(item)

    def all(self) -> Iterator[Circulation]:
        """As Circulations.all."""
        return map(_circulation, self._table.scan())

    def take(self, pair: str, ticket: int, owner: str, now_ms: int) -> LookTaken | LookRefused:
        """As Circulations.take. No lease is longer than a lease is: one that seems so is of a clock that was ahead."""
        is_free = (
            "(attribute_not_exists(leaseOwner) OR leaseOwner = :owner"
            " OR leaseUntilMs <= :now OR leaseUntilMs > :latest)"
        )
        counts = (
            "(ticket = :ticket OR attribute_not_exists(nextAtMs) OR nextAtMs < :silent OR aliveAtMs > :ahead"
            " OR leaseOwner = :owner)"
        )
        taken, item = self._table.update_and_tell(
            f"attribute_exists(#pair) AND {is_free} AND {counts}",
            _key(pair),
            "SET leaseOwner = :owner, leaseUntilMs = :until",
            {
                "owner": owner,
                "now": now_ms,
                "until": now_ms + LOOK_LEASE_MS,
                "latest": now_ms + LOOK_LEASE_MS,
                "ticket": ticket,
                "silent": now_ms - SILENT_MS,
                "ahead": now_ms + SILENT_MS,
            },
        )
        if taken:
            return LookTaken(_circulation(item))
        return LookRefused(_circulation(item) if item else None)

    def pass_on(
        self,
        pair: str,
        owner: str,
        ticket: int,
        now_ms: int,
        next_at_ms: int,
        looked_at_ms: int | None,
        streamless_at: int | None = None,
    ) -> bool:
        """As Circulations.pass_on."""
        given = {
            "ticket": ticket,
            "aliveAtMs": now_ms,
            "nextAtMs": next_at_ms,
            "passedOnBy": owner,
            "lookedAtMs": looked_at_ms,
            "streamlessAt": streamless_at,
        }
        values = {name: value for name, value in given.items() if value is not None}
        return self._table.update_if(
            "leaseOwner = :passedOnBy OR passedOnBy = :passedOnBy",
            _key(pair),
            f"SET {', '.join(f'{name} = :{name}' for name in values)} REMOVE leaseOwner, leaseUntilMs",
            values,
        )

    def end(self, pair: str, owner: str, stream_starts: int = 0) -> bool:
        """As Circulations.end."""
        none_began = "streamStarts = :starts" if stream_starts else "attribute_not_exists(streamStarts)"
        return self._table.delete_if(
            f"orders = :none AND leaseOwner = :owner AND {none_began}",
            _key(pair),
            {"none": 0, "owner": owner, **({"starts": stream_starts} if stream_starts else {})},
        )


def _key(pair: str) -> Item:
    return {"pair": pair}


def _circulation(item: Item) -> Circulation:
    return Circulation(
        pair=str(item["pair"]),
        orders=int(item.get("orders", 0)),
        ticket=int(item.get("ticket", 0)),
        changes=int(item.get("changes", 0)),
        changed_at_ms=int(item.get("changedAtMs", 0)),
        started_at_ms=_time(item, "startedAtMs"),
        alive_at_ms=_time(item, "aliveAtMs"),
        next_at_ms=int(item.get("nextAtMs", 0)),
        looked_at_ms=_time(item, "lookedAtMs"),
        lease_owner=item.get("leaseOwner"),
        lease_until_ms=int(item.get("leaseUntilMs", 0)),
        stream_starts=int(item.get("streamStarts", 0)),
        streamless_at=int(item.get("streamlessAt", 0)),
    )


def _time(item: Item, name: str) -> int | None:
    return int(item[name]) if name in item else None
