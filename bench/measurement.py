"""Measures quotes, ours and the official SDKs', in turns on the same pools, so that both see the machine alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from solders.pubkey import Pubkey

from bench.pools import CLOCK, MINT_IN, MeasuredPool
from bench.timing import nanoseconds_per_call
from chalicelib.problems import ExecutionError
from chalicelib.routing.outlet import Outlet
from chalicelib.routing.split import divide
from chalicelib.venues import supported
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Pool
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Pool
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmPool
from chalicelib.venues.raydium_cpmm.math import is_creator_fee_on_input, shares_of_trade_fee, traded_on_curve
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool
from chalicelib.venues.sides import side_of
from chalicelib.venues.venue import Pool, PoolQuote, Venue
from testing.sdk.oracle import SdkOracle

_MINT_IN = MINT_IN.address
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
        self._quote = self._pool.quote(_MINT_IN, measured.amount_in, CLOCK)

    def measure(self, milliseconds: int) -> None:
        """One round. Raises AssertionError where the SDK quotes another output."""
        measured, row = self._measured, self.row
        # Looked up before, as the SDK's side has it: what is timed is the quote and a call of nothing.
        quote, mint_in, amount_in = self._pool.quote, _MINT_IN, measured.amount_in
        decode, address, accounts = _VENUES[measured.program].decode, measured.address, measured.accounts
        forget = _memory_of(self._pool)

        def again() -> PoolQuote:
            return quote(mint_in, amount_in, CLOCK)

        def first() -> PoolQuote:
            forget()
            return quote(mint_in, amount_in, CLOCK)

        row.note(FIRST, nanoseconds_per_call(again if forget is _nothing else first, milliseconds))
        row.note(AGAIN, nanoseconds_per_call(again, milliseconds))
        row.note(
            FROM_ACCOUNTS,
            nanoseconds_per_call(lambda: decode(address, accounts).quote(mint_in, amount_in, CLOCK), milliseconds),
        )
        if self._sdk is not None:
            decoded, from_accounts = _sdks(self._sdk, measured, self._quote, milliseconds)
            row.note(SDK, decoded)
            row.note(SDK_FROM_ACCOUNTS, from_accounts)


class CurveBench:
    """Of a CPMM pool, what the SDK's CurveCalculator computes, and no more: the curve's output and all four fees."""

    def __init__(self, name: str, measured: MeasuredPool, sdk: SdkOracle | None) -> None:
        self.row = Row(name)
        self._measured = measured
        self._sdk = sdk
        pool = _decoded(measured)
        assert isinstance(pool, RaydiumCpmmPool)
        self._pool = pool
        self._quote = pool.quote(_MINT_IN, measured.amount_in, CLOCK)

    def measure(self, milliseconds: int) -> None:
        """One round. Raises AssertionError where the SDK or the curve gives another output than the quote."""
        pool, amount = self._pool, self._measured.amount_in
        side = side_of(_MINT_IN, pool.mints, pool.address)
        reserve_in, reserve_out = pool.reserves[side], pool.reserves[1 - side]
        trade_rate, creator_rate = pool.trade_fee_rate, pool.creator_fee_rate
        protocol_rate, fund_rate = pool.protocol_fee_rate, pool.fund_fee_rate
        on_input = is_creator_fee_on_input(pool.creator_fee_on, side)

        def curve() -> tuple[int, int, int, int, int]:
            trade, creator, out = traded_on_curve(amount, reserve_in, reserve_out, trade_rate, creator_rate, on_input)
            return trade, creator, out, *shares_of_trade_fee(trade, protocol_rate, fund_rate)

        assert curve()[2] == self._quote.amount_out
        self.row.note(FIRST, nanoseconds_per_call(curve, milliseconds))
        if self._sdk is not None:
            self.row.note(SDK, _sdks(self._sdk, self._measured, self._quote, milliseconds)[0])


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
        forgetting = [_memory_of(pool) for pool in pools]

        def first() -> None:
            for forget in forgetting:
                forget()
            self._divide(pools)

        row.note(FIRST, nanoseconds_per_call(first, milliseconds))
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
            return pool.quote(_MINT_IN, amount, CLOCK).amount_out
        except ExecutionError:
            return None

    return pay


def _decoded(measured: MeasuredPool) -> Pool:
    return _VENUES[measured.program].decode(measured.address, measured.accounts)


def _memory_of(pool: Pool) -> Callable[[], None]:
    """Makes the pool as if it had never been quoted: decoded, no bins or ticks walked yet, no fee worked out yet."""
    if isinstance(pool, MeteoraDlmmPool | RaydiumClmmPool):
        return pool._ladders.clear
    if isinstance(pool, MeteoraDammV2Pool):
        terms, none = pool._terms, (None, None)

        def forget_terms() -> None:
            terms[:] = none

        return forget_terms
    if isinstance(pool, MeteoraDammV1Pool):

        def forget_time() -> None:
            pool._at = None

        return forget_time
    return _nothing


def _nothing() -> None:
    """What a pool does to forget that keeps nothing of a quote."""


def _sdks(sdk: SdkOracle, measured: MeasuredPool, quote: PoolQuote, milliseconds: int) -> tuple[float, float]:
    """Nanoseconds from decoded accounts and from their bytes. Raises AssertionError where it isn't what we quote."""
    amount_out, decoded, from_accounts = sdk.nanoseconds(
        measured.venue,
        measured.address,
        measured.accounts,
        CLOCK,
        (_MINT_IN, measured.amount_in),
        quote.remaining_accounts,
        milliseconds,
    )
    assert amount_out == quote.amount_out
    return decoded, from_accounts
