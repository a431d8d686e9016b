"""The table of API keys, by the SHA-256 of each. A key's rate and how much of it is used stand on its own item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chalicelib.access.keys import ApiKey, Scope
from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.meter import Meter
from chalicelib.aws.dynamodb.table import Table
from chalicelib.rate import per_minute

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class KeyTable:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)
        self._meter = Meter(client, table)

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        item = {
            **_at(key.digest),
            "keyId": key.key_id,
            "account": key.account,
            "scopes": sorted(scope.value for scope in key.scopes),
            "label": key.label,
            "ratePerMinute": key.rate_per_minute,
            "createdAtMs": key.created_at_ms,
            "validUntilMs": key.valid_until_ms,
            **self._meter.attributes(per_minute(key.rate_per_minute)),
        }
        if not self._table.put_if("attribute_not_exists(#name)", item):
            raise ValueError("a new key is not new: its digest is taken")

    def find(self, digest: str) -> ApiKey | None:
        """The key as it stands, or None; whether it is still valid is for the caller to ask."""
        item = self._table.get(_at(digest))
        return _to_key(item) if item else None

    def use(self, digest: str, now_ms: int) -> ApiKey:
        """Count one use of the key and return it, in one conditional write. Raises Unusable or TooSoon."""
        return _to_key(self._meter.use(_at(digest), now_ms))

    def by_id(self, key_id: str) -> ApiKey | None:
        """The key of that public name."""
        found = self._table.query("keyId = :id", {"id": key_id}, index="byKeyId")
        return next((key for item in found if (key := self._of(item))), None)

    def is_valid(self, key_id: str, now_ms: int) -> bool:
        """Whether the key of that public name may be used now."""
        key = self.by_id(key_id)
        return key is not None and key.is_valid(now_ms)

    def all(self) -> Iterator[ApiKey]:
        """Every key, ended ones too, in no order."""
        for item in self._table.scan(index="byKeyId"):
            if (key := self._of(item)) is not None:
                yield key

    def end(self, digest: str, at_ms: int) -> None:
        """Make the key invalid from `at_ms` on. An end that was set before is brought forward, never put off."""
        self._table.update_if(
            "attribute_exists(#name) AND (attribute_not_exists(validUntilMs) OR validUntilMs > :at)",
            _at(digest),
            "SET validUntilMs = :at",
            {"at": at_ms},
        )

    def _of(self, indexed: Item) -> ApiKey | None:
        """The key that the index names, as it stands by now."""
        return self.find(indexed["name"].removeprefix(_PREFIX))


_PREFIX = "key#"


def _at(digest: str) -> Item:
    return {"name": _PREFIX + digest}


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
