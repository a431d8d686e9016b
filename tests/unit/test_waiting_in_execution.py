"""What becomes of an order that waited once it was triggered: sold, put back to wait, or ended, whatever dies when."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.orders.changing import OrderChanges, changed
from chalicelib.orders.execution import ComeBack, Finished, Waits
from chalicelib.orders.life import cancel
from chalicelib.orders.order import Order, OrderType, TriggerKind
from chalicelib.orders.ports import StaleOrder
from chalicelib.orders.recovery import BEFORE_DEADLINE_MS
from chalicelib.orders.states import IllegalTransition, State, Status
from chalicelib.orders.triggers import is_paused, judge, latched, triggered
from chalicelib.problems import (
    AllNodesDown,
    DayIsFull,
    ExecutionError,
    FeeTooHigh,
    InsufficientBalance,
    InsufficientLiquidity,
    KeyRevoked,
    LimitExceeded,
    NoPool,
    PriceDeviation,
    PriceImpact,
    RpcUnavailable,
    SlippageExceeded,
    TokenNotTradable,
    VenueUnavailable,
)
from chalicelib.risk.halt import Halt
from tests.integration.chain_model import LEASE_MS, POINTS, FreeRein, Killed, Network, World, assert_legal, kill_at
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS, ROUTE, waiting_order

ORDER = "order-1"
DEADLINE = CREATED_AT_MS + 86_400_000
TYPES = ("limit", "stop", "oco")
# By what each is set off: the limit and the oco above their limit of 1,600, the stop below its 1,400.
PAID = {"limit": 1_650_000_000, "stop": 1_390_000_000, "oco": 1_650_000_000}
BEFORE_STORED = POINTS[: POINTS.index("after writing submitted")]


class Switch(FreeRein):
    """An operator who may halt."""

    def __init__(self, *, halted: bool = False) -> None:
        self.halted = halted

    def halt_of(self, account: str) -> Halt | None:
        return Halt("global", CREATED_AT_MS, "a test") if self.halted else None


def world_of(type_: OrderType, **fields: object) -> World:
    """The order is on its way to the workers, in a market that pays what set it off."""
    store = OrdersInMemory()
    assert store.create(waiting_order(type_, **{"expires_at_ms": DEADLINE, "max_tries": 2, **fields}))
    world = World(store, quoted_out=PAID[type_], amount_out=PAID[type_])
    assert set_off(world)
    return world


def set_off(world: World) -> bool:
    """What a watcher does that sees the market as it is now."""
    order = world.stored(ORDER)
    kind = judge(order, world.quoted_out) if order.state is State.OPEN else None
    if kind is None or is_paused(order.wait_until_ms, world.now_ms):
        return False
    world.store.replace(triggered(order, kind, world.quoted_out, 1, world.now_ms))
    return True


def work(world: World, deliveries: int = 20) -> Order:
    """Deliver as long as the order wants it: until it has ended, or waits for its price."""
    for delivery in range(deliveries):
        match world.worker().run(ORDER, f"worker/{delivery}"):
            case ComeBack(in_ms):
                world.now_ms += in_ms
            case Finished(order):
                assert_legal(order.history)
                return order
            case Waits():
                return world.stored(ORDER)
    raise AssertionError("the order neither ends nor waits")


# --- waiting ------------------------------------------------------------------------------------------------------

A_MINUTE_MS = 60_000
# Of a deadline that is further away the sweeper, which comes each minute, sends a message in time.
NEAR_MS = BEFORE_DEADLINE_MS + A_MINUTE_MS


@pytest.mark.parametrize(
    ("left_ms", "outcome"),
    [
        (NEAR_MS + 1, Waits()),
        (NEAR_MS, ComeBack(NEAR_MS, "it waits for its price")),
        (1_000, ComeBack(1_000, "it waits for its price")),
    ],
)
def test_a_message_about_an_order_that_waits_comes_back_only_for_a_deadline_that_is_near(
    left_ms: int, outcome: ComeBack | Waits
) -> None:
    store = OrdersInMemory()
    assert store.create(waiting_order("limit", expires_at_ms=DEADLINE))
    world = World(store, now_ms=DEADLINE - left_ms)
    before = world.stored(ORDER)
    assert world.worker().run(ORDER, "worker/1") == outcome
    assert world.stored(ORDER) == before


# --- the contract's table -----------------------------------------------------------------------------------------

PUTS_BACK = [
    *(NoPool("none"), AllNodesDown(3_000), RpcUnavailable("no answer"), PriceDeviation("moved"), PriceImpact("deep")),
    *(DayIsFull("full"), InsufficientLiquidity("thin"), SlippageExceeded("it moved"), VenueUnavailable("closed")),
]
ENDS = [
    *(InsufficientBalance("poor"), TokenNotTradable("frozen"), FeeTooHigh("dear"), LimitExceeded("too large")),
    KeyRevoked("the key was revoked"),
]


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("error", PUTS_BACK, ids=lambda error: error.code)
@pytest.mark.parametrize("when", ["market", "building"])
def test_what_may_pass_puts_it_back_and_uses_up_no_try(type_: OrderType, error: ExecutionError, when: str) -> None:
    world = world_of(type_)
    getattr(world, when).append(error)
    order = work(world)
    assert (order.state, order.error_code) == (State.OPEN, error.code)
    assert (order.retry_count, order.signed_tries, world.built) == (0, 0, 0)
    assert (order.trigger is not None) == (type_ == "stop")
    assert order.claims.waiting == 1
    assert order.claims.open == 0
    world.now_ms = order.wait_until_ms
    assert set_off(world)
    assert work(world).state is State.CONFIRMED


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("error", ENDS, ids=lambda error: error.code)
def test_what_no_wait_can_mend_ends_it_with_its_code(type_: OrderType, error: ExecutionError) -> None:
    world = world_of(type_)
    world.market.append(error)
    order = work(world)
    assert (order.state, order.error_code, order.is_terminal) == (State.FAILED, error.code, True)


@pytest.mark.parametrize("type_", TYPES)
def test_what_one_pool_refuses_for_good_puts_it_back_without_that_pool(type_: OrderType) -> None:
    world = world_of(type_)
    refusal = TokenNotTradable("frozen")
    refusal.leg = 1
    world.building.append(refusal)
    order = work(world)
    assert (order.state, order.error_code) == (State.OPEN, "TOKEN_NOT_TRADABLE")
    assert [refused.pool for refused in order.refused_pools] == [ROUTE[1].pool]
    world.now_ms = order.wait_until_ms
    assert set_off(world)
    assert work(world).state is State.CONFIRMED


@pytest.mark.parametrize("type_", TYPES)
def test_a_halt_puts_it_back_before_anything_is_read(type_: OrderType) -> None:
    world = world_of(type_)
    world.risk = Switch(halted=True)
    order = work(world)
    assert (order.state, order.error_code, world.built) == (State.OPEN, "HALTED", 0)
    world.risk, world.now_ms = FreeRein(), order.wait_until_ms
    assert set_off(world)
    assert work(world).state is State.CONFIRMED


@pytest.mark.parametrize("type_", TYPES)
def test_a_halt_between_signing_and_storing_sends_nothing(type_: OrderType) -> None:
    world = world_of(type_)
    switch = world.risk = Switch()
    world.at_point = lambda point: setattr(switch, "halted", True) if point == "after signing" else None
    order = work(world)
    assert (order.state, order.error_code, world.chain.sent) == (State.OPEN, "HALTED", {})


# --- signed, and not filled ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("network", [Network.REVERTS, Network.DROPS])
def test_a_signed_transaction_that_did_not_fill_is_a_try_of_which_there_are_so_many(
    type_: OrderType, network: Network
) -> None:
    world, pauses = world_of(type_), []
    world.network.extend([network] * 40)
    for tries in (1, 2):
        order = work(world)
        assert (order.state, order.signed_tries) == (State.OPEN, tries)
        pauses.append(order.wait_until_ms - world.now_ms)
        assert not set_off(world), "it is paused"
        world.now_ms = order.wait_until_ms
        assert set_off(world)
    order = work(world)
    assert (order.state, order.error_code) == (State.FAILED, "SLIPPAGE_EXCEEDED")
    assert order.error is not None
    assert "3 transactions did not fill" in order.error
    assert len(order.past_signatures) == 3
    assert pauses == [1_000, 2_000]


def test_an_order_that_is_stored_without_a_number_of_tries_has_ten() -> None:
    world = world_of("limit", max_tries=None, signed_tries=9)
    world.network.extend([Network.REVERTS] * 2)
    order = work(world)
    assert (order.state, order.signed_tries) == (State.OPEN, 10)
    world.now_ms = order.wait_until_ms
    assert set_off(world)
    order = work(world)
    assert (order.state, order.error) == (State.FAILED, "11 transactions did not fill; the program refused")


@pytest.mark.parametrize("type_", TYPES)
def test_while_its_transaction_may_land_it_is_neither_put_back_nor_built_anew(type_: OrderType) -> None:
    world = world_of(type_)
    world.network.extend([Network.SILENT, Network.HIDES, Network.REFUSES_TO_TELL])
    for _ in range(3):
        outcome = world.worker().run(ORDER, "worker/1")
        assert isinstance(outcome, ComeBack)
        assert world.stored(ORDER).state is State.SUBMITTED
        world.now_ms += outcome.in_ms
    assert work(world).state is State.CONFIRMED
    assert world.built == 1


# --- the floor ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("type_", "floor"), [("limit", 1_600_000_000), ("stop", 1_376_100_000)])
def test_a_market_a_unit_under_the_floor_signs_nothing_and_one_at_the_floor_fills(type_: OrderType, floor: int) -> None:
    world = world_of(type_)
    world.quoted_out = floor - 1
    assert (work(world).state, world.built) == (State.OPEN, 0)
    world.quoted_out = world.amount_out = floor
    world.now_ms = world.stored(ORDER).wait_until_ms
    assert set_off(world)
    order = work(world)
    assert (order.state, order.amount_out, order.min_out) == (State.CONFIRMED, floor, floor)


def test_a_stop_in_a_fall_deeper_than_its_slippage_waits_for_its_floor_and_says_why() -> None:
    world = world_of("stop")
    world.quoted_out = 1_000_000_000
    order = work(world)
    step = order.history[-1]
    assert (step.status, step.error_code) == (Status.OPEN, "SLIPPAGE_EXCEEDED")
    assert step.error is not None
    assert "1000 USDC now" in step.error
    world.now_ms = DEADLINE
    ended = work(world)
    assert (ended.state, ended.error_code) == (State.EXPIRED, "EXPIRED")


# --- races and deaths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_step_leaves_an_order_that_is_sold_once(type_: OrderType, point: str) -> None:
    world = world_of(type_)
    world.at_point = kill_at(point)
    with pytest.raises(Killed):
        world.worker().run(ORDER, "worker/killed")
    world.at_point = lambda point: None
    world.now_ms += LEASE_MS
    order = work(world)
    assert order.state is State.CONFIRMED
    assert len(world.chain.swaps_of(ORDER)) == 1


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("point", POINTS)
def test_a_cancellation_at_any_step_wins_until_the_transaction_is_stored(type_: OrderType, point: str) -> None:
    world, told = world_of(type_), list[bool]()

    def at_point(passed: str) -> None:
        if passed == point and not told:
            try:
                world.store.replace(cancel(world.stored(ORDER), world.now_ms))
                told.append(True)
            except (IllegalTransition, StaleOrder):
                told.append(False)

    world.at_point = at_point
    order = work(world)
    assert told == [point in BEFORE_STORED]
    assert order.state is (State.CANCELLED if told == [True] else State.CONFIRMED)
    assert bool(world.chain.sent) == (told == [False])


@pytest.mark.parametrize("order_of_events", ["cancel", "change", "trigger"])
def test_of_a_cancel_a_change_and_a_trigger_that_read_the_same_order_one_is_written(order_of_events: str) -> None:
    store = OrdersInMemory()
    assert store.create(waiting_order("oco", expires_at_ms=DEADLINE))
    world = World(store)
    read = world.stored(ORDER)
    writes = {
        "cancel": cancel(read, world.now_ms),
        "change": changed(read, OrderChanges(stop_price="130"), world.now_ms),
        "trigger": triggered(read, TriggerKind.STOP, 1_390_000_000, 1, world.now_ms),
    }
    store.replace(writes.pop(order_of_events))
    for late in writes.values():
        with pytest.raises(StaleOrder):
            store.replace(late)
    state = {"cancel": State.CANCELLED, "change": State.OPEN, "trigger": State.PENDING}[order_of_events]
    assert (world.stored(ORDER).state, len(world.stored(ORDER).history)) == (state, 2)


QUOTES = [1_390_000_000, 1_376_099_999, 1_500_000_000, 1_600_000_000, 1_700_000_000]
EVENTS = st.sampled_from(["work", "work", "look", "look", "cancel", "change", "latch", "halt", "resume"])


@settings(max_examples=150, deadline=None)
@given(
    type_=st.sampled_from(TYPES),
    events=st.lists(EVENTS, max_size=40),
    quotes=st.lists(
        st.sampled_from([1_390_000_000, 1_376_099_999, 1_500_000_000, 1_600_000_000, 1_700_000_000]), max_size=40
    ),
    network=st.lists(st.sampled_from(Network), max_size=12),
    pauses=st.lists(st.sampled_from([0, 1_000, 60_000, 7_200_000]), max_size=40),
)
def test_whatever_comes_in_whatever_order_it_is_sold_once_at_most_and_within_its_floor(
    type_: OrderType, events: list[str], quotes: list[int], network: list[Network], pauses: list[int]
) -> None:
    world = world_of(type_)
    world.network.extend(network)
    for event in events:
        order = world.stored(ORDER)
        world.quoted_out = world.amount_out = quotes.pop() if quotes else 1_500_000_000
        with suppress(IllegalTransition, StaleOrder):
            match event:
                case "work":
                    world.worker().run(ORDER, f"worker/{world.now_ms}")
                case "look":
                    set_off(world)
                case "cancel":
                    world.store.replace(cancel(order, world.now_ms))
                case "change":
                    world.store.replace(changed(order, OrderChanges(slippage_ppm=20_000), world.now_ms))
                case "latch" if order.trigger is None and order.type != "limit":
                    world.store.replace(latched(order, 1_390_000_000, 1, world.now_ms))
                case "halt" | "resume":
                    world.risk = Switch(halted=event == "halt")
        world.now_ms += pauses.pop() if pauses else 0
    world.risk, world.now_ms = FreeRein(), max(world.now_ms, DEADLINE)
    order = work(world, 60)
    assert order.is_terminal, "its deadline ends it"
    swaps = world.chain.swaps_of(ORDER)
    assert len(swaps) == (1 if order.state is State.CONFIRMED else 0)
    if order.state is State.CONFIRMED:
        assert order.amount_out is not None
        assert order.min_out is not None
        assert order.trigger is not None
        assert order.amount_out >= order.min_out
