"""API keys: what they look like, what is kept of them, and what they allow. Pure; randomness is passed in."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

RandomBytes = Callable[[int], bytes]

# 256 random bits in base64url (RFC 4648, 5), after a prefix by which a leaked key is recognised.
KEY_FORMAT = "fr_[A-Za-z0-9_-]{43}"
_KEY = re.compile(KEY_FORMAT)
_KEY_BYTES = 32
_KEY_ID_BYTES = 8


class Scope(StrEnum):
    """What a key may be used for. `admin` implies the others."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key: its SHA-256 (hexadecimal), never the key itself.

    `valid_until_ms` is None while nobody has ended it; `revoked_at_ms` tells an end that nothing may outlive.
    """

    digest: str
    key_id: str
    account: str
    scopes: frozenset[Scope]
    label: str
    rate_per_minute: int
    created_at_ms: int
    valid_until_ms: int | None = None
    revoked_at_ms: int | None = None

    def is_valid(self, now_ms: int) -> bool:
        return self.valid_until_ms is None or now_ms < self.valid_until_ms


def new_secret(random_bytes: RandomBytes) -> str:
    """A new key, as its owner is shown it once."""
    return "fr_" + base64.urlsafe_b64encode(random_bytes(_KEY_BYTES)).decode().rstrip("=")


def new_key_id(random_bytes: RandomBytes) -> str:
    """A public name of a key, by which it is listed and revoked. Tells nothing of the key."""
    return "key_" + random_bytes(_KEY_ID_BYTES).hex()


def is_key(text: str) -> bool:
    """Whether `text` has a key's form; only then is it worth looking up."""
    return _KEY.fullmatch(text) is not None


def digest_of(key: str) -> str:
    """SHA-256, hexadecimal. A key has 256 random bits, so that a slow hash would make guessing no harder."""
    return hashlib.sha256(key.encode()).hexdigest()
