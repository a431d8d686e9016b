"""Whether an account's open orders together sell more than the wallet has: they reserve no balance, so it is told."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.amounts import to_text
from chalicelib.log import logger
from chalicelib.orders.order import Order, Token
from chalicelib.orders.ports import OrderFilter, Orders
from chalicelib.orders.states import Status
from chalicelib.problems import AwsError, ExecutionError

# Of an account with more the newest count: what they sell together is told as a least.
_MOST_COUNTED = 200


class Overselling:
    """`held`: base units that the wallet holds of a mint (base58); raises ExecutionError where that can't be told."""

    def __init__(self, orders: Orders, held: Callable[[str], int]) -> None:
        self._orders = orders
        self._held = held

    def of_placed(self, order: Order) -> tuple[str, ...]:
        """The warning of an order that was placed just now and is open; none where it can't be told."""
        return self._warn(order.account, order.token_in, 0)

    def of_tried(self, account: str, token: Token, amount: int) -> tuple[str, ...]:
        """The warning of an order that would sell `amount` base units of `token`; none where it can't be told."""
        return self._warn(account, token, amount)

    def _warn(self, account: str, token: Token, more: int) -> tuple[str, ...]:
        try:
            keep = OrderFilter(status=Status.OPEN.value, mint_in=token.mint)
            page = self._orders.page(account, keep, _MOST_COUNTED, None)
            sold, held = sum(one.amount for one in page.orders) + more, self._held(token.mint)
        except (AwsError, ExecutionError) as error:
            logger.warning("not told whether open orders sell more than there is", error=str(error))
            return ()
        if sold <= held:
            return ()
        least = "at least " if page.next_cursor else ""
        together, there = (to_text(amount, token.decimals) for amount in (sold, held))
        return (
            f"the account's open orders together sell {least}{together} {token.text}, and the wallet has {there}: "
            "what waits reserves no balance",
        )
