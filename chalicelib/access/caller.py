"""Who makes a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.access.keys import Scope
from chalicelib.problems import Forbidden


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, by one of its keys; `key_id` is None where the stage asked for no key."""

    account: str
    scopes: frozenset[Scope]
    key_id: str | None = None

    def require(self, scope: Scope) -> None:
        """Raises Forbidden where the caller has neither `scope` nor `admin`."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise Forbidden(f"this API key lacks the scope {scope.value}; use a key that has it")


# Whoever comes without a key to the one stage that asks for none.
LOCAL_CALLER = Caller("local", frozenset({Scope.READ, Scope.TRADE}))
