"""What a look does for those who stream its pair's quotes, beside judging its orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chalicelib.log import logger
from chalicelib.problems import ExecutionError
from chalicelib.waiting.circulation import Circulation
from chalicelib.waiting.last_told import LastTold
from chalicelib.waiting.ports import MarketSeen, QuotePosts, QuoteStreams, QuotesUnderWay
from chalicelib.waiting.quote_stream import QuoteNews, QuoteStream, due_streams, quote_each, told_after

# How long a look quotes for streams, and until when of a look it begins to tell them.
QUOTES_SECONDS = 1.0
TELLS_SECONDS = 4.5
# How long a look waits for posts before it goes on: who takes longer is waited for beside the next look.
WAITS_SECONDS = 0.25
# How many streams a look ends whose time is over: the others are the next look's.
MOST_ENDED = 20


class LookStreams:
    """The streams of one look's pair. `are_all` is False where there may be more of them than `going_on`.

    `news` is what there is to be told them, by their names, as far as there was time for it.
    """

    def __init__(
        self, going_on: tuple[QuoteStream, ...], posts: QuotePosts, clock: Callable[[], float], *, are_all: bool = True
    ) -> None:
        self.going_on = going_on
        self.are_all = are_all
        self._posts = posts
        self._clock = clock
        self._under_way: QuotesUnderWay | None = None

    def quotes(self, market: MarketSeen, turn: int) -> dict[str, QuoteNews]:
        """What there is to be told, by the streams' names. Raises AccountsMissing."""
        until = self._clock() + QUOTES_SECONDS
        return quote_each(self.going_on, market.quote, lambda: self._clock() < until, turn)

    def nothing(self, error: ExecutionError) -> dict[str, QuoteNews]:
        """What there is to be told where the market can't be read."""
        return dict.fromkeys((stream.name for stream in self.going_on), error)

    def tell(self, news: Mapping[str, QuoteNews], told: Mapping[str, LastTold], now_ms: int) -> None:
        """Begin to tell those who are due; `settle` says who was reached."""
        due = {stream: news[stream.name] for stream in due_streams(self.going_on, news, told, now_ms)}
        if due:
            self._under_way = self._posts.begin(due)

    def settle(self, news: Mapping[str, QuoteNews], told: Mapping[str, LastTold], now_ms: int) -> dict[str, LastTold]:
        """What the next look is to know of what streams were told."""
        sent = frozenset[str]() if self._under_way is None else self._under_way.sent(WAITS_SECONDS)
        return told_after(self.going_on, news, told, sent, now_ms)

    def finish(self) -> None:
        """Wait for posts that are still under way. Never raises."""
        if self._under_way is not None:
            self._under_way.finish()


class QuoteStreaming:
    """`clock` gives seconds that only go forward."""

    def __init__(self, streams: QuoteStreams, posts: QuotePosts, clock: Callable[[], float]) -> None:
        self._streams = streams
        self._posts = posts
        self._clock = clock

    def of_look(self, circulation: Circulation, now_ms: int) -> LookStreams:
        """The pair's streams that go on; those that are over end here. Raises AwsError."""
        known = tuple(self._streams.of_pair(circulation.pair)) if circulation.may_stream else ()
        going_on = tuple(stream for stream in known if not stream.is_over(now_ms))
        over = [stream for stream in known if stream.is_over(now_ms)]
        # one that can't be ended was asked for again just now, and the next look finds it
        ended = [self._streams.end(stream) for stream in over[:MOST_ENDED]]
        if over:
            logger.info("streams of quotes have ended", pair=circulation.pair, ended=sum(ended))
        return LookStreams(going_on, self._posts, self._clock, are_all=len(over) == sum(ended))
