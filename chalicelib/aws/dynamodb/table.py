"""One table of DynamoDB, as all other files know it: items and values are plain, errors are ours.

In an expression `#name` stands for the attribute `name`, which may be a reserved word, and `:name` for a value.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.aws.dynamodb.attribute_values import (
    Item,
    deserialize,
    serialize,
    serialize_values,
    serialize_whole,
)
from chalicelib.aws.errors import WriteConflict, is_condition_failure, is_first_condition_failure, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Values = Mapping[str, Any]

# How often an operator's change is tried anew because somebody wrote the item meanwhile.
CHANGE_TRIES = 10

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_KEYS_A_BATCH = 100

_NAME = re.compile(r"#(\w+)")


@dataclass(frozen=True, slots=True)
class QueryPage:
    """What one read found, and the key to go on after, None at the end."""

    items: tuple[Item, ...]
    last: Item | None


class Table:
    """Every method raises AwsError. Reads of single items are consistent; those of an index never are."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self.name = name

    @translated()
    def get(self, key: Item, *, projection: str | None = None) -> Item | None:
        """The item as it stands, or those attributes of it that `projection` names; None where there is none."""
        request: dict[str, Any] = {"TableName": self.name, "Key": serialize(key), "ConsistentRead": True}
        if projection is not None:
            request["ProjectionExpression"] = projection
        item = self._client.get_item(**request).get("Item")
        return None if item is None else deserialize(item)

    @translated()
    def get_each(self, keys: Iterable[Item]) -> list[Item]:
        """Those of the items that exist, in no order."""
        wanted = [serialize(key) for key in keys]
        found: list[Item] = []
        for start in range(0, len(wanted), _KEYS_A_BATCH):
            request: Any = {self.name: {"Keys": wanted[start : start + _KEYS_A_BATCH], "ConsistentRead": True}}
            while request:
                response = self._client.batch_get_item(RequestItems=request)
                found += map(deserialize, response["Responses"].get(self.name, []))
                request = response.get("UnprocessedKeys")
        return found

    @translated()
    def put(self, item: Item) -> None:
        self._client.put_item(TableName=self.name, Item=serialize(item))

    @translated()
    def put_if(self, condition: str, item: Item, values: Values | None = None) -> bool:
        """False, and nothing written, where the condition doesn't hold."""
        try:
            self._client.put_item(**self.put_action(condition, item, values)["Put"])
        except ClientError as error:
            if is_condition_failure(error):
                return False
            raise
        return True

    def put_action(self, condition: str, item: Item, values: Values | None = None) -> Any:
        """A conditional put, as a part of a transaction."""
        request = _expressions({"ConditionExpression": condition}, values)
        return {"Put": {"TableName": self.name, "Item": serialize(item), **request}}

    def update_action(self, condition: str, key: Item, update: str, values: Values | None = None) -> Any:
        """A conditional update, as a part of a transaction; `transact` tells the item where the condition fails."""
        request = _expressions({"ConditionExpression": condition, "UpdateExpression": update}, values)
        tell = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return {"Update": {"TableName": self.name, "Key": serialize(key), **request, **tell}}

    def delete_action(self, condition: str, key: Item, values: Values | None = None) -> Any:
        """A conditional delete, as a part of a transaction."""
        request = _expressions({"ConditionExpression": condition}, values)
        return {"Delete": {"TableName": self.name, "Key": serialize(key), **request}}

    @translated()
    def transact(self, actions: Sequence[Any]) -> dict[int, Item] | None:
        """All or nothing: None where all was written; else the places of the actions whose condition doesn't hold.

        Each with its item as it stands, as far as its action asked for that; empty where there is none.
        Raises WriteConflict where another write met one of the items.
        """
        try:
            self._client.transact_write_items(TransactItems=actions)
        except ClientError as error:
            reasons: list[Any] = error.response.get("CancellationReasons", [])
            failed = {
                number: deserialize(reason.get("Item") or {})
                for number, reason in enumerate(reasons)
                if reason.get("Code") == "ConditionalCheckFailed"
            }
            if not failed:
                raise
            return failed
        return None

    @translated()
    def update(self, key: Item, update: str, values: Values | None = None) -> Item:
        """The item after the update."""
        request = _expressions({"UpdateExpression": update}, values)
        response = self._client.update_item(TableName=self.name, Key=serialize(key), ReturnValues="ALL_NEW", **request)
        return deserialize(response["Attributes"])

    def update_if(self, condition: str, key: Item, update: str, values: Values | None = None) -> bool:
        """False, and nothing written, where the condition doesn't hold."""
        return self._update_if(condition, key, update, values, {})[0]

    def update_and_tell(
        self, condition: str, key: Item, update: str, values: Values | None = None
    ) -> tuple[bool, Item]:
        """Whether the condition held, and the item as it stands now; that is empty where there is none."""
        tell = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return self._update_if(condition, key, update, values, tell)

    @translated()
    def _update_if(
        self, condition: str, key: Item, update: str, values: Values | None, tell: dict[str, str]
    ) -> tuple[bool, Item]:
        request: Any = {**_expressions({"ConditionExpression": condition, "UpdateExpression": update}, values), **tell}
        try:
            response = self._client.update_item(TableName=self.name, Key=serialize(key), **request)
        except ClientError as error:
            if not is_condition_failure(error):
                raise
            stands: Any = error.response.get("Item") or {}
            return False, deserialize(stands)
        return True, deserialize(response.get("Attributes", {}))

    @translated()
    def change(
        self,
        key: Item,
        changed: Callable[[Item | None], Item | None],
        beside: Callable[[Item | None, Item | None], Sequence[Any]],
    ) -> tuple[Item | None, Item | None]:
        """Write what `changed` makes of the item, and in the same transaction the actions of `beside`.

        Both are given the item as it stands, without its key, None where there is none; where somebody writes it
        meanwhile all is done again with what that left. Returns what it was and what it is. A change of nothing
        writes nothing. Raises WriteConflict where others write it at each of CHANGE_TRIES.
        """
        for _ in range(CHANGE_TRIES):
            stands = self.get(key)
            before = None if stands is None else {name: it for name, it in stands.items() if name not in key}
            after = changed(before)
            if after == before:
                return before, after
            write = self._replacement(key, before, after)
            try:
                self._client.transact_write_items(TransactItems=[write, *beside(before, after)])
            except ClientError as error:
                if not is_first_condition_failure(error):
                    raise
            else:
                return before, after
        raise WriteConflict

    def _replacement(self, key: Item, before: Item | None, after: Item | None) -> Any:
        """The item replaced or deleted, if it stands as it was read."""
        was = {f"was_{name}": value for name, value in (before or {}).items()}
        if before is None:
            condition = " AND ".join(f"attribute_not_exists(#{name})" for name in key)
        else:
            conditions = [f"#{name} = :was_{name}" for name in before]
            conditions += [f"attribute_not_exists(#{name})" for name in (after or {}) if name not in before]
            condition = " AND ".join([*(f"attribute_exists(#{name})" for name in key), *conditions])
        request = {"TableName": self.name, **_expressions({"ConditionExpression": condition}, was)}
        if after is None:
            return {"Delete": {**request, "Key": serialize(key)}}
        return {"Put": {**request, "Item": serialize_whole({**key, **after})}}

    @translated()
    def delete(self, key: Item) -> None:
        self._client.delete_item(TableName=self.name, Key=serialize(key))

    @translated()
    def delete_if(self, condition: str, key: Item, values: Values) -> bool:
        """False, and nothing deleted, where the condition doesn't hold."""
        request = _expressions({"ConditionExpression": condition}, values)
        try:
            self._client.delete_item(TableName=self.name, Key=serialize(key), **request)
        except ClientError as error:
            if is_condition_failure(error):
                return False
            raise
        return True

    @translated()
    def take(self, key: Item) -> Item | None:
        """Delete the item; what it was, None where there was none."""
        response = self._client.delete_item(TableName=self.name, Key=serialize(key), ReturnValues="ALL_OLD")
        old = response.get("Attributes")
        return deserialize(old) if old else None

    def query(
        self,
        condition: str,
        values: Values,
        *,
        index: str | None = None,
        newest_first: bool = False,
        read_at_once: int | None = None,
        after: Item | None = None,
    ) -> Iterator[Item]:
        """The items under one key in the order of their sort key.

        Read page by page as they are asked for; `read_at_once` limits a page, `after` is the last item's key.
        """
        request = self._query(condition, values, index)
        if newest_first:
            request["ScanIndexForward"] = False
        if read_at_once is not None:
            request["Limit"] = read_at_once
        if after is not None:
            request["ExclusiveStartKey"] = serialize(after)
        return self._items(self._client.query, request)

    @translated()
    def query_page(
        self, condition: str, values: Values, *, index: str, most_read: int, after: Item | None
    ) -> QueryPage:
        """One read of at most `most_read` items of an index, last sort key first."""
        request = self._query(condition, values, index) | {"ScanIndexForward": False, "Limit": most_read}
        if after is not None:
            request["ExclusiveStartKey"] = serialize(after)
        response = self._client.query(**request)
        last = response.get("LastEvaluatedKey")
        found = tuple(map(deserialize, response["Items"]))
        return QueryPage(found, None if not last else deserialize(last))

    @translated()
    def count(self, condition: str, values: Values, *, index: str, at_most: int) -> int:
        """How many items are under one key, counted no further than `at_most`."""
        request = {**self._query(condition, values, index), "Select": "COUNT", "Limit": at_most}
        return self._client.query(**request)["Count"]

    def scan(
        self, keep: str | None = None, values: Values | None = None, *, index: str | None = None
    ) -> Iterator[Item]:
        """Every item that `keep` lets through, in no order, read page by page as they are asked for."""
        request: dict[str, Any] = {"TableName": self.name, **_expressions({"FilterExpression": keep}, values)}
        request.update({"ConsistentRead": True} if index is None else {"IndexName": index})
        return self._items(self._client.scan, request)

    def _query(self, condition: str, values: Values, index: str | None) -> dict[str, Any]:
        where = {"ConsistentRead": True} if index is None else {"IndexName": index}
        return {"TableName": self.name, **where, **_expressions({"KeyConditionExpression": condition}, values)}

    def _items(self, read: Any, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            with translated():
                page = read(**request)
            yield from map(deserialize, page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}


def _expressions(expressions: Mapping[str, str | None], values: Values | None) -> dict[str, Any]:
    """The expressions that are given, with the names and values that they use."""
    request: dict[str, Any] = {name: text for name, text in expressions.items() if text is not None}
    names = {f"#{name}": name for text in request.values() for name in _NAME.findall(text)}
    if names:
        request["ExpressionAttributeNames"] = names
    if values:
        request["ExpressionAttributeValues"] = serialize_values(values)
    return request
