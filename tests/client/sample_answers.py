"""Answers as the service gives them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ORDER_ID = "5f0c9b1e-6f0b-4d53-9d0a-2f6f8f2f3b7a"
LIFE = ["pending", "routing", "building", "submitted", "confirmed"]
AT = "2026-01-02T03:04:05.006Z"


def step(seq: int, status: str, **more: Any) -> Json:
    return {"seq": seq, "status": status, "at": AT, "retryCount": 0, **more}


def life(statuses: list[str] = LIFE) -> list[Json]:
    return [step(number, status) for number, status in enumerate(statuses, 1)]


def order(history: list[Json], order_id: str = ORDER_ID, ws_url: str | None = None) -> Json:
    return {
        "orderId": order_id,
        "type": "market",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "mintIn": "So11111111111111111111111111111111111111112",
        "mintOut": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
        "amount": "10",
        "slippage": "0.01",
        "networkFees": "0",
        "status": history[-1]["status"],
        "retryCount": 0,
        "createdAt": AT,
        "updatedAt": AT,
        "history": history,
        **({} if ws_url is None else {"wsUrl": ws_url}),
    }


def accepted(ws_url: str | None = None) -> Json:
    return {
        "orderId": ORDER_ID,
        "status": "pending",
        "createdAt": AT,
        **({} if ws_url is None else {"wsUrl": ws_url}),
    }


def pushed(change: Json, order_id: str = ORDER_ID) -> Json:
    return {"type": "status", "orderId": order_id, **change}


QUOTE: Json = {
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": "10",
    "slippage": "0.01",
    "slot": 7,
    "at": AT,
    "slotLag": 0,
    "ageMs": 3,
    "amountOut": "1522.000001",
    "minOut": "1506.780001",
    "price": "152.2000001",
    "priceImpact": "0.0000001",
    "route": [],
    "fees": [{"token": "SOL", "amount": "0.00001"}],
    "quotes": [],
}

FILLS: Json = {
    "fills": [
        {
            "orderId": ORDER_ID,
            "at": AT,
            "tokenIn": "SOL",
            "mintIn": "So11111111111111111111111111111111111111112",
            "tokenOut": "USDC",
            "mintOut": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
            "amountIn": "10",
            "amountOut": "1499.99",
            "price": "149.999",
            "route": [],
            "poolFees": [{"mint": "So11111111111111111111111111111111111111112", "amount": "0.025"}],
            "networkFee": "0.000005",
            "vsQuoteBps": "-0.0666666666666666667",
            "vsFloorBps": None,
            "txHash": "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW",
        }
    ],
    "sums": [],
    "nextCursor": None,
}
BALANCES: Json = {
    "wallet": "7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3",
    "slot": 7,
    "balances": [
        {
            "token": "SOL",
            "mint": "So11111111111111111111111111111111111111112",
            "amount": "12.500000001",
            "free": "12.499109121",
        },
        {
            "token": "JUP\x1b[2J",
            "mint": "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSZbKedZNsDvCN",
            "amount": "0.000001",
            "value": "0.000002",
        },
    ],
}


def split_over(*pools: tuple[str, str | None, str]) -> Json:
    """QUOTE, of a route over pools of (exchange, program, share), each of which offers something for the whole too."""
    legs = [
        {
            "dex": dex,
            **({} if program is None else {"program": program}),
            "pool": f"pool-{number}",
            "share": share,
            "tokenIn": "SOL",
            "tokenOut": "USDC",
            "amountIn": "1",
            "expectedOut": "152",
        }
        for number, (dex, program, share) in enumerate(pools)
    ]
    offers = [
        {name: leg[name] for name in ("dex", "program", "pool") if name in leg}
        | {"amountOut": "1521", "price": "152.1"}
        for leg in legs
    ]
    return {**QUOTE, "route": legs, "quotes": offers}
