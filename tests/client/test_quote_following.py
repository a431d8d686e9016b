"""A stream of quotes is told as it changes, says when there is none, and holds on to its socket while that lives."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from fillrate import InvalidRequest, NoQuote, Quote, TooManyRequests, Unreachable
from fillrate.conversation import Effect, OpenSocket, Receive, Send, SendText, Sleep, SocketFailed
from fillrate.quote_following import ANSWERED_SECONDS, ASK_AGAIN_SECONDS, QuoteFollower
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.playing import Stage, answered, problem

Json = dict[str, Any]
TICKET = {"wsPath": "/?ticket=1", "wsUrl": "ws://service/?ticket=1", "expiresAt": "2026-01-02T03:04:05.006Z"}


def quote(amount_out: str, slot: int = 1) -> Json:
    return {
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "amount": "10",
        "slippage": "0.01",
        "slot": slot,
        "slotLag": slot % 2,
        "at": f"2026-01-02T03:04:{slot % 60:02}.000Z",
        "ageMs": slot,
        "amountOut": amount_out,
        "minOut": amount_out,
        "price": amount_out,
        "priceImpact": "0",
        "route": [],
        "fees": [],
        "quotes": [],
    }


def told(amount_out: str, slot: int = 1) -> str:
    return json.dumps({"type": "quote", **quote(amount_out, slot)})


def error(code: str) -> str:
    wish = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.01"}
    message = {"type": "quote-error", **wish, "title": "no", "status": 503, "detail": "no node", "errorCode": code}
    return json.dumps(message)


def refused(status: int, *fields: str) -> str:
    errors = [{"field": name, "message": "is wrong"} for name in fields]
    return json.dumps({"type": "error", "title": "no", "status": status, "detail": "wrong", "errors": errors})


def service(*sockets: list[str | None], http: Callable[[Send], object] | None = None) -> Stage:
    """Each socket gives its frames, None for a silence, and is closed; after the last one none can be had."""
    left = [list(frames) for frames in sockets]
    current: list[str | None] = []

    def answer(effect: Effect) -> object:
        nonlocal current
        match effect:
            case Send(request):
                if request.path == "/ws-tickets":
                    return answered(200, TICKET)
                assert http is not None, request
                return http(effect)
            case OpenSocket():
                if not left:
                    raise SocketFailed("refused")
                current = left.pop(0)
                return None
            case Receive():
                if not current:
                    raise SocketFailed("closed")
                return current.pop(0)
            case SendText():
                return None
        raise AssertionError(effect)

    return Stage(answer)


def follow(stage: Stage, timeout: float = 300.0) -> list[str]:
    """What was told: what quotes paid, and codes where there was none."""
    follower = QuoteFollower(stage.requester(), "SOL", "USDC", Decimal(10), "0.02", timeout)
    return [
        f"{news.amount_out:f}" if isinstance(news, Quote) else news.error_code for news in stage.play(follower.follow())
    ]


def sent(stage: Stage) -> list[Json]:
    return [json.loads(effect.text) for effect in stage.effects if isinstance(effect, SendText)]


def no_http(effect: Send) -> object:
    raise Unreachable("away")


def test_each_quote_that_is_another_is_told_and_one_that_differs_by_its_slot_alone_is_not() -> None:
    stage = service([told("150"), told("150", 2), told("151", 3), told("150", 4)], http=no_http)
    with pytest.raises(Unreachable):
        follow(stage)
    assert sent(stage) == [
        {"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.02"}
    ]


def test_where_there_is_none_that_is_told_once_and_then_the_same_quote_again() -> None:
    stage = service([told("150"), error("RPC_UNAVAILABLE"), error("RPC_UNAVAILABLE"), told("150", 9), *[None] * 40])
    assert follow(stage, timeout=50.0) == ["150", "RPC_UNAVAILABLE", "150"]


def test_after_a_lost_connection_what_came_before_is_of_no_use_and_the_next_tells_again() -> None:
    stage = service([told("150")], [told("150", 5), *[None] * 40])
    assert follow(stage, timeout=50.0) == ["150", "DISCONNECTED", "150"]
    assert len(sent(stage)) >= 2


def test_the_wish_is_said_again_and_again_and_a_socket_that_answers_none_is_dead() -> None:
    silent = [told("150"), *[None] * 100]
    stage = service(silent, [told("151")], http=lambda _: answered(200, quote("151")))
    assert follow(stage, timeout=ASK_AGAIN_SECONDS + ANSWERED_SECONDS + 40)[:3] == ["150", "DISCONNECTED", "151"]
    assert [type(effect) for effect in stage.effects].count(OpenSocket) >= 2


def test_in_a_market_that_never_rests_the_wish_is_said_again_in_time() -> None:
    frames: list[str | None] = []
    for number in range(30):
        frames += [told(str(150 + number), number), None]
    stage = service(frames)
    follow(stage, timeout=250.0)
    assert len(sent(stage)) == 1 + int(250 // ASK_AGAIN_SECONDS)


def test_a_wish_that_is_wrong_or_one_too_many_is_an_error_that_names_the_field() -> None:
    with pytest.raises(InvalidRequest) as wrong:
        follow(service([refused(400, "tokenIn")]))
    assert [one.field for one in wrong.value.fields] == ["tokenIn"]
    with pytest.raises(TooManyRequests):
        follow(service([refused(429, "tokenIn")]))


def test_what_may_pass_is_asked_for_again() -> None:
    stage = service([refused(503), told("150"), *[None] * 40])
    assert follow(stage, timeout=50.0) == ["SERVICE_UNAVAILABLE", "150"]
    assert len(sent(stage)) >= 2


@pytest.mark.parametrize(
    "refusal", [problem(404, "NO_WEBSOCKET"), problem(429, "TOO_MANY_CONNECTIONS", retry_after="60")]
)
def test_without_a_websocket_quotes_are_asked_for_each_second(refusal: Any) -> None:
    answers = [
        answered(200, quote("150")),
        answered(200, quote("150", 2)),
        problem(422, "NO_POOL"),
        problem(503, "RPC_UNAVAILABLE"),
        answered(200, quote("151", 3)),
    ]

    def http(effect: Effect) -> object:
        assert isinstance(effect, Send)
        if effect.request.path == "/ws-tickets":
            return refusal
        return answers.pop(0) if len(answers) > 1 else answers[0]

    stage = Stage(http)
    assert follow(stage, timeout=8.0) == ["150", "NO_POOL", "RPC_UNAVAILABLE", "151"]
    assert {effect.seconds for effect in stage.effects if isinstance(effect, Sleep)} == {1.0}


@settings(max_examples=60, deadline=None)
@given(
    sockets=st.lists(
        st.lists(
            st.sampled_from([told("150"), told("151"), error("RPC_UNAVAILABLE"), None, "no json", '{"type":"pong"}']),
            max_size=6,
        ),
        max_size=6,
    )
)
def test_whatever_breaks_nothing_is_told_twice_in_a_row_and_a_break_is_always_told(
    sockets: list[list[str | None]],
) -> None:
    stage = service(*sockets, http=lambda _: answered(200, quote("152")))
    news = follow(stage, timeout=100.0)
    assert all(first != second for first, second in pairwise(news))
    assert news, "where no socket is had, the GETs tell"
    assert news.count("DISCONNECTED") <= len(sockets)


def test_what_is_told_is_a_quote_or_why_there_is_none() -> None:
    stage = service([told("150"), error("NO_POOL"), *[None] * 3])
    follower = QuoteFollower(stage.requester(), "SOL", "USDC", "10", None, 20.0)
    first, second = stage.play(follower.follow())
    assert isinstance(first, Quote)
    assert isinstance(second, NoQuote)
    assert (second.error_code, second.detail, second.token_in) == ("NO_POOL", "no node", "SOL")
