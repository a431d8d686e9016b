"""What fills come to: their costs, what was promised of them, their sums."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.amounts import U64_MAX, signed_text
from chalicelib.orders.fills import TradedSum, basis_points_over, is_fill, network_fee, pool_fees, sums_of
from chalicelib.orders.order import Order
from chalicelib.risk.counters import NetworkFees
from tests.sample_orders import JUP, ROUTE, SOL, USDC, cancelled, confirmed, expired, failed, new_order, submitted

AMOUNTS = st.integers(1, U64_MAX)


def test_a_fill_is_an_order_of_which_a_transaction_swapped() -> None:
    assert is_fill(confirmed())
    unfilled = (new_order(), submitted(), failed(), cancelled(), expired())
    assert not any(map(is_fill, unfilled))
    assert not is_fill(replace(confirmed(), tx_hash=None)), "its parts were filled, and not it"
    assert not is_fill(replace(confirmed(), amount_out=None))


def test_the_pools_fees_are_summed_by_the_token_that_they_were_taken_in() -> None:
    legs = (
        replace(ROUTE[0], fee=5, fee_token=SOL),
        replace(ROUTE[1], fee=7, fee_token=SOL),
        replace(ROUTE[1], fee=11, fee_token=USDC),
        ROUTE[0],
        replace(ROUTE[0], fee_token=JUP),
        replace(ROUTE[0], fee=13),
    )
    assert pool_fees(replace(confirmed(), route=legs)) == ((SOL, 12), (USDC, 11))
    assert pool_fees(replace(confirmed(), route=None)) == ()


def test_the_network_fee_is_that_of_the_transaction_that_filled_the_order() -> None:
    paid = (NetworkFees("2026-01-01", 7), NetworkFees("2026-01-02", 5))
    assert network_fee(replace(confirmed(), fees_paid=paid)) == 5
    assert network_fee(replace(confirmed(), fees_paid=(*paid, NetworkFees("2026-01-02", 3)))) == 3
    assert network_fee(replace(confirmed(), fees_paid=paid[:1])) == 7
    assert network_fee(confirmed()) == 0


@given(AMOUNTS, AMOUNTS)
def test_basis_points_are_exact_and_tell_the_amount_again(received: int, reference: int) -> None:
    over = basis_points_over(received, reference)
    assert over is not None
    assert reference + over * reference / 10_000 == received
    told = Fraction(signed_text(over))
    assert abs(told - over) <= abs(over) / 10**17
    assert (told > 0) == (over > 0)


@pytest.mark.parametrize(("received", "reference"), [(None, 5), (5, None), (5, 0)])
def test_without_both_there_is_nothing_to_compare(received: int | None, reference: int | None) -> None:
    assert basis_points_over(received, reference) is None


def test_sums_are_by_pair_and_direction_in_the_order_in_which_they_come_first() -> None:
    def filled(amount: int, amount_out: int, **tokens: object) -> Order:
        return replace(confirmed(), amount=amount, amount_out=amount_out, **tokens)  # type: ignore[arg-type]

    fills = (
        filled(1, 10),
        filled(2, 20, token_in=USDC, token_out=SOL),
        filled(3, 30),
        filled(4, 40, token_out=JUP),
    )
    assert sums_of(fills) == (
        TradedSum(SOL, USDC, 4, 40, 2),
        TradedSum(USDC, SOL, 2, 20, 1),
        TradedSum(SOL, JUP, 4, 40, 1),
    )
    assert sums_of(()) == ()
    assert sums_of([replace(confirmed(), amount=1, amount_out=None)]) == (TradedSum(SOL, USDC, 1, 0, 1),)
