"""Open WebSocket connections: whose they are, and how often they speak; and which tickets let one in already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.access.tickets import Ticket
from chalicelib.aws.dynamodb.attribute_values import deserialize, serialize
from chalicelib.aws.dynamodb.meter import Meter, rate_attributes
from chalicelib.aws.errors import is_condition_failure
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS
from chalicelib.rate import Rate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# 10 a second and 10 at once.
MESSAGE_RATE = Rate(limit=19, burst=10, period_us=1_000_000)
_PREFIX = "connection#"
# A used ticket is remembered until no clock of ours can take it for a valid one.
_TICKET_MARGIN_SECONDS = 600


class ConnectionTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._meter = Meter(client, table)

    def open(self, connection_id: str, account: str, key_id: str | None, now_ms: int) -> None:
        """Remember whose connection it is, and by which API key; None where the stage asked for none."""
        item = {
            "name": _name(connection_id),
            "account": account,
            "keyId": key_id,
            "expiresAt": now_ms // 1000 + CONNECTION_LIFE_SECONDS,
            **rate_attributes(MESSAGE_RATE),
        }
        self._client.put_item(TableName=self._table, Item=serialize(item))

    def hear(self, connection_id: str, now_ms: int) -> str:
        """Count one message of the connection; returns its account. Raises Unusable or UsedTooOften (see meter.py)."""
        account: str = self._meter.use(_name(connection_id), now_ms)["account"]
        return account

    def close(self, connection_id: str) -> None:
        self._client.delete_item(TableName=self._table, Key={"name": {"S": _name(connection_id)}})

    def open_ones(self, now_ms: int) -> dict[str, str | None]:
        """Every open connection, with the key that it was opened by.

        Consistent: one that was opened before the call and not closed meanwhile is there.
        """
        found: dict[str, str | None] = {}
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(#name, :connection) AND expiresAt > :now",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues={":connection": {"S": _PREFIX}, ":now": {"N": str(now_ms // 1000)}},
        )
        for page in pages:
            for item in map(deserialize, page["Items"]):
                found[item["name"].removeprefix(_PREFIX)] = item.get("keyId")
        return found

    def use_ticket(self, ticket: Ticket, connection_id: str) -> bool:
        """Let the ticket be used by this connection and no other. False where another has used it.

        Sent again because its answer was lost, the write finds its own connection there.
        """
        item = {
            "name": f"ticket#{ticket.nonce}",
            "connectionId": connection_id,
            "expiresAt": ticket.expires_at_ms // 1000 + _TICKET_MARGIN_SECONDS,
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=serialize(item),
                ConditionExpression="attribute_not_exists(#name) OR connectionId = :connection",
                ExpressionAttributeNames={"#name": "name"},
                ExpressionAttributeValues={":connection": {"S": connection_id}},
            )
        except ClientError as error:
            if not is_condition_failure(error):
                raise
            return False
        return True


def _name(connection_id: str) -> str:
    return _PREFIX + connection_id
