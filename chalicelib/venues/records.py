"""Records that are made by the thousand, while the best split is searched for."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

Record = TypeVar("Record", bound=tuple[Any, ...])


class _NewRecord(Protocol):
    def __call__(self, kind: type[Record], fields: tuple[Any, ...], /) -> Record: ...


# A named tuple of all its fields. Its own constructor takes longer than what a constant product computes.
new_record: _NewRecord = tuple.__new__
