"""Who is told a pair's quote when: what is new, once, never twice in a second, and nothing after it has ended."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chalicelib.orders.quoting import SwapQuote
from chalicelib.problems import AccountsMissing, ExecutionError, InsufficientLiquidity, RpcUnavailable
from chalicelib.venues.registry import RegisteredPool
from chalicelib.venues.supported import VENUES
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
    stream_name,
    told_after,
)
from tests.sample_orders import CREATED_AT_MS, SOL, USDC
from tests.unit.model_market import address

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


@pytest.mark.parametrize(
    "other", [{"route": ("leg",)}, {"fees": ("fee",)}, {"offers": ("offer",)}, {"amount": 7}, {"amount_out": 7}]
)
def test_whatever_else_of_a_quote_is_another_is_news(other: dict[str, Any]) -> None:
    assert digest_of(replace(quoted(stream()), **other)) != digest_of(quoted(stream()))


def test_pools_that_were_not_looked_at_are_news_by_their_addresses() -> None:
    one, other = (RegisteredPool(address(number), VENUES[0], (address(8), address(9))) for number in (1, 2))
    skipped = [replace(quoted(stream()), not_looked_at=pools) for pools in ((), (one,), (other,), (one, other))]
    assert len(set(map(digest_of, skipped))) == 4


def test_a_digest_is_short_and_the_same_in_every_process() -> None:
    assert digest_of(RpcUnavailable("away")) == "!RPC_UNAVAILABLE"
    assert len(digest_of(quoted(stream()))) == 12


def test_a_stream_ends_so_long_after_its_last_wish_and_begins_no_earlier_than_that_before_it() -> None:
    one = stream()
    assert one.ends_at_ms == NOW_MS + STREAM_LIFE_MS
    assert not one.is_over(NOW_MS - STREAM_LIFE_MS), "a clock that is behind by less is waited for"
    assert one.is_over(one.ends_at_ms)


def test_a_stream_is_named_by_its_connection_and_its_direction() -> None:
    assert {stream().name, stream(turned=True).name} == {"client#0", "client#1"}
    assert stream_name("client", "A", "B") == "client#0"
    assert stream_name("client", "B", "A") == "client#1"


class TestDue:
    ONE = stream()
    NEWS: ClassVar[dict[str, QuoteNews]] = {ONE.name: quoted(ONE)}

    def is_due(self, last: LastTold | None, now_ms: int = NOW_MS) -> bool:
        told = {} if last is None else {self.ONE.name: last}
        return due_streams([self.ONE], self.NEWS, told, now_ms) == (self.ONE,)

    def test_who_was_told_nothing_yet_is_due_and_who_has_no_news_is_not(self) -> None:
        assert self.is_due(None)
        assert due_streams([self.ONE], {}, {}, NOW_MS) == ()

    @pytest.mark.parametrize(("ago_ms", "is_due"), [(0, False), (TOLD_EVERY_MS - 1, False), (TOLD_EVERY_MS, True)])
    def test_another_quote_is_told_a_second_after_the_last(self, ago_ms: int, is_due: bool) -> None:
        assert self.is_due(LastTold("another", NOW_MS, NOW_MS - ago_ms)) is is_due

    def test_a_clock_that_was_ahead_holds_nobody_up(self) -> None:
        assert self.is_due(LastTold("another", NOW_MS, NOW_MS + 1))

    def test_the_same_quote_is_told_again_only_to_who_has_asked_again(self) -> None:
        same = digest_of(self.NEWS[self.ONE.name])
        assert not self.is_due(LastTold(same, NOW_MS, NOW_MS - 5_000))
        assert self.is_due(LastTold(same, NOW_MS - 9_000, NOW_MS - 5_000))

    def test_what_is_remembered_is_what_was_told_and_to_whom(self) -> None:
        others = [stream(name) for name in ("known", "lost")]
        before = LastTold("before", NOW_MS - 9_000, NOW_MS - 5_000)
        told = {others[0].name: before, "ended#1": before}
        news: dict[str, QuoteNews] = {one.name: quoted(one) for one in (self.ONE, *others)}
        assert told_after([self.ONE, *others], news, told, [self.ONE.name], NOW_MS) == {
            self.ONE.name: LastTold(digest_of(news[self.ONE.name]), NOW_MS, NOW_MS),
            others[0].name: before,
        }


class TestQuoting:
    def test_the_first_of_all_looks_has_the_first_turn(self) -> None:
        streams = [stream(f"c{number}", number + 1) for number in range(20)]
        first, second = (list(quote_each(streams, quoted, turn=turn)) for turn in range(2))
        assert list(quote_each(streams, quoted)) == first != second

    def test_as_many_are_quoted_as_there_is_time_for(self) -> None:
        answers = iter([True, True, False])
        news = quote_each([stream(f"c{number}", number + 1) for number in range(9)], quoted, partial(next, answers))
        assert len(news) == 3

    def test_one_of_which_accounts_are_missing_keeps_no_other_from_being_asked(self) -> None:
        asked: list[int] = []

        def quote(one: QuoteStream) -> SwapQuote:
            asked.append(one.amount)
            raise AccountsMissing([f"for {one.amount}"])

        with pytest.raises(AccountsMissing):
            quote_each([stream("a", 1), stream("b", 2)], quote, lambda: False)
        assert sorted(asked) == [1, 2], "there is time until one has its news"

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
