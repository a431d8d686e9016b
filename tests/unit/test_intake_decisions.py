"""What becomes of a request to place or cancel an order: told from the order, the limits and what the store says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import pytest

from chalicelib.aws.cloudwatch_metrics import flush
from chalicelib.orders.intake import LONGEST_LIFE_MS, Intake, NewOrder, Submitted
from chalicelib.orders.order import Order, Token
from chalicelib.orders.order_changer import MarketPrices
from chalicelib.orders.states import State, Status
from chalicelib.orders.turns import LONGEST_WAIT_MS
from chalicelib.problems import (
    AwsRefused,
    AwsUnavailable,
    Backlogged,
    ClientOrderIdTaken,
    Conflict,
    FieldProblem,
    InvalidRequest,
    LimitRefused,
    NotFound,
    SubmissionUnknown,
    TooManyOpenOrders,
)
from chalicelib.risk.limits import Limits, LimitsInForce
from tests.log_lines import flushed, values
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS as NOW
from tests.sample_orders import JUP, SOL, USDC, market_price, new_order, order_in, routing, submitted

MARKET_ORDER_MS = 300_000
FREE = Limits()
NEW_ID = UUID(int=7)
ASKED = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.01"}


class Tokens:
    """The three tokens of sample_orders."""

    def find(self, text: str) -> Token | None:
        return next((token for token in (SOL, USDC, JUP) if text in (token.text, token.mint)), None)


@dataclass
class Queue:
    """What was handed over: order, delay in ms, correlation id."""

    sent: list[tuple[str, int, str]] = field(default_factory=list)
    fails: bool = False

    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        if self.fails:
            raise AwsUnavailable("the queue is silent")
        self.sent.append((order_id, delay_ms, correlation_id))


@dataclass
class Starts:
    """The account's next start is so far away; what is withdrawn from the line is noted."""

    wait_ms: int = 0
    withdrawn: list[str] = field(default_factory=list)
    asked_for: set[str] = field(default_factory=set)
    in_line: list[str] = field(default_factory=list)
    is_seen_to: bool = False

    def estimate(self, account: str, now_ms: int) -> int:
        self.asked_for.add(account)
        if self.wait_ms > LONGEST_WAIT_MS:
            raise Backlogged(30)
        return now_ms + self.wait_ms

    def line_up(self, order: Order) -> bool:
        self.in_line.append(order.order_id)
        return not self.is_seen_to

    def withdraw(self, order: Order) -> None:
        self.withdrawn.append(order.order_id)


class ForgetfulStore(OrdersInMemory):
    """Its answer to the next creation is lost: before anything is written, or after. Then reads may fail, too."""

    def __init__(self, *, written: bool, silent: bool = False) -> None:
        super().__init__()
        self.written, self.silent, self.lost = written, silent, False
        self.meanwhile: Callable[[], object] = lambda: None

    def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
        self.meanwhile()
        if self.written:
            super().create(order, limits)
        self.lost = True
        raise AwsUnavailable("no answer")

    def load(self, order_id: str) -> Order | None:
        if self.lost and self.silent:
            raise AwsUnavailable("no answer either")
        return super().load(order_id)


@dataclass
class Desk:
    """An intake with all that it works with."""

    store: OrdersInMemory = field(default_factory=OrdersInMemory)
    queue: Queue = field(default_factory=Queue)
    starts: Starts = field(default_factory=Starts)
    force: LimitsInForce = field(default_factory=lambda: LimitsInForce(FREE, FREE))
    now_ms: int = NOW
    new_id: Callable[[], UUID] = uuid4
    wallet: str | None = None
    prices: MarketPrices = market_price

    def limits_for(self, account: str) -> LimitsInForce:
        return LimitsInForce(self.counted_limits_for(account).account, self.force.together)

    def counted_limits_for(self, account: str) -> LimitsInForce:
        assert account == "mine"
        return self.force

    @property
    def intake(self) -> Intake:
        return Intake(
            self.store,
            self.queue,  # type: ignore[arg-type]
            Tokens(),
            self.starts,
            self,
            lambda: self.now_ms,
            lambda: self.new_id(),
            lambda: "request-1",
            MARKET_ORDER_MS,
            self.wallet,
            prices=self.prices,
        )

    def submit(self, asked: NewOrder | None = None, key: str | None = None) -> Submitted:
        return self.intake.submit("mine", asked or a_request(), key)


def a_request(**changes: object) -> NewOrder:
    asked = NewOrder("market", SOL, USDC, 10**10, 10_000, asked=ASKED)
    return replace(asked, **changes)  # type: ignore[arg-type]


IN_EITHER_WAY = pytest.mark.parametrize(
    "asked", [a_request(), a_request(type="stop", stop_price="140")], ids=["at once", "once its price is reached"]
)


# --- placing ------------------------------------------------------------------------------------------------------


def test_an_order_is_placed_with_all_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    flush()
    capsys.readouterr()
    desk = Desk(new_id=lambda: NEW_ID)
    asked = a_request(
        min_out=7,
        expires_at_ms=NOW + 1,
        expires_by_default=False,
        client_order_id="desk/7",
        max_price_impact_ppm=20_000,
        max_network_fee=9_000,
        redrive_of="order-0",
        wallet="a wallet",
        key_id="key-1",
    )
    placed = desk.submit(asked)
    assert placed.created
    order = placed.order
    names = (
        "type",
        "token_in",
        "token_out",
        "amount",
        "slippage_ppm",
        "min_out",
        "expires_at_ms",
        "expires_by_default",
        "client_order_id",
        "max_price_impact_ppm",
        "max_network_fee",
        "redrive_of",
        "wallet",
        "key_id",
        "asked",
    )
    assert {name: getattr(order, name) for name in names} == {name: getattr(asked, name) for name in names}
    assert (order.order_id, order.account, order.correlation_id) == (str(NEW_ID), "mine", "request-1")
    assert (order.state, order.created_at_ms, order.start_at_ms) == (State.PENDING, NOW, NOW)
    assert desk.store.orders() == [replace(order, revision=order.revision)]
    assert desk.queue.sent == [(order.order_id, 0, "request-1")]
    assert values(flushed(capsys), "OrdersAccepted") == [1]


def test_without_a_correlation_id_there_is_none_and_an_order_is_good_for_five_minutes() -> None:
    desk = Desk()
    plain = Intake(desk.store, desk.queue, Tokens(), desk.starts, desk, lambda: NOW, uuid4, prices=market_price)  # type: ignore[arg-type]
    order = plain.submit("mine", a_request(), None).order
    assert (order.correlation_id, order.expires_at_ms) == ("", NOW + 5 * 60_000)


def test_an_order_that_names_no_wallet_is_for_that_of_the_stage() -> None:
    desk = Desk(wallet="the stage's")
    assert desk.submit().order.wallet == "the stage's"
    assert desk.submit(a_request(wallet="another")).order.wallet == "another"
    assert Desk().submit().order.wallet is None, "where the stage's is not known"


def test_an_order_that_must_wait_for_its_start_is_in_line_at_once_and_has_its_time_from_its_start_on() -> None:
    desk = Desk(starts=Starts(wait_ms=4_000))
    order = desk.submit().order
    assert (order.start_at_ms, order.expires_at_ms) == (NOW + 4_000, NOW + 4_000 + MARKET_ORDER_MS)
    assert order.history[0].queued_until_ms == NOW + 4_000
    assert desk.starts.in_line == [order.order_id]
    assert desk.queue.sent == [(order.order_id, 0, "request-1")], "a worker is to look at the line"
    assert desk.starts.asked_for == {"mine"}


def test_an_order_that_starts_at_once_comes_into_no_line() -> None:
    desk = Desk()
    order = desk.submit().order
    assert (desk.starts.in_line, desk.queue.sent) == ([], [(order.order_id, 0, "request-1")])


def test_no_worker_is_told_of_an_order_in_a_line_that_somebody_sees_to() -> None:
    desk = Desk(starts=Starts(wait_ms=4_000, is_seen_to=True))
    order = desk.submit(key="a").order
    assert (desk.starts.in_line, desk.queue.sent) == ([order.order_id], [])
    assert not desk.submit(key="a").created
    assert desk.queue.sent == [(order.order_id, 0, "request-1")], "who asks again may have died in between"


def test_a_line_that_can_not_be_reached_is_no_reason_to_refuse_an_order_that_is_stored() -> None:
    class Unreachable(Starts):
        def line_up(self, order: Order) -> bool:
            raise AwsUnavailable("dynamodb")

    desk = Desk(starts=Unreachable(wait_ms=4_000))
    order = desk.submit().order
    assert desk.queue.sent == [(order.order_id, 0, "request-1")], "a worker puts it into line"


def test_a_deadline_of_the_clients_own_does_not_move_with_the_start() -> None:
    assert Desk(starts=Starts(wait_ms=4_000)).submit(a_request(expires_at_ms=NOW + 9)).order.expires_at_ms == NOW + 9


@pytest.mark.parametrize(
    ("expires_at_ms", "said"),
    [
        (NOW, "has passed: it is 2025-10-09T08:53:20.123Z"),
        (NOW + LONGEST_LIFE_MS + 1, "is more than 30 days ahead"),
    ],
)
def test_a_deadline_that_has_come_or_is_too_far_is_refused(expires_at_ms: int, said: str) -> None:
    desk = Desk()
    with pytest.raises(InvalidRequest) as refused:
        desk.submit(a_request(expires_at_ms=expires_at_ms))
    assert list(refused.value.problems) == [FieldProblem("expiresAt", said)]
    assert (desk.store.orders(), desk.queue.sent) == ([], [])


@pytest.mark.parametrize("expires_at_ms", [NOW + 1, NOW + 30 * 86_400_000])
def test_a_deadline_may_be_a_millisecond_or_thirty_days_ahead(expires_at_ms: int) -> None:
    assert Desk().submit(a_request(expires_at_ms=expires_at_ms)).created


def test_what_is_no_longer_traded_is_refused_by_its_mint() -> None:
    gone = replace(SOL, mint="gone")
    for wrong, fields in (({"token_in": gone}, ["tokenIn"]), ({"token_out": gone}, ["tokenOut"])):
        with pytest.raises(InvalidRequest) as refused:
            Desk().submit(a_request(**wrong))
        assert [problem.field for problem in refused.value.problems] == fields
    renamed = replace(SOL, text="not SOL any more")
    assert Desk().submit(a_request(token_in=renamed)).created


# --- refused before it takes a slot ---------------------------------------------------------------------------------


def test_what_the_limits_refuse_is_neither_stored_nor_handed_over() -> None:
    for force, error in (
        (LimitsInForce(Limits(slippage_ppm=9_999), FREE), LimitRefused),
        (LimitsInForce(FREE, Limits(open_orders=0)), TooManyOpenOrders),
    ):
        desk = Desk(force=force)
        with pytest.raises(error):
            desk.submit()
        assert (desk.store.orders(), desk.queue.sent) == ([], [])


def test_a_client_order_id_is_for_ever_that_of_one_order() -> None:
    desk = Desk()
    first = desk.submit(a_request(client_order_id="desk/7")).order
    with pytest.raises(ClientOrderIdTaken) as taken:
        desk.submit(a_request(client_order_id="desk/7"))
    assert taken.value.order_id == first.order_id
    assert "desk/7" in str(taken.value)
    assert len(desk.queue.sent) == 1
    assert desk.submit(a_request(client_order_id="desk/8")).created
    desk.starts.wait_ms = LONGEST_WAIT_MS + 1
    with pytest.raises(ClientOrderIdTaken):
        desk.submit(a_request(client_order_id="desk/7"))  # waiting for a shorter line would not help


def test_a_client_order_id_that_another_request_is_quicker_with_is_taken_all_the_same() -> None:
    class Slow(OrdersInMemory):
        def called(self, account: str, client_order_id: str) -> Order | None:
            return None

    desk = Desk(store=Slow())
    first = desk.submit(a_request(client_order_id="desk/7")).order
    with pytest.raises(ClientOrderIdTaken) as taken:
        desk.submit(a_request(client_order_id="desk/7"))
    assert (taken.value.order_id, "clientOrderId desk/7" in str(taken.value)) == (first.order_id, True)


def test_where_the_line_is_too_long_nothing_is_stored() -> None:
    assert Desk(starts=Starts(LONGEST_WAIT_MS)).submit().created
    desk = Desk(starts=Starts(LONGEST_WAIT_MS + 1))
    with pytest.raises(Backlogged):
        desk.submit()
    assert (desk.store.orders(), desk.queue.sent) == ([], [])


@pytest.mark.parametrize(
    ("force", "told"),
    [
        (LimitsInForce(Limits(open_orders=1), FREE), "the account may have at most 1 open orders"),
        (LimitsInForce(FREE, Limits(open_orders=1)), "all accounts together may have at most 1 open orders"),
    ],
)
def test_that_as_many_orders_are_open_as_may_be_is_told_by_whose_limit_it_is(force: LimitsInForce, told: str) -> None:
    """The limits were read before another order was stored: the store counts anew."""
    desk = Desk(force=force)
    desk.submit()
    with pytest.raises(TooManyOpenOrders, match=told):
        desk.submit()
    assert len(desk.store.orders()) == len(desk.queue.sent) == 1


# --- repetitions --------------------------------------------------------------------------------------------------


def test_what_tells_a_repetition_is_the_same_after_a_deploy() -> None:
    """The id is of the account and the key, the digest of the trade: stored orders are found by both."""
    order = Desk().submit(key="the-key").order
    assert order.order_id == "7972a7f2-20e0-57a2-a54d-e16bc12abab2"
    assert order.request_digest == "870a55c277b9703915a763577423be07065d45a5f4a320351b3de6aced93fd0d"


def test_a_repetition_hands_over_anew_what_is_still_pending() -> None:
    desk = Desk(starts=Starts(wait_ms=4_000))
    first = desk.submit(key="the-key")
    desk.now_ms += 1_000
    again = desk.submit(key="the-key")
    assert (first.created, again) == (True, Submitted(first.order, created=False))
    assert desk.queue.sent == [(first.order.order_id, 0, "request-1")] * 2


def test_a_request_without_a_key_repeats_none_whatever_keys_there_were() -> None:
    desk = Desk()
    desk.submit(key="None")
    assert desk.submit().created


def test_a_refusal_of_a_request_without_a_key_stands_whatever_keys_there_were() -> None:
    desk = Desk()
    desk.submit(key="None")
    desk.force = LimitsInForce(Limits(slippage_ppm=1), FREE)
    with pytest.raises(LimitRefused):
        desk.submit()


def test_a_repetition_needs_nothing_but_the_order_that_it_repeats() -> None:
    class Silent(Starts):
        def estimate(self, account: str, now_ms: int) -> int:
            raise AwsUnavailable("no answer")

    desk = Desk()
    first = desk.submit(key="the-key").order
    desk.starts = Silent()
    assert desk.submit(key="the-key") == Submitted(first, created=False)
    with pytest.raises(AwsUnavailable):
        desk.submit(key="another-key")


@pytest.mark.parametrize("moment", ["before the limits are read", "before the order is stored"])
def test_of_two_at_once_the_later_is_given_the_order_of_the_first(moment: str) -> None:
    """Whether it finds the client order id taken, or its own id."""
    asked = a_request(client_order_id="desk/7")
    firsts: list[Order] = []

    class Interrupted(Desk):
        def limits_for(self, account: str) -> LimitsInForce:
            if moment == "before the limits are read":
                self.give_way()
            return super().limits_for(account)

        def give_way(self) -> None:
            if not firsts:
                firsts.append(Desk(store=self.store).submit(asked, "the-key").order)

    class Starting(Starts):
        def estimate(self, account: str, now_ms: int) -> int:
            desk.give_way()
            return super().estimate(account, now_ms)

    desk = Interrupted(starts=Starting())
    assert desk.submit(asked, "the-key") == Submitted(firsts[0], created=False)
    assert desk.store.orders() == firsts


def test_what_a_worker_has_begun_is_handed_over_no_more() -> None:
    desk = Desk()
    placed = desk.submit(key="the-key").order
    begun = desk.store.replace(routing(placed))
    assert desk.submit(key="the-key") == Submitted(begun, created=False)
    assert desk.intake.repeated("mine", ASKED, "the-key") == begun
    assert len(desk.queue.sent) == 1


def test_a_key_that_was_used_for_another_order_is_a_conflict_that_says_what_to_do() -> None:
    desk = Desk()
    desk.submit(key="the-key")
    for refused in (
        lambda: desk.submit(a_request(asked={**ASKED, "amount": "11"}), "the-key"),
        lambda: desk.intake.repeated("mine", {**ASKED, "amount": "11"}, "the-key"),
    ):
        with pytest.raises(Conflict, match="was used for another order; use a new key, or the same body"):
            refused()


def test_a_body_that_comes_again_is_known_by_its_key_alone() -> None:
    desk = Desk()
    placed = desk.submit(key="the-key").order
    assert desk.intake.repeated("mine", {**ASKED, "amount": "10.0"}, "the-key") == placed
    assert desk.intake.repeated("mine", ASKED, "another") is None
    assert desk.intake.repeated("theirs", ASKED, "the-key") is None
    assert desk.queue.sent == [(placed.order_id, 0, "request-1")] * 2


REDRIVE = a_request(redrive_of="order-0", asked=None)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True),
        ({"min_out": 9}, True),
        ({"redrive_of": "order-1"}, False),
        ({"redrive_of": None}, False),
        ({"token_in": JUP}, False),
        ({"token_out": JUP}, False),
        ({"amount": 10**10 + 1}, False),
        ({"slippage_ppm": 10_001}, False),
        ({"asked": ASKED}, True),
    ],
)
def test_a_redrive_is_told_from_another_by_the_order_that_it_is_of_and_by_the_trade(
    other: dict[str, object], same: bool
) -> None:
    desk = Desk()
    placed = desk.submit(REDRIVE, "redrive of order-0").order
    again = replace(REDRIVE, **other)  # type: ignore[arg-type]
    if same:
        assert desk.submit(again, "redrive of order-0") == Submitted(placed, created=False)
    else:
        with pytest.raises(Conflict):
            desk.submit(again, "redrive of order-0")


@IN_EITHER_WAY
def test_of_two_clients_at_once_with_one_key_the_second_gets_the_firsts_order(asked: NewOrder) -> None:
    class Crowded(OrdersInMemory):
        def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
            super().create(replace(order, created_at_ms=order.created_at_ms - 1), limits)
            return super().create(order, limits)

    desk = Desk(store=Crowded())
    second = desk.submit(asked, "the-key")
    assert second == Submitted(desk.store.orders()[0], created=False)
    assert second.order.created_at_ms == NOW - 1


# --- where the store's answer is lost -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "the-key"])
def test_an_order_that_was_stored_is_accepted_though_no_answer_came(key: str | None) -> None:
    desk = Desk(store=ForgetfulStore(written=True))
    placed = desk.submit(key=key)
    assert placed.created
    assert [order_id for order_id, _, _ in desk.queue.sent] == [placed.order.order_id]


def test_an_order_that_was_not_stored_is_refused_as_the_store_refused_it() -> None:
    desk = Desk(store=ForgetfulStore(written=False))
    with pytest.raises(AwsUnavailable, match=r"^no answer$"):
        desk.submit()
    assert desk.queue.sent == []


@IN_EITHER_WAY
@pytest.mark.parametrize(("key", "retry"), [(None, False), ("the-key", True)])
def test_where_nobody_can_tell_whether_it_was_stored_the_client_is_told_where_to_look(
    key: str | None, retry: bool, asked: NewOrder
) -> None:
    desk = Desk(store=ForgetfulStore(written=True, silent=True))
    with pytest.raises(SubmissionUnknown) as unknown:
        desk.submit(asked, key)
    (stored,) = desk.store.orders()
    assert unknown.value.order_id == stored.order_id
    assert (unknown.value.retry_after_seconds is not None) == retry


@pytest.mark.parametrize("theirs", [{"created_at_ms": NOW - 1}, {"request_digest": "another's"}])
def test_what_another_client_stored_under_the_key_is_not_taken_for_ours(theirs: dict[str, object]) -> None:
    store = ForgetfulStore(written=False)
    desk = Desk(store=store)
    ours = Desk().submit(key="the-key").order
    other = replace(ours, **theirs)  # type: ignore[arg-type]
    store.meanwhile = lambda: OrdersInMemory.create(store, other)
    assert desk.submit(key="the-key") == Submitted(store.orders()[0], created=False)


def test_what_the_store_refuses_outright_is_not_looked_for() -> None:
    class Refusing(OrdersInMemory):
        def create(self, order: Order, limits: LimitsInForce | None = None) -> bool:
            raise AwsRefused("no right")

    with pytest.raises(AwsRefused):
        Desk(store=Refusing()).submit()


def test_a_queue_that_fails_is_no_reason_to_refuse_what_is_stored() -> None:
    desk = Desk(queue=Queue(fails=True))
    placed = desk.submit(key="the-key")
    assert placed.created
    assert desk.submit(key="the-key") == Submitted(placed.order, created=False)


# --- asking beforehand --------------------------------------------------------------------------------------------


def test_a_check_tells_all_that_would_refuse_the_order_and_uses_up_nothing() -> None:
    desk = Desk()
    assert desk.intake.check("mine", a_request(client_order_id="desk/7")) == ()
    assert desk.starts.asked_for == {"mine"}
    desk.submit(a_request(client_order_id="desk/7"))
    desk.force, desk.starts.wait_ms = LimitsInForce(Limits(slippage_ppm=1), FREE), LONGEST_WAIT_MS + 1

    refusals = desk.intake.check("mine", a_request(client_order_id="desk/7"))

    assert [type(refusal) for refusal in refusals] == [LimitRefused, ClientOrderIdTaken, Backlogged]
    assert len(desk.store.orders()) == 1
    with pytest.raises(InvalidRequest):
        desk.intake.check("mine", a_request(token_out=SOL))


def test_an_order_starts_at_once_where_no_other_is_before_it() -> None:
    for wait_ms, at_once in ((0, True), (1, False), (LONGEST_WAIT_MS + 1, False)):
        starts = Starts(wait_ms)
        assert Desk(starts=starts).intake.starts_at_once("mine") is at_once
        assert starts.asked_for == {"mine"}


# --- cancelling ---------------------------------------------------------------------------------------------------


def test_an_order_is_cancelled_now_and_once() -> None:
    desk = Desk()
    order = desk.submit().order
    desk.now_ms += 5
    cancelled = desk.intake.cancel("mine", order.order_id)
    assert (cancelled.state, cancelled.updated_at_ms) == (State.CANCELLED, NOW + 5)
    assert desk.starts.withdrawn == [order.order_id], "it waits no longer"
    with pytest.raises(Conflict, match="the order is cancelled and can no longer be cancelled"):
        desk.intake.cancel("mine", order.order_id)


def test_an_order_that_may_land_is_not_cancelled() -> None:
    desk = Desk()
    desk.store.create(submitted(new_order(account="mine")))
    with pytest.raises(Conflict, match="the order is submitted and can no longer be cancelled"):
        desk.intake.cancel("mine", "order-1")


def test_a_cancellation_that_another_write_outruns_looks_again() -> None:
    class Racing(OrdersInMemory):
        outrun = 2

        def replace(self, order: Order, limits: LimitsInForce | None = None) -> Order:
            if self.outrun:
                self.outrun -= 1
                stored = self.load(order.order_id)
                assert stored is not None
                super().replace(stored)
            return super().replace(order, limits)

    desk = Desk(store=Racing())
    order = desk.submit().order
    assert desk.intake.cancel("mine", order.order_id).status is Status.CANCELLED


def test_anothers_order_is_found_no_more_than_one_that_is_not_there() -> None:
    desk = Desk()
    desk.store.create(order_in(State.PENDING))
    assert desk.intake.find("local", "order-1").order_id == "order-1"
    for order_id in ("order-1", "order-2", "o" * 70):
        with pytest.raises(NotFound, match=rf"^there is no order {order_id[:64]}$"):
            desk.intake.find("mine", order_id)
