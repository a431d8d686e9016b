"""The emulated programs and their real bytecode leave the same chain behind.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, associated_token_address
from chalicelib.venues.venue import Pool
from infra.localnet.commitment import Commitment
from infra.localnet.market.tokens import TOKENS
from infra.localnet.startup import Chain, Options, build
from infra.localnet.transaction_log import LandedTransaction
from tests.localnet import token_2022
from tests.real_programs import (
    METEORA_DAMM_V1,
    METEORA_DAMM_V2,
    METEORA_DLMM,
    METEORA_VAULT,
    RAYDIUM_AMM_V4,
    RAYDIUM_CLMM,
    RAYDIUM_CPMM,
    DeployedProgram,
    as_emulated,
)

NOW = 1_795_000_000
TRADES = 200
PROGRAMS = (RAYDIUM_CPMM, METEORA_DLMM, RAYDIUM_CLMM, METEORA_DAMM_V2)
# They trade no Token-2022 token.
OF_SPL_TOKENS = (RAYDIUM_AMM_V4, METEORA_DAMM_V1)
CALLEES = {METEORA_DAMM_V1: (METEORA_VAULT,)}
WALLET = Keypair.from_seed(bytes([46] * 32))
LEVY, USDC = (next(token.mint for token in TOKENS if token.symbol == symbol) for symbol in ("LEVY", "USDC"))
LEVY_HELD = associated_token_address(WALLET.pubkey(), LEVY.address, LEVY.token_program)


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
@pytest.mark.parametrize("program", [*PROGRAMS, *OF_SPL_TOKENS], ids=lambda program: program.file_name)
def test_all_that_swaps_depend_on_is_the_same_after_the_same_trades(program: DeployedProgram) -> None:
    bytecode = tuple((each.address, each.bytecode) for each in (program, *CALLEES.get(program, ())))
    emulated, ours = traded(Options(with_traders=False), program.address)
    real, theirs = traded(Options(with_traders=False, bpf_programs=bytecode), program.address)
    assert ours == theirs
    assert sum(isinstance(outcome, tuple) for outcome in ours) > TRADES // 2
    accounts = emulated.node.ledger.snapshot().accounts
    different = [
        address
        for address, account in accounts.items()
        if address != program.address
        and ((found := real.node.ledger.current(address)) is None or as_emulated(found) != account)
    ]
    assert different == []


class Market:
    """The genesis pool of LEVY, of Token-2022, and USDC on one program, and a wallet that trades on it."""

    def __init__(self, program: DeployedProgram, *, is_real: bool) -> None:
        bytecode = ((program.address, program.bytecode),) if is_real else ()
        options = Options(with_traders=False, funded=(WALLET.pubkey(),), bpf_programs=bytecode)
        self.chain = build(options, lambda: NOW)
        self.ledger = self.chain.node.ledger
        self.pool = next(
            pool
            for address, of in self.chain.pools
            if of == program.address and _trades(pool := self.chain.node.desk.pool(address), LEVY.address, USDC.address)
        )
        self.vault = next(side.vault for side in self.pool.sides if side.mint == LEVY.address)

    def edit(self, address: Pubkey, change: Callable[[Account], Account]) -> None:
        account = self.ledger.current(address)
        assert account is not None
        self.ledger.set_account(address, change(account))

    def land(self, *instructions: Instruction) -> LandedTransaction:
        bank = self.ledger.bank(Commitment.PROCESSED)
        blockhash, _ = self.ledger.latest_blockhash(bank)
        message = MessageV0.try_compile(WALLET.pubkey(), list(instructions), [], blockhash)
        return self.ledger.submit(VersionedTransaction(message, [WALLET]))

    def sell(self, mint: Pubkey) -> LandedTransaction:
        source, destination = (
            associated_token_address(WALLET.pubkey(), side.mint, side.token_program)
            for side in sorted(self.pool.sides, key=lambda side: side.mint != mint)
        )
        quote = self.pool.quote(mint, 10_000_000, self.ledger.clock)
        swap = self.pool.swap_instruction(
            quote, trader=WALLET.pubkey(), source=source, destination=destination, minimum_out=0
        )
        return self.land(set_compute_unit_limit(400_000), swap)


def _trades(pool: Pool, *mints: Pubkey) -> bool:
    return {side.mint for side in pool.sides} == set(mints)


def _told(landed: LandedTransaction) -> list[str]:
    """What the token and memo programs and Anchor said, and how each program ended: all but events and units."""
    ours = (str(METEORA_DLMM.address), str(METEORA_DAMM_V2.address), "Program data", "Program log: Instruction: Swap")
    lines = (line for line in landed.meta["logMessages"] if not any(part in line for part in ours))
    return [line.split(" consumed ")[0] for line in lines]


OBSTACLES: dict[str, Callable[[Market], object]] = {
    "the wallet's account is guarded": lambda market: market.land(*token_2022.guard(LEVY_HELD, WALLET.pubkey())),
    "the wallet's account asks for memos": lambda market: market.land(
        *token_2022.ask_for_memos(LEVY_HELD, WALLET.pubkey())
    ),
    "the wallet's account is frozen": lambda market: market.edit(LEVY_HELD, token_2022.frozen),
    "the vault is frozen": lambda market: market.edit(market.vault, token_2022.frozen),
    "the mint is paused": lambda market: market.edit(LEVY.address, token_2022.paused),
    "the mint calls a hook": lambda market: market.edit(LEVY.address, token_2022.hooked),
    "new accounts are frozen": lambda market: market.edit(LEVY.address, token_2022.frozen_by_default),
    "the mint has an extension of tomorrow": lambda market: market.edit(LEVY.address, token_2022.of_a_later_program),
    "the wallet's tokens can't be moved": lambda market: market.edit(LEVY_HELD, token_2022.not_transferable),
    "the vault's tokens can't be moved": lambda market: market.edit(market.vault, token_2022.not_transferable),
    "nothing": lambda market: None,
}


@pytest.mark.real_programs
@pytest.mark.parametrize("program", PROGRAMS, ids=[program.file_name for program in PROGRAMS])
@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_the_token_program_refuses_both_alike(program: DeployedProgram, obstacle: str) -> None:
    markets = Market(program, is_real=False), Market(program, is_real=True)
    for market in markets:
        OBSTACLES[obstacle](market)
    for mint in (LEVY.address, USDC.address):
        emulated, real = (market.sell(mint) for market in markets)
        assert emulated.error == real.error
        # Of a hook on what it pays out the real Meteora speaks only after it has taken the payment.
        since = -1 if obstacle == "the mint calls a hook" and program is METEORA_DLMM else 0
        assert _told(emulated)[since:] == _told(real)[since:]
        for address in (LEVY_HELD, markets[0].vault):
            assert markets[0].ledger.current(address) == markets[1].ledger.current(address)
    assert LEVY.token_program == TOKEN_2022_PROGRAM
