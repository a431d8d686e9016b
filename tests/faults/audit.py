"""The auditor: what the chain, the wallet and the orders table each say of the same orders must agree to the unit.

It reads the table's raw items and the chain's own records, and knows the engine's promises only as they are written
in docs/reliability.md: none of the product's code decides here.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.faults.audit_of_terms import faults_between_orders, faults_in_terms
from tests.faults.landed import SOL_MINT, ChainRecords, Landed, landed_since, newest_signature
from tests.faults.versions import Versions

# An ended order's life, a letter a step: P pending, R routing, B building, S submitted, C confirmed, F failed with a
# retry to come, T failed for good (if halted, also before an attempt), X cancelled, E expired. Nothing is cancelled
# whose transaction is out. A step that a dead worker's successor repeats isn't told twice.
LAWFUL_LIFE = re.compile(r"P+(?:R(?:BS?)?F){0,2}(?:RBSC|(?:R(?:BS?)?)?[TE]|(?:RB?)?X)")
# Of an order that waits for its price: O open, from which it is triggered and to which it may come back from any step.
LAWFUL_WAIT = re.compile(r"(?:O+P*(?:RB?S?)?)*O*(?:C|P*(?:RB?S?)?[XTE])")
ENDED = ("confirmed", "failed", "cancelled", "expired")
# Past the life of a blockhash and finality: what has not landed by then never will.
SLOTS_TO_FINALITY = 250

Json = dict[str, Any]


class Books(Protocol):
    """What is compared; `Engine` has it of a running stack."""

    @property
    def chain(self) -> ChainRecords: ...

    @property
    def wallet(self) -> str: ...

    @property
    def tokens(self) -> dict[str, Json]: ...

    @property
    def versions(self) -> Versions: ...

    def stored_orders(self) -> dict[str, Json]:
        """Every order by its id, as it lies in the table."""

    def counters(self) -> dict[str, int]:
        """What the limits' counters stand at; those at zero aside."""


@dataclass
class Findings:
    """What the audit counted, and everything that is not as it must be."""

    orders: Counter[str] = field(default_factory=Counter)
    landed: int = 0
    landed_with_error: int = 0
    attempts: int = 0
    # how many writes of the orders were seen on their way to the table
    versions: int = 0
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
            f"{self.orders.total()} orders ({orders}) in {self.versions} versions, {self.landed} landed swaps, "
            f"{self.landed_with_error} landed with an error, {self.attempts} failed attempts, "
            f"{self.stuck} stuck, {self.double} double, "
            f"{len(self.left_between)} tokens with something left between hops, {len(self.faults)} findings"
        )


class Audit:
    """Opened before the orders are posted, closed when they have ended. Nothing else may move the wallet meanwhile."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._before = self._balances()
        self._last_known = newest_signature(books.chain, books.wallet)
        self._known = set(books.stored_orders())

    def close(self, accepted: Iterable[str] = (), *, cancelled: Iterable[str] = (), advance: bool = True) -> Findings:
        """Look at everything since the opening.

        `accepted` are the orders that clients were told of, `cancelled` those of which they were told that they are so.
        """
        books = self._books
        if advance:  # so that what might still land does so now
            books.chain.call("localnet_advanceSlots", {"slots": SLOTS_TO_FINALITY})
        stored = books.stored_orders()
        orders = {one: order for one, order in stored.items() if one not in self._known}
        landed = landed_since(books.chain, books.wallet, self._last_known)
        findings = Findings(Counter(order["state"] for order in orders.values()))
        findings.faults += [f"{one} was accepted and is not stored" for one in set(accepted) - set(orders)]
        findings.faults += [
            f"{one} is {orders[one]['state']}, and its client was told that it is cancelled"
            for one in set(cancelled) & set(orders)
            if orders[one]["state"] != "cancelled"
        ]
        by_order: dict[str, list[Landed]] = defaultdict(list)
        for one in landed:
            if one.order_id in orders:
                by_order[one.order_id].append(one)
            else:
                findings.faults.append(f"{one.signature} is of no order: {one.order_id}")
        for name, order in orders.items():
            _audit_order(order, by_order[name], findings)
            findings.faults += faults_in_terms(order, books.versions.of(name), by_order[name])
            findings.versions += len(books.versions.of(name))
        findings.faults += faults_between_orders(stored)
        findings.landed = sum(one.succeeded for one in landed)
        findings.landed_with_error = len(landed) - findings.landed
        self._audit_wallet(orders.values(), findings)
        self._audit_counters(findings)
        return findings

    def _audit_counters(self, findings: Findings) -> None:
        """What limits are held by is what all stored orders stand for."""
        sums: Counter[str] = Counter()
        for order in self._books.stored_orders().values():
            for scope in (f"account#{order['account']}", "global"):
                sums[f"open#{scope}"] += order["state"] not in (*ENDED, "open")
                sums[f"waiting#{scope}"] += order["state"] == "open"
                reserved = [order["feesReserved"]] if order.get("feesReserved") else []
                for fees in (*order.get("feesPaid", ()), *reserved):
                    sums[f"fees#{fees['day']}#{scope}"] += fees["lamports"]
                if order.get("notional") and order["state"] not in ("failed", "cancelled", "expired"):
                    sums[f"notional#{order['notional']['day']}#{scope}"] += order["notional"]["value"]
        expected, counters = {name: number for name, number in sums.items() if number}, self._books.counters()
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
        books = self._books
        return {token["mint"]: books.chain.balance(books.wallet, token) for token in books.tokens.values()}


def _audit_order(order: Json, landed: list[Landed], findings: Findings) -> None:
    name, state = order["orderId"], order["state"]
    swaps = [one for one in landed if one.succeeded]
    if state not in ENDED:
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
    if len({one.attempt for one in landed}) != len(landed) and order["type"] == "market":
        findings.faults.append(f"{name}: two transactions of one attempt landed")
    findings.faults += [
        f"{name}: {fault}" for fault in faults_in_history(order["history"], order["retryCount"], order["type"])
    ]
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


def faults_in_history(history: list[Json], retry_count: int, kind: str = "market") -> list[str]:
    """What is unlawful in an ended order's history, as the table holds it."""
    faults = []
    life = "".join(_letter(change) for change in history)
    lawful = LAWFUL_LIFE if kind == "market" else LAWFUL_WAIT
    if not lawful.fullmatch(life) or ("C" in life and "SC" not in life):
        faults.append(f"its life was {life}")
    if [change["seq"] for change in history] != list(range(1, len(history) + 1)):
        faults.append("its history has a gap")
    times = [change["atMs"] for change in history]
    if times != sorted(times):
        faults.append("its history runs backwards")
    waits = [change["detail"]["retry_in_ms"] for change in history if _letter(change) == "F"]
    if kind == "market" and waits != [1000, 2000][: len(waits)]:
        faults.append(f"its waits were {waits}")
    # only an order that is given up may have one failure more than were tried again
    counts = (life.count("F"), life.count("F") + 1) if life.endswith("T") else (life.count("F"),)
    if retry_count not in counts or retry_count > 3:
        faults.append(f"its retryCount is {retry_count} after {life}")
    return faults


def _letter(change: Json) -> str:
    if change["status"] == "failed":
        return "T" if change["detail"]["terminal"] else "F"
    return "X" if change["status"] == "cancelled" else str(change["status"])[0].upper()
