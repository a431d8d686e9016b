"""How often an order asks AWS on its whole way, function by function.

Each change is pushed in a batch of its own, which is the most that it can take. What units that comes to depends on the
route that is found: bench/orders counts those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib import composition
from tests.integration.cloud import OrdersStream
from tests.integration.web import Pushes, Web, socket


class Taken:
    """The functions' calls of DynamoDB and SQS, by the name of the function that runs."""

    def __init__(self, pools: str) -> None:
        self._pools = pools
        self._function = ""
        self._calls: Counter[tuple[str, str]] = Counter()
        for client in (composition.dynamodb(), composition.sqs()):
            client.meta.events.register("before-call", self._count)

    @contextmanager
    def by(self, function: str) -> Iterator[None]:
        self._function = function
        yield
        self._function = ""

    def forget(self) -> None:
        self._calls.clear()

    def calls(self, function: str) -> Counter[str]:
        return Counter({name: number for (of, name), number in self._calls.items() if of == function})

    def _count(self, model: Any, params: Any, **_: object) -> None:
        # the pools and what is let in are read anew now and then, by the clock and not for an order's sake
        if not any(name.encode() in _bytes(params["body"]) for name in (self._pools, '"discovery"')):
            self._calls[self._function, model.name] += 1


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


@pytest.fixture
def taken(web: Web) -> Taken:
    """Of the product's parts as `web` has set them up."""
    return Taken(web.cloud.outputs["PoolsTable"])


class Life:
    """An order from its POST to its last push, with the functions called as AWS calls them."""

    def __init__(self, web: Web, taken: Taken, stream: OrdersStream) -> None:
        self._web, self._taken, self._stream = web, taken, stream

    def place(self) -> str:
        with self._taken.by("POST"):
            return self._web.execute()

    def watch(self, order_id: str, connection_id: str) -> None:
        with self._taken.by("$connect"):
            self._web.invoke(
                "ws_connect", socket("CONNECT", connection_id, queryStringParameters={"orderId": order_id})
            )

    def end(self) -> None:
        with self._taken.by("worker"):
            assert self._web.work() == {"batchItemFailures": []}
        with self._taken.by("publisher"):
            for record in self._stream.new_records():
                self._web.invoke("push_changes", {"Records": [record]})


@pytest.fixture
def life(web: Web, taken: Taken, stream: OrdersStream) -> Life:
    life = Life(web, taken, stream)
    life.place()  # what a process learns with its first order is none of an order's
    life.end()
    taken.forget()
    return life


def test_an_order_that_nobody_watches(life: Life, taken: Taken, web: Web) -> None:
    order_id = life.place()
    life.end()
    assert web.json("GET", f"/orders/{order_id}")["status"] == "confirmed"
    assert taken.calls("POST") == {"BatchGetItem": 1, "TransactWriteItems": 1, "SendMessage": 1}
    assert taken.calls("worker") == {
        "ChangeMessageVisibility": 1,
        "GetItem": 2,
        "BatchGetItem": 2,
        "UpdateItem": 2,
        "PutItem": 2,
        "TransactWriteItems": 2,
    }
    assert taken.calls("publisher") == {"BatchGetItem": 5}


def test_an_order_with_a_watcher_from_beginning_to_end(
    life: Life, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes = Pushes(monkeypatch)
    order_id = life.place()
    life.watch(order_id, "watcher")
    life.end()
    assert [one["status"] for one in pushes.to("watcher")] == [
        "pending",
        "routing",
        "building",
        "submitted",
        "confirmed",
    ]
    # the whole history goes out with the subscription's own record, and nothing is left for those that come after it
    assert taken.calls("publisher") == {"BatchGetItem": 5, "Query": 6, "DeleteItem": 1}
