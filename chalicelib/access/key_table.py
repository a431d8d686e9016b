"""The table of API keys, by the SHA-256 of each. A key's rate and how much of it is used stand on its own item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.access.keys import ApiKey, Scope
from chalicelib.aws.dynamodb.attribute_values import Item, deserialize, serialize
from chalicelib.aws.dynamodb.meter import Meter, rate_attributes
from chalicelib.aws.errors import is_condition_failure
from chalicelib.rate import per_minute

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class KeyTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._meter = Meter(client, table)

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        item = {
            "name": _name(key.digest),
            "keyId": key.key_id,
            "account": key.account,
            "scopes": sorted(scope.value for scope in key.scopes),
            "label": key.label,
            "ratePerMinute": key.rate_per_minute,
            "createdAtMs": key.created_at_ms,
            "validUntilMs": key.valid_until_ms,
            **rate_attributes(per_minute(key.rate_per_minute)),
        }
        self._client.put_item(
            TableName=self._table,
            Item=serialize(item),
            ConditionExpression="attribute_not_exists(#name)",
            ExpressionAttributeNames={"#name": "name"},
        )

    def find(self, digest: str) -> ApiKey | None:
        """The key as it stands, or None; whether it is still valid is for the caller to ask."""
        response = self._client.get_item(TableName=self._table, Key={"name": {"S": _name(digest)}}, ConsistentRead=True)
        item = response.get("Item")
        return _to_key(deserialize(item)) if item else None

    def use(self, digest: str, now_ms: int) -> ApiKey:
        """Count one use of the key and return it, in one conditional write. Raises Unusable or UsedTooOften."""
        return _to_key(self._meter.use(_name(digest), now_ms))

    def by_id(self, key_id: str) -> ApiKey | None:
        """The key of that public name."""
        response = self._client.query(
            TableName=self._table,
            IndexName="byKeyId",
            KeyConditionExpression="keyId = :id",
            ExpressionAttributeValues={":id": {"S": key_id}},
        )
        return next((key for item in response["Items"] if (key := self._at(item["name"]["S"]))), None)

    def is_valid(self, key_id: str, now_ms: int) -> bool:
        """Whether the key of that public name may be used now."""
        key = self.by_id(key_id)
        return key is not None and key.is_valid(now_ms)

    def all(self) -> Iterator[ApiKey]:
        """Every key, ended ones too, in no order."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._table, IndexName="byKeyId"):
            for item in page["Items"]:
                if (key := self._at(item["name"]["S"])) is not None:
                    yield key

    def end(self, digest: str, at_ms: int) -> None:
        """Make the key invalid from `at_ms` on. An end that was set before is brought forward, never put off."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"name": {"S": _name(digest)}},
                UpdateExpression="SET validUntilMs = :at",
                ConditionExpression="attribute_exists(#name)"
                " AND (attribute_not_exists(validUntilMs) OR validUntilMs > :at)",
                ExpressionAttributeNames={"#name": "name"},
                ExpressionAttributeValues={":at": {"N": str(at_ms)}},
            )
        except ClientError as error:
            if not is_condition_failure(error):
                raise

    def _at(self, name: str) -> ApiKey | None:
        return self.find(name.removeprefix(_PREFIX))


_PREFIX = "key#"


def _name(digest: str) -> str:
    return _PREFIX + digest


def _to_key(item: Item) -> ApiKey:
    return ApiKey(
        digest=item["name"].removeprefix(_PREFIX),
        key_id=item["keyId"],
        account=item["account"],
        scopes=frozenset(map(Scope, item["scopes"])),
        label=item["label"],
        rate_per_minute=int(item["ratePerMinute"]),
        created_at_ms=int(item["createdAtMs"]),
        valid_until_ms=int(item["validUntilMs"]) if "validUntilMs" in item else None,
    )
