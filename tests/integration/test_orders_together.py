"""Several orders written with one call: all of them or none, with their counters and pairs, whatever AWS answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.orders.life import cancel
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.states import State
from chalicelib.orders.triggers import followed, latched, triggered
from chalicelib.problems import AwsUnavailable
from chalicelib.risk.counters import Movement, summed
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.waiting.hand_over import TOGETHER
from chalicelib.waiting.ports import OrdersTogether
from tests.faults.aws_faults import DONE_UNTOLD, NOTHING_DONE, Fault
from tests.faults.aws_parts import Faulty, faulty_account
from tests.integration.cloud import Cloud, calls_to
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS, JUP, waiting_order

NOW = CREATED_AT_MS + 1_000
REACHED = 1_390_000_000
NO_LIMITS: dict[str, LimitsInForce] = {}


@pytest.fixture(params=["DynamoDB", "in memory"])
def any_store(request: pytest.FixtureRequest) -> OrdersTogether:
    return request.getfixturevalue("cloud").store() if request.param == "DynamoDB" else OrdersInMemory()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> object:
    with faulty_account(monkeypatch) as faulty:
        yield faulty


def placed(store: OrdersTogether, number: int, **fields: object) -> Order:
    order = waiting_order("stop", order_id=f"order-{number}", **fields)
    assert store.create(order)
    return order


def set_off(order: Order) -> Order:
    return triggered(order, TriggerKind.STOP, REACHED, slot=1, now_ms=NOW)


def states(store: OrdersTogether, orders: list[Order]) -> list[State]:
    stored = {order.order_id: order.state for order in store.load_each([order.order_id for order in orders])}
    return [stored[order.order_id] for order in orders]


def test_all_are_written_and_each_has_its_next_revision(any_store: OrdersTogether) -> None:
    orders = [placed(any_store, number) for number in range(TOGETHER)]
    assert any_store.replace_together([set_off(order) for order in orders], NO_LIMITS)
    assert states(any_store, orders) == [State.PENDING] * TOGETHER
    assert {order.revision for order in any_store.load_each([one.order_id for one in orders])} == {1}
    assert not any_store.replace_together([set_off(order) for order in orders], NO_LIMITS)


def test_where_one_was_written_meanwhile_none_is(any_store: OrdersTogether) -> None:
    orders = [placed(any_store, number) for number in range(3)]
    any_store.replace(cancel(orders[1], NOW))
    assert not any_store.replace_together([set_off(order) for order in orders], NO_LIMITS)
    assert states(any_store, orders) == [State.OPEN, State.CANCELLED, State.OPEN]


@pytest.mark.parametrize(("most", "is_written"), [(2, False), (3, True)])
@pytest.mark.parametrize("scope", ["account", "together"])
def test_where_there_is_no_room_for_all_none_is_written(
    any_store: OrdersTogether, scope: str, most: int, is_written: bool
) -> None:
    limits = Limits(open_orders=most)
    held = LimitsInForce(limits, Limits()) if scope == "account" else LimitsInForce(Limits(), limits)
    orders = [placed(any_store, number) for number in range(3)]
    assert any_store.replace_together([set_off(order) for order in orders], {"local": held}) is is_written
    assert set(states(any_store, orders)) == {State.PENDING if is_written else State.OPEN}


def test_counters_and_circulations_move_with_them_also_of_several_accounts_and_pairs(cloud: Cloud) -> None:
    store = cloud.store()
    orders = [placed(store, number, account=f"desk-{number % 3}") for number in range(6)]
    other = placed(store, 6, account="desk-0", token_out=JUP)
    still = latched(placed(store, 7), REACHED, 1, NOW)
    follows = followed(placed(store, 8, stop_price=None, trailing_ppm=50_000), REACHED, NOW)
    assert store.replace_together([*map(set_off, [*orders, other]), still, follows], NO_LIMITS)
    cloud.assert_counters_add_up()
    assert cloud.counters()["open#account#desk-0"] == 3
    assert sorted(one.orders for one in cloud.circulations().all()) == [0, 2]


def test_it_is_one_call(cloud: Cloud) -> None:
    store = cloud.store()
    orders = [placed(store, number) for number in range(TOGETHER)]
    writes, reads = calls_to(cloud.dynamodb, "TransactWriteItems"), calls_to(cloud.dynamodb, "BatchGetItem")
    assert store.replace_together([set_off(one) for one in store.load_each([o.order_id for o in orders])], NO_LIMITS)
    assert (len(reads), len(writes)) == (1, 1)


@pytest.mark.parametrize("fault", DONE_UNTOLD)
def test_a_write_whose_answer_was_lost_is_one_write(faulty: Faulty, fault: Fault) -> None:
    orders = [placed(faulty.store, number) for number in range(3)]
    faulty.aws.script("TransactWriteItems", fault)
    assert faulty.store.replace_together([set_off(order) for order in orders], NO_LIMITS)
    faulty.cloud.assert_counters_add_up()
    assert states(faulty.store, orders) == [State.PENDING] * 3


@pytest.mark.parametrize("fault", NOTHING_DONE)
def test_where_aws_refuses_nothing_is_written_and_that_is_told(faulty: Faulty, fault: Fault) -> None:
    orders = [placed(faulty.store, number) for number in range(3)]
    faulty.aws.always(fault, "TransactWriteItems")
    with pytest.raises(AwsUnavailable):
        faulty.store.replace_together([set_off(order) for order in orders], NO_LIMITS)
    faulty.aws.end()
    assert states(faulty.store, orders) == [State.OPEN] * 3
    faulty.cloud.assert_counters_add_up()


def test_any_number_of_messages_is_sent_by_tens_each_with_its_correlation_id(cloud: Cloud) -> None:
    calls = calls_to(cloud.sqs, "SendMessageBatch")
    cloud.orders_queue().enqueue_each({f"order-{number}": f"request-{number}" for number in range(23)})
    assert [len(call["Entries"]) for call in calls] == [10, 10, 3]
    assert len(cloud.receive()) == 23
    told = {
        entry["MessageBody"]: entry["MessageAttributes"]["correlationId"]["StringValue"]
        for call in calls
        for entry in call["Entries"]
    }
    assert told['{"orderId": "order-7"}'] == "request-7"
    cloud.orders_queue().enqueue_each({"order-1": ""}, 10_000)
    assert calls[-1]["Entries"][0]["DelaySeconds"] == 10
    assert cloud.receive() == []


def test_a_message_that_the_queue_did_not_take_is_not_passed_over(cloud: Cloud) -> None:
    def lose_one(parsed: dict[str, object], **_: object) -> None:
        parsed["Failed"] = [{"Id": "0", "Code": "InternalError", "SenderFault": False}]

    cloud.sqs.meta.events.register("after-call.sqs.SendMessageBatch", lose_one)
    try:
        with pytest.raises(AwsUnavailable):
            cloud.orders_queue().enqueue_each({"order-1": "", "order-2": ""})
    finally:
        cloud.sqs.meta.events.unregister("after-call.sqs.SendMessageBatch", lose_one)


MOVEMENTS = st.builds(
    Movement,
    st.sampled_from(["open", "waiting"]),
    st.sampled_from(["global", "account#a"]),
    st.none(),
    st.integers(-2, 2).filter(bool),
    st.one_of(st.none(), st.integers(0, 3)),
)


@given(st.lists(MOVEMENTS, max_size=8))
def test_summed_movements_come_to_the_same_held_to_the_strictest_ceiling(moved: list[Movement]) -> None:
    moved = [one if one.by > 0 else replace(one, ceiling=None) for one in moved]
    expected: dict[str, tuple[int, int | None]] = {}
    for key in {one.key for one in moved}:
        by = sum(one.by for one in moved if one.key == key)
        ceilings = [one.ceiling for one in moved if one.key == key and one.ceiling is not None]
        if by:
            expected[key] = by, min(ceilings, default=None) if by > 0 else None
    together = summed(moved)
    assert len(together) == len(expected)
    assert {one.key: (one.by, one.ceiling) for one in together} == expected
