"""Whole transactions, as orders send them, leave the same behind on the real programs as on the emulated ones.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.orders.execution import Landed, LandedFailed
from chalicelib.problems import SlippageExceeded, VenueUnavailable
from chalicelib.venues.meteora_damm_v2.layout import (
    DammV2CollectFeeMode,
    MarketCapScheduler,
    RateLimiter,
    TimeScheduler,
)
from chalicelib.venues.raydium_clmm.math import sqrt_price_at
from chalicelib.venues.registry import PoolEntry
from infra.localnet.programs import (
    meteora_damm_v1_pool,
    meteora_damm_v2_pool,
    meteora_dlmm_pool,
    raydium_amm_v4_pool,
    raydium_clmm_pool,
    raydium_cpmm_pool,
)
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_dlmm_pool import LimitOrders
from infra.localnet.programs.raydium_clmm_pool import ClmmPosition
from infra.localnet.startup import Options
from tests.integration.chain_trading import (
    MINTS,
    Engine,
    InProcessChain,
    dump_accounts,
    genesis_pools,
)
from tests.real_programs import REAL_PROGRAMS, as_emulated

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


def clmm(number: int, first: str, second: str, **more: Any) -> GenesisPool:
    """At par: a wide position, one beside it and one beyond a gap, over several tick arrays."""
    mint_0, mint_1 = sorted((MINTS[first], MINTS[second]), key=lambda mint: bytes(mint.address))
    defaults: dict[str, Any] = {
        "mint_0": mint_0,
        "mint_1": mint_1,
        "config_index": 40 + number,
        "tick_spacing": 10,
        "sqrt_price": sqrt_price_at(7),
        "positions": (
            ClmmPosition(-200, 250, 10**12),
            ClmmPosition(-900, -200, 2 * 10**12),
            ClmmPosition(700, 2_000, 10**12),
            ClmmPosition(-3_000, -1_500, 10**12),
        ),
    }
    return raydium_clmm_pool.genesis_pool(raydium_clmm_pool.ClmmPoolSpec(**defaults | more))


def amm_v4(number: int, first: str, second: str) -> GenesisPool:
    """At two to one, with profit that is owed of both."""
    spec = raydium_amm_v4_pool.AmmV4PoolSpec(
        mints=(MINTS[first], MINTS[second]),
        reserves=(2 * 10**12, 10**12),
        owed_profit=(12_345_678, 98_765_432),
        market=60 + number,
    )
    return raydium_amm_v4_pool.genesis_pool(spec)


# The same for all tokens, since pools share them: worth more than its LP tokens, with profit that unlocks.
VAULT = meteora_damm_v1_pool.VaultSpec(
    total=11 * 10**13, lp_supply=10**14, reserve=8 * 10**13, locked_profit=10**12, last_report=NOW - 3_600
)


def damm_v1(number: int, first: str, second: str, *, stable: bool = False) -> GenesisPool:
    spec = meteora_damm_v1_pool.DammV1PoolSpec(
        mints=(MINTS[first], MINTS[second]),
        vaults=(VAULT, VAULT),
        pool_lp=(2 * 10**12, 10**12),
        number=70 + number,
        curve=meteora_damm_v1_pool.StableSpec() if stable else None,
    )
    return meteora_damm_v1_pool.genesis_pool(spec)


def damm_v2(number: int, first: str, second: str, **more: Any) -> GenesisPool:
    """At par over the full range, with a dynamic fee that has been moved."""
    compounds = more.get("collect_fee_mode") == DammV2CollectFeeMode.COMPOUNDING
    defaults: dict[str, Any] = {
        "mints": (MINTS[first], MINTS[second]),
        "liquidity": 10**12 << 64,
        "reserves": (10**12, 10**12) if compounds else (0, 0),
        "dynamic_fee": meteora_damm_v2_pool.dynamic_fee(
            volatility_accumulator=300_000, last_update_timestamp=NOW - 30, sqrt_price_reference=1 << 64
        ),
        "protocol_fees": (12_345_678, 98_765),
        "config": Pubkey(bytes([100 + number] * 32)),
    }
    return meteora_damm_v2_pool.genesis_pool(meteora_damm_v2_pool.DammV2PoolSpec(**defaults | more))


ORDERS = {
    3: LimitOrders(ask=True, open=2 * 10**8, processing=10**9, remaining=3 * 10**8),
    -3: LimitOrders(ask=False, open=2 * 10**8, processing=10**9, remaining=3 * 10**8),
}
LIMITED = {
    "base_fee": RateLimiter(
        10_000_000, increment_bps=20, max_duration=10**6, max_fee_bps=6_000, reference_amount=10**9
    ),
    "collect_fee_mode": DammV2CollectFeeMode.ONLY_B,
    "activation_point": NOW - 60,
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
    "clmm of SPL tokens": ("JUP", "USDC", clmm(0, "JUP", "USDC")),
    "clmm of SOL": ("SOL", "USDC", clmm(1, "SOL", "USDC")),
    "clmm of a Token-2022 token": ("LEVY", "USDC", clmm(2, "LEVY", "USDC")),
    "clmm of SOL and a Token-2022 token": ("SOL", "LEVY", clmm(3, "SOL", "LEVY")),
    "clmm beyond its own bitmap": (
        "JUP",
        "USDC",
        clmm(
            4,
            "JUP",
            "USDC",
            tick_spacing=1,
            sqrt_price=sqrt_price_at(30_720),
            positions=(ClmmPosition(30_500, 31_000, 2 * 10**13), ClmmPosition(30_000, 30_500, 2 * 10**13)),
        ),
    ),
    "amm v4 of SPL tokens": ("JUP", "USDC", amm_v4(0, "JUP", "USDC")),
    "amm v4 of SOL": ("SOL", "USDC", amm_v4(1, "SOL", "USDC")),
    "damm v1 of SPL tokens": ("JUP", "USDC", damm_v1(0, "JUP", "USDC")),
    "damm v1 of SOL": ("SOL", "USDC", damm_v1(1, "SOL", "USDC")),
    "damm v1 with the stable curve": ("JUP", "USDC", damm_v1(2, "JUP", "USDC", stable=True)),
    "damm v2 of SPL tokens": ("JUP", "USDC", damm_v2(0, "JUP", "USDC")),
    "damm v2 of SOL": ("SOL", "USDC", damm_v2(1, "SOL", "USDC", collect_fee_mode=DammV2CollectFeeMode.ONLY_B)),
    "damm v2 of a Token-2022 token": ("LEVY", "USDC", damm_v2(2, "LEVY", "USDC")),
    "damm v2 of SOL and a Token-2022 token": (
        "SOL",
        "LEVY",
        damm_v2(
            3,
            "SOL",
            "LEVY",
            collect_fee_mode=DammV2CollectFeeMode.ONLY_B,
            base_fee=TimeScheduler(500_000_000, exponential=True, periods=100, period_frequency=60, reduction=300),
            activation_point=NOW - 3_000,
            layout_version=0,
        ),
    ),
    "damm v2 that compounds": (
        "JUP",
        "LEVY",
        damm_v2(4, "JUP", "LEVY", collect_fee_mode=DammV2CollectFeeMode.COMPOUNDING, compounding_fee_bps=4_000),
    ),
    "damm v2 with a fee by market cap": (
        "JUP",
        "USDC",
        damm_v2(
            5,
            "JUP",
            "USDC",
            base_fee=MarketCapScheduler(90_000_000, False, 10, 2_000, 10**9, 8_000_000),
            init_sqrt_price=1 << 63,
            activation_point=NOW - 60,
        ),
    ),
    "damm v2 with a rate limiter": ("SOL", "USDC", damm_v2(6, "SOL", "USDC", **LIMITED)),
    "damm v2 with a rate limiter on SOL": ("USDC", "SOL", damm_v2(7, "USDC", "SOL", **LIMITED)),
    "dlmm with a bitmap extension": ("JUP", "USDC", dlmm(7, "JUP", "USDC", with_bitmap_extension=True)),
}
LIMITED_POOLS = (20, 21, 22)
# A part of the active bin; some bins; all near bins, the gap and on to the next arrays.
AMOUNTS = (10_001, 7_654_321_012, 33_000_000_000)


def entry(pool: GenesisPool) -> PoolEntry:
    return PoolEntry(str(pool.address), str(pool.accounts[pool.address].owner))


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
            assert isinstance(executed.fate, Landed)
            filled = executed.fate.amount_out
            # A unit more at each leg whose floor may leave one unsure.
            unsure = sum(leg.program == "meteora-damm-v1" for leg in executed.planned.route)
            assert 0 <= filled - executed.planned.quoted_out <= unsure
            assert {symbol: by for symbol, by in change.items() if by} == {sold: -amount, bought: filled}
            ends.append((executed.planned.route, executed.swaps))
        assert ends[0] == ends[1]
        return [leg.dex for leg in ends[0][0]]

    def accounts_that_differ(self) -> list[Pubkey]:
        """Of all but the programs, and the wallet itself, whose network fees follow from the compute units used."""
        ours, theirs = (twin.chain.node.ledger.snapshot().accounts for twin in (self.emulated, self.real))
        theirs = {address: as_emulated(account) for address, account in theirs.items()}
        compared = (ours.keys() | theirs.keys()) - {WALLET.pubkey(), *(program.address for program in REAL_PROGRAMS)}
        return [address for address in compared if ours.get(address) != theirs.get(address)]


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    directory = tmp_path_factory.mktemp("pools")
    limited = [damm_v2(number, "JUP", "USDC", **LIMITED) for number in LIMITED_POOLS]
    dump_accounts(directory, [*(pool for _, _, pool in POOLS.values()), *limited])
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


def test_a_split_over_pools_that_take_one_swap_in_a_transaction(twins: Twins) -> None:
    """Each looks through all instructions before its own, and finds the others' swaps there."""
    pools = [entry(damm_v2(number, "JUP", "USDC", **LIMITED)) for number in LIMITED_POOLS]
    route = twins.trade_alike(pools, "USDC", "JUP", 9 * 10**9)
    assert route == ["meteora"] * len(LIMITED_POOLS)
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


@pytest.mark.parametrize(
    "kind", ["cpmm of SOL", "dlmm of SOL", "clmm of SOL", "amm v4 of SOL", "damm v1 of SOL", "damm v2 of SOL"]
)
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
        # the releases of one program may number their errors differently
        reasons.append(re.sub(r"error \d+ (?=[A-Z])", "", str(fate.reason)))
    assert reasons[0] == reasons[1]
    assert twins.accounts_that_differ() == []
