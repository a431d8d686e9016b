"""From the orders table's stream to WebSocket messages: one write of an order is one push to each of its watchers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chalicelib.aws.dynamodb.attribute_values import deserialize
from chalicelib.aws.dynamodb.orders_stream import OrderWrite, Record, order_write
from chalicelib.aws.websocket_gateway import ConnectionGone, WebSocketGateway
from chalicelib.contract.views import status_message
from chalicelib.log import context, logger
from chalicelib.orders.order import Order
from chalicelib.orders.ports import Orders
from chalicelib.problems import AwsError
from chalicelib.push.connections import (
    SUBSCRIPTION_PREFIX,
    Connections,
    Subscription,
    account_partition,
    item_to_subscription,
)

# One can't post to a connection before its $connect has returned, which may be a moment after its subscription is seen.
ESTABLISHING_TRIES = 10
ESTABLISHING_PAUSE_SECONDS = 0.1


class Publisher:
    """Sends what a subscription hasn't had yet, each record of the stream after the one before.

    DynamoDB keeps the records of one item in order, and hands one partition's to one invocation at a time; an order and
    its subscriptions are in one partition.
    """

    def __init__(
        self,
        store: Orders,
        connections: Connections,
        gateway: WebSocketGateway,
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._connections = connections
        self._gateway = gateway
        self._sleep = sleep

    def publish(self, records: Iterable[Record]) -> None:
        """Handle the stream's records in their order. A record that can't be read or served is logged and passed over.

        Raises AwsError, as when AWS is out of reach: the stream then gives the same records again, and what was sent
        already is known by the cursors.
        """
        for record in records:
            try:
                self._publish(_read(record["dynamodb"]))
            except AwsError:
                raise
            except Exception:  # noqa: BLE001
                # the boundary: whatever is wrong with one record would come again with it, and hold up all others' news
                logger.exception("record passed over", event_id=record.get("eventID"))

    def _publish(self, news: OrderWrite | Subscription | None) -> None:
        match news:
            case OrderWrite(order=order):
                with context(order_id=order.order_id, correlation_id=order.correlation_id):
                    step = order.history[-1]
                    logger.info("order changed", seq=step.seq, status=step.status.value)
                    self._order_changed(news)
            case Subscription():
                self._subscribed(news)

    def _order_changed(self, step: OrderWrite) -> None:
        order = step.order
        watchers = self._connections.watchers(order.order_id)
        for subscription in watchers:
            if subscription.cursor:  # else its own record is still to come, and sends all there is by then
                self._send(order, subscription, establishing=False)
        served = {subscription.connection_id for subscription in watchers}
        for subscription in self._connections.watchers(account_partition(order.account)):
            if subscription.connection_id not in served:
                self._send_step(step, subscription)

    def _send_step(self, step: OrderWrite, subscription: Subscription) -> None:
        """Send a watcher of the whole account what the record brought.

        Its cursor tells only that something was sent: after a failed batch it may be sent the same again.
        """
        try:
            for new in step.order.history[step.known :]:
                message = status_message(new, step.order)
                self._post(subscription.connection_id, message, establishing=not subscription.cursor)
        except ConnectionGone:
            self._connections.forget(subscription.connection_id)
            return
        if not subscription.cursor:
            self._connections.advance(subscription, 1)

    def _subscribed(self, asked: Subscription) -> None:
        # the stored one, not the record's: after a failed batch it knows what was sent the first time
        subscription = self._connections.find(asked.order_id, asked.connection_id)
        order = self._store.load(asked.order_id)
        if order is not None and subscription is not None:
            with context(order_id=order.order_id, correlation_id=order.correlation_id):
                logger.info("order watched", connection_id=asked.connection_id)
                self._send(order, subscription, establishing=not subscription.cursor)

    def _send(self, order: Order, subscription: Subscription, *, establishing: bool) -> None:
        """Send every step after the cursor; close the connection that was opened for an order that has ended."""
        due = [step for step in order.history if step.seq > subscription.cursor]
        connection_id = subscription.connection_id
        try:
            for step in due:
                self._post(connection_id, status_message(step, order), establishing=establishing)
        except ConnectionGone:
            self._connections.forget(connection_id)
            return
        if order.is_terminal:
            self._connections.unsubscribe(order.order_id, connection_id)
            if subscription.closes:
                self._gateway.close(connection_id)
        elif due:
            self._connections.advance(subscription, due[-1].seq)

    def _post(self, connection_id: str, message: dict[str, Any], *, establishing: bool) -> None:
        for remaining in reversed(range(ESTABLISHING_TRIES if establishing else 1)):
            try:
                return self._gateway.post(connection_id, message)
            except ConnectionGone:
                if not remaining:
                    raise
                self._sleep(ESTABLISHING_PAUSE_SECONDS)
        return None


def _read(change: Mapping[str, Any]) -> OrderWrite | Subscription | None:
    """What a record tells: an order's new step, or a new wish to see an order; None where it is nobody's news."""
    new = change.get("NewImage")
    if new is None:
        return None
    write = order_write(change)
    if write is not None:
        return None if write.known == len(write.order.history) else write  # None: only its lease changed
    if new["item"]["S"].startswith(SUBSCRIPTION_PREFIX):
        subscription = item_to_subscription(deserialize(new))
        return None if subscription.cursor else subscription  # a cursor is our own note of what was sent
    return None
