"""Which version of transactions is built: the setting's, unless the cluster was found not to take it. Pure."""

from __future__ import annotations

from chalicelib.solana.transaction import TransactionVersion

# After so long the newer version is tried again: clusters are upgraded.
_TRIED_AGAIN_AFTER_MS = 600_000


class Versions:
    """What one process has learnt. Times are milliseconds of one clock."""

    def __init__(self, chosen: TransactionVersion) -> None:
        self._chosen: TransactionVersion = chosen
        self._taken = chosen == 0  # every cluster takes it
        self._refused_at_ms: int | None = None

    def to_try(self, now_ms: int) -> tuple[TransactionVersion, bool]:
        """The version to build, and whether the cluster is known to take it."""
        since_ms = None if self._refused_at_ms is None else now_ms - self._refused_at_ms
        if since_ms is not None and 0 <= since_ms < _TRIED_AGAIN_AFTER_MS:
            return 0, True
        return self._chosen, self._taken

    def taken(self) -> None:
        """A transaction of the chosen version was simulated, whatever came of it."""
        self._taken, self._refused_at_ms = True, None

    def refused(self, now_ms: int) -> None:
        """The cluster doesn't take the chosen version."""
        self._taken, self._refused_at_ms = False, now_ms
