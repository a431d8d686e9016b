"""One watcher does not delay another, on the emulator: posts that don't come to an end, and connections without end.

A proxy stands between the publisher and the gateway, and holds what is posted to the attacker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from chalicelib.push.connection_table import ConnectionCaps, ConnectionTable
from chalicelib.settings import Settings
from operations.stacks import deployed
from operations.target import Target, target_of
from testing.client import PATIENCE_SECONDS, eventually
from testing.fault_proxy import Call, FaultProxy, Held, When
from tests.e2e.test_accounts import Account

Json = dict[str, Any]
STREAMS = 12
AT_MOST = Settings.model_fields["connections_per_key"].default


@pytest.fixture(scope="module")
def target(stack: dict[str, str]) -> Target:
    return target_of(stack, "local", stack["awsEndpoint"])


@pytest.fixture
def publishers_gateway(stack: dict[str, str], target: Target) -> Iterator[FaultProxy]:
    """What the publisher posts through."""
    client, name = target.client("lambda"), deployed(target)["PublisherFunction"]

    def post_through(endpoint: str) -> None:
        configuration = client.get_function_configuration(FunctionName=name)
        variables = configuration["Environment"]["Variables"] | {"WEBSOCKET_ENDPOINT": endpoint}
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    straight = stack["wsUrl"].replace("ws://", "http://")
    with FaultProxy(stack["awsEndpoint"], lambda port: None) as proxy:
        post_through(straight.replace(stack["awsEndpoint"], proxy.url))
        try:
            yield proxy
        finally:
            post_through(straight)


def stream_of(account: Account) -> ClientConnection:
    reply = account.call("POST", "/ws-tickets")
    assert reply.status == 200, reply
    return connect(reply.body["wsUrl"], open_timeout=PATIENCE_SECONDS)


def connections_of(account: Account, target: Target) -> frozenset[str]:
    table = ConnectionTable(
        target.client("dynamodb"), deployed(target, "data")["ConnectionsTable"], ConnectionCaps(1, 1)
    )
    (mine,) = (one for one in table.counted() if one.name == f"key#{account.key_id}")
    return mine.connections


def test_an_account_is_told_of_its_order_while_anothers_streams_are_stuck_and_those_are_closed(
    stack: dict[str, str], target: Target, publishers_gateway: FaultProxy
) -> None:
    attacker, quiet = Account(stack, "stuck"), Account(stack, "quiet")
    held: list[Held] = []
    with ExitStack() as sockets:
        stuck = [sockets.enter_context(stream_of(attacker)) for _ in range(STREAMS)]
        hers = sockets.enter_context(stream_of(quiet))
        theirs = connections_of(attacker, target)
        assert len(theirs) == STREAMS

        def hold(call: Call, when: When) -> Any:
            to_attacker = any(call.line.startswith("POST") and one in call.line for one in theirs)
            return held.append if to_attacker and when is When.BEFORE else None

        publishers_gateway.rule = hold
        attacker.execute("USDC", "USDT", "2")
        eventually(lambda: bool(held))
        order_id = quiet.execute("USDC", "USDT", "2")["orderId"]
        told: list[dict[str, Any]] = []
        while not told or told[-1]["status"] != "confirmed":
            told.append(json.loads(hers.recv(timeout=PATIENCE_SECONDS)))
            assert told[-1]["orderId"] == order_id
            assert told[-1].get("terminal") is not True, told[-1]
        # the market moves by itself, so that an attempt may fail; nothing of it is left out
        assert [one["seq"] for one in told] == list(range(1, len(told) + 1))

        for one in stuck:
            with pytest.raises(ConnectionClosed):
                one.recv(timeout=PATIENCE_SECONDS)


def test_a_key_has_so_many_connections_and_is_told_so_in_words(stack: dict[str, str]) -> None:
    greedy, other = Account(stack, "greedy"), Account(stack, "greedy")
    spare = greedy.call("POST", "/ws-tickets").body["wsUrl"]
    with ExitStack() as sockets:
        first, *_ = [sockets.enter_context(stream_of(greedy)) for _ in range(AT_MOST)]
        refusal = greedy.call("POST", "/ws-tickets")
        assert refusal.status == 429
        assert f"at most {AT_MOST} WebSocket connections" in refusal.body["detail"]
        with pytest.raises(InvalidStatus), connect(spare):
            pass
        assert other.call("POST", "/ws-tickets").status == 200

        first.close()
        eventually(lambda: bool(greedy.call("POST", "/ws-tickets").status == 200))
