"""A Line without DynamoDB, for tests of very many steps; test_start_line.py holds it to the same promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from chalicelib.orders.turns import Turns, Waiting


@dataclass
class LineInMemory:
    """`at_write` is called before each write of the turns, and may play another worker's part."""

    stands: Turns = field(default_factory=Turns)
    in_line: dict[tuple[str, str, bool], Waiting] = field(default_factory=dict)
    at_write: Callable[[], None] = lambda: None

    def turns(self) -> Turns:
        return self.stands

    def write(self, turns: Turns) -> bool:
        self.at_write()
        if turns.revision != self.stands.revision:
            return False
        self.stands = replace(turns, revision=turns.revision + 1)
        return True

    def end(self, order_id: str) -> Turns:
        if self.stands.place_of(order_id) is not None:
            self.stands = replace(self.stands.end(order_id), revision=self.stands.revision + 1)
        return self.stands

    def join(self, waiting: Waiting) -> bool:
        if _key(waiting) in self.in_line:
            return False
        self.in_line[_key(waiting)] = waiting
        return True

    def leave(self, waiting: Waiting) -> bool:
        return self.in_line.pop(_key(waiting), None) is not None

    def of(self, account: str, limit: int) -> list[Waiting]:
        own = [waiting for waiting in self.in_line.values() if waiting.account == account]
        return sorted(own, key=lambda one: (one.needs_slot, one.since_ms, one.order_id))[:limit]

    def told(self, waiting: Waiting, told_ms: int) -> None:
        if (stands := self.in_line.get(_key(waiting))) is not None:
            self.in_line[_key(waiting)] = replace(stands, told_ms=told_ms)

    def has(self, waiting: Waiting) -> bool:
        return _key(waiting) in self.in_line


def _key(waiting: Waiting) -> tuple[str, str, bool]:
    return waiting.account, waiting.order_id, waiting.needs_slot
