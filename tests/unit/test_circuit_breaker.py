"""When a node is left alone and when it is tried again: every event in every state, and any sequence of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chalicelib.solana.circuit_breaker import (
    BreakerPolicy,
    BreakerState,
    Closed,
    HalfOpen,
    Open,
    abandoned,
    admit,
    admits_in_ms,
    answered,
    failed,
    recent_failures,
)

POLICY = BreakerPolicy(
    failures_to_open=3, failures_count_for_ms=1_000, first_cool_down_ms=100, longest_cool_down_ms=300
)
NOW = 50_000

ONCE = Closed(1, NOW - 9)
TWICE = Closed(2, NOW - 9)
JUST_COUNTS = Closed(2, NOW - 1_000)
LONG_AGO = Closed(2, NOW - 1_001)
OPENED = Open(NOW, 100)
COOLING = Open(NOW - 60, 100)
COOLED = Open(NOW - 100, 100)
IN_THE_FUTURE = Open(NOW + 1, 100)
PROBING = HalfOpen(COOLED)
AGAIN = HalfOpen(Open(0, 200))
AT_THE_CAP = HalfOpen(Open(0, 300))

# Every state that differs in what may follow, and what follows when a question comes (None: not admitted), fails, or
# is abandoned. An answer leads to Closed() from each.
TABLE: dict[str, tuple[BreakerState, BreakerState | None, BreakerState, BreakerState]] = {
    #                        state          a question comes         it fails         it is abandoned
    "fresh":                (Closed(),      Closed(),                Closed(1, NOW),  Closed()),
    "failed once":          (ONCE,          ONCE,                    Closed(2, NOW),  ONCE),
    "at the brink":         (TWICE,         TWICE,                   Open(NOW, 100),  TWICE),
    "failures just count":  (JUST_COUNTS,   JUST_COUNTS,             Open(NOW, 100),  JUST_COUNTS),
    "failures long ago":    (LONG_AGO,      LONG_AGO,                Closed(1, NOW),  LONG_AGO),
    "just opened":          (OPENED,        None,                    OPENED,          OPENED),
    "cooling":              (COOLING,       None,                    COOLING,         COOLING),
    "cooled":               (COOLED,        PROBING,                 COOLED,          COOLED),
    "clock was set back":   (IN_THE_FUTURE, HalfOpen(IN_THE_FUTURE), IN_THE_FUTURE,   IN_THE_FUTURE),
    "probing":              (PROBING,       None,                    Open(NOW, 200),  COOLED),
    "probing once more":    (AGAIN,         None,                    Open(NOW, 300),  AGAIN.after),
    "probing, at the cap":  (AT_THE_CAP,    None,                    Open(NOW, 300),  AT_THE_CAP.after),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_every_event_in_every_state_leads_where_the_table_says(name: str) -> None:
    state, if_asked, if_failed, if_abandoned = TABLE[name]
    assert admit(state, NOW) == if_asked
    assert failed(state, NOW, POLICY) == if_failed
    assert abandoned(state) == if_abandoned


def test_an_answer_closes_it_and_clears_its_failures() -> None:
    assert answered() == Closed(failures=0)


@pytest.mark.parametrize("name", TABLE)
def test_what_it_says_of_the_wait_agrees_with_whom_it_admits(name: str) -> None:
    state = TABLE[name][0]
    assert (admits_in_ms(state, NOW, POLICY) == 0) == (admit(state, NOW) is not None)


def test_the_wait_is_what_is_left_of_the_cool_down() -> None:
    assert admits_in_ms(COOLING, NOW, POLICY) == 40
    assert admit(COOLING, NOW + 39) is None
    assert admit(COOLING, NOW + 40) == HalfOpen(COOLING)


def test_a_breaker_that_is_not_closed_counts_as_many_failures_as_open_it() -> None:
    assert recent_failures(Closed(2, NOW), NOW, POLICY) == 2
    assert recent_failures(Closed(2, NOW - 1001), NOW, POLICY) == 0
    assert recent_failures(COOLING, NOW, POLICY) == recent_failures(PROBING, NOW, POLICY) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: BreakerPolicy(failures_to_open=0),
        lambda: BreakerPolicy(first_cool_down_ms=0),
        lambda: BreakerPolicy(first_cool_down_ms=2_000, longest_cool_down_ms=1_999),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: Callable[[], BreakerPolicy]) -> None:
    with pytest.raises(ValueError):
        wrong()


def test_three_attempts_of_one_order_don_t_open_it_even_where_each_asks_twice() -> None:
    state: BreakerState = Closed()
    for _ in range(3 * 2):
        state = failed(state, NOW, BreakerPolicy())
    assert isinstance(state, Closed)


class AnyHistory(RuleBasedStateMachine):
    """Questions asked and ended in any order, on a clock that mostly goes forward, against what a breaker is for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.state: BreakerState = Closed()
        # What the promises are told by: the failures since the last answer, and the wait that they brought.
        self.failures: list[int] = []
        self.refused_until: int | None = None
        self.cool_down = 0
        self.under_way = 0
        self.probes = 0

    @rule(ms=st.sampled_from((1, 50, 100, 300, 1_001)))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def a_question_comes(self) -> None:
        state = admit(self.state, self.now)
        may = self.refused_until is None or (self.now >= self.refused_until and self.probes == 0)
        assert (state is not None) == may
        if state is not None:
            self.state = state
            self.under_way += 1
            self.probes += self.refused_until is not None

    @precondition(lambda self: self.under_way)
    @rule()
    def one_is_answered(self) -> None:
        self.under_way -= 1
        self.state = answered()
        self.failures, self.refused_until, self.probes = [], None, 0

    @precondition(lambda self: self.under_way)
    @rule()
    def one_fails(self) -> None:
        self.under_way -= 1
        self.state = failed(self.state, self.now, POLICY)
        if self.refused_until is None:
            if self.failures and self.now - self.failures[-1] > POLICY.failures_count_for_ms:
                self.failures = []
            self.failures.append(self.now)
            if len(self.failures) == POLICY.failures_to_open:
                self.cool_down = POLICY.first_cool_down_ms
                self.refused_until = self.now + self.cool_down
        elif self.probes:
            self.cool_down = min(2 * self.cool_down, POLICY.longest_cool_down_ms)
            self.refused_until, self.probes = self.now + self.cool_down, 0

    @precondition(lambda self: self.under_way)
    @rule()
    def one_is_abandoned(self) -> None:
        self.under_way -= 1
        self.state = abandoned(self.state)
        self.probes = 0

    @invariant()
    def a_question_is_admitted_again_within_the_longest_cool_down(self) -> None:
        assert 0 <= admits_in_ms(self.state, self.now, POLICY) <= POLICY.longest_cool_down_ms
        if self.probes == 0:
            assert admit(self.state, self.now + POLICY.longest_cool_down_ms) is not None

    @invariant()
    def at_most_one_question_tries_a_node_that_is_out_of_service(self) -> None:
        assert self.probes <= 1
        assert isinstance(self.state, HalfOpen) == (self.probes == 1)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
