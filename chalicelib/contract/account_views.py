"""How an account's fills, its wallet's balances and what it cancelled are told outside.

Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from chalicelib.amounts import SOL_DECIMALS, signed_text, to_text
from chalicelib.contract.domain_fields import json_of
from chalicelib.contract.json_schema import Json
from chalicelib.orders.fills import basis_points_over, network_fee, pool_fees, sums_of
from chalicelib.orders.holdings import Holdings
from chalicelib.orders.mass_cancel import MassCancelled
from chalicelib.orders.order import Order
from chalicelib.times import time_text


def fill_json(order: Order) -> Json:
    """One fill, as GET /fills tells it."""
    token_in, token_out, amount_out = order.token_in, order.token_out, order.amount_out or 0
    return {
        "orderId": order.order_id,
        "at": time_text(order.updated_at_ms),
        "tokenIn": token_in.text,
        "mintIn": token_in.mint,
        "tokenOut": token_out.text,
        "mintOut": token_out.mint,
        "amountIn": to_text(order.amount, token_in.decimals),
        "amountOut": to_text(amount_out, token_out.decimals),
        "price": order.price_at(amount_out),
        "route": [json_of(leg) for leg in order.route or ()],
        "poolFees": [{"mint": token.mint, "amount": to_text(fee, token.decimals)} for token, fee in pool_fees(order)],
        "networkFee": to_text(network_fee(order), SOL_DECIMALS),
        "vsQuoteBps": _signed_or_null(basis_points_over(order.amount_out, order.first_quoted_out)),
        "vsFloorBps": _signed_or_null(basis_points_over(order.amount_out, order.min_out)),
        "txHash": order.tx_hash,
    }


def fill_list_json(fills: Sequence[Order], next_cursor: str | None) -> Json:
    """A page of fills with its sums."""
    sums = [
        {
            "mintIn": each.token_in.mint,
            "mintOut": each.token_out.mint,
            "amountIn": to_text(each.amount_in, each.token_in.decimals),
            "amountOut": to_text(each.amount_out, each.token_out.decimals),
            "count": each.count,
        }
        for each in sums_of(fills)
    ]
    return {"fills": [fill_json(order) for order in fills], "sums": sums, "nextCursor": next_cursor}


def balances_json(holdings: Holdings, reference_decimals: int) -> Json:
    """What the wallet holds, as GET /balances answers."""
    balances = []
    for held in holdings.tokens:
        mint = held.token.mint
        told = {
            "token": held.token.symbol or str(mint.address),
            "mint": str(mint.address),
            "amount": to_text(held.amount, mint.decimals),
        }
        if held.free is not None:
            told["free"] = to_text(held.free, mint.decimals)
        if held.value is not None:
            told["value"] = to_text(held.value, reference_decimals)
        balances.append(told)
    return {"wallet": holdings.wallet, "slot": holdings.slot, "balances": balances}


def cancelled_orders_json(outcome: MassCancelled) -> Json:
    """What DELETE /orders came to."""
    return {"cancelled": outcome.cancelled, "tooLate": list(outcome.too_late), "more": outcome.more}


def _signed_or_null(number: Fraction | None) -> str | None:
    return None if number is None else signed_text(number)
