"""What the audit is worth: books that agree pass, and each thing that may be wrong in them is planted and found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.aws.dynamodb.order_item import order_to_item
from chalicelib.orders.changing import OrderChanges, changed
from chalicelib.orders.life import (
    as_written,
    cancel,
    choose_route,
    expire,
    fail_attempt,
    fill,
    fix_floor,
    pay_fees,
    place,
    reserve,
    sign,
    start_attempt,
)
from chalicelib.orders.order import Leftover, Leg, Order, TriggerKind
from chalicelib.orders.triggers import triggered
from chalicelib.risk.counters import NetworkFees
from tests.faults.audit import Audit
from tests.faults.landed import ChainRecords
from tests.faults.versions import Versions, plain
from tests.sample_orders import CREATED_AT_MS, JUP, QUOTED_OUT, SOL, USDC, a_submission, new_order

WALLET = "wallet"
AMOUNT = 10_000_000_000
FEE = 5_073
PAID = 1_498_765_432
LEFT_BETWEEN = 1_234
DEADLINE_MS = CREATED_AT_MS + 60_000
DEADLINE = "2025-10-09T08:54:20.123Z"
ASKED = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "minOut": "1480", "expiresAt": DEADLINE}
ONE_POOL = (Leg("raydium", "pool", 1_000_000, SOL, USDC, AMOUNT, QUOTED_OUT),)
TWO_HOPS = (
    Leg("raydium", "first", 1_000_000, SOL, JUP, AMOUNT, 2_000_000),
    Leg("meteora", "second", 1_000_000, JUP, USDC, 1_990_000, QUOTED_OUT),
)

Json = dict[str, Any]


class PaperChain:
    """A chain of which everything is written down by hand."""

    def __init__(self) -> None:
        self.balances = {SOL.mint: 10**12, USDC.mint: 10**12, JUP.mint: 10**12}
        self.entries: list[Json] = []  # newest first
        self.metas: dict[str, Json] = {}
        self.slots = 0

    def call(self, method: str, *params: Any) -> Any:
        if method == "localnet_advanceSlots":
            self.slots += params[0]["slots"]
            return None
        assert method == "getSignaturesForAddress"
        signatures = [entry["signature"] for entry in self.entries]
        first = signatures.index(params[1]["before"]) + 1 if "before" in params[1] else 0
        until = signatures.index(params[1]["until"]) if params[1].get("until") in signatures else None
        return self.entries[first:until]

    def balance(self, wallet: str, token: Json) -> int:
        return self.balances[token["mint"]]

    def transaction(self, signature: str) -> Json:
        return {"meta": self.metas[signature]}

    def land(self, signature: str, memo: str, *, succeeds: bool = True, paid: int = PAID, between: int = 0) -> None:
        """A swap of the wallet's 10 SOL for `paid` USDC, and `between` JUP on the way; or its failure."""
        sold, bought, left = (AMOUNT, paid, between) if succeeds else (0, 0, 0)
        lamports = self.balances[SOL.mint]
        self.entries.insert(0, {"signature": signature, "memo": memo, "err": None if succeeds else {"Custom": 6005}})
        self.metas[signature] = {
            "fee": FEE,
            "preBalances": [lamports, 0, 0],
            "postBalances": [lamports - sold - FEE, 0, 0],
            "preTokenBalances": [_held(1, USDC.mint, self.balances[USDC.mint]), _held(2, JUP.mint, 7)],
            "postTokenBalances": [_held(1, USDC.mint, self.balances[USDC.mint] + bought), _held(2, JUP.mint, 7 + left)],
        }
        self.balances[SOL.mint] -= sold + FEE
        self.balances[USDC.mint] += bought
        self.balances[JUP.mint] += left


def _held(index: int, mint: str, amount: int) -> Json:
    return {"accountIndex": index, "mint": mint, "owner": WALLET, "uiTokenAmount": {"amount": str(amount)}}


def _as_read(value: Any) -> Any:
    """As DynamoDB gives it back: a list for a tuple."""
    if isinstance(value, dict):
        return {name: _as_read(inner) for name, inner in value.items()}
    return [_as_read(inner) for inner in value] if isinstance(value, list | tuple) else value


class PaperVersions(Versions):
    def __init__(self) -> None:
        self.written: dict[str, dict[int, Json]] = {}

    def of(self, order_id: str) -> dict[int, Json]:
        return self.written.get(order_id, {})


class PaperBooks:
    """The audit's Books, with what a test makes them say."""

    def __init__(self) -> None:
        self.paper = PaperChain()
        self.orders: dict[str, Json] = {}
        self.versions = PaperVersions()
        self.counted: dict[str, int] | None = None
        self.cancelled: set[str] = set()
        self.wallet = WALLET
        self.tokens = {token.text: {"mint": token.mint} for token in (SOL, USDC, JUP)}
        self.audit = Audit(self)

    @property
    def chain(self) -> ChainRecords:
        return self.paper

    def stored_orders(self) -> dict[str, Json]:
        return self.orders

    def counters(self) -> dict[str, int]:
        if self.counted is not None:
            return self.counted
        spent = sum(fees["lamports"] for order in self.orders.values() for fees in order.get("feesPaid", ()))
        return {f"fees#2025-10-09#{scope}": spent for scope in ("account#local", "global") if spent}

    def write(self, order: Order) -> Order:
        """The order's next version, as the store makes it."""
        written = as_written(order)
        item = _as_read(order_to_item(written, pack=False))
        self.versions.written.setdefault(order.order_id, {})[written.revision] = item
        self.orders[order.order_id] = copy.deepcopy(item)
        return written

    def findings(self) -> list[str]:
        return self.audit.close(set(self.orders), cancelled=self.cancelled).faults


def placed(books: PaperBooks, order_id: str = "order-1") -> Order:
    """An order that is good for a minute, for 1480 USDC at least."""
    terms = replace(new_order(order_id), history=(), min_out=1_480_000_000, expires_at_ms=DEADLINE_MS, asked=ASKED)
    return books.write(place(terms))


def signed(books: PaperBooks, order: Order, route: tuple[Leg, ...] = ONE_POOL) -> Order:
    """The order's next attempt until its transaction is stored."""
    now_ms = max(order.updated_at_ms, order.retry_at_ms)
    order = books.write(start_attempt(order, now_ms + 10))
    order = choose_route(fix_floor(order, QUOTED_OUT), route, QUOTED_OUT, now_ms + 20)
    order = books.write(reserve(order, None, NetworkFees("2025-10-09", 12_000)))
    submission = replace(a_submission(), signature=f"{order.order_id}/{order.attempt}")
    return books.write(sign(order, submission, now_ms + 30))


def memo_of(order: Order) -> str:
    return f"[40] fillrate:{order.order_id}:{order.attempt}"


def reverted(books: PaperBooks, order: Order) -> Order:
    """Its transaction landed with an error, and another attempt follows."""
    assert order.tx_hash is not None
    books.paper.land(order.tx_hash, memo_of(order), succeeds=False)
    paid = pay_fees(order, FEE, order.updated_at_ms + 10)
    return books.write(fail_attempt(paid, "it moved", "SLIPPAGE_EXCEEDED", order.updated_at_ms + 10, retry=True))


def filled(books: PaperBooks, order: Order, paid: int = PAID, between: int = 0) -> Order:
    assert order.tx_hash is not None
    books.paper.land(order.tx_hash, memo_of(order), paid=paid, between=between)
    order = pay_fees(order, FEE, order.updated_at_ms + 10)
    left = (Leftover(JUP, between),) if between else ()
    return books.write(fill(order, paid, order.updated_at_ms + 10, left))


@pytest.fixture
def books() -> PaperBooks:
    return PaperBooks()


@pytest.fixture
def confirmed(books: PaperBooks) -> PaperBooks:
    """One order, filled at its second attempt; the first landed with an error."""
    filled(books, signed(books, reverted(books, signed(books, placed(books)))))
    return books


@pytest.fixture
def cancelled(books: PaperBooks) -> PaperBooks:
    """One order, whose first attempt landed with an error, cancelled before it was signed again."""
    order = reverted(books, signed(books, placed(books)))
    books.write(cancel(order, order.updated_at_ms + 10))
    books.cancelled = {"order-1"}
    return books


@pytest.fixture
def expired(books: PaperBooks) -> PaperBooks:
    """One order, whose transaction landed with an error, and whose deadline came then."""
    order = signed(books, placed(books))
    assert order.tx_hash is not None
    books.paper.land(order.tx_hash, memo_of(order), succeeds=False)
    books.write(expire(pay_fees(order, FEE, DEADLINE_MS + 5), DEADLINE_MS + 5, "it moved"))
    return books


def test_books_that_agree_have_no_findings(books: PaperBooks) -> None:
    filled(books, signed(books, placed(books, "filled")))
    filled(books, signed(books, placed(books, "two-hops"), TWO_HOPS), between=LEFT_BETWEEN)
    filled(books, signed(books, reverted(books, signed(books, placed(books, "second-attempt")))))
    waiting = placed(books, "cancelled")
    books.write(cancel(waiting, CREATED_AT_MS + 10))
    books.write(expire(placed(books, "expired"), DEADLINE_MS))
    retried = reverted(books, signed(books, reverted(books, signed(books, placed(books, "failed")))))
    books.write(fail_attempt(start_attempt(retried, retried.retry_at_ms), "none", "NO_POOL", DEADLINE_MS, retry=False))
    findings = books.audit.close(books.orders, cancelled={"cancelled"})
    assert findings.faults == []
    assert findings.orders == {"confirmed": 3, "cancelled": 1, "expired": 1, "failed": 1}
    assert (findings.landed, findings.landed_with_error, findings.stuck, findings.double) == (3, 3, 0, 0)
    assert books.paper.slots > 0, "what might still land has had its time"


@pytest.mark.parametrize("state", ["confirmed", "cancelled", "expired"])
def test_each_of_the_orders_that_mistakes_are_planted_in_is_clean_without(
    state: str, request: pytest.FixtureRequest
) -> None:
    books: PaperBooks = request.getfixturevalue(state)
    assert books.findings() == []


Plant = Callable[[PaperBooks, Json], object]


def step(order: Json, status: str) -> Json:
    """The last step of that status."""
    return next(one for one in reversed(order["history"]) if one["status"] == status)


def version(books: PaperBooks, **fields: object) -> None:
    """The order's version in the middle of its life said this."""
    versions = books.versions.written["order-1"]
    versions[sorted(versions)[len(versions) // 2]].update(fields)


def swapped_again(books: PaperBooks, order: Json) -> None:
    books.paper.land("another", f"fillrate:{order['orderId']}:{order['retryCount'] + 1}")


# What is wrong, in an order that ended so, and what the audit says of it.
MISTAKES: list[tuple[str, str, str, Plant]] = [
    # once, true, told, final
    ("an accepted order is gone", "confirmed", "and is not stored", lambda books, order: books.orders.clear()),
    ("a swap twice", "confirmed", "was swapped 2 times", swapped_again),
    (
        "a fill that never was",
        "cancelled",
        "and 0 of its swaps",
        lambda books, order: order.update(state="confirmed", amountOut=1),
    ),
    (
        "another's txHash",
        "confirmed",
        "and order-1/2 landed",
        lambda books, order: order.update(txHash="signature-9"),
    ),
    ("an amountOut that isn't true", "confirmed", "besides", lambda books, order: order.update(amountOut=PAID + 1)),
    (
        "an attempt that isn't told",
        "confirmed",
        "doesn't tell of order-1/1",
        lambda books, order: order.update(pastSignatures=[]),
    ),
    (
        "a transaction of nobody",
        "confirmed",
        "is of no order",
        lambda books, order: books.paper.land("stray", "", succeeds=False),
    ),
    ("an order that never ends", "expired", "is stuck", lambda books, order: order.update(state="routing")),
    (
        "a history with a gap",
        "confirmed",
        "its history has a gap",
        lambda books, order: step(order, "confirmed").update(seq=99),
    ),
    (
        "a history that runs backwards",
        "confirmed",
        "runs backwards",
        lambda books, order: step(order, "confirmed").update(atMs=CREATED_AT_MS),
    ),
    (
        "a cancellation after the signing",
        "cancelled",
        "its life was PRBSX",
        lambda books, order: order["history"].remove(step(order, "failed")),
    ),
    ("a death counted as attempt", "confirmed", "retryCount is 2", lambda books, order: order.update(retryCount=2)),
    (
        "a terminal order that is written again",
        "confirmed",
        "was cancelled and was written again",
        lambda books, order: books.versions.written["order-1"][max(books.versions.of("order-1"))].update(
            state="cancelled"
        ),
    ),
    # the books
    (
        "tokens that are gone",
        "confirmed",
        f"of {USDC.mint}, the orders say",
        lambda books, order: books.paper.balances.update({USDC.mint: 1}),
    ),
    (
        "fees that a fill doesn't tell",
        "confirmed",
        "says that it paid 5073 lamports of fees, and it paid 10146",
        lambda books, order: order["feesPaid"].pop(),
    ),
    (
        "fees that a cancelled order doesn't tell",
        "cancelled",
        "says that it paid 0 lamports of fees, and it paid 5073",
        lambda books, order: order["feesPaid"].clear(),
    ),
    (
        "fees that an expired order doesn't tell",
        "expired",
        "says that it paid 1 lamports of fees, and it paid 5073",
        lambda books, order: order.update(feesPaid=[{"day": "2025-10-09", "lamports": 1}]),
    ),
    (
        "a counter that drifted",
        "confirmed",
        "the counters stand at",
        lambda books, order: setattr(books, "counted", {"open#global": 1}),
    ),
    # the client's terms: the floor
    (
        "a floor under what the client asked for",
        "confirmed",
        "and its client asked for 1499000000 at least",
        lambda books, order: order["asked"].update(minOut="1499"),
    ),
    (
        "a floor under what the slippage leaves",
        "confirmed",
        "its slippage leaves 1485000990",
        lambda books, order: order.update(firstQuotedOut=QUOTED_OUT + 1_000),
    ),
    (
        "another slippage",
        "confirmed",
        "its client asked for another",
        lambda books, order: order["asked"].update(slippage="0.005"),
    ),
    (
        "a floor that fell from one step to the next",
        "confirmed",
        "its floor fell from 1490000000 to 1485000000",
        lambda books, order: step(order, "building")["detail"].update(min_out=1_490_000_000),
    ),
    (
        "a step that tells another floor",
        "confirmed",
        "its steps told the floors",
        lambda books, order: step(order, "building")["detail"].update(min_out=1_481_000_000),
    ),
    (
        "a floor that fell between two writes",
        "confirmed",
        "its floor moved from 1486000000 to 1485000000",
        lambda books, order: version(books, minOut=1_486_000_000),
    ),
    (
        "a first quote that is not the first",
        "confirmed",
        "its first quote changed",
        lambda books, order: version(books, firstQuotedOut=1),
    ),
    # the deadline
    ("no deadline", "confirmed", "has no deadline", lambda books, order: order.pop("expiresAtMs")),
    (
        "another deadline than was asked for",
        "confirmed",
        "its client asked for 2025-10-09T08:54:21.000Z",
        lambda books, order: order["asked"].update(expiresAt="2025-10-09T08:54:21.000Z"),
    ),
    (
        "a deadline that moved",
        "confirmed",
        "its expiresAtMs became",
        lambda books, order: version(books, expiresAtMs=DEADLINE_MS + 1),
    ),
    (
        "a transaction signed at the deadline",
        "confirmed",
        "was signed 0 ms after its deadline",
        lambda books, order: order.update(expiresAtMs=step(order, "submitted")["atMs"]),
    ),
    (
        "an attempt begun after the deadline",
        "confirmed",
        "began an attempt 1 ms after its deadline",
        lambda books, order: order.update(expiresAtMs=step(order, "routing")["atMs"] - 1),
    ),
    (
        "an end before the deadline",
        "expired",
        "expired 1 ms before its deadline",
        lambda books, order: step(order, "expired").update(atMs=DEADLINE_MS - 1),
    ),
    # the cancellation
    ("a cancelled order that landed", "cancelled", "order-1 is cancelled, and another swapped", swapped_again),
    ("an expired order that landed", "expired", "order-1 is expired, and another swapped", swapped_again),
    (
        "a cancelled attempt that landed with an error",
        "cancelled",
        "of the attempt that was cancelled landed",
        lambda books, order: books.paper.land("another", "fillrate:order-1:2", succeeds=False),
    ),
    (
        "a cancelled order that may still be sent",
        "cancelled",
        "is stored and may be sent",
        lambda books, order: order.update(submission={"signature": "another"}),
    ),
    (
        "a transaction that was stored once and of which nothing is told",
        "cancelled",
        "nobody saw the end of another",
        lambda books, order: version(books, submission={"signature": "another"}),
    ),
    (
        "a cancellation that was told and isn't true",
        "confirmed",
        "its client was told that it is cancelled",
        lambda books, order: books.cancelled.add("order-1"),
    ),
    # the tokens and the names
    ("another token", "confirmed", "its mintOut became", lambda books, order: version(books, mintOut=JUP.mint)),
    ("another amount", "confirmed", "its amount became", lambda books, order: version(books, amount=1)),
    (
        "two orders of one clientOrderId",
        "confirmed",
        "local's mine names 2 orders",
        lambda books, order: [
            order.update(clientOrderId="mine"),
            books.orders.update({"order-2": {**copy.deepcopy(order), "orderId": "order-2"}}),
        ],
    ),
    (
        "a redrive with a lower floor",
        "confirmed",
        "order-2 has a lower floor than order-1",
        lambda books, order: books.orders.update(
            {"order-2": {**copy.deepcopy(order), "orderId": "order-2", "redriveOf": "order-1", "minOut": 1}}
        ),
    ),
    (
        "a redrive of other tokens",
        "confirmed",
        "order-2 trades other tokens than order-1",
        lambda books, order: books.orders.update(
            {"order-2": {**copy.deepcopy(order), "orderId": "order-2", "redriveOf": "order-1", "mintOut": JUP.mint}}
        ),
    ),
]


@pytest.mark.parametrize(
    ("state", "finding", "plant"), [pytest.param(*mistake[1:], id=mistake[0]) for mistake in MISTAKES]
)
def test_the_audit_finds(state: str, finding: str, plant: Plant, request: pytest.FixtureRequest) -> None:
    books: PaperBooks = request.getfixturevalue(state)
    plant(books, books.orders["order-1"])
    assert [fault for fault in books.audit.close({"order-1"}, cancelled=books.cancelled).faults if finding in fault]


def test_the_audit_finds_a_fill_under_the_floor(books: PaperBooks) -> None:
    filled(books, signed(books, placed(books)), paid=1_484_999_999)
    assert books.findings() == ["order-1: order-1/1 paid 1484999999, and its floor is 1485000000"]


def test_a_limit_that_its_client_lowers_lowers_its_floor_and_nothing_else_does(books: PaperBooks) -> None:
    limit = replace(
        new_order("limit"),
        type="limit",
        limit_price="150",
        history=(),
        min_out=1_500_000_000,
        expires_at_ms=DEADLINE_MS,
    )
    waits = books.write(place(replace(limit, asked={"limitPrice": "150"})))
    lowered = books.write(changed(waits, OrderChanges(limit_price="149"), CREATED_AT_MS + 10))
    books.write(cancel(lowered, CREATED_AT_MS + 20))
    books.cancelled = {"limit"}
    assert books.findings() == []
    books.orders["limit"]["history"][1]["detail"]["limit_price"] = "150"
    assert "limit: its floor fell from 1500000000 to 1490000000" in books.findings()


@pytest.mark.parametrize("floor", [1_500_000_000, 1_499_999_999])
def test_an_oco_that_its_limit_set_off_has_its_limit_as_floor_however_it_ends(books: PaperBooks, floor: int) -> None:
    oco = replace(
        new_order("oco"),
        type="oco",
        limit_price="150",
        stop_price="140",
        history=(),
        min_out=None,
        expires_at_ms=DEADLINE_MS,
    )
    waits = books.write(place(replace(oco, asked={"limitPrice": "150", "stopPrice": "140"})))
    set_off = books.write(triggered(waits, TriggerKind.LIMIT, 1_700_000_000, 7, CREATED_AT_MS + 10))
    books.write(cancel(replace(set_off, min_out=floor), CREATED_AT_MS + 20))
    books.cancelled = {"oco"}
    wrong = f"oco: its floor is {floor}, and its limit price asks for 1500000000"
    assert books.findings() == ([] if floor == 1_500_000_000 else [wrong])


def test_the_audit_finds_something_left_between_hops_that_the_order_doesnt_tell(books: PaperBooks) -> None:
    filled(books, signed(books, placed(books), TWO_HOPS), between=LEFT_BETWEEN)
    del books.orders["order-1"]["leftover"]
    assert f"order-1 doesn't tell of {LEFT_BETWEEN} of {JUP.mint} that are left over" in books.findings()


def test_what_went_by_to_the_table_reads_as_what_lies_there() -> None:
    """Bytes are base64 in DynamoDB's JSON, and boto3 has decoded them."""
    on_its_way = {"quotes": {"B": "AP8="}, "legs": {"L": [{"M": {"amount": {"N": "7"}, "key": {"B": "AQ=="}}}]}}
    stored = {"quotes": {"B": b"\x00\xff"}, "legs": {"L": [{"M": {"amount": {"N": "7"}, "key": {"B": b"\x01"}}}]}}
    assert plain(on_its_way) == plain(stored) == {"quotes": b"\x00\xff", "legs": [{"amount": 7, "key": b"\x01"}]}
