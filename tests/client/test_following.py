"""Whatever breaks on the way, a follower is told every step once, in order, up to the end."""

from __future__ import annotations

import itertools
import json

import pytest
from fillrate import NotEnded, NotFound, RetryPolicy, Unreachable
from fillrate.conversation import Effect, OpenSocket, Receive, Send, SendText, SocketFailed
from fillrate.following import POLL_SECONDS, AccountFollower, OrderFollower
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.playing import Stage, answered, problem
from tests.client.sample_answers import ORDER_ID, life, order, pushed, step
from tests.client.unreliable_service import TROUBLES, UnreliableService

RETRIED = [
    step(1, "pending"),
    step(2, "routing"),
    step(3, "failed", terminal=False, retryInMs=1000, errorCode="RPC_UNAVAILABLE", error="no"),
    step(4, "routing"),
    step(5, "failed", terminal=True, errorCode="NO_POOL", error="no"),
]
WS_URL = "ws://service/?ticket=first"


PATIENT = RetryPolicy(attempts=1_000, patience=1e6)


def follow(stage: Stage, ws_url: str | None = None, after_seq: int = 0, timeout: float | None = None) -> list[int]:
    follower = OrderFollower(stage.requester(PATIENT), ORDER_ID, after_seq, timeout)
    return [event.seq for event in stage.play(follower.follow(ws_url))]


@settings(max_examples=60, deadline=None)
@given(
    history=st.sampled_from([life(), life(["pending", "cancelled"]), RETRIED]),
    troubles=st.lists(st.sampled_from(TROUBLES), max_size=40),
    steps=st.lists(st.booleans(), max_size=40),
    after_seq=st.integers(0, 5),
    with_url=st.booleans(),
)
def test_every_step_is_told_once_and_in_order_whatever_fails(
    history: list[dict[str, object]], troubles: list[str], steps: list[bool], after_seq: int, with_url: bool
) -> None:
    after_seq = min(after_seq, len(history))
    service = UnreliableService(
        {ORDER_ID: history},
        {ORDER_ID: 1},
        trouble=lambda: troubles.pop() if troubles else "fine",
        progress=lambda: ORDER_ID if not steps or steps.pop() else None,
        replays=True,
    )
    told = follow(Stage(service.answer), WS_URL if with_url else None, after_seq)
    assert told == list(range(after_seq + 1, len(history) + 1))


@settings(max_examples=60, deadline=None)
@given(
    troubles=st.lists(st.sampled_from(TROUBLES), max_size=40),
    steps=st.lists(st.sampled_from(["old", "open", "first", "second", None]), max_size=60),
)
def test_all_changes_of_an_account_are_told_once_and_in_order_whatever_fails(
    troubles: list[str], steps: list[str | None]
) -> None:
    rest = ["open", "first", "second"] * 5

    def progress() -> str | None:
        if not service.listed:  # what happens before the first look is the past
            return None
        return steps.pop() if steps else rest.pop() if rest else None

    service = UnreliableService(
        {"old": life(), "open": life(), "first": life(), "second": RETRIED},
        {"old": 5, "open": 2, "first": 0, "second": 0},
        trouble=lambda: troubles.pop() if troubles else "fine",
        progress=progress,
        replays=False,
    )
    stage = Stage(service.answer)
    told = stage.play(AccountFollower(stage.requester(PATIENT), timeout=2_000).follow())

    by_order = {name: [event.seq for event in told if event.order_id == name] for name in service.histories}
    assert by_order == {"old": [], "open": [3, 4, 5], "first": [1, 2, 3, 4, 5], "second": [1, 2, 3, 4, 5]}


def one_order(history: list[dict[str, object]], *frames: str | None, socket: bool = True) -> Stage:
    """A service where the order is as it is; its socket gives `frames` and closes."""
    left = list(frames)

    def answer(effect: Effect) -> object:
        match effect:
            case Send():
                return answered(200, order(history, ws_url=WS_URL))
            case OpenSocket():
                if not socket:
                    raise SocketFailed("refused")
                return None
            case Receive():
                if not left:
                    raise SocketFailed("closed")
                return left.pop(0)
            case SendText():
                return None
        raise AssertionError(effect)

    return Stage(answer)


def count(stage: Stage, kind: type[Effect]) -> int:
    return sum(isinstance(effect, kind) for effect in stage.effects)


def test_a_fresh_address_is_used_without_another_request() -> None:
    stage = one_order(life(), *(json.dumps(pushed(change)) for change in life()))
    assert follow(stage, WS_URL) == [1, 2, 3, 4, 5]
    assert [type(effect) for effect in stage.effects] == [OpenSocket] + [Receive] * 5


def test_an_order_that_has_ended_is_told_from_one_request() -> None:
    stage = one_order(life())
    assert follow(stage) == [1, 2, 3, 4, 5]
    assert [type(effect) for effect in stage.effects] == [Send]


def test_a_gap_is_filled_before_what_comes_after_it() -> None:
    stage = one_order(life(), json.dumps(pushed(step(1, "pending"))), json.dumps(pushed(step(5, "confirmed"))))
    assert follow(stage, WS_URL) == [1, 2, 3, 4, 5]


def test_another_orders_news_and_unknown_messages_are_passed_over() -> None:
    noise = [
        "no json",
        "[1]",
        '{"type": "pong"}',
        json.dumps(pushed(step(1, "pending"), "another")),
        '{"type": "status"}',
    ]
    stage = one_order(life(), *noise, *(json.dumps(pushed(change)) for change in life()))
    assert follow(stage, WS_URL) == [1, 2, 3, 4, 5]


def test_without_any_socket_the_order_is_asked_for_until_it_ends() -> None:
    looks = iter(range(1, 6))

    def answer(effect: Effect) -> object:
        if isinstance(effect, OpenSocket):
            raise SocketFailed("refused")
        return answered(200, order(life()[: next(looks)], ws_url=WS_URL))

    stage = Stage(answer)
    assert follow(stage) == [1, 2, 3, 4, 5]
    assert count(stage, OpenSocket) == 2, "a socket that was refused twice is left alone for a while"


def test_where_no_more_connections_may_be_open_the_account_is_followed_by_asking() -> None:
    service = UnreliableService(
        {ORDER_ID: life()},
        {ORDER_ID: 0},
        trouble=lambda: "fine",
        progress=lambda: ORDER_ID if service.listed else None,
        replays=False,
    )
    asked = 0

    def answer(effect: Effect) -> object:
        nonlocal asked
        assert not isinstance(effect, OpenSocket)
        if isinstance(effect, Send) and effect.request.path == "/ws-tickets":
            asked += 1
            return problem(429, code="TOO_MANY_CONNECTIONS", retry_after="60")
        return service.answer(effect)

    stage = Stage(answer)
    follower = AccountFollower(stage.requester(PATIENT), timeout=20)
    assert [event.seq for event in stage.play(follower.follow())] == [1, 2, 3, 4, 5]
    assert asked == 1, "the answer holds for a while"


def test_where_there_is_no_websocket_an_order_is_followed_by_asking_each_second() -> None:
    looks = itertools.count(1)
    stage = Stage(lambda _: answered(200, order(life()[: min(next(looks), 5)])))
    follower = OrderFollower(stage.requester(PATIENT), ORDER_ID)
    assert [event.seq for event in stage.play(follower.follow())] == [1, 2, 3, 4, 5]
    assert count(stage, OpenSocket) == 0
    assert stage.now == 1_000 + 4 * POLL_SECONDS


def test_where_there_is_no_websocket_the_account_is_followed_by_asking() -> None:
    service = UnreliableService(
        {ORDER_ID: life()},
        {ORDER_ID: 0},
        trouble=lambda: "fine",
        progress=lambda: ORDER_ID if service.listed else None,
        replays=False,
    )

    def answer(effect: Effect) -> object:
        assert not isinstance(effect, OpenSocket)
        if isinstance(effect, Send) and effect.request.path == "/ws-tickets":
            return problem(404, code="NO_WEBSOCKET")
        return service.answer(effect)

    stage = Stage(answer)
    follower = AccountFollower(stage.requester(PATIENT), timeout=20)
    assert [event.seq for event in stage.play(follower.follow())] == [1, 2, 3, 4, 5]


def test_following_ends_with_its_time_and_says_that_the_order_goes_on() -> None:
    stage = one_order(life(["pending"]), *[None] * 100)
    with pytest.raises(NotEnded) as raised:
        follow(stage, timeout=25)
    assert raised.value.order_id == ORDER_ID
    assert stage.now == 1_025


def test_a_long_silence_is_broken_by_a_ping() -> None:
    stage = one_order(life(["pending"]), *[None] * 100)
    with pytest.raises(NotEnded):
        follow(stage, timeout=600)
    assert count(stage, SendText) == 2


def test_an_order_that_does_not_exist_is_said_so_at_once() -> None:
    stage = Stage(lambda _effect: problem(404, "NOT_FOUND"))
    with pytest.raises(NotFound):
        follow(stage)


def test_a_service_that_is_not_there_is_not_waited_for_as_one_that_went_away() -> None:
    def away(_effect: Effect) -> object:
        raise Unreachable("refused")

    never_there = Stage(away)
    with pytest.raises(Unreachable):
        never_there.play(OrderFollower(never_there.requester(), ORDER_ID).follow())
    assert count(never_there, Send) == RetryPolicy().attempts

    looks = iter([answered(200, order(life(["pending"])))])

    def went_away(_effect: Effect) -> object:
        if (look := next(looks, None)) is None:
            raise Unreachable("refused")
        return look

    went = Stage(went_away)
    with pytest.raises(Unreachable):
        went.play(OrderFollower(went.requester(), ORDER_ID).follow())
    assert 50 < went.now - 1_000 <= 61
