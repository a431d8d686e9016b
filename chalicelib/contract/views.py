"""How orders, their steps and errors look to clients, as JSON. Nothing else.

Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds; names are camelCase.
"""

from __future__ import annotations

from chalicelib.amounts import price_text, to_text
from chalicelib.contract.requests import Json
from chalicelib.orders.order import Change, Detail, Leg, Order
from chalicelib.problems import FillrateError, InvalidRequest
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
        "slippage": to_text(order.slippage_ppm, 6),
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
        "share": to_text(leg.share_ppm, 6),
        "tokenIn": leg.token_in.text,
        "tokenOut": leg.token_out.text,
        "amountIn": to_text(leg.amount_in, leg.token_in.decimals),
        "expectedOut": to_text(leg.expected_out, leg.token_out.decimals),
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
