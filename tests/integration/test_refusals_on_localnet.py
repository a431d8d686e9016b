"""A pool that can't move its tokens, a wallet whose accounts let nothing through, a mint that nobody may trade.

On a localnet in this process, with the real client, registry, market, trader and wallet.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.orders.execution import ComeBack, Execution, Finished, Landed, LandedFailed, PlannedSwap
from chalicelib.orders.life import leave_out
from chalicelib.orders.order import Order
from chalicelib.orders.states import Status
from chalicelib.problems import (
    InsufficientBalance,
    InsufficientLiquidity,
    SlippageExceeded,
    TokenNotTradable,
    TransactionRejected,
    VenueUnavailable,
)
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import associated_token_address
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA
from chalicelib.venues.meteora_dlmm.layout import reserve_address
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as RAYDIUM
from infra.localnet.startup import Options
from infra.localnet.token_extensions import AccountExtension
from tests.integration.chain_model import AnyTime, BadLuck, FreeRein, NoneRevoked
from tests.integration.chain_trading import MINTS, Engine, InProcessChain, genesis_pools
from tests.localnet import token_2022
from tests.orders_in_memory import OrdersInMemory
from tests.sample_orders import CREATED_AT_MS

WALLET = Keypair.from_seed(bytes([48] * 32))
POOLS = genesis_pools()
RAYDIUM_POOL, METEORA_POOL = sorted(POOLS[frozenset(("USDC", "LEVY"))], key=lambda entry: entry.program == str(METEORA))
RESERVE = reserve_address(Pubkey.from_string(METEORA_POOL.address), MINTS["LEVY"].address)
OWN_LEVY = associated_token_address(WALLET.pubkey(), MINTS["LEVY"].address, MINTS["LEVY"].token_program)
AMOUNT = 10 * 10**6
GUARDED = token_2022.with_extension(AccountExtension.CPI_GUARD, b"\1", 2)
ASKING_FOR_MEMOS = token_2022.with_extension(AccountExtension.MEMO_TRANSFER, b"\1", 2)


@pytest.fixture
def chain() -> InProcessChain:
    return InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), 1_795_000_000)


def engine_of(chain: InProcessChain, *entries: object) -> Engine:
    return Engine(chain, WALLET, entries)  # type: ignore[arg-type]


def edit(chain: InProcessChain, address: Pubkey, change: Callable[[Account], Account]) -> None:
    ledger = chain.chain.node.ledger
    account = ledger.current(address)
    assert account is not None
    ledger.set_account(address, change(account))
    chain.chain.node.advance(3)


def holding(amount: int) -> Callable[[Account], Account]:
    return lambda account: replace(account, data=account.data[:64] + amount.to_bytes(8, "little") + account.data[72:])


def refuse(chain: InProcessChain, *pools: str) -> None:
    """From now on these pools refuse each swap, with a code that nobody knows, and no others do."""
    chain.call("localnet_refuseSwaps", {"pools": list(pools)})


def run(engine: Engine, order: Order) -> Order:
    """Deliver the order's message as often as it comes back; how the order ended."""
    store, now_ms = OrdersInMemory(), CREATED_AT_MS
    assert store.create(order)
    while True:
        execution = Execution(
            store,
            engine.trader,
            AnyTime(),
            BadLuck(),
            FreeRein(),
            lambda: now_ms,  # noqa: B023 - read before it changes
            30_000,
            new_nonce=secrets.token_hex,
            keys=NoneRevoked(),
        )
        match execution.run(order.order_id, "worker"):
            case Finished(ended):
                return ended
            case ComeBack(in_ms, _):
                now_ms += in_ms


def with_the_better_price(chain: InProcessChain) -> Engine:
    """Meteora's pool pays more for USDC than Raydium's."""
    engine = engine_of(chain, RAYDIUM_POOL, METEORA_POOL)
    for _ in range(3):
        engine.another_trader_sells(METEORA_POOL.address, "LEVY", 2_000 * 10**6)
    assert used(engine, engine.order("USDC", "LEVY", AMOUNT)) == [METEORA_POOL.address]
    return engine


def used(engine: Engine, order: Order) -> list[str]:
    return [leg.pool for leg in engine.trader.plan(order).route]


class TestAPoolWhoseReserve:
    def test_is_frozen_is_left_out_and_the_other_fills(self, chain: InProcessChain) -> None:
        engine = with_the_better_price(chain)
        edit(chain, RESERVE, token_2022.frozen)
        executed = engine.execute(engine.order("USDC", "LEVY", AMOUNT))
        assert [leg.pool for leg in executed.planned.route] == [RAYDIUM_POOL.address]
        assert executed.fate == Landed(executed.planned.quoted_out)

    def test_holds_less_than_its_bins_say_is_asked_for_no_more_than_that(self, chain: InProcessChain) -> None:
        engine = with_the_better_price(chain)
        edit(chain, RESERVE, holding(1_000))
        executed = engine.execute(engine.order("USDC", "LEVY", AMOUNT))
        assert executed.fate == Landed(executed.planned.quoted_out)
        gross = sum(leg.expected_out for leg in executed.planned.route if leg.pool == METEORA_POOL.address)
        assert gross <= 1_000
        assert gross < executed.planned.quoted_out
        alone = engine_of(chain, METEORA_POOL)
        with pytest.raises(InsufficientLiquidity, match="its reserve holds"):
            alone.trader.plan(alone.order("USDC", "LEVY", AMOUNT))

    @pytest.mark.parametrize("change", [token_2022.frozen, holding(1)], ids=["was frozen", "was emptied"])
    def test_changed_since_the_quote_is_told_apart_from_the_wallets_own(
        self, chain: InProcessChain, change: Callable[[Account], Account]
    ) -> None:
        engine = with_the_better_price(chain)
        order = engine.order("USDC", "LEVY", AMOUNT)
        planned = engine.trader.plan(order)
        edit(chain, RESERVE, change)
        with pytest.raises((TransactionRejected, VenueUnavailable)) as refused:
            engine.build(order, planned)
        assert refused.value.leg == 0


def test_a_pool_that_refused_is_left_out_of_the_next_attempt_which_fills(chain: InProcessChain) -> None:
    engine = with_the_better_price(chain)
    order = leave_out(engine.order("USDC", "LEVY", AMOUNT), METEORA_POOL.address, "it refused", "VENUE_UNAVAILABLE")
    executed = engine.execute(order)
    assert [leg.pool for leg in executed.planned.route] == [RAYDIUM_POOL.address]
    assert executed.fate == Landed(executed.planned.quoted_out)


def test_an_order_that_a_pool_refuses_for_no_reason_that_its_accounts_tell_is_filled_by_the_other(
    chain: InProcessChain,
) -> None:
    engine = with_the_better_price(chain)
    refuse(chain, METEORA_POOL.address)
    order = run(engine, engine.order("USDC", "LEVY", AMOUNT, slippage_ppm=100_000))
    assert (order.status, order.retry_count) == (Status.CONFIRMED, 1)
    assert [leg.pool for leg in order.route or ()] == [RAYDIUM_POOL.address]
    assert [(refused.pool, refused.error_code) for refused in order.refused_pools] == [
        (METEORA_POOL.address, "VENUE_UNAVAILABLE")
    ]


def test_a_pool_that_refuses_only_when_the_transaction_lands_costs_its_fee_and_is_told_with_its_reason(
    chain: InProcessChain,
) -> None:
    engine = with_the_better_price(chain)
    order = engine.order("USDC", "LEVY", AMOUNT)
    planned = engine.trader.plan(order)
    submission = engine.build(order, planned)
    refuse(chain, METEORA_POOL.address)
    executed = engine.settle(order, planned, submission)
    assert isinstance(executed.fate, LandedFailed)
    assert isinstance(executed.fate.reason, VenueUnavailable)
    assert executed.fate.reason.leg == 0
    assert executed.fate.network_fee == executed.fee > 0
    refuse(chain)
    assert isinstance(engine.execute(engine.order("USDC", "LEVY", AMOUNT)).fate, Landed)


def test_an_order_whose_only_pool_refuses_ends_with_that_pools_reason(chain: InProcessChain) -> None:
    engine = engine_of(chain, METEORA_POOL)
    refuse(chain, METEORA_POOL.address)
    order = run(engine, engine.order("USDC", "LEVY", AMOUNT))
    assert (order.status, order.error_code, order.retry_count) == (Status.FAILED, "VENUE_UNAVAILABLE", 3)
    assert "6999" in (order.error or "")


def test_a_pool_that_refused_is_asked_again_where_the_others_pay_less_than_the_floor(chain: InProcessChain) -> None:
    engine = with_the_better_price(chain)
    order = engine.order("USDC", "LEVY", AMOUNT)
    quoted = engine.trader.plan(order).quoted_out
    strict = replace(order, first_quoted_out=quoted, min_out=quoted)
    assert used(engine, leave_out(strict, METEORA_POOL.address, "", "")) == [METEORA_POOL.address]


class TestTheWalletsOwnAccount:
    """Whatever the pool: the order ends at once, and its owner is told what to do."""

    def refusal(self, chain: InProcessChain, sold: str, bought: str) -> TransactionRejected:
        engine = engine_of(chain, RAYDIUM_POOL, METEORA_POOL)
        order = engine.order(sold, bought, AMOUNT)
        with pytest.raises(TransactionRejected) as refused:
            engine.build(order, engine.trader.plan(order))
        assert "sendTransaction" not in engine.http.methods
        return refused.value

    def test_with_its_cpi_guard_on_pays_no_pool(self, chain: InProcessChain) -> None:
        edit(chain, OWN_LEVY, GUARDED)
        refusal = self.refusal(chain, "LEVY", "USDC")
        assert "CPI guard" in str(refusal)
        assert "disable-cpi-guard" in str(refusal)
        assert refusal.leg is None

    @pytest.mark.parametrize(("sold", "bought"), [("LEVY", "USDC"), ("USDC", "LEVY")])
    def test_frozen_by_the_issuer_moves_nothing(self, chain: InProcessChain, sold: str, bought: str) -> None:
        edit(chain, OWN_LEVY, token_2022.frozen)
        refusal = self.refusal(chain, sold, bought)
        assert "the wallet's own account" in str(refusal)
        assert "thaw" in str(refusal)
        assert refusal.leg is None

    def test_that_asks_for_memos_is_paid_by_a_pool_that_sends_one(self, chain: InProcessChain) -> None:
        edit(chain, OWN_LEVY, ASKING_FOR_MEMOS)
        engine = engine_of(chain, RAYDIUM_POOL)
        order = engine.order("USDC", "LEVY", AMOUNT)
        with pytest.raises(TransactionRejected, match="disable-required-transfer-memos") as refused:
            engine.build(order, engine.trader.plan(order))
        assert refused.value.leg == 0

        both = engine_of(chain, RAYDIUM_POOL, METEORA_POOL)
        executed = both.execute(leave_out(order, RAYDIUM_POOL.address, str(refused.value), refused.value.code))
        assert [leg.pool for leg in executed.planned.route] == [METEORA_POOL.address]
        assert executed.fate == Landed(executed.planned.quoted_out)

    def test_that_holds_too_little_is_an_insufficient_balance_and_no_pools_fault(self, chain: InProcessChain) -> None:
        edit(chain, OWN_LEVY, holding(AMOUNT - 1))
        engine = engine_of(chain, RAYDIUM_POOL, METEORA_POOL)
        order = engine.order("LEVY", "USDC", AMOUNT)
        with pytest.raises(InsufficientBalance, match=f"holds {AMOUNT - 1} base units") as refused:
            engine.build(order, engine.trader.plan(order))
        assert refused.value.leg is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (token_2022.hooked, "transfer_hook"),
        (token_2022.paused, "pausable"),
        (token_2022.frozen_by_default, "default_account_state"),
        (token_2022.of_a_later_program, "extension_99"),
    ],
)
def test_a_mint_that_nobody_may_trade_is_refused_for_good_and_the_pairs_without_it_are_not(
    chain: InProcessChain, change: Callable[[Account], Account], named: str
) -> None:
    edit(chain, MINTS["LEVY"].address, change)
    engine = engine_of(chain, RAYDIUM_POOL, METEORA_POOL, *POOLS[frozenset(("USDC", "JUP"))])
    for sold, bought in (("LEVY", "USDC"), ("USDC", "LEVY")):
        with pytest.raises(TokenNotTradable, match=named):
            engine.trader.plan(engine.order(sold, bought, AMOUNT))
    assert engine.trader.plan(engine.order("USDC", "JUP", AMOUNT)).quoted_out


def test_a_way_over_a_third_token_says_which_ways_come_next(chain: InProcessChain) -> None:
    pairs = (("JUP", "USDC"), ("USDC", "RAY"), ("JUP", "SOL"), ("SOL", "RAY"))
    engine = engine_of(chain, *(entry for pair in pairs for entry in POOLS[frozenset(pair)]))
    planned = engine.trader.plan(engine.order("JUP", "RAY", 4_000 * 10**6))
    over = [way.route[0].token_out.text for way in (planned, *planned.otherwise)]
    assert set(over) == {"SOL", "USDC"}, "each also with its hops split"
    assert planned.quoted_out >= planned.otherwise[0].quoted_out


def test_once_the_price_moved_between_two_hops_a_way_of_one_that_pays_the_floor_comes_first(
    chain: InProcessChain,
) -> None:
    (direct,) = (entry for entry in POOLS[frozenset(("JUP", "USDC"))] if entry.program == str(RAYDIUM))
    engine = engine_of(chain, direct, *POOLS[frozenset(("JUP", "SOL"))], *POOLS[frozenset(("SOL", "USDC"))])
    order = engine.order("JUP", "USDC", 400_000 * 10**6)
    best = engine.trader.plan(order)
    assert over_sol(best)
    engine.another_trader_sells(direct.address, "JUP", 400_000 * 10**6)
    moved, closed = (
        leave_out(order, best.route[0].pool, "", code) for code in (SlippageExceeded.code, VenueUnavailable.code)
    )
    surest = engine.trader.plan(moved)
    assert [leg.pool for leg in surest.route] == [direct.address]
    best_without = engine.trader.plan(closed)
    assert over_sol(best_without), "no price moved"
    assert best_without.quoted_out > surest.quoted_out
    strict = replace(moved, min_out=surest.quoted_out)
    assert [leg.pool for leg in engine.trader.plan(strict).route] == [direct.address]
    beyond = replace(moved, min_out=surest.quoted_out + 1)
    assert over_sol(engine.trader.plan(beyond)), "it would not fill directly"


def over_sol(planned: PlannedSwap) -> bool:
    return {leg.token_in.text for leg in planned.route} == {"JUP", "SOL"}
