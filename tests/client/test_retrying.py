"""Requests are sent again where that can help and can't harm: the same bytes, not before Retry-After, not for ever."""

from __future__ import annotations

import pytest
from fillrate import (
    Conflict,
    FillrateError,
    Forbidden,
    InvalidRequest,
    NoAnswer,
    ServiceUnavailable,
    SubmissionUnknown,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from fillrate.conversation import Effect, HttpRequest, HttpResponse, Send, Sleep, emit_result
from fillrate.models import Accepted, Order
from fillrate.orders import cancel, place
from fillrate.retrying import RetryPolicy
from fillrate.terms import Terms

from tests.client.playing import Stage, answered, problem
from tests.client.sample_answers import ORDER_ID, accepted, life, order

KEY = "the-key"
Outcome = HttpResponse | FillrateError


def staged(*outcomes: Outcome) -> Stage:
    """A service whose outcomes come in this order, the last again and again."""
    left = list(outcomes)

    def answer(effect: Effect) -> object:
        assert isinstance(effect, Send)
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, FillrateError):
            raise outcome
        return outcome

    return Stage(answer)


def place_on(stage: Stage, policy: RetryPolicy | None = None) -> Accepted:
    talk = place(stage.requester(policy), "SOL", "USDC", "10", Terms(), KEY)
    return stage.play(emit_result(talk))[0]


def requests(stage: Stage) -> list[HttpRequest]:
    return [effect.request for effect in stage.effects if isinstance(effect, Send)]


def waits(stage: Stage) -> list[float]:
    return [effect.seconds for effect in stage.effects if isinstance(effect, Sleep)]


@pytest.mark.parametrize(
    "failure",
    [
        Unreachable("refused"),
        NoAnswer("timed out"),
        problem(500),
        problem(502),
        problem(503, "AWS_UNAVAILABLE", retry_after="1"),
        problem(503, "SUBMISSION_UNKNOWN", retry_after="1"),
        problem(504),
        problem(429, "BACKLOGGED", retry_after="1"),
    ],
    ids=repr,
)
def test_an_order_that_may_pass_later_is_sent_again_with_the_same_key_and_body(failure: Outcome) -> None:
    stage = staged(failure, failure, answered(202, accepted()))

    assert place_on(stage).order_id == ORDER_ID

    sent = requests(stage)
    assert len(sent) == 3
    assert sent[0] == sent[1] == sent[2]
    assert sent[0].headers["Idempotency-Key"] == KEY


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, InvalidRequest), (401, Unauthorized), (403, Forbidden), (409, Conflict), (422, FillrateError)],
)
def test_a_refusal_that_stays_is_sent_once(status: int, error: type[FillrateError]) -> None:
    stage = staged(problem(status, "SOME_CODE"))
    with pytest.raises(error) as raised:
        place_on(stage)
    assert raised.value.code == "SOME_CODE"
    assert len(requests(stage)) == 1


def test_retries_end_after_the_given_attempts() -> None:
    stage = staged(problem(429, "BACKLOGGED"))
    with pytest.raises(TooManyRequests):
        place_on(stage, RetryPolicy(attempts=4))
    assert len(requests(stage)) == 4


def test_no_attempt_comes_before_retry_after_is_over() -> None:
    stage = staged(problem(429, "BACKLOGGED", retry_after="7"), answered(202, accepted()))
    place_on(stage)
    (wait,) = waits(stage)
    assert wait >= 7


def test_a_retry_after_date_counts_from_the_answers_own_date() -> None:
    dates = {"date": "Fri, 02 Jan 2026 03:04:05 GMT", "retry_after": "Fri, 02 Jan 2026 03:04:16 GMT"}
    stage = staged(problem(503, **dates), answered(202, accepted()))
    place_on(stage)
    (wait,) = waits(stage)
    assert wait >= 11


def test_a_longer_wait_than_the_patience_is_left_to_the_caller() -> None:
    stage = staged(problem(429, "BACKLOGGED", retry_after="120"))
    with pytest.raises(TooManyRequests) as raised:
        place_on(stage, RetryPolicy(patience=30))
    assert raised.value.retry_after == 120
    assert len(requests(stage)) == 1
    assert waits(stage) == []


def test_waits_grow_are_spread_and_stay_bounded() -> None:
    policy = RetryPolicy(attempts=40, first_delay=1, longest_delay=8, patience=10_000)
    stage = staged(Unreachable("refused"))
    with pytest.raises(Unreachable):
        place_on(stage, policy)
    drawn = waits(stage)
    assert all(0 <= wait <= min(2**number, 8) for number, wait in enumerate(drawn))
    assert len(set(drawn)) == len(drawn) == 39


@pytest.mark.parametrize(
    "open_end", [NoAnswer("timed out"), problem(500), problem(503, "SUBMISSION_UNKNOWN"), problem(504)], ids=repr
)
def test_an_order_that_may_have_been_placed_is_never_called_refused(open_end: Outcome) -> None:
    stage = staged(open_end, problem(429, "BACKLOGGED"))
    with pytest.raises(SubmissionUnknown) as raised:
        place_on(stage)
    assert raised.value.idempotency_key == KEY


@pytest.mark.parametrize(
    "failure", [Unreachable("refused"), problem(503, "AWS_UNAVAILABLE"), problem(429, "BACKLOGGED")], ids=repr
)
def test_an_order_that_was_surely_not_placed_is_said_so(failure: Outcome) -> None:
    with pytest.raises((Unreachable, ServiceUnavailable, TooManyRequests)):
        place_on(staged(failure))


def test_an_answer_that_is_none_of_fillrates_leaves_an_order_open() -> None:
    stage = staged(HttpResponse(200, {}, b"<html>please log in to the wifi</html>"))
    with pytest.raises(SubmissionUnknown):
        place_on(stage)


def cancel_on(stage: Stage) -> Order:
    return stage.play(emit_result(cancel(stage.requester(), ORDER_ID)))[0]


def test_a_cancel_whose_first_answer_was_lost_is_a_success() -> None:
    cancelled = answered(200, order(life(["pending", "cancelled"])))
    stage = staged(NoAnswer("timed out"), problem(409, "CONFLICT"), cancelled)
    assert cancel_on(stage).status == "cancelled"


def test_a_cancel_that_came_too_late_is_a_conflict_also_after_a_lost_answer() -> None:
    stage = staged(NoAnswer("timed out"), problem(409, "CONFLICT"), answered(200, order(life())))
    with pytest.raises(Conflict):
        cancel_on(stage)


def test_a_cancel_that_is_refused_at_once_asks_nothing_more() -> None:
    stage = staged(problem(409, "CONFLICT"))
    with pytest.raises(Conflict):
        cancel_on(stage)
    assert len(requests(stage)) == 1
