"""A cancel, a change and a look at the same moment: whatever they do in turn, it ends as if one had come after another.

Every way is tried in which their reads and writes of the order can follow one another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from chalicelib.orders import order_changer
from chalicelib.orders.changing import OrderChanges, changed, may_change
from chalicelib.orders.life import as_written
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.states import State
from chalicelib.risk.limits import LimitsInForce
from tests.faults.model.world import World
from tests.orders_in_memory import OrdersInMemory

AMOUNT = 10_000_000_000
# Its place among those that race.
WATCHER = 2
# By the word of the calls that read or write the order: between two of them nothing that others do makes a difference.
SHARED = ("reading the order", "reading several", "reading what waits", "writing")
# What is posted, and a change after which the market, which pays 149, has reached it no more.
CASES = {
    "limit": ({"type": "limit", "limitPrice": "149"}, OrderChanges(limit_price="200")),
    "stop": ({"type": "stop", "stopPrice": "149"}, OrderChanges(stop_price="100")),
    "trailing": ({"type": "stop", "trailing": "0.005"}, OrderChanges(trailing_ppm=500_000)),
    "oco": ({"type": "oco", "limitPrice": "300", "stopPrice": "149"}, OrderChanges(stop_price="100")),
    # and one after which it has
    "stop that comes near": ({"type": "stop", "stopPrice": "100"}, OrderChanges(stop_price="149")),
}

Told = tuple[object, object]
Outcome = tuple[State, TriggerKind | None, int, tuple[object, ...], Told]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Race:
    """One order, and the three that are about it."""

    def __init__(self, waits: dict[str, str], changes: OrderChanges) -> None:
        self.world = World()
        self.world.cluster.price = 150
        self.world.post(AMOUNT, None, waits=waits).finish()
        self.world.cluster.price = 149
        ((_, self.order_id),) = self.world.accepted
        self.racers = [
            self.world.cancel(self.order_id),
            self.world.change(self.order_id, changes),
            self.world.watch(),
        ]
        for number in range(3):
            self.go_on(number)
        # the look reads what waits, what is over and what trails, of all of which nothing comes here
        for _ in range(3):
            self.go_on(WATCHER)

    def go_on(self, number: int) -> None:
        """One read or write of the order, and on to before the next; at first only that."""
        racer = self.racers[number]
        racer.step()
        while racer.lives and not racer.point.startswith(SHARED):
            racer.step()

    def living(self) -> list[int]:
        return [number for number, racer in enumerate(self.racers) if racer.lives]

    def outcome(self) -> Outcome:
        """What is stored and what the clients were told."""
        self.world.check()
        order = self.world.table.load(self.order_id)
        assert order is not None
        told = self.racers[0].result, self.racers[1].result
        prices = order.limit_price, order.stop_price, order.trailing_ppm, order.min_out
        kind = None if order.trigger is None else order.trigger.kind
        assert order.state is not State.PENDING or self.world.queue.messages, "no worker would come to it"
        return order.state, kind, order.changes, prices, told


def serial(start: Callable[[], Race]) -> set[Outcome]:
    outcomes = set()
    for one_after_another in permutations(range(3)):
        race = start()
        for number in one_after_another:
            race.racers[number].finish()
        outcomes.add(race.outcome())
    return outcomes


def every_way(start: Callable[[], Race]) -> Iterator[tuple[list[int], Outcome]]:
    """Every schedule, by who goes on each time, with what comes of it."""
    schedules: list[list[int]] = [[]]
    while schedules:
        schedule = schedules.pop()
        race = start()
        for number in schedule:
            race.go_on(number)
        while living := race.living():
            schedules += [[*schedule, number] for number in living[1:]]
            schedule = [*schedule, living[0]]
            race.go_on(living[0])
        yield schedule, race.outcome()


@pytest.mark.parametrize("case", CASES)
def test_it_ends_in_one_of_the_serial_orders(case: str) -> None:
    def start() -> Race:
        return Race(*CASES[case])

    lawful = serial(start)
    assert len(lawful) > 1, "who comes first makes a difference"
    ways = 0
    for schedule, outcome in every_way(start):
        ways += 1
        assert outcome in lawful, f"{schedule}: {outcome} is none of {lawful}"
    assert {reply for outcome in lawful for reply in outcome[-1]} == {None, "Conflict"}, "each is told yes or no"
    print(f"{case}: {ways} ways end in {len(lawful)} outcomes")
    assert ways >= 50, "three that read, of which at least two write, have as many ways"


# --- what the test is worth: mistakes that others made, planted one at a time ----------------------------------------


def _whatever_stands_there(table: OrdersInMemory, order: Order, limits: LimitsInForce | None = None) -> Order:
    """A write that doesn't look whether it is stale."""
    written = as_written(order)
    table._write(written)
    return written


def _together_whatever_stands_there(
    table: OrdersInMemory, orders: Sequence[Order], limits: Mapping[str, LimitsInForce]
) -> bool:
    for order in orders:
        _whatever_stands_there(table, order)
    return True


def _over_a_trigger(order: Order, changes: OrderChanges, now_ms: int, seen_out: int | None = None) -> Order:
    """A change that takes an order out of the workers' hands."""
    return changed(replace(order, state=State.OPEN, trigger=None, first_quoted_out=None), changes, now_ms, seen_out)


@pytest.mark.parametrize(
    ("owner", "name", "mistake"),
    [
        pytest.param(OrdersInMemory, "replace", _whatever_stands_there, id="a client's write over another's"),
        pytest.param(
            OrdersInMemory, "replace_together", _together_whatever_stands_there, id="a look's over a client's"
        ),
        pytest.param(order_changer, "changed", _over_a_trigger, id="a change of what was triggered"),
    ],
)
def test_it_catches_a_planted_mistake(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, mistake: object
) -> None:
    lawful = serial(lambda: Race(*CASES["stop"]))
    monkeypatch.setattr(owner, name, mistake)
    monkeypatch.setattr(order_changer, "may_change", lambda order: owner is order_changer or may_change(order))
    with pytest.raises(AssertionError):
        assert {outcome for _, outcome in every_way(lambda: Race(*CASES["stop"]))} <= lawful
