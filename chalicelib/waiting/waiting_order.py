"""What of an open order is needed to judge its price: little enough that thousands are read in each look. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.amounts import PPM
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.triggers import limit_out, stop_out


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOrder:
    """An open order: its `amount` of `mint_in`, and the amounts out, in base units, at which it is due.

    At `limit_out` or more, at `stop_out` or less. Of a trailing stop, and of it alone, `trailing_ppm` is given, and
    `stop_out` follows from `best_out`, the best that it has seen. `is_triggered`: its stop was reached before, and it
    is due again at `limit_out` or more, which is its floor then.
    """

    order_id: str
    mint_in: str
    mint_out: str
    amount: int
    limit_out: int | None = None
    stop_out: int | None = None
    trailing_ppm: int | None = None
    best_out: int | None = None
    is_triggered: bool = False
    wait_until_ms: int = 0
    expires_at_ms: int | None = None

    def stop_at(self, best_out: int | None) -> int | None:
        """The amount at which its stop is reached where it has seen `best_out`; as orders/triggers.py has it."""
        if self.trailing_ppm is None:
            return self.stop_out
        return None if best_out is None else best_out * (PPM - self.trailing_ppm) // PPM

    def is_reached(self, amount_out: int, best_out: int | None) -> bool:
        """Whether one of its prices is, where it would be paid `amount_out` and has seen `best_out`."""
        if self.limit_out is not None and amount_out >= self.limit_out:
            return True
        stop = self.stop_at(best_out)
        return stop is not None and amount_out <= stop


def waiting_order(order: Order) -> WaitingOrder:
    """What an open order waits for."""
    limit = limit_out(order)
    least = None if limit is None else max(limit, order.own_min_out or 0)
    is_triggered = order.trigger is not None and order.trigger.kind is TriggerKind.STOP
    follows = order.trailing_ppm is not None and not is_triggered
    return WaitingOrder(
        order_id=order.order_id,
        mint_in=order.mint_in,
        mint_out=order.mint_out,
        amount=order.amount,
        limit_out=(order.min_out or 0) if is_triggered else least,
        stop_out=None if is_triggered or follows else stop_out(order),
        trailing_ppm=order.trailing_ppm if follows else None,
        best_out=order.best_out if follows else None,
        is_triggered=is_triggered,
        wait_until_ms=order.wait_until_ms,
        expires_at_ms=order.expires_at_ms,
    )
