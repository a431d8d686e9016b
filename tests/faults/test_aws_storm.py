"""All parts at once while any request to AWS may fail: after it every order that a client was promised is done, once.

Orders, messages, pushes and the sweeper go on in turns, under one clock; each request to DynamoDB and SQS throws dice.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.orders.delivery import Delivery
from chalicelib.orders.execution import Execution
from chalicelib.orders.order import State
from chalicelib.problems import AwsUnavailable, FillrateError, SubmissionUnknown
from chalicelib.push.connections import Subscription
from chalicelib.push.publisher import Publisher
from tests.faults.aws_faults import Fault
from tests.faults.aws_parts import Faulty, WatchfulTrader, faulty_account
from tests.faults.dice import dice, scaled
from tests.integration.chain_model import LEASE_MS, AnyTime, Network, World, assert_legal
from tests.integration.cloud import Json, OrdersStream, WebSocketApi
from tests.integration.test_intake import a_request

ORDERS = scaled(short=12, full=80)
# A fault lasts for some requests in a row: often for more than botocore's four tries.
FAULTS_BEGIN_IN_PERCENT = 8
FAULTS_LAST = range(1, 13)
TURNS_MORE = 25
TICK_MS = 3_000
SWEEP_EVERY = 5
ENOUGH_TURNS = 400


class ImpatientQueue(SqsOrdersQueue):
    """Messages come back at once, whatever they were given: duplicates, and no waiting on moto's own clock."""

    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        super().show_again_in(receipt_handle, 0)


@dataclass
class Storm:
    faulty: Faulty
    world: World
    trader: WatchfulTrader
    publisher: Publisher
    stream: OrdersStream
    api: WebSocketApi
    accepted: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unpublished: list[Json] = field(default_factory=list)
    turns: int = 0
    swept: int = 0

    def submit(self, number: int) -> None:
        """A client's order; half of the clients have a key and send it again until they are told something."""
        key = f"key-{number}" if number % 2 else None
        for _ in range(20 if key else 1):
            try:
                order_id = self.faulty.intake().submit("local", a_request(), key).order.order_id
            except SubmissionUnknown as error:
                if key is None:
                    self.unknown.append(error.order_id)
            except FillrateError:
                continue
            else:
                self.accepted.append(order_id)
                self.faulty.cloud.connections().subscribe(Subscription(order_id, order_id, True, self.world.now_ms))
                return

    def turn(self) -> None:
        """Each part does what there is for it to do, as far as AWS lets it."""
        self.turns += 1
        self.faulty.now_ms = self.world.now_ms = self.world.now_ms + TICK_MS
        self._work()
        self._publish()
        if self.turns % SWEEP_EVERY == 0:
            self._sweep()

    def ended(self) -> bool:
        return all(self.world.stored(order_id).is_terminal for order_id in self.faulty.stored_ids())

    def _work(self) -> None:
        faulty, world = self.faulty, self.world
        execution = Execution(
            faulty.store,
            self.trader,
            AnyTime(),
            faulty.outages(),
            faulty.controls,
            lambda: world.now_ms,
            LEASE_MS,
            new_nonce=secrets.token_hex,
        )
        outputs = self.faulty.cloud.outputs
        queue = ImpatientQueue(self.faulty.sqs, outputs["OrdersQueueUrl"], outputs["DeadLetterQueueUrl"])
        for number, message in enumerate(self.faulty.cloud.receive()):
            if not Delivery(execution, queue, LEASE_MS).handle([message], f"worker-{self.turns}-{number}"):
                self.faulty.cloud.sqs.delete_message(
                    QueueUrl=outputs["OrdersQueueUrl"], ReceiptHandle=message.receipt_handle
                )

    def _publish(self) -> None:
        self.unpublished += self.stream.new_records()
        try:
            self.publisher.publish(self.unpublished)
        except AwsUnavailable:
            return  # the stream gives them again
        self.unpublished.clear()

    def _sweep(self) -> None:
        try:
            self.swept += len(self.faulty.recovery().sweep().handed_back)
        except AwsUnavailable:
            return  # the next sweep comes


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    with faulty_account(monkeypatch) as faulty:
        world, api = World(faulty.cloud.store()), WebSocketApi()
        publisher = Publisher(faulty.store, faulty.connections, api.gateway(), lambda seconds: None)
        yield Storm(faulty, world, WatchfulTrader(world), publisher, OrdersStream(faulty.cloud), api)


def test_whatever_requests_to_aws_fail_each_order_ends_once_and_is_told_in_full(storm: Storm) -> None:
    thrown = dice("aws storm")
    storm.world.network = deque(thrown.choices([Network.CARRIES, Network.DROPS, Network.HIDES], (6, 2, 2), k=ORDERS))

    fault, lasts = Fault.THROTTLED, 0

    def some_fail(operation: str) -> Fault | None:
        nonlocal fault, lasts
        if not lasts and thrown.randrange(100) < FAULTS_BEGIN_IN_PERCENT:
            fault, lasts = thrown.choice(list(Fault)), thrown.choice(FAULTS_LAST)
        if not lasts:
            return None
        lasts -= 1
        return fault

    storm.faulty.aws.choose = some_fail
    for number in range(ORDERS):
        storm.submit(number)
        storm.turn()
    for _ in range(TURNS_MORE):
        storm.turn()
    storm.faulty.aws.end()
    while not (storm.ended() and storm.turns % SWEEP_EVERY == 0 and not storm.unpublished):
        storm.turn()
        assert storm.turns < ENOUGH_TURNS, "orders are stuck"

    assert storm.trader.broken == []
    assert set(storm.faulty.aws.met) == set(Fault)
    assert storm.swept > 0, "nothing ever needed the sweeper"
    # what a client was not told of may be there only where it was told that nobody knows
    assert set(storm.accepted) <= set(storm.faulty.stored_ids()) <= {*storm.accepted, *storm.unknown}
    for order_id in storm.faulty.stored_ids():
        assert_done_once(storm, order_id)
    storm.faulty.cloud.assert_counters_add_up()
    for order_id in storm.accepted:
        seqs = [message["seq"] for message in storm.api.received(order_id)]
        assert list(dict.fromkeys(seqs)) == [change.seq for change in storm.world.stored(order_id).history]


def assert_done_once(storm: Storm, order_id: str) -> None:
    order, swaps = storm.world.stored(order_id), storm.world.chain.swaps_of(order_id)
    assert_legal(order.history)
    assert order.is_terminal
    assert len(swaps) == (1 if order.state is State.CONFIRMED else 0)
    assert order.state is State.CONFIRMED or order.retry_count == 3
