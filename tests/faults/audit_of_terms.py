"""The client's terms, audited: floor, deadline, cancellation, and that nothing of what was agreed ever changes.

As audit.py: by the table's raw items and the chain's own records, without the product's code. `versions` are the order
as each of its writes left it, by revision, as far as they were seen on their way to the table (versions.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any

from tests.faults.landed import Landed

PPM = 10**6
DEFAULT_SLIPPAGE = "0.01"
# What a client was told when it placed the order, and what a redrive keeps of it.
AGREED = ("account", "mintIn", "mintOut", "amount", "slippagePpm", "expiresAtMs", "createdAtMs", "clientOrderId")

Json = dict[str, Any]


def faults_in_terms(order: Json, versions: Mapping[int, Json], landed: Sequence[Landed]) -> list[str]:
    """What an ended order, its versions and its landed transactions don't keep of its terms."""
    seen = [versions[revision] for revision in sorted(versions)]
    return [
        *_faults_in_floor(order, landed),
        *_faults_in_floors_told(order),
        *_faults_in_deadline(order),
        *_faults_after_the_end(order, seen, landed),
        *_faults_in_versions([*seen, order]),
    ]


def faults_between_orders(orders: Mapping[str, Json]) -> list[str]:
    """What orders don't keep towards each other: one a clientOrderId, and a redrive's terms are those of its first."""
    faults, named = [], defaultdict(list)
    for name, order in orders.items():
        if order.get("clientOrderId"):
            named[order["account"], order["clientOrderId"]].append(name)
        first = orders.get(order.get("redriveOf", ""))
        if first is None:
            continue
        if (first["mintIn"], first["mintOut"]) != (order["mintIn"], order["mintOut"]):
            faults.append(f"{name} trades other tokens than {first['orderId']}, which it places again")
        if order.get("minOut", 0) < first.get("minOut", 0):
            faults.append(f"{name} has a lower floor than {first['orderId']}, which it places again")
    faults += [f"{account}'s {own} names {len(ids)} orders" for (account, own), ids in named.items() if len(ids) > 1]
    return faults


def _faults_in_floor(order: Json, landed: Iterable[Landed]) -> list[str]:
    """The floor in force is what the client asked for and what the first quote leaves; the swap paid no less."""
    name, floor, asked = order["orderId"], order.get("minOut", 0), order.get("asked", {})
    faults = []
    slippage = Decimal(order["slippagePpm"]) / PPM
    if asked and Decimal(asked.get("slippage", DEFAULT_SLIPPAGE)) != slippage:
        faults.append(f"{name}: its slippage is {slippage}, and its client asked for another")
    least = int(Decimal(asked.get("minOut", "0")).scaleb(order["decimalsOut"]))
    if floor < least:
        faults.append(f"{name}: its floor is {floor}, and its client asked for {least} at least")
    limit = _limit_out(order)
    if limit is not None and floor < limit:
        faults.append(f"{name}: its floor is {floor}, and its limit price asks for {limit}")
    if "firstQuotedOut" in order and limit is None:
        left = ceil(order["firstQuotedOut"] * (1 - Fraction(slippage)))
        if floor < left:
            faults.append(f"{name}: its floor is {floor}, and its slippage leaves {left} of its first quote")
    for swap in landed:
        paid = swap.changes.get(order["mintOut"], 0)
        if swap.succeeded and (not floor or paid < floor):
            faults.append(f"{name}: {swap.signature} paid {paid}, and its floor is {floor}")
    return faults


def _limit_out(order: Json) -> int | None:
    """What its limit price asks for, of a limit order and of an oco that its limit set off.

    One that comes back to wait has no trigger any more, so what an order ended with is what its floor was made of.
    """
    if order["type"] != "limit" and order.get("trigger", {}).get("kind") != "limit":
        return None
    scale = Fraction(10) ** (order["decimalsOut"] - order["decimalsIn"])
    least: int = ceil(Fraction(order["limitPrice"]) * order["amount"] * scale)
    return least


def _faults_in_floors_told(order: Json) -> list[str]:
    """Each step tells the floor as it was then: the client's own at first, the order's from its first quote on.

    A limit price is a floor, and only its client changes it, to whatever it likes.
    """
    if order["type"] == "oco":
        return []  # each of its two prices has a floor of its own, and so has a changed one
    told, limit = [], None
    for step in order["history"]:
        limit = step["detail"].get("limit_price", limit)
        if step["detail"].get("min_out") is not None:
            told.append((step["status"], step["detail"]["min_out"], limit))
    faults = [
        f"{order['orderId']}: its floor fell from {before} to {after}"
        for (_, before, old_limit), (_, after, new_limit) in pairwise([*told, ("", order.get("minOut", 0), limit)])
        if after < before and old_limit == new_limit
    ]
    fixed = {floor for status, floor, of_limit in told if status not in ("pending", "open") and of_limit == limit}
    if fixed and fixed != {order["minOut"]}:
        faults.append(f"{order['orderId']}: its steps told the floors {sorted(fixed)}, and it has {order['minOut']}")
    return faults


def _faults_in_deadline(order: Json) -> list[str]:
    name, deadline_ms = order["orderId"], order.get("expiresAtMs")
    if deadline_ms is None:
        return [f"{name} has no deadline"]
    faults = []
    asked = order.get("asked", {}).get("expiresAt")
    if asked is not None and _ms_of(asked) != deadline_ms:
        faults.append(f"{name}: its deadline is {deadline_ms}, and its client asked for {asked}")
    for step in order["history"]:
        if step["status"] in ("routing", "submitted") and step["atMs"] >= deadline_ms:
            what = "was signed" if step["status"] == "submitted" else "began an attempt"
            faults.append(f"{name} {what} {step['atMs'] - deadline_ms} ms after its deadline")
        if step["status"] == "expired" and step["atMs"] < deadline_ms:
            faults.append(f"{name} expired {deadline_ms - step['atMs']} ms before its deadline")
    return faults


def _faults_after_the_end(order: Json, versions: Sequence[Json], landed: Iterable[Landed]) -> list[str]:
    """What was ended without a swap has no transaction that swapped, or that nobody has seen the end of."""
    name, state = order["orderId"], order["state"]
    if state not in ("cancelled", "expired"):
        return []
    landed = list(landed)
    faults = [f"{name} is {state}, and {one.signature} swapped" for one in landed if one.succeeded]
    if "submission" in order:
        faults.append(f"{name} is {state}, and its {order['submission']['signature']} is stored and may be sent")
    ended = set(order.get("pastSignatures", []))
    stored = {one["submission"]["signature"] for one in versions if "submission" in one}
    faults += [f"{name} is {state}, and nobody saw the end of {one}" for one in sorted(stored - ended)]
    if state == "cancelled":
        faults += [
            f"{name} is cancelled, and {one.signature} of the attempt that was cancelled landed"
            for one in landed
            if one.attempt > order["retryCount"]
        ]
    return faults


def _faults_in_versions(versions: Sequence[Json]) -> list[str]:
    """From one write to the next nothing changes of what was agreed, and the floor never falls."""
    faults = []
    for before, after in pairwise(versions):
        name, revision = after["orderId"], after["revision"]
        faults += [
            f"{name}: its {field} became {after.get(field)} at revision {revision}, and was {before.get(field)}"
            for field in AGREED
            if before.get(field) != after.get(field)
        ]
        floor, next_floor = before.get("minOut", 0), after.get("minOut", 0)
        has_one_floor = after["type"] != "oco" and before.get("limitPrice") == after.get("limitPrice")
        if has_one_floor and (next_floor < floor or ("firstQuotedOut" in before and next_floor != floor)):
            faults.append(f"{name}: its floor moved from {floor} to {next_floor} at revision {revision}")
        if after["type"] in ("market", "stop") and before.get("firstQuotedOut", None) not in (
            None,
            after.get("firstQuotedOut"),
        ):
            faults.append(f"{name}: its first quote changed at revision {revision}")
        if before["state"] in ("confirmed", "cancelled", "expired") and after != before:
            faults.append(f"{name} was {before['state']} and was written again")
    return faults


def _ms_of(text: str) -> int:
    """RFC 3339 in milliseconds since the epoch."""
    time = datetime.fromisoformat(text)
    return int(time.timestamp()) * 1000 + time.microsecond // 1000
