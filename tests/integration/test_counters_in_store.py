"""The counters beside the orders table: always the sum over the stored orders, and never over a limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from moto.core.models import botocore_stubber

from chalicelib.aws.dynamodb.order_table import CONFLICT_TRIES, OrderTable
from chalicelib.aws.errors import is_transient
from chalicelib.orders.life import (
    cancel,
    choose_route,
    fail_attempt,
    fill,
    fix_floor,
    pay_fees,
    reserve,
    sign,
    start_attempt,
)
from chalicelib.orders.order import Order
from chalicelib.orders.ports import StaleOrder
from chalicelib.orders.states import IllegalTransition, State
from chalicelib.problems import AwsUnavailable
from chalicelib.risk.counters import CounterFull, NetworkFees, Notional
from chalicelib.risk.limits import Limits, LimitsInForce
from tests.faults.aws_parts import use_no_settings_of_this_machine
from tests.integration.cloud import Cloud, calls_to, cloud_in_memory
from tests.sample_orders import QUOTED_OUT, ROUTE, a_submission, building, new_order, routing

DAYS = ("2026-01-01", "2026-01-02")
ACCOUNTS = ("desk", "guest")
LIMITS = LimitsInForce(
    Limits(open_orders=2, daily_notional=100, daily_network_fees=100),
    Limits(open_orders=3, daily_notional=150, daily_network_fees=150),
)
FREE = LimitsInForce(Limits(), Limits())


def routed(order: Order, value: int, day: str = DAYS[0]) -> Order:
    """The order with a route of that value, as a worker writes it."""
    now_ms = order.updated_at_ms
    return reserve(choose_route(fix_floor(order, QUOTED_OUT), ROUTE, QUOTED_OUT, now_ms), Notional(day, value))


def charged(order: Order, most: int, day: str = DAYS[0]) -> Order:
    """The order with a route whose transaction may cost so much."""
    chosen = choose_route(fix_floor(order, QUOTED_OUT), ROUTE, QUOTED_OUT, order.updated_at_ms)
    return reserve(chosen, Notional(day, most), NetworkFees(day, most))


def land(order: Order, cost: int) -> Order:
    """What a transaction that is in the chain cost, at most what was reserved for it; before it is signed, nothing."""
    if order.state is not State.SUBMITTED or order.fees_reserved is None:
        return order
    return pay_fees(order, min(cost, order.fees_reserved.lamports), order.updated_at_ms)


def fail(order: Order, *, retry: bool = False) -> Order:
    return fail_attempt(order, "no", "NO", order.updated_at_ms, retry=retry)


# --- any order of any writes --------------------------------------------------------------------------------------

STEPS: dict[str, Callable[[Order, int, str], Order]] = {
    "start": lambda order, value, day: start_attempt(order, order.updated_at_ms),
    "route": routed,
    "route with its fees": charged,
    "sign": lambda order, value, day: sign(order, a_submission(), order.updated_at_ms),
    "fill": lambda order, value, day: fill(order, 1, order.updated_at_ms),
    "fill and pay": lambda order, value, day: fill(land(order, value), 1, order.updated_at_ms),
    "fail and pay": lambda order, value, day: fail(land(order, value)),
    "retry and pay": lambda order, value, day: fail(land(order, value), retry=True),
    "fail": lambda order, value, day: fail(order),
    "retry": lambda order, value, day: fail(order, retry=True),
    "cancel": lambda order, value, day: cancel(order, order.updated_at_ms),
    "touch": lambda order, value, day: order,
}


class Writers(RuleBasedStateMachine):
    """Several writers, some of whom work on old copies, with limits and without."""

    def __init__(self) -> None:
        super().__init__()
        self._account = cloud_in_memory()
        self.cloud = self._account.__enter__()
        self.store = self.cloud.store()
        self.copies: list[Order] = []
        self.created = 0

    @rule(account=st.sampled_from(ACCOUNTS), again=st.booleans())
    def create(self, account: str, again: bool) -> None:
        self.created += not again
        order = new_order(f"order-{self.created}", account)
        with suppress(CounterFull):
            if self.store.create(order, LIMITS):
                self.copies.append(order)

    @precondition(lambda self: self.copies)
    @rule(data=st.data(), step=st.sampled_from(list(STEPS)), value=st.integers(0, 120), day=st.sampled_from(DAYS))
    def write(self, data: st.DataObject, step: str, value: int, day: str) -> None:
        copy = data.draw(st.sampled_from(self.copies))
        with suppress(IllegalTransition, StaleOrder, CounterFull):
            changed = STEPS[step](copy, value, day)
            self.copies.append(self.store.replace(changed, LIMITS))

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        self.copies.append(self.cloud.stored(data.draw(st.sampled_from(self.copies)).order_id))

    @invariant()
    def the_counters_add_up_and_keep_within_the_limits(self) -> None:
        self.cloud.assert_counters_add_up()
        for name, number in self.cloud.counters().items():
            scope = LIMITS.together if name.endswith("#global") else LIMITS.account
            ceilings = {"open": scope.open_orders, "notional": scope.daily_notional, "fees": scope.daily_network_fees}
            assert 0 < number <= (ceilings[name.partition("#")[0]] or 0)

    def teardown(self) -> None:
        self._account.__exit__(None, None, None)


def test_whatever_is_written_in_whatever_order_the_counters_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    use_no_settings_of_this_machine(monkeypatch)
    run_state_machine_as_test(
        Writers,
        settings=settings(
            max_examples=5, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


# --- at the limit -------------------------------------------------------------------------------------------------


@contextmanager
def one_request_at_a_time(cloud: Cloud) -> Iterator[None]:
    """moto undoes a cancelled transaction by putting old tables back, and others' writes since then with them."""
    turn = threading.Lock()

    def serve(request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse | None:
        with turn:
            answer = botocore_stubber(event_name, request)
        request.url = "http://nowhere.invalid/"  # moto is asked next, and would do it again
        return answer

    events: Any = cloud.dynamodb.meta.events
    events.register_first("before-send.dynamodb", serve)
    yield
    events.unregister("before-send.dynamodb", serve)


def at_once(jobs: Sequence[Callable[[], object]]) -> list[object]:
    """What becomes of the jobs, all of which begin together."""
    everyone = threading.Barrier(len(jobs), timeout=60)

    def run(job: Callable[[], object]) -> object:
        everyone.wait()
        try:
            return job()
        except (CounterFull, StaleOrder) as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_of_fifty_orders_at_once_just_as_many_get_in_as_there_is_room_for(cloud: Cloud) -> None:
    limits = LimitsInForce(Limits(open_orders=17), Limits())
    store = cloud.store()
    jobs = [partial(store.create, new_order(f"order-{number}"), limits) for number in range(50)]
    with one_request_at_a_time(cloud):
        outcomes = at_once(jobs)
    assert outcomes.count(True) == 17
    assert sum(isinstance(one, CounterFull) for one in outcomes) == 33
    assert cloud.counters() == {"open#account#local": 17, "open#global": 17}
    cloud.assert_counters_add_up()


def test_of_fifty_routes_at_once_just_as_much_is_reserved_as_the_day_has_left(cloud: Cloud) -> None:
    limits = LimitsInForce(Limits(), Limits(daily_notional=1_000))
    store = cloud.store()
    orders = [routing(new_order(f"order-{number}", f"desk-{number % 5}")) for number in range(50)]
    for order in orders:
        assert store.create(order)
    with one_request_at_a_time(cloud):
        outcomes = at_once([partial(store.replace, routed(order, 93), limits) for order in orders])
    assert sum(isinstance(one, Order) for one in outcomes) == 10
    assert cloud.counters()["notional#2026-01-01#global"] == 930
    cloud.assert_counters_add_up()


def test_a_counter_that_is_full_says_how_far(cloud: Cloud) -> None:
    order = routing()
    store = cloud.store()
    assert store.create(order)
    held = store.replace(routed(order, 70), LIMITS)
    with pytest.raises(CounterFull) as full:
        store.replace(routed(held, 101), LIMITS)
    assert (full.value.stood_at, full.value.movement.by, full.value.movement.ceiling) == (70, 31, 100)
    assert cloud.stored(order.order_id) == held


@pytest.mark.parametrize("most", [0, 1])
def test_the_first_order_of_all_meets_the_limit_too(cloud: Cloud, most: int) -> None:
    limits = LimitsInForce(Limits(open_orders=most), Limits())
    if most:
        assert cloud.store().create(new_order(), limits)
    with pytest.raises(CounterFull):
        cloud.store().create(new_order("another"), limits)


def test_an_order_that_is_there_already_is_no_matter_of_limits(cloud: Cloud) -> None:
    """Its client asks again, with its key, and must find it however full the book is."""
    limits = LimitsInForce(Limits(open_orders=1), Limits())
    assert cloud.store().create(new_order(), limits)
    assert not cloud.store().create(new_order(), limits)


def test_a_tighter_limit_stops_what_comes_and_not_what_ends(cloud: Cloud) -> None:
    none = LimitsInForce(Limits(open_orders=0, daily_notional=0), Limits())
    store = cloud.store()
    order = routing()
    assert store.create(order, FREE)
    order = store.replace(routed(order, 70), FREE)
    store.replace(fail(order), none)
    assert cloud.counters() == {}


def test_of_twenty_routes_at_once_just_as_many_get_in_as_the_day_has_fees_left(cloud: Cloud) -> None:
    limits = LimitsInForce(Limits(), Limits(daily_network_fees=1_000))
    store = cloud.store()
    orders = [routing(new_order(f"order-{number}", f"desk-{number % 5}")) for number in range(20)]
    for order in orders:
        assert store.create(order)
    with one_request_at_a_time(cloud):
        outcomes = at_once([partial(store.replace, charged(order, 93), limits) for order in orders])
    assert sum(isinstance(one, Order) for one in outcomes) == 10
    assert cloud.counters()["fees#2026-01-01#global"] == 930
    cloud.assert_counters_add_up()


def test_the_fees_of_a_day_are_what_was_paid_once_all_is_known_whether_or_not_the_orders_were_filled(
    cloud: Cloud,
) -> None:
    store = cloud.store()
    ends: dict[str, Callable[[Order], Order]] = {
        "filled": lambda order: fill(land(order, 51), 1, order.updated_at_ms),
        "reverted": lambda order: fail(land(order, 52)),
        "never-landed": fail,
    }
    for name, end in ends.items():
        order = routing(new_order(name))
        assert store.create(order)
        order = store.replace(charged(order, 93), FREE)
        order = store.replace(sign(order, a_submission(), order.updated_at_ms))
        assert cloud.stored(name).claims.fees == (NetworkFees(DAYS[0], 93),)
        store.replace(end(order))
    assert cloud.counters()["fees#2026-01-01#account#local"] == 51 + 52
    assert [cloud.stored(name).network_fees for name in ends] == [51, 52, 0]
    cloud.assert_counters_add_up()


# --- days ---------------------------------------------------------------------------------------------------------


def test_a_route_that_is_chosen_anew_after_midnight_counts_for_the_new_day_alone(cloud: Cloud) -> None:
    store = cloud.store()
    order = routing()
    assert store.create(order)
    order = store.replace(routed(order, 70, DAYS[0]))
    order = store.replace(start_attempt(store.replace(fail(order, retry=True)), order.updated_at_ms))
    order = store.replace(routed(order, 60, DAYS[1]))
    assert cloud.counters() == {
        "open#account#local": 1,
        "open#global": 1,
        "notional#2026-01-02#account#local": 60,
        "notional#2026-01-02#global": 60,
    }
    store.replace(fail(order))
    assert cloud.counters() == {}


def test_a_days_sum_forgets_itself_and_the_open_orders_never(cloud: Cloud) -> None:
    store = cloud.store()
    order = routing()
    assert store.create(order)
    store.replace(routed(order, 70))
    items = cloud.dynamodb.scan(TableName=cloud.outputs["ControlTable"])["Items"]
    expiries = {item["name"]["S"].partition("#")[0]: item.get("expiresAt") for item in items}
    assert expiries == {"open": None, "notional": {"N": "1770249600"}}  # 2026-02-05


# --- single writes, conflicts -------------------------------------------------------------------------------------


def test_a_step_that_changes_no_claim_is_a_single_write(cloud: Cloud) -> None:
    transactions, puts = calls_to(cloud.dynamodb, "TransactWriteItems"), calls_to(cloud.dynamodb, "PutItem")
    store, order = cloud.store(), new_order()
    assert store.create(order)
    order = store.replace(start_attempt(order, order.updated_at_ms))
    order = store.replace(routed(order, 70))
    order = store.replace(sign(order, a_submission(), order.updated_at_ms))
    store.replace(fill(order, 1, order.updated_at_ms))
    assert [order["Item"]["state"]["S"] for order in puts] == ["routing", "submitted"]
    written = [call["TransactItems"][0]["Put"]["Item"]["state"]["S"] for call in transactions]
    assert written == ["pending", "building", "confirmed"]


def collide(monkeypatch: pytest.MonkeyPatch, cloud: Cloud, times: int) -> list[int]:
    """The next transactions meet another one on a counter; the list gets the number of each pause."""
    left, real, pauses = times, cloud.dynamodb.transact_write_items, list[int]()

    def transact(**call: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}, {"Code": "None"}]
            error = {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons}
            raise ClientError(error, "TransactWriteItems")  # type: ignore[arg-type]
        return real(**call)

    monkeypatch.setattr(cloud.dynamodb, "transact_write_items", transact)
    return pauses


def patient(cloud: Cloud, pauses: list[int]) -> OrderTable:
    return cloud.store_of(cloud.dynamodb, pauses.append)


def test_a_write_that_collides_with_anothers_waits_longer_each_time_and_goes_through(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = collide(monkeypatch, cloud, CONFLICT_TRIES - 1)
    assert patient(cloud, pauses).create(new_order(), LIMITS)
    assert pauses == list(range(CONFLICT_TRIES - 1))
    cloud.assert_counters_add_up()


def test_a_write_that_collides_for_long_is_an_error_that_will_pass(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = collide(monkeypatch, cloud, CONFLICT_TRIES)
    with pytest.raises(AwsUnavailable):
        patient(cloud, pauses).create(new_order(), LIMITS)
    assert cloud.counters() == {}


def test_a_transaction_that_was_cancelled_for_good_is_no_passing_error() -> None:
    for reasons in ([{"Code": "ValidationError"}], [{"Code": "ConditionalCheckFailed"}], []):
        error = {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons}
        assert not is_transient(ClientError(error, "TransactWriteItems"))  # type: ignore[arg-type]


# --- orders of before there were counters ---------------------------------------------------------------------------


def test_an_order_of_before_there_were_counters_goes_its_way_and_leaves_nothing_behind(cloud: Cloud) -> None:
    store, order = cloud.store(), building()
    assert store.create(order)
    for name in ("open#account#local", "open#global"):
        cloud.dynamodb.delete_item(TableName=cloud.outputs["ControlTable"], Key={"name": {"S": name}})
    key = {"orderId": {"S": order.order_id}, "item": {"S": "order"}}
    cloud.dynamodb.update_item(TableName=cloud.orders_table, Key=key, UpdateExpression="REMOVE booked")
    old = cloud.stored(order.order_id)
    signed = store.replace(sign(old, a_submission(), old.updated_at_ms))
    cloud.assert_counters_add_up()
    store.replace(fill(signed, 1, signed.updated_at_ms))
    cloud.assert_counters_add_up()
    assert cloud.counters() == {}


def test_an_order_that_is_read_back_remembers_what_the_counters_hold_for_it(cloud: Cloud) -> None:
    store, order = cloud.store(), routing()
    assert store.create(order)
    written = store.replace(routed(order, 70))
    assert cloud.stored(order.order_id).booked == written.booked == written.claims
    assert replace(written, booked=None) == written, "which is no part of what an order is"
    assert written.state is State.BUILDING
