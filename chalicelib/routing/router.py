"""The best way through the pools. Pure: offers in, a route out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.problems import (
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    NoPool,
    PermanentError,
    TransientError,
)
from chalicelib.routing.quote import PoolOffer
from chalicelib.venues.venue import Pool, PoolQuote


@dataclass(frozen=True, slots=True)
class RouteLeg:
    """One pool's part in the route."""

    pool: Pool
    quote: PoolQuote


@dataclass(frozen=True, slots=True)
class Route:
    """Legs that together take the whole input; they all go into one transaction."""

    legs: tuple[RouteLeg, ...]

    @property
    def amount_in(self) -> int:
        return sum(leg.quote.amount_in for leg in self.legs)

    @property
    def amount_out(self) -> int:
        return sum(leg.quote.amount_out for leg in self.legs)


def best_route(offers: Sequence[PoolOffer]) -> Route:
    """The single pool that pays most; equal ones are told apart by address, so that every worker chooses alike.

    Raises:
        NoPool: no pool was asked.
        TransientError: none quotes now, but one may soon (closed, not open yet).
        AmountTooSmall, InsufficientLiquidity: none can, and waiting won't help.
    """
    best: tuple[int, str, RouteLeg] | None = None
    for offer in offers:
        if offer.quote is None:
            continue
        key = (-offer.quote.amount_out, str(offer.pool.address))
        if best is None or key < best[:2]:
            best = (*key, RouteLeg(offer.pool, offer.quote))
    if best is None:
        raise _why_none(offers)
    return Route((best[2],))


def _why_none(offers: Sequence[PoolOffer]) -> ExecutionError:
    """The most telling refusal: one that may pass first, then too little liquidity, then too small."""
    refusals = [offer.refusal for offer in offers if offer.refusal is not None]
    if not refusals:
        return NoPool("no pool trades this pair")
    for kind in (TransientError, InsufficientLiquidity, AmountTooSmall, PermanentError):
        for refusal in refusals:
            if isinstance(refusal, kind):
                return refusal
    return refusals[0]
