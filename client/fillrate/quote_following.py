"""Following a pair's quote over the WebSocket: each that is another than the last, and whenever there is none.

The service tells a quote once, when it changes. So that a dead socket is not taken for a calm market, the wish is said
again now and then, which the service answers with the quote as it is. Where no socket can be had, GETs take its place.
"""

from __future__ import annotations

import json
from decimal import Decimal

from pydantic import ValidationError

from fillrate.conversation import Emit, SocketFailed, Stream, Talk, receive, send_text, sleep
from fillrate.endpoints import get_quote, problem_of_message, quotes_message
from fillrate.errors import CannotExecute, FillrateError, Problem, ServiceUnavailable
from fillrate.following import OUTAGE, POLL_SECONDS, QUIET_SECONDS, Sockets
from fillrate.models import Json, NoQuote, Quote
from fillrate.retrying import Requester, RetryPolicy, can_pass

# The service ends a stream after ten minutes; long before, whoever says nothing any more is noticed by it.
ASK_AGAIN_SECONDS = 60.0
ANSWERED_SECONDS = 30.0
_ONCE = RetryPolicy(attempts=1)
_UNAUTHORIZED = 401


class QuoteFollower:
    """What exactly `amount` of `token_in` would get. `timeout`: seconds after which it ends; None: never."""

    def __init__(
        self,
        requester: Requester,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        slippage: Decimal | str | None,
        timeout: float | None = None,
    ) -> None:
        self._requester = requester
        self._endpoint = get_quote(token_in, token_out, amount, slippage)
        self._wish = quotes_message(token_in, token_out, amount, slippage)
        self._give_up_at = None if timeout is None else requester.now() + timeout
        self._sockets = Sockets(requester)
        self._last: Quote | NoQuote | None = None
        self._asked_at = 0.0
        self._is_answered = False

    def follow(self) -> Stream[Quote | NoQuote]:
        """The quote now, and each that is another; a NoQuote where there is none until the next one.

        Raises InvalidRequest or TooManyRequests where the service refuses the wish, and what `watch` raises.
        """
        while self._seconds_left() > 0:
            opened = False
            if self._sockets.worth_trying:
                ws_url = yield from self._sockets.address()
                opened = ws_url is not None and (yield from self._sockets.open(ws_url))
            if opened:
                yield from self._listen()
                if self._seconds_left() > 0:
                    yield from self._gap("DISCONNECTED", "the connection was lost; another is opened")
            else:
                yield from self._poll()
            if self._seconds_left() > 0:
                yield from self._sockets.pause()

    def _listen(self) -> Stream[Quote | NoQuote]:
        """Until the socket's end, or the time's."""
        try:
            yield from self._ask()
            while (left := self._seconds_left()) > 0:
                text = yield from receive(min(QUIET_SECONDS, left))
                now = self._requester.now()
                if text is not None:
                    self._is_answered = True
                    yield from self._hear(text)
                elif not self._is_answered and now - self._asked_at >= ANSWERED_SECONDS:
                    return  # a wish is always answered: it is dead
                if now - self._asked_at >= ASK_AGAIN_SECONDS:
                    yield from self._ask()
        except SocketFailed:
            return

    def _ask(self) -> Talk[None]:
        yield from send_text(self._wish)
        self._is_answered = False
        self._asked_at = self._requester.now()

    def _hear(self, text: str) -> Stream[Quote | NoQuote]:
        message = _json_object(text)
        match message.get("type"):
            case "quote":
                yield from self._tell(_quote(message))
            case "quote-error":
                yield from self._tell(_no_quote(message))
            case "error":
                yield from self._refused(problem_of_message(message))

    def _refused(self, refusal: Problem) -> Stream[Quote | NoQuote]:
        """The service's fault, or its nodes', may pass; what is wrong with the wish won't."""
        if refusal.status == _UNAUTHORIZED:
            raise SocketFailed("the service knows the connection no more")
        if not isinstance(refusal, ServiceUnavailable):
            raise refusal
        yield from self._gap(refusal.code, str(refusal))
        yield from sleep(POLL_SECONDS)
        yield from self._ask()

    def _poll(self) -> Stream[Quote | NoQuote]:
        """Ask once, in place of a socket. Raises where the service is away for longer than it may be."""
        try:
            try:
                quote = yield from self._requester.call(self._endpoint, _ONCE)
            except FillrateError as error:
                if not can_pass(error) or isinstance(error, ServiceUnavailable):
                    raise
                yield from self._gap(error.code, str(error))
                quote = yield from self._requester.call(self._endpoint, OUTAGE)
        except (CannotExecute, ServiceUnavailable) as error:
            yield from self._gap(error.code, str(error))
        else:
            yield from self._tell(quote)

    def _gap(self, code: str, detail: str) -> Stream[Quote | NoQuote]:
        yield from self._tell(NoQuote(error_code=code, detail=detail))

    def _tell(self, news: Quote | NoQuote | None) -> Stream[Quote | NoQuote]:
        if news is None:
            return
        self._sockets.news()
        if _is_new(news, self._last):
            self._last = news
            yield Emit(news)

    def _seconds_left(self) -> float:
        return QUIET_SECONDS if self._give_up_at is None else max(self._give_up_at - self._requester.now(), 0.0)


def _is_new(news: Quote | NoQuote, last: Quote | NoQuote | None) -> bool:
    """Whether it is another quote, or another reason; a quote's slot and time say nothing of that."""
    if isinstance(news, Quote) and isinstance(last, Quote):
        return _without_time(news) != _without_time(last)
    if isinstance(news, NoQuote) and isinstance(last, NoQuote):
        return news.error_code != last.error_code
    return True


def _without_time(quote: Quote) -> Quote:
    return quote.model_copy(update={"slot": None, "slot_lag": 0, "at": None, "age_ms": None})


def _json_object(text: str) -> Json:
    try:
        message = json.loads(text, parse_float=Decimal)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _quote(message: Json) -> Quote | None:
    try:
        return Quote.model_validate({name: value for name, value in message.items() if name != "type"})
    except ValidationError:
        return None


def _no_quote(message: Json) -> NoQuote | None:
    try:
        return NoQuote.model_validate(message)
    except ValidationError:
        return None
