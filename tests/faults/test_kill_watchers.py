"""kill -9 at each step of a watcher's look, and of the API between an order's write and the send, on the emulator.

Orders of each type that waits are placed, each of a pair of its own, by which its watcher is known. Each must be sold
once and within its floor, though its watcher was killed, and no pair goes on that nothing waits for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, cycle
from typing import Any

import pytest
import urllib3

from testing.fault_proxy import Held, When
from tests.faults.audit import Audit
from tests.faults.clients import unit_price
from tests.faults.dice import FULL, SEED, dice, scaled
from tests.faults.due_orders import (
    FALL,
    FAR_ABOVE,
    LOWER,
    MOVES_AGAIN_SECONDS,
    WAITING,
    Kind,
    due,
    let_fall_until_triggered,
)
from tests.faults.engine import PATIENCE_SECONDS, Engine
from tests.faults.steps_of_looks import LOOK_STEPS, AtItsLook, Comes, LookStep

AMOUNTS = {"SOL": "0.05", "USDC": "7", "USDT": "7", "JUP": "17", "RAY": "3.5", "BONK": "400000"}
PAIRS = list(combinations(AMOUNTS, 2))
AT_ONCE = 5
# How often what killed nobody is tried again, at most, as in test_kill_at_every_step.py.
ROUNDS = 8
# How far prices rise for trailing stops to see better ones.
RISE = Decimal("0.004")
FEW_STEPS = 4

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """An order, and the step at which its watcher is killed; the two tokens are no other's of its time."""

    step: LookStep
    kind: Kind
    sold: str
    bought: str


def all_steps() -> list[tuple[LookStep, Kind]]:
    """In full each step with each type that comes to it, in short a few steps, and each type once or twice."""
    throws = dice("looks that are killed")
    if FULL:
        return [(step, kind) for step in LOOK_STEPS for kind in kinds_of(step)]
    following = throws.choice([step for step in LOOK_STEPS if step.comes is Comes.FOLLOWING])
    others = throws.sample([step for step in LOOK_STEPS if step.comes is not Comes.FOLLOWING], FEW_STEPS)
    kinds = cycle(throws.sample([kind for kind in WAITING if kind is not Kind.TRAILING], FEW_STEPS))
    return [(following, Kind.TRAILING), *zip(others, kinds, strict=False)]


def kinds_of(step: LookStep) -> list[Kind]:
    """The types that come to the step."""
    return [kind for kind in WAITING if step.comes is not Comes.FOLLOWING or kind is Kind.TRAILING]


def in_rounds(left: list[tuple[LookStep, Kind]], round_: int) -> Iterator[dict[str, Trial]]:
    """Some at a time, by their client order ids."""
    throws = dice(f"pairs of round {round_}")
    for first in range(0, len(left), AT_ONCE):
        pairs = throws.sample(PAIRS, AT_ONCE)
        trials: dict[str, Trial] = {}
        for number, ((step, kind), pair) in enumerate(zip(left[first : first + AT_ONCE], pairs, strict=False)):
            trials[f"look-{SEED}-{round_}-{first + number}"] = Trial(step, kind, *throws.sample(pair, 2))
        yield trials


def test_an_order_whose_watcher_is_killed_at_any_step_is_sold_once_within_its_floor(engine: Engine) -> None:
    audit = Audit(engine)

    def kill(pair: str, held: Held) -> None:
        assert held.call.pid is not None
        engine.kill(held.call.pid)

    rule = AtItsLook(engine, kill)
    engine.solana.rule = engine.aws.rule = rule
    left = all_steps()
    tried: dict[str, Trial] = {}
    for round_ in range(ROUNDS):
        again: list[tuple[LookStep, Kind]] = []
        for trials in in_rounds(left, round_):
            placed = look_at(engine, rule, trials)
            tried.update({placed[name]: trial for name, trial in trials.items()})
            again += [(one.step, one.kind) for one in trials.values() if pair_of(engine, one) not in rule.came]
        names = [f"{kind.value}, {step.name}" for step, kind in again]
        print(f"round {round_ + 1}: {len(again)} of {len(left)} steps killed nobody", *names, sep="\n  ")
        left = again
        if not left:
            break
    assert left == [], "each step came, and killed its watcher"
    orders = engine.wait_until_ended(set(tried))
    engine.wait_until_drained()
    findings = audit.close(tried)
    print(findings.line())
    findings.assert_clean()
    assert {order["state"] for order in orders.values()} == {"confirmed"}, "none is lost"
    for order_id, trial in tried.items():
        by_limit = trial.kind in (Kind.LIMIT, Kind.OCO_BY_LIMIT)
        assert orders[order_id]["trigger"]["kind"] == ("limit" if by_limit else "stop"), "by the price that was reached"


def look_at(engine: Engine, rule: AtItsLook, trials: dict[str, Trial]) -> dict[str, str]:
    """Place the orders, let prices rise, then fall, until all are sold and nobody looks any more; their ids."""
    rule.begin({pair_of(engine, trial): trial.step for trial in trials.values()})

    def place(name: str) -> str:
        trial = trials[name]
        trade = {"tokenIn": trial.sold, "tokenOut": trial.bought, "amount": AMOUNTS[trial.sold], "slippage": "0.3"}
        return engine.post_until_accepted(due(engine, trial.kind, trade) | {"clientOrderId": name}, name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        placed = dict(zip(trials, pool.map(place, trials), strict=True))
    trailing = {placed[name]: trial for name, trial in trials.items() if trial.kind is Kind.TRAILING}
    raised_at = 0.0

    def have_followed() -> bool:
        """Others let the price fall back while nobody looks: it rises again until somebody has seen it. Where they let
        it fall so far that the stop is reached, it follows no more.
        """
        nonlocal raised_at
        engine.sweep()
        orders = engine.stored_orders()
        behind = [trial for order_id, trial in trailing.items() if is_to_follow(orders[order_id])]
        if behind and time.monotonic() > raised_at + MOVES_AGAIN_SECONDS:
            for trial in behind:
                engine.market.move(trial.bought, trial.sold, RISE)
            raised_at = time.monotonic()
        return not behind

    engine.wait_until(have_followed)
    sold = {order_id: trial.sold for order_id, trial in trailing.items()}
    undo = let_fall_until_triggered(engine, sold, RISE + FALL)
    # what others wait for may have moved away with it, and comes back
    engine.market.undo(undo[::-1])
    engine.wait_until_ended(set(placed.values()), sweeping=True)
    engine.wait_until(lambda: _swept(engine) == set())
    return placed


def is_to_follow(order: Json) -> bool:
    """Whether its stop has neither moved up since it was placed nor been reached."""
    first = next(step for step in order["history"] if step["status"] == "open")
    return "trigger" not in order and Decimal(order["stopPrice"]) <= Decimal(first["detail"]["stop_price"])


def test_an_api_that_is_killed_between_the_write_and_the_send_loses_no_order_that_waits(engine: Engine) -> None:
    audit, accepted = Audit(engine), set()
    trade = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": AMOUNTS["SOL"], "slippage": "0.3"}
    kinds = dice("orders whose API is killed").sample(WAITING, scaled(short=2, full=len(WAITING)))
    for kind in kinds:
        accepted.add(place_and_kill(engine, due(engine, kind, trade)))
    trailing = [order_id for order_id, order in engine.stored_orders().items() if "trailingPpm" in order]
    undo = let_fall_until_triggered(engine, dict.fromkeys(accepted.intersection(trailing), "SOL"))
    engine.market.undo(undo[::-1])
    engine.wait_until_ended(accepted, sweeping=True)
    engine.wait_until_drained()
    findings = audit.close(accepted)
    findings.assert_clean()
    assert findings.orders == {"confirmed": len(kinds)}


@pytest.mark.parametrize("when", When)
def test_a_change_whose_api_is_killed_about_its_write_is_made_whole_or_not_at_all(engine: Engine, when: When) -> None:
    audit = Audit(engine)
    trade = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": AMOUNTS["SOL"], "slippage": "0.3"}
    paid = Decimal(engine.market.quote("SOL", "USDC", trade["amount"])["amountOut"])
    far = {**trade, "type": "limit", "limitPrice": unit_price(paid, trade, FAR_ABOVE)}
    order_id = engine.post_until_accepted(far, f"changed-{SEED}-{when.name}")
    near = {"limitPrice": unit_price(paid, trade, LOWER)}
    held = engine.hold_one("TransactWriteItems", when)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(engine.change, order_id, near)
        pid = held.result(PATIENCE_SECONDS).call.pid
        assert pid is not None
        assert engine.kill(pid)
        assert answer.result(PATIENCE_SECONDS) != 200, "nobody was told that it is changed"
    engine.aws.let_all_go()
    if when is When.BEFORE:
        assert engine.stored_orders()[order_id]["limitPrice"] == far["limitPrice"]
        assert engine.stored_orders()[order_id]["state"] == "open"
        engine.wait_until(lambda: engine.change(order_id, near) == 200)
    orders = engine.wait_until_ended({order_id}, sweeping=True)
    engine.wait_until_drained()
    audit.close({order_id}).assert_clean()
    assert orders[order_id]["state"] == "confirmed"
    assert orders[order_id]["limitPrice"] == near["limitPrice"]


def place_and_kill(engine: Engine, body: Json) -> str:
    """The process that takes the order in dies when it is stored, and has nobody look; its client asks no more."""
    known = set(engine.stored_orders())
    held = engine.hold_one("TransactWriteItems", When.AFTER)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(engine.post, body)
        pid = held.result(PATIENCE_SECONDS).call.pid
        assert pid is not None
        assert engine.kill(pid)
        with suppress(urllib3.exceptions.HTTPError):  # where nobody answers at all
            assert answer.result(PATIENCE_SECONDS).status >= 500
    engine.aws.let_all_go()
    (order_id,) = set(engine.stored_orders()) - known
    return order_id


def pair_of(engine: Engine, trial: Trial) -> str:
    """As circulations name it."""
    return "/".join(sorted(engine.tokens[symbol]["mint"] for symbol in (trial.sold, trial.bought)))


def _swept(engine: Engine) -> set[str]:
    """The pairs that are looked at, once the sweeper was here."""
    engine.sweep()
    return engine.pairs_watched()
