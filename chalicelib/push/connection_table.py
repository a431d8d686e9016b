"""Open WebSocket connections: whose they are, and how often they speak; and which tickets let one in already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.access.tickets import Ticket
from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.meter import Meter
from chalicelib.aws.dynamodb.table import Table
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS
from chalicelib.rate import Rate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# 10 a second and 10 at once.
MESSAGE_RATE = Rate(limit=19, burst=10, period=1_000_000)
_PREFIX = "connection#"
# A used ticket is remembered until no clock of ours can take it for a valid one.
_TICKET_MARGIN_SECONDS = 600


class ConnectionTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)
        self._meter = Meter(client, table)

    def open(self, connection_id: str, account: str, key_id: str | None, now_ms: int) -> None:
        """Remember whose connection it is, and by which API key; None where the stage asked for none."""
        item = {
            **_at(connection_id),
            "account": account,
            "keyId": key_id,
            "expiresAt": now_ms // 1000 + CONNECTION_LIFE_SECONDS,
            **self._meter.attributes(MESSAGE_RATE),
        }
        self._table.put(item)

    def hear(self, connection_id: str, now_ms: int) -> str:
        """Count one message of the connection; returns its account. Raises Unusable or TooSoon (see meter.py)."""
        account: str = self._meter.use(_at(connection_id), now_ms)["account"]
        return account

    def close(self, connection_id: str) -> None:
        self._table.delete(_at(connection_id))

    def open_ones(self, now_ms: int) -> dict[str, str | None]:
        """Every open connection, with the key that it was opened by.

        Consistent: one that was opened before the call and not closed meanwhile is there.
        """
        found = self._table.scan(
            "begins_with(#name, :connection) AND expiresAt > :now", {"connection": _PREFIX, "now": now_ms // 1000}
        )
        return {item["name"].removeprefix(_PREFIX): item.get("keyId") for item in found}

    def use_ticket(self, ticket: Ticket, connection_id: str) -> bool:
        """Let the ticket be used by this connection and no other. False where another has used it.

        Sent again because its answer was lost, the write finds its own connection there.
        """
        item = {
            "name": f"ticket#{ticket.nonce}",
            "connectionId": connection_id,
            "expiresAt": ticket.expires_at_ms // 1000 + _TICKET_MARGIN_SECONDS,
        }
        condition = "attribute_not_exists(#name) OR connectionId = :connection"
        return self._table.put_if(condition, item, {"connection": connection_id})


def _at(connection_id: str) -> Item:
    return {"name": _PREFIX + connection_id}
