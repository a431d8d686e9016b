"""Dead letters sent back after an outage: one new order for each that failed, however often it is done."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from chalicelib.orders.intake import Intake
from chalicelib.orders.message import message_body, order_id_of
from chalicelib.orders.order import State, Token
from chalicelib.orders.redrive import Redrive
from tests.integration.chain_model import AnyTime
from tests.integration.cloud import Cloud
from tests.integration.test_intake import Tokens
from tests.sample_orders import CREATED_AT_MS, SOL, order_in

LATER = CREATED_AT_MS + 3_600_000


def redrive_for(cloud: Cloud) -> Redrive:
    store, queue = cloud.store(), cloud.orders_queue()
    switches = cloud.control_table()
    return Redrive(store, queue, Intake(store, queue, Tokens(), AnyTime(), switches, lambda: LATER, uuid4), switches)


def test_a_failed_order_is_placed_anew_once_and_stays_failed(cloud: Cloud) -> None:
    failed = order_in(State.FAILED)
    cloud.store().create(failed)
    redrive = redrive_for(cloud)
    cloud.orders_queue().bury(message_body(failed.order_id), "RPC_UNAVAILABLE")

    (first,) = redrive.run(10)
    cloud.orders_queue().bury(message_body(failed.order_id), "RPC_UNAVAILABLE")
    (second,) = redrive.run(10)

    assert first.order_id is not None
    assert first.order_id == second.order_id != failed.order_id
    assert cloud.stored(failed.order_id) == failed
    again = cloud.stored(first.order_id)
    assert (again.token_in, again.token_out, again.amount, again.slippage_ppm, again.account) == (
        failed.token_in,
        failed.token_out,
        failed.amount,
        failed.slippage_ppm,
        failed.account,
    )
    assert {order_id_of(message.body) for message in cloud.receive()} == {again.order_id}
    assert cloud.dead_letters() == []


@pytest.mark.parametrize(
    ("named", "outcome"),
    [
        (Token("SOL", SOL.mint, 9), "placed again"),
        (Token("SOL", "Gone111111111111111111111111111111111111111", 9), "tokenIn: is not a token that is traded here"),
    ],
)
def test_a_failed_order_is_placed_again_for_its_mint_and_never_for_another_of_the_same_symbol(
    cloud: Cloud, named: Token, outcome: str
) -> None:
    failed = replace(order_in(State.FAILED), token_in=named)
    cloud.store().create(failed)
    cloud.orders_queue().bury(message_body(failed.order_id), "RPC_UNAVAILABLE")

    (one,) = redrive_for(cloud).run(10)

    assert one.outcome.startswith(outcome)
    assert one.order_id is None or cloud.stored(one.order_id).token_in == named


@pytest.mark.parametrize("state", [State.PENDING, State.SUBMITTED, State.RETRYING])
def test_an_order_that_goes_on_gets_its_message_back_and_no_second_order(cloud: Cloud, state: State) -> None:
    order = order_in(state)
    cloud.store().create(order)
    cloud.orders_queue().bury(message_body(order.order_id), "received too often")

    (one,) = redrive_for(cloud).run(10)

    assert one.order_id == order.order_id
    assert [order_id_of(message.body) for message in cloud.receive()] == [order.order_id]
    assert len(cloud.dynamodb.scan(TableName=cloud.orders_table)["Items"]) == 1


def test_what_names_no_order_stays_for_a_person_to_see(cloud: Cloud) -> None:
    for body in ("no order at all", message_body("unknown")):
        cloud.orders_queue().bury(body, "why")

    assert [one.order_id for one in redrive_for(cloud).run(10)] == [None, None]
    assert len(cloud.dead_letters()) == 2
