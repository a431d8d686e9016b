"""Ten orders at once on a node that takes 40 calls in ten seconds, by its own count: all confirm, and none is refused.

In the short form the node takes five times as many, so that it takes seconds.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import urllib3

from infra.local_stack.stack import Layout, stop
from infra.localnet.consensus import BY_NAME
from testing.client import Client
from testing.emulator import root_session
from testing.limited_node import LimitedNode, Refusal, by_http, by_json_rpc
from testing.ports import free_port
from testing.stacks import start
from tests.faults.dice import CHAIN, FULL, scaled
from tests.faults.test_experiments import market_orders

ORDERS = 10
CALLS_IN_TEN_SECONDS = scaled(short=200, full=40)
# As each of the chains is: a blockhash lives half a minute, and a minute on the tower's. In the short form it is three
# times half a minute, because the machine has other tests to run besides.
SLOT_MS = scaled(short=600, full=BY_NAME[CHAIN].slot_ms)
PATIENCE_SECONDS = 300.0

Json = dict[str, Any]


@dataclass
class LimitedStack:
    """A stack whose functions reach the chain through a node that counts their calls."""

    description: dict[str, str]
    node: LimitedNode

    def configure(self, **variables: str) -> None:
        """Give every function these variables, and with them new processes."""
        functions = root_session(self.description).client("lambda", endpoint_url=self.description["awsEndpoint"])
        for one in functions.list_functions()["Functions"]:
            before = one.get("Environment", {}).get("Variables", {})
            functions.update_function_configuration(
                FunctionName=one["FunctionName"], Environment={"Variables": before | variables}
            )

    def execute(self, orders: list[Json]) -> list[Json]:
        """All of them at once, as they are when each has ended."""
        client = Client(self.description["restUrl"])
        with ThreadPoolExecutor(len(orders)) as pool:
            ids = list(pool.map(self._accepted, orders))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            shown = [client.call("GET", f"/orders/{order_id}").body for order_id in ids]
            if all(_is_ended(order) for order in shown):
                return shown
            assert time.monotonic() < deadline, [(order["status"], order.get("error")) for order in shown]
            time.sleep(0.5)

    def _accepted(self, body: Json) -> str:
        """The order's id. A new process of the API has to ask the node too, and may be told to come back."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                reply = Client(self.description["restUrl"]).call("POST", "/orders/execute", body, key)
                if reply.status in (200, 202):
                    return str(reply.body["orderId"])
                assert reply.status == 503, reply
                time.sleep(int(reply.headers["Retry-After"]))
        raise AssertionError("the order is never accepted")


def _is_ended(order: Json) -> bool:
    return order["status"] in ("confirmed", "cancelled") or bool(order["history"][-1].get("terminal"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitedStack]:
    layout = Layout(
        tmp_path_factory.mktemp("limited-node"),
        aws_port=free_port(),
        rpc_port=free_port(following=1),
        localnet_arguments=("--chain", CHAIN, "--slot-ms", str(SLOT_MS)),
        orders_per_minute=1_000,
        rpc_requests_per_second=Decimal(CALLS_IN_TEN_SECONDS) / 10,
    )
    try:
        description = start(layout, print)
        with LimitedNode(layout.rpc_url, CALLS_IN_TEN_SECONDS) as node:
            stack = LimitedStack(description, node)
            stack.configure(SOLANA_RPC_URL=node.url)
            yield stack
    finally:
        stop(layout)


@pytest.mark.parametrize("refuse", [by_http, by_json_rpc] if FULL else [by_json_rpc])
def test_ten_orders_at_once_confirm_at_the_nodes_pace_and_none_of_their_calls_is_refused(
    stack: LimitedStack, refuse: Refusal
) -> None:
    stack.node.refuse = refuse
    stack.node.forget()
    orders = stack.execute(market_orders(ORDERS))
    assert Counter(order["status"] for order in orders) == {"confirmed": ORDERS}
    failures = {step.get("errorCode") for order in orders for step in order["history"]}
    # the orders move each other's prices: one that goes over two hops may have to be quoted anew
    assert failures <= {None, "SLIPPAGE_EXCEEDED"}, "none was lost by expiry"
    assert stack.node.most_in_any_window() <= CALLS_IN_TEN_SECONDS
    assert stack.node.refused == 0
    print(f"{len(stack.node.calls)} calls, at most {stack.node.most_in_any_window()} in ten seconds")
    print(Counter(method for _, method in stack.node.calls))


@pytest.mark.skipif(not FULL, reason="make faults: it takes a minute")
@pytest.mark.parametrize("refuse", [by_http, by_json_rpc])
def test_without_a_pace_they_confirm_too_for_they_wait_as_long_as_the_node_wants(
    stack: LimitedStack, refuse: Refusal
) -> None:
    stack.configure(RPC_REQUESTS_PER_SECOND="")
    stack.node.refuse = refuse
    stack.node.forget()
    orders = stack.execute(market_orders(ORDERS))
    assert Counter(order["status"] for order in orders) == {"confirmed": ORDERS}
    assert stack.node.refused > 0, "else nothing was tried out"
    print(f"{len(stack.node.calls)} calls, {stack.node.refused} of them refused")
