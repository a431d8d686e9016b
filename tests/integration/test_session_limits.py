"""Who may open a WebSocket connection, what it may watch, and how much of it is too much."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.tickets import LIFE_MS
from chalicelib.orders.life import start_attempt
from chalicelib.problems import NotFound, TooManyConnections, Unauthorized
from chalicelib.push.connection_table import ConnectionCaps
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS
from chalicelib.push.publisher import ESTABLISHING_BATCHES
from chalicelib.push.session import MAX_MESSAGE_BYTES, MAX_SUBSCRIPTIONS, Session
from tests.faults.aws_faults import Fault, FaultyAws
from tests.integration.cloud import CAPS, Cloud, Json, OrdersStream, WebSocketApi
from tests.integration.pushing import life_of, publisher
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
    caps: ConnectionCaps = CAPS
    office: TicketOffice = field(init=False)

    def __post_init__(self) -> None:
        self.office = self.cloud.tickets(lambda: self.now_ms)

    def session(self) -> Session:
        return Session(
            self.cloud.store(),
            self.cloud.connections(),
            self.cloud.connection_table(self.caps),
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
        publisher(self.cloud, self.api).publish(self.stream.new_records())

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
    table = door.cloud.connection_table()
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
    door.place("a-1", ALICE)
    door.publish()
    door.api.gone.add(CLIENT)
    door.place("a-2", ALICE)
    door.publish()
    assert door.watched() == 0


def test_the_stream_of_an_account_whose_client_never_came_is_forgotten_after_some_changes(door: Door) -> None:
    door.connect(ALICE)
    door.api.gone.add(CLIENT)
    for number in range(ESTABLISHING_BATCHES):
        assert door.watched() == 1
        door.place(f"a-{number}", ALICE)
        door.publish()
    assert door.watched() == 0


def test_a_stream_that_is_just_being_opened_is_waited_for(door: Door) -> None:
    """A change may come before $connect has returned; then the gateway doesn't know the connection yet."""
    door.publish()
    door.connect(ALICE)
    door.api.gone.add(CLIENT)
    posts = 0

    def established_at_the_second_post(_: str) -> None:
        nonlocal posts
        posts += 1
        if posts == 2:
            door.api.gone.clear()

    door.api.before_post = established_at_the_second_post
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
    assert door.cloud.connection_table().open_ones(door.now_ms) == {}
    assert door.cloud.connection_table().counted() == []
    assert door.watched() == 0


# --- how many connections are too many ----------------------------------------------------------------------------

FEW = ConnectionCaps(of_key=3, of_account=5)


def enter(door: Door, client: str, key: str | None, account: str = ALICE) -> dict[str, int]:
    """What the gateway is told of a client that connects by a ticket of that key."""
    return door.session().admit(client, {"ticket": door.ticket(account, key_id=key)})


def keys_of(door: Door, account: str, number: int) -> list[str]:
    return [door.cloud.new_key(account).key.key_id for _ in range(number)]


def test_a_key_opens_as_many_connections_as_it_may_and_an_account_as_many_by_all_of_its_keys(door: Door) -> None:
    door.caps = FEW
    first, second, third = keys_of(door, ALICE, 3)
    (his,) = keys_of(door, BOB, 1)
    statuses = [enter(door, f"a-{number}", first)["statusCode"] for number in range(4)]
    assert statuses == [200, 200, 200, 429]
    statuses = [enter(door, f"b-{number}", second)["statusCode"] for number in range(3)]
    assert statuses == [200, 200, 429], "the account's five"
    assert enter(door, "c", third)["statusCode"] == 429
    assert enter(door, "his", his, BOB)["statusCode"] == 200


def test_a_refused_connection_leaves_nothing_and_whoever_leaves_makes_room(door: Door) -> None:
    door.caps = FEW
    (key,) = keys_of(door, ALICE, 1)
    for number in range(3):
        enter(door, f"a-{number}", key)
    with pytest.raises(TooManyConnections, match="an API key may have at most 3 WebSocket connections"):
        door.session().connect("one more", {"ticket": door.ticket(ALICE, key_id=key)})
    assert door.watched("one more") == 0
    assert set(door.cloud.connection_table().open_ones(door.now_ms)) == {"a-0", "a-1", "a-2"}

    for _ in range(2):  # $disconnect may come twice, which makes no second place
        door.session().disconnect("a-0")
    assert [enter(door, f"b-{number}", key)["statusCode"] for number in range(2)] == [200, 429]


def test_what_ends_a_connection_makes_room_too(door: Door) -> None:
    door.caps = ConnectionCaps(of_key=1, of_account=1)
    door.connect(ALICE)
    door.say("x" * (MAX_MESSAGE_BYTES + 1))
    assert ended(door)
    door.connect(ALICE, client="another")


def test_whoever_is_refused_for_another_reason_does_not_count(door: Door) -> None:
    door.caps = ConnectionCaps(of_key=1, of_account=1)
    for query in ({"ticket": door.ticket(ALICE, "his"), "orderId": "his"}, {"ticket": "forged.ticket"}, {}):
        assert door.session().admit(CLIENT, query) == {"statusCode": 403}
    assert enter(door, CLIENT, key=None) == {"statusCode": 200}


def test_of_twenty_who_come_at_once_as_many_get_in_as_may(door: Door) -> None:
    table = door.cloud.connection_table(FEW)

    def comes(number: int) -> bool:
        try:
            table.open(f"c-{number}", ALICE, None, door.now_ms)
        except TooManyConnections:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(comes, range(20))) == FEW.of_account
    assert len(table.open_ones(door.now_ms)) == FEW.of_account


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.ANSWERED_WITH_500])
def test_a_lost_answer_counts_nobody_twice(door: Door, fault: Fault) -> None:
    table = door.cloud.connection_table(ConnectionCaps(of_key=1, of_account=1))
    faulty = FaultyAws(door.cloud.dynamodb)
    faulty.script("UpdateItem", fault, None, fault)
    table.open(CLIENT, ALICE, "key_1", door.now_ms)
    assert faulty.met[fault] == 2
    assert {one.connections for one in table.counted()} == {frozenset({CLIENT})}


def test_who_has_no_room_is_told_so_before_a_ticket_is_given(door: Door) -> None:
    table = door.cloud.connection_table(FEW)
    for number in range(3):
        table.check_room(ALICE, "key_1")
        table.open(f"c-{number}", ALICE, "key_1", door.now_ms)
    with pytest.raises(TooManyConnections, match="an API key"):
        table.check_room(ALICE, "key_1")
    table.check_room(ALICE, "key_2")
    table.check_room(BOB, "key_3")
