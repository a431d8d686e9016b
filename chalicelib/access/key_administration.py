"""What an administrator does with API keys: create, list, rotate, revoke."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import ApiKey, RandomBytes, Scope, digest_of, is_key, new_key_id, new_secret

DEFAULT_RATE_PER_MINUTE = 600
DEFAULT_GRACE_MINUTES = 10
MAX_RATE_PER_MINUTE = 1_000_000
_MS_PER_MINUTE = 60_000
# '#' would let one account's name look like another kind of key in the orders table.
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LABEL = re.compile(r"[\x20-\x7e]{0,100}")


class UnfitKey(Exception):
    """The key can't be made, or isn't there; the text says what to change."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `secret` is shown to its owner now and never again."""

    secret: str
    key: ApiKey

    def __repr__(self) -> str:
        return f"NewKey({self.key!r})"


class KeyAdministration:
    def __init__(self, keys: KeyTable, now_ms: Callable[[], int], random_bytes: RandomBytes) -> None:
        self._keys = keys
        self._now_ms = now_ms
        self._random_bytes = random_bytes

    def create(
        self, account: str, scopes: frozenset[Scope], *, rate_per_minute: int = DEFAULT_RATE_PER_MINUTE, label: str = ""
    ) -> NewKey:
        """A new key of `account`; at most `rate_per_minute` requests in any 60 s. Raises UnfitKey."""
        if not _ACCOUNT.fullmatch(account):
            raise UnfitKey("account: 1 to 63 of a-z, 0-9, - and _, the first a letter or digit")
        if not scopes:
            raise UnfitKey(f"scopes: at least one of {', '.join(Scope)}")
        if not 1 <= rate_per_minute <= MAX_RATE_PER_MINUTE:
            raise UnfitKey(f"rate per minute: from 1 to {MAX_RATE_PER_MINUTE}")
        if not _LABEL.fullmatch(label):
            raise UnfitKey("label: at most 100 printable ASCII characters")
        secret = new_secret(self._random_bytes)
        key = ApiKey(
            digest=digest_of(secret),
            key_id=new_key_id(self._random_bytes),
            account=account,
            scopes=scopes,
            label=label,
            rate_per_minute=rate_per_minute,
            created_at_ms=self._now_ms(),
        )
        self._keys.add(key)
        return NewKey(secret, key)

    def list(self, account: str | None = None) -> list[ApiKey]:
        """An account's keys, or all, oldest first; ended ones too."""
        keys = (key for key in self._keys.all() if account in (None, key.account))
        return sorted(keys, key=lambda key: (key.created_at_ms, key.key_id))

    def rotate(self, key_id: str, grace_minutes: int = DEFAULT_GRACE_MINUTES) -> NewKey:
        """A new key like the old one, which stays valid for `grace_minutes` more. Raises UnfitKey."""
        if not 0 <= grace_minutes <= 60 * 24 * 30:
            raise UnfitKey("grace: from 0 minutes to 30 days")
        old = self._find(key_id)
        if not old.is_valid(self._now_ms()):
            raise UnfitKey(f"{key_id} is not valid any more; create a new key")
        new = self.create(old.account, old.scopes, rate_per_minute=old.rate_per_minute, label=old.label)
        self._keys.end(old.digest, self._now_ms() + grace_minutes * _MS_PER_MINUTE)
        return new

    def revoke(self, key_id: str) -> ApiKey:
        """End a key now: its next request is refused, and its open orders before they are signed. Raises UnfitKey."""
        key = self._find(key_id)
        self._keys.end(key.digest, self._now_ms(), revoked=True)
        return self._find(key_id)

    def is_valid(self, secret: str) -> bool:
        """Whether that very key is one of ours and may be used now."""
        key = self._keys.find(digest_of(secret)) if is_key(secret) else None
        return key is not None and key.is_valid(self._now_ms())

    def _find(self, key_id: str) -> ApiKey:
        key = self._keys.by_id(key_id)
        if key is None:
            raise UnfitKey(f"there is no key {key_id}; `list` shows them")
        return key
