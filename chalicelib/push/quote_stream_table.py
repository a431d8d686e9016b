"""The QuoteStreams of waiting/ports.py in DynamoDB: an item a stream, in its pair's partition.

A stream begins in one transaction that also has its pair looked at (waiting/circulation.py) and counts it, in the set
of its connection and in that of its account; so no race lets in one more than may be. It ends in one transaction as
well. What a process that died has left in a set is found where the set is full, and by the sweeper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.circulation_table import stream_start
from chalicelib.aws.dynamodb.table import Table
from chalicelib.aws.errors import WriteConflict
from chalicelib.orders.order import Token
from chalicelib.problems import TooManyQuoteStreams, Unauthorized
from chalicelib.push.connection_table import QUOTES, ClosedConnection, account_key, connection_key
from chalicelib.waiting.quote_stream import STREAM_LIFE_MS, QuoteStream

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A watcher ends a stream whose time is over; what nobody ends the table forgets so long after.
_FORGOTTEN_AFTER_MS = 3_600_000
# How often a write is tried that met another one on the account's item, or the pair's.
_CONFLICT_TRIES = 8


@dataclass(frozen=True, slots=True)
class QuoteStreamCaps:
    """How many streams of quotes one connection, and all of one account's together, may have."""

    of_connection: int = 5
    of_account: int = 20


class QuoteStreamTable:
    """Every method raises AwsError. `pause` waits after the nth conflict, from 0."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        connections: str,
        circulations: str,
        pause: Callable[[int], None],
        caps: QuoteStreamCaps = QuoteStreamCaps(),
    ) -> None:
        self._table = Table(client, table)
        self._connections = Table(client, connections)
        self._circulations = circulations
        self._pause = pause
        self._caps = caps

    def ask(self, stream: QuoteStream) -> None:
        """Begin the stream, or let it go on for as long again, for the amount that it says now.

        Raises TooManyQuoteStreams, and Unauthorized where its connection is not open any more; nothing is stored then.
        """
        if self._table.put_if("attribute_exists(#pair)", _item(stream)):
            return
        full = self._begin(stream)
        while full is not None:
            if not self._clear(full, stream.asked_at_ms):
                raise TooManyQuoteStreams(full.most, full.whose)
            full = self._begin(stream)

    def of_pair(self, pair: str) -> Iterator[QuoteStream]:
        """As QuoteStreams.of_pair."""
        return map(_stream, self._table.query("#pair = :pair", {"pair": pair}))

    def of_connection(self, connection_id: str) -> list[QuoteStream]:
        """Those of the connection, which is open."""
        connection = self._connections.get(connection_key(connection_id)) or {}
        return self._named(connection.get(QUOTES, ()))

    def all(self) -> Iterator[QuoteStream]:
        """Every stream there is."""
        return map(_stream, self._table.scan())

    def end(self, stream: QuoteStream) -> bool:
        """As QuoteStreams.end."""
        delete = self._table.delete_action("askedAtMs = :asked", _key(stream), {"asked": stream.asked_at_ms})
        sets = [account_key(stream.account), connection_key(stream.connection_id)]
        while True:
            uncounts = [
                self._connections.update_action(
                    "attribute_exists(#name)", key, f"DELETE {QUOTES} :it", {"it": {_entry(stream)}}
                )
                for key in sets
            ]
            failed = self._transact([delete, *uncounts])
            if failed is None:
                return True
            if 0 in failed:
                return False
            # who has no item any more has no set
            sets = [key for number, key in enumerate(sets, start=1) if number not in failed]

    def forget(self, closed: ClosedConnection) -> None:
        """End the streams of a connection that is closed, as its set had them."""
        for entry in closed.quotes:
            self._table.delete(_key_of(entry))
        self.uncount(account_key(closed.account)["name"], closed.quotes)

    def uncount(self, name: str, entries: Iterable[str]) -> None:
        """Take streams out of what is counted for the connection or account whose item has that name."""
        gone = set(entries)
        if gone:
            self._connections.update_if(
                "attribute_exists(#name)", {"name": name}, f"DELETE {QUOTES} :gone", {"gone": gone}
            )

    def _begin(self, stream: QuoteStream) -> _FullSet | None:
        """Store the stream, and count it; None where that was done, else the set that has no room."""
        values = {"one": _entry(stream), "it": {_entry(stream)}}
        room = f"(attribute_not_exists({QUOTES}) OR size({QUOTES}) < :cap OR contains({QUOTES}, :one))"
        sets = [
            _FullSet(connection_key(stream.connection_id), self._caps.of_connection, "a connection"),
            _FullSet(account_key(stream.account), self._caps.of_account, "an account"),
        ]
        counts = [
            self._connections.update_action(
                f"attribute_exists(#name) AND {room}", one.key, f"ADD {QUOTES} :it", {**values, "cap": one.most}
            )
            for one in sets
        ]
        put = self._table.put_action("attribute_not_exists(#pair)", _item(stream))
        start = stream_start(self._circulations, stream.pair, stream.asked_at_ms)
        failed = self._transact([put, *counts, start])
        if failed is None:
            return None
        for number, one in enumerate(sets, start=1):
            if number in failed:
                if not failed[number]:
                    raise Unauthorized("this connection is not known any more; connect again")
                return one.holding(failed[number])
        # somebody begins the same one just now
        self._table.put_if("attribute_exists(#pair)", _item(stream))
        return None

    def _clear(self, full: _FullSet, now_ms: int) -> bool:
        """Make room in the set: take out what has ended, and what is not there any more. Whether there was any."""
        streams = {_entry(stream): stream for stream in self._named(full.entries)}
        over = [stream for stream in streams.values() if stream.is_over(now_ms) and self.end(stream)]
        lost = full.entries - streams.keys()
        self.uncount(full.key["name"], lost)
        return bool(over or lost)

    def _named(self, entries: Iterable[str]) -> list[QuoteStream]:
        return [_stream(item) for item in self._table.get_each([_key_of(entry) for entry in entries])]

    def _transact(self, actions: list[Any]) -> dict[int, Item] | None:
        """As Table.transact, tried again where another write is met."""
        for number in range(_CONFLICT_TRIES):
            try:
                return self._table.transact(actions)
            except WriteConflict:
                if number == _CONFLICT_TRIES - 1:
                    raise
                self._pause(number)
        raise AssertionError("the last try returns or raises")


@dataclass(frozen=True, slots=True)
class _FullSet:
    """A set of streams that may have `most`; `whose` it is, as people say it."""

    key: Item
    most: int
    whose: str
    entries: frozenset[str] = frozenset()

    def holding(self, item: Mapping[str, Any]) -> _FullSet:
        return _FullSet(self.key, self.most, self.whose, frozenset(item.get(QUOTES, ())))


def connection_of(entry: str) -> str:
    """The connection of a stream, by what stands for it in a set."""
    return entry.partition("#")[0]


def _entry(stream: QuoteStream) -> str:
    """What stands for the stream in a set: `<connection>#<direction>#<pair>`."""
    return f"{stream.name}#{stream.pair}"


def _key_of(entry: str) -> Item:
    name, _, pair = entry.rpartition("#")
    return {"pair": pair, "stream": name}


def _key(stream: QuoteStream) -> Item:
    return {"pair": stream.pair, "stream": stream.name}


def _item(stream: QuoteStream) -> Item:
    return {
        **_key(stream),
        "connectionId": stream.connection_id,
        "account": stream.account,
        "tokenIn": _token_item(stream.token_in),
        "tokenOut": _token_item(stream.token_out),
        "amount": stream.amount,
        "slippagePpm": stream.slippage_ppm,
        "askedAtMs": stream.asked_at_ms,
        "expiresAt": (stream.asked_at_ms + STREAM_LIFE_MS + _FORGOTTEN_AFTER_MS) // 1000,
    }


def _token_item(token: Token) -> Item:
    return {"text": token.text, "mint": token.mint, "decimals": token.decimals}


def _token(item: Mapping[str, Any]) -> Token:
    return Token(item["text"], item["mint"], int(item["decimals"]))


def _stream(item: Item) -> QuoteStream:
    return QuoteStream(
        connection_id=item["connectionId"],
        account=item["account"],
        token_in=_token(item["tokenIn"]),
        token_out=_token(item["tokenOut"]),
        amount=int(item["amount"]),
        slippage_ppm=int(item["slippagePpm"]),
        asked_at_ms=int(item["askedAtMs"]),
    )
