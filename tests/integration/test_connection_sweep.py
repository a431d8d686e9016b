"""The sweeper closes the connections of keys that have ended and drops what vanished ones left; nobody else's."""

from __future__ import annotations

from chalicelib.push.connection_sweep import ESTABLISHED_AFTER_MS, ConnectionSweep, SweptConnections
from chalicelib.push.connection_table import ConnectionCaps
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS, Subscription, account_partition
from tests.integration.cloud import CAPS, Cloud, WebSocketApi
from tests.sample_orders import CREATED_AT_MS as NOW_MS
from tests.sample_orders import new_order

ACCOUNT = account_partition("alice")


def sweep(cloud: Cloud, api: WebSocketApi, now_ms: int = NOW_MS, caps: ConnectionCaps = CAPS) -> SweptConnections:
    return ConnectionSweep(
        cloud.connections(),
        cloud.connection_table(caps),
        cloud.quote_streams(),
        cloud.keys(),
        api.gateway(),
        lambda: now_ms,
    ).sweep()


def open_connection(cloud: Cloud, connection_id: str, *order_ids: str, key_id: str | None = None) -> None:
    cloud.connection_table().open(connection_id, "alice", key_id, NOW_MS)
    watch(cloud, connection_id, *order_ids)


def watch(cloud: Cloud, connection_id: str, *order_ids: str) -> None:
    for order_id in order_ids:
        cloud.connections().subscribe(Subscription(order_id, connection_id, closes=False, asked_at_ms=NOW_MS))


def watching(cloud: Cloud) -> list[tuple[str, str]]:
    return sorted(cloud.connections().all())


def test_a_vanished_clients_subscriptions_are_dropped_and_the_others_stay(
    cloud: Cloud, websocket_api: WebSocketApi
) -> None:
    watch(cloud, "vanished", "order-1", "order-2", ACCOUNT)
    open_connection(cloud, "open", "order-1", ACCOUNT)

    assert sweep(cloud, websocket_api) == SweptConnections(closed=[], stale_subscriptions=3)

    assert watching(cloud) == [(ACCOUNT, "open"), ("order-1", "open")]
    assert websocket_api.closed == []
    assert sweep(cloud, websocket_api) == SweptConnections()


def test_a_connection_that_has_outlived_what_the_gateway_allows_is_gone(
    cloud: Cloud, websocket_api: WebSocketApi
) -> None:
    """Its record is still there: DynamoDB forgets what has run out when it finds the time."""
    open_connection(cloud, "old", "order-1")
    end_ms = NOW_MS + CONNECTION_LIFE_SECONDS * 1000
    assert sweep(cloud, websocket_api, end_ms - 1000).stale_subscriptions == 0
    assert sweep(cloud, websocket_api, end_ms).stale_subscriptions == 1
    assert watching(cloud) == []


def test_an_order_is_left_alone_whoever_watched_it(cloud: Cloud, websocket_api: WebSocketApi) -> None:
    order = new_order("order-1")
    assert cloud.store().create(order)
    watch(cloud, "vanished", "order-1")
    assert sweep(cloud, websocket_api).stale_subscriptions == 1
    assert cloud.stored("order-1") == order


def test_connections_of_a_key_that_has_ended_are_closed_and_those_of_others_stay_open(
    cloud: Cloud, websocket_api: WebSocketApi
) -> None:
    revoked, valid = (cloud.new_key("alice").key for _ in range(2))
    open_connection(cloud, "leaked-1", "order-1", key_id=revoked.key_id)
    open_connection(cloud, "leaked-2", ACCOUNT, key_id=revoked.key_id)
    open_connection(cloud, "owner", "order-1", key_id=valid.key_id)
    open_connection(cloud, "keyless", "order-1")
    assert sweep(cloud, websocket_api) == SweptConnections()

    cloud.keys().end(revoked.digest, NOW_MS)

    assert sorted(sweep(cloud, websocket_api).closed) == ["leaked-1", "leaked-2"]
    assert sorted(websocket_api.closed) == ["leaked-1", "leaked-2"]
    assert watching(cloud) == [("order-1", "keyless"), ("order-1", "owner")]
    assert set(cloud.connection_table().open_ones(NOW_MS)) == {"owner", "keyless"}
    assert sweep(cloud, websocket_api) == SweptConnections()


def test_a_rotated_keys_connections_live_as_long_as_its_grace(cloud: Cloud, websocket_api: WebSocketApi) -> None:
    old = cloud.new_key("alice").key
    open_connection(cloud, "client", "order-1", key_id=old.key_id)
    cloud.keys().end(old.digest, NOW_MS + 60_000)
    assert sweep(cloud, websocket_api, NOW_MS + 59_999).closed == []
    assert sweep(cloud, websocket_api, NOW_MS + 60_000).closed == ["client"]


def test_a_connection_that_has_gone_by_itself_is_closed_without_a_word(
    cloud: Cloud, websocket_api: WebSocketApi
) -> None:
    key = cloud.new_key("alice").key
    open_connection(cloud, "gone", "order-1", key_id=key.key_id)
    websocket_api.gone.add("gone")
    cloud.keys().end(key.digest, NOW_MS)
    assert sweep(cloud, websocket_api).closed == ["gone"]
    assert watching(cloud) == []


# --- the count ----------------------------------------------------------------------------------------------------

FULL = ConnectionCaps(of_key=2, of_account=2)
LATER_MS = NOW_MS + ESTABLISHED_AFTER_MS


def counted(cloud: Cloud) -> dict[str, set[str]]:
    return {one.name: set(one.connections) for one in cloud.connection_table(FULL).counted()}


def test_what_is_counted_and_has_no_connection_any_more_counts_no_longer(
    cloud: Cloud, websocket_api: WebSocketApi
) -> None:
    for connection_id in ("dropped", "open"):
        open_connection(cloud, connection_id, key_id=cloud.new_key("alice").key.key_id)
    cloud.connection_table().forget("dropped")
    sweep(cloud, websocket_api)
    assert {"open"} == set().union(*counted(cloud).values())
    sweep(cloud, websocket_api, NOW_MS + CONNECTION_LIFE_SECONDS * 1000)
    assert counted(cloud) == {}


def test_a_lost_disconnect_keeps_nobody_out_for_long(cloud: Cloud, websocket_api: WebSocketApi) -> None:
    """Where an account is full the gateway is asked which of its connections there are."""
    for connection_id in ("vanished", "open"):
        open_connection(cloud, connection_id, "order-1")
    websocket_api.gone.add("vanished")
    assert sweep(cloud, websocket_api, LATER_MS - 1_000, FULL).vanished == [], "it may not be established yet"
    assert sweep(cloud, websocket_api, LATER_MS, FULL).vanished == ["vanished"]
    assert counted(cloud) == {"account#alice": {"open"}}
    assert watching(cloud) == [("order-1", "open")]
    cloud.connection_table(FULL).check_room("alice", None)


def test_where_there_is_room_the_gateway_is_not_asked(cloud: Cloud, websocket_api: WebSocketApi) -> None:
    open_connection(cloud, "vanished", "order-1")
    websocket_api.gone.add("vanished")
    assert sweep(cloud, websocket_api, LATER_MS, FULL) == SweptConnections()
