"""Counters: however an order's claims change, they move from what it stood for to what it stands for, no further."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.orders.life import cancel, expire, fail_attempt, fill, pay_fees, reserve, sign
from chalicelib.orders.order import Order
from chalicelib.orders.states import State
from chalicelib.risk.counters import (
    Claims,
    CounterFull,
    Movement,
    NetworkFees,
    Notional,
    account_scope,
    day_of,
    movements,
    summed,
)
from chalicelib.risk.limits import Limits, LimitsInForce
from tests.sample_orders import (
    CREATED_AT_MS,
    a_submission,
    building,
    cancelled,
    confirmed,
    expired,
    failed,
    new_order,
    order_in,
    retrying,
    submitted,
)

# A busy machine takes its time.
UNTIMED = settings(deadline=None)
DAYS = ("2026-01-01", "2026-01-02")
FEES = st.builds(NetworkFees, st.sampled_from(DAYS), st.integers(0, 10**10))
NOTIONALS = st.none() | st.builds(Notional, st.sampled_from(DAYS), st.integers(0, 10**18))
CLAIMS = st.builds(
    Claims, st.integers(0, 1), NOTIONALS, st.lists(FEES, max_size=3).map(tuple), waiting=st.integers(0, 1)
)
LIMITS = LimitsInForce(
    Limits(open_orders=3, waiting_orders=19, daily_notional=5, daily_network_fees=13),
    Limits(open_orders=7, waiting_orders=23, daily_notional=11, daily_network_fees=17),
)


@given(st.lists(CLAIMS, min_size=1, max_size=8))
@UNTIMED
def test_whatever_becomes_of_an_order_the_counters_hold_what_it_claims_last(steps: list[Claims]) -> None:
    counters: Counter[str] = Counter()
    for before, after in pairwise([Claims(), *steps]):
        for movement in movements("desk", before, after, None):
            assert movement.by, "what doesn't move is no write"
            counters[movement.key] += movement.by
    last = steps[-1]
    for scope in ("account#desk", "global"):
        assert counters[f"open#{scope}"] == last.open
        assert counters[f"waiting#{scope}"] == last.waiting
        for day in DAYS:
            assert counters[f"fees#{day}#{scope}"] == sum(fees.lamports for fees in last.fees if fees.day == day)
            own = last.notional.value if last.notional is not None and last.notional.day == day else 0
            assert counters[f"notional#{day}#{scope}"] == own


@given(CLAIMS, CLAIMS)
@example(Claims(), Claims(1, Notional("2026-01-01", 1)))
@UNTIMED
def test_only_what_grows_is_held_to_a_ceiling(before: Claims, after: Claims) -> None:
    for movement in movements("desk", before, after, LIMITS):
        own = LIMITS.together if movement.scope == "global" else LIMITS.account
        ceilings = {
            "open": own.open_orders,
            "waiting": own.waiting_orders,
            "notional": own.daily_notional,
            "fees": own.daily_network_fees,
        }
        assert movement.ceiling == (ceilings[movement.kind] if movement.by > 0 else None)


def test_several_orders_movements_are_one_of_each_counter_held_to_the_strictest_ceiling() -> None:
    first_day, second_day = DAYS
    moved = (
        Movement("open", "global", None, 1, ceiling=5),
        Movement("open", "account#desk", None, 1, ceiling=None),
        Movement("open", "global", None, 1, ceiling=3),
        Movement("waiting", "global", None, 1, ceiling=2),
        Movement("waiting", "global", None, -2, ceiling=None),
        Movement("notional", "global", first_day, 4, ceiling=9),
        Movement("fees", "global", first_day, 7, ceiling=9),
        Movement("notional", "global", second_day, 1, ceiling=9),
        Movement("fees", "global", first_day, -7, ceiling=None),
    )
    assert summed(moved) == (
        Movement("open", "global", None, 2, ceiling=3),
        Movement("open", "account#desk", None, 1, ceiling=None),
        Movement("waiting", "global", None, -1, ceiling=None),
        Movement("notional", "global", first_day, 4, ceiling=9),
        Movement("notional", "global", second_day, 1, ceiling=9),
    )


def test_no_accounts_name_makes_its_counters_anothers() -> None:
    scopes = {account_scope(name) for name in ("global", "*", "account#global", "", "default")}
    assert len(scopes) == 5
    assert not scopes & {"global", "default"}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_day_is_that_of_utc_wherever_it_is_asked_for(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        there.setenv("TZ", zone)
        time.tzset()
        assert day_of(1_767_225_599_999) == "2025-12-31"
        assert day_of(1_767_225_600_000) == "2026-01-01"
    time.tzset()


def test_a_full_counter_tells_what_would_have_passed_it_and_where_it_stands() -> None:
    movement = Movement("open", "global", None, by=1, ceiling=500)
    full = CounterFull(movement, 500)
    assert (full.movement, full.stood_at) == (movement, 500)
    assert str(full) == "open#global stands at 500, and 1 more pass 500"


# --- what an order claims -----------------------------------------------------------------------------------------

NOTIONAL = Notional("2026-01-01", 42)


def valued(order: Order) -> Order:
    return reserve(order, NOTIONAL)


def test_an_order_counts_as_waiting_while_it_is_open_and_then_as_open_until_it_has_ended() -> None:
    for state in State:
        ended = state in (State.CONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED)
        claims = order_in(state).claims
        assert claims.open == (0 if ended or state is State.OPEN else 1)
        assert claims.waiting == (1 if state is State.OPEN else 0)


def test_an_order_counts_for_its_value_from_its_route_on_and_for_good_once_it_is_swapped() -> None:
    assert new_order().claims.notional is None
    for order in (building(), submitted(), retrying(), confirmed()):
        assert valued(order).claims.notional == NOTIONAL


def test_an_order_that_ended_without_a_swap_gives_its_value_back() -> None:
    for order in (failed(), cancelled(), expired()):
        assert valued(order).claims == Claims()


# --- network fees -------------------------------------------------------------------------------------------------

RESERVED = NetworkFees("2026-01-01", 12_000)
LATER = CREATED_AT_MS + 3 * 86_400_000


def reserved(order: Order) -> Order:
    return reserve(order, NOTIONAL, RESERVED)


def test_an_order_counts_for_the_most_that_its_transaction_may_cost_until_its_fate_is_known() -> None:
    for order in (reserved(building()), sign(reserved(building()), a_submission(), LATER)):
        assert order.claims.fees == (RESERVED,)
        assert order.network_fees == 0, "nothing is paid yet"


def test_what_landed_counts_for_what_it_cost_on_the_day_on_which_it_was_reserved() -> None:
    signed = sign(reserved(building()), a_submission(), LATER)
    filled = fill(pay_fees(signed, 5_073, LATER), 1, LATER)
    assert (filled.claims.fees, filled.network_fees) == ((NetworkFees(RESERVED.day, 5_073),), 5_073)


def test_what_never_landed_costs_nothing() -> None:
    signed = sign(reserved(building()), a_submission(), LATER)
    for retry in (True, False):
        assert fail_attempt(signed, "it never landed", "TRANSACTION_EXPIRED", LATER, retry=retry).claims.fees == ()


def test_an_order_that_ends_without_a_fill_keeps_what_its_transactions_cost_and_nothing_else() -> None:
    """Two landed with an error, on two days; then it is given up, cancelled, or its time is over."""
    order = replace(building(), expires_at_ms=LATER)
    for number in (1, 2):
        routed = reserve(order, NOTIONAL, NetworkFees(DAYS[number - 1], 12_000))
        signed = sign(routed, a_submission(number), order.updated_at_ms)
        paid = pay_fees(signed, 5_000 + number, LATER)
        order = building(fail_attempt(paid, "no", "NO", order.updated_at_ms, retry=True))
    order = reserved(order)
    ends = (
        fail_attempt(order, "no", "NO", LATER, retry=False),
        cancel(order, LATER),
        expire(order, LATER),
    )
    for ended in ends:
        assert ended.claims == Claims(fees=(NetworkFees(DAYS[0], 5_001), NetworkFees(DAYS[1], 5_002)))
        assert ended.network_fees == 10_003
