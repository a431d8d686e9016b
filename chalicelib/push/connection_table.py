"""Open WebSocket connections: whose they are, and how often they speak; and which tickets let one in already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.access.meter import Meter, rate_attributes
from chalicelib.access.rate import Rate
from chalicelib.access.tickets import Ticket
from chalicelib.orders.item import serialize
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# 10 a second and 10 at once.
MESSAGE_RATE = Rate(limit=19, burst=10, period_us=1_000_000)
# As many as one BatchGetItem takes.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MAX_ASKED_AT_ONCE = 100
# A used ticket is remembered until no clock of ours can take it for a valid one.
_TICKET_MARGIN_SECONDS = 600


class ConnectionTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._meter = Meter(client, table)

    def open(self, connection_id: str, account: str, now_ms: int) -> None:
        """Remember whose connection it is."""
        item = {
            "name": _name(connection_id),
            "account": account,
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

    def open_ones(self, connection_ids: Sequence[str], now_ms: int) -> set[str]:
        """Which of so many connections (MAX_ASKED_AT_ONCE at most, each once) are open."""
        found: set[str] = set()
        keys = [{"name": {"S": _name(connection_id)}} for connection_id in connection_ids]
        request: Any = {self._table: {"Keys": keys, "ConsistentRead": True}} if keys else None
        while request:
            response = self._client.batch_get_item(RequestItems=request)
            for item in response["Responses"].get(self._table, []):
                if int(item["expiresAt"]["N"]) > now_ms // 1000:  # the table forgets it when it finds the time
                    found.add(item["name"]["S"])
            request = response.get("UnprocessedKeys")
        return {connection_id for connection_id in connection_ids if _name(connection_id) in found}

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
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True


def _name(connection_id: str) -> str:
    return f"connection#{connection_id}"
