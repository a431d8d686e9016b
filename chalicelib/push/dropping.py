"""What becomes of a connection that is gone, or doesn't take what it is sent."""

from __future__ import annotations

from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.log import logger
from chalicelib.problems import AwsError
from chalicelib.push.connection_table import ConnectionTable
from chalicelib.push.fan_out import Fate, Outbox


class Dropping:
    def __init__(self, gateway: WebSocketGateway, connection_table: ConnectionTable) -> None:
        self._gateway = gateway
        self._connection_table = connection_table

    def drop(self, outbox: Outbox) -> None:
        """Close the connection. What it watched goes with its $disconnect, or with the next sweep. Raises AwsError."""
        logger.warning("connection dropped", connection_id=outbox.connection_id, why=outbox.fate.name.lower())
        closed = outbox.fate is Fate.TOO_SLOW and self._closed(outbox.connection_id)
        if not closed or not outbox.has_begun:
            # no $disconnect may come; a client that is there all the same is told at its next message to connect again
            self._connection_table.forget(outbox.connection_id)

    def _closed(self, connection_id: str) -> bool:
        try:
            self._gateway.close(connection_id)
        except AwsError:
            logger.exception("connection not closed", connection_id=connection_id)
            return False
        return True
