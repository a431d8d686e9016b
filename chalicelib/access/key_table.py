"""The table of API keys, by the SHA-256 of each. The operators write it, and no function: see key_meter.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.access.keys import ApiKey, Scope
from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.recorder import Recorder, no_record
from chalicelib.aws.dynamodb.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class KeyTable:
    """What is changed is written with what `record` adds, in one transaction."""

    def __init__(self, client: DynamoDBClient, table: str, record: Recorder = no_record) -> None:
        self._table = Table(client, table)
        self._record = record
        # The digest of a public name, which never changes.
        self._digests: dict[str, str] = {}

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        item = {
            "keyId": key.key_id,
            "account": key.account,
            "scopes": sorted(scope.value for scope in key.scopes),
            "label": key.label,
            "ratePerMinute": key.rate_per_minute,
            "createdAtMs": key.created_at_ms,
            **({} if key.valid_until_ms is None else {"validUntilMs": key.valid_until_ms}),
        }

        def added(before: Item | None) -> Item:
            if before is not None:
                raise ValueError("a new key is not new: its digest is taken")
            return item

        self._table.change(_at(key.digest), added, partial(self._record, "keys", "create", key.key_id))

    def find(self, digest: str) -> ApiKey | None:
        """The key as it stands, or None; whether it is still valid is for the caller to ask."""
        item = self._table.get(_at(digest))
        return _to_key(item) if item else None

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

    def is_revoked(self, key_id: str) -> bool:
        """Whether the key of that public name was revoked, and not merely replaced. Keys are never deleted."""
        if key_id not in self._digests:
            found = self.by_id(key_id)
            if found is None:  # made a moment ago: the index lags behind
                return False
            self._digests[key_id] = found.digest
        key = self.find(self._digests[key_id])
        return key is not None and key.revoked_at_ms is not None

    def end(self, digest: str, at_ms: int, *, revoked: bool = False) -> None:
        """Make the key invalid from `at_ms` on. An end that was set before is brought forward, never put off.

        `revoked`: its orders that are open are refused, too.
        """

        def ended(before: Item | None) -> Item | None:
            if before is None:
                return None
            marks = {"revokedAtMs": at_ms} if revoked and "revokedAtMs" not in before else {}
            return {**before, "validUntilMs": min(at_ms, before.get("validUntilMs", at_ms)), **marks}

        def beside(before: Item | None, after: Item | None) -> Sequence[Any]:
            return self._record("keys", "end", (before or {})["keyId"], before, after)

        self._table.change(_at(digest), ended, beside)

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
        revoked_at_ms=int(item["revokedAtMs"]) if "revokedAtMs" in item else None,
    )
