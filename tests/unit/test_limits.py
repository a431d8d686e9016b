"""Limits: each is held to the unit, says what it is and by how much it was passed, and None is no limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.amounts import percent_text
from chalicelib.contract.views import problem_json
from chalicelib.problems import (
    FieldProblem,
    FillrateError,
    LimitExceeded,
    LimitRefused,
    PriceDeviation,
    PriceImpact,
    TooManyOpenOrders,
    TooManyWaitingOrders,
    TransientError,
)
from chalicelib.risk.limits import (
    PLAYGROUND,
    PRODUCTION,
    Defaults,
    Exposure,
    Limits,
    LimitsInForce,
    PoolDeviation,
    ReferenceCurrency,
    SwapTerms,
    check_own_price_impact,
    check_plan,
    check_request,
    defaults_for,
    loosened,
)
from tests.sample_orders import JUP, SOL, USDC

# A busy machine takes its time.
UNTIMED = settings(deadline=None)
CURRENCY = ReferenceCurrency()
TERMS = SwapTerms(SOL.mint, USDC.mint, 10_000)
FREE = Limits()
HARMLESS = Exposure(value=1_000_000, price_impact_ppm=0, deviation_ppm=0)
AMOUNTS = st.integers(0, 2**64)
PPMS = st.integers(0, 2_000_000)


def scopes(limits: Limits) -> list[LimitsInForce]:
    """The limits as an account's own, and as those of all accounts together."""
    return [LimitsInForce(limits, FREE), LimitsInForce(FREE, limits)]


def refuses(check: LimitsInForce, exposure: Exposure) -> FillrateError | None:
    try:
        check_plan(check, TERMS, exposure, CURRENCY)
    except FillrateError as error:
        return error
    return None


@given(limit=AMOUNTS, value=AMOUNTS)
@UNTIMED
def test_an_order_may_be_worth_as_much_as_the_largest_and_no_unit_more(limit: int, value: int) -> None:
    for force in scopes(Limits(largest_order=limit)):
        refused = refuses(force, replace(HARMLESS, value=value))
        assert (refused is not None) == (value > limit)
        if refused is not None:
            assert refused.code == "LIMIT_EXCEEDED"
            assert CURRENCY.text(value - limit) in str(refused), "by how much"


@given(limit=PPMS, ppm=PPMS)
@UNTIMED
def test_prices_may_be_as_bad_as_the_limits_say_and_no_millionth_worse(limit: int, ppm: int) -> None:
    for force in scopes(Limits(price_impact_ppm=limit)):
        refused = refuses(force, replace(HARMLESS, price_impact_ppm=ppm))
        assert isinstance(refused, PriceImpact) == (ppm > limit)
    for force in scopes(Limits(price_deviation_ppm=limit)):
        refused = refuses(force, replace(HARMLESS, deviation_ppm=ppm))
        assert isinstance(refused, PriceDeviation) == (ppm > limit)


def test_a_refused_price_is_told_with_the_limit_whose_it_is_and_by_how_much_it_was_passed() -> None:
    whose = ("the account", "all accounts together")
    for force, owner in zip(scopes(Limits(price_impact_ppm=100_000)), whose, strict=True):
        assert str(refuses(force, replace(HARMLESS, price_impact_ppm=125_000))) == (
            f"the price impact is 12.5%, 2.5% more than the 10% that {owner} may cause"
        )
    for force, owner in zip(scopes(Limits(price_deviation_ppm=20_000)), whose, strict=True):
        assert str(refuses(force, replace(HARMLESS, deviation_ppm=50_001))) == (
            f"the price is 5.0001% away from the other pools', 3.0001% more than the 2% that {owner} may trade at"
        )


def test_an_orders_own_price_impact_may_be_as_bad_as_it_says_and_no_millionth_worse() -> None:
    exposure = replace(HARMLESS, price_impact_ppm=125_000)
    check_own_price_impact(None, exposure)
    check_own_price_impact(125_000, exposure)
    with pytest.raises(PriceImpact) as refused:
        check_own_price_impact(124_999, exposure)
    assert str(refused.value) == ("the price impact is 12.5%, 0.0001% more than the 12.4999% that the order allows")


def test_a_refused_value_is_told_with_the_limit_whose_it_is_and_by_how_much_it_was_passed() -> None:
    whose = ("the account", "all accounts together")
    for force, owner in zip(scopes(Limits(largest_order=1_000_000_000)), whose, strict=True):
        assert str(refuses(force, replace(HARMLESS, value=1_500_500_000))) == (
            f"the order is worth 1500.5 USDC, 500.5 USDC more than the largest order of {owner}, 1000 USDC"
        )
        assert str(refuses(force, replace(HARMLESS, value=None))) == (
            f"the order's value in USDC can't be told, and {owner} has limits on it"
        )


@given(value=st.none() | AMOUNTS, impact=st.integers(-1_000_000, 10**9), deviation=st.none() | st.integers(0, 10**12))
@UNTIMED
def test_no_limit_refuses_nothing(value: int | None, impact: int, deviation: int | None) -> None:
    force = LimitsInForce(FREE, FREE, open_account=10**9, open_together=10**9)
    check_request(force, replace(TERMS, slippage_ppm=500_000))
    assert refuses(force, Exposure(value, impact, deviation)) is None


@pytest.mark.parametrize("limits", [Limits(largest_order=10**30 - 1), Limits(daily_notional=10**30 - 1)])
def test_an_order_that_cannot_be_valued_does_not_slip_past_limits_on_value(limits: Limits) -> None:
    unvalued = replace(HARMLESS, value=None)
    for force in scopes(limits):
        assert isinstance(refuses(force, unvalued), LimitExceeded)
    for force in scopes(replace(limits, allow_unvalued=True)):
        assert refuses(force, unvalued) is None


def test_on_a_playground_an_order_passes_by_whose_pools_nothing_has_a_value() -> None:
    unvalued = replace(HARMLESS, value=None)
    assert refuses(LimitsInForce(PLAYGROUND.account, PLAYGROUND.together), unvalued) is None
    assert isinstance(refuses(LimitsInForce(PRODUCTION.account, PRODUCTION.together), unvalued), LimitExceeded)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_price_that_no_other_pool_vouches_for_passes_as_the_operator_says(allowed: bool) -> None:
    for force in scopes(Limits(price_deviation_ppm=1, allow_unreferenced=allowed)):
        assert (refuses(force, replace(HARMLESS, deviation_ppm=None)) is None) == allowed


def test_a_price_too_far_off_names_the_pools_that_are_and_may_be_better_next_time() -> None:
    pools = (PoolDeviation("near", 1), PoolDeviation("as far as may be", 2), PoolDeviation("far", 3))
    exposure = replace(HARMLESS, deviation_ppm=3, pools=pools)
    for force in scopes(Limits(price_deviation_ppm=2)):
        refused = refuses(force, exposure)
        assert isinstance(refused, PriceDeviation)
        assert refused.pools == ("far",)
        assert isinstance(refused, TransientError)


def test_a_route_has_a_reference_only_if_each_of_its_pools_has_one() -> None:
    exposure = replace(HARMLESS, pools=(PoolDeviation("known", 0), PoolDeviation("unknown", None)))
    for force in scopes(Limits(price_deviation_ppm=0)):
        assert refuses(force, exposure) is None
    for force in scopes(Limits(price_deviation_ppm=0, allow_unreferenced=False)):
        refused = refuses(force, exposure)
        assert isinstance(refused, PriceDeviation)
        assert refused.pools == (), "the next attempt goes no worse way for it"
        assert "vouch" in str(refused)
    assert (exposure.is_referenced, HARMLESS.is_referenced) == (False, True)


def test_a_request_is_told_every_field_that_is_beyond_a_limit() -> None:
    force = LimitsInForce(Limits(tokens=frozenset({JUP.mint}), slippage_ppm=9_999), FREE)
    with pytest.raises(LimitRefused) as refused:
        check_request(force, TERMS)
    told = problem_json(refused.value)
    assert (told["status"], told["type"]) == (422, "urn:fillrate:problem:limit-exceeded")
    assert [one["field"] for one in told["errors"]] == ["tokenIn", "tokenOut", "slippage"]
    assert [one["message"] for one in told["errors"]] == [
        "is not among the tokens that the account may trade",
        "is not among the tokens that the account may trade",
        "is 1%, more than the 0.9999% that the account may allow",
    ]


@given(limit=PPMS, ppm=PPMS)
@example(limit=10_000, ppm=10_000)
@UNTIMED
def test_a_slippage_may_be_as_large_as_the_limit_says_and_no_millionth_larger(limit: int, ppm: int) -> None:
    for force in scopes(Limits(slippage_ppm=limit)):
        problems: tuple[FieldProblem, ...] = ()
        try:
            check_request(force, replace(TERMS, slippage_ppm=ppm))
        except LimitRefused as refused:
            problems = refused.problems
        assert [problem.field for problem in problems] == (["slippage"] if ppm > limit else [])


def test_what_a_request_was_let_in_with_is_looked_at_again_when_it_is_planned() -> None:
    """The operator may have drawn the limits tighter while the order waited."""
    for limits, said in (
        (Limits(tokens=frozenset({SOL.mint})), "tokenOut is not among the tokens that"),
        (Limits(slippage_ppm=1), "slippage is 1%, more than the 0.0001% that"),
    ):
        for force in scopes(limits):
            refused = refuses(force, HARMLESS)
            assert isinstance(refused, LimitExceeded)
            assert str(refused).startswith(said)


@given(limit=st.integers(0, 1000), already=st.integers(0, 1000))
@UNTIMED
def test_as_many_orders_may_be_open_as_the_limit_says(limit: int, already: int) -> None:
    for force, whose in (
        (LimitsInForce(Limits(open_orders=limit), FREE, open_account=already), "the account"),
        (LimitsInForce(FREE, Limits(open_orders=limit), open_together=already), "all accounts together"),
    ):
        if already < limit:
            check_request(force, TERMS)
        else:
            with pytest.raises(TooManyOpenOrders) as refused:
                check_request(force, TERMS)
            assert refused.value.http_status == 429
            assert refused.value.retry_after_seconds
            assert str(refused.value) == str(TooManyOpenOrders(limit, whose))


@given(limit=st.integers(0, 1000), already=st.integers(0, 1000))
@example(limit=3, already=3)
@UNTIMED
def test_as_many_orders_may_wait_as_the_limit_says_however_many_are_open(limit: int, already: int) -> None:
    own = Limits(waiting_orders=limit, open_orders=0)
    waits = replace(TERMS, waits=True)
    for force, whose in (
        (LimitsInForce(own, FREE, waiting_account=already), "the account"),
        (LimitsInForce(FREE, own, waiting_together=already), "all accounts together"),
    ):
        if already < limit:
            check_request(force, waits)
        else:
            with pytest.raises(TooManyWaitingOrders) as refused:
                check_request(force, waits)
            assert str(refused.value) == str(TooManyWaitingOrders(limit, whose))


@pytest.mark.parametrize(
    ("name", "tighter", "looser"),
    [
        ("smallest_order", 2, 1),
        ("smallest_order", 0, None),
        ("largest_order", 1, 2),
        ("largest_order", 2, None),
        ("tokens", frozenset({SOL.mint}), frozenset({SOL.mint, USDC.mint})),
        ("tokens", frozenset({SOL.mint}), None),
        ("allow_unvalued", False, True),
    ],
)
def test_a_change_that_lets_more_through_is_told_by_the_limits_name(name: str, tighter: object, looser: object) -> None:
    tight, loose = Limits().changed({name: tighter}), Limits().changed({name: looser})
    assert loosened(tight, loose) == (name,)
    assert loosened(loose, tight) == loosened(tight, tight) == ()


def test_other_tokens_than_before_let_more_through_though_they_are_no_more() -> None:
    only_sol, only_usdc = (Limits(tokens=frozenset({mint})) for mint in (SOL.mint, USDC.mint))
    assert loosened(only_sol, only_usdc) == ("tokens",)


@pytest.mark.parametrize(
    "changes",
    [
        {"largest_order": -1},
        {"largest_order": 10**30},
        {"largest_order": 1.5},
        {"open_orders": True},
        {"open_orders": "3"},
        {"tokens": ["mint"]},
        {"tokens": frozenset({""})},
        {"tokens": frozenset({1})},
        {"tokens": 1},
        {"allow_unvalued": None},
        {"allow_unvalued": 1},
        {"largest": 1},
    ],
)
def test_what_is_no_limit_is_refused_by_name(changes: dict[str, object]) -> None:
    (name,) = changes
    with pytest.raises(ValueError, match=rf"^{name} (is no limit|can't be )"):
        Limits().changed(changes)


def test_who_names_no_limit_is_told_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"^largest is no limit; there are smallest_order, largest_order, "):
        Limits().changed({"largest": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("largest_order", 0),
        ("largest_order", 10**30 - 1),
        ("largest_order", None),
        ("open_orders", 1),
        ("tokens", frozenset({SOL.mint, USDC.mint})),
        ("tokens", frozenset()),
        ("tokens", None),
        ("allow_unvalued", True),
        ("allow_unreferenced", False),
    ],
)
def test_a_limit_can_be_set_to_anything_that_makes_sense_and_the_others_stay(name: str, value: object) -> None:
    before = PRODUCTION.account
    after = before.changed({name: value})
    assert getattr(after, name) == value
    assert replace(after, **{name: getattr(before, name)}) == before


@pytest.mark.parametrize(
    ("stage", "defaults"), [("prod", PRODUCTION), ("local", PLAYGROUND), ("localstack", PLAYGROUND)]
)
def test_real_money_has_tighter_defaults_than_a_playground(stage: str, defaults: Defaults) -> None:
    assert defaults_for(stage) is defaults
    for name in ("largest_order", "daily_notional", "open_orders", "slippage_ppm", "price_impact_ppm"):
        assert getattr(PRODUCTION.account, name) < getattr(PLAYGROUND.account, name)
    assert PRODUCTION.account.price_deviation_ppm == 50_000
    assert not PRODUCTION.account.allow_unvalued


def test_amounts_are_told_exactly() -> None:
    assert CURRENCY.text(123_456_789_012_345_678_901) == "123456789012345.678901 USDC"
    assert CURRENCY.text(1_000_000) == "1 USDC"
    assert CURRENCY.text(0) == "0 USDC"
    assert CURRENCY.text(10**30 - 1) == "999999999999999999999999.999999 USDC"
    assert ReferenceCurrency(symbol="BONK", decimals=0).text(1_500) == "1500 BONK"


def test_fractions_are_told_exactly() -> None:
    assert [percent_text(ppm) for ppm in (0, 1, 125_000, 1_000_000)] == ["0%", "0.0001%", "12.5%", "100%"]
    assert percent_text(10**33 + 1) == "100000000000000000000000000000.0001%"
