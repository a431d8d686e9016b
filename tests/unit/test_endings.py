"""What is counted of an order's end, from the stream's records as Lambda hands them over."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws.cloudwatch_metrics import flush
from chalicelib.aws.dynamodb.attribute_values import serialize
from chalicelib.aws.dynamodb.order_item import order_to_item
from chalicelib.aws.dynamodb.orders_stream import ended_orders
from chalicelib.orders.endings import floor_to_fill_bps, log_post_mortem, note_endings, quote_to_fill_bps, step_times
from chalicelib.orders.life import fail_attempt, fill
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from tests.log_lines import flushed, log_lines_of_the_test, values
from tests.sample_orders import (
    CREATED_AT_MS,
    cancelled,
    confirmed,
    failed,
    new_order,
    order_in,
    retrying,
    routing,
    submitted,
)

Json = dict[str, Any]
ENDED = (State.CONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED)


@pytest.fixture(autouse=True)
def nothing_noted_before(capsys: pytest.CaptureFixture[str]) -> None:
    flush()
    capsys.readouterr()


def record(new: Order | None, old: Order | None = None) -> Json:
    change: Json = {"Keys": {}}
    for name, order in (("NewImage", new), ("OldImage", old)):
        if order is not None:
            change[name] = json.loads(json.dumps(serialize(order_to_item(order)), default=_as_text))
    return {"eventID": "1", "eventName": "MODIFY", "dynamodb": change}


def _as_text(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def test_each_end_is_one_order_by_its_outcome_and_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    note_endings(
        ended_orders(
            [
                record(confirmed(), submitted()),
                record(failed(), order_in(State.ROUTING)),
                record(cancelled(), new_order()),
            ]
        )
    )
    lines = flushed(capsys)
    assert values(lines, "OrdersByOutcome") == [1, 1, 1]
    assert values(lines, "OrdersByOutcome", outcome="confirmed") == [1]
    assert values(lines, "OrdersByOutcome", outcome="failed", error_code="NO_POOL") == [1]
    assert values(lines, "OrdersByOutcome", outcome="cancelled") == [1]
    assert values(lines, "Retries") == [0, 0, 0]


@pytest.mark.parametrize("state", [state for state in State if state not in ENDED])
def test_a_write_that_does_not_end_the_order_counts_nothing(capsys: pytest.CaptureFixture[str], state: State) -> None:
    note_endings(
        ended_orders([record(order_in(state)), record(order_in(state), new_order()), record(None, order_in(state))])
    )
    assert flushed(capsys) == []


@pytest.mark.parametrize("state", ENDED)
def test_a_later_write_of_an_order_that_has_ended_counts_nothing(
    capsys: pytest.CaptureFixture[str], state: State
) -> None:
    note_endings(ended_orders([record(order_in(state), order_in(state)), record(None, order_in(state))]))
    assert flushed(capsys) == []


def test_subscriptions_and_what_can_not_be_read_are_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = {"dynamodb": {"NewImage": {"item": {"S": "subscription#1"}, "orderId": {"S": "1"}}}}
    broken = record(confirmed(), submitted())
    del broken["dynamodb"]["NewImage"]["history"]
    note_endings(ended_orders([watcher, {"dynamodb": {}}, {}, broken, record(confirmed(), submitted())]))
    assert values(flushed(capsys), "OrdersByOutcome") == [1]


def test_each_step_tells_how_long_it_took_the_second_attempts_too(capsys: pytest.CaptureFixture[str]) -> None:
    order = confirmed(retrying())
    steps = step_times(order)
    assert [step for step, _ in steps] == ["pending", "routing", "failed", "routing", "building", "submitted"]
    assert sum(milliseconds for _, milliseconds in steps) == order.updated_at_ms - order.created_at_ms
    note_endings(ended_orders([record(order, submitted(retrying()))]))
    lines = flushed(capsys)
    assert values(lines, "StepMs", step="routing") == [time for step, time in steps if step == "routing"]
    assert values(lines, "OrderMs", outcome="confirmed") == [order.updated_at_ms - order.created_at_ms]
    assert values(lines, "Retries") == [1]


@pytest.mark.parametrize(
    ("quoted", "paid", "bps"),
    [
        (10_000, 10_000, 0),
        (10_000, 9_999, -1),
        (10_000, 10_001, 1),
        (10**18, 10**18 - 1, -1),  # a shortfall never rounds away
        (10**18, 10**18 + 1, 0),
        (1_500_000_000, 1_485_000_000, -100),
        (3, 4, 3333),
    ],
)
def test_the_fill_is_held_against_the_quote_in_basis_points_rounded_down(quoted: int, paid: int, bps: int) -> None:
    assert quote_to_fill_bps(filled(quoted, paid)) == bps


@given(st.integers(1, 2**64 - 1), st.integers(1, 2**64 - 1))
def test_the_basis_points_are_the_exact_share_rounded_down(quoted: int, paid: int) -> None:
    bps = quote_to_fill_bps(filled(quoted, paid))
    assert bps is not None
    assert bps * quoted <= (paid - quoted) * 10_000 < (bps + 1) * quoted


@pytest.mark.parametrize(
    ("floor", "paid", "bps"), [(10_000, 10_000, 0), (10_000, 10_101, 101), (10**18, 10**18 + 1, 0)]
)
def test_the_fill_is_held_against_the_orders_floor_too(floor: int, paid: int, bps: int) -> None:
    order = replace(submitted(), min_out=floor)
    assert floor_to_fill_bps(fill(order, paid, order.updated_at_ms + 1)) == bps


def test_each_fill_is_noted_with_how_near_it_came_to_the_quote(capsys: pytest.CaptureFixture[str]) -> None:
    note_endings(ended_orders([record(filled(10_000, 9_950), submitted())]))
    assert values(flushed(capsys), "QuoteToFillBps") == [-50]


def test_what_ends_no_order_is_passed_over_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = {"dynamodb": {"NewImage": {"item": {"S": "subscription#1"}, "orderId": {"S": "1"}}}}
    note_endings(ended_orders([watcher, record(None, confirmed()), record(submitted(), new_order())]))
    assert capsys.readouterr().out == ""


def test_an_order_without_a_fill_has_no_basis_points(capsys: pytest.CaptureFixture[str]) -> None:
    assert quote_to_fill_bps(submitted()) is None
    assert quote_to_fill_bps(replace(confirmed(), first_quoted_out=None)) is None
    note_endings(ended_orders([record(failed(), order_in(State.ROUTING))]))
    assert values(flushed(capsys), "QuoteToFillBps") == []


def filled(quoted: int, paid: int) -> Order:
    order = replace(submitted(), first_quoted_out=quoted, quoted_out=quoted * 2)
    return fill(order, paid, order.updated_at_ms + 1)


# --- the post-mortem ----------------------------------------------------------------------------------------------


def test_a_post_mortem_tells_each_failed_attempt_with_its_transaction_and_when_its_steps_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = log_lines_of_the_test(monkeypatch)
    order = submitted()
    order = fail_attempt(order, "expired", "TRANSACTION_EXPIRED", order.updated_at_ms + 10, retry=True)
    order = routing(order)
    log_post_mortem(fail_attempt(order, "no pool", "NO_POOL", order.updated_at_ms + 5, retry=False))
    (line,) = lines.saying("order failed")
    assert (line["attempts"], line["retry_count"], line["error_code"], line["lasted_ms"]) == (2, 1, "NO_POOL", 55)
    started_at_ms = CREATED_AT_MS + 10
    assert line["failed_attempts"] == [
        {
            "attempt": 1,
            "errorCode": "TRANSACTION_EXPIRED",
            "error": "expired",
            "txHash": "signature-1",
            "startedAtMs": started_at_ms,
            "stepsAfterMs": {"routing": 0, "building": 10, "submitted": 20, "failed": 30},
        },
        {
            "attempt": 2,
            "errorCode": "NO_POOL",
            "error": "no pool",
            "txHash": None,
            "startedAtMs": started_at_ms + 40,
            "stepsAfterMs": {"routing": 0, "failed": 5},
        },
    ]


def test_a_post_mortem_of_an_order_that_ended_before_its_first_attempt_has_that_end_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = log_lines_of_the_test(monkeypatch)
    log_post_mortem(fail_attempt(new_order(), "halted", "HALTED", CREATED_AT_MS + 3, retry=False))
    (attempt,) = lines.saying("order failed")[0]["failed_attempts"]
    assert (attempt["attempt"], attempt["errorCode"], attempt["stepsAfterMs"]) == (1, "HALTED", {"failed": 0})
