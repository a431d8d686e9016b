"""The sweeper's pass over WebSocket connections: those of ended keys are closed, what vanished ones left is dropped.

A ticket is worth nothing once its API key has ended (access/ticket_office.py), but a connection that it let in before
lives for up to two hours. A client that vanishes is noticed by $disconnect, which API Gateway sends once and doesn't
promise, or by the next push to it; an order that waits for long has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.access.key_table import KeyTable
from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.log import logger
from chalicelib.push.connection_table import ConnectionTable
from chalicelib.push.connections import Connections


@dataclass(slots=True)
class SweptConnections:
    """What one sweep did."""

    closed: list[str] = field(default_factory=list)
    stale_subscriptions: int = 0


class ConnectionSweep:
    def __init__(
        self,
        connections: Connections,
        connection_table: ConnectionTable,
        keys: KeyTable,
        gateway: WebSocketGateway,
        now_ms: Callable[[], int],
    ) -> None:
        self._connections = connections
        self._connection_table = connection_table
        self._keys = keys
        self._gateway = gateway
        self._now_ms = now_ms

    def sweep(self) -> SweptConnections:
        """Close the connections of keys that have ended, drop the subscriptions of connections that are gone."""
        # In this order: $connect remembers a connection before its subscriptions, so those that are seen here and have
        # none afterwards are stale.
        subscriptions = list(self._connections.all())
        open_ones = self._connection_table.open_ones(self._now_ms())
        swept = SweptConnections()
        for connection_id in self._unwelcome(open_ones):
            self._gateway.close(connection_id)
            self._connections.forget(connection_id)
            self._connection_table.close(connection_id)
            swept.closed.append(connection_id)
        for order_id, connection_id in subscriptions:
            if connection_id not in open_ones:
                self._connections.unsubscribe(order_id, connection_id)
                swept.stale_subscriptions += 1
        if swept.closed or swept.stale_subscriptions:
            logger.info("connections swept", closed=swept.closed, stale_subscriptions=swept.stale_subscriptions)
        return swept

    def _unwelcome(self, open_ones: dict[str, str | None]) -> list[str]:
        """Those whose API key is not valid any more."""
        keys = {key_id for key_id in open_ones.values() if key_id is not None}
        ended = {key_id for key_id in keys if not self._keys.is_valid(key_id, self._now_ms())}
        return [connection_id for connection_id, key_id in open_ones.items() if key_id in ended]
