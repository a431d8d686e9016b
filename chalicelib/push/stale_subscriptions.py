"""The sweeper's pass over subscriptions: those whose connection is gone are dropped.

A client that vanishes is noticed by $disconnect, which API Gateway sends once and doesn't promise, or by the next push
to it; an order that waits for long has none. A subscription is stale when its connection's record is gone or has run
out: $connect writes that record before any subscription, and $disconnect deletes it after all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from chalicelib.push.connection_table import MAX_ASKED_AT_ONCE, ConnectionTable
from chalicelib.push.connections import Connections
from chalicelib.telemetry import logger

# Each connection is looked at once in so many minutes: a record read each minute for each watcher would cost the more.
PARTS = 15
_MINUTE_MS = 60_000


class StaleSubscriptions:
    def __init__(self, connections: Connections, connection_table: ConnectionTable, now_ms: Callable[[], int]) -> None:
        self._connections = connections
        self._connection_table = connection_table
        self._now_ms = now_ms

    def sweep(self) -> int:
        """Drop the stale ones among those whose turn it is in this minute; how many they were."""
        now_ms = self._now_ms()
        watched: dict[str, list[str]] = {}
        for order_id, connection_id in self._connections.all():
            if part_of(connection_id) == now_ms // _MINUTE_MS % PARTS:
                watched.setdefault(connection_id, []).append(order_id)
        dropped = 0
        for connection_id in self._gone(list(watched), now_ms):
            for order_id in watched[connection_id]:
                self._connections.unsubscribe(order_id, connection_id)
                dropped += 1
        if dropped:
            logger.info("stale subscriptions dropped", subscriptions=dropped)
        return dropped

    def _gone(self, connection_ids: list[str], now_ms: int) -> Iterator[str]:
        for start in range(0, len(connection_ids), MAX_ASKED_AT_ONCE):
            asked = connection_ids[start : start + MAX_ASKED_AT_ONCE]
            open_ones = self._connection_table.open_ones(asked, now_ms)
            yield from (one for one in asked if one not in open_ones)


def part_of(connection_id: str) -> int:
    """In which minute of PARTS the connection is looked at."""
    return zlib.crc32(connection_id.encode()) % PARTS
