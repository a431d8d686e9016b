"""What becomes of a dead letter, told from the order that it names: placed again once, on its own terms, or left."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest

from chalicelib.orders.intake import Intake
from chalicelib.orders.message import message_body
from chalicelib.orders.order import Order
from chalicelib.orders.ports import DeadLetter
from chalicelib.orders.redrive import Redrive, Redriven
from chalicelib.orders.states import State
from chalicelib.risk.counters import GLOBAL, account_scope
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import Limits, LimitsInForce
from chalicelib.times import time_text
from tests.orders_in_memory import OrdersInMemory, OrdersOthersWrite
from tests.sample_orders import CREATED_AT_MS, SOL, failed, market_price, new_order, order_in
from tests.unit.test_intake_decisions import Queue, Starts, Tokens

LATER = CREATED_AT_MS + 3_600_000


@dataclass
class Letters(Queue):
    """The queue with its dead letters, each with what was done with it."""

    letters: list[DeadLetter] = field(default_factory=list)
    left: list[DeadLetter] = field(default_factory=list)
    discarded: list[DeadLetter] = field(default_factory=list)
    asked_for: int = 0

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        self.asked_for = limit
        return self.letters

    def leave(self, letter: DeadLetter) -> None:
        self.left.append(letter)

    def discard(self, letter: DeadLetter) -> None:
        self.discarded.append(letter)


@dataclass
class Operations:
    store: OrdersOthersWrite = field(default_factory=OrdersOthersWrite)
    queue: Letters = field(default_factory=Letters)
    halts: dict[str, Halt] = field(default_factory=dict)
    ended_key: str = "k_ended"

    def halt_of(self, account: str) -> Halt | None:
        return self.halts.get(account)

    def limits_for(self, account: str) -> LimitsInForce:
        return LimitsInForce(Limits(), Limits())

    def is_valid(self, key_id: str, now_ms: int) -> bool:
        assert now_ms == LATER
        return key_id != self.ended_key

    def redrive(self, body: str, expires_in_ms: int | None = None) -> Redriven:
        """Of one dead letter."""
        queue = self.queue
        queue.letters, queue.left, queue.discarded = [DeadLetter("receipt", body)], [], []
        intake = Intake(self.store, queue, Tokens(), Starts(), self, lambda: LATER, uuid4, prices=market_price)  # type: ignore[arg-type]
        run = Redrive(self.store, queue, intake, self, self, lambda: LATER).run  # type: ignore[arg-type]
        (redriven,) = run(7) if expires_in_ms is None else run(7, expires_in_ms)
        assert queue.asked_for == 7
        # what can't be sent back stays
        gone, stays = (queue.letters, []) if redriven.order_id is not None else ([], queue.letters)
        assert (queue.discarded, queue.left) == (gone, stays)
        return redriven

    def stored(self, order: Order) -> Order:
        assert self.store.create(order)
        return order

    def order(self, order_id: str) -> Order:
        order = self.store.load(order_id)
        assert order is not None
        return order


def of_default_deadline(**changes: object) -> Order:
    return replace(failed(), expires_at_ms=LATER + 1, expires_by_default=True, **changes)  # type: ignore[arg-type]


def test_a_failed_order_is_placed_again_once_with_its_own_terms_and_each_names_the_other() -> None:
    desk = Operations()
    dead = desk.stored(
        of_default_deadline(min_out=7, max_price_impact_ppm=20_000, max_network_fee=9_000, account="mine")
    )
    first = desk.redrive(message_body(dead.order_id))
    assert first.order_id is not None
    assert first == Redriven(dead.order_id, first.order_id, "placed again")
    again = desk.order(first.order_id)
    names = (
        "account",
        "type",
        "token_in",
        "token_out",
        "amount",
        "slippage_ppm",
        "min_out",
        "expires_at_ms",
        "expires_by_default",
        "max_price_impact_ppm",
        "max_network_fee",
    )
    assert {name: getattr(again, name) for name in names} == {name: getattr(dead, name) for name in names}
    assert (again.state, again.redrive_of) == (State.PENDING, dead.order_id)
    assert desk.order(dead.order_id).redriven_as == first.order_id
    assert desk.redrive(message_body(dead.order_id)) == replace(first, outcome="was placed again before")
    assert len(desk.store.orders()) == 2


def test_a_redrive_that_died_after_placing_is_completed_even_after_the_deadline() -> None:
    desk = Operations()
    dead = desk.stored(of_default_deadline())
    placed = desk.redrive(message_body(dead.order_id)).order_id
    forgotten = replace(desk.order(dead.order_id), redriven_as=None, expires_at_ms=LATER - 1)
    desk.store.replace(forgotten)
    told = desk.redrive(message_body(dead.order_id))
    # another deadline is no other trade
    assert told == Redriven(dead.order_id, placed, "was placed again before")
    assert desk.order(dead.order_id).redriven_as == placed


@pytest.mark.parametrize("halted", ["mine", "theirs"])
def test_nothing_of_a_halted_account_is_placed_again(halted: str) -> None:
    desk = Operations(halts={halted: Halt(account_scope(halted), LATER, "by hand")})
    dead = desk.stored(of_default_deadline(account="mine"))
    told = desk.redrive(message_body(dead.order_id))
    if halted == "mine":
        assert told == Redriven(dead.order_id, None, "this account's executions are halted: by hand; left")
        assert len(desk.store.orders()) == 1
    else:
        assert told.outcome == "placed again"


def test_what_was_placed_again_before_is_told_though_everything_is_halted_now() -> None:
    desk = Operations()
    dead = desk.stored(of_default_deadline())
    placed = desk.redrive(message_body(dead.order_id)).order_id
    desk.halts = {"local": Halt(GLOBAL, LATER, "")}
    assert desk.redrive(message_body(dead.order_id)) == Redriven(dead.order_id, placed, "was placed again before")


@pytest.mark.parametrize(("by_default", "hint"), [(True, " (--expires-in gives it a new time)"), (False, "")])
def test_nothing_is_placed_from_the_deadline_on(by_default: bool, hint: str) -> None:
    desk = Operations()
    dead = desk.stored(replace(failed(), expires_at_ms=LATER, expires_by_default=by_default))
    told = desk.redrive(message_body(dead.order_id))
    said = f"was good until {time_text(LATER)}, nothing is placed; left{hint}"
    assert told == Redriven(dead.order_id, None, said)
    assert desk.redrive(message_body(dead.order_id), 60_000).outcome == ("placed again" if by_default else said)


@pytest.mark.parametrize(
    ("expires_at_ms", "by_default", "in_ms", "expected"),
    [
        (LATER + 1, True, None, LATER + 1),
        (LATER + 1, True, 60_000, LATER + 60_000),
        (LATER - 1, True, 60_000, LATER + 60_000),
        (LATER + 1, False, 60_000, LATER + 1),
    ],
)
def test_a_new_deadline_is_for_orders_whose_own_was_the_default(
    expires_at_ms: int, by_default: bool, in_ms: int | None, expected: int
) -> None:
    desk = Operations()
    dead = desk.stored(replace(failed(), expires_at_ms=expires_at_ms, expires_by_default=by_default))
    told = desk.redrive(message_body(dead.order_id), in_ms)
    assert told.order_id is not None
    again = desk.order(told.order_id)
    assert (again.expires_at_ms, again.expires_by_default) == (expected, by_default)


def test_what_intake_refuses_stays_with_the_reason() -> None:
    desk = Operations()
    dead = desk.stored(of_default_deadline(token_in=replace(SOL, mint="gone")))
    told = desk.redrive(message_body(dead.order_id))
    assert (told.dead_order_id, told.order_id) == (dead.order_id, None)
    assert told.outcome.startswith("tokenIn: is not a token that is traded here")
    assert told.outcome.endswith("; left")


def test_the_failed_order_names_the_new_one_though_someone_writes_it_meanwhile() -> None:
    desk = Operations()
    dead = desk.stored(of_default_deadline())
    desk.store.meanwhile = [lambda: OrdersInMemory.replace(desk.store, desk.order(dead.order_id))] * 2
    placed = desk.redrive(message_body(dead.order_id)).order_id
    assert desk.order(dead.order_id).redriven_as == placed


def test_a_name_that_another_run_has_written_meanwhile_is_left_as_it_is() -> None:
    desk = Operations()
    dead = desk.stored(of_default_deadline())
    desk.store.meanwhile = [
        lambda: OrdersInMemory.replace(desk.store, replace(desk.order(dead.order_id), redriven_as="theirs"))
    ]
    assert desk.redrive(message_body(dead.order_id)).outcome == "placed again"
    assert desk.order(dead.order_id).redriven_as == "theirs"


def test_a_failed_order_that_is_gone_meanwhile_is_named_by_none() -> None:
    desk = Operations()
    dead = desk.stored(of_default_deadline())
    desk.store.meanwhile = [lambda: desk.store.items.pop(dead.order_id)]
    assert desk.redrive(message_body(dead.order_id)).outcome == "placed again"


@pytest.mark.parametrize("state", [State.PENDING, State.SUBMITTED])
def test_an_order_that_goes_on_gets_its_message_back(state: State) -> None:
    desk = Operations()
    order = desk.stored(order_in(state))
    assert desk.redrive(message_body(order.order_id)) == Redriven(order.order_id, order.order_id, "goes on")
    assert [order_id for order_id, _, _ in desk.queue.sent] == [order.order_id]


@pytest.mark.parametrize("state", [State.CONFIRMED, State.CANCELLED, State.EXPIRED])
def test_an_order_that_ended_otherwise_is_told_and_its_letter_dropped(state: State) -> None:
    desk = Operations()
    order = desk.stored(order_in(state))
    told = desk.redrive(message_body(order.order_id))
    assert told == Redriven(order.order_id, order.order_id, f"is {order.status} by now")
    assert desk.queue.sent == []


def test_what_names_no_stored_order_stays_for_a_person_to_see() -> None:
    assert Operations().redrive("{}") == Redriven("", None, "names no order; left")
    gone = new_order().order_id
    assert Operations().redrive(message_body(gone)) == Redriven(gone, None, "is not stored; left")
