"""Which version of transactions is built: the setting's, unless the cluster was found not to take it. Pure."""

from __future__ import annotations

from chalicelib.solana.transaction import TransactionVersion

# After so long the newer version is tried again: clusters are upgraded.
_TRIED_AGAIN_AFTER_MS = 600_000


class Versions:
    """What one process has learnt. Times are milliseconds of one clock."""

    def __init__(self, chosen: TransactionVersion) -> None:
        self._chosen: TransactionVersion = chosen
        self._refused_at_ms: int | None = None

    def to_try(self, now_ms: int) -> TransactionVersion:
        """The version to plan for and to build."""
        since_ms = None if self._refused_at_ms is None else now_ms - self._refused_at_ms
        return 0 if since_ms is not None and 0 <= since_ms < _TRIED_AGAIN_AFTER_MS else self._chosen

    def refused(self, now_ms: int) -> None:
        """The cluster doesn't take the chosen version."""
        self._refused_at_ms = now_ms
