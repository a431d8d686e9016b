"""What becomes of the open orders of an API key that is revoked: nothing more is done in its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fillrate.cli.main import run as run_command

from chalicelib.access.key_administration import KeyAdministration, NewKey
from chalicelib.access.keys import Scope
from chalicelib.orders.execution import Finished
from chalicelib.orders.life import cancel
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from chalicelib.problems import RpcUnavailable
from operations.target import Target
from tests.integration.chain_model import Network, World
from tests.integration.cloud import REGION, Cloud, aws, calls_to
from tests.sample_orders import CREATED_AT_MS, new_order

ORDER = "order-1"


@pytest.fixture
def key(cloud: Cloud) -> NewKey:
    return cloud.new_key("local", Scope.TRADE)


@pytest.fixture
def administration(cloud: Cloud) -> KeyAdministration:
    return KeyAdministration(cloud.keys(), lambda: CREATED_AT_MS + 1, lambda count: bytes(count))


@pytest.fixture
def world(cloud: Cloud, key: NewKey) -> World:
    store = cloud.store()
    assert store.create(replace(new_order(ORDER), key_id=key.key.key_id))
    return World(store, keys=cloud.keys())


def run(world: World, owner: str = "worker/1") -> Order:
    outcome = world.worker().run(ORDER, owner)
    assert isinstance(outcome, Finished)
    return outcome.order


def assert_refused(world: World, order: Order, key: NewKey) -> None:
    assert (order.state, order.error_code) == (State.FAILED, "KEY_REVOKED")
    assert key.key.key_id in (order.error or "")
    assert order.submission is None
    assert world.chain.sent == {}


def test_an_order_of_a_revoked_key_is_refused_before_anything_of_it_is_planned_or_signed(
    world: World, administration: KeyAdministration, key: NewKey
) -> None:
    passed: list[str] = []
    world.at_point = passed.append
    administration.revoke(key.key.key_id)
    order = run(world)
    assert_refused(world, order, key)
    assert world.built == 0
    assert [step.status.value for step in order.history] == ["pending", "failed"]


def test_a_key_that_is_revoked_while_its_order_is_worked_on_keeps_the_transaction_from_being_stored_or_sent(
    world: World, administration: KeyAdministration, key: NewKey
) -> None:
    built = world.built

    def revoke(point: str) -> None:
        if world.built > built:
            administration.revoke(key.key.key_id)

    world.at_point = revoke
    assert_refused(world, run(world), key)


def test_an_order_that_waits_for_its_next_attempt_is_refused_at_once(
    world: World, administration: KeyAdministration, key: NewKey
) -> None:
    world.market.append(RpcUnavailable("no answer"))
    world.worker().run(ORDER, "worker/1")
    assert world.stored(ORDER).state is State.RETRYING
    administration.revoke(key.key.key_id)
    assert_refused(world, run(world, "worker/2"), key)


def test_a_transaction_that_is_stored_is_followed_to_its_end_whatever_becomes_of_the_key(
    world: World, administration: KeyAdministration, key: NewKey
) -> None:
    world.network.append(Network.DROPS)
    world.worker().run(ORDER, "worker/1")
    assert world.stored(ORDER).state is State.SUBMITTED
    administration.revoke(key.key.key_id)
    world.now_ms += 60_000
    assert run(world, "worker/2").state is State.CONFIRMED


def test_the_orders_of_a_key_that_was_replaced_go_on(
    world: World, administration: KeyAdministration, key: NewKey
) -> None:
    administration.rotate(key.key.key_id, grace_minutes=0)
    assert run(world).state is State.CONFIRMED


@pytest.mark.parametrize("key_id", [None, "key_of_before"])
def test_an_order_without_a_key_is_no_keys_order(cloud: Cloud, key_id: str | None) -> None:
    store = cloud.store()
    assert store.create(replace(new_order(ORDER), key_id=key_id))
    assert run(World(store, keys=cloud.keys())).state is State.CONFIRMED


def test_a_worker_that_knows_a_key_asks_after_it_with_one_read(cloud: Cloud, key: NewKey) -> None:
    keys = cloud.keys()
    keys.is_revoked(key.key.key_id)
    queries, reads = calls_to(cloud.dynamodb, "Query"), calls_to(cloud.dynamodb, "GetItem")
    assert not keys.is_revoked(key.key.key_id)
    assert (len(queries), [read["ConsistentRead"] for read in reads]) == (0, [True])


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def revoke(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.setattr("operations.commands.stage.target_of", lambda *_: Target("prod", aws(), REGION))
    monkeypatch.setattr("operations.keys.deployed", lambda *_: cloud.outputs)
    monkeypatch.setattr("operations.record.identity", lambda _: "an operator")

    def command(key_id: str, *words: str) -> Any:
        assert run_command(["keys", "revoke", key_id, "--stage", "prod", "--json", *words]) == 0
        return json.loads(capsys.readouterr().out)

    return command


def placed(cloud: Cloud, key_id: str, *order_ids: str) -> None:
    for order_id in order_ids:
        assert cloud.store().create(replace(new_order(order_id), key_id=key_id))


def test_revoking_says_which_orders_of_the_key_are_open(cloud: Cloud, key: NewKey, revoke: Callable[..., Any]) -> None:
    other = cloud.new_key("local", Scope.TRADE).key.key_id
    placed(cloud, key.key.key_id, "one", "two", "ended")
    placed(cloud, other, "another's")
    cloud.store().replace(cancel(cloud.stored("ended"), CREATED_AT_MS))
    said = revoke(key.key.key_id)
    assert (sorted(said["openOrders"]), said["cancelledOrders"]) == (["one", "two"], [])
    assert cloud.stored("one").state is State.PENDING


def test_revoking_can_cancel_them_where_no_transaction_is_on_its_way(
    cloud: Cloud, world: World, key: NewKey, revoke: Callable[..., Any]
) -> None:
    placed(cloud, key.key.key_id, "one", "two")
    world.network.append(Network.DROPS)
    world.worker().run(ORDER, "worker/1")
    said = revoke(key.key.key_id, "--cancel-orders")
    assert (sorted(said["cancelledOrders"]), said["openOrders"]) == (["one", "two"], [ORDER])
    assert [cloud.stored(order_id).state for order_id in ("one", "two", ORDER)] == [
        State.CANCELLED,
        State.CANCELLED,
        State.SUBMITTED,
    ]
    cloud.assert_counters_add_up()
