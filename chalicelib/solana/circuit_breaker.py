"""When to leave a failing node alone, and when to try it again: a circuit breaker as a pure state machine.

    Closed ── so many failures in a row ──► Open ── cooled down: one question is let through ──► HalfOpen
      ▲  ▲                                   │ ▲                                                  │   │
      │  └────────── an answer ──────────────┘ └────── a failure: a longer cool-down ─────────────┘   │
      └─────────────────────────────────── an answer ─────────────────────────────────────────────────┘

Every event may come in every state, since questions that were asked before a change are answered after it.
Times are milliseconds of one clock, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """How much is too much, and how long to wait then.

    A failed attempt at an order asks a dead node once (the first question that fails ends it), or twice where a
    survey falls into it, so an order's three attempts make 3 to 6 failures. With 8 to open, one order that meets a
    dead node still has the three attempts that it was promised; the orders behind it in this process don't burn
    theirs. Failures further apart than `failures_count_for_ms` are not in a row: nothing was asked in between.
    """

    failures_to_open: int = 8
    failures_count_for_ms: int = 60_000
    first_cool_down_ms: int = 1_000
    longest_cool_down_ms: int = 30_000

    def __post_init__(self) -> None:
        if self.failures_to_open < 1:
            raise ValueError("a breaker that never was closed can't open")
        if not 0 < self.first_cool_down_ms <= self.longest_cool_down_ms:
            raise ValueError("the first cool-down must be a time, and no longer than the longest")


@dataclass(frozen=True, slots=True)
class Closed:
    """In service. `failures` since the last answer, the last of them at `last_failure_ms`."""

    failures: int = 0
    last_failure_ms: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """Left alone for `cool_down_ms` from `since_ms` on."""

    since_ms: int
    cool_down_ms: int


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """One question is under way and tells whether it goes on as Closed or as Open; `after` is what it was before."""

    after: Open


BreakerState = Closed | Open | HalfOpen


def admit(state: BreakerState, now_ms: int) -> BreakerState | None:
    """The state once a question is let through; None where none may be asked.

    Whoever is admitted reports what came of it: `answered`, `failed` or `abandoned`.
    """
    match state:
        case Closed():
            return state
        case Open():
            return HalfOpen(state) if _cooling_for(state, now_ms) == 0 else None
        case HalfOpen():
            return None


def answered() -> BreakerState:
    """The node answered, be it a refusal: it lives, whatever was thought of it."""
    return Closed()


def failed(state: BreakerState, now_ms: int, policy: BreakerPolicy) -> BreakerState:
    """The node gave no answer, or none that can be used."""
    match state:
        case Closed():
            failures = recent_failures(state, now_ms, policy) + 1
            if failures < policy.failures_to_open:
                return Closed(failures, now_ms)
            return Open(now_ms, policy.first_cool_down_ms)
        case Open():
            return state  # asked before it opened: known by now
        case HalfOpen(after):
            return Open(now_ms, min(after.cool_down_ms * 2, policy.longest_cool_down_ms))


def abandoned(state: BreakerState) -> BreakerState:
    """The question was given up before it told anything: another may be asked in its place."""
    return state.after if isinstance(state, HalfOpen) else state


def recent_failures(state: BreakerState, now_ms: int, policy: BreakerPolicy) -> int:
    """How many failures in a row count against the node now; `failures_to_open` once it is out of service."""
    if not isinstance(state, Closed):
        return policy.failures_to_open
    return 0 if now_ms - state.last_failure_ms > policy.failures_count_for_ms else state.failures


def admits_in_ms(state: BreakerState, now_ms: int, policy: BreakerPolicy) -> int:
    """Milliseconds until it is worth asking again: 0 where a question is admitted now."""
    match state:
        case Closed():
            return 0
        case Open():
            return _cooling_for(state, now_ms)
        case HalfOpen():
            return policy.first_cool_down_ms  # that question's answer is due any moment


def _cooling_for(state: Open, now_ms: int) -> int:
    passed = now_ms - state.since_ms
    # A clock that was set back would make the wait as long as it was set back.
    return 0 if passed < 0 else max(0, state.cool_down_ms - passed)
