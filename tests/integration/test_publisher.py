"""From the orders table's stream to WebSocket messages: the whole history, in order, each change once.

The records are those of moto's own stream, written by the product's own store; only their delivery is played.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import count
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.aws.dynamodb.rate_cell import Unusable
from chalicelib.aws.websocket_gateway import ConnectionGone
from chalicelib.orders.life import claim
from chalicelib.problems import AwsUnavailable
from chalicelib.push.batch import ESTABLISHED_AFTER_MS
from chalicelib.push.connection_sweep import ConnectionSweep
from chalicelib.push.connection_table import Watches
from chalicelib.push.connections import Subscription, account_partition
from chalicelib.push.fan_out import MESSAGES_OF_AN_ACCOUNT, PAUSES_SECONDS
from chalicelib.push.publisher import ESTABLISHING_BATCHES
from infra.deployment.chalice_deploy import mapping_settings
from tests.integration.cloud import Cloud, Json, OrdersStream, WebSocketApi, aws_error
from tests.integration.pushing import Push, life_of, whole_history, write, write_all
from tests.sample_orders import CREATED_AT_MS, confirmed, failed, new_order, retrying, submitted

PATIENCE_SECONDS = 60.0
READ_TIMED_OUT = ReadTimeoutError(endpoint_url="https://gateway")
_numbers = count(1)


@pytest.fixture
def push(cloud: Cloud, stream: OrdersStream, websocket_api: WebSocketApi) -> Push:
    return Push(cloud, stream, websocket_api)


def fresh_id() -> str:
    return f"order-{next(_numbers)}"


# --- early, late, in between --------------------------------------------------------------------------------------


def test_an_early_subscriber_gets_each_change_as_it_is_written(push: Push) -> None:
    order = confirmed()
    steps = list(life_of(order))
    write(push, steps[0])
    push.subscribe(order.order_id, "early")
    push.pump()
    assert push.api.received("early") == whole_history(order)[:1]
    for step in steps[1:]:
        write(push, step)
        push.pump()
        assert push.api.received("early") == whole_history(order)[: len(step.history)]
    assert push.api.received("early") == whole_history(order)


@pytest.mark.parametrize("later", [1, 2, 4, 7])
@pytest.mark.parametrize("packed_first", [True, False])
def test_an_order_is_pushed_whole_of_which_some_writes_are_packed_and_others_not(
    push: Push, packed_first: bool, later: int
) -> None:
    """As while a deploy runs that brings packed orders, or takes them back."""
    order = confirmed()
    push.subscribe(account_partition("local"), "stream", closes=False)
    for number, step in enumerate(life_of(order)):
        write(push, step, OrderTable(*push.cloud.store_parts(), pack=packed_first == (number < later)))
        if number == 0:
            push.subscribe(order.order_id, "watcher")
    push.pump()
    assert push.api.received("watcher") == push.api.received("stream") == whole_history(order)


def test_a_late_subscriber_gets_the_whole_history_at_once(push: Push) -> None:
    write_all(push, confirmed())
    push.pump()
    push.subscribe("order-1", "late")
    push.pump()
    assert push.api.received("late") == whole_history(confirmed())


def test_a_subscriber_in_the_middle_gets_the_past_and_then_what_comes(push: Push) -> None:
    order = confirmed(retrying())
    steps = list(life_of(order))
    for step in steps[: len(steps) // 2]:
        write(push, step)
    push.pump()
    push.subscribe("order-1", "middle")
    push.pump()
    before = len(push.api.received("middle"))
    assert 1 < before < len(order.history)
    for step in steps[len(steps) // 2 :]:
        write(push, step)
    push.pump()
    assert push.api.received("middle") == whole_history(order)


def test_claims_and_releases_are_nobodys_news(push: Push) -> None:
    write(push, submitted())
    push.subscribe("order-1", "watcher")
    push.pump()
    posts = push.api.posts
    write(push, claim(submitted(), "worker", CREATED_AT_MS, 25_000))
    write(push, submitted())
    push.pump()
    assert push.api.posts == posts


def test_an_order_that_nobody_watches_is_pushed_to_nobody(push: Push) -> None:
    write_all(push, confirmed())
    push.subscribe("order-2", "elsewhere")
    push.pump()
    assert push.api.posts == 0


def test_every_watcher_gets_the_order_and_no_other(push: Push) -> None:
    orders = [confirmed(new_order(f"order-{number}")) for number in (1, 2)]
    for order in orders:
        write(push, next(life_of(order)))
    for order_id, connection_id in (("order-1", "a"), ("order-1", "b"), ("order-2", "b"), ("order-2", "c")):
        push.subscribe(order_id, connection_id, closes=False)
    for order in orders:
        write_all(push, order)
    push.pump()
    assert push.api.received("a") == whole_history(orders[0])
    assert push.api.received("c") == whole_history(orders[1])
    both = push.api.received("b")
    for order in orders:
        assert [message for message in both if message["orderId"] == order.order_id] == whole_history(order)


def test_who_asks_again_sees_the_history_again_and_misses_nothing_after(push: Push) -> None:
    order = confirmed()
    steps = list(life_of(order))
    write(push, steps[0])
    push.subscribe("order-1", "watcher")
    push.pump()
    push.subscribe("order-1", "watcher")
    push.pump()
    for step in steps[1:]:
        write(push, step)
    push.pump()
    assert push.api.received("watcher") == whole_history(order)[:1] + whole_history(order)


def test_who_asks_again_by_a_clock_that_stands_still_misses_nothing_either(push: Push) -> None:
    """Two functions' clocks may well show the same millisecond."""
    order = confirmed()
    steps = list(life_of(order))
    write(push, steps[0])
    asked = Subscription("order-1", "watcher", closes=True, asked_at_ms=CREATED_AT_MS)
    push.connect("watcher")
    push.connections.subscribe(asked)
    push.pump()
    push.connections.subscribe(asked)
    push.pump()
    for step in steps[1:]:
        write(push, step)
    push.pump()
    seen = [message["seq"] for message in push.api.received("watcher")]
    assert seen[-len(order.history) + 1 :] == list(range(2, len(order.history) + 1))


def test_who_unsubscribed_hears_no_more(push: Push) -> None:
    steps = list(life_of(confirmed()))
    write(push, steps[0])
    push.subscribe("order-1", "watcher")
    push.pump()
    push.connections.unsubscribe("order-1", "watcher")
    for step in steps[1:]:
        write(push, step)
    push.pump()
    assert len(push.api.received("watcher")) == 1
    assert push.api.closed == []


def test_who_left_before_the_publisher_came_to_it_is_not_written_to(push: Push) -> None:
    write(push, new_order())
    push.subscribe("order-1", "watcher")
    push.connections.unsubscribe("order-1", "watcher")
    push.pump()
    assert push.api.posts == 0


def test_nothing_of_the_signed_transaction_but_its_signature_is_pushed(push: Push) -> None:
    write_all(push, submitted())
    push.subscribe("order-1", "watcher")
    push.pump()
    text = json.dumps(push.api.received("watcher"))
    assert "signature-1" in text
    assert not [secret for secret in ("wire", "blockhash", "lease", "digest") if secret in text]


# --- what is looked up --------------------------------------------------------------------------------------------


@pytest.fixture
def calls(push: Push) -> Counter[str]:
    """How often each operation of DynamoDB was asked for, from where it is cleared on."""
    counted: Counter[str] = Counter()

    def count_one(event_name: str, **_: object) -> None:
        counted[event_name.rpartition(".")[2]] += 1

    push.cloud.dynamodb.meta.events.register("before-call.dynamodb", count_one)
    return counted


def test_of_an_account_without_a_connection_nothing_but_that_is_looked_up_once_a_batch(
    push: Push, calls: Counter[str]
) -> None:
    for order_id in ("order-1", "order-2"):
        write_all(push, confirmed(new_order(order_id)))
    write_all(push, confirmed(new_order("order-3", account="another")))
    calls.clear()
    push.pump()
    assert calls == {"BatchGetItem": 1}


def test_where_whole_accounts_are_watched_no_order_is_asked_who_watches_it(push: Push, calls: Counter[str]) -> None:
    push.subscribe(account_partition("local"), "stream", closes=False)
    orders = [confirmed(new_order(f"order-{number}")) for number in (1, 2)]
    for order in orders:
        write_all(push, order)
    calls.clear()
    push.pump()
    assert push.api.received("stream") == [message for order in orders for message in whole_history(order)]
    assert calls == {"BatchGetItem": 1, "Query": 1, "UpdateItem": 1}


def test_where_single_orders_are_watched_each_order_is_asked_and_the_account_is_not(
    push: Push, calls: Counter[str]
) -> None:
    write(push, new_order())
    push.subscribe("order-1", "watcher")
    push.pump_dry()
    write_all(push, confirmed())
    calls.clear()
    push.pump()
    assert push.api.received("watcher") == whole_history(confirmed())
    assert calls == {"BatchGetItem": 1, "Query": 1, "DeleteItem": 1}


def test_a_new_subscription_costs_one_look_up_which_has_its_order_too(push: Push, calls: Counter[str]) -> None:
    write_all(push, submitted())
    push.pump_dry()
    push.subscribe("order-1", "watcher")
    calls.clear()
    push.pump()
    assert push.api.received("watcher") == whole_history(submitted())
    assert calls == {"Query": 1, "UpdateItem": 1}


def test_a_connection_of_which_nothing_is_known_may_watch_anything(push: Push) -> None:
    """As one that an earlier version let in, and one that asked for no order and no account yet."""
    write(push, new_order())
    push.connect("older")
    push.subscribe("order-1", "older", closes=False)
    push.pump_dry()
    push.subscribe(account_partition("local"), "older", closes=False)
    write_all(push, confirmed())
    write_all(push, confirmed(new_order("order-2")))
    push.pump()
    received = push.api.received("older")
    for order in (confirmed(), confirmed(new_order("order-2"))):
        assert [one for one in received if one["orderId"] == order.order_id] == whole_history(order)


def test_a_stream_that_asks_for_an_order_besides_is_told_its_whole_history_and_no_step_is_missed(push: Push) -> None:
    order = confirmed()
    steps = list(life_of(order))
    push.subscribe(account_partition("local"), "stream", closes=False)
    write(push, steps[0])
    push.pump()
    push.cloud.connection_table().widen("stream", "local", Watches.STREAM)
    push.subscribe("order-1", "stream", closes=False)
    for step in steps[1:]:
        write(push, step)
        push.pump_dry()
    assert push.api.received("stream") == whole_history(order)[:1] + whole_history(order)


# --- any order of events ------------------------------------------------------------------------------------------


@dataclass
class Delivery:
    """Which item's records come next, how many, and whether Lambda hands the batch over twice."""

    item: int
    size: int
    twice: bool


SCHEDULES = st.lists(
    st.one_of(
        st.just("write"),
        st.sampled_from(["watcher-1", "watcher-2"]),
        st.builds(Delivery, item=st.integers(0, 2), size=st.integers(1, 4), twice=st.booleans()),
    ),
    max_size=25,
)
ORDERS = st.sampled_from([confirmed, failed, lambda order: confirmed(retrying(order))])


@given(schedule=SCHEDULES, ending=ORDERS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_writes_subscriptions_and_deliveries_interleave_each_watcher_sees_every_change_once(
    push: Push, schedule: list[str | Delivery], ending: Any
) -> None:
    """Records of one item come in order; between the order and its subscriptions no order is taken for granted."""
    order = ending(new_order(fresh_id()))
    writes = list(life_of(order))
    play = Play(push, order.order_id)
    write(push, writes.pop(0))
    for action in schedule:
        if action == "write" and writes:
            write(push, writes.pop(0))
        elif isinstance(action, Delivery):
            play.deliver(action)
        elif isinstance(action, str) and action != "write":
            play.join(action)
    play.join("watcher-1")
    for step in writes:
        write(push, step)
    play.deliver_everything()
    for connection_id in play.joined:
        assert push.api.received(connection_id) == whole_history(order)
        assert push.api.closed.count(connection_id) == 1
    assert push.connections.watchers(order.order_id) == []


class Play:
    """The stream's records by item, and who has joined."""

    def __init__(self, push: Push, order_id: str) -> None:
        self._push = push
        self._order_id = order_id
        self._waiting: dict[str, list[Json]] = {}
        self.joined: list[str] = []

    def join(self, name: str) -> None:
        connection_id = f"{self._order_id}-{name}"
        if connection_id not in self.joined:
            self.joined.append(connection_id)
            self._push.subscribe(self._order_id, connection_id)

    def deliver(self, delivery: Delivery) -> None:
        self._take_in()
        items = sorted(item for item, records in self._waiting.items() if records)
        if items:
            records = self._waiting[items[delivery.item % len(items)]]
            batch = [records.pop(0) for _ in range(min(delivery.size, len(records)))]
            for _ in range(2 if delivery.twice else 1):
                self._push.publisher().publish(batch)

    def deliver_everything(self) -> None:
        for _ in range(1_000):
            self.deliver(Delivery(item=0, size=10, twice=False))
            self._take_in()
            if not any(self._waiting.values()):
                return
        raise AssertionError("the stream never runs dry: the publisher's own writes make it write")

    def _take_in(self) -> None:
        for record in self._push.stream.new_records():
            self._waiting.setdefault(record["dynamodb"]["Keys"]["item"]["S"], []).append(record)


@given(fails_at=st.sets(st.integers(0, 12), max_size=5), joins_after=st.integers(0, 10))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_that_failed_and_comes_again_leaves_no_gap_and_no_disorder(
    push: Push, fails_at: set[int], joins_after: int
) -> None:
    """What was posted before the failure may be posted again: `seq` tells. Nothing is left out."""
    order = confirmed(new_order(fresh_id()))
    writes, connection_id = list(life_of(order)), f"{order.order_id}-watcher"
    for number, step in enumerate(writes):
        if number == min(joins_after, len(writes) - 1):
            push.subscribe(order.order_id, connection_id)
        write(push, step)
    posts = count()

    def before_post(_: str) -> None:
        if next(posts) in fails_at:
            raise aws_error("InternalServerError", 500, "PostToConnection")

    push.api.before_post = before_post
    batch = push.stream.new_records()
    for _ in range(len(fails_at) + 1):  # Lambda hands a failed batch over again, until it succeeds
        try:
            push.publisher().publish(batch)
        except AwsUnavailable:
            continue
        break
    push.api.before_post = lambda _: None
    push.publisher().publish(push.stream.new_records())
    seen = [message["seq"] for message in push.api.received(connection_id)]
    assert list(dict.fromkeys(seen)) == list(range(1, len(order.history) + 1))
    assert push.api.closed.count(connection_id) == 1


# --- the end of an order ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [confirmed, failed])
def test_a_connection_that_was_opened_for_one_order_is_closed_after_its_end(push: Push, ending: Any) -> None:
    order = ending()
    push.subscribe("order-1", "for-this-order", closes=True)
    push.subscribe("order-1", "for-several", closes=False)
    write_all(push, order)
    push.pump()
    assert push.api.closed == ["for-this-order"]
    for connection_id in ("for-this-order", "for-several"):
        assert push.api.received(connection_id) == whole_history(order)
    assert push.connections.watchers("order-1") == []


def test_a_failure_that_is_not_the_end_closes_nothing(push: Push) -> None:
    push.subscribe("order-1", "watcher")
    write_all(push, retrying())
    push.pump()
    assert push.api.received("watcher")[-1]["status"] == "failed"
    assert push.api.closed == []
    assert len(push.connections.watchers("order-1")) == 1


# --- connections that come and go ---------------------------------------------------------------------------------


@pytest.mark.parametrize("refusals", range(1, ESTABLISHING_BATCHES + 1))
def test_a_connection_that_is_not_established_yet_is_waited_for(push: Push, refusals: int) -> None:
    """API Gateway refuses posts until $connect has returned. A batch waits for a moment, then the next one does."""
    early = iter([True] * refusals)

    def before_post(_: str) -> None:
        if next(early, False):
            raise aws_error("GoneException", 410, "PostToConnection")

    push.api.before_post = before_post
    write_all(push, confirmed())
    push.subscribe("order-1", "watcher")
    push.pump_dry()
    assert push.api.received("watcher") == whole_history(confirmed())
    # the first batch tries it at once and after its pause, each later one after its pause alone
    assert push.slept == [*PAUSES_SECONDS * max(1, refusals)]
    assert push.api.posts == refusals + len(confirmed().history)


def test_a_connection_that_is_never_established_is_forgotten_after_some_batches(push: Push) -> None:
    push.api.gone.add("ghost")
    write(push, new_order())
    push.subscribe("order-1", "ghost")
    push.pump_dry()
    assert push.slept == [*PAUSES_SECONDS * ESTABLISHING_BATCHES]
    assert push.connections.watchers("order-1") == []


def test_one_that_is_not_established_after_two_seconds_is_not_waited_for(push: Push) -> None:
    push.api.gone.add("ghost")
    write(push, new_order())
    push.subscribe("order-1", "ghost")
    push.clock_ms += ESTABLISHED_AFTER_MS
    push.pump()
    assert push.slept == []
    assert push.connections.watchers("order-1") == []


def test_however_many_connections_are_never_established_a_batch_waits_once_at_most(push: Push) -> None:
    write(push, new_order())
    for number in range(30):
        push.api.gone.add(f"ghost-{number}")
        push.subscribe("order-1", f"ghost-{number}")
    push.pump()
    assert push.slept == [], "so many of one account are left to the next batch"
    push.pump_dry()
    assert push.slept == [*PAUSES_SECONDS * (ESTABLISHING_BATCHES - 1)]
    assert push.connections.watchers("order-1") == []


def test_a_client_that_vanished_is_forgotten_and_nobody_waits_for_it(push: Push) -> None:
    for number in (1, 2):
        write(push, new_order(f"order-{number}"))
        push.subscribe(f"order-{number}", "vanishes", closes=False)
    push.subscribe("order-1", "stays", closes=False)
    push.pump()
    push.api.gone.add("vanishes")
    write_all(push, confirmed())
    push.pump()
    assert push.slept == []
    assert push.api.received("stays") == whole_history(confirmed())

    ConnectionSweep(
        push.connections,
        push.cloud.connection_table(),
        push.cloud.quote_streams(),
        push.cloud.keys(),
        push.api.gateway(),
        lambda: CREATED_AT_MS,
    ).sweep()
    assert push.connections.watchers("order-2") == [], "what else it watched goes with the next sweep"
    assert push.cloud.connection_table().counted()[0].connections == {"stays"}


def test_that_a_connection_is_gone_when_it_is_to_be_closed_is_fine(push: Push) -> None:
    push.api.gone.add("gone")
    push.api.gateway().close("gone")
    with pytest.raises(ConnectionGone):
        push.api.gateway().post("gone", {})


@pytest.mark.parametrize("call", ["post", "close"])
def test_any_other_refusal_of_the_gateway_is_no_vanished_client(
    push: Push, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise aws_error("LimitExceededException", 429, "any")

    monkeypatch.setattr(push.api, "post_to_connection", refuse)
    monkeypatch.setattr(push.api, "delete_connection", refuse)
    gateway = push.api.gateway()
    with pytest.raises(AwsUnavailable):
        gateway.post("c", {}) if call == "post" else gateway.close("c")


def test_when_aws_is_out_of_reach_the_batch_fails_as_a_whole_so_that_it_comes_again(push: Push) -> None:
    push.subscribe("order-1", "watcher")
    write_all(push, confirmed())
    batch = push.stream.new_records()

    def unreachable(_: str) -> None:
        raise aws_error("InternalServerError", 500, "PostToConnection")

    push.api.before_post = unreachable
    with pytest.raises(AwsUnavailable):
        push.publisher().publish(batch)
    push.api.before_post = lambda _: None
    push.publisher().publish(batch)
    assert push.api.received("watcher") == whole_history(confirmed())


# --- those who don't keep up --------------------------------------------------------------------------------------


def test_another_accounts_change_is_pushed_while_150_streams_of_one_account_are_stuck(push: Push) -> None:
    for number in range(150):
        push.subscribe(account_partition("attacker"), f"idle-{number}", closes=False)
    push.subscribe("quiet-order", "quiet")
    write(push, new_order("noise", account="attacker"))
    write_all(push, confirmed(new_order("quiet-order", account="quiet")))
    told = Event()
    waited: list[bool] = []  # what a post raises is the publisher's to deal with

    def before_post(connection_id: str) -> None:
        if connection_id != "quiet":
            waited.append(told.wait(PATIENCE_SECONDS))
        elif len(push.api.received("quiet")) == 4:  # and this is the last
            told.set()

    push.api.before_post = before_post
    push.pump()
    assert all(waited), "the quiet account waits for the stuck ones"
    assert push.api.received("quiet") == whole_history(confirmed(new_order("quiet-order", account="quiet")))
    assert {len(push.api.received(f"idle-{number}")) for number in range(150)} == {1}


@pytest.mark.parametrize("reason", [aws_error("LimitExceededException", 429, "PostToConnection"), READ_TIMED_OUT])
def test_a_client_that_does_not_keep_up_is_closed_comes_back_and_is_told_everything(
    push: Push, reason: Exception
) -> None:
    order = confirmed()
    steps = list(life_of(order))
    write(push, steps[0])
    for connection_id in ("slow", "stays"):
        push.subscribe("order-1", connection_id)
    push.pump()

    def before_post(connection_id: str) -> None:
        if connection_id == "slow":
            raise reason

    push.api.before_post = before_post
    write(push, steps[1])
    for step in steps[2:4]:
        write(push, step)
    push.pump_dry()
    assert push.api.closed == ["slow"]
    assert [one.connection_id for one in push.connections.watchers("order-1")] == ["stays"]

    push.subscribe("order-1", "slow-again")
    for step in steps[4:]:
        write(push, step)
    push.pump_dry()
    assert push.api.received("slow-again") == whole_history(order)
    assert push.api.received("stays") == whole_history(order)


def test_one_that_can_not_be_closed_is_told_at_its_next_message_to_connect_again(
    push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = push.cloud.connection_table()
    write(push, new_order())
    push.subscribe("order-1", "stuck")
    push.pump()

    def stuck(_: object, **__: object) -> None:
        raise READ_TIMED_OUT

    monkeypatch.setattr(WebSocketApi, "post_to_connection", stuck)
    monkeypatch.setattr(WebSocketApi, "delete_connection", stuck)
    write_all(push, confirmed())
    push.pump()
    assert push.connections.watchers("order-1") == []
    with pytest.raises(Unusable):
        table.hear("stuck", CREATED_AT_MS)


def test_a_flooded_accounts_connections_are_closed_as_far_as_they_do_not_fit_into_a_batch(push: Push) -> None:
    for number in range(30):
        push.subscribe(account_partition("attacker"), f"idle-{number}", closes=False)
    push.subscribe(account_partition("quiet"), "quiet", closes=False)
    for order_id, account in (*((f"a-{number}", "attacker") for number in range(10)), ("q", "quiet")):
        write(push, new_order(order_id, account=account))
    push.pump()
    fitting = MESSAGES_OF_AN_ACCOUNT // 10
    assert len(push.api.closed) == 30 - fitting
    assert len(push.api.received("quiet")) == 1
    open_ones = [one.connection_id for one in push.connections.watchers(account_partition("attacker"))]
    assert {len(push.api.received(one)) for one in open_ones} == {10}
    assert set(open_ones).isdisjoint(push.api.closed)


# --- records that can't be read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"dynamodb": None},
        {"dynamodb": {}},
        {"dynamodb": {"NewImage": {}}},
        {"dynamodb": {"NewImage": {"item": {"S": "order"}}}},
        {"dynamodb": {"NewImage": {"item": {"N": "1"}}}},
        {"dynamodb": {"NewImage": {"item": "order"}}},
        {"dynamodb": {"NewImage": {"item": {"S": "subscription#x"}}}},
        {"dynamodb": {"NewImage": {"item": {"S": "order"}, "history": {"L": [{"M": {}}]}}}},
        {"dynamodb": {"NewImage": {"item": {"S": "something else"}}}},
        {"dynamodb": {"OldImage": {"item": {"S": "order"}}}},
        {"dynamodb": {"NewImage": {"item": {"S": "order"}, "amount": {"N": "x"}}}},
        {"dynamodb": {"NewImage": {"item": {"S": "order"}, "amount": {"Q": "x"}}}},
    ],
)
def test_a_record_that_cannot_be_read_is_passed_over_and_the_next_is_pushed(push: Push, record: Json) -> None:
    write(push, new_order())
    push.subscribe("order-1", "watcher")
    push.publisher().publish([record, *push.stream.new_records(), record])
    assert push.api.received("watcher") == whole_history(new_order())


def test_an_order_that_can_no_longer_be_read_holds_up_nobody_elses_news(push: Push) -> None:
    for order_id in ("order-1", "order-2"):
        write(push, new_order(order_id))
        push.subscribe(order_id, f"watches-{order_id}")
    spoiled = {"orderId": {"S": "order-1"}, "item": {"S": "order"}, "state": {"S": "unheard-of"}}
    push.cloud.dynamodb.put_item(TableName=push.cloud.orders_table, Item=spoiled)
    push.pump()
    assert push.api.received("watches-order-1") == []
    assert push.api.received("watches-order-2") == whole_history(new_order("order-2"))


FILTERS = [
    json.loads(one["Pattern"])
    for one in mapping_settings()["push_changes-dynamodb-event-source"]["FilterCriteria"]["Filters"]
]


def passes(value: Any, wanted: Any) -> bool:
    """Whether Lambda's filter lets it through, by what such filters say of texts and of beginnings of texts."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(passes(value.get(name), inner) for name, inner in wanted.items())
    return any(str(value).startswith(one["prefix"]) if isinstance(one, dict) else value == one for one in wanted)


def test_the_function_is_run_for_all_that_is_news_and_not_for_its_own_notes_of_what_it_sent(push: Push) -> None:
    order = confirmed()
    records: list[Json] = []
    push.subscribe(order.order_id, "watcher", closes=False)
    push.subscribe(account_partition("local"), "stream", closes=False)
    for step in life_of(order):
        write(push, step)
        records += push.pump()
    records += push.pump()
    let_through = [one for one in records if any(passes(one, wanted) for wanted in FILTERS)]
    items = Counter(one["dynamodb"]["Keys"]["item"]["S"] for one in let_through)
    assert items["order"] == len(list(life_of(order)))
    left_out = [one for one in records if one not in let_through]
    assert left_out
    for one in left_out:
        new = one["dynamodb"].get("NewImage")
        assert new is None or int(new["cursor"]["N"]) > 0
    push.publisher().publish(left_out)
    assert push.api.received("watcher") == push.api.received("stream") == whole_history(order)


def test_a_deleted_subscription_and_a_deleted_order_are_no_news(push: Push) -> None:
    write(push, new_order())
    push.subscribe("order-1", "watcher")
    push.connections.unsubscribe("order-1", "watcher")
    key = {"orderId": {"S": "order-1"}, "item": {"S": "order"}}
    push.cloud.dynamodb.delete_item(TableName=push.cloud.orders_table, Key=key)
    records = push.stream.new_records()
    assert [record["eventName"] for record in records].count("REMOVE") == 2
    push.publisher().publish(records)
    assert push.api.posts == 0
