"""DynamoDB and SQS throttled, unwell, out of reach, or silent after they did it: what was accepted is done, once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from chalicelib.orders.delivery import Delivery
from chalicelib.orders.execution import Execution
from chalicelib.orders.intake import Submitted
from chalicelib.orders.life import fail_attempt
from chalicelib.orders.order import Order
from chalicelib.orders.ports import StaleOrder
from chalicelib.orders.recovery import OVERDUE_MS, SWEPT_FOR_MS
from chalicelib.orders.states import State
from chalicelib.problems import AwsError, AwsUnavailable, Conflict, SubmissionUnknown
from tests.faults.aws_faults import ATTEMPTS, DONE_UNTOLD, NOTHING_DONE, Fault
from tests.faults.aws_parts import Faulty, WatchfulTrader, faulty_account
from tests.faults.dice import FULL
from tests.integration.chain_model import LEASE_MS, AnyTime, NoneRevoked, World
from tests.integration.cloud import OrdersStream, WebSocketApi
from tests.integration.pushing import publisher, watch
from tests.integration.test_intake import a_request, intake_with
from tests.sample_orders import CREATED_AT_MS, new_order, order_in, routing

# The storm in test_aws_storm.py meets all of them in either size.
REFUSALS = NOTHING_DONE if FULL else [Fault.THROTTLED, Fault.UNREACHABLE]
LOST = DONE_UNTOLD if FULL else [Fault.ANSWER_LOST]
ALL = [*REFUSALS, *LOST]
PAST_ALL_RETRIES = ATTEMPTS * 3
# A write that changes what the order takes up of the limits moves the counters in a transaction; others are plain.
CREATION = "TransactWriteItems"
REQUESTS_OF_AN_ATTEMPT = {
    "GetItem": 2,
    "BatchGetItem": 2,
    "PutItem": 2,
    "TransactWriteItems": 2,
    "ChangeMessageVisibility": 1,
}


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    with faulty_account(monkeypatch) as parts:
        yield parts


# --- one write, whatever becomes of its answer --------------------------------------------------------------------


@pytest.mark.parametrize("fault", ALL)
@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_a_write_that_botocore_had_to_repeat_is_one_write(faulty: Faulty, fault: Fault, times: int) -> None:
    order = new_order()
    faulty.aws.script(CREATION, *[fault] * times)
    assert faulty.store.create(order)
    faulty.aws.script("PutItem", *[fault] * times)
    written = faulty.store.replace(routing(order))
    assert written.revision == 1
    assert faulty.cloud.stored(order.order_id) == written
    faulty.aws.script("TransactWriteItems", *[fault] * times)
    assert faulty.store.replace(fail_attempt(written, "none", "NO_POOL", written.updated_at_ms, retry=False))
    assert faulty.aws.met[fault] == 3 * times
    faulty.cloud.assert_counters_add_up()


def test_a_repeated_write_is_told_apart_from_another_writers(faulty: Faulty) -> None:
    """Even one that wrote the very same."""
    order = new_order()
    assert faulty.cloud.store().create(order)
    faulty.aws.script(CREATION, Fault.SERVER_ERROR)
    assert not faulty.store.create(order)
    faulty.cloud.store().replace(routing(order))
    faulty.aws.script("PutItem", Fault.SERVER_ERROR)
    with pytest.raises(StaleOrder):
        faulty.store.replace(routing(order))


def test_a_write_whose_answer_was_lost_does_not_undo_what_another_wrote_since(faulty: Faulty) -> None:
    order = new_order()
    assert faulty.store.create(order)
    attempts = 0

    def lost_then_overtaken(operation: str) -> Fault | None:
        nonlocal attempts
        attempts += operation == "PutItem"
        if attempts == 2:
            stored = faulty.cloud.stored(order.order_id)
            faulty.cloud.store().replace(replace(stored, error="another's"))
        return Fault.ANSWER_LOST if attempts == 1 else None

    faulty.aws.choose = lost_then_overtaken
    with pytest.raises(StaleOrder):
        faulty.store.replace(routing(order))
    assert faulty.cloud.stored(order.order_id).error == "another's"


# --- intake -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "the-key"])
@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_to_storing_it_neither_refuses_nor_doubles_an_order(
    faulty: Faulty, fault: Fault, key: str | None
) -> None:
    faulty.aws.script(CREATION, fault)
    submitted = faulty.intake().submit("local", a_request(), key)
    assert submitted.created
    assert faulty.stored_ids() == faulty.queued() == [submitted.order.order_id]


@pytest.mark.parametrize("key", [None, "the-key"])
@pytest.mark.parametrize("fault", LOST)
def test_an_order_that_was_stored_is_accepted_though_no_answer_ever_came(
    faulty: Faulty, fault: Fault, key: str | None
) -> None:
    faulty.aws.always(fault, CREATION)
    submitted = faulty.intake().submit("local", a_request(), key)
    assert submitted.created
    assert faulty.stored_ids() == faulty.queued() == [submitted.order.order_id]


@pytest.mark.parametrize("fault", REFUSALS)
def test_an_order_that_could_not_be_stored_is_refused_and_leaves_nothing(faulty: Faulty, fault: Fault) -> None:
    faulty.aws.always(fault, CREATION)
    with pytest.raises(AwsUnavailable):
        faulty.intake().submit("local", a_request(), None)
    assert faulty.stored_ids() == faulty.queued() == []


def test_where_nobody_can_tell_whether_it_was_stored_the_client_is_told_so_and_where_to_look(faulty: Faulty) -> None:
    def lost_and_then_silence(operation: str) -> Fault | None:
        return {CREATION: Fault.ANSWER_LOST, "GetItem": Fault.UNREACHABLE}.get(operation)

    faulty.aws.choose = lost_and_then_silence
    with pytest.raises(SubmissionUnknown) as unknown:
        faulty.intake().submit("local", a_request(), None)
    assert faulty.stored_ids() == [unknown.value.order_id]
    assert unknown.value.order_id in str(unknown.value)
    # obeyed by itself it would be a second order
    assert unknown.value.retry_after_seconds is None


def test_an_unknown_outcome_is_settled_by_the_same_key_again(faulty: Faulty) -> None:
    asked = 0

    def silent_after_the_first_read(operation: str) -> Fault | None:
        nonlocal asked
        asked += operation == "GetItem"
        if operation == CREATION:
            return Fault.ANSWER_LOST
        return Fault.UNREACHABLE if operation == "GetItem" and asked > 1 else None

    faulty.aws.choose = silent_after_the_first_read
    with pytest.raises(SubmissionUnknown) as unknown:
        faulty.intake().submit("local", a_request(), "the-key")
    assert unknown.value.retry_after_seconds is not None
    faulty.aws.end()
    again = faulty.intake().submit("local", a_request(), "the-key")
    assert not again.created
    assert faulty.stored_ids() == faulty.queued() == [again.order.order_id] == [unknown.value.order_id]


def test_another_order_under_the_key_is_a_conflict_also_where_answers_are_lost(faulty: Faulty) -> None:
    faulty.intake().submit("local", a_request(), "the-key")
    faulty.aws.script(CREATION, Fault.ANSWER_LOST)
    with pytest.raises(Conflict):
        faulty.intake().submit("local", a_request(amount="11"), "the-key")


@pytest.mark.parametrize("fault", REFUSALS)
@pytest.mark.parametrize("theirs", ["10", "11"])
def test_what_another_client_stored_under_the_key_is_not_taken_for_ours_where_our_own_write_fails(
    faulty: Faulty, fault: Fault, theirs: str
) -> None:
    """Both saw the key free and theirs was stored first; of ours nobody can tell before it is looked for."""
    first: list[Order] = []

    def overtaken(operation: str) -> Fault | None:
        if operation == CREATION and not first:
            other = intake_with(faulty.cloud.store(), faulty.cloud.orders_queue())
            first.append(other.submit("local", a_request(amount=theirs), "the-key").order)
        return fault if operation == CREATION else None

    faulty.aws.choose = overtaken
    faulty.now_ms += 7
    if theirs == "10":
        assert faulty.intake().submit("local", a_request(), "the-key") == Submitted(first[0], created=False)
    else:
        with pytest.raises(Conflict):
            faulty.intake().submit("local", a_request(), "the-key")
    assert faulty.stored_ids() == [first[0].order_id]


@pytest.mark.parametrize("fault", ALL)
def test_an_order_is_accepted_once_it_is_stored_and_the_sweeper_makes_up_for_the_queue(
    faulty: Faulty, fault: Fault
) -> None:
    faulty.aws.always(fault, "SendMessage")
    submitted = faulty.intake().submit("local", a_request(), None)
    assert submitted.created
    faulty.aws.end()
    assert set(faulty.queued()) == ({submitted.order.order_id} if fault in DONE_UNTOLD else set())
    faulty.now_ms += OVERDUE_MS + 1
    assert faulty.recovery().sweep().handed_back == [submitted.order.order_id]
    assert faulty.queued() == [submitted.order.order_id]


@pytest.mark.parametrize("fault", LOST)
def test_a_cancellation_whose_answer_was_lost_is_a_cancellation(faulty: Faulty, fault: Fault) -> None:
    order = faulty.intake().submit("local", a_request(), None).order
    faulty.aws.script("TransactWriteItems", fault)
    assert faulty.intake().cancel("local", order.order_id).state is State.CANCELLED


# --- admission ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ALL)
def test_lost_answers_may_waste_starts_but_never_add_one(faulty: Faulty, fault: Fault) -> None:
    throws = 0

    def each_third(operation: str) -> Fault | None:
        nonlocal throws
        throws += 1
        return fault if throws % 3 == 0 else None

    orders = [new_order(f"order-{number}") for number in range(20)]
    for order in orders:
        assert faulty.store.create(order)
    faulty.aws.choose = each_third
    slots: set[tuple[int, str]] = set()
    for number in range(60):
        with suppress(AwsError):
            faulty.starts(per_minute=6).take(orders[number % len(orders)])
        slots |= {(place.at_ms, place.order_id) for place in faulty.cloud.start_line().turns().places}
        faulty.now_ms += 3_000
    starts = sorted(at_ms for at_ms, _ in slots)
    assert len(starts) > 8
    assert all(later - earlier > 60_000 for earlier, later in zip(starts, starts[6:], strict=False))


def test_an_admission_that_does_not_answer_lets_nothing_in(faulty: Faulty) -> None:
    faulty.aws.always(Fault.THROTTLED, "GetItem")
    with pytest.raises(AwsUnavailable):
        faulty.intake(paced=True).submit("local", a_request(), None)
    assert faulty.stored_ids() == faulty.queued() == []


# --- execution ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ALL)
@pytest.mark.parametrize("operation", REQUESTS_OF_AN_ATTEMPT)
@pytest.mark.parametrize("lasting", [1, PAST_ALL_RETRIES])
def test_an_order_is_done_once_wherever_aws_fails_its_worker(
    faulty: Faulty, fault: Fault, operation: str, lasting: int
) -> None:
    """The fault sets in at each request of the attempt in turn, for one request or for longer than botocore tries."""
    after = 0
    while True:
        order_id = f"order-{after}"
        assert faulty.cloud.store().create(new_order(order_id))
        world = World(faulty.cloud.store())
        if not fails_from(faulty, world, order_id, operation, fault, after, lasting):
            break
        after += 1
        assert len(world.chain.swaps_of(order_id)) == 1
        assert world.stored(order_id).state is State.CONFIRMED
        assert world.stored(order_id).retry_count == 0
    assert after == REQUESTS_OF_AN_ATTEMPT[operation]
    faulty.cloud.assert_counters_add_up()


def fails_from(
    faulty: Faulty, world: World, order_id: str, operation: str, fault: Fault, after: int, lasting: int
) -> bool:
    """Let the order be worked on to its end with the fault from the given request on; False where there is none."""
    faulty.aws.script(operation, *[None] * after, *[fault] * lasting)
    met_before = faulty.aws.met[fault]
    for number in range(20):
        trader = WatchfulTrader(world)
        execution = Execution(
            faulty.store,
            trader,
            AnyTime(),
            faulty.outages(),
            faulty.controls,
            lambda: world.now_ms,
            LEASE_MS,
            new_nonce=secrets.token_hex,
            keys=NoneRevoked(),
        )
        faulty.cloud.orders_queue().enqueue(order_id)
        failed = Delivery(execution, faulty.queue, lambda: LEASE_MS).handle(faulty.cloud.receive(), f"worker-{number}")
        assert trader.broken == []
        if not failed:
            return faulty.aws.met[fault] > met_before
        world.now_ms += LEASE_MS
    raise AssertionError(f"{order_id} does not end: {world.stored(order_id)}")


# --- recovery -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ALL)
@pytest.mark.parametrize("operation", ["Query", "GetItem", "UpdateItem", "SendMessage", "ReceiveMessage"])
def test_a_sweep_that_aws_broke_off_is_made_up_for_by_later_ones(faulty: Faulty, fault: Fault, operation: str) -> None:
    orders = [replace(order_in(State.ROUTING), order_id=f"order-{number}") for number in range(6)]
    for order in orders:
        assert faulty.cloud.store().create(order)
    faulty.now_ms = orders[0].updated_at_ms + OVERDUE_MS + 1
    faulty.aws.script(operation, *[None] * 2, *[fault] * ATTEMPTS)
    handed_back: set[str] = set()
    for _ in range(2):
        try:
            faulty.recovery().sweep()
        except AwsUnavailable:
            faulty.aws.end()
        handed_back |= set(faulty.queued())
        faulty.now_ms += SWEPT_FOR_MS + OVERDUE_MS + 1
    assert handed_back == {order.order_id for order in orders}


@pytest.mark.parametrize("fault", ALL)
@pytest.mark.parametrize("operation", ["SendMessage", "DeleteMessage", "GetItem"])
def test_a_dead_letter_is_reconciled_though_aws_failed_at_it(faulty: Faulty, fault: Fault, operation: str) -> None:
    order = order_in(State.SUBMITTED)
    assert faulty.cloud.store().create(order)
    faulty.now_ms = order.updated_at_ms
    faulty.cloud.orders_queue().bury(f'{{"orderId": "{order.order_id}"}}', "test")
    faulty.aws.script(operation, *[fault] * ATTEMPTS)
    try:
        faulty.recovery().sweep()
    except AwsUnavailable:
        faulty.aws.end()
        faulty.now_ms += OVERDUE_MS + 1  # the letter is out of sight for a minute; the order is overdue before that
        faulty.recovery().sweep()
    assert set(faulty.queued()) == {order.order_id}


# --- push ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ALL)
@pytest.mark.parametrize("operation", ["BatchGetItem", "Query", "UpdateItem", "DeleteItem"])
def test_a_watcher_misses_nothing_and_sees_nothing_out_of_order_while_aws_fails(
    faulty: Faulty, fault: Fault, operation: str
) -> None:
    """The stream gives a batch again that failed; what comes twice is what was sent before the failure."""
    stream, api = OrdersStream(faulty.cloud), WebSocketApi()
    pushing = publisher(faulty.cloud, api, dynamodb=faulty.dynamodb)
    world = World(faulty.cloud.store())
    assert world.store.create(new_order())
    watch(faulty.cloud, "order-1", "watcher", CREATED_AT_MS)
    world.worker().run("order-1", "worker")
    records = stream.new_records()
    for skipped in range(3):
        faulty.aws.script(operation, *[None] * skipped, *[fault] * ATTEMPTS)
        while True:
            try:
                pushing.publish(records)
                break
            except AwsUnavailable:
                continue
        records += stream.new_records()
    seqs = [message["seq"] for message in api.received("watcher")]
    assert list(dict.fromkeys(seqs)) == [1, 2, 3, 4, 5]
    assert api.closed == ["watcher"]
