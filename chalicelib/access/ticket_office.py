"""Issues tickets for the WebSocket, and checks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from chalicelib.access.keys import RandomBytes
from chalicelib.access.ticket_secret import TicketSecret
from chalicelib.access.tickets import LIFE_MS, Ticket, UnknownSignature, seal, unseal
from chalicelib.problems import Unauthorized

_NONCE_BYTES = 16


class ApiKeys(Protocol):
    def is_valid(self, key_id: str, now_ms: int) -> bool:
        """Whether the key of that public name may be used now."""


class TicketOffice:
    def __init__(
        self, secret: TicketSecret, keys: ApiKeys, now_ms: Callable[[], int], random_bytes: RandomBytes
    ) -> None:
        self._secret = secret
        self._keys = keys
        self._now_ms = now_ms
        self._random_bytes = random_bytes

    def open(self) -> None:
        """See that a ticket can be issued afterwards, whatever becomes of AWS. Raises AwsError."""
        self._secret.accepted()

    def issue(self, account: str, order_id: str | None, key_id: str | None) -> tuple[str, Ticket]:
        """A ticket for one order, or with None for all of the account's: as text, and what is in it.

        `key_id` is the API key that asks; the ticket is worth nothing once that has ended.
        """
        expires_at_ms = self._now_ms() + LIFE_MS
        ticket = Ticket(account, order_id, expires_at_ms, self._random_bytes(_NONCE_BYTES).hex(), key_id)
        return seal(ticket, self._secret.accepted()[0]), ticket

    def check(self, text: str) -> Ticket:
        """What `text` allows. That it is used once only is for the caller to see to. Raises Unauthorized."""
        try:
            ticket = unseal(text, self._secret.accepted(), self._now_ms())
        except UnknownSignature:
            ticket = unseal(text, self._secret.accepted_after_a_look(), self._now_ms())
        if ticket.key_id is not None and not self._keys.is_valid(ticket.key_id, self._now_ms()):
            raise Unauthorized("the API key that asked for this ticket is not valid any more")
        return ticket
