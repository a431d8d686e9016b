"""What an order waits for: a rate that is shared, or one of a number of slots. Times in seconds of the simulation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


class Refused(Exception):
    """The station turns the order away."""


@dataclass
class Tally:
    """What happened at one station; waits in seconds."""

    visits: int = 0
    refused: int = 0
    waited: float = 0.0
    longest: float = 0.0

    def wait(self, seconds: float) -> None:
        self.visits += 1
        self.waited += seconds
        self.longest = max(self.longest, seconds)


@dataclass
class Rate:
    """So many units a second, first come first served; who would have to wait longer than `patience` is refused.

    `burst` units are there at once after a pause.
    """

    name: str
    per_second: float
    patience: float
    burst: float = 0.0
    tally: Tally = field(default_factory=Tally)
    _free_at: float = 0.0

    def take(self, units: float, now: float) -> float:
        """When these units are there. Raises Refused."""
        begins = max(now, self._free_at - self.burst / self.per_second)
        if begins - now > self.patience:
            self.tally.refused += 1
            raise Refused
        self._free_at = max(now, self._free_at) + units / self.per_second
        self.tally.wait(begins - now)
        return max(now, self._free_at - self.burst / self.per_second)


@dataclass
class Slots:
    """A number of slots, which may grow with time; who finds none waits in line."""

    name: str
    number: Callable[[float], int]
    tally: Tally = field(default_factory=Tally)
    _taken: int = 0
    _line: deque[tuple[float, Callable[[float], None]]] = field(default_factory=deque)

    def take(self, now: float, go_on: Callable[[float], None]) -> None:
        """Call `go_on` with the time when there is a slot."""
        if self._taken < self.number(now) and not self._line:
            self._taken += 1
            self.tally.wait(0.0)
            go_on(now)
        else:
            self._line.append((now, go_on))

    def give_back(self, now: float) -> None:
        self._taken -= 1
        while self._line and self._taken < self.number(now):
            since, go_on = self._line.popleft()
            self._taken += 1
            self.tally.wait(now - since)
            go_on(now)

    def count_the_line(self, now: float) -> None:
        """Count the wait so far of those who still stand in line."""
        for since, _ in self._line:
            self.tally.wait(now - since)
