"""How orders, their steps, quotes, tokens and errors look to clients, as JSON. Nothing else.

Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds; names are camelCase.
"""

from __future__ import annotations

from chalicelib.amounts import fraction_text, ppm_text, price_text, to_text
from chalicelib.contract.requests import Json
from chalicelib.orders.order import Change, Detail, Leg, Order
from chalicelib.orders.quoting import SwapQuote
from chalicelib.orders.token_directory import TradedToken
from chalicelib.problems import FillrateError, InvalidRequest
from chalicelib.routing.quote import PoolOffer
from chalicelib.times import time_text


def order_json(order: Order) -> Json:
    """The order with its history, as GET /orders/{orderId} answers."""
    detail = Detail(
        route=order.route,
        dex_used=order.dex_used,
        quoted_out=order.quoted_out,
        min_out=order.min_out,
        amount_out=order.amount_out,
        leftover=order.leftover,
        tx_hash=order.tx_hash,
        error=order.error,
        error_code=order.error_code,
    )
    return {
        "orderId": order.order_id,
        "type": order.type,
        "tokenIn": order.token_in.text,
        "tokenOut": order.token_out.text,
        "amount": to_text(order.amount, order.token_in.decimals),
        "slippage": ppm_text(order.slippage_ppm),
        "status": order.status.value,
        "retryCount": order.retry_count,
        "createdAt": time_text(order.created_at_ms),
        "updatedAt": time_text(order.updated_at_ms),
        **_detail_json(detail, order),
        "history": [change_json(change, order) for change in order.history],
    }


def change_json(change: Change, order: Order) -> Json:
    """One step of the order's history."""
    return {
        "seq": change.seq,
        "status": change.status.value,
        "at": time_text(change.at_ms),
        "retryCount": change.retry_count,
        **_detail_json(change.detail, order),
    }


def status_message(change: Change, order: Order) -> Json:
    """The WebSocket message that tells one step."""
    return {"type": "status", "orderId": order.order_id, **change_json(change, order)}


def _detail_json(detail: Detail, order: Order) -> Json:
    decimals_in, decimals_out = order.token_in.decimals, order.token_out.decimals
    fields: Json = {
        "route": None if detail.route is None else [leg_json(leg) for leg in detail.route],
        "dexUsed": detail.dex_used,
        "quotedOut": None if detail.quoted_out is None else to_text(detail.quoted_out, decimals_out),
        "minOut": None if detail.min_out is None else to_text(detail.min_out, decimals_out),
        "amountOut": None if detail.amount_out is None else to_text(detail.amount_out, decimals_out),
        "leftover": None
        if detail.leftover is None
        else [{"token": one.token.text, "amount": to_text(one.amount, one.token.decimals)} for one in detail.leftover],
        "executedPrice": None
        if detail.amount_out is None
        else price_text(detail.amount_out, decimals_out, order.amount, decimals_in),
        "txHash": detail.tx_hash,
        "error": detail.error,
        "errorCode": detail.error_code,
        "terminal": detail.terminal,
        "retryInMs": detail.retry_in_ms,
        "queuedUntil": None if detail.queued_until_ms is None else time_text(detail.queued_until_ms),
    }
    return {name: value for name, value in fields.items() if value is not None}


def leg_json(leg: Leg) -> Json:
    """One leg of a route."""
    return {
        "dex": leg.dex,
        "pool": leg.pool,
        "share": ppm_text(leg.share_ppm),
        "tokenIn": leg.token_in.text,
        "tokenOut": leg.token_out.text,
        "amountIn": to_text(leg.amount_in, leg.token_in.decimals),
        "expectedOut": to_text(leg.expected_out, leg.token_out.decimals),
    }


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
        "route": [leg_json(leg) for leg in quote.route],
        "fees": [{"token": fee.token.text, "amount": to_text(fee.amount, fee.token.decimals)} for fee in quote.fees],
        "quotes": [_offer_json(offer, quote) for offer in quote.offers],
    }


def _offer_json(offer: PoolOffer, asked: SwapQuote) -> Json:
    place = {"dex": offer.pool.venue, "pool": str(offer.pool.address)}
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
