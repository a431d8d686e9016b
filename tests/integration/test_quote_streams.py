"""Streams of quotes on DynamoDB and over the gateway: who is told what and when, and when a stream ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import TypeVar

import pytest

from chalicelib.orders.life import cancel
from chalicelib.orders.states import State
from chalicelib.problems import AllNodesDown, RpcUnavailable
from chalicelib.push.connection_sweep import ConnectionSweep
from chalicelib.waiting.ports import MarketSeen
from chalicelib.waiting.quote_stream import STREAM_LIFE_MS
from tests.integration.cloud import Cloud, aws_error
from tests.integration.streaming import END, QUOTES, Streams, streams_on
from tests.integration.test_watch import PAIR, Killed, Prices

T = TypeVar("T")


@pytest.fixture
def streams(cloud: Cloud) -> Streams:
    return streams_on(cloud)


class ReadOnce(Prices):
    """A market whose second read, for what quotes need besides, is not answered."""

    def __call__(self, pair: tuple[str, str], largest: Mapping[str, int], use: Callable[[MarketSeen], T]) -> T:
        super().__call__(pair, largest, use)
        raise RpcUnavailable("the second read was not answered")


class TestTold:
    def test_a_quote_comes_with_the_first_look_and_then_each_that_is_another(self, streams: Streams) -> None:
        (begun,) = streams.say(QUOTES)
        assert begun == {
            "type": "subscribed",
            "tokenIn": "SOL",
            "tokenOut": "USDC",
            "amount": "10",
            "slippage": "0.01",
            "expiresAt": begun["expiresAt"],
        }
        streams.stage.deliver()
        (quote,) = streams.quotes()
        assert (quote["amountOut"], quote["minOut"], quote["amount"]) == ("1500", "1485", "10")
        streams.stage.run_for(5_000)
        assert streams.quotes() == [quote], "nothing has changed but the slot"
        streams.stage.prices.usdc = 160
        streams.stage.run_for(5_000)
        streams.stage.prices.usdc = 155
        streams.stage.run_for(5_000)
        assert streams.paid() == ["1500", "1600", "1550"]

    def test_two_clients_of_a_pair_are_told_by_one_look_each_its_own_amount(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.say({**QUOTES, "amount": "2", "slippage": "0.5"}, "bob")
        streams.stage.run_for(1_500)
        reads = streams.stage.prices.reads
        streams.stage.prices.usdc = 160
        streams.stage.run_for(1_000)
        assert streams.stage.prices.reads == reads + 1
        assert (streams.paid("ann"), streams.paid("bob")) == (["1500", "1600"], ["300", "320"])
        assert streams.quotes("bob")[-1]["minOut"] == "160"

    def test_the_two_directions_of_a_pair_go_round_with_one_message(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.say({**QUOTES, "tokenIn": "USDC", "tokenOut": "SOL", "amount": "300"})
        streams.stage.run_for(1_500)
        assert sorted(streams.paid()) == ["1500", "2"]
        assert len(streams.stage.sent) == 1

    def test_who_asks_again_is_told_again_and_for_another_amount_that_alone(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.stage.run_for(3_000)
        streams.say(QUOTES)
        streams.stage.run_for(3_000)
        assert streams.paid() == ["1500", "1500"]
        streams.say({**QUOTES, "amount": "1"})
        streams.stage.prices.usdc = 160
        streams.stage.run_for(3_000)
        assert streams.paid() == ["1500", "1500", "160"]

    def test_nobody_is_told_twice_within_a_second_however_often_it_asks(self, streams: Streams) -> None:
        streams.stage.every_ms = 0
        for amount in range(1, 15):
            streams.say({**QUOTES, "amount": str(amount)})
            streams.stage.deliver()
        assert len(streams.quotes()) == 2, "1.4 s have passed"

    def test_without_a_node_each_is_told_so_once_and_then_the_quote_again(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.stage.run_for(2_000)
        streams.stage.prices.fails = AllNodesDown(1_000)
        streams.stage.run_for(5_000)
        assert streams.paid() == ["1500", "RPC_UNAVAILABLE"]
        streams.say(QUOTES, "bob")
        streams.stage.run_for(5_000)
        assert streams.paid("bob") == ["RPC_UNAVAILABLE"], "nothing stale is told"
        streams.stage.prices.fails = None
        streams.stage.run_for(2_000)
        assert streams.paid() == ["1500", "RPC_UNAVAILABLE", "1500"]
        assert streams.paid("bob") == ["RPC_UNAVAILABLE", "1500"]

    def test_an_amount_that_nothing_pays_for_keeps_the_others_from_nothing(self, streams: Streams) -> None:
        streams.stage.prices.refuses = {10**18}
        streams.say({**QUOTES, "amount": "1000000000"})
        streams.say(QUOTES, "bob")
        streams.stage.run_for(4_000)
        assert (streams.paid("ann"), streams.paid("bob")) == (["INSUFFICIENT_LIQUIDITY"], ["1500"])

    def test_orders_are_judged_by_the_same_read_and_stay_when_the_stream_ends(self, streams: Streams) -> None:
        streams.stage.place("order-1", "limit")
        streams.say(QUOTES)
        streams.stage.run_for(2_000)
        reads = streams.stage.prices.reads
        streams.stage.run_for(1_000)
        assert streams.stage.prices.reads == reads + 1
        streams.say(END)
        streams.stage.run_for(2_000)
        streams.stage.prices.usdc = 160
        streams.stage.run_for(2_000)
        assert streams.stage.stored().state is State.PENDING
        assert streams.paid() == ["1500"]

    def test_that_streams_need_more_read_keeps_no_order_from_being_judged(self, streams: Streams) -> None:
        streams.stage.place("order-1", "limit")
        streams.say(QUOTES)
        streams.stage.prices = ReadOnce(usdc=160)
        streams.stage.run_for(2_000)
        assert streams.stage.stored().state is State.PENDING
        assert streams.paid() == ["RPC_UNAVAILABLE"]


class TestLooks:
    def test_while_somebody_streams_looks_come_each_second_and_else_as_orders_have_them(self, streams: Streams) -> None:
        streams.stage.every_ms = 30_000
        streams.stage.place("order-1", "limit")
        streams.stage.deliver()
        assert [at_ms - streams.stage.now_ms for at_ms, _ in streams.stage.sent] == [30_000]
        streams.say(QUOTES)
        streams.stage.pass_time(30_000)  # it joins at the look that is due
        streams.stage.deliver()
        assert min(at_ms - streams.stage.now_ms for at_ms, _ in streams.stage.sent) == 1_000
        streams.say(END)
        streams.stage.pass_time(1_000)
        streams.stage.deliver()
        assert min(at_ms - streams.stage.now_ms for at_ms, _ in streams.stage.sent) > 20_000

    def test_the_circulation_begins_with_the_stream_and_ends_with_it(self, streams: Streams) -> None:
        streams.say(QUOTES)
        circulation = streams.circulation()
        assert circulation is not None
        assert (circulation.orders, circulation.stream_starts) == (0, 1)
        streams.stage.run_for(3_000)
        assert streams.say(END) == [{"type": "unsubscribed", "tokenIn": "SOL", "tokenOut": "USDC"}]
        streams.stage.run_for(3_000)
        assert (streams.stage.sent, streams.circulation()) == ([], None)
        streams.say(QUOTES)
        streams.stage.run_for(1_000)
        assert streams.paid() == ["1500", "1500"]

    def test_it_does_not_end_while_a_stream_begins(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.stage.run_for(2_000)
        streams.say(END)

        def comes_between(what: str) -> None:
            if what == "before end":
                streams.stage.step = lambda what: None
                streams.say(QUOTES, "bob")

        streams.stage.step = comes_between
        streams.stage.run_for(4_000)
        assert streams.paid("bob") == ["1500"]

    def test_a_stream_that_begins_while_a_look_finds_none_is_found_by_the_next(self, streams: Streams) -> None:
        streams.stage.place("order-1", "limit")
        streams.say(QUOTES)
        streams.stage.run_for(2_000)
        streams.say(END)

        def comes_between(what: str) -> None:
            if what == "before pass_on":
                streams.stage.step = lambda what: None
                streams.say(QUOTES, "bob")

        streams.stage.step = comes_between
        streams.stage.run_for(4_000)
        assert streams.paid("bob") == ["1500"]

    def test_where_none_streams_any_more_looks_ask_for_none(self, streams: Streams) -> None:
        streams.stage.place("order-1", "limit")
        streams.say(QUOTES)
        streams.stage.run_for(2_000)
        streams.say(END)
        streams.stage.run_for(2_000)
        circulation = streams.circulation()
        assert circulation is not None
        assert not circulation.may_stream
        streams.cloud.store().replace(cancel(streams.stage.stored(), streams.stage.now_ms))
        streams.stage.run_for(3_000)
        assert streams.circulation() is None

    def test_wherever_a_watcher_dies_the_next_tells_what_it_did_not(self, streams: Streams) -> None:
        for number, step in enumerate(
            ("after take", "before quotes are posted", "after quotes are posted", "before pass_on", "after pass_on")
        ):
            streams.say(QUOTES)
            streams.stage.run_for(2_000)

            def dies(what: str, step: str = step) -> None:
                if what == step:
                    raise Killed

            streams.stage.step = dies
            streams.stage.prices.usdc = 200 + number
            with pytest.raises(Killed):
                streams.stage.run_for(2_000)
            streams.stage.step = lambda what: None
            streams.stage.run_for(15_000)
            assert streams.paid()[-1] == str((200 + number) * 10), step


class TestConnections:
    def test_one_that_is_gone_is_forgotten_and_the_others_are_told(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.say(QUOTES, "bob")
        streams.stage.run_for(2_000)
        streams.stage.api.gone.add("ann")
        streams.stage.prices.usdc = 160
        streams.stage.run_for(2_000)
        assert streams.paid("bob") == ["1500", "1600"]
        assert [one.connection_id for one in streams.stored()] == ["bob"]
        assert streams.counted("account#local") == {f"bob#1#{PAIR}"}

    def test_one_that_is_limited_is_closed_and_the_others_are_told(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.say(QUOTES, "bob")
        streams.stage.run_for(2_000)

        def limits(connection_id: str) -> None:
            if connection_id == "ann":
                raise aws_error("LimitExceededException", 429, "PostToConnection")

        streams.stage.api.before_post = limits
        streams.stage.prices.usdc = 160
        streams.stage.run_for(2_000)
        assert streams.paid("bob") == ["1500", "1600"]
        assert streams.stage.api.closed == ["ann"]
        assert [one.connection_id for one in streams.stored()] == ["bob"]

    def test_a_failure_of_the_gateway_drops_nobody_and_what_was_not_told_is_told_later(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.say(QUOTES, "bob")
        streams.stage.run_for(2_000)

        def fails(connection_id: str) -> None:
            if connection_id == "ann":
                raise aws_error("InternalServerError", 500, "PostToConnection")

        streams.stage.api.before_post = fails
        streams.stage.prices.usdc = 160
        streams.stage.run_for(3_000)
        assert (streams.paid("ann"), streams.paid("bob")) == (["1500"], ["1500", "1600"])
        streams.stage.api.before_post = lambda connection_id: None
        streams.stage.run_for(2_000)
        assert (streams.paid("ann"), streams.paid("bob")) == (["1500", "1600"], ["1500", "1600"])

    def test_a_look_waits_for_no_slow_one_hands_its_orders_over_and_goes_on(self, streams: Streams) -> None:
        streams.stage.place("order-1", "limit")
        streams.say(QUOTES)
        streams.stage.is_patient = False
        streams.stage.prices.usdc = 160
        has_gone_on, waited = Event(), list[bool]()
        streams.stage.api.before_post = lambda connection_id: waited.append(has_gone_on.wait(60))

        def step(what: str) -> None:
            if what == "after pass_on":
                has_gone_on.set()

        streams.stage.step = step
        streams.stage.deliver()
        assert waited == [True], "the look was over before the post was"
        assert streams.stage.stored().state is State.PENDING
        assert streams.paid() == ["1600"]
        assert [message.ticket for _, message in streams.stage.sent] == [1]

    def test_what_ends_with_the_connection_is_counted_no_more(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.say({**QUOTES, "tokenOut": "JUP"})
        assert len(streams.counted("connection#ann")) == len(streams.counted("account#local")) == 2
        streams.session().disconnect("ann")
        assert (streams.stored(), streams.counted("account#local")) == ([], set())
        streams.stage.run_for(3_000)
        assert streams.circulation() is None

    def test_ten_minutes_after_the_last_wish_it_ends_and_a_wish_within_them_lets_it_go_on(
        self, streams: Streams
    ) -> None:
        streams.say(QUOTES)
        streams.say(QUOTES, "bob")
        streams.stage.now_ms += STREAM_LIFE_MS - 10_000
        streams.say(QUOTES)
        streams.stage.now_ms += 20_000
        streams.stage.sent = [(min(at_ms, streams.stage.now_ms), one) for at_ms, one in streams.stage.sent]
        streams.stage.run_for(3_000)
        assert [one.connection_id for one in streams.stored()] == ["ann"]
        assert (streams.counted("connection#bob"), streams.counted("account#local")) == (set(), {f"ann#1#{PAIR}"})
        assert (len(streams.quotes("ann")), streams.quotes("bob")) == (1, [])

    def test_the_sweeper_takes_out_what_vanished_connections_left(self, streams: Streams) -> None:
        streams.say(QUOTES)
        streams.say(QUOTES, "bob")
        streams.cloud.connection_table().forget("ann")
        ConnectionSweep(
            streams.cloud.connections(),
            streams.cloud.connection_table(),
            streams.cloud.quote_streams(),
            streams.cloud.keys(),
            streams.stage.api.gateway(),
            streams.stage.clock,
        ).sweep()
        assert [one.connection_id for one in streams.stored()] == ["bob"]
        assert streams.counted("account#local") == {f"bob#1#{PAIR}"}
