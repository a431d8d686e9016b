"""A client's WebSocket session: what it may say, what it is told, and what it never learns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.access.ticket_office import TicketOffice
from chalicelib.orders.order import Order
from chalicelib.orders.ports import Orders
from chalicelib.problems import NotFound
from chalicelib.push.connection_table import MayWatch
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS, Connections, Subscription
from chalicelib.push.session import Session
from tests.integration.cloud import Cloud, Json, OrdersStream, WebSocketApi, aws_error
from tests.integration.pushing import publisher
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS, confirmed, new_order

CLIENT = "client-1"


@dataclass
class Talk:
    """A session, and what its clients were sent."""

    cloud: Cloud
    api: WebSocketApi
    stream: OrdersStream
    now_ms: int = CREATED_AT_MS

    @property
    def connections(self) -> Connections:
        return self.cloud.connections()

    def session(self, store: Orders | None = None) -> Session:
        return Session(
            store or self.cloud.store(),
            self.connections,
            self.cloud.connection_table(),
            self.api.gateway(),
            self.tickets,
            lambda: self.now_ms,
            "local",
            self.cloud.stream_requests(lambda: self.now_ms),
        )

    @property
    def tickets(self) -> TicketOffice:
        return self.cloud.tickets(lambda: self.now_ms)

    def say(self, message: object, client: str = CLIENT) -> list[Json]:
        """What the client is answered; it is connected first if need be, and in no hurry."""
        self.now_ms += 1_000
        self.connected(client)
        before = len(self.api.received(client))
        self.session().receive(client, message if isinstance(message, str) else json.dumps(message))
        return self.api.received(client)[before:]

    def connected(self, client: str = CLIENT, account: str = "local") -> None:
        name = {"name": {"S": f"connection#{client}"}}
        table = self.cloud.outputs["ConnectionsTable"]
        if "Item" not in self.cloud.dynamodb.get_item(TableName=table, Key=name):
            self.cloud.connection_table().open(client, account, None, self.now_ms)

    def publish(self) -> None:
        publisher(self.cloud, self.api).publish(self.stream.new_records())


@pytest.fixture
def talk(cloud: Cloud, websocket_api: WebSocketApi, stream: OrdersStream) -> Talk:
    assert cloud.store().create(new_order("order-1"))
    assert cloud.store().create(new_order("order-2"))
    return Talk(cloud, websocket_api, stream)


# --- connecting ---------------------------------------------------------------------------------------------------


def test_a_connection_that_names_an_order_watches_it_and_ends_with_it(talk: Talk) -> None:
    talk.session().connect(CLIENT, {"orderId": "order-1"})
    assert talk.connections.watchers("order-1") == [Subscription("order-1", CLIENT, True, CREATED_AT_MS, cursor=0)]
    assert talk.api.posts == 0, "nothing can be posted before $connect has returned"


def test_a_connection_without_an_order_watches_nothing_yet(talk: Talk) -> None:
    talk.session().connect(CLIENT, {})
    assert talk.connections.watchers("order-1") == []


@pytest.mark.parametrize("order_id", ["unknown", "", "x" * 5_000, "\ud800", "order-1 "])
def test_a_connection_for_an_order_that_does_not_exist_is_refused(talk: Talk, order_id: str) -> None:
    with pytest.raises(NotFound):
        talk.session().connect(CLIENT, {"orderId": order_id})
    assert talk.cloud.dynamodb.scan(TableName=talk.cloud.orders_table)["Count"] == 2


def test_a_subscription_is_swept_away_once_its_connection_can_live_no_longer(talk: Talk) -> None:
    """By the table's time to live, for a client whose $disconnect never came."""
    talk.session().connect(CLIENT, {"orderId": "order-1"})
    key = {"orderId": {"S": "order-1"}, "item": {"S": f"subscription#{CLIENT}"}}
    item = talk.cloud.dynamodb.get_item(TableName=talk.cloud.orders_table, Key=key)["Item"]
    assert int(item["expiresAt"]["N"]) == CREATED_AT_MS // 1000 + CONNECTION_LIFE_SECONDS
    assert CONNECTION_LIFE_SECONDS > 2 * 60 * 60, "API Gateway's own limit"
    order_key = {"orderId": {"S": "order-1"}, "item": {"S": "order"}}
    order = talk.cloud.dynamodb.get_item(TableName=talk.cloud.orders_table, Key=order_key)["Item"]
    assert "expiresAt" not in order, "orders are kept"


# --- messages -----------------------------------------------------------------------------------------------------


def test_a_ping_is_answered(talk: Talk) -> None:
    assert talk.say({"action": "ping"}) == [{"type": "pong"}]


def test_a_client_subscribes_to_any_number_of_orders(talk: Talk) -> None:
    for order_id in ("order-1", "order-2"):
        assert talk.say({"action": "subscribe", "orderId": order_id}) == [{"type": "subscribed", "orderId": order_id}]
        assert [watcher.closes for watcher in talk.connections.watchers(order_id)] == [False]
    talk.publish()
    told = [message["orderId"] for message in talk.api.received(CLIENT) if message["type"] == "status"]
    assert told == ["order-1", "order-2"]


def test_a_stream_that_subscribes_to_an_order_may_be_asked_for_both(talk: Talk) -> None:
    text, _ = talk.tickets.issue("local", None, None)
    talk.session().connect(CLIENT, {"ticket": text})
    table = talk.cloud.connection_table()
    assert table.may_watch(["local"]) == {"local": MayWatch(account=True, orders=False)}
    talk.say({"action": "subscribe", "orderId": "order-1"})
    assert table.may_watch(["local"]) == {"local": MayWatch(account=True, orders=True)}
    talk.publish()
    told = [message["orderId"] for message in talk.api.received(CLIENT) if message["type"] == "status"]
    assert told.count("order-1") == 1


def test_a_connection_for_one_order_is_not_looked_for_among_its_accounts_streams(talk: Talk) -> None:
    talk.session().connect(CLIENT, {"orderId": "order-1"})
    table = talk.cloud.connection_table()
    assert table.may_watch(["local"]) == {"local": MayWatch(account=False, orders=True)}
    talk.session().disconnect(CLIENT)
    assert table.may_watch(["local"]) == {"local": MayWatch(account=False, orders=False)}


def test_a_client_unsubscribes_from_one_and_keeps_the_others(talk: Talk) -> None:
    for order_id in ("order-1", "order-2"):
        talk.say({"action": "subscribe", "orderId": order_id})
    assert talk.say({"action": "unsubscribe", "orderId": "order-1"}) == [{"type": "unsubscribed", "orderId": "order-1"}]
    assert talk.connections.watchers("order-1") == []
    assert len(talk.connections.watchers("order-2")) == 1


def test_unsubscribing_from_what_was_not_watched_is_fine(talk: Talk) -> None:
    assert talk.say({"action": "unsubscribe", "orderId": "order-1"})[0]["type"] == "unsubscribed"


def test_a_connection_for_one_order_ends_with_it_also_when_it_asked_for_the_history_again(talk: Talk) -> None:
    talk.session().connect(CLIENT, {"orderId": "order-1"})
    talk.publish()
    talk.say({"action": "subscribe", "orderId": "order-1"})
    order = confirmed()
    talk.cloud.store().replace(order)
    talk.publish()
    assert talk.api.closed == [CLIENT]


def test_a_disconnected_clients_subscriptions_are_forgotten(talk: Talk) -> None:
    for order_id in ("order-1", "order-2"):
        talk.say({"action": "subscribe", "orderId": order_id})
    talk.say({"action": "subscribe", "orderId": "order-2"}, client="other")
    talk.session().disconnect(CLIENT)
    assert talk.connections.watchers("order-1") == []
    assert [watcher.connection_id for watcher in talk.connections.watchers("order-2")] == ["other"]
    talk.session().disconnect(CLIENT)


# --- what is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"action": "shout"}, "action: must be one of"),
        ({}, "action: is required"),
        ({"action": "subscribe"}, "orderId: is required to subscribe"),
        ({"action": "unsubscribe"}, "orderId: is required to unsubscribe"),
        ({"action": "subscribe", "orderId": "unknown"}, "there is no order unknown"),
        ({"action": "subscribe", "orderId": "x" * 65}, "orderId: "),
        ({"action": "ping", "extra": 1}, "extra: is not a known field"),
        ({"action": ["ping"]}, "action: "),
        ("", "body: "),
        ("ping", "body: "),
        ("[]", "body: "),
        ('{"action": "ping"', "body: "),
        ("[" * 4_000, "body: "),
        ('{"action": "subscribe", "orderId": "\\ud800"}', ""),
        ('{"\\ud800": 1}', ""),
        ('{"\\ud800": 1, "\\ud800": 2}', "is given more than once"),
        ("\ud800", ""),
    ],
)
def test_a_wrong_message_is_answered_with_what_is_wrong(talk: Talk, message: object, said: str) -> None:
    (answer,) = talk.say(message)
    assert answer["type"] == "error"
    assert said in answer["detail"]
    assert set(answer) <= {"type", "title", "status", "detail", "errors"}
    assert 400 <= answer["status"] < 500
    assert talk.connections.watchers("order-1") == []


def test_a_wrong_field_is_named(talk: Talk) -> None:
    (answer,) = talk.say({"action": "shout", "orderId": ""})
    assert {problem["field"] for problem in answer["errors"]} == {"action", "orderId"}


@given(
    message=st.text(max_size=60)
    | st.dictionaries(
        st.sampled_from(["action", "orderId", "x"]),
        st.sampled_from(["ping", "subscribe", "order-1", "none"]) | st.integers() | st.none() | st.text(max_size=5),
    ).map(json.dumps)
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_message_whatever_gets_one_answer(talk: Talk, message: str) -> None:
    (answer,) = talk.say(message)
    assert answer["type"] in {"error", "pong", "subscribed", "unsubscribed"}


class BrokenStore(OrdersInMemory):
    """A store that fails in a way nobody foresaw, and tells too much."""

    def load(self, order_id: str) -> Order | None:
        raise RuntimeError("secret-table in account 123456789012 can't be read")


def test_a_surprise_is_answered_without_a_word_of_what_it_was(talk: Talk) -> None:
    """What escapes from the handler would be sent to the client by the gateway, text and all."""
    talk.connected()
    talk.session(BrokenStore()).receive(CLIENT, json.dumps({"action": "subscribe", "orderId": "order-1"}))
    (answer,) = talk.api.received(CLIENT)
    assert (answer["type"], answer["status"]) == ("error", 500)
    assert "secret" not in json.dumps(answer)
    assert "RuntimeError" not in json.dumps(answer)


@pytest.mark.parametrize("message", ['{"action": "ping"}', '{"action": "shout"}', "x" * 5_000])
def test_an_answer_that_cannot_be_sent_raises_nothing(talk: Talk, message: str) -> None:
    """Neither while it is posted nor while the connection is closed: what is raised would go to the client as text."""

    def refuse(_: str) -> None:
        raise aws_error("LimitExceededException", 429, "PostToConnection")

    talk.api.before_post = refuse
    talk.session().receive(CLIENT, message)
    assert talk.api.received(CLIENT) == []


def test_a_client_that_left_before_its_answer_is_forgotten(talk: Talk) -> None:
    talk.say({"action": "subscribe", "orderId": "order-2"})
    talk.api.gone.add(CLIENT)
    talk.session().receive(CLIENT, json.dumps({"action": "ping"}))
    assert talk.connections.watchers("order-2") == []


@pytest.mark.parametrize("asked_at_ms", [CREATED_AT_MS, CREATED_AT_MS + 1])
def test_what_was_sent_is_remembered_unless_the_client_asked_anew(talk: Talk, asked_at_ms: int) -> None:
    asked = Subscription("order-1", CLIENT, closes=False, asked_at_ms=CREATED_AT_MS)
    talk.connections.subscribe(Subscription("order-1", CLIENT, closes=False, asked_at_ms=asked_at_ms))
    talk.connections.advance(asked, 3)
    found: Any = talk.connections.find("order-1", CLIENT)
    assert found.cursor == (3 if asked_at_ms == CREATED_AT_MS else 0)


def test_what_was_sent_to_someone_who_left_brings_no_subscription_back(talk: Talk) -> None:
    talk.connections.advance(Subscription("order-1", CLIENT, closes=False, asked_at_ms=CREATED_AT_MS), 3)
    assert talk.connections.find("order-1", CLIENT) is None
