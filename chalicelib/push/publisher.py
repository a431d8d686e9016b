"""From the orders table's stream to WebSocket messages: one write of an order is one push to each of its watchers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from chalicelib.aws.dynamodb.attribute_values import deserialize
from chalicelib.aws.dynamodb.orders_stream import Record, order_write
from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.log import logger
from chalicelib.problems import AwsError
from chalicelib.push.batch import Batch, News, Receiver, Watch
from chalicelib.push.connection_table import ConnectionTable
from chalicelib.push.connections import SUBSCRIPTION_PREFIX, Connections, is_of_an_account, item_to_subscription
from chalicelib.push.dropping import Dropping
from chalicelib.push.fan_out import FanOut, Fate, Outbox

# One can't post to a connection before its $connect has returned, which may be a moment after its subscription is seen.
# So many batches look whether it has, each for no longer than the fan-out's pauses.
ESTABLISHING_BATCHES = 4
# Calls of DynamoDB that are made at one time: botocore keeps connections for as many.
CALLS_AT_ONCE = 10


class Publisher:
    """Sends what a subscription hasn't had yet, to all connections of a batch at the same time.

    DynamoDB keeps the records of one item in order, and hands one partition's to one invocation at a time; an order and
    its subscriptions are in one partition. A connection that doesn't take what it is sent is closed and forgotten: its
    client comes back, asks, and is told everything.
    """

    def __init__(
        self,
        connections: Connections,
        connection_table: ConnectionTable,
        gateway: WebSocketGateway,
        fan_out: FanOut,
        now_ms: Callable[[], int],
    ) -> None:
        self._connections = connections
        self._connection_table = connection_table
        self._gateway = gateway
        self._fan_out = fan_out
        self._now_ms = now_ms
        self._dropping = Dropping(gateway, connection_table)

    def publish(self, records: Iterable[Record]) -> None:
        """Handle the stream's records in their order. A record that can't be read or served is logged and passed over.

        Raises AwsError, as when AWS is out of reach, after all that could be sent was sent: the stream then gives the
        same records again, and what was sent already is known by the cursors.
        """
        news = list(_readable(records))
        with ThreadPoolExecutor(CALLS_AT_ONCE) as executor:
            told = (one for _, one in news)
            batch = Batch(self._connections, self._connection_table, executor, told, self._now_ms())
            for event_id, one in news:
                try:
                    batch.add(one)
                except AwsError:
                    raise
                except Exception:  # noqa: BLE001
                    # the boundary: whatever is wrong with one record would come again with it, and hold up all the rest
                    logger.exception("record passed over", event_id=event_id)
            receivers = batch.receivers
            self._fan_out.post([receiver.outbox for receiver in receivers])
            settled = [executor.submit(copy_context().run, self._settle, receiver) for receiver in receivers]
        for settling in settled:
            settling.result()
        for receiver in receivers:
            if receiver.outbox.error is not None:
                raise receiver.outbox.error

    def _settle(self, receiver: Receiver) -> None:
        """Remember what was sent; act upon what became of the connection. Raises AwsError."""
        try:
            self._act_upon_fate(receiver)
        except AwsError:
            raise
        except Exception:  # noqa: BLE001
            # the same boundary
            logger.exception("connection passed over", connection_id=receiver.outbox.connection_id)

    def _act_upon_fate(self, receiver: Receiver) -> None:
        outbox = receiver.outbox
        match outbox.fate:
            case Fate.SENT:
                self._all_sent(receiver)
            case Fate.NOT_ESTABLISHED if _waited(receiver) + 1 < ESTABLISHING_BATCHES:
                for watch in receiver.watches:
                    self._connections.wait(watch.subscription)
            case Fate.FAILED:
                for watch in receiver.watches:
                    self._remember(watch, outbox)
            case _:
                self._drop(receiver)

    def _all_sent(self, receiver: Receiver) -> None:
        for watch in receiver.watches:
            if watch.ended:
                self._connections.unsubscribe(watch.subscription.order_id, watch.subscription.connection_id)
            else:
                self._remember(watch, receiver.outbox)
        if any(watch.ended and watch.subscription.closes for watch in receiver.watches):
            self._gateway.close(receiver.outbox.connection_id)

    def _remember(self, watch: Watch, outbox: Outbox) -> None:
        """How far a watcher of an order was told; of one of a whole account only that something was sent to it.

        So after a failed batch the latter may be sent the same again.
        """
        sent, subscription = watch.sent(outbox), watch.subscription
        if not sent:
            return
        if not is_of_an_account(subscription.order_id):
            self._connections.advance(subscription, sent[-1].seq)
        elif not subscription.cursor:
            self._connections.advance(subscription, 1)

    def _drop(self, receiver: Receiver) -> None:
        """Close a connection that is gone or doesn't keep up, and forget what it watched here."""
        self._dropping.drop(receiver.outbox)
        for watch in receiver.watches:
            self._connections.unsubscribe(watch.subscription.order_id, watch.subscription.connection_id)


def _waited(receiver: Receiver) -> int:
    """How many batches found the connection not established."""
    return max(watch.subscription.waits for watch in receiver.watches)


def _readable(records: Iterable[Record]) -> Iterable[tuple[str | None, News]]:
    """What the records tell, each with its record's id. One that can't be read is logged and passed over."""
    for record in records:
        try:
            news = _read(record["dynamodb"])
        except Exception:  # noqa: BLE001
            logger.exception("record passed over", event_id=record.get("eventID"))
            continue
        if news is not None:
            yield record.get("eventID"), news


def _read(change: Mapping[str, Any]) -> News | None:
    """What a record tells: an order's new step, or a new wish to see an order; None where it is nobody's news."""
    new = change.get("NewImage")
    if new is None:
        return None
    write = order_write(change)
    if write is not None:
        return None if write.known == len(write.order.history) else write  # None: only its lease changed
    if new["item"]["S"].startswith(SUBSCRIPTION_PREFIX):
        subscription = item_to_subscription(deserialize(new))
        if subscription.cursor or is_of_an_account(subscription.order_id):
            return None  # a cursor is our own note of what was sent; an account's stream has no history to be sent
        return subscription
    return None
