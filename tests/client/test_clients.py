"""What `Fillrate` and `AsyncFillrate` both promise, over real connections."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from fillrate import (
    CannotExecute,
    ConfigurationError,
    Conflict,
    FieldError,
    Forbidden,
    InvalidRequest,
    NoAnswer,
    NotFound,
    Problem,
    ServiceUnavailable,
    SubmissionUnknown,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)

from tests.client.either_client import CLIENTS, Asynchronous, Either, Synchronous
from tests.client.sample_answers import BALANCES, FILLS, LIFE, ORDER_ID, QUOTE, accepted, life, order, pushed
from tests.client.scripted_service import Answer, BrokenOff, ScriptedService


@pytest.fixture(params=CLIENTS)
def kind(request: pytest.FixtureRequest) -> type[Synchronous] | type[Asynchronous]:
    return CLIENTS[request.param]


@pytest.fixture
def client(service: ScriptedService, kind: type[Synchronous] | type[Asynchronous]) -> Iterator[Either]:
    made = kind(service.url)
    yield made
    made.close()


AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))


def problem(status: int, code: str, **more: object) -> Answer:
    body = {"type": f"urn:fillrate:problem:{code}", "title": "T", "status": status, "detail": "why", **more}
    return Answer(status, body, {"content-type": "application/problem+json"})


def test_amounts_come_back_exactly(client: Either, service: ScriptedService) -> None:
    service.script("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=10.000000001&slippage=0.005", Answer(200, QUOTE))
    quote = client.call("quote", "SOL", "USDC", Decimal("10.000000001"), slippage="0.005")
    assert quote.amount_out == Decimal("1522.000001")
    assert quote.to_json() == QUOTE


@pytest.mark.parametrize("field", ["amount", "slippage", "min_out", "max_price_impact", "max_network_fee"])
def test_a_float_is_refused_before_anything_is_sent(client: Either, service: ScriptedService, field: str) -> None:
    arguments = {"amount": "1", field: 0.1}
    with pytest.raises(TypeError, match=f"{field} is the float 0.1.*exactly") as raised:
        client.call("execute", "SOL", "USDC", **arguments)
    assert 'Decimal("0.1")' in str(raised.value)
    assert service.received == []


@pytest.mark.parametrize("amount", [10, True, None, Decimal("NaN"), Decimal("Infinity"), Decimal("1e999999")])
def test_what_is_no_amount_is_refused_before_anything_is_sent(
    client: Either, service: ScriptedService, amount: object
) -> None:
    with pytest.raises((TypeError, ValueError), match="amount"):
        client.call("execute", "SOL", "USDC", amount)
    assert service.received == []


def test_a_small_decimal_is_sent_without_an_exponent(client: Either, service: ScriptedService) -> None:
    service.script("POST", "/orders/execute", Answer(202, accepted()))
    client.call("execute", "BONK", "USDC", Decimal("1E-5"))
    assert json.loads(service.received[0].body)["amount"] == "0.00001"


def test_the_terms_of_an_order_are_sent_as_they_are_given_and_no_others(
    client: Either, service: ScriptedService
) -> None:
    service.script("POST", "/orders/execute", Answer(202, accepted()))
    client.call(
        "execute",
        "SOL",
        "USDC",
        "10",
        min_out=Decimal("1506.780001"),
        expires_at=AT,
        client_order_id="rebalance-7",
        max_price_impact=Decimal("0.01"),
        max_network_fee="0.0001",
    )
    assert json.loads(service.received[0].body) == {
        "type": "market",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "amount": "10",
        "minOut": "1506.780001",
        "expiresAt": "2026-01-02T03:04:05+02:00",
        "clientOrderId": "rebalance-7",
        "maxPriceImpact": "0.01",
        "maxNetworkFee": "0.0001",
    }


@pytest.mark.parametrize(("own", "sent"), [(None, "1506.780001"), ("1506", "1506.780001"), ("1510", "1510")])
def test_a_quote_is_executed_as_it_was_quoted_and_never_for_less(
    client: Either, service: ScriptedService, own: str | None, sent: str
) -> None:
    service.script("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=10", Answer(200, QUOTE))
    service.script("POST", "/orders/execute", Answer(202, accepted()))
    quote = client.call("quote", "SOL", "USDC", "10")
    client.call("execute_quote", quote, min_out=own, client_order_id="rebalance-7", idempotency_key="mine")
    placed = service.received[1]
    assert placed.headers["idempotency-key"] == "mine"
    assert json.loads(placed.body) == {
        "type": "market",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "amount": "10",
        "slippage": "0.01",
        "minOut": sent,
        "clientOrderId": "rebalance-7",
    }


def test_a_time_without_a_zone_is_refused_before_anything_is_sent(client: Either, service: ScriptedService) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        client.call("execute", "SOL", "USDC", "10", expires_at=AT.replace(tzinfo=None))
    assert service.received == []


def test_a_broken_connection_is_tried_again_with_the_same_idempotency_key(
    client: Either, service: ScriptedService
) -> None:
    service.script(
        "POST", "/orders/execute", BrokenOff(), Answer(502, "bad gateway"), BrokenOff(), Answer(202, accepted())
    )
    order_accepted = client.call("execute", "SOL", "USDC", "10")
    keys = {request.headers["idempotency-key"] for request in service.received}
    assert keys == {order_accepted.idempotency_key}
    assert len(service.received) == 4
    assert len({request.body for request in service.received}) == 1


def test_two_orders_have_two_keys(client: Either, service: ScriptedService) -> None:
    service.script("POST", "/orders/execute", Answer(202, accepted()))
    first, second = (client.call("execute", "SOL", "USDC", "10") for _ in range(2))
    assert first.idempotency_key != second.idempotency_key


def test_a_given_key_is_used(client: Either, service: ScriptedService) -> None:
    service.script("POST", "/orders/execute", Answer(200, accepted()))
    assert client.call("execute", "SOL", "USDC", "10", idempotency_key="mine").idempotency_key == "mine"
    assert service.received[0].headers["idempotency-key"] == "mine"


def test_when_no_attempt_is_answered_the_key_is_told(client: Either, service: ScriptedService) -> None:
    service.script("POST", "/orders/execute", BrokenOff())
    with pytest.raises(SubmissionUnknown) as raised:
        client.call("execute", "SOL", "USDC", "10")
    assert raised.value.idempotency_key == service.received[0].headers["idempotency-key"]


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (problem(400, "invalid-request"), InvalidRequest, "INVALID_REQUEST"),
        (problem(401, "unauthorized"), Unauthorized, "UNAUTHORIZED"),
        (problem(403, "forbidden"), Forbidden, "FORBIDDEN"),
        (problem(404, "not-found"), NotFound, "NOT_FOUND"),
        (problem(409, "conflict"), Conflict, "CONFLICT"),
        (problem(422, "no-pool"), CannotExecute, "NO_POOL"),
        (problem(429, "backlogged"), TooManyRequests, "BACKLOGGED"),
        (problem(503, "rpc-unavailable"), ServiceUnavailable, "RPC_UNAVAILABLE"),
        (Answer(418, {"message": "gateway"}), Problem, "REFUSED"),
        (Answer(200, ["no", "object"]), UnexpectedAnswer, "UNEXPECTED_ANSWER"),
        (Answer(200, {"other": "thing"}), UnexpectedAnswer, "UNEXPECTED_ANSWER"),
        (BrokenOff(), NoAnswer, "NO_ANSWER"),
    ],
)
def test_each_refusal_is_its_own_error(
    client: Either, service: ScriptedService, answer: Answer | BrokenOff, error: type[Exception], code: str
) -> None:
    service.script("GET", f"/orders/{ORDER_ID}", answer)
    with pytest.raises(error) as raised:
        client.call("order", ORDER_ID)
    assert raised.type is error
    assert raised.value.code == code  # type: ignore[attr-defined]


def test_a_refusal_names_the_fields(client: Either, service: ScriptedService) -> None:
    errors = [{"field": "amount", "message": "must be greater than zero"}]
    service.script("POST", "/orders/execute", problem(400, "invalid-request", errors=errors))
    with pytest.raises(InvalidRequest) as raised:
        client.call("execute", "SOL", "USDC", "0")
    assert raised.value.fields == (FieldError("amount", "must be greater than zero"),)


def test_nobody_there_is_unreachable(kind: type[Synchronous] | type[Asynchronous]) -> None:
    with socket.socket() as closed:  # bound, and not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        made = kind(f"http://127.0.0.1:{closed.getsockname()[1]}/api")
        with pytest.raises(Unreachable):
            made.call("tokens")
        made.close()


def test_the_key_is_sent_and_shown_nowhere(
    service: ScriptedService, kind: type[Synchronous] | type[Asynchronous]
) -> None:
    service.script("GET", "/tokens", problem(401, "unauthorized"))
    made = kind(service.url, "fr_secret")
    with pytest.raises(Unauthorized) as raised:
        made.call("tokens")
    assert service.received[0].headers["x-api-key"] == "fr_secret"
    assert "fr_secret" not in repr(raised.value) + repr(made._client.configuration)
    made.close()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "what://is.this"])
def test_no_proxy_lies_between_a_client_and_this_machine(
    kind: type[Synchronous] | type[Asynchronous], service: ScriptedService, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    service.script("GET", "/health", Answer(200, {"status": "ok", "degraded": [], "checks": {}}))
    made = kind(service.url)
    assert made.call("health").is_ok
    made.close()


def test_a_proxy_that_cannot_be_used_is_named(
    kind: type[Synchronous] | type[Asynchronous], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "what://is.this")
    with pytest.raises(ConfigurationError, match="proxy"):
        kind("https://fillrate.example/api")


@pytest.mark.parametrize("key", ["a\r\nb: c", "ключ", "a b"])
def test_a_key_that_would_break_the_header_is_refused(kind: type[Synchronous] | type[Asynchronous], key: str) -> None:
    with pytest.raises(ConfigurationError, match="API key"):
        kind("http://127.0.0.1:1", key)


def test_an_unwell_service_is_an_answer_not_an_error(client: Either, service: ScriptedService) -> None:
    service.script("GET", "/health", Answer(503, {"status": "unavailable", "checks": {"solana": {"ok": False}}}))
    health = client.call("health")
    assert not health.is_ok
    assert health.checks["solana"] == {"ok": False}


def test_pages_are_asked_for_as_the_iteration_goes_on(client: Either, service: ScriptedService) -> None:
    pages = [[order(life(), f"order-{page}-{number}") for number in range(2)] for page in range(2)]
    service.script("GET", "/orders?status=confirmed&limit=2", Answer(200, {"orders": pages[0], "nextCursor": "a&b"}))
    service.script(
        "GET", "/orders?status=confirmed&limit=2&cursor=a%26b", Answer(200, {"orders": pages[1], "nextCursor": None})
    )
    orders = client.iterate("orders", status="confirmed", page_size=2)
    assert [next(orders).order_id, next(orders).order_id] == ["order-0-0", "order-0-1"]
    assert len(service.received) == 1
    assert [one.order_id for one in orders] == ["order-1-0", "order-1-1"]


def test_a_listing_is_asked_for_a_period_and_a_time_without_a_zone_is_refused(
    client: Either, service: ScriptedService
) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    query = "from=2026-01-01T00%3A00%3A00%2B00%3A00&to=2026-02-01T00%3A00%3A00Z"
    service.script("GET", f"/orders?{query}", Answer(200, {"orders": [], "nextCursor": None}))
    assert list(client.iterate("orders", since=since, until="2026-02-01T00:00:00Z")) == []
    with pytest.raises(ValueError, match="since has no time zone"):
        list(client.iterate("orders", since=datetime(2026, 1, 1)))  # noqa: DTZ001 - what is tested


def test_fills_are_read_exactly_page_by_page(client: Either, service: ScriptedService) -> None:
    pages = [{**FILLS, "nextCursor": "a&b"}, {**FILLS, "nextCursor": None}]
    service.script("GET", "/fills?token=SOL&limit=1", Answer(200, pages[0]))
    service.script("GET", "/fills?token=SOL&limit=1&cursor=a%26b", Answer(200, pages[1]))
    found = list(client.iterate("fills", token="SOL", page_size=1))
    assert [fill.order_id for fill in found] == [ORDER_ID, ORDER_ID]
    assert found[0].vs_quote_bps == Decimal("-0.0666666666666666667")
    assert found[0].vs_floor_bps is None
    assert found[0].pool_fees[0].amount == Decimal("0.025")


def test_pages_of_comma_separated_values_are_one_file_with_one_head(client: Either, service: ScriptedService) -> None:
    csv = {"content-type": "text/csv; charset=utf-8"}
    service.script("GET", "/fills?format=csv&limit=1000", Answer(200, b"a,b\r\n1,2\r\n", {**csv, "next-cursor": "x"}))
    service.script("GET", "/fills?format=csv&limit=1000&cursor=x", Answer(200, b"a,b\r\n3,4\r\n", csv))
    assert "".join(client.iterate("fills_csv")) == "a,b\r\n1,2\r\n3,4\r\n"
    service.script("GET", "/fills?token=X&format=csv&limit=1000", Answer(200, {"fills": []}))
    with pytest.raises(UnexpectedAnswer):
        list(client.iterate("fills_csv", token="X"))


def test_all_are_cancelled_call_after_call(client: Either, service: ScriptedService) -> None:
    answers = [(200, ["a"], True), (3, ["a", "b"], False)]
    service.script(
        "DELETE",
        "/orders?status=unsigned",
        *(Answer(200, {"cancelled": n, "tooLate": late, "more": more}) for n, late, more in answers),
    )
    outcome = client.call("cancel_all")
    assert (outcome.cancelled, outcome.too_late, outcome.more) == (203, ("a", "b"), False)
    stuck = Answer(200, {"cancelled": 0, "tooLate": [], "more": True})
    service.script("DELETE", "/orders?status=open", stuck)
    assert client.call("cancel_all", waiting_alone=True).more, "a service that gets nowhere is not asked for ever"


def test_balances_are_read_exactly(client: Either, service: ScriptedService) -> None:
    service.script("GET", "/balances", Answer(200, BALANCES))
    sol, jup = client.call("balances").balances
    assert (sol.amount, sol.free, sol.value) == (Decimal("12.500000001"), Decimal("12.499109121"), None)
    assert (jup.amount, jup.free) == (Decimal("0.000001"), None)


def test_an_order_is_followed_from_its_first_step_to_its_end(client: Either, service: ScriptedService) -> None:
    service.script("POST", "/orders/execute", Answer(202, accepted(service.ws_url)))
    service.sockets.append([pushed(change) for change in life()])
    events = list(client.iterate("follow", client.call("execute", "SOL", "USDC", "10")))
    assert [event.status for event in events] == LIFE
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert service.opened == ["/api?ticket=1"]


def test_a_dropped_socket_is_opened_anew_and_nothing_is_told_twice(client: Either, service: ScriptedService) -> None:
    path = f"/orders/{ORDER_ID}"
    service.script("GET", path, Answer(200, order(life()[:1], ws_url=service.ws_url)))
    messages = [pushed(change) for change in life()]
    service.sockets.extend([messages[:2], messages[:3], None, messages])
    events = list(client.iterate("follow", ORDER_ID))
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert len(service.opened) == 4
    assert len([one for one in service.received if one.path.endswith(path)]) == 4, "each socket has a fresh address"


def test_waiting_gives_the_order_as_it_ended(client: Either, service: ScriptedService) -> None:
    service.script("GET", f"/orders/{ORDER_ID}", Answer(200, order(life()[:1])), Answer(200, order(life())))
    ended = client.call("wait", ORDER_ID)
    assert ended.is_terminal
    assert ended.status == "confirmed"


def test_an_account_is_watched_over_sockets_that_break(client: Either, service: ScriptedService) -> None:
    nothing = Answer(200, {"orders": [], "nextCursor": None})
    caught_up = Answer(200, {"orders": [order(life())], "nextCursor": None})
    service.script("GET", "/orders?limit=100", nothing, nothing, caught_up)
    service.script("POST", "/ws-tickets", Answer(200, {"wsUrl": service.ws_url}))
    service.sockets.extend([[pushed(life()[0]), pushed(life()[1])], []])
    events = client.iterate("watch")
    assert [next(events).seq for _ in range(5)] == [1, 2, 3, 4, 5]
    events.close()


def test_quotes_are_streamed_over_sockets_that_break(client: Either, service: ScriptedService) -> None:
    service.script("POST", "/ws-tickets", Answer(200, {"wsUrl": service.ws_url}))
    first, second = ({"type": "quote", **QUOTE, "amountOut": amount} for amount in ("1500", "1501"))
    gone = {"type": "quote-error", "title": "no", "status": 503, "detail": "away", "errorCode": "RPC_UNAVAILABLE"}
    service.listens = True
    service.sockets.extend([[first, first, second, gone], [second]])
    told = client.iterate("stream_quotes", "SOL", "USDC", Decimal(10), slippage="0.01")
    news = [next(told) for _ in range(5)]
    told.close()
    wish = {"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.01"}
    assert service.said == [wish, wish]
    assert [getattr(one, "amount_out", None) or one.error_code for one in news] == [
        *(Decimal(1500), Decimal(1501), "RPC_UNAVAILABLE", "DISCONNECTED", Decimal(1501))
    ]


@pytest.mark.parametrize(
    ("method", "arguments", "sent"),
    [
        ("limit", {"limit_price": Decimal("160.50"), "max_tries": 3}, {"limitPrice": "160.50", "maxTries": 3}),
        ("stop", {"stop_price": "140", "slippage": "0.02"}, {"stopPrice": "140", "slippage": "0.02"}),
        ("stop", {"trailing": "0.05", "force": True}, {"trailing": "0.05", "force": True}),
        ("oco", {"limit_price": "160", "stop_price": "140"}, {"limitPrice": "160", "stopPrice": "140"}),
    ],
)
def test_an_order_that_waits_is_sent_with_its_prices_and_nothing_else(
    client: Either, service: ScriptedService, method: str, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    service.script("POST", "/orders/execute", Answer(202, {**accepted(), "status": "open"}))
    placed = client.call(method, "SOL", "USDC", "10", idempotency_key="mine", **arguments)
    assert (placed.status, placed.idempotency_key) == ("open", "mine")
    trade = {"type": method, "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10"}
    assert json.loads(service.received[0].body) == {**trade, **sent}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"stop_price": Decimal(142), "expires_at": "2026-01-02T03:04:05Z"}, None),
        ({"remove_min_out": True}, {"minOut": None}),
        ({"min_out": "7", "force": True}, {"minOut": "7", "force": True}),
    ],
)
def test_only_what_is_to_be_changed_is_sent(
    client: Either, service: ScriptedService, arguments: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    service.script("PATCH", f"/orders/{ORDER_ID}", Answer(200, order(life())))
    assert client.call("change", ORDER_ID, **arguments).order_id == ORDER_ID
    wanted = {"stopPrice": "142", "expiresAt": "2026-01-02T03:04:05Z"} if sent is None else sent
    assert json.loads(service.received[0].body) == wanted


def test_a_least_that_is_set_and_removed_at_once_is_refused_before_anything_is_sent(
    client: Either, service: ScriptedService
) -> None:
    with pytest.raises(ValueError, match="both set and removed"):
        client.call("change", ORDER_ID, min_out="1", remove_min_out=True)
    assert service.received == []
