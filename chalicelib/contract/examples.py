"""Examples for the OpenAPI document, of one order's way. The tests hold them to the schemas."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ORDER_ID = "5f3b8f0e-7c1d-4a53-9c2a-0d9f5e6b7a81"
_TICKET = "WyJkZXNrIiwxNzYwMDAwMDYwMDAwXQ.pZ3gJqVZl2rB0o1yq1uXc3mO7k5yq8u3n4zB2w6tQxE"
_WS_PATH = f"/api?orderId={ORDER_ID}&ticket={_TICKET}"
_WEBSOCKET = {"wsPath": _WS_PATH, "wsUrl": f"wss://example.execute-api.us-east-1.amazonaws.com{_WS_PATH}"}
_POOL = "8sLbNZoA1cfnvMJLPfp98ZLAnFSYCFApfJKMbiXNLwxj"
_SIGNATURE = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"

ORDER_REQUEST: Json = {
    "type": "market",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": "10",
    "slippage": "0.01",
    "minOut": "1480",
    "clientOrderId": "rebalance-2025-10-09",
}
_FLOOR: Json = {"minOut": "1480"}
_TERMS: Json = {
    **ORDER_REQUEST,
    "mintIn": "So11111111111111111111111111111111111111112",
    "mintOut": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
}

_LEG: Json = {
    "dex": "raydium",
    "pool": _POOL,
    "share": "1",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amountIn": "10",
    "expectedOut": "1498.251604",
}
_CHOSEN: Json = {"route": [_LEG], "dexUsed": "raydium", "quotedOut": "1498.251604", "minOut": "1483.269088"}
_FILLED: Json = {"dexUsed": "raydium", "amountOut": "1498.251604", "executedPrice": "149.8251604"}

_OFFERS: list[Json] = [
    {
        "dex": "raydium",
        "pool": _POOL,
        "amountOut": "1498.251604",
        "price": "149.8251604",
        "priceImpact": "0.002716",
        "fee": "0.025",
        "feeToken": "SOL",
    },
    {
        "dex": "meteora",
        "pool": "5rCf1DM8LjKTw4YqhnoLcngyZYeNnQqztScTogYHAS6",
        "error": "pool 5rCf1DM8LjKTw4YqhnoLcngyZYeNnQqztScTogYHAS6 is not open for swaps",
        "errorCode": "VENUE_UNAVAILABLE",
    },
]

ACCEPTED_ORDER: Json = {
    "orderId": ORDER_ID,
    "status": "pending",
    **_WEBSOCKET,
    "createdAt": "2025-10-09T08:53:20.000Z",
}

TICKET_REQUEST: Json = {"orderId": ORDER_ID}
WS_TICKET: Json = {**_WEBSOCKET, "expiresAt": "2025-10-09T08:54:20.000Z"}

_CANCELLED: Json = {
    "orderId": ORDER_ID,
    **_TERMS,
    "expiresAt": "2025-10-09T08:58:24.000Z",
    "networkFees": "0",
    "status": "cancelled",
    "retryCount": 0,
    "createdAt": "2025-10-09T08:53:20.000Z",
    "updatedAt": "2025-10-09T08:53:21.250Z",
    "history": [
        {
            "seq": 1,
            "status": "pending",
            "at": "2025-10-09T08:53:20.000Z",
            "retryCount": 0,
            "queuedUntil": "2025-10-09T08:53:24.000Z",
            **_FLOOR,
        },
        {"seq": 2, "status": "cancelled", "at": "2025-10-09T08:53:21.250Z", "retryCount": 0},
    ],
}
CANCELLED_ORDER: Json = {**_CANCELLED, **_WEBSOCKET}

LISTED_ORDER: Json = {
    "orderId": ORDER_ID,
    **_TERMS,
    "expiresAt": "2025-10-09T08:58:20.000Z",
    "networkFees": "0.000005073",
    "status": "confirmed",
    "retryCount": 0,
    "createdAt": "2025-10-09T08:53:20.000Z",
    "updatedAt": "2025-10-09T08:53:21.450Z",
    **_CHOSEN,
    **_FILLED,
    "txHash": _SIGNATURE,
    "quotes": _OFFERS,
    "history": [
        {"seq": 1, "status": "pending", "at": "2025-10-09T08:53:20.000Z", "retryCount": 0, **_FLOOR},
        {"seq": 2, "status": "routing", "at": "2025-10-09T08:53:20.030Z", "retryCount": 0},
        {"seq": 3, "status": "building", "at": "2025-10-09T08:53:20.060Z", "retryCount": 0, **_CHOSEN},
        {
            "seq": 4,
            "status": "submitted",
            "at": "2025-10-09T08:53:20.090Z",
            "retryCount": 0,
            **_CHOSEN,
            "txHash": _SIGNATURE,
        },
        {
            "seq": 5,
            "status": "confirmed",
            "at": "2025-10-09T08:53:21.450Z",
            "retryCount": 0,
            **_FILLED,
            "txHash": _SIGNATURE,
        },
    ],
}
SHOWN_ORDER: Json = {**LISTED_ORDER, **_WEBSOCKET}
ORDER_LIST: Json = {"orders": [LISTED_ORDER, _CANCELLED], "nextCursor": None}

QUOTE: Json = {
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": "10",
    "slippage": "0.01",
    "slot": 372000123,
    "slotLag": 0,
    "at": "2025-10-09T08:53:20.000Z",
    "ageMs": 3,
    "amountOut": "1498.251604",
    "minOut": "1483.269088",
    "price": "149.8251604",
    "priceImpact": "0.002716",
    "route": [_LEG],
    "fees": [{"token": "SOL", "amount": "0.025"}],
    "quotes": _OFFERS,
}

DRY_RUN: Json = {
    "wouldAccept": True,
    "refusals": [],
    "warnings": [],
    "quote": QUOTE,
    "minOut": "1483.269088",
    "networkFee": "0.000005121",
    "simulation": {"ok": True, "unitsConsumed": 100512},
    "immediate": True,
}

_TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - an address
TOKEN_LIST: Json = {
    "tokens": [
        {
            "symbol": "SOL",
            "mint": "So11111111111111111111111111111111111111112",
            "decimals": 9,
            "tokenProgram": _TOKEN_PROGRAM,
        },
        {
            "symbol": "USDC",
            "mint": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
            "decimals": 6,
            "tokenProgram": _TOKEN_PROGRAM,
        },
    ]
}

HEALTHY: Json = {
    "status": "ok",
    "stage": "prod",
    "checks": {
        "solana": {"ok": True, "value": {"slot": 372000123}},
        "orders": {"ok": True, "value": {"readable": True}},
        "queue": {"ok": True, "value": {"waiting": 0}},
    },
}
UNWELL: Json = {
    "status": "unavailable",
    "stage": "prod",
    "checks": {**HEALTHY["checks"], "solana": {"ok": False, "error": "RpcUnavailable"}},
}
