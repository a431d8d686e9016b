"""The WebSocket's addresses for clients, each with a ticket in it."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from chalicelib.access.caller import Caller
from chalicelib.access.ticket_office import TicketOffice
from chalicelib.problems import NoWebSocket


class WebSocketDoors:
    """Addresses that let one connection in, each with a ticket of its own; none where there is no WebSocket."""

    def __init__(self, websocket_url: str | None, tickets: TicketOffice) -> None:
        self._websocket_url = websocket_url
        self._tickets = tickets

    def open(self) -> None:
        """See that `of_order` works afterwards, whatever becomes of AWS. Raises AwsError."""
        if self._websocket_url is not None:
            self._tickets.open()

    def of_order(self, caller: Caller, order_id: str) -> dict[str, str]:
        """wsPath and wsUrl, as an order's answer tells them: neither where there is no WebSocket."""
        return {} if self._websocket_url is None else self.address(caller, order_id)[0]

    def address(self, caller: Caller, order_id: str | None) -> tuple[dict[str, str], int]:
        """wsPath and wsUrl for one order, or with None for all of the account's; and until when (ms) they let in.

        Raises NoWebSocket.
        """
        if self._websocket_url is None:
            raise NoWebSocket
        text, ticket = self._tickets.issue(caller.account, order_id, caller.key_id)
        query = {"ticket": text} if order_id is None else {"orderId": order_id, "ticket": text}
        url = f"{self._websocket_url}?{urlencode(query)}"
        parts = urlsplit(url)
        return {"wsPath": f"{parts.path}?{parts.query}", "wsUrl": url}, ticket.expires_at_ms
