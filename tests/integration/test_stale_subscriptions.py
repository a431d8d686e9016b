"""Subscriptions of connections that are gone are dropped by the sweeper; those of open ones never are."""

from __future__ import annotations

import pytest

from chalicelib.push.connections import CONNECTION_LIFE_SECONDS, Subscription, account_partition
from chalicelib.push.stale_subscriptions import PARTS, StaleSubscriptions, part_of
from tests.integration.cloud import Cloud, calls_to
from tests.sample_orders import CREATED_AT_MS as NOW_MS
from tests.sample_orders import new_order

MINUTE_MS = 60_000


def sweep_all(cloud: Cloud, now_ms: int = NOW_MS) -> int:
    """As many minutes as it takes until each connection was looked at, all of them at one time."""
    return sum(sweep_in_minute(cloud, part, now_ms) for part in range(PARTS))


def sweep_in_minute(cloud: Cloud, part: int, now_ms: int) -> int:
    minute = now_ms // MINUTE_MS
    of_that_part = (minute + (part - minute) % PARTS) * MINUTE_MS
    return StaleSubscriptions(cloud.connections(), cloud.connection_table(), lambda: of_that_part).sweep()


def watch(cloud: Cloud, connection_id: str, *order_ids: str, is_open: bool) -> None:
    if is_open:
        cloud.connection_table().open(connection_id, "local", NOW_MS)
    for order_id in order_ids:
        cloud.connections().subscribe(Subscription(order_id, connection_id, closes=False, asked_at_ms=NOW_MS))


def watching(cloud: Cloud) -> list[tuple[str, str]]:
    return sorted(cloud.connections().all())


def test_a_vanished_clients_subscriptions_are_dropped_and_the_others_stay(cloud: Cloud) -> None:
    account = account_partition("local")
    watch(cloud, "vanished", "order-1", "order-2", account, is_open=False)
    watch(cloud, "open", "order-1", account, is_open=True)

    assert sweep_all(cloud) == 3

    assert watching(cloud) == [(account, "open"), ("order-1", "open")]
    assert sweep_all(cloud) == 0


def test_a_connection_that_has_outlived_what_the_gateway_allows_is_gone(cloud: Cloud) -> None:
    """Its record is still there: DynamoDB forgets what has run out when it finds the time."""
    watch(cloud, "old", "order-1", is_open=True)
    assert sweep_all(cloud, NOW_MS + (CONNECTION_LIFE_SECONDS - 20 * 60) * 1000) == 0
    assert sweep_all(cloud, NOW_MS + CONNECTION_LIFE_SECONDS * 1000) == 1
    assert watching(cloud) == []


def test_the_order_itself_is_left_alone(cloud: Cloud) -> None:
    order = new_order("order-1")
    assert cloud.store().create(order)
    watch(cloud, "vanished", "order-1", is_open=False)
    assert sweep_all(cloud) == 1
    assert cloud.stored("order-1") == order


def test_each_connection_is_looked_at_once_in_a_quarter_of_an_hour(cloud: Cloud) -> None:
    names = [f"connection-{number}" for number in range(40)]
    for name in names:
        watch(cloud, name, "order-1", is_open=False)
    left = len(names)
    for part in range(PARTS):
        due = [name for name in names if part_of(name) == part]
        assert sweep_in_minute(cloud, part, NOW_MS) == len(due)
        left -= len(due)
        assert len(watching(cloud)) == left
    assert left == 0


@pytest.mark.parametrize("number", [1, 99, 100, 101, 230])
def test_any_number_of_them_is_found_by_asking_for_a_hundred_at_a_time(cloud: Cloud, number: int) -> None:
    in_one_part = [name for name in (f"c{count}" for count in range((number + 20) * PARTS * 2)) if part_of(name) == 3][
        :number
    ]
    assert len(in_one_part) == number
    for name in in_one_part:
        watch(cloud, name, "order-1", is_open=name == in_one_part[0])
    connection_table = cloud.connection_table()
    calls = calls_to(connection_table._client, "BatchGetItem")

    now_ms = NOW_MS - NOW_MS % (PARTS * MINUTE_MS) + 3 * MINUTE_MS
    assert StaleSubscriptions(cloud.connections(), connection_table, lambda: now_ms).sweep() == number - 1

    assert watching(cloud) == [("order-1", in_one_part[0])]
    assert len(calls) == -(-number // 100)
