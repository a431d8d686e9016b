"""What POST /orders/execute reads before it writes, all asked for at once: one round trip instead of five.

Whose request it is isn't known before its key is read. But a key stays its account's, so where this process has seen it
before, what that account's order needs is read beside it; the key as it stands now still decides. What was begun serves
one request, and is thrown away with it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.access.authentication import HEADER
from chalicelib.access.caller import Caller
from chalicelib.access.key_meter import KeyMeter
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import ApiKey, digest_of, is_key
from chalicelib.aws.dynamodb.control_table import ControlTable, limits_names
from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.aws.dynamodb.start_line import ADMISSION, StartLine, turns_in
from chalicelib.orders.intake import order_id_for
from chalicelib.orders.order import Order
from chalicelib.orders.turns import Turns
from chalicelib.risk.limits import Defaults, LimitsInForce

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A stage has few keys; of more than these the process starts to learn anew.
_KEYS_KNOWN = 1_000
_T = TypeVar("_T")


class ReadAhead:
    """Calls that were begun before they are needed, by their names, on the threads of `executor`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._begun: dict[Hashable, tuple[Future[Any], Callable[[Any], Any]]] = {}

    def begin(self, name: Hashable, call: Callable[[], object]) -> None:
        self.begin_together(call, {name: lambda found: found})

    def begin_together(self, call: Callable[[], _T], parts: Mapping[Hashable, Callable[[_T], object]]) -> None:
        """One call that brings several parts, each by its name: what it makes of what the call returns."""
        begun = self._executor.submit(copy_context().run, call)
        self._begun.update({name: (begun, part) for name, part in parts.items()})

    def take(self, name: Hashable, call: Callable[[], _T]) -> _T:
        """What the call that was begun under this name returns or raises; once. Else `call` is made now."""
        if name not in self._begun:
            return call()
        begun, part = self._begun.pop(name)
        result: _T = part(begun.result())
        return result

    def forget(self) -> None:
        """Nothing that was begun is of use any more: another request has come."""
        for begun, _ in self._begun.values():
            begun.cancel()
        self._begun.clear()


class KeyTableAhead(KeyTable):
    """It remembers the keys that it found."""

    def __init__(self, ahead: ReadAhead, client: DynamoDBClient, table: str) -> None:
        super().__init__(client, table)
        self.known: dict[str, ApiKey] = {}
        self._ahead = ahead

    def find(self, digest: str) -> ApiKey | None:
        found = self._ahead.take(_key(digest), partial(super().find, digest))
        if len(self.known) >= _KEYS_KNOWN:
            self.known.clear()
        if found is not None:
            self.known[digest] = found
        return found


class KeyMeterAhead(KeyMeter):
    def __init__(self, ahead: ReadAhead, client: DynamoDBClient, table: str) -> None:
        super().__init__(client, table)
        self._ahead = ahead

    def count(self, key: ApiKey, now_ms: int) -> None:
        self._ahead.take(_use(key), partial(super().count, key, now_ms))


class ControlTableAhead(ControlTable):
    def __init__(self, ahead: ReadAhead, client: DynamoDBClient, table: str, defaults: Defaults) -> None:
        super().__init__(client, table, defaults)
        self._ahead = ahead

    def limits_for(self, account: str) -> LimitsInForce:
        return self._ahead.take(_limits(account), partial(super().limits_for, account))


class StartLineAhead(StartLine):
    def __init__(self, ahead: ReadAhead, client: DynamoDBClient, control: str, line: str) -> None:
        super().__init__(client, control, line)
        self._ahead = ahead

    def turns(self) -> Turns:
        return self._ahead.take(_TURNS, super().turns)


class OrderTableAhead(OrderTable):
    def __init__(
        self, ahead: ReadAhead, client: DynamoDBClient, table: str, counters: str, circulations: str, *, pack: bool
    ) -> None:
        super().__init__(client, table, counters, circulations, pack=pack)
        self._ahead = ahead

    def load(self, order_id: str) -> Order | None:
        return self._ahead.take(_order(order_id), partial(super().load, order_id))


class OrderReads:
    """Begins what an order's acceptance reads. `keyless` is whoever comes without a key, None where nobody may."""

    def __init__(
        self,
        ahead: ReadAhead,
        keys: KeyTableAhead,
        meter: KeyMeter,
        limits: ControlTable,
        store: OrderTable,
        keyless: Caller | None,
        now_ms: Callable[[], int],
    ) -> None:
        self._ahead = ahead
        self._keys = keys
        self._meter = meter
        self._limits = limits
        self._store = store
        self._keyless = keyless
        self._now_ms = now_ms

    def begin(self, headers: Mapping[str, str]) -> None:
        """Ask for all that a request with these headers will need, as far as can be told."""
        key = headers.get(HEADER)
        if key:
            known = self._keys.known.get(digest_of(key)) if is_key(key) else None
            if known is not None:
                self._begin_of_key(known)
                self._begin_of_account(known.account, headers)
        elif self._keyless is not None:
            self._begin_of_account(self._keyless.account, headers)

    def _begin_of_key(self, known: ApiKey) -> None:
        """Its use is counted by the rate that it had: one that has changed since counts this request twice."""
        self._ahead.begin(_key(known.digest), partial(KeyTable.find, self._keys, known.digest))
        self._ahead.begin(_use(known), partial(KeyMeter.count, self._meter, known, self._now_ms()))

    def _begin_of_account(self, account: str, headers: Mapping[str, str]) -> None:
        self._ahead.begin_together(
            lambda: self._limits.read((*limits_names(account), ADMISSION)),
            {
                _limits(account): lambda found: self._limits.limits_among(found, account),
                _TURNS: lambda found: turns_in(found.get(ADMISSION, {})),
            },
        )
        idempotency_key = headers.get("idempotency-key")
        if idempotency_key and idempotency_key.isascii():
            order_id = order_id_for(account, idempotency_key)
            self._ahead.begin(_order(order_id), partial(OrderTable.load, self._store, order_id))


_TURNS = "turns"


def _key(digest: str) -> Hashable:
    return "key", digest


def _use(key: ApiKey) -> Hashable:
    return "use", key.key_id, key.rate_per_minute


def _limits(account: str) -> Hashable:
    return "limits", account


def _order(order_id: str) -> Hashable:
    return "order", order_id
