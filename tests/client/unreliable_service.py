"""A model of the service for followers: orders that go on step by step, and sockets and answers that fail at will."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from fillrate.conversation import Effect, HttpResponse, OpenSocket, Receive, Send, SendText, SocketFailed
from fillrate.errors import NoAnswer

from tests.client.playing import answered, problem
from tests.client.sample_answers import order, pushed

Json = dict[str, Any]

TROUBLES = ("no answer", "unavailable", "refused", "closed", "silent", "lost", "twice", "fine")


class UnreliableService:
    """`histories`: each order's whole life. `visible`: how many steps of it have happened, 0 before it is placed.

    `progress` is called at each effect and says which order takes its next step; `trouble` what goes wrong. A push may
    be lost or come twice; a socket closes whenever it likes. No step is ever taken back.
    """

    def __init__(
        self,
        histories: dict[str, list[Json]],
        visible: dict[str, int],
        trouble: Callable[[], str],
        progress: Callable[[], str | None],
        *,
        replays: bool,
    ) -> None:
        self.histories = histories
        self.visible = visible
        self._trouble = trouble
        self._progress = progress
        self._replays = replays  # a socket for one order begins with its history
        self._socket: deque[str] | None = None
        self._placed = [order_id for order_id, steps in visible.items() if steps]
        self.listed = False
        self.tickets = 0
        self.used_tickets: set[str] = set()

    def answer(self, effect: Effect) -> object:
        trouble = self._trouble()
        self._step(trouble)
        match effect:
            case Send(request):
                if trouble == "no answer":
                    raise NoAnswer("lost")
                return problem(503) if trouble == "unavailable" else self._served(request.method, request.path)
            case OpenSocket(url):
                self._opened(url, trouble)
                return None
            case Receive():
                return self._received(trouble)
            case SendText():
                return None
        raise AssertionError(effect)

    def _step(self, trouble: str) -> None:
        order_id = self._progress()
        if order_id is None or self.visible[order_id] == len(self.histories[order_id]):
            return
        self.visible[order_id] += 1
        if order_id not in self._placed:
            self._placed.append(order_id)
        if self._socket is not None and trouble != "lost":
            push = json.dumps(pushed(self._history(order_id)[-1], order_id))
            self._socket.extend([push, push] if trouble == "twice" else [push])

    def _opened(self, url: str, trouble: str) -> None:
        assert url not in self.used_tickets, "a ticket is good once"
        self.used_tickets.add(url)
        if trouble == "refused":
            raise SocketFailed("refused")
        self._socket = deque()
        if self._replays:
            (order_id,) = self.histories
            self._socket.extend(json.dumps(pushed(step, order_id)) for step in self._history(order_id))

    def _received(self, trouble: str) -> str | None:
        if self._socket is None or trouble == "closed":
            self._socket = None
            raise SocketFailed("closed")
        if trouble == "silent" or not self._socket:
            return None
        return self._socket.popleft()

    def _served(self, method: str, path: str) -> HttpResponse:
        if (method, path) == ("POST", "/ws-tickets"):
            return answered(200, {"wsUrl": self._ticket()})
        if path.startswith("/orders?"):
            self.listed = True
            newest_first = [order(self._history(name), name) for name in reversed(self._placed)]
            return answered(200, {"orders": newest_first, "nextCursor": None})
        order_id = path.removeprefix("/orders/")
        return answered(200, order(self._history(order_id), order_id, self._ticket()))

    def _history(self, order_id: str) -> list[Json]:
        return self.histories[order_id][: self.visible[order_id]]

    def _ticket(self) -> str:
        self.tickets += 1
        return f"ws://service/?ticket={self.tickets}"
