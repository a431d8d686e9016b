"""The WebSocket's addresses for clients, each with a ticket in it."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from chalicelib.access.caller import Caller
from chalicelib.access.ticket_office import TicketOffice


class WebSocketDoors:
    """Addresses that let one connection in, each with a ticket of its own."""

    def __init__(self, websocket_url: str, tickets: TicketOffice) -> None:
        self._websocket_url = websocket_url
        self._tickets = tickets

    def open(self) -> None:
        """See that `address` works afterwards, whatever becomes of AWS. Raises AwsError."""
        self._tickets.open()

    def address(self, caller: Caller, order_id: str | None) -> tuple[dict[str, str], int]:
        """wsPath and wsUrl for one order, or with None for all of the account's; and until when (ms) they let in."""
        text, ticket = self._tickets.issue(caller.account, order_id, caller.key_id)
        query = {"ticket": text} if order_id is None else {"orderId": order_id, "ticket": text}
        url = f"{self._websocket_url}?{urlencode(query)}"
        parts = urlsplit(url)
        return {"wsPath": f"{parts.path}?{parts.query}", "wsUrl": url}, ticket.expires_at_ms
