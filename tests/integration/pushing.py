"""The publisher with its surroundings, and every write that leads to an order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.contract.views import status_message
from chalicelib.orders.life import claim, release
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from chalicelib.push.connection_table import ConnectionCaps, ConnectionTable, Watches
from chalicelib.push.connections import Connections, Subscription, account_partition, is_of_an_account
from chalicelib.push.fan_out import FanOut
from chalicelib.push.publisher import Publisher
from tests.integration.cloud import Cloud, Json, OrdersStream, WebSocketApi
from tests.sample_orders import CREATED_AT_MS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NO_CAPS = ConnectionCaps(of_key=10_000, of_account=10_000)


@dataclass
class Push:
    """The publisher with its surroundings; `pump` delivers what the stream has."""

    cloud: Cloud
    stream: OrdersStream
    api: WebSocketApi
    slept: list[float] = field(default_factory=list)
    clock_ms: int = CREATED_AT_MS
    monotonic: float = 0.0
    _connected: set[str] = field(default_factory=set)

    @property
    def store(self) -> OrderTable:
        return self.cloud.store()

    @property
    def connections(self) -> Connections:
        return self.cloud.connections()

    def publisher(self) -> Publisher:
        return publisher(self.cloud, self.api, self.slept.append, lambda: self.monotonic, now_ms=lambda: self.clock_ms)

    def pump(self) -> None:
        """Once what the stream has now; what the publisher's own notes bring waits for the next time."""
        self.publisher().publish(self.stream.new_records())

    def pump_dry(self) -> None:
        """Until the stream has nothing more."""
        for _ in range(100):
            records = self.stream.new_records()
            if not records:
                return
            self.publisher().publish(records)
        raise AssertionError("the stream never runs dry: the publisher's own writes make it write")

    def subscribe(self, order_id: str, connection_id: str, *, closes: bool = True) -> None:
        """Of an order that isn't stored yet the watcher is of the account `local`, whose the sample orders are."""
        self.clock_ms += 1
        watches = Watches.STREAM if is_of_an_account(order_id) else Watches.ORDERS
        self.connect(connection_id, self._account_of(order_id), watches)
        self.connections.subscribe(Subscription(order_id, connection_id, closes, self.clock_ms))

    def connect(self, connection_id: str, account: str = "local", watches: Watches | None = None) -> None:
        """As $connect remembers it, unless it is remembered; of `watches` None it may be anything."""
        if connection_id not in self._connected:
            self._connected.add(connection_id)
            self.cloud.connection_table(NO_CAPS).open(connection_id, account, None, self.clock_ms, watches)

    def _account_of(self, watched: str) -> str:
        if is_of_an_account(watched):
            return watched.removeprefix(account_partition(""))
        order = self.store.load(watched)
        return "local" if order is None else order.account


def publisher(
    cloud: Cloud,
    api: WebSocketApi,
    sleep: Callable[[float], None] = lambda _: None,
    monotonic: Callable[[], float] = lambda: 0.0,
    dynamodb: DynamoDBClient | None = None,
    now_ms: Callable[[], int] = lambda: CREATED_AT_MS,
) -> Publisher:
    """The product's own; `dynamodb`: another client than the cloud's, as one that fails."""
    gateway, client = api.gateway(), dynamodb or cloud.dynamodb
    return Publisher(
        Connections(client, cloud.orders_table),
        ConnectionTable(client, cloud.outputs["ConnectionsTable"], NO_CAPS),
        gateway,
        FanOut(gateway, monotonic, sleep),
        now_ms,
    )


def watch(cloud: Cloud, order_id: str, connection_id: str, now_ms: int) -> None:
    """As $connect lets an order of the account `local` be watched."""
    cloud.connection_table(NO_CAPS).open(connection_id, "local", None, now_ms, Watches.ORDERS)
    cloud.connections().subscribe(Subscription(order_id, connection_id, True, now_ms))


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
