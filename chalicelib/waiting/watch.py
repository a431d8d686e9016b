"""The watcher: what is done with each message that goes round. One look at its pair, and the message goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Executor
from dataclasses import dataclass, replace
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
from chalicelib.waiting.quote_stream import TOLD_EVERY_MS, QuoteNews
from chalicelib.waiting.quote_streaming import TELLS_SECONDS, LookStreams, QuoteStreaming
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


@dataclass(frozen=True, slots=True)
class _LookFound:
    """What a look found out at `slot`: of its orders, None where the market can't be read, and for its streams."""

    slot: int
    orders: Findings | None
    news: Mapping[str, QuoteNews]


class PairWatch:
    """`hand_over` makes what one look hands orders over with, in a thread of `alongside` while it looks on.

    `streaming` tells quotes to those who stream them. `pace` is None where the nodes have none.
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
        streaming: QuoteStreaming,
        pace: LookPace | None = None,
    ) -> None:
        self._circulations = circulations
        self._queue = queue
        self._book = book
        self._market = market
        self._hand_over = hand_over
        self._times = times
        self._alongside = alongside
        self._streaming = streaming
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
        streams = self._streaming.of_look(circulation, now_ms)
        streamless_at = circulation.stream_starts if streams.are_all and not streams.going_on else None
        is_idle = streamless_at is not None and not circulation.orders
        if is_idle and self._circulations.end(message.pair, owner, circulation.stream_starts):
            logger.info("nothing waits for the pair's price any more", pair=message.pair)
            return True
        try:
            return self._carry_on(circulation, streams, message, owner, streamless_at)
        finally:
            streams.finish()

    def _carry_on(
        self,
        circulation: Circulation,
        streams: LookStreams,
        message: WatchMessage,
        owner: str,
        streamless_at: int | None,
    ) -> bool:
        """The look itself, and the message goes on."""
        following, looked_at_ms = self._judge(circulation, streams, message)
        ended_ms = self._times.now_ms()
        ticket = circulation.ticket + 1
        streams_go_on = bool(streams.going_on)
        delay_ms = self._delay_ms(ended_ms, goes_on=following.after is not None, streams=streams_go_on)
        if not self._circulations.pass_on(
            message.pair, owner, ticket, ended_ms, ended_ms + delay_ms, looked_at_ms, streamless_at or None
        ):
            logger.info("another watcher has the pair by now", pair=message.pair)
            return True
        self._queue.send(replace(following, ticket=ticket), delay_ms)
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

    def _judge(
        self, circulation: Circulation, streams: LookStreams, message: WatchMessage
    ) -> tuple[WatchMessage, int | None]:
        """What the next message is to say, without its ticket; and when the market was read that judged them all."""
        began, began_ms = self._times.clock(), self._times.now_ms()

        def has_time() -> bool:
            return self._times.clock() - began < WRITES_SECONDS

        hand_over = self._hand_over()
        orders = self._book.of(circulation) if circulation.orders else ()
        waiting = self._without_expired(orders, hand_over, began_ms, began)
        turn = [order for order in waiting if message.after is None or place(order) > message.after]
        hand_overs = HandOversAlongside(hand_over, self._alongside, has_time)
        try:
            found = self._find_out(circulation, turn, streams, message.seen, began_ms, hand_overs.add)
        finally:
            not_handed = hand_overs.finish()
        if self._times.clock() - began < TELLS_SECONDS:
            streams.tell(found.news, message.told, began_ms)
        if found.orders is None:
            following, looked_at_ms = WatchMessage(circulation.pair, seen=message.seen), None
        else:
            to_store = {order_id: found.orders.seen[order_id].best_out for order_id in found.orders.to_store}
            _follow(to_store, hand_over, has_time)
            seen = _seen_after(found.orders, message.seen, waiting, turn)
            _follow({order_id: seen.pop(order_id).best_out for order_id in left_to_store(seen)}, hand_over, has_time)
            note(Metric.LOOK_MS, int((self._times.clock() - began) * 1000))
            round_ms = began_ms if message.round_ms is None or message.after is None else message.round_ms
            left = not_handed | {order.order_id for order in found.orders.left}
            after = (_before_all(left, turn) or message.after or ("", 0, "")) if left else None
            following = WatchMessage(
                circulation.pair, seen=seen, after=after, round_ms=None if after is None else round_ms
            )
            looked_at_ms = round_ms if after is None else None
        return replace(following, told=streams.settle(found.news, message.told, began_ms)), looked_at_ms

    def _find_out(
        self,
        circulation: Circulation,
        turn: Sequence[WaitingOrder],
        streams: LookStreams,
        seen: Mapping[str, Seen],
        now_ms: int,
        tell_reached: Callable[[Reached, int], None],
    ) -> _LookFound:
        """What one read of the market tells of the orders and to the streams.

        `tell_reached` is told at once what has reached its price, at which slot.
        """
        if not turn and not streams.going_on:
            return _LookFound(0, Findings((), {}, ()), {})
        largest: dict[str, int] = {}
        for order in turn:
            largest[order.mint_in] = max(order.amount, largest.get(order.mint_in, 0))
        judged: _LookFound | None = None

        def looked(market: MarketSeen) -> _LookFound:
            nonlocal judged
            until = self._times.clock() + JUDGES_SECONDS
            found = judge_all(
                turn,
                market.payments,
                seen,
                now_ms,
                has_time=lambda: self._times.clock() < until,
                turn=circulation.ticket,
                found=lambda reached: tell_reached(reached, market.slot),
            )
            judged = _LookFound(market.slot, found, {})
            return replace(judged, news=streams.quotes(market, circulation.ticket))

        try:
            return self._market(mints_of(circulation.pair), largest, looked)
        except ExecutionError as error:
            logger.info("the pair's market can't be read", pair=circulation.pair, reason=type(error).__name__)
            # that the streams' quotes need another read must not keep the orders from what the first one told
            unread = _LookFound(0, None, {}) if judged is None else judged
            return replace(unread, news=streams.nothing(error))

    def _without_expired(
        self, waiting: Sequence[WaitingOrder], hand_over: HandOver, now_ms: int, began: float
    ) -> tuple[WaitingOrder, ...]:
        """Those whose time is not over; the others end, as many as there is time for."""
        for order in waiting:
            if _is_over(order, now_ms) and self._times.clock() - began < EXPIRES_SECONDS:
                hand_over.expire(order.order_id)
        return tuple(order for order in waiting if not _is_over(order, now_ms))

    def _delay_ms(self, now_ms: int, *, goes_on: bool, streams: bool) -> int:
        if goes_on:
            return 0
        paced_ms = 0 if self._pace is None else self._pace.next_at_ms(now_ms) - now_ms
        every_ms = min(self._times.every_ms, TOLD_EVERY_MS) if streams else self._times.every_ms
        return max(every_ms, paced_ms)


def _follow(seen: Mapping[str, int], hand_over: HandOver, has_time: Callable[[], bool]) -> None:
    """Store the best amounts out of trailing stops, by the order's id, as far as there is time. Raises AwsError."""
    for some in by_tens(seen):
        if has_time():
            hand_over.follow({order_id: seen[order_id] for order_id in some})


def _seen_after(
    found: Findings, seen: Mapping[str, Seen], waiting: Sequence[WaitingOrder], turn: Sequence[WaitingOrder]
) -> dict[str, Seen]:
    """What trailing stops have seen and isn't stored, of those that were judged and of those whose turn was before."""
    others = {order.order_id for order in waiting} - {order.order_id for order in turn}
    return {order_id: one for order_id, one in seen.items() if order_id in others} | dict(found.seen)


def _before_all(left: Set[str], turn: Iterable[WaitingOrder]) -> tuple[str, int, str] | None:
    """The place up to which nothing is left for the next look; None where the first is."""
    places = sorted((place(order), order.order_id in left) for order in turn)
    done = [at for at, _ in takewhile(lambda one: not one[1], places)]
    return done[-1] if done else None


def _is_over(order: WaitingOrder, now_ms: int) -> bool:
    return order.expires_at_ms is not None and order.expires_at_ms <= now_ms
