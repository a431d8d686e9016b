"""What a client says over the WebSocket about streams of quotes, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.contract.requests import QuotesEndMessage, validate
from chalicelib.contract.views import stream_begun_message
from chalicelib.log import logger
from chalicelib.orders.order import Token
from chalicelib.problems import AwsError
from chalicelib.push.connection_table import ClosedConnection
from chalicelib.push.quote_stream_table import QuoteStreamTable
from chalicelib.waiting.quote_stream import QuoteStream
from chalicelib.waiting.waking_orders import PairWakes

# How often a stream is ended that its client asks for again at the same moment.
_END_TRIES = 3


class StreamRequests:
    """`read` finds in a client's message two tokens, an amount in base units and a slippage in millionths.

    It raises InvalidRequest naming each wrong field, and ExecutionError where no node tells which tokens there are.
    """

    def __init__(
        self,
        streams: QuoteStreamTable,
        read: Callable[[Mapping[str, Any]], tuple[Token, Token, int, int]],
        wakes: PairWakes,
        now_ms: Callable[[], int],
    ) -> None:
        self._streams = streams
        self._read = read
        self._wakes = wakes
        self._now_ms = now_ms

    def are_meant(self, content: Mapping[str, Any]) -> bool:
        """Whether the client's message is about quotes."""
        ends = content.get("action") == "unsubscribe" and "orderId" not in content
        return content.get("action") == "quotes" or (ends and ("tokenIn" in content or "tokenOut" in content))

    def answer(self, connection_id: str, account: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Begin, renew or end a stream; the answer to its client.

        Raises what `read` and QuoteStreamTable.ask raise.
        """
        if content["action"] == "quotes":
            return stream_begun_message(self._begin(connection_id, account, content))
        message = validate(QuotesEndMessage, content)
        self._end(connection_id, message.token_in, message.token_out)
        return {"type": "unsubscribed", "tokenIn": message.token_in, "tokenOut": message.token_out}

    def forget(self, closed: ClosedConnection) -> None:
        """End the streams of a connection that is closed. Raises AwsError."""
        self._streams.forget(closed)

    def _begin(self, connection_id: str, account: str, content: Mapping[str, Any]) -> QuoteStream:
        token_in, token_out, amount, slippage_ppm = self._read(content)
        stream = QuoteStream(
            connection_id=connection_id,
            account=account,
            token_in=token_in,
            token_out=token_out,
            amount=amount,
            slippage_ppm=slippage_ppm,
            asked_at_ms=self._now_ms(),
        )
        self._streams.ask(stream)
        try:
            self._wakes.wake(token_in.mint, token_out.mint)
        except AwsError:
            logger.exception("its pair is not looked at yet; the sweeper sees to it", connection_id=connection_id)
        return stream

    def _end(self, connection_id: str, token_in: str, token_out: str) -> None:
        for _ in range(_END_TRIES):
            meant = [
                stream
                for stream in self._streams.of_connection(connection_id)
                if _is_called(stream.token_in, token_in) and _is_called(stream.token_out, token_out)
            ]
            ended = [self._streams.end(stream) for stream in meant]
            if all(ended):
                return


def _is_called(token: Token, text: str) -> bool:
    return text == token.mint or text.upper() == token.text.upper()
