"""An attempt at an order: resumable at every step, never twice, never lost; in moto's DynamoDB and in memory."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.orders.execution import UNDECIDED_AGAIN_MS, WATCH_MARGIN_MS, ComeBack, Finished, UnknownOrder, Waits
from chalicelib.orders.life import cancel
from chalicelib.orders.order import Order
from chalicelib.orders.ports import Orders, StaleOrder
from chalicelib.orders.states import State
from chalicelib.problems import (
    AllNodesDown,
    AmountTooSmall,
    ExecutionError,
    InsufficientBalance,
    NoPool,
    PermanentError,
    RpcUnavailable,
    SlippageExceeded,
    TransactionRejected,
    VenueUnavailable,
)
from tests.integration.chain_model import (
    AMOUNT_OUT,
    BLOCKHASH_LIFE,
    LEASE_MS,
    POINTS,
    WATCH_MS,
    Killed,
    Network,
    World,
    assert_legal,
    kill_at,
)
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import MIN_OUT, ROUTE, new_order

ORDER = "order-1"


@pytest.fixture(params=["DynamoDB", "memory"])
def world(request: pytest.FixtureRequest) -> World:
    store: Orders = request.getfixturevalue("cloud").store() if request.param == "DynamoDB" else OrdersInMemory()
    assert store.create(new_order(ORDER))
    return World(store)


def statuses(order: Order) -> list[str]:
    return [change.status.value for change in order.history]


def run_until_finished(world: World, deliveries: int = 60) -> Order:
    """Deliver the message as often as it comes back, each time to a fresh worker at the time it asked for."""
    for delivery in range(deliveries):
        match world.worker().run(ORDER, f"later/{delivery}"):
            case Finished(order):
                assert world.stored(ORDER) == order
                return order
            case ComeBack(in_ms, _):
                assert in_ms >= 0
                world.now_ms += in_ms
    raise AssertionError("the order doesn't come to an end")


def crash(world: World, point: str, occurrence: int = 1) -> None:
    """A worker dies at `point`; then its lease runs out."""
    world.at_point = kill_at(point, occurrence)
    with pytest.raises(Killed):
        world.worker().run(ORDER, "first/1")
    world.at_point = lambda passed: None
    world.now_ms += LEASE_MS


# --- the way through ----------------------------------------------------------------------------------------------


def test_an_order_goes_from_pending_to_confirmed_in_one_run(world: World) -> None:
    passed: list[str] = []
    world.at_point = passed.append
    outcome = world.worker().run(ORDER, "first/1")
    order = world.stored(ORDER)
    assert outcome == Finished(order)
    assert statuses(order) == ["pending", "routing", "building", "submitted", "confirmed"]
    assert (order.amount_out, order.tx_hash, order.retry_count) == (AMOUNT_OUT, "signature-1", 0)
    assert (order.route, order.min_out) == (ROUTE, MIN_OUT)
    assert order.lease is None
    assert world.chain.swaps_of(ORDER) == ["signature-1"]
    assert passed == POINTS, "each of them is a crash that is tried below"


def test_an_order_that_is_finished_stays_as_it_is_however_often_its_message_comes(world: World) -> None:
    order = run_until_finished(world)
    assert world.worker().run(ORDER, "duplicate/1") == Finished(order)
    assert world.built == 1


def test_a_message_about_no_order_says_so(world: World) -> None:
    with pytest.raises(UnknownOrder, match=r"^nowhere$"):
        world.worker().run("nowhere", "first/1")


# --- crashes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_an_order_whose_worker_dies_at_any_step_is_confirmed_by_the_next_with_one_swap(
    world: World, point: str
) -> None:
    crash(world, point)
    order = run_until_finished(world)
    assert statuses(order) == ["pending", "routing", "building", "submitted", "confirmed"]
    assert_legal(order.history)
    assert len(world.chain.swaps_of(ORDER)) == 1
    assert order.tx_hash == world.chain.swaps_of(ORDER)[0]
    assert order.retry_count == 0, "a crash is no failed attempt"


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("network", Network)
def test_whatever_the_network_did_before_the_worker_died_there_is_one_swap(
    world: World, point: str, network: Network
) -> None:
    world.network.append(network)
    if network is not Network.CARRIES and point.endswith("writing confirmed"):
        point = "after sending"
    crash(world, point)
    order = run_until_finished(world)
    assert order.state is State.CONFIRMED
    assert_legal(order.history)
    assert world.chain.swaps_of(ORDER) == [order.tx_hash]


def test_an_attempts_nonce_is_stored_before_anything_is_planned_and_lasts_as_long_as_the_attempt(world: World) -> None:
    """Whoever takes the attempt over builds with the same accounts, and the next attempt has others."""
    found: list[tuple[int, str | None]] = []
    dies = kill_at("after signing")

    def look(point: str) -> None:
        if point in ("planning", "before signing"):
            stored = world.stored(ORDER)
            found.append((stored.attempt, stored.attempt_nonce))
        dies(point)

    world.at_point = look
    world.building += [None, SlippageExceeded("the price moved")]
    with suppress(Killed):
        world.worker().run(ORDER, "first")
    world.now_ms += LEASE_MS
    assert run_until_finished(world).state is State.CONFIRMED

    assert [attempt for attempt, _ in found] == [1, 1, 1, 1, 2, 2]
    of_first, of_second = ({nonce for attempt, nonce in found if attempt == number} for number in (1, 2))
    assert len(of_first) == len(of_second) == 1
    assert None not in of_first | of_second
    assert of_first != of_second


@pytest.mark.parametrize("point", POINTS[:-2])
def test_two_crashes_at_the_same_step_change_nothing(world: World, point: str) -> None:
    crash(world, point)
    passes_again = point in _points_of(world)
    if passes_again:
        crash(world, point)
    assert run_until_finished(world).state is State.CONFIRMED
    assert len(world.chain.swaps_of(ORDER)) == 1


def _points_of(world: World) -> list[str]:
    """What a worker that takes over now will pass."""
    state = world.stored(ORDER).state
    resumed = POINTS[POINTS.index("before writing submitted") + 2 :] if state is State.SUBMITTED else POINTS
    return [point for point in resumed if state is State.PENDING or not point.endswith("writing routing")]


def test_until_the_lease_of_a_dead_worker_runs_out_nobody_touches_its_order(world: World) -> None:
    world.at_point = kill_at("planning")
    with pytest.raises(Killed):
        world.worker().run(ORDER, "first/1")
    world.at_point = lambda passed: None
    before = world.stored(ORDER)
    world.now_ms += LEASE_MS - 1
    assert world.worker().run(ORDER, "second/2") == ComeBack(1, "another worker has it")
    assert world.stored(ORDER) == before
    world.now_ms += 1
    assert isinstance(world.worker().run(ORDER, "second/2"), Finished)


def test_a_transaction_that_was_signed_but_never_stored_is_never_sent(world: World) -> None:
    crash(world, "before writing submitted")
    order = run_until_finished(world)
    assert (world.built, order.tx_hash) == (2, "signature-2")
    assert list(world.chain.sent) == ["signature-2"]


def test_a_transaction_that_was_stored_but_not_sent_is_the_one_that_the_next_worker_sends(world: World) -> None:
    crash(world, "before sending")
    order = run_until_finished(world)
    assert (world.built, order.tx_hash) == (1, "signature-1")


# --- undecided transactions ---------------------------------------------------------------------------------------


def test_nothing_is_built_while_the_first_transaction_may_still_land(world: World) -> None:
    """ModelTrader fails the test if anything is; here is what happens in its place."""
    world.network.extend([Network.DROPS] * BLOCKHASH_LIFE)
    for _ in range(BLOCKHASH_LIFE):
        assert world.worker().run(ORDER, "any/1") == ComeBack(UNDECIDED_AGAIN_MS, "its transaction may still land")
        order = world.stored(ORDER)
        assert (order.state, order.retry_count, order.lease) == (State.SUBMITTED, 0, None)
        world.now_ms += UNDECIDED_AGAIN_MS
    assert run_until_finished(world).tx_hash == "signature-1"
    assert world.built == 1


@pytest.mark.parametrize("network", [one for one in Network if one not in (Network.CARRIES, Network.REVERTS)])
def test_an_undecided_transaction_uses_up_no_attempt_and_writes_no_history(world: World, network: Network) -> None:
    world.network.extend([network] * 2)
    order = run_until_finished(world)
    assert statuses(order) == ["pending", "routing", "building", "submitted", "confirmed"]
    assert (order.retry_count, order.tx_hash) == (0, "signature-1")


def test_only_a_transaction_that_can_land_no_more_ends_its_attempt_and_another_is_built(world: World) -> None:
    world.network.extend([Network.DROPS] * (BLOCKHASH_LIFE + 2))
    order = run_until_finished(world)
    assert statuses(order) == [
        "pending", "routing", "building", "submitted", "failed", "routing", "building", "submitted", "confirmed",
    ]  # fmt: skip
    assert order.history[4].error_code == "TRANSACTION_EXPIRED"
    assert (order.past_signatures, order.tx_hash) == (("signature-1",), "signature-2")
    assert world.chain.swaps_of(ORDER) == ["signature-2"]


def test_a_transaction_that_landed_with_an_error_ends_its_attempt_at_once(world: World) -> None:
    world.network.append(Network.REVERTS)
    order = run_until_finished(world)
    assert order.history[4].error_code == "SLIPPAGE_EXCEEDED"
    assert (order.state, order.retry_count, order.past_signatures) == (State.CONFIRMED, 1, ("signature-1",))


def test_a_swap_that_landed_while_nobody_watched_is_found_by_whoever_comes_next(world: World) -> None:
    world.network.append(Network.HIDES)
    crash(world, "after sending")
    world.chain.height += 10 * BLOCKHASH_LIFE
    order = run_until_finished(world)
    assert (order.state, order.tx_hash, world.built) == (State.CONFIRMED, "signature-1", 1)


# --- failures -----------------------------------------------------------------------------------------------------

TRANSIENT = [RpcUnavailable("no answer"), SlippageExceeded("it moved"), VenueUnavailable("closed")]
PERMANENT = [NoPool("none"), InsufficientBalance("too little"), AmountTooSmall("dust"), TransactionRejected("no")]


@pytest.mark.parametrize("where", ["market", "building"])
def test_three_transient_failures_end_the_order_after_one_and_two_seconds(world: World, where: str) -> None:
    getattr(world, where).extend(TRANSIENT)
    waits = []
    for delivery in range(2):
        outcome = world.worker().run(ORDER, f"any/{delivery}")
        assert isinstance(outcome, ComeBack)
        waits.append(outcome.in_ms)
        world.now_ms += outcome.in_ms
    outcome = world.worker().run(ORDER, "any/3")
    assert isinstance(outcome, Finished)
    order = outcome.order
    assert waits == [1000, 2000]
    assert (order.state, order.retry_count) == (State.FAILED, 3)
    told = [change for change in order.history if change.status.value == "failed"]
    assert [(one.error_code, one.terminal, one.retry_in_ms) for one in told] == [
        ("RPC_UNAVAILABLE", False, 1000),
        ("SLIPPAGE_EXCEEDED", False, 2000),
        ("VENUE_UNAVAILABLE", True, None),
    ]
    assert (order.error, order.error_code) == ("closed", "VENUE_UNAVAILABLE")
    assert_legal(order.history)
    assert not world.chain.sent


def test_an_order_does_not_stand_by_the_dead_transaction_of_an_earlier_attempt(world: World) -> None:
    world.network.append(Network.REVERTS)
    world.market.extend([None, NoPool("gone")])
    order = run_until_finished(world)
    assert (order.state, order.error_code) == (State.FAILED, "NO_POOL")
    assert (order.tx_hash, order.route, order.quoted_out, order.min_out) == (None, None, None, MIN_OUT)
    assert len(order.past_signatures) == 1
    assert [change.tx_hash for change in order.history if change.tx_hash] == list(order.past_signatures)


@pytest.mark.parametrize("where", ["market", "building"])
@pytest.mark.parametrize("error", PERMANENT, ids=lambda error: error.code)
def test_a_permanent_failure_ends_the_order_at_once(world: World, where: str, error: ExecutionError) -> None:
    getattr(world, where).append(error)
    outcome = world.worker().run(ORDER, "first/1")
    assert isinstance(outcome, Finished)
    order = outcome.order
    assert (order.state, order.retry_count, order.error_code) == (State.FAILED, 0, error.code)
    assert order.history[-1].terminal is True


@pytest.mark.parametrize("where", ["market", "building"])
def test_an_outage_of_all_solana_nodes_makes_an_order_wait_and_costs_it_no_attempt(world: World, where: str) -> None:
    getattr(world, where).extend([AllNodesDown(4000)] * 5)
    for delivery in range(5):
        assert world.worker().run(ORDER, f"any/{delivery}") == ComeBack(4000, "no Solana node answers")
        assert world.stored(ORDER).lease is None
        world.now_ms += 4000
    order = run_until_finished(world)
    assert (order.state, order.retry_count) == (State.CONFIRMED, 0)
    assert statuses(order) == ["pending", "routing", "building", "submitted", "confirmed"]


def test_an_order_is_confirmed_by_its_third_attempt_if_need_be(world: World) -> None:
    world.market.extend(TRANSIENT[:2])
    order = run_until_finished(world)
    assert statuses(order) == [
        "pending", "routing", "failed", "routing", "failed", "routing", "building", "submitted", "confirmed",
    ]  # fmt: skip
    assert (order.retry_count, order.error) == (2, None)


def test_a_message_that_comes_before_its_wait_is_over_steps_back(world: World) -> None:
    world.market.append(TRANSIENT[0])
    world.worker().run(ORDER, "first/1")
    before = world.stored(ORDER)
    world.now_ms += 400
    assert world.worker().run(ORDER, "early/2") == ComeBack(600, "backing off")
    assert world.stored(ORDER) == before


@pytest.mark.parametrize("point", ["before writing retrying", "after writing retrying"])
def test_a_worker_that_dies_while_it_notes_a_failure_costs_one_attempt_at_most(world: World, point: str) -> None:
    world.market.append(TRANSIENT[0])
    crash(world, point)
    order = run_until_finished(world)
    assert order.state is State.CONFIRMED
    assert order.retry_count == (1 if point.startswith("after") else 0)
    assert_legal(order.history)


def test_a_surprise_leaves_the_order_to_whoever_comes_after_the_lease(world: World) -> None:
    """A defect of ours in planning is no reason to give an order up: the worker's caller hears of it."""

    def surprise(passed: str) -> None:
        if passed == "planning":
            raise ZeroDivisionError

    world.at_point = surprise
    with pytest.raises(ZeroDivisionError):
        world.worker().run(ORDER, "first/1")
    world.at_point = lambda passed: None
    assert world.stored(ORDER).state is State.ROUTING
    assert run_until_finished(world).state is State.CONFIRMED


# --- two workers, and the client who cancels ----------------------------------------------------------------------


def test_two_workers_that_load_the_order_at_once_do_not_both_start_it(world: World) -> None:
    """The second claims between the first's load and its claim."""
    outcomes: list[Finished | ComeBack | Waits] = []

    def at_point(passed: str) -> None:
        if passed == "before writing routing" and not outcomes:
            outcomes.append(ComeBack(0, "playing"))
            outcomes[0] = world.worker().run(ORDER, "second/2")

    world.at_point = at_point
    first = world.worker().run(ORDER, "first/1")
    assert first == outcomes[0] == Finished(world.stored(ORDER))
    assert (world.built, len(world.chain.sent)) == (1, 1)


@pytest.mark.parametrize("point", POINTS[2:-2])
def test_a_worker_that_outlives_its_lease_loses_to_the_one_that_took_over(world: World, point: str) -> None:
    """Both live on: whatever the slow one does next, it is refused or harmless."""
    took_over: list[Finished | ComeBack | Waits] = []

    def at_point(passed: str) -> None:
        if passed == point and not took_over:
            world.now_ms += LEASE_MS
            took_over.append(ComeBack(0, "playing"))
            took_over[0] = world.worker().run(ORDER, "second/2")

    world.at_point = at_point
    first = world.worker().run(ORDER, "first/1")
    order = world.stored(ORDER)
    assert first == took_over[0] == Finished(order)
    assert_legal(order.history)
    assert world.chain.swaps_of(ORDER) == [order.tx_hash]
    assert len(world.chain.sent) == 1


def test_a_second_delivery_to_a_living_worker_steps_back_and_counts_as_nothing(world: World) -> None:
    seconds: list[Finished | ComeBack | Waits] = []

    def at_point(passed: str) -> None:
        if passed in ("planning", "before signing", "after sending"):
            seconds.append(world.worker().run(ORDER, f"duplicate/{len(seconds)}"))

    world.at_point = at_point
    assert isinstance(world.worker().run(ORDER, "first/1"), Finished)
    watched_ms = WATCH_MS + WATCH_MARGIN_MS
    assert seconds == [ComeBack(in_ms, "another worker has it") for in_ms in (LEASE_MS, LEASE_MS, watched_ms)]
    assert world.stored(ORDER).retry_count == 0


@pytest.mark.parametrize("point", ["before sending", "after sending"])
def test_whoever_takes_over_from_a_worker_that_died_after_signing_comes_as_soon_as_that_would_have_stopped_watching(
    world: World, point: str
) -> None:
    """Which is a third of the blockhash's life at most: what was signed can still be sent."""
    world.at_point = kill_at(point)
    with pytest.raises(Killed):
        world.worker().run(ORDER, "first/1")
    world.at_point = lambda passed: None
    world.now_ms += WATCH_MS + WATCH_MARGIN_MS - 1
    assert world.worker().run(ORDER, "second/1") == ComeBack(1, "another worker has it")
    world.now_ms += 1
    finished = world.worker().run(ORDER, "second/1")
    assert isinstance(finished, Finished)
    assert finished.order.state is State.CONFIRMED


def cancel_now(world: World) -> None:
    order = world.stored(ORDER)
    world.store.replace(cancel(order, world.now_ms))


def test_a_cancellation_that_comes_first_wins_and_nothing_is_planned(world: World) -> None:
    cancel_now(world)
    outcome = world.worker().run(ORDER, "first/1")
    assert isinstance(outcome, Finished)
    assert statuses(outcome.order) == ["pending", "cancelled"]
    assert world.built == 0


def test_a_cancellation_between_a_workers_look_and_its_claim_wins(world: World) -> None:
    def at_point(passed: str) -> None:
        if passed == "before writing routing":
            world.at_point = lambda passed: None
            cancel_now(world)

    world.at_point = at_point
    outcome = world.worker().run(ORDER, "first/1")
    assert isinstance(outcome, Finished)
    assert statuses(outcome.order) == ["pending", "cancelled"]
    assert world.built == 0


def test_a_cancellation_that_was_decided_on_an_old_copy_loses_to_the_claim(world: World) -> None:
    old = world.stored(ORDER)
    run_until_finished(world)
    with pytest.raises(StaleOrder):
        world.store.replace(cancel(old, world.now_ms))
    assert world.stored(ORDER).state is State.CONFIRMED


def test_a_write_whose_answer_was_lost_is_found_again_and_goes_on(world: World) -> None:
    """The AWS client repeats a write whose answer it missed; the repetition is refused as the revision is taken."""

    def at_point(passed: str) -> None:
        if passed == "after writing submitted":
            world.at_point = lambda passed: None
            raise StaleOrder(ORDER)

    world.at_point = at_point
    outcome = world.worker().run(ORDER, "first/1")
    assert isinstance(outcome, Finished)
    assert (outcome.order.state, world.built) == (State.CONFIRMED, 1)


# --- anything at all ----------------------------------------------------------------------------------------------


@dataclass
class Misfortune:
    """One delivery's: where the worker dies (None: it lives), how long until the next, and clocks that disagree."""

    dies_at: str | None
    pause_ms: int
    blocks: int


MISFORTUNES = st.lists(
    st.builds(
        Misfortune,
        dies_at=st.none()
        | st.sampled_from([*POINTS, "before writing retrying", "after writing retrying", "before writing failed"]),
        pause_ms=st.sampled_from([-3_000, 0, 500, 1_000, 2_000, LEASE_MS - 1, LEASE_MS, LEASE_MS + 1]),
        blocks=st.integers(0, 2 * BLOCKHASH_LIFE),
    ),
    max_size=12,
)
REFUSALS = st.lists(st.none() | st.sampled_from([*TRANSIENT, *TRANSIENT, NoPool("none")]), max_size=4)


@given(
    misfortunes=MISFORTUNES,
    network=st.lists(st.sampled_from(Network), max_size=10),
    market=REFUSALS,
    building=REFUSALS,
)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_every_order_ends_and_with_one_swap_at_most(
    misfortunes: list[Misfortune],
    network: list[Network],
    market: list[ExecutionError | None],
    building: list[ExecutionError | None],
) -> None:
    store = OrdersInMemory()
    assert store.create(new_order(ORDER))
    world = World(store, network=deque(network), market=deque(market), building=deque(building))
    for number, misfortune in enumerate(misfortunes):
        world.at_point = kill_at(misfortune.dies_at or "never")
        with suppress(Killed):
            world.worker().run(ORDER, f"any/{number}")
        world.at_point = lambda passed: None
        assert_legal(world.stored(ORDER).history)
        world.now_ms += misfortune.pause_ms
        world.chain.height += misfortune.blocks
    world.now_ms += LEASE_MS
    order = run_until_finished(world)
    assert_legal(order.history)
    assert order.state in (State.CONFIRMED, State.FAILED)
    swaps = world.chain.swaps_of(ORDER)
    assert swaps == ([order.tx_hash] if order.state is State.CONFIRMED else [])
    assert not [signature for signature in world.chain.sent if signature not in {*order.past_signatures, order.tx_hash}]
    gave_up = isinstance(_last_error(order), PermanentError)
    assert order.state is State.CONFIRMED or gave_up or order.retry_count == 3


def _last_error(order: Order) -> ExecutionError | None:
    known: dict[str, ExecutionError] = {error.code: error for error in [*TRANSIENT, *PERMANENT]}
    return known.get(order.error_code or "")
