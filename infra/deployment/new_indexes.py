"""The way from one template to another by updates that DynamoDB takes: each makes or drops one index of a table. Pure.

An index that is dropped goes last: the functions that ask for it are still at work while the new ones are made.

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


def adds_indexes(deployed: Json, wanted: Json) -> bool:
    """Whether a table that is deployed lacks an index that is wanted."""
    return any(indexes for _, indexes in _lacking(deployed, wanted))


def with_former_indexes(deployed: Json, wanted: Json) -> Json:
    """What is wanted, with those indexes of the deployed tables besides that it no longer has."""
    kept = deepcopy(wanted)
    for name, indexes in _lacking(wanted, deployed):
        for index in indexes:
            _add(kept["Resources"][name]["Properties"], index, deployed["Resources"][name]["Properties"])
    return kept


def templates_without(deployed: Json, wanted: Json) -> list[Json]:
    """The templates to update to, in order, so that the indexes go that `wanted` no longer has: one of a table each."""
    former = dict(_lacking(wanted, deployed))
    found: list[Json] = []
    for gone in range(1, max(map(len, former.values()), default=0) + 1):
        left = deepcopy(wanted)
        for name, indexes in former.items():
            for index in indexes[gone:]:
                _add(left["Resources"][name]["Properties"], index, deployed["Resources"][name]["Properties"])
        found.append(left)
    return found


def templates_between(deployed: Json, wanted: Json) -> list[Json]:
    """The templates to update to before `wanted`, in order: `deployed` with one new index more each time.

    Both are parsed templates. Empty where at most one index of each table is new, or the table itself is.
    """
    found: list[Json] = []
    standing = deployed
    while True:
        late = {name: indexes for name, indexes in _lacking(standing, wanted) if len(indexes) > 1}
        if not late:
            return found
        standing = deepcopy(standing)
        for name, indexes in late.items():
            _add(standing["Resources"][name]["Properties"], indexes[0], wanted["Resources"][name]["Properties"])
        found.append(standing)


def _lacking(standing: Json, wanted: Json) -> Iterator[tuple[str, list[Json]]]:
    """Of each table that both templates have, the indexes of `wanted` that `standing` has not."""
    for name, resource in wanted["Resources"].items():
        before = standing["Resources"].get(name)
        if before is None or resource["Type"] != _TABLE:
            continue
        present = {index["IndexName"] for index in before["Properties"].get(_INDEXES, [])}
        yield name, [index for index in resource["Properties"].get(_INDEXES, []) if index["IndexName"] not in present]


def _add(table: Json, index: Json, source: Json) -> None:
    """The index and the attributes of its key as `source` defines them: a table may define no others."""
    table.setdefault(_INDEXES, []).append(index)
    defined = {each["AttributeName"] for each in table["AttributeDefinitions"]}
    needed = {each["AttributeName"] for each in index["KeySchema"]} - defined
    table["AttributeDefinitions"] += [
        each for each in source["AttributeDefinitions"] if each["AttributeName"] in needed
    ]
