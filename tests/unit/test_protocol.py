"""The model of the never-twice protocol is of the code's own transitions, and its checker finds what it must."""

from __future__ import annotations

import re

import pytest

from chalicelib.orders.states import LEGAL, TERMINAL, State
from quality.protocol import spin
from quality.protocol.checks import MISTAKES, MODEL, PROMISES, QUICK, RIGHT, transitions

MISSING = spin.missing()
WITH_SPIN = pytest.mark.skipif(bool(MISSING), reason=f"the protocol's model is not checked without {MISSING}")


def test_the_models_transitions_are_the_codes() -> None:
    assert transitions() == {(before.name, event.name, after.name) for (before, event), after in LEGAL.items()}


def test_the_models_states_are_the_codes() -> None:
    (listed,) = re.findall(r"mtype:state = \{ (.+) \}", MODEL.read_text())
    (ended,) = re.findall(r"#define ENDED \((.+)\)", MODEL.read_text())
    assert listed.split(", ") == [state.name for state in State]
    assert set(re.findall(r"state == (\w+)", ended)) == {state.name for state in TERMINAL}


def test_each_mistake_is_one_that_the_model_can_make_and_breaks_a_promise_that_is_checked() -> None:
    text, promises = MODEL.read_text(), {promise.name for promise in PROMISES}
    for check in (*RIGHT, *MISTAKES):
        for macro in check.macros:
            assert re.search(rf"\b{macro.split('=')[0]}\b", text), f"{check.name}: the model knows no {macro}"
    assert {check.breaks for check in MISTAKES} <= promises
    assert len({check.name for check in (*RIGHT, *MISTAKES)}) == len(RIGHT) + len(MISTAKES)


@WITH_SPIN
def test_every_promise_holds_in_every_state_of_one_attempt() -> None:
    assert spin.run(QUICK, optimized=False).broken is None


@WITH_SPIN
@pytest.mark.parametrize("name", ["sent before it is stored", "a takeover that builds anew"])
def test_a_mistake_is_found_as_make_protocol_finds_all_of_them(name: str) -> None:
    (check,) = [check for check in MISTAKES if check.name == name]
    assert spin.run(check, optimized=False).broken == check.breaks
