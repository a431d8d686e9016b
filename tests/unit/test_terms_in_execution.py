"""What the client agreed to holds through every attempt, wait and fault of an order's execution."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.orders.execution import ComeBack, Finished
from chalicelib.orders.life import cancel, claim
from chalicelib.orders.order import Order
from chalicelib.orders.ports import StaleOrder
from chalicelib.orders.starts import InLine
from chalicelib.orders.states import IllegalTransition, State
from chalicelib.problems import AllNodesDown, ExecutionError, RpcUnavailable
from chalicelib.risk.limits import Exposure
from chalicelib.times import time_text
from tests.integration.chain_model import POINTS, AnyTime, Network, World, assert_legal
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS, MIN_OUT, QUOTED_OUT, new_order

ORDER = "order-1"
DEADLINE = CREATED_AT_MS + 300_000
BEFORE_STORED = POINTS[: POINTS.index("after writing submitted")]


def world_with(**terms: object) -> World:
    store = OrdersInMemory()
    assert store.create(replace(new_order(ORDER), expires_at_ms=DEADLINE, **terms))  # type: ignore[arg-type]
    return World(store)


def run_until_finished(world: World, deliveries: int = 60) -> Order:
    for delivery in range(deliveries):
        match world.worker().run(ORDER, f"later/{delivery}"):
            case Finished(order):
                assert_legal(order.history)
                return order
            case ComeBack(in_ms):
                world.now_ms += in_ms
    raise AssertionError("the order doesn't end")


def versions(world: World) -> list[Order]:
    assert isinstance(world.store, OrdersInMemory)
    return world.store.versions[ORDER]


# --- the floor ----------------------------------------------------------------------------------------------------


def test_a_market_under_the_first_quotes_floor_is_retried_against_that_floor_and_never_filled() -> None:
    world = world_with()
    world.building.append(RpcUnavailable("no answer"))  # the first attempt quotes, and gets no further
    world.at_point = lambda point: setattr(world, "quoted_out", MIN_OUT - 1) if point == "before signing" else None
    order = run_until_finished(world)
    assert (order.state, order.error_code, order.retry_count) == (State.FAILED, "SLIPPAGE_EXCEEDED", 3)
    assert (order.first_quoted_out, order.min_out) == (QUOTED_OUT, MIN_OUT)
    assert world.built == 0


def test_a_market_that_rises_between_attempts_leaves_the_floor_where_it_was() -> None:
    world = world_with()
    world.building.append(RpcUnavailable("no answer"))
    world.at_point = lambda point: setattr(world, "quoted_out", QUOTED_OUT * 2) if point == "before signing" else None
    order = run_until_finished(world)
    assert order.state is State.CONFIRMED
    assert (order.quoted_out, order.first_quoted_out, order.min_out) == (QUOTED_OUT * 2, QUOTED_OUT, MIN_OUT)


def test_the_clients_own_floor_holds_where_it_is_the_stricter_one() -> None:
    order = run_until_finished(world_with(min_out=MIN_OUT + 1))
    assert (order.state, order.min_out) == (State.CONFIRMED, MIN_OUT + 1)
    refused = run_until_finished(world_with(min_out=QUOTED_OUT + 1))
    assert (refused.state, refused.error_code, refused.min_out) == (State.FAILED, "SLIPPAGE_EXCEEDED", QUOTED_OUT + 1)


def test_the_first_quote_counts_though_its_route_is_refused() -> None:
    world = world_with(max_price_impact_ppm=500)
    world.exposure = Exposure(value=1, price_impact_ppm=501, deviation_ppm=0)
    order = run_until_finished(world)
    assert (order.state, order.error_code, order.first_quoted_out) == (State.FAILED, "PRICE_IMPACT", QUOTED_OUT)


# --- the deadline -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", BEFORE_STORED)
def test_an_order_whose_deadline_comes_before_its_transaction_is_stored_expires_and_signs_nothing_more(
    point: str,
) -> None:
    world = world_with()
    late_before_the_write = point == "before writing submitted"

    def at_point(passed: str) -> None:
        if passed == point:
            world.now_ms = max(world.now_ms, DEADLINE)

    world.at_point = at_point
    order = run_until_finished(world)
    if late_before_the_write:  # it was signed in time; that the write comes late makes it no other transaction
        assert order.state is State.CONFIRMED
        return
    assert (order.state, order.error_code) == (State.EXPIRED, "EXPIRED")
    assert order.error == f"the order was good until {time_text(DEADLINE)}"
    assert not world.chain.sent
    assert order.claims.open == 0


def test_an_order_whose_deadline_comes_while_it_waits_for_its_turn_expires_at_once() -> None:
    world = world_with()

    class Late(AnyTime):
        def take(self, order: Order) -> InLine | None:
            world.now_ms = DEADLINE
            return None

    world.starts = Late()
    outcome = world.worker().run(ORDER, "first/1")
    assert outcome == Finished(world.stored(ORDER))
    assert (world.stored(ORDER).state, world.stored(ORDER).updated_at_ms) == (State.EXPIRED, DEADLINE)


@pytest.mark.parametrize("network", [Network.HIDES, Network.CARRIES, Network.SILENT_BUT_CARRIES])
def test_a_stored_transactions_fate_comes_before_the_deadline(network: Network) -> None:
    world = world_with()
    world.network.append(network)
    world.at_point = lambda point: setattr(world, "now_ms", DEADLINE) if point == "before sending" else None
    order = run_until_finished(world)
    assert order.state is State.CONFIRMED


def test_an_order_whose_transaction_died_after_the_deadline_expires_and_is_not_tried_again() -> None:
    world = world_with()
    world.network.extend([Network.DROPS] * 9)
    world.at_point = lambda point: setattr(world, "now_ms", DEADLINE) if point == "before sending" else None
    order = run_until_finished(world)
    assert (order.state, world.built) == (State.EXPIRED, 1)
    assert order.past_signatures == ("signature-1",)
    assert order.error is not None
    assert "it never landed" in order.error


def test_an_order_ends_at_its_deadline_while_no_node_answers() -> None:
    world = world_with()
    world.market.extend([AllNodesDown(70_000)] * 50)
    order = run_until_finished(world)
    assert (order.state, order.retry_count) == (State.EXPIRED, 0)
    assert order.error == f"the order was good until {time_text(DEADLINE)}", "no attempt of it had failed"
    assert order.updated_at_ms == DEADLINE, "its last wait was no longer than to its deadline"


def test_no_wait_for_a_retry_or_for_another_worker_is_longer_than_to_the_deadline() -> None:
    world = world_with()
    world.store.replace(replace(world.stored(ORDER), expires_at_ms=CREATED_AT_MS + 600))
    world.building.append(RpcUnavailable("no answer"))
    assert world.worker().run(ORDER, "first/1") == ComeBack(600, "backing off")
    world.now_ms += 100
    assert world.worker().run(ORDER, "early/2") == ComeBack(500, "backing off")

    held = world_with()
    held.store.replace(
        claim(replace(held.stored(ORDER), expires_at_ms=CREATED_AT_MS + 600), "first/1", held.now_ms, 900)
    )
    held.now_ms += 100
    assert held.worker().run(ORDER, "second/2") == ComeBack(500, "another worker has it")


def test_a_worker_that_dies_holds_nobody_up_at_the_deadline() -> None:
    world = world_with()
    world.worker()  # whoever held it
    held = replace(world.stored(ORDER), expires_at_ms=CREATED_AT_MS + 1_000)
    world.store.replace(held)
    world.now_ms = CREATED_AT_MS + 1_000
    assert run_until_finished(world).state is State.EXPIRED


# --- cancelling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_a_cancellation_at_any_step_of_a_worker_wins_until_the_transaction_is_stored_and_then_nothing_lands(
    point: str,
) -> None:
    world = world_with()
    told: list[bool] = []

    def at_point(passed: str) -> None:
        if passed == point and not told:
            try:
                world.store.replace(cancel(world.stored(ORDER), world.now_ms))
                told.append(True)
            except (IllegalTransition, StaleOrder):
                told.append(False)

    world.at_point = at_point
    order = run_until_finished(world)
    assert told == [point in BEFORE_STORED]
    assert order.state is (State.CANCELLED if told == [True] else State.CONFIRMED)
    assert bool(world.chain.sent) == (told == [False])


# --- all of it ----------------------------------------------------------------------------------------------------

TROUBLE = st.sampled_from([None, None, RpcUnavailable("no answer"), AllNodesDown(2_000)])
NETWORKS = st.sampled_from(Network)


@settings(max_examples=150, deadline=None)
@given(
    market=st.lists(TROUBLE, max_size=5),
    building=st.lists(TROUBLE, max_size=5),
    network=st.lists(NETWORKS, max_size=6),
    quotes=st.lists(st.sampled_from([QUOTED_OUT, MIN_OUT, MIN_OUT - 1, QUOTED_OUT * 2, 1]), max_size=8),
    pauses=st.lists(st.sampled_from([0, 0, 1_000, 30_000, 299_000]), max_size=30),
    cancelled_at=st.integers(0, 60),
    min_out=st.sampled_from([None, 1, MIN_OUT + 1, QUOTED_OUT * 2]),
)
def test_whatever_the_market_the_nodes_and_the_clock_do_the_terms_hold(
    market: list[ExecutionError | None],
    building: list[ExecutionError | None],
    network: list[Network],
    quotes: list[int],
    pauses: list[int],
    cancelled_at: int,
    min_out: int | None,
) -> None:
    world = world_with(min_out=min_out)
    world.market.extend(market)
    world.building.extend(building)
    world.network.extend(network)
    points, signed_at = iter(range(1_000)), list[int]()

    def at_point(passed: str) -> None:
        if next(points) == cancelled_at:
            with suppress(IllegalTransition, StaleOrder):
                world.store.replace(cancel(world.stored(ORDER), world.now_ms))
        if passed == "after signing":
            signed_at.append(world.now_ms)
        world.now_ms += pauses.pop() if pauses else 0
        if passed == "planning" and quotes:
            world.quoted_out = quotes.pop()

    world.at_point = at_point
    order = run_until_finished(world)
    assert all(at_ms < DEADLINE for at_ms in signed_at)
    floors = [one.min_out for one in versions(world) if one.first_quoted_out is not None]
    assert len(set(floors)) <= 1
    assert all(floor is not None and floor >= (min_out or 0) for floor in floors)
    assert (order.state is State.CONFIRMED) == bool(world.chain.swaps_of(ORDER))
    if order.state is State.CONFIRMED:
        assert order.quoted_out is not None
        assert order.min_out is not None
        assert order.quoted_out >= order.min_out
