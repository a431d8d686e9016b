"""A chain, a market and a worker's death, small enough to be seen through: what execution must keep its promises on.

Time is one clock that only tests move. A block comes with each settling. A transaction that was sent lands if the
network carries it, and can land no more once the height has passed its last valid one.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from chalicelib.orders.execution import (
    Execution,
    Fate,
    Landed,
    LandedFailed,
    NeverLands,
    PlannedSwap,
    Revocations,
    Risk,
    Starting,
    Undecided,
)
from chalicelib.orders.life import refuse_after_deadline
from chalicelib.orders.order import HistoryStep, Leftover, Order
from chalicelib.orders.outage import Outages
from chalicelib.orders.ports import OrderFilter, OrderPage, Orders
from chalicelib.orders.starts import InLine
from chalicelib.orders.states import LEGAL, State, Status
from chalicelib.problems import ExecutionError, RpcRefused, RpcUnavailable, SlippageExceeded, TransactionExpired
from chalicelib.risk.controls import Controls
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import Exposure, Limits, LimitsInForce
from chalicelib.risk.network_fees import FeeRange
from chalicelib.solana.signed_transaction import SignedTransaction
from tests.sample_orders import CREATED_AT_MS, QUOTED_OUT, ROUTE

LEASE_MS = 25_000
# For how long a worker watches a transaction.
WATCH_MS = 10_000
AMOUNT_OUT = 1_498_765_432
EXPOSURE = Exposure(value=1_500_000_000, price_impact_ppm=1_000, deviation_ppm=0)
# What a transaction takes, and may take.
FEE = 5_073
FEES = FeeRange(5_000, 12_000)
# Blocks that a signed transaction may wait for.
BLOCKHASH_LIFE = 3


class Network(Enum):
    """What becomes of one settling's broadcast."""

    CARRIES = auto()
    # dropped on the way: the sender can't tell it from a slow one
    DROPS = auto()
    # lands, but nobody is told yet
    HIDES = auto()
    # lands with the program's error
    REVERTS = auto()
    # the node doesn't answer, whether or not it got the transaction
    SILENT = auto()
    SILENT_BUT_CARRIES = auto()
    # carried, but the node refuses to tell about it
    REFUSES_TO_TELL = auto()


class Killed(BaseException):
    """The worker's process ends here: no `except Exception` runs, nothing is cleaned up."""


@dataclass
class Chain:
    """What lies in blocks, and what may still come into one."""

    height: int = 100
    landed: dict[str, Order | None] = field(default_factory=dict)  # None: with an error
    paid: dict[str, int] = field(default_factory=dict)  # what each swap that landed paid
    sent: dict[str, SignedTransaction] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)  # order id by signature

    def send(self, order: Order, submission: SignedTransaction, network: Network, pays: int = AMOUNT_OUT) -> None:
        """A swap lands that the network carries; the program refuses it where the market pays less than its floor."""
        self.sent[submission.signature] = submission
        self.orders[submission.signature] = order.order_id
        if submission.signature in self.landed or self.height > submission.last_valid_block_height:
            return
        if network in (Network.CARRIES, Network.HIDES, Network.SILENT_BUT_CARRIES, Network.REFUSES_TO_TELL):
            under_floor = order.min_out is not None and pays < order.min_out
            self.landed[submission.signature] = None if under_floor else order
            if not under_floor:
                self.paid[submission.signature] = pays
        elif network is Network.REVERTS:
            self.landed[submission.signature] = None

    def may_land(self, signature: str) -> bool:
        """Whether it is sent, in no block yet, and not expired."""
        return signature not in self.landed and self.height <= self.sent[signature].last_valid_block_height

    def signatures_of(self, order_id: str) -> list[str]:
        """The order's transactions that were sent."""
        return [signature for signature, of in self.orders.items() if of == order_id]

    def swaps_of(self, order_id: str) -> list[str]:
        """The order's transactions that took effect. More than one would be the user's money."""
        return [
            signature for signature, order in self.landed.items() if order is not None and order.order_id == order_id
        ]


class FreeRein:
    """An operator who lets everything through."""

    def halt_of(self, account: str) -> Halt | None:
        return None

    def limits_for(self, account: str) -> LimitsInForce:
        return LimitsInForce(Limits(), Limits())

    def counted_limits_for(self, account: str) -> LimitsInForce:
        return self.limits_for(account)

    def controls_for(self, account: str) -> Controls:
        return Controls(self.halt_of(account), self.limits_for(account))


class BadLuck:
    """Outages where nobody else works: whatever fails is this order's failure."""

    def failed(self, now_ms: int) -> int | None:
        return None

    def answered(self, now_ms: int) -> None:
        pass


@dataclass
class World:
    """One order's surroundings. `network` and `market` are scripts, one entry for each settling and each planning."""

    store: Orders
    chain: Chain = field(default_factory=Chain)
    now_ms: int = CREATED_AT_MS
    network: deque[Network] = field(default_factory=deque)
    market: deque[ExecutionError | None] = field(default_factory=deque)
    building: deque[ExecutionError | None] = field(default_factory=deque)
    # called with the name of each point that a worker passes; may raise Killed, or play someone else's part
    at_point: Callable[[str], None] = lambda point: None
    built: int = 0
    risk: Risk = field(default_factory=FreeRein)
    keys: Revocations = field(default_factory=lambda: NoneRevoked())
    starts: Starting = field(default_factory=lambda: AnyTime())
    outages: Outages = field(default_factory=BadLuck)
    exposure: Exposure = EXPOSURE
    quoted_out: int = QUOTED_OUT  # what the market is quoted to pay now
    amount_out: int = AMOUNT_OUT  # what a swap that lands now is paid
    leftover: tuple[Leftover, ...] = ()
    slot_delta: int | None = None  # how many slots after it was sent a swap lands, where that is told

    def worker(self) -> Execution:
        """A fresh process."""
        return Execution(
            MortalStore(self),
            ModelTrader(self),
            self.starts,
            self.outages,
            self.risk,
            lambda: self.now_ms,
            LEASE_MS,
            new_nonce=secrets.token_hex,
            keys=self.keys,
        )

    def stored(self, order_id: str) -> Order:
        order = self.store.load(order_id)
        assert order is not None, f"no order {order_id} is stored"
        return order


class NoneRevoked:
    """Keys of which all may be used."""

    def is_revoked(self, key_id: str) -> bool:
        return False


class AnyTime:
    """Starts where nobody else wants to start."""

    def take(self, order: Order) -> InLine | None:
        return None

    def leave(self, order_id: str) -> None:
        pass

    def withdraw(self, order: Order) -> None:
        pass

    def line_up(self, order: Order) -> bool:
        return True

    def estimate(self, account: str, now_ms: int) -> int:
        return now_ms

    def moved(self) -> Iterable[tuple[str, int]]:
        return ()


class MortalStore:
    """The world's Orders, in a process that may die just before or just after each step is written."""

    def __init__(self, world: World) -> None:
        self._world = world

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        return self._world.store.create(order, limits)

    def load(self, order_id: str) -> Order | None:
        return self._world.store.load(order_id)

    def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
        self._world.at_point(f"before writing {order.state}")
        written = self._world.store.replace(order, limits)
        self._world.at_point(f"after writing {order.state}")
        return written

    def called(self, account: str, client_order_id: str) -> Order | None:
        return self._world.store.called(account, client_order_id)

    def overdue(self, before_ms: int, limit: int) -> Iterable[Order]:
        return self._world.store.overdue(before_ms, limit)

    def look_again_at(self, order: Order, due_at_ms: int, *, is_late: bool) -> bool:
        return self._world.store.look_again_at(order, due_at_ms, is_late=is_late)

    def page(self, account: str, keep: OrderFilter, limit: int, cursor: str | None) -> OrderPage:
        return self._world.store.page(account, keep, limit, cursor)


class ModelTrader:
    """The market and the chain as a worker sees them; keeps watch over the rules that no worker may break."""

    def __init__(self, world: World) -> None:
        self._world = world

    def plan(self, order: Order) -> PlannedSwap:
        self._world.at_point("planning")
        self._nothing_may_still_land(order)
        self._raise_next(self._world.market)
        return PlannedSwap(ROUTE, self._world.quoted_out, self._build, self._world.exposure, FEES)

    def watch_ms(self) -> int:
        return WATCH_MS

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        self._world.at_point("before sending")
        stored = self._world.stored(order.order_id)
        assert stored.submission == submission or stored.is_terminal, "sent before it was stored"
        assert not self._others_that_landed_or_may(order, submission.signature), "a second transaction is sent"
        network = self._world.network.popleft() if self._world.network else Network.CARRIES
        self._world.chain.send(order, submission, network, self._world.amount_out)
        self._world.at_point("after sending")
        fate = self._fate(submission, network)
        self._world.chain.height += 1
        return fate

    def _build(self, order: Order) -> SignedTransaction:
        self._world.at_point("before signing")
        assert order.min_out is not None, "the floor is fixed before anything is signed"
        assert order.fees_reserved is not None, "the fee is reserved before anything is signed"
        self._nothing_may_still_land(order)
        self._raise_next(self._world.building)
        refuse_after_deadline(order, self._world.now_ms)
        self._world.built += 1
        number = self._world.built
        submission = SignedTransaction(
            f"signature-{number}", bytes([number]), "blockhash", self._world.chain.height + BLOCKHASH_LIFE
        )
        self._world.at_point("after signing")
        return submission

    def _fate(self, submission: SignedTransaction, network: Network) -> Fate:
        chain, signature = self._world.chain, submission.signature
        if network in (Network.SILENT, Network.SILENT_BUT_CARRIES):
            raise RpcUnavailable("the Solana node can't be reached")
        if network is Network.REFUSES_TO_TELL:
            raise RpcRefused("getTransaction", -32015, "transaction version is not supported")
        if network is Network.HIDES:
            return Undecided()
        if signature in chain.landed:
            reverted = chain.landed[signature] is None
            if reverted:
                return LandedFailed(SlippageExceeded("the program refused"), network_fee=FEE)
            return Landed(
                chain.paid[signature], self._world.leftover, network_fee=FEE, slot_delta=self._world.slot_delta
            )
        if chain.height > submission.last_valid_block_height:
            return NeverLands(TransactionExpired("it never landed"))
        return Undecided()

    def _nothing_may_still_land(self, order: Order) -> None:
        if self._world.stored(order.order_id).lease != order.lease:
            return  # a worker that was overtaken doesn't know it yet; it is its sending that must not happen
        assert not self._others_that_landed_or_may(order, None), "another may still land"

    def _others_that_landed_or_may(self, order: Order, signature: str | None) -> list[str]:
        chain = self._world.chain
        return [
            other
            for other, order_id in chain.orders.items()
            if order_id == order.order_id
            and other != signature
            and (chain.may_land(other) or other in chain.swaps_of(order_id))
        ]

    def _raise_next(self, script: deque[ExecutionError | None]) -> None:
        error = script.popleft() if script else None
        if error is not None:
            raise error


# Every point at which a worker of one attempt may die, in the order in which it passes them.
POINTS = [
    "before writing routing",
    "after writing routing",
    "planning",
    "before writing building",
    "after writing building",
    "before signing",
    "after signing",
    "before writing submitted",
    "after writing submitted",
    "before sending",
    "after sending",
    "before writing confirmed",
    "after writing confirmed",
]


def kill_at(point: str, occurrence: int = 1) -> Callable[[str], None]:
    """Ends the worker when it passes `point` for the nth time; others live."""
    left = occurrence

    def at_point(passed: str) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left == 0:
                raise Killed(point)

    return at_point


def assert_legal(history: Iterable[HistoryStep]) -> None:
    """Each step follows from the one before by the table, without a gap and without going back in time."""
    changes = list(history)
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    assert [change.at_ms for change in changes] == sorted(change.at_ms for change in changes)
    assert changes[0].status in (Status.PENDING, Status.OPEN)
    state = State(changes[0].status.value)
    for change in changes[1:]:
        follows = {to for (source, _), to in LEGAL.items() if source is state}
        (state,) = {to for to in follows if _looks_like(change, to)}


def _looks_like(change: HistoryStep, state: State) -> bool:
    if change.status is not Status.FAILED:
        return change.status.value == state.value
    return state is (State.FAILED if change.terminal else State.RETRYING)
