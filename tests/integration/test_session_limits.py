"""Who may open a WebSocket connection, what it may watch, and how much of it is too much."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, replace

import pytest

from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.tickets import LIFE_MS
from chalicelib.orders.order import start_attempt
from chalicelib.problems import NotFound, Unauthorized
from chalicelib.push.connection_table import ConnectionTable
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS
from chalicelib.push.publisher import Publisher
from chalicelib.push.session import MAX_MESSAGE_BYTES, MAX_SUBSCRIPTIONS, Session
from tests.faults.aws_faults import Fault, FaultyAws
from tests.integration.cloud import Cloud, Json, OrdersStream, WebSocketApi
from tests.integration.pushing import life_of
from tests.sample_orders import CREATED_AT_MS, confirmed, new_order

ALICE, BOB = "alice", "bob"
CLIENT = "client-1"


@dataclass
class Door:
    """Sessions of a stage that lets nobody in without a ticket, unless `without_ticket` says whose they are then."""

    cloud: Cloud
    api: WebSocketApi
    stream: OrdersStream
    without_ticket: str | None = None
    now_ms: int = CREATED_AT_MS
    office: TicketOffice = field(init=False)

    def __post_init__(self) -> None:
        self.office = self.cloud.tickets(lambda: self.now_ms)

    def session(self) -> Session:
        return Session(
            self.cloud.store(),
            self.cloud.connections(),
            self.cloud.connection_table(),
            self.api.gateway(),
            self.office,
            lambda: self.now_ms,
            self.without_ticket,
        )

    def ticket(self, account: str, order_id: str | None = None, key_id: str | None = None) -> str:
        return self.office.issue(account, order_id, key_id)[0]

    def connect(self, account: str = ALICE, order_id: str | None = None, client: str = CLIENT) -> None:
        query = {"ticket": self.ticket(account, order_id)} | ({"orderId": order_id} if order_id else {})
        self.session().connect(client, query)

    def say(self, message: object, client: str = CLIENT) -> list[Json]:
        """What the client is answered."""
        before = len(self.api.received(client))
        self.session().receive(client, message if isinstance(message, str) else json.dumps(message))
        return self.api.received(client)[before:]

    def watched(self, client: str = CLIENT) -> int:
        return self.cloud.connections().count(client, 1000)

    def publish(self) -> None:
        store, connections = self.cloud.store(), self.cloud.connections()
        Publisher(store, connections, self.api.gateway(), lambda _: None).publish(self.stream.new_records())

    def told(self, client: str = CLIENT) -> list[tuple[str, int]]:
        return [(one["orderId"], one["seq"]) for one in self.api.received(client) if one["type"] == "status"]

    def place(self, order_id: str, account: str) -> None:
        """An order with all of its life."""
        for step in life_of(confirmed(new_order(order_id, account=account))):
            stored = self.cloud.store().load(order_id)
            if stored is None:
                assert self.cloud.store().create(step)
            else:
                self.cloud.store().replace(replace(step, revision=stored.revision))


@pytest.fixture
def door(cloud: Cloud, websocket_api: WebSocketApi, stream: OrdersStream) -> Door:
    assert cloud.store().create(new_order("hers", account=ALICE))
    assert cloud.store().create(new_order("his", account=BOB))
    return Door(cloud, websocket_api, stream)


# --- the door -----------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_a_ticket(door: Door) -> None:
    for query in ({}, {"orderId": "hers"}, {"ticket": ""}, {"orderId": "hers", "ticket": "x.y"}):
        with pytest.raises(Unauthorized):
            door.session().connect(CLIENT, query)
    assert door.cloud.dynamodb.scan(TableName=door.cloud.outputs["ConnectionsTable"])["Items"] == []


def test_where_no_ticket_is_needed_one_that_is_shown_is_checked_all_the_same(door: Door) -> None:
    door.without_ticket = ALICE
    door.session().connect("bare", {"orderId": "hers"})
    with pytest.raises(NotFound):
        door.session().connect("bare", {"orderId": "his"})
    with pytest.raises(Unauthorized):
        door.session().connect("bare", {"orderId": "hers", "ticket": "forged.ticket"})


def test_a_ticket_lets_in_once(door: Door) -> None:
    query = {"orderId": "hers", "ticket": door.ticket(ALICE, "hers")}
    door.session().connect("first", query)
    with pytest.raises(Unauthorized, match="used already"):
        door.session().connect("second", query)
    assert [one.connection_id for one in door.cloud.connections().watchers("hers")] == ["first"]


def test_a_ticket_of_a_key_that_has_ended_lets_nobody_in(door: Door) -> None:
    key = door.cloud.new_key(ALICE).key
    tickets = [door.ticket(ALICE, "hers", key.key_id) for _ in range(2)]
    door.session().connect("before", {"orderId": "hers", "ticket": tickets[0]})

    door.cloud.keys().end(key.digest, door.now_ms)

    with pytest.raises(Unauthorized, match="not valid any more"):
        door.session().connect("after", {"orderId": "hers", "ticket": tickets[1]})
    with pytest.raises(Unauthorized, match="not valid any more"):
        door.session().connect("made up", {"orderId": "hers", "ticket": door.ticket(ALICE, "hers", "key_unknown")})
    assert [one.connection_id for one in door.cloud.connections().watchers("hers")] == ["before"]


def test_a_ticket_does_not_let_in_after_its_minute(door: Door) -> None:
    query = {"ticket": door.ticket(ALICE)}
    door.now_ms += LIFE_MS
    with pytest.raises(Unauthorized, match="expired"):
        door.session().connect(CLIENT, query)


def test_a_used_ticket_is_remembered_for_longer_than_it_is_valid(door: Door) -> None:
    door.connect()
    items = door.cloud.dynamodb.scan(TableName=door.cloud.outputs["ConnectionsTable"])["Items"]
    expiry = {item["name"]["S"].partition("#")[0]: int(item["expiresAt"]["N"]) for item in items}
    assert expiry["ticket"] * 1000 > door.now_ms + LIFE_MS + 60_000
    assert expiry["connection"] == door.now_ms // 1000 + CONNECTION_LIFE_SECONDS


@pytest.mark.parametrize(("issued_for", "asked"), [("hers", "his"), ("hers", None), (None, "hers")])
def test_a_ticket_is_for_what_it_was_given_for_alone(door: Door, issued_for: str | None, asked: str | None) -> None:
    query = {"ticket": door.ticket(ALICE, issued_for)} | ({"orderId": asked} if asked else {})
    with pytest.raises(Unauthorized, match="something else"):
        door.session().connect(CLIENT, query)


def test_a_ticket_for_an_order_that_is_anothers_opens_nothing(door: Door) -> None:
    with pytest.raises(NotFound):
        door.connect(ALICE, "his")
    assert door.watched() == 0


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.ANSWERED_WITH_500])
def test_a_lost_answer_to_the_tickets_use_does_not_refuse_its_owner(door: Door, fault: Fault) -> None:
    faulty = FaultyAws(door.cloud.dynamodb)
    table = ConnectionTable(door.cloud.dynamodb, door.cloud.outputs["ConnectionsTable"])
    _, ticket = door.office.issue(ALICE, None, None)
    faulty.script("PutItem", fault)
    assert table.use_ticket(ticket, CLIENT)
    assert faulty.met[fault] == 1
    assert not table.use_ticket(ticket, "another")


# --- what it may watch --------------------------------------------------------------------------------------------


def test_a_connection_may_subscribe_to_its_accounts_orders_and_no_others(door: Door) -> None:
    door.connect(ALICE, "hers")
    (refused,) = door.say({"action": "subscribe", "orderId": "his"})
    (unknown,) = door.say({"action": "subscribe", "orderId": "nobodys"})
    assert (refused["type"], refused["status"]) == ("error", 404)
    assert {**refused, "detail": ""} == {**unknown, "detail": ""}
    assert door.cloud.connections().watchers("his") == []
    assert door.say({"action": "subscribe", "orderId": "hers"})[0]["type"] == "subscribed"


@pytest.mark.parametrize("order_id", ["account#bob", "account#alice", "connection#client-1"])
def test_no_name_of_ours_passes_for_an_order(door: Door, order_id: str) -> None:
    door.connect(ALICE, "hers")
    assert door.say({"action": "subscribe", "orderId": order_id})[0]["status"] == 404


def test_the_accounts_stream_tells_every_change_once_in_order_and_nothing_of_others(door: Door) -> None:
    door.publish()
    door.connect(ALICE)
    for order_id, account in (("a-1", ALICE), ("b-1", BOB), ("a-2", ALICE)):
        door.place(order_id, account)
        door.publish()
    assert door.told() == [(order_id, seq) for order_id in ("a-1", "a-2") for seq in range(1, 6)]
    assert door.api.closed == []


def test_the_accounts_stream_does_not_tell_what_was_before_it(door: Door) -> None:
    door.place("a-1", ALICE)
    door.publish()
    door.connect(ALICE)
    door.publish()
    assert door.told() == []


def test_who_also_watches_an_order_of_the_stream_is_told_its_history_and_each_change_once(door: Door) -> None:
    door.publish()
    door.connect(ALICE)
    door.say({"action": "subscribe", "orderId": "hers"})
    store, order = door.cloud.store(), door.cloud.stored("hers")
    store.replace(start_attempt(order, order.updated_at_ms + 10))
    door.publish()
    assert door.told() == [("hers", 1), ("hers", 2)]


def test_the_stream_of_an_account_whose_client_is_gone_is_forgotten(door: Door) -> None:
    door.connect(ALICE)
    door.api.gone.add(CLIENT)
    door.place("a-1", ALICE)
    door.publish()
    assert door.watched() == 0


def test_a_stream_that_is_just_being_opened_is_waited_for(door: Door) -> None:
    """A change may come before $connect has returned; then the gateway doesn't know the connection yet."""
    door.publish()
    door.connect(ALICE)
    door.api.gone.add(CLIENT)
    posts = 0

    def established_at_the_third_post(_: str) -> None:
        nonlocal posts
        posts += 1
        if posts == 3:
            door.api.gone.clear()

    door.api.before_post = established_at_the_third_post
    door.place("a-1", ALICE)
    door.publish()
    assert door.told() == [("a-1", seq) for seq in range(1, 6)]


# --- how much is too much -----------------------------------------------------------------------------------------


def ended(door: Door, client: str = CLIENT) -> bool:
    """Closed, and nothing of it left."""
    name = {"name": {"S": f"connection#{client}"}}
    left = door.cloud.dynamodb.get_item(TableName=door.cloud.outputs["ConnectionsTable"], Key=name)
    return client in door.api.closed and "Item" not in left and door.watched(client) == 0


def test_a_message_of_four_kilobytes_is_heard_and_a_larger_one_ends_the_connection(door: Door) -> None:
    door.connect(ALICE, "hers")
    message = json.dumps({"action": "ping"})
    assert door.say(message + " " * (MAX_MESSAGE_BYTES - len(message))) == [{"type": "pong"}]
    (answer,) = door.say(message + " " * (MAX_MESSAGE_BYTES + 1 - len(message)))
    assert answer["status"] == 413
    assert f"{MAX_MESSAGE_BYTES} bytes" in answer["detail"]
    assert ended(door)


def test_ten_messages_a_second_are_heard_and_one_more_at_once_ends_the_connection(door: Door) -> None:
    door.connect(ALICE)
    for _ in range(30):
        assert door.say({"action": "ping"}) == [{"type": "pong"}]
        door.now_ms += 100
    door.now_ms += 1_000
    answers = [door.say({"action": "ping"})[0] for _ in range(11)]
    assert answers[:10] == [{"type": "pong"}] * 10
    assert (answers[10]["type"], answers[10]["status"]) == ("error", 429)
    assert "10 messages a second" in answers[10]["detail"]
    assert ended(door)


def test_a_connection_of_many_subscriptions_is_told_its_limit_and_ended(door: Door) -> None:
    door.connect(ALICE)  # the stream is one of them
    for number in range(MAX_SUBSCRIPTIONS):
        assert door.cloud.store().create(new_order(f"n-{number}", account=ALICE))
    for number in range(MAX_SUBSCRIPTIONS - 1):
        door.now_ms += 100
        assert door.say({"action": "subscribe", "orderId": f"n-{number}"})[0]["type"] == "subscribed"
    door.now_ms += 100
    assert door.say({"action": "subscribe", "orderId": "n-0"})[0]["type"] == "subscribed", "it is none more"
    door.now_ms += 100
    (answer,) = door.say({"action": "subscribe", "orderId": f"n-{MAX_SUBSCRIPTIONS - 1}"})
    assert (answer["type"], answer["status"]) == ("error", 429)
    assert f"{MAX_SUBSCRIPTIONS} subscriptions" in answer["detail"]
    assert ended(door)


def test_a_connection_that_is_not_known_any_more_is_told_to_connect_again_and_ended(door: Door) -> None:
    (answer,) = door.say({"action": "ping"}, client=secrets.token_hex(4))
    assert (answer["status"], "connect again" in answer["detail"]) == (401, True)


def test_whoever_leaves_leaves_nothing_behind(door: Door) -> None:
    door.connect(ALICE, "hers")
    door.session().disconnect(CLIENT)
    items = door.cloud.dynamodb.scan(TableName=door.cloud.outputs["ConnectionsTable"])["Items"]
    assert [item["name"]["S"].partition("#")[0] for item in items] == ["ticket"]
    assert door.watched() == 0
