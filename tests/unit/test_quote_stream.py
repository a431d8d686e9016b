"""Who is told a pair's quote when: what is new, once, never twice in a second, and nothing after it has ended."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chalicelib.orders.quoting import SwapQuote
from chalicelib.problems import AccountsMissing, ExecutionError, InsufficientLiquidity, RpcUnavailable
from chalicelib.waiting.circulation import MAX_WATCH_MESSAGE_LENGTH, MOST_SEEN, WatchMessage, pair_of, watch_message
from chalicelib.waiting.last_told import LastTold
from chalicelib.waiting.look import Seen
from chalicelib.waiting.quote_stream import (
    MOST_TOLD,
    STREAM_LIFE_MS,
    TOLD_EVERY_MS,
    QuoteNews,
    QuoteStream,
    digest_of,
    due_streams,
    quote_each,
    told_after,
)
from tests.sample_orders import CREATED_AT_MS, SOL, USDC

NOW_MS = CREATED_AT_MS
PAIR = pair_of(SOL.mint, USDC.mint)


def stream(
    name: str = "client", amount: int = 1_000, asked_at_ms: int = NOW_MS, *, turned: bool = False
) -> QuoteStream:
    token_in, token_out = (USDC, SOL) if turned else (SOL, USDC)
    return QuoteStream(
        connection_id=name,
        account="local",
        token_in=token_in,
        token_out=token_out,
        amount=amount,
        slippage_ppm=10_000,
        asked_at_ms=asked_at_ms,
    )


def quoted(asked: QuoteStream, amount_out: int = 150, slot: int = 1) -> SwapQuote:
    return SwapQuote(
        token_in=asked.token_in,
        token_out=asked.token_out,
        amount=asked.amount,
        slippage_ppm=asked.slippage_ppm,
        slot=slot,
        slot_lag=slot % 3,
        at_ms=NOW_MS + slot,
        age_ms=slot,
        amount_out=amount_out,
        min_out=amount_out * 99 // 100,
        price_impact=Fraction(1, 100),
        route=(),
        fees=(),
        offers=(),
    )


def test_a_quote_of_another_slot_is_no_news_and_one_of_another_amount_route_or_impact_is() -> None:
    first = quoted(stream())
    assert digest_of(first) == digest_of(quoted(stream(), slot=99))
    others = (
        quoted(stream(), 151),
        quoted(stream(amount=2_000)),
        replace(first, price_impact=Fraction(1, 99)),
        replace(first, min_out=1),
    )
    digests = {digest_of(one) for one in (first, *others)}
    assert len(digests) == 5
    assert digest_of(RpcUnavailable("away")) == digest_of(RpcUnavailable("still away"))
    assert digest_of(RpcUnavailable("away")) not in digests | {digest_of(InsufficientLiquidity("away"))}


def test_a_stream_goes_on_for_ten_minutes_from_its_last_wish_whatever_the_clock_says_before() -> None:
    one = stream()
    assert not one.is_over(NOW_MS)
    assert not one.is_over(NOW_MS + STREAM_LIFE_MS - 1)
    assert one.is_over(NOW_MS + STREAM_LIFE_MS)
    assert one.is_over(NOW_MS - STREAM_LIFE_MS - 1), "a wish from far ahead would never end"
    assert STREAM_LIFE_MS == 600_000


def test_the_two_directions_of_a_connection_are_two_streams_of_one_pair() -> None:
    there, back = stream(), stream(turned=True)
    assert there.pair == back.pair == PAIR
    assert there.name != back.name
    assert stream("other").name != there.name


class TestQuoting:
    def test_each_is_told_its_own_and_why_there_is_none(self) -> None:
        rich, poor = stream(), stream("other", 10**18)

        def quote(asked: QuoteStream) -> SwapQuote:
            if asked.amount > 10**9:
                raise InsufficientLiquidity("so much is not there")
            return quoted(asked)

        news = quote_each([rich, poor], quote)
        assert news[rich.name] == quoted(rich)
        assert isinstance(news[poor.name], InsufficientLiquidity)

    def test_what_has_to_be_read_for_all_of_them_is_asked_for_together(self) -> None:
        def quote(asked: QuoteStream) -> SwapQuote:
            raise AccountsMissing([f"for {asked.amount}"])

        with pytest.raises(AccountsMissing) as missing:
            quote_each([stream("a", 1), stream("b", 2)], quote)
        assert set(missing.value.addresses) == {"for 1", "for 2"}

    def test_the_same_amounts_are_asked_for_one_after_the_other(self) -> None:
        asked: list[int] = []

        def quote(one: QuoteStream) -> SwapQuote:
            asked.append(one.amount)
            return quoted(one)

        streams = [stream(f"c{number}", number % 4 + 1) for number in range(40)]
        quote_each(streams, quote, turn=3)
        assert sum(first != second for first, second in pairwise(asked)) == 3

    def test_where_time_is_short_one_is_quoted_and_all_have_their_turn(self) -> None:
        streams = [stream(f"c{number}", number + 1) for number in range(20)]
        served = set[str]()
        for turn in range(400):
            news = quote_each(streams, quoted, lambda: False, turn)
            assert len(news) == 1
            served |= news.keys()
        assert served == {one.name for one in streams}


def test_a_message_carries_what_was_told_and_stays_below_what_a_watcher_reads() -> None:
    told = {f"{'c' * 16}{number}#1": LastTold("abcdef123456", NOW_MS, NOW_MS + 1) for number in range(MOST_TOLD)}
    seen = {f"5f3b8f0e-7c1d-4a53-9c2a-0d9f5e6b{number:04}": Seen(10**19, NOW_MS) for number in range(MOST_SEEN)}
    message = WatchMessage(PAIR, 7, seen, told=told)
    assert watch_message(message.body()) == message
    assert len(message.body()) < MAX_WATCH_MESSAGE_LENGTH


def test_of_more_streams_than_a_message_has_room_for_the_others_are_told_again() -> None:
    streams = [stream(f"c{number}") for number in range(MOST_TOLD + 2)]
    news: dict[str, QuoteNews] = {one.name: quoted(one) for one in streams}
    told = told_after(streams, news, {}, news, NOW_MS)
    assert len(told) == MOST_TOLD
    assert len(due_streams(streams, news, told, NOW_MS + TOLD_EVERY_MS)) == 2


NAMES = ("ann", "bob", "cat")


class Looks(RuleBasedStateMachine):
    """Looks at a pair, with clients that come, ask again and leave, a market that moves and fails, and lost posts."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        self.price: int | ExecutionError = 150
        self.slot = 0
        self.streams: dict[str, QuoteStream] = {}
        self.told: dict[str, LastTold] = {}
        # what each client has received: when, for which wish, and what
        self.received: dict[str, list[tuple[int, int, str]]] = {name: [] for name in NAMES}

    @rule(name=st.sampled_from(NAMES), amount=st.sampled_from([1_000, 2_000]))
    def asks(self, name: str, amount: int) -> None:
        self.now_ms += 1
        self.streams[name] = stream(name, amount, self.now_ms)

    @rule(name=st.sampled_from(NAMES))
    def leaves(self, name: str) -> None:
        self.streams.pop(name, None)

    @rule(price=st.sampled_from([150, 151, RpcUnavailable("away"), InsufficientLiquidity("too little")]))
    def market_moves(self, price: int | ExecutionError) -> None:
        self.price = price

    @rule(ms=st.sampled_from([1, 400, 999, 1_000, 5_000]), lost=st.sets(st.sampled_from(NAMES)))
    def looks(self, ms: int, lost: set[str]) -> None:
        self.now_ms += ms
        self.slot += 1
        streams = list(self.streams.values())
        news = quote_each(streams, self.quote)
        due = due_streams(streams, news, self.told, self.now_ms)
        sent = [one for one in due if one.connection_id not in lost]
        for one in sent:
            self.received[one.connection_id].append((self.now_ms, one.asked_at_ms, digest_of(news[one.name])))
        self.told = told_after(streams, news, self.told, [one.name for one in sent], self.now_ms)
        if not lost:
            self.all_know(streams, news)

    def all_know(self, streams: list[QuoteStream], news: dict[str, QuoteNews]) -> None:
        """After a look at which nothing was lost all have what there is, but for those who were told just before."""
        for one in streams:
            at_ms, asked_at_ms, digest = self.received[one.connection_id][-1]
            knows = (asked_at_ms, digest) == (one.asked_at_ms, digest_of(news[one.name]))
            assert knows or self.now_ms - at_ms < TOLD_EVERY_MS

    def quote(self, asked: QuoteStream) -> SwapQuote:
        if isinstance(self.price, ExecutionError):
            raise self.price
        return quoted(asked, asked.amount * self.price, self.slot)

    @invariant()
    def nobody_is_told_twice_in_a_second_while_it_streams(self) -> None:
        for name in self.streams:
            times = [at_ms for at_ms, _, _ in self.received[name]]
            last = self.told.get(self.streams[name].name)
            if last is not None and len(times) > 1 and times[-2] >= self.began_ms(name):
                assert times[-1] - times[-2] >= TOLD_EVERY_MS

    def began_ms(self, name: str) -> int:
        """Since when it streams without a break, as far as the looks know; a wish after one that ended is a new one."""
        return self.streams[name].asked_at_ms

    @invariant()
    def for_one_wish_nobody_is_told_the_same_twice_in_a_row(self) -> None:
        for told in self.received.values():
            for (_, first_wish, first), (_, second_wish, second) in pairwise(told):
                assert (first_wish, first) != (second_wish, second)


Looks.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLooks = Looks.TestCase
