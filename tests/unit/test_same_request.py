"""A request that comes again is told from another one by the order that is stored, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.order import Order
from chalicelib.orders.same_request import is_same_request
from tests.sample_orders import SOL, USDC, new_order

ASKED = {
    "type": "market",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": "10",
    "slippage": "0.01",
    "minOut": "1480",
    "maxPriceImpact": "0.02",
    "maxNetworkFee": "0.001",
    "expiresAt": "2026-01-31T12:00:00Z",
    "clientOrderId": "desk/7",
}


def placed(asked: dict[str, str] | None) -> Order:
    return replace(new_order(), asked=asked)


def without(name: str) -> dict[str, str]:
    return {other: text for other, text in ASKED.items() if other != name}


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"amount": "10.0"},
        {"amount": "1e1"},
        {"slippage": "0.010"},
        {"minOut": "+1480.00"},
        {"maxPriceImpact": "2e-2"},
        {"maxNetworkFee": ".001"},
        {"tokenIn": SOL.mint},
        {"tokenIn": "sol"},
        {"tokenOut": USDC.mint},
        {"expiresAt": "2026-01-31T13:00:00.000+01:00"},
    ],
)
def test_another_way_to_write_it_is_the_same_request(same: dict[str, str]) -> None:
    assert is_same_request({**ASKED, **same}, placed(ASKED))


@pytest.mark.parametrize(
    "other",
    [
        {"type": "limit"},
        {"tokenIn": "USDC"},
        {"tokenIn": SOL.mint.lower()},
        {"tokenOut": SOL.mint},
        {"amount": "10.000000001"},
        {"amount": "ten"},
        {"slippage": "0.02"},
        {"minOut": "1480.000001"},
        {"minOut": "null"},
        {"maxPriceImpact": "0.03"},
        {"maxNetworkFee": "0.002"},
        {"expiresAt": "2026-01-31T12:00:00.001Z"},
        {"expiresAt": "tomorrow"},
        {"clientOrderId": "desk/8"},
        {"limitPrice": "150"},
    ],
)
def test_any_other_word_in_it_is_another_request(other: dict[str, str]) -> None:
    assert not is_same_request({**ASKED, **other}, placed(ASKED))


@pytest.mark.parametrize("name", sorted(ASKED))
def test_a_field_that_one_of_them_lacks_makes_another_request(name: str) -> None:
    assert not is_same_request(without(name), placed(ASKED))
    assert not is_same_request(ASKED, placed(without(name)))


def test_tokens_are_those_of_the_stored_order_whatever_their_symbols_mean_today() -> None:
    order = replace(placed(ASKED), token_in=replace(SOL, mint=USDC.mint))
    assert is_same_request({**ASKED, "tokenIn": USDC.mint}, order)
    assert not is_same_request({**ASKED, "tokenIn": SOL.mint}, order)


BEFORE = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10"}


@pytest.mark.parametrize("same", [{}, {"slippage": "0.01"}, {"tokenIn": SOL.mint}, {"amount": "10.00"}])
def test_an_order_of_an_earlier_version_is_compared_by_what_it_is(same: dict[str, str]) -> None:
    assert is_same_request({**BEFORE, **same}, placed(None))


@pytest.mark.parametrize("other", [{"slippage": "0.02"}, {"amount": "11"}, {"tokenOut": "JUP"}, {"minOut": "1"}])
def test_another_body_is_told_from_an_order_of_an_earlier_version_too(other: dict[str, str]) -> None:
    assert not is_same_request({**BEFORE, **other}, placed(None))
