"""Changing a stored order that others write, too: once, whoever comes first."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.orders.order import Order
from chalicelib.orders.ports import Orders, StaleOrder


def rewrite(store: Orders, order: Order, change: Callable[[Order], Order | None]) -> Order | None:
    """Write what `change` makes of the order, or of what others have made of it meanwhile; the order as it is then.

    None, and nothing written, where `change` gives None, or the order is gone. Raises AwsError, and what `change` does.
    """
    stands: Order | None = order
    while stands is not None and (changed := change(stands)) is not None:
        try:
            return store.replace(changed)
        except StaleOrder:
            stands = store.load(order.order_id)
    return None
