"""What becomes of a request to place an order that waits for its price: its prices, its floor, its place, its sense."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from chalicelib.aws.cloudwatch_metrics import flush
from chalicelib.orders.intake import NewOrder, Submitted
from chalicelib.orders.order import OrderType, Token
from chalicelib.orders.states import State
from chalicelib.problems import (
    ClientOrderIdTaken,
    Conflict,
    ImplausiblePrice,
    InvalidRequest,
    LimitRefused,
    RpcUnavailable,
    TooManyWaitingOrders,
)
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.times import DAY_MS
from tests.log_lines import flushed, values
from tests.sample_orders import CREATED_AT_MS as NOW
from tests.sample_orders import QUOTED_OUT, SOL, USDC, market_price
from tests.unit.test_intake_decisions import ASKED, FREE, MARKET_ORDER_MS, NEW_ID, Desk, Starts, a_request

OCO = a_request(
    type="oco",
    limit_price="160",
    stop_price="140",
    asked={**ASKED, "type": "oco", "limitPrice": "160", "stopPrice": "140"},
)
LIMIT = replace(OCO, type="limit", stop_price=None)
STOP = replace(OCO, type="stop", limit_price=None)
TRAILING = replace(STOP, stop_price=None, trailing_ppm=100_000)


@dataclass
class Market:
    """Pays as the sample market does, where a node answers; what it was asked for is noted."""

    is_silent: bool = False
    asked_for: list[tuple[Token, Token, int]] = field(default_factory=list)

    def __call__(self, token_in: Token, token_out: Token, amount: int) -> int:
        self.asked_for.append((token_in, token_out, amount))
        if self.is_silent:
            raise RpcUnavailable("no node answers")
        return market_price(token_in, token_out, amount)


# --- placing ------------------------------------------------------------------------------------------------------


def test_an_order_that_waits_is_stored_open_with_its_prices_and_no_worker_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flush()
    capsys.readouterr()
    desk = Desk(new_id=lambda: NEW_ID)
    placed = desk.submit(replace(OCO, max_tries=3, min_out=7))
    order = placed.order
    assert placed.created
    assert (order.state, order.account, order.order_id) == (State.OPEN, "mine", str(NEW_ID))
    assert (order.type, order.limit_price, order.stop_price, order.trailing_ppm) == ("oco", "160", "140", None)
    assert (order.max_tries, order.own_min_out, order.min_out) == (3, 7, 7)
    assert order.expires_at_ms == NOW + DAY_MS
    assert desk.store.orders() == [order]
    assert (desk.queue.sent, desk.starts.in_line, desk.starts.asked_for) == ([], [], set())
    assert values(flushed(capsys), "OrdersAccepted") == [1]


def test_an_order_that_names_no_tries_has_ten() -> None:
    assert Desk().submit(OCO).order.max_tries == 10


@pytest.mark.parametrize(
    ("type_", "own_min_out", "floor"),
    [
        ("limit", None, 1_600_000_001),
        ("limit", 1_600_000_000, 1_600_000_001),
        ("limit", 1_600_000_002, 1_600_000_002),
        ("oco", None, None),
        ("oco", 1_600_000_000, 1_600_000_000),
    ],
)
def test_a_limits_price_is_its_floor_rounded_up_and_of_others_only_what_their_client_asks_for(
    type_: OrderType, own_min_out: int | None, floor: int | None
) -> None:
    """10 SOL at 160.00000001 are worth 1600.0000001 USDC."""
    asked = replace(OCO if type_ == "oco" else LIMIT, limit_price="160.00000001", min_out=own_min_out)
    order = Desk().submit(asked).order
    assert (order.min_out, order.own_min_out) == (floor, own_min_out)


def test_a_trailing_stop_follows_what_the_market_pays_for_the_whole_amount_at_its_placing() -> None:
    """A tenth below the 150 USDC for a SOL that it pays."""
    market = Market()
    order = Desk(prices=market).submit(replace(TRAILING, amount=2 * 10**9)).order
    assert (order.trailing_ppm, order.best_out, order.stop_price) == (100_000, 300_000_000, "135")
    assert market.asked_for == [(SOL, USDC, 2 * 10**9)]


# --- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        (replace(STOP, stop_price="150"), "stopPrice"),
        (replace(LIMIT, limit_price="15000"), "limitPrice"),
        (replace(LIMIT, limit_price="1.5"), "limitPrice"),
    ],
)
def test_a_price_that_looks_like_a_mistake_beside_the_markets_is_refused_unless_it_is_meant(
    asked: NewOrder, wrong: str
) -> None:
    desk = Desk()
    with pytest.raises(ImplausiblePrice) as refused:
        desk.submit(asked)
    assert [problem.field for problem in refused.value.problems] == [wrong]
    assert [type(refusal) for refusal in desk.intake.check("mine", asked)] == [ImplausiblePrice]
    assert desk.store.orders() == []
    meant = replace(asked, force=True)
    assert desk.intake.check("mine", meant) == ()
    assert desk.submit(meant).order.best_out == QUOTED_OUT


def test_a_limit_that_is_not_above_the_stop_is_refused_even_where_it_is_meant() -> None:
    contradictory = replace(OCO, limit_price="140", force=True)
    for market in (Market(), Market(is_silent=True)):
        desk = Desk(prices=market)
        for refused in (desk.submit, lambda asked, desk=desk: desk.intake.check("mine", asked)):
            with pytest.raises(InvalidRequest, match="must be above stopPrice"):
                refused(contradictory)
        assert desk.store.orders() == []


def test_where_no_node_tells_what_the_market_pays_only_an_order_whose_prices_are_meant_is_placed() -> None:
    desk = Desk(prices=Market(is_silent=True))
    with pytest.raises(RpcUnavailable):
        desk.submit(TRAILING)
    assert [type(refusal) for refusal in desk.intake.check("mine", TRAILING)] == [RpcUnavailable]
    assert desk.store.orders() == []
    order = desk.submit(replace(TRAILING, force=True)).order
    assert (order.state, order.best_out, order.stop_price) == (State.OPEN, None, None)
    assert desk.intake.check("mine", replace(TRAILING, force=True)) == ()


@pytest.mark.parametrize(
    ("force", "told"),
    [
        (LimitsInForce(Limits(waiting_orders=1), FREE), "the account may have at most 1 waiting orders"),
        (LimitsInForce(FREE, Limits(waiting_orders=1)), "all accounts together may have at most 1 waiting orders"),
    ],
)
def test_that_as_many_orders_wait_as_may_is_told_by_whose_limit_it_is(force: LimitsInForce, told: str) -> None:
    desk = Desk(force=force)
    first = desk.submit(OCO).order
    with pytest.raises(TooManyWaitingOrders, match=told):
        desk.submit(OCO)
    assert desk.store.orders() == [first]
    assert desk.submit().created, "an order that waits for no price is not counted among them"


def test_a_check_of_an_order_that_waits_tells_all_that_would_refuse_it_and_asks_no_line() -> None:
    desk = Desk()
    assert desk.intake.check("mine", OCO) == ()
    desk.submit(replace(OCO, client_order_id="desk/7"))
    desk.force = LimitsInForce(Limits(slippage_ppm=1), FREE)
    refusals = desk.intake.check("mine", replace(OCO, client_order_id="desk/7", stop_price="150"))
    assert [type(refusal) for refusal in refusals] == [LimitRefused, ClientOrderIdTaken, ImplausiblePrice]
    assert desk.starts.asked_for == set()


# --- as it would stand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "state", "expires_in_ms", "floor"),
    [(a_request(min_out=7), State.PENDING, MARKET_ORDER_MS, 7), (LIMIT, State.OPEN, DAY_MS, 1_600_000_000)],
)
def test_an_order_that_is_tried_stands_as_it_would_and_is_stored_nowhere(
    asked: NewOrder, state: State, expires_in_ms: int, floor: int
) -> None:
    desk = Desk(new_id=lambda: NEW_ID, starts=Starts(wait_ms=4_000))
    order = desk.intake.as_placed("mine", asked)
    assert (order.account, order.order_id, order.state) == ("mine", str(NEW_ID), state)
    assert (order.type, order.limit_price, order.min_out) == (asked.type, asked.limit_price, floor)
    assert order.expires_at_ms == NOW + expires_in_ms
    assert (desk.store.orders(), desk.queue.sent) == ([], [])


# --- repetitions --------------------------------------------------------------------------------------------------


def test_a_repetition_of_an_order_that_waits_hands_nothing_over() -> None:
    desk = Desk()
    first = desk.submit(OCO, "the-key").order
    desk.prices = Market(is_silent=True)
    assert desk.submit(OCO, "the-key") == Submitted(first, created=False)
    assert desk.queue.sent == []


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (OCO, {"limit_price": "161"}),
        (OCO, {"stop_price": "139"}),
        (TRAILING, {"trailing_ppm": 100_001}),
    ],
)
def test_a_redrive_of_an_order_that_waits_is_told_from_another_by_each_of_its_prices(
    first: NewOrder, other: dict[str, object]
) -> None:
    desk = Desk()
    redrive = replace(first, redrive_of="order-0", asked=None)
    placed = desk.submit(redrive, "redrive of order-0").order
    assert desk.submit(redrive, "redrive of order-0") == Submitted(placed, created=False)
    with pytest.raises(Conflict):
        desk.submit(replace(redrive, **other), "redrive of order-0")  # type: ignore[arg-type]
