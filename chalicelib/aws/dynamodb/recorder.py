"""What is written beside a change that an operator makes: the same transaction carries both, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from chalicelib.aws.dynamodb.attribute_values import Item


class Recorder(Protocol):
    def __call__(self, kind: str, action: str, subject: str, before: Item | None, after: Item | None) -> Sequence[Any]:
        """Actions for the transaction that changes `subject`, which was `before` and is `after`; None: not there."""


def no_record(kind: str, action: str, subject: str, before: Item | None, after: Item | None) -> Sequence[Any]:
    """Nothing beside the change: of functions, which change nothing that is kept a record of, and of tests."""
    return ()
