"""An order's item with all in one attribute that no query, condition or index asks for: DynamoDB bills each write by
the item's size, and an order is written five times.

It is JSON in zlib's format. Most of an order's JSON is the same in every order, so it is compressed against a text that
both sides know (a preset dictionary, https://www.rfc-editor.org/rfc/rfc1950#section-2.2).
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from chalicelib.aws.dynamodb.attribute_values import Item

PACKED = "packed"
# The signed transaction's bytes, which no JSON carries.
WIRE = "wire"
# How many steps the history has: the stream tells by it what a write added.
STEPS = "steps"

# What stands in the item by itself: its key, those of the indexes and what is in them, and what conditions name.
_IN_INDEXES = ("orderId", "item", "account", "listKey", "openShard", "dueAtMs", "standing", "waitingPair", "waitsFor")
AT_HAND = frozenset((*_IN_INDEXES, "state", "revision", "writeId"))

_LEVEL = 9


def packed(item: Item) -> Item:
    """The item as it is stored packed. It must hold no bytes but those of its submission."""
    told = {name: value for name, value in item.items() if name not in AT_HAND}
    at_hand: dict[str, Any] = {name: value for name, value in item.items() if name in AT_HAND}
    if "submission" in told:
        told["submission"] = dict(told["submission"])
        at_hand[WIRE] = told["submission"].pop("wire")
    return {**at_hand, STEPS: len(told["history"]), PACKED: _compressed(told)}


def unpacked(item: Item) -> Item:
    """What was packed; an item that stands as it was written before there were packed ones is returned as it is.

    Without the transaction's bytes, if `item` lacks them, there is no submission. Raises ValueError.
    """
    if PACKED not in item:
        return item
    told = _decompressed(bytes(item[PACKED]))
    if "submission" in told:
        submission = told.pop("submission")
        if WIRE in item:
            told["submission"] = {**submission, "wire": bytes(item[WIRE])}
    return {**{name: value for name, value in item.items() if name not in (PACKED, WIRE, STEPS)}, **told}


def _compressed(told: Item) -> bytes:
    text = json.dumps(told, separators=(",", ":")).encode()
    compressor = zlib.compressobj(_LEVEL, zdict=_DICTIONARY)
    return compressor.compress(text) + compressor.flush()


def _decompressed(data: bytes) -> Item:
    decompressor = zlib.decompressobj(zdict=_DICTIONARY)
    try:
        told: Item = json.loads(decompressor.decompress(data) + decompressor.flush())
    except zlib.error as error:
        raise ValueError(f"the order can't be unpacked: {error}") from None
    if not decompressor.eof or not isinstance(told, dict):
        raise ValueError("the order can't be unpacked: it is cut off")
    return told


# Never to be changed: what is stored can't be read with another text. A new one would stand beside it, and zlib's
# header tells by which of them an item was compressed. What is likeliest stands last.
_DICTIONARY = (
    b'"limitPrice":"","stopPrice":"","trailingPpm":,"trigger":{"kind":"limit","price":"","slot":,"atMs":},'
    b'"kind":"stop","ownMinOut":,"bestOut":,"maxTries":10,"signedTries":,"pauses":,"waitUntilMs":,"lastLookedAtMs":,'
    b'"movedAtMs":,"waitingWeight":,"changes":,"limit_price":"","stop_price":"","trailing_ppm":,"queued_until_ms":,'
    b'"type":"limit","type":"stop","type":"oco","status":"open","status":"cancelled","status":"expired",'
    b'"status":"failed","retry_in_ms":1000,"retry_in_ms":2000,"terminal":false,"terminal":true,"error":"",'
    b'"error_code":"","errorCode":"SLIPPAGE_EXCEEDED","errorCode":"INSUFFICIENT_BALANCE","RPC_UNAVAILABLE","HALTED",'
    b'"NO_POOL","ORDER_EXPIRED","LIMIT_EXCEEDED","PRICE_IMPACT","PRICE_DEVIATION","TRANSACTION_EXPIRED",'
    b'"maxPriceImpactPpm":,"maxNetworkFee":,"clientOrderId":"","redriveOf":"","redrivenAs":"","keyId":"",'
    b'"leftover":[{"token":{"text":"","mint":"","decimals":6},"amount":}],"slippage":"0.01","slippage":"0.005",'
    b'"tokenIn":"JUP","tokenOut":"JUP","mintIn":"JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSZbKedZNsDvCN",'
    b'"tokenIn":{"text":"USDT","mint":"Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB","decimals":6},'
    b'"status":"submitted","atMs":,"retryCount":0,"detail":{"route":[{"dex":"raydium","pool":"","sharePpm":1000000,'
    b'"tokenIn":{"text":"SOL","mint":"So11111111111111111111111111111111111111112","decimals":9},'
    b'"tokenOut":{"text":"USDC","mint":"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v","decimals":6},"amountIn":,'
    b'"expectedOut":,"program":"raydium-amm-v4","fee":,"feeToken":{"text":"USDC","mint":'
    b'"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v","decimals":6}},{"dex":"meteora","pool":"","sharePpm":500000,'
    b'"submission":{"signature":"","blockhash":"","lastValidBlockHeight":,"slot":,"tipLamports":},'
    b'"pastSignatures":[""],"refusedPools":[{"pool":"","errorCode":"","error":""}],"leaseOwner":"","leaseUntilMs":,'
    b'"feesReserved":{"day":"2026-12-01","lamports":},"booked":{"open":1},"status":"pending","status":"routing",'
    b'{"route":[{"dex":"meteora","pool":"","sharePpm":1000000,"tokenIn":{"text":"USDC","mint":'
    b'"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v","decimals":6},"tokenOut":{"text":"SOL","mint":'
    b'"So11111111111111111111111111111111111111112","decimals":9},"amountIn":,"expectedOut":,"program":"meteora-dlmm",'
    b'"fee":,"feeToken":{"text":"SOL","mint":"So11111111111111111111111111111111111111112","decimals":9}}],'
    b'"dexUsed":"raydium+meteora","dexUsed":"meteora+raydium","dexUsed":"meteora","dexUsed":"raydium","quotedOut":,'
    b'"minOut":,"amountOut":,"txHash":"","slotDelta":1,"type":"market","tokenIn":"USDC","tokenOut":"SOL",'
    b'"tokenIn":"SOL","tokenOut":"USDC","amount":000000000,"slippagePpm":10000,"requestDigest":"","createdAtMs":,'
    b'"expiresAtMs":,"expiresByDefault":true,"firstQuotedOut":,"quotes":[{"dex":"raydium","pool":"","amountOut":,'
    b'"priceImpactPpm":,"fee":,"feeOfTokenIn":true,"program":"raydium-clmm"},{"dex":"meteora","pool":"","amountOut":,'
    b'"priceImpactPpm":,"fee":,"feeOfTokenIn":true,"program":"meteora-dlmm"},{"dex":"raydium","pool":"","amountOut":,'
    b'"priceImpactPpm":,"fee":,"feeOfTokenIn":true,"program":"raydium-amm-v4"},{"dex":"meteora","pool":"","amountOut":,'
    b'"priceImpactPpm":,"fee":,"feeOfTokenIn":false,"program":"meteora-damm-v2"},{"dex":"raydium","pool":"",'
    b'"amountOut":,"priceImpactPpm":,"fee":,"feeOfTokenIn":true,"program":"raydium-cpmm"},{"dex":"meteora","pool":"",'
    b'"amountOut":,"priceImpactPpm":,"fee":,"feeOfTokenIn":true,"program":"meteora-damm-v1"}],"asked":{"tokenIn":"SOL",'
    b'"tokenOut":"USDC","amount":"0.","slippage":"0.01"},"wallet":"","retryCount":0,"history":[{"seq":1,"status":'
    b'"pending","atMs":17,"retryCount":0,"detail":{}},{"seq":2,"status":"routing","atMs":17,"retryCount":0,"detail":'
    b'{}},{"seq":3,"status":"building","atMs":17,"retryCount":0,"detail":{"route":[{"dex":"","dex_used":"raydium",'
    b'"quoted_out":,"min_out":}},{"seq":4,"status":"submitted","atMs":17,"retryCount":0,"detail":{"route":[{"dex":"",'
    b'"dex_used":"meteora","quoted_out":,"min_out":,"tx_hash":""}},{"seq":5,"status":"confirmed","atMs":17,'
    b'"retryCount":0,"detail":{"dex_used":"meteora","amount_out":,"tx_hash":"","slot_delta":1}}],"pastSignatures":[],'
    b'"refusedPools":[],"startAtMs":17,"retryAtMs":0,"attemptNonce":"","notional":{"day":"2026-12-01","value":},'
    b'"feesPaid":[{"day":"2026-12-01","lamports":5000}],"feesPaid":[],"correlationId":"","booked":{"open":0,'
    b'"notional":{"day":"2026-12-01","value":},"fees":[{"day":"2026-12-01","lamports":}]},"status":"confirmed",'
    b'"mintIn":"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v","mintOut":"So11111111111111111111111111111111111111112",'
    b'"decimalsIn":6,"decimalsOut":9,"mintIn":"So11111111111111111111111111111111111111112","mintOut":'
    b'"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v","decimalsIn":9,"decimalsOut":6,"updatedAtMs":17}'
)
