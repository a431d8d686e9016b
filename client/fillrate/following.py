"""Following one order, or all of an account's, over the WebSocket: without a gap and without a repetition.

A socket's address is good for one connection, so each connection begins with a GET or a ticket. What the GET tells is
told first; then the socket is listened to; `seq` keeps what is known already from being told again. Where no socket
can be had, the GETs alone go on.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from pydantic import ValidationError

from fillrate.conversation import Emit, SocketFailed, Stream, StreamTo, Talk, open_socket, receive, send_text, sleep
from fillrate.endpoints import get_order, get_orders, post_ticket
from fillrate.errors import FillrateError, NotEnded, NotFound, TooManyRequests
from fillrate.models import Order, StatusEvent
from fillrate.retrying import Requester, RetryPolicy, can_pass

# A quiet socket may be a dead one, so the order is looked at now and then.
QUIET_SECONDS = 10.0
# API Gateway closes a connection that was idle for 10 minutes; its own ping frames don't count.
PING_SECONDS = 240.0
POLL_SECONDS = 1.0
# After this many sockets in a row that could not be opened, none is tried for a while.
REFUSALS = 2
NO_SOCKET_SECONDS = 30.0
# For a service that goes away for a moment, as for a restart; attempts are bounded by the time.
OUTAGE = RetryPolicy(attempts=1_000, first_delay=0.25, longest_delay=5.0, patience=60.0)
# Orders of an account whose last step is remembered.
REMEMBERED_ORDERS = 10_000
_PAGE = 100


@dataclass(slots=True)
class Sockets:
    """Whether a socket is worth trying. Times are seconds of the requester's clock."""

    requester: Requester
    _refused: int = 0
    _not_before: float = 0.0
    _broken: int = 0

    @property
    def worth_trying(self) -> bool:
        return self.requester.now() >= self._not_before

    def open(self, url: str) -> Talk[bool]:
        """False where it can't be had."""
        try:
            yield from open_socket(url)
        except SocketFailed:
            self._refused += 1
            if self._refused >= REFUSALS:
                self.none_for_now()
            return False
        self._refused = 0
        return True

    def address(self) -> Talk[str | None]:
        """The address of a new socket; None where the service says that no more may be open, or has none."""
        try:
            ticket = yield from self.requester.call(post_ticket(None), OUTAGE)
        except (TooManyRequests, NotFound) as refusal:
            if refusal.code not in ("TOO_MANY_CONNECTIONS", "NO_WEBSOCKET"):
                raise
            self.none_for_now()
            return None
        return ticket.ws_url

    def none_for_now(self) -> None:
        """There are none, or as many as may be are open: the GETs do for a while."""
        self._not_before = self.requester.now() + NO_SOCKET_SECONDS

    def news(self) -> None:
        """Something came: the next break is the first again."""
        self._broken = 0

    def pause(self) -> Talk[None]:
        """Before the next connection, or the next look where there is none."""
        if not self.worth_trying:
            yield from sleep(POLL_SECONDS)
            return
        self._broken += 1
        longest = min(0.1 * 2 ** min(self._broken, 10), 5.0)
        yield from sleep(self.requester.random.uniform(longest / 2, longest))


class OrderFollower:
    """One order from `after_seq` on to its end. `timeout`: seconds after which NotEnded is raised; None: never."""

    def __init__(self, requester: Requester, order_id: str, after_seq: int = 0, timeout: float | None = None) -> None:
        self._requester = requester
        self._order_id = order_id
        self._seq = after_seq
        self._timeout = timeout
        self._give_up_at = None if timeout is None else requester.now() + timeout
        self._sockets = Sockets(requester)
        self._ended = False
        # A service that was there may be away for a deploy; one that never was is not waited for as long.
        self._reached = False

    def follow(self, ws_url: str | None = None) -> Stream[StatusEvent]:
        """Each step once, in order. `ws_url`: an address that has not been used yet."""
        while True:
            if ws_url is None:
                ws_url = yield from self._look()
                if ws_url is None:
                    self._sockets.none_for_now()
            if not self._ended and ws_url and self._sockets.worth_trying:
                opened = yield from self._sockets.open(ws_url)
                if opened:
                    self._reached = True
                    yield from self._listen()
            if self._ended:
                return
            ws_url = None
            self._check_time()
            yield from self._sockets.pause()

    def _look(self) -> StreamTo[StatusEvent, str | None]:
        """Ask for the order and tell what is new in it; returns a fresh address."""
        policy = OUTAGE if self._reached else self._requester.policy
        if self._give_up_at is not None:
            policy = replace(policy, patience=min(policy.patience, self._give_up_at - self._requester.now()))
        try:
            order = yield from self._requester.call(get_order(self._order_id), policy)
        except FillrateError as error:
            if can_pass(error) and self._reached:
                self._check_time()
            raise
        self._reached = True
        yield from self._tell(order.events(self._seq))
        self._ended = self._ended or order.is_terminal
        return order.ws_url

    def _tell(self, events: Iterable[StatusEvent]) -> Stream[StatusEvent]:
        for event in events:
            if event.seq > self._seq:
                self._seq = event.seq
                self._ended = event.is_terminal
                self._sockets.news()
                yield Emit(event)

    def _listen(self) -> Stream[StatusEvent]:
        """Until the order's end, or the socket's."""
        heard_at = self._requester.now()
        try:
            while not self._ended:
                text = yield from receive(min(QUIET_SECONDS, self._time_left()))
                if text is None:
                    self._check_time()
                    yield from self._look()
                    heard_at = yield from _keep_alive(self._requester, heard_at)
                    continue
                heard_at = self._requester.now()
                event = read_event(text)
                if event is None or event.order_id != self._order_id:
                    continue
                if event.seq > self._seq + 1:
                    yield from self._look()
                yield from self._tell([event])
        except SocketFailed:
            return

    def _time_left(self) -> float:
        return QUIET_SECONDS if self._give_up_at is None else max(self._give_up_at - self._requester.now(), 0.0)

    def _check_time(self) -> None:
        if self._give_up_at is not None and self._timeout is not None and self._requester.now() >= self._give_up_at:
            raise NotEnded(self._order_id, self._timeout)


class AccountFollower:
    """Every change of every order of the account, from now on. `timeout`: seconds after which it ends; None: never."""

    def __init__(self, requester: Requester, timeout: float | None = None) -> None:
        self._requester = requester
        self._give_up_at = None if timeout is None else requester.now() + timeout
        self._sockets = Sockets(requester)
        # What was told or was there before: each order's last seq, and whether it may still change.
        self._known: OrderedDict[str, tuple[int, bool]] = OrderedDict()

    def follow(self) -> Stream[StatusEvent]:
        """Each step once, those of one order in their order."""
        page = yield from self._requester.call(get_orders(limit=_PAGE))
        for order in reversed(page.orders):
            self._remember(order.order_id, order.history[-1].seq, is_open=not order.is_terminal)
        while self._seconds_left() > 0:
            opened = False
            if self._sockets.worth_trying:
                ws_url = yield from self._sockets.address()
                opened = ws_url is not None and (yield from self._sockets.open(ws_url))
            # only now that the socket is open can nothing fall between
            yield from self._catch_up()
            if opened:
                yield from self._listen()
            if self._seconds_left() > 0:
                yield from self._sockets.pause()

    def _catch_up(self) -> Stream[StatusEvent]:
        """Tell what has changed meanwhile: newer orders, and those that were open."""
        waiting = {order_id for order_id, (_, is_open) in self._known.items() if is_open}
        for order in (yield from self._changed_orders()):
            waiting.discard(order.order_id)
            yield from self._tell(order.events())
        for order_id in waiting:
            order = yield from self._requester.call(get_order(order_id), OUTAGE)
            yield from self._tell(order.events())

    def _changed_orders(self) -> Talk[list[Order]]:
        """The newest orders down to one that was known already, the oldest first."""
        found: list[Order] = []
        cursor: str | None = None
        while True:
            page = yield from self._requester.call(get_orders(limit=_PAGE, cursor=cursor), OUTAGE)
            found += page.orders
            cursor = page.next_cursor
            if cursor is None or any(order.order_id in self._known for order in page.orders):
                return found[::-1]

    def _listen(self) -> Stream[StatusEvent]:
        heard_at = self._requester.now()
        try:
            while self._seconds_left() > 0:
                text = yield from receive(min(QUIET_SECONDS, self._seconds_left()))
                if text is None:
                    if self._has_open_orders() or self._requester.now() - heard_at >= PING_SECONDS:
                        yield from self._catch_up()
                    heard_at = yield from _keep_alive(self._requester, heard_at)
                    continue
                heard_at = self._requester.now()
                event = read_event(text)
                if event is None:
                    continue
                if event.seq > self._known.get(event.order_id, (0, True))[0] + 1:
                    yield from self._fill_gap(event.order_id)
                yield from self._tell([event])
        except SocketFailed:
            return

    def _fill_gap(self, order_id: str) -> Stream[StatusEvent]:
        """Of an order that is not known yet, all is told where it is a new one; an old one's past is the past."""
        if order_id in self._known:
            order = yield from self._requester.call(get_order(order_id), OUTAGE)
            yield from self._tell(order.events())
        else:
            yield from self._catch_up()

    def _has_open_orders(self) -> bool:
        return any(is_open for _, is_open in self._known.values())

    def _tell(self, events: Iterable[StatusEvent]) -> Stream[StatusEvent]:
        for event in events:
            if event.seq > self._known.get(event.order_id, (0, True))[0]:
                self._remember(event.order_id, event.seq, is_open=not event.is_terminal)
                self._sockets.news()
                yield Emit(event)

    def _remember(self, order_id: str, seq: int, *, is_open: bool) -> None:
        self._known[order_id] = (seq, is_open)
        self._known.move_to_end(order_id)
        while len(self._known) > REMEMBERED_ORDERS:
            self._known.popitem(last=False)

    def _seconds_left(self) -> float:
        return QUIET_SECONDS if self._give_up_at is None else max(self._give_up_at - self._requester.now(), 0.0)


def read_event(text: str) -> StatusEvent | None:
    """A pushed status; None for pongs, errors and kinds of messages that this client doesn't know."""
    try:
        message = json.loads(text, parse_float=Decimal)
        return StatusEvent.model_validate(message) if message.get("type") == "status" else None
    except (ValueError, AttributeError, ValidationError):
        return None


def _keep_alive(requester: Requester, heard_at: float) -> Talk[float]:
    """Send a ping where nothing has come for long; returns when that was, or the earlier time."""
    if requester.now() - heard_at < PING_SECONDS:
        return heard_at
    yield from send_text(json.dumps({"action": "ping"}))
    return requester.now()
