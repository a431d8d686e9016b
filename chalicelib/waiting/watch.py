"""The watcher: what is done with each message that goes round. One look at its pair, and the message goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import takewhile

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.delivery import Message
from chalicelib.problems import ExecutionError
from chalicelib.waiting.alongside import HandOversAlongside
from chalicelib.waiting.book import Book
from chalicelib.waiting.circulation import (
    Circulation,
    MalformedWatchMessage,
    WatchMessage,
    left_to_store,
    mints_of,
    watch_message,
)
from chalicelib.waiting.hand_over import HandOver, by_tens
from chalicelib.waiting.look import Findings, Reached, Seen, judge_all, place
from chalicelib.waiting.ports import Circulations, LookPace, LookRefused, MarketSeen, PairMarket, WatchQueue
from chalicelib.waiting.waiting_order import WaitingOrder

# Until when a look ends orders whose time is over, how long it judges, and until when it writes down what it found: the
# function's own time-out is later (.chalice/config.json), and what is left is the next look's, which follows at once.
EXPIRES_SECONDS = 1.5
JUDGES_SECONDS = 2.0
WRITES_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LookTimes:
    """`every_ms`: how long after the end of a look the next begins. `clock` gives seconds that only go forward."""

    every_ms: int
    now_ms: Callable[[], int]
    clock: Callable[[], float]


class PairWatch:
    """`hand_over` makes what one look hands orders over with, in a thread of `alongside` while it looks on.

    `pace` is None where the nodes have none.
    """

    def __init__(
        self,
        circulations: Circulations,
        queue: WatchQueue,
        book: Book,
        market: PairMarket,
        hand_over: Callable[[], HandOver],
        times: LookTimes,
        alongside: Executor,
        pace: LookPace | None = None,
    ) -> None:
        self._circulations = circulations
        self._queue = queue
        self._book = book
        self._market = market
        self._hand_over = hand_over
        self._times = times
        self._alongside = alongside
        self._pace = pace

    def handle(self, messages: Iterable[Message], owner: str) -> list[str]:
        """Look at each message's pair; returns the ids of those that must come back. Never raises."""
        return [message.message_id for message in messages if not self._handle_one(message, owner)]

    def _handle_one(self, message: Message, owner: str) -> bool:
        """True where the message is done with."""
        try:
            return self._look(watch_message(message.body), f"{owner}/{message.message_id}", message.receipt_handle)
        except MalformedWatchMessage:
            logger.error("a message names no pair", message_id=message.message_id)
            return True
        except Exception:  # noqa: BLE001
            # the boundary: whatever it was, the message comes back and the pair is looked at again
            logger.exception("a look failed; the pair will be looked at again", message_id=message.message_id)
            return False

    def _look(self, message: WatchMessage, owner: str, receipt_handle: str) -> bool:
        now_ms = self._times.now_ms()
        taken = self._circulations.take(message.pair, message.ticket, owner, now_ms)
        if isinstance(taken, LookRefused):
            return self._step_back(taken.circulation, message, owner, receipt_handle)
        circulation = taken.circulation
        if circulation.alive_at_ms is not None:
            note(Metric.LOOK_GAP_MS, max(0, now_ms - circulation.alive_at_ms))
        if not circulation.orders and self._circulations.end(message.pair, owner):
            logger.info("nothing waits for the pair's price any more", pair=message.pair)
            return True
        following, looked_at_ms = self._judge(circulation, message)
        ended_ms = self._times.now_ms()
        ticket = circulation.ticket + 1
        delay_ms = self._delay_ms(ended_ms, goes_on=following.after is not None)
        if not self._circulations.pass_on(message.pair, owner, ticket, ended_ms, ended_ms + delay_ms, looked_at_ms):
            logger.info("another watcher has the pair by now", pair=message.pair)
            return True
        self._queue.send(
            WatchMessage(message.pair, ticket, following.seen, following.after, following.round_ms), delay_ms
        )
        return True

    def _step_back(
        self, circulation: Circulation | None, message: WatchMessage, owner: str, receipt_handle: str
    ) -> bool:
        """A message that was outrun is dropped; the one that counts waits until the pair is free."""
        now_ms = self._times.now_ms()
        if circulation is None or message.ticket != circulation.ticket or not circulation.is_held(owner, now_ms):
            return True
        self._queue.show_again_in(receipt_handle, circulation.lease_until_ms - now_ms)
        return False

    def _judge(self, circulation: Circulation, message: WatchMessage) -> tuple[WatchMessage, int | None]:
        """What the next message is to say, without its ticket; and when the market was read that judged them all."""
        began, began_ms = self._times.clock(), self._times.now_ms()

        def has_time() -> bool:
            return self._times.clock() - began < WRITES_SECONDS

        hand_over = self._hand_over()
        waiting = self._without_expired(self._book.of(circulation), hand_over, began_ms, began)
        turn = [order for order in waiting if message.after is None or place(order) > message.after]
        hand_overs = HandOversAlongside(hand_over, self._alongside, has_time)
        try:
            found = self._find_out(circulation, turn, message.seen, began_ms, hand_overs.add)
        except ExecutionError as error:
            logger.info("the pair's market can't be read", pair=circulation.pair, reason=type(error).__name__)
            return WatchMessage(circulation.pair, seen=message.seen), None
        finally:
            not_handed = hand_overs.finish()
        _follow({order_id: found.seen[order_id].best_out for order_id in found.to_store}, hand_over, has_time)
        judged = {order.order_id for order in turn}
        others = {order.order_id for order in waiting} - judged
        seen = {order_id: one for order_id, one in message.seen.items() if order_id in others} | dict(found.seen)
        _follow({order_id: seen.pop(order_id).best_out for order_id in left_to_store(seen)}, hand_over, has_time)
        note(Metric.LOOK_MS, int((self._times.clock() - began) * 1000))
        round_ms = began_ms if message.round_ms is None or message.after is None else message.round_ms
        left = not_handed | {order.order_id for order in found.left}
        if left:
            after = _before_all(left, turn) or message.after or ("", 0, "")
            return WatchMessage(circulation.pair, seen=seen, after=after, round_ms=round_ms), None
        return WatchMessage(circulation.pair, seen=seen), round_ms

    def _find_out(
        self,
        circulation: Circulation,
        turn: Sequence[WaitingOrder],
        seen: Mapping[str, Seen],
        now_ms: int,
        found: Callable[[Reached, int], None],
    ) -> Findings:
        """`found` is told at once what has reached its price, at which slot. Raises ExecutionError."""
        if not turn:
            return Findings((), {}, ())
        largest: dict[str, int] = {}
        for order in turn:
            largest[order.mint_in] = max(order.amount, largest.get(order.mint_in, 0))

        def judged(market: MarketSeen) -> Findings:
            until = self._times.clock() + JUDGES_SECONDS
            return judge_all(
                turn,
                market.payments,
                seen,
                now_ms,
                has_time=lambda: self._times.clock() < until,
                turn=circulation.ticket,
                found=lambda reached: found(reached, market.slot),
            )

        return self._market(mints_of(circulation.pair), largest, judged)

    def _without_expired(
        self, waiting: Sequence[WaitingOrder], hand_over: HandOver, now_ms: int, began: float
    ) -> tuple[WaitingOrder, ...]:
        """Those whose time is not over; the others end, as many as there is time for."""
        for order in waiting:
            if _is_over(order, now_ms) and self._times.clock() - began < EXPIRES_SECONDS:
                hand_over.expire(order.order_id)
        return tuple(order for order in waiting if not _is_over(order, now_ms))

    def _delay_ms(self, now_ms: int, *, goes_on: bool) -> int:
        if goes_on:
            return 0
        paced_ms = 0 if self._pace is None else self._pace.next_at_ms(now_ms) - now_ms
        return max(self._times.every_ms, paced_ms)


def _follow(seen: Mapping[str, int], hand_over: HandOver, has_time: Callable[[], bool]) -> None:
    """Store the best amounts out of trailing stops, by the order's id, as far as there is time. Raises AwsError."""
    for some in by_tens(seen):
        if has_time():
            hand_over.follow({order_id: seen[order_id] for order_id in some})


def _before_all(left: Set[str], turn: Iterable[WaitingOrder]) -> tuple[str, int, str] | None:
    """The place up to which nothing is left for the next look; None where the first is."""
    places = sorted((place(order), order.order_id in left) for order in turn)
    done = [at for at, _ in takewhile(lambda one: not one[1], places)]
    return done[-1] if done else None


def _is_over(order: WaitingOrder, now_ms: int) -> bool:
    return order.expires_at_ms is not None and order.expires_at_ms <= now_ms
