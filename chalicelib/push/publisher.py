"""From the orders table's stream to WebSocket messages: one write of an order is one push to each of its watchers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb.attribute_values import deserialize
from chalicelib.aws.dynamodb.order_item import ORDER_ITEM, item_to_order
from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.contract.views import status_message
from chalicelib.orders.order import Order
from chalicelib.push.connections import (
    SUBSCRIPTION_PREFIX,
    Connections,
    Subscription,
    account_partition,
    item_to_subscription,
)
from chalicelib.push.gateway import ConnectionGone, WebSocketGateway
from chalicelib.telemetry import logger

# One can't post to a connection before its $connect has returned, which may be a moment after its subscription is seen.
ESTABLISHING_TRIES = 10
ESTABLISHING_PAUSE_SECONDS = 0.1

StreamRecord = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Step:
    """An order as a record shows it, and how many of its changes were there before the record."""

    order: Order
    known: int


class Publisher:
    """Sends what a subscription hasn't had yet, each record of the stream after the one before.

    DynamoDB keeps the records of one item in order, and hands one partition's to one invocation at a time; an order and
    its subscriptions are in one partition.
    """

    def __init__(
        self,
        store: OrderTable,
        connections: Connections,
        gateway: WebSocketGateway,
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._connections = connections
        self._gateway = gateway
        self._sleep = sleep

    def publish(self, records: Iterable[StreamRecord]) -> None:
        """Handle the stream's records in their order. A record that can't be read or served is logged and passed over.

        Raises what AWS raises when it is out of reach: the stream then gives the same records again, and what was sent
        already is known by the cursors.
        """
        for record in records:
            try:
                self._publish(_read(record["dynamodb"]))
            except (BotoCoreError, ClientError):
                raise
            except Exception:  # noqa: BLE001
                # the boundary: whatever is wrong with one record would come again with it, and hold up all others' news
                logger.exception("record passed over", event_id=record.get("eventID"))

    def _publish(self, news: _Step | Subscription | None) -> None:
        match news:
            case _Step(order=order):
                with logger.append_context_keys(order_id=order.order_id, correlation_id=order.correlation_id):
                    step = order.history[-1]
                    logger.info("order changed", seq=step.seq, status=step.status.value)
                    self._order_changed(news)
            case Subscription():
                self._subscribed(news)

    def _order_changed(self, step: _Step) -> None:
        order = step.order
        watchers = self._connections.watchers(order.order_id)
        for subscription in watchers:
            if subscription.cursor:  # else its own record is still to come, and sends all there is by then
                self._send(order, subscription, establishing=False)
        served = {subscription.connection_id for subscription in watchers}
        for subscription in self._connections.watchers(account_partition(order.account)):
            if subscription.connection_id not in served:
                self._send_step(step, subscription)

    def _send_step(self, step: _Step, subscription: Subscription) -> None:
        """Send a watcher of the whole account what the record brought.

        Its cursor tells only that something was sent: after a failed batch it may be sent the same again.
        """
        try:
            for change in step.order.history[step.known :]:
                message = status_message(change, step.order)
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
            with logger.append_context_keys(order_id=order.order_id, correlation_id=order.correlation_id):
                logger.info("order watched", connection_id=asked.connection_id)
                self._send(order, subscription, establishing=not subscription.cursor)

    def _send(self, order: Order, subscription: Subscription, *, establishing: bool) -> None:
        """Send every change after the cursor; close the connection that was opened for an order that has ended."""
        due = [change for change in order.history if change.seq > subscription.cursor]
        connection_id = subscription.connection_id
        try:
            for change in due:
                self._post(connection_id, status_message(change, order), establishing=establishing)
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


def _read(change: Mapping[str, Any]) -> _Step | Subscription | None:
    """What a record tells: an order's new step, or a new wish to see an order; None where it is nobody's news."""
    new, old = change.get("NewImage"), change.get("OldImage")
    if new is None:
        return None
    kind = new["item"]["S"]
    if kind == ORDER_ITEM:
        order = item_to_order(deserialize(_without_submission(new)))
        known = 0 if old is None else len(old["history"]["L"])
        return None if known == len(order.history) else _Step(order, known)  # None: only its lease changed
    if kind.startswith(SUBSCRIPTION_PREFIX):
        subscription = item_to_subscription(deserialize(new))
        return None if subscription.cursor else subscription  # a cursor is our own note of what was sent
    return None


def _without_submission(image: Mapping[str, Any]) -> dict[str, Any]:
    """The image without the signed bytes, which the stream's JSON carries as text and nobody outside may see."""
    return {name: value for name, value in image.items() if name != "submission"}
