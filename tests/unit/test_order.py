"""An order's life: what may follow what, how attempts are counted, who holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chalicelib.aws.dynamodb.attribute_values import serialize
from chalicelib.aws.dynamodb.order_item import order_to_item
from chalicelib.orders.changing import OrderChanges, changed
from chalicelib.orders.life import (
    MAX_ATTEMPTS,
    MAX_ERROR_LENGTH,
    MAX_QUEUED_STEPS,
    Leased,
    cancel,
    choose_route,
    claim,
    draw_nonce,
    expire,
    fail_attempt,
    fill,
    fix_floor,
    place,
    queue,
    release,
    reserve,
    sign,
    start_attempt,
)
from chalicelib.orders.order import Lease, Order, TriggerKind
from chalicelib.orders.states import LEGAL, STATUS_OF, TERMINAL, Event, IllegalTransition, State, Status
from chalicelib.orders.triggers import followed, latched, returned, triggered
from chalicelib.problems import OrderExpired, SlippageExceeded
from chalicelib.risk.counters import Claims, Notional
from chalicelib.times import time_text
from tests.sample_orders import (
    CREATED_AT_MS,
    MIN_OUT,
    QUOTED_OUT,
    ROUTE,
    a_submission,
    building,
    confirmed,
    new_order,
    order_in,
    retrying,
    routing,
    submitted,
)

NOW = CREATED_AT_MS + 60_000

# Each event by the one function that makes it happen.
HAPPEN: dict[Event, Callable[[Order], Order]] = {
    Event.TRIGGERED: lambda order: triggered(order, TriggerKind.STOP, 1_400_000_000, 7, NOW),
    Event.LATCHED: lambda order: latched(order, 1_400_000_000, 7, NOW),
    Event.CHANGED: lambda order: changed(order, OrderChanges(slippage_ppm=1), NOW),
    Event.FOLLOWED: lambda order: followed(order, 1_600_000_000, NOW),
    Event.RETURNED: lambda order: returned(order, "moved", "SLIPPAGE_EXCEEDED", NOW),
    Event.ATTEMPT_STARTED: lambda order: start_attempt(order, NOW),
    Event.ROUTE_CHOSEN: lambda order: choose_route(fix_floor(order, QUOTED_OUT), ROUTE, QUOTED_OUT, NOW),
    Event.SIGNED: lambda order: sign(order, a_submission(), NOW),
    Event.FILLED: lambda order: fill(order, 1, NOW),
    Event.ATTEMPT_FAILED: lambda order: fail_attempt(order, "gone", "RPC_UNAVAILABLE", NOW, retry=True),
    Event.QUEUED: lambda order: queue(order, NOW + 1000, NOW),
    Event.GIVEN_UP: lambda order: fail_attempt(order, "no", "NO_POOL", NOW, retry=False),
    Event.CANCELLED: lambda order: cancel(order, NOW),
    Event.EXPIRED: lambda order: expire(replace(order, expires_at_ms=NOW), NOW),
}

# The contract's picture of the life, written out a second time: what the table must say.
CONTRACT = {
    State.OPEN: {
        Event.TRIGGERED: State.PENDING,
        Event.LATCHED: State.OPEN,
        Event.CHANGED: State.OPEN,
        Event.FOLLOWED: State.OPEN,
        Event.GIVEN_UP: State.FAILED,
        Event.CANCELLED: State.CANCELLED,
        Event.EXPIRED: State.EXPIRED,
    },
    State.PENDING: {
        Event.CHANGED: State.PENDING,
        Event.RETURNED: State.OPEN,
        Event.QUEUED: State.PENDING,
        Event.ATTEMPT_STARTED: State.ROUTING,
        Event.GIVEN_UP: State.FAILED,
        Event.CANCELLED: State.CANCELLED,
        Event.EXPIRED: State.EXPIRED,
    },
    State.ROUTING: {
        Event.RETURNED: State.OPEN,
        Event.ROUTE_CHOSEN: State.BUILDING,
        Event.ATTEMPT_FAILED: State.RETRYING,
        Event.GIVEN_UP: State.FAILED,
        Event.CANCELLED: State.CANCELLED,
        Event.EXPIRED: State.EXPIRED,
    },
    State.BUILDING: {
        Event.RETURNED: State.OPEN,
        Event.SIGNED: State.SUBMITTED,
        Event.ATTEMPT_FAILED: State.RETRYING,
        Event.GIVEN_UP: State.FAILED,
        Event.CANCELLED: State.CANCELLED,
        Event.EXPIRED: State.EXPIRED,
    },
    State.SUBMITTED: {
        Event.RETURNED: State.OPEN,
        Event.FILLED: State.CONFIRMED,
        Event.ATTEMPT_FAILED: State.RETRYING,
        Event.GIVEN_UP: State.FAILED,
        Event.EXPIRED: State.EXPIRED,
    },
    State.RETRYING: {
        Event.ATTEMPT_STARTED: State.ROUTING,
        Event.GIVEN_UP: State.FAILED,
        Event.CANCELLED: State.CANCELLED,
        Event.EXPIRED: State.EXPIRED,
    },
    State.CONFIRMED: {},
    State.FAILED: {},
    State.CANCELLED: {},
    State.EXPIRED: {},
}
# A worker that takes over from a dead one repeats these; they are no second step.
TAKEN_OVER = {
    (State.ROUTING, Event.ATTEMPT_STARTED),
    (State.BUILDING, Event.ATTEMPT_STARTED),
    (State.BUILDING, Event.ROUTE_CHOSEN),
}
EVERY_PAIR = list(product(State, Event))


def test_the_table_is_the_contracts_picture_of_the_life() -> None:
    assert {(state, event): to for state, moves in CONTRACT.items() for event, to in moves.items()} == LEGAL
    assert {state for state, moves in CONTRACT.items() if not moves} == TERMINAL


@pytest.mark.parametrize(("state", "event"), [pair for pair in EVERY_PAIR if pair in LEGAL])
def test_a_legal_event_leads_where_the_table_says_and_is_one_step_of_history(state: State, event: Event) -> None:
    before = order_in(state)
    after = HAPPEN[event](before)
    assert after.state is CONTRACT[state][event]
    assert after.history[:-1] == before.history
    assert (after.history[-1].seq, after.history[-1].status) == (before.last_seq + 1, STATUS_OF[after.state])
    assert after.history[-1].at_ms == NOW == after.updated_at_ms
    assert after.history[-1].retry_count == after.retry_count


@pytest.mark.parametrize(
    ("state", "event"), [pair for pair in EVERY_PAIR if pair not in LEGAL and pair not in TAKEN_OVER]
)
def test_an_illegal_event_is_an_error_that_names_both_and_changes_nothing(state: State, event: Event) -> None:
    before = order_in(state)
    copy = replace(before)
    with pytest.raises(IllegalTransition) as refused:
        HAPPEN[event](before)
    assert (refused.value.state, refused.value.event) == (state, event)
    assert before == copy


@pytest.mark.parametrize(("state", "event"), sorted(TAKEN_OVER))
def test_a_worker_that_takes_over_repeats_a_step_without_a_second_line_of_history(state: State, event: Event) -> None:
    before = order_in(state)
    after = HAPPEN[event](before)
    assert (after.state, after.history) == (before.state, before.history)


def test_a_builder_that_takes_over_works_by_the_market_of_its_own_time_and_by_the_floor_of_the_first() -> None:
    paid = MIN_OUT + 1
    moved = (replace(ROUTE[0], share_ppm=1_000_000, amount_in=10_000_000_000, expected_out=paid),)
    order = choose_route(fix_floor(building(), paid), moved, paid, NOW)
    assert (order.route, order.quoted_out, order.min_out, order.dex_used) == (moved, paid, MIN_OUT, "raydium")
    signed = sign(order, a_submission(), NOW).history[-1]
    assert (signed.route, signed.quoted_out, signed.min_out) == (moved, paid, MIN_OUT)


def test_failed_is_the_one_status_that_may_be_final_or_not() -> None:
    assert retrying().status is Status.FAILED
    assert not retrying().is_terminal
    assert order_in(State.FAILED).status is Status.FAILED
    assert order_in(State.FAILED).is_terminal
    assert all(STATUS_OF[state].value == state.value for state in State if state is not State.RETRYING)


def test_a_new_order_is_pending_since_its_creation() -> None:
    order = new_order()
    (first,) = order.history
    assert (first.seq, first.status, first.at_ms, first.retry_count) == (1, Status.PENDING, CREATED_AT_MS, 0)
    assert (order.status, order.updated_at_ms, order.attempt) == (Status.PENDING, CREATED_AT_MS, 1)
    unplaced = replace(order, history=())
    assert (unplaced.last_seq, unplaced.updated_at_ms) == (0, CREATED_AT_MS)
    assert place(unplaced) == order


# --- what each step tells -----------------------------------------------------------------------------------------


def test_building_tells_the_route_its_venues_its_quote_and_its_floor() -> None:
    step = building().history[-1]
    assert (step.route, step.dex_used) == (ROUTE, "raydium+meteora")
    assert (step.quoted_out, step.min_out) == (1_500_000_000, MIN_OUT)
    assert step.tx_hash is None


def test_submitted_tells_the_transaction_by_its_signature() -> None:
    order = submitted()
    assert order.submission == a_submission()
    assert order.tx_hash == order.history[-1].tx_hash == "signature-1"


def test_confirmed_tells_the_fill_and_leaves_nothing_to_send() -> None:
    order = confirmed()
    step = order.history[-1]
    assert (order.amount_out, step.amount_out) == (1_498_765_432, 1_498_765_432)
    assert (step.tx_hash, step.dex_used) == ("signature-1", "raydium+meteora")
    assert order.submission is None
    assert order.error is None


def test_an_order_that_failed_once_and_then_succeeded_bears_no_error() -> None:
    order = confirmed(retrying())
    assert (order.error, order.error_code, order.retry_count) == (None, None, 1)
    assert order.history[-1].retry_count == 1


def test_two_pools_of_one_venue_are_named_once() -> None:
    legs = (ROUTE[0], ROUTE[1], replace(ROUTE[0], pool="another"))
    assert choose_route(fix_floor(routing(), 1), legs, 1, NOW).dex_used == "raydium+meteora"


# --- attempts -----------------------------------------------------------------------------------------------------


def test_three_attempts_in_all_with_one_and_two_seconds_between_and_the_third_failure_final() -> None:
    order, waits = new_order(), []
    for _ in range(MAX_ATTEMPTS):
        order = start_attempt(order, NOW)
        order = fail_attempt(order, "no answer", "RPC_UNAVAILABLE", NOW, retry=True)
        told = order.history[-1]
        assert told.retry_count == order.retry_count
        assert (told.error, told.error_code) == ("no answer", "RPC_UNAVAILABLE")
        waits.append((told.terminal, told.retry_in_ms, order.is_terminal))
    assert waits == [(False, 1000, False), (False, 2000, False), (True, None, True)]
    assert order.retry_count == 3
    assert [change.status.value for change in order.history] == ["pending", *["routing", "failed"] * 3]


def test_a_retry_is_due_when_its_wait_is_over() -> None:
    first = fail_attempt(routing(), "x", "X", NOW, retry=True)
    assert first.retry_at_ms == NOW + 1000
    second = fail_attempt(start_attempt(first, NOW + 1000), "x", "X", NOW + 1500, retry=True)
    assert second.retry_at_ms == NOW + 3500


@pytest.mark.parametrize("state", [State.PENDING, State.RETRYING])
def test_each_attempt_has_a_nonce_of_its_own(state: State) -> None:
    before = order_in(state)
    assert before.attempt_nonce != "another"
    assert draw_nonce(before, "another").attempt_nonce == "another"


@pytest.mark.parametrize("state", [State.ROUTING, State.BUILDING, State.SUBMITTED])
def test_an_attempt_keeps_its_nonce_whoever_takes_it_over(state: State) -> None:
    under_way = order_in(state)
    assert under_way.attempt_nonce is not None
    assert draw_nonce(under_way, "another") == under_way
    of_an_older_version = replace(under_way, attempt_nonce=None)
    assert draw_nonce(of_an_older_version, "another").attempt_nonce == "another"


@pytest.mark.parametrize("state", [State.PENDING, State.ROUTING, State.BUILDING, State.SUBMITTED, State.RETRYING])
def test_a_permanent_reason_is_final_at_once_and_uses_up_no_attempt(state: State) -> None:
    before = order_in(state)
    order = fail_attempt(before, "no pool", "NO_POOL", NOW, retry=False)
    assert order.is_terminal
    assert order.retry_count == before.retry_count
    assert order.history[-1].terminal is True
    assert order.history[-1].retry_in_ms is None


def test_a_failed_attempt_keeps_its_dead_transactions_signature_but_not_its_bytes() -> None:
    order = fail_attempt(submitted(), "expired", "TRANSACTION_EXPIRED", NOW, retry=True)
    assert order.submission is None
    assert order.past_signatures == ("signature-1",)
    order = fail_attempt(submitted(order), "expired", "TRANSACTION_EXPIRED", NOW, retry=True)
    assert order.past_signatures == ("signature-1", "signature-2")
    order = fail_attempt(routing(order), "no answer", "RPC_UNAVAILABLE", NOW, retry=True)
    assert order.past_signatures == ("signature-1", "signature-2")


# --- the floor ----------------------------------------------------------------------------------------------------


def test_the_first_quote_fixes_the_floor_and_no_later_one_moves_it() -> None:
    first = fix_floor(routing(), QUOTED_OUT)
    assert (first.first_quoted_out, first.min_out) == (QUOTED_OUT, MIN_OUT)
    for later in (1, QUOTED_OUT - 1, QUOTED_OUT * 2):
        assert fix_floor(first, later) == first


@given(quoted_out=st.integers(1, 2**64 - 1), min_out=st.integers(1, 2**64 - 1), slippage_ppm=st.integers(0, 500_000))
def test_the_floor_is_the_stricter_of_the_clients_and_what_the_slippage_leaves(
    quoted_out: int, min_out: int, slippage_ppm: int
) -> None:
    left = -(-quoted_out * (1_000_000 - slippage_ppm) // 1_000_000)
    floor = fix_floor(replace(routing(), min_out=min_out, slippage_ppm=slippage_ppm), quoted_out).min_out
    assert floor == max(left, min_out)


def test_a_market_that_pays_a_unit_less_than_the_floor_is_no_route() -> None:
    order = fix_floor(routing(), QUOTED_OUT)
    assert choose_route(order, ROUTE, MIN_OUT, NOW).state is State.BUILDING
    with pytest.raises(SlippageExceeded, match=r"1484\.999999 USDC now, and the order is for 1485 USDC at least"):
        choose_route(order, ROUTE, MIN_OUT - 1, NOW)


def test_the_floor_outlives_the_attempt_that_fixed_it() -> None:
    order = start_attempt(retrying(fix_floor(new_order(), QUOTED_OUT)), NOW)
    assert (order.first_quoted_out, order.min_out, order.quoted_out) == (QUOTED_OUT, MIN_OUT, None)


def test_the_first_step_tells_the_floor_that_the_client_named() -> None:
    order = place(replace(new_order(), history=(), min_out=5))
    assert (order.min_out, order.history[0].min_out) == (5, 5)


# --- the deadline -------------------------------------------------------------------------------------------------


def test_from_the_deadline_on_no_attempt_starts_and_nothing_is_signed() -> None:
    good = replace(new_order(), expires_at_ms=NOW)
    assert start_attempt(good, NOW - 1).state is State.ROUTING
    for now_ms in (NOW, NOW + 1):
        with pytest.raises(OrderExpired):
            start_attempt(good, now_ms)
        with pytest.raises(OrderExpired):
            sign(replace(building(), expires_at_ms=NOW), a_submission(), now_ms)


def test_an_expired_order_says_until_when_it_was_good_and_frees_what_it_took_up() -> None:
    order = expire(replace(reserve(building(), Notional("2026-01-01", 5)), expires_at_ms=NOW), NOW, "no answer")
    assert (order.status, order.error_code, order.is_terminal) == (Status.EXPIRED, "EXPIRED", True)
    assert order.error is not None
    assert time_text(NOW) in order.error
    assert "no answer" in order.error
    assert order.history[-1].terminal is True
    assert order.claims == Claims()


def test_an_order_that_expires_after_its_transaction_died_keeps_its_signature_and_nothing_to_send() -> None:
    order = expire(replace(submitted(), expires_at_ms=NOW), NOW)
    assert (order.submission, order.past_signatures) == (None, ("signature-1",))


# --- leases -------------------------------------------------------------------------------------------------------


def test_whoever_claims_holds_the_order_until_the_lease_runs_out() -> None:
    order = claim(new_order(), "one", NOW, 25_000)
    assert order.lease == Lease("one", NOW + 25_000)
    assert order.history == new_order().history, "a claim is nobody else's news"
    with pytest.raises(Leased) as leased:
        claim(order, "two", NOW + 24_999, 25_000)
    assert leased.value.until_ms == NOW + 25_000
    assert claim(order, "two", NOW + 25_000, 25_000).lease == Lease("two", NOW + 50_000)


def test_the_owner_may_renew() -> None:
    order = claim(claim(new_order(), "one", NOW, 25_000), "one", NOW + 10_000, 25_000)
    assert order.lease == Lease("one", NOW + 35_000)


def test_what_was_released_is_free_at_once() -> None:
    order = release(claim(new_order(), "one", NOW, 25_000))
    assert claim(order, "two", NOW, 25_000).lease == Lease("two", NOW + 25_000)


@pytest.mark.parametrize("end", [Event.FILLED, Event.ATTEMPT_FAILED, Event.GIVEN_UP])
def test_the_end_of_an_attempt_releases_the_order(end: Event) -> None:
    assert HAPPEN[end](claim(submitted(), "one", NOW, 25_000)).lease is None


# --- any life whatever --------------------------------------------------------------------------------------------


@dataclass
class Life:
    order: Order
    now_ms: int


class AnyLife(RuleBasedStateMachine):
    """Every event at every time, by clocks that disagree; what may not happen is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(new_order(), CREATED_AT_MS)

    @rule(event=st.sampled_from(Event), clock_ms=st.integers(-5_000, 5_000))
    def happens(self, event: Event, clock_ms: int) -> None:
        before = self.life.order
        now_ms = self.life.now_ms = max(0, self.life.now_ms + clock_ms)
        events: dict[Event, Callable[[Order], Order]] = {
            Event.TRIGGERED: lambda order: triggered(order, TriggerKind.STOP, 1_400_000_000, 7, now_ms),
            Event.LATCHED: lambda order: latched(replace(order, trigger=None), 1_400_000_000, 7, now_ms),
            Event.CHANGED: lambda order: changed(order, OrderChanges(slippage_ppm=1), now_ms),
            Event.FOLLOWED: lambda order: followed(order, (order.best_out or 0) + 1, now_ms),
            Event.RETURNED: lambda order: returned(order, "moved", "SLIPPAGE_EXCEEDED", now_ms),
            Event.ATTEMPT_STARTED: lambda order: start_attempt(order, now_ms),
            Event.ROUTE_CHOSEN: lambda order: choose_route(fix_floor(order, QUOTED_OUT), ROUTE, QUOTED_OUT, now_ms),
            Event.SIGNED: lambda order: sign(order, a_submission(order.attempt), now_ms),
            Event.FILLED: lambda order: fill(order, 1, now_ms),
            Event.ATTEMPT_FAILED: lambda order: fail_attempt(order, "x", "X", now_ms, retry=True),
            Event.QUEUED: lambda order: queue(order, NOW + 1000, NOW),
            Event.GIVEN_UP: lambda order: fail_attempt(order, "x", "X", now_ms, retry=False),
            Event.CANCELLED: lambda order: cancel(order, now_ms),
            Event.EXPIRED: lambda order: expire(replace(order, expires_at_ms=now_ms), now_ms),
        }
        try:
            self.life.order = events[event](before)
        except IllegalTransition:
            assert self.life.order is before
        else:
            assert not before.is_terminal, "what is final stays as it is"
            assert self.life.order.history[: len(before.history)] == before.history, "history is only added to"

    @precondition(lambda self: not self.life.order.is_terminal)
    @rule(owner=st.sampled_from(["one", "two"]), elapsed_ms=st.integers(0, 30_000))
    def is_claimed(self, owner: str, elapsed_ms: int) -> None:
        before, now_ms = self.life.order, self.life.now_ms + elapsed_ms
        held = before.lease is not None and before.lease.owner != owner and before.lease.until_ms > now_ms
        try:
            self.life.order = claim(before, owner, now_ms, 25_000)
        except Leased:
            assert held
        else:
            assert not held
            assert self.life.order.history == before.history

    @invariant()
    def history_counts_from_one_without_a_gap_and_never_runs_backwards(self) -> None:
        history = self.life.order.history
        assert [change.seq for change in history] == list(range(1, len(history) + 1))
        assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(history))
        assert all(earlier.retry_count <= later.retry_count for earlier, later in pairwise(history))

    @invariant()
    def the_order_stands_where_its_history_ends(self) -> None:
        order = self.life.order
        assert order.history[-1].status is order.status
        assert order.retry_count <= MAX_ATTEMPTS
        assert (order.history[-1].terminal is False) == (order.state is State.RETRYING)

    @invariant()
    def only_a_submitted_order_has_a_transaction_to_send(self) -> None:
        assert (self.life.order.submission is not None) == (self.life.order.state is State.SUBMITTED)


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(now_ms=st.integers(CREATED_AT_MS - 10**6, CREATED_AT_MS + 10**6))
def test_a_step_by_a_slow_clock_is_dated_no_earlier_than_the_step_before(now_ms: int) -> None:
    order = submitted()
    assert fill(order, 1, now_ms).updated_at_ms == max(now_ms, order.updated_at_ms)


def test_an_order_that_is_put_off_for_ever_does_not_grow_for_ever() -> None:
    order = new_order()
    for number in range(MAX_QUEUED_STEPS + 50):
        order = queue(order, NOW + number, NOW)
    assert len(order.history) == MAX_QUEUED_STEPS
    assert order.start_at_ms == NOW + MAX_QUEUED_STEPS + 49, "it has its slot all the same"
    with pytest.raises(IllegalTransition):
        queue(start_attempt(order, NOW), NOW, NOW)


def test_the_longest_life_there_can_be_fits_an_item_many_times() -> None:
    """DynamoDB takes 400 KB, and a WebSocket message of a step 128 KB."""
    order = new_order()
    for _ in range(MAX_QUEUED_STEPS):
        order = queue(order, NOW, NOW)
    for _ in range(MAX_ATTEMPTS):
        order = choose_route(fix_floor(start_attempt(order, NOW), QUOTED_OUT), ROUTE * 2, QUOTED_OUT, NOW)
        order = fail_attempt(sign(order, a_submission(), NOW), "x" * 10**6, "X", NOW, retry=True)
    assert order.state is State.FAILED
    assert order.error == "x" * MAX_ERROR_LENGTH
    assert len(str(serialize(order_to_item(order)))) < 100_000
