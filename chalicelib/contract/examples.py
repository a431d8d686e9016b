"""Examples for the OpenAPI document, of one order's way. The tests hold them to the schemas."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ORDER_ID = "5f3b8f0e-7c1d-4a53-9c2a-0d9f5e6b7a81"
_TICKET = "WyJkZXNrIiwxNzYwMDAwMDYwMDAwXQ.pZ3gJqVZl2rB0o1yq1uXc3mO7k5yq8u3n4zB2w6tQxE"
_WS_PATH = f"/api?orderId={ORDER_ID}&ticket={_TICKET}"
_WEBSOCKET = {"wsPath": _WS_PATH, "wsUrl": f"wss://example.execute-api.us-east-1.amazonaws.com{_WS_PATH}"}
_WALLET = "7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3"
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
    "wallet": _WALLET,
}

_LEG: Json = {
    "dex": "raydium",
    "pool": _POOL,
    "share": "1",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amountIn": "10",
    "expectedOut": "1498.251604",
    "program": "raydium-cpmm",
    "fee": "0.025",
    "feeToken": "SOL",
}
_CHOSEN: Json = {"route": [_LEG], "dexUsed": "raydium", "quotedOut": "1498.251604", "minOut": "1483.269088"}
_FILLED: Json = {"dexUsed": "raydium", "amountOut": "1498.251604", "executedPrice": "149.8251604"}

_OFFERS: list[Json] = [
    {
        "dex": "raydium",
        "program": "raydium-cpmm",
        "pool": _POOL,
        "amountOut": "1498.251604",
        "price": "149.8251604",
        "priceImpact": "0.002716",
        "fee": "0.025",
        "feeToken": "SOL",
    },
    {
        "dex": "meteora",
        "program": "meteora-dlmm",
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
    "explorerUrl": f"https://explorer.solana.com/tx/{_SIGNATURE}",
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
ORDER_CHANGE: Json = {"stopPrice": "142", "expiresAt": "2025-10-12T08:53:20.000Z"}
_BRACKET: Json = {"limitPrice": "165", "stopPrice": "142"}
OPEN_ORDER: Json = {
    "orderId": ORDER_ID,
    **{name: value for name, value in _TERMS.items() if name != "minOut"},
    "type": "oco",
    **_BRACKET,
    "maxTries": 10,
    "expiresAt": "2025-10-12T08:53:20.000Z",
    "networkFees": "0",
    "status": "open",
    "retryCount": 0,
    "createdAt": "2025-10-09T08:53:20.000Z",
    "updatedAt": "2025-10-09T09:10:00.000Z",
    "history": [
        {
            "seq": 1,
            "status": "open",
            "at": "2025-10-09T08:53:20.000Z",
            "retryCount": 0,
            "limitPrice": "165",
            "stopPrice": "140",
        },
        {"seq": 2, "status": "open", "at": "2025-10-09T09:10:00.000Z", "retryCount": 0, **_BRACKET},
    ],
    **_WEBSOCKET,
}

SHOWN_ORDER: Json = {**LISTED_ORDER, **_WEBSOCKET}
ORDER_LIST: Json = {"orders": [LISTED_ORDER, _CANCELLED], "nextCursor": None}

MASS_CANCEL: Json = {"cancelled": 17, "tooLate": [ORDER_ID], "more": False}

_FILL: Json = {
    "orderId": ORDER_ID,
    "at": "2025-10-09T08:53:21.450Z",
    "tokenIn": "SOL",
    "mintIn": _TERMS["mintIn"],
    "tokenOut": "USDC",
    "mintOut": _TERMS["mintOut"],
    "amountIn": "10",
    "amountOut": "1498.251604",
    "price": "149.8251604",
    "route": [_LEG],
    "poolFees": [{"mint": _TERMS["mintIn"], "amount": "0.025"}],
    "networkFee": "0.000005073",
    "vsQuoteBps": "0",
    "vsFloorBps": "101.010100737702423",
    "txHash": _SIGNATURE,
}
FILL_LIST: Json = {
    "fills": [_FILL],
    "sums": [
        {
            "mintIn": _TERMS["mintIn"],
            "mintOut": _TERMS["mintOut"],
            "amountIn": "10",
            "amountOut": "1498.251604",
            "count": 1,
        }
    ],
    "nextCursor": None,
}
FILLS_CSV = (
    "orderId,at,tokenIn,mintIn,tokenOut,mintOut,amountIn,amountOut,price,route,poolFees,networkFee,vsQuoteBps,"
    "vsFloorBps,txHash\r\n"
    f"{ORDER_ID},2025-10-09T08:53:21.450Z,SOL,{_TERMS['mintIn']},USDC,{_TERMS['mintOut']},10,1498.251604,149.8251604,"
    f"1 of SOL to USDC at raydium {_POOL},0.025 {_TERMS['mintIn']},0.000005073,0,101.010100737702423,{_SIGNATURE}\r\n"
)
BALANCE_LIST: Json = {
    "wallet": _WALLET,
    "slot": 372000123,
    "balances": [
        {
            "token": "SOL",
            "mint": _TERMS["mintIn"],
            "amount": "12.5",
            "free": "12.49910912",
            "value": "1874.125",
        },
        {"token": "USDC", "mint": _TERMS["mintOut"], "amount": "1498.251604", "value": "1498.251604"},
    ],
}

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

QUOTE_WISH: Json = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "10"}

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
            "name": "Solana",
            "verified": True,
        },
        {
            "symbol": "USDC",
            "mint": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
            "decimals": 6,
            "tokenProgram": _TOKEN_PROGRAM,
            "name": "USD Coin",
            "verified": True,
            "risks": [
                {
                    "risk": "freeze-authority",
                    "meaning": "somebody may freeze any account, the wallet's and the pool's too",
                }
            ],
        },
    ]
}

HEALTHY: Json = {
    "status": "ok",
    "stage": "prod",
    "degraded": [],
    "checks": {
        "solana": {"ok": True, "value": {"slot": 372000123}},
        "pools": {"ok": True, "value": {"registered": 12}},
        "orders": {"ok": True, "value": {"readable": True, "overdueSeconds": 0}},
        "queue": {"ok": True, "value": {"waiting": 0}},
        "halt": {"ok": True, "value": {"halted": False}},
    },
}
UNWELL: Json = {
    "status": "unavailable",
    "stage": "prod",
    "degraded": ["no node: no Solana node answers"],
    "checks": {**HEALTHY["checks"], "solana": {"ok": False, "error": "RpcUnavailable"}},
}
