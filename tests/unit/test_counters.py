"""Counters: however an order's claims change, they move from what it stood for to what it stands for, no further."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.orders.order import Order, State, reserve
from chalicelib.risk.counters import Claims, CounterFull, Movement, Notional, account_scope, day_of, movements
from chalicelib.risk.limits import Limits, LimitsInForce
from tests.sample_orders import building, cancelled, confirmed, failed, new_order, order_in, retrying, submitted

# A busy machine takes its time.
UNTIMED = settings(deadline=None)
NOTIONALS = st.none() | st.builds(Notional, st.sampled_from(["2026-01-01", "2026-01-02"]), st.integers(0, 10**18))
CLAIMS = st.builds(Claims, st.integers(0, 1), NOTIONALS)
LIMITS = LimitsInForce(Limits(open_orders=3, daily_notional=5), Limits(open_orders=7, daily_notional=11))


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
        for day in ("2026-01-01", "2026-01-02"):
            own = last.notional.value if last.notional is not None and last.notional.day == day else 0
            assert counters[f"notional#{day}#{scope}"] == own


@given(CLAIMS, CLAIMS)
@example(Claims(), Claims(1, Notional("2026-01-01", 1)))
@UNTIMED
def test_only_what_grows_is_held_to_a_ceiling(before: Claims, after: Claims) -> None:
    for movement in movements("desk", before, after, LIMITS):
        own = LIMITS.together if movement.scope == "global" else LIMITS.account
        ceiling = own.open_orders if movement.kind == "open" else own.daily_notional
        assert movement.ceiling == (ceiling if movement.by > 0 else None)


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


def test_an_order_is_open_until_it_has_ended() -> None:
    for state in State:
        ended = state in (State.CONFIRMED, State.FAILED, State.CANCELLED)
        assert order_in(state).claims.open == (0 if ended else 1)


def test_an_order_counts_for_its_value_from_its_route_on_and_for_good_once_it_is_swapped() -> None:
    assert new_order().claims.notional is None
    for order in (building(), submitted(), retrying(), confirmed()):
        assert valued(order).claims.notional == NOTIONAL


def test_an_order_that_ended_without_a_swap_gives_its_value_back() -> None:
    for order in (failed(), cancelled()):
        assert valued(order).claims == Claims()
