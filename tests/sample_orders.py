"""Orders to test with: one of 10 SOL for USDC, brought to any point of its life by the product's own transitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chalicelib.orders.life import (
    cancel,
    choose_route,
    draw_nonce,
    expire,
    fail_attempt,
    fill,
    fix_floor,
    place,
    sign,
    start_attempt,
)
from chalicelib.orders.order import Leg, Order, OrderType, Token
from chalicelib.orders.states import State
from chalicelib.orders.triggers import floor_while_open, with_trailing_price
from chalicelib.solana.signed_transaction import SignedTransaction

SOL = Token("SOL", "So11111111111111111111111111111111111111112", 9)
USDC = Token("USDC", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v", 6)
JUP = Token("JUP", "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSZbKedZNsDvCN", 6)

CREATED_AT_MS = 1_760_000_000_123
ROUTE = (
    Leg("raydium", "Raydium1111111111111111111111111111111111111", 600_000, SOL, USDC, 6_000_000_000, 900_000_000),
    Leg("meteora", "Meteora1111111111111111111111111111111111111", 400_000, SOL, USDC, 4_000_000_000, 600_000_000),
)
QUOTED_OUT = 1_500_000_000
MIN_OUT = 1_485_000_000


def market_price(token_in: Token, token_out: Token, amount: int) -> int:
    """What the sample market pays, base units: 150 USDC for a SOL, whatever the amount."""
    return amount * QUOTED_OUT // 10_000_000_000


def new_order(
    order_id: str = "order-1",
    account: str = "local",
    *,
    created_at_ms: int = CREATED_AT_MS,
    token_in: Token = SOL,
    token_out: Token = USDC,
    amount: int = 10_000_000_000,
    slippage_ppm: int = 10_000,
) -> Order:
    """A placed order: pending, with its first step in its history."""
    return place(
        Order(
            order_id=order_id,
            account=account,
            type="market",
            token_in=token_in,
            token_out=token_out,
            amount=amount,
            slippage_ppm=slippage_ppm,
            request_digest="digest",
            created_at_ms=created_at_ms,
        )
    )


def waiting_order(type_: OrderType = "stop", **fields: Any) -> Order:
    """A placed order of the same trade that waits: to sell at 160, or where 140 is reached, as its type has it."""
    prices: dict[str, Any] = {}
    if type_ in ("limit", "oco"):
        prices["limit_price"] = "160"
    if type_ in ("stop", "oco"):
        prices["stop_price"] = "140"
    unplaced = replace(new_order(), history=(), type=type_, **{**prices, **fields})
    return place(with_trailing_price(replace(unplaced, min_out=floor_while_open(unplaced))))


def a_submission(number: int = 1, last_valid_block_height: int = 150) -> SignedTransaction:
    return SignedTransaction(
        f"signature-{number}", b"\x80wire" + bytes([number]), f"blockhash-{number}", last_valid_block_height
    )


def routing(order: Order | None = None) -> Order:
    order = order or new_order()
    return start_attempt(draw_nonce(order, f"nonce-{order.attempt}"), order.updated_at_ms + 10)


def building(order: Order | None = None) -> Order:
    order = routing(order)
    return choose_route(fix_floor(order, QUOTED_OUT), ROUTE, QUOTED_OUT, order.updated_at_ms + 10)


def submitted(order: Order | None = None) -> Order:
    order = building(order)
    return sign(order, a_submission(order.attempt), order.updated_at_ms + 10)


def confirmed(order: Order | None = None) -> Order:
    order = submitted(order)
    return fill(order, 1_498_765_432, order.updated_at_ms + 10)


def retrying(order: Order | None = None) -> Order:
    order = routing(order)
    return fail_attempt(order, "no answer", "RPC_UNAVAILABLE", order.updated_at_ms + 10, retry=True)


def failed(order: Order | None = None) -> Order:
    order = routing(order)
    return fail_attempt(order, "no pool", "NO_POOL", order.updated_at_ms + 10, retry=False)


def cancelled(order: Order | None = None) -> Order:
    order = order or new_order()
    return cancel(order, order.updated_at_ms + 10)


def expired(order: Order | None = None) -> Order:
    order = order or new_order()
    now_ms = order.updated_at_ms + 10
    return expire(replace(order, expires_at_ms=now_ms), now_ms)


def order_in(state: State) -> Order:
    """An order that came to `state` by its own shortest way."""
    ways: dict[State, Callable[[], Order]] = {
        State.OPEN: waiting_order,
        State.PENDING: new_order,
        State.ROUTING: routing,
        State.BUILDING: building,
        State.SUBMITTED: submitted,
        State.RETRYING: retrying,
        State.CONFIRMED: confirmed,
        State.FAILED: failed,
        State.CANCELLED: cancelled,
        State.EXPIRED: expired,
    }
    order = ways[state]()
    assert order.state is state
    return order
