"""What each step leaves on the order and in its history, and what the counters hold for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.life import (
    Leased,
    as_created,
    as_written,
    booked_before,
    claim,
    fail_attempt,
    fill,
    place,
    queue,
    reserve,
    start_attempt,
)
from chalicelib.orders.order import Leftover
from chalicelib.orders.states import Event, IllegalTransition, State
from chalicelib.risk.counters import Claims, Notional
from tests.sample_orders import (
    CREATED_AT_MS,
    ROUTE,
    USDC,
    new_order,
    order_in,
    submitted,
)

NOW = CREATED_AT_MS + 1_000
NOTIONAL = Notional("2026-01-01", 42)


def test_a_placed_order_begins_with_pending_at_the_time_it_came() -> None:
    order = place(replace(new_order(), history=()))
    (first,) = order.history
    assert (first.seq, first.status.value, first.at_ms, first.retry_count) == (1, "pending", CREATED_AT_MS, 0)
    assert (order.start_at_ms, first.queued_until_ms) == (0, None)


@pytest.mark.parametrize(("later_ms", "told"), [(-1, None), (0, None), (1, CREATED_AT_MS + 1)])
def test_an_order_that_must_wait_for_its_turn_says_until_when(later_ms: int, told: int | None) -> None:
    order = place(replace(new_order(), history=()), CREATED_AT_MS + later_ms)
    assert order.start_at_ms == CREATED_AT_MS + later_ms
    assert order.history[0].queued_until_ms == told


def test_an_order_that_is_put_off_says_until_when() -> None:
    order = queue(new_order(), NOW + 5_000, NOW)
    assert (order.start_at_ms, order.history[-1].queued_until_ms) == (NOW + 5_000, NOW + 5_000)


def test_a_new_attempt_stands_by_nothing_that_an_earlier_one_chose_or_signed() -> None:
    order = fail_attempt(submitted(), "expired", "TRANSACTION_EXPIRED", NOW, retry=True)
    assert (order.route, order.tx_hash) == (ROUTE, "signature-1")
    order = start_attempt(order, NOW)
    assert (order.route, order.dex_used, order.tx_hash) == (None, None, None)
    assert order.quoted_out is None


def test_a_new_attempt_stands_by_the_floor_that_the_first_quote_fixed() -> None:
    signed = submitted()
    order = start_attempt(fail_attempt(signed, "expired", "TRANSACTION_EXPIRED", NOW, retry=True), NOW)
    assert order.min_out is not None
    assert (order.min_out, order.first_quoted_out) == (signed.min_out, signed.first_quoted_out)


def test_a_signed_order_tells_its_route_by_the_venues_too() -> None:
    assert submitted().history[-1].dex_used == "raydium+meteora"


@pytest.mark.parametrize("leftover", [(), (Leftover(USDC, 7),)])
def test_what_was_left_between_two_hops_stands_on_the_order_and_in_its_history(leftover: tuple[Leftover, ...]) -> None:
    order = fill(submitted(), 1, NOW, leftover)
    assert order.leftover == order.history[-1].leftover == (leftover or None)


@pytest.mark.parametrize("retry", [True, False])
def test_an_order_that_fails_for_good_names_its_last_transaction_in_its_last_step(retry: bool) -> None:
    order = fail_attempt(submitted(), "it moved", "SLIPPAGE_EXCEEDED", NOW, retry=retry)
    assert order.history[-1].tx_hash == (None if retry else "signature-1")


# --- what the counters hold for it --------------------------------------------------------------------------------


def test_an_order_that_was_not_loaded_is_held_for_an_open_one() -> None:
    assert booked_before(new_order()) == Claims(open=1)


def test_a_stored_order_is_held_for_what_it_claimed_when_it_was_written() -> None:
    order = reserve(submitted(), NOTIONAL)
    assert as_created(order) == order
    for stored in (as_created(order), as_written(order)):
        assert booked_before(stored) == Claims(open=1, notional=NOTIONAL)
        ended = fail_attempt(stored, "it moved", "SLIPPAGE_EXCEEDED", NOW, retry=False)
        assert booked_before(ended) == Claims(open=1, notional=NOTIONAL), "as long as that is not written"
        assert booked_before(as_written(ended)) == Claims()


@pytest.mark.parametrize("state", State)
def test_a_write_is_the_next_revision_and_changes_nothing_else(state: State) -> None:
    order = replace(order_in(state), revision=6)
    written = as_written(order)
    assert written.revision == 7
    assert replace(written, revision=6) == order


# --- refusals -----------------------------------------------------------------------------------------------------


def test_a_step_that_may_not_follow_is_told_with_the_state_that_it_cannot_follow() -> None:
    with pytest.raises(IllegalTransition, match=r"^filled cannot happen to an order that is pending$") as refused:
        fill(new_order(), 1, NOW)
    assert (refused.value.state, refused.value.event) == (State.PENDING, Event.FILLED)


def test_who_comes_to_a_held_order_is_told_until_when_it_is_held() -> None:
    with pytest.raises(Leased, match=rf"^leased until {NOW + 25_000}$"):
        claim(claim(new_order(), "one", NOW, 25_000), "two", NOW, 25_000)
