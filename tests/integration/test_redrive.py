"""Dead letters sent back after an outage: one new order for each that failed, however often it is done."""

from __future__ import annotations

import secrets
from dataclasses import replace
from uuid import uuid4

import pytest

from chalicelib.access.key_administration import KeyAdministration
from chalicelib.access.keys import Scope
from chalicelib.orders.intake import Intake
from chalicelib.orders.life import fix_floor
from chalicelib.orders.message import message_body, order_id_of
from chalicelib.orders.order import Order, Token
from chalicelib.orders.redrive import Redrive
from chalicelib.orders.states import State
from chalicelib.times import time_text
from tests.integration.chain_model import AnyTime
from tests.integration.cloud import Cloud
from tests.integration.test_intake import Tokens, a_request
from tests.sample_orders import CREATED_AT_MS, SOL, market_price, order_in

LATER = CREATED_AT_MS + 3_600_000


def redrive_for(cloud: Cloud) -> Redrive:
    store, queue = cloud.store(), cloud.orders_queue()
    switches = cloud.control_table()
    intake = Intake(store, queue, Tokens(), AnyTime(), switches, lambda: LATER, uuid4, prices=market_price)
    return Redrive(store, queue, intake, switches, cloud.keys(), lambda: LATER)


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
    assert cloud.stored(failed.order_id) == replace(failed, redriven_as=first.order_id, revision=1)
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


TERMS = {
    "expires_at_ms": LATER + 1_000,
    "expires_by_default": False,
    "first_quoted_out": 1_500_000_000,
    "min_out": 1_490_000_000,
    "max_price_impact_ppm": 5_000,
    "max_network_fee": 10_000,
}


def buried(cloud: Cloud, order: Order) -> Order:
    cloud.store().create(order)
    cloud.orders_queue().bury(message_body(order.order_id), "RPC_UNAVAILABLE")
    return order


def test_the_new_order_has_the_first_ones_terms_and_each_names_the_other(cloud: Cloud) -> None:
    first = buried(cloud, replace(order_in(State.FAILED), client_order_id="desk/7", **TERMS))  # type: ignore[arg-type]
    (done,) = redrive_for(cloud).run(10)
    assert done.order_id is not None
    again = cloud.stored(done.order_id)
    names = ("min_out", "expires_at_ms", "expires_by_default", "max_price_impact_ppm", "max_network_fee")
    assert [getattr(again, name) for name in names] == [TERMS[name] for name in names]
    assert (again.redrive_of, cloud.stored(first.order_id).redriven_as) == (first.order_id, again.order_id)
    assert (again.client_order_id, again.first_quoted_out) == (None, None)
    assert cloud.store().called("local", "desk/7") == cloud.stored(first.order_id), "its name stays the first one's"


def test_the_floor_in_force_is_never_lowered_by_a_redrive(cloud: Cloud) -> None:
    buried(cloud, replace(order_in(State.FAILED), **TERMS))  # type: ignore[arg-type]
    (done,) = redrive_for(cloud).run(10)
    assert done.order_id is not None
    assert fix_floor(cloud.stored(done.order_id), 1_400_000_000).min_out == TERMS["min_out"]


@pytest.mark.parametrize("by_default", [True, False])
def test_nothing_is_placed_after_the_deadline_and_the_letter_says_so(cloud: Cloud, by_default: bool) -> None:
    order = replace(order_in(State.FAILED), expires_at_ms=LATER, expires_by_default=by_default)
    buried(cloud, order)
    (done,) = redrive_for(cloud).run(10)
    assert done.order_id is None
    assert done.outcome.startswith(f"was good until {time_text(LATER)}, nothing is placed; left")
    assert ("--expires-in" in done.outcome) == by_default
    assert len(cloud.dead_letters()) == 1
    assert cloud.stored(order.order_id).redriven_as is None


@pytest.mark.parametrize(("by_default", "placed"), [(True, True), (False, False)])
def test_a_new_deadline_is_for_orders_whose_own_was_the_default(cloud: Cloud, by_default: bool, placed: bool) -> None:
    buried(cloud, replace(order_in(State.FAILED), expires_at_ms=LATER - 1, expires_by_default=by_default))
    (done,) = redrive_for(cloud).run(10, expires_in_ms=600_000)
    assert (done.order_id is not None) == placed
    if done.order_id is not None:
        assert cloud.stored(done.order_id).expires_at_ms == LATER + 600_000


def test_a_redrive_that_died_after_placing_is_completed_by_the_next_even_after_the_deadline(cloud: Cloud) -> None:
    first = buried(cloud, replace(order_in(State.FAILED), expires_at_ms=LATER + 1, expires_by_default=False))
    (done,) = redrive_for(cloud).run(10)
    assert done.order_id is not None
    stored = cloud.stored(first.order_id)
    cloud.store().replace(replace(stored, redriven_as=None, expires_at_ms=LATER))
    cloud.orders_queue().bury(message_body(first.order_id), "RPC_UNAVAILABLE")
    (again,) = redrive_for(cloud).run(10)
    assert (again.order_id, cloud.stored(first.order_id).redriven_as) == (done.order_id, done.order_id)


@pytest.mark.parametrize("state", [State.EXPIRED, State.CANCELLED])
def test_what_expired_or_was_cancelled_is_never_placed_again(cloud: Cloud, state: State) -> None:
    order = buried(cloud, order_in(state))
    (done,) = redrive_for(cloud).run(10, expires_in_ms=600_000)
    assert (done.order_id, done.outcome) == (order.order_id, f"is {state.value} by now")
    assert len(cloud.dynamodb.scan(TableName=cloud.orders_table)["Items"]) == 1


def administration(cloud: Cloud) -> KeyAdministration:
    return KeyAdministration(cloud.keys(), lambda: LATER, secrets.token_bytes)


def test_an_order_whose_api_key_was_revoked_is_never_placed_again_and_the_letter_says_so(cloud: Cloud) -> None:
    key_id = cloud.new_key("local", Scope.TRADE).key.key_id
    order = buried(cloud, replace(order_in(State.FAILED), key_id=key_id))
    administration(cloud).revoke(key_id)
    (done,) = redrive_for(cloud).run(10)
    assert done.order_id is None
    assert done.outcome == f"was placed with the API key {key_id}, which has ended; left"
    assert cloud.stored(order.order_id).redriven_as is None
    assert len(cloud.dead_letters()) == 1


def test_the_new_order_counts_as_placed_with_the_first_ones_key(cloud: Cloud) -> None:
    key_id = cloud.new_key("local", Scope.TRADE).key.key_id
    administration(cloud).rotate(key_id, grace_minutes=1)
    buried(cloud, replace(order_in(State.FAILED), key_id=key_id))
    (done,) = redrive_for(cloud).run(10)
    assert done.order_id is not None
    assert cloud.stored(done.order_id).key_id == key_id


def test_a_clients_key_that_looks_like_a_redrives_is_not_taken_for_one(cloud: Cloud) -> None:
    failed = buried(cloud, order_in(State.FAILED))
    intake = Intake(
        cloud.store(),
        cloud.orders_queue(),
        Tokens(),
        AnyTime(),
        cloud.control_table(),
        lambda: LATER,
        uuid4,
        prices=market_price,
    )
    theirs = intake.submit("local", a_request(), f"redrive:{failed.order_id}").order
    (done,) = redrive_for(cloud).run(10)
    assert done.order_id is None
    assert "Idempotency-Key" in done.outcome
    assert cloud.stored(failed.order_id).redriven_as is None
    assert cloud.stored(theirs.order_id) == theirs


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
