"""What holds an attempt back: its turn, the kill switch, the limits on a plan; and what it says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest

from chalicelib.amounts import sol_text
from chalicelib.orders.execution import UNDECIDED_AGAIN_MS, ComeBack, Finished, Waits
from chalicelib.orders.life import place
from chalicelib.orders.order import Leftover, Offer, Order
from chalicelib.orders.outage import OutagePolicy
from chalicelib.orders.starts import InLine
from chalicelib.orders.states import State
from chalicelib.orders.turns import TOLD_AGAIN_MS, Waiting
from chalicelib.problems import RpcUnavailable, SlippageExceeded
from chalicelib.risk.counters import GLOBAL, NetworkFees, account_scope, day_of
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import Limits, LimitsInForce
from tests.integration.chain_model import (
    EXPOSURE,
    FEE,
    FEES,
    LEASE_MS,
    AnyTime,
    ModelTrader,
    Network,
    World,
    assert_legal,
)
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


@dataclass
class InTurn(AnyTime):
    """Starts that let an order wait as long as these say, and write down whose place was given back or withdrawn."""

    lines: list[InLine]
    taken: list[State] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)

    def take(self, order: Order) -> InLine | None:
        self.taken.append(order.state)
        return self.lines.pop(0) if self.lines else None

    def leave(self, order_id: str) -> None:
        self.left.append(order_id)

    def withdraw(self, order: Order) -> None:
        self.withdrawn.append(order.order_id)


def placed(world: World, start_at_ms: int, expires_at_ms: int | None = None) -> None:
    order = place(replace(new_order("waiting"), history=(), expires_at_ms=expires_at_ms), start_at_ms)
    assert world.store.create(order)


def test_an_order_whose_turn_has_not_come_waits_without_its_message_and_starts_when_it_has(world: World) -> None:
    placed(world, CREATED_AT_MS)
    starts = InTurn([InLine(CREATED_AT_MS + 5_000, is_new=True)])
    world.starts = starts
    assert world.worker().run("waiting", "early/1") == Waits()
    assert statuses(world.stored("waiting")) == ["pending"], "what is about as it was told is not told again"
    assert world.stored("waiting").lease is None
    assert finished(world, "waiting").state is State.CONFIRMED
    assert (starts.taken, starts.left) == ([State.PENDING] * 2, ["waiting"])


@pytest.mark.parametrize("moved_ms", [TOLD_AGAIN_MS + 1, -TOLD_AGAIN_MS - 1])
def test_an_order_that_starts_much_earlier_or_later_than_was_told_says_so(world: World, moved_ms: int) -> None:
    placed(world, CREATED_AT_MS + 60_000)
    start_at_ms = CREATED_AT_MS + 60_000 + moved_ms
    world.starts = InTurn([InLine(start_at_ms, is_new=True)])
    assert world.worker().run("waiting", "early/1") == Waits()
    order = world.stored("waiting")
    assert (order.state, order.start_at_ms, order.history[-1].queued_until_ms) == (
        State.PENDING,
        start_at_ms,
        start_at_ms,
    )


@pytest.mark.parametrize("moved_ms", [TOLD_AGAIN_MS, -TOLD_AGAIN_MS])
def test_a_client_is_not_told_of_a_start_that_moved_by_no_more_than_may_pass_unsaid(
    world: World, moved_ms: int
) -> None:
    told_ms = CREATED_AT_MS + 60_000
    placed(world, told_ms)
    world.starts = InTurn([InLine(told_ms + moved_ms, is_new=True)])
    assert world.worker().run("waiting", "early/1") == Waits()
    assert world.stored("waiting").start_at_ms == told_ms


def test_a_worker_whose_order_waits_is_told_whose_turn_it_is_instead(world: World) -> None:
    placed(world, CREATED_AT_MS)
    another = Waiting("another", "local", since_ms=CREATED_AT_MS, needs_slot=True)
    world.starts = InTurn([InLine(CREATED_AT_MS + 5_000, is_new=True, instead=another)])
    assert world.worker().run("waiting", "early/1") == Waits(another)


def test_an_order_whose_deadline_comes_soon_comes_back_at_the_deadline_whether_or_not_it_is_its_turn(
    world: World,
) -> None:
    placed(world, CREATED_AT_MS, expires_at_ms=CREATED_AT_MS + 3_000)
    starts = InTurn([InLine(CREATED_AT_MS + 5_000, is_new=True), InLine(None, is_new=False)])
    world.starts = starts
    assert world.worker().run("waiting", "early/1") == ComeBack(3_000, "it waits for its turn")
    assert world.worker().run("waiting", "a look/1") == Waits(), "one message is enough"
    world.now_ms += 3_000
    assert finished(world, "waiting").state is State.EXPIRED
    assert (starts.withdrawn, starts.left) == (["waiting"], ["waiting"])


def test_an_order_that_is_held_takes_no_place_from_whom_it_is_held_by(world: World) -> None:
    starts = InTurn([])
    world.starts = starts
    world.market.append(RpcUnavailable("no answer"))
    outcomes = []

    def at_point(passed: str) -> None:
        if passed == "planning":
            outcomes.append(world.worker().run(ORDER, "second/2"))

    world.at_point = at_point
    assert isinstance(world.worker().run(ORDER, "first/1"), ComeBack)
    assert outcomes == [ComeBack(LEASE_MS, "another worker has it")]
    assert (starts.taken, starts.left) == ([State.PENDING], [ORDER])


def test_an_order_that_has_ended_gives_back_the_place_that_it_was_given_meanwhile(world: World) -> None:
    finished(world)
    starts = InTurn([])
    world.starts = starts
    finished(world)
    assert (starts.taken, starts.left) == ([], [ORDER])


def test_an_order_that_is_stopped_before_it_starts_gives_its_place_back(world: World, operator: Operator) -> None:
    operator.halt = Halt(GLOBAL, CREATED_AT_MS, "")
    starts = InTurn([])
    world.starts = starts
    assert finished(world).error_code == "HALTED"
    assert (starts.taken, starts.left) == ([], [ORDER])


def test_a_worker_that_fails_gives_its_place_back(world: World) -> None:
    starts = InTurn([])
    world.starts = starts

    def at_point(passed: str) -> None:
        if passed == "planning":
            raise KeyError("a mistake of ours")

    world.at_point = at_point
    with pytest.raises(KeyError):
        world.worker().run(ORDER, "worker/1")
    assert starts.left == [ORDER]


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
    assert isinstance(outcome, Finished)
    assert outcome.order.state is State.CONFIRMED


@dataclass
class Revoked:
    """Keys of which some were revoked."""

    revoked: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def is_revoked(self, key_id: str) -> bool:
        self.asked.append(key_id)
        return key_id in self.revoked


def test_an_order_whose_key_was_revoked_ends_and_names_the_key(world: World, store: OrdersInMemory) -> None:
    assert store.create(replace(new_order("of-a-key"), key_id="key-1"))
    world.keys = Revoked(frozenset({"key-1"}))
    order = finished(world, "of-a-key")
    assert (order.state, order.error_code, order.retry_count) == (State.FAILED, "KEY_REVOKED", 0)
    assert "key-1" in (order.error or "")
    assert (world.built, world.chain.sent) == (0, {})


def test_an_order_is_held_up_by_no_key_but_the_one_that_placed_it(world: World, store: OrdersInMemory) -> None:
    assert store.create(replace(new_order("of-a-key"), key_id="key-1"))
    keys = Revoked(frozenset({"key-2"}))
    world.keys = keys
    assert finished(world, "of-a-key").state is State.CONFIRMED
    assert set(keys.asked) == {"key-1"}
    assert finished(world).state is State.CONFIRMED, "no key placed this one"
    assert set(keys.asked) == {"key-1"}


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


@pytest.mark.parametrize(("whose", "said"), [(accounts, "the account may"), (everybodys, "all accounts together may")])
def test_an_order_beyond_what_may_be_paid_in_network_fees_in_a_day_says_by_how_much(
    world: World, store: OrdersInMemory, operator: Operator, whose: Callable[[Limits], LimitsInForce], said: str
) -> None:
    operator.limits = whose(Limits(daily_network_fees=FEES.most))
    assert finished(world).state is State.CONFIRMED
    assert store.create(new_order("next"))
    order = finished(world, "next")
    assert order.error_code == "LIMIT_EXCEEDED"
    assert order.error == (
        f"with {sol_text(FEES.most)} on top of {sol_text(FEE)}, the sum of {day_of(CREATED_AT_MS)} (UTC) would be "
        f"{sol_text(FEE)} more than {said} pay in network fees in a day, {sol_text(FEES.most)}"
    )


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


def test_an_order_reserves_no_more_network_fees_than_its_client_named(world: World, store: OrdersInMemory) -> None:
    for own, reserved in ((FEES.least, FEES.least), (FEES.most + 1, FEES.most)):
        order_id = f"at most {own}"
        assert store.create(replace(new_order(order_id), max_network_fee=own))
        world.network.append(Network.HIDES)
        world.worker().run(order_id, "first/1")
        assert world.stored(order_id).fees_reserved == NetworkFees(day_of(CREATED_AT_MS), reserved)
    assert store.create(replace(new_order("too little"), max_network_fee=FEES.least - 1))
    refused = finished(world, "too little")
    assert (refused.error_code, refused.route) == ("FEE_TOO_HIGH", None)


def test_a_fee_beyond_its_share_of_the_order_says_what_the_order_is_worth(world: World, operator: Operator) -> None:
    operator.limits = accounts(Limits(fee_share_ppm=1))
    world.exposure = replace(EXPOSURE, lamport_value=Fraction(10**9))
    order = finished(world)
    assert order.error_code == "FEE_TOO_HIGH"
    assert order.error is not None
    assert "0.0001% of the order's 1500 USDC" in order.error


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


@pytest.mark.parametrize("network", [Network.CARRIES, Network.REVERTS])
def test_fees_that_an_earlier_version_did_not_reserve_count_on_the_day_on_which_they_were_paid(
    world: World, store: OrdersInMemory, network: Network
) -> None:
    world.network.append(Network.SILENT)
    world.worker().run(ORDER, "first/1")
    store.replace(replace(world.stored(ORDER), fees_reserved=None))
    world.now_ms += A_DAY_MS
    world.network.append(network)
    world.worker().run(ORDER, "second/2")
    assert world.stored(ORDER).fees_paid == (NetworkFees(day_of(CREATED_AT_MS + A_DAY_MS), FEE),)


def test_what_the_pools_offered_stands_on_the_order_with_its_route(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = (Offer(dex="raydium", pool=ROUTE[0].pool, amount_out=QUOTED_OUT), Offer(dex="meteora", pool="other"))
    plan = ModelTrader.plan
    monkeypatch.setattr(ModelTrader, "plan", lambda self, order: replace(plan(self, order), offers=offers))
    assert finished(world).quotes == offers


def test_what_a_landed_swap_left_between_its_hops_stands_on_the_order(world: World) -> None:
    world.leftover = (Leftover(USDC, 7),)
    assert finished(world).leftover == (Leftover(USDC, 7),)


def test_how_many_slots_after_it_was_sent_a_swap_landed_is_kept_with_the_order(world: World) -> None:
    world.slot_delta = 3
    order = finished(world)
    assert (order.slot_delta, order.history[-1].slot_delta) == (3, 3)


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
