"""What a transaction may cost: the tightest of the order's own ceiling and the limits, and where that is too little."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.problems import FeeTooHigh, LimitExceeded
from chalicelib.risk.limits import (
    PRODUCTION,
    Exposure,
    Limits,
    LimitsInForce,
    ReferenceCurrency,
    SwapTerms,
    check_plan,
)
from chalicelib.risk.network_fees import FeeRange, most_network_fee
from tests.sample_orders import SOL, USDC

# A busy machine takes its time.
UNTIMED = settings(deadline=None)
CURRENCY = ReferenceCurrency()
FREE = Limits()
NO_LIMITS = LimitsInForce(FREE, FREE)
FEES = FeeRange(least=5_000, most=2_805_000)
# 150 USDC a SOL, in base units.
LAMPORT = Fraction(150 * 10**6, 10**9)
LAMPORTS = st.integers(0, 10**7)


def worth(value: int | None, lamport_value: Fraction | None = LAMPORT) -> Exposure:
    return Exposure(value, price_impact_ppm=0, deviation_ppm=0, lamport_value=lamport_value)


def most(limits: LimitsInForce, own: int | None, exposure: Exposure) -> int | None:
    """None where it is refused."""
    try:
        return most_network_fee(limits, own, FEES, exposure, CURRENCY)
    except FeeTooHigh:
        return None


def scopes(limits: Limits) -> list[LimitsInForce]:
    return [LimitsInForce(limits, FREE), LimitsInForce(FREE, limits)]


def test_without_a_limit_a_transaction_may_cost_what_the_stage_offers_at_most() -> None:
    assert most(NO_LIMITS, None, worth(1)) == FEES.most


@given(own=LAMPORTS)
@UNTIMED
def test_a_transaction_costs_no_more_than_its_order_says(own: int) -> None:
    assert most(NO_LIMITS, own, worth(10**9)) == (None if own < FEES.least else min(own, FEES.most))


def test_a_ceiling_of_just_what_the_network_takes_is_enough_and_a_lamport_less_is_not() -> None:
    assert most(NO_LIMITS, FEES.least, worth(10**9)) == FEES.least
    assert most(NO_LIMITS, FEES.least - 1, worth(10**9)) is None


@given(default=LAMPORTS, own=LAMPORTS)
@UNTIMED
def test_the_limits_own_ceiling_is_that_of_orders_which_name_none(default: int, own: int) -> None:
    for force in scopes(Limits(network_fee=default)):
        assert most(force, None, worth(None)) == most(NO_LIMITS, default, worth(None))
        assert most(force, own, worth(None)) == most(NO_LIMITS, own, worth(None))


@given(share=st.integers(0, 2_000_000), value=st.integers(0, 10**12), own=st.none() | LAMPORTS)
@UNTIMED
def test_a_transaction_costs_no_more_than_its_share_of_the_orders_value_to_the_lamport(
    share: int, value: int, own: int | None
) -> None:
    for force in scopes(Limits(fee_share_ppm=share)):
        allowed = most(force, own, worth(value))
        within = FEES.least * LAMPORT * 10**6 <= share * value and (own is None or own >= FEES.least)
        assert (allowed is not None) == within
        if allowed is not None:
            assert allowed * LAMPORT * 10**6 <= share * value
            if allowed < min(FEES.most, FEES.most if own is None else own):
                assert (allowed + 1) * LAMPORT * 10**6 > share * value


@pytest.mark.parametrize("exposure", [worth(None), worth(1, lamport_value=None)])
def test_where_a_value_can_not_be_told_the_share_is_not_checked_and_the_ceiling_in_sol_holds(
    exposure: Exposure,
) -> None:
    for force in scopes(Limits(fee_share_ppm=0, network_fee=9_000)):
        assert most(force, None, exposure) == 9_000


def test_a_refusal_says_what_it_costs_and_who_lets_it_cost_how_much() -> None:
    with pytest.raises(FeeTooHigh) as refused:
        most_network_fee(NO_LIMITS, 4_999, FEES, worth(1), CURRENCY)
    assert str(refused.value) == "a transaction costs 0.000005 SOL at least, and the order lets it cost 0.000004999 SOL"
    for force, whose in zip(scopes(Limits(network_fee=4_999)), ("the account", "all accounts together"), strict=True):
        with pytest.raises(FeeTooHigh, match=rf"and the limit of {whose} lets it cost 0\.000004999 SOL"):
            most_network_fee(force, None, FEES, worth(1), CURRENCY)
    with pytest.raises(FeeTooHigh, match=r"the limit of the account, 2% of the order's 0\.00001 USDC, lets it cost"):
        most_network_fee(LimitsInForce(PRODUCTION.account, FREE), None, FEES, worth(10), CURRENCY)


@given(value=st.integers(0, 10**6))
@UNTIMED
def test_in_production_no_transaction_costs_more_than_a_fiftieth_of_its_order(value: int) -> None:
    allowed = most(LimitsInForce(PRODUCTION.account, PRODUCTION.together), None, worth(value))
    assert allowed is None or allowed * LAMPORT * 50 <= value


@given(limit=st.integers(0, 2**64), value=st.integers(0, 2**64))
@UNTIMED
def test_an_order_may_be_worth_as_little_as_the_smallest_and_no_unit_less(limit: int, value: int) -> None:
    terms = SwapTerms(SOL.mint, USDC.mint, 10_000)
    for force in scopes(Limits(smallest_order=limit)):
        if value >= limit:
            check_plan(force, terms, worth(value), CURRENCY)
            continue
        with pytest.raises(LimitExceeded) as refused:
            check_plan(force, terms, worth(value), CURRENCY)
        assert CURRENCY.text(limit - value) in str(refused.value), "by how much"
