"""What a function adds to the operators' record: entries of its own kind, which its role is held to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.audit_item import audit_item
from chalicelib.aws.dynamodb.table import Table

_ENTRY_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """A Recorder. `function` is who made the change; `new_id` makes a text of so many random bytes."""

    table: Table
    function: str
    now_ms: Callable[[], int]
    new_id: Callable[[int], str]

    def __call__(self, kind: str, action: str, subject: str, before: Item | None, after: Item | None) -> Sequence[Any]:
        entry_id, who = self.new_id(_ENTRY_ID_BYTES), f"function {self.function}"
        item = audit_item(kind, action, subject, before, after, at_ms=self.now_ms(), entry_id=entry_id, who=who)
        return [self.table.put_action("attribute_not_exists(kind)", item)]
