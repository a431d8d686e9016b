"""What holds an attempt back: its turn, the kill switch, the limits on a plan; and what it says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from chalicelib.orders.execution import UNDECIDED_AGAIN_MS, ComeBack, Finished
from chalicelib.orders.order import Leftover, Order, State, place
from chalicelib.orders.outage import OutagePolicy
from chalicelib.orders.start_rate import GRACE_MS
from chalicelib.problems import RpcUnavailable, SlippageExceeded
from chalicelib.risk.counters import GLOBAL, account_scope, day_of
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import Limits, LimitsInForce
from tests.integration.chain_model import EXPOSURE, FEE, LEASE_MS, Network, World, assert_legal
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS, JUP, MIN_OUT, QUOTED_OUT, ROUTE, SOL, USDC, new_order

ORDER = "order-1"
DESK = account_scope("local")
A_DAY_MS = 86_400_000


@dataclass
class Operator:
    """What is set, and can be set otherwise at any moment."""

    halt: Halt | None = None
    limits: LimitsInForce = field(default_factory=lambda: LimitsInForce(Limits(), Limits()))
    asked: list[str] = field(default_factory=list)

    def halt_of(self, account: str) -> Halt | None:
        self.asked.append(account)
        return self.halt

    def limits_for(self, account: str) -> LimitsInForce:
        self.asked.append(account)
        return self.limits


@dataclass
class NextSlots:
    """A StartRate whose next slots are these."""

    slots: list[int]
    asked_at: list[int] = field(default_factory=list)

    def reserve(self, now_ms: int, longest_wait_ms: int | None = None) -> int:
        self.asked_at.append(now_ms)
        return self.slots.pop(0)

    def next_start(self, now_ms: int, longest_wait_ms: int) -> int:
        return self.slots[0]


@pytest.fixture
def store() -> OrdersInMemory:
    return OrdersInMemory()


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def world(store: OrdersInMemory, operator: Operator) -> World:
    assert store.create(new_order(ORDER))
    return World(store, risk=operator)


def finished(world: World, order_id: str = ORDER) -> Order:
    outcome = world.worker().run(order_id, "worker/1")
    assert isinstance(outcome, Finished)
    assert world.stored(order_id) == outcome.order
    assert_legal(outcome.order.history)
    return outcome.order


def statuses(order: Order) -> list[str]:
    return [step.status.value for step in order.history]


# --- its turn -----------------------------------------------------------------------------------------------------


def placed(world: World, start_at_ms: int) -> None:
    order = place(replace(new_order("waiting"), history=()), start_at_ms)
    assert world.store.create(order)


def test_an_order_whose_turn_has_not_come_comes_back_when_it_has(world: World) -> None:
    placed(world, CREATED_AT_MS + 5_000)
    assert world.worker().run("waiting", "early/1") == ComeBack(5_000, "its turn has not come")
    assert statuses(world.stored("waiting")) == ["pending"]
    world.now_ms += 5_000
    assert finished(world, "waiting").state is State.CONFIRMED


def test_an_order_that_comes_too_late_for_its_slot_waits_for_the_next_and_says_so(world: World) -> None:
    placed(world, CREATED_AT_MS)
    late_ms = CREATED_AT_MS + GRACE_MS + 1
    world.now_ms, world.start_rate = late_ms, NextSlots([late_ms + 700])
    assert world.worker().run("waiting", "late/1") == ComeBack(700, "its turn had passed")
    order = world.stored("waiting")
    assert (order.state, order.start_at_ms, order.lease) == (State.PENDING, late_ms + 700, None)
    assert order.history[-1].queued_until_ms == late_ms + 700
    assert order.updated_at_ms == late_ms
    world.now_ms += 700
    assert finished(world, "waiting").state is State.CONFIRMED


def test_an_order_that_comes_too_late_starts_at_once_where_the_next_slot_is_now(world: World) -> None:
    placed(world, CREATED_AT_MS)
    world.now_ms += GRACE_MS + 1
    slots = NextSlots([world.now_ms])
    world.start_rate = slots
    order = finished(world, "waiting")
    assert statuses(order) == ["pending", "routing", "building", "submitted", "confirmed"]
    assert slots.asked_at == [world.now_ms]


def test_only_a_start_takes_a_slot(world: World) -> None:
    """A second attempt needs none, however late it comes."""
    placed(world, CREATED_AT_MS)
    world.start_rate = NextSlots([])
    world.market.append(RpcUnavailable("no answer"))
    assert world.worker().run("waiting", "first/1") == ComeBack(1_000, "backing off")
    world.now_ms += A_DAY_MS
    assert finished(world, "waiting").retry_count == 1


# --- the kill switch ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("halt", "said"),
    [
        (Halt(GLOBAL, CREATED_AT_MS, "a drill"), "all executions are halted: a drill"),
        (Halt(DESK, CREATED_AT_MS, ""), "this account's executions are halted"),
    ],
)
def test_an_order_that_has_not_started_ends_halted_and_says_by_whom(
    world: World, operator: Operator, halt: Halt, said: str
) -> None:
    operator.halt = halt
    order = finished(world)
    assert statuses(order) == ["pending", "failed"]
    assert (order.error, order.error_code, order.history[-1].terminal) == (said, "HALTED", True)
    assert (world.built, world.chain.sent, operator.asked) == (0, {}, ["local"])


@pytest.mark.parametrize("point", ["planning", "after writing building", "before signing", "after signing"])
def test_a_halt_that_comes_while_an_order_is_worked_on_keeps_its_transaction_from_being_stored(
    world: World, store: OrdersInMemory, operator: Operator, point: str
) -> None:
    def at_point(passed: str) -> None:
        if passed == point:
            operator.halt = Halt(GLOBAL, CREATED_AT_MS, "")

    world.at_point = at_point
    order = finished(world)
    assert (order.state, order.error_code, order.error) == (State.FAILED, "HALTED", "all executions are halted")
    assert (order.submission, world.chain.sent) == (None, {})
    assert not any(store.counters.values()), "and its part of the day is given back"


@pytest.mark.parametrize("network", [Network.CARRIES, Network.HIDES, Network.DROPS])
def test_a_transaction_that_was_stored_before_the_halt_is_brought_to_its_end(
    world: World, operator: Operator, network: Network
) -> None:
    def at_point(passed: str) -> None:
        if passed == "after writing submitted":
            operator.halt = Halt(GLOBAL, CREATED_AT_MS, "")

    world.at_point = at_point
    world.network.append(network)
    outcome = world.worker().run(ORDER, "first/1")
    while isinstance(outcome, ComeBack):
        world.now_ms += outcome.in_ms
        outcome = world.worker().run(ORDER, "later/1")
    assert outcome.order.state is State.CONFIRMED


def test_an_order_between_two_attempts_ends_halted_at_once(world: World, operator: Operator) -> None:
    world.market.append(RpcUnavailable("no answer"))
    assert world.worker().run(ORDER, "first/1") == ComeBack(1_000, "backing off")
    operator.halt = Halt(GLOBAL, CREATED_AT_MS, "")
    order = finished(world)
    assert statuses(order) == ["pending", "routing", "failed", "failed"]
    assert (order.error_code, order.retry_count) == ("HALTED", 1)


def test_an_order_that_another_worker_holds_is_left_to_it(world: World, operator: Operator) -> None:
    """It looks at the kill switch itself."""
    seconds: list[object] = []

    def at_point(passed: str) -> None:
        if passed == "planning":
            operator.halt = Halt(GLOBAL, CREATED_AT_MS, "")
            world.now_ms += 400
            seconds.append(world.worker().run(ORDER, "second/2"))

    world.at_point = at_point
    assert finished(world).error_code == "HALTED"
    assert seconds == [ComeBack(LEASE_MS - 400, "another worker has it")]


# --- the limits on a plan -----------------------------------------------------------------------------------------


def accounts(limits: Limits) -> LimitsInForce:
    return LimitsInForce(limits, Limits())


def everybodys(limits: Limits) -> LimitsInForce:
    return LimitsInForce(Limits(), limits)


@pytest.mark.parametrize(("whose", "said"), [(accounts, "the account may"), (everybodys, "all accounts together may")])
def test_an_order_beyond_what_may_be_traded_in_a_day_says_by_how_much(
    world: World, store: OrdersInMemory, operator: Operator, whose: Callable[[Limits], LimitsInForce], said: str
) -> None:
    operator.limits = whose(Limits(daily_notional=2_000_000_000))
    assert finished(world).state is State.CONFIRMED
    assert store.create(new_order("next"))
    order = finished(world, "next")
    assert (statuses(order)[-2:], order.error_code) == (["routing", "failed"], "LIMIT_EXCEEDED")
    assert order.error == (
        f"with 1500 USDC on top of 1500 USDC, the sum of {day_of(CREATED_AT_MS)} (UTC) would be 1000 USDC more than "
        f"{said} trade in a day, 2000 USDC"
    )
    assert world.built == 1
    world.now_ms += A_DAY_MS
    assert store.create(new_order("tomorrow"))
    assert finished(world, "tomorrow").state is State.CONFIRMED


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(largest_order=1_499_999_999), "LIMIT_EXCEEDED"),
        (Limits(price_impact_ppm=999), "PRICE_IMPACT"),
        (Limits(slippage_ppm=9_999), "LIMIT_EXCEEDED"),
        (Limits(tokens=frozenset({JUP.mint})), "LIMIT_EXCEEDED"),
    ],
)
def test_a_plan_beyond_a_limit_is_not_even_stored(
    world: World, store: OrdersInMemory, operator: Operator, limits: Limits, code: str
) -> None:
    operator.limits = accounts(limits)
    world.exposure = replace(EXPOSURE, deviation_ppm=500)
    order = finished(world)
    assert statuses(order) == ["pending", "routing", "failed"]
    assert (order.error_code, order.route, world.built) == (code, None, 0)
    assert not any(store.counters.values())


def test_an_order_whose_prices_stay_too_far_off_ends_after_its_third_attempt_and_says_so(
    world: World, store: OrdersInMemory, operator: Operator
) -> None:
    operator.limits = accounts(Limits(price_deviation_ppm=499))
    world.exposure = replace(EXPOSURE, deviation_ppm=500)
    for wait_ms in (1_000, 2_000):
        assert world.worker().run(ORDER, "any/1") == ComeBack(wait_ms, "backing off")
        world.now_ms += wait_ms
    order = finished(world)
    assert statuses(order) == ["pending", *["routing", "failed"] * 3]
    assert (order.error_code, order.route, world.built) == ("PRICE_DEVIATION", None, 0)
    assert not any(store.counters.values())


def test_a_quote_at_moved_prices_fixes_no_floor_and_the_order_fills_once_they_are_back(
    world: World, operator: Operator
) -> None:
    operator.limits = accounts(Limits(price_deviation_ppm=499))
    world.exposure = replace(EXPOSURE, deviation_ppm=500)
    before = world.stored(ORDER)
    assert world.worker().run(ORDER, "any/1") == ComeBack(1_000, "backing off")
    refused = world.stored(ORDER)
    assert (refused.min_out, refused.first_quoted_out) == (before.min_out, None)
    world.now_ms += 1_000
    world.exposure = EXPOSURE
    order = finished(world)
    assert (order.state, order.first_quoted_out) == (State.CONFIRMED, QUOTED_OUT)


def test_a_route_that_is_chosen_counts_for_its_value_on_its_day(world: World, store: OrdersInMemory) -> None:
    world.now_ms += A_DAY_MS
    order = finished(world)
    assert (order.route, order.quoted_out, order.min_out) == (ROUTE, QUOTED_OUT, MIN_OUT)
    day = day_of(CREATED_AT_MS + A_DAY_MS)
    assert order.notional is not None
    assert (order.notional.day, order.notional.value) == (day, EXPOSURE.value)
    moved = {name: number for name, number in store.counters.items() if number}
    fees = {f"fees#{day}#{scope}": FEE for scope in (DESK, GLOBAL)}
    assert moved == {f"notional#{day}#{scope}": EXPOSURE.value for scope in (DESK, GLOBAL)} | fees


def test_an_order_of_the_tokens_that_an_account_may_trade_is_held_to_its_own_accounts_limits(
    world: World, operator: Operator
) -> None:
    operator.limits = accounts(Limits(tokens=frozenset({SOL.mint, USDC.mint})))
    assert finished(world).state is State.CONFIRMED
    assert set(operator.asked) == {"local"}


def test_an_order_whose_value_nobody_can_tell_counts_for_nothing(world: World, store: OrdersInMemory) -> None:
    world.exposure = replace(EXPOSURE, value=None, deviation_ppm=None)
    assert finished(world).notional is None
    assert {name for name, number in store.counters.items() if number and not name.startswith("fees#")} == set()


def test_attempts_of_one_order_count_once(world: World, operator: Operator) -> None:
    operator.limits = accounts(Limits(daily_notional=1_500_000_000))
    world.building.extend([RpcUnavailable("no answer"), SlippageExceeded("it moved")])
    for wait_ms in (1_000, 2_000):
        assert world.worker().run(ORDER, "any/1") == ComeBack(wait_ms, "backing off")
        world.now_ms += wait_ms
    assert finished(world).state is State.CONFIRMED


# --- what landed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [Network.SILENT, Network.REFUSES_TO_TELL])
def test_a_fate_that_cannot_be_read_is_asked_for_again_by_whoever_comes_next(world: World, network: Network) -> None:
    world.network.append(network)
    assert world.worker().run(ORDER, "first/1") == ComeBack(UNDECIDED_AGAIN_MS, "its transaction may still land")
    assert (world.stored(ORDER).state, world.stored(ORDER).lease) == (State.SUBMITTED, None)
    assert finished(world).state is State.CONFIRMED


def test_what_a_landed_swap_left_between_its_hops_stands_on_the_order(world: World) -> None:
    world.leftover = (Leftover(USDC, 7),)
    assert finished(world).leftover == (Leftover(USDC, 7),)


# --- outages ------------------------------------------------------------------------------------------------------


@dataclass
class Noted:
    """Outages that say what they are told to, and remember what they were told."""

    wait_ms: int | None = None
    told: list[tuple[str, int]] = field(default_factory=list)

    def failed(self, now_ms: int) -> int | None:
        self.told.append(("failed", now_ms))
        return self.wait_ms

    def answered(self, now_ms: int) -> None:
        self.told.append(("answered", now_ms))


def test_a_transaction_that_could_be_built_tells_that_solana_answers(world: World) -> None:
    outages = Noted()
    world.outages = outages
    assert finished(world).state is State.CONFIRMED
    assert outages.told == [("answered", world.now_ms)]


@pytest.mark.parametrize("where", ["market", "building"])
def test_in_an_outage_an_order_waits_as_long_as_it_is_told_and_lets_go_of_itself(world: World, where: str) -> None:
    outages = Noted(wait_ms=2_345)
    world.outages = outages
    getattr(world, where).append(RpcUnavailable("no answer"))
    assert world.worker().run(ORDER, "first/1") == ComeBack(2_345, "no Solana node answers")
    assert (world.stored(ORDER).lease, world.stored(ORDER).retry_count) == (None, 0)
    assert outages.told == [("failed", world.now_ms)]


def test_an_outage_is_told_by_one_failure_at_least() -> None:
    assert OutagePolicy(failures_to_tell=1).failures_to_tell == 1
    with pytest.raises(ValueError, match="no outage"):
        OutagePolicy(failures_to_tell=0)
