"""At each step of an order's life its client cancels it, its deadline passes, its price falls, or its pools refuse.

As in test_kill_at_every_step.py the very call is held that marks the step, until it has happened; then the worker goes
on. What may come of it follows from whether the order's transaction is stored by then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from itertools import combinations
from typing import Any

from testing.fault_proxy import Held
from tests.faults.audit import Audit
from tests.faults.clients import time_text
from tests.faults.dice import SEED, dice, scaled
from tests.faults.engine import Engine, PastDeadline
from tests.faults.market import pools_of, symbol_of
from tests.faults.steps import STEPS, AtItsStep, Reached, Step

# How often what came to no order is tried with another, at most: one whose deadline passed before its step, or whose
# price was under its floor by itself.
ROUNDS = 7
AT_ONCE = 12
AMOUNTS = {"SOL": "0.05", "USDC": "7", "USDT": "7", "JUP": "17", "RAY": "3.5", "BONK": "400000"}
PAIRS = list(combinations(AMOUNTS, 2))
# How far the pools of the route fall, the pair's own where none is chosen; and how near to the price the floor is of an
# order to which that happens.
FALL = Decimal("0.15")
NEAR = Decimal("0.998")
# A deadline that comes while the order is on its way: twice as far in each round, for a busy machine takes its time.
SECONDS_TO_DEADLINE = 5

Json = dict[str, Any]


class Event(Enum):
    CANCELLATION = "its client cancels it"
    DEADLINE = "its deadline passes"
    FALL = "its price falls under its floor"
    REFUSAL = "the pools of its route refuse"


@dataclass(frozen=True, slots=True)
class Trial:
    """What happens to one order, and when; the two tokens are no other's of its round."""

    event: Event
    step: Step
    token_in: str
    token_out: str

    @property
    def slippage(self) -> str:
        return "0.002" if self.event is Event.FALL else "0.3"


@dataclass
class Director:
    """Lets each trial's event happen, and keeps what came of it."""

    engine: Engine
    trials: dict[str, Trial] = field(default_factory=dict)  # by the clientOrderId
    deadlines: dict[str, float] = field(default_factory=dict)  # seconds since the epoch
    replies: dict[str, int] = field(default_factory=dict)
    undo: list[tuple[str, str, int]] = field(default_factory=list)
    fallen: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  # pools, and of what the price fell

    def body(self, name: str, seconds_to_deadline: float) -> Json:
        trial = self.trials[name]
        body = {
            "type": "market",
            "tokenIn": trial.token_in,
            "tokenOut": trial.token_out,
            "amount": AMOUNTS[trial.token_in],
            "slippage": trial.slippage,
            "clientOrderId": name,
        }
        if trial.event is Event.FALL:
            quoted = self.engine.market.quote(trial.token_in, trial.token_out, body["amount"])["amountOut"]
            decimals = self.engine.tokens[trial.token_out]["decimals"]
            body["minOut"] = f"{(Decimal(quoted) * NEAR).quantize(Decimal(1).scaleb(-decimals)):f}"
        if trial.event is Event.DEADLINE:
            deadline_ms = int((time.time() + seconds_to_deadline) * 1000)
            self.deadlines[name] = deadline_ms / 1000
            body["expiresAt"] = time_text(deadline_ms)
        return body

    def happen(self, name: str, held: Held) -> None:
        engine, trial = self.engine, self.trials[name]
        match trial.event:
            case Event.CANCELLATION:
                self.replies[name] = engine.cancel(self._order(name)["orderId"])
            case Event.DEADLINE:
                while time.time() <= self.deadlines[name]:
                    time.sleep(0.02)
            case Event.FALL:
                legs = self._order(name).get("route", [])
                pairs = {(symbol_of(leg["tokenIn"]["mint"]), symbol_of(leg["tokenOut"]["mint"])) for leg in legs}
                for token_in, token_out in pairs or {(trial.token_in, trial.token_out)}:
                    self.undo += engine.market.move(token_in, token_out, FALL)
                    self.fallen.setdefault(name, set()).update(
                        (pool, token_in) for pool in pools_of(token_in, token_out)
                    )
            case Event.REFUSAL:
                legs = self._order(name).get("route", [])
                offers = engine.market.quote(trial.token_in, trial.token_out, AMOUNTS[trial.token_in])["route"]
                engine.market.refuse(*(leg["pool"] for leg in legs or offers))

    def calm(self) -> None:
        self.engine.market.serve()
        self.engine.market.undo(self.undo)
        self.undo.clear()

    def _order(self, name: str) -> Json:
        return next(one for one in self.engine.stored_orders().values() if one.get("clientOrderId") == name)


def all_trials() -> list[tuple[Event, Step]]:
    """In full each event at each step, in short each at two.

    In full those of one event are a round of their own: a pool that refuses is a reason not to meet a fallen price.
    """
    throws = dice("terms at every step")
    return [(event, step) for event in Event for step in throws.sample(STEPS, scaled(short=2, full=len(STEPS)))]


def in_rounds(left: list[tuple[Event, Step]], round_: int) -> Iterator[dict[str, Trial]]:
    throws = dice(f"pairs of round {round_}")
    for first in range(0, len(left), AT_ONCE):
        pairs = throws.sample(PAIRS, AT_ONCE)
        yield {
            f"terms-{SEED}-{round_}-{first + number}": Trial(event, step, *throws.sample(pair, 2))
            for number, ((event, step), pair) in enumerate(zip(left[first : first + AT_ONCE], pairs, strict=False))
        }


def test_whatever_happens_to_an_order_at_any_step_its_terms_are_kept(engine: Engine) -> None:
    audit, director = Audit(engine), Director(engine)
    rule = AtItsStep(engine, director.happen)
    engine.solana.rule = engine.aws.rule = rule
    left, accepted = all_trials(), set()
    for round_ in range(ROUNDS):
        seconds = SECONDS_TO_DEADLINE * 2**round_
        for trials in in_rounds(left, round_):
            director.trials.update(trials)
            rule.step_of.update({name: trial.step for name, trial in trials.items()})
            accepted |= post_at_once(engine, director, list(trials), seconds)
            engine.wait_until_ended(accepted, sweeping=True)
            director.calm()
        tried = [name for name in director.trials if name.split("-")[2] == str(round_)]
        left = [(director.trials[one].event, director.trials[one].step) for one in tried if one not in rule.came]
        print(f"round {round_ + 1}: {len(left)} of {len(tried)} came to no order", *map(_name, left), sep="\n  ")
        if not left:
            break
    assert left == [], "each event came at each step"
    orders = engine.wait_until_ended(accepted)
    engine.wait_until_drained()
    cancelled = {rule.order_ids[name] for name, status in director.replies.items() if status == 200}
    findings = audit.close(accepted, cancelled=cancelled)
    print(findings.line())
    findings.assert_clean()
    for name in sorted(rule.came):
        trial, order = director.trials[name], orders[rule.order_ids[name]]
        outcome = f"{_name((trial.event, trial.step))}: {order['state']}, {errors_of(order)}"
        print(outcome)
        assert is_as_it_must_be(director, name, order), outcome


def post_at_once(engine: Engine, director: Director, names: list[str], seconds_to_deadline: float) -> set[str]:
    def post(name: str) -> str | None:
        try:
            return engine.post_until_accepted(director.body(name, seconds_to_deadline), name)
        except PastDeadline:
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {order_id for order_id in pool.map(post, names) if order_id is not None}


def _name(left: tuple[Event, Step]) -> str:
    event, step = left
    return f"{event.value} {step.name}"


def errors_of(order: Json) -> list[str]:
    return [error for step in order["history"] if (error := step["detail"].get("error_code"))]


def is_as_it_must_be(director: Director, name: str, order: Json) -> bool:
    """Besides what the audit proves of any order."""
    trial = director.trials[name]
    reached, state, errors = trial.step.reached, order["state"], errors_of(order)
    match trial.event:
        case Event.CANCELLATION:
            return (director.replies.get(name), state) == (
                (409, "confirmed") if reached >= Reached.STORED else (200, "cancelled")
            )
        case Event.DEADLINE:
            # what was signed in time may land later
            return state == "expired" or (state == "confirmed" and reached >= Reached.SIGNED)
        case Event.FALL:
            # by pools that didn't fall, or rose by another's fall, there may be a way that pays what is asked
            met = "SLIPPAGE_EXCEEDED" in errors or not has_fallen(director, name, order)
            return state in ("confirmed", "failed") and (reached >= Reached.SENT or met)
        case Event.REFUSAL:
            # before a route is chosen another may be, and what landed is not refused any more
            refused = Reached.ROUTED <= reached <= Reached.STORED
            met = not refused or "VENUE_UNAVAILABLE" in errors
            return met and (state == "confirmed" or went_from_one_refusing_pool_to_the_next(order))


def has_fallen(director: Director, name: str, order: Json) -> bool:
    """Whether its event took a pool of its route down, and none of the same round took one of these up."""
    of_others = [fallen for other, fallen in director.fallen.items() if other != name and _round(other) == _round(name)]
    risen = {(pool, token) for fallen in of_others for pool, token in fallen}
    legs = [(leg["pool"], leg["tokenIn"]["mint"], leg["tokenOut"]["mint"]) for leg in order.get("route", [])]
    fell = any((pool, symbol_of(sold)) in director.fallen[name] for pool, sold, _ in legs)
    return fell and not any((pool, symbol_of(bought)) in risen for pool, _, bought in legs)


def _round(name: str) -> str:
    return name.rpartition("-")[0]


def went_from_one_refusing_pool_to_the_next(order: Json) -> bool:
    """Three attempts are not enough where others' events happen, too, to the pools that are left or to their prices."""
    errors = errors_of(order)
    if errors == ["VENUE_UNAVAILABLE"] * 3:
        return len(order["refusedPools"]) > 1
    # What the pools that are left pay, after a fall of their own, is under the floor or too far from the others' price.
    of_prices = {"SLIPPAGE_EXCEEDED", "PRICE_DEVIATION"}
    return len(errors) == 3 and "VENUE_UNAVAILABLE" in errors and set(errors) <= {"VENUE_UNAVAILABLE", *of_prices}
