"""The sweeper's pass over WebSocket connections: those of ended keys are closed, what vanished ones left is dropped.

A ticket is worth nothing once its API key has ended (access/ticket_office.py), but a connection that it let in before
lives for up to two hours. A client that vanishes is noticed by $disconnect, which API Gateway sends once and doesn't
promise, or by the next push to it; an order that waits for long has none. Whoever has as many connections as he may is
not kept out for long by those that are gone: the gateway is asked about each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.access.key_table import KeyTable
from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.log import logger
from chalicelib.push.connection_table import ConnectionTable, CountedConnections, OpenConnection
from chalicelib.push.connections import Connections
from chalicelib.push.quote_stream_table import QuoteStreamTable, connection_of

# A younger connection may not be established yet: the gateway doesn't know it until its $connect has returned.
ESTABLISHED_AFTER_MS = 60_000


@dataclass(slots=True)
class SweptConnections:
    """What one sweep did."""

    closed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    stale_subscriptions: int = 0


class ConnectionSweep:
    def __init__(
        self,
        connections: Connections,
        connection_table: ConnectionTable,
        streams: QuoteStreamTable,
        keys: KeyTable,
        gateway: WebSocketGateway,
        now_ms: Callable[[], int],
    ) -> None:
        self._connections = connections
        self._connection_table = connection_table
        self._streams = streams
        self._keys = keys
        self._gateway = gateway
        self._now_ms = now_ms

    def sweep(self) -> SweptConnections:
        """Close the connections of keys that have ended; drop and uncount what those that are gone left behind."""
        # In this order: a connection is remembered before it counts, subscribes and streams, so what is seen here of
        # one that is not there afterwards is stale.
        counted = self._connection_table.counted()
        subscriptions = list(self._connections.all())
        streams = list(self._streams.all())
        open_ones = self._connection_table.open_ones(self._now_ms())
        swept = SweptConnections()
        for connection_id in self._unwelcome(open_ones):
            self._gateway.close(connection_id)
            self._forget(connection_id)
            swept.closed.append(connection_id)
        for connection_id in self._vanished(counted, open_ones):
            self._forget(connection_id)
            swept.vanished.append(connection_id)
        for order_id, connection_id in subscriptions:
            if connection_id not in open_ones:
                self._connections.unsubscribe(order_id, connection_id)
                swept.stale_subscriptions += 1
        for stream in streams:
            if stream.connection_id not in open_ones and self._streams.end(stream):
                swept.stale_subscriptions += 1
        for one in counted:
            if stale := one.connections - open_ones.keys():
                self._connection_table.uncount(one.name, stale)
            if lost := {entry for entry in one.quotes if connection_of(entry) not in open_ones}:
                self._streams.uncount(one.name, lost)
        if swept != SweptConnections():
            logger.info(
                "connections swept",
                closed=swept.closed,
                vanished=swept.vanished,
                stale_subscriptions=swept.stale_subscriptions,
            )
        return swept

    def _forget(self, connection_id: str) -> None:
        self._connections.forget(connection_id)
        closed = self._connection_table.close(connection_id)
        if closed is not None:
            self._streams.forget(closed)

    def _unwelcome(self, open_ones: dict[str, OpenConnection]) -> list[str]:
        """Those whose API key is not valid any more."""
        keys = {one.key_id for one in open_ones.values() if one.key_id is not None}
        ended = {key_id for key_id in keys if not self._keys.is_valid(key_id, self._now_ms())}
        return [connection_id for connection_id, one in open_ones.items() if one.key_id in ended]

    def _vanished(self, counted: list[CountedConnections], open_ones: dict[str, OpenConnection]) -> list[str]:
        """Of those who can't open another: the connections that the gateway doesn't know any more."""
        kept_out = set[str]().union(*(one.connections for one in counted if one.is_full))
        latest_ms = self._now_ms() - ESTABLISHED_AFTER_MS
        asked = (one for one in sorted(kept_out & open_ones.keys()) if open_ones[one].opened_at_ms <= latest_ms)
        return [connection_id for connection_id in asked if not self._gateway.is_open(connection_id)]
