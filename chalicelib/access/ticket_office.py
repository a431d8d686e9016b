"""Issues tickets for the WebSocket, and checks them."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.access.keys import RandomBytes
from chalicelib.access.ticket_secret import TicketSecret
from chalicelib.access.tickets import LIFE_MS, Ticket, UnknownSignature, seal, unseal

_NONCE_BYTES = 16


class TicketOffice:
    def __init__(self, secret: TicketSecret, now_ms: Callable[[], int], random_bytes: RandomBytes) -> None:
        self._secret = secret
        self._now_ms = now_ms
        self._random_bytes = random_bytes

    def open(self) -> None:
        """See that a ticket can be issued afterwards, whatever becomes of AWS. Raises botocore's errors."""
        self._secret.accepted()

    def issue(self, account: str, order_id: str | None) -> tuple[str, Ticket]:
        """A ticket for one order, or with None for all of the account's: as text, and what is in it."""
        expires_at_ms = self._now_ms() + LIFE_MS
        ticket = Ticket(account, order_id, expires_at_ms, self._random_bytes(_NONCE_BYTES).hex())
        return seal(ticket, self._secret.accepted()[0]), ticket

    def check(self, text: str) -> Ticket:
        """What `text` allows. That it is used once only is for the caller to see to. Raises Unauthorized."""
        try:
            return unseal(text, self._secret.accepted(), self._now_ms())
        except UnknownSignature:
            return unseal(text, self._secret.accepted_anew(), self._now_ms())
