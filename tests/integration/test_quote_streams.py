"""Streams of quotes on DynamoDB and over the gateway: who may have how many, who is told what, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

import pytest

from chalicelib.orders.life import cancel
from chalicelib.orders.states import State
from chalicelib.problems import AllNodesDown, RpcUnavailable, TooManyQuoteStreams, Unauthorized
from chalicelib.push.connection_sweep import ConnectionSweep
from chalicelib.push.quote_stream_table import QuoteStreamCaps
from chalicelib.push.session import Session
from chalicelib.waiting.circulation import Circulation, WatchMessage
from chalicelib.waiting.ports import MarketSeen
from chalicelib.waiting.quote_stream import STREAM_LIFE_MS, QuoteStream
from tests.asyncapi_contract import check_message
from tests.integration.cloud import Cloud, aws_error
from tests.integration.test_watch import PAIR, Killed, Prices, Stage
from tests.sample_orders import CREATED_AT_MS, JUP, SOL, USDC

Json = dict[str, Any]
T = TypeVar("T")
QUOTES = {"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10"}
END = {"action": "unsubscribe", "tokenIn": "SOL", "tokenOut": "USDC"}
TOKENS = (SOL, USDC, JUP)
WAYS = [(one, other) for one in TOKENS for other in TOKENS if one is not other]


@dataclass
class Streams:
    """A stage with clients that talk to it."""

    stage: Stage

    @property
    def cloud(self) -> Cloud:
        return self.stage.cloud

    def connect(self, *clients: str, account: str = "local") -> None:
        for client in clients:
            self.cloud.connection_table().open(client, account, None, self.stage.now_ms)

    def session(self) -> Session:
        return Session(
            self.cloud.store(),
            self.cloud.connections(),
            self.cloud.connection_table(),
            self.stage.api.gateway(),
            self.cloud.tickets(self.stage.clock),
            self.stage.clock,
            "local",
            self.cloud.stream_requests(self.stage.clock),
        )

    def say(self, message: Json, client: str = "ann") -> list[Json]:
        """What the client is answered at once. It is in no hurry, and a wish has the pair looked at."""
        self.stage.now_ms += 100
        before = len(self.heard(client))
        self.session().receive(client, json.dumps(message))
        self.pass_wakes_on()
        return self.heard(client)[before:]

    def pass_wakes_on(self) -> None:
        """From the queue that the session knows to that of the stage, whose time is at hand."""
        url = self.cloud.outputs["WatchQueueUrl"]
        while found := self.cloud.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages", []):
            for one in found:
                self.cloud.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
                self.stage.send(WatchMessage(json.loads(one["Body"])["pair"]))

    def heard(self, client: str = "ann") -> list[Json]:
        messages = self.stage.api.received(client)
        for message in messages:
            check_message(message)
        return messages

    def quotes(self, client: str = "ann") -> list[Json]:
        return [message for message in self.heard(client) if message["type"] in ("quote", "quote-error")]

    def paid(self, client: str = "ann") -> list[str]:
        """What its quotes paid, one after the other; for an error its code."""
        return [message.get("amountOut") or message["errorCode"] for message in self.quotes(client)]

    def circulation(self) -> Circulation | None:
        return self.cloud.circulations().load(PAIR)

    def counted(self, name: str) -> set[str]:
        key = {"name": {"S": name}}
        table = self.cloud.outputs["ConnectionsTable"]
        item = self.cloud.dynamodb.get_item(TableName=table, Key=key).get("Item", {})
        return set(item.get("quotes", {}).get("SS", ()))

    def stored(self) -> list[QuoteStream]:
        return list(self.cloud.quote_streams().all())


@pytest.fixture
def streams(cloud: Cloud) -> Streams:
    made = Streams(Stage(cloud))
    made.connect("ann", "bob")
    return made


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
        streams.stage.pass_time(6_000)
        streams.say(QUOTES)
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


class TestRefusals:
    @pytest.mark.parametrize(
        ("wrong", "fields"),
        [
            ({"tokenIn": "WOOF"}, ["tokenIn"]),
            ({"tokenIn": "WOOF", "amount": "much"}, ["amount", "tokenIn"]),
            ({"amount": "-1"}, ["amount"]),
            ({"tokenOut": "SOL"}, ["tokenOut"]),
            ({"amount": "0.0000000001"}, ["amount"]),
            ({"amount": None}, ["amount"]),
            ({"slippage": "0.9"}, ["slippage"]),
            ({"orderId": "1"}, ["orderId"]),
            ({"tokenIn": 1, "tokenOut": 2}, ["tokenIn", "tokenOut"]),
        ],
    )
    def test_each_wrong_field_is_named_and_the_connection_lives(
        self, streams: Streams, wrong: Json, fields: list[str]
    ) -> None:
        (answer,) = streams.say({**QUOTES, **wrong})
        assert (answer["type"], answer["status"]) == ("error", 400)
        assert sorted(one["field"] for one in answer["errors"]) == fields
        assert streams.stored() == []
        assert streams.say({"action": "ping"}) == [{"type": "pong"}]

    def test_missing_fields_are_named(self, streams: Streams) -> None:
        (answer,) = streams.say({"action": "quotes"})
        assert {one["field"] for one in answer["errors"]} == {"tokenIn", "tokenOut", "amount"}
        (answer,) = streams.say({"action": "unsubscribe", "tokenIn": "SOL"})
        assert [one["field"] for one in answer["errors"]] == ["tokenOut"]
        (answer,) = streams.say({"action": "shout"})
        assert "quotes" in answer["detail"]

    def test_a_sixth_pair_of_a_connection_is_refused_and_the_five_go_on(self, streams: Streams) -> None:
        for token_in, token_out in WAYS[:5]:
            (begun,) = streams.say({**QUOTES, "tokenIn": token_in.text, "tokenOut": token_out.text, "amount": "1"})
            assert begun["type"] == "subscribed"
        sixth = {**QUOTES, "tokenIn": WAYS[5][0].text, "tokenOut": WAYS[5][1].text, "amount": "1"}
        (refused,) = streams.say(sixth)
        assert (refused["type"], refused["status"]) == ("error", 429)
        assert [one["field"] for one in refused["errors"]] == ["tokenIn"]
        assert "5" in refused["detail"]
        assert streams.say({"action": "ping"}) == [{"type": "pong"}], "the connection is open"
        first = {**QUOTES, "tokenIn": WAYS[0][0].text, "tokenOut": WAYS[0][1].text, "amount": "2"}
        assert streams.say(first)[0]["type"] == "subscribed", "another amount is no other pair"
        streams.say({**first, "action": "unsubscribe"})
        assert streams.say(sixth)[0]["type"] == "subscribed"

    def test_an_account_has_no_more_than_its_share_by_all_its_connections(self, streams: Streams) -> None:
        clients = [f"c{number}" for number in range(5)]
        streams.connect(*clients)
        streams.connect("other", account="else")
        for number in range(20):
            token_in, token_out = WAYS[number % 5]
            message = {**QUOTES, "tokenIn": token_in.text, "tokenOut": token_out.text, "amount": "1"}
            assert streams.say(message, clients[number // 5])[0]["type"] == "subscribed"
        (refused,) = streams.say(QUOTES, "c4")
        assert (refused["status"], "20" in refused["detail"]) == (429, True)
        assert streams.say(QUOTES, "other")[0]["type"] == "subscribed"

    def test_a_connection_that_is_closed_streams_nothing(self, streams: Streams) -> None:
        with pytest.raises(Unauthorized):
            streams.cloud.quote_streams().ask(made("gone"))
        assert streams.stored() == []


def made(connection_id: str = "ann", number: int = 0, asked_at_ms: int = CREATED_AT_MS) -> QuoteStream:
    token_in, token_out = WAYS[number]
    return QuoteStream(
        connection_id=connection_id,
        account="local",
        token_in=token_in,
        token_out=token_out,
        amount=1,
        slippage_ppm=0,
        asked_at_ms=asked_at_ms,
    )


class TestCounting:
    def test_of_many_at_once_exactly_as_many_are_let_in_as_may_be(self, streams: Streams) -> None:
        streams.connect(*(f"c{number}" for number in range(6)))
        table = streams.cloud.quote_streams(QuoteStreamCaps(of_connection=5, of_account=7))

        def asks(stream: QuoteStream) -> bool:
            try:
                table.ask(stream)
            except TooManyQuoteStreams:
                return False
            return True

        wanted = [made(f"c{number}", way) for number in range(6) for way in range(6)]
        with ThreadPoolExecutor(8) as executor:
            let_in = list(executor.map(asks, wanted))
        assert sum(let_in) == 7
        assert len(streams.stored()) == len(streams.counted("account#local")) == 7
        by_connection = [one.connection_id for one in streams.stored()]
        assert all(by_connection.count(client) <= 5 for client in by_connection)

    def test_what_has_ended_or_is_lost_makes_room_where_it_is_needed(self, streams: Streams) -> None:
        table = streams.cloud.quote_streams(QuoteStreamCaps(of_connection=2, of_account=2))
        table.ask(made(number=0))
        table.ask(made(number=1))
        with pytest.raises(TooManyQuoteStreams):
            table.ask(made(number=2))
        later = CREATED_AT_MS + STREAM_LIFE_MS
        table.ask(made(number=1, asked_at_ms=later))
        table.ask(made(number=2, asked_at_ms=later))
        assert {one.token_out for one in streams.stored()} == {WAYS[1][1], WAYS[2][1]}
        lost = {"pair": {"S": made(number=1).pair}, "stream": {"S": made(number=1).name}}
        streams.cloud.dynamodb.delete_item(TableName=streams.cloud.outputs["QuoteStreamsTable"], Key=lost)
        table.ask(made(number=3, asked_at_ms=later))
        assert len(streams.counted("connection#ann")) == len(streams.counted("account#local")) == 2

    def test_one_that_was_asked_for_again_is_not_ended(self, streams: Streams) -> None:
        table = streams.cloud.quote_streams()
        table.ask(made())
        table.ask(made(asked_at_ms=CREATED_AT_MS + 1))
        assert not table.end(made())
        assert table.end(made(asked_at_ms=CREATED_AT_MS + 1))
        assert not table.end(made(asked_at_ms=CREATED_AT_MS + 1))
        assert (streams.counted("connection#ann"), streams.counted("account#local")) == (set(), set())

    def test_what_nobody_ends_the_table_forgets(self, streams: Streams) -> None:
        streams.cloud.quote_streams().ask(made())
        (item,) = streams.cloud.dynamodb.scan(TableName=streams.cloud.outputs["QuoteStreamsTable"])["Items"]
        assert int(item["expiresAt"]["N"]) * 1000 > CREATED_AT_MS + STREAM_LIFE_MS
