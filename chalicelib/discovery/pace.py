"""A part of a pace that others share: a search takes no more than that, so that quotes aren't kept waiting. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.solana.pacing import OwnPace, Pace, Turn


@dataclass(slots=True)
class _TurnOfBoth(Turn):
    own: Turn
    shared: Turn


class PartOfPace:
    """At most `in_window` calls in any ten seconds, each of them a call of the `shared` pace too. A Pace."""

    def __init__(self, shared: Pace, in_window: int) -> None:
        self._shared = shared
        self._own = OwnPace(in_window)

    def take(self, calls: int, now_ms: int, longest_wait_ms: int) -> Turn:
        own = self._own.take(calls, now_ms, longest_wait_ms)
        if not own.taken:
            return own
        shared = self._shared.take(calls, now_ms + own.wait_ms, longest_wait_ms - own.wait_ms)
        return _TurnOfBoth(own.wait_ms + shared.wait_ms, shared.taken, own, shared)

    def answered(self, turn: Turn, now_ms: int) -> None:
        if isinstance(turn, _TurnOfBoth):
            self._own.answered(turn.own, now_ms)
            self._shared.answered(turn.shared, now_ms)
