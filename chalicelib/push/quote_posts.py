"""The QuotePosts of waiting/ports.py: quotes are posted to their connections beside the look that found them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.contract.views import quote_error_message, quote_message
from chalicelib.log import logger
from chalicelib.problems import AwsError, ExecutionError
from chalicelib.push.dropping import Dropping
from chalicelib.push.fan_out import Budget, FanOut, Fate, Outbox
from chalicelib.push.quote_stream_table import QuoteStreamTable

if TYPE_CHECKING:
    from chalicelib.waiting.quote_stream import QuoteNews, QuoteStream

# A watcher has less time than the publisher: what a connection doesn't take in it, it is sent at the next look.
QUOTE_BUDGET = Budget(connection_seconds=1.0, batch_seconds=1.0)


@dataclass(frozen=True, slots=True)
class _Addressee:
    """A connection, and those of its streams that are told something: a message in the outbox for each."""

    outbox: Outbox
    streams: tuple[QuoteStream, ...]


class GatewayQuotePosts:
    def __init__(self, fan_out: FanOut, dropping: Dropping, streams: QuoteStreamTable) -> None:
        self._fan_out = fan_out
        self._dropping = dropping
        self._streams = streams

    def begin(self, due: Mapping[QuoteStream, QuoteNews]) -> PostsUnderWay:
        """As QuotePosts.begin."""
        by_connection: defaultdict[str, list[QuoteStream]] = defaultdict(list)
        for stream in due:
            by_connection[stream.connection_id].append(stream)
        told = [
            _Addressee(
                Outbox(
                    connection_id,
                    streams[0].account,
                    established=True,  # it has spoken
                    messages=[_message(stream, due[stream]) for stream in streams],
                ),
                tuple(streams),
            )
            for connection_id, streams in by_connection.items()
        ]
        return PostsUnderWay(self._fan_out, self._dropping, self._streams, told)


class PostsUnderWay:
    """As QuotesUnderWay."""

    def __init__(
        self, fan_out: FanOut, dropping: Dropping, streams: QuoteStreamTable, told: Sequence[_Addressee]
    ) -> None:
        self._dropping = dropping
        self._streams = streams
        self._told = told
        self._executor = ThreadPoolExecutor(1)
        outboxes = [one.outbox for one in told]
        self._posting: Future[None] = self._executor.submit(copy_context().run, fan_out.post, outboxes)

    def sent(self, within_seconds: float) -> frozenset[str]:
        """As QuotesUnderWay.sent."""
        wait([self._posting], within_seconds)
        return frozenset(stream.name for one in self._told for stream in one.streams[: one.outbox.sent])

    def finish(self) -> None:
        """As QuotesUnderWay.finish."""
        try:
            self._posting.result()
        except Exception:  # noqa: BLE001
            # the boundary: whatever is wrong with posting, the pair is looked at again
            logger.exception("quotes were not posted")
        finally:
            self._executor.shutdown()
        for one in self._told:
            try:
                self._settle(one)
            except AwsError:
                logger.exception("connection not dropped", connection_id=one.outbox.connection_id)

    def _settle(self, one: _Addressee) -> None:
        """Drop a connection that is gone or doesn't keep up. One that was never come to has nothing to answer for."""
        outbox = one.outbox
        if outbox.fate is Fate.GONE or (outbox.fate is Fate.TOO_SLOW and outbox.spent_seconds > 0):
            self._dropping.drop(outbox)
            for stream in one.streams:
                self._streams.end(stream)


def _message(stream: QuoteStream, news: QuoteNews) -> dict[str, object]:
    return quote_error_message(stream, news) if isinstance(news, ExecutionError) else quote_message(news)
