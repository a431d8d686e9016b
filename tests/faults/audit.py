"""The auditor: what the chain, the wallet and the orders table each say of the same orders must agree to the unit.

It reads the table's raw items and the chain's own records, and knows the engine's promises only as they are written
in docs/reliability.md: none of the product's code decides here.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.engine import Engine

SOL_MINT = "So11111111111111111111111111111111111111112"
MEMO = re.compile(r"fillrate:(?P<order>[^:\s\"]+):(?P<attempt>\d+)")
# An ended order's life, a letter a step: P pending, R routing, B building, S submitted, C confirmed, F failed with a
# retry to come, T failed for good (if halted, also before an attempt), X cancelled. A step that a dead
# worker's successor repeats isn't told twice.
LAWFUL_LIFE = re.compile(r"P+(?:X|T|(?:R(?:BS?)?F){0,2}(?:RBSC|(?:R(?:BS?)?)?T))")
# Past the life of a blockhash and finality: what has not landed by then never will.
SLOTS_TO_FINALITY = 250

Json = dict[str, Any]


@dataclass(frozen=True)
class Landed:
    """One transaction of the wallet as the chain holds it."""

    signature: str
    order_id: str | None
    attempt: int
    succeeded: bool
    fee: int
    # what it did to the wallet, by mint; lamports for SOL, without the fee
    changes: dict[str, int]


@dataclass
class Findings:
    """What the audit counted, and everything that is not as it must be."""

    orders: Counter[str] = field(default_factory=Counter)
    landed: int = 0
    landed_with_error: int = 0
    attempts: int = 0
    stuck: int = 0
    double: int = 0
    # what two-hop swaps left in the wallet of the token between, by mint, in base units
    left_between: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def assert_clean(self) -> None:
        assert not self.faults, "\n".join(self.faults)

    def line(self) -> str:
        orders = ", ".join(f"{number} {state}" for state, number in sorted(self.orders.items()))
        return (
            f"{self.orders.total()} orders ({orders}), {self.landed} landed swaps, {self.landed_with_error} landed "
            f"with an error, {self.attempts} failed attempts, {self.stuck} stuck, {self.double} double, "
            f"{len(self.left_between)} tokens with something left between hops, {len(self.faults)} findings"
        )


class Audit:
    """Opened before the orders are posted, closed when they have ended. Nothing else may move the wallet meanwhile."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._before = self._balances()
        newest = engine.chain.call("getSignaturesForAddress", engine.wallet, {"limit": 1, "commitment": "confirmed"})
        self._last_known = newest[0]["signature"] if newest else None
        self._known = set(engine.stored_orders())

    def close(self, accepted: Iterable[str] = (), *, advance: bool = True) -> Findings:
        """Look at everything since the opening. `accepted` are the orders that clients were told of."""
        if advance:  # so that what might still land does so now
            self._engine.chain.call("localnet_advanceSlots", {"slots": SLOTS_TO_FINALITY})
        orders = {one: order for one, order in self._engine.stored_orders().items() if one not in self._known}
        landed = self._landed()
        findings = Findings(Counter(order["state"] for order in orders.values()))
        findings.faults += [f"{one} was accepted and is not stored" for one in set(accepted) - set(orders)]
        by_order: dict[str, list[Landed]] = defaultdict(list)
        for one in landed:
            if one.order_id in orders:
                by_order[one.order_id].append(one)
            else:
                findings.faults.append(f"{one.signature} is of no order: {one.order_id}")
        for order in orders.values():
            _audit_order(order, by_order[order["orderId"]], findings)
        findings.landed = sum(one.succeeded for one in landed)
        findings.landed_with_error = len(landed) - findings.landed
        self._audit_wallet(orders.values(), findings)
        self._audit_counters(findings)
        return findings

    def _audit_counters(self, findings: Findings) -> None:
        """What limits are held by is what all stored orders stand for."""
        sums: Counter[str] = Counter()
        for order in self._engine.stored_orders().values():
            for scope in (f"account#{order['account']}", "global"):
                sums[f"open#{scope}"] += order["state"] not in ("confirmed", "failed", "cancelled", "expired")
                reserved = [order["feesReserved"]] if order.get("feesReserved") else []
                for fees in (*order.get("feesPaid", ()), *reserved):
                    sums[f"fees#{fees['day']}#{scope}"] += fees["lamports"]
                if order.get("notional") and order["state"] not in ("failed", "cancelled", "expired"):
                    sums[f"notional#{order['notional']['day']}#{scope}"] += order["notional"]["value"]
        expected, counters = {name: number for name, number in sums.items() if number}, self._engine.counters()
        if counters != expected:
            findings.faults.append(f"the counters stand at {counters}, the orders say {expected}")

    def _audit_wallet(self, orders: Iterable[Json], findings: Findings) -> None:
        """What the wallet lost and won is what the orders say that they traded and paid in fees, failed ones too."""
        expected = Counter(self._before)
        for order in orders:
            expected[SOL_MINT] -= _fees_paid(order)
            if order["state"] == "confirmed":
                expected[order["mintIn"]] -= order["amount"]
                expected[order["mintOut"]] += order["amountOut"]
        expected.update(findings.left_between)
        for mint, balance in self._balances().items():
            if balance != expected[mint]:
                findings.faults.append(f"the wallet holds {balance} of {mint}, the orders say {expected[mint]}")

    def _balances(self) -> dict[str, int]:
        engine = self._engine
        return {token["mint"]: engine.chain.balance(engine.wallet, token) for token in engine.tokens.values()}

    def _landed(self) -> list[Landed]:
        entries: list[Json] = []
        config: Json = {"commitment": "confirmed", "limit": 1000}
        if self._last_known:
            config["until"] = self._last_known
        while page := self._engine.chain.call("getSignaturesForAddress", self._engine.wallet, config):
            entries += page
            config["before"] = page[-1]["signature"]
        return [self._read(entry) for entry in entries]

    def _read(self, entry: Json) -> Landed:
        memo = MEMO.search(entry["memo"] or "")
        meta = self._engine.chain.transaction(entry["signature"])["meta"]
        return Landed(
            signature=entry["signature"],
            order_id=memo["order"] if memo else None,
            attempt=int(memo["attempt"]) if memo else 0,
            succeeded=entry["err"] is None,
            fee=int(meta["fee"]),
            changes=_changes(meta, self._engine.wallet),
        )


def _audit_order(order: Json, landed: list[Landed], findings: Findings) -> None:
    name, state = order["orderId"], order["state"]
    swaps = [one for one in landed if one.succeeded]
    if state not in ("confirmed", "failed", "cancelled"):
        findings.stuck += 1
        findings.faults.append(f"{name} is stuck: {state}")
    if len(swaps) > 1:
        findings.double += 1
        findings.faults.append(f"{name} was swapped {len(swaps)} times: {[one.signature for one in swaps]}")
    if (state == "confirmed") != (len(swaps) == 1):
        findings.faults.append(f"{name} is {state}, and {len(swaps)} of its swaps landed")
    if state == "confirmed" and swaps and order["txHash"] != swaps[0].signature:
        findings.faults.append(f"{name} names {order['txHash']}, and {swaps[0].signature} landed")
    if state == "confirmed" and swaps:
        _audit_swap(order, swaps[0], findings)
    told_fees, taken = _fees_paid(order), sum(one.fee for one in landed)
    if told_fees != taken:
        findings.faults.append(f"{name} says that it paid {told_fees} lamports of fees, and it paid {taken}")
    told = {order.get("txHash"), *order.get("pastSignatures", [])}
    for one in landed:
        if one.signature not in told:
            findings.faults.append(f"{name} doesn't tell of {one.signature}, which landed")
    if len({one.attempt for one in landed}) != len(landed):
        findings.faults.append(f"{name}: two transactions of one attempt landed")
    findings.faults += [f"{name}: {fault}" for fault in faults_in_history(order["history"], order["retryCount"])]
    findings.attempts += sum(change["status"] == "failed" for change in order["history"])


def _fees_paid(order: Json) -> int:
    """Lamports, as the order counts them."""
    return sum(fees["lamports"] for fees in order.get("feesPaid", ()))


def _audit_swap(order: Json, swap: Landed, findings: Findings) -> None:
    """The one landed swap moved what the order says, and nothing else but what is left over between two hops."""
    rest = Counter(swap.changes)
    rest[order["mintIn"]] += order["amount"]
    rest[order["mintOut"]] -= order["amountOut"]
    between = {leg["tokenOut"]["mint"] for leg in order["route"]} - {order["mintOut"]}
    for mint, units in rest.items():
        if mint in between and units > 0:
            findings.left_between[mint] += units
            told = {one["token"]["mint"]: one["amount"] for one in order.get("leftover", [])}
            if told.get(mint) != units:
                findings.faults.append(f"{order['orderId']} doesn't tell of {units} of {mint} that are left over")
        elif units:
            findings.faults.append(f"{order['orderId']}: its swap moved {units} of {mint} besides")


def _changes(meta: Json, wallet: str) -> dict[str, int]:
    """By mint, from the balances that the chain keeps with a transaction. The wallet is its first account."""
    changes: Counter[str] = Counter()
    own = {0}
    for sign, name in ((-1, "preTokenBalances"), (1, "postTokenBalances")):
        for balance in meta[name]:
            if balance["owner"] == wallet:
                changes[balance["mint"]] += sign * int(balance["uiTokenAmount"]["amount"])
                own.add(balance["accountIndex"])
    # SOL is what the wallet and its token accounts hold in lamports, wrapped or as rent
    changes[SOL_MINT] = sum(meta["postBalances"][index] - meta["preBalances"][index] for index in own) + meta["fee"]
    return {mint: units for mint, units in changes.items() if units}


def faults_in_history(history: list[Json], retry_count: int) -> list[str]:
    """What is unlawful in an ended order's history, as the table holds it."""
    faults = []
    life = "".join(_letter(change) for change in history)
    if not LAWFUL_LIFE.fullmatch(life):
        faults.append(f"its life was {life}")
    if [change["seq"] for change in history] != list(range(1, len(history) + 1)):
        faults.append("its history has a gap")
    times = [change["atMs"] for change in history]
    if times != sorted(times):
        faults.append("its history runs backwards")
    waits = [change["detail"]["retry_in_ms"] for change in history if _letter(change) == "F"]
    if waits != [1000, 2000][: len(waits)]:
        faults.append(f"its waits were {waits}")
    if retry_count not in (life.count("F"), life.count("F") + 1) or retry_count > 3:
        faults.append(f"its retryCount is {retry_count} after {life}")
    return faults


def _letter(change: Json) -> str:
    if change["status"] == "failed":
        return "T" if change["detail"]["terminal"] else "F"
    return "X" if change["status"] == "cancelled" else str(change["status"][0]).upper()
