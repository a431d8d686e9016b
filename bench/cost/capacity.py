"""How many request units DynamoDB bills for a call, by the sizes of the items in it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html and, for the indexes,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html. The emulator's own figures aren't used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from chalicelib.amounts import ceil_div

Item = dict[str, dict[str, Any]]

_WRITE_BYTES = 1024
_READ_BYTES = 4096


def item_bytes(item: Item) -> int:
    """The size that DynamoDB bills: names and values of all attributes."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: dict[str, Any]) -> int:
    """The size of one typed value; binary as bytes, or as requests have it, in base64."""
    ((kind, inner),) = value.items()
    match kind:
        case "S":
            return len(str(inner).encode())
        case "N":
            digits = str(inner).lstrip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1 + int(str(inner).startswith("-"))
        case "B":
            return len(inner) if isinstance(inner, bytes) else len(inner) * 3 // 4
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + value_bytes(one) for one in inner)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(one) for name, one in inner.items())
        case "SS" | "NS":
            return sum(value_bytes({kind[0]: one}) for one in inner)
    raise ValueError(f"no DynamoDB type {kind}")


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: its key's attributes, and whether it holds whole items or keys alone."""

    name: str
    keys: tuple[str, ...]
    whole: bool


@dataclass
class Table:
    """A table's keys and indexes, and what was last written to it."""

    keys: tuple[str, ...]
    indexes: tuple[Index, ...]
    items: dict[tuple[str, ...], Item] = field(default_factory=dict)

    def written(self, key: Item, after: Item | None) -> dict[str, int]:
        """Write units of a write that leaves `after` (None: a deletion) under `key`; it is remembered.

        By index; the table's own under "".
        """
        place = tuple(str(key[name]) for name in self.keys)
        before = self.items.get(place)
        if after is None:
            self.items.pop(place, None)
        else:
            self.items[place] = after
        own = {"": max(_write_units(before), _write_units(after), 1)}
        return own | {index.name: self._index_units(index, before, after) for index in self.indexes}

    def known(self, key: Item) -> Item | None:
        return self.items.get(tuple(str(key[name]) for name in self.keys))

    def _index_units(self, index: Index, before: Item | None, after: Item | None) -> int:
        """A changed key is a deletion and an insertion; a changed attribute that the index holds is one write."""
        old, new = self._projected(index, before), self._projected(index, after)
        if old == new:
            return 0
        if old is not None and new is not None and all(old[name] == new[name] for name in index.keys):
            return max(_write_units(old), _write_units(new))
        return _write_units(old) + _write_units(new)

    def _projected(self, index: Index, item: Item | None) -> Item | None:
        if item is None or any(name not in item for name in index.keys):
            return None
        return item if index.whole else {name: item[name] for name in {*self.keys, *index.keys}}


def _write_units(item: Item | None) -> int:
    return 0 if item is None else ceil_div(item_bytes(item), _WRITE_BYTES)


def read_units(items: list[Item], *, consistent: bool) -> Decimal:
    """Units of one read that gives these items; one that finds nothing costs as the smallest does."""
    blocks = max(1, ceil_div(sum(map(item_bytes, items)), _READ_BYTES))
    return Decimal(blocks) if consistent else Decimal(blocks) / 2
