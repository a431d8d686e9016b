"""The operators' record: who changed what, when, from what to what. It is added to and never changed.

It lies in a table of its own, which no function's role may write, but that of the scheduled search, which adds entries
of the kind `proposals` and no other. An entry is written in the same transaction as the
change that it tells of, so that there is neither without the other; what CloudFormation changes has its entry after.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.audit_item import audit_item, audit_place
from chalicelib.aws.dynamodb.table import Table
from operations.clock import now_ms
from operations.identity import identity
from operations.target import Target

KINDS = ("approvals", "halts", "keys", "limits", "pools", "proposals", "wallets", "webhooks")


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: `before` and `after` are what was stored of `subject`, None where there was nothing.

    `proposed_by` is who asked for it first, where a second operator approved it.
    """

    kind: str
    action: str
    subject: str
    at_ms: int
    who: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    proposed_by: str | None = None


@dataclass(frozen=True, slots=True)
class OperatorsRecord:
    """A Recorder. `who` is asked at each change; `proposed_by` is told where a change was proposed by another."""

    table: Table
    who: Callable[[], str]
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    proposed_by: str | None = None

    def __call__(self, kind: str, action: str, subject: str, before: Item | None, after: Item | None) -> Sequence[Any]:
        """The entry of a change, as an action of the change's transaction. Raises botocore's errors."""
        return [self.table.put_action("attribute_not_exists(kind)", self._item(kind, action, subject, before, after))]

    def add(self, kind: str, action: str, subject: str, before: Item | None, after: Item | None) -> None:
        """The entry of a change that no transaction can carry: one of a stack. Raises botocore's errors, AwsError."""
        self.table.put(self._item(kind, action, subject, before, after))

    def entries(self, since_ms: int = 0, kinds: Iterable[str] = KINDS) -> list[Entry]:
        """Every entry of these kinds since then, oldest first."""
        since = audit_place(since_ms, "")
        values = ({"kind": kind, "since": since} for kind in kinds)
        found = (item for one in values for item in self.table.query("kind = :kind AND #at >= :since", one))
        return [_to_entry(item) for item in sorted(found, key=lambda item: str(item["at"]))]

    def _item(self, kind: str, action: str, subject: str, before: Item | None, after: Item | None) -> Item:
        at_ms, entry_id, who = self.now_ms(), self.new_id(), self._who(action)
        return audit_item(
            kind,
            action,
            subject,
            before,
            after,
            at_ms=at_ms,
            entry_id=entry_id,
            who=who,
            proposed_by=self.proposed_by,
        )

    def _who(self, action: str) -> str:
        try:
            return self.who()
        except (BotoCoreError, ClientError):
            if action != "halt":  # which must be possible whatever else is out of order
                raise
            return "unknown"


def record_of(target: Target, data: Mapping[str, str]) -> OperatorsRecord:
    """The stage's record; `data` are the outputs of its data stack."""
    table = Table(target.client("dynamodb"), data["AuditTable"])
    return OperatorsRecord(table, partial(identity, target), now_ms, partial(secrets.token_hex, 4))


def _to_entry(item: Item) -> Entry:
    return Entry(
        kind=item["kind"],
        action=item["action"],
        subject=item["subject"],
        at_ms=int(item["at"].partition("#")[0]),
        who=item["who"],
        before=_plain(item.get("before")),
        after=_plain(item.get("after")),
        proposed_by=item.get("proposedBy"),
    )


def _plain(value: Any) -> Any:
    """As JSON has it: DynamoDB's numbers are Decimals."""
    match value:
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case Decimal():
            return int(value)
        case _:
            return value
