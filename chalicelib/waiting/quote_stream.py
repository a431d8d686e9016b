"""Streams of quotes: who is told what a pair pays, what of it is news to him, and when he is told. Pure.

A stream is one connection's wish to be told, until it ends, what exactly so much of a token would get. At each look at
its pair it is told the quote if that is another one than it was told last, or if the client has asked again since;
never twice within a second. Where there is no quote it is told why, once, and then nothing until there is one again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

from chalicelib.orders.order import Token
from chalicelib.problems import AccountsMissing, ExecutionError
from chalicelib.waiting.circulation import pair_of
from chalicelib.waiting.last_told import LastTold

if TYPE_CHECKING:
    # It brings the chain with it, which the functions that only keep streams never load.
    from chalicelib.orders.quoting import SwapQuote

# A stream ends so long after its client last asked for it.
STREAM_LIFE_MS = 600_000
# No stream is told anything twice within this, and as long as there is one its pair is looked at as often.
TOLD_EVERY_MS = 1_000
# Of so many streams of a pair is remembered what they were told; the others are told at each look.
MOST_TOLD = 800

# What there is to be told: the quote, or why there is none.
QuoteNews: TypeAlias = "SwapQuote | ExecutionError"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteStream:
    """One connection's wish: what `amount` base units of `token_in` would get, and its floor by `slippage_ppm`.

    A connection has one at most for a pair and direction. `asked_at_ms` changes with every new wish.
    """

    connection_id: str
    account: str
    token_in: Token
    token_out: Token
    amount: int
    slippage_ppm: int
    asked_at_ms: int

    @property
    def pair(self) -> str:
        return pair_of(self.token_in.mint, self.token_out.mint)

    @property
    def name(self) -> str:
        """What tells it from the pair's other streams."""
        return stream_name(self.connection_id, self.token_in.mint, self.token_out.mint)

    @property
    def ends_at_ms(self) -> int:
        """When it ends unless its client asks again."""
        return self.asked_at_ms + STREAM_LIFE_MS

    def is_over(self, now_ms: int) -> bool:
        """Whether it has ended by the clock. A wish from far ahead is of another clock, and is over too."""
        return not self.asked_at_ms - STREAM_LIFE_MS <= now_ms < self.ends_at_ms


def stream_name(connection_id: str, mint_in: str, mint_out: str) -> str:
    """The name of a connection's stream within its pair, by its direction."""
    return f"{connection_id}#{int(mint_in > mint_out)}"


def digest_of(news: QuoteNews) -> str:
    """What tells whether there is something new: the same for two quotes that differ by their slot and time alone."""
    if isinstance(news, ExecutionError):
        return f"!{news.code}"
    others = tuple(str(pool.address) for pool in news.not_looked_at)
    told = (news.amount, news.amount_out, news.min_out, news.price_impact, news.route, news.fees, news.offers, others)
    return blake2b(repr(told).encode(), digest_size=6).hexdigest()


def quote_each(
    streams: Iterable[QuoteStream],
    quote: Callable[[QuoteStream], SwapQuote],
    has_time: Callable[[], bool] = lambda: True,
    turn: int = 0,
) -> dict[str, QuoteNews]:
    """What there is to be told to each stream, by its name: at least to one, and to as many as there is time for.

    `quote` finds one, and is asked for the same amounts one after the other. `turn` counts looks: which come first.
    Raises AccountsMissing, of all of them together.
    """

    def place(stream: QuoteStream) -> tuple[int, str, int, str]:
        amount = f"{turn}/{stream.token_in.mint}/{stream.amount}"
        return crc32(amount.encode()), stream.token_in.mint, stream.amount, stream.name

    news: dict[str, QuoteNews] = {}
    missing: list[str] = []
    for stream in sorted(streams, key=place):
        if news and not has_time():
            break
        try:
            news[stream.name] = quote(stream)
        except AccountsMissing as error:
            missing += error.addresses
        except ExecutionError as error:
            news[stream.name] = error
    if missing:
        raise AccountsMissing(missing)
    return news


def due_streams(
    streams: Iterable[QuoteStream], news: Mapping[str, QuoteNews], told: Mapping[str, LastTold], now_ms: int
) -> tuple[QuoteStream, ...]:
    """Those that are to be told their news now."""
    return tuple(
        stream for stream in streams if stream.name in news and _is_due(stream, news[stream.name], told, now_ms)
    )


def _is_due(stream: QuoteStream, news: QuoteNews, told: Mapping[str, LastTold], now_ms: int) -> bool:
    last = told.get(stream.name)
    if last is None:
        return True
    if 0 <= now_ms - last.at_ms < TOLD_EVERY_MS:
        return False
    return last.asked_at_ms != stream.asked_at_ms or last.digest != digest_of(news)


def told_after(
    streams: Iterable[QuoteStream],
    news: Mapping[str, QuoteNews],
    told: Mapping[str, LastTold],
    sent: Iterable[str],
    now_ms: int,
) -> dict[str, LastTold]:
    """What is remembered after a look in which those named in `sent` were told their news; of ended streams nothing.

    Whoever wasn't reached stays as he was, and is due at the next look.
    """
    reached = set(sent)
    remembered: dict[str, LastTold] = {}
    for stream in streams:
        if stream.name in reached:
            remembered[stream.name] = LastTold(digest_of(news[stream.name]), stream.asked_at_ms, now_ms)
        elif stream.name in told:
            remembered[stream.name] = told[stream.name]
    return dict(list(remembered.items())[:MOST_TOLD])
