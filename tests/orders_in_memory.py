"""Orders without DynamoDB, for tests of very many steps; test_order_store.py holds them to the same promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.order_item import LATE_SHARD, item_to_order, open_shard, order_to_item
from chalicelib.orders.life import as_created, as_written, booked_before
from chalicelib.orders.order import Order
from chalicelib.orders.ports import ClientOrderIdInUse, OrderFilter, OrderPage, StaleOrder
from chalicelib.risk.counters import Claims, CounterFull, Movement, movements, summed
from chalicelib.risk.limits import LimitsInForce


@dataclass
class OrdersInMemory:
    """The items by order id, every version that was ever stored of each, oldest first; and the counters beside them."""

    items: dict[str, Item] = field(default_factory=dict)
    versions: dict[str, list[Order]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    claimed: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        if order.order_id in self.items:
            return False
        name = order.account, order.client_order_id
        if name in self.claimed:
            raise ClientOrderIdInUse(self.claimed[name])
        self._move(movements(order.account, Claims(), order.claims, limits))
        if order.client_order_id is not None:
            self.claimed[name] = order.order_id
        self._write(as_created(order))
        return True

    def called(self, account: str, client_order_id: str) -> Order | None:
        order_id = self.claimed.get((account, client_order_id))
        return None if order_id is None else self.load(order_id)

    def load(self, order_id: str) -> Order | None:
        item = self.items.get(order_id)
        return None if item is None else item_to_order({name: one for name, one in item.items() if one is not None})

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        item = self.items.get(order.order_id)
        if item is None or item["revision"] != order.revision:
            raise StaleOrder(order.order_id)
        self._move(movements(order.account, booked_before(order), order.claims, limits))
        written = as_written(order)
        self._write(written)
        return written

    def load_each(self, order_ids: Sequence[str]) -> list[Order]:
        return [order for one in order_ids if (order := self.load(one)) is not None]

    def replace_together(self, orders: Sequence[Order], limits: Mapping[str, LimitsInForce]) -> bool:
        if any(self.items[order.order_id]["revision"] != order.revision for order in orders):
            return False
        each = (movements(one.account, booked_before(one), one.claims, limits.get(one.account)) for one in orders)
        try:
            self._move(summed(chain.from_iterable(each)))
        except CounterFull:
            return False
        for order in orders:
            self._write(as_written(order))
        return True

    def overdue(self, before_ms: int, limit: int) -> list[Order]:
        found = [item for item in self.items.values() if item.get("openShard") and item["dueAtMs"] < before_ms]
        orders = [self.load(item["orderId"]) for item in sorted(found, key=lambda item: item["dueAtMs"])[:limit]]
        return [order for order in orders if order is not None]

    def late(self, before_ms: int, limit: int) -> list[Order]:
        open_items = [item for item in self.items.values() if item.get("openShard")]
        found = [item for item in open_items if item["openShard"] == LATE_SHARD or item["dueAtMs"] < before_ms]
        return [item_to_order(item) for item in found[:limit]]

    def look_again_at(self, order: Order, due_at_ms: int, *, is_late: bool) -> bool:
        item = self.items[order.order_id]
        if item["revision"] != order.revision or not item.get("openShard"):
            return False
        item["dueAtMs"] = due_at_ms
        item["openShard"] = LATE_SHARD if is_late else open_shard(order.order_id)
        return True

    def page(self, account: str, keep: OrderFilter, limit: int, cursor: str | None) -> OrderPage:
        """The cursor is the last order's `listKey`."""
        wanted = {"account": account, "status": keep.status, "mintIn": keep.mint_in, "mintOut": keep.mint_out}
        listed = sorted(
            (
                item
                for item in self.items.values()
                if all(value is None or item[name] == value for name, value in wanted.items())
                if cursor is None or item["listKey"] < cursor
            ),
            key=lambda item: str(item["listKey"]),
            reverse=True,
        )
        orders = [order for item in listed[:limit] if (order := self.load(item["orderId"])) is not None]
        return OrderPage(tuple(orders), listed[limit - 1]["listKey"] if len(listed) > limit else None)

    def orders(self) -> list[Order]:
        return [versions[-1] for versions in self.versions.values()]

    def _move(self, moved: tuple[Movement, ...]) -> None:
        """All counters or none, with the order's write or without it."""
        for movement in moved:
            stands_at = self.counters.get(movement.key, 0)
            if movement.ceiling is not None and stands_at + movement.by > movement.ceiling:
                raise CounterFull(movement, stands_at)
        for movement in moved:
            self.counters[movement.key] = self.counters.get(movement.key, 0) + movement.by

    def _write(self, order: Order) -> None:
        self.items[order.order_id] = order_to_item(order, pack=False)
        self.versions.setdefault(order.order_id, []).append(order)


@dataclass
class OrdersOthersWrite(OrdersInMemory):
    """Just before each of the next writes, of one order or of several together, another writer does something."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        self._another()
        return super().replace(order, limits)

    def replace_together(self, orders: Sequence[Order], limits: Mapping[str, LimitsInForce]) -> bool:
        self._another()
        return super().replace_together(orders, limits)

    def _another(self) -> None:
        if self.meanwhile:
            self.meanwhile.pop(0)()
