"""When a chain's slots were first seen to be final, by somebody who asks often."""

from __future__ import annotations

import time
from threading import Event, Thread

from chalicelib.solana.rpc import SolanaRpc

ASKED_EACH_SECONDS = 0.005


class Finality:
    """Asks from its making until `stop`, on a thread of its own. Times are seconds of `time.monotonic`."""

    def __init__(self, url: str) -> None:
        self.seen: dict[int, float] = {}
        self._rpc = SolanaRpc(url)
        self._ended = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def of(self, slot: int) -> float:
        """When the slot was first known to be final. Raises ValueError where it never was."""
        return min(at for seen, at in self.seen.items() if seen >= slot)

    def _look(self) -> None:
        while not self._ended.wait(ASKED_EACH_SECONDS):
            self.seen.setdefault(self._rpc.get_slot(commitment="finalized"), time.monotonic())
