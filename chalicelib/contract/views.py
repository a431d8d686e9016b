"""How orders, their steps, quotes, tokens and errors look to clients, as JSON. Nothing else.

Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds; names are camelCase.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.amounts import SOL_DECIMALS, fraction_text, ppm_text, price_text, to_text
from chalicelib.contract.domain_fields import ORDER_FIELDS, json_of, offer_json
from chalicelib.contract.json_schema import Json
from chalicelib.orders.order import HistoryStep, Order
from chalicelib.problems import ClientOrderIdTaken, ExecutionError, FillrateError, InvalidRequest
from chalicelib.times import time_text
from chalicelib.venues.registry import RegisteredPool

if TYPE_CHECKING:
    # What quotes brings the chain with it, which the functions that push never load.
    from chalicelib.orders.dry_run import DryRunOutcome
    from chalicelib.orders.quoting import SwapQuote
    from chalicelib.waiting.quote_stream import QuoteStream


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
        "slotLag": quote.slot_lag,
        "at": time_text(quote.at_ms),
        "ageMs": quote.age_ms,
        "amountOut": to_text(quote.amount_out, token_out.decimals),
        "minOut": to_text(quote.min_out, token_out.decimals),
        "price": price_text(quote.amount_out, token_out.decimals, quote.amount, token_in.decimals),
        "priceImpact": fraction_text(quote.price_impact),
        "route": [json_of(leg) for leg in quote.route],
        "fees": [{"token": fee.token.text, "amount": to_text(fee.amount, fee.token.decimals)} for fee in quote.fees],
        "quotes": [offer_json(offer, token_in, token_out, quote.amount) for offer in quote.offers],
        **({"notLookedAt": [_name_json(pool) for pool in quote.not_looked_at]} if quote.not_looked_at else {}),
    }


def quote_message(quote: SwapQuote) -> Json:
    """The WebSocket message that tells a stream its quote."""
    return {"type": "quote", **quote_json(quote)}


def quote_error_message(stream: QuoteStream, error: ExecutionError) -> Json:
    """The WebSocket message that tells a stream why there is no quote."""
    problem = problem_json(error)
    told: Json = {name: problem[name] for name in ("title", "status", "detail")}
    return {"type": "quote-error", **_wish_json(stream), **told, "errorCode": error.code}


def stream_begun_message(stream: QuoteStream) -> Json:
    """The WebSocket's answer to a wish to be told quotes."""
    return {"type": "subscribed", **_wish_json(stream), "expiresAt": time_text(stream.ends_at_ms)}


def _wish_json(stream: QuoteStream) -> Json:
    return {
        "tokenIn": stream.token_in.text,
        "tokenOut": stream.token_out.text,
        "amount": to_text(stream.amount, stream.token_in.decimals),
        "slippage": ppm_text(stream.slippage_ppm),
    }


def _name_json(pool: RegisteredPool) -> Json:
    return {"dex": pool.venue.dex, "program": pool.venue.program, "pool": str(pool.address)}


def dry_run_json(outcome: DryRunOutcome) -> Json:
    """What POST /orders/execute answers to `dryRun`."""
    order, trial, min_out = outcome.order, outcome.trial, outcome.min_out
    simulation: Json = {"ok": trial.error is None}
    if trial.units_consumed is not None:
        simulation["unitsConsumed"] = trial.units_consumed
    if trial.error is not None:
        simulation["error"] = trial.error
    return {
        "wouldAccept": not outcome.refusals,
        "refusals": [_refusal_json(error) for error in outcome.refusals],
        "warnings": list(outcome.warnings),
        "quote": None if outcome.quote is None else quote_json(outcome.quote),
        "minOut": None if order is None or min_out is None else to_text(min_out, order.token_out.decimals),
        "networkFee": None if trial.network_fee is None else to_text(trial.network_fee, SOL_DECIMALS),
        "simulation": simulation,
        "immediate": outcome.immediate,
    }


def _refusal_json(error: FillrateError) -> Json:
    problem = problem_json(error)
    told: Json = {name: problem[name] for name in ("status", "type", "detail", "errors") if name in problem}
    return {**told, "errorCode": error.code}


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
    if isinstance(error, ClientOrderIdTaken):
        problem["orderId"] = error.order_id
    return problem
