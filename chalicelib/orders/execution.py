"""One attempt at an order, resumable at every step.

Each step is one conditional write to the order. Whoever comes to an order with a stored transaction that is still
undecided goes on with that one and never builds another: only a transaction that can't land any more ends an attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.amounts import sol_text
from chalicelib.log import logger
from chalicelib.orders.endings import log_post_mortem
from chalicelib.orders.life import (
    Leased,
    choose_route,
    claim,
    draw_nonce,
    expire,
    fail_attempt,
    fill,
    fix_floor,
    hold_until,
    is_past_deadline,
    leave_out,
    pay_fees,
    queue,
    refuse_after_deadline,
    refuse_leased,
    release,
    reserve,
    sign,
    start_attempt,
)
from chalicelib.orders.order import Leftover, Leg, Offer, Order
from chalicelib.orders.outage import Outages
from chalicelib.orders.ports import Orders, StaleOrder
from chalicelib.orders.recovery import BEFORE_DEADLINE_MS
from chalicelib.orders.starts import InLine
from chalicelib.orders.states import State
from chalicelib.orders.triggers import DEFAULT_TRIES, may_wait_on, returned
from chalicelib.orders.turns import TOLD_AGAIN_MS, Waiting
from chalicelib.problems import (
    AllNodesDown,
    DayIsFull,
    ExecutionError,
    Halted,
    InsufficientBalance,
    KeyRevoked,
    OrderExpired,
    PriceDeviation,
    RpcUnavailable,
    SlippageExceeded,
    TransientError,
)
from chalicelib.risk.controls import Controls
from chalicelib.risk.counters import GLOBAL, CounterFull, NetworkFees, Notional, day_of
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import (
    Exposure,
    LimitsInForce,
    ReferenceCurrency,
    SwapTerms,
    check_own_price_impact,
    check_plan,
)
from chalicelib.risk.network_fees import FeeRange, most_network_fee
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.simulation import VersionRefused

UNDECIDED_AGAIN_MS = 1000
# A worker that has watched for as long as it may still has a fill to read, and a write to make.
WATCH_MARGIN_MS = 2_000
# A deadline that is further away than this the sweeper, which comes each minute, sees to in time.
_SWEPT_MS = BEFORE_DEADLINE_MS + 60_000


@dataclass(frozen=True, slots=True)
class PlannedSwap:
    """The best route now, what it is quoted to pay, the builder of its signed transaction, what it risks, its fees.

    `build` is given the order as it is stored, whose floor and whose reserved fees the transaction must keep; it raises
    VersionRefused where the cluster takes no transaction that has room for the route, which another plan knows.
    `otherwise` are the next best ways, where the wallet can't lend this one's rent.
    """

    route: tuple[Leg, ...]
    quoted_out: int
    build: Callable[[Order], SignedTransaction]
    exposure: Exposure
    fees: FeeRange
    offers: tuple[Offer, ...] = ()  # every pool's, best first
    otherwise: tuple[PlannedSwap, ...] = ()


@dataclass(frozen=True, slots=True)
class Landed:
    """The transaction is in the chain, where the cluster settles its blocks, and paid `amount_out` base units.

    `network_fee` is what the network and a lane took for it, in lamports. `slot_delta`: how many slots after it was
    sent first it landed, None where that isn't known.
    """

    amount_out: int
    leftover: tuple[Leftover, ...] = ()
    network_fee: int = field(default=0, kw_only=True, compare=False)
    slot_delta: int | None = field(default=None, kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class LandedFailed:
    """The transaction is in the chain and changed nothing but the fee, `network_fee` lamports."""

    reason: ExecutionError
    network_fee: int = field(default=0, kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class Undecided:
    """The transaction may still land."""


@dataclass(frozen=True, slots=True)
class NeverLands:
    """The transaction isn't in the chain and can't come into it any more."""

    reason: ExecutionError


Fate = Landed | LandedFailed | Undecided | NeverLands


class Trader(Protocol):
    """What an attempt needs of the market and of the chain."""

    def plan(self, order: Order) -> PlannedSwap:
        """Read the market and choose the route. Raises ExecutionError."""

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        """Send the stored bytes, as often as need be, and watch for a while. Raises ExecutionError: undecided too."""

    def watch_ms(self) -> int:
        """How long `settle` watches at most."""


class Starting(Protocol):
    """Lets orders be worked on in their turn."""

    def take(self, order: Order) -> InLine | None:
        """A place for an order that is to be worked on, and a start slot if it starts; InLine where it must wait."""

    def leave(self, order_id: str) -> None:
        """The order's place is free. Never raises AwsError."""

    def withdraw(self, order: Order) -> None:
        """The order ended while it waited. Never raises AwsError."""


class Risk(Protocol):
    """What the operator lets through."""

    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now."""

    def controls_for(self, account: str) -> Controls:
        """That, and what holds for the account's orders now."""


class Revocations(Protocol):
    """The keys that place orders."""

    def is_revoked(self, key_id: str) -> bool:
        """Whether the key of that public name was revoked, and not merely replaced by another."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to do for this order."""

    order: Order


@dataclass(frozen=True, slots=True)
class ComeBack:
    """The order wants another delivery in `in_ms`."""

    in_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Waits:
    """The order is in line for its start, or waits for its price: a message of its own comes when it is its turn.

    `instead`: whose turn it is meanwhile, and that this worker is to work on that order.
    """

    instead: Waiting | None = None


class UnknownOrder(Exception):
    """A message about an order that isn't stored."""


class Execution:
    """`currency` is what orders are valued in; `new_nonce` gives another random text each time."""

    def __init__(
        self,
        store: Orders,
        trader: Trader,
        starts: Starting,
        outages: Outages,
        risk: Risk,
        now_ms: Callable[[], int],
        lease_ms: int,
        currency: ReferenceCurrency = ReferenceCurrency(),  # noqa: B008 - immutable
        *,
        new_nonce: Callable[[], str],
        keys: Revocations,
    ) -> None:
        self._store = store
        self._trader = trader
        self._starts = starts
        self._outages = outages
        self._risk = risk
        self._now_ms = now_ms
        self._lease_ms = lease_ms
        self._new_nonce = new_nonce
        self._keys = keys
        self._currency = currency

    def run(self, order_id: str, owner: str) -> Finished | ComeBack | Waits:
        """Carry the order as far as one invocation can. `owner` names this invocation and no other.

        Raises UnknownOrder.
        """
        while True:
            order = self._store.load(order_id)
            if order is None:
                raise UnknownOrder(order_id)
            if order.is_terminal:
                self._starts.leave(order_id)  # it may have ended between its turn and now
                return Finished(order)
            now_ms = self._now_ms()
            try:
                # whoever holds it: nothing that is not stored may be sent, and a stored transaction's fate comes first
                if is_past_deadline(order, now_ms) and order.state is not State.SUBMITTED:
                    return self._expire_in_line(order)
                if order.state is State.OPEN:
                    return self._leave_open(order, now_ms)
                stop, limits = self._stop_and_limits(order)
                if stop is None and order.state is State.RETRYING and order.retry_at_ms > now_ms:
                    return _come_back(order, order.retry_at_ms - now_ms, now_ms, "backing off")
                refuse_leased(order, owner, now_ms)
                if stop is not None:
                    with self._giving_its_place_back(order_id):
                        return self._after_failure(claim(order, owner, now_ms, self._lease_ms), stop)
                in_line = self._starts.take(order)
                if in_line is not None:
                    return self._wait(order, in_line)
                with self._giving_its_place_back(order_id):
                    return self._carry_on(self._take(order, owner, self._now_ms()), limits)
            except Leased as leased:
                return _come_back(order, leased.until_ms - now_ms, now_ms, "another worker has it")
            except (StaleOrder, OrderExpired):
                continue  # cancelled, taken over, or its time passed meanwhile: look at what it is now

    @contextmanager
    def _giving_its_place_back(self, order_id: str) -> Iterator[None]:
        """A worker that dies gives nothing back: its place is free when its lease is."""
        try:
            yield
        except Exception:
            self._starts.leave(order_id)
            raise
        self._starts.leave(order_id)

    def _stop_and_limits(self, order: Order) -> tuple[Halted | KeyRevoked | None, LimitsInForce | None]:
        """What stops the order before it is worked on, and what it is held to: nothing of either once a transaction is
        stored, whose fate must be learnt.
        """
        if order.state is State.SUBMITTED:
            return None, None
        controls = self._risk.controls_for(order.account)
        return self._stopped(order, controls.halt), controls.limits

    def _stop_before(self, order: Order) -> Halted | KeyRevoked | None:
        """What stops the order at this moment."""
        return self._stopped(order, self._risk.halt_of(order.account))

    def _stopped(self, order: Order, halt: Halt | None) -> Halted | KeyRevoked | None:
        """What an operator has done that stops the order: thrown a kill switch, or revoked the key that placed it."""
        if halt is not None:
            return Halted(str(halt))
        if order.key_id is not None and self._keys.is_revoked(order.key_id):
            return KeyRevoked(f"the API key that placed this order, {order.key_id}, was revoked")
        return None

    def _wait(self, order: Order, in_line: InLine) -> Waits | ComeBack:
        """The client is told, unless it was told about the same. One message stays for a deadline that is near."""
        start_at_ms = in_line.start_at_ms
        if start_at_ms is not None and abs(start_at_ms - order.start_at_ms) > TOLD_AGAIN_MS:
            self._store.replace(queue(order, start_at_ms, self._now_ms()))
        now_ms = self._now_ms()
        if in_line.is_new and in_line.instead is None and is_past_deadline(order, now_ms + _SWEPT_MS):
            return _come_back(order, _SWEPT_MS, now_ms, "it waits for its turn")
        return Waits(in_line.instead)

    def _leave_open(self, order: Order, now_ms: int) -> Waits | ComeBack:
        """No worker has to do with an order that waits for its price. One message stays for a deadline that is near."""
        if is_past_deadline(order, now_ms + _SWEPT_MS):
            return _come_back(order, _SWEPT_MS, now_ms, "it waits for its price")
        return Waits()

    def _expire_in_line(self, order: Order) -> Finished:
        expired = self._expire(order)
        self._starts.withdraw(order)
        self._starts.leave(order.order_id)
        return expired

    def _take(self, order: Order, owner: str, now_ms: int) -> Order:
        if order.state is State.SUBMITTED:
            return self._store.replace(claim(order, owner, now_ms, self._watch_lease_ms()))
        taken = claim(order, owner, now_ms, self._lease_ms)
        # stored before it is used: whoever takes the attempt over builds with the same accounts
        return self._store.replace(start_attempt(draw_nonce(taken, self._new_nonce()), now_ms))

    def _watch_lease_ms(self) -> int:
        """How long a worker has an order whose transaction is stored: no longer than it watches.

        Two that send and watch the same bytes do no harm, and of their writes one counts. So if it dies, another comes
        while the transaction can still be sent.
        """
        return min(self._trader.watch_ms() + WATCH_MARGIN_MS, self._lease_ms)

    def _carry_on(self, order: Order, limits: LimitsInForce | None) -> Finished | ComeBack | Waits:
        """`limits` are those that the attempt began under; None where a transaction is stored."""
        unquoted = order
        try:
            if order.state is not State.SUBMITTED:
                assert limits is not None, "no transaction is stored"
                planned = self._trader.plan(order)
                order = fix_floor(order, planned.quoted_out)
                otherwise = _other_ways(planned, order)
                planned_anew = False
                while True:
                    order = unquoted = self._choose(order, planned, limits)
                    refuse_after_deadline(order, self._now_ms())
                    try:
                        submission = planned.build(order)
                        break
                    except VersionRefused:
                        if planned_anew:
                            raise
                        # the cluster takes less than was planned for, which is known by now
                        planned, planned_anew = self._trader.plan(order), True
                        otherwise = _other_ways(planned, order)
                    except InsufficientBalance:
                        if not otherwise:
                            raise
                        planned = otherwise.pop(0)
                self._outages.answered(self._now_ms())
                # as late as can be: what is not stored is never sent
                stop = self._stop_before(order)
                if stop is not None:
                    raise stop
                # stored before anything is sent: whoever comes after a crash asks for this transaction's fate
                now_ms = self._now_ms()
                signed = sign(order, submission, now_ms)
                order = self._store.replace(hold_until(signed, now_ms + self._watch_lease_ms()))
        except AllNodesDown as outage:
            if order.waits_for_price:
                return self._after_failure(order, outage)
            return self._wait_out(order, outage.retry_in_ms)
        except RpcUnavailable as error:
            wait_ms = self._outages.failed(self._now_ms())
            if wait_ms is None or order.waits_for_price:
                return self._after_failure(order, error)
            return self._wait_out(order, wait_ms)
        except PriceDeviation as error:
            # a quote at moved prices is none that the order's floor may follow from
            return self._after_failure(unquoted, error)
        except ExecutionError as error:
            return self._after_failure(order, error)
        return self._settle(order)

    def _wait_out(self, order: Order, in_ms: int) -> ComeBack:
        """Solana is out of reach, which is nothing about this order: it waits and keeps its attempts."""
        self._store.replace(release(order))
        return _come_back(order, in_ms, self._now_ms(), "no Solana node answers")

    def _choose(self, order: Order, planned: PlannedSwap, limits: LimitsInForce) -> Order:
        """Store the route, if it keeps within the limits, and its value and its fees in the day's sums with it.

        Raises SlippageExceeded, LimitExceeded, DayIsFull, PriceImpact, PriceDeviation, FeeTooHigh.
        """
        exposure = planned.exposure
        terms = SwapTerms(order.token_in.mint, order.token_out.mint, order.slippage_ppm)
        now_ms = self._now_ms()
        chosen = choose_route(order, planned.route, planned.quoted_out, now_ms, planned.offers)
        check_plan(limits, terms, exposure, self._currency)
        check_own_price_impact(order.max_price_impact_ppm, exposure)
        if not exposure.is_referenced:
            logger.warning("no other pool vouches for the price", pools=[leg.pool for leg in planned.route])
        most = most_network_fee(limits, order.max_network_fee, planned.fees, exposure, self._currency)
        today = day_of(now_ms)
        notional = None if exposure.value is None else Notional(today, exposure.value)
        try:
            return self._store.replace(reserve(chosen, notional, NetworkFees(today, most)), limits)
        except CounterFull as full:
            raise DayIsFull(self._day_is_full(full)) from None

    def _day_is_full(self, full: CounterFull) -> str:
        movement = full.movement
        assert movement.ceiling is not None, "only a ceiling makes it full"
        of_fees = movement.kind == "fees"
        text, may = (sol_text, "pay in network fees in") if of_fees else (self._currency.text, "trade in")
        whose = "all accounts together" if movement.scope == GLOBAL else "the account"
        over = full.stood_at + movement.by - movement.ceiling
        return (
            f"with {text(movement.by)} on top of {text(full.stood_at)}, the sum of {movement.day} (UTC) would be "
            f"{text(over)} more than {whose} may {may} a day, {text(movement.ceiling)}"
        )

    def _settle(self, order: Order) -> Finished | ComeBack | Waits:
        submission = order.submission
        assert submission is not None, "a submitted order has its transaction"
        try:
            fate = self._trader.settle(order, submission)
        except ExecutionError as error:
            # whatever the node says: it says it of a question about the transaction, not of the transaction
            logger.warning("the transaction's fate can't be read", error_code=error.code, error=str(error))
            fate = Undecided()
        match fate:
            case Landed(amount_out, leftover):
                paid = pay_fees(order, fate.network_fee, self._now_ms())
                return Finished(self._store.replace(fill(paid, amount_out, self._now_ms(), leftover, fate.slot_delta)))
            case LandedFailed(reason):
                return self._after_failure(pay_fees(order, fate.network_fee, self._now_ms()), reason)
            case NeverLands(reason):
                return self._after_failure(order, reason)
            case Undecided():
                self._store.replace(release(order))
                return ComeBack(UNDECIDED_AGAIN_MS, "its transaction may still land")

    def _expire(self, order: Order, last_error: str = "") -> Finished:
        expired = self._store.replace(expire(order, self._now_ms(), last_error))
        logger.info("order expired", attempts=order.retry_count, last_error=last_error)
        return Finished(expired)

    def _after_failure(self, order: Order, error: ExecutionError) -> Finished | ComeBack | Waits:
        """Only where the order's transaction, if it had one, can't land any more."""
        if is_past_deadline(order, self._now_ms()):
            return self._expire(order, "" if isinstance(error, OrderExpired) else str(error))
        refusing = _refusing_pools(order, error)
        for pool in refusing:
            order = leave_out(order, pool, str(error), error.code)
        if order.waits_for_price:
            return self._wait_again(order, error, is_of_a_pool=bool(refusing))
        # what one pool refuses for good another may fill
        retry = isinstance(error, TransientError) or bool(refusing)
        failed = self._store.replace(fail_attempt(order, str(error), error.code, self._now_ms(), retry=retry))
        if failed.is_terminal:
            log_post_mortem(failed)
            return Finished(failed)
        logger.warning("attempt failed", attempt=order.attempt, error_code=error.code, error=str(error))
        now_ms = self._now_ms()
        return _come_back(failed, failed.retry_at_ms - now_ms, now_ms, "backing off")

    def _wait_again(self, order: Order, error: ExecutionError, *, is_of_a_pool: bool) -> Finished | Waits:
        """Back to waiting for its price, whoever watches that: no message is needed. Or its end."""
        text, code = str(error), error.code
        tries = DEFAULT_TRIES if order.max_tries is None else order.max_tries
        ends = not is_of_a_pool and not may_wait_on(error)
        if not ends and order.submission is not None and order.signed_tries >= tries:
            ends, text, code = (
                True,
                f"{order.signed_tries + 1} transactions did not fill; {text}",
                SlippageExceeded.code,
            )
        if ends:
            failed = self._store.replace(fail_attempt(order, text, code, self._now_ms(), retry=False))
            log_post_mortem(failed)
            return Finished(failed)
        self._store.replace(returned(order, text, code, self._now_ms()))
        logger.info("order waits for its price again", error_code=code, error=text)
        return Waits()


def _other_ways(planned: PlannedSwap, order: Order) -> list[PlannedSwap]:
    """The plan's other ways that pay the order's floor."""
    return [way for way in planned.otherwise if way.quoted_out >= (order.min_out or 0)]


def _refusing_pools(order: Order, error: ExecutionError) -> tuple[str, ...]:
    """The pool of the order's route that refused the attempt, where one pool did; or those whose prices were moved.

    That a pool pays less than its floor is the market's doing. But the floor of the first of two hops is its quote,
    whatever slippage the client allows.
    """
    if isinstance(error, PriceDeviation):
        return error.pools
    route = order.route or ()
    if error.leg is None or error.leg >= len(route):
        return ()
    leg = route[error.leg]
    if isinstance(error, SlippageExceeded) and leg.token_out.mint == order.token_out.mint:
        return ()
    return (leg.pool,)


def _come_back(order: Order, in_ms: int, now_ms: int, why: str) -> ComeBack:
    """As asked, but not later than the order's deadline, at which it ends."""
    left_ms = in_ms if order.expires_at_ms is None else max(order.expires_at_ms - now_ms, 0)
    return ComeBack(min(in_ms, left_ms), why)
