"""Accounts at the HTTP routes of a stage that asks everybody for a key: scopes, strangers, rates and tickets."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import composition
from chalicelib.access.keys import Scope
from chalicelib.access.ticket_secret import TicketSecret
from chalicelib.problems import AwsUnavailable
from tests.integration.cloud import Json
from tests.integration.web import ORDER, Web, fields, problem, socket, without_ticket


@pytest.fixture
def prod(web: Web, environment: Callable[..., None]) -> Web:
    environment(STAGE="prod")
    return web


def key_of(web: Web, account: str, *scopes: Scope, rate_per_minute: int = 100_000) -> Json:
    return {"x-api-key": web.cloud.new_key(account, *scopes, rate_per_minute=rate_per_minute).secret}


READS = [("GET", "/orders"), ("GET", "/tokens"), ("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=1")]
TRADES = [("POST", "/orders/execute"), ("DELETE", "/orders/unknown")]


@pytest.mark.parametrize(("method", "path"), [*READS, ("GET", "/orders/unknown"), ("POST", "/ws-tickets")])
def test_reading_needs_the_scope_read(prod: Web, method: str, path: str) -> None:
    refused = problem(prod(method, path, None, key_of(prod, "alice", Scope.TRADE)), 403)
    assert refused["type"] == "urn:fillrate:problem:forbidden"
    assert "scope read" in refused["detail"]
    for scope in (Scope.READ, Scope.ADMIN):
        assert prod(method, path, None, key_of(prod, "alice", scope)).status_code in (200, 404)


@pytest.mark.parametrize(("method", "path"), TRADES)
def test_trading_needs_the_scope_trade(prod: Web, method: str, path: str) -> None:
    body = ORDER if method == "POST" else None
    assert "scope trade" in problem(prod(method, path, body, key_of(prod, "alice", Scope.READ)), 403)["detail"]
    assert prod.cloud.receive() == []
    for scope in (Scope.TRADE, Scope.ADMIN):
        assert prod(method, path, body, key_of(prod, "alice", scope)).status_code in (202, 404)


def test_a_strangers_view_of_an_order_is_that_of_one_that_is_not_there(prod: Web) -> None:
    alice, mallory = key_of(prod, "alice"), key_of(prod, "mallory")
    order_id = prod("POST", "/orders/execute", ORDER, alice).json_body["orderId"]
    for method, path, body in (
        ("GET", f"/orders/{order_id}", None),
        ("DELETE", f"/orders/{order_id}", None),
        ("POST", "/ws-tickets", {"orderId": order_id}),
    ):
        problem(prod(method, path, body, mallory), 404)
        assert prod(method.replace("DELETE", "GET"), path, body, alice).status_code == 200
    assert prod("GET", "/orders", None, mallory).json_body == {"orders": [], "nextCursor": None}
    cursor = prod("GET", "/orders?limit=1", None, alice).json_body["orders"][0]["orderId"]
    assert cursor == order_id


def test_two_accounts_same_idempotency_key_are_two_orders_and_one_accounts_two_keys_one(prod: Web) -> None:
    def placed(key: Json) -> str:
        return str(prod("POST", "/orders/execute", ORDER, {**key, "Idempotency-Key": "same"}).json_body["orderId"])

    first = placed(key_of(prod, "alice"))
    assert placed(key_of(prod, "alice")) == first
    assert placed(key_of(prod, "bob")) != first


def test_beyond_its_rate_a_key_gets_429_with_the_time_to_come_back(prod: Web) -> None:
    key = key_of(prod, "alice", rate_per_minute=1)
    assert prod("GET", "/orders", None, key).status_code == 200
    response = prod("GET", "/orders", None, key)
    assert problem(response, 429)["type"] == "urn:fillrate:problem:rate-limited"
    assert 0 < int(response.headers["Retry-After"]) <= 60


# --- tickets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, b"{}", {"orderId": None}])
def test_a_ticket_without_an_order_is_for_the_whole_account(prod: Web, body: object) -> None:
    issued = prod("POST", "/ws-tickets", body, key_of(prod, "alice")).json_body
    assert issued.keys() == {"wsUrl", "wsPath", "expiresAt"}
    url = urlsplit(issued["wsUrl"])
    assert parse_qs(url.query).keys() == {"ticket"}
    assert issued["wsPath"] == f"{url.path}?{url.query}"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"orderId": 5}, ["orderId"]),
        ({"orderId": ""}, ["orderId"]),
        ({"account": "bob"}, ["account"]),
        (b"[", ["body"]),
    ],
)
def test_a_wrong_wish_for_a_ticket_names_the_wrong_field(prod: Web, body: object, wrong: list[str]) -> None:
    assert fields(prod("POST", "/ws-tickets", body, key_of(prod, "alice"))) == wrong


def test_the_address_of_a_new_order_opens_the_websocket_and_its_bare_order_does_not(prod: Web) -> None:
    taken = prod("POST", "/orders/execute", ORDER, key_of(prod, "alice")).json_body
    query = {name: values[0] for name, values in parse_qs(urlsplit(taken["wsUrl"]).query).items()}
    bare = {"orderId": taken["orderId"]}
    assert prod.invoke("ws_connect", socket("CONNECT", "c", queryStringParameters=bare)) == {"statusCode": 403}
    assert prod.invoke("ws_connect", socket("CONNECT", "client", queryStringParameters=query)) == {"statusCode": 200}
    assert [one.connection_id for one in prod.cloud.connections().watchers(taken["orderId"])] == ["client"]


def test_who_has_as_many_connections_as_may_be_gets_429_in_words_and_no_ticket(
    prod: Web, environment: Callable[..., None]
) -> None:
    environment(STAGE="prod", CONNECTIONS_PER_KEY="2", CONNECTIONS_PER_ACCOUNT="3")
    first, second = key_of(prod, "alice"), key_of(prod, "alice")

    def comes(client: str) -> Json:
        """To the door with a ticket that was given while there was room."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(tickets[client]["wsUrl"]).query).items()}
        return dict(prod.invoke("ws_connect", socket("CONNECT", client, queryStringParameters=query)))

    tickets = {f"a-{number}": prod("POST", "/ws-tickets", None, first).json_body for number in range(3)}
    tickets |= {f"b-{number}": prod("POST", "/ws-tickets", None, second).json_body for number in range(2)}
    assert [comes(f"a-{number}")["statusCode"] for number in range(3)] == [200, 200, 429]

    refusal = prod("POST", "/ws-tickets", None, first)
    said = problem(refusal, 429)
    assert said["type"] == "urn:fillrate:problem:too-many-connections"
    assert "an API key may have at most 2 WebSocket connections open" in said["detail"]
    assert int(refusal.headers["Retry-After"]) == 60

    assert [comes(f"b-{number}")["statusCode"] for number in range(2)] == [200, 429]
    assert "an account may have at most 3" in problem(prod("POST", "/ws-tickets", None, second), 429)["detail"]
    assert prod("POST", "/orders/execute", ORDER, second).status_code == 202, "orders are taken all the same"

    prod.invoke("ws_disconnect", socket("DISCONNECT", "a-0"))
    assert prod("POST", "/ws-tickets", None, first).status_code == 200


def test_while_no_ticket_can_be_issued_no_order_is_taken_or_cancelled(
    prod: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that is stored and answered with an error would be sent again."""
    alice = key_of(prod, "alice")
    order = prod("POST", "/orders/execute", ORDER, alice).json_body
    assert len(prod.cloud.receive()) == 1

    def unreachable(_: TicketSecret, __: str) -> bytes:
        raise AwsUnavailable

    for part in (composition.ticket_office, composition.websocket_doors, composition.orders_api):
        part.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(TicketSecret, "_version", unreachable)
        for method, path, body in (("POST", "/orders/execute", ORDER), ("DELETE", f"/orders/{order['orderId']}", None)):
            response = prod(method, path, body, alice)
            problem(response, 503)
            assert response.headers["Retry-After"]
    assert prod.cloud.receive() == []
    shown = prod("GET", f"/orders/{order['orderId']}", None, alice).json_body
    assert without_ticket(shown)["status"] == "pending"
