"""The way from one template to another by updates that DynamoDB takes: each makes one new index of a table. Pure.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html ("You can create or delete
only one global secondary index per UpdateTable operation"), which CloudFormation passes on as a failed update.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Json = dict[str, Any]

_TABLE = "AWS::DynamoDB::Table"
_INDEXES = "GlobalSecondaryIndexes"


def templates_between(deployed: Json, wanted: Json) -> list[Json]:
    """The templates to update to before `wanted`, in order: `deployed` with one new index more each time.

    Both are parsed templates. Empty where at most one index of each table is new, or the table itself is.
    """
    found: list[Json] = []
    standing = deployed
    while True:
        late = {name: indexes for name, indexes in _new_indexes(standing, wanted) if len(indexes) > 1}
        if not late:
            return found
        standing = deepcopy(standing)
        for name, indexes in late.items():
            _add(standing["Resources"][name]["Properties"], indexes[0], wanted["Resources"][name]["Properties"])
        found.append(standing)


def _new_indexes(deployed: Json, wanted: Json) -> Iterator[tuple[str, list[Json]]]:
    for name, resource in wanted["Resources"].items():
        before = deployed["Resources"].get(name)
        if before is None or resource["Type"] != _TABLE:
            continue
        present = {index["IndexName"] for index in before["Properties"].get(_INDEXES, [])}
        yield name, [index for index in resource["Properties"].get(_INDEXES, []) if index["IndexName"] not in present]


def _add(table: Json, index: Json, wanted: Json) -> None:
    """The index and the attributes of its key: a table may define no others."""
    table.setdefault(_INDEXES, []).append(index)
    defined = {each["AttributeName"] for each in table["AttributeDefinitions"]}
    needed = {each["AttributeName"] for each in index["KeySchema"]} - defined
    table["AttributeDefinitions"] += [
        each for each in wanted["AttributeDefinitions"] if each["AttributeName"] in needed
    ]
