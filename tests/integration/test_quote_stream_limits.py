"""Who may stream how many quotes, and what a client is told that asks for what can't be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.problems import TooManyQuoteStreams, Unauthorized
from chalicelib.push.quote_stream_table import QuoteStreamCaps
from chalicelib.waiting.quote_stream import STREAM_LIFE_MS, QuoteStream
from tests.integration.cloud import Cloud
from tests.integration.streaming import QUOTES, Json, Streams, streams_on
from tests.sample_orders import CREATED_AT_MS, JUP, SOL, USDC

TOKENS = (SOL, USDC, JUP)
WAYS = [(one, other) for one in TOKENS for other in TOKENS if one is not other]


@pytest.fixture
def streams(cloud: Cloud) -> Streams:
    return streams_on(cloud)


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
