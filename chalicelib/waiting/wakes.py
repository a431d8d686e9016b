"""Has a pair looked at of which orders wait: when one begins to, and where the message that goes round was lost."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.log import logger
from chalicelib.waiting.circulation import WatchMessage, pair_of
from chalicelib.waiting.ports import Circulations, WatchQueue


class Wakes:
    def __init__(self, circulations: Circulations, queue: WatchQueue, now_ms: Callable[[], int]) -> None:
        self._circulations = circulations
        self._queue = queue
        self._now_ms = now_ms

    def wake(self, mint_in: str, mint_out: str) -> None:
        """An order of the pair was stored that waits: have the pair looked at, if nobody does. Raises AwsError.

        Whoever dies before this leaves the pair to `sweep`: that it is to be looked at is stored with the order.
        """
        circulation = self._circulations.load(pair_of(mint_in, mint_out))
        if circulation is not None and circulation.is_silent(self._now_ms()):
            self._queue.send(WatchMessage(circulation.pair))

    def sweep(self) -> int:
        """Have each pair looked at where nobody is alive; how many there were. Raises AwsError."""
        silent = [one for one in self._circulations.all() if one.is_silent(self._now_ms())]
        for circulation in silent:
            self._queue.send(WatchMessage(circulation.pair))
            logger.info("a pair's circulation was begun again", pair=circulation.pair)
        return len(silent)
