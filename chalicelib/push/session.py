"""A client's WebSocket session: connect, subscribe, stream quotes, unsubscribe, ping, disconnect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.tickets import Ticket
from chalicelib.amounts import ceil_div
from chalicelib.aws.dynamodb.rate_cell import TooSoon, Unusable
from chalicelib.aws.websocket_gateway import ConnectionGone, WebSocketGateway
from chalicelib.contract.requests import ClientMessage, parse_body, validate
from chalicelib.contract.views import problem_json
from chalicelib.log import logger
from chalicelib.orders.ports import Orders
from chalicelib.problems import (
    AwsUnavailable,
    ExecutionError,
    FillrateError,
    MessageTooLarge,
    NotFound,
    RateLimited,
    RequestError,
    TooManyConnections,
    TooManySubscriptions,
    Unauthorized,
)
from chalicelib.push.connection_table import ConnectionTable, Speaker, Watches
from chalicelib.push.connections import Connections, Subscription, account_partition
from chalicelib.push.stream_requests import StreamRequests

MAX_MESSAGE_BYTES = 4 * 1024
MAX_SUBSCRIPTIONS = 50

# After one of these nothing more is heard from the connection.
_ENDS_CONNECTION = (MessageTooLarge, RateLimited, TooManySubscriptions, Unauthorized)


class Session:
    """`account_without_ticket` is whose a connection is that shows no ticket; None where none may connect so."""

    def __init__(
        self,
        store: Orders,
        connections: Connections,
        connection_table: ConnectionTable,
        gateway: WebSocketGateway,
        tickets: TicketOffice,
        now_ms: Callable[[], int],
        account_without_ticket: str | None,
        streams: StreamRequests,
    ) -> None:
        self._streams = streams
        self._store = store
        self._connections = connections
        self._connection_table = connection_table
        self._gateway = gateway
        self._tickets = tickets
        self._now_ms = now_ms
        self._account_without_ticket = account_without_ticket

    def connect(self, connection_id: str, query: Mapping[str, str]) -> None:
        """Open the connection, for one order (then it ends with it) or for all of the account's, as its ticket says.

        Raises Unauthorized without a ticket that is valid and unused, NotFound for an order that the account doesn't
        have, TooManyConnections where it or the key has as many open as it may: the client is refused.
        """
        order_id, text = query.get("orderId"), query.get("ticket")
        if text is not None:
            ticket = self._used_up(text, order_id, connection_id)
            account, key_id, all_orders = ticket.account, ticket.key_id, ticket.order_id is None
        elif self._account_without_ticket is not None:
            account, key_id, all_orders = self._account_without_ticket, None, False
        else:
            raise Unauthorized("connect with a ticket: POST /ws-tickets gives one")
        if order_id is not None:
            self._check_order(account, order_id)
        watches = Watches.STREAM if all_orders else None if order_id is None else Watches.ORDERS
        self._connection_table.open(connection_id, account, key_id, self._now_ms(), watches)
        watched = order_id or (account_partition(account) if all_orders else None)
        if watched is not None:
            closes = order_id is not None
            self._connections.subscribe(Subscription(watched, connection_id, closes, self._now_ms()))

    def admit(self, connection_id: str, query: Mapping[str, str]) -> dict[str, int]:
        """`connect` as the gateway hears it: the handshake's status is all that a refused client can be told."""
        try:
            self.connect(connection_id, query)
        except RequestError as error:
            logger.info("connection refused", connection_id=connection_id, why=str(error))
            return {"statusCode": 429 if isinstance(error, TooManyConnections) else 403}
        return {"statusCode": 200}

    def receive(self, connection_id: str, body: str) -> None:
        """Answer one client message. Whatever is wrong with it is told to the client, and nothing else is.

        A client that goes beyond the limits is told which, and then its connection is closed.
        """
        closes = False
        try:
            reply = self._reply(connection_id, body)
        except (RequestError, ExecutionError) as error:
            closes = isinstance(error, _ENDS_CONNECTION)
            reply = {"type": "error", **_as_client_sees(error)}
        except Exception as surprise:  # noqa: BLE001
            # the boundary: the gateway would send an exception's text to the client
            logger.exception("message failed", connection_id=connection_id)
            error_type = AwsUnavailable if isinstance(surprise, AwsUnavailable) else FillrateError
            reply = {"type": "error", **_as_client_sees(error_type("the message failed on our side; send it again"))}
        try:
            self._tell(connection_id, reply, closes=closes)
        except Exception:  # noqa: BLE001
            # the same boundary: the client has no answer, and the log why
            logger.exception("answer not sent", connection_id=connection_id)

    def _tell(self, connection_id: str, reply: dict[str, Any], *, closes: bool) -> None:
        try:
            self._gateway.post(connection_id, reply)
        except ConnectionGone:
            closes = True
        if closes:
            self._gateway.close(connection_id)
            self.disconnect(connection_id)

    def disconnect(self, connection_id: str) -> None:
        self._connections.forget(connection_id)
        closed = self._connection_table.close(connection_id)
        if closed is not None:
            self._streams.forget(closed)

    def _used_up(self, text: str, order_id: str | None, connection_id: str) -> Ticket:
        ticket = self._tickets.check(text)
        if order_id != ticket.order_id:
            raise Unauthorized("the ticket is for something else; ask for one for this order")
        if not self._connection_table.use_ticket(ticket, connection_id):
            raise Unauthorized("the ticket was used already; ask for a new one")
        return ticket

    def _reply(self, connection_id: str, body: str) -> dict[str, Any]:
        raw = body.encode(errors="surrogatepass")  # for parse_body to refuse
        if len(raw) > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(f"a message may have at most {MAX_MESSAGE_BYTES} bytes; the connection is closed")
        speaker = self._heard(connection_id)
        content = parse_body(raw)
        if self._streams.are_meant(content):
            return self._streams.answer(connection_id, speaker.account, content)
        message = validate(ClientMessage, content)
        if message.action == "ping":
            return {"type": "pong"}
        if message.order_id is None:
            raise RequestError(f"orderId: is required to {message.action}")
        if message.action == "subscribe":
            self._subscribe(speaker, message.order_id, connection_id)
            return {"type": "subscribed", "orderId": message.order_id}
        self._connections.unsubscribe(message.order_id, connection_id)
        return {"type": "unsubscribed", "orderId": message.order_id}

    def _heard(self, connection_id: str) -> Speaker:
        """Whose connection it is; counts the message."""
        try:
            return self._connection_table.hear(connection_id, self._now_ms())
        except Unusable:
            raise Unauthorized("this connection is not known any more; connect again") from None
        except TooSoon as error:
            raise RateLimited(
                "more than 10 messages a second, the connection is closed", ceil_div(error.wait, 1_000_000)
            ) from None

    def _subscribe(self, speaker: Speaker, order_id: str, connection_id: str) -> None:
        self._check_order(speaker.account, order_id)
        earlier = self._connections.find(order_id, connection_id)
        if earlier is None and self._connections.count(connection_id, MAX_SUBSCRIPTIONS) >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptions(f"a connection may have at most {MAX_SUBSCRIPTIONS} subscriptions; it is closed")
        closes = earlier is not None and earlier.closes  # a connection for one order stays so
        if speaker.watches is Watches.STREAM:
            # before the subscription is there: from then on somebody must look for it
            self._connection_table.widen(connection_id, speaker.account, speaker.watches)
        self._connections.subscribe(Subscription(order_id, connection_id, closes, self._now_ms()))

    def _check_order(self, account: str, order_id: str) -> None:
        order = self._store.load(order_id)
        if order is None or order.account != account:
            raise NotFound(f"there is no order {order_id[:64]}")


def _as_client_sees(error: FillrateError) -> dict[str, Any]:
    problem = problem_json(error)
    return {name: problem[name] for name in ("title", "status", "detail", "errors") if name in problem}
