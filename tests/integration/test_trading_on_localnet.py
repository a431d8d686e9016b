"""Routes as the chain executes them: on a localnet, with the real client, registry, market, trader and wallet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from solders.keypair import Keypair

from chalicelib.orders.execution import Landed, LandedFailed
from chalicelib.orders.life import choose_route, fix_floor, start_attempt
from chalicelib.orders.order import Leftover
from chalicelib.problems import InsufficientLiquidity, SlippageExceeded
from chalicelib.routing.quote import MAX_REMAINING_ACCOUNTS
from chalicelib.routing.swap_plan import TransactionRoom
from chalicelib.solana.cluster import Cluster
from chalicelib.solana.transaction import TransactionVersion
from chalicelib.venues.meteora_dlmm.layout import BINS_PER_ARRAY, LbPair, bin_array_address
from chalicelib.venues.registry import PoolEntry
from infra.localnet.programs import meteora_dlmm_pool, raydium_cpmm_pool
from infra.localnet.programs.genesis_pool import GenesisPool
from testing.localnet import Localnet
from tests.integration.chain_trading import MINTS, TOKEN, Engine, dump_accounts, genesis_pools, meteora, raydium

WALLET = Keypair.from_seed(bytes([42] * 32))
POOLS = genesis_pools()


def pools(*pairs: str) -> list[PoolEntry]:
    """The genesis pools of such pairs as `SOL/USDC`."""
    return [pool for pair in pairs for pool in POOLS[frozenset(pair.split("/"))]]


def cpmm(sold: str, bought: str, reserves: tuple[int, int], config_index: int) -> GenesisPool:
    mints = MINTS[sold], MINTS[bought]
    return raydium_cpmm_pool.genesis_pool(
        raydium_cpmm_pool.CpmmPoolSpec(mints=mints, reserves=reserves, config_index=config_index)
    )


def scattered(base_factor: int, *, extension: bool = False) -> GenesisPool:
    """A Meteora pool that sells LEVY for SOL, far below its price, a bin in each of twenty bin arrays."""
    return meteora_dlmm_pool.genesis_pool(
        meteora_dlmm_pool.DlmmPoolSpec(
            mint_x=MINTS["LEVY"],
            mint_y=MINTS["SOL"],
            bin_step=1,
            base_factor=base_factor,
            active_id=35,
            liquidity={70 * array + 35: (10**9, 0) for array in range(20)},
            with_bitmap_extension=extension,
        )
    )


# Four equal pools a pair besides the genesis market's.
SIBLINGS = {
    "SOL/USDC": [cpmm("SOL", "USDC", (10**13, 15 * 10**11), 20 + number) for number in range(4)],
    "JUP/USDC": [cpmm("JUP", "USDC", (25 * 10**11, 10**12), 20 + number) for number in range(4)],
}
# As many that no other test trades at, for routes over USDC.
FRESH = [
    *(cpmm("JUP", "USDC", (25 * 10**11, 10**12), 30 + number) for number in range(4)),
    *(cpmm("SOL", "USDC", (10**13, 15 * 10**11), 30 + number) for number in range(4)),
]
# At half the market's price.
POOR = cpmm("RAY", "BONK", (10**12, 67_500 * 10**12 // 10 // 2), 20)
LONG, MOVING, WIDE = scattered(10_001, extension=True), scattered(10_002), scattered(10_003)


def in_steps(base_factor: int) -> GenesisPool:
    """A Meteora pool of SOL and USDC with one bin in each of five arrays, its price in the middle one."""
    bins = {array * 70 + 35: (2 * 10**9 * (array >= 0), 2 * 10**9 * (array <= 0)) for array in range(-2, 3)}
    return meteora_dlmm_pool.genesis_pool(
        meteora_dlmm_pool.DlmmPoolSpec(
            mint_x=MINTS["SOL"],
            mint_y=MINTS["USDC"],
            bin_step=1,
            base_factor=base_factor,
            active_id=35,
            liquidity=bins,
        )
    )


# By what others sell, and what the order does.
STEPS = {
    (others, sold): in_steps(10_010 + number)
    for number, (others, sold) in enumerate(product(("SOL", "USDC"), repeat=2))
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    """The genesis market and the pools above; short slots, and no trader but whom a test sends."""
    directory = tmp_path_factory.mktemp("pools")
    dump_accounts(
        directory, [*SIBLINGS["SOL/USDC"], *SIBLINGS["JUP/USDC"], *FRESH, POOR, LONG, MOVING, WIDE, *STEPS.values()]
    )
    arguments = ("--slot-ms", "20", "--no-traders", "--fund", str(WALLET.pubkey()), "--account-dir", str(directory))
    with Localnet(*arguments) as localnet:
        yield localnet


class TestASplit:
    """Orders of a size that a single pool serves badly."""

    @pytest.mark.parametrize(
        ("sold", "bought", "amount"),
        [
            ("USDC", "LEVY", 200_000_000_000),
            ("LEVY", "USDC", 60_000_000_000),
            ("SOL", "LEVY", 700_000_000_000),
            ("BONK", "SOL", 1_500_000_000_000_000),
            ("JUP", "RAY", 800_000_000_000),
        ],
    )
    def test_fills_as_quoted_to_the_unit_and_better_than_any_single_pool(
        self, chain: Localnet, sold: str, bought: str, amount: int
    ) -> None:
        engine = Engine(chain, WALLET, pools(f"{sold}/{bought}"))
        order = engine.order(sold, bought, amount)
        offers = engine.price(sold, bought, amount).offers
        before = {symbol: engine.balance(symbol) for symbol in (sold, bought)}

        executed = engine.execute(order)

        planned = executed.planned
        assert len(planned.route) == 2
        assert {leg.dex for leg in planned.route} == {"raydium", "meteora"}
        assert executed.fate == Landed(planned.quoted_out)
        assert planned.quoted_out > max(offer.quote.amount_out for offer in offers if offer.quote)
        change = {symbol: engine.balance(symbol) - before[symbol] for symbol in before}
        change["SOL"] = change.get("SOL", 0) + executed.fee
        assert change[bought] == planned.quoted_out
        assert change[sold] == -amount

    def test_carries_each_legs_floor_and_all_of_them_guarantee_the_orders(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, pools("USDC/LEVY"))
        executed = engine.execute(engine.order("USDC", "LEVY", 150_000_000_000, slippage_ppm=20_000))

        planned = executed.planned
        floors = [floor for _, _, floor in executed.swaps]
        assert [amount_in for _, amount_in, _ in executed.swaps] == [leg.amount_in for leg in planned.route]
        assert sum(floors) >= -(-planned.quoted_out * 98 // 100)
        for floor, leg in zip(floors, planned.route, strict=True):
            assert abs(floor - leg.expected_out * 98 // 100) <= 1

    def test_fails_as_a_whole_where_one_leg_falls_below_its_floor(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, pools("USDC/BONK"))
        order = engine.order("USDC", "BONK", 200_000_000_000)
        planned = engine.trader.plan(order)
        submission = engine.build(order, planned)
        before = {symbol: engine.balance(symbol) for symbol in ("SOL", "USDC", "BONK")}
        engine.another_trader_sells(planned.route[0].pool, "USDC", 100_000_000_000)

        executed = engine.settle(order, planned, submission)

        assert isinstance(executed.fate, LandedFailed)
        assert isinstance(executed.fate.reason, SlippageExceeded)
        after = {symbol: engine.balance(symbol) for symbol in before}
        assert after == {**before, "SOL": before["SOL"] - executed.fee}

    @pytest.mark.parametrize(("sold", "amount", "legs"), [("SOL", 9 * 10**11, 2), ("JUP", 10**12, 3)])
    def test_has_as_many_legs_as_one_transaction_carries(
        self, chain: Localnet, monkeypatch: pytest.MonkeyPatch, sold: str, amount: int, legs: int
    ) -> None:
        """Of four equal pools all would take part; there is room for two if SOL has to be wrapped, else three."""
        engine = Engine(chain, WALLET, [raydium(pool) for pool in SIBLINGS[f"{sold}/USDC"]], version=0)
        with monkeypatch.context() as patch:
            patch.setattr("chalicelib.routing.market.TransactionRoom", lambda version, **with_tip: lambda route: True)
            wanted = engine.price(sold, "USDC", amount).route
        assert len(wanted.legs) == 4
        assert not TransactionRoom(0)(wanted)

        executed = engine.execute(engine.order(sold, "USDC", amount))

        assert len(executed.planned.route) == len(executed.swaps) == legs
        assert executed.fate == Landed(executed.planned.quoted_out)


class TestAHop:
    """Two swaps in a row over a third token."""

    @pytest.mark.parametrize("over", ["SOL", "USDC"])
    def test_serves_a_pair_without_a_pool_and_leaves_nothing_in_between(self, chain: Localnet, over: str) -> None:
        engine = Engine(chain, WALLET, pools(f"JUP/{over}", f"{over}/RAY"))
        before = {symbol: engine.balance(symbol) for symbol in ("JUP", "RAY", "SOL", "USDC")}
        signatures = engine.signatures()

        executed = engine.execute(engine.order("JUP", "RAY", 3_000_000_001))

        first = [leg for leg in executed.planned.route if leg.token_out.text == over]
        second = [leg for leg in executed.planned.route if leg.token_in.text == over]
        assert len(first) + len(second) == len(executed.planned.route)
        assert executed.fate == Landed(executed.planned.quoted_out)
        assert sum(leg.amount_in for leg in second) == sum(leg.expected_out for leg in first)
        change = {symbol: engine.balance(symbol) - before[symbol] for symbol in before}
        assert change == {"JUP": -3_000_000_001, "RAY": executed.planned.quoted_out, "SOL": -executed.fee, "USDC": 0}
        assert engine.signatures() == signatures + 1

    @pytest.mark.parametrize(("sold", "bought", "over"), [("SOL", "JUP", "USDC"), ("LEVY", "SOL", "USDC")])
    def test_wraps_and_unwraps_sol_and_pays_transfer_fees_on_its_way(
        self, chain: Localnet, sold: str, bought: str, over: str
    ) -> None:
        engine = Engine(chain, WALLET, pools(f"{sold}/{over}", f"{over}/{bought}"))
        before = {symbol: engine.balance(symbol) for symbol in (sold, over, bought)}

        executed = engine.execute(engine.order(sold, bought, 2_000_000_001))

        assert executed.fate == Landed(executed.planned.quoted_out)
        change = {symbol: engine.balance(symbol) - before[symbol] for symbol in before}
        change["SOL"] += executed.fee
        assert change == {sold: -2_000_000_001, bought: executed.planned.quoted_out, over: 0}

    def test_tells_of_what_a_first_hop_paid_that_the_second_did_not_spend(self, chain: Localnet) -> None:
        """Somebody makes the token dearer while the order is on its way."""
        engine = Engine(chain, WALLET, pools("JUP/USDC", "USDC/RAY"))
        order = engine.order("JUP", "RAY", 3_000_000_000)
        planned = engine.trader.plan(order)
        floored = fix_floor(start_attempt(order, 0), planned.quoted_out)
        order = choose_route(floored, planned.route, planned.quoted_out, 0)
        submission = engine.build(order, planned)
        before = engine.balance("USDC")
        engine.another_trader_sells(planned.route[0].pool, "USDC", 100_000_000_000)

        executed = engine.settle(order, planned, submission)

        surplus = engine.balance("USDC") - before
        assert surplus > 0
        assert executed.fate == Landed(planned.quoted_out, (Leftover(TOKEN["USDC"], surplus),))

    def test_is_split_in_both_hops_and_lands_with_the_predicted_balances(self, chain: Localnet) -> None:
        """All that the first hop's legs guarantee goes into the second's, so nothing is left between."""
        entries = [raydium(pool) for pool in FRESH]
        engine = Engine(chain, WALLET, entries)
        before = {symbol: engine.balance(symbol) for symbol in ("JUP", "USDC", "SOL")}

        executed = engine.execute(engine.order("JUP", "SOL", 3 * 10**11))

        route = executed.planned.route
        first = [leg for leg in route if leg.token_out.text == "USDC"]
        second = [leg for leg in route if leg.token_in.text == "USDC"]
        assert min(len(first), len(second)) >= 2
        assert sum(leg.expected_out for leg in first) == sum(leg.amount_in for leg in second)
        assert [floor for _, _, floor in executed.swaps[: len(first)]] == [leg.expected_out for leg in first]
        assert executed.fate == Landed(executed.planned.quoted_out)
        change = {symbol: engine.balance(symbol) - before[symbol] for symbol in before}
        assert change == {"JUP": -3 * 10**11, "USDC": 0, "SOL": executed.planned.quoted_out - executed.fee}

    def test_of_split_hops_tells_what_was_left_between_them(self, chain: Localnet) -> None:
        entries = [raydium(pool) for pair in ("JUP/USDC", "SOL/USDC") for pool in SIBLINGS[pair]]
        engine = Engine(chain, WALLET, entries)
        order = engine.order("JUP", "SOL", 5 * 10**10)
        planned = engine.trader.plan(order)
        order = choose_route(
            fix_floor(start_attempt(order, 0), planned.quoted_out), planned.route, planned.quoted_out, 0
        )
        submission = engine.build(order, planned)
        before = engine.balance("USDC")
        engine.another_trader_sells(planned.route[0].pool, "USDC", 50_000_000_000)

        executed = engine.settle(order, planned, submission)

        surplus = engine.balance("USDC") - before
        assert surplus > 0
        assert executed.fate == Landed(planned.quoted_out, (Leftover(TOKEN["USDC"], surplus),))

    @pytest.mark.parametrize("version", [0, 1])
    def test_of_split_hops_fits_into_a_transaction_of_either_version(
        self, chain: Localnet, version: TransactionVersion
    ) -> None:
        entries = [raydium(pool) for pair in ("JUP/USDC", "SOL/USDC") for pool in SIBLINGS[pair]]
        engine = Engine(chain, WALLET, entries, version=version)
        executed = engine.execute(engine.order("JUP", "SOL", 3 * 10**10))
        assert isinstance(executed.fate, Landed)
        assert len(executed.swaps) == len(executed.planned.route) > version

    def test_is_made_where_it_pays_more_than_the_pairs_own_pool(self, chain: Localnet) -> None:
        hop = pools("RAY/SOL", "SOL/BONK")
        both, direct_only = Engine(chain, WALLET, [raydium(POOR), *hop]), Engine(chain, WALLET, [raydium(POOR)])

        executed = both.execute(both.order("RAY", "BONK", 50_000_000))

        assert {leg.token_out.text for leg in executed.planned.route} == {"SOL", "BONK"}
        assert executed.fate == Landed(executed.planned.quoted_out)
        direct = direct_only.price("RAY", "BONK", 50_000_000).route
        assert executed.planned.quoted_out > direct.amount_out * 3 // 2

    def test_is_not_made_where_the_pairs_own_pools_pay_more(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, pools("USDC/USDT", "USDC/SOL", "SOL/USDT"))
        (leg,) = engine.trader.plan(engine.order("USDC", "USDT", 50_000_000)).route
        assert (leg.token_in.text, leg.token_out.text) == ("USDC", "USDT")

    def test_fails_as_a_whole_where_the_first_pool_moved_against_it(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, pools("JUP/USDC", "USDC/RAY"))
        order = engine.order("JUP", "RAY", 4_000_000_000)
        planned = engine.trader.plan(order)
        submission = engine.build(order, planned)
        before = {symbol: engine.balance(symbol) for symbol in ("JUP", "RAY", "SOL", "USDC")}
        engine.another_trader_sells(planned.route[0].pool, "JUP", 100_000_000_000)

        executed = engine.settle(order, planned, submission)

        assert isinstance(executed.fate, LandedFailed)
        assert isinstance(executed.fate.reason, SlippageExceeded)
        after = {symbol: engine.balance(symbol) for symbol in before}
        assert after == {**before, "SOL": before["SOL"] - executed.fee}

    def test_is_not_even_sent_where_the_move_is_seen_before_it_is_signed(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, pools("JUP/USDC", "USDC/RAY"))
        order = engine.order("JUP", "RAY", 4_000_000_000)
        planned = engine.trader.plan(order)
        signatures = engine.signatures()
        engine.another_trader_sells(planned.route[0].pool, "JUP", 100_000_000_000)

        with pytest.raises(SlippageExceeded):
            engine.build(order, planned)

        assert engine.signatures() == signatures

    @pytest.mark.parametrize(("over", "amount"), [("SOL", 300 * 10**9), ("USDC", 40_000 * 10**6)])
    def test_leaves_in_the_wallet_what_the_first_pool_pays_more_than_it_quoted(
        self, chain: Localnet, over: str, amount: int
    ) -> None:
        engine = Engine(chain, WALLET, pools(f"JUP/{over}", f"{over}/RAY"))
        order = engine.order("JUP", "RAY", 4_000_000_000)
        planned = engine.trader.plan(order)
        submission = engine.build(order, planned)
        before = {symbol: engine.balance(symbol) for symbol in ("JUP", "RAY", "SOL", "USDC")}
        engine.another_trader_sells(planned.route[0].pool, over, amount)
        fresh = engine.price("JUP", over, order.amount).offers
        now = next(offer.quote for offer in fresh if offer.quote and str(offer.pool.address) == planned.route[0].pool)
        surplus = now.amount_out - planned.route[0].expected_out
        assert surplus > 0

        executed = engine.settle(order, planned, submission)

        assert executed.fate == Landed(planned.quoted_out)
        change = {symbol: engine.balance(symbol) - before[symbol] for symbol in before}
        change["SOL"] += executed.fee
        assert change == {"JUP": -order.amount, "RAY": planned.quoted_out, "SOL": 0, "USDC": 0, over: surplus}


class TestBinArrays:
    def test_are_named_as_many_as_the_worst_transaction_has_room_for(self, chain: Localnet) -> None:
        """SOL into a Token-2022 token, at a pool with a bitmap extension, in version 0."""
        engine = Engine(chain, WALLET, [meteora(LONG)], version=0)
        amount = (2 * MAX_REMAINING_ACCOUNTS[0] - 1) * 10**9 // 2

        executed = engine.execute(engine.order("SOL", "LEVY", amount))

        accounts = executed.transaction["transaction"]["message"]["accountKeys"]
        arrays = [str(bin_array_address(LONG.address, index)) for index in range(20)]
        assert [array in accounts for array in arrays].count(True) == MAX_REMAINING_ACCOUNTS[0]
        assert executed.fate == Landed(executed.planned.quoted_out)
        assert len(executed.submission.wire) > 1232 - 33

    def test_beyond_that_are_no_liquidity_for_this_order(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, [meteora(WIDE)], version=0)
        for amount in (12 * 10**9, 10**12):
            with pytest.raises(InsufficientLiquidity, match="one transaction"):
                engine.price("SOL", "LEVY", amount)

    def test_beyond_that_leave_the_rest_to_other_pools(self, chain: Localnet) -> None:
        """A pool of twenty arrays of which eight could be read, of which a split has room for one."""
        engine = Engine(chain, WALLET, [meteora(WIDE), *pools("SOL/LEVY")[:1]], version=0)
        executed = engine.execute(engine.order("SOL", "LEVY", 100 * 10**9))
        assert {leg.pool for leg in executed.planned.route} == {str(WIDE.address), pools("SOL/LEVY")[0].address}
        assert executed.fate == Landed(executed.planned.quoted_out)


class TestSpareArrays:
    @pytest.mark.parametrize(("others_sell", "sold"), STEPS)
    def test_let_a_price_move_over_an_arrays_edge_between_quote_and_landing_at_no_attempt(
        self, chain: Localnet, others_sell: str, sold: str
    ) -> None:
        """Somebody else trades the pool's price out of its array, whichever way, after the transaction was signed."""
        pool = STEPS[others_sell, sold]
        engine = Engine(chain, WALLET, [meteora(pool)])
        bought = "USDC" if sold == "SOL" else "SOL"
        amount = 10**6
        order = engine.order(sold, bought, amount, slippage_ppm=500_000)
        planned = engine.trader.plan(order)
        submission = engine.build(order, planned)
        before = _array_of_the_price(engine, pool)

        engine.another_trader_sells(pool.address, others_sell, 3 * 10**9)

        assert _array_of_the_price(engine, pool) == before + (1 if others_sell == "USDC" else -1)
        executed = engine.settle(order, planned, submission)
        assert isinstance(executed.fate, Landed), executed.fate


def _array_of_the_price(engine: Engine, pool: GenesisPool) -> int:
    account = engine.rpc.get_multiple_accounts([pool.address]).accounts[pool.address]
    assert account is not None
    return LbPair.decode(account.owner, account.data).active_id // BINS_PER_ARRAY


class TestReading:
    def test_takes_one_round_trip_once_warm(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, [pool for pair in POOLS.values() for pool in pair])
        engine.price("JUP", "RAY", 1_000_000)
        engine.http.methods.clear()

        for sold, bought, amount in (("JUP", "RAY", 1_000_000), ("RAY", "JUP", 10**11), ("JUP", "RAY", 10**11)):
            engine.price(sold, bought, amount)

        assert engine.http.methods == ["getMultipleAccounts"] * 3

    def test_fetches_arrays_that_the_price_has_come_near_to(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, [meteora(MOVING)])
        engine.price("SOL", "LEVY", 10**6)
        engine.another_trader_sells(MOVING.address, "SOL", 35 * 10**8)  # three arrays further
        engine.http.methods.clear()

        moved = engine.price("SOL", "LEVY", 2 * 10**9)

        assert engine.http.methods == ["getMultipleAccounts"] * 2
        assert (
            moved.route.amount_out
            == Engine(chain, WALLET, [meteora(MOVING)]).price("SOL", "LEVY", 2 * 10**9).route.amount_out
        )
        engine.http.methods.clear()
        engine.price("SOL", "LEVY", 2 * 10**9)
        assert engine.http.methods == ["getMultipleAccounts"]

    def test_sees_every_trade_of_others(self, chain: Localnet) -> None:
        engine = Engine(chain, WALLET, pools("USDT/USDC"))
        before = engine.price("USDC", "USDT", 10**9).route.amount_out
        for pool in pools("USDT/USDC"):
            engine.another_trader_sells(pool.address, "USDC", 10**12)
        assert engine.price("USDC", "USDT", 10**9).route.amount_out < before

    @pytest.mark.parametrize(
        ("ms_a_read", "slot_ms", "is_asked_again"),
        [(1_000, None, False), (11_000, None, True), (11_000, 200, True), (11_000, 400, False), (25_000, 400, True)],
    )
    def test_takes_a_new_blockhash_where_the_reads_after_the_first_took_a_third_of_its_life(
        self,
        chain: Localnet,
        monkeypatch: pytest.MonkeyPatch,
        ms_a_read: int,
        slot_ms: int | None,
        is_asked_again: bool,
    ) -> None:
        """At a node's pace each read may wait for seconds, and a blockhash lives for 30 s."""
        engine = Engine(chain, WALLET, [meteora(MOVING)], now_ms=lambda: ms_a_read * len(engine.http.methods))
        monkeypatch.setattr(engine.rpc, "known_cluster", lambda: Cluster(slot_ms=slot_ms))
        order = engine.order("SOL", "LEVY", 10**6)

        planned = engine.trader.plan(order)
        reads = len(engine.http.methods)
        engine.build(order, planned)

        assert reads > 2, "the pool, and its arrays"
        assert ("getLatestBlockhash" in engine.http.methods[reads:]) == is_asked_again
