"""What the operator sets, and what becomes of orders by it: limits, kill switches, and their command lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from uuid import uuid4

import pytest
from fillrate.cli.main import run as run_command

import infra.halt
import infra.limits
from chalicelib.aws.dynamodb.control_table import DEFAULT, ControlTable
from chalicelib.orders.execution import ComeBack, Finished
from chalicelib.orders.intake import Intake
from chalicelib.orders.message import message_body
from chalicelib.orders.order import Order
from chalicelib.orders.redrive import Redrive
from chalicelib.orders.states import State, Status
from chalicelib.problems import LimitRefused, RpcUnavailable, TooManyOpenOrders
from chalicelib.risk.counters import GLOBAL, NetworkFees, Usage, account_scope
from chalicelib.risk.limits import PLAYGROUND, Exposure, ReferenceCurrency
from operations import limits
from operations.target import Target
from tests.integration.chain_model import EXPOSURE, FEE, FEES, AnyTime, Network, World, assert_legal
from tests.integration.cloud import REGION, Cloud, aws
from tests.integration.test_intake import Tokens, a_request
from tests.sample_orders import CREATED_AT_MS, USDC, market_price, new_order, order_in

ORDER = "order-1"
DESK = account_scope("local")
SCOPES = pytest.mark.parametrize("scope", [GLOBAL, DESK])


@pytest.fixture
def controls(cloud: Cloud) -> ControlTable:
    return cloud.control_table()


@pytest.fixture
def world(cloud: Cloud, controls: ControlTable) -> World:
    store = cloud.store()
    assert store.create(new_order(ORDER))
    return World(store, risk=controls)


def run(world: World) -> Order:
    outcome = world.worker().run(ORDER, "worker/1")
    assert isinstance(outcome, Finished)
    assert world.stored(ORDER) == outcome.order
    assert_legal(outcome.order.history)
    return outcome.order


def statuses(order: Order) -> list[str]:
    return [change.status.value for change in order.history]


# --- the kill switch ----------------------------------------------------------------------------------------------


@SCOPES
def test_an_order_that_has_not_started_ends_halted_without_a_look_at_the_market(
    world: World, controls: ControlTable, scope: str
) -> None:
    passed: list[str] = []
    world.at_point = passed.append
    controls.halt(scope, "a drill", CREATED_AT_MS)
    order = run(world)
    assert statuses(order) == ["pending", "failed"]
    assert (order.error_code, order.retry_count) == ("HALTED", 0)
    assert "a drill" in (order.error or "")
    assert order.history[-1].terminal is True
    assert "planning" not in passed


def test_another_accounts_halt_is_none_of_its_business(world: World, controls: ControlTable) -> None:
    controls.halt(account_scope("other"), "", CREATED_AT_MS)
    assert run(world).state is State.CONFIRMED


@pytest.mark.parametrize("point", ["after writing routing", "planning", "after writing building", "after signing"])
def test_a_halt_that_comes_while_an_order_is_worked_on_keeps_its_transaction_from_being_stored_or_sent(
    world: World, controls: ControlTable, cloud: Cloud, point: str
) -> None:
    def at_point(passed: str) -> None:
        if passed == point:
            controls.halt(GLOBAL, "", CREATED_AT_MS)

    world.at_point = at_point
    order = run(world)
    assert (order.state, order.error_code) == (State.FAILED, "HALTED")
    assert (order.submission, world.chain.sent) == (None, {})
    assert cloud.counters() == {}, "and its part of the day is given back"


@pytest.mark.parametrize("network", [Network.CARRIES, Network.HIDES, Network.DROPS])
def test_a_transaction_that_was_stored_before_the_halt_is_carried_to_its_fate(
    world: World, controls: ControlTable, network: Network
) -> None:
    def at_point(passed: str) -> None:
        if passed == "after writing submitted":
            controls.halt(GLOBAL, "", CREATED_AT_MS)

    world.at_point = at_point
    world.network.append(network)
    outcome = world.worker().run(ORDER, "worker/1")
    while isinstance(outcome, ComeBack):
        world.now_ms += outcome.in_ms
        outcome = world.worker().run(ORDER, "later/1")
    assert isinstance(outcome, Finished)
    assert outcome.order.state is State.CONFIRMED


def test_an_order_between_two_attempts_ends_halted_without_another(world: World, controls: ControlTable) -> None:
    world.market.append(RpcUnavailable("no answer"))
    assert isinstance(world.worker().run(ORDER, "worker/1"), ComeBack)
    controls.halt(GLOBAL, "", CREATED_AT_MS)
    order = run(world)
    assert statuses(order) == ["pending", "routing", "failed", "failed"]
    assert (order.error_code, order.retry_count) == ("HALTED", 1)


def test_an_order_that_another_worker_holds_is_left_to_it_by_a_halt(world: World, controls: ControlTable) -> None:
    """The other one looks for itself before it stores anything."""
    seen: list[object] = []

    def at_point(passed: str) -> None:
        if passed == "planning":
            controls.halt(GLOBAL, "", CREATED_AT_MS)
            seen.append(world.worker().run(ORDER, "second/2"))

    world.at_point = at_point
    assert run(world).error_code == "HALTED"
    assert isinstance(seen[0], ComeBack)


def test_after_resume_the_next_order_trades_and_the_failed_one_stays_failed(
    world: World, controls: ControlTable
) -> None:
    controls.halt(GLOBAL, "", CREATED_AT_MS)
    failed = run(world)
    assert controls.resume(GLOBAL) is not None
    assert run(world) == failed
    assert world.store.create(new_order("order-2"))
    assert isinstance(world.worker().run("order-2", "worker/2"), Finished)
    assert world.stored("order-2").state is State.CONFIRMED


def test_a_halt_remembers_when_it_was_thrown_first(controls: ControlTable) -> None:
    controls.halt(GLOBAL, "one", 1_000)
    assert controls.halt(GLOBAL, "two", 2_000) == controls.halt_in(GLOBAL)
    thrown = controls.halt_of("anybody")
    assert thrown is not None
    assert (thrown.since_ms, thrown.reason) == (1_000, "two")
    assert controls.resume(GLOBAL) == thrown
    assert controls.resume(GLOBAL) is None
    assert controls.halt_of("anybody") is None


def test_nothing_is_redriven_while_it_is_halted(cloud: Cloud, controls: ControlTable) -> None:
    dead = order_in(State.FAILED)
    cloud.store().create(dead)
    cloud.orders_queue().bury(message_body(dead.order_id), "RPC_UNAVAILABLE")
    redrive = Redrive(cloud.store(), cloud.orders_queue(), intake(cloud), controls, cloud.keys(), lambda: CREATED_AT_MS)
    controls.halt(DESK, "", CREATED_AT_MS)
    (left,) = redrive.run(10)
    assert left.order_id is None
    assert "halted" in left.outcome
    controls.resume(DESK)
    (again,) = redrive.run(10)
    assert again.order_id is not None


# --- limits on a plan ---------------------------------------------------------------------------------------------


@SCOPES
@pytest.mark.parametrize(
    ("limit", "code", "over"),
    [
        ({"largest_order": 1_499_999_999}, "LIMIT_EXCEEDED", "0.000001 USDC more"),
        ({"daily_notional": 1_499_999_999}, "LIMIT_EXCEEDED", "0.000001 USDC more"),
        ({"price_impact_ppm": 999}, "PRICE_IMPACT", "0.0001% more"),
        ({"slippage_ppm": 9_999}, "LIMIT_EXCEEDED", "0.9999%"),
        ({"tokens": frozenset({USDC.mint})}, "LIMIT_EXCEEDED", "tokenIn"),
        ({"smallest_order": 1_500_000_001}, "LIMIT_EXCEEDED", "0.000001 USDC less"),
        ({"network_fee": FEES.least - 1}, "FEE_TOO_HIGH", "0.000004999 SOL"),
        ({"fee_share_ppm": 0}, "FEE_TOO_HIGH", "0% of the order's 1500 USDC"),
        ({"daily_network_fees": FEES.most - 1}, "LIMIT_EXCEEDED", "0.000000001 SOL more than"),
    ],
)
def test_an_order_beyond_a_limit_ends_at_once_and_its_history_says_which_and_by_how_much(
    world: World, controls: ControlTable, cloud: Cloud, scope: str, limit: dict[str, object], code: str, over: str
) -> None:
    world.exposure = replace(EXPOSURE, lamport_value=Fraction(3, 20))
    controls.set_limits(scope, limit)
    order = run(world)
    assert statuses(order) == ["pending", "routing", "failed"]
    last = order.history[-1]
    assert (last.error_code, last.terminal, order.retry_count) == (code, True, 0)
    assert over in (last.error or "")
    assert world.chain.sent == {}
    assert cloud.counters() == {}


@SCOPES
def test_an_order_at_prices_too_far_off_is_tried_three_times_and_its_history_says_by_how_much(
    world: World, controls: ControlTable, cloud: Cloud, scope: str
) -> None:
    world.exposure = replace(EXPOSURE, deviation_ppm=500)
    controls.set_limits(scope, {"price_deviation_ppm": 499})
    for _ in range(2):
        outcome = world.worker().run(ORDER, "worker/1")
        assert isinstance(outcome, ComeBack)
        world.now_ms += outcome.in_ms
    order = run(world)
    refused = [step for step in order.history if step.status is Status.FAILED]
    assert [(step.error_code, step.terminal) for step in refused] == [
        ("PRICE_DEVIATION", False),
        ("PRICE_DEVIATION", False),
        ("PRICE_DEVIATION", True),
    ]
    assert all("0.0001% more" in (step.error or "") for step in refused)
    assert (world.chain.sent, cloud.counters()) == ({}, {})


@SCOPES
def test_an_order_just_within_every_limit_trades(
    world: World, controls: ControlTable, cloud: Cloud, scope: str
) -> None:
    world.exposure = Exposure(value=1_500_000_000, price_impact_ppm=1_000, deviation_ppm=500)
    within = {"largest_order": 1_500_000_000, "daily_notional": 1_500_000_000, "open_orders": 1}
    controls.set_limits(scope, {**within, "price_impact_ppm": 1_000, "price_deviation_ppm": 500})
    assert run(world).state is State.CONFIRMED
    assert controls.usage(scope, "2025-10-09") == Usage(0, 0, 1_500_000_000, FEE)
    cloud.assert_counters_add_up()


def test_what_an_account_has_traded_today_is_open_again_tomorrow(world: World, controls: ControlTable) -> None:
    controls.set_limits(DESK, {"daily_notional": 2_000_000_000})
    assert run(world).state is State.CONFIRMED
    for number, (day_ms, state) in enumerate([(0, State.FAILED), (86_400_000, State.CONFIRMED)]):
        world.now_ms += day_ms
        assert world.store.create(new_order(f"next-{number}"))
        world.worker().run(f"next-{number}", "worker/1")
        assert world.stored(f"next-{number}").state is state


def test_what_failed_transactions_cost_is_of_the_days_fees_and_what_they_might_have_cost_is_not(
    world: World, controls: ControlTable, cloud: Cloud
) -> None:
    """Each attempt needs room for the most that it may cost, and takes what it did cost."""
    controls.set_limits(DESK, {"daily_network_fees": 2 * FEE + FEES.most})
    world.network.extend([Network.REVERTS] * 3)
    outcome = world.worker().run(ORDER, "worker/1")
    while isinstance(outcome, ComeBack):
        world.now_ms += outcome.in_ms
        outcome = world.worker().run(ORDER, "worker/1")
    assert isinstance(outcome, Finished)
    assert (outcome.order.state, outcome.order.network_fees) == (State.FAILED, 3 * FEE)
    assert controls.usage(DESK, "2025-10-09") == Usage(0, 0, 0, 3 * FEE)
    cloud.assert_counters_add_up()
    assert world.store.create(new_order("next"))
    world.worker().run("next", "worker/1")
    assert "may pay in network fees in a day" in (world.stored("next").error or "")


def test_an_orders_own_ceiling_is_what_is_reserved_for_it(world: World, cloud: Cloud) -> None:
    order = world.stored(ORDER)
    world.store.replace(replace(order, max_network_fee=FEES.least + 1))
    reserved = []
    world.at_point = lambda point: (
        reserved.append(world.stored(ORDER).fees_reserved) if point == "before signing" else None
    )
    assert run(world).state is State.CONFIRMED
    assert reserved == [NetworkFees("2025-10-09", FEES.least + 1)]


def test_attempts_of_one_order_count_once(world: World, controls: ControlTable) -> None:
    controls.set_limits(DESK, {"daily_notional": 1_500_000_000})
    world.building.extend([RpcUnavailable("no"), RpcUnavailable("no")])
    outcome = world.worker().run(ORDER, "worker/1")
    while isinstance(outcome, ComeBack):
        world.now_ms += outcome.in_ms
        outcome = world.worker().run(ORDER, "worker/1")
    assert isinstance(outcome, Finished)
    assert outcome.order.state is State.CONFIRMED


# --- limits on a request ------------------------------------------------------------------------------------------


def intake(cloud: Cloud) -> Intake:
    store, queue = cloud.store(), cloud.orders_queue()
    return Intake(
        store, queue, Tokens(), AnyTime(), cloud.control_table(), lambda: CREATED_AT_MS, uuid4, prices=market_price
    )


@SCOPES
@pytest.mark.parametrize(
    ("limit", "field"), [({"slippage_ppm": 9_999}, "slippage"), ({"tokens": frozenset({USDC.mint})}, "tokenIn")]
)
def test_a_request_beyond_a_limit_is_refused_by_its_field_and_leaves_nothing(
    cloud: Cloud, controls: ControlTable, scope: str, limit: dict[str, object], field: str
) -> None:
    controls.set_limits(scope, limit)
    with pytest.raises(LimitRefused) as refused:
        intake(cloud).submit("local", a_request(), None)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert cloud.receive() == []
    assert cloud.counters() == {}


@SCOPES
def test_an_order_more_than_may_be_open_is_refused_until_one_has_ended(
    cloud: Cloud, controls: ControlTable, scope: str
) -> None:
    controls.set_limits(scope, {"open_orders": 2})
    takes = intake(cloud)
    first = takes.submit("local", a_request(), "first").order
    takes.submit("local", a_request(), None)
    with pytest.raises(TooManyOpenOrders):
        takes.submit("local", a_request(), None)
    assert not takes.submit("local", a_request(), "first").created, "asking again is no new order"
    takes.cancel("local", first.order_id)
    assert takes.submit("local", a_request(), None).created
    cloud.assert_counters_add_up()


def test_an_order_is_accepted_while_executions_are_halted(cloud: Cloud, controls: ControlTable) -> None:
    """Clients see one behaviour: the order's own history says what became of it."""
    controls.halt(GLOBAL, "", CREATED_AT_MS)
    assert intake(cloud).submit("local", a_request(), None).order.state is State.PENDING


# --- what is in force ---------------------------------------------------------------------------------------------


def test_an_account_has_its_own_limits_or_the_operators_defaults_or_ours(controls: ControlTable) -> None:
    assert controls.limits_for("desk").account == PLAYGROUND.account
    controls.set_limits(DEFAULT, {"largest_order": 7, "open_orders": 8})
    controls.set_limits(account_scope("desk"), {"largest_order": None, "tokens": frozenset({"a", "b"})})
    desk, other = controls.limits_for("desk").account, controls.limits_for("other").account
    assert (desk.largest_order, desk.open_orders, desk.tokens) == (None, 8, frozenset({"a", "b"}))
    assert (other.largest_order, other.open_orders, other.tokens) == (7, 8, None)
    controls.set_limits(account_scope("desk"), {}, inherit=("largest_order", "tokens"))
    assert controls.limits_for("desk").account == other
    assert controls.limits_for("desk").together == PLAYGROUND.together


@pytest.mark.parametrize("name", ["global", "default", "account#desk"])
def test_an_account_named_like_a_scope_gets_nobody_elses_limits(controls: ControlTable, name: str) -> None:
    controls.set_limits(account_scope(name), {"largest_order": 1})
    controls.halt(account_scope(name), "", CREATED_AT_MS)
    assert controls.limits_for("desk") == controls.limits_for("other")
    assert controls.halt_of("desk") is None


@pytest.mark.parametrize("change", [{"largest_order": -1}, {"largest": 1}, {"tokens": ["a"]}])
def test_a_wrong_limit_is_refused_and_nothing_is_set(controls: ControlTable, change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        controls.set_limits(GLOBAL, {"open_orders": 5, **change})
    assert controls.limits_in(GLOBAL) == PLAYGROUND.together


# --- the command lines --------------------------------------------------------------------------------------------


def test_limits_are_set_and_shown_in_the_same_units(controls: ControlTable) -> None:
    texts = {
        "largest_order": "50000.5",
        "daily_notional": "none",
        "open_orders": "12",
        "slippage_ppm": "0.025",
        "tokens": "mint-b, mint-a",
        "allow_unvalued": "yes",
    }
    changes, inherited = limits.read_changes({**texts, "price_impact_ppm": "inherit"}, ReferenceCurrency())
    controls.set_limits(DESK, changes, inherited)
    report = limits.shown(controls.limits_in(DESK), Usage(3, 2, 1_234_567, 5_073), ReferenceCurrency())
    shown = report.limits
    assert shown["largest-order"] == "50000.5"
    assert shown["daily-notional"] is None
    assert (shown["open-orders"], shown["slippage"], shown["allow-unvalued"]) == (12, "0.025", True)
    assert shown["tokens"] == ["mint-a", "mint-b"]
    assert shown["price-impact"] == "0.99"
    assert report.used == {
        "open-orders": 3,
        "waiting-orders": 2,
        "daily-notional": "1.234567",
        "daily-network-fees": "0.000005073",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("largest_order", "-1"),
        ("largest_order", "1e400"),
        ("largest_order", "0.0000001"),
        ("largest_order", "NaN"),
        ("open_orders", "1.5"),
        ("slippage_ppm", "2%"),
        ("slippage_ppm", "50"),
        ("allow_unvalued", "none"),
        ("allow_unvalued", "true"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=limits.option_of(name)):
        limits.read_changes({name: text}, ReferenceCurrency())


Operate = Callable[..., tuple[int, str]]


@pytest.fixture
def operate(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operate:
    """Runs `fillrate …` on the stage in the cloud: its exit code, and what it says."""
    monkeypatch.setattr("operations.commands.stage.target_of", lambda *_: Target("prod", aws(), REGION))
    for module in ("approvals", "control"):
        monkeypatch.setattr(f"operations.{module}.deployed", lambda *_: cloud.outputs)

    def command(*words: str) -> tuple[int, str]:
        code = run_command([*words, "--stage", "prod"])
        said = capsys.readouterr()
        return code, (said.out or said.err).strip()

    return command


def test_a_halt_is_thrown_told_of_and_taken_back_by_its_command(operate: Operate) -> None:
    assert operate("halt", "--status") == (0, "global: not halted")
    told = operate("halt", "--reason", "the pools look odd")
    assert told == operate("halt", "--status")
    assert "the pools look odd" in told[1]
    assert operate("resume") == (0, "global: not halted")
    assert operate("resume") == (0, "global: not halted")
    code, said = operate("halt", "--reason", "x" * 201)
    assert (code, "--reason" in said) == (3, True)


def test_limits_are_set_and_shown_by_their_command(operate: Operate) -> None:
    desk = ("--account", "desk", "--json")
    code, told = operate("limits", "set", "largest-order=50.5", "tokens=b,a", "daily-notional=none", *desk)
    assert (code, told) == operate("limits", "show", *desk)
    limited = json.loads(told)
    assert (limited["largest-order"], limited["tokens"], limited["daily-notional"]) == ("50.5", ["a", "b"], None)
    assert operate("limits", "set", "largest-order=-1", *desk)[0] == 3
    assert operate("limits", "show", *desk) == (0, told)


@pytest.mark.parametrize(
    "words",
    [
        ["limits", "set"],
        ["limits", "set", "largest=1"],
        ["limits", "show", "open-orders=1"],
        ["limits", "show", "--account", "desk", "--default"],
        ["halt", "--stage", "nowhere"],
        infra.limits.words(["set"]),
        infra.limits.words(["show", "--open-orders", "1"]),
        infra.halt.words(["stop"]),
        infra.halt.words([]),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_before_anything_is_asked(words: list[str]) -> None:
    assert run_command(words) == 2


@pytest.mark.parametrize(
    ("former", "present"),
    [
        (infra.halt.words(["--account", "desk", "halt"]), ["halt", "--account", "desk"]),
        (infra.halt.words(["resume", "--stage", "prod"]), ["resume", "--stage", "prod"]),
        (infra.halt.words(["status"]), ["halt", "--status"]),
        (infra.limits.words(["--stage", "prod", "show"]), ["limits", "show", "--stage", "prod", "--json"]),
        (
            infra.limits.words(["set", "--default", "--price-impact=0.1", "--tokens", "a,b"]),
            ["limits", "set", "--default", "--json", "price-impact=0.1", "tokens=a,b"],
        ),
    ],
)
def test_the_former_commands_are_the_present_ones_by_other_words(former: list[str], present: list[str]) -> None:
    assert former == present
