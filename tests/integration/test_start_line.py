"""The line of waiting orders in DynamoDB: it does what the one in memory does, which the tests of turns run on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb.start_line import StartLine
from chalicelib.orders.starts import Line
from chalicelib.orders.turns import AccountInLine, Place, Turns, Waiting
from tests.integration.cloud import Cloud, cloud_in_memory
from tests.line_in_memory import LineInMemory

NOW = 1_760_000_000_000
ACCOUNTS = st.sampled_from(["desk", "bot", "#1"])
ORDERS = st.builds(
    Waiting,
    order_id=st.sampled_from(["5f0c9b1e-6f0b-4d53", "5f0c9b1e_6f0b", "order#7"]),
    account=ACCOUNTS,
    since_ms=st.just(NOW),
    needs_slot=st.booleans(),
    told_ms=st.integers(NOW, NOW + 2),
    correlation_id=st.sampled_from(["", "request-1"]),
)
STEPS = st.one_of(
    st.tuples(st.just("join"), ORDERS),
    st.tuples(st.just("leave"), ORDERS),
    st.tuples(st.just("told"), ORDERS),
    st.tuples(st.just("end"), ORDERS),
    st.tuples(st.just("start"), ORDERS),
)


@given(steps=st.lists(STEPS, max_size=12))
@example(
    steps=[
        ("join", Waiting("5f0c", "desk", NOW, True, NOW, "request-1")),
        ("told", Waiting("5f0c", "desk", NOW, True, NOW)),
    ]
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_done_it_stands_as_the_line_in_memory_does(steps: list[tuple[str, Waiting]]) -> None:
    with cloud_in_memory() as cloud:
        lines: tuple[Line, Line] = (cloud.start_line(), LineInMemory())
        for step, waiting in steps:
            first, second = (_done(line, step, waiting) for line in lines)
            assert first == second, step
            assert lines[0].has(waiting) == lines[1].has(waiting)
            for account in ("desk", "bot", "#1"):
                assert lines[0].of(account, 10) == lines[1].of(account, 10)
                assert lines[0].of(account, 1) == lines[1].of(account, 1)
        assert lines[0].turns() == lines[1].turns()


def _done(line: Line, step: str, waiting: Waiting) -> object:
    match step:
        case "join":
            return line.join(waiting)
        case "leave":
            return line.leave(waiting)
        case "told":
            line.told(waiting, waiting.told_ms + 5)
            return None
        case "end":
            return line.end(waiting.order_id)
    stands = line.turns()
    place = Place(waiting.order_id, waiting.account, NOW, NOW + 25_000)
    others = tuple(one for one in stands.places if one.order_id != waiting.order_id)
    in_line = (AccountInLine(waiting.account, 2, 1, NOW), AccountInLine("else", 1))
    return line.write(replace(stands, arrival_ms=NOW + 620, places=(*others, place), line=in_line, called_for_ms=NOW))


def test_of_two_who_write_what_they_made_of_the_same_turns_one_must_look_again(cloud: Cloud) -> None:
    line = cloud.start_line()
    for _ in range(3):
        stands = line.turns()
        assert line.write(replace(stands, arrival_ms=stands.arrival_ms + 1))
        assert not line.write(replace(stands, arrival_ms=stands.arrival_ms + 2))
    assert line.turns().arrival_ms == 3


def test_a_slot_that_an_earlier_release_gave_is_not_given_again(cloud: Cloud) -> None:
    """The rate's attribute is named as it has always been: a deploy begins no new minute."""
    stored = {"name": {"S": "admission"}, "tatMs": {"N": str(NOW + 30_000)}}
    cloud.dynamodb.put_item(TableName=cloud.outputs["ControlTable"], Item=stored)
    line = cloud.start_line()
    assert line.turns() == Turns(arrival_ms=NOW + 30_000)
    assert line.write(replace(line.turns(), called_for_ms=1))


def test_a_write_whose_answer_was_lost_is_known_again_when_it_is_sent_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As botocore does it: the same request a second time."""
    client = cloud.dynamodb
    update = client.update_item

    def twice(**request: object) -> object:
        update(**request)  # type: ignore[arg-type]
        return update(**request)  # type: ignore[arg-type]

    line = StartLine(client, cloud.outputs["ControlTable"], cloud.outputs["LineTable"])
    monkeypatch.setattr(client, "update_item", twice)
    assert line.write(Turns(arrival_ms=1)), "the first that there ever is"
    stands = line.turns()
    assert line.write(replace(stands, arrival_ms=2))
    monkeypatch.setattr(client, "update_item", update)
    assert line.turns().arrival_ms == 2
    with pytest.raises(ClientError):
        client.update_item(TableName="no such table", Key={"name": {"S": "admission"}})
