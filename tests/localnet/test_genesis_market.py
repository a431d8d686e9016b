"""The genesis market: every pair on several programs, at prices that agree and stay near the fair ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from itertools import combinations

import pytest
from solders.pubkey import Pubkey

from chalicelib.venues.meteora_damm_v2 import layout as meteora_damm_v2
from chalicelib.venues.meteora_dlmm import layout as meteora_dlmm_layout
from chalicelib.venues.raydium_cpmm import layout as raydium_cpmm
from infra.localnet.market.genesis import genesis_market, price_ratio
from infra.localnet.market.tokens import TOKENS
from infra.localnet.startup import Chain, Options, build
from infra.localnet.token_state import token_account

NOW = 1_795_000_000
WALLET = Pubkey([42] * 32)
PROGRAMS = {
    raydium_cpmm.PROGRAM_ID,
    meteora_dlmm_layout.PROGRAM_ID,
    meteora_damm_v2.PROGRAM_ID,
}
# What a bin is wide at the most, and what prices are made to deviate.
LARGEST_DEVIATION = Fraction(4, 1_000)


def chain(*, seed: int = 0, with_traders: bool = True) -> Chain:
    return build(Options(seed=seed, with_traders=with_traders, funded=(WALLET,)), lambda: NOW)


@pytest.fixture(scope="module")
def quiet() -> Chain:
    return chain(with_traders=False)


def holdings(of: Chain) -> Counter[Pubkey]:
    """All base units of the market's tokens, what is withheld of transfers included."""
    total: Counter[Pubkey] = Counter()
    traded = {token.mint.address for token in TOKENS}
    for account in of.node.ledger.all_accounts():
        held = token_account(account)
        if held is not None and held.mint in traded:
            withheld = int.from_bytes(account.data[170:178], "little") if len(account.data) > 170 else 0
            total[held.mint] += held.amount + withheld
    return total


def test_each_pair_is_traded_on_several_programs(quiet: Chain) -> None:
    venues: defaultdict[frozenset[Pubkey], set[Pubkey]] = defaultdict(set)
    for address, program in quiet.pools:
        venues[frozenset(side.mint for side in quiet.node.desk.pool(address).sides)].add(program)
    pairs = {frozenset(pair) for pair in combinations([token.mint.address for token in TOKENS], 2)}
    assert len(pairs) == 21
    assert venues.keys() == pairs
    assert all(programs >= PROGRAMS for programs in venues.values())


def test_every_pool_quotes_and_fills_a_trade_each_way() -> None:
    of = chain(with_traders=False)
    dollars = {token.mint.address: token.base_units(100) for token in TOKENS}
    for address, _ in of.pools:
        for side in of.node.desk.pool(address).sides:
            pool = of.node.desk.pool(address)
            trade = of.node.desk.trade(pool, side.mint, dollars[side.mint])
            assert trade.landed.error is None
            assert trade.amount_out == trade.quote.amount_out
            worth = Fraction(trade.amount_out, dollars[trade.quote.mint_out])
            assert Fraction(97, 100) < worth < Fraction(101, 100)


def test_prices_agree_with_the_fair_ones(quiet: Chain) -> None:
    prices = {token.symbol: token.price for token in TOKENS}
    for market_pool in genesis_market(0).pools:
        mid = quiet.node.desk.pool(market_pool.address).mid_price(market_pool.base.mint.address)
        fair = price_ratio(market_pool.base, market_pool.quote, prices)
        assert abs(mid / fair - 1) < LARGEST_DEVIATION


def test_a_funded_wallet_can_trade(quiet: Chain) -> None:
    native = quiet.node.ledger.current(WALLET)
    assert native is not None
    assert native.lamports == 1_000 * 10**9
    held = {
        one.mint: one.amount
        for account in quiet.node.ledger.all_accounts()
        if (one := token_account(account)) is not None and one.owner == WALLET
    }
    assert len(held) == 6
    assert all(amount > 0 for amount in held.values())


def test_supplies_are_what_is_held(quiet: Chain) -> None:
    held = holdings(quiet)
    for token in TOKENS[1:]:
        mint = quiet.node.ledger.current(token.mint.address)
        assert mint is not None
        assert int.from_bytes(mint.data[36:44], "little") == held[token.mint.address]


SLOTS = 400


def pass_slots(of: Chain) -> Chain:
    for _ in range(SLOTS):
        of.node.advance()
        of.begin_slot()
    return of


@pytest.fixture(scope="module")
def busy() -> Chain:
    return pass_slots(chain())


class TestTheTraders:
    def test_trade_every_now_and_then_and_never_in_vain(self, busy: Chain) -> None:
        transactions = list(busy.node.ledger.transactions)
        assert SLOTS / 4 < len(transactions) <= 2 * SLOTS
        assert not [one.error for one in transactions if one.error is not None]

    def test_move_prices_and_hold_them_near_the_fair_ones(self, busy: Chain) -> None:
        assert busy.traders is not None
        moved = 0
        quiet = chain(with_traders=False)
        for market_pool in genesis_market(0).pools:
            base = market_pool.base.mint.address
            mid = busy.node.desk.pool(market_pool.address).mid_price(base)
            moved += mid != quiet.node.desk.pool(market_pool.address).mid_price(base)
            fair = price_ratio(market_pool.base, market_pool.quote, busy.traders.prices.by_symbol)
            # The fees of a thin pool and of the token that charges for transfers keep arbitrage away below this.
            assert abs(mid / fair - 1) < Fraction(25, 1_000)
        assert moved >= 21

    def test_neither_make_tokens_nor_lose_any(self, busy: Chain) -> None:
        assert holdings(busy) == holdings(chain(with_traders=False))

    def test_do_the_same_for_the_same_seed(self, busy: Chain) -> None:
        again, other = pass_slots(chain()), pass_slots(chain(seed=1))
        assert holdings_by_account(again) == holdings_by_account(busy)
        assert holdings_by_account(other) != holdings_by_account(busy)


def holdings_by_account(of: Chain) -> list[int]:
    desk = of.node.desk
    return [
        held.amount
        for address, _ in of.pools
        for side in desk.pool(address).sides
        if (held := token_account(of.node.ledger.current(side.vault))) is not None
    ]


def test_prices_wander_but_not_away() -> None:
    of = chain()
    assert of.traders is not None
    prices = of.traders.prices
    origin = dict(prices.by_symbol)
    seen: defaultdict[str, set[int]] = defaultdict(set)
    for _ in range(20_000):
        prices.step()
        for symbol, price in prices.by_symbol.items():
            seen[symbol].add(price)
            assert abs(price - origin[symbol]) * 20 < origin[symbol]
    assert len(seen["USDC"]) == 1
    assert min(len(seen[symbol]) for symbol in origin if symbol != "USDC") > 1_000
