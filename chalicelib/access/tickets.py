"""Tickets for the WebSocket, which browsers can't send a header to: signed, short-lived, each for one connection. Pure.

A ticket is `<payload>.<signature>`, both in base64url (RFC 4648, 5): a JSON object, and its HMAC-SHA256 (RFC 2104).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib.problems import Unauthorized

LIFE_MS = 60_000
MAX_LENGTH = 1024
# Signed with the payload, so that nothing else that the secret may ever sign passes for a ticket.
_CONTEXT = b"fillrate websocket ticket 1\n"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Lets one connection in, for one order, or (`order_id` None) for all of the account's. `nonce` is its name.

    `key_id` is the API key that asked for it; None where the stage asks for none.
    """

    account: str
    order_id: str | None
    expires_at_ms: int
    nonce: str
    key_id: str | None = None


class UnknownSignature(Unauthorized):
    """No secret at hand has signed it."""


def seal(ticket: Ticket, secret: bytes) -> str:
    """The ticket as text, signed."""
    fields = [ticket.account, ticket.order_id, ticket.expires_at_ms, ticket.nonce, ticket.key_id]
    payload = json.dumps(fields, separators=(",", ":")).encode()
    return f"{_encode(payload)}.{_encode(_sign(payload, secret))}"


def unseal(text: str, secrets: Iterable[bytes], now_ms: int) -> Ticket:
    """The ticket that `seal` made with one of `secrets`.

    Raises Unauthorized: it has another form, is expired, or (UnknownSignature) none of the secrets signed it.
    """
    try:
        if len(text) > MAX_LENGTH:
            raise ValueError
        payload, signature = (_decode(part) for part in text.split("."))
    except ValueError:
        raise Unauthorized("the ticket is malformed; ask for a new one") from None
    if not any(hmac.compare_digest(signature, _sign(payload, secret)) for secret in secrets):
        raise UnknownSignature("the ticket is not one of ours; ask for a new one")
    ticket = Ticket(*json.loads(payload))  # it is ours: we wrote it
    if now_ms >= ticket.expires_at_ms:
        raise Unauthorized("the ticket has expired; ask for a new one")
    return ticket


def _sign(payload: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + payload, hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Strict: each byte string has one text. Raises ValueError (binascii.Error is one)."""
    data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(data) != text:
        raise binascii.Error("not canonical")
    return data
