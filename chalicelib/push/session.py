"""A client's WebSocket session: connect, subscribe, unsubscribe, ping, disconnect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.aws_errors import is_transient
from chalicelib.orders.store import OrderStore
from chalicelib.problems import AwsUnavailable, FillrateError, NotFound, RequestError
from chalicelib.push.connections import Connections, Subscription
from chalicelib.push.gateway import ConnectionGone, WebSocketGateway
from chalicelib.telemetry import logger
from chalicelib.wire import ClientMessage, parse_body, problem_json, validate

MAX_MESSAGE_BYTES = 4 * 1024


class Session:
    def __init__(
        self,
        store: OrderStore,
        connections: Connections,
        gateway: WebSocketGateway,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._connections = connections
        self._gateway = gateway
        self._now_ms = now_ms

    def connect(self, connection_id: str, query: Mapping[str, str]) -> None:
        """Open the connection; with `orderId` in the query it is for that order alone and ends with it.

        Raises NotFound for an unknown order: the client is refused.
        """
        order_id = query.get("orderId")
        if order_id is not None:
            self._subscribe(order_id, connection_id, closes=True)

    def receive(self, connection_id: str, body: str) -> None:
        """Answer one client message. Whatever is wrong with it is told to the client, and nothing else is."""
        try:
            reply = self._reply(connection_id, body)
        except FillrateError as error:
            reply = {"type": "error", **_as_client_sees(error)}
        except Exception as surprise:  # noqa: BLE001
            # the boundary: the gateway would send an exception's text to the client
            logger.exception("message failed", connection_id=connection_id)
            error_type = AwsUnavailable if is_transient(surprise) else FillrateError
            reply = {"type": "error", **_as_client_sees(error_type("the message failed on our side; send it again"))}
        try:
            self._gateway.post(connection_id, reply)
        except ConnectionGone:
            self._connections.forget(connection_id)

    def disconnect(self, connection_id: str) -> None:
        self._connections.forget(connection_id)

    def _reply(self, connection_id: str, body: str) -> dict[str, Any]:
        raw = body.encode(errors="surrogatepass")  # for parse_body to refuse
        if len(raw) > MAX_MESSAGE_BYTES:
            raise RequestError(f"a message may have at most {MAX_MESSAGE_BYTES} bytes")
        message = validate(ClientMessage, parse_body(raw))
        if message.action == "ping":
            return {"type": "pong"}
        if message.order_id is None:
            raise RequestError(f"orderId: is required to {message.action}")
        if message.action == "subscribe":
            self._subscribe(message.order_id, connection_id, closes=False)
            return {"type": "subscribed", "orderId": message.order_id}
        self._connections.unsubscribe(message.order_id, connection_id)
        return {"type": "unsubscribed", "orderId": message.order_id}

    def _subscribe(self, order_id: str, connection_id: str, *, closes: bool) -> None:
        if self._store.load(order_id) is None:
            raise NotFound(f"there is no order {order_id[:64]}")
        earlier = self._connections.find(
            order_id, connection_id
        )  # a connection for one order stays so if it asks again
        closes = closes or (earlier is not None and earlier.closes)
        self._connections.subscribe(Subscription(order_id, connection_id, closes, self._now_ms()))


def _as_client_sees(error: FillrateError) -> dict[str, Any]:
    problem = problem_json(error)
    return {name: problem[name] for name in ("title", "status", "detail", "errors") if name in problem}
