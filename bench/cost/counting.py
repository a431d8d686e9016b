"""What the functions ask of AWS and of Solana, counted call by call as it passes a proxy."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from bench.cost.capacity import Index, Item, Table, read_units
from testing.fault_proxy import Call, Held, When

Json = dict[str, Any]

# Calls of one process that follow so closely are of one invocation.
_SAME_INVOCATION_SECONDS = 0.05
_CONDITION_FAILED = "ConditionalCheckFailedException"


@dataclass
class Counts:
    """Calls by (function, operation), and the units that DynamoDB bills, by (function, table or table/index)."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    write_units: Counter[tuple[str, str]] = field(default_factory=Counter)
    read_units: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def clear(self) -> None:
        self.calls.clear()
        self.write_units.clear()
        self.read_units.clear()


class AwsCounter:
    """Looks at each call to AWS that is answered. `function_of` names the function whose process it is."""

    def __init__(
        self, tables: dict[str, Table], names: dict[str, str], function_of: Callable[[int | None], str]
    ) -> None:
        self.counts = Counts()
        self._spans: dict[tuple[str, int], list[tuple[float, float]]] = {}
        self._began: dict[int, float] = {}
        self._tables = tables
        self._names = names
        self._function_of = function_of

    def rule(self, call: Call, when: When) -> Callable[[Held], None] | None:
        """The proxy's hook: holds nothing."""
        now = time.monotonic()
        pid = call.pid or 0
        if when is When.BEFORE:
            self._began[pid] = now
            return None
        function = self._function_of(call.pid)
        self._count(function, call)
        spans = self._spans.setdefault((function, pid), [])
        began = self._began.get(pid, now)
        if spans and began - spans[-1][1] < _SAME_INVOCATION_SECONDS:
            spans[-1] = (spans[-1][0], now)
        else:
            spans.append((began, now))
        return None

    def busy_ms(self, function: str) -> int:
        """How long the function's processes were at calls, and between calls that follow closely, in ms."""
        return sum(
            int((end - start) * 1000) + 1
            for (of, _), spans in self._spans.items()
            if of == function
            for start, end in spans
        )

    def clear(self) -> None:
        self.counts.clear()
        self._spans.clear()

    def _count(self, function: str, call: Call) -> None:
        operation = call.targets[0] if call.targets else _of_path(call.line)
        self.counts.calls[function, operation] += 1
        if isinstance(call.body, dict):
            answer = json.loads(call.answer) if call.answer else {}
            for table, writes in self._writes(operation, call.body, answer):
                for index, units in writes.items():
                    place = f"{self._names[table]}/{index}" if index else self._names[table]
                    self.counts.write_units[function, place] += units
            self._count_reads(function, operation, call.body, answer)

    def _count_reads(self, function: str, operation: str, body: Json, answer: Json) -> None:
        for table, units in _reads(operation, body, answer):
            where = (function, self._names[table])
            self.counts.read_units[where] = self.counts.read_units.get(where, Decimal(0)) + units

    def _writes(self, operation: str, body: Json, answer: Json) -> list[tuple[str, dict[str, int]]]:
        """(table, write units by index) of each write in a call; nothing for what isn't DynamoDB's."""
        if operation == "TransactWriteItems":
            # prepared and committed: twice the units, https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
            parts = [(name, part) for one in body["TransactItems"] for name, part in one.items()]
            done = "__type" not in answer
            return [(part["TableName"], _twice(self._written(name, part, done=done))) for name, part in parts]
        if body.get("TableName") in self._tables and operation in ("PutItem", "UpdateItem", "DeleteItem"):
            refused = _CONDITION_FAILED in str(answer.get("__type", ""))
            return [(body["TableName"], self._written(operation.removesuffix("Item"), body, done=not refused))]
        return []

    def _written(self, kind: str, body: Json, *, done: bool) -> dict[str, int]:
        """Units of one write. One that its condition stopped costs as the item that is there does."""
        table = self._tables[body["TableName"]]
        if kind == "ConditionCheck":
            return {"": 1}
        key: Item = body.get("Key") or body["Item"]
        before = table.known(key)
        if not done:
            return table.written(key, before) if before is not None else {"": 1}
        return table.written(key, _after(kind, body, before))


def _reads(operation: str, body: Json, answer: Json) -> list[tuple[str, Decimal]]:
    """(table, read units) of a call; nothing for what reads nothing of DynamoDB."""
    if operation in ("GetItem", "Query", "Scan"):
        items = answer.get("Items", [answer["Item"]] if "Item" in answer else [])
        return [(body["TableName"], read_units(items, consistent=bool(body.get("ConsistentRead"))))]
    if operation == "BatchGetItem":
        # each key is a read of its own, also one that finds nothing
        reads = []
        for table, asked in body["RequestItems"].items():
            consistent = bool(asked.get("ConsistentRead"))
            found = answer.get("Responses", {}).get(table, [])
            missing = len(asked["Keys"]) - len(found)
            units = [read_units([one], consistent=consistent) for one in found]
            units += [read_units([], consistent=consistent)] * missing
            reads.append((table, sum(units, Decimal(0))))
        return reads
    return []


def _twice(units: dict[str, int]) -> dict[str, int]:
    return {index: 2 * number for index, number in units.items()}


def _after(kind: str, body: Json, before: Item | None) -> Item | None:
    """What a write leaves. Of an update only its size counts, and the product's change a number or two."""
    if kind == "Put":
        item: Item = body["Item"]
        return item
    if kind == "Delete":
        return None
    values = body.get("ExpressionAttributeValues", {})
    return {**(before or body["Key"]), **{name.lstrip(":"): value for name, value in values.items()}}


def _of_path(line: str) -> str:
    """The operation of a request that is named by its path: a post to a connection, or its end."""
    method, _, path = line.partition(" ")
    if "/@connections/" in unquote(path):
        return {"POST": "PostToConnection", "DELETE": "DeleteConnection", "GET": "GetConnection"}.get(method, method)
    return f"{method} {path.partition('?')[0].split(' ')[0]}"


class SolanaCounter:
    """JSON-RPC calls by (function, method)."""

    def __init__(self, function_of: Callable[[int | None], str]) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self._function_of = function_of

    def rule(self, call: Call, when: When) -> Callable[[Held], None] | None:
        if when is When.AFTER:
            for method in call.targets:
                self.calls[self._function_of(call.pid), method] += 1
        return None


def tables_of(dynamodb: Any) -> dict[str, Table]:
    """Every table with its keys and indexes, by its physical name."""
    found = {}
    for name in dynamodb.list_tables()["TableNames"]:
        table = dynamodb.describe_table(TableName=name)["Table"]
        indexes = tuple(
            Index(
                index["IndexName"],
                tuple(key["AttributeName"] for key in index["KeySchema"]),
                index["Projection"]["ProjectionType"] == "ALL",
            )
            for index in table.get("GlobalSecondaryIndexes", ())
        )
        found[name] = Table(tuple(key["AttributeName"] for key in table["KeySchema"]), indexes)
    return found
