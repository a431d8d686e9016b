"""Taking orders in: stored once and queued, merged by Idempotency-Key alone, cancelled at most once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier, Lock
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.contract.requests import OrderRequest, fields_as_written, validate, validate_idempotency_key
from chalicelib.http.api import new_order_of
from chalicelib.orders.intake import Intake, NewOrder, StartTimes, Submitted
from chalicelib.orders.life import claim, start_attempt
from chalicelib.orders.message import order_id_of
from chalicelib.orders.order import Order, Token
from chalicelib.orders.ports import StaleOrder
from chalicelib.orders.states import State, Status
from chalicelib.problems import Conflict, InvalidRequest, NotFound
from chalicelib.risk.counters import GLOBAL
from chalicelib.risk.limits import LimitsInForce
from tests.integration.chain_model import AnyTime, FreeRein
from tests.integration.cloud import Cloud
from tests.sample_orders import CREATED_AT_MS, JUP, SOL, USDC, market_price, order_in, submitted

CLIENTS = 20


class Tokens:
    """The three tokens of sample_orders, by symbol or mint."""

    def find(self, text: str) -> Token | None:
        return next((token for token in (SOL, USDC, JUP) if text in (token.text, token.mint)), None)


def intake_with(store: OrderTable, queue: SqsOrdersQueue, starts: StartTimes | None = None) -> Intake:
    return Intake(
        store, queue, Tokens(), starts or AnyTime(), FreeRein(), lambda: CREATED_AT_MS, uuid4, prices=market_price
    )


@pytest.fixture
def intake(cloud: Cloud) -> Intake:
    return intake_with(cloud.store(), cloud.orders_queue())


def a_request(**changes: object) -> NewOrder:
    body = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.01", **changes}
    return new_order_of(Tokens(), validate(OrderRequest, body), fields_as_written(body))


def queued(cloud: Cloud) -> list[str]:
    """The order ids that workers would get now."""
    return [order_id_of(message.body) for message in cloud.receive()]


# --- submitting ---------------------------------------------------------------------------------------------------


def test_an_order_is_stored_pending_and_handed_to_the_workers(intake: Intake, cloud: Cloud) -> None:
    submitted = intake.submit("local", a_request(), None)
    order = submitted.order
    assert submitted.created
    assert cloud.stored(order.order_id) == order
    assert (order.account, order.type, order.amount, order.slippage_ppm) == ("local", "market", 10 * 10**9, 10_000)
    assert (order.token_in, order.token_out) == (SOL, USDC)
    assert (order.status, order.created_at_ms, order.last_seq) == (Status.PENDING, CREATED_AT_MS, 1)
    assert UUID(order.order_id)
    assert queued(cloud) == [order.order_id]


def test_a_message_names_the_order_and_nothing_else(intake: Intake, cloud: Cloud) -> None:
    order = intake.submit("local", a_request(), None).order
    (message,) = cloud.receive()
    assert json.loads(message.body) == {"orderId": order.order_id}


def test_the_order_is_stored_before_it_is_queued(cloud: Cloud) -> None:
    """A worker that is quicker than the client's answer must find it."""

    class WatchingQueue(SqsOrdersQueue):
        def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
            assert cloud.stored(order_id).status is Status.PENDING
            super().enqueue(order_id, delay_ms)

    queue = WatchingQueue(cloud.sqs, cloud.outputs["OrdersQueueUrl"], cloud.outputs["DeadLetterQueueUrl"])
    assert intake_with(cloud.store(), queue).submit("local", a_request(), None).created


@pytest.mark.parametrize("limit", [None, 1], ids=["its own client order id", "the last open order"])
def test_the_same_request_at_the_same_moment_is_not_refused_for_what_the_first_took_up(
    cloud: Cloud, limit: int | None
) -> None:
    class LooksTooEarly(OrderTable):
        """Whose first look for the key's order comes just before the other client's write."""

        has_looked = False

        def load(self, order_id: str) -> Order | None:
            has_looked, self.has_looked = self.has_looked, True
            return super().load(order_id) if has_looked else None

    asked = a_request() if limit else a_request(clientOrderId="desk/7")
    controls = cloud.control_table()
    if limit:
        controls.set_limits(GLOBAL, {"open_orders": limit})

    def intake_on(store: OrderTable) -> Intake:
        return Intake(
            store,
            cloud.orders_queue(),
            Tokens(),
            AnyTime(),
            controls,
            lambda: CREATED_AT_MS,
            uuid4,
            prices=market_price,
        )

    first = intake_on(cloud.store()).submit("local", asked, "key")
    early = LooksTooEarly(*cloud.store_parts())
    second = intake_on(early).submit("local", asked, "key")
    assert (second.created, second.order) == (False, first.order)


def test_two_equal_orders_without_a_key_are_two_orders(intake: Intake, cloud: Cloud) -> None:
    first, second = (intake.submit("local", a_request(), None) for _ in range(2))
    assert first.created
    assert second.created
    assert first.order.order_id != second.order.order_id
    assert sorted(queued(cloud)) == sorted([first.order.order_id, second.order.order_id])


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"tokenIn": "DOGE"}, ["tokenIn"]),
        ({"tokenIn": "DOGE", "tokenOut": "PEPE"}, ["tokenIn", "tokenOut"]),
        ({"tokenOut": "SOL"}, ["tokenOut"]),
        ({"tokenOut": SOL.mint}, ["tokenOut"]),
        ({"amount": "0"}, ["amount"]),
        ({"amount": "-1"}, ["amount"]),
        ({"amount": "0.0000000001"}, ["amount"]),
        ({"amount": "18446744073.709551616"}, ["amount"]),
        ({"amount": "1e400"}, ["amount"]),
        ({"slippage": "0.6"}, ["slippage"]),
        ({"slippage": "0.0000001"}, ["slippage"]),
    ],
)
def test_a_wrong_order_is_refused_by_its_fields_and_leaves_nothing(
    intake: Intake, cloud: Cloud, change: dict[str, object], fields: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        intake.submit("local", a_request(**change), "key")
    assert [problem.field for problem in refused.value.problems] == fields
    assert cloud.dynamodb.scan(TableName=cloud.orders_table)["Items"] == []
    assert queued(cloud) == []


def test_a_key_that_is_no_visible_ascii_is_refused(intake: Intake) -> None:
    with pytest.raises(InvalidRequest) as refused:
        intake.submit("local", a_request(), validate_idempotency_key("a key"))
    assert [problem.field for problem in refused.value.problems] == ["Idempotency-Key"]


# --- Idempotency-Key ----------------------------------------------------------------------------------------------


def test_the_same_key_and_body_give_the_same_order(intake: Intake, cloud: Cloud) -> None:
    first = intake.submit("local", a_request(), "key")
    again = intake.submit("local", a_request(), "key")
    assert (first.created, again.created) == (True, False)
    assert again.order == first.order
    assert set(queued(cloud)) == {first.order.order_id}


@pytest.mark.parametrize(
    "same",
    [
        {"amount": "10.0"},
        {"amount": "1e1"},
        {"amount": "+10.000000000"},
        {"slippage": "0.010"},
        {"tokenIn": SOL.mint},
        {"tokenOut": USDC.mint},
    ],
)
def test_another_way_to_write_the_same_order_is_the_same_body(intake: Intake, same: dict[str, object]) -> None:
    first = intake.submit("local", a_request(), "key")
    assert intake.submit("local", a_request(**same), "key") == Submitted(first.order, created=False)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "10.000000001"},
        {"slippage": "0.02"},
        {"tokenIn": "JUP"},
        {"tokenOut": "JUP"},
        {"tokenIn": "USDC", "tokenOut": "SOL"},
    ],
)
def test_the_same_key_with_another_body_is_a_conflict(intake: Intake, cloud: Cloud, other: dict[str, object]) -> None:
    first = intake.submit("local", a_request(), "key")
    with pytest.raises(Conflict):
        intake.submit("local", a_request(**other), "key")
    assert cloud.stored(first.order.order_id) == first.order


def test_another_account_with_the_same_key_has_an_order_of_its_own(intake: Intake) -> None:
    mine, theirs = (intake.submit(account, a_request(), "key") for account in ("mine", "theirs"))
    assert theirs.created
    assert mine.order.order_id != theirs.order.order_id


def test_the_key_of_one_account_cannot_be_made_to_look_like_anothers(intake: Intake) -> None:
    """The id is derived from both; no choice of names may make two pairs one."""
    with pytest.raises(InvalidRequest):
        intake.submit("a", a_request(), validate_idempotency_key("b\nc"))
    assert intake.submit("ab", a_request(), "c").order.order_id != intake.submit("a", a_request(), "bc").order.order_id


@pytest.mark.parametrize("state", [State.ROUTING, State.CONFIRMED, State.FAILED, State.CANCELLED])
def test_a_key_finds_its_order_whatever_became_of_it_and_queues_it_no_more(
    intake: Intake, cloud: Cloud, state: State
) -> None:
    placed = intake.submit("local", a_request(), "key").order
    queued(cloud)
    moved = _brought_to(state, cloud.store(), placed)
    again = intake.submit("local", a_request(), "key")
    assert again == Submitted(moved, created=False)
    assert queued(cloud) == []


def _brought_to(state: State, store: OrderTable, placed: Order) -> Order:
    example = order_in(state)
    names = ("state", "history", "submission", "route", "amount_out", "tx_hash", "error", "error_code")
    return store.replace(
        Order(**{name: getattr(example if name in names else placed, name) for name in Order.__slots__})
    )


def test_a_client_that_died_between_storing_and_queueing_is_made_good_by_the_repetition(cloud: Cloud) -> None:
    class DyingQueue(SqsOrdersQueue):
        def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
            raise ConnectionError

    dying = DyingQueue(cloud.sqs, cloud.outputs["OrdersQueueUrl"], cloud.outputs["DeadLetterQueueUrl"])
    with pytest.raises(ConnectionError):
        intake_with(cloud.store(), dying).submit("local", a_request(), "key")
    assert queued(cloud) == []
    again = intake_with(cloud.store(), cloud.orders_queue()).submit("local", a_request(), "key")
    assert not again.created
    assert queued(cloud) == [again.order.order_id]


@pytest.mark.parametrize("amounts", [["10"] * CLIENTS, ["10", "10.0", "1e1", "10.00"] * (CLIENTS // 4)])
def test_twenty_clients_at_once_with_one_key_get_one_order(cloud: Cloud, amounts: list[str]) -> None:
    """Every client stands before its write before any has written: only the condition on the write can choose."""
    everyone_is_about_to_write, in_turn = Barrier(CLIENTS, timeout=60), Lock()  # moto takes one call at a time

    class CrowdedStore(OrderTable):
        def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
            everyone_is_about_to_write.wait()
            with in_turn:
                return super().create(order, limits)

        def load(self, order_id: str) -> Order | None:
            with in_turn:
                return super().load(order_id)

    class CrowdedQueue(SqsOrdersQueue):
        def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
            with in_turn:
                super().enqueue(order_id, delay_ms)

    store = CrowdedStore(*cloud.store_parts())
    queue = CrowdedQueue(cloud.sqs, cloud.outputs["OrdersQueueUrl"], cloud.outputs["DeadLetterQueueUrl"])
    intake = intake_with(store, queue)
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda amount: intake.submit("local", a_request(amount=amount), "key"), amounts))
    assert [answer.created for answer in answers].count(True) == 1
    (order_id,) = {answer.order.order_id for answer in answers}
    assert len(cloud.dynamodb.scan(TableName=cloud.orders_table)["Items"]) == 1
    assert set(queued(cloud)) == {order_id}


@given(st.lists(st.tuples(st.sampled_from(["k1", "k2"]), st.sampled_from(["1", "1.0", "2"])), max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_key_belongs_to_the_first_body_it_came_with(intake: Intake, calls: list[tuple[str, str]]) -> None:
    account, first_amount = str(uuid4()), dict[str, str]()
    for key, amount in calls:
        earlier = first_amount.setdefault(key, amount)
        if Decimal(earlier) == Decimal(amount):
            assert intake.submit(account, a_request(amount=amount), key).order.amount == int(amount[0]) * 10**9
        else:
            with pytest.raises(Conflict):
                intake.submit(account, a_request(amount=amount), key)


# --- cancelling ---------------------------------------------------------------------------------------------------


def test_an_order_that_has_not_started_can_be_cancelled_once(intake: Intake, cloud: Cloud) -> None:
    order = intake.submit("local", a_request(), None).order
    cancelled = intake.cancel("local", order.order_id)
    assert cancelled.state is State.CANCELLED
    assert cloud.stored(order.order_id) == cancelled
    with pytest.raises(Conflict):
        intake.cancel("local", order.order_id)
    assert cloud.stored(order.order_id) == cancelled


@pytest.mark.parametrize("state", [State.ROUTING, State.BUILDING, State.RETRYING])
def test_an_order_can_be_cancelled_until_a_signed_transaction_is_stored_whoever_works_on_it(
    intake: Intake, cloud: Cloud, state: State
) -> None:
    order = claim(order_in(state), "worker/1", CREATED_AT_MS, 25_000)
    cloud.store().create(order)
    cancelled = intake.cancel("local", order.order_id)
    assert (cancelled.state, cancelled.lease) == (State.CANCELLED, None)
    assert cloud.stored(order.order_id) == cancelled
    with pytest.raises(StaleOrder):
        cloud.store().replace(order)  # what the worker would store next


@pytest.mark.parametrize("state", [State.SUBMITTED, State.CONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED])
def test_an_order_that_may_land_or_has_ended_can_not_be_cancelled(intake: Intake, cloud: Cloud, state: State) -> None:
    order = order_in(state)
    cloud.store().create(order)
    with pytest.raises(Conflict) as refused:
        intake.cancel("local", order.order_id)
    assert order.status.value in str(refused.value)
    assert cloud.stored(order.order_id) == order


class RacingStore(OrderTable):
    """Something else happens just before the first write."""

    def __init__(self, cloud: Cloud, meanwhile: Callable[[Order], Order]) -> None:
        super().__init__(*cloud.store_parts())
        self._meanwhile: Callable[[Order], Order] | None = meanwhile

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            stored = self.load(order.order_id)
            assert stored is not None
            super().replace(meanwhile(stored))
        return super().replace(order, limits)


def test_a_cancellation_that_a_worker_outruns_is_a_conflict(intake: Intake, cloud: Cloud) -> None:
    order = intake.submit("local", a_request(), None).order
    racing = RacingStore(cloud, lambda stored: submitted(stored))
    with pytest.raises(Conflict):
        intake_with(racing, cloud.orders_queue()).cancel("local", order.order_id)
    assert cloud.stored(order.order_id).state is State.SUBMITTED


def test_a_cancellation_that_an_unimportant_write_outruns_looks_again_and_succeeds(
    intake: Intake, cloud: Cloud
) -> None:
    order = intake.submit("local", a_request(), None).order
    racing = RacingStore(cloud, lambda stored: stored)
    cancelled = intake_with(racing, cloud.orders_queue()).cancel("local", order.order_id)
    assert cancelled.state is State.CANCELLED
    assert cancelled.last_seq == 2


def test_of_two_cancellations_at_once_one_succeeds(intake: Intake, cloud: Cloud) -> None:
    order = intake.submit("local", a_request(), None).order
    intake.cancel("local", order.order_id)

    class OldCopyOnce(OrderTable):
        looked = False

        def load(self, order_id: str) -> Order | None:
            self.looked, first = True, not self.looked
            return order if first else super().load(order_id)

    old = OldCopyOnce(*cloud.store_parts())
    late = intake_with(old, cloud.orders_queue())
    with pytest.raises(Conflict):
        late.cancel("local", order.order_id)
    assert cloud.stored(order.order_id).last_seq == 2


def test_a_worker_that_a_cancellation_outruns_is_told_that_its_copy_is_stale(intake: Intake, cloud: Cloud) -> None:
    order = intake.submit("local", a_request(), None).order
    intake.cancel("local", order.order_id)
    with pytest.raises(StaleOrder):
        cloud.store().replace(start_attempt(order, CREATED_AT_MS + 5))


def test_nobody_finds_or_cancels_anothers_order(intake: Intake, cloud: Cloud) -> None:
    order = intake.submit("theirs", a_request(), None).order
    answers = []
    for use in (intake.find, intake.cancel):
        for order_id in (order.order_id, str(uuid4())):
            with pytest.raises(NotFound) as refused:
                use("mine", order_id)
            answers.append(str(refused.value).replace(order_id, "…"))
    assert len(set(answers)) == 1, "theirs and none must look alike"
    assert cloud.stored(order.order_id).status is Status.PENDING
