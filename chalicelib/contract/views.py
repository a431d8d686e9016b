"""How orders, their steps, quotes, tokens and errors look to clients, as JSON. Nothing else.

Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds; names are camelCase.
"""

from __future__ import annotations

from chalicelib.amounts import fraction_text, ppm_text, price_text, to_text
from chalicelib.contract.domain_fields import ORDER_FIELDS, json_of
from chalicelib.contract.json_schema import Json
from chalicelib.orders.order import HistoryStep, Order
from chalicelib.orders.quoting import SwapQuote
from chalicelib.orders.token_directory import TradedToken
from chalicelib.problems import FillrateError, InvalidRequest
from chalicelib.routing.quote import PoolOffer
from chalicelib.times import time_text


def order_json(order: Order) -> Json:
    """The order with its history, as GET /orders/{orderId} answers."""
    return json_of(order, ORDER_FIELDS)


def step_json(step: HistoryStep, order: Order) -> Json:
    """One step of the order's history."""
    return json_of(step, within=(order,))


def status_message(step: HistoryStep, order: Order) -> Json:
    """The WebSocket message that tells one step."""
    return {"type": "status", "orderId": order.order_id, **step_json(step, order)}


def quote_json(quote: SwapQuote) -> Json:
    """A quote, as GET /quotes answers."""
    token_in, token_out = quote.token_in, quote.token_out
    return {
        "tokenIn": token_in.text,
        "tokenOut": token_out.text,
        "amount": to_text(quote.amount, token_in.decimals),
        "slippage": ppm_text(quote.slippage_ppm),
        "slot": quote.slot,
        "at": time_text(quote.at_ms),
        "ageMs": quote.age_ms,
        "amountOut": to_text(quote.amount_out, token_out.decimals),
        "minOut": to_text(quote.min_out, token_out.decimals),
        "price": price_text(quote.amount_out, token_out.decimals, quote.amount, token_in.decimals),
        "priceImpact": fraction_text(quote.price_impact),
        "route": [json_of(leg) for leg in quote.route],
        "fees": [{"token": fee.token.text, "amount": to_text(fee.amount, fee.token.decimals)} for fee in quote.fees],
        "quotes": [_offer_json(offer, quote) for offer in quote.offers],
    }


def _offer_json(offer: PoolOffer, asked: SwapQuote) -> Json:
    place = {"dex": offer.pool.dex, "pool": str(offer.pool.address)}
    if offer.quote is None:
        assert offer.refusal is not None, "an offer is a quote or a refusal"
        return {**place, "error": str(offer.refusal), "errorCode": offer.refusal.code}
    quote, token_in, token_out = offer.quote, asked.token_in, asked.token_out
    fee_token = token_in if str(quote.fee_mint) == token_in.mint else token_out
    return {
        **place,
        "amountOut": to_text(quote.amount_out, token_out.decimals),
        "price": price_text(quote.amount_out, token_out.decimals, quote.amount_in, token_in.decimals),
        "priceImpact": None if offer.price_impact is None else fraction_text(offer.price_impact),
        "fee": to_text(quote.fee, fee_token.decimals),
        "feeToken": fee_token.text,
    }


def token_json(token: TradedToken) -> Json:
    """A token that can be traded, as GET /tokens lists it."""
    return {
        "symbol": token.symbol,
        "mint": str(token.mint.address),
        "decimals": token.mint.decimals,
        "tokenProgram": str(token.mint.token_program),
        **({"scaledUi": True} if token.mint.is_shown_scaled else {}),
    }


def problem_type(error: type[FillrateError]) -> str:
    """The URN that names a kind of problem."""
    return f"urn:fillrate:problem:{error.code.lower().replace('_', '-')}"


def problem_json(error: FillrateError) -> Json:
    """RFC 9457 problem details."""
    problem: Json = {
        "type": problem_type(type(error)),
        "title": error.title,
        "status": error.http_status,
        "detail": str(error),
    }
    if isinstance(error, InvalidRequest):
        problem["errors"] = [{"field": one.field, "message": one.message} for one in error.problems]
    return problem
