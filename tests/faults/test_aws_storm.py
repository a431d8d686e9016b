"""All parts at once while any request to AWS may fail: after it every order that a client was promised is done, once.

Orders, messages, pushes and the sweeper go on in turns, under one clock; each request to DynamoDB and SQS throws dice.
Meanwhile the price moves, pools refuse, clients name floors and deadlines, some cancel, and some change what waits.
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import pytest

from chalicelib.amounts import PPM
from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.orders.changing import OrderChanges
from chalicelib.orders.delivery import Delivery
from chalicelib.orders.execution import Execution
from chalicelib.orders.order import Token
from chalicelib.orders.order_changer import OrderChanger
from chalicelib.orders.states import TERMINAL, State, Status
from chalicelib.problems import (
    AwsError,
    AwsUnavailable,
    Conflict,
    FillrateError,
    SubmissionUnknown,
    VenueUnavailable,
)
from chalicelib.push.publisher import Publisher
from chalicelib.times import time_text
from chalicelib.waiting.hand_over import HandOver
from chalicelib.waiting.look import Reached
from tests.faults.aws_faults import Fault
from tests.faults.aws_parts import Faulty, WatchfulTrader, faulty_account
from tests.faults.dice import FULL, dice, scaled
from tests.integration.chain_model import AMOUNT_OUT, FEE, LEASE_MS, AnyTime, Network, NoneRevoked, World, assert_legal
from tests.integration.cloud import Json, OrdersStream, WebSocketApi
from tests.integration.pushing import publisher, watch
from tests.integration.test_intake import a_request
from tests.sample_orders import QUOTED_OUT, ROUTE

ORDERS = scaled(short=12, full=80)
# A fault lasts for some requests in a row: often for more than botocore's four tries.
FAULTS_BEGIN_IN_PERCENT = 8
FAULTS_LAST = range(1, 13)
TURNS_MORE = 25
# What the market pays in each turn, in millionths of what it is quoted to pay at first; some of it under any floor.
PRICES_PPM = (1_000_000, 1_000_000, 999_000, 995_000, 980_000, 1_020_000)
# How much less a swap is paid, when it lands, than it was quoted.
SLIPS_PPM = (0, 0, 0, 1_000, 30_000)
FLOORS = (None, None, "1480", "1499", "1530")
# Prices of 150 that the market sometimes has; at the least it is moved past them while they are looked at.
WAITING: tuple[Json, ...] = (
    {"type": "limit", "limitPrice": "150"},
    {"type": "limit", "limitPrice": "152", "maxTries": 2},
    {"type": "stop", "stopPrice": "149.6"},
    {"type": "stop", "trailing": "0.02"},
    {"type": "oco", "limitPrice": "151", "stopPrice": "149"},
)
SECONDS_TO_WAIT = (12, 40, 90, 200)
SECONDS_TO_DEADLINE = (None, None, None, 2, 5, 12, 40)
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
    # what clients asked to have cancelled, and what they were told is so
    to_cancel: list[str] = field(default_factory=list)
    told_cancelled: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unpublished: list[Json] = field(default_factory=list)
    turns: int = 0
    swept: int = 0
    handed_over: int = 0
    not_watched: set[str] = field(default_factory=set)

    def submit(self, number: int, terms: Json) -> None:
        """A client's order; half of the clients have a key and send it again until they are told something."""
        key = f"key-{number}" if number % 2 else None
        request = a_request(**terms)
        for _ in range(20 if key else 1):
            try:
                order_id = self.faulty.intake().submit("local", request, key).order.order_id
            except SubmissionUnknown as error:
                if key is None:
                    self.unknown.append(error.order_id)
            except FillrateError:
                continue
            else:
                self.accepted.append(order_id)
                watch(self.faulty.cloud, order_id, order_id, self.world.now_ms)
                return

    def turn(self) -> None:
        """Each part does what there is for it to do, as far as AWS lets it."""
        self.turns += 1
        self.faulty.now_ms = self.world.now_ms = self.world.now_ms + TICK_MS
        self._look()
        self._work()
        self._publish()
        if self.turns % SWEEP_EVERY == 0:
            self._sweep()

    def cancel(self, order_id: str) -> None:
        """A client asks once; it may never be told whether it is done."""
        self.to_cancel.append(order_id)
        with suppress(Conflict, AwsError):
            self.faulty.intake().cancel("local", order_id)
            self.told_cancelled.append(order_id)

    def change(self, order_id: str, changes: OrderChanges) -> None:
        """As with a cancellation, nobody may ever be told."""
        faulty = self.faulty
        changer = OrderChanger(faulty.store, faulty.controls, self._paid, lambda: self.world.now_ms)
        with suppress(Conflict, AwsError):
            changer.change("local", order_id, changes, force=True)

    def _paid(self, token_in: Token, token_out: Token, amount: int) -> int:
        return self.world.quoted_out

    def _look(self) -> None:
        """A watcher looks at all that wait, and dies of what AWS refuses; the next looks again."""
        faulty = self.faulty
        hand_over = HandOver(faulty.store, faulty.queue, faulty.controls, lambda: self.world.now_ms)
        known = sorted({*self.accepted, *self.unknown} - self.not_watched)
        open_ones = [one for one in known if self._waits(one)]
        with suppress(AwsError):
            for order_id in open_ones:
                hand_over.expire(order_id)
                hand_over.follow(order_id, self.world.quoted_out)
                self.handed_over += hand_over.hand_over(
                    Reached(order_id, self.world.quoted_out, None, is_stop=False), slot=self.turns
                )

    def _waits(self, order_id: str) -> bool:
        order = self.world.store.load(order_id)
        if order is None or order.is_terminal or not order.waits_for_price:
            self.not_watched.add(order_id)
        return order is not None and order.state is State.OPEN

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
            keys=NoneRevoked(),
        )
        outputs = self.faulty.cloud.outputs
        queue = ImpatientQueue(self.faulty.sqs, outputs["OrdersQueueUrl"], outputs["DeadLetterQueueUrl"])
        for number, message in enumerate(self.faulty.cloud.receive()):
            if not Delivery(execution, queue, lambda: LEASE_MS).handle([message], f"worker-{self.turns}-{number}"):
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
        pushing = publisher(faulty.cloud, api, dynamodb=faulty.dynamodb)
        yield Storm(faulty, world, WatchfulTrader(world), pushing, OrdersStream(faulty.cloud), api)


def test_whatever_requests_to_aws_fail_each_order_ends_once_and_is_told_in_full(storm: Storm) -> None:
    thrown, market = dice("aws storm"), dice("aws storm's market")
    fates = [Network.CARRIES, Network.DROPS, Network.HIDES, Network.REVERTS]
    storm.world.network = deque(thrown.choices(fates, (6, 2, 2, 1), k=ORDERS))

    faults = in_rounds(thrown)
    fault, lasts = Fault.THROTTLED, 0

    def some_fail(operation: str) -> Fault | None:
        nonlocal fault, lasts
        if not lasts and thrown.randrange(100) < FAULTS_BEGIN_IN_PERCENT:
            fault, lasts = next(faults), thrown.choice(FAULTS_LAST)
        if not lasts:
            return None
        lasts -= 1
        return fault

    storm.faulty.aws.choose = some_fail
    for number in range(ORDERS):
        storm.submit(number, terms(market, storm.world.now_ms))
        stir(storm, market)
        storm.turn()
    for _ in range(TURNS_MORE):
        stir(storm, market)
        storm.turn()
    leave_one_to_the_sweeper(storm)
    storm.faulty.aws.end()
    calm(storm.world)
    while not (storm.ended() and storm.turns % SWEEP_EVERY == 0 and not storm.unpublished):
        storm.turn()
        assert storm.turns < ENOUGH_TURNS, "orders are stuck"

    assert storm.trader.broken == []
    assert set(storm.faulty.aws.met) == set(Fault)
    assert storm.handed_over > 0, "nothing that waits was ever sold"
    assert storm.swept > 0, "nothing ever needed the sweeper"
    # what a client was not told of may be there only where it was told that nobody knows
    assert set(storm.accepted) <= set(storm.faulty.stored_ids()) <= {*storm.accepted, *storm.unknown}
    for order_id in storm.faulty.stored_ids():
        assert_done_once(storm, order_id)
        assert_terms_kept(storm, order_id)
    assert {storm.world.stored(order_id).state for order_id in storm.told_cancelled} <= {State.CANCELLED}
    ends = Counter(storm.world.stored(order_id).state for order_id in storm.faulty.stored_ids())
    print(dict(ends), f"{len(storm.told_cancelled)} of {len(storm.to_cancel)} cancellations were told to be done")
    assert set(ends) == TERMINAL or not FULL, "each kind of end came"
    storm.faulty.cloud.assert_counters_add_up()
    for order_id in storm.accepted:
        seqs = [message["seq"] for message in storm.api.received(order_id)]
        assert list(dict.fromkeys(seqs)) == [change.seq for change in storm.world.stored(order_id).history]


def in_rounds(thrown: Random) -> Iterator[Fault]:
    """Each kind of fault once in every round, so that each is met however few there are."""
    while True:
        yield from thrown.sample(list(Fault), len(Fault))


def leave_one_to_the_sweeper(storm: Storm) -> None:
    """An order that is stored and about which no message is sent."""
    storm.faulty.aws.always(Fault.UNREACHABLE, "SendMessage")
    storm.submit(ORDERS, {})


def terms(market: Random, now_ms: int) -> Json:
    """A floor and a deadline, where the client names them; or the prices that the order waits for, for a while."""
    if market.randrange(3) == 0:
        until = time_text(now_ms + market.choice(SECONDS_TO_WAIT) * 1000)
        return {**market.choice(WAITING), "expiresAt": until, "force": True}
    floor, seconds = market.choice(FLOORS), market.choice(SECONDS_TO_DEADLINE)
    return {
        **({} if floor is None else {"minOut": floor}),
        **({} if seconds is None else {"expiresAt": time_text(now_ms + seconds * 1000)}),
    }


def stir(storm: Storm, market: Random) -> None:
    """The price moves; the next simulation is perhaps refused by its pool; somebody perhaps cancels."""
    world = storm.world
    world.quoted_out = QUOTED_OUT * market.choice(PRICES_PPM) // PPM
    world.amount_out = world.quoted_out * (PPM - market.choice(SLIPS_PPM)) // PPM
    if market.randrange(4) == 0:
        refusal = VenueUnavailable("the pool takes no swaps now")
        refusal.leg = market.randrange(len(ROUTE))
        world.building.append(refusal)
    open_ones = [order_id for order_id in storm.accepted if not world.stored(order_id).is_terminal]
    if open_ones and market.randrange(3) == 0:
        storm.cancel(market.choice(open_ones))
    waiting = [order_id for order_id in open_ones if world.stored(order_id).state is State.OPEN]
    if waiting and market.randrange(3) == 0:
        storm.change(market.choice(waiting), OrderChanges(slippage_ppm=market.choice((5_000, 20_000))))


def calm(world: World) -> None:
    world.building.clear()
    world.quoted_out, world.amount_out = QUOTED_OUT, AMOUNT_OUT


def assert_done_once(storm: Storm, order_id: str) -> None:
    order, swaps = storm.world.stored(order_id), storm.world.chain.swaps_of(order_id)
    assert_legal(order.history)
    assert order.is_terminal
    assert len(swaps) == (1 if order.state is State.CONFIRMED else 0)
    assert order.state is not State.FAILED or order.retry_count == 3 or order.signed_tries + 1 > (order.max_tries or 10)
    assert order.network_fees == FEE * sum(
        signature in storm.world.chain.landed for signature in storm.world.chain.signatures_of(order_id)
    )


def assert_terms_kept(storm: Storm, order_id: str) -> None:
    """Filled at its floor or better, signed before its deadline, cancelled by nobody but its client."""
    order, paid = storm.world.stored(order_id), storm.world.chain.paid
    assert order.expires_at_ms is not None
    for signature in storm.world.chain.swaps_of(order_id):
        assert order.min_out is not None
        assert order.amount_out == paid[signature]
        assert paid[signature] >= order.min_out, "a fill under the order's floor"
    if order.waits_for_price:
        assert order.state is not State.CONFIRMED or order.trigger is not None
    else:
        told = [step.min_out for step in order.history if step.status is not Status.PENDING]
        assert set(told) - {None} <= {order.min_out}
    for step in order.history:
        if step.status in (Status.ROUTING, Status.SUBMITTED):
            assert step.at_ms < order.expires_at_ms
    if order.state is State.CANCELLED:
        assert order_id in storm.to_cancel
    if order.state is State.EXPIRED:
        assert order.updated_at_ms >= order.expires_at_ms
