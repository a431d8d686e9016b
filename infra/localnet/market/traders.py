"""The market's other traders: arbitrageurs who hold each pool near the fair price, and people who just trade."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from random import Random

from chalicelib.problems import ExecutionError
from chalicelib.venues.venue import Pool
from infra.localnet.market.desk import TradeError, TradingDesk
from infra.localnet.market.genesis import MarketPool, price_ratio
from infra.localnet.market.prices import FairPrices
from infra.localnet.market.tokens import MarketToken
from infra.localnet.market.wallet import HouseWallet
from infra.localnet.transaction_error import TransactionRefused

_log = logging.getLogger(__name__)
# Pools that are looked at in a slot: at most as many trades are made.
_POOLS_A_SLOT = 2
_SMALLEST_ARBITRAGE = 20
_LARGEST_ARBITRAGE = 20_000
_LARGEST_CASUAL_TRADE = 400
_CASUAL_TRADES = 0.3


class Traders:
    """Trade a little each slot. Every trade is a real transaction of one of `wallets`."""

    def __init__(
        self, desk: TradingDesk, pools: Sequence[MarketPool], wallets: Sequence[HouseWallet], dice: Random
    ) -> None:
        self._desk = desk
        self._pools = pools
        self._wallets = wallets
        self._dice = dice
        self.prices = FairPrices(dice)

    def trade_a_slot(self) -> None:
        self.prices.step()
        for market_pool in self._dice.sample(self._pools, k=min(_POOLS_A_SLOT, len(self._pools))):
            try:
                self._visit(market_pool)
            except (TradeError, ExecutionError, TransactionRefused) as error:
                _log.debug("no trade at %s: %s", market_pool.address, error)

    def _visit(self, market_pool: MarketPool) -> None:
        """Take what the pool misprices; where there is nothing to take, perhaps trade for no reason."""
        pool = self._desk.pool(market_pool.address)
        base, quote = market_pool.base, market_pool.quote
        fair = price_ratio(base, quote, self.prices.by_symbol)
        deviation = pool.mid_price(base.mint.address) / fair - 1
        sold, bought = (base, quote) if deviation > 0 else (quote, base)
        # Half of what would bring the price back: the pool's other visitors have their share.
        dollars = int(market_pool.depth * abs(deviation)) // 4
        if dollars >= _SMALLEST_ARBITRAGE:
            amount = self._amount(sold, min(dollars, _LARGEST_ARBITRAGE))
            if self._pays(pool, sold, bought, amount):
                self._desk.trade(pool, sold.mint.address, amount, self._dice.choice(self._wallets))
                return
        if self._dice.random() < _CASUAL_TRADES:
            sold = self._dice.choice((base, quote))
            amount = self._amount(sold, self._dice.randint(1, _LARGEST_CASUAL_TRADE))
            self._desk.trade(pool, sold.mint.address, amount, self._dice.choice(self._wallets))

    def _pays(self, pool: Pool, sold: MarketToken, bought: MarketToken, amount: int) -> bool:
        """Whether the swap gives more than the sold tokens are worth, all fees considered."""
        received = self._desk.quote(pool, sold.mint.address, amount).amount_out
        return received > amount * price_ratio(sold, bought, self.prices.by_symbol)

    def _amount(self, token: MarketToken, dollars: int) -> int:
        """Base units worth `dollars`, of a sum that is not round."""
        worth = Fraction(dollars * 10**12, self.prices.by_symbol[token.symbol]) * int(10**token.mint.decimals)
        return max(1, int(worth) + self._dice.randint(0, 999))
