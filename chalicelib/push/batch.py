"""What each connection is to be told of a batch of the stream's records, found before anything is sent.

Who watches is read once a batch: whoever comes later has a record of its own, which comes later too. First is asked
whether anybody of the orders' accounts is connected, once for all of them; most orders have no watcher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.order_item import item_to_order
from chalicelib.aws.dynamodb.orders_stream import OrderWrite
from chalicelib.contract.views import status_message
from chalicelib.log import context, logger
from chalicelib.orders.order import HistoryStep, Order
from chalicelib.push.connection_table import ConnectionTable
from chalicelib.push.connections import Connections, Subscription, account_partition
from chalicelib.push.fan_out import Outbox

# So long after its subscription a connection is established, or never will be.
ESTABLISHED_AFTER_MS = 2_000

News = OrderWrite | Subscription
_T = TypeVar("_T")
_WatchedOrder = tuple[Item | None, list[Subscription]]


@dataclass(slots=True)
class Watch:
    """A subscription as the batch goes on: the last `seq` that it has or is to be sent, and whether its order ended.

    `steps` are those to be sent, each with how many messages are in the connection's outbox up to it.
    """

    subscription: Subscription
    told: int
    ended: bool = False
    steps: list[tuple[int, HistoryStep]] = field(default_factory=list)

    def sent(self, outbox: Outbox) -> list[HistoryStep]:
        """Those of its steps that went out."""
        return [step for place, step in self.steps if place <= outbox.sent]


@dataclass(slots=True)
class Receiver:
    """A connection that is to be told something, or to be closed."""

    outbox: Outbox
    watches: list[Watch] = field(default_factory=list)


class Batch:
    """`news` are looked up at once, by threads of `executor`; then `add` takes them in their order. Raises AwsError."""

    def __init__(
        self,
        connections: Connections,
        connection_table: ConnectionTable,
        executor: Executor,
        news: Iterable[News],
        now_ms: int,
    ) -> None:
        self._executor = executor
        self._now_ms = now_ms
        self._watched_orders: dict[str, Future[_WatchedOrder]] = {}
        self._watchers: dict[str, Future[list[Subscription]]] = {}
        self._watches: dict[str, dict[str, Watch]] = {}
        self._receivers: dict[str, Receiver] = {}
        changed: dict[str, set[str]] = {}
        for one in news:
            if isinstance(one, OrderWrite):
                changed.setdefault(one.order.account, set()).add(one.order.order_id)
            elif one.order_id not in self._watched_orders:
                self._watched_orders[one.order_id] = self._submit(connections.with_order, one.order_id)
        for account, may in (connection_table.may_watch(changed) if changed else {}).items():
            asked = {account_partition(account)} if may.account else set()
            if may.orders:
                asked |= changed[account] - self._watched_orders.keys()
            for name in asked:
                self._watchers[name] = self._submit(connections.watchers, name)

    @property
    def receivers(self) -> list[Receiver]:
        return list(self._receivers.values())

    def add(self, news: News) -> None:
        """Note what is to be sent because of one record. Raises what the look-up of its order or watchers raised."""
        match news:
            case OrderWrite(order=order):
                with context(order_id=order.order_id, correlation_id=order.correlation_id):
                    step = order.history[-1]
                    logger.info("order changed", seq=step.seq, status=step.status.value)
                    self._order_changed(news)
            case Subscription():
                self._subscribed(news)

    def _order_changed(self, write: OrderWrite) -> None:
        order = write.order
        watches = self._watching(order.order_id)
        for watch in watches.values():
            if watch.told:  # else its own record is still to come, and sends all there is by then
                self._tell(order, watch)
        for connection_id, watch in self._watching(account_partition(order.account)).items():
            if connection_id not in watches:
                self._queue(order, watch, order.history[write.known :])

    def _subscribed(self, asked: Subscription) -> None:
        # the stored one, not the record's: after a failed batch it knows what was sent the first time
        watch = self._watching(asked.order_id).get(asked.connection_id)
        item = self._watched_orders[asked.order_id].result()[0]
        if item is not None and watch is not None:
            order = item_to_order(item)
            with context(order_id=order.order_id, correlation_id=order.correlation_id):
                logger.info("order watched", connection_id=asked.connection_id)
                self._tell(order, watch)

    def _tell(self, order: Order, watch: Watch) -> None:
        """Every step after those that it was told; a connection that was opened for an ended order is to be closed."""
        due = [step for step in order.history if step.seq > watch.told]
        if due:
            watch.told = due[-1].seq
        watch.ended = watch.ended or order.is_terminal
        if due or watch.ended:
            self._queue(order, watch, due)

    def _queue(self, order: Order, watch: Watch, steps: Iterable[HistoryStep]) -> None:
        connection_id = watch.subscription.connection_id
        receiver = self._receivers.get(connection_id)
        if receiver is None:
            receiver = self._receivers[connection_id] = Receiver(Outbox(connection_id, order.account))
        if watch not in receiver.watches:
            receiver.watches.append(watch)
        outbox = receiver.outbox
        outbox.established = outbox.established or self._is_established(watch.subscription)
        outbox.waits = max(outbox.waits, watch.subscription.waits)
        for step in steps:
            outbox.messages.append(status_message(step, order))
            watch.steps.append((len(outbox.messages), step))

    def _is_established(self, subscription: Subscription) -> bool:
        return subscription.cursor > 0 or self._now_ms - subscription.asked_at_ms >= ESTABLISHED_AFTER_MS

    def _watching(self, watched: str) -> dict[str, Watch]:
        """By their connections, those who watch an order, or all of an account's; who can't was not looked for."""
        if watched not in self._watches:
            subscriptions = self._subscriptions(watched)
            self._watches[watched] = {one.connection_id: Watch(one, told=one.cursor) for one in subscriptions}
        return self._watches[watched]

    def _subscriptions(self, watched: str) -> list[Subscription]:
        if watched in self._watched_orders:
            return self._watched_orders[watched].result()[1]
        return self._watchers[watched].result() if watched in self._watchers else []

    def _submit(self, look_up: Callable[[str], _T], name: str) -> Future[_T]:
        return self._executor.submit(copy_context().run, look_up, name)
