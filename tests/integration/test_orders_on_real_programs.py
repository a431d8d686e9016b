"""Whole transactions, as orders send them, leave the same behind on the real programs as on the emulated ones.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.orders.execution import Landed, LandedFailed
from chalicelib.problems import SlippageExceeded, VenueUnavailable
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as RAYDIUM
from chalicelib.venues.registry import PoolEntry
from infra.localnet.programs import meteora_dlmm_pool, raydium_cpmm_pool
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_dlmm_pool import LimitOrders
from infra.localnet.startup import Options
from tests.integration.chain_trading import (
    MINTS,
    Engine,
    InProcessChain,
    dump_accounts,
    genesis_pools,
    meteora,
    raydium,
)
from tests.real_programs import REAL_PROGRAMS

pytestmark = pytest.mark.real_programs

WALLET = Keypair.from_seed(bytes([43] * 32))
NOW = 1_795_000_000
GENESIS = genesis_pools()


def cpmm(number: int, first: str, second: str, **more: Any) -> GenesisPool:
    """`first` and `second` at a price of two to one, and fees that are owed of both."""
    defaults: dict[str, Any] = {
        "mints": (MINTS[first], MINTS[second]),
        "reserves": (2 * 10**12, 10**12),
        "config_index": 30 + number,
        "protocol_fees": (12_345_678, 1),
        "fund_fees": (3, 98_765_432),
    }
    return raydium_cpmm_pool.genesis_pool(raydium_cpmm_pool.CpmmPoolSpec(**defaults | more))


def dlmm(number: int, first: str, second: str, **more: Any) -> GenesisPool:
    """Of each token 10^9 in each bin on its side, some near the active bin, some beyond a gap."""
    active, each_y = more.get("active_id", 0), more.pop("each_y", 10**9)
    bins = [*range(-30, 31), *range(-170, -150), *range(150, 171)]
    defaults: dict[str, Any] = {
        "mint_x": MINTS[first],
        "mint_y": MINTS[second],
        "bin_step": 20,
        "active_id": active,
        "base_factor": 10_100 + number,
        "liquidity": {active + bin_: (10**9 * (bin_ >= 0), each_y * (bin_ <= 0)) for bin_ in bins},
        "last_update_timestamp": NOW - 100,
        "volatility_accumulator": 50_000,
        "volatility_reference": 20_000,
    }
    return meteora_dlmm_pool.genesis_pool(meteora_dlmm_pool.DlmmPoolSpec(**defaults | more))


ORDERS = {
    3: LimitOrders(ask=True, open=2 * 10**8, processing=10**9, remaining=3 * 10**8),
    -3: LimitOrders(ask=False, open=2 * 10**8, processing=10**9, remaining=3 * 10**8),
}
CREATOR_FEE = {"creator_fee_rate": 700, "enable_creator_fee": True}
# Each kind of pool with the symbols of its tokens.
POOLS = {
    "cpmm of SPL tokens": ("JUP", "USDC", cpmm(0, "JUP", "USDC")),
    "cpmm of SOL": ("SOL", "USDC", cpmm(1, "SOL", "USDC")),
    "cpmm of a Token-2022 token": ("LEVY", "USDC", cpmm(2, "LEVY", "USDC")),
    "cpmm of SOL and a Token-2022 token": ("SOL", "LEVY", cpmm(3, "SOL", "LEVY")),
    "cpmm with creator fees on both": ("JUP", "USDC", cpmm(4, "JUP", "USDC", **CREATOR_FEE)),
    "cpmm with creator fees on one": ("JUP", "LEVY", cpmm(5, "JUP", "LEVY", **CREATOR_FEE, creator_fee_on=1)),
    "dlmm of SPL tokens": ("JUP", "USDC", dlmm(0, "JUP", "USDC")),
    "dlmm of SOL": ("SOL", "USDC", dlmm(1, "SOL", "USDC")),
    "dlmm of a Token-2022 token": ("LEVY", "USDC", dlmm(2, "LEVY", "USDC")),
    "dlmm of SOL and a Token-2022 token": ("SOL", "LEVY", dlmm(3, "SOL", "LEVY")),
    "dlmm with fees in one token": ("JUP", "USDC", dlmm(4, "JUP", "USDC", collect_fee_mode=1)),
    "dlmm with limit orders": ("JUP", "USDC", dlmm(5, "JUP", "USDC", orders=ORDERS)),
    "dlmm beyond its own bitmap": (
        "JUP",
        "USDC",
        dlmm(6, "JUP", "USDC", active_id=512 * 70, bin_step=1, each_y=36 * 10**9),
    ),
    "dlmm with a bitmap extension": ("JUP", "USDC", dlmm(7, "JUP", "USDC", with_bitmap_extension=True)),
}
# A part of the active bin; some bins; all near bins, the gap and on to the next arrays.
AMOUNTS = (10_001, 7_654_321_012, 33_000_000_000)


def entry(pool: GenesisPool) -> PoolEntry:
    return raydium(pool) if pool.accounts[pool.address].owner == RAYDIUM else meteora(pool)


@dataclass(frozen=True, slots=True)
class Twins:
    """The same chain twice: with emulated programs, and with their bytecode."""

    emulated: InProcessChain
    real: InProcessChain

    def trade_alike(self, pools: Sequence[PoolEntry], sold: str, bought: str, amount: int) -> list[str]:
        """Execute one order on both chains, which must take it to the same end; the venues of its route."""
        engines = [Engine(chain, WALLET, pools) for chain in (self.emulated, self.real)]
        order = engines[0].order(sold, bought, amount)
        ends = []
        for engine in engines:
            before = {symbol: engine.balance(symbol) for symbol in MINTS}
            executed = engine.execute(order)
            change = {symbol: engine.balance(symbol) - before[symbol] for symbol in MINTS}
            change["SOL"] += executed.fee
            filled = executed.planned.quoted_out
            assert executed.fate == Landed(filled)
            assert {symbol: by for symbol, by in change.items() if by} == {sold: -amount, bought: filled}
            ends.append((executed.planned.route, executed.swaps))
        assert ends[0] == ends[1]
        return [leg.dex for leg in ends[0][0]]

    def accounts_that_differ(self) -> list[Pubkey]:
        """Of all but the programs, and the wallet itself, whose network fees follow from the compute units used."""
        ours, theirs = (twin.chain.node.ledger.snapshot().accounts for twin in (self.emulated, self.real))
        compared = (ours.keys() | theirs.keys()) - {WALLET.pubkey(), RAYDIUM, METEORA}
        return [address for address in compared if ours.get(address) != theirs.get(address)]


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    directory = tmp_path_factory.mktemp("pools")
    dump_accounts(directory, [pool for _, _, pool in POOLS.values()])
    emulated = Options(with_traders=False, funded=(WALLET.pubkey(),), account_directories=(directory,))
    bytecode = tuple((program.address, program.bytecode) for program in REAL_PROGRAMS)
    return Twins(InProcessChain(emulated, NOW), InProcessChain(replace(emulated, bpf_programs=bytecode), NOW))


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("turned", [False, True], ids=["first to second", "second to first"])
@pytest.mark.parametrize("kind", POOLS)
def test_an_order_at_every_kind_of_pool(twins: Twins, kind: str, turned: bool, amount: int) -> None:
    first, second, pool = POOLS[kind]
    sold, bought = (second, first) if turned else (first, second)
    twins.trade_alike([entry(pool)], sold, bought, amount)
    assert twins.accounts_that_differ() == []


@pytest.mark.parametrize(("sold", "bought", "amount"), [("USDC", "LEVY", 10**11), ("LEVY", "USDC", 3 * 10**10)])
def test_a_split_over_both_programs(twins: Twins, sold: str, bought: str, amount: int) -> None:
    route = twins.trade_alike(GENESIS[frozenset((sold, bought))], sold, bought, amount)
    assert set(route) == {"raydium", "meteora"}
    assert twins.accounts_that_differ() == []


@pytest.mark.parametrize(
    ("over", "first", "second"),
    [("SOL", 0, 0), ("SOL", 1, 1), ("USDC", 0, 0), ("USDC", 0, 1), ("USDC", 1, 0), ("USDC", 1, 1)],
)
def test_two_hops(twins: Twins, over: str, first: int, second: int) -> None:
    """Over USDC on any programs; over SOL, which has to be wrapped, a transaction has room for but one of them."""
    ways = GENESIS[frozenset(("JUP", over))][first], GENESIS[frozenset((over, "RAY"))][second]
    assert twins.trade_alike(ways, "JUP", "RAY", 10**9) == [("raydium", "meteora")[venue] for venue in (first, second)]
    assert twins.accounts_that_differ() == []


@pytest.mark.parametrize("kind", ["cpmm of SOL", "dlmm of SOL"])
def test_an_order_that_the_market_moved_away_from(twins: Twins, kind: str) -> None:
    _, _, pool = POOLS[kind]
    reasons = []
    for chain in (twins.emulated, twins.real):
        engine = Engine(chain, WALLET, [entry(pool)])
        order = engine.order("SOL", "USDC", 10**9, slippage_ppm=1_000)
        planned = engine.trader.plan(order)
        submission = engine.build(order, planned)
        engine.another_trader_sells(pool.address, "SOL", 8 * 10**9)

        fate = engine.settle(order, planned, submission).fate

        assert isinstance(fate, LandedFailed)
        # out of the slippage, or out of the bins that the transaction names
        assert isinstance(fate.reason, SlippageExceeded | VenueUnavailable)
        reasons.append(str(fate.reason))
    assert reasons[0] == reasons[1]
    assert twins.accounts_that_differ() == []
