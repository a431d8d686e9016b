"""Carries out a client's conversation against a function, on a clock that moves only by waiting."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from fillrate.conversation import Effect, Emit, HttpResponse, Receive, Sleep, SocketFailed, Stream
from fillrate.errors import FillrateError
from fillrate.retrying import Requester, RetryPolicy

T = TypeVar("T")
Json = dict[str, Any]


@dataclass
class Stage:
    """`answer` gives an effect's outcome, or raises what the outcome is. `effects` is all that was asked for."""

    answer: Callable[[Effect], object]
    now: float = 1_000.0
    effects: list[Effect] = field(default_factory=list)

    def requester(self, policy: RetryPolicy | None = None) -> Requester:
        return Requester(policy or RetryPolicy(), Random(7), lambda: self.now)

    def play(self, stream: Stream[T]) -> list[T]:
        """What the conversation tells until its end. Raises what it raises."""
        told: list[T] = []
        step: Callable[[], Effect | Emit[T]] = lambda: next(stream)  # noqa: E731
        while True:
            try:
                effect = step()
            except StopIteration:
                return told
            if isinstance(effect, Emit):
                told.append(effect.event)
                step = lambda: stream.send(None)  # noqa: E731
                continue
            step = self._outcome(stream, effect)

    def _outcome(self, stream: Stream[T], effect: Effect) -> Callable[[], Effect | Emit[T]]:
        self.effects.append(effect)
        if isinstance(effect, Sleep):
            self.now += effect.seconds
            return lambda: stream.send(None)
        try:
            outcome = self.answer(effect)
        except (FillrateError, SocketFailed) as error:
            return lambda thrown=error: stream.throw(thrown)  # type: ignore[misc]
        if isinstance(effect, Receive) and outcome is None:
            self.now += effect.seconds
        return lambda: stream.send(outcome)


def answered(status: int, body: object, **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, named, json.dumps(body).encode())


def problem(status: int, code: str | None = None, detail: str = "no", **headers: str) -> HttpResponse:
    kind = "about:blank" if code is None else f"urn:fillrate:problem:{code.lower().replace('_', '-')}"
    body = {"type": kind, "title": "Refused", "status": status, "detail": detail}
    return answered(status, body, **headers)
