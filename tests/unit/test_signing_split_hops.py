"""The signer and a route over a third token whose hops are split: what one hop guarantees, the next may spend."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from solders.instruction import Instruction
from solders.message import MessageV1

from chalicelib.problems import SigningRefused
from tests.trades_to_sign import LATEST, MINTS, WALLET, TradeToSign, as_bytes, policy, trade
from tests.unit.trade_kinds import swaps_of


class _Amounts(NamedTuple):
    amount_in: int
    floor: int


MADE = trade("JUP", "RAY", 10**12, pools=("JUP/USDC", "USDC/RAY"), version=1)


def amounts(made: TradeToSign) -> list[_Amounts]:
    """Of each swap, as they stand in its instruction."""
    data = [bytes(made.instructions[index].data) for index in swaps_of(made)]
    return [_Amounts(int.from_bytes(each[8:16], "little"), int.from_bytes(each[16:24], "little")) for each in data]


def refusal(changes: dict[int, tuple[int, int]]) -> str:
    """With so much added to the amount in and to the floor of some of the swaps."""
    instructions = MADE.plan.instructions()
    for number, (more_in, more_out) in changes.items():
        index = swaps_of(MADE)[number] - 2  # version 1 has its budget elsewhere
        data = bytearray(instructions[index].data)
        for at, more in ((8, more_in), (16, more_out)):
            data[at : at + 8] = (int.from_bytes(data[at : at + 8], "little") + more).to_bytes(8, "little")
        old = instructions[index]
        instructions[index] = Instruction(old.program_id, bytes(data), old.accounts)
    message = MessageV1.try_compile(WALLET, instructions, LATEST.blockhash, MADE.message_1.config)
    with pytest.raises(SigningRefused) as refused:
        policy().approve(as_bytes(message), MADE.terms)
    return str(refused.value)


def test_such_a_route_is_signed() -> None:
    first, second = amounts(MADE)[:2], amounts(MADE)[2:]
    assert (len(first), len(second)) == (2, 2)
    assert policy().approve(as_bytes(MADE.message_1), MADE.terms).signer == WALLET
    assert sum(swap.amount_in for swap in first) == MADE.terms.amount_in
    assert sum(swap.floor for swap in first) == sum(swap.amount_in for swap in second)
    assert sum(swap.floor for swap in second) >= MADE.min_out


def test_its_second_hop_spends_no_more_than_the_first_guarantees() -> None:
    assert f"of {MINTS['USDC']}, more than it may" in refusal({3: (1, 0)})
    assert "more than it may" in refusal({0: (0, -1)})


def test_its_second_hop_leaves_nothing_of_it() -> None:
    assert "do not spend all" in refusal({2: (-1, 0)})
    assert "do not spend all" in refusal({1: (0, 1)})


def test_its_legs_guarantee_the_floor_together() -> None:
    assert "less than the order's floor" in refusal({2: (0, -amounts(MADE)[2].floor + 1)})


def test_what_one_leg_spends_less_the_other_of_the_hop_may_spend_more() -> None:
    instructions = MADE.plan.instructions()
    for number, more in ((0, -1_000), (1, 1_000)):
        index = swaps_of(MADE)[number] - 2
        data = bytearray(instructions[index].data)
        data[8:16] = (int.from_bytes(data[8:16], "little") + more).to_bytes(8, "little")
        old = instructions[index]
        instructions[index] = Instruction(old.program_id, bytes(data), old.accounts)
    message = MessageV1.try_compile(WALLET, instructions, LATEST.blockhash, MADE.message_1.config)
    assert policy().approve(as_bytes(message), MADE.terms).signer == WALLET
