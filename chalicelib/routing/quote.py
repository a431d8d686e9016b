"""What the market offers for one pair and size: every pool's quote or refusal, all from one slot. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing, ExecutionError
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool, PoolQuote


@dataclass(frozen=True, slots=True)
class PoolOffer:
    """A pool's answer: a quote, or why there is none."""

    pool: Pool
    quote: PoolQuote | None
    refusal: ExecutionError | None
    mid_price: Fraction | None

    @property
    def price_impact(self) -> Fraction | None:
        """How much worse than the pool's mid price the quote is, as a fraction; its fees count as impact."""
        if self.quote is None or not self.mid_price:
            return None
        ideal = self.mid_price * self.quote.amount_in
        return (ideal - self.quote.amount_out) / ideal


def ask_pools(pools: Iterable[Pool], mint_in: Pubkey, amount_in: int, clock: ChainClock) -> tuple[PoolOffer, ...]:
    """Each pool's offer for exactly `amount_in` base units of `mint_in`.

    Raises AccountsMissing with the accounts that all quotes together still need.
    """
    offers: list[PoolOffer] = []
    missing: list[str] = []
    for pool in pools:
        try:
            offers.append(PoolOffer(pool, pool.quote(mint_in, amount_in, clock), None, pool.mid_price(mint_in)))
        except AccountsMissing as error:
            missing.extend(error.addresses)
        except ExecutionError as error:
            offers.append(PoolOffer(pool, None, error, None))
    if missing:
        raise AccountsMissing(missing)
    return tuple(offers)


def floor_of(amount_out: int, slippage_ppm: int) -> int:
    """The least output that the slippage allows, in base units, rounded up in the trader's favour, at least 1."""
    return max(-(-amount_out * (1_000_000 - slippage_ppm) // 1_000_000), 1)
