"""The line of orders that wait to start. A worker that comes to it works on the one whose turn it is.

Nothing of it is needed for an order to be safe: an order is worked on by one lease, and starts once. A worker that dies
here loses at most a slot; the order is in line still, or the sweeper hands it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from chalicelib.amounts import ceil_div
from chalicelib.log import logger
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.ports import Orders
from chalicelib.orders.states import State
from chalicelib.orders.turns import GRACE_MS, LONGEST_WAIT_MS, TOLD_AGAIN_MS, TurnPolicy, Turns, Waiting
from chalicelib.problems import AwsError, Backlogged

# Longer than any two orders of an account lie apart.
_BEFORE_ALL_MS = 10**12
# A worker whose line moves on within this time waits for it itself: a queue's delay is in whole seconds, and called for
# later one comes in the second before.
WAITS_ITSELF_MS = 1_000


class Line(Protocol):
    """The Turns that all workers share, and the orders in line by account. Each method raises AwsError."""

    def turns(self) -> Turns:
        """As they stand."""

    def write(self, turns: Turns) -> bool:
        """Store what was made from `turns.revision`; False, and nothing written, where another was quicker."""

    def end(self, order_id: str) -> Turns:
        """Free the order's place, if it has one; the turns after that."""

    def join(self, waiting: Waiting) -> bool:
        """Put an order into its account's line; False where it is in it."""

    def leave(self, waiting: Waiting) -> bool:
        """Take an order out of its account's line; False where it was not in it."""

    def of(self, account: str, limit: int) -> Sequence[Waiting]:
        """The account's first orders in line: those that have started before, then the oldest."""

    def told(self, waiting: Waiting, told_ms: int) -> None:
        """Note when the client of an order in line was told that it starts."""

    def has(self, waiting: Waiting) -> bool:
        """Whether the order is in its account's line."""


class Workers(Protocol):
    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        """Hand the order to the workers, after `delay_ms` or so. Raises AwsError."""


@dataclass(frozen=True, slots=True)
class InLine:
    """The order waits, and a message brings it when its turn has come: at `start_at_ms`, about; None: as was told.

    `is_new`: it came into line just now.
    """

    start_at_ms: int | None
    is_new: bool
    instead: Waiting | None = None  # it is this one's turn, which has its place, and this worker is to work on it


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the line left: the turns, which order it started, and in how many ms this worker looks again."""

    turns: Turns
    started: Waiting | None = None
    again_in_ms: int | None = None


class Starts:
    def __init__(
        self,
        line: Line,
        store: Orders,
        workers: Workers,
        policy: TurnPolicy,
        now_ms: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        """`sleep` waits for so many seconds."""
        self._line = line
        self._store = store
        self._workers = workers
        self._policy = policy
        self._now_ms = now_ms
        self._sleep = sleep

    def take(self, order: Order) -> InLine | None:
        """A place for an order that is to be worked on, and a start slot if it starts. None: it has them, go on.

        Otherwise the order is in line, and a message brings it when its turn has come. Raises AwsError.
        """
        waiting = _waiting(order)
        while True:
            now_ms = self._now_ms()
            stands = self._line.turns().at(now_ms)
            if _has_turn(stands, waiting, now_ms):
                return None
            # one that comes too late for its slot needs another, and does not count twice
            free = stands.end(order.order_id)
            if not free.may_start(self._policy, waiting, now_ms):
                return self._wait(waiting)
            if self._line.write(free.start(self._policy, waiting, now_ms)):
                return None

    def line_up(self, order: Order) -> bool:
        """Put a new order that can't start at once into line, so that it waits for its account's turn there, and not
        in the queue behind all that others have sent. Whether a worker must be told of it: not where earlier ones of
        its account wait, and somebody was called to look at them. Raises AwsError.
        """
        waiting = _waiting(order)
        is_new = self._line.join(waiting)
        before = self._change(lambda turns: turns.join_line(waiting, is_new=is_new))
        is_seen_to = before.called_for_ms + WAITS_ITSELF_MS > self._now_ms()
        return not (is_seen_to and before.own_waiting(waiting.account))

    def leave(self, order_id: str) -> None:
        """The worker is done with the order for now: its place is free, for whoever is next."""
        try:
            self._see_to(self._line.end(order_id))
        except AwsError:
            # the place is free when its time has run out, and the line is looked at with the next order that comes
            logger.exception("the order's place was not given back", order_id=order_id)

    def _see_to(self, turns: Turns) -> None:
        """Have a worker look at the line where the place that is free now lets it go on."""
        now_ms = self._now_ms()
        in_ms = self._call_in_ms(turns.at(now_ms), now_ms)
        if in_ms is None:
            return
        delay_ms = _delay_ms(in_ms)
        if self._line.write(replace(turns, called_for_ms=now_ms + delay_ms)):
            self._call(turns, delay_ms)

    def withdraw(self, order: Order) -> None:
        """An order that ended while it waited is no longer in line. What is left of it is found when its turn comes."""
        waiting = _waiting(order)
        try:
            if self._line.leave(waiting):
                self._change(lambda turns: turns.leave_line(waiting))
        except AwsError:
            logger.exception("the order is still in line", order_id=order.order_id)

    def _change(self, change: Callable[[Turns], Turns]) -> Turns:
        """Store the turns changed, whoever else writes them; as they stood before. Raises AwsError."""
        while True:
            stands = self._line.turns()
            if self._line.write(change(stands)):
                return stands

    def estimate(self, account: str, now_ms: int) -> int:
        """When an order of the account that comes at `now_ms` would start, about: then or later. Raises AwsError.

        Raises Backlogged where more orders of the account wait than start in 15 minutes.
        """
        turns = self._line.turns().at(now_ms)
        own_ms = turns.own_waiting(account) * self._policy.rate.interval
        if own_ms > LONGEST_WAIT_MS:
            raise Backlogged(ceil_div(own_ms - LONGEST_WAIT_MS, 1000))
        return turns.estimate(self._policy, account, now_ms)

    def due_at_ms(self, order: Order) -> int | None:
        """When the pace let the next order of the line start, where this order is in it; None where it isn't.

        Raises AwsError.
        """
        if not self._line.has(_waiting(order)):
            return None
        return self._line.turns().arrival_ms - self._policy.rate.tolerance

    def moved(self) -> Iterator[tuple[str, int]]:
        """Orders in line that start at quite another time than their clients were told, and when that is now.

        Each counts as told with it. Raises AwsError.
        """
        now_ms = self._now_ms()
        turns = self._line.turns().at(now_ms)
        for account in [one for one in turns.line if one.waiting]:
            in_line = self._line.of(account.account, account.waiting + account.resuming)
            for ahead, waiting in enumerate(one for one in in_line if one.needs_slot):
                start_at_ms = turns.estimate(self._policy, waiting.account, now_ms, ahead)
                if abs(start_at_ms - waiting.told_ms) > TOLD_AGAIN_MS:
                    yield waiting.order_id, start_at_ms
                    self._line.told(waiting, start_at_ms)

    def _wait(self, waiting: Waiting) -> InLine | None:
        """Put the order into line and start the one whose turn it is, which may be this one."""
        is_new = self._line.join(waiting)
        look = self._next(waiting, is_new=is_new)
        if look.again_in_ms is not None:
            self._sleep(look.again_in_ms / 1000)
            look = self._next(waiting, may_wait=False)
        if look.started is not None and look.started.order_id == waiting.order_id:
            return None
        return InLine(
            self._expected(look.turns, waiting) if is_new and waiting.needs_slot else None, is_new, look.started
        )

    def _expected(self, turns: Turns, newest: Waiting) -> int:
        """When an order starts that is the last of its account's."""
        ahead = max(turns.own_waiting(newest.account) - 1, 0)
        return turns.estimate(self._policy, newest.account, self._now_ms(), ahead)

    def _next(self, own: Waiting, *, is_new: bool = False, may_wait: bool = True) -> _Look:
        """Start the order whose turn it is, for this worker to work on. `own` joins the line before.

        One at a time: an order that was started for another worker would come too late for its slot behind a full
        queue. Where more can start, now or later, another worker is called to look; or this one is to look again, if it
        has nothing to do and may wait.
        """
        while True:
            now_ms = self._now_ms()
            stands = self._line.turns().at(now_ms)
            if _has_turn(stands, own, now_ms):
                self._line.leave(own)
                return _Look(stands, own)
            turns, started = self._started(stands.end(own.order_id).join_line(own, is_new=is_new), now_ms)
            call_in_ms = self._call_in_ms(turns, now_ms)
            waits_itself = started is None and may_wait and call_in_ms is not None and call_in_ms <= WAITS_ITSELF_MS
            # when somebody comes: this worker for the moment itself, or another in the second before
            come_in_ms = call_in_ms if call_in_ms is None or waits_itself else _delay_ms(call_in_ms)
            if come_in_ms is not None:
                turns = replace(turns, called_for_ms=now_ms + come_in_ms)
            if self._line.write(turns):
                break
        if started is not None:
            self._line.leave(started)
            if started.order_id != own.order_id:
                # in case this worker dies: the message that it has is another order's
                self._workers.enqueue(started.order_id, self._policy.hold_ms, started.correlation_id)
        elif waits_itself:
            return _Look(turns, again_in_ms=come_in_ms)
        if come_in_ms is not None:
            self._call(turns, come_in_ms)
        return _Look(turns, started)

    def _call_in_ms(self, turns: Turns, now_ms: int) -> int | None:
        """In how many ms somebody must look at the line; None where nobody waits, or somebody looks about then."""
        look_at_ms = turns.look_at(self._policy, now_ms)
        if look_at_ms is None or now_ms < turns.called_for_ms <= look_at_ms + WAITS_ITSELF_MS:
            return None
        return look_at_ms - now_ms

    def _started(self, turns: Turns, now_ms: int) -> tuple[Turns, Waiting | None]:
        while (account := turns.next_account(self._policy, now_ms)) is not None:
            turns, able = self._first_of(turns, account.account, now_ms)
            if able is not None:
                return turns.start(self._policy, able, now_ms).leave_line(able), able
        return turns, None

    def _first_of(self, turns: Turns, account: str, now_ms: int) -> tuple[Turns, Waiting | None]:
        """The account's next order that may start; or none, and the turns with what is known of its line by now.

        Those that ended or started otherwise are taken out on the way.
        """
        most = self._policy.places + 1
        found = self._line.of(account, most)
        in_line = [one for one in found if turns.place_of(one.order_id) is None]
        slot_is_free = turns.slot_free_at(self._policy, now_ms) <= now_ms
        gone = 0
        for waiting in in_line:
            if waiting.needs_slot and not slot_is_free:
                break
            if self._waits(waiting):
                return turns, waiting
            gone += 1
        return turns.counted_anew(account, len(in_line) - gone if len(found) < most else None), None

    def _waits(self, waiting: Waiting) -> bool:
        """Whether it is as it was when it came into line; out of it if not."""
        order = self._store.load(waiting.order_id)
        waits = order is not None and not order.is_terminal and order.state is not State.OPEN
        if order is not None and waits and _waiting(order).needs_slot == waiting.needs_slot:
            return True
        self._line.leave(waiting)
        return False

    def _call(self, turns: Turns, delay_ms: int) -> None:
        """Have some worker look at the line. The message is of an order in it, of one that waits still: a worker drops
        that of any other.
        """
        for account in turns.line:
            if not account.waits:
                continue
            for waiting in self._line.of(account.account, self._policy.places + 1):
                if self._waits(waiting):
                    self._workers.enqueue(waiting.order_id, delay_ms, waiting.correlation_id)
                    return


def _delay_ms(in_ms: int) -> int:
    """After how long a worker is to come that looks in `in_ms`: a queue's delay is in whole seconds."""
    return in_ms - in_ms % WAITS_ITSELF_MS


def _has_turn(turns: Turns, waiting: Waiting, now_ms: int) -> bool:
    """Whether the order was given its place, and comes in time for its slot."""
    place = turns.place_of(waiting.order_id)
    return place is not None and (not waiting.needs_slot or now_ms <= place.at_ms + GRACE_MS)


def _since_ms(order: Order) -> int:
    """By when it takes its turn among the orders of its account: a triggered stop before all that are no stops."""
    if order.trigger is not None and order.trigger.kind is TriggerKind.STOP:
        return max(order.trigger.at_ms - _BEFORE_ALL_MS, 0)
    return order.created_at_ms


def _waiting(order: Order) -> Waiting:
    return Waiting(
        order.order_id,
        order.account,
        since_ms=_since_ms(order),
        needs_slot=order.state is State.PENDING,
        told_ms=order.start_at_ms,
        correlation_id=order.correlation_id,
    )
