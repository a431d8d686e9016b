"""The order as a DynamoDB item, both ways. What the API shows is `wire.py`'s business, not this file's."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from zlib import crc32

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.orders.order import Change, Detail, Lease, Leftover, Leg, Order, State, Status, Submission, Token
from chalicelib.risk.counters import Claims, Notional

ORDER_ITEM = "order"
OPEN_SHARDS = 4


def order_to_item(order: Order) -> Item:
    """The order as one item; `status`, `mintIn` and `listKey` stand at the top because queries filter on them."""
    return {
        "orderId": order.order_id,
        "item": ORDER_ITEM,
        "account": order.account,
        "listKey": f"{order.created_at_ms:015d}#{order.order_id}",
        "type": order.type,
        "status": order.status.value,
        "state": order.state.value,
        "mintIn": order.token_in.mint,
        "mintOut": order.token_out.mint,
        "tokenIn": order.token_in.text,
        "tokenOut": order.token_out.text,
        "decimalsIn": order.token_in.decimals,
        "decimalsOut": order.token_out.decimals,
        "amount": order.amount,
        "slippagePpm": order.slippage_ppm,
        "requestDigest": order.request_digest,
        "createdAtMs": order.created_at_ms,
        "updatedAtMs": order.updated_at_ms,
        "retryCount": order.retry_count,
        "history": [_change_to_map(change) for change in order.history],
        "route": _route_to_list(order.route),
        "quotedOut": order.quoted_out,
        "minOut": order.min_out,
        "amountOut": order.amount_out,
        "leftover": _leftover_to_list(order.leftover),
        "txHash": order.tx_hash,
        "error": order.error,
        "errorCode": order.error_code,
        "submission": _submission_to_map(order.submission),
        "pastSignatures": list(order.past_signatures),
        "startAtMs": order.start_at_ms,
        "retryAtMs": order.retry_at_ms,
        **_due(order),
        "leaseOwner": order.lease.owner if order.lease else None,
        "leaseUntilMs": order.lease.until_ms if order.lease else None,
        "notional": _notional_to_map(order.notional),
        "booked": _claims_to_map(order.booked),
        "correlationId": order.correlation_id or None,
        "revision": order.revision,
    }


def item_to_order(item: Item) -> Order:
    """The order that `order_to_item` wrote. Raises KeyError or ValueError on anything else."""
    return Order(
        order_id=item["orderId"],
        account=item["account"],
        type=item["type"],
        token_in=Token(item["tokenIn"], item["mintIn"], int(item["decimalsIn"])),
        token_out=Token(item["tokenOut"], item["mintOut"], int(item["decimalsOut"])),
        amount=int(item["amount"]),
        slippage_ppm=int(item["slippagePpm"]),
        request_digest=item["requestDigest"],
        created_at_ms=int(item["createdAtMs"]),
        state=State(item["state"]),
        retry_count=int(item["retryCount"]),
        history=tuple(_change_from_map(change) for change in item["history"]),
        route=_route_from_list(item.get("route")),
        quoted_out=_optional_int(item.get("quotedOut")),
        min_out=_optional_int(item.get("minOut")),
        amount_out=_optional_int(item.get("amountOut")),
        leftover=_leftover_from_list(item.get("leftover")),
        tx_hash=item.get("txHash"),
        error=item.get("error"),
        error_code=item.get("errorCode"),
        submission=_submission_from_map(item.get("submission")),
        past_signatures=tuple(item.get("pastSignatures", ())),
        start_at_ms=int(item.get("startAtMs", 0)),
        retry_at_ms=int(item.get("retryAtMs", 0)),
        lease=Lease(item["leaseOwner"], int(item["leaseUntilMs"])) if "leaseOwner" in item else None,
        notional=_notional_from_map(item.get("notional")),
        correlation_id=item.get("correlationId", ""),
        revision=int(item["revision"]),
        # an order of before there were counters is in none of them
        booked=_claims_from_map(item.get("booked", {})),
    )


def _due(order: Order) -> Item:
    """What the sweeper's index needs: only orders that have not ended are in it, by when a worker should have come.

    The index is spread over a few keys, for one key takes 1000 writes a second.
    """
    if order.is_terminal:
        return {}
    lease_until_ms = order.lease.until_ms if order.lease else 0
    due_ms = max(order.start_at_ms, order.retry_at_ms, lease_until_ms, order.updated_at_ms)
    return {"openShard": open_shard(order.order_id), "dueAtMs": due_ms}


def open_shard(order_id: str) -> str:
    return f"open#{crc32(order_id.encode()) % OPEN_SHARDS}"


def _change_to_map(change: Change) -> Item:
    detail = {one.name: getattr(change.detail, one.name) for one in fields(change.detail)}
    detail["route"] = _route_to_list(change.detail.route)
    detail["leftover"] = _leftover_to_list(change.detail.leftover)
    return {
        "seq": change.seq,
        "status": change.status.value,
        "atMs": change.at_ms,
        "retryCount": change.retry_count,
        "detail": {name: value for name, value in detail.items() if value is not None},
    }


def _change_from_map(change: Item) -> Change:
    detail = change["detail"]
    return Change(
        seq=int(change["seq"]),
        status=Status(change["status"]),
        at_ms=int(change["atMs"]),
        retry_count=int(change["retryCount"]),
        detail=Detail(
            route=_route_from_list(detail.get("route")),
            dex_used=detail.get("dex_used"),
            quoted_out=_optional_int(detail.get("quoted_out")),
            min_out=_optional_int(detail.get("min_out")),
            amount_out=_optional_int(detail.get("amount_out")),
            leftover=_leftover_from_list(detail.get("leftover")),
            tx_hash=detail.get("tx_hash"),
            error=detail.get("error"),
            error_code=detail.get("error_code"),
            terminal=detail.get("terminal"),
            retry_in_ms=_optional_int(detail.get("retry_in_ms")),
            queued_until_ms=_optional_int(detail.get("queued_until_ms")),
        ),
    )


def _route_to_list(route: tuple[Leg, ...] | None) -> list[Item] | None:
    if route is None:
        return None
    return [
        {
            "dex": leg.dex,
            "pool": leg.pool,
            "sharePpm": leg.share_ppm,
            "tokenIn": _token_to_map(leg.token_in),
            "tokenOut": _token_to_map(leg.token_out),
            "amountIn": leg.amount_in,
            "expectedOut": leg.expected_out,
        }
        for leg in route
    ]


def _route_from_list(route: list[Item] | None) -> tuple[Leg, ...] | None:
    if route is None:
        return None
    return tuple(
        Leg(
            dex=leg["dex"],
            pool=leg["pool"],
            share_ppm=int(leg["sharePpm"]),
            token_in=_token_from_map(leg["tokenIn"]),
            token_out=_token_from_map(leg["tokenOut"]),
            amount_in=int(leg["amountIn"]),
            expected_out=int(leg["expectedOut"]),
        )
        for leg in route
    )


def _leftover_to_list(leftover: tuple[Leftover, ...] | None) -> list[Item] | None:
    if leftover is None:
        return None
    return [{"token": _token_to_map(one.token), "amount": one.amount} for one in leftover]


def _leftover_from_list(leftover: list[Item] | None) -> tuple[Leftover, ...] | None:
    if leftover is None:
        return None
    return tuple(Leftover(_token_from_map(one["token"]), int(one["amount"])) for one in leftover)


def _token_to_map(token: Token) -> Item:
    return {"text": token.text, "mint": token.mint, "decimals": token.decimals}


def _token_from_map(token: Item) -> Token:
    return Token(token["text"], token["mint"], int(token["decimals"]))


def _submission_to_map(submission: Submission | None) -> Item | None:
    if submission is None:
        return None
    return {
        "signature": submission.signature,
        "wire": submission.wire,
        "blockhash": submission.blockhash,
        "lastValidBlockHeight": submission.last_valid_block_height,
    }


def _submission_from_map(submission: Item | None) -> Submission | None:
    if submission is None:
        return None
    wire = submission["wire"]
    return Submission(
        signature=submission["signature"],
        wire=bytes(wire),
        blockhash=submission["blockhash"],
        last_valid_block_height=int(submission["lastValidBlockHeight"]),
    )


def _notional_to_map(notional: Notional | None) -> Item | None:
    return None if notional is None else {"day": notional.day, "value": notional.value}


def _notional_from_map(notional: Item | None) -> Notional | None:
    return None if notional is None else Notional(notional["day"], int(notional["value"]))


def _claims_to_map(claims: Claims | None) -> Item | None:
    if claims is None:
        return None
    notional = _notional_to_map(claims.notional)
    return {"open": claims.open, **({} if notional is None else {"notional": notional})}


def _claims_from_map(claims: Item | None) -> Claims:
    claims = claims or {}
    return Claims(int(claims.get("open", 0)), _notional_from_map(claims.get("notional")))


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)
