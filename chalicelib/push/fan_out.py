"""Posts to many connections at once, so that none waits for another. Clock and sleep are passed in.

Each connection gets its messages in their order. Accounts take turns, and one account has a share of the threads and of
a batch's messages, so that what one account's connections cost is that account's. A connection that is gone, slow,
limited or beyond its account's share is left with a fate for the caller to act upon.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Condition
from typing import Any

from chalicelib.aws.websocket_gateway import ConnectionBusy, ConnectionGone, WebSocketGateway
from chalicelib.log import logger
from chalicelib.problems import AwsError, AwsUnavailable

POSTS_AT_ONCE = 16
POSTS_AT_ONCE_OF_AN_ACCOUNT = 4
# More than this in one batch is a flood. (An account's only connection gets all of its messages.)
MESSAGES_OF_AN_ACCOUNT = 200
# How long the posts to one connection may take together, and when the last post of a batch begins. A post takes
# milliseconds; only what is stuck comes near these, also on a machine that is busy with much else.
CONNECTION_SECONDS = 2.0
BATCH_SECONDS = 3.0
# What may pass is tried again so long after the batch began, once for all connections together.
PAUSES_SECONDS = (0.1,)
# Where an account has more connections that aren't established, a batch tries so many of those that it waits for, in
# turn, and none of them twice: it is not made longer by however many never come.
ESTABLISHING_OF_AN_ACCOUNT = 8


@dataclass(frozen=True, slots=True)
class Budget:
    """How long the posts to one connection may take together, and when the last post of a batch begins; seconds."""

    connection_seconds: float = CONNECTION_SECONDS
    batch_seconds: float = BATCH_SECONDS


class Fate(Enum):
    """What became of a connection's messages."""

    WAITING = auto()
    SENT = auto()
    GONE = auto()
    # One can't post to a connection before its $connect has returned.
    NOT_ESTABLISHED = auto()
    # It is slow or limited, or its account has more to be sent than its share.
    TOO_SLOW = auto()
    # AWS's failure, and not the connection's.
    FAILED = auto()


@dataclass(slots=True)
class Outbox:
    """What one connection is to be sent, in this order, and how far that has come.

    `established`: it is so old that a gateway that doesn't know it has lost it, and doesn't get to know it yet.
    `waits`: for so many batches it was too early for it, so it is tried once only, after the pause.
    """

    connection_id: str
    account: str
    established: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0
    fate: Fate = Fate.WAITING
    error: AwsError | None = None
    spent_seconds: float = 0.0
    waits: int = 0

    @property
    def is_done(self) -> bool:
        return self.sent == len(self.messages)

    @property
    def has_begun(self) -> bool:
        """Whether the gateway must know the connection."""
        return self.established or self.sent > 0

    @property
    def is_patient(self) -> bool:
        """Whether it is waited for since an earlier batch."""
        return self.waits > 0 and not self.established


class FanOut:
    """`monotonic` is a clock of seconds."""

    def __init__(
        self,
        gateway: WebSocketGateway,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        budget: Budget = Budget(),
    ) -> None:
        self._budget = budget
        self._gateway = gateway
        self._monotonic = monotonic
        self._sleep = sleep

    def post(self, outboxes: Iterable[Outbox]) -> None:
        """Post what is due; afterwards each outbox has its fate. Raises nothing of the gateway's."""
        waiting = _within_their_shares(outboxes)
        began = self._monotonic()
        deadline = began + self._budget.batch_seconds
        self._once([outbox for outbox in waiting if not outbox.is_patient], deadline)
        for pause in PAUSES_SECONDS:
            waiting = _but_few_establishing([outbox for outbox in waiting if self._may_pass(outbox)])
            if not waiting:
                return
            self._sleep(max(0.0, began + pause - self._monotonic()))
            self._once(waiting, deadline)

    def _once(self, outboxes: list[Outbox], deadline: float) -> None:
        turns = _Turns(outboxes)
        threads = min(POSTS_AT_ONCE, turns.at_once)
        if threads <= 1:
            self._serve(turns, deadline)
            return
        with ThreadPoolExecutor(threads) as pool:
            serving = [pool.submit(copy_context().run, self._serve, turns, deadline) for _ in range(threads)]
        for one in serving:
            one.result()

    def _serve(self, turns: _Turns, deadline: float) -> None:
        while (outbox := turns.take()) is not None:
            try:
                self._post_next(outbox, deadline)
            finally:
                turns.give_back(outbox)

    def _post_next(self, outbox: Outbox, deadline: float) -> None:
        """Post one message. The outbox's fate is settled unless it has more and may go on."""
        began = self._monotonic()
        if began >= deadline or outbox.spent_seconds >= self._budget.connection_seconds:
            if outbox.fate is Fate.WAITING:
                outbox.fate = Fate.TOO_SLOW if outbox.has_begun else Fate.NOT_ESTABLISHED
            return
        outbox.fate, outbox.error = Fate.WAITING, None
        try:
            self._gateway.post(outbox.connection_id, outbox.messages[outbox.sent])
            outbox.sent += 1
            outbox.fate = Fate.SENT if outbox.is_done else Fate.WAITING
        except ConnectionGone:
            outbox.fate = Fate.GONE if outbox.has_begun else Fate.NOT_ESTABLISHED
        except ConnectionBusy:
            outbox.fate = Fate.TOO_SLOW
        except AwsError as error:
            outbox.fate, outbox.error = Fate.FAILED, error
        except Exception:  # noqa: BLE001
            # the boundary: whatever is wrong with one connection's messages, the others' go out
            logger.exception("post failed", connection_id=outbox.connection_id)
            outbox.fate = Fate.TOO_SLOW
        finally:
            outbox.spent_seconds += self._monotonic() - began

    def _may_pass(self, outbox: Outbox) -> bool:
        if outbox.spent_seconds >= self._budget.connection_seconds:
            return False
        match outbox.fate:
            case Fate.WAITING | Fate.NOT_ESTABLISHED | Fate.TOO_SLOW:
                return True
            case Fate.FAILED:
                return isinstance(outbox.error, AwsUnavailable)
        return False


def _within_their_shares(outboxes: Iterable[Outbox]) -> list[Outbox]:
    """Those with something to be posted, less those beyond their account's share, which are TOO_SLOW."""
    by_account: defaultdict[str, list[Outbox]] = defaultdict(list)
    for outbox in outboxes:
        if outbox.is_done:
            outbox.fate = Fate.SENT
        else:
            by_account[outbox.account].append(outbox)
    within = []
    for theirs in by_account.values():
        messages = 0
        for number, outbox in enumerate(sorted(theirs, key=lambda one: len(one.messages))):
            messages += len(outbox.messages)
            if number and messages > MESSAGES_OF_AN_ACCOUNT:
                outbox.fate = Fate.TOO_SLOW
            else:
                within.append(outbox)
    return within


def _but_few_establishing(outboxes: list[Outbox]) -> list[Outbox]:
    """Without most of an account's that aren't established, if they are many; those left out are NOT_ESTABLISHED."""
    by_account: defaultdict[str, list[Outbox]] = defaultdict(list)
    for outbox in outboxes:
        if outbox.is_patient or outbox.fate is Fate.NOT_ESTABLISHED:
            by_account[outbox.account].append(outbox)
    left_out: set[str] = set()
    for theirs in by_account.values():
        if len(theirs) > ESTABLISHING_OF_AN_ACCOUNT:
            tried = {outbox.connection_id for outbox in _in_turn(theirs)}
            left_out |= {outbox.connection_id for outbox in theirs} - tried
    for outbox in outboxes:
        if outbox.connection_id in left_out:
            outbox.fate = Fate.NOT_ESTABLISHED
    return [outbox for outbox in outboxes if outbox.connection_id not in left_out]


def _in_turn(establishing: list[Outbox]) -> list[Outbox]:
    """Those of an account's patient ones whose turn it is: in the next batch it is others'."""
    patient = sorted((one for one in establishing if one.is_patient), key=lambda one: one.connection_id)

    def place(numbered: tuple[int, Outbox]) -> int:
        number, outbox = numbered
        return (number - (outbox.waits - 1) * ESTABLISHING_OF_AN_ACCOUNT) % len(patient)

    return [outbox for _, outbox in sorted(enumerate(patient), key=place)[:ESTABLISHING_OF_AN_ACCOUNT]]


class _Turns:
    """Whose message is next: accounts in turn, and each account's connections in turn. For several threads."""

    def __init__(self, outboxes: Iterable[Outbox]) -> None:
        self._changed = Condition()
        self._idle: dict[str, deque[Outbox]] = {}
        for outbox in outboxes:
            self._idle.setdefault(outbox.account, deque()).append(outbox)
        self._accounts = deque(sorted(self._idle, key=lambda account: len(self._idle[account])))
        self._busy: dict[str, int] = dict.fromkeys(self._accounts, 0)

    @property
    def at_once(self) -> int:
        """How many can be posted to at one time, of all accounts together."""
        return sum(min(len(theirs), POSTS_AT_ONCE_OF_AN_ACCOUNT) for theirs in self._idle.values())

    def take(self) -> Outbox | None:
        """The next one to post to, waited for; None where nothing is left to be posted."""
        with self._changed:
            while True:
                for _ in range(len(self._accounts)):
                    account = self._accounts[0]
                    self._accounts.rotate(-1)
                    if self._idle[account] and self._busy[account] < POSTS_AT_ONCE_OF_AN_ACCOUNT:
                        self._busy[account] += 1
                        return self._idle[account].popleft()
                if not any(self._busy.values()) and not any(self._idle.values()):
                    return None
                self._changed.wait()

    def give_back(self, outbox: Outbox) -> None:
        """After one message: it waits for its next turn, if it is to go on."""
        with self._changed:
            self._busy[outbox.account] -= 1
            if outbox.fate is Fate.WAITING:
                self._idle[outbox.account].append(outbox)
            self._changed.notify_all()
