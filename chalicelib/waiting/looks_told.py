"""When an open order was judged last, for whoever is shown it: known of its pair, and not written to each order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chalicelib.log import logger
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from chalicelib.problems import AwsError
from chalicelib.waiting.circulation import pair_of
from chalicelib.waiting.ports import Circulations

# So long what is known of a pair holds: a page of orders is of few pairs.
HOLDS_MS = 500


class LooksTold:
    def __init__(self, circulations: Circulations, now_ms: Callable[[], int]) -> None:
        self._circulations = circulations
        self._now_ms = now_ms
        self._known: dict[str, tuple[int, int | None]] = {}

    def __call__(self, order: Order) -> Order:
        """The order with when its pair was looked at last, if it is open and was among those judged."""
        if order.state is not State.OPEN:
            return order
        looked_at_ms = self._looked_at_ms(pair_of(order.mint_in, order.mint_out))
        if looked_at_ms is None or looked_at_ms < order.created_at_ms:
            return order
        return replace(order, last_looked_at_ms=looked_at_ms)

    def _looked_at_ms(self, pair: str) -> int | None:
        known, now_ms = self._known.get(pair), self._now_ms()
        if known is None or not 0 <= now_ms - known[0] < HOLDS_MS:
            try:
                circulation = self._circulations.load(pair)
            except AwsError:
                logger.exception("when the pair was looked at can't be told", pair=pair)
                return None
            known = self._known[pair] = now_ms, None if circulation is None else circulation.looked_at_ms
        return known[1]
