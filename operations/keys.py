"""The API keys of a deployed stage."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from chalicelib.access.key_administration import KeyAdministration
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import Scope
from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.orders.life import cancel
from chalicelib.orders.order import Order
from chalicelib.orders.rewriting import rewrite
from chalicelib.orders.states import IllegalTransition
from operations.clock import now_ms
from operations.errors import UnfitOption
from operations.record import record_of
from operations.stacks import deployed
from operations.target import Target


def administration(target: Target) -> KeyAdministration:
    """What is done with the keys of the deployed stage, with `target`'s credentials. Raises NoStage."""
    data = deployed(target, "data")
    table = KeyTable(target.client("dynamodb"), data["AccessTable"], record_of(target, data))
    return KeyAdministration(table, now_ms, secrets.token_bytes)


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """A key's orders that had not ended: `cancelled` by now, and `left`, by id.

    Of those that are left one with a transaction on its way is carried to its end; the workers refuse the others where
    their key is revoked.
    """

    cancelled: tuple[str, ...]
    left: tuple[str, ...]


def open_orders(target: Target, key_id: str, *, cancelling: bool = False) -> OpenOrders:
    """The open orders of a key, cancelled if that is wanted and possible. Raises NoStage, AwsError."""
    data = deployed(target, "data")
    store = OrderTable(target.client("dynamodb"), data["OrdersTable"], data["ControlTable"], data["CirculationsTable"])
    cancelled: list[str] = []
    left: list[str] = []
    for order in store.open_of_key(key_id):
        (cancelled if cancelling and _cancel(store, order) else left).append(order.order_id)
    return OpenOrders(tuple(cancelled), tuple(left))


def _cancel(store: OrderTable, order: Order) -> bool:
    """False where a transaction of it may land, or it has ended."""
    try:
        return rewrite(store, order, lambda stands: cancel(stands, now_ms())) is not None
    except IllegalTransition:
        return False


def scopes(text: str) -> frozenset[Scope]:
    """`read,trade` as scopes. Raises UnfitOption."""
    try:
        return frozenset(Scope(name.strip()) for name in text.split(","))
    except ValueError:
        raise UnfitOption(f"--scopes: one or more of {', '.join(Scope)}, separated by commas") from None
