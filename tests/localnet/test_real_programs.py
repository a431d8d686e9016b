"""The emulated programs and their real bytecode leave the same chain behind, where the bytecode is at hand.

FILLRATE_PROGRAMS names a folder with `raydium_cp_swap.so` and `lb_clmm.so` as they are on mainnet; neither is part of
this repository.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.venues.meteora_dlmm import layout as meteora_dlmm_layout
from chalicelib.venues.raydium_cpmm import layout as raydium_cpmm
from infra.localnet.startup import Chain, Options, build

NOW = 1_795_000_000
TRADES = 200
# Lengths of ObservationState and Oracle: no swap reads them, and versions of a program differ in what they note there.
PRICE_HISTORIES = frozenset({4_075, 3_232})
PROGRAMS = Path(os.environ.get("FILLRATE_PROGRAMS", ""))


def traded(options: Options, program: Pubkey) -> tuple[Chain, list[object]]:
    """The chain after seeded trades of all sizes on the program's pools, and what became of each."""
    now = [NOW]
    chain = build(options, lambda: now[0])
    pools = [address for address, of in chain.pools if of == program]
    dice = Random(5)
    outcomes: list[object] = []
    for _ in range(TRADES):
        # In quick succession, or so late that a pool has calmed down.
        now[0] += dice.choice((0, 0, 0, 700))
        chain.node.advance()
        pool = chain.node.desk.pool(dice.choice(pools))
        mint, amount = dice.choice(pool.sides).mint, 10 ** dice.randint(1, 12) + dice.randint(0, 999)
        try:
            trade = chain.node.desk.trade(pool, mint, amount)
        except ExecutionError as refused:
            outcomes.append(type(refused))
        else:
            outcomes.append((trade.landed.error, trade.amount_out))
    return chain, outcomes


@pytest.mark.parametrize(
    ("program", "file_name"),
    [(raydium_cpmm.PROGRAM_ID, "raydium_cp_swap.so"), (meteora_dlmm_layout.PROGRAM_ID, "lb_clmm.so")],
    ids=["raydium", "meteora"],
)
def test_all_that_swaps_depend_on_is_the_same_after_the_same_trades(program: Pubkey, file_name: str) -> None:
    bytecode = PROGRAMS / file_name
    if "FILLRATE_PROGRAMS" not in os.environ or not bytecode.is_file():
        pytest.skip(f"FILLRATE_PROGRAMS names no folder with {file_name}")
    emulated, ours = traded(Options(with_traders=False), program)
    real, theirs = traded(Options(with_traders=False, bpf_programs=((program, bytecode),)), program)
    assert ours == theirs
    assert sum(isinstance(outcome, tuple) for outcome in ours) > TRADES // 2
    accounts = emulated.node.ledger.snapshot().accounts
    different = [
        address
        for address, account in accounts.items()
        if address != program
        and len(account.data) not in PRICE_HISTORIES
        and real.node.ledger.current(address) != account
    ]
    assert different == []
