"""A retry learns: an order remembers the pools that refused it, and no pool's refusal ends it while others fill."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.execution import Finished, PlannedSwap
from chalicelib.orders.life import MAX_REFUSED_POOLS, leave_out
from chalicelib.orders.order import Leg, Order, RefusedPool
from chalicelib.orders.states import State
from chalicelib.problems import (
    ExecutionError,
    InsufficientBalance,
    NoPool,
    PriceDeviation,
    SlippageExceeded,
    TokenNotTradable,
    TransactionRejected,
    VenueUnavailable,
)
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.simulation import VersionRefused
from tests.integration.chain_model import FEES, FreeRein, ModelTrader, World
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import JUP, MIN_OUT, QUOTED_OUT, ROUTE, new_order

ORDER = "order-1"
FIRST, SECOND = (leg.pool for leg in ROUTE)


def refusal(kind: type[ExecutionError], leg: int | None) -> ExecutionError:
    error = kind("it refused")
    error.leg = leg
    return error


@pytest.fixture
def world() -> World:
    store = OrdersInMemory()
    assert store.create(new_order(ORDER))
    return World(store)


def attempt(world: World) -> Order:
    """One more run, when the order wants it."""
    world.now_ms = max(world.now_ms, world.stored(ORDER).retry_at_ms)
    world.worker().run(ORDER, f"worker/{world.now_ms}")
    return world.stored(ORDER)


@pytest.mark.parametrize("kind", [VenueUnavailable, TransactionRejected, TokenNotTradable, InsufficientBalance])
def test_the_pool_that_refused_is_remembered_with_its_reason_and_the_order_goes_on(
    world: World, kind: type[ExecutionError]
) -> None:
    world.building.append(refusal(kind, leg=1))
    order = attempt(world)
    assert (order.state, order.retry_count) == (State.RETRYING, 1)
    assert order.refused_pools == (RefusedPool(SECOND, kind.code, "it refused"),)
    assert attempt(world).state is State.CONFIRMED


def test_each_attempt_knows_all_the_pools_that_refused_before(world: World) -> None:
    world.building.extend([refusal(VenueUnavailable, 0), refusal(VenueUnavailable, 1)])
    attempt(world)
    assert {refused.pool for refused in attempt(world).refused_pools} == {FIRST, SECOND}


def test_where_the_same_pool_is_all_there_is_its_reason_is_the_orders_after_the_third_attempt(world: World) -> None:
    world.building.extend([refusal(TransactionRejected, 0) for _ in range(3)])
    states = [attempt(world).state for _ in range(3)]
    order = world.stored(ORDER)
    assert states == [State.RETRYING, State.RETRYING, State.FAILED]
    assert (order.error_code, order.error, order.retry_count) == ("TRANSACTION_REJECTED", "it refused", 3)
    assert len(order.refused_pools) == 1


def test_the_pools_whose_prices_were_moved_are_left_out_and_no_others(world: World) -> None:
    world.market.append(PriceDeviation("moved", [FIRST]))
    order = attempt(world)
    assert (order.state, [refused.pool for refused in order.refused_pools]) == (State.RETRYING, [FIRST])
    assert attempt(world).state is State.CONFIRMED


@pytest.mark.parametrize(
    "error", [SlippageExceeded("moved"), VenueUnavailable("no pool's own"), refusal(VenueUnavailable, len(ROUTE))]
)
def test_what_is_no_pools_refusal_leaves_none_out(world: World, error: ExecutionError) -> None:
    world.building.append(error)
    order = attempt(world)
    assert (order.state, order.refused_pools) == (State.RETRYING, ())


@pytest.mark.parametrize("error", [NoPool("none"), TokenNotTradable("a hook"), TransactionRejected("a CPI guard")])
def test_what_no_pool_can_help_ends_the_order_at_once(world: World, error: ExecutionError) -> None:
    world.building.append(error)
    order = attempt(world)
    assert (order.state, order.error_code, order.retry_count) == (State.FAILED, error.code, 0)


def test_an_order_remembers_only_so_many_pools_and_each_once() -> None:
    order = new_order(ORDER)
    for number in range(MAX_REFUSED_POOLS + 1):
        order = leave_out(order, f"pool-{number}", "why", "CODE")
    assert len(order.refused_pools) == MAX_REFUSED_POOLS
    again = leave_out(order, "pool-5", "another reason", "CODE")
    assert [each.error for each in again.refused_pools if each.pool == "pool-5"] == ["another reason"]
    assert len(again.refused_pools) == MAX_REFUSED_POOLS


class TestAPriceThatMovesBetweenTwoHops:
    """The second hop spends what the first was quoted to pay: that one has no slippage, whatever the client allows."""

    TWO_HOPS = (replace(ROUTE[0], token_out=JUP), replace(ROUTE[1], token_in=JUP))

    @pytest.mark.parametrize(("leg", "left_out"), [(0, [FIRST]), (1, [])])
    def test_leaves_out_the_pool_of_the_first_hop_and_never_that_of_the_second(
        self, world: World, monkeypatch: pytest.MonkeyPatch, leg: int, left_out: list[str]
    ) -> None:
        def build(order: Order) -> SignedTransaction:
            raise refusal(SlippageExceeded, leg)

        planned = PlannedSwap(self.TWO_HOPS, QUOTED_OUT, build, world.exposure, FEES)
        monkeypatch.setattr(ModelTrader, "plan", lambda self, order: planned)
        order = attempt(world)
        assert order.state is State.RETRYING
        assert [refused.pool for refused in order.refused_pools] == left_out


class PriceWatch(FreeRein):
    """An operator who refuses prices that are a percent off."""

    def limits_for(self, account: str) -> LimitsInForce:
        return LimitsInForce(Limits(price_deviation_ppm=10_000), Limits())


class TestARouteWhoseRentTheWalletCanNotLend:
    def plan(self, world: World, monkeypatch: pytest.MonkeyPatch, *ways: tuple[int, Leg]) -> list[str]:
        """The best way can't be paid for; then `ways` come, each of so much output over that leg."""
        built: list[str] = []

        def build(order: Order) -> SignedTransaction:
            assert order.route is not None
            built.append(order.route[0].pool)
            if order.route == ROUTE:
                raise InsufficientBalance("the wallet holds too little SOL")
            return SignedTransaction("signature-1", b"\1", "blockhash", 150)

        others = tuple(PlannedSwap((leg,), paid, build, world.exposure, FEES) for paid, leg in ways)
        best = PlannedSwap(ROUTE, QUOTED_OUT, build, world.exposure, FEES, otherwise=others)
        monkeypatch.setattr(ModelTrader, "plan", lambda self, order: best)
        return built

    @pytest.mark.parametrize("paid", [QUOTED_OUT - 1, MIN_OUT])
    def test_gives_way_in_the_same_attempt(self, world: World, monkeypatch: pytest.MonkeyPatch, paid: int) -> None:
        other = replace(ROUTE[1], pool=SECOND)
        built = self.plan(world, monkeypatch, (paid, other))
        outcome = world.worker().run(ORDER, "first/1")
        order = world.stored(ORDER)
        assert outcome == Finished(order)
        assert (order.state, order.retry_count, order.route) == (State.CONFIRMED, 0, (other,))
        assert built == [FIRST, SECOND]

    def test_does_not_give_way_to_one_below_the_floor(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        built = self.plan(world, monkeypatch, (MIN_OUT - 1, ROUTE[1]))
        world.worker().run(ORDER, "first/1")
        order = world.stored(ORDER)
        assert (order.state, order.error_code) == (State.FAILED, "INSUFFICIENT_BALANCE")
        assert built == [FIRST]

    def test_ends_the_attempt_where_the_other_ways_price_is_off(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planned: list[PlannedSwap] = []

        def build(order: Order) -> SignedTransaction:
            raise InsufficientBalance("the wallet holds too little SOL")

        def plan(trader: ModelTrader, order: Order) -> PlannedSwap:
            other = PlannedSwap((ROUTE[1],), QUOTED_OUT, build, replace(world.exposure, deviation_ppm=20_000), FEES)
            planned.append(PlannedSwap(ROUTE, QUOTED_OUT, build, world.exposure, FEES, otherwise=(other,)))
            if len(planned) > 1:
                raise RuntimeError("the same attempt is made again and again")
            return planned[0]

        monkeypatch.setattr(ModelTrader, "plan", plan)
        world.risk = PriceWatch()
        world.worker().run(ORDER, "first/1")
        order = world.stored(ORDER)
        assert (order.error_code, order.first_quoted_out, order.min_out) == ("PRICE_DEVIATION", QUOTED_OUT, MIN_OUT)
        assert order.state in (State.FAILED, State.RETRYING)


class TestARouteThatNoTransactionOfTheClusterHasRoomFor:
    def plans(self, world: World, monkeypatch: pytest.MonkeyPatch, *buildable: bool) -> list[Order]:
        """Each plan's route can be built or not, in turn; the orders as they were planned for."""
        planned: list[Order] = []

        def plan(trader: ModelTrader, order: Order) -> PlannedSwap:
            planned.append(order)
            able = buildable[len(planned) - 1]

            def build(order: Order) -> SignedTransaction:
                if not able:
                    raise VersionRefused("version 1 is not taken, and version 0 has no room")
                return SignedTransaction("signature-1", b"\1", "blockhash", 150)

            return PlannedSwap(ROUTE[1:] if able else ROUTE, QUOTED_OUT - len(planned), build, world.exposure, FEES)

        monkeypatch.setattr(ModelTrader, "plan", plan)
        return planned

    def test_is_planned_anew_in_the_same_attempt_and_keeps_its_floor(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planned = self.plans(world, monkeypatch, False, True)
        world.worker().run(ORDER, "first/1")
        order = world.stored(ORDER)
        assert (order.state, order.retry_count, order.route) == (State.CONFIRMED, 0, ROUTE[1:])
        assert order.first_quoted_out == QUOTED_OUT - 1
        assert [each.min_out for each in planned] == [None, order.min_out]

    def test_costs_an_attempt_where_it_can_not_be_built_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planned = self.plans(world, monkeypatch, False, False, True)
        order = attempt(world)
        assert (order.state, len(planned)) == (State.RETRYING, 2)

    def test_is_planned_anew_with_other_ways_that_pay_the_same_floor(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse_version(order: Order) -> SignedTransaction:
            raise VersionRefused("version 1 is not taken, and version 0 has no room")

        def refuse_rent(order: Order) -> SignedTransaction:
            raise InsufficientBalance("the wallet holds too little SOL")

        def build(order: Order) -> SignedTransaction:
            return SignedTransaction("signature-1", b"\1", "blockhash", 150)

        roomy = PlannedSwap(ROUTE, QUOTED_OUT, refuse_version, world.exposure, FEES)
        others = tuple(
            PlannedSwap((leg,), paid, build, world.exposure, FEES)
            for leg, paid in zip(ROUTE, (MIN_OUT - 1, MIN_OUT), strict=True)
        )
        dear = replace(roomy, build=refuse_rent, otherwise=others)
        plans = iter((roomy, dear))
        monkeypatch.setattr(ModelTrader, "plan", lambda self, order: next(plans))
        order = attempt(world)
        assert (order.state, order.retry_count, order.route) == (State.CONFIRMED, 0, ROUTE[1:])
