"""Orders on a localnet in this process: what `test_orders_on_real_programs` does, where no bytecode is at hand."""

from __future__ import annotations

import pytest
from solders.keypair import Keypair

from chalicelib.amounts import floor_of
from chalicelib.orders.execution import Landed
from chalicelib.problems import InsufficientBalance
from chalicelib.venues.meteora_damm_v2.layout import PROGRAM_ID as METEORA_DAMM_V2
from infra.localnet.startup import Options
from tests.integration.chain_trading import Engine, InProcessChain, genesis_pools

WALLET = Keypair.from_seed(bytes([44] * 32))
NOW = 1_795_000_000
POOLS = genesis_pools()


@pytest.mark.parametrize(
    ("sold", "bought", "amount", "venues"),
    [
        ("USDC", "LEVY", 10**9, {"raydium"}),
        ("USDC", "LEVY", 10**9, {"meteora"}),
        ("SOL", "USDC", 10**9, {"raydium"}),
        ("USDC", "LEVY", 10**11, {"raydium", "meteora"}),
    ],
)
def test_an_order_is_filled_as_quoted_and_told_through_the_rpc_client(
    sold: str, bought: str, amount: int, venues: set[str]
) -> None:
    raydium, meteora = POOLS[frozenset((sold, bought))]
    entries = [pool for pool, venue in ((raydium, "raydium"), (meteora, "meteora")) if venue in venues]
    chain = InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), NOW)
    engine = Engine(chain, WALLET, entries)
    before = {symbol: engine.balance(symbol) for symbol in (sold, bought)}

    executed = engine.execute(engine.order(sold, bought, amount))

    planned = executed.planned
    filled = planned.quoted_out
    assert sum(floor for _, _, floor in executed.swaps) == floor_of(filled, 10_000)
    assert planned.exposure.price_impact_ppm > 0
    assert executed.fate == Landed(filled)
    assert {leg.dex for leg in planned.route} == venues
    change = {symbol: engine.balance(symbol) - before[symbol] for symbol in before}
    change["SOL"] = change.get("SOL", 0) + executed.fee
    assert (change[sold], change[bought]) == (-amount, filled)
    assert engine.http.methods.count("sendTransaction") == 1


@pytest.mark.parametrize(("sold", "bought"), [("SOL", "USDC"), ("USDC", "SOL"), ("LEVY", "USDC"), ("USDC", "LEVY")])
def test_an_order_is_filled_as_quoted_at_meteora_damm_v2(sold: str, bought: str) -> None:
    """At a pool whose fees compound, and at one of a Token-2022 token, with fees in one token alone."""
    chain = InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), NOW)
    engine = Engine(chain, WALLET, genesis_pools((METEORA_DAMM_V2,))[frozenset((sold, bought))])
    held = engine.balance(bought)

    executed = engine.execute(engine.order(sold, bought, 10**9))

    assert executed.fate == Landed(executed.planned.quoted_out)
    assert [leg.program for leg in executed.planned.route] == ["meteora-damm-v2"]
    fee = executed.fee if bought == "SOL" else 0
    assert engine.balance(bought) - held == executed.planned.quoted_out - fee


def test_a_plan_tells_what_each_pool_of_the_pair_offered_and_what_the_network_takes_at_least() -> None:
    chain = InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), NOW)
    engine = Engine(chain, WALLET, POOLS[frozenset(("SOL", "USDC"))])
    planned = engine.trader.plan(engine.order("SOL", "USDC", 10**9))
    assert {offer.dex for offer in planned.offers} == {"raydium", "meteora"}
    assert all(offer.amount_out for offer in planned.offers)
    assert planned.fees.least == 5_000
    assert planned.otherwise == (), "the pair has pools of its own"


def test_a_way_over_the_pairs_own_pools_has_none_over_a_third_token_behind_it() -> None:
    """Any of those opens one account more: none helps a wallet that lacks the rent for this one."""
    chain = InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), NOW)
    pairs = (("USDC", "USDT"), ("USDC", "SOL"), ("SOL", "USDT"))
    engine = Engine(chain, WALLET, [entry for pair in pairs for entry in POOLS[frozenset(pair)]])
    assert engine.price("USDC", "USDT", 50_000_000).other_routes, "over SOL"
    planned = engine.trader.plan(engine.order("USDC", "USDT", 50_000_000))
    assert {(leg.token_in.text, leg.token_out.text) for leg in planned.route} == {("USDC", "USDT")}
    assert planned.otherwise == ()


def test_an_engine_trades_again_at_the_fee_that_it_paid_last() -> None:
    chain = InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), NOW)
    engine = Engine(chain, WALLET, POOLS[frozenset(("SOL", "USDC"))])
    for _ in range(2):
        executed = engine.execute(engine.order("SOL", "USDC", 10**9))
        assert executed.fate == Landed(executed.planned.quoted_out)
    assert engine.trader.leg_lamports() > 0


def test_an_order_that_the_wallet_cannot_pay_for_is_refused_before_it_is_signed() -> None:
    chain = InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), NOW)
    pauper = Engine(chain, Keypair.from_seed(bytes([45] * 32)), POOLS[frozenset(("SOL", "USDC"))])
    order = pauper.order("USDC", "SOL", 10**6)
    planned = pauper.trader.plan(order)
    with pytest.raises(InsufficientBalance):
        pauper.build(order, planned)
    assert "sendTransaction" not in pauper.http.methods
