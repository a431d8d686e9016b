"""Measures quotes, ours and the official SDKs', in turns on the same pools, so that both see the machine alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from solders.pubkey import Pubkey

from bench.pools import CLOCK, MINT_IN, MeasuredPool
from bench.timing import nanoseconds_per_call
from chalicelib.problems import ExecutionError
from chalicelib.routing.split import Outlet, divide
from chalicelib.venues import supported
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool
from chalicelib.venues.venue import Pool, PoolQuote, Venue
from testing.sdk.oracle import SdkOracle

_VENUES: Mapping[Pubkey, Venue] = {venue.program_id: venue for venue in supported.VENUES}
# What is timed, ours first; a name is a column of the table and a bar of the chart.
FIRST = "first quote"
AGAIN = "next quote"
FROM_ACCOUNTS = "from accounts"
SDK = "SDK quote"
SDK_FROM_ACCOUNTS = "SDK from accounts"


@dataclass(slots=True)
class Row:
    """One line of the results: nanoseconds by what was timed, the fastest of all rounds."""

    name: str
    nanoseconds: dict[str, float] = field(default_factory=dict)

    def note(self, kind: str, nanoseconds: float) -> None:
        self.nanoseconds[kind] = min(nanoseconds, self.nanoseconds.get(kind, nanoseconds))


class QuoteBench:
    """One pool's quote."""

    def __init__(self, measured: MeasuredPool, sdk: SdkOracle | None) -> None:
        self.row = Row(measured.name)
        self._measured = measured
        self._sdk = sdk
        self._pool = _decoded(measured)
        self._quote = _quote(self._pool, measured)

    def measure(self, milliseconds: int) -> None:
        """One round. Raises AssertionError where the SDK quotes another output."""
        pool, measured, row = self._pool, self._measured, self.row
        row.note(FIRST, nanoseconds_per_call(lambda: _quote(_forgetful(pool), measured), milliseconds))
        row.note(AGAIN, nanoseconds_per_call(lambda: _quote(pool, measured), milliseconds))
        row.note(FROM_ACCOUNTS, nanoseconds_per_call(lambda: _quote(_decoded(measured), measured), milliseconds))
        if self._sdk is None:
            return
        amount_out, decoded, from_accounts = self._sdk.nanoseconds(
            measured.venue,
            measured.address,
            measured.accounts,
            CLOCK,
            (MINT_IN.address, measured.amount_in),
            self._quote.remaining_accounts,
            milliseconds,
        )
        assert amount_out == self._quote.amount_out
        row.note(SDK, decoded)
        row.note(SDK_FROM_ACCOUNTS, from_accounts)


class SplitBench:
    """The best division of one input over several pools. No SDK does this."""

    def __init__(self, name: str, pools: Sequence[MeasuredPool], amount_in: int) -> None:
        self.row = Row(name)
        self._measured = pools
        self._amount_in = amount_in
        self._pools = [_decoded(measured) for measured in pools]

    def measure(self, milliseconds: int) -> None:
        """One round. Raises AssertionError where fewer than all pools get a part."""
        pools, row = self._pools, self.row
        row.note(FIRST, nanoseconds_per_call(lambda: self._divide([_forgetful(pool) for pool in pools]), milliseconds))
        row.note(AGAIN, nanoseconds_per_call(lambda: self._divide(pools), milliseconds))
        row.note(
            FROM_ACCOUNTS,
            nanoseconds_per_call(lambda: self._divide([_decoded(each) for each in self._measured]), milliseconds),
        )

    def _divide(self, pools: Sequence[Pool]) -> None:
        division = divide([Outlet(_payment(pool)) for pool in pools], self._amount_in, len(pools), 0)
        assert division is not None
        assert division.legs == len(pools)


def _payment(pool: Pool) -> Callable[[int], int | None]:
    def pay(amount: int) -> int | None:
        try:
            return pool.quote(MINT_IN.address, amount, CLOCK).amount_out
        except ExecutionError:
            return None

    return pay


def _decoded(measured: MeasuredPool) -> Pool:
    return _VENUES[measured.program].decode(measured.address, measured.accounts)


def _forgetful(pool: Pool) -> Pool:
    """The pool as if it had never been quoted: decoded, its bins not yet walked."""
    if isinstance(pool, MeteoraDlmmPool):
        pool._ladders.clear()
    return pool


def _quote(pool: Pool, measured: MeasuredPool) -> PoolQuote:
    return pool.quote(MINT_IN.address, measured.amount_in, CLOCK)
