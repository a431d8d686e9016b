"""A pair's circulation: one message that goes from look to look while orders of the pair wait, or quotes stream. Pure.

The circulation is an item: how many orders of the pair wait, which message is the one that counts (`ticket`), who
looks just now, and when somebody was alive last. An order's write that makes it wait, or ends that, moves the item in
the same transaction; so does the write that begins a stream of the pair's quotes. So the item is there as long as
orders wait, and ends on the condition that none does, and that no stream has begun since none was found.

A look ends by naming the next message, then sends it, and only then is its own message gone. Wherever a watcher is
killed, its message comes back: it counts if it is still the one, or if nobody was alive for a while. A second message
of the pair finds itself outrun and is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.waiting.last_told import LastTold
from chalicelib.waiting.look import Seen

# How long one watcher has a pair: longer than its function may run, and shorter than its message is hidden.
LOOK_LEASE_MS = 9_000
# Nobody who is alive is silent for so long after the next look was due.
SILENT_MS = 5_000
# What one message may carry of what trailing stops have seen; the rest is stored at once.
MOST_SEEN = 1_000
# SQS takes a megabyte; whoever may write to the queue could send as much.
MAX_WATCH_MESSAGE_LENGTH = 200_000


class MalformedWatchMessage(Exception):
    """A message that names no pair."""


@dataclass(frozen=True, slots=True)
class Circulation:
    """A pair's item as it stands. `pair` is as `pair_of` has it; times are ms, None where there was none.

    `changes` counts the writes of the pair's orders, the last at `changed_at_ms`. `looked_at_ms` is when the market was
    read of the last look that judged every order; `next_at_ms` is when the next is due, as the last said at its end.
    `stream_starts` counts the streams of quotes that began, and `streamless_at` is what it was when a look found none
    that goes on.
    """

    pair: str
    orders: int = 0
    ticket: int = 0
    changes: int = 0
    changed_at_ms: int = 0
    started_at_ms: int | None = None
    alive_at_ms: int | None = None
    next_at_ms: int = 0
    looked_at_ms: int | None = None
    lease_owner: str | None = None
    lease_until_ms: int = 0
    stream_starts: int = 0
    streamless_at: int = 0

    @property
    def may_stream(self) -> bool:
        """Whether somebody may be streaming the pair's quotes; False is certain."""
        return self.stream_starts != self.streamless_at

    def is_silent(self, now_ms: int) -> bool:
        """Whether nobody looks at the pair any more. A time far ahead is another clock's, and says nothing."""
        if self.alive_at_ms is None or self.alive_at_ms > now_ms + SILENT_MS:
            return True
        return now_ms > max(self.alive_at_ms, self.next_at_ms) + SILENT_MS

    def is_held(self, owner: str, now_ms: int) -> bool:
        """Whether another watcher has it. No lease is longer than a lease is."""
        return (
            self.lease_owner not in (None, owner) and now_ms < self.lease_until_ms and not self._is_from_ahead(now_ms)
        )

    def _is_from_ahead(self, now_ms: int) -> bool:
        return self.lease_until_ms > now_ms + LOOK_LEASE_MS

    def late_ms(self, now_ms: int) -> int:
        """For how long its orders have not been judged."""
        last_ms = self.looked_at_ms if self.looked_at_ms is not None else self.started_at_ms
        return 0 if last_ms is None else max(0, now_ms - last_ms)


@dataclass(frozen=True, slots=True)
class WatchMessage:
    """The message that goes round. `ticket` 0: one that was sent to begin, or to begin again.

    `seen` is what trailing stops have seen and isn't stored. A look that had no time for all orders says in `after`
    which amounts it came to, by the token sold: the next goes on from there; `round_ms` is when the round began.
    `told` is what streams of quotes were told last, by their names.
    """

    pair: str
    ticket: int = 0
    seen: Mapping[str, Seen] = field(default_factory=dict)
    after: tuple[str, int, str] | None = None
    round_ms: int | None = None
    told: Mapping[str, LastTold] = field(default_factory=dict)

    def body(self) -> str:
        """As it is sent."""
        told: dict[str, Any] = {"pair": self.pair, "ticket": self.ticket}
        if self.seen:
            told["seen"] = {order_id: [one.best_out, one.since_ms] for order_id, one in self.seen.items()}
        if self.after is not None:
            told["after"] = list(self.after)
            told["roundMs"] = self.round_ms
        if self.told:
            told["told"] = {name: [one.digest, one.asked_at_ms, one.at_ms] for name, one in self.told.items()}
        return json.dumps(told, separators=(",", ":"))


def watch_message(body: str) -> WatchMessage:
    """What a message says. Raises MalformedWatchMessage."""
    if len(body) > MAX_WATCH_MESSAGE_LENGTH:
        raise MalformedWatchMessage(f"{len(body)} characters")
    try:
        told = json.loads(body)
        seen = {str(key): Seen(int(best), int(since)) for key, (best, since) in told.get("seen", {}).items()}
        after = told.get("after")
        place = None if after is None else (str(after[0]), int(after[1]), str(after[2]))
        round_ms = told.get("roundMs")
        pair, ticket = str(told["pair"]), int(told.get("ticket", 0))
        mints_of(pair)
        last_told = {
            str(name): LastTold(str(digest), int(asked), int(at))
            for name, (digest, asked, at) in told.get("told", {}).items()
        }
        return WatchMessage(pair, ticket, seen, place, None if round_ms is None else int(round_ms), last_told)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise MalformedWatchMessage(body[:200]) from error


def pair_of(mint_a: str, mint_b: str) -> str:
    """The name of two mints' pair, whichever is sold."""
    return "/".join(sorted((mint_a, mint_b)))


def mints_of(pair: str) -> tuple[str, str]:
    """The pair's two mints. Raises ValueError for what is no pair's name."""
    first, second = pair.split("/")
    return first, second


def left_to_store(seen: Mapping[str, Seen]) -> tuple[str, ...]:
    """Those for which the next message has no room: what came last."""
    return tuple(seen)[MOST_SEEN:]
