"""The emulated programs and their real bytecode leave the same chain behind.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

from random import Random

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from infra.localnet.startup import Chain, Options, build
from tests.real_programs import METEORA_DLMM, RAYDIUM_CPMM, DeployedProgram

NOW = 1_795_000_000
TRADES = 200


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


@pytest.mark.real_programs
@pytest.mark.parametrize("program", [RAYDIUM_CPMM, METEORA_DLMM], ids=["raydium", "meteora"])
def test_all_that_swaps_depend_on_is_the_same_after_the_same_trades(program: DeployedProgram) -> None:
    bytecode = ((program.address, program.bytecode),)
    emulated, ours = traded(Options(with_traders=False), program.address)
    real, theirs = traded(Options(with_traders=False, bpf_programs=bytecode), program.address)
    assert ours == theirs
    assert sum(isinstance(outcome, tuple) for outcome in ours) > TRADES // 2
    accounts = emulated.node.ledger.snapshot().accounts
    different = [
        address
        for address, account in accounts.items()
        if address != program.address and real.node.ledger.current(address) != account
    ]
    assert different == []
