"""An entry of the operators' record as it lies in its table: by kind, then in the order of time."""

from __future__ import annotations

from chalicelib.aws.dynamodb.attribute_values import Item


def audit_item(
    kind: str,
    action: str,
    subject: str,
    before: Item | None,
    after: Item | None,
    *,
    at_ms: int,
    entry_id: str,
    who: str,
    proposed_by: str | None = None,
) -> Item:
    """The item of a change of `subject`, which was `before` and is `after`; None: not there."""
    return {
        "kind": kind,
        "at": audit_place(at_ms, entry_id),
        "action": action,
        "subject": subject,
        "who": who,
        "proposedBy": proposed_by,
        "before": before,
        "after": after,
    }


def audit_place(at_ms: int, entry_id: str) -> str:
    """The sort key, which sorts as the times do."""
    return f"{at_ms:015d}#{entry_id}"
