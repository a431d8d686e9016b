"""A pool as the search for a split sees it: base units out for base units in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

# So little that no sum with it is above zero: amounts are u64.
IMPOSSIBLE = -(1 << 96)
# What no pool pays: no amount is as large.
_UNASKED = 1 << 128


@dataclass(slots=True)
class Outlet:
    """What a pool pays, base units out for base units in, None where it can't take that much. It is asked but once.

    A leg that would be paid nothing counts as impossible, for the program refuses it.
    """

    pay: Callable[[int], int | None]
    _answers: dict[int, int | None] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """How many amounts it was asked about."""
        return len(self._answers)

    def answers(self, most: int) -> list[tuple[int, int | None]]:
        """What it answered so far for amounts up to `most`, the least first."""
        return sorted(answer for answer in self._answers.items() if answer[0] <= most)

    def paid(self, amount: int) -> int:
        """Output for `amount`: 0 for nothing, else above zero, or IMPOSSIBLE."""
        if not amount:
            return 0
        answer = self._answers.get(amount, _UNASKED)
        return (self._answer(amount) if answer is _UNASKED else answer) or IMPOSSIBLE

    def takes(self, amount: int) -> bool:
        """Whether it takes that much, be it for nothing."""
        answer = self._answers.get(amount, _UNASKED)
        return (self._answer(amount) if answer is _UNASKED else answer) is not None

    def room(self, limit: int) -> int:
        """The most, up to `limit`, that the pool takes; 0 where it pays nothing for that."""
        taken = limit if self.takes(limit) else _last(self.takes, limit)
        return taken if self.paid(taken) > 0 else 0

    def room_between(self, taken: int, refused: int, halvings: int) -> tuple[int, int]:
        """The same two, closer to each other: the pool takes as much as the one, and not as much as the other."""
        for _ in range(halvings):
            if refused - taken < 2:
                break
            middle = (taken + refused) // 2
            taken, refused = (middle, refused) if self.takes(middle) else (taken, middle)
        return taken, refused

    def least(self, room: int) -> int:
        """The least that the pool pays for, if it pays for `room` and takes no more; 0 where `room` is nothing."""
        return _last(lambda amount: self.paid(amount) <= 0, room) + 1 if room else 0

    def _answer(self, amount: int) -> int | None:
        answer = self._answers[amount] = self.pay(amount)
        return answer


def _last(holds: Callable[[int], bool], beyond: int) -> int:
    """The last amount below `beyond` for which it holds, as it does for nothing, and from which on it doesn't."""
    last, first_other = 0, beyond
    while first_other - last > 1:
        middle = (last + first_other) // 2
        last, first_other = (middle, first_other) if holds(middle) else (last, middle)
    return last
