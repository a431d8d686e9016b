"""The publisher with its surroundings, and every write that leads to an order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.contract.views import status_message
from chalicelib.orders.order import Order, State, claim, release
from chalicelib.push.connections import Connections, Subscription
from chalicelib.push.publisher import Publisher
from tests.integration.cloud import Cloud, Json, OrdersStream, WebSocketApi
from tests.sample_orders import CREATED_AT_MS


@dataclass
class Push:
    """The publisher with its surroundings; `pump` delivers what the stream has."""

    cloud: Cloud
    stream: OrdersStream
    api: WebSocketApi
    slept: list[float] = field(default_factory=list)
    clock_ms: int = CREATED_AT_MS

    @property
    def store(self) -> OrderTable:
        return self.cloud.store()

    @property
    def connections(self) -> Connections:
        return self.cloud.connections()

    def publisher(self) -> Publisher:
        return Publisher(self.store, self.connections, self.api.gateway(), self.slept.append)

    def pump(self) -> None:
        self.publisher().publish(self.stream.new_records())

    def subscribe(self, order_id: str, connection_id: str, *, closes: bool = True) -> None:
        self.clock_ms += 1
        self.connections.subscribe(Subscription(order_id, connection_id, closes, self.clock_ms))


def life_of(order: Order) -> Iterator[Order]:
    """Every write that led to `order`: one for each step, and the worker's claims and releases in between."""
    for steps in range(1, len(order.history) + 1):
        history = order.history[:steps]
        last = steps == len(order.history)
        state = order.state if last else State.ROUTING
        step = replace(order, history=history, state=state, submission=order.submission if last else None)
        yield step
        if not last:
            yield claim(step, "worker", CREATED_AT_MS, 25_000)
            yield release(step)


def write_all(push: Push, order: Order) -> None:
    for step in life_of(order):
        write(push, step)


def write(push: Push, step: Order) -> None:
    """What intake and the workers do: create, then replace the stored revision."""
    stored = push.store.load(step.order_id)
    if stored is None:
        assert push.store.create(step)
    else:
        push.store.replace(replace(step, revision=stored.revision))


def whole_history(order: Order) -> list[Json]:
    return [status_message(change, order) for change in order.history]
