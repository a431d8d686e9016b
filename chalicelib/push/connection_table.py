"""Open WebSocket connections: whose they are, how many, how often they speak; and which tickets let one in already.

Who has how many is counted by sets of connections, one for each account and each API key: to add one or to take one out
again twice changes nothing. What is in a set has, or had, a record, since that is written first; so whatever a lost
$disconnect leaves in a set can be told from what is open, and taken out.

A connection is in its account's set before it watches anything, so an account whose set is empty has no watchers. Two
more sets tell of connections what they don't watch: those of STREAMS no single order, those of OF_ORDERS not the
account. One that is in neither may watch anything.

Streams of quotes are counted by sets too (QUOTES), in the account's item and in the connection's own: see
quote_stream_table.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from chalicelib.access.tickets import Ticket
from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.meter import Meter
from chalicelib.aws.dynamodb.table import Table
from chalicelib.problems import TooManyConnections
from chalicelib.push.connections import CONNECTION_LIFE_SECONDS
from chalicelib.rate import Rate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# 10 a second and 10 at once.
MESSAGE_RATE = Rate(limit=19, burst=10, period=1_000_000)
_PREFIX = "connection#"
_OF_ACCOUNT, _OF_KEY = "account#", "key#"
# A used ticket is remembered until no clock of ours can take it for a valid one.
_TICKET_MARGIN_SECONDS = 600


# The set of an account's, or a connection's, streams of quotes.
QUOTES = "quotes"


class Watches(Enum):
    """What a connection was opened to watch, and as yet nothing else; the name of its account's set of such."""

    STREAM = "streams"
    ORDERS = "ofOrders"


@dataclass(frozen=True, slots=True)
class ConnectionCaps:
    """How many connections one API key, and all of one account's together, may have open."""

    of_key: int
    of_account: int


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """`key_id` is the API key that it was opened by; None where the stage asked for none."""

    key_id: str | None
    opened_at_ms: int


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose connection has said something, and what it was opened to watch; None where that may be anything."""

    account: str
    watches: Watches | None


@dataclass(frozen=True, slots=True)
class ClosedConnection:
    """What is left to be cleared of a connection that was forgotten: its streams of quotes, as its set had them."""

    account: str
    quotes: frozenset[str]


@dataclass(frozen=True, slots=True)
class MayWatch:
    """Whether any connection of an account may watch the account, and whether any may watch single orders of it."""

    account: bool
    orders: bool


@dataclass(frozen=True, slots=True)
class CountedConnections:
    """The connections that count for one account or one key, and an account's streams. `name` is the set's."""

    name: str
    connections: frozenset[str]
    is_full: bool
    quotes: frozenset[str] = frozenset()


class ConnectionTable:
    def __init__(self, client: DynamoDBClient, table: str, caps: ConnectionCaps) -> None:
        self._table = Table(client, table)
        self._meter = Meter(client, table)
        self._caps = caps

    def open(
        self, connection_id: str, account: str, key_id: str | None, now_ms: int, watches: Watches | None = None
    ) -> None:
        """Remember whose connection it is, by which API key, None where the stage asked for none, and what it watches.

        Raises TooManyConnections where the account or the key has as many as it may; nothing is remembered then.
        """
        expires_at = now_ms // 1000 + CONNECTION_LIFE_SECONDS
        item = {
            **connection_key(connection_id),
            "account": account,
            "keyId": key_id,
            "expiresAt": expires_at,
            **({} if watches is None else {"watches": watches.value}),
            **self._meter.attributes(MESSAGE_RATE),
        }
        self._table.put(item)
        for name, cap in self._counted_as(account, key_id):
            values = {"cap": cap, "one": connection_id, "it": {connection_id}, "expires": expires_at}
            add = _ADD if watches is None or name.startswith(_OF_KEY) else f"{_ADD}, {watches.value} :it"
            if not self._table.update_if(_HAS_ROOM, {"name": name}, add, values):
                self.close(connection_id)
                raise _too_many(name, cap)

    def check_room(self, account: str, key_id: str | None) -> None:
        """Raises TooManyConnections where one more would not be let in now."""
        for name, cap in self._counted_as(account, key_id):
            counted = self._table.get({"name": name}) or {}
            if len(counted.get("connections", ())) >= cap:
                raise _too_many(name, cap)

    def hear(self, connection_id: str, now_ms: int) -> Speaker:
        """Count one message of the connection; returns whose it is. Raises Unusable or TooSoon (see meter.py)."""
        item = self._meter.use(connection_key(connection_id), now_ms)
        return Speaker(item["account"], Watches(item["watches"]) if "watches" in item else None)

    def widen(self, connection_id: str, account: str, watched: Watches) -> None:
        """From now on the connection, which was opened for `watched` alone, may watch anything of its account."""
        gone = {"it": {connection_id}}
        self._table.update(account_key(account), f"DELETE {watched.value} :it", gone)

    def may_watch(self, accounts: Iterable[str]) -> dict[str, MayWatch]:
        """What the connections of each of these accounts may watch now; consistent."""
        asked = dict.fromkeys(accounts)
        found = {item["name"]: item for item in self._table.get_each([account_key(account) for account in asked])}
        return {account: _may_watch(found.get(_OF_ACCOUNT + account, {})) for account in asked}

    def close(self, connection_id: str) -> ClosedConnection | None:
        """Forget the connection, which then counts no more; None where it was forgotten before."""
        connection = self._table.take(connection_key(connection_id))
        if connection is None:
            return None
        for name, _ in self._counted_as(connection["account"], connection.get("keyId")):
            self.uncount(name, {connection_id})
        return ClosedConnection(connection["account"], frozenset(connection.get(QUOTES, ())))

    def forget(self, connection_id: str) -> None:
        """Forget the connection, and leave it to the sweeper that it counts no more."""
        self._table.delete(connection_key(connection_id))

    def open_ones(self, now_ms: int) -> dict[str, OpenConnection]:
        """Every open connection.

        Consistent: one that was opened before the call and not closed meanwhile is there.
        """
        found = self._table.scan(
            "begins_with(#name, :connection) AND expiresAt > :now", {"connection": _PREFIX, "now": now_ms // 1000}
        )
        return {
            item["name"].removeprefix(_PREFIX): OpenConnection(
                item.get("keyId"), (int(item["expiresAt"]) - CONNECTION_LIFE_SECONDS) * 1000
            )
            for item in found
        }

    def counted(self) -> list[CountedConnections]:
        """Who has how many, as it is counted; consistent."""
        found = self._table.scan("attribute_exists(connections)")
        return [
            CountedConnections(
                item["name"],
                frozenset(item["connections"]),
                len(item["connections"]) >= self._cap_of(item["name"]),
                frozenset(item.get(QUOTES, ())),
            )
            for item in found
        ]

    def uncount(self, name: str, connections: Iterable[str]) -> None:
        """Take connections out of what is counted; what isn't in it changes nothing."""
        sets = ", ".join(f"{one} :gone" for one in _SETS)
        self._table.update({"name": name}, f"DELETE {sets}", {"gone": set(connections)})

    def _counted_as(self, account: str, key_id: str | None) -> list[tuple[str, int]]:
        """The names of the sets that a connection is in, each with its cap; the stricter one first."""
        names = [_OF_ACCOUNT + account] if key_id is None else [_OF_KEY + key_id, _OF_ACCOUNT + account]
        return [(name, self._cap_of(name)) for name in names]

    def _cap_of(self, name: str) -> int:
        return self._caps.of_key if name.startswith(_OF_KEY) else self._caps.of_account

    def use_ticket(self, ticket: Ticket, connection_id: str) -> bool:
        """Let the ticket be used by this connection and no other. False where another has used it.

        Sent again because its answer was lost, the write finds its own connection there.
        """
        item = {
            "name": f"ticket#{ticket.nonce}",
            "connectionId": connection_id,
            "expiresAt": ticket.expires_at_ms // 1000 + _TICKET_MARGIN_SECONDS,
        }
        condition = "attribute_not_exists(#name) OR connectionId = :connection"
        return self._table.put_if(condition, item, {"connection": connection_id})


_HAS_ROOM = "attribute_not_exists(connections) OR size(connections) < :cap OR contains(connections, :one)"
_ADD = "SET expiresAt = :expires ADD connections :it"
_SETS = ("connections", *(one.value for one in Watches))


def account_key(account: str) -> Item:
    """The key of the item with the account's sets."""
    return {"name": _OF_ACCOUNT + account}


def _may_watch(item: Item) -> MayWatch:
    """What the account's set says. Connections that an earlier version let in are in neither of the two others."""
    open_ones = frozenset(item.get("connections", ()))
    streams, of_orders = (frozenset(item.get(one.value, ())) for one in Watches)
    return MayWatch(account=bool(open_ones - of_orders), orders=bool(open_ones - streams))


def _too_many(name: str, cap: int) -> TooManyConnections:
    return TooManyConnections(cap, "an API key" if name.startswith(_OF_KEY) else "an account")


def connection_key(connection_id: str) -> Item:
    """The key of the connection's own item."""
    return {"name": _PREFIX + connection_id}
