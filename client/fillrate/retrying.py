"""When a request is sent again: after lost answers, server errors and 429, never before the service's Retry-After."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from fillrate.conversation import Talk, send, sleep
from fillrate.endpoints import Endpoint
from fillrate.errors import FillrateError, NoAnswer, Problem, ServiceUnavailable, TooManyRequests, Unreachable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` requests, and at most `patience` seconds of waiting between them in total.

    The nth wait is drawn from 0 to `first_delay` × 2^(n-1) seconds, at most `longest_delay`, so that clients which
    failed together don't come back together. What Retry-After asks for is added to it; a wait that would
    use up the patience is not started, and the error is raised at once with its `retry_after`.
    """

    attempts: int = 5
    first_delay: float = 0.25
    longest_delay: float = 8.0
    patience: float = 30.0

    def delay(self, failed_attempts: int, error: FillrateError, random: Random) -> float | None:
        """Seconds until the next attempt; None where there is to be none."""
        if not can_pass(error) or failed_attempts >= self.attempts:
            return None
        spread = random.uniform(0, min(self.first_delay * 2 ** min(failed_attempts - 1, 32), self.longest_delay))
        asked = error.retry_after if isinstance(error, Problem) and error.retry_after is not None else 0.0
        return asked + spread


def can_pass(error: FillrateError) -> bool:
    """Whether the same request may succeed a little later."""
    return isinstance(error, Unreachable | NoAnswer | TooManyRequests | ServiceUnavailable)


def leaves_open(error: FillrateError) -> bool:
    """Whether a request that ended so may have been carried out all the same."""
    if isinstance(error, ServiceUnavailable):
        return not error.is_certain
    return not isinstance(error, Unreachable | Problem)


class Requester:
    """Sends requests until they are answered. `random` spreads the waits; `now` is a monotonic clock in seconds."""

    def __init__(self, policy: RetryPolicy, random: Random, now: Callable[[], float]) -> None:
        self.policy = policy
        self.random = random
        self.now = now

    def call(
        self,
        endpoint: Endpoint[T],
        policy: RetryPolicy | None = None,
        on_failure: Callable[[FillrateError], None] = lambda _error: None,
    ) -> Talk[T]:
        """Every attempt sends the very same bytes. `on_failure` hears of each that failed. Raises the last's error."""
        policy = policy or self.policy
        give_up_at = self.now() + policy.patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return endpoint.parse((yield from send(endpoint.request)))
            except FillrateError as error:
                on_failure(error)
                delay = policy.delay(attempt, error, self.random)
                if delay is None or self.now() + delay > give_up_at:
                    raise
            yield from sleep(delay)
